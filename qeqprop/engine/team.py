"""A team of threads that runs one kernel together: ranks, shared sums and a barrier.

All ranks run the same code on shares of the same vectors. A sum over a vector is added up by every rank in the same
order, so that all of them take the same decisions. Ranks are threads of their own (the kernels hold no interpreter
lock), never iterations of a loop that might be run one after the other: they wait for each other.
"""

# numba infers the types of compiled functions
# pyright: reportMissingParameterType=false, reportUntypedFunctionDecorator=false, reportArgumentType=false
# pyright: reportCallIssue=false

from __future__ import annotations

import os
from functools import cache
from typing import Any, NamedTuple

import numba as nb
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from qeqprop.engine.vectors import WIDTH
from qeqprop.interfaces import FloatArray, IntArray

SHARED = 256
"""Numbers a rank can share in one sum."""

_GRAIN = 4 * WIDTH


class Team(NamedTuple):
    """One member's view of its team.

    Attributes:
        rank, ranks: which member this is, of how many.
        arrivals: (1,) how often any rank has reached the barrier.
        epochs: (ranks, 8) how often each rank has, one cache line each.
        shares: (2, ranks, SHARED) what each rank puts into the sums; two sets, used in turn, so that a fast rank cannot
            overwrite what a slow one still reads.
    """

    rank: int
    ranks: int
    arrivals: IntArray
    epochs: IntArray
    shares: FloatArray


def teams(ranks: int) -> list[Team]:
    """The views of all members of a new team."""
    arrivals, epochs = np.zeros(1, dtype=np.int64), np.zeros((ranks, 8), dtype=np.int64)
    shares = np.zeros((2, ranks, SHARED))
    return [Team(rank, ranks, arrivals, epochs, shares) for rank in range(ranks)]


@cache
def alone() -> Team:
    """A team of one, whose sums and barriers do nothing: anybody may use it at any time."""
    return teams(1)[0]


@intrinsic
def _arrive(typing, arrivals):
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        builder.atomic_rmw("add", place, ir.Constant(ir.IntType(64), 1), "seq_cst")
        return context.get_dummy_value()

    return types.void(arrivals), code


@intrinsic
def _arrived(typing, arrivals):
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.load_atomic(place, "seq_cst", 8)

    return types.int64(arrivals), code


@intrinsic
def _give_way(typing):
    """Lets another thread have the core, where the system knows how: the one waited for may need it."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if os.name == "posix":
            kind = ir.FunctionType(ir.IntType(32), [])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, "sched_yield"), [])
        return context.get_dummy_value()

    return types.void(), code


_PATIENCE = 2000
"""Looks at the barrier before a rank gives way (some microseconds): with a core for each it never comes to that."""


@nb.njit(cache=True, nogil=True, forceinline=True)
def wait(team):
    """Returns when every rank has come here."""
    if team.ranks > 1:
        team.epochs[team.rank, 0] += 1
        target = team.epochs[team.rank, 0] * team.ranks
        _arrive(team.arrivals)
        looks = 0
        while _arrived(team.arrivals) < target:
            looks += 1
            if looks > _PATIENCE:
                _give_way()


@nb.njit(cache=True, nogil=True, forceinline=True)
def add_up(team, sums, count):
    """Replaces the first ``count`` numbers (at most SHARED) of all ranks by their sum over ranks; also a barrier."""
    if team.ranks > 1:
        page = team.epochs[team.rank, 0] % 2
        for k in range(count):
            team.shares[page, team.rank, k] = sums[k]
        wait(team)
        for k in range(count):
            total = 0.0
            for rank in range(team.ranks):
                total += team.shares[page, rank, k]
            sums[k] = total


@nb.njit(cache=True, nogil=True, forceinline=True)
def share(team, size):
    """The part ``begin, end`` of a vector that a rank works on, in multiples of four registers."""
    grains = size // _GRAIN
    return grains * team.rank // team.ranks * _GRAIN, grains * (team.rank + 1) // team.ranks * _GRAIN
