"""Samples into the lanes of a workspace and back, from one precision to another, and from a state to i times it."""

# numba infers the types of compiled functions
# pyright: reportMissingParameterType=false, reportUntypedFunctionDecorator=false, reportArgumentType=false
# pyright: reportCallIssue=false

from __future__ import annotations

import numba as nb
import numpy as np

from qeqprop.engine.addresses import at
from qeqprop.engine.apply import INLINED, OPTIONS
from qeqprop.engine.streams import copy
from qeqprop.engine.team import share, wait

_NOTHING = np.zeros(0)


@nb.njit(**OPTIONS)
def gather(source, which, rows, target, team, tag):
    """Vectors ``source[row, which[row]]``, source (batch, n, dim), side by side in target (dim * lanes,)."""
    lanes = len(tag)
    dim = source.shape[2]
    if lanes == 1:
        row = rows[0]
        begin, end = share(team, dim)
        target[begin:end] = source[row, which[row], begin:end]
    else:
        for lane in range(lanes):
            row = rows[lane]
            for b in range(dim):
                target[b * lanes + lane] = source[row, which[row], b]
    wait(team)


@nb.njit(**OPTIONS)
def scatter(source, rows, target, place, team, tag):
    """The reverse of `gather`, into ``target[row, place]``."""
    lanes = len(tag)
    dim = target.shape[2]
    if lanes == 1:
        begin, end = share(team, dim)
        target[rows[0], place, begin:end] = source[begin:end]
    else:
        for lane in range(lanes):
            row = rows[lane]
            for b in range(dim):
                target[row, place, b] = source[b * lanes + lane]
    wait(team)


@nb.njit(**OPTIONS)
def partner_of(x, target, team):
    """``i x`` where the upper half of x holds the imaginary parts."""
    half = x.size // 2
    begin, end = share(team, half)
    for k in range(begin, end):
        target[k] = -x[half + k]
        target[half + k] = x[k]
    wait(team)


@nb.njit(**INLINED)
def convert(source, target, team, tag):
    """``target = source``, arrays (dim * lanes,) of any precision."""
    begin, end = share(team, source.size)
    copy((at(target, 0), at(source, 0)), _NOTHING, _NOTHING, begin, end, tag)
    wait(team)
