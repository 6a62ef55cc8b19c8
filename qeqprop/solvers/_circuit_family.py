"""The states that an ansatz reaches, on the exact simulator: energies, levels and their slopes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from qiskit.circuit import QuantumCircuit
from qiskit.quantum_info import PauliList

from qeqprop.descent import Objective
from qeqprop.engine.circuit_conversion import from_qiskit
from qeqprop.engine.circuit_hessian import hessian
from qeqprop.engine.circuit_layers import Angles
from qeqprop.engine.circuits import Circuit, Layer, energy_and_gradient, states
from qeqprop.interfaces import Ansatz, BoolArray, ComplexArray, FloatArray, IntArray, PauliSums, Trial

DEFLATED_SITES = 10
"""The projector on ``|0..0>`` is a sum of all ``2^n`` strings of Z: deflation up to this many sites."""

_FLAT = 1e-9
"""Eigenvalues of a Hessian below this part of the largest are directions in which the state does not change."""


@dataclass(frozen=True, eq=False)
class CircuitFamily:
    """An ansatz for given strings, as a qiskit circuit and compiled."""

    trial: Trial
    circuit: Circuit

    @cached_property
    def reverse(self) -> Circuit:
        """The inverse circuit."""
        return Circuit.of(
            self.circuit.num_qubits,
            [_reversed(layer) for layer in reversed(self.circuit.layers)],
            n_parameters=self.circuit.n_parameters,
        )

    @cached_property
    def origin(self) -> PauliSums:
        """The projector on ``|0..0>``."""
        sites = self.circuit.num_qubits
        z = (np.arange(1 << sites)[:, None] >> np.arange(sites)) & 1 == 1
        strings = PauliList.from_symplectic(z, np.zeros_like(z))
        return PauliSums(strings, np.full((1, 1 << sites), 0.5**sites))

    def energy(self, hamiltonians: PauliSums, below: Sequence[ComplexArray], heights: FloatArray) -> Objective:
        """``<H> + heights sum_i |<psi_i|psi>|^2`` with the states of the levels below, each (batch, dim)."""

        def objective(rows: IntArray, points: FloatArray) -> tuple[FloatArray, FloatArray]:
            chosen = PauliSums(hamiltonians.strings, hamiltonians.coefficients[rows])
            values, gradients = energy_and_gradient(self.circuit, points, chosen)
            for state in below:
                overlaps, slopes = energy_and_gradient(self.reverse, points, self.origin, start=state[rows])
                values += heights[rows] * overlaps
                gradients += heights[rows, None] * slopes
            return values, gradients

        return objective

    def ensemble_energy(self, hamiltonians: PauliSums, count: int) -> Objective:
        """``sum_k weights_k <H>_k`` over the images of the first basis states, weights from 1 down to 1/count."""
        weights = np.arange(count, 0, -1) / count

        def objective(rows: IntArray, points: FloatArray) -> tuple[FloatArray, FloatArray]:
            repeated = np.repeat(hamiltonians.coefficients[rows], count, axis=0)
            begins = np.tile(np.eye(count, self.circuit.dim), (len(rows), 1))
            values, gradients = energy_and_gradient(
                self.circuit,
                np.repeat(points, count, axis=0),
                PauliSums(hamiltonians.strings, repeated),
                start=begins,
            )
            return values.reshape(-1, count) @ weights, weights @ gradients.reshape(len(rows), count, -1)

        return objective

    def prepared(self, basis: int) -> QuantumCircuit:
        """The circuit behind the gates that make a basis state of ``|0..0>``."""
        circuit = self.trial.circuit
        flipped = [site for site in range(circuit.num_qubits) if basis >> site & 1]
        if not flipped:
            return circuit
        turned = circuit.copy_empty_like()
        turned.x(flipped)
        turned.compose(circuit, inplace=True)
        return turned

    def images(self, points: FloatArray, basis: int) -> ComplexArray:
        """The states (batch, dim) that the circuit makes of a basis state."""
        return states(self.circuit, points, start=np.eye(1, self.circuit.dim, basis))

    def inverse_hessians(self, points: FloatArray, hamiltonians: PauliSums) -> FloatArray:
        """The inverse Hessians (batch, n_parameters, n_parameters), zero along directions without curvature."""
        values, vectors = np.linalg.eigh(hessian(self.circuit, points, hamiltonians))
        sizes = np.abs(values)
        flat = sizes <= _FLAT * np.max(sizes, axis=1, keepdims=True, initial=0.0)
        weights = np.where(flat, 0.0, 1.0 / np.where(flat, 1.0, sizes))
        return vectors * weights[:, None, :] @ np.swapaxes(vectors, 1, 2)

    def response(
        self, points: FloatArray, hamiltonians: PauliSums, perturbation: PauliSums, observables: PauliSums
    ) -> tuple[FloatArray, BoolArray]:
        """``d<observable>/dnu`` (batch, n_observables) of the stationary state, and where it is not defined (batch,).

        The parameters stay stationary, ``dtheta/dnu = -Hess^-1 grad <N>``. It is not defined at a saddle, and where the
        perturbation has a slope along a direction without curvature. Directions in which the state does not change have
        curvatures of the size of the gradient that the search left, of either sign: no smaller ones are told from zero.
        """
        values, vectors = np.linalg.eigh(hessian(self.circuit, points, hamiltonians))
        _, left = energy_and_gradient(self.circuit, points, hamiltonians)
        _, slopes = energy_and_gradient(self.circuit, points, perturbation)
        along = np.einsum("bij,bi->bj", vectors, slopes)
        largest = np.max(np.abs(values), axis=1, keepdims=True, initial=0.0)
        flat = np.abs(values) <= np.maximum(_FLAT * largest, 2 * np.linalg.norm(left, axis=1, keepdims=True))
        lost = np.linalg.norm(np.where(flat, along, 0.0), axis=1)
        undefined = (lost > 1e-6 * np.linalg.norm(slopes, axis=1)) | np.any(~flat & (values < 0), axis=1)
        moves = -np.einsum("bij,bj->bi", vectors, np.where(flat, 0.0, along / np.where(flat, 1.0, values)))
        count = len(observables)
        each = PauliSums(observables.strings, np.tile(observables.coefficients, (len(points), 1)))
        _, gradients = energy_and_gradient(self.circuit, np.repeat(points, count, axis=0), each)
        return np.einsum("bkj,bj->bk", gradients.reshape(len(points), count, -1), moves), undefined


def family_of(ansatz: Ansatz, strings: PauliList) -> CircuitFamily:
    """The family of an ansatz; recent ones are kept."""
    return _family(ansatz, tuple(strings.to_labels()))


@lru_cache(maxsize=32)
def _family(ansatz: Ansatz, labels: tuple[str, ...]) -> CircuitFamily:
    trial = ansatz(PauliList(list(labels)))
    return CircuitFamily(trial, from_qiskit(trial.circuit))


def _reversed(layer: Layer) -> Layer:
    a = layer.angles
    return Layer(layer.kind, layer.x[::-1], layer.z[::-1], Angles(a.index[::-1], -a.scale[::-1], -a.offset[::-1]))
