"""The last job of a solver that prepares states by circuits: observables at all points."""

from __future__ import annotations

from math import ceil

import numpy as np
from qiskit.circuit import QuantumCircuit
from qiskit.quantum_info import PauliList

from qeqprop.interfaces import Expectations, FloatArray, IntArray, Measure, Measurement, PauliSums


def measure_states(
    measure: Measure,
    circuit: QuantumCircuit,
    parameters: FloatArray,
    observables: PauliSums,
    samples: IntArray,
    precision: float | None,
) -> tuple[Expectations, int]:
    """The observables (rows, n_observables) in one job, and the shots it took.

    Args:
        measure: the device.
        circuit: without measurements.
        parameters: (rows, n_parameters).
        observables: (n_observables,), the same for all rows.
        samples: (rows,) the rows of one sample, free and nudged, become neighbours in the job, so that drift cancels.
        precision: the wanted standard error of every Pauli string, ``ceil(1 / precision^2)`` shots; the device's own
            number by default.
    """
    order = np.argsort(samples, kind="stable")
    strings, weights = used_strings(observables.strings, np.real(observables.coefficients)[None])
    answer = measure(Measurement(circuit, parameters[order], strings, weights), shots=shots_for(precision))
    back = np.argsort(order)
    found = answer.expectations
    return Expectations(np.real(found.values)[back], found.std_errors[back]), answer.shots


def used_strings(strings: PauliList, weights: FloatArray) -> tuple[PauliList, FloatArray]:
    """The strings that any weight (.., n_strings) uses, at least one, and the weights of these."""
    used = np.any(weights.reshape(-1, len(strings)) != 0, axis=0)
    used[0] |= not np.any(used)
    return PauliList.from_symplectic(strings.z[used], strings.x[used]), weights[..., used]


def shots_for(precision: float | None) -> int | None:
    """Shots that give every Pauli string this standard error, at least two."""
    return None if precision is None else max(2, ceil(1.0 / precision**2))
