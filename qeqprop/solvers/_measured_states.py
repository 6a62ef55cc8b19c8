"""The last job of a solver that prepares states by circuits: observables at all points."""

from __future__ import annotations

from math import ceil

import numpy as np
from qiskit.circuit import QuantumCircuit
from qiskit.quantum_info import Pauli, PauliList

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


def measure_deviations(
    measure: Measure, circuit: QuantumCircuit, parameters: FloatArray, hamiltonians: PauliSums, precision: float | None
) -> tuple[FloatArray, int]:
    """The standard deviations of the energies ``sqrt(<H^2> - <H>^2)`` (rows,), in one job, and the shots it took."""
    strings, squared = squares(hamiltonians)
    plain = np.zeros_like(squared)
    plain[:, : len(hamiltonians.strings)] = hamiltonians.coefficients
    measurement = Measurement(circuit, parameters, *used_strings(strings, np.stack([plain, squared], axis=1)))
    answer = measure(measurement, shots=shots_for(precision))
    mean, square = np.real(answer.expectations.values).T
    return np.sqrt(np.maximum(square - mean**2, 0.0)), answer.shots


def squares(sums: PauliSums) -> tuple[PauliList, FloatArray]:
    """``H^2``: the strings of H, then those of all products of two, and its coefficients (batch, n_strings)."""
    strings, coefficients = sums.strings, sums.coefficients
    place = {label: index for index, label in enumerate(strings.to_labels())}
    identity = place.setdefault("I" * sums.num_sites, len(place))
    terms = [(identity, np.sum(coefficients**2, axis=1))]
    each = [Pauli(label) for label in strings.to_labels()]
    for second, string in enumerate(each):
        for first, other in enumerate(each[:second]):
            if not string.commutes(other):
                continue  # the two orders cancel
            product = string.compose(other)
            sign = 1.0 if product.phase == 0 else -1.0
            product.phase = 0
            index = place.setdefault(product.to_label(), len(place))
            terms.append((index, 2 * sign * coefficients[:, first] * coefficients[:, second]))
    weights = np.zeros((len(coefficients), len(place)))
    for index, term in terms:
        weights[:, index] += term
    return PauliList(list(place)), weights


def used_strings(strings: PauliList, weights: FloatArray) -> tuple[PauliList, FloatArray]:
    """The strings that any weight (.., n_strings) uses, at least one, and the weights of these."""
    used = np.any(weights.reshape(-1, len(strings)) != 0, axis=0)
    used[0] |= not np.any(used)
    return PauliList.from_symplectic(strings.z[used], strings.x[used]), weights[..., used]


def shots_for(precision: float | None) -> int | None:
    """Shots that give every Pauli string this standard error, at least two."""
    return None if precision is None else max(2, ceil(1.0 / precision**2))
