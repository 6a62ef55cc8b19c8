"""Vector instructions for Pauli strings: one string on a vector and its partner, and sums of strings.

A Pauli string ``P = i^n_y X^x Z^z`` has the elements ``<b|P|b xor x> = i^n_y (-1)^popcount((b xor x) & z)``. On vectors
``b xor x`` is another vector (the *partner*), lanes flipped; the sign is a number for the vector times a fixed pattern
over the lanes.
"""

# numba's and llvmlite's decorators and values carry no types
# pyright: reportUntypedFunctionDecorator=false, reportUnusedFunction=false

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from qeqprop.engine.circuit_products import load_pair, store_pair
from qeqprop.engine.circuit_vectors import LANE_BITS, accumulators, collect, deposit, loop, pointers_of
from qeqprop.engine.vectors import (
    INT64,
    WIDTH,
    flip_lanes,
    load,
    multiply,
    multiply_add,
    splat,
    store,
)

_PLACE, _NUMBER = types.intp, types.float64
_BIT = ir.IntType(1)
Builder = Any  # llvmlite's types are opaque


def _flip_by(builder: Builder, vector: Any, mask: Any) -> Any:
    """Like `flip_lanes` for a mask that is known at run time only."""
    for bit in range(LANE_BITS):
        chosen = builder.trunc(builder.lshr(mask, INT64(bit)), _BIT)
        vector = builder.select(chosen, flip_lanes(builder, vector, 1 << bit), vector)
    return vector


def _partners(context: Any, builder: Builder, signature: Any, args: Any, place: Any, flip: Any) -> tuple[Any, Any]:
    """The vectors of the source arrays (arguments 2 and 3) at ``place``, lanes flipped and signed by argument 4."""
    a, b, signs = pointers_of(context, builder, signature, args, [2, 3, 4])
    pattern = load(builder, signs, INT64(0))
    return (
        multiply(builder, pattern, _flip_by(builder, load(builder, a, place), flip)),
        multiply(builder, pattern, _flip_by(builder, load(builder, b, place), flip)),
    )


@intrinsic
def string_turn(
    typing: Any, re: Any, im: Any, a: Any, b: Any, signs: Any, place: Any, partner: Any, flip: Any,
    c: Any, here_r: Any, here_i: Any, there_r: Any, there_i: Any,
) -> Any:  # fmt: skip
    """``re = c re + here_r A, im = c im + here_i B`` with A, B from the partner, and the partner likewise."""

    def emit(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        state = pointers_of(context, builder, signature, args, [0, 1])
        place, partner, flip = args[5:8]
        c, here_r, here_i, there_r, there_i = (splat(builder, value) for value in args[8:13])
        here, there = load_pair(builder, state, place), load_pair(builder, state, partner)
        from_there = _partners(context, builder, signature, args, partner, flip)
        from_here = _partners(context, builder, signature, args, place, flip)
        for where, old, source, factors in (
            (place, here, from_there, (here_r, here_i)),
            (partner, there, from_here, (there_r, there_i)),
        ):
            new = [
                multiply_add(builder, factor, new, multiply(builder, c, kept))
                for factor, new, kept in zip(factors, source, old, strict=True)
            ]
            store_pair(builder, (new[0], new[1]), state, where)
        return context.get_dummy_value()

    return types.void(re, im, a, b, signs, _PLACE, _PLACE, types.int64, *[_NUMBER] * 5), emit


@intrinsic
def string_add(
    typing: Any, re: Any, im: Any, a: Any, b: Any, signs: Any, place: Any, partner: Any, flip: Any, kr: Any, ki: Any
) -> Any:
    """``re += kr A, im += ki B`` with A, B from the partner."""

    def emit(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        state = pointers_of(context, builder, signature, args, [0, 1])
        place, partner, flip = args[5:8]
        source = _partners(context, builder, signature, args, partner, flip)
        re, im = load_pair(builder, state, place)
        re = multiply_add(builder, splat(builder, args[8]), source[0], re)
        store_pair(builder, (re, multiply_add(builder, splat(builder, args[9]), source[1], im)), state, place)
        return context.get_dummy_value()

    return types.void(re, im, a, b, signs, _PLACE, _PLACE, types.int64, _NUMBER, _NUMBER), emit


@intrinsic
def weigh(typing: Any, re: Any, im: Any, a: Any, b: Any, place: Any, q: Any, entry: Any) -> Any:
    """``re = q a, im = q b`` for a vector of real numbers ``q[entry]``."""

    def emit(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        pointers = pointers_of(context, builder, signature, args, [0, 1, 2, 3])
        weights = load(builder, pointers_of(context, builder, signature, args, [5])[0], args[6])
        a, b = load_pair(builder, pointers[2:], args[4])
        store_pair(builder, (multiply(builder, weights, a), multiply(builder, weights, b)), pointers, args[4])
        return context.get_dummy_value()

    return types.void(re, im, a, b, _PLACE, q, _PLACE), emit


@intrinsic
def overlap(typing: Any, re: Any, im: Any, a: Any, b: Any, start: Any, length: Any, sums: Any) -> Any:
    """Adds ``re a + im b``, over a range of places, to the vector ``sums[0]``."""

    def emit(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        pointers = pointers_of(context, builder, signature, args, [0, 1, 2, 3])
        (sums,) = pointers_of(context, builder, signature, args, [6])
        (found,) = accumulators(builder, 1, ways=4)
        with loop(builder, args[5], 2 * WIDTH) as k:
            terms: list[tuple[Any, Any, int]] = []
            for next_one in range(2):
                place = builder.add(builder.add(args[4], k), INT64(next_one * WIDTH))
                re, im, a, b = (load(builder, pointer, place) for pointer in pointers)
                terms += [(re, a, 1), (im, b, 1)]
            collect(builder, terms, found)
        deposit(builder, [found], sums, [None])
        return context.get_dummy_value()

    return types.void(re, im, a, b, _PLACE, _PLACE, sums), emit


@intrinsic
def far_add(
    typing: Any, target: Any, source: Any, start: Any, length: Any, x0: Any, x1: Any, x2: Any, x3: Any,
    c0: Any, c1: Any, c2: Any, c3: Any,
) -> Any:  # fmt: skip
    """``target[k] += sum_j c_j source[k xor x_j]`` over four masks that leave the lanes alone, on a range of places."""

    def emit(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        target, source = pointers_of(context, builder, signature, args, [0, 1])
        factors = [splat(builder, value) for value in args[8:12]]
        with loop(builder, args[3], WIDTH) as k:
            place = builder.add(args[2], k)
            total = load(builder, target, place)
            for mask, factor in zip(args[4:8], factors, strict=True):
                total = multiply_add(builder, factor, load(builder, source, builder.xor(place, mask)), total)
            store(builder, total, target, place)
        return context.get_dummy_value()

    return types.void(target, source, *[_PLACE] * 6, *[_NUMBER] * 4), emit


@intrinsic
def string_dot(
    typing: Any, re: Any, im: Any, a: Any, b: Any, signs: Any, sums: Any, place: Any, partner: Any, flip: Any,
    kr: Any, ki: Any,
) -> Any:  # fmt: skip
    """Adds ``kr re A + ki im B``, with A, B from the partner, to the vector ``sums[0]``."""

    def emit(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        state = pointers_of(context, builder, signature, args, [0, 1])
        (sums,) = pointers_of(context, builder, signature, args, [5])
        place, partner, flip = args[6:9]
        source = _partners(context, builder, signature, args, partner, flip)
        re, im = load_pair(builder, state, place)
        total = load(builder, sums, INT64(0))
        total = multiply_add(builder, splat(builder, args[9]), multiply(builder, re, source[0]), total)
        total = multiply_add(builder, splat(builder, args[10]), multiply(builder, im, source[1]), total)
        store(builder, total, sums, INT64(0))
        return context.get_dummy_value()

    return types.void(re, im, a, b, signs, sums, _PLACE, _PLACE, types.int64, _NUMBER, _NUMBER), emit
