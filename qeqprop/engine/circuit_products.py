"""More vector instructions of the circuit engine: phases, Walsh-Hadamard butterflies and single Pauli strings.

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

from qeqprop.engine.circuit_vectors import LANE_BITS, places_of, pointers_of
from qeqprop.engine.vectors import (
    DOUBLE,
    INT64,
    VECTOR,
    WIDTH,
    add,
    flip_lanes,
    load,
    multiply,
    multiply_add,
    splat,
    store,
    subtract,
)

_PLACE, _NUMBER = types.intp, types.float64
_BIT = ir.IntType(1)
Builder = Any  # llvmlite's types are opaque


@intrinsic
def sign_of(typing: Any, mask: Any) -> Any:
    """``(-1)^popcount(mask)`` as a float."""

    def emit(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        odd = builder.trunc(builder.ctpop(args[0]), _BIT)
        return builder.select(odd, DOUBLE(-1.0), DOUBLE(1.0))

    return types.float64(types.int64), emit


def _product(builder: Builder, a: Any, b: Any) -> tuple[Any, Any]:
    """The product of two complex vectors."""
    (ar, ai), (br, bi) = a, b
    real = subtract(builder, multiply(builder, ar, br), multiply(builder, ai, bi))
    return real, multiply_add(builder, ar, bi, multiply(builder, ai, br))


def _load_pair(builder: Builder, pointers: list[Any], place: Any) -> tuple[Any, Any]:
    return load(builder, pointers[0], place), load(builder, pointers[1], place)


def _store_pair(builder: Builder, values: tuple[Any, Any], pointers: list[Any], place: Any) -> None:
    store(builder, values[0], pointers[0], place)
    store(builder, values[1], pointers[1], place)


@intrinsic
def phase(typing: Any, re: Any, im: Any, place: Any, tr: Any, ti: Any, entry: Any, sign: Any) -> Any:
    """Multiplies a vector of the state by ``tr + i sign ti``."""

    def emit(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        state = pointers_of(context, builder, signature, args, 2)
        table = [context.make_array(signature.args[k])(context, builder, args[k]).data for k in (3, 4)]
        tr, ti = _load_pair(builder, table, args[5])
        factor = tr, multiply(builder, splat(builder, args[6]), ti)
        _store_pair(builder, _product(builder, _load_pair(builder, state, args[2]), factor), state, args[2])
        return context.get_dummy_value()

    return types.void(re, im, _PLACE, tr, ti, _PLACE, _NUMBER), emit


@intrinsic
def shade(
    typing: Any, tr: Any, ti: Any, er: Any, ei: Any, entry: Any, wr: Any, wi: Any, low: Any, sr: Any, si: Any
) -> Any:
    """``T[entry] = E[entry] w[low] s`` for vectors T, E, w and a number s, all complex."""

    def emit(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        arrays = {k: context.make_array(signature.args[k])(context, builder, args[k]).data for k in (0, 1, 2, 3, 5, 6)}
        line = _load_pair(builder, [arrays[5], arrays[6]], args[7])
        factor = _product(builder, line, (splat(builder, args[8]), splat(builder, args[9])))
        entries = _load_pair(builder, [arrays[2], arrays[3]], args[4])
        _store_pair(builder, _product(builder, entries, factor), [arrays[0], arrays[1]], args[4])
        return context.get_dummy_value()

    return types.void(tr, ti, er, ei, _PLACE, wr, wi, _PLACE, _NUMBER, _NUMBER), emit


@intrinsic
def double_up(typing: Any, er: Any, ei: Any, place: Any, distance: Any, lr: Any, li: Any) -> Any:
    """``E[place + distance] = E[place] conj(L[place])``, then ``E[place] *= L[place]``."""

    def emit(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        table = pointers_of(context, builder, signature, args, 2)
        line = [context.make_array(signature.args[k])(context, builder, args[k]).data for k in (4, 5)]
        entries, (lr, li) = _load_pair(builder, table, args[2]), _load_pair(builder, line, args[2])
        _store_pair(builder, _product(builder, entries, (lr, builder.fneg(li))), table, builder.add(args[2], args[3]))
        _store_pair(builder, _product(builder, entries, (lr, li)), table, args[2])
        return context.get_dummy_value()

    return types.void(er, ei, _PLACE, _PLACE, lr, li), emit


@intrinsic
def phase_line(
    typing: Any,
    re: Any,
    im: Any,
    place: Any,
    er: Any,
    ei: Any,
    entry: Any,
    wr: Any,
    wi: Any,
    low: Any,
    sr: Any,
    si: Any,
) -> Any:
    """Multiplies a vector of the state by ``E[entry] w[low] s``."""

    def emit(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        state, table, line = _array_pairs(context, builder, signature, args, (0, 3, 6))
        scale = splat(builder, args[9]), splat(builder, args[10])
        factor = _product(builder, _load_pair(builder, line, args[8]), scale)
        factor = _product(builder, _load_pair(builder, table, args[5]), factor)
        _store_pair(builder, _product(builder, _load_pair(builder, state, args[2]), factor), state, args[2])
        return context.get_dummy_value()

    return types.void(re, im, _PLACE, er, ei, _PLACE, wr, wi, _PLACE, _NUMBER, _NUMBER), emit


@intrinsic
def undo_line(
    typing: Any, pr: Any, pi: Any, lr: Any, li: Any, place: Any, q: Any, er: Any, ei: Any, entry: Any, wr: Any, wi: Any,
    low: Any, sr: Any, si: Any,
) -> Any:  # fmt: skip
    """``q[entry] = Im(conj(lam) psi)``, then multiplies both states by the conjugate of ``E[entry] w[low] s``."""

    def emit(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        psi, lam, table, line = _array_pairs(context, builder, signature, args, (0, 2, 6, 9))
        q = context.make_array(signature.args[5])(context, builder, args[5]).data
        scale = splat(builder, args[12]), splat(builder, args[13])
        factor = _product(builder, _load_pair(builder, line, args[11]), scale)
        real, imaginary = _product(builder, _load_pair(builder, table, args[8]), factor)
        (pr, pi), (lr, li) = _load_pair(builder, psi, args[4]), _load_pair(builder, lam, args[4])
        store(builder, subtract(builder, multiply(builder, lr, pi), multiply(builder, li, pr)), q, args[8])
        factor = real, builder.fneg(imaginary)
        _store_pair(builder, _product(builder, (pr, pi), factor), psi, args[4])
        _store_pair(builder, _product(builder, (lr, li), factor), lam, args[4])
        return context.get_dummy_value()

    return types.void(
        pr, pi, lr, li, _PLACE, q, er, ei, _PLACE, wr, wi, _PLACE, _NUMBER, _NUMBER
    ), emit  # fmt: skip


def _array_pairs(context: Any, builder: Builder, signature: Any, args: Any, firsts: tuple[int, ...]) -> list[list[Any]]:
    """The data pointers of neighbouring array arguments, real and imaginary parts."""
    return [
        [context.make_array(signature.args[k])(context, builder, args[k]).data for k in (first, first + 1)]
        for first in firsts
    ]


@intrinsic
def slopes(typing: Any, q: Any, entry: Any, pr: Any, pi: Any, lr: Any, li: Any, place: Any) -> Any:
    """``q[entry] = Im(conj(lam) psi)`` at ``place``."""

    def emit(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        q, _, pr, pi, lr, li = (
            None if k == 1 else context.make_array(signature.args[k])(context, builder, args[k]).data for k in range(6)
        )
        (pr, pi), (lr, li) = _load_pair(builder, [pr, pi], args[6]), _load_pair(builder, [lr, li], args[6])
        store(builder, subtract(builder, multiply(builder, lr, pi), multiply(builder, li, pr)), q, args[1])
        return context.get_dummy_value()

    return types.void(q, _PLACE, pr, pi, lr, li, _PLACE), emit


def _hadamard(builder: Builder, values: list[Any], bit: int) -> None:
    for a in range(4):
        b = a | 1 << bit
        if a != b:
            values[a], values[b] = add(builder, values[a], values[b]), subtract(builder, values[a], values[b])


@intrinsic
def hadamard_quad(typing: Any, q: Any, place: Any, stride: Any) -> Any:
    """Sums and differences over the bits of strides ``stride`` and ``2 stride``."""

    def emit(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        (pointer,) = pointers_of(context, builder, signature, args, 1)
        places = places_of(builder, args[1], args[2], 4)
        values = [load(builder, pointer, where) for where in places]
        for bit in range(2):
            _hadamard(builder, values, bit)
        for value, where in zip(values, places, strict=True):
            store(builder, value, pointer, where)
        return context.get_dummy_value()

    return types.void(q, _PLACE, _PLACE), emit


@intrinsic
def hadamard_tile(typing: Any, q: Any, place: Any) -> Any:
    """Sums and differences over the lowest `TILE_BITS` bits."""

    def emit(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        (pointer,) = pointers_of(context, builder, signature, args, 1)
        places = places_of(builder, args[1], INT64(WIDTH), 4)
        values = [load(builder, pointer, where) for where in places]
        for bit in range(LANE_BITS):
            signs = _lane_signs(bit)
            values = [multiply_add(builder, signs, value, flip_lanes(builder, value, 1 << bit)) for value in values]
        for bit in range(2):
            _hadamard(builder, values, bit)
        for value, where in zip(values, places, strict=True):
            store(builder, value, pointer, where)
        return context.get_dummy_value()

    return types.void(q, _PLACE), emit


def _lane_signs(bit: int) -> Any:
    return ir.Constant(VECTOR, [-1.0 if lane >> bit & 1 else 1.0 for lane in range(WIDTH)])


def _flip_by(builder: Builder, vector: Any, mask: Any) -> Any:
    """Like `flip_lanes` for a mask that is known at run time only."""
    for bit in range(LANE_BITS):
        chosen = builder.trunc(builder.lshr(mask, INT64(bit)), _BIT)
        vector = builder.select(chosen, flip_lanes(builder, vector, 1 << bit), vector)
    return vector


def _partners(context: Any, builder: Builder, signature: Any, args: Any, place: Any, flip: Any) -> tuple[Any, Any]:
    """The vectors of the source arrays (arguments 2 and 3) at ``place``, lanes flipped and signed by argument 4."""
    a, b, signs = (context.make_array(signature.args[k])(context, builder, args[k]).data for k in (2, 3, 4))
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
        state = pointers_of(context, builder, signature, args, 2)
        place, partner, flip = args[5:8]
        c, here_r, here_i, there_r, there_i = (splat(builder, value) for value in args[8:13])
        here, there = _load_pair(builder, state, place), _load_pair(builder, state, partner)
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
            _store_pair(builder, (new[0], new[1]), state, where)
        return context.get_dummy_value()

    return types.void(re, im, a, b, signs, _PLACE, _PLACE, types.int64, *[_NUMBER] * 5), emit


@intrinsic
def string_add(
    typing: Any, re: Any, im: Any, a: Any, b: Any, signs: Any, place: Any, partner: Any, flip: Any, kr: Any, ki: Any
) -> Any:
    """``re += kr A, im += ki B`` with A, B from the partner."""

    def emit(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        state = pointers_of(context, builder, signature, args, 2)
        place, partner, flip = args[5:8]
        source = _partners(context, builder, signature, args, partner, flip)
        re, im = _load_pair(builder, state, place)
        re = multiply_add(builder, splat(builder, args[8]), source[0], re)
        _store_pair(builder, (re, multiply_add(builder, splat(builder, args[9]), source[1], im)), state, place)
        return context.get_dummy_value()

    return types.void(re, im, a, b, signs, _PLACE, _PLACE, types.int64, _NUMBER, _NUMBER), emit


@intrinsic
def weigh(typing: Any, re: Any, im: Any, a: Any, b: Any, place: Any, q: Any, entry: Any) -> Any:
    """``re = q a, im = q b`` for a vector of real numbers ``q[entry]``."""

    def emit(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        pointers = pointers_of(context, builder, signature, args, 4)
        weights = load(builder, context.make_array(signature.args[5])(context, builder, args[5]).data, args[6])
        a, b = _load_pair(builder, pointers[2:], args[4])
        _store_pair(builder, (multiply(builder, weights, a), multiply(builder, weights, b)), pointers, args[4])
        return context.get_dummy_value()

    return types.void(re, im, a, b, _PLACE, q, _PLACE), emit


@intrinsic
def overlap(typing: Any, re: Any, im: Any, a: Any, b: Any, place: Any, sums: Any) -> Any:
    """Adds ``re a + im b`` to the vector ``sums[0]``."""

    def emit(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        pointers = pointers_of(context, builder, signature, args, 4)
        sums = context.make_array(signature.args[5])(context, builder, args[5]).data
        (re, im), (a, b) = _load_pair(builder, pointers, args[4]), _load_pair(builder, pointers[2:], args[4])
        total = multiply_add(builder, re, a, load(builder, sums, INT64(0)))
        store(builder, multiply_add(builder, im, b, total), sums, INT64(0))
        return context.get_dummy_value()

    return types.void(re, im, a, b, _PLACE, sums), emit


@intrinsic
def far_add(
    typing: Any, re: Any, im: Any, a: Any, b: Any, place: Any, p0: Any, p1: Any, p2: Any, p3: Any,
    c0: Any, c1: Any, c2: Any, c3: Any,
) -> Any:  # fmt: skip
    """``re += sum c_k a[p_k], im += sum c_k b[p_k]`` over four partners whose lanes keep their order."""

    def emit(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        pointers = pointers_of(context, builder, signature, args, 4)
        totals = list(_load_pair(builder, pointers, args[4]))
        for partner, factor in zip(args[5:9], args[9:13], strict=True):
            scale = splat(builder, factor)
            for part in range(2):
                totals[part] = multiply_add(builder, scale, load(builder, pointers[2 + part], partner), totals[part])
        _store_pair(builder, (totals[0], totals[1]), pointers, args[4])
        return context.get_dummy_value()

    return types.void(re, im, a, b, *[_PLACE] * 5, *[_NUMBER] * 4), emit


@intrinsic
def string_dot(
    typing: Any, re: Any, im: Any, a: Any, b: Any, signs: Any, sums: Any, place: Any, partner: Any, flip: Any,
    kr: Any, ki: Any,
) -> Any:  # fmt: skip
    """Adds ``kr re A + ki im B``, with A, B from the partner, to the vector ``sums[0]``."""

    def emit(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        state = pointers_of(context, builder, signature, args, 2)
        sums = context.make_array(signature.args[5])(context, builder, args[5]).data
        place, partner, flip = args[6:9]
        source = _partners(context, builder, signature, args, partner, flip)
        re, im = _load_pair(builder, state, place)
        total = load(builder, sums, INT64(0))
        total = multiply_add(builder, splat(builder, args[9]), multiply(builder, re, source[0]), total)
        total = multiply_add(builder, splat(builder, args[10]), multiply(builder, im, source[1]), total)
        store(builder, total, sums, INT64(0))
        return context.get_dummy_value()

    return types.void(re, im, a, b, signs, sums, _PLACE, _PLACE, types.int64, _NUMBER, _NUMBER), emit


@intrinsic
def widen(typing: Any, er: Any, ei: Any, place: Any, distance: Any, wr: Any, wi: Any) -> Any:
    """``E[place + distance] = E[place] conj(w)``, then ``E[place] *= w``, for a number w."""

    def emit(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        table = pointers_of(context, builder, signature, args, 2)
        entries = _load_pair(builder, table, args[2])
        wr, wi = splat(builder, args[4]), splat(builder, args[5])
        _store_pair(builder, _product(builder, entries, (wr, builder.fneg(wi))), table, builder.add(args[2], args[3]))
        _store_pair(builder, _product(builder, entries, (wr, wi)), table, args[2])
        return context.get_dummy_value()

    return types.void(er, ei, _PLACE, _PLACE, _NUMBER, _NUMBER), emit
