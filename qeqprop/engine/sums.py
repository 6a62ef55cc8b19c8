"""How the Pauli sums of some samples lie in a workspace: made empty once, filled for every sample in turn."""

# numba infers the types of compiled functions
# pyright: reportMissingParameterType=false, reportUntypedFunctionDecorator=false, reportArgumentType=false
# pyright: reportCallIssue=false

from __future__ import annotations

import numba as nb
import numpy as np
from numba.extending import register_jitable

from qeqprop.engine.addresses import at
from qeqprop.engine.apply import OPTIONS, WEIGHTS_LIMIT, Operator
from qeqprop.engine.diagonals import build_diagonal
from qeqprop.engine.flips import weigh_flips
from qeqprop.engine.lanes import LANES
from qeqprop.engine.layout import SIGN_PATTERNS
from qeqprop.engine.team import wait
from qeqprop.engine.vectors import TILE

FLIPS = 64
"""Room for the coefficients of X on so many sites: no state vector has more."""


@register_jitable
def _n_weights(layout, lanes, ranks):
    """Size of the table of coefficient vectors: for one small sample by one thread, where strings share their flips."""
    groups, signs = layout.group_mask.size, layout.sign_index.size
    size = groups << (layout.sites - layout.partner)
    return size if lanes == 1 and ranks == 1 and size <= WEIGHTS_LIMIT and 2 * signs >= 3 * groups else 0


@register_jitable
def operator_space(layout):
    """Numbers that an operator needs beside its diagonal, for any number of lanes."""
    return _n_weights(layout, 1, 1) + LANES * (FLIPS + layout.sign_index.size)


@register_jitable
def _places(layout, lanes):
    """Where in this space the coefficients of signed flips and their vectors begin, after those of FLIPS sites."""
    values = FLIPS * lanes
    return values, values + layout.sign_index.size * lanes


@nb.njit(**OPTIONS)
def empty_operator(layout, diagonal, space, team, tag):
    """An operator whose parts lie in space, an array of `operator_space`; its diagonal (dim * lanes,) is elsewhere."""
    lanes = len(tag)
    values, weights = _places(layout, lanes)
    return Operator(
        layout.sites,
        1 << layout.sites,
        layout.partner,
        at(diagonal, 0),
        layout.flip_site.size,
        at(layout.flip_site, 0),
        at(space, 0),
        layout.group_mask.size,
        at(layout.group_mask, 0),
        at(layout.group_starts, 0),
        at(layout.sign_mask, 0),
        at(layout.lane_starts, 0),
        at(layout.sign_starts, 0),
        at(layout.sign_z, 0),
        at(space, values),
        _n_weights(layout, lanes, team.ranks),
        at(space, weights),
    )


@nb.njit(**OPTIONS)
def build_operator(layout, coefficients, rows, diagonal, space, scratch, team, tag):
    """Fills the parts of an operator with the sums of the samples ``rows``; coefficients (batch, n_strings)."""
    lanes = len(tag)
    mine = np.empty((layout.strings, lanes))
    for lane in range(lanes):
        for s in range(layout.strings):
            mine[s, lane] = coefficients[rows[lane], s]
    if team.rank == 0:
        build_diagonal(layout, mine, diagonal, scratch, tag)
        first, weights = _places(layout, lanes)
        flips, values = space[:first], space[first:]
        flips[:] = 0.0
        for k in range(layout.flip_site.size):
            for lane in range(lanes):
                flips[layout.flip_site[k] * lanes + lane] = mine[layout.flip_index[k], lane]
        for k in range(layout.sign_index.size):
            for lane in range(lanes):
                values[k * lanes + lane] = mine[layout.sign_index[k], lane] * layout.sign_factor[k]
        n_weights = _n_weights(layout, lanes, team.ranks)
        if n_weights:
            half = 1 << (layout.sites - layout.partner)
            weigh_flips(
                layout.group_mask.size, layout.group_mask, layout.sign_starts, layout.sign_z, at(values, 0),
                SIGN_PATTERNS, at(space, weights), half, TILE >> layout.partner,
            )  # fmt: skip
    wait(team)


@nb.njit(**OPTIONS)
def convert_parts(layout, source, target, team, tag):
    """The parts of an operator, except for its diagonal, in another precision."""
    if team.rank == 0:
        for k in range(_places(layout, len(tag))[1] + _n_weights(layout, len(tag), team.ranks)):
            target[k] = source[k]
    wait(team)
