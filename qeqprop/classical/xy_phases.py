"""Phases of coupled oscillators: spins that turn in a plane."""

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


def xy_phases(
    *,
    sites: Annotated[int, Ge(1)] = 4,
    edges: Bonds = "complete",
    inputs: Sequence[int] = (0, 1),
    outputs: Sequence[int] = (-1,),
    drive: float = 1.0,
) -> ContinuousNetwork:
    """``E = -sum_ij J_ij cos(s_i - s_j) - sum_i (a_i cos s_i + b_i sin s_i) - d sum_m cos(s_(inputs m) - x_m)``.

    Inputs are the phases x of fields of strength d on their sites; outputs are ``cos s`` and then ``sin s`` of the
    sites that are read. Trainable are a, b and J. Without fields all phases turn together freely, a mode without
    stiffness: the a start at 1.

    Args:
        sites: number of phases.
        edges: "chain", "ring", "complete", or a list of pairs.
        inputs: the sites that input phases act on.
        outputs: the sites that are read; -1 is the last one.
        drive: d.

    Source: the XY networks of Wanjura & Marquardt, Nat. Commun. 16, 6595 (2025).
    """
    check_argument("sites", sites, Annotated[int, Ge(1)])
    check_argument("drive", drive, float)
    pairs = bond_list(edges, sites)
    driven, read = chosen_sites("inputs", inputs, sites), chosen_sites("outputs", outputs, sites)
    return ContinuousNetwork(PhaseEnergy(sites, pairs, driven, read, float(drive)))


@dataclass(frozen=True, eq=False)
class PhaseEnergy:
    """The energy of `xy_phases`; ``pairs`` are (n_edges, 2), theta is a, b and then J."""

    n_variables: int
    pairs: IntArray
    driven: IntArray
    read: IntArray
    drive: float

    @property
    def n_inputs(self) -> int:
        return len(self.driven)

    @property
    def n_outputs(self) -> int:
        return 2 * len(self.read)

    @property
    def initial(self) -> FloatArray:
        return np.concatenate([np.ones(self.n_variables), np.zeros(self.n_variables + len(self.pairs))])

    @property
    def term_names(self) -> tuple[str, ...]:
        sites = range(self.n_variables)
        pairs = (f"cos s{i} - s{j}" for i, j in self.pairs)
        return (*(f"cos s{i}" for i in sites), *(f"sin s{i}" for i in sites), *pairs)

    @property
    def rest(self) -> FloatArray:
        return np.zeros(self.n_variables)

    @property
    def period(self) -> float:
        return 2 * np.pi

    def energy(self, theta: FloatArray, x: FloatArray, s: Numbers) -> Numbers:
        """See `xy_phases`."""
        driven = np.cos(s[:, self.driven] - x).sum(axis=1)
        return self.parameter_gradient(theta, x, s) @ theta - self.drive * driven

    def gradient(self, theta: FloatArray, x: FloatArray, s: Numbers) -> Numbers:
        """The sines of the energy's cosines."""
        n, unit = self.n_variables, np.eye(self.n_variables)
        signs = unit[self.pairs[:, 0]] - unit[self.pairs[:, 1]]
        bonds = (np.sin(s @ signs.T) * theta[2 * n :]) @ signs
        driven = (self.drive * np.sin(s[:, self.driven] - x)) @ unit[self.driven]
        return bonds + np.sin(s) * theta[:n] - np.cos(s) * theta[n : 2 * n] + driven

    def parameter_gradient(self, theta: FloatArray, x: FloatArray, s: Numbers) -> Numbers:
        """``-cos s_i``, ``-sin s_i`` and ``-cos(s_i - s_j)``."""
        between = s[:, self.pairs[:, 0]] - s[:, self.pairs[:, 1]]
        return -np.concatenate([np.cos(s), np.sin(s), np.cos(between)], axis=1)

    def outputs(self, s: Numbers) -> Numbers:
        """Cosines, then sines."""
        read = s[:, self.read]
        return np.concatenate([np.cos(read), np.sin(read)], axis=1)

    def output_gradient(self, s: Numbers, weights: Numbers) -> Numbers:
        """``-w_k sin s_k + w_(K+k) cos s_k``."""
        read, n = s[:, self.read], len(self.read)
        along = weights[:, n:] * np.cos(read) - weights[:, :n] * np.sin(read)
        return along @ np.eye(self.n_variables)[self.read]
