"""Any machine that qiskit calls a backend: circuits placed once, shots counted, every job with a canary."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge
from qiskit.circuit import QuantumCircuit

from qeqprop.checks import check_fields
from qeqprop.counts import Readings, Readout, canary_of, run_by_reading
from qeqprop.interfaces import IntArray, Measured, Measurement
from qeqprop.placement import Placed, mirrored, place_on, read_by_placing, with_measurement
from qeqprop.remembering import once


@dataclass(frozen=True)
class Backend:
    """Runs circuits on a `BackendV2`: translated once, on qubits that are chosen by their errors and kept.

    What the machine cannot run is refused before anything is sent: gates it does not have, more qubits than it has,
    parameters that are not finite. Circuits are sent bound, the bases of a row one after the other and the rows in
    their order, so that neighbouring rows, such as the two signs of a nudge, see the same drift. The shots of a machine
    cannot be replayed; whoever needs them again keeps them.

    Attributes:
        backend: a `qiskit.providers.BackendV2`.
        shots: for each row and basis.
        qubits: the qubit of each site; chosen by their errors where None.

    Raises:
        ValueError: for something that is no backend, or a simulator with a fixed seed: all its jobs would have the same
            errors, which cancel in the difference of nudged states and make a gradient look better than it is.
    """

    backend: Any
    shots: Annotated[int, Ge(2)] = 1000
    qubits: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        if not hasattr(self.backend, "target") or not hasattr(self.backend, "run"):
            raise ValueError(
                f"Argument `backend` must be a BackendV2 with a target, but is a {type(self.backend).__name__}: "
                'give the object, or in a run file name what makes it, backend = { use = "package.module:make" }.'
            )
        seed = getattr(self.backend.options, "seed_simulator", None)
        if seed is not None:
            raise ValueError(
                f"Argument `backend` must not have a fixed seed, but seed_simulator is {seed}: equal circuits would "
                "have equal errors."
            )

    @property
    def name(self) -> str:
        return f"backend {self.backend.name} with {self.shots} shots"

    @property
    def reads_states(self) -> bool:
        return False

    def run(self, measurement: Measurement, *, shots: int | None, key: tuple[int, ...]) -> Measured:
        """See `interfaces.Device`."""
        return run_by_reading(self, measurement, shots=shots, key=key)

    def read(self, circuit: QuantumCircuit, readout: Readout) -> Readings:
        """See `counts.SamplingDevice`; the key is not used."""
        return read_by_placing(self, circuit, readout)

    def place(self, circuit: QuantumCircuit) -> Placed:
        """See `placement.PlacingDevice`."""
        return once(
            circuit,
            ("backend", self.qubits),
            partial(place_on, circuit, self.backend.target, self.qubits),
            machine=self.backend,
        )

    def read_placed(self, placed: Placed, readout: Readout) -> Readings:
        """See `placement.PlacingDevice`."""
        bases, numbers = readout.bases, readout.shots_by_basis
        settings = [with_measurement(placed, basis.letters) for basis in bases]
        values = placed.values(readout.parameters)
        rows = len(values)
        mirror = [mirrored(placed).assign_parameters(values[0])] if readout.canary else []
        alive = self._counted(mirror, max(numbers))
        outcomes: list[IntArray] = [np.empty((rows, 0), dtype=np.int64)] * len(bases)
        for number in sorted(set(numbers)):
            chosen = [index for index, wanted in enumerate(numbers) if wanted == number]
            bound = [settings[index].assign_parameters(row) for row in values for index in chosen]
            drawn = self._counted(bound, number)
            for place, index in enumerate(chosen):
                outcomes[index] = drawn[place :: len(chosen)]
        if not readout.canary:
            return Readings(bases, outcomes)
        return Readings(bases, outcomes, canary_of(alive[0], len(placed.sites)), extra_shots=alive.size)

    def _counted(self, circuits: list[QuantumCircuit], shots: int) -> IntArray:
        """The outcomes (n_circuits, shots) of circuits without parameters, sent in as few jobs as the machine takes."""
        size = self.backend.max_circuits or max(1, len(circuits))
        drawn: list[IntArray] = []
        for begin in range(0, len(circuits), size):
            part = circuits[begin : begin + size]
            result = self.backend.run(part, shots=shots).result()
            drawn += [_outcomes(result.get_counts(index)) for index in range(len(part))]
        for rows in drawn:
            if len(rows) != shots:
                raise RuntimeError(f"{self.name} was asked for {shots} shots of a circuit, but gave {len(rows)}.")
        return np.stack(drawn) if drawn else np.empty((0, shots), dtype=np.int64)


def _outcomes(counts: dict[str, int]) -> IntArray:
    found = np.array([int(bits.replace(" ", ""), 2) for bits in counts], dtype=np.int64)
    return np.repeat(found, [int(number) for number in counts.values()])
