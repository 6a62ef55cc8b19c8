"""Nudging around a circle in the complex plane: exponentially accurate at a finite nudge, on a simulator."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt

from qeqprop.checks import check_fields
from qeqprop.interfaces import FloatArray, Gradient, Loss, NotConverged, NumberArray, Settle, Settled, Want

_RADIAL_STEPS = 8
_ARC_STEPS = 64


@dataclass(frozen=True)
class Holomorphic:
    """Cauchy's formula for the derivative: ``g_j = mean_k <A_j>(beta e^(i phi_k)) e^(-i phi_k) / beta``.

    ``H + beta e^(i phi) N`` is not Hermitian; expectations are ``<L|A|R> / <L|R>`` with left and right eigenvectors.
    The error falls as ``(beta / R)^points``, R the distance to the nearest exceptional point, where the level meets
    another one. Every sample is nudged along its own error signal, so R shrinks as the signal grows.

    The states are followed along rays from the free state, then along the circle from each ray to the next. If the two
    ways disagree, an exceptional point lies inside and no number of points would help: the rule refuses.

    Attributes:
        beta: radius of the circle.
        points: number of points on it.

    Raises:
        NotConverged: if the circle encloses an exceptional point.

    Source: Laborieux & Zenke, NeurIPS 35 (2022), for the classical rule.
    """

    beta: Annotated[float, Gt(0)] = 0.2
    points: Annotated[int, Ge(2)] = 8

    def __post_init__(self) -> None:
        check_fields(self)

    def gradient(self, settle: Settle, targets: FloatArray, loss: Loss) -> Gradient:
        """The batch mean of the contour average."""
        zeros = np.zeros((1, settle.batch, settle.n_outputs))
        free = settle(zeros, want=Want.OUTPUTS | Want.ENERGY_GRADIENT)
        assert free.outputs is not None  # it was wanted
        predictions = free.outputs.values[0].real
        error = loss.gradient(predictions, targets)
        phases = np.exp(2j * np.pi * np.arange(self.points) / self.points)[:, None, None]
        circle = free
        for radius in self.beta * np.arange(1, _RADIAL_STEPS + 1) / _RADIAL_STEPS:
            circle = settle(radius * phases * error, want=Want.ENERGY_GRADIENT, start=circle.start)
        values = _gradients(circle)
        self._refuse_branch_points(settle, free, circle, phases * error)
        return Gradient(
            values=np.mean(np.real(values * phases.conj()), axis=(0, 1)) / self.beta,
            std_errors=np.zeros(values.shape[-1]),
            loss=float(loss.value(predictions, targets)),
            predictions=predictions,
            certificate=free.certificate.join([circle.certificate]),
            shots=free.shots + circle.shots,
        )

    def _refuse_branch_points(self, settle: Settle, free: Settled, circle: Settled, directions: FloatArray) -> None:
        """Walks the arc from every point to the next one and compares with the state found there along the ray.

        A circle far outside all exceptional points passes that test, its states followed past them in one leap. So
        Cauchy's formula for the value itself is asked too: the mean over the whole walk is the free expectation.
        """
        steps = ceil(_ARC_STEPS / self.points)
        arc, mean = circle, np.zeros_like(_gradients(circle)[0])
        for step in range(1, steps + 1):
            turn = np.exp(2j * np.pi * step / (steps * self.points))
            arc = settle(self.beta * turn * directions, want=Want.ENERGY_GRADIENT, start=arc.start)
            mean = mean + np.mean(_gradients(arc), axis=0) / steps
        along_rays = np.roll(_gradients(circle), -1, axis=0)
        distance = np.max(np.abs(_gradients(arc) - along_rays), axis=(0, 2))
        offset = np.max(np.abs(mean - _gradients(free)[0]), axis=1)
        scale = 1.0 + np.max(np.abs(along_rays), axis=(0, 2))
        outside = np.flatnonzero((distance > 1e-5 * scale) | (offset > 0.02 * scale))
        if len(outside):
            raise NotConverged(
                f"The circle of radius beta = {self.beta} encloses an exceptional point for sample"
                f"{'s' * (len(outside) > 1)} {', '.join(map(str, outside[:5]))}: the level meets another one inside, "
                "and the contour average is not the gradient. Use a smaller beta."
            )


def _gradients(settled: Settled) -> NumberArray:
    """``<dH/dtheta>`` of a call that wanted it, (n_nudges, batch, n_trainable)."""
    assert settled.energy_gradient is not None
    return settled.energy_gradient.values
