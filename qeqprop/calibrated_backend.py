"""A backend that behaves as its calibration says: qiskit's transpiler and primitives take it, and Aer runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qiskit.circuit import QuantumCircuit
from qiskit.providers import BackendV2, Options
from qiskit.transpiler import Target

from qeqprop.calibrated_noise import confusion, gate_noise
from qeqprop.calibration import Calibration

if TYPE_CHECKING:
    from qiskit_aer.noise import NoiseModel


class CalibratedBackend(BackendV2):
    """A calibration as a backend of qiskit.

    Args:
        calibration: of a few qubits.
        fractional: whether it offers the gates of free angle, if the calibration has them.
    """

    def __init__(self, calibration: Calibration, *, fractional: bool = False) -> None:
        super().__init__(name=f"{calibration.name}_{calibration.n_qubits}", description=calibration.source)
        self.calibration = calibration
        self._target = calibration.target(fractional=fractional)
        self._simulator: Any = None

    @property
    def target(self) -> Target:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self._target

    @property
    def max_circuits(self) -> None:
        return None

    @classmethod
    def _default_options(cls) -> Options:  # pyright: ignore[reportIncompatibleMethodOverride]
        return Options(shots=1024, seed_simulator=None, memory=False)

    def run(self, run_input: QuantumCircuit | list[QuantumCircuit], **options: Any) -> Any:
        """Runs circuits of native gates on Aer with the calibrated noise; a job of Aer."""
        if self._simulator is None:
            from qiskit_aer import AerSimulator

            self._simulator = AerSimulator(method="density_matrix", noise_model=noise_model(self.calibration))
        return self._simulator.run(run_input, **(vars(self.options) | options))

    def __deepcopy__(self, memo: dict[int, Any]) -> CalibratedBackend:
        """Itself: nothing in it changes, and local primitives copy their backend for every job."""
        return self


def noise_model(calibration: Calibration) -> NoiseModel:
    """The noise for Aer: of all gates, of qubits that wait (delays), and of the readout, which is asymmetric."""
    from qiskit_aer.noise import NoiseModel, QuantumError, ReadoutError

    waiting = CalibratedBackend(calibration.without_gates())
    model = NoiseModel.from_backend(waiting, gate_error=False, readout_error=False, thermal_relaxation=True)
    model.add_basis_gates(list(calibration.gates))
    for name, entries in calibration.gates.items():
        for qubits in entries:
            channel = gate_noise(calibration, name, qubits)
            if not np.allclose(np.asarray(channel.data), np.eye(4 ** len(qubits)), atol=1e-15):
                model.add_quantum_error(QuantumError(channel), name, list(qubits))
    for qubit in range(calibration.n_qubits):
        model.add_readout_error(ReadoutError(confusion(calibration, qubit)), [qubit])
    return model
