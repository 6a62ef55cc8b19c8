"""Nudged difference quotients: the two rules hardware uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Gt

from qeqprop.checks import check_fields
from qeqprop.interfaces import FloatArray, Gradient, Loss, Settle, Want
from qeqprop.rules._signal_noise import signal_variance


@dataclass(frozen=True)
class OneSidedNudging:
    """``dL/dtheta_j ~ (<dH/dtheta_j>_beta - <dH/dtheta_j>_0) / beta``, error of first order in beta.

    Sample s is nudged by ``beta sum_k e_sk O_k``; free and nudged states share one job. The quotient is the exact
    gradient of ``[E(beta) - E(0)] / beta``; for ground states and positive beta that is a lower bound of a linear cost,
    for negative beta an upper bound. The small parameter is ``beta |e| ||O|| / gap``.

    Attributes:
        beta: the nudge, positive or negative.
        precision: wanted standard error of every Pauli string in the free and nudged states, for solvers that sample.
        output_precision: the same for the free outputs.

    The standard errors hold the noise of the nudged states and of the error signal (`signal_variance`).

    Source: Massar & Mognetti, arXiv:2405.08467 (2024).
    """

    beta: float = 0.1
    precision: Annotated[float, Gt(0)] | None = None
    output_precision: Annotated[float, Gt(0)] | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        if not np.isfinite(self.beta) or self.beta == 0:
            raise ValueError(f"Argument `beta` must be a finite number other than 0, but is {self.beta!r}.")

    def gradient(self, settle: Settle, targets: FloatArray, loss: Loss) -> Gradient:
        """The batch mean of the quotient."""
        return difference_gradient(
            settle,
            targets,
            loss,
            nudges=np.array([self.beta, 0.0]),
            weights=np.array([1.0, -1.0]) / self.beta,
            precision=self.precision,
            output_precision=self.output_precision,
        )


@dataclass(frozen=True)
class SymmetricNudging:
    """``dL/dtheta_j ~ (<dH/dtheta_j>_beta - <dH/dtheta_j>_-beta) / (2 beta)``, error of second order in beta.

    Sample s is nudged by ``+-beta sum_k e_sk O_k``; both states share one job, so that drift cancels. The small
    parameter is ``beta |e| ||O|| / gap``. With M shots per state and basis the variance is
    ``[Var_+ + Var_-] / (4 beta^2 M)`` and the best beta falls as M^(-1/6).

    Attributes:
        beta: the nudge, above zero.
        precision: wanted standard error of every Pauli string in the nudged states, for solvers that sample.
        output_precision: the same for the free outputs.

    The standard errors hold the noise of the nudged states and of the error signal (`signal_variance`).

    Source: Massar & Mognetti, arXiv:2405.08467 (2024); Laborieux et al., Front. Neurosci. 15, 633674 (2021).
    """

    beta: Annotated[float, Gt(0)] = 0.1
    precision: Annotated[float, Gt(0)] | None = None
    output_precision: Annotated[float, Gt(0)] | None = None

    def __post_init__(self) -> None:
        check_fields(self)

    def gradient(self, settle: Settle, targets: FloatArray, loss: Loss) -> Gradient:
        """The batch mean of the quotient."""
        return difference_gradient(
            settle,
            targets,
            loss,
            nudges=np.array([self.beta, -self.beta]),
            weights=np.array([0.5, -0.5]) / self.beta,
            precision=self.precision,
            output_precision=self.output_precision,
        )


def difference_gradient(
    settle: Settle,
    targets: FloatArray,
    loss: Loss,
    *,
    nudges: FloatArray,
    weights: FloatArray,
    precision: float | None,
    output_precision: float | None,
) -> Gradient:
    """``sum_i weights_i <dH/dtheta>_(nudges_i)`` averaged over the batch, all nudged states in one job.

    The error signal is measured in a job of its own, so that its noise is independent of the difference's. The
    standard errors hold both.
    """
    zeros = np.zeros((1, settle.batch, settle.n_outputs))
    free = settle(zeros, want=Want.OUTPUTS | Want.COVARIANCES, precision=output_precision)
    assert free.outputs is not None  # it was wanted
    predictions = free.outputs.values[0].real
    error = loss.gradient(predictions, targets)
    nudged = settle(nudges[:, None, None] * error, want=Want.ENERGY_GRADIENT, precision=precision, start=free.start)
    assert nudged.energy_gradient is not None  # it was wanted
    measured = nudged.energy_gradient
    quotients = np.einsum("n,nbj->bj", weights, np.real(measured.values))
    variances = np.einsum("n,nbj->bj", weights**2, measured.std_errors**2)
    from_signal = signal_variance(free, targets, loss, error, quotients, variances)
    return Gradient(
        values=np.mean(quotients, axis=0),
        std_errors=np.sqrt(np.sum(variances, axis=0) + from_signal) / settle.batch,
        loss=float(loss.value(predictions, targets)),
        predictions=predictions,
        certificate=free.certificate.join([nudged.certificate]),
        shots=free.shots + nudged.shots,
    )
