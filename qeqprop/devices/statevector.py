"""The compiled simulator: states of circuits, one per row, seen exactly or through shots."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated

import numpy as np
from annotated_types import Ge
from qiskit.circuit import QuantumCircuit

from qeqprop.checks import check_fields
from qeqprop.counts import Readings, Readout, run_by_reading, stream
from qeqprop.engine.bases import rotate
from qeqprop.engine.circuit_conversion import from_qiskit
from qeqprop.engine.circuits import Circuit, expectations, sample, states
from qeqprop.interfaces import Expectations, Measured, Measurement, PauliSums
from qeqprop.remembering import once


@dataclass(frozen=True)
class Statevector:
    """Runs circuits on the compiled engine, without noise.

    Attributes:
        shots: for each row and basis; None for exact expectation values, which take no shots whatever a call asks for.
    """

    shots: Annotated[int, Ge(2)] | None = None

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def name(self) -> str:
        return "statevector" + ("" if self.shots is None else f" with {self.shots} shots")

    @property
    def reads_states(self) -> bool:
        return self.shots is None

    def run(self, measurement: Measurement, *, shots: int | None, key: tuple[int, ...]) -> Measured:
        """See `interfaces.Device`."""
        if self.shots is not None:
            return run_by_reading(self, measurement, shots=shots, key=key)
        amplitudes = states(_compiled(measurement.circuit), measurement.parameters)
        each = PauliSums(measurement.strings, np.eye(len(measurement.strings)))
        values = np.einsum("bos,bs->bo", measurement.weights, expectations(amplitudes, each))
        return Measured(Expectations.exact(values), 0)

    def read(self, circuit: QuantumCircuit, readout: Readout) -> Readings:
        """See `counts.SamplingDevice`."""
        bases, numbers = readout.bases, readout.shots_by_basis
        amplitudes = states(_compiled(circuit), readout.parameters)
        outcomes = [
            np.concatenate(
                [
                    sample(state[None], number, np.random.default_rng(stream(readout.key, row, position)))
                    for row, state in enumerate(rotate(amplitudes, basis.letters))
                ]
            )
            for position, (basis, number) in enumerate(zip(bases, numbers, strict=True))
        ]
        return Readings(bases, outcomes)


def _compiled(circuit: QuantumCircuit) -> Circuit:
    """The circuit in layers, converted once."""
    return once(circuit, "compiled", partial(from_qiskit, circuit))
