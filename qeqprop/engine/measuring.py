"""The matrix elements of all strings at once, for vectors that lie in a workspace."""

# numba infers the types of compiled functions
# pyright: reportMissingParameterType=false, reportUntypedFunctionDecorator=false, reportArgumentType=false
# pyright: reportCallIssue=false

from __future__ import annotations

import numba as nb
import numpy as np

from qeqprop.engine.apply import OPTIONS, TILE_SITES
from qeqprop.engine.diagonals import diagonal_elements
from qeqprop.engine.elements import (
    elements_within_tiles,
    one_site_elements,
    signed_elements,
    three_site_elements,
    two_site_elements,
)
from qeqprop.engine.lanes import element_lanes
from qeqprop.engine.layout import SIGN_PATTERNS
from qeqprop.engine.sums import FLIPS
from qeqprop.engine.team import wait
from qeqprop.engine.vectors import WIDTH


@nb.njit(**OPTIONS)
def string_elements(layout, u, v, elements, total, difference, team, tag):
    """``<u|P_s|v>`` (its real part) of all strings, elements (n_strings, lanes), for u and v (dim * lanes,).

    A team divides the work: its first rank takes the strings of Z, its last one the flips. u and v are addresses.
    """
    lanes = len(tag)
    sites = layout.sites
    dim = 1 << sites
    sums = np.empty(2 * lanes)
    if team.rank == 0:
        diagonal_elements(layout, u, v, elements, total, difference, sums, tag)
    if team.rank == team.ranks - 1:
        if lanes == 1:
            flips = np.zeros(FLIPS)
            if layout.flip_site.size:
                elements_within_tiles(u, v, flips, 0, dim)
                for bit in range(TILE_SITES, sites, 3):
                    if sites - bit >= 3:
                        three_site_elements(u, v, flips, bit, 0, dim)
                    elif sites - bit == 2:
                        two_site_elements(u, v, flips, bit, 0, dim)
                    else:
                        one_site_elements(u, v, flips, bit, 0, dim)
            for k in range(layout.flip_site.size):
                elements[layout.flip_index[k], 0] = flips[layout.flip_site[k]]
            if layout.sign_index.size:
                accumulators = np.zeros(layout.sign_index.size * WIDTH)
                signed_elements(
                    layout.group_mask, layout.group_starts, layout.sign_starts, layout.sign_z, SIGN_PATTERNS, u, v,
                    accumulators, 0, dim,
                )  # fmt: skip
                for k in range(layout.sign_index.size):
                    value = 0.0
                    for lane in range(WIDTH):
                        value += accumulators[k * WIDTH + lane]
                    elements[layout.sign_index[k], 0] = value * layout.sign_factor[k]
        else:
            for k in range(layout.flip_site.size):
                element_lanes(dim, 1 << layout.flip_site[k], 0, u, v, sums)
                for lane in range(lanes):
                    elements[layout.flip_index[k], lane] = sums[lane]
            for group in range(layout.group_mask.size):
                for k in range(layout.sign_starts[group], layout.sign_starts[group + 1]):
                    element_lanes(dim, layout.group_mask[group], layout.sign_z[k], u, v, sums)
                    for lane in range(lanes):
                        elements[layout.sign_index[k], lane] = sums[lane] * layout.sign_factor[k]
    wait(team)


@nb.njit(**OPTIONS)
def hand_over(elements, rows, result, factor, team, tag):
    """Writes ``factor`` times the elements (n_strings, lanes) to the samples ``rows`` of result (batch, n_strings)."""
    if team.rank == 0:
        for lane in range(len(tag)):
            for s in range(elements.shape[0]):
                result[rows[lane], s] = factor * elements[s, lane]
    wait(team)
