"""The gradient as a linear response at zero nudge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Gt

from qeqprop.checks import check_fields
from qeqprop.interfaces import Expectations, FloatArray, Gradient, Loss, Settle, Want
from qeqprop.rules._signal_noise import likely_error, probed_variance, signal_variance

_SIGNAL = Want.OUTPUTS | Want.COVARIANCES


@dataclass(frozen=True)
class LinearResponse:
    """``dL/dtheta_j = d<dH/dtheta_j>/dbeta`` at ``beta = 0``: exact for a solver that knows its own response.

    In an eigenstate the response is ``-2 Re sum_m <n|N|m><m|A_j|n> / (E_m - E_n)``, in a Gibbs state it is the
    Kubo-Mori correlator, and in a sampled classical network the covariance ``-(1/T) Cov(N, A_j)`` of the samples
    (fluctuation and dissipation), unbiased; no nudged state is ever settled. The error signal is taken from other
    samples than the response. The standard errors hold the noise of both: what the noise of the signal does follows
    from the response along it for one output (`signal_variance`), and is measured for several outputs (`probe`).

    Attributes:
        output_precision: wanted standard error of the free outputs, for solvers that sample.
        probe: with several outputs that fluctuate, the response is also asked, in the same job, along an error that the
            signal of each sample may have (`likely_error`): what it does to the gradient is measured and nothing is
            assumed. That costs as many samples as the gradient. One sample alone tells this part of its variance as a
            spread of two does, a batch the better the larger it is. Without it the part is inferred from the response
            along the signal, and error bars were seen from half to 1.3 times the truth.

    Source: Wanjura & Marquardt, Nat. Commun. 16, 6595 (2025); Massar & Mognetti, arXiv:2405.08467 (2024).
    """

    output_precision: Annotated[float, Gt(0)] | None = None
    probe: bool = True

    def __post_init__(self) -> None:
        check_fields(self)

    def gradient(self, settle: Settle, targets: FloatArray, loss: Loss) -> Gradient:
        """The batch mean of the response along the error signal."""
        zeros = np.zeros((1, settle.batch, settle.n_outputs))
        free = settle(zeros, want=_SIGNAL, precision=self.output_precision)
        assert free.outputs is not None  # it was wanted
        predictions = free.outputs.values[0].real
        error = loss.gradient(predictions, targets)
        probed = self.probe and settle.n_outputs > 1 and bool(free.outputs.std_errors.any())
        directions = np.stack([error, likely_error(free, targets, loss)]) if probed else error[None]
        answer = settle(directions, want=Want.RESPONSE, start=free.start)
        if answer.response is None:
            raise ValueError("The solver returned no response: use a nudging rule with it.")
        response: Expectations = answer.response
        along, variances = response.values[0].real, response.std_errors[0] ** 2
        if probed:
            from_signal = probed_variance(response.values[1].real, response.std_errors[1] ** 2, loss)
        else:
            from_signal = signal_variance(free, targets, loss, error, along, variances)
        return Gradient(
            values=along.mean(axis=0),
            std_errors=np.sqrt(variances.sum(axis=0) + from_signal) / settle.batch,
            loss=float(loss.value(predictions, targets)),
            predictions=predictions,
            certificate=answer.certificate,
            shots=free.shots + answer.shots,
        )
