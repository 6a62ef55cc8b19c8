"""Ramps of adiabatic sweeps: f(s) from 0 to 1 in ``H(s) = (1 - f(s)) H_start + f(s) H``, with s = time / whole time.

What a ramp does at its ends decides how good the prepared state is. With slopes that do not vanish there (linear), the
infidelity falls like ``T^-2`` and the gradient keeps an error that no evolution time removes; with vanishing slopes
(cosine) it falls like ``T^-4`` and the gradient's error like ``1/T``; the quintic, whose curvature vanishes too, is
better for long times and worse for short ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from qeqprop.interfaces import FloatArray

Ramp = Callable[[FloatArray], FloatArray]
"""From s (n,) in [0, 1] to f(s) (n,)."""

RampName = Literal["linear", "cosine", "quintic"]


def linear(s: FloatArray) -> FloatArray:
    """``f = s``: slopes of 1 at both ends, a gradient that stays biased."""
    return s


def cosine(s: FloatArray) -> FloatArray:
    """``f = (1 - cos pi s) / 2``: slopes vanish at both ends."""
    return (1 - np.cos(np.pi * s)) / 2


def quintic(s: FloatArray) -> FloatArray:
    """``f = 10 s^3 - 15 s^4 + 6 s^5``: slopes and curvatures vanish at both ends."""
    return s**3 * (10 - 15 * s + 6 * s**2)


def at_once(s: FloatArray) -> FloatArray:
    """``f = 1``: what is ramped is there from the first moment."""
    return np.ones_like(s)


_NAMED: dict[str, Ramp] = {"linear": linear, "cosine": cosine, "quintic": quintic}


def ramp_of(ramp: RampName | Ramp) -> Ramp:
    """The ramp of a name, or the ramp itself after a look at its ends.

    Raises:
        ValueError: for an unknown name, or a function that does not run from f(0) = 0 to f(1) = 1 with finite values.
    """
    if isinstance(ramp, str):
        if ramp not in _NAMED:
            names = ", ".join(map(repr, _NAMED))
            raise ValueError(f"Argument `ramp` must be {names} or a function from s to f(s), but is {ramp!r}.")
        return _NAMED[ramp]
    s = np.linspace(0.0, 1.0, 101)
    values = np.asarray(ramp(s), dtype=np.float64)
    if values.shape != s.shape or not np.all(np.isfinite(values)):
        raise ValueError(f"Argument `ramp` must map s (n,) to finite f(s) (n,), but maps {s.shape} to {values.shape}.")
    if not np.allclose(values[[0, -1]], [0.0, 1.0], atol=1e-9):
        raise ValueError(f"Argument `ramp` must run from f(0) = 0 to f(1) = 1, but from {values[0]} to {values[-1]}.")
    return ramp


def end_slopes(ramp: Ramp) -> tuple[float, float]:
    """``df/ds`` at s = 0 and at s = 1 by one-sided differences of second order, good to about 1e-6."""
    h = 1e-4
    first = np.asarray(ramp(np.array([0.0, h, 2 * h])), dtype=np.float64)
    last = np.asarray(ramp(np.array([1.0, 1 - h, 1 - 2 * h])), dtype=np.float64)
    weights = np.array([-1.5, 2.0, -0.5]) / h
    return float(weights @ first), float(-weights @ last)
