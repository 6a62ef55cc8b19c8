"""The innermost loops over samples of a small system side by side, one in every lane of a row of LANES."""

# numba infers the types of compiled functions
# pyright: reportMissingParameterType=false, reportUntypedFunctionDecorator=false, reportArgumentType=false
# pyright: reportCallIssue=false

from __future__ import annotations

from typing import Any

from numba import types
from numba.extending import intrinsic

from qeqprop.engine.addresses import accumulators, loop, pointers, sign_of_parity
from qeqprop.engine.vectors import (
    INT64,
    WIDTH,
    Builder,
    Value,
    add,
    load,
    load_scalar,
    multiply,
    multiply_add,
    splat,
    store,
    subtract,
    vector_of,
    zero,
)

LANES = 8
"""Samples of a small system that are worked on side by side."""


def _rows(builder: Builder, row: Value) -> list[Value]:
    """Where the vectors of a row of LANES numbers begin."""
    begin = builder.mul(row, INT64(LANES))
    return [builder.add(begin, INT64(part * WIDTH)) for part in range(LANES // WIDTH)]


@intrinsic
def apply_lanes(
    typing, dim, diagonal, n_flips, flip_site, flips, n_groups, group_mask, sign_starts, sign_z, signs, x, y, dots
):  # fmt: skip
    """``y = H x`` for LANES samples at once, coefficients (n, LANES); ``dots`` becomes ``x . y`` of every sample."""

    def code(context: Any, builder: Builder, signature: Any, arguments: Any) -> Value:
        n_rows, d, n_sites, site, g, n_masks, masks, sstarts, z, c, source, target, out = pointers(
            context, builder, signature, arguments
        )
        parts = LANES // WIDTH
        sums = accumulators(builder, parts, vector_of(source))
        weights = accumulators(builder, parts)
        dot = accumulators(builder, parts)
        with loop(builder, INT64(0), n_rows) as (row, _):
            places = _rows(builder, row)
            for place, total in zip(places, sums, strict=True):
                builder.store(multiply(builder, load(builder, d, place), load(builder, source, place)), total)
            with loop(builder, INT64(0), n_sites) as (k, _):
                bit = load_scalar(builder, site, k)
                there = _rows(builder, builder.xor(row, builder.shl(INT64(1), bit)))
                for place, weight, total in zip(there, _rows(builder, bit), sums, strict=True):
                    part = multiply_add(
                        builder, load(builder, g, weight), load(builder, source, place), builder.load(total)
                    )
                    builder.store(part, total)
            with loop(builder, INT64(0), n_masks) as (k, _):
                there = _rows(builder, builder.xor(row, load_scalar(builder, masks, k)))
                for place in weights:
                    builder.store(zero(), place)
                from_, to = (load_scalar(builder, sstarts, builder.add(k, INT64(side))) for side in (0, 1))
                with loop(builder, from_, to) as (s, _):
                    sign = splat(builder, sign_of_parity(builder, row, load_scalar(builder, z, s)))
                    for place, weight in zip(_rows(builder, s), weights, strict=True):
                        part = multiply_add(builder, sign, load(builder, c, place), builder.load(weight))
                        builder.store(part, weight)
                for place, weight, total in zip(there, weights, sums, strict=True):
                    part = multiply_add(
                        builder, builder.load(weight), load(builder, source, place), builder.load(total)
                    )
                    builder.store(part, total)
            for place, total, product in zip(places, sums, dot, strict=True):
                result = builder.load(total)
                store(builder, result, target, place)
                part = multiply_add(builder, result, load(builder, source, place), builder.load(product))
                builder.store(part, product)
        for place, product in zip(_rows(builder, INT64(0)), dot, strict=True):
            store(builder, builder.load(product), out, place)
        return context.get_dummy_value()

    arguments = (dim, diagonal, n_flips, flip_site, flips, n_groups, group_mask, sign_starts, sign_z, signs, x, y, dots)
    return types.void(*arguments), code


@intrinsic
def element_lanes(typing, dim, mask, z, u, v, out):
    """``out = sum_b u[b] (-1)^popcount(b & z) v[b xor mask]``, b < dim, for LANES samples at once."""

    def code(context: Any, builder: Builder, signature: Any, arguments: Any) -> Value:
        n_rows, flip, string, bra, ket, result = pointers(context, builder, signature, arguments)
        sums = accumulators(builder, LANES // WIDTH)
        with loop(builder, INT64(0), n_rows) as (row, _):
            sign = splat(builder, sign_of_parity(builder, row, string))
            there = _rows(builder, builder.xor(row, flip))
            for place, source, total in zip(_rows(builder, row), there, sums, strict=True):
                left = multiply(builder, sign, load(builder, bra, place))
                builder.store(multiply_add(builder, left, load(builder, ket, source), builder.load(total)), total)
        for place, total in zip(_rows(builder, INT64(0)), sums, strict=True):
            store(builder, builder.load(total), result, place)
        return context.get_dummy_value()

    return types.void(dim, mask, z, u, v, out), code


@intrinsic
def hadamard_of_neighbours(typing, x, begin, end):
    """``a, b <- a + b, a - b`` for every two rows a and b of LANES samples, from ``begin`` to ``end``."""

    def code(context: Any, builder: Builder, signature: Any, arguments: Any) -> Value:
        array, first, last = pointers(context, builder, signature, arguments)
        with loop(builder, first, last, 2 * LANES) as (base, _):
            for part in range(0, LANES, WIDTH):
                places = [builder.add(base, INT64(part + row * LANES)) for row in range(2)]
                a, b = (load(builder, array, place) for place in places)
                store(builder, add(builder, a, b), array, places[0])
                store(builder, subtract(builder, a, b), array, places[1])
        return context.get_dummy_value()

    return types.void(x, begin, end), code
