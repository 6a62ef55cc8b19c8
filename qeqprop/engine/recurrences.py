"""The rows of tridiagonal matrices obeyed from the last one upwards, one matrix in every lane.

For given x the vector w with ``w_last = 1`` and ``((T - x) w)_i = 0`` in all rows but the first is found by
multiplications alone, since the inverse off-diagonals c are at hand::

    w_(i-1) = -((d_i - x) w_i + c_(i+1) w_(i+1)) / c_i          f(x) = ((T - x) w)_0 = (d_0 - x) w_0 + c_1 w_1

f is the characteristic polynomial but for a factor. ``T - x`` is positive definite without its first row where w
alternates, ``c_i w_i w_(i-1) < 0``, and with it where ``f w_0 > 0`` also holds. A matrix that falls apart (c_i = 0,
given as an inverse of zero) is taken down to that row only.
"""

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

from qeqprop.engine.addresses import loop, pointers
from qeqprop.engine.vectors import DOUBLE, INT64, VECTOR, WIDTH, Builder, Value, load, load_scalar, store

WORST, END, SQUARES, VALUE, SLOPE, CURVATURE = range(6)
"""Rows of what a recurrence answers: largest ``c_i w_i w_(i-1)``, ``f w_0``, ``|w|^2``, f, f', f''."""

_FLAGS = ("reassoc", "contract", "nsz")  # infinities and nans stay: they tell that numbers ran out
_LARGE = 1e100


def _upwards(order: int) -> Callable[..., Any]:
    """The recurrence with ``order`` derivatives in x; without any, w is written to ``vector`` (size, lanes)."""

    @intrinsic
    def upwards(typing, size, diagonal, off_diagonal, inverse, x, vector, results, tag):
        lanes = tag.count

        def code(context: Any, builder: Builder, signature: Any, arguments: Any) -> Value:
            rows, d, c, i, at_x, w, out, _ = pointers(context, builder, signature, arguments)
            for part in range(max(1, lanes // WIDTH)):
                _Part(builder, lanes, part, order).emit(rows, d, c, i, at_x, w, out)
            return context.get_dummy_value()

        return types.void(size, diagonal, off_diagonal, inverse, x, vector, results, tag), code

    return upwards


class _Part:
    """The code for one register of lanes."""

    def __init__(self, builder: Builder, lanes: int, part: int, order: int) -> None:
        self.builder, self.lanes, self.part, self.order = builder, lanes, part, order
        self.kind = DOUBLE if lanes == 1 else VECTOR

    def emit(self, rows: Value, d: Value, c: Value, i: Value, at_x: Value, w: Value, out: Value) -> None:
        builder, zero, one = self.builder, self._constant(0.0), self._constant(1.0)
        x = self._load(at_x, INT64(0))
        here = [self._register(one if k == 0 else zero) for k in range(self.order + 1)]  # w_i and its derivatives
        below = [self._register(zero) for _ in range(self.order + 1)]  # w_(i+1)
        coupling, worst = self._register(zero), self._register(self._constant(-float("inf")))
        squares = self._register(zero)
        last = builder.sub(rows, INT64(1))
        if not self.order:
            self._store(one, w, last)
        with loop(builder, INT64(0), last) as (k, _):
            row = builder.sub(last, k)
            inverse, off = self._load(i, row), self._load(c, row)
            distance = self._minus(self._load(d, row), x)
            now = [builder.load(place) for place in here]
            old = [builder.load(place) for place in below]
            a = self._times(self._negative(inverse), distance)
            b = self._times(self._negative(inverse), builder.load(coupling))
            new = [self._plus(self._times(a, now[0]), self._times(b, old[0]))]
            for m in range(1, self.order + 1):
                inner = self._times(self._times(inverse, self._constant(float(m))), now[m - 1])
                new.append(self._plus(self._times(a, now[m]), self._plus(self._times(b, old[m]), inner)))
            ends = builder.fcmp_ordered("==", inverse, zero)
            product = self._times(self._times(off, now[0]), new[0])
            larger = builder.select(
                builder.fcmp_ordered("<", product, builder.load(worst)), builder.load(worst), product
            )
            builder.store(builder.select(ends, self._constant(-float("inf")), larger), worst)
            total = self._plus(builder.load(squares), self._times(now[0], now[0]))
            builder.store(builder.select(ends, zero, total), squares)
            new = [builder.select(ends, one if m == 0 else zero, value) for m, value in enumerate(new)]
            if self.order:
                size = self._times(new[0], new[0])
                small = builder.select(
                    builder.fcmp_ordered("<", size, self._constant(_LARGE)), one, self._constant(_LARGE**-0.5)
                )
                new = [self._times(value, small) for value in new]
                now = [self._times(value, small) for value in now]
            else:
                self._store(new[0], w, builder.sub(row, INT64(1)))
            for place, value in zip([*here, *below], [*new, *now], strict=True):
                builder.store(value, place)
            builder.store(builder.select(ends, zero, off), coupling)
        first = [builder.load(place) for place in here]
        distance = self._minus(self._load(d, INT64(0)), x)
        values: list[Value] = []
        for m in range(self.order + 1):
            value = self._plus(
                self._times(distance, first[m]), self._times(builder.load(coupling), builder.load(below[m]))
            )
            values.append(self._minus(value, self._times(self._constant(float(m)), first[m - 1])) if m else value)
        self._store(builder.load(worst), out, INT64(WORST))
        self._store(self._times(values[0], first[0]), out, INT64(END))
        self._store(self._plus(builder.load(squares), self._times(first[0], first[0])), out, INT64(SQUARES))
        for m, value in enumerate(values):
            self._store(value, out, INT64(VALUE + m))

    def _constant(self, number: float) -> Value:
        return DOUBLE(number) if self.lanes == 1 else ir.Constant(VECTOR, [number] * WIDTH)

    def _register(self, value: Value) -> Value:
        return cgutils.alloca_once_value(self.builder, value)

    def _place(self, row: Value) -> Value:
        return self.builder.add(self.builder.mul(row, INT64(self.lanes)), INT64(self.part * WIDTH))

    def _load(self, pointer: Value, row: Value) -> Value:
        return (load_scalar if self.lanes == 1 else load)(self.builder, pointer, self._place(row))

    def _store(self, value: Value, pointer: Value, row: Value) -> None:
        if self.lanes == 1:
            self.builder.store(value, self.builder.gep(pointer, [row]))
        else:
            store(self.builder, value, pointer, self._place(row))

    def _plus(self, a: Value, b: Value) -> Value:
        return self.builder.fadd(a, b, flags=_FLAGS)

    def _minus(self, a: Value, b: Value) -> Value:
        return self.builder.fsub(a, b, flags=_FLAGS)

    def _times(self, a: Value, b: Value) -> Value:
        return self.builder.fmul(a, b, flags=_FLAGS)

    def _negative(self, a: Value) -> Value:
        return self._minus(self._constant(0.0), a)


solve_upwards = _upwards(0)
"""Writes w to ``vector``, and the first four rows of the results (6, lanes)."""

polynomial = _upwards(2)
"""All rows of the results (6, lanes); large numbers are scaled down on the way."""
