"""Nudged difference quotients: the two rules hardware uses."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt

from qeqprop.checks import check_fields
from qeqprop.interfaces import FloatArray, Gradient, Loss, PhysicsWarning, Settle, Want
from qeqprop.rules._signal_noise import signal_variance, spread_variance

_INFERRED = (
    "More than half of the noise of this gradient comes from the outputs that the error signal was taken from. With "
    "several outputs its part of the error bars is inferred, and single ones may be far off: spend more shots on the "
    "outputs (`output_precision`), or measure the error bars (`repeats` of a dozen)."
)


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
        repeats: how often all of it is measured, see `difference_gradient`.

    Source: Massar & Mognetti, arXiv:2405.08467 (2024).
    """

    beta: float = 0.1
    precision: Annotated[float, Gt(0)] | None = None
    output_precision: Annotated[float, Gt(0)] | None = None
    repeats: Annotated[int, Ge(1)] = 1

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
            repeats=self.repeats,
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
        repeats: how often all of it is measured, see `difference_gradient`.

    Source: Massar & Mognetti, arXiv:2405.08467 (2024); Laborieux et al., Front. Neurosci. 15, 633674 (2021).
    """

    beta: Annotated[float, Gt(0)] = 0.1
    precision: Annotated[float, Gt(0)] | None = None
    output_precision: Annotated[float, Gt(0)] | None = None
    repeats: Annotated[int, Ge(1)] = 1

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
            repeats=self.repeats,
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
    repeats: int,
) -> Gradient:
    """``sum_i weights_i <dH/dtheta>_(nudges_i)`` averaged over the batch, all nudged states in one job.

    The error signal is measured in a job of its own, so that its noise is independent of the difference's. The
    standard errors hold both: the noise of the difference is measured, and what the noise of the signal does is
    inferred from the quotients (`signal_variance`). That is exact for one output and a nudge small beside the gap, and
    else rests on an assumption; a `PhysicsWarning` tells where it decides.

    Measured ``repeats`` times, at the same precision each and still in one job each, every sample is nudged along
    several independent error signals, and the standard errors are those of the spread between them (`spread_variance`).
    They assume nothing. A spread of n repeats knows itself to ``1 / sqrt(2 (n - 1))``, better for a batch whose samples
    count alike: a dozen repeats is enough.
    """
    zeros = np.zeros((repeats, settle.batch, settle.n_outputs))
    free = settle(zeros, want=Want.OUTPUTS | Want.COVARIANCES, precision=output_precision)
    assert free.outputs is not None  # it was wanted
    outputs = np.real(free.outputs.values)
    errors = np.stack([loss.gradient(each, targets) for each in outputs])
    along = (nudges[:, None, None, None] * errors).reshape(-1, settle.batch, settle.n_outputs)
    nudged = settle(along, want=Want.ENERGY_GRADIENT, precision=precision, start=free.start)
    assert nudged.energy_gradient is not None  # it was wanted
    shape = (len(nudges), repeats, settle.batch, -1)
    measured, deviations = np.real(nudged.energy_gradient.values).reshape(shape), nudged.energy_gradient.std_errors
    quotients = np.einsum("n,nrbj->rbj", weights, measured)
    if repeats > 1:
        variance = spread_variance(quotients, loss)
    else:
        own = np.einsum("n,nrbj->bj", weights**2, deviations.reshape(shape) ** 2)
        variance = np.sum(own, axis=0)
        from_signal = signal_variance(free, targets, loss, errors[0], quotients[0], own)
        if settle.n_outputs > 1 and np.sum(from_signal) > np.sum(variance) > 0:
            warnings.warn(_INFERRED, PhysicsWarning, stacklevel=3)
        variance = variance + from_signal
    predictions = np.mean(outputs, axis=0)
    return Gradient(
        values=np.mean(quotients, axis=(0, 1)),
        std_errors=np.sqrt(variance) / settle.batch,
        loss=float(loss.value(predictions, targets)),
        predictions=predictions,
        certificate=free.certificate.join([nudged.certificate]),
        shots=free.shots + nudged.shots,
    )
