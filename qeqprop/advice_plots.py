"""The picture of an adviser's pilot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from qeqprop.figures import BLACK, GREY, canvas, tidy

if TYPE_CHECKING:
    from qeqprop.advice import Advice


def advised_errors(advice: Advice, *, ax: Axes | None = None) -> Figure:
    """What a pilot expects: the error of both rules against the samples of one gradient.

    The response (black) falls as ``M^(-1/2)``; every nudge (the darker the stronger) falls as it does towards a bias
    that samples do not remove. Dots are the errors at the budget; the lowest curve there is the rule that is advised.
    """
    figure, ax = canvas(ax, 7.4, 4.4)
    samples = advice.budget * np.geomspace(0.02, 50.0, 60)
    fewer = np.sqrt(advice.budget / samples)
    strong = np.argsort(advice.betas)
    for rank, index in enumerate(strong.tolist()):
        color = (0.0, 0.45, 0.70, 0.25 + 0.75 * (rank + 1) / len(strong))
        errors = np.hypot(advice.noises[index] * fewer, advice.biases[index])
        ax.loglog(samples, errors, color=color, linewidth=1.3, label=f"nudge {advice.betas[index]:.3g}")
        ax.loglog([advice.budget], [advice.nudging_errors[index]], "o", color=color, markersize=4)
    ax.loglog(samples, advice.response_error * fewer, color=BLACK, linewidth=1.6, label="response, no nudge")
    ax.loglog([advice.budget], [advice.response_error], "o", color=BLACK, markersize=5)
    ax.axvline(advice.budget, color=GREY, linewidth=0.8, label=f"budget, {advice.budget} samples")
    ax.axhline(advice.gradient_norm, color=GREY, linestyle=":", linewidth=1.2, label="size of the gradient itself")
    ax.set(title="Errors that a pilot expects", xlabel="samples of one gradient M, all phases and inputs")
    ax.set(ylabel="root mean square error of dL/dθ (dimensionless)")
    ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    tidy(ax)
    return figure
