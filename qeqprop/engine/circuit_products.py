"""More vector instructions of the circuit engine: products with phases."""

# numba's and llvmlite's decorators and values carry no types
# pyright: reportUntypedFunctionDecorator=false, reportUnusedFunction=false

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from qeqprop.engine.circuit_vectors import loop, pointers_of
from qeqprop.engine.vectors import (
    DOUBLE,
    WIDTH,
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
def multiply_line(typing: Any, ur: Any, ui: Any, wr: Any, wi: Any, length: Any, sr: Any, si: Any) -> Any:
    """``u = w s`` for complex arrays u, w of some length and a number s."""

    def emit(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        target, source = _pointer_pairs(context, builder, signature, args, (0, 2))
        scale = splat(builder, args[5]), splat(builder, args[6])
        with loop(builder, args[4], WIDTH) as k:
            store_pair(builder, _product(builder, load_pair(builder, source, k), scale), target, k)
        return context.get_dummy_value()

    return types.void(ur, ui, wr, wi, _PLACE, _NUMBER, _NUMBER), emit


@intrinsic
def shade(typing: Any, tr: Any, ti: Any, er: Any, ei: Any, entry: Any, ur: Any, ui: Any, length: Any) -> Any:
    """``T[entry + k] = E[entry + k] u[k]`` for k below the length, all complex."""

    def emit(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        target, table, line = _pointer_pairs(context, builder, signature, args, (0, 2, 5))
        with loop(builder, args[7], WIDTH) as k:
            entry = builder.add(args[4], k)
            factors = load_pair(builder, table, entry), load_pair(builder, line, k)
            store_pair(builder, _product(builder, *factors), target, entry)
        return context.get_dummy_value()

    return types.void(tr, ti, er, ei, _PLACE, ur, ui, _PLACE), emit


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
    typing: Any, re: Any, im: Any, place: Any, er: Any, ei: Any, entry: Any, ur: Any, ui: Any, length: Any
) -> Any:
    """Multiplies the state from ``place`` on by ``E[entry + k] u[k]`` for k below the length."""

    def emit(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        state, table, line = _pointer_pairs(context, builder, signature, args, (0, 3, 6))
        with loop(builder, args[8], WIDTH) as k:
            factors = load_pair(builder, table, builder.add(args[5], k)), load_pair(builder, line, k)
            place = builder.add(args[2], k)
            new = _product(builder, load_pair(builder, state, place), _product(builder, *factors))
            store_pair(builder, new, state, place)
        return context.get_dummy_value()

    return types.void(re, im, _PLACE, er, ei, _PLACE, ur, ui, _PLACE), emit


@intrinsic
def undo_line(
    typing: Any, pr: Any, pi: Any, lr: Any, li: Any, place: Any, q: Any, er: Any, ei: Any, entry: Any, ur: Any, ui: Any,
    length: Any,
) -> Any:  # fmt: skip
    """``q[entry + k] = Im(conj(lam) psi)``, then multiplies both states by the conjugate of ``E[entry + k] u[k]``."""

    def emit(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        psi, lam, table, line = _pointer_pairs(context, builder, signature, args, (0, 2, 6, 9))
        (q,) = pointers_of(context, builder, signature, args, [5])
        with loop(builder, args[11], WIDTH) as k:
            place, entry = builder.add(args[4], k), builder.add(args[8], k)
            real, imaginary = _product(builder, load_pair(builder, table, entry), load_pair(builder, line, k))
            (pr, pi), (lr, li) = load_pair(builder, psi, place), load_pair(builder, lam, place)
            store(builder, subtract(builder, multiply(builder, lr, pi), multiply(builder, li, pr)), q, entry)
            factor = real, builder.fneg(imaginary)
            store_pair(builder, _product(builder, (pr, pi), factor), psi, place)
            store_pair(builder, _product(builder, (lr, li), factor), lam, place)
        return context.get_dummy_value()

    return types.void(pr, pi, lr, li, _PLACE, q, er, ei, _PLACE, ur, ui, _PLACE), emit


def _pointer_pairs(
    context: Any, builder: Builder, signature: Any, args: Any, firsts: tuple[int, ...]
) -> list[list[Any]]:
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
