"""What solvers that prepare Gibbs states on circuits have in common."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from qiskit.circuit import QuantumCircuit
from qiskit.quantum_info import PauliList

from qeqprop.engine.eigen import dense_spectrum
from qeqprop.engine.paulis import PauliTable
from qeqprop.interfaces import ComplexArray, Equilibria, FloatArray, IntArray, Measure, PauliSums, Solution
from qeqprop.solvers._measured_states import measure_states
from qeqprop.solvers._thermal import ThermalSolver

FAR = 0.05
"""Relative entropy ``(F_var - F)/T`` to the Gibbs state from which a state is said to be another one."""


class Thermal(NamedTuple):
    """Thermal states that a circuit prepares.

    Attributes:
        circuit: of twice as many qubits; the first half are the sites, the second half are traced out.
        parameters: (batch, n_parameters).
        samples: (batch,) which sample each row belongs to.
        solution: expectations exact and nothing measured.
    """

    circuit: QuantumCircuit
    parameters: FloatArray
    samples: IntArray
    solution: Solution


class PreparingSolver(ThermalSolver, Protocol):
    """A solver that prepares its Gibbs states on circuits."""

    def prepare(self, problem: Equilibria) -> Thermal: ...


def settle_prepared(
    solver: PreparingSolver, problem: Equilibria, measure: Measure | None, precision: float | None
) -> Solution:
    """Prepares the states, and measures them where a device does not show them; a response is refused."""
    name = type(solver).__name__
    if problem.perturbation is not None:
        raise ValueError(
            f"Solver {name} has no linear response of its own: measure it, with RandomTime({name}()), or use a nudging "
            "rule, such as SymmetricNudging(beta=0.1)."
        )
    thermal = solver.prepare(problem)
    solution = thermal.solution
    if measure is None or measure.device.reads_states:
        return solution
    values, shots = measure_states(
        measure, thermal.circuit, thermal.parameters, beside(problem.observables), thermal.samples, precision
    )
    return Solution(values, None, solution.energies, solution.certificate, solution.start, shots)


def free_energies(hamiltonians: PauliSums, temperature: float) -> FloatArray:
    """``F = -T ln Tr exp(-H/T)``, (batch,), by full diagonalisation."""
    levels = dense_spectrum(PauliTable.of(hamiltonians.strings), np.real(hamiltonians.coefficients)).energies
    above = levels - levels[:, :1]
    return levels[:, 0] - temperature * np.log(np.sum(np.exp(-above / temperature), axis=1))


def deviations(hamiltonians: PauliSums, images: ComplexArray, p: FloatArray, temperature: float) -> FloatArray:
    """``sqrt(<(H + T ln rho)^2> - F^2)`` of ``rho = sum_b p_b |b><b|``, (rows,): zero in Gibbs states.

    Args:
        hamiltonians: (rows,).
        images: (rows * n_levels, dim) the states ``|b>``, orthonormal in each row.
        p: (rows, n_levels) their populations.
        temperature: above zero.
    """
    table = PauliTable.of(hamiltonians.strings)
    repeated = np.repeat(np.real(hamiltonians.coefficients), p.shape[1], axis=0)
    applied = table.apply(table.diagonals(repeated), images)
    energies = np.real(np.einsum("ri,ri->r", images.conj(), applied))
    local = energies.reshape(p.shape) + temperature * logarithms(p)
    leaving = np.linalg.norm(applied - energies[:, None] * images, axis=1).reshape(p.shape)
    free = np.sum(p * local, axis=1, keepdims=True)
    return np.sqrt(np.sum(p * (leaving**2 + (local - free) ** 2), axis=1))


def logarithms(p: FloatArray) -> FloatArray:
    """``ln p``, finite where p vanishes: there it is multiplied by p."""
    return np.log(np.maximum(p, np.finfo(np.float64).tiny))


def beside(operators: PauliSums, extra: int | None = None) -> PauliSums:
    """Operators of the sites on a register with so many more qubits behind them, as many again by default."""
    sites = operators.num_sites
    nothing = np.zeros((len(operators.strings), sites if extra is None else extra), dtype=np.bool_)
    z, x = (np.concatenate([bits, nothing], axis=1) for bits in (operators.strings.z, operators.strings.x))
    return PauliSums(PauliList.from_symplectic(z, x), operators.coefficients)
