"""Springs: a network whose energy is quadratic, so that everything about it is known in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge

from qeqprop.checks import check_argument
from qeqprop.classical._bonds import Bonds, bond_list, chosen_sites
from qeqprop.classical.continuous import ContinuousNetwork
from qeqprop.classical.jets import Numbers
from qeqprop.interfaces import FloatArray, IntArray


def harmonic(
    *,
    sites: Annotated[int, Ge(1)] = 2,
    edges: Bonds = "chain",
    inputs: Sequence[int] = (0,),
    outputs: Sequence[int] = (-1,),
    spring: float = 1.0,
    coupling: float = 0.5,
) -> ContinuousNetwork:
    """Masses on springs: ``E = sum_i k_i s_i^2 / 2 + sum_ij k_ij (s_i - s_j)^2 / 2 - sum_m x_m s_(inputs m)``.

    Trainable are the springs to the ground k_i, then those between the sites k_ij; inputs are forces, outputs places.
    Stable while all springs together hold every site: keep the k positive. The solver `Gaussian` settles it exactly,
    also as quantum oscillators.

    Args:
        sites: number of masses.
        edges: "chain", "ring", "complete", or a list of pairs.
        inputs: the sites that inputs pull.
        outputs: the sites whose places are the outputs; -1 is the last one.
        spring: initial k_i.
        coupling: initial k_ij.

    Source: the oscillators of Massar & Mognetti, arXiv:2405.08467 (2024).
    """
    check_argument("sites", sites, Annotated[int, Ge(1)])
    check_argument("spring", spring, float)
    check_argument("coupling", coupling, float)
    pairs = bond_list(edges, sites)
    initial = np.concatenate([np.full(sites, float(spring)), np.full(len(pairs), float(coupling))])
    pulled, read = chosen_sites("inputs", inputs, sites), chosen_sites("outputs", outputs, sites)
    return ContinuousNetwork(HarmonicEnergy(sites, pairs, pulled, read, initial))


@dataclass(frozen=True, eq=False)
class HarmonicEnergy:
    """The energy of `harmonic`; ``pairs`` are (n_edges, 2), theta is ``k_i`` and then ``k_ij``."""

    n_variables: int
    pairs: IntArray
    pulled: IntArray
    read: IntArray
    initial: FloatArray

    @property
    def n_inputs(self) -> int:
        return len(self.pulled)

    @property
    def n_outputs(self) -> int:
        return len(self.read)

    @property
    def term_names(self) -> tuple[str, ...]:
        return (*(f"k{i}" for i in range(self.n_variables)), *(f"k{i} {j}" for i, j in self.pairs))

    @property
    def rest(self) -> FloatArray:
        return np.zeros(self.n_variables)

    @property
    def period(self) -> None:
        return None

    def energy(self, theta: FloatArray, x: FloatArray, s: Numbers) -> Numbers:
        """See `harmonic`."""
        return ((s @ self.stiffness(theta)) * s).sum(axis=1) / 2 - (s[:, self.pulled] * x).sum(axis=1)

    def gradient(self, theta: FloatArray, x: FloatArray, s: Numbers) -> Numbers:
        """``K s`` minus the forces."""
        return s @ self.stiffness(theta) - x @ np.eye(self.n_variables)[self.pulled]

    def parameter_gradient(self, theta: FloatArray, x: FloatArray, s: Numbers) -> Numbers:
        """``s_i^2 / 2`` and ``(s_i - s_j)^2 / 2``."""
        stretch = s[:, self.pairs[:, 0]] - s[:, self.pairs[:, 1]]
        return np.concatenate([s * s, stretch * stretch], axis=1) / 2

    def outputs(self, s: Numbers) -> Numbers:
        """Some of the places."""
        return s[:, self.read]

    def output_gradient(self, s: Numbers, weights: Numbers) -> Numbers:
        """The weights, put on their sites."""
        return weights @ np.eye(self.n_variables)[self.read]

    def stiffness(self, theta: FloatArray) -> FloatArray:
        """The matrix K, (n_variables, n_variables)."""
        signs = np.eye(self.n_variables)[self.pairs[:, 0]] - np.eye(self.n_variables)[self.pairs[:, 1]]
        return np.diag(theta[: self.n_variables]) + signs.T @ (theta[self.n_variables :, None] * signs)
