"""Streams: formulas over whole vectors, each read and written once, as the Krylov methods need them."""

# numba infers the types of compiled functions
# pyright: reportMissingParameterType=false, reportUntypedFunctionDecorator=false, reportArgumentType=false
# pyright: reportCallIssue=false

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from qeqprop.engine.addresses import accumulators, increase, loop, pointer_of, pointers
from qeqprop.engine.vectors import (
    INT64,
    VECTOR,
    WIDTH,
    Builder,
    Value,
    add,
    add_products,
    double,
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

_Program = Callable[[Builder, list[Value], list[Value]], tuple[list[Value], list[Value]]]


def _stream(
    n_arrays: int, n_coefficients: int, n_written: int, n_dots: int, program: _Program, stride: int = 4
) -> Callable[..., Any]:
    """A kernel that runs a formula over arrays once, from ``begin`` to ``end`` (multiples of ``stride`` vectors).

    The formula maps the vectors of the arrays and of the coefficients (n_coefficients, lanes) to the new values of the
    first ``n_written`` arrays and to products whose sums are added to ``sums`` (n_dots, lanes).
    """

    @intrinsic
    def stream(typing, arrays, coefficients, sums, begin, end, tag):
        lanes = tag.count
        parts = max(1, lanes // WIDTH)

        def code(context: Any, builder: Builder, signature: Any, arguments: Any) -> Value:
            members = [
                pointer_of(context, builder, kind, builder.extract_value(arguments[0], index))
                for index, kind in enumerate(arrays)
            ]
            c, out, first, last = pointers(context, builder, signature, arguments)[1:5]

            def coefficient(index: int, part: int) -> Value:
                if lanes == 1:
                    return splat(builder, load_scalar(builder, c, INT64(index)))
                return load(builder, c, INT64(index * lanes + part * WIDTH))

            weights = [[coefficient(index, part) for index in range(n_coefficients)] for part in range(parts)]
            dots = [accumulators(builder, 4) for _ in range(n_dots)]
            with loop(builder, first, last, stride * WIDTH) as (base, _):
                pairs: list[list[tuple[Value, Value]]] = [[] for _ in range(n_dots)]
                for v in range(stride):
                    place = builder.add(base, INT64(v * WIDTH))
                    vectors = [load(builder, member, place) for member in members]
                    written, products = program(builder, vectors, weights[v % parts])
                    for member, vector in zip(members, written, strict=False):
                        store(builder, vector, member, place)
                    for collected, pair in zip(pairs, products, strict=True):
                        collected.append(pair)
                for total, collected in zip(dots, pairs, strict=True):
                    for part in range(parts):
                        add_products(builder, collected[part::parts], total[part::parts])
            for index, total in enumerate(dots):
                partial = [builder.load(place) for place in total]
                if lanes == 1:
                    whole = add(builder, add(builder, partial[0], partial[1]), add(builder, partial[2], partial[3]))
                    increase(builder, out, INT64(index), horizontal_sum(builder, whole))
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


def _scaled(builder: Builder, vectors: list[Value], weights: list[Value]) -> Any:
    return [multiply(builder, weights[0], vectors[1])], []


scaled = _stream(2, 1, 1, 0, _scaled)
"""``y = c0 x``."""


def _clear(builder: Builder, vectors: list[Value], weights: list[Value]) -> Any:
    return [ir.Constant(VECTOR, [0.0] * WIDTH)], []


clear = _stream(1, 0, 1, 0, _clear)
"""``y = 0``, whatever was there: a workspace may hold NaN, which no factor removes."""


def _precondition(builder: Builder, vectors: list[Value], weights: list[Value]) -> Any:
    new = multiply(builder, vectors[1], vectors[2])
    return [new], [(vectors[1], new)]


precondition = _stream(3, 0, 1, 1, _precondition)
"""``p = m r``; sums ``r . p``: the first direction of conjugate gradients."""


def _descent(builder: Builder, vectors: list[Value], weights: list[Value]) -> Any:
    residual, applied, conditioner = vectors
    residual = multiply_add(builder, weights[0], applied, residual)
    return [residual], [(residual, multiply(builder, conditioner, residual)), (residual, residual)]


descent = _stream(3, 1, 1, 2, _descent)
"""``r += c0 a``; sums ``r . m r`` and ``r . r``: the residual of a step of conjugate gradients."""


def _advance(builder: Builder, vectors: list[Value], weights: list[Value]) -> Any:
    solution, direction, residual, conditioner = vectors
    conditioned = multiply(builder, residual, conditioner)
    return [
        multiply_add(builder, weights[0], direction, solution),
        multiply_add(builder, weights[1], direction, conditioned),
    ], []


advance = _stream(4, 2, 2, 0, _advance)
"""``y += c0 p``, and then ``p = m r + c1 p``: the step itself and the next direction, for one reading of p."""


def _condition(builder: Builder, vectors: list[Value], weights: list[Value]) -> Any:
    above = add(builder, double(builder, vectors[2]), weights[0])
    positive = builder.select(builder.fcmp_ordered(">", above, zero()), above, zero())
    one = ir.Constant(VECTOR, [1.0] * WIDTH)
    return [above, builder.fdiv(one, multiply_add(builder, weights[1], positive, weights[2]))], []


condition = _stream(3, 3, 2, 0, _condition)
"""``a = d + c0`` and ``m = 1 / (c1 max(a, 0) + c2)``, all in double precision: a preconditioner."""


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


butterfly = _stream(2, 0, 2, 0, _butterfly, stride=16 // WIDTH)
"""``a, b = a + b, a - b``, of as little as two amplitudes of eight samples side by side."""
