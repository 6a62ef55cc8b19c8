"""``y = H x`` for one vector: tiles in registers, blocks and chunks in the caches, higher sites from afar."""

# numba infers the types of compiled functions
# pyright: reportMissingParameterType=false, reportUntypedFunctionDecorator=false, reportArgumentType=false
# pyright: reportCallIssue=false

from __future__ import annotations

import numba as nb

from qeqprop.engine.kernels import (
    add_far_flips,
    add_signed_flips,
    add_weighted_flips,
    apply_within_tiles,
    one_site_pass,
    one_site_pass_dot,
    three_site_pass,
    three_site_pass_dot,
    two_site_pass,
    two_site_pass_dot,
)
from qeqprop.engine.layout import SIGN_PATTERNS
from qeqprop.engine.vectors import TILE

OPTIONS = {"cache": True, "error_model": "numpy", "nogil": True, "fastmath": True}

INLINED = {**OPTIONS, "forceinline": True}
"""For functions whose call would cost as much as their work on a small state."""

TILE_SITES = TILE.bit_length() - 1
CHUNK_SITES = 14
"""A chunk of 2^14 amplitudes: its x, y and D, 128 KiB each, stay in the second-level cache."""
BLOCK_SITES = 11
"""A block of 2^11 amplitudes: its x and y, 16 KiB each, stay in the first-level cache."""


WEIGHTS_LIMIT = 1 << 19
"""Largest table of coefficient vectors (4 MiB): it must be read faster than it can be made anew."""


@nb.njit(**INLINED)
def parity_sign(bits, mask):
    """``(-1)^popcount(bits & mask)``."""
    parity = bits & mask
    for shift in (32, 16, 8, 4, 2, 1):
        parity ^= parity >> shift
    return 1.0 - 2.0 * (parity & 1)


@nb.njit(**OPTIONS)
def flip_weights(layout, values, weights):
    """The coefficients of all signed flips at every amplitude, weights (n_groups * dim,)."""
    dim = 1 << layout.sites
    weights[:] = 0.0
    for group in range(layout.group_mask.size):
        for k in range(layout.sign_starts[group], layout.sign_starts[group + 1]):
            pattern = SIGN_PATTERNS[layout.sign_z[k] & (TILE - 1)]
            for base in range(0, dim, TILE):
                value = values[k] * parity_sign(base, layout.sign_z[k])
                place = group * dim + base
                for b in range(TILE):
                    weights[place + b] += value * pattern[b]


@nb.njit(**INLINED)
def _pass(flips, x, y, bit, sites, begin, end, with_dot):
    if sites == 3:
        if with_dot:
            return three_site_pass_dot(flips, x, y, bit, begin, end)
        return three_site_pass(flips, x, y, bit, begin, end)
    if sites == 2:
        if with_dot:
            return two_site_pass_dot(flips, x, y, bit, begin, end)
        return two_site_pass(flips, x, y, bit, begin, end)
    if with_dot:
        return one_site_pass_dot(flips, x, y, bit, begin, end)
    return one_site_pass(flips, x, y, bit, begin, end)


@nb.njit(**INLINED)
def passes(flips, x, y, low, high, begin, end, with_dot):
    """``y += sum_k flips[k] X_k x`` for ``low <= k < high``, three sites at a time; with_dot: returns ``x . y``."""
    bit = low
    while bit + 3 < high:
        three_site_pass(flips, x, y, bit, begin, end)
        bit += 3
    return _pass(flips, x, y, bit, high - bit, begin, end, with_dot)


@nb.njit(**INLINED)
def apply_chunk(diagonal, flips, signs, x, y, begin, end, sites):
    """All terms on ``begin <= b < end``; returns ``x . y`` there. ``sites`` are those of the whole state."""
    size = min(1 << BLOCK_SITES, end - begin)
    inner = min(sites, CHUNK_SITES)
    dot = 0.0
    for first in range(begin, end, size):
        last = first + size
        apply_within_tiles(diagonal, flips, x, y, first, last)
        group_mask, group_starts, sign_starts, sign_z, values, weights = signs
        if weights.size:
            add_weighted_flips(group_mask, group_starts, weights, x, y, x.size, first, last)
        elif values.size:
            add_signed_flips(group_mask, group_starts, sign_starts, sign_z, values, SIGN_PATTERNS, x, y, first, last)
        if sites > inner:
            add_far_flips(flips, x, y, inner, sites, first, last)
        if sites > TILE_SITES:
            dot += passes(flips, x, y, TILE_SITES, min(sites, BLOCK_SITES), first, last, inner <= BLOCK_SITES)
        else:
            for b in range(first, last):
                dot += x[b] * y[b]
    if inner > BLOCK_SITES:
        dot = passes(flips, x, y, BLOCK_SITES, inner, begin, end, True)
    return dot


@nb.njit(**INLINED)
def apply(sites, diagonal, flips, signs, x, y):
    """``y = H x``; returns ``x . y``.

    Args:
        sites: the state has 2^sites amplitudes.
        diagonal: (dim,) all strings of Z.
        flips: (sites,) or longer, the coefficients of X_k.
        signs: group_mask, group_starts, sign_starts and sign_z of the layout, the coefficients of its signed flips, and
            their `flip_weights`, or an empty array.
        x: (dim,).
        y: (dim,) result.
    """
    if sites <= BLOCK_SITES and sites > TILE_SITES and signs[4].size == 0:
        apply_within_tiles(diagonal, flips, x, y, 0, x.size)
        return passes(flips, x, y, TILE_SITES, sites, 0, x.size, True)
    size = min(1 << CHUNK_SITES, x.size)
    dot = 0.0
    for begin in range(0, x.size, size):
        dot += apply_chunk(diagonal, flips, signs, x, y, begin, begin + size, sites)
    return dot


@nb.njit(**OPTIONS)
def apply_together(sites, diagonal, flips, signs, x, y, team):
    """`apply` by all ranks of a team, each its share; returns that of ``x . y``. Needs 2^CHUNK_SITES amplitudes."""
    size = 1 << CHUNK_SITES
    chunks = x.size >> CHUNK_SITES
    dot = 0.0
    for chunk in range(chunks * team.rank // team.ranks, chunks * (team.rank + 1) // team.ranks):
        begin = chunk * size
        dot += apply_chunk(diagonal, flips, signs, x, y, begin, begin + size, sites)
    return dot
