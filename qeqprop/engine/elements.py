"""The innermost loops of matrix elements: flips of one site, flips with signs, and all signs at once."""

# numba infers the types of compiled functions
# pyright: reportMissingParameterType=false, reportUntypedFunctionDecorator=false, reportArgumentType=false
# pyright: reportCallIssue=false

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from qeqprop.engine.addresses import accumulators, increase, loop, pointers, sign_of_parity
from qeqprop.engine.vectors import (
    INT64,
    TILE,
    VECTOR,
    VECTORS,
    WIDTH,
    Builder,
    Value,
    add,
    flip_lanes,
    horizontal_sum,
    load,
    load_scalar,
    multiply,
    multiply_add,
    splat,
    store,
    subtract,
    zero,
)


@intrinsic
def elements_within_tiles(typing, u, v, elements, begin, end):
    """``elements[k] += <u|X_k|v>`` for the sites k inside a tile, over ``begin <= b < end``."""

    def code(context: Any, builder: Builder, signature: Any, arguments: Any) -> Value:
        bra, ket, out, first, last = pointers(context, builder, signature, arguments)
        sites = TILE.bit_length() - 1
        sums = accumulators(builder, sites)
        with loop(builder, first, last, TILE) as (base, _):
            places = [builder.add(base, INT64(v * WIDTH)) for v in range(VECTORS)]
            vectors = [load(builder, ket, place) for place in places]
            for row, place in enumerate(places):
                left = load(builder, bra, place)
                for k, total in enumerate(sums):
                    mask = 1 << k
                    flipped = (
                        flip_lanes(builder, vectors[row], mask) if mask < WIDTH else vectors[row ^ (mask // WIDTH)]
                    )
                    builder.store(multiply_add(builder, left, flipped, builder.load(total)), total)
        for k, total in enumerate(sums):
            increase(builder, out, INT64(k), horizontal_sum(builder, builder.load(total)))
        return context.get_dummy_value()

    return types.void(u, v, elements, begin, end), code


def _strided_elements(sites: int) -> Callable[..., Any]:
    """The kernel ``elements[bit + k] += <u|X_(bit + k)|v>`` for ``sites`` neighbouring sites above the tile."""

    @intrinsic
    def strided_elements(typing, u, v, elements, bit, begin, end):
        def code(context: Any, builder: Builder, signature: Any, arguments: Any) -> Value:
            bra, ket, out, low, first, last = pointers(context, builder, signature, arguments)
            rows = 1 << sites
            stride = builder.shl(INT64(1), low)
            block = builder.shl(INT64(rows), low)
            sums = accumulators(builder, sites)
            with cgutils.for_range_slice(builder, first, last, block, INT64) as (corner, _):  # noqa: SIM117
                with loop(builder, corner, builder.add(corner, stride), 8) as (column, _):
                    for half in range(8 // WIDTH):
                        places = [builder.add(column, INT64(half * WIDTH))]
                        for _ in range(rows - 1):
                            places.append(builder.add(places[-1], stride))
                        vectors = [load(builder, ket, place) for place in places]
                        for row, place in enumerate(places):
                            row_ = load(builder, bra, place)
                            for k, total in enumerate(sums):
                                part = multiply_add(builder, row_, vectors[row ^ (1 << k)], builder.load(total))
                                builder.store(part, total)
            for k, total in enumerate(sums):
                increase(builder, out, builder.add(low, INT64(k)), horizontal_sum(builder, builder.load(total)))
            return context.get_dummy_value()

        return types.void(u, v, elements, bit, begin, end), code

    return strided_elements


one_site_elements, two_site_elements, three_site_elements = (_strided_elements(sites) for sites in (1, 2, 3))


@intrinsic
def signed_elements(typing, group_mask, group_starts, sign_starts, sign_z, patterns, u, v, sums, begin, end):
    """``sums[s, :] += sum_b u[b] (-1)^popcount(b & z_s) v[b xor mask]`` by lanes, sums (n_strings * WIDTH,)."""

    def code(context: Any, builder: Builder, signature: Any, arguments: Any) -> Value:
        masks, starts, sstarts, z, pattern, bra, ket, out, first, last = pointers(
            context, builder, signature, arguments
        )
        with loop(builder, first, last, TILE) as (base, _):
            places = [builder.add(base, INT64(v * WIDTH)) for v in range(VECTORS)]
            for lane in range(WIDTH):
                begin_, end_ = (load_scalar(builder, starts, INT64(lane + side)) for side in (0, 1))
                with loop(builder, begin_, end_) as (k, _):
                    mask = builder.and_(load_scalar(builder, masks, k), INT64(-WIDTH))
                    products = [
                        multiply(
                            builder,
                            load(builder, bra, place),
                            flip_lanes(builder, load(builder, ket, builder.xor(place, mask)), lane),
                        )
                        for place in places
                    ]
                    from_, to = (load_scalar(builder, sstarts, builder.add(k, INT64(side))) for side in (0, 1))
                    with loop(builder, from_, to) as (s, _):
                        string = load_scalar(builder, z, s)
                        row = builder.mul(builder.and_(string, INT64(TILE - 1)), INT64(TILE))
                        totals = [zero(), zero()]
                        for part, product in enumerate(products):
                            signs = load(builder, pattern, builder.add(row, INT64(part * WIDTH)))
                            totals[part % 2] = multiply_add(builder, product, signs, totals[part % 2])
                        sign = splat(builder, sign_of_parity(builder, base, string))
                        place = builder.mul(s, INT64(WIDTH))
                        total = add(builder, totals[0], totals[1])
                        store(builder, multiply_add(builder, sign, total, load(builder, out, place)), out, place)
        return context.get_dummy_value()

    return types.void(group_mask, group_starts, sign_starts, sign_z, patterns, u, v, sums, begin, end), code


@intrinsic
def hadamard_within_tiles(typing, x, begin, end):
    """``x[b] <- sum_c (-1)^popcount(b & c) x[c]`` within every tile, for ``begin <= b < end``."""

    def code(context: Any, builder: Builder, signature: Any, arguments: Any) -> Value:
        array, first, last = pointers(context, builder, signature, arguments)
        with loop(builder, first, last, TILE) as (base, _):
            places = [builder.add(base, INT64(v * WIDTH)) for v in range(VECTORS)]
            vectors = [load(builder, array, place) for place in places]
            for site in range(WIDTH.bit_length() - 1):
                signs = ir.Constant(VECTOR, [-1.0 if lane >> site & 1 else 1.0 for lane in range(WIDTH)])
                vectors = [multiply_add(builder, signs, v, flip_lanes(builder, v, 1 << site)) for v in vectors]
            for bit in (1 << k for k in range(VECTORS.bit_length() - 1)):
                vectors = [
                    subtract(builder, vectors[v ^ bit], vectors[v])
                    if v & bit
                    else add(builder, vectors[v], vectors[v ^ bit])
                    for v in range(VECTORS)
                ]
            for place, vector in zip(places, vectors, strict=True):
                store(builder, vector, array, place)
        return context.get_dummy_value()

    return types.void(x, begin, end), code
