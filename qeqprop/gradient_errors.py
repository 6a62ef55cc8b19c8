"""How far a gradient is from the true one, whatever may happen on the way."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from qeqprop.interfaces import FloatArray, Gradient, NotConverged, PhysicsWarning


class GradientError(NamedTuple):
    """The worst component of a gradient.

    Attributes:
        error: ``max_j |g_j - exact_j|``, nan where the gradient was refused.
        std_error: the largest standard error that the gradient gives itself; nan where it was refused.
        trusted: whether it came without a `PhysicsWarning`.
    """

    error: float
    std_error: float
    trusted: bool


def gradient_error(
    found: Callable[[], Gradient], exact: FloatArray, *, refusals: tuple[type[Exception], ...] = (NotConverged,)
) -> GradientError:
    """Makes a gradient and compares it with the exact one (n_trainable,); see `tried_gradient`."""
    made, trusted = tried_gradient(found, refusals=refusals)
    if made is None:
        return GradientError(np.nan, np.nan, False)
    error = float(np.max(np.abs(made.values - exact), initial=0.0))
    return GradientError(error, float(np.max(made.std_errors, initial=0.0)), trusted)


def tried_gradient(
    found: Callable[[], Gradient], *, refusals: tuple[type[Exception], ...] = (NotConverged,)
) -> tuple[Gradient | None, bool]:
    """A gradient, or None where it is refused, and whether it came without a `PhysicsWarning`.

    Args:
        found: makes the gradient.
        refusals: exceptions that only mean that there is no gradient here.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", PhysicsWarning)
        try:
            made = found()
        except refusals:
            made = None
    physics = [issubclass(one.category, PhysicsWarning) for one in caught]
    for one, expected in zip(caught, physics, strict=True):
        if not expected:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    return made, made is not None and not any(physics)
