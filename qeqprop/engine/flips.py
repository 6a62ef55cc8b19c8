"""The innermost loops of a Pauli sum on a vector: flips within a tile of registers, of higher sites, and with signs."""

# numba infers the types of compiled functions
# pyright: reportMissingParameterType=false, reportUntypedFunctionDecorator=false, reportArgumentType=false
# pyright: reportCallIssue=false

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from qeqprop.engine.addresses import accumulators, loop, pointers, sign_of_parity
from qeqprop.engine.memory import CACHE_LINE
from qeqprop.engine.vectors import (
    DOUBLE,
    FLOAT,
    INT64,
    TILE,
    VECTORS,
    WIDTH,
    Builder,
    Value,
    add,
    add_products,
    flip_lanes,
    horizontal_sum,
    load,
    load_scalar,
    multiply,
    multiply_add,
    splat,
    store,
    vector_of,
    zero,
)


@intrinsic
def apply_within_tiles(typing, diagonal, flips, x, y, begin, end):
    """``y = (D + sum_k flips[k] X_k) x`` with the sites k inside a tile, for ``begin <= b < end``.

    The eight vectors of a tile stay in registers: no amplitude is read twice.
    """

    def code(context: Any, builder: Builder, signature: Any, arguments: Any) -> Value:
        d, g, source, target, first, last = pointers(context, builder, signature, arguments)
        weights = [splat(builder, load_scalar(builder, g, INT64(k))) for k in range(TILE.bit_length() - 1)]
        with loop(builder, first, last, TILE) as (base, _):
            places = [builder.add(base, INT64(v * WIDTH)) for v in range(VECTORS)]
            vectors = [load(builder, source, place) for place in places]
            for v, place in enumerate(places):
                total = multiply(builder, load(builder, d, place), vectors[v])
                for k, weight in enumerate(weights):
                    mask = 1 << k
                    flipped = flip_lanes(builder, vectors[v], mask) if mask < WIDTH else vectors[v ^ (mask // WIDTH)]
                    total = multiply_add(builder, weight, flipped, total)
                store(builder, total, target, place)
        return context.get_dummy_value()

    return types.void(diagonal, flips, x, y, begin, end), code


def _strided_pass(sites: int, *, with_dot: bool) -> Callable[..., Any]:
    """The kernel ``y += sum_k flips[bit + k] X_(bit + k) x`` for ``sites`` neighbouring sites above the tile.

    It joins 2^sites rows of amplitudes, 2^bit apart; ``begin <= c < end`` counts columns: one amplitude of every row.
    All rows have the same place in their pages of memory, and a processor that compares only those would hold back the
    load from one row until the store to another is done. So a column of y is loaded whole before it is stored.
    """

    @intrinsic
    def strided_pass(typing, flips, x, y, bit, begin, end):
        def code(context: Any, builder: Builder, signature: Any, arguments: Any) -> Value:
            g, source, target, low, first, last = pointers(context, builder, signature, arguments)
            rows = 1 << sites
            weights = [splat(builder, load_scalar(builder, g, builder.add(low, INT64(k)))) for k in range(sites)]
            stride = builder.shl(INT64(1), low)
            dots = accumulators(builder, 2)
            line = CACHE_LINE // (4 if target.type.pointee == FLOAT else 8)

            def columns(first_row: Value) -> None:
                places = [first_row]
                for _ in range(rows - 1):
                    places.append(builder.add(places[-1], stride))
                vectors = [load(builder, source, place) for place in places]
                totals = [load(builder, target, place) for place in places]
                for row, place in enumerate(places):
                    total = totals[row]
                    for k, weight in enumerate(weights):
                        total = multiply_add(builder, weight, vectors[row ^ (1 << k)], total)
                    store(builder, total, target, place)
                    totals[row] = total
                if with_dot:
                    pairs = list(zip(totals, vectors, strict=True))
                    add_products(builder, pairs, [dots[row % 2] for row in range(rows)])

            aligned = builder.and_(first, builder.neg(stride))
            with cgutils.for_range_slice(builder, aligned, last, stride, INT64) as (run, _):  # columns side by side
                after = builder.add(run, stride)
                from_ = builder.select(builder.icmp_signed("<", run, first), first, run)
                to = builder.select(builder.icmp_signed("<", last, after), last, after)
                skipped = builder.mul(run, INT64(rows - 1))  # the rows before
                with loop(builder, builder.add(from_, skipped), builder.add(to, skipped), line) as (place, _):
                    for part in range(0, line, WIDTH):  # a whole cache line of every row, before it is evicted
                        columns(builder.add(place, INT64(part)))
            if with_dot:
                return horizontal_sum(builder, add(builder, builder.load(dots[0]), builder.load(dots[1])))
            return DOUBLE(0.0)

        return types.float64(flips, x, y, bit, begin, end), code

    return strided_pass


one_site_pass, one_site_pass_dot = _strided_pass(1, with_dot=False), _strided_pass(1, with_dot=True)
two_site_pass, two_site_pass_dot = _strided_pass(2, with_dot=False), _strided_pass(2, with_dot=True)
three_site_pass, three_site_pass_dot = _strided_pass(3, with_dot=False), _strided_pass(3, with_dot=True)


_GRAY = [lane ^ (lane >> 1) for lane in range(WIDTH)]
"""All flips of lanes, each one bit from the one before."""


def _turn_lanes(builder: Builder, sums: list[list[Value]], mask: int) -> None:
    for total in (total for totals in sums for total in totals):
        builder.store(flip_lanes(builder, builder.load(total), mask), total)


def _signs(
    builder: Builder, patterns: Value, base: Value, lanes: Value, z: Value, value: Value, count: int
) -> tuple[Value, list[Value]]:
    """A weight and ``count`` vectors; their products are ``value (-1)^popcount((b xor lanes) & z)``, from b = base."""
    sign = sign_of_parity(builder, builder.or_(builder.and_(base, INT64(-TILE)), lanes), z)
    inside = builder.and_(base, INT64(TILE - 1))
    row = builder.add(builder.mul(builder.and_(z, INT64(TILE - 1)), INT64(TILE)), inside)
    signs = [load(builder, patterns, builder.add(row, INT64(v * WIDTH))) for v in range(count)]
    return splat(builder, builder.fmul(sign, value)), signs


def _signed_flips(halves: int, *, tabled: bool) -> Callable[..., Any]:
    """The kernel ``y += sum_s c_s (-1)^popcount(b & z_s) x[b xor mask_s]``, which returns ``x . y`` afterwards.

    With two halves, real parts before imaginary ones, a string has the same signs in both, or the opposite ones if its
    flip swaps them: one coefficient vector serves two places. ``begin <= b < end`` is within the first half.

    The sums wait in flipped lanes: instead of every x they are turned, once for all strings that flip the same lanes.
    So coefficients are those of the place with these lanes flipped.
    """
    vectors = VECTORS // halves
    span = vectors * WIDTH

    def code(
        builder: Builder, source: Value, target: Value, half: Value, first: Value, last: Value, terms: Any
    ) -> Value:
        sums = [accumulators(builder, vectors, vector_of(target)) for _ in range(halves)]
        dots = accumulators(builder, 2)
        with loop(builder, first, last, span) as (base, _):
            bases = [base, builder.add(base, half)][:halves]
            places = [[builder.add(start, INT64(v * WIDTH)) for v in range(vectors)] for start in bases]
            for row, totals in zip(places, sums, strict=True):
                for place, total in zip(row, totals, strict=True):
                    builder.store(load(builder, target, place), total)
            before = 0
            for lane in _GRAY:
                _turn_lanes(builder, sums, lane ^ before)
                before = lane
                with terms(lane, base) as (mask, coefficients):
                    far = builder.and_(mask, INT64(-span))
                    near = [
                        builder.xor(INT64(v * WIDTH), builder.and_(mask, INT64(span - WIDTH))) for v in range(vectors)
                    ]
                    starts = [builder.gep(source, [builder.xor(start, far)]) for start in bases]
                    swaps = builder.icmp_unsigned("!=", builder.and_(mask, half), INT64(0))
                    turn = splat(builder, builder.select(swaps, DOUBLE(-1.0), DOUBLE(1.0)))
                    for h, (start, totals) in enumerate(zip(starts, sums, strict=True)):
                        for offset, weight, total in zip(near, coefficients, totals, strict=True):
                            signed = multiply(builder, weight, turn) if h else weight
                            new = multiply_add(builder, signed, load(builder, start, offset), builder.load(total))
                            builder.store(new, total)
            _turn_lanes(builder, sums, before)
            for row, totals in zip(places, sums, strict=True):
                for v, (place, total) in enumerate(zip(row, totals, strict=True)):
                    result = builder.load(total)
                    store(builder, result, target, place)
                    part = multiply_add(builder, result, load(builder, source, place), builder.load(dots[v % 2]))
                    builder.store(part, dots[v % 2])
        return horizontal_sum(builder, add(builder, builder.load(dots[0]), builder.load(dots[1])))

    @intrinsic
    def weighted(typing, n_groups, group_mask, group_starts, weights, x, y, half, begin, end):
        def emit(context: Any, builder: Builder, signature: Any, arguments: Any) -> Value:
            count, masks, starts, weight, source, target, size, first, last = pointers(
                context, builder, signature, arguments
            )

            @contextmanager
            def terms(lane: int, base: Value) -> Any:
                from_, to = (load_scalar(builder, starts, INT64(lane + side)) for side in (0, 1))
                with loop(builder, from_, to) as (k, _):
                    mask = load_scalar(builder, masks, k)
                    row = builder.add(builder.mul(base, count), builder.mul(k, INT64(span)))
                    coefficients = [load(builder, weight, builder.add(row, INT64(v * WIDTH))) for v in range(vectors)]
                    yield mask, coefficients

            return code(builder, source, target, size, first, last, terms)

        return types.float64(n_groups, group_mask, group_starts, weights, x, y, half, begin, end), emit

    @intrinsic
    def signed(typing, sign_mask, lane_starts, sign_z, values, patterns, x, y, half, begin, end):
        def emit(context: Any, builder: Builder, signature: Any, arguments: Any) -> Value:
            masks, starts, z, c, pattern, source, target, size, first, last = pointers(
                context, builder, signature, arguments
            )

            @contextmanager
            def terms(lane: int, base: Value) -> Any:
                from_, to = (load_scalar(builder, starts, INT64(lane + side)) for side in (0, 1))
                with loop(builder, from_, to) as (s, _):
                    string, value = load_scalar(builder, z, s), load_scalar(builder, c, s)
                    weight, signs = _signs(builder, pattern, base, INT64(lane), string, value, vectors)
                    yield load_scalar(builder, masks, s), [multiply(builder, weight, sign) for sign in signs]

            return code(builder, source, target, size, first, last, terms)

        return types.float64(sign_mask, lane_starts, sign_z, values, patterns, x, y, half, begin, end), emit

    return weighted if tabled else signed


add_weighted_flips, add_weighted_flips_twice = (_signed_flips(halves, tabled=True) for halves in (1, 2))
"""From the coefficient vectors of all flip masks: what `weigh_flips` makes for spans of TILE and of half a TILE."""

add_signed_flips, add_signed_flips_twice = (_signed_flips(halves, tabled=False) for halves in (1, 2))
"""From the strings themselves, one by one."""


@intrinsic
def weigh_flips(typing, n_groups, group_mask, sign_starts, sign_z, values, patterns, weights, half, span):
    """The coefficient vectors of all flip masks, ``sum_s values[s] (-1)^popcount((b xor lanes) & z_s)``.

    The lanes are those that the mask flips. The vectors of all masks lie together for ``span`` amplitudes at a time.
    """

    def code(context: Any, builder: Builder, signature: Any, arguments: Any) -> Value:
        n_masks, masks, sstarts, z, c, pattern, out, size, together = pointers(context, builder, signature, arguments)
        vectors = VECTORS // 2  # half a state can be smaller than a tile
        sums = accumulators(builder, vectors)
        with loop(builder, INT64(0), n_masks) as (k, _):
            from_, to = (load_scalar(builder, sstarts, builder.add(k, INT64(side))) for side in (0, 1))
            with loop(builder, INT64(0), size, vectors * WIDTH) as (base, _):
                for total in sums:
                    builder.store(zero(), total)
                lanes = builder.and_(load_scalar(builder, masks, k), INT64(WIDTH - 1))
                with loop(builder, from_, to) as (s, _):
                    string, value = load_scalar(builder, z, s), load_scalar(builder, c, s)
                    weight, signs = _signs(builder, pattern, base, lanes, string, value, vectors)
                    for sign, total in zip(signs, sums, strict=True):
                        builder.store(multiply_add(builder, weight, sign, builder.load(total)), total)
                before = builder.and_(base, builder.neg(together))
                place = builder.add(builder.mul(before, n_masks), builder.mul(k, together))
                place = builder.add(place, builder.sub(base, before))
                for v, total in enumerate(sums):
                    store(builder, builder.load(total), out, builder.add(place, INT64(v * WIDTH)))
        return context.get_dummy_value()

    return types.void(n_groups, group_mask, sign_starts, sign_z, values, patterns, weights, half, span), code
