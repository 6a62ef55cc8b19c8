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

from qeqprop.engine import addresses
from qeqprop.engine.circuit_products import load_pair, store_pair
from qeqprop.engine.circuit_vectors import (
    LANE_BITS,
    SWEEP_BITS,
    TILE_BITS,
    accumulators,
    bit_signs,
    collect,
    deposit,
    loads,
    loop,
    pointers_of,
    stores,
)
from qeqprop.engine.vectors import (
    DOUBLE,
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
def sum_tiles(
    typing: Any, target: Any, own: Any, other: Any, start: Any, length: Any, q: Any, x: Any, z: Any, factors: Any,
    evens: Any, count: Any, weight: Any, sums: Any, h0: Any, h1: Any, h2: Any, h3: Any, h4: Any, h5: Any,
) -> Any:  # fmt: skip
    """One plane of ``H psi`` over a range of places, tile after tile, for strings that take whole tiles to tiles.

    ``target = q own + sum_s f_s P_s own + weight (sum_t f_t P_t - sum_k h_k (i Y_k)) other``: the strings s are the
    first ``evens`` of ``count``, the strings t the others, Y_k acts on qubit k of the tile, and P is X^x Z^z but for
    the factor. Adds ``sum own target`` to the vector ``sums[0]``.
    """

    def emit(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        target, own, other = pointers_of(context, builder, signature, args, [0, 1, 2])
        q, x, z, factors, sums = pointers_of(context, builder, signature, args, [5, 6, 7, 8, 12])
        start, length, evens, count, weight = args[3], args[4], args[9], args[10], args[11]
        fields = [splat(builder, builder.fneg(builder.fmul(weight, value))) for value in args[13 : 13 + TILE_BITS]]
        lanes = [multiply(builder, builder.fneg(fields[bit]), bit_signs(bit)) for bit in range(LANE_BITS)]
        (found,) = accumulators(builder, 1, ways=4)
        totals = addresses.accumulators(builder, 1 << SWEEP_BITS)
        steps = [INT64(k * WIDTH) for k in range(1 << SWEEP_BITS)]
        with loop(builder, length, 1 << TILE_BITS) as entry:
            place = builder.add(start, entry)
            here = loads(builder, own, [builder.add(place, step) for step in steps])
            there = loads(builder, other, [builder.add(place, step) for step in steps])
            for k, total in enumerate(totals):
                value = multiply(builder, load(builder, q, builder.add(entry, steps[k])), here[k])
                for bit, field in enumerate(lanes):
                    value = multiply_add(builder, field, flip_lanes(builder, there[k], 1 << bit), value)
                for bit, field in enumerate(fields[LANE_BITS:]):
                    signed = builder.fneg(field) if k >> bit & 1 else field
                    value = multiply_add(builder, signed, there[k ^ 1 << bit], value)
                builder.store(value, total)
            for first, last, source, scale in ((INT64(0), evens, own, DOUBLE(1.0)), (evens, count, other, weight)):
                with addresses.loop(builder, first, last) as (s, _):
                    partner = builder.xor(place, builder.load(builder.gep(x, [s])))
                    sign = addresses.sign_of_parity(builder, partner, builder.load(builder.gep(z, [s])))
                    factor = builder.fmul(builder.fmul(scale, sign), builder.load(builder.gep(factors, [s])))
                    for step, total in zip(steps, totals, strict=True):
                        value = load(builder, source, builder.add(partner, step))
                        value = multiply_add(builder, splat(builder, factor), value, builder.load(total))
                        builder.store(value, total)
            values = [builder.load(total) for total in totals]
            collect(builder, [(a, b, 1) for a, b in zip(here, values, strict=True)], found)
            stores(builder, values, target, [builder.add(place, step) for step in steps])
        deposit(builder, [found], sums, [None])
        return context.get_dummy_value()

    return types.void(
        target, own, other, _PLACE, _PLACE, q, x, z, factors, _PLACE, _PLACE, _NUMBER, sums, *[_NUMBER] * 6
    ), emit


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
