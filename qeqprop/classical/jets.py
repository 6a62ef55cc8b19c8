"""Derivatives of any order along given directions, exact to rounding: numbers with nilpotent parts.

``f(s + e_1 a + e_2 b + e_3 c)`` with ``e_i^2 = 0`` holds ``D^3 f(s)[a, b, c]`` as its coefficient of ``e_1 e_2 e_3``. A
function written with ``+ - * / @``, slices, sums and the functions below takes such numbers without knowing it.

Source: J. A. Fike & J. J. Alonso, AIAA 2011-886 (2011), for two directions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from qeqprop.interfaces import FloatArray

Numbers = Any
"""An array of float64, or a `Jet`."""


def derivative(function: Callable[[Numbers], Numbers], point: FloatArray, *directions: FloatArray) -> FloatArray:
    """``D^k f(point)[directions]``, of the shape of ``f(point)``; the value itself without directions.

    Args:
        function: of an array like ``point``.
        point: any shape.
        directions: k arrays of the shape of ``point``.
    """
    if not directions:
        return np.asarray(function(point), dtype=np.float64)
    parts = np.zeros((2 ** len(directions), *point.shape))
    parts[0] = point
    for place, direction in enumerate(directions):
        parts[1 << place] = direction
    answer = function(Jet(parts))
    if not isinstance(answer, Jet):  # it does not depend on the point
        return np.zeros(np.shape(answer))
    return answer.parts[-1]


def deepened(point: Numbers, direction: FloatArray) -> Jet:
    """The point with one more direction, the last one; the point may be a jet already."""
    own = point.parts if isinstance(point, Jet) else np.asarray(point, dtype=np.float64)[None]
    parts = np.zeros((2 * len(own), *own.shape[1:]))
    parts[: len(own)] = own
    parts[len(own)] = direction
    return Jet(parts)


class Jet:
    """An array whose entries have the parts 1, e_1, e_2, e_1 e_2, ..: part ``m`` multiplies the e_i of m's bits."""

    def __init__(self, parts: FloatArray) -> None:
        self.parts = parts

    @property
    def shape(self) -> tuple[int, ...]:
        return self.parts.shape[1:]

    @property
    def ndim(self) -> int:
        return self.parts.ndim - 1

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> Jet:
        places = index if isinstance(index, tuple) else (index,)
        return Jet(self.parts[(slice(None), *places)])

    def reshape(self, *shape: int) -> Jet:
        return Jet(self.parts.reshape(len(self.parts), *shape))

    def sum(self, axis: int | None = None) -> Jet:
        """The sum over one axis, or over all."""
        if axis is None:
            return Jet(self.parts.reshape(len(self.parts), -1).sum(axis=1))
        return Jet(self.parts.sum(axis=axis + 1 if axis >= 0 else axis))

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if method != "__call__" or options:
            return NotImplemented
        if ufunc in _DERIVATIVES:
            return _series(self, _DERIVATIVES[ufunc](self.parts[0]))
        if ufunc in _ARITHMETIC:
            return _ARITHMETIC[ufunc](*inputs)
        known = "exp, log, sin, cos, tanh, sqrt, square, power, + - * / @"
        raise TypeError(f"The derivatives of {ufunc.__name__} are not known here: write the energy with {known}.")

    def __array_function__(self, function: Any, kinds: Any, arguments: Any, options: Any) -> Any:
        del kinds
        if function in (np.concatenate, np.stack):
            return _joined(function, arguments[0], arguments[1] if len(arguments) > 1 else options.get("axis", 0))
        if function is np.sum:
            return self.sum(arguments[1] if len(arguments) > 1 else options.get("axis"))
        raise TypeError(
            f"The derivatives of numpy.{function.__name__} are not known here: use sum, concatenate, stack."
        )

    def __add__(self, other: Numbers) -> Jet:
        return _sum(np.add, self, other)

    def __radd__(self, other: Numbers) -> Jet:
        return _sum(np.add, other, self)

    def __sub__(self, other: Numbers) -> Jet:
        return _sum(np.subtract, self, other)

    def __rsub__(self, other: Numbers) -> Jet:
        return _sum(np.subtract, other, self)

    def __mul__(self, other: Numbers) -> Jet:
        return _product(np.multiply, self, other)

    def __rmul__(self, other: Numbers) -> Jet:
        return _product(np.multiply, other, self)

    def __truediv__(self, other: Numbers) -> Jet:
        return _quotient(self, other)

    def __rtruediv__(self, other: Numbers) -> Jet:
        return _quotient(other, self)

    def __matmul__(self, other: Numbers) -> Jet:
        return _product(np.matmul, self, other)

    def __rmatmul__(self, other: Numbers) -> Jet:
        return _product(np.matmul, other, self)

    def __pow__(self, exponent: float) -> Jet:
        return _power(self, exponent)

    def __neg__(self) -> Jet:
        return Jet(-self.parts)


def _sum(ufunc: Any, first: Numbers, second: Numbers) -> Jet:
    if isinstance(first, Jet) and isinstance(second, Jet):
        width = max(first.ndim, second.ndim)
        return Jet(ufunc(_widened(first, width), _widened(second, width)))
    jet = first if isinstance(first, Jet) else second
    other = np.asarray(second if isinstance(first, Jet) else first, dtype=np.float64)
    shape = np.broadcast_shapes(jet.shape, other.shape)
    own = _widened(jet, len(shape))
    parts = np.array(np.broadcast_to(own, (len(own), *shape)))
    if jet is first:
        parts[0] = ufunc(parts[0], other)
    else:
        parts = ufunc(0.0, parts)
        parts[0] += other
    return Jet(parts)


def _product(ufunc: Any, first: Numbers, second: Numbers) -> Jet:
    if not isinstance(second, Jet):
        other = np.asarray(second)
        return Jet(ufunc(_widened(first, max(first.ndim, other.ndim)), other))
    if not isinstance(first, Jet):
        other = np.asarray(first)
        return Jet(ufunc(other, _widened(second, max(second.ndim, other.ndim))))
    one, two = first.parts, second.parts
    rows: list[Any] = []
    for mask in range(len(one)):
        subsets = [part for part in range(mask + 1) if part & mask == part]
        rows.append(sum(ufunc(one[part], two[mask ^ part]) for part in subsets))
    return Jet(np.array(rows))


def _quotient(over: Numbers, under: Numbers) -> Jet:
    if isinstance(under, Jet):
        return over * _power(under, -1.0)
    return over * (1.0 / np.asarray(under, dtype=np.float64))


def _widened(jet: Jet, ndim: int) -> FloatArray:
    """The parts with axes of length one put in, so that they broadcast like an array of ``ndim`` axes."""
    return jet.parts.reshape(len(jet.parts), *(1,) * (ndim - jet.ndim), *jet.shape)


def _joined(function: Any, pieces: Sequence[Numbers], axis: int) -> Jet:
    n_parts = next(len(piece.parts) for piece in pieces if isinstance(piece, Jet))
    own = [piece.parts if isinstance(piece, Jet) else _constant(piece, n_parts) for piece in pieces]
    return Jet(function(own, axis=axis + 1 if axis >= 0 else axis))


def _constant(value: Any, n_parts: int) -> FloatArray:
    parts = np.zeros((n_parts, *np.shape(value)))
    parts[0] = value
    return parts


def _series(jet: Jet, derivatives: Sequence[FloatArray]) -> Jet:
    """``sum_k f^(k)(u) d^k / k!`` for the nilpotent part d; four directions at most."""
    order = len(jet.parts).bit_length() - 1
    rest = jet.parts.copy()
    rest[0] = 0.0
    answer = _constant(derivatives[0], len(rest))
    power = Jet(rest)
    for k in range(1, order + 1):
        answer = answer + derivatives[k] * power.parts / float(np.prod(np.arange(1, k + 1)))
        power = power * Jet(rest)
    return Jet(answer)


def _power(jet: Jet, exponent: Any) -> Jet:
    if not isinstance(exponent, (int, float)):
        raise TypeError("The derivatives of powers are known here for exponents that are numbers.")
    if exponent in (1, 2, 3, 4):  # exact also at zero
        answer = jet
        for _ in range(int(exponent) - 1):
            answer = answer * jet
        return answer
    base, factor = jet.parts[0], 1.0
    derivatives: list[FloatArray] = []
    for k in range(5):
        derivatives.append(factor * base ** (exponent - k) if factor else np.zeros_like(base))
        factor *= exponent - k
    return _series(jet, derivatives)


def _tanh(u: FloatArray) -> list[FloatArray]:
    t = np.tanh(u)
    d = 1 - t * t
    return [t, d, -2 * t * d, d * (6 * t * t - 2), d * t * (16 - 24 * t * t)]


def _log(u: FloatArray) -> list[FloatArray]:
    return [np.log(u), 1 / u, -(u**-2.0), 2 * u**-3.0, -6 * u**-4.0]


def _sqrt(u: FloatArray) -> list[FloatArray]:
    return [u**0.5, u**-0.5 / 2, -(u**-1.5) / 4, 3 * u**-2.5 / 8, -15 * u**-3.5 / 16]


_ARITHMETIC: dict[Any, Callable[..., Jet]] = {
    np.add: lambda u, v: _sum(np.add, u, v),
    np.subtract: lambda u, v: _sum(np.subtract, u, v),
    np.multiply: lambda u, v: _product(np.multiply, u, v),
    np.matmul: lambda u, v: _product(np.matmul, u, v),
    np.divide: _quotient,
    np.negative: lambda u: -u,
    np.square: lambda u: u * u,
    np.power: _power,
}

_DERIVATIVES: dict[Any, Callable[[FloatArray], Sequence[FloatArray]]] = {
    np.exp: lambda u: [np.exp(u)] * 5,
    np.log: _log,
    np.sin: lambda u: [np.sin(u), np.cos(u), -np.sin(u), -np.cos(u), np.sin(u)],
    np.cos: lambda u: [np.cos(u), -np.sin(u), -np.cos(u), np.sin(u), np.cos(u)],
    np.tanh: _tanh,
    np.sqrt: _sqrt,
}
"""Value and first four derivatives."""
