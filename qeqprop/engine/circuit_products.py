"""More vector instructions of the circuit engine: products with phases."""

# numba's and llvmlite's decorators and values carry no types
# pyright: reportUntypedFunctionDecorator=false, reportUnusedFunction=false

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from qeqprop.engine.circuit_vectors import pointers_of
from qeqprop.engine.vectors import (
    DOUBLE,
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


@intrinsic
def count_bits(typing: Any, mask: Any) -> Any:
    """The number of bits that are set."""

    def emit(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.int64(types.int64), emit


def _product(builder: Builder, a: Any, b: Any) -> tuple[Any, Any]:
    """The product of two complex vectors."""
    (ar, ai), (br, bi) = a, b
    real = subtract(builder, multiply(builder, ar, br), multiply(builder, ai, bi))
    return real, multiply_add(builder, ar, bi, multiply(builder, ai, br))


def load_pair(builder: Builder, pointers: list[Any], place: Any) -> tuple[Any, Any]:
    """The vectors at one place of two arrays."""
    return load(builder, pointers[0], place), load(builder, pointers[1], place)


def store_pair(builder: Builder, values: tuple[Any, Any], pointers: list[Any], place: Any) -> None:
    """Writes two vectors to one place of two arrays."""
    store(builder, values[0], pointers[0], place)
    store(builder, values[1], pointers[1], place)


@intrinsic
def phase(typing: Any, re: Any, im: Any, place: Any, tr: Any, ti: Any, entry: Any, sign: Any) -> Any:
    """Multiplies a vector of the state by ``tr + i sign ti``."""

    def emit(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        state = pointers_of(context, builder, signature, args, [0, 1])
        table = pointers_of(context, builder, signature, args, [3, 4])
        tr, ti = load_pair(builder, table, args[5])
        factor = tr, multiply(builder, splat(builder, args[6]), ti)
        store_pair(builder, _product(builder, load_pair(builder, state, args[2]), factor), state, args[2])
        return context.get_dummy_value()

    return types.void(re, im, _PLACE, tr, ti, _PLACE, _NUMBER), emit


@intrinsic
def shade(
    typing: Any, tr: Any, ti: Any, er: Any, ei: Any, entry: Any, wr: Any, wi: Any, low: Any, sr: Any, si: Any
) -> Any:
    """``T[entry] = E[entry] w[low] s`` for vectors T, E, w and a number s, all complex."""

    def emit(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        target, table, line = _pointer_pairs(context, builder, signature, args, (0, 2, 5))
        scale = splat(builder, args[8]), splat(builder, args[9])
        factor = _product(builder, load_pair(builder, line, args[7]), scale)
        store_pair(builder, _product(builder, load_pair(builder, table, args[4]), factor), target, args[4])
        return context.get_dummy_value()

    return types.void(tr, ti, er, ei, _PLACE, wr, wi, _PLACE, _NUMBER, _NUMBER), emit


@intrinsic
def double_up(typing: Any, er: Any, ei: Any, place: Any, distance: Any, lr: Any, li: Any) -> Any:
    """``E[place + distance] = E[place] conj(L[place])``, then ``E[place] *= L[place]``."""

    def emit(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        table = pointers_of(context, builder, signature, args, [0, 1])
        line = pointers_of(context, builder, signature, args, [4, 5])
        entries, (lr, li) = load_pair(builder, table, args[2]), load_pair(builder, line, args[2])
        store_pair(builder, _product(builder, entries, (lr, builder.fneg(li))), table, builder.add(args[2], args[3]))
        store_pair(builder, _product(builder, entries, (lr, li)), table, args[2])
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
        state, table, line = _pointer_pairs(context, builder, signature, args, (0, 3, 6))
        scale = splat(builder, args[9]), splat(builder, args[10])
        factor = _product(builder, load_pair(builder, line, args[8]), scale)
        factor = _product(builder, load_pair(builder, table, args[5]), factor)
        store_pair(builder, _product(builder, load_pair(builder, state, args[2]), factor), state, args[2])
        return context.get_dummy_value()

    return types.void(re, im, _PLACE, er, ei, _PLACE, wr, wi, _PLACE, _NUMBER, _NUMBER), emit


@intrinsic
def undo_line(
    typing: Any, pr: Any, pi: Any, lr: Any, li: Any, place: Any, q: Any, er: Any, ei: Any, entry: Any, wr: Any, wi: Any,
    low: Any, sr: Any, si: Any,
) -> Any:  # fmt: skip
    """``q[entry] = Im(conj(lam) psi)``, then multiplies both states by the conjugate of ``E[entry] w[low] s``."""

    def emit(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        psi, lam, table, line = _pointer_pairs(context, builder, signature, args, (0, 2, 6, 9))
        (q,) = pointers_of(context, builder, signature, args, [5])
        scale = splat(builder, args[12]), splat(builder, args[13])
        factor = _product(builder, load_pair(builder, line, args[11]), scale)
        real, imaginary = _product(builder, load_pair(builder, table, args[8]), factor)
        (pr, pi), (lr, li) = load_pair(builder, psi, args[4]), load_pair(builder, lam, args[4])
        store(builder, subtract(builder, multiply(builder, lr, pi), multiply(builder, li, pr)), q, args[8])
        factor = real, builder.fneg(imaginary)
        store_pair(builder, _product(builder, (pr, pi), factor), psi, args[4])
        store_pair(builder, _product(builder, (lr, li), factor), lam, args[4])
        return context.get_dummy_value()

    return types.void(
        pr, pi, lr, li, _PLACE, q, er, ei, _PLACE, wr, wi, _PLACE, _NUMBER, _NUMBER
    ), emit  # fmt: skip


def _pointer_pairs(context: Any, builder: Builder, signature: Any, args: Any, firsts: tuple[int, ...]) -> list[list[Any]]:
    """The data pointers of neighbouring array arguments, real and imaginary parts."""
    return [pointers_of(context, builder, signature, args, [first, first + 1]) for first in firsts]


@intrinsic
def slopes(typing: Any, q: Any, entry: Any, pr: Any, pi: Any, lr: Any, li: Any, place: Any) -> Any:
    """``q[entry] = Im(conj(lam) psi)`` at ``place``."""

    def emit(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        q, pr, pi, lr, li = pointers_of(context, builder, signature, args, [0, 2, 3, 4, 5])
        (pr, pi), (lr, li) = load_pair(builder, [pr, pi], args[6]), load_pair(builder, [lr, li], args[6])
        store(builder, subtract(builder, multiply(builder, lr, pi), multiply(builder, li, pr)), q, args[1])
        return context.get_dummy_value()

    return types.void(q, _PLACE, pr, pi, lr, li, _PLACE), emit


@intrinsic
def widen(typing: Any, er: Any, ei: Any, place: Any, distance: Any, wr: Any, wi: Any) -> Any:
    """``E[place + distance] = E[place] conj(w)``, then ``E[place] *= w``, for a number w."""

    def emit(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        table = pointers_of(context, builder, signature, args, [0, 1])
        entries = load_pair(builder, table, args[2])
        wr, wi = splat(builder, args[4]), splat(builder, args[5])
        store_pair(builder, _product(builder, entries, (wr, builder.fneg(wi))), table, builder.add(args[2], args[3]))
        store_pair(builder, _product(builder, entries, (wr, wi)), table, args[2])
        return context.get_dummy_value()

    return types.void(er, ei, _PLACE, _PLACE, _NUMBER, _NUMBER), emit
