"""``y = H x`` for one vector: tiles in registers, blocks and chunks in the caches, higher sites from afar.

Vectors are addresses here (see `kernels.at`), and so are the parts of an `Operator`.
"""

# numba infers the types of compiled functions
# pyright: reportMissingParameterType=false, reportUntypedFunctionDecorator=false, reportArgumentType=false
# pyright: reportCallIssue=false

from __future__ import annotations

from typing import Any, NamedTuple

import numba as nb

from qeqprop.engine.kernels import (
    add_far_flips,
    add_signed_flips,
    add_weighted_flips,
    apply_lanes,
    apply_within_tiles,
    one_site_pass,
    one_site_pass_dot,
    three_site_pass,
    three_site_pass_dot,
    two_site_pass,
    two_site_pass_dot,
)
from qeqprop.engine.kernels import dot as dot_product
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


class Operator(NamedTuple):
    """A Pauli sum (one in each lane) as the kernels take it; all but the numbers are addresses.

    Attributes:
        sites, dim: of the state, with the site that holds real and imaginary part.
        diagonal: (dim * lanes,) all strings of Z.
        n_flips, flip_site: the flips of one site, as in the layout.
        flips: (64 * lanes,) the coefficients of X_k, zero where there is none.
        n_groups, group_mask, group_starts, sign_starts, sign_z: the signed flips, as in the layout.
        values: (n_signs * lanes,) their coefficients.
        n_weights, weights: the `flip_weights`, (n_groups * dim,), or none.
    """

    sites: int
    dim: int
    diagonal: Any
    n_flips: int
    flip_site: Any
    flips: Any
    n_groups: int
    group_mask: Any
    group_starts: Any
    sign_starts: Any
    sign_z: Any
    values: Any
    n_weights: int
    weights: Any


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
def _apply_chunk(operator, x, y, begin, end):
    """All terms on ``begin <= b < end``; returns ``x . y`` there."""
    sites, flips = operator.sites, operator.flips
    size = min(1 << BLOCK_SITES, end - begin)
    inner = min(sites, CHUNK_SITES)
    dot = 0.0
    for first in range(begin, end, size):
        last = first + size
        apply_within_tiles(operator.diagonal, flips, x, y, first, last)
        if operator.n_weights:
            add_weighted_flips(
                operator.group_mask, operator.group_starts, operator.weights, x, y, operator.dim, first, last
            )
        elif operator.n_groups:
            add_signed_flips(
                operator.group_mask, operator.group_starts, operator.sign_starts, operator.sign_z, operator.values,
                SIGN_PATTERNS, x, y, first, last,
            )  # fmt: skip
        if sites > inner:
            add_far_flips(flips, x, y, inner, sites, first, last)
        if sites > TILE_SITES:
            dot += passes(flips, x, y, TILE_SITES, min(sites, BLOCK_SITES), first, last, inner <= BLOCK_SITES)
    if inner > BLOCK_SITES:
        dot = passes(flips, x, y, BLOCK_SITES, inner, begin, end, True)
    return dot


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
        dots[0] = passes(operator.flips, x, y, TILE_SITES, operator.sites, 0, dim, True)
    else:
        size = min(1 << CHUNK_SITES, dim)
        chunks = dim // size
        dot = 0.0
        for chunk in range(chunks * team.rank // team.ranks, chunks * (team.rank + 1) // team.ranks):
            dot += _apply_chunk(operator, x, y, chunk * size, chunk * size + size)
        dots[0] = dot
        if operator.sites == TILE_SITES:  # no pass has seen it
            dot_product((x, y), dots, dots, 0, dim, tag)
