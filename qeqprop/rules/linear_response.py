"""The gradient as a linear response at zero nudge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Gt

from qeqprop.checks import check_fields
from qeqprop.interfaces import Expectations, FloatArray, Gradient, Loss, Settle, Want
from qeqprop.rules._signal_noise import signal_variance


@dataclass(frozen=True)
class LinearResponse:
    """``dL/dtheta_j = d<dH/dtheta_j>/dbeta`` at ``beta = 0``: exact for a solver that knows its own response.

    In an eigenstate the response is ``-2 Re sum_m <n|N|m><m|A_j|n> / (E_m - E_n)``, in a Gibbs state it is the
    Kubo-Mori correlator, and in a sampled classical network the covariance ``-(1/T) Cov(N, A_j)`` of the samples
    (fluctuation and dissipation), unbiased; no nudged state is ever settled. The error signal is taken from other
    samples than the response. The standard errors hold the noise of both (`signal_variance`).

    Attributes:
        output_precision: wanted standard error of the free outputs, for solvers that sample.

    Source: Wanjura & Marquardt, Nat. Commun. 16, 6595 (2025); Massar & Mognetti, arXiv:2405.08467 (2024).
    """

    output_precision: Annotated[float, Gt(0)] | None = None

    def __post_init__(self) -> None:
        check_fields(self)

    def gradient(self, settle: Settle, targets: FloatArray, loss: Loss) -> Gradient:
        """The batch mean of the response along the error signal."""
        zeros = np.zeros((1, settle.batch, settle.n_outputs))
        free = settle(zeros, want=Want.OUTPUTS | Want.COVARIANCES, precision=self.output_precision)
        assert free.outputs is not None  # it was wanted
        predictions = free.outputs.values[0].real
        error = loss.gradient(predictions, targets)
        answer = settle(error[None], want=Want.RESPONSE, start=free.start)
        if answer.response is None:
            raise ValueError("The solver returned no response: use a nudging rule with it.")
        response: Expectations = answer.response
        along, variances = response.values[0].real, response.std_errors[0] ** 2
        from_signal = signal_variance(free, targets, loss, error, along, variances)
        return Gradient(
            values=along.mean(axis=0),
            std_errors=np.sqrt(variances.sum(axis=0) + from_signal) / settle.batch,
            loss=float(loss.value(predictions, targets)),
            predictions=predictions,
            certificate=answer.certificate,
            shots=free.shots + answer.shots,
        )
