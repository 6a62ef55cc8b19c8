"""Slow, readable, dense twins of the fast paths: numpy and the definition, nothing else."""

from __future__ import annotations

from functools import reduce

import numpy as np
from scipy.stats import f as f_distribution

LETTERS = {
    "I": np.eye(2),
    "X": np.array([[0, 1], [1, 0]]),
    "Y": np.array([[0, -1j], [1j, 0]]),
    "Z": np.diag([1, -1]),
}


def dense_string(label):
    """The matrix of a Pauli label; its rightmost letter acts on site 0, the least significant bit."""
    return reduce(np.kron, [LETTERS[letter] for letter in label]).astype(complex)


def dense_sums(sums):
    """Matrices (batch, dim, dim) of a `PauliSums`."""
    strings = np.array([dense_string(label) for label in sums.strings.to_labels()])
    return np.einsum("bs,sij->bij", sums.coefficients, strings)


def dense_parts(network, theta, x):
    """H (dim, dim), all A_j and all O_k of one sample as matrices."""
    strings = np.array([dense_string(label) for label in network.strings.to_labels()])

    def matrix(row):
        return np.einsum("s,sij->ij", row, strings)

    factors = [1.0 if driver < 0 else x[driver] for driver in network.driver]
    slopes = [factor * matrix(row) for factor, row in zip(factors, network.trainable, strict=True)]
    hamiltonian = matrix(network.static) + sum(
        (value * matrix(row) for value, row in zip(x, network.inputs, strict=True)), np.zeros_like(strings[0])
    )
    hamiltonian = hamiltonian + sum((t * a for t, a in zip(theta, slopes, strict=True)), np.zeros_like(strings[0]))
    return hamiltonian, slopes, [matrix(row) for row in network.outputs]


def eigenstate_expectation(hamiltonian, observable, level=0):
    _, vectors = np.linalg.eigh(hamiltonian)
    state = vectors[:, level]
    return float(np.real(state.conj() @ observable @ state))


def gibbs_expectation(hamiltonian, observable, temperature):
    energies, vectors = np.linalg.eigh(hamiltonian)
    weights = np.exp(-(energies - energies[0]) / temperature)
    density = (vectors * (weights / weights.sum())) @ vectors.conj().T
    return float(np.real(np.trace(density @ observable)))


def perturbation_theory(hamiltonian, nudge, observable, level):
    """``-2 Re sum_m <n|N|m><m|A|n> / (E_m - E_n)``."""
    energies, vectors = np.linalg.eigh(hamiltonian)
    n = vectors[:, level]
    total = 0.0
    for m in range(len(energies)):
        if m != level:
            left = n.conj() @ nudge @ vectors[:, m]
            right = vectors[:, m].conj() @ observable @ n
            total -= 2 * np.real(left * right) / (energies[m] - energies[level])
    return float(total)


def kubo_mori(hamiltonian, nudge, observable, temperature):
    """``-(1/T) [(A;N) - <A><N>]`` with ``(A;N) = int_0^1 dlambda Tr[rho^(1-lambda) A rho^lambda N]`` by quadrature."""
    energies, vectors = np.linalg.eigh(hamiltonian)
    weights = np.exp(-(energies - energies[0]) / temperature)
    p = weights / weights.sum()
    a = vectors.conj().T @ observable @ vectors
    c = vectors.conj().T @ nudge @ vectors
    nodes, coefficients = np.polynomial.legendre.leggauss(60)
    correlator = sum(
        0.5 * w * np.real(np.einsum("m,mn,n,nm->", p ** (1 - part), a, p**part, c))
        for part, w in zip(0.5 * (nodes + 1), coefficients, strict=True)
    )
    mean = np.real(np.sum(p * np.diag(a))) * np.real(np.sum(p * np.diag(c)))
    return float(-(correlator - mean) / temperature)


def five_point(function, step):
    """Fourth-order central difference of a function of one number at zero."""
    return (8 * (function(step) - function(-step)) - (function(2 * step) - function(-2 * step))) / (12 * step)


def free_energy(hamiltonian, temperature):
    """``F = -T ln Tr exp(-H/T)``."""
    energies = np.linalg.eigvalsh(hamiltonian)
    return float(energies[0] - temperature * np.log(np.sum(np.exp(-(energies - energies[0]) / temperature))))


def isolated_response(hamiltonian, nudge, observable, temperature):
    """``d<A>/dnu`` of a Gibbs state whose populations cannot follow the nudge: perturbation theory in every level."""
    energies = np.linalg.eigvalsh(hamiltonian)
    weights = np.exp(-(energies - energies[0]) / temperature)
    slopes = [perturbation_theory(hamiltonian, nudge, observable, level) for level in range(len(energies))]
    return float(weights @ slopes / weights.sum())


def equal_time_covariance(hamiltonian, nudge, observable, temperature):
    """``-(1/T) [<{A, N}>/2 - <A><N>]``."""
    energies, vectors = np.linalg.eigh(hamiltonian)
    weights = np.exp(-(energies - energies[0]) / temperature)
    density = (vectors * (weights / weights.sum())) @ vectors.conj().T
    both = np.real(np.trace(density @ (observable @ nudge + nudge @ observable))) / 2
    means = np.real(np.trace(density @ observable)) * np.real(np.trace(density @ nudge))
    return float(-(both - means) / temperature)


TWO_ERRORS = 0.0455
"""The chance that one unbiased number is more than two standard errors off."""


def chance_of_bias(values, exact):
    """The chance that unbiased values (repetitions, n) have a mean at least as far from the exact one: Hotelling's T^2.

    One number among n is two standard errors off more often than in one case of 22, and components that share their
    noise are off together. ``T^2 = M d^T S^-1 d`` with the covariances S asks once for all of them;
    ``(M - n) T^2 / (n (M - 1))`` is distributed as F(n, M - n).

    Source: Hotelling, Ann. Math. Stat. 2, 360 (1931).
    """
    repetitions, away = len(values), np.mean(values, axis=0) - exact
    sizes, axes = np.linalg.eigh(np.atleast_2d(np.cov(values.T)))
    kept = sizes > 1e-9 * sizes[-1]  # some components may be multiples of others
    n = np.count_nonzero(kept)
    t = repetitions * np.sum((away @ axes[:, kept]) ** 2 / sizes[kept])
    return float(f_distribution.sf((repetitions - n) * t / (n * (repetitions - 1)), n, repetitions - n))
