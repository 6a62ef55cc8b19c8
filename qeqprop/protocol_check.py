"""Protocols of adiabatic preparation whose gradients are wrong, told from the protocol alone.

Three things go wrong. A ramp with slopes at its ends, or a nudge switched on at once, throws a part of the state into
other levels that is proportional to what is differentiated: the gradient is off by O(1) for any evolution time. A nudge
shifts the phase between the state and its lost part by ``beta |e| T |dPhi/dnu|``; where that is not small, the quotient
is no derivative any more: ``beta -> 0`` and ``T -> infinity`` do not commute. And whatever is wrong with the states, by
the finite time or by Trotter steps, is divided by beta.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from qeqprop.ramps import Ramp, end_slopes

SLOPE = 1e-3
"""The largest slope at the ends of a ramp, in units of its mean slope, that still counts as none."""

PHASE = 0.5
"""The largest shift of a phase by a nudge, in radians, that still counts as small."""


@dataclass(frozen=True)
class Finding:
    """Something that was found in a protocol.

    Attributes:
        kind: in a word or two, such as "end slopes".
        severity: "bias" for a gradient that no evolution time sets right, "warning" for one that is off by more than is
            wanted, "note" for what is good to know.
        message: with the numbers, and what to do.
    """

    kind: str
    severity: Literal["bias", "warning", "note"]
    message: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.kind}: {self.message}"


def biases(ramp: Ramp, nudge: str) -> list[Finding]:
    """Errors of O(1) in the gradient, from a ramp's ends and from the way a nudge is switched on."""
    found: list[Finding] = []
    slopes = end_slopes(ramp)
    if max(map(abs, slopes)) > SLOPE:
        found.append(
            Finding(
                "end slopes",
                "bias",
                f"the ramp starts with slope {slopes[0]:.2g} and ends with {slopes[1]:.2g}; the states converge like "
                "1/total_time, but the gradient keeps an error of O(1): take ramp='cosine' or 'quintic', whose slopes "
                "vanish",
            )
        )
    if nudge == "abrupt":
        found.append(
            Finding(
                "abrupt nudge",
                "bias",
                "a nudge switched on at once leaves the state turning around the nudged one, an error of O(1) in the "
                "gradient for any time: take nudge='ramped' or 'cached'",
            )
        )
    return found


def phase_shift(beta: float, error: float, time: float, slope: float) -> list[Finding]:
    """Whether a nudge shifts phases too far for its quotient to be a derivative.

    Args:
        beta: the largest nudge of the rule.
        error: size of the error signal.
        time: for how long the nudge is there, in full: the integral of its ramp over the time.
        slope: ``|dPhi/dnu|`` per time, the difference of ``<sum_k O_k>`` between neighbouring levels.
    """
    shift = beta * error * time * slope
    if shift <= PHASE:
        return []
    return [
        Finding(
            "phase",
            "note",
            f"the nudge shifts the phase between the state and what it has lost by beta |e| T |dPhi/dnu| = "
            f"{shift:.2g}, not small: what was lost does not cancel in the quotient. It does no harm while that is far "
            f"below beta; a smaller beta or a shorter time brings the shift below {PHASE:g}",
        )
    ]


def gradient_error(kind: str, error: float, wanted: float, remedy: str) -> list[Finding]:
    """Whether an error of the gradient, relative to its length, is below what is wanted."""
    if error <= wanted:
        return []
    return [Finding(kind, "warning", f"changes the gradient by {error:.1%}, more than {wanted:.1%}: {remedy}")]


def stuck_sites(sites: Sequence[int]) -> list[Finding]:
    """Sites on which the start field commutes with the network: their spins never turn."""
    if not sites:
        return []
    return [
        Finding(
            "conserved",
            "warning",
            f"the start field commutes with the network on sites {', '.join(map(str, sites))}, whose spins stay as "
            "they begin: leave `start_field` to be chosen",
        )
    ]


def largest_nudge(rule: object) -> float | None:
    """The largest ``|beta|`` of a rule, by its fields ``beta`` or ``betas``; None for one without nudges."""
    for name in ("beta", "betas"):
        value = getattr(rule, name, None)
        if value is not None:
            return float(np.max(np.abs(value)))
    return None
