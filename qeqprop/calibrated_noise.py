"""Noise as channels: relaxation while a gate lasts, and depolarisation until its error is the calibrated one.

With the average gate fidelity ``F = (d F_pro + 1) / (d + 1)`` of a channel on d dimensions and its process fidelity
``F_pro`` (Horodecki et al. 1999; Nielsen 2002), relaxation alone has
``F_pro = prod_q (1 + exp(-t/T1_q) + 2 exp(-t/T2_q)) / 4``, and replacing the state by the mixed one with probability p
gives ``(1 - p) F_pro + p / d^2``. So p follows from the measured error. Where relaxation over the whole duration would
already be worse than what was measured, the measurement is believed: the time is shortened until they agree.
"""

from __future__ import annotations

from typing import cast

import numpy as np
from qiskit.quantum_info import SuperOp
from scipy.optimize import brentq

from qeqprop.calibration import Calibration, GateCalibration, Qubits
from qeqprop.interfaces import FloatArray


def relaxation(t1: float, t2: float, time: float) -> SuperOp:
    """The channel of one qubit that relaxes to 0: ``exp(-t/T1)`` of 1 stay, ``exp(-t/T2)`` of the coherence.

    A T1 or T2 that was not measured (nan) is infinite.
    """
    stay, coherence = _factors(t1, t2, time)
    matrix = np.zeros((4, 4))  # columns of the density matrix under each other: 00, 10, 01, 11
    matrix[0, 0], matrix[0, 3], matrix[3, 3] = 1.0, 1.0 - stay, stay
    matrix[1, 1] = matrix[2, 2] = coherence
    return SuperOp(matrix)


def gate_noise(calibration: Calibration, name: str, qubits: Qubits) -> SuperOp:
    """The channel that follows a gate: its average gate infidelity is the calibrated error."""
    entry = calibration.gates[name][qubits]
    dimension = 2 ** len(qubits)
    error = 0.0 if np.isnan(entry.error) else entry.error
    wanted = ((dimension + 1) * (1 - error) - 1) / dimension  # process fidelity
    time = _believed_time(calibration, entry, qubits, wanted)
    reached = _process_fidelity(calibration, qubits, time)
    strength = max(0.0, (reached - wanted) / (reached - 1 / dimension**2))
    channel = SuperOp(np.eye(1))
    for qubit in qubits:
        channel = channel.expand(relaxation(calibration.t1[qubit], calibration.t2[qubit], time))
    return SuperOp((1 - strength) * np.asarray(channel.data) + strength * _depolarised(dimension))


def confusion(calibration: Calibration, qubit: int) -> FloatArray:
    """``[[P(0|0), P(1|0)], [P(0|1), P(1|1)]]``: rows are what was prepared, columns what is read."""
    one_of_zero, zero_of_one = np.nan_to_num(calibration.readout[qubit])
    return np.array([[1 - one_of_zero, one_of_zero], [zero_of_one, 1 - zero_of_one]])


def _factors(t1: float, t2: float, time: float) -> tuple[float, float]:
    """``exp(-t/T1)`` and ``exp(-t/T2)``."""
    first, second = (np.inf if np.isnan(each) else each for each in (t1, t2))
    return float(np.exp(-time / first)), float(np.exp(-time / min(second, 2 * first)))


def _process_fidelity(calibration: Calibration, qubits: Qubits, time: float) -> float:
    factors = [_factors(calibration.t1[qubit], calibration.t2[qubit], time) for qubit in qubits]
    return float(np.prod([(1 + stay + 2 * coherence) / 4 for stay, coherence in factors]))


def _believed_time(calibration: Calibration, entry: GateCalibration, qubits: Qubits, wanted: float) -> float:
    duration = 0.0 if np.isnan(entry.duration) else entry.duration

    def excess(share: float) -> float:
        return _process_fidelity(calibration, qubits, share * duration) - wanted

    if np.isnan(entry.error) or excess(1.0) >= 0:
        return duration
    return duration * cast(float, brentq(excess, 0.0, 1.0, xtol=1e-15))


def _depolarised(dimension: int) -> FloatArray:
    """The superoperator of ``rho -> tr(rho) 1/d``."""
    identity = np.eye(dimension).reshape(-1, 1)
    return identity @ identity.T / dimension
