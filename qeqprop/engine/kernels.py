"""The innermost loops: a Pauli sum on a vector, its matrix elements, and the streams of the Krylov methods.

A vector is a flat float64 array of ``dim * lanes`` numbers, the lane running fastest: one sample alone (``lanes`` = 1),
or several samples of a small system side by side, one in every lane of a vector register. The number of lanes is the
length of the tuple ``tag``, so that it is known when a kernel is compiled. Scalars are arrays (lanes,).
"""

# numba infers the types of compiled functions
# pyright: reportMissingParameterType=false, reportUntypedFunctionDecorator=false, reportArgumentType=false
# pyright: reportCallIssue=false

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from qeqprop.engine.vectors import (
    DOUBLE,
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
    multiply,
    multiply_add,
    splat,
    store,
    subtract,
    zero,
)

LANES = 8
"""Samples of a small system that are worked on side by side."""


def _pointer(context: Any, builder: Builder, kind: Any, value: Value) -> Value:
    """The data pointer of an array; anything else as it is."""
    return context.make_array(kind)(context, builder, value).data if isinstance(kind, types.Array) else value


def _pointers(context: Any, builder: Builder, signature: Any, arguments: Any) -> list[Value]:
    return [_pointer(context, builder, kind, value) for kind, value in zip(signature.args, arguments, strict=True)]


@intrinsic
def at(typing, place, offset):
    """The address of ``place[offset]``, of an array or from an address: a vector, as all kernels take it.

    Slices of arrays are counted, atomically, and on a small state that would cost as much as the work. An address is
    not: whoever owns the array must keep it (numba lets go of an array of its own after the last use that it sees).
    """

    def code(context: Any, builder: Builder, signature: Any, arguments: Any) -> Value:
        return builder.gep(_pointer(context, builder, signature.args[0], arguments[0]), [arguments[1]])

    return types.CPointer(place.dtype)(place, offset), code


def _loop(builder: Builder, begin: Value, end: Value, step: int = 1) -> Any:
    return cgutils.for_range_slice(builder, begin, end, INT64(step), INT64)


def _accumulators(builder: Builder, count: int) -> list[Value]:
    """Vectors that live in registers across a loop, zero at first."""
    places = [cgutils.alloca_once(builder, VECTOR) for _ in range(count)]
    for place in places:
        builder.store(zero(), place)
    return places


def _scalar(builder: Builder, pointer: Value, index: Value) -> Value:
    return builder.load(builder.gep(pointer, [index]))


def _parity_sign(builder: Builder, bits: Value, mask: Value) -> Value:
    """``(-1)^popcount(bits & mask)``."""
    odd = builder.trunc(builder.ctpop(builder.and_(bits, mask)), ir.IntType(1))
    return builder.select(odd, DOUBLE(-1.0), DOUBLE(1.0))


# --- a Pauli sum on a vector ----------------------------------------------------------------------------------------


@intrinsic
def apply_within_tiles(typing, diagonal, flips, x, y, begin, end):
    """``y = (D + sum_k flips[k] X_k) x`` with the sites k inside a tile, for ``begin <= b < end``.

    The eight vectors of a tile stay in registers: no amplitude is read twice.
    """

    def code(context: Any, builder: Builder, signature: Any, arguments: Any) -> Value:
        d, g, source, target, first, last = _pointers(context, builder, signature, arguments)
        weights = [splat(builder, _scalar(builder, g, INT64(k))) for k in range(TILE.bit_length() - 1)]
        with _loop(builder, first, last, TILE) as (base, _):
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
    """The kernel ``y += sum_k flips[bit + k] X_(bit + k) x`` for ``sites`` neighbouring sites above the tile."""

    @intrinsic
    def strided_pass(typing, flips, x, y, bit, begin, end):
        def code(context: Any, builder: Builder, signature: Any, arguments: Any) -> Value:
            g, source, target, low, first, last = _pointers(context, builder, signature, arguments)
            rows = 1 << sites
            weights = [splat(builder, _scalar(builder, g, builder.add(low, INT64(k)))) for k in range(sites)]
            stride = builder.shl(INT64(1), low)
            block = builder.shl(INT64(rows), low)
            dots = _accumulators(builder, 2)
            with cgutils.for_range_slice(builder, first, last, block, INT64) as (corner, _):  # noqa: SIM117
                with _loop(builder, corner, builder.add(corner, stride), 8) as (column, _):
                    for half in range(8 // WIDTH):  # a whole cache line of every row, before it is evicted
                        places = [builder.add(column, INT64(half * WIDTH))]
                        for _ in range(rows - 1):
                            places.append(builder.add(places[-1], stride))
                        vectors = [load(builder, source, place) for place in places]
                        for row, place in enumerate(places):
                            total = load(builder, target, place)
                            for k, weight in enumerate(weights):
                                total = multiply_add(builder, weight, vectors[row ^ (1 << k)], total)
                            store(builder, total, target, place)
                            if with_dot:
                                part = multiply_add(builder, total, vectors[row], builder.load(dots[row % 2]))
                                builder.store(part, dots[row % 2])
            if with_dot:
                return horizontal_sum(builder, add(builder, builder.load(dots[0]), builder.load(dots[1])))
            return DOUBLE(0.0)

        return types.float64(flips, x, y, bit, begin, end), code

    return strided_pass


one_site_pass, one_site_pass_dot = _strided_pass(1, with_dot=False), _strided_pass(1, with_dot=True)
two_site_pass, two_site_pass_dot = _strided_pass(2, with_dot=False), _strided_pass(2, with_dot=True)
three_site_pass, three_site_pass_dot = _strided_pass(3, with_dot=False), _strided_pass(3, with_dot=True)


@intrinsic
def add_far_flips(typing, flips, x, y, low, high, begin, end):
    """``y += sum_k flips[k] X_k x`` for the sites ``low <= k < high`` above the tile, on ``begin <= b < end``.

    Reads x at every flipped place, but y only once: where the state is larger than the caches, that is cheaper than
    passes, which write y again and again.
    """

    def code(context: Any, builder: Builder, signature: Any, arguments: Any) -> Value:
        g, source, target, first_site, last_site, first, last = _pointers(context, builder, signature, arguments)
        sums = _accumulators(builder, VECTORS)
        with _loop(builder, first, last, TILE) as (base, _):
            places = [builder.add(base, INT64(v * WIDTH)) for v in range(VECTORS)]
            for place, total in zip(places, sums, strict=True):
                builder.store(load(builder, target, place), total)
            with _loop(builder, first_site, last_site) as (site, _):
                weight = splat(builder, _scalar(builder, g, site))
                flipped = builder.xor(base, builder.shl(INT64(1), site))
                for v, total in enumerate(sums):
                    vector = load(builder, source, builder.add(flipped, INT64(v * WIDTH)))
                    builder.store(multiply_add(builder, weight, vector, builder.load(total)), total)
            for place, total in zip(places, sums, strict=True):
                store(builder, builder.load(total), target, place)
        return context.get_dummy_value()

    return types.void(flips, x, y, low, high, begin, end), code


_GRAY = [lane ^ (lane >> 1) for lane in range(WIDTH)]
"""All flips of lanes, each one bit from the one before."""


def _turn_lanes(builder: Builder, sums: list[list[Value]], mask: int) -> None:
    for total in (total for totals in sums for total in totals):
        builder.store(flip_lanes(builder, builder.load(total), mask), total)


def _signed_flips(halves: int, *, tabled: bool) -> Callable[..., Any]:
    """The kernel ``y += sum_s c_s (-1)^popcount(b & z_s) x[b xor mask_s]``, which returns ``x . y`` afterwards.

    With two halves, real parts before imaginary ones, a string has the same signs in both, or the opposite ones if its
    flip swaps them: one coefficient vector serves two places. ``begin <= b < end`` is within the first half.

    The sums wait in flipped lanes: instead of every x they are turned, once for all strings that flip the same lanes.
    So coefficients are those of the place with these lanes flipped.
    """
    vectors = VECTORS // halves
    span = vectors * WIDTH

    def code(builder: Builder, source: Value, target: Value, half: Value, first: Value, last: Value, terms: Any) -> Value:
        sums = [_accumulators(builder, vectors) for _ in range(halves)]
        dots = _accumulators(builder, 2)
        with _loop(builder, first, last, span) as (base, _):
            bases = [base, builder.add(base, half)][:halves]
            places = [[builder.add(start, INT64(v * WIDTH)) for v in range(vectors)] for start in bases]
            for row, totals in zip(places, sums, strict=True):
                for place, total in zip(row, totals, strict=True):
                    builder.store(load(builder, target, place), total)
            before = 0
            for lane in _GRAY:
                _turn_lanes(builder, sums, lane ^ before)
                before = lane
                with terms(lane, base, places[0]) as (mask, coefficients):
                    far = builder.and_(mask, INT64(-span))
                    near = [builder.xor(INT64(v * WIDTH), builder.and_(mask, INT64(span - WIDTH))) for v in range(vectors)]
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
            count, masks, starts, weight, source, target, size, first, last = _pointers(
                context, builder, signature, arguments
            )

            @contextmanager
            def terms(lane: int, base: Value, places: list[Value]) -> Any:
                from_, to = (_scalar(builder, starts, INT64(lane + side)) for side in (0, 1))
                with _loop(builder, from_, to) as (k, _):
                    mask = _scalar(builder, masks, k)
                    row = builder.add(builder.mul(base, count), builder.mul(k, INT64(span)))
                    coefficients = [
                        load(builder, weight, builder.add(row, INT64(v * WIDTH))) for v in range(vectors)
                    ]
                    yield mask, coefficients

            return code(builder, source, target, size, first, last, terms)

        return types.float64(n_groups, group_mask, group_starts, weights, x, y, half, begin, end), emit

    @intrinsic
    def signed(typing, sign_mask, lane_starts, sign_z, values, patterns, x, y, half, begin, end):
        def emit(context: Any, builder: Builder, signature: Any, arguments: Any) -> Value:
            masks, starts, z, c, pattern, source, target, size, first, last = _pointers(
                context, builder, signature, arguments
            )

            @contextmanager
            def terms(lane: int, base: Value, places: list[Value]) -> Any:
                from_, to = (_scalar(builder, starts, INT64(lane + side)) for side in (0, 1))
                tile, inside = builder.and_(base, INT64(-TILE)), builder.and_(base, INT64(TILE - 1))
                with _loop(builder, from_, to) as (s, _):
                    mask, string = _scalar(builder, masks, s), _scalar(builder, z, s)
                    bits = builder.or_(tile, INT64(lane))
                    value = builder.fmul(_parity_sign(builder, bits, string), _scalar(builder, c, s))
                    row = builder.add(builder.mul(builder.and_(string, INT64(TILE - 1)), INT64(TILE)), inside)
                    coefficients = [
                        multiply(
                            builder, splat(builder, value), load(builder, pattern, builder.add(row, INT64(v * WIDTH)))
                        )
                        for v in range(vectors)
                    ]
                    yield mask, coefficients

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
        n_masks, masks, sstarts, z, c, pattern, out, size, together = _pointers(context, builder, signature, arguments)
        vectors = VECTORS // 2  # half a state can be smaller than a tile
        sums = _accumulators(builder, vectors)
        with _loop(builder, INT64(0), n_masks) as (k, _):
            from_, to = (_scalar(builder, sstarts, builder.add(k, INT64(side))) for side in (0, 1))
            with _loop(builder, INT64(0), size, vectors * WIDTH) as (base, _):
                for total in sums:
                    builder.store(zero(), total)
                tile, inside = builder.and_(base, INT64(-TILE)), builder.and_(base, INT64(TILE - 1))
                bits = builder.or_(tile, builder.and_(_scalar(builder, masks, k), INT64(WIDTH - 1)))
                with _loop(builder, from_, to) as (s, _):
                    string = _scalar(builder, z, s)
                    value = builder.fmul(_parity_sign(builder, bits, string), _scalar(builder, c, s))
                    weight = splat(builder, value)
                    row = builder.add(builder.mul(builder.and_(string, INT64(TILE - 1)), INT64(TILE)), inside)
                    for v, total in enumerate(sums):
                        signs = load(builder, pattern, builder.add(row, INT64(v * WIDTH)))
                        builder.store(multiply_add(builder, weight, signs, builder.load(total)), total)
                before = builder.and_(base, builder.neg(together))
                place = builder.add(builder.mul(before, n_masks), builder.mul(k, together))
                place = builder.add(place, builder.sub(base, before))
                for v, total in enumerate(sums):
                    store(builder, builder.load(total), out, builder.add(place, INT64(v * WIDTH)))
        return context.get_dummy_value()

    return types.void(n_groups, group_mask, sign_starts, sign_z, values, patterns, weights, half, span), code


# --- matrix elements of the flips -----------------------------------------------------------------------------------


@intrinsic
def elements_within_tiles(typing, u, v, elements, begin, end):
    """``elements[k] += <u|X_k|v>`` for the sites k inside a tile, over ``begin <= b < end``."""

    def code(context: Any, builder: Builder, signature: Any, arguments: Any) -> Value:
        bra, ket, out, first, last = _pointers(context, builder, signature, arguments)
        sites = TILE.bit_length() - 1
        sums = _accumulators(builder, sites)
        with _loop(builder, first, last, TILE) as (base, _):
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
            _increase(builder, out, INT64(k), horizontal_sum(builder, builder.load(total)))
        return context.get_dummy_value()

    return types.void(u, v, elements, begin, end), code


def _increase(builder: Builder, pointer: Value, index: Value, amount: Value) -> None:
    place = builder.gep(pointer, [index])
    builder.store(builder.fadd(builder.load(place), amount), place)


def _strided_elements(sites: int) -> Callable[..., Any]:
    """The kernel ``elements[bit + k] += <u|X_(bit + k)|v>`` for ``sites`` neighbouring sites above the tile."""

    @intrinsic
    def strided_elements(typing, u, v, elements, bit, begin, end):
        def code(context: Any, builder: Builder, signature: Any, arguments: Any) -> Value:
            bra, ket, out, low, first, last = _pointers(context, builder, signature, arguments)
            rows = 1 << sites
            stride = builder.shl(INT64(1), low)
            block = builder.shl(INT64(rows), low)
            sums = _accumulators(builder, sites)
            with cgutils.for_range_slice(builder, first, last, block, INT64) as (corner, _):  # noqa: SIM117
                with _loop(builder, corner, builder.add(corner, stride), 8) as (column, _):
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
                _increase(builder, out, builder.add(low, INT64(k)), horizontal_sum(builder, builder.load(total)))
            return context.get_dummy_value()

        return types.void(u, v, elements, bit, begin, end), code

    return strided_elements


one_site_elements, two_site_elements, three_site_elements = (_strided_elements(sites) for sites in (1, 2, 3))


@intrinsic
def signed_elements(typing, group_mask, group_starts, sign_starts, sign_z, patterns, u, v, sums, begin, end):
    """``sums[s, :] += sum_b u[b] (-1)^popcount(b & z_s) v[b xor mask]`` by lanes, sums (n_strings * WIDTH,)."""

    def code(context: Any, builder: Builder, signature: Any, arguments: Any) -> Value:
        masks, starts, sstarts, z, pattern, bra, ket, out, first, last = _pointers(
            context, builder, signature, arguments
        )
        with _loop(builder, first, last, TILE) as (base, _):
            places = [builder.add(base, INT64(v * WIDTH)) for v in range(VECTORS)]
            for lane in range(WIDTH):
                begin_, end_ = (_scalar(builder, starts, INT64(lane + side)) for side in (0, 1))
                with _loop(builder, begin_, end_) as (k, _):
                    mask = builder.and_(_scalar(builder, masks, k), INT64(-WIDTH))
                    products = [
                        multiply(
                            builder,
                            load(builder, bra, place),
                            flip_lanes(builder, load(builder, ket, builder.xor(place, mask)), lane),
                        )
                        for place in places
                    ]
                    from_, to = (_scalar(builder, sstarts, builder.add(k, INT64(side))) for side in (0, 1))
                    with _loop(builder, from_, to) as (s, _):
                        string = _scalar(builder, z, s)
                        row = builder.mul(builder.and_(string, INT64(TILE - 1)), INT64(TILE))
                        totals = [zero(), zero()]
                        for part, product in enumerate(products):
                            signs = load(builder, pattern, builder.add(row, INT64(part * WIDTH)))
                            totals[part % 2] = multiply_add(builder, product, signs, totals[part % 2])
                        sign = splat(builder, _parity_sign(builder, base, string))
                        place = builder.mul(s, INT64(WIDTH))
                        total = add(builder, totals[0], totals[1])
                        store(builder, multiply_add(builder, sign, total, load(builder, out, place)), out, place)
        return context.get_dummy_value()

    return types.void(group_mask, group_starts, sign_starts, sign_z, patterns, u, v, sums, begin, end), code


# --- sums with all signs ----------------------------------------------------------------------------------------------


@intrinsic
def hadamard_within_tiles(typing, x, begin, end):
    """``x[b] <- sum_c (-1)^popcount(b & c) x[c]`` within every tile, for ``begin <= b < end``."""

    def code(context: Any, builder: Builder, signature: Any, arguments: Any) -> Value:
        array, first, last = _pointers(context, builder, signature, arguments)
        with _loop(builder, first, last, TILE) as (base, _):
            places = [builder.add(base, INT64(v * WIDTH)) for v in range(VECTORS)]
            vectors = [load(builder, array, place) for place in places]
            for site in range(WIDTH.bit_length() - 1):
                signs = ir.Constant(VECTOR, [-1.0 if lane >> site & 1 else 1.0 for lane in range(WIDTH)])
                vectors = [multiply_add(builder, signs, v, flip_lanes(builder, v, 1 << site)) for v in vectors]
            for bit in (1 << k for k in range(VECTORS.bit_length() - 1)):
                vectors = [
                    subtract(builder, vectors[v ^ bit], vectors[v]) if v & bit else add(builder, vectors[v], vectors[v ^ bit])
                    for v in range(VECTORS)
                ]
            for place, vector in zip(places, vectors, strict=True):
                store(builder, vector, array, place)
        return context.get_dummy_value()

    return types.void(x, begin, end), code


@intrinsic
def hadamard_of_neighbours(typing, x, begin, end):
    """``a, b <- a + b, a - b`` for every two rows a and b of LANES samples, from ``begin`` to ``end``."""

    def code(context: Any, builder: Builder, signature: Any, arguments: Any) -> Value:
        array, first, last = _pointers(context, builder, signature, arguments)
        with _loop(builder, first, last, 2 * LANES) as (base, _):
            for part in range(0, LANES, WIDTH):
                places = [builder.add(base, INT64(part + row * LANES)) for row in range(2)]
                a, b = (load(builder, array, place) for place in places)
                store(builder, add(builder, a, b), array, places[0])
                store(builder, subtract(builder, a, b), array, places[1])
        return context.get_dummy_value()

    return types.void(x, begin, end), code


# --- several samples in the lanes -----------------------------------------------------------------------------------


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
        n_rows, d, n_sites, site, g, n_masks, masks, sstarts, z, c, source, target, out = _pointers(
            context, builder, signature, arguments
        )
        parts = LANES // WIDTH
        sums, weights = _accumulators(builder, parts), _accumulators(builder, parts)
        dot = _accumulators(builder, parts)
        with _loop(builder, INT64(0), n_rows) as (row, _):
            places = _rows(builder, row)
            for place, total in zip(places, sums, strict=True):
                builder.store(multiply(builder, load(builder, d, place), load(builder, source, place)), total)
            with _loop(builder, INT64(0), n_sites) as (k, _):
                bit = _scalar(builder, site, k)
                there = _rows(builder, builder.xor(row, builder.shl(INT64(1), bit)))
                for place, weight, total in zip(there, _rows(builder, bit), sums, strict=True):
                    part = multiply_add(
                        builder, load(builder, g, weight), load(builder, source, place), builder.load(total)
                    )
                    builder.store(part, total)
            with _loop(builder, INT64(0), n_masks) as (k, _):
                there = _rows(builder, builder.xor(row, _scalar(builder, masks, k)))
                for place in weights:
                    builder.store(zero(), place)
                from_, to = (_scalar(builder, sstarts, builder.add(k, INT64(side))) for side in (0, 1))
                with _loop(builder, from_, to) as (s, _):
                    sign = splat(builder, _parity_sign(builder, row, _scalar(builder, z, s)))
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
        n_rows, flip, string, bra, ket, result = _pointers(context, builder, signature, arguments)
        sums = _accumulators(builder, LANES // WIDTH)
        with _loop(builder, INT64(0), n_rows) as (row, _):
            sign = splat(builder, _parity_sign(builder, row, string))
            there = _rows(builder, builder.xor(row, flip))
            for place, source, total in zip(_rows(builder, row), there, sums, strict=True):
                left = multiply(builder, sign, load(builder, bra, place))
                builder.store(multiply_add(builder, left, load(builder, ket, source), builder.load(total)), total)
        for place, total in zip(_rows(builder, INT64(0)), sums, strict=True):
            store(builder, builder.load(total), result, place)
        return context.get_dummy_value()

    return types.void(dim, mask, z, u, v, out), code


# --- streams --------------------------------------------------------------------------------------------------------

_Program = Callable[[Builder, list[Value], list[Value]], tuple[list[Value], list[Value]]]


def _stream(n_arrays: int, n_coefficients: int, n_written: int, n_dots: int, program: _Program) -> Callable[..., Any]:
    """A kernel that runs a formula over arrays once, from ``begin`` to ``end`` (multiples of four vectors).

    The formula maps the vectors of the arrays and of the coefficients (n_coefficients, lanes) to the new values of the
    first ``n_written`` arrays and to products whose sums are added to ``sums`` (n_dots, lanes).
    """

    @intrinsic
    def stream(typing, arrays, coefficients, sums, begin, end, tag):
        lanes = tag.count
        parts = max(1, lanes // WIDTH)

        def code(context: Any, builder: Builder, signature: Any, arguments: Any) -> Value:
            members = [
                _pointer(context, builder, kind, builder.extract_value(arguments[0], index))
                for index, kind in enumerate(arrays)
            ]
            c, out, first, last = _pointers(context, builder, signature, arguments)[1:5]

            def coefficient(index: int, part: int) -> Value:
                if lanes == 1:
                    return splat(builder, _scalar(builder, c, INT64(index)))
                return load(builder, c, INT64(index * lanes + part * WIDTH))

            weights = [[coefficient(index, part) for index in range(n_coefficients)] for part in range(parts)]
            dots = [_accumulators(builder, 4) for _ in range(n_dots)]
            with _loop(builder, first, last, 4 * WIDTH) as (base, _):
                for v in range(4):
                    place = builder.add(base, INT64(v * WIDTH))
                    vectors = [load(builder, member, place) for member in members]
                    written, products = program(builder, vectors, weights[v % parts])
                    for member, vector in zip(members, written, strict=False):
                        store(builder, vector, member, place)
                    for total, (left, right) in zip(dots, products, strict=True):
                        builder.store(multiply_add(builder, left, right, builder.load(total[v])), total[v])
            for index, total in enumerate(dots):
                partial = [builder.load(place) for place in total]
                if lanes == 1:
                    whole = add(builder, add(builder, partial[0], partial[1]), add(builder, partial[2], partial[3]))
                    _increase(builder, out, INT64(index), horizontal_sum(builder, whole))
                else:
                    for part in range(parts):
                        place = INT64(index * lanes + part * WIDTH)
                        whole = load(builder, out, place)
                        for v in range(part, 4, parts):
                            whole = add(builder, whole, partial[v])
                        store(builder, whole, out, place)
            return context.get_dummy_value()

        return types.void(arrays, coefficients, sums, begin, end, tag), code

    return stream


def _combine(builder: Builder, vectors: list[Value], weights: list[Value]) -> Value:
    total = multiply(builder, weights[0], vectors[0])
    for weight, vector in zip(weights[1:], vectors[1:], strict=True):
        total = multiply_add(builder, weight, vector, total)
    return total


def _three_term(builder: Builder, vectors: list[Value], weights: list[Value]) -> Any:
    new = _combine(builder, vectors, weights)
    return [new], [(new, new)]


def _three_term_deflated(builder: Builder, vectors: list[Value], weights: list[Value]) -> Any:
    new = _combine(builder, vectors, weights)
    return [new], [(new, new), (new, vectors[3])]


three_term = _stream(3, 3, 1, 1, _three_term)
"""``t = c0 t + c1 u + c2 p``; sums ``t . t``: a Lanczos step."""

three_term_deflated = _stream(4, 4, 1, 2, _three_term_deflated)
"""``t = c0 t + c1 u + c2 p + c3 q``; sums ``t . t`` and ``t . q``."""


def _axpy(builder: Builder, vectors: list[Value], weights: list[Value]) -> Any:
    return [multiply_add(builder, weights[0], vectors[1], vectors[0])], []


axpy = _stream(2, 1, 1, 0, _axpy)
"""``y += c0 x``."""


def _axpy_four(builder: Builder, vectors: list[Value], weights: list[Value]) -> Any:
    new = vectors[0]
    for weight, vector in zip(weights, vectors[1:], strict=True):
        new = multiply_add(builder, weight, vector, new)
    return [new], []


axpy_four = _stream(5, 4, 1, 0, _axpy_four)
"""``y += c0 x0 + c1 x1 + c2 x2 + c3 x3``."""


def _dot(builder: Builder, vectors: list[Value], weights: list[Value]) -> Any:
    return [], [(vectors[0], vectors[1])]


dot = _stream(2, 0, 0, 1, _dot)
"""Sums ``x . y``."""


def _scale(builder: Builder, vectors: list[Value], weights: list[Value]) -> Any:
    return [multiply(builder, weights[0], vectors[0])], []


scale = _stream(1, 1, 1, 0, _scale)
"""``y = c0 y``."""


def _precondition(builder: Builder, vectors: list[Value], weights: list[Value]) -> Any:
    new = multiply(builder, vectors[1], vectors[2])
    return [new], [(vectors[1], new)]


precondition = _stream(3, 0, 1, 1, _precondition)
"""``p = m r``; sums ``r . p``: the first direction of conjugate gradients."""


def _descent(builder: Builder, vectors: list[Value], weights: list[Value]) -> Any:
    solution, residual, direction, applied, conditioner = vectors
    solution = multiply_add(builder, weights[0], direction, solution)
    residual = multiply_add(builder, weights[1], applied, residual)
    return [solution, residual], [(residual, multiply(builder, conditioner, residual)), (residual, residual)]


descent = _stream(5, 2, 2, 2, _descent)
"""``y += c0 p``; ``r += c1 a``; sums ``r . m r`` and ``r . r``: a step of conjugate gradients."""


def _direction(builder: Builder, vectors: list[Value], weights: list[Value]) -> Any:
    conditioned = multiply(builder, vectors[1], vectors[2])
    return [multiply_add(builder, weights[0], vectors[0], conditioned)], []


direction = _stream(3, 1, 1, 0, _direction)
"""``p = m r + c0 p``: the next direction of conjugate gradients."""


def _copy(builder: Builder, vectors: list[Value], weights: list[Value]) -> Any:
    return [vectors[1]], []


copy = _stream(2, 0, 1, 0, _copy)
"""``y = x``."""


def _multiply(builder: Builder, vectors: list[Value], weights: list[Value]) -> Any:
    return [multiply(builder, vectors[1], vectors[2])], []


product = _stream(3, 0, 1, 0, _multiply)
"""``w = u v``."""


def _fold(builder: Builder, vectors: list[Value], weights: list[Value]) -> Any:
    one = ir.Constant(VECTOR, [1.0] * WIDTH)
    return [add(builder, vectors[0], vectors[1])], [(subtract(builder, vectors[0], vectors[1]), one)]


fold = _stream(2, 0, 1, 1, _fold)
"""``a = a + b``; sums ``a - b``: the sum over one site of a diagonal, with and without its sign."""


def _split(builder: Builder, vectors: list[Value], weights: list[Value]) -> Any:
    high, low = subtract(builder, vectors[1], vectors[2]), add(builder, vectors[1], vectors[2])
    return [high, low], []


split = _stream(3, 0, 2, 0, _split)
"""``d = a - b``; ``a = a + b``."""


def _butterfly(builder: Builder, vectors: list[Value], weights: list[Value]) -> Any:
    return [add(builder, vectors[0], vectors[1]), subtract(builder, vectors[0], vectors[1])], []


butterfly = _stream(2, 0, 2, 0, _butterfly)
"""``a, b = a + b, a - b``."""
