"""A machine rebuilt from a stored calibration: its gates, its connections and its noise, cut to the qubits in use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from hashlib import sha256
from typing import Annotated, Any, NamedTuple

from annotated_types import Ge
from qiskit import transpile
from qiskit.circuit import QuantumCircuit

from qeqprop.calibrated_backend import noise_model
from qeqprop.calibration import Calibration, from_text
from qeqprop.checks import check_fields
from qeqprop.counts import Readings, run_by_reading
from qeqprop.devices.aer import DENSE_SITES, aer_simulator, read_on_aer
from qeqprop.engine.bases import MeasurementBasis
from qeqprop.interfaces import FloatArray, Measured, Measurement
from qeqprop.placement import TRANSPILER_SEED, Placed, once, place
from qeqprop.qubit_choice import Choice, choose_qubits
from qeqprop.stored_files import find_stored


class OnMachine(NamedTuple):
    """A circuit on the qubits that were chosen for it.

    Attributes:
        choice: the qubits, as they are numbered in the calibration.
        calibration: of those qubits alone, in the order of the sites.
        placed: the circuit in native gates.
        simulator: an `AerSimulator` with the noise of those qubits.
    """

    choice: Choice
    calibration: Calibration
    placed: Placed
    simulator: Any


@dataclass(frozen=True)
class Profile:
    """Runs circuits on Aer with the noise of a stored calibration, and samples them.

    A circuit is put on the qubits with the least errors (`qubit_choice`), translated to the machine's gates once, and
    scheduled. Every gate has its calibrated error, qubits that wait relax, and the readout is asymmetric. The canary of
    each job is the circuit of its first row and its inverse, ideally back at zero.

    Attributes:
        profile: a file of `hardware_profiles/`, or your own.
        shots: for each row and basis.
        checksum: the first 16 hexadecimal digits of the file's SHA-256, if the file has to be this one; a run writes
            down the one it was begun with.

    Raises:
        ValueError: for a file that is none or holds wrong numbers, and for circuits that do not fit.
    """

    profile: str = "kingston_8.toml"
    shots: Annotated[int, Ge(2)] = 1000
    checksum: str | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        _ = self.calibration
        content = find_stored(self.profile, "hardware_profiles", argument="profile").read_bytes()
        found = sha256(content).hexdigest()[:16]
        if self.checksum not in (None, found):
            raise ValueError(f"Argument `checksum` must be that of {self.profile}, {found}, but is {self.checksum!r}.")

    @property
    def calibration(self) -> Calibration:
        """The whole calibration of the file."""
        return _calibration(find_stored(self.profile, "hardware_profiles", argument="profile").read_text())

    @property
    def name(self) -> str:
        calibration = self.calibration
        return f"profile {self.profile} ({calibration.name}, {calibration.date[:10]}) with {self.shots} shots"

    @property
    def reads_states(self) -> bool:
        return False

    def run(self, measurement: Measurement, *, shots: int | None, key: tuple[int, ...]) -> Measured:
        """See `interfaces.Device`."""
        return run_by_reading(self, measurement, shots=shots, key=key)

    def read(
        self,
        circuit: QuantumCircuit,
        parameters: FloatArray,
        bases: Sequence[MeasurementBasis],
        shots: int | Sequence[int],
        key: tuple[int, ...],
    ) -> Readings:
        """See `counts.SamplingDevice`."""
        machine = self.prepare(circuit)
        return read_on_aer(machine.simulator, machine.placed, parameters, bases, shots, key)

    def prepare(self, circuit: QuantumCircuit) -> OnMachine:
        """The circuit on its qubits, made once for each circuit object.

        Raises:
            ValueError: if the machine has too few connected qubits for it.
        """
        calibration = self.calibration
        return once(circuit, ("profile", id(calibration)), partial(_on_machine, circuit, calibration))


@lru_cache(maxsize=16)
def _calibration(text: str) -> Calibration:
    return from_text(text)


def _on_machine(circuit: QuantumCircuit, calibration: Calibration) -> OnMachine:
    choice = choose_qubits(circuit, calibration.target())
    cut = calibration.cut(choice.qubits)
    options = {"target": cut.target(), "seed_transpiler": TRANSPILER_SEED}
    stay = list(range(circuit.num_qubits))
    placed = place(
        circuit,
        partial(transpile, initial_layout=stay, optimization_level=2, scheduling_method="alap", **options),
        partial(transpile, initial_layout=stay, optimization_level=1, layout_method="trivial", **options),
    )
    method = "density_matrix" if circuit.num_qubits <= DENSE_SITES else "statevector"
    return OnMachine(choice, cut, placed, aer_simulator(method, noise_model(cut), circuit.num_qubits))
