"""``y = H x`` for one vector: tiles in registers, blocks and chunks in the caches, and passes over ever larger parts.

Vectors are addresses here (see `addresses.at`), and so are the parts of an `Operator`.
"""

# numba infers the types of compiled functions
# pyright: reportMissingParameterType=false, reportUntypedFunctionDecorator=false, reportArgumentType=false
# pyright: reportCallIssue=false

from __future__ import annotations

from typing import Any, NamedTuple

import numba as nb
import numpy as np
from numba import types
from numba.extending import overload

from qeqprop.engine.flips import (
    add_signed_flips,
    add_signed_flips_twice,
    add_weighted_flips,
    add_weighted_flips_twice,
    apply_within_tiles,
    one_site_pass,
    one_site_pass_dot,
    three_site_pass,
    three_site_pass_dot,
    two_site_pass,
    two_site_pass_dot,
)
from qeqprop.engine.lanes import apply_lanes
from qeqprop.engine.layout import SIGN_PATTERNS
from qeqprop.engine.streams import dot, product
from qeqprop.engine.team import share, wait
from qeqprop.engine.vectors import TILE

OPTIONS = {"cache": True, "error_model": "numpy", "nogil": True, "fastmath": True}

INLINED = {**OPTIONS, "forceinline": True}
"""For functions whose call would cost as much as their work on a small state."""

_SINGLE_PATTERNS = SIGN_PATTERNS.astype(np.float32)
TILE_SITES = TILE.bit_length() - 1
CHUNK_SITES = 14
"""A chunk of 2^14 amplitudes: its x, y and D, 128 KiB each, stay in the second-level cache."""
BLOCK_SITES = 11
"""A block of 2^11 amplitudes: its x and y, 16 KiB each, stay in the first-level cache."""


WEIGHTS_LIMIT = 1 << 15
"""Largest table of coefficient vectors (256 KiB, half a second-level cache): beyond it signs are found as they are
needed."""


@nb.njit(**INLINED)
def parity_sign(bits, mask):
    """``(-1)^popcount(bits & mask)``."""
    parity = bits & mask
    for shift in (32, 16, 8, 4, 2, 1):
        parity ^= parity >> shift
    return 1.0 - 2.0 * (parity & 1)


class Operator(NamedTuple):
    """A Pauli sum (one in each lane) as the kernels take it; all but the numbers are addresses.

    Attributes:
        sites, dim, partner: of the state, as in the layout; 2^sites amplitudes.
        diagonal: (dim * lanes,) all strings of Z.
        n_flips, flip_site: the flips of one site, as in the layout.
        flips: (FLIPS * lanes,) the coefficients of X_k, zero where there is none.
        n_groups, group_mask, group_starts: the signed flips by masks, as in the layout.
        sign_mask, lane_starts, sign_starts, sign_z: the signed flips by strings, as in the layout.
        values: (n_signs * lanes,) their coefficients.
        n_weights, weights: the coefficient vectors of the masks, (n_groups * dim / (1 + partner),), or none.
    """

    sites: int
    dim: int
    partner: int
    diagonal: Any
    n_flips: int
    flip_site: Any
    flips: Any
    n_groups: int
    group_mask: Any
    group_starts: Any
    sign_mask: Any
    lane_starts: Any
    sign_starts: Any
    sign_z: Any
    values: Any
    n_weights: int
    weights: Any


@nb.njit(**INLINED)
def _pass(flips, x, y, low, high, begin, end, with_dot):
    """``y += sum_k flips[k] X_k x`` for one to three sites ``low <= k < high``; begin and end count columns."""
    if high - low == 3:
        if with_dot:
            return three_site_pass_dot(flips, x, y, low, begin, end)
        return three_site_pass(flips, x, y, low, begin, end)
    if high - low == 2:
        if with_dot:
            return two_site_pass_dot(flips, x, y, low, begin, end)
        return two_site_pass(flips, x, y, low, begin, end)
    if with_dot:
        return one_site_pass_dot(flips, x, y, low, begin, end)
    return one_site_pass(flips, x, y, low, begin, end)


@nb.njit(**INLINED)
def _passes(flips, x, y, low, high, begin, end, with_dot):
    """``y += sum_k flips[k] X_k x`` for ``low <= k < high``, three sites at a time; with_dot: returns ``x . y``."""
    bit = low
    while bit + 3 < high:
        three_site_pass(flips, x, y, bit, begin >> 3, end >> 3)
        bit += 3
    rest = high - bit
    return _pass(flips, x, y, bit, high, begin >> rest, end >> rest, with_dot)


@nb.njit(**INLINED)
def _apply_share(operator, x, y, high, begin, end, with_dot):
    """Strings of Z and flips of the sites below high, on ``begin <= b < end``; with_dot: returns ``x . y`` there.

    A cache holds what it needs for three more sites than the one before. Their pass comes as soon as the eight parts
    that it joins are complete, the last of them still at hand.
    """
    flips = operator.flips
    block, chunk = min(high, BLOCK_SITES), min(high, CHUNK_SITES)
    dot = 0.0
    for first in range(begin, end, 1 << chunk):
        last = first + (1 << chunk)
        apply_within_tiles(operator.diagonal, flips, x, y, first, last)
        if block > TILE_SITES:
            for part in range(first, last, 1 << block):
                dot += _passes(flips, x, y, TILE_SITES, block, part, part + (1 << block), with_dot and high == block)
        if chunk > block:
            dot += _passes(flips, x, y, block, chunk, first, last, with_dot and high == chunk)
        low = chunk
        while low < high:
            top = min(low + 3, high)
            if last & ((1 << top) - 1):
                break
            before, columns = last - (1 << top), top - low
            dot += _pass(flips, x, y, low, top, before >> columns, last >> columns, with_dot and high == top)
            low = top
    return dot


@nb.njit(**OPTIONS)
def _apply_flips(operator, x, y, team, with_dot):
    """Strings of Z and flips of one site; with_dot: returns this rank's share of ``x . y``."""
    high = operator.sites
    if team.ranks > 1:  # sites that a rank can do alone, with work for everyone
        high = min(high, CHUNK_SITES)
        while operator.dim >> (high + 3) >= 4 * team.ranks:
            high += 3
    blocks = operator.dim >> high
    begin, end = blocks * team.rank // team.ranks << high, blocks * (team.rank + 1) // team.ranks << high
    dot = _apply_share(operator, x, y, high, begin, end, with_dot and high == operator.sites)
    while high < operator.sites:
        top = min(high + 3, operator.sites)
        begin, end = share(team, operator.dim >> (top - high))
        wait(team)  # a column reaches into what others have written
        dot += _pass(operator.flips, x, y, high, top, begin, end, with_dot and top == operator.sites)
        high = top
    return dot


def sign_patterns(x):
    """SIGN_PATTERNS in the precision of a vector."""
    return SIGN_PATTERNS.astype(x.dtype)


@overload(sign_patterns, inline="always")
def _sign_patterns(x):
    if x.dtype == types.float32:
        return lambda x: _SINGLE_PATTERNS
    return lambda x: SIGN_PATTERNS


@nb.njit(**INLINED)
def _add_signs(operator, x, y, team):
    """The signed flips, of this rank's share; returns its share of ``x . y``."""
    halves = 1 + operator.partner
    half = operator.dim >> operator.partner
    grain = TILE // halves
    begin = half // grain * team.rank // team.ranks * grain
    end = half // grain * (team.rank + 1) // team.ranks * grain
    if operator.n_weights:
        count, masks, starts, weights = operator.n_groups, operator.group_mask, operator.group_starts, operator.weights
        if operator.partner:
            return add_weighted_flips_twice(count, masks, starts, weights, x, y, half, begin, end)
        return add_weighted_flips(count, masks, starts, weights, x, y, half, begin, end)
    masks, starts, z, values = operator.sign_mask, operator.lane_starts, operator.sign_z, operator.values
    if operator.partner:
        return add_signed_flips_twice(masks, starts, z, values, sign_patterns(x), x, y, half, begin, end)
    return add_signed_flips(masks, starts, z, values, sign_patterns(x), x, y, half, begin, end)


@nb.njit(**INLINED)
def apply(operator, x, y, dots, team, tag):
    """``y = H x`` and this rank's share of ``dots = x . y``; x and y (dim * lanes,), dots an array (lanes,).

    A team needs at least 2^CHUNK_SITES amplitudes.
    """
    dim = operator.dim
    if len(tag) > 1:
        apply_lanes(
            dim, operator.diagonal, operator.n_flips, operator.flip_site, operator.flips, operator.n_groups,
            operator.group_mask, operator.sign_starts, operator.sign_z, operator.values, x, y, dots,
        )  # fmt: skip
    elif TILE_SITES < operator.sites <= BLOCK_SITES and operator.n_groups == 0:
        apply_within_tiles(operator.diagonal, operator.flips, x, y, 0, dim)
        dots[0] = _passes(operator.flips, x, y, TILE_SITES, operator.sites, 0, dim, True)
    else:
        begin, end = share(team, dim)
        dots[0] = 0.0
        if operator.n_flips == 0:
            product((y, operator.diagonal, x), dots, dots, begin, end, tag)
        else:
            dots[0] = _apply_flips(operator, x, y, team, operator.n_groups == 0)
        if operator.n_groups:
            wait(team)  # a string with Y reaches into the other half
            dots[0] = _add_signs(operator, x, y, team)
        elif operator.n_flips == 0 or operator.sites == TILE_SITES:  # no pass has seen it
            dots[0] = 0.0
            dot((x, y), dots, dots, begin, end, tag)


@nb.njit(**OPTIONS)
def apply_once(operator, x, y, dots, team, tag):
    """`apply` outside the innermost loops: compiled once, not into every caller."""
    apply(operator, x, y, dots, team, tag)
