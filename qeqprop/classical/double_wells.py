"""Coupled double wells: bits that are held by an energy barrier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt

from qeqprop.checks import check_argument
from qeqprop.classical._bonds import Bonds, bond_list, chosen_sites
from qeqprop.classical.continuous import ContinuousNetwork
from qeqprop.classical.jets import Numbers
from qeqprop.interfaces import FloatArray, IntArray


def double_wells(
    *,
    sites: Annotated[int, Ge(1)] = 4,
    edges: Bonds = "complete",
    inputs: Sequence[int] = (0, 1),
    outputs: Sequence[int] = (-1,),
    barrier: Annotated[float, Gt(0)] = 0.5,
    curvature: float = -1.0,
) -> ContinuousNetwork:
    """Soft spins: ``E = sum_i [b (s_i^4 + 2 c s_i^2 + 1) - (h_i + x_i) s_i] - sum_ij J_ij s_i s_j``.

    With c = -1 these are wells at -1 and +1 under a barrier b; with c above zero a quartic network with one basin.
    Trainable are the fields h_i, then the couplings J_ij; inputs are fields on their sites, outputs the places s.

    Args:
        sites: number of wells.
        edges: "chain", "ring", "complete", or a list of pairs.
        inputs: the sites that inputs act on.
        outputs: the sites that are read; -1 is the last one.
        barrier: b.
        curvature: c.
    """
    check_argument("sites", sites, Annotated[int, Ge(1)])
    check_argument("barrier", barrier, Annotated[float, Gt(0)])
    check_argument("curvature", curvature, float)
    pairs = bond_list(edges, sites)
    driven, read = chosen_sites("inputs", inputs, sites), chosen_sites("outputs", outputs, sites)
    return ContinuousNetwork(DoubleWellEnergy(sites, pairs, driven, read, float(barrier), float(curvature)))


@dataclass(frozen=True, eq=False)
class DoubleWellEnergy:
    """The energy of `double_wells`; ``pairs`` are (n_edges, 2), theta is ``h_i`` and then ``J_ij``."""

    n_variables: int
    pairs: IntArray
    driven: IntArray
    read: IntArray
    barrier: float
    curvature: float

    @property
    def n_inputs(self) -> int:
        return len(self.driven)

    @property
    def n_outputs(self) -> int:
        return len(self.read)

    @property
    def initial(self) -> FloatArray:
        return np.zeros(self.n_variables + len(self.pairs))

    @property
    def term_names(self) -> tuple[str, ...]:
        return (*(f"s{i}" for i in range(self.n_variables)), *(f"s{i} s{j}" for i, j in self.pairs))

    @property
    def rest(self) -> FloatArray:
        return np.zeros(self.n_variables)

    @property
    def period(self) -> None:
        return None

    def energy(self, theta: FloatArray, x: FloatArray, s: Numbers) -> Numbers:
        """See `double_wells`."""
        square = s * s
        wells = self.barrier * (square * square + 2 * self.curvature * square + 1)
        return wells.sum(axis=1) - ((self._fields(theta, x) + s @ self._couplings(theta)) * s).sum(axis=1)

    def gradient(self, theta: FloatArray, x: FloatArray, s: Numbers) -> Numbers:
        """``4 b (s^3 + c s) - h - x - J s``."""
        couplings = self._couplings(theta)
        wells = 4 * self.barrier * (s * s * s + self.curvature * s)
        return wells - s @ (couplings + couplings.T) - self._fields(theta, x)

    def parameter_gradient(self, theta: FloatArray, x: FloatArray, s: Numbers) -> Numbers:
        """``-s_i`` and ``-s_i s_j``."""
        return -np.concatenate([s, s[:, self.pairs[:, 0]] * s[:, self.pairs[:, 1]]], axis=1)

    def outputs(self, s: Numbers) -> Numbers:
        """Some of the places."""
        return s[:, self.read]

    def output_gradient(self, s: Numbers, weights: Numbers) -> Numbers:
        """The weights, put on their sites."""
        return weights @ np.eye(self.n_variables)[self.read]

    def _couplings(self, theta: FloatArray) -> FloatArray:
        """``J_ij`` where ``pairs`` has (i, j), (n_variables, n_variables)."""
        couplings = np.zeros((self.n_variables, self.n_variables))
        couplings[self.pairs[:, 0], self.pairs[:, 1]] = theta[self.n_variables :]
        return couplings

    def _fields(self, theta: FloatArray, x: FloatArray) -> FloatArray:
        """``h_i + x_i``, (rows, n_variables)."""
        return theta[: self.n_variables] + x @ np.eye(self.n_variables)[self.driven]
