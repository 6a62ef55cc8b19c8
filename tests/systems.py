"""Systems whose answers are known: for everybody's tests."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from qiskit.quantum_info import SparsePauliOp

from qeqprop.interfaces import FloatArray, Network
from qeqprop.operators import term, total

H2_COEFFICIENTS = {
    "II": -1.052373245772859,
    "IZ": 0.39793742484318045,
    "ZI": -0.39793742484318045,
    "ZZ": -0.01128010425623538,
    "XX": 0.18093119978423156,
}
H2_EIGENVALUES = (-1.85727503, -1.24458455, -0.88272215, -0.22491125)


class OneQubit(NamedTuple):
    """Closed-form answers for the ground state of one qubit.

    Attributes:
        energy: ``-sqrt(A^2 + B^2)``.
        z, x: expectations.
        z_gradient: ``d<Z>/d(A, B)``, (2,).
        gap: distance to the excited level.
    """

    energy: float
    z: float
    x: float
    z_gradient: FloatArray
    gap: float


def one_qubit() -> Network:
    """``H = -A Z - B X`` with theta = (A, B) and output Z."""
    return Network.of(
        trainable=[term("Z", (0,), 1, -1.0), term("X", (0,), 1, -1.0)],
        outputs=[term("Z", (0,), 1)],
        initial=[0.6, 0.8],
    )


def one_qubit_answer(A: float, B: float) -> OneQubit:
    """What the ground state of `one_qubit` must give; the excited state has the opposite energy, z, x and gradient."""
    length = float(np.hypot(A, B))
    slope = B / length**3
    return OneQubit(-length, A / length, B / length, np.asarray([slope * B, -slope * A]), 2 * length)


def ising_chain(sites: int) -> Network:
    """The open chain ``H = -J sum Z_j Z_(j+1) - g sum X_j`` with theta = (J, g) and the mean X as the output."""
    flips = total(term("X", (site,), sites, -1.0) for site in range(sites))
    return Network.of(
        trainable=[total(term("ZZ", (site, site + 1), sites, -1.0) for site in range(sites - 1)), flips],
        outputs=[flips * (-1.0 / sites)],
        initial=[0.5, 1.0],
    )


def ising_chain_levels(J: float, g: float, sites: int) -> FloatArray:
    """All ``2^sites`` energies of `ising_chain` in ascending order: every mode is counted with either sign."""
    energies = np.zeros(1)
    for mode in _ising_modes(J, g, sites)[1]:
        energies = np.concatenate([energies - mode, energies + mode])
    return np.sort(energies)


def ising_chain_energy(J: float, g: float, sites: int) -> float:
    """The ground energy of `ising_chain`, with all modes counted negative; for any number of sites."""
    return float(-np.sum(_ising_modes(J, g, sites)[1]))


def ising_chain_slopes(J: float, g: float, sites: int) -> FloatArray:
    """The ground energy's derivatives in J and g, (2,): minus the sums of ``<Z_j Z_(j+1)>`` and of ``<X_j>``.

    Singular values change by the diagonal of ``U^T dM V``, so their sum by the trace of dM with the polar factor of M.
    """
    left, _, right = _ising_modes(J, g, sites)
    polar = left @ right
    return -np.array([np.sum(np.diag(polar, 1)), np.trace(polar)])


def _ising_modes(J: float, g: float, sites: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The bidiagonal matrix with g on the diagonal and J beside it, in its singular values: the free-fermion energies.

    Source: Lieb, Schultz and Mattis (1961); Pfeuty (1970).
    """
    return np.linalg.svd(g * np.eye(sites) + J * np.eye(sites, k=1))


def hydrogen_molecule() -> Network:
    """H2 at its equilibrium distance on two qubits (STO-3G), one parameter per Pauli string, output Z of site 0.

    ``initial`` holds the molecule's coefficients; its levels are `H2_EIGENVALUES`.
    """
    return Network.of(
        trainable=[SparsePauliOp(label) for label in H2_COEFFICIENTS],
        outputs=[SparsePauliOp("IZ")],
        initial=list(H2_COEFFICIENTS.values()),
    )


def random_network(
    seed: int,
    *,
    sites: int = 4,
    n_trainable: int = 6,
    n_inputs: int = 2,
    n_outputs: int = 2,
    driven: bool = True,
) -> Network:
    """A network without any symmetry: random strings over X, Y, Z on top of random fixed fields, theta at ``initial``.

    Every third trainable term is a sum of two strings (a tied weight). With ``driven`` about half of the terms, and
    at least the last one, are multiplied by an input.
    """
    random = np.random.default_rng(seed)

    def string(largest: int = 3) -> SparsePauliOp:
        places = random.permutation(sites)[: random.integers(1, min(largest, sites) + 1)]
        word = "".join(random.choice(list("XYZ"), len(places)))
        return term(word, places.tolist(), sites, float(random.uniform(0.5, 1.5) * random.choice([-1, 1])))

    fields = [
        term(letter, (site,), sites, float(random.normal())) for site in range(sites) for letter in ("X", "Y", "Z")
    ]
    drivers = np.full(n_trainable, -1)
    if driven and n_inputs and n_trainable:
        chosen = random.random(n_trainable) < 0.5
        chosen[-1] = True
        drivers[chosen] = random.integers(0, n_inputs, chosen.sum())
    return Network.of(
        static=total(fields),
        inputs=[total([string(), string()]) for _ in range(n_inputs)],
        trainable=[total([string(), string()]) if index % 3 == 2 else string() for index in range(n_trainable)],
        outputs=[total([string(2), string(2)]) for _ in range(n_outputs)],
        driver=drivers.tolist(),
        initial=random.normal(size=n_trainable),
    )
