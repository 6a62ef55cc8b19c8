"""A machine rebuilt from a stored calibration: its gates, its connections and its noise, cut to the qubits in use."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated

from annotated_types import Ge
from qiskit import transpile
from qiskit.circuit import QuantumCircuit

from qeqprop.calibration import Calibration
from qeqprop.checks import check_fields
from qeqprop.counts import Readings, Readout, run_by_reading
from qeqprop.fractional_gates import bounded, turned_back
from qeqprop.interfaces import Measured, Measurement
from qeqprop.noisy_machine import NoisyMachine, read_noisy
from qeqprop.placement import TRANSPILER_SEED, Placed, place, read_by_placing
from qeqprop.qubit_choice import choose_qubits
from qeqprop.remembering import once
from qeqprop.snapshots import calibration_of, profile_checksum, profile_text


@dataclass(frozen=True)
class Profile:
    """Runs circuits with the noise of a stored calibration, and samples them.

    A circuit is put on the qubits with the least errors (`qubit_choice`), translated to the machine's gates once, and
    scheduled. Every gate has its calibrated error, qubits that wait relax, and the readout is asymmetric. The shots are
    drawn from exact noisy states (`noisy_machine`), which limits it to a dozen sites. The canary of each job is the
    circuit of its first row and its inverse, ideally back at zero.

    Attributes:
        profile: a file of `hardware_profiles/`, or your own, or a whole machine by the name of its snapshot in
            qiskit-ibm-runtime, such as ``FakeKingston`` (`snapshots`).
        shots: for each row and basis.
        checksum: the first 16 hexadecimal digits of its text's SHA-256, if it has to be this one; a run writes
            down the one it was begun with.
        fractional: use the machine's rotations of free angle about X and ZZ, each ZZ one gate instead of two.

    Raises:
        ValueError: for a file that is none or holds wrong numbers, and for circuits that do not fit.
    """

    profile: str = "kingston_8.toml"
    shots: Annotated[int, Ge(2)] = 1000
    checksum: str | None = None
    fractional: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        text = self._text
        try:
            calibration = calibration_of(text)
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"Argument `profile` must name a calibration, but {self.profile} is none: {error}"
            ) from None
        if self.fractional and not calibration.gates.get("rzz"):
            raise ValueError(f"Argument `fractional` must be False: {self.profile} has no rotations of free angle.")
        found = profile_checksum(self.profile)
        if self.checksum not in (None, found):
            raise ValueError(f"Argument `checksum` must be that of {self.profile}, {found}, but is {self.checksum!r}.")

    @property
    def calibration(self) -> Calibration:
        """The whole calibration of the file."""
        return calibration_of(self._text)

    @property
    def name(self) -> str:
        calibration = self.calibration
        kind = " and fractional gates" if self.fractional else ""
        return f"profile {self.profile} ({calibration.name}, {calibration.date[:10]}) with {self.shots} shots{kind}"

    @property
    def reads_states(self) -> bool:
        return False

    def run(self, measurement: Measurement, *, shots: int | None, key: tuple[int, ...]) -> Measured:
        """See `interfaces.Device`."""
        return run_by_reading(self, measurement, shots=shots, key=key)

    def read(self, circuit: QuantumCircuit, readout: Readout) -> Readings:
        """See `counts.SamplingDevice`."""
        return read_by_placing(self, circuit, readout)

    def place(self, circuit: QuantumCircuit) -> Placed:
        """The circuit on its qubits (see `placement.PlacingDevice`), made once for each circuit object.

        Raises:
            ValueError: if the machine has too few connected qubits for it.
        """
        text = self._text
        make = partial(_on_machine, circuit, calibration_of(text), self.fractional)
        return once(circuit, ("profile", text, self.fractional), make)

    def read_placed(self, placed: Placed, readout: Readout) -> Readings:
        """See `placement.PlacingDevice`."""
        return read_noisy(placed, readout)

    def qubits(self, circuit: QuantumCircuit) -> tuple[int, ...]:
        """The qubit of the calibration on which each site of the circuit starts: those with the least errors."""
        return _qubits(circuit, self.calibration, self.fractional)

    @property
    def _text(self) -> str:
        return profile_text(self.profile)


def _qubits(circuit: QuantumCircuit, calibration: Calibration, fractional: bool) -> tuple[int, ...]:
    return choose_qubits(circuit.decompose("PauliEvolution"), calibration.target(fractional=fractional)).qubits


def _on_machine(circuit: QuantumCircuit, calibration: Calibration, fractional: bool) -> Placed:
    cut = calibration.cut(_qubits(circuit, calibration, fractional))
    stay = partial(
        transpile,
        target=cut.target(fractional=fractional),
        initial_layout=list(range(circuit.num_qubits)),
        seed_transpiler=TRANSPILER_SEED,
    )
    translate, in_place = (
        partial(stay, optimization_level=2, scheduling_method="alap"),
        partial(stay, optimization_level=1),
    )
    if not fractional:
        return replace(place(circuit, translate, in_place), simulator=NoisyMachine(cut))
    within = bounded(circuit.decompose("PauliEvolution"))
    placed = place(within.circuit, translate, lambda inverse: in_place(turned_back(inverse)))
    return replace(placed, simulator=NoisyMachine(cut), extend=within.values)
