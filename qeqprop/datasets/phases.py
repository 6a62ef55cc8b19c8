"""Couplings of spin chains labelled with the phase of the infinite chain, which is known in closed form.

The inputs are couplings, energies that a network takes as they are: nothing is standardised. A short chain rounds the
transitions off, so samples close to a boundary cannot all be learnt. A `test_fraction` of 0 holds nothing back: the
test part is then the training part.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Ge

from qeqprop.interfaces import Dataset, FloatArray, IntArray
from qeqprop.sampling import Fraction, Seed, Targets, checked, dataset_of


@checked
def cluster_ising_phases(
    *,
    samples: Annotated[int, Ge(2)] = 100,
    targets: Targets = "onehot",
    test_fraction: Fraction = 0.3,
    seed: Seed = 0,
) -> Dataset:
    """The three phases of the cluster Ising chain, points uniform on a triangle (Wanjura & Marquardt 2025).

    ``H = g_ZXZ sum_j Z_{j-1} X_j Z_{j+1} - g_ZZ sum_j Z_j Z_{j+1} - g_X sum_j X_j`` with non-negative couplings of sum
    4; the inputs are ``(g_ZXZ, g_ZZ, g_X)``. The chain is one of free fermions and its gap closes on three lines that
    meet in ``(1, 2, 1)``:

    * phase II, Ising order, for ``g_ZZ >= 2``; otherwise
    * phase III, the paramagnet, for ``2 g_X >= 4 - g_ZZ``, which is ``g_X >= g_ZXZ``;
    * phase I, the cluster state with its string order, for the rest.

    Only the sign between the cluster and the field term matters: turning every second spin around reverses the sign of
    g_ZZ, turning all of them around Z reverses the signs of g_X and g_ZXZ together. With *equal* signs of these two
    the phases lie elsewhere and these labels are wrong.

    Args:
        samples: in total; on average 3/8, 2/8 and 3/8 of them lie in the phases I, II and III.
        targets: ``"onehot"``, three columns 0 and 1 in the order I, II, III, or ``"sign"``, -1 in place of 0.
        test_fraction: part held back for testing.
        seed: of the points and of the split.

    Raises:
        ValueError: if a number is out of its range.

    Sources:
        Wanjura & Marquardt, Nature Communications 16, 6595 (2025); for the chain and its phases Smith, Jobst, Green &
        Pollmann, Phys. Rev. Research 4, L022020 (2022).
    """
    couplings = _simplex(samples, 3, 4.0, seed)
    return dataset_of(
        couplings,
        _cluster_ising_labels(couplings),
        classes=("I cluster", "II Ising order", "III paramagnet"),
        features=("g_ZXZ", "g_ZZ", "g_X"),
        description="Phases of the cluster Ising chain on the triangle of couplings (Wanjura & Marquardt 2025)",
        targets=targets,
        test_fraction=test_fraction,
        seed=seed,
    )


@checked
def transverse_ising_phases(
    *,
    samples: Annotated[int, Ge(2)] = 100,
    targets: Targets = "sign",
    test_fraction: Fraction = 0.3,
    seed: Seed = 0,
) -> Dataset:
    """The two phases of the transverse-field Ising chain, points uniform on a line through the transition.

    ``H = -J sum_j Z_j Z_{j+1} - g sum_j X_j`` with non-negative couplings ``J + g = 2``; the inputs are ``(J, g)``. The
    chain is ordered (second class) for ``J > g`` and disordered otherwise.

    Args:
        samples: in total, on average half of them in each phase.
        targets: ``"sign"``, one column, +1 for the ordered phase, or ``"onehot"``, two columns 0 and 1.
        test_fraction: part held back for testing.
        seed: of the points and of the split.

    Raises:
        ValueError: if a number is out of its range.

    Source:
        Pfeuty, Ann. Phys. 57, 79 (1970).
    """
    couplings = _simplex(samples, 2, 2.0, seed)
    return dataset_of(
        couplings,
        _transverse_ising_labels(couplings),
        classes=("disordered", "ordered"),
        features=("J", "g"),
        description="Phases of the transverse-field Ising chain on the line J + g = 2 (Pfeuty 1970)",
        targets=targets,
        test_fraction=test_fraction,
        seed=seed,
    )


def _simplex(samples: int, n_couplings: int, total: float, seed: int) -> FloatArray:
    """Points (samples, n_couplings) uniform among the non-negative ones of sum ``total``: a flat Dirichlet law."""
    return total * np.random.default_rng([seed, 0]).dirichlet(np.ones(n_couplings), size=samples)


def _cluster_ising_labels(couplings: FloatArray) -> IntArray:
    """The phases 0, 1, 2 (samples,) of couplings (samples, 3) of sum 4."""
    _, g_ZZ, g_X = couplings.T
    return np.where(g_ZZ >= 2, 1, np.where(2 * g_X >= 4 - g_ZZ, 2, 0)).astype(np.int64)


def _transverse_ising_labels(couplings: FloatArray) -> IntArray:
    """1 (ordered) or 0 (samples,) for couplings (samples, 2)."""
    J, g = couplings.T
    return (g < J).astype(np.int64)
