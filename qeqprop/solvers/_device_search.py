"""A search for angles whose energies are measured on a device."""

from __future__ import annotations

from functools import partial
from typing import Literal

import numpy as np
from qiskit.circuit import QuantumCircuit

from qeqprop.engine.circuit_conversion import from_qiskit
from qeqprop.engine.circuit_hessian import metric
from qeqprop.interfaces import FloatArray, IntArray, Measure, Measurement, PauliSums
from qeqprop.parameter_shift import Unshared, shifted_gradient, unshared
from qeqprop.shot_descent import gradient_steps, natural_steps, rotosolve, spsa
from qeqprop.solvers._measured_states import used_strings

Method = Literal["gradient", "natural", "rotosolve", "spsa"]

METRIC_SITES = 10
"""The metric of a natural gradient is computed from simulated states up to this many sites."""

_PURPOSE = 0x56514553  # keeps the directions apart from other streams of the call


class DeviceSearch:
    """The energies of a batch as a device measures them; counts the shots.

    Attributes:
        shots: spent so far.
    """

    def __init__(
        self, measure: Measure, circuit: QuantumCircuit, hamiltonians: PauliSums, samples: IntArray, shots: int | None
    ) -> None:
        self.shots = 0
        self._measure, self._circuit, self._shots_each = measure, circuit, shots
        self._strings, self._weights = used_strings(hamiltonians.strings, hamiltonians.coefficients)
        self._order = np.argsort(samples, kind="stable")  # the rows of one sample are neighbours: drift cancels

    def find(self, method: Method, points: FloatArray, most: int, key: tuple[int, ...]) -> FloatArray:
        """The angles (batch, n_parameters) after `most` jobs."""
        if method in ("gradient", "natural"):
            slopes = partial(self._slopes, unshared(self._circuit))
            if method == "gradient":
                return gradient_steps(slopes, points, most=most)
            _check_metric(self._circuit.num_qubits)
            times = 1.0 / np.maximum(np.linalg.norm(self._weights, axis=1), np.finfo(np.float64).tiny)
            metrics = partial(metric, from_qiskit(self._circuit))
            return natural_steps(slopes, metrics, points, times=times, most=most)
        if method == "rotosolve":
            check_single_angles(self._circuit)
            return rotosolve(self._values, points, most=most)
        random = np.random.default_rng(np.random.SeedSequence([*key, _PURPOSE]))
        return spsa(self._values, points, most=most, random=random)

    def _values(self, points: FloatArray) -> FloatArray:
        rows, n_points, _ = points.shape
        asked = points[self._order].reshape(rows * n_points, -1)
        weights = np.repeat(self._weights[self._order], n_points, axis=0)[:, None]
        answer = self._measure(Measurement(self._circuit, asked, self._strings, weights), shots=self._shots_each)
        self.shots += answer.shots
        found = np.empty((rows, n_points))
        found[self._order] = np.real(answer.expectations.values).reshape(rows, n_points)
        return found

    def _slopes(self, angles: Unshared, points: FloatArray) -> FloatArray:
        weights = self._weights[self._order][:, None]
        answer, shots = shifted_gradient(
            self._measure, angles, points[self._order], self._strings, weights, shots=self._shots_each
        )
        self.shots += shots
        found = np.empty_like(points)
        found[self._order] = np.real(answer.values)[:, 0]
        return found


def _check_metric(sites: int) -> None:
    if sites > METRIC_SITES:
        raise ValueError(
            f"Argument `method` must not be 'natural' above {METRIC_SITES} sites, but the network has {sites}: the "
            "metric is computed from simulated states, since to measure it takes a job for each pair of angles."
        )


def check_single_angles(circuit: QuantumCircuit) -> None:
    """Refuses a circuit whose energies are not a sine in each parameter."""
    angles = unshared(circuit)
    once = len(set(angles.index.tolist())) == angles.n_angles == angles.n_parameters
    if not once or np.any(np.abs(np.abs(angles.scales) - 1.0) > 1e-12):
        raise ValueError(
            "Argument `method` must not be 'rotosolve' with an ansatz that shares or scales its angles, whose energy "
            "is no sine in each of them: use 'gradient' or 'spsa'."
        )
