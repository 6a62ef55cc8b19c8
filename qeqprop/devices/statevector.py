"""The compiled simulator: exact states of circuits, one per row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qeqprop.engine.circuit_conversion import from_qiskit
from qeqprop.engine.circuits import expectations, states
from qeqprop.interfaces import Expectations, Measured, Measurement, PauliSums


@dataclass(frozen=True)
class Statevector:
    """Runs circuits exactly on the compiled engine."""

    @property
    def name(self) -> str:
        return "statevector"

    @property
    def reads_states(self) -> bool:
        return True

    def run(self, measurement: Measurement, *, shots: int | None, key: tuple[int, ...]) -> Measured:
        """See `interfaces.Device`."""
        amplitudes = states(from_qiskit(measurement.circuit), measurement.parameters)
        each = PauliSums(measurement.strings, np.eye(len(measurement.strings)))
        values = np.einsum("bos,bs->bo", measurement.weights, expectations(amplitudes, each))
        return Measured(Expectations.exact(values), 0)
