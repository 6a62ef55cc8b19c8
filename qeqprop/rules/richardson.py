"""Symmetric nudging at several strengths, extrapolated to none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt

from qeqprop.checks import check_fields
from qeqprop.interfaces import FloatArray, Gradient, Loss, Settle
from qeqprop.rules.nudging import difference_gradient


@dataclass(frozen=True)
class Richardson:
    """Symmetric quotients at several real nudges, extrapolated to zero: error of order ``2 n_betas``.

    With ``D(beta) = g + c_1 beta^2 + c_2 beta^4 + ...`` the combination ``sum_i w_i D(beta_i)``,
    ``w_i = prod_(j != i) beta_j^2 / (beta_j^2 - beta_i^2)``, removes the first ``n_betas - 1`` terms. All states share
    one job. The weights alternate in sign, so shot noise grows with the number of nudges.

    Attributes:
        betas: different nudges above zero.
        precision: wanted standard error of every Pauli string in the nudged states, for solvers that sample.
        output_precision: the same for the free outputs.
        repeats: how often all of it is measured, see `difference_gradient`.

    Source: L. F. Richardson, Phil. Trans. R. Soc. A 210, 307 (1911), applied to the quotient of `SymmetricNudging`.
    """

    betas: tuple[float, ...] = (0.1, 0.2)
    precision: Annotated[float, Gt(0)] | None = None
    output_precision: Annotated[float, Gt(0)] | None = None
    repeats: Annotated[int, Ge(1)] = 1

    def __post_init__(self) -> None:
        check_fields(self)
        betas = np.asarray(self.betas, dtype=np.float64)
        if not len(betas) or not np.all(np.isfinite(betas)) or np.any(betas <= 0) or len(set(self.betas)) != len(betas):
            raise ValueError(f"Argument `betas` must hold different finite numbers above 0, but is {self.betas!r}.")

    def gradient(self, settle: Settle, targets: FloatArray, loss: Loss) -> Gradient:
        """The batch mean of the extrapolated quotients."""
        betas = np.asarray(self.betas, dtype=np.float64)
        squares = betas**2
        ratios = squares[None, :] / (squares[None, :] - squares[:, None] + np.eye(len(betas)))
        np.fill_diagonal(ratios, 1.0)
        halves = np.prod(ratios, axis=1) / (2 * betas)
        return difference_gradient(
            settle,
            targets,
            loss,
            nudges=np.concatenate([betas, -betas]),
            weights=np.concatenate([halves, -halves]),
            precision=self.precision,
            output_precision=self.output_precision,
            repeats=self.repeats,
        )
