"""The innermost loops of the circuit engine as vector instructions: what happens to a handful of registers.

Rotations about X and Y are written with tangents. ``exp(-i t/2 X) = cos(t/2) (1 - i tan(t/2) X)``, so that a pair of
amplitudes costs four multiply-adds, and the cosines of all qubits are multiplied in once.

A *tile* holds four vectors: its qubits are the lanes of a register and two more. A *quad* is four vectors at a
distance: two neighbouring qubits further up.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from qeqprop.engine.vectors import (
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

LANE_BITS = WIDTH.bit_length() - 1
"""Qubits within one vector register."""

TILE_BITS = LANE_BITS + 2
"""Qubits within one tile; smaller states are padded with qubits in state zero."""

_PLACE, _NUMBER = types.intp, types.float64
Builder = Any  # llvmlite's types are opaque
Registers = list[Any]


def _pointer(context: Any, builder: Builder, kind: Any, array: Any) -> Any:
    return context.make_array(kind)(context, builder, array).data


def _pointers(context: Any, builder: Builder, signature: Any, args: Any, count: int) -> list[Any]:
    return [_pointer(context, builder, signature.args[k], args[k]) for k in range(count)]


def _places(builder: Builder, place: Any, stride: Any, count: int) -> list[Any]:
    return [builder.add(place, builder.mul(stride, INT64(k))) for k in range(count)]


def _loads(builder: Builder, pointer: Any, places: list[Any]) -> Registers:
    return [load(builder, pointer, place) for place in places]


def _stores(builder: Builder, registers: Registers, pointer: Any, places: list[Any]) -> None:
    for register, place in zip(registers, places, strict=True):
        store(builder, register, pointer, place)


def _bit_signs(bit: int) -> Any:
    """-1 in the lanes where the bit is clear, +1 where it is set."""
    return ir.Constant(VECTOR, [1.0 if lane >> bit & 1 else -1.0 for lane in range(WIDTH)])


def _turn_pairs(builder: Builder, letter: str, re: Registers, im: Registers, bit: int, tangent: Any) -> None:
    """The rotation of one qubit that numbers the registers, without its cosine."""
    back = builder.fneg(tangent)
    for a in range(len(re)):
        b = a | 1 << bit
        if a == b:
            continue
        ar, ai, br, bi = re[a], im[a], re[b], im[b]
        if letter == "X":
            re[a], im[a] = multiply_add(builder, tangent, bi, ar), multiply_add(builder, back, br, ai)
            re[b], im[b] = multiply_add(builder, tangent, ai, br), multiply_add(builder, back, ar, bi)
        else:
            re[a], im[a] = multiply_add(builder, back, br, ar), multiply_add(builder, back, bi, ai)
            re[b], im[b] = multiply_add(builder, tangent, ar, br), multiply_add(builder, tangent, ai, bi)


def _turn_lanes(builder: Builder, letter: str, re: Registers, im: Registers, bit: int, tangent: Any) -> None:
    """The rotation of one qubit that numbers the lanes, without its cosine."""
    back, signed = builder.fneg(tangent), multiply(builder, tangent, _bit_signs(bit))
    for k in range(len(re)):
        r, i = re[k], im[k]
        flipped_r, flipped_i = flip_lanes(builder, r, 1 << bit), flip_lanes(builder, i, 1 << bit)
        if letter == "X":
            re[k], im[k] = multiply_add(builder, tangent, flipped_i, r), multiply_add(builder, back, flipped_r, i)
        else:
            re[k], im[k] = multiply_add(builder, signed, flipped_r, r), multiply_add(builder, signed, flipped_i, i)


def _slope_pairs(builder: Builder, letter: str, psi: Any, lam: Any, bit: int) -> Any:
    """The lanes of ``Im <lam|P|psi>`` over pairs of registers."""
    (pr, pi), (lr, li) = psi, lam
    plus: list[tuple[Any, Any]] = []
    minus: list[tuple[Any, Any]] = []
    for a in range(len(pr)):
        b = a | 1 << bit
        if a == b:
            continue
        if letter == "X":
            plus += [(lr[a], pi[b]), (lr[b], pi[a])]
            minus += [(li[a], pr[b]), (li[b], pr[a])]
        else:
            plus += [(lr[b], pr[a]), (li[b], pi[a])]
            minus += [(lr[a], pr[b]), (li[a], pi[b])]
    return _difference(builder, plus, minus)


def _slope_lanes(builder: Builder, letter: str, psi: Any, lam: Any, bit: int) -> Any:
    (pr, pi), (lr, li) = psi, lam
    flipped = [(flip_lanes(builder, r, 1 << bit), flip_lanes(builder, i, 1 << bit)) for r, i in zip(pr, pi, strict=True)]
    if letter == "X":
        plus = [(lr[k], flipped[k][1]) for k in range(len(lr))]
        return _difference(builder, plus, [(li[k], flipped[k][0]) for k in range(len(lr))])
    terms = [(lr[k], flipped[k][0]) for k in range(len(lr))] + [(li[k], flipped[k][1]) for k in range(len(lr))]
    return multiply(builder, _bit_signs(bit), _difference(builder, terms, []))


def _difference(builder: Builder, plus: list[tuple[Any, Any]], minus: list[tuple[Any, Any]]) -> Any:
    total = multiply(builder, *plus[0])
    for a, b in plus[1:]:
        total = multiply_add(builder, a, b, total)
    for a, b in minus:
        total = subtract(builder, total, multiply(builder, a, b))
    return total


def _collect(builder: Builder, lanes: Any, sums: Any, row: Any) -> None:
    place = builder.mul(row, INT64(WIDTH))
    store(builder, add(builder, load(builder, sums, place), lanes), sums, place)


def _quad(letter: str) -> Any:
    @intrinsic
    def turn(typing: Any, re: Any, im: Any, place: Any, stride: Any, t0: Any, t1: Any) -> Any:
        """Rotates the qubits of strides ``stride`` and ``2 stride``."""

        def emit(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
            pointers = _pointers(context, builder, signature, args, 2)
            places = _places(builder, args[2], args[3], 4)
            r, i = (_loads(builder, pointer, places) for pointer in pointers)
            for bit in range(2):
                _turn_pairs(builder, letter, r, i, bit, splat(builder, args[4 + bit]))
            _stores(builder, r, pointers[0], places)
            _stores(builder, i, pointers[1], places)
            return context.get_dummy_value()

        return types.void(re, im, _PLACE, _PLACE, _NUMBER, _NUMBER), emit

    return turn


def _quad_back(letter: str) -> Any:
    @intrinsic
    def turn(
        typing: Any, pr: Any, pi: Any, lr: Any, li: Any, sums: Any, place: Any, stride: Any, t0: Any, t1: Any, row: Any
    ) -> Any:
        """Adds the slopes of two qubits to the vectors ``sums[row]`` and ``sums[row + 1]``, then rotates both states."""

        def emit(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
            *pointers, total = _pointers(context, builder, signature, args, 5)
            places = _places(builder, args[5], args[6], 4)
            registers = [_loads(builder, pointer, places) for pointer in pointers]
            for bit in range(2):
                lanes = _slope_pairs(builder, letter, registers[:2], registers[2:], bit)
                _collect(builder, lanes, total, builder.add(args[9], INT64(bit)))
            for bit in range(2):
                for state in (registers[:2], registers[2:]):
                    _turn_pairs(builder, letter, *state, bit, splat(builder, args[7 + bit]))
            for pointer, values in zip(pointers, registers, strict=True):
                _stores(builder, values, pointer, places)
            return context.get_dummy_value()

        return types.void(pr, pi, lr, li, sums, _PLACE, _PLACE, _NUMBER, _NUMBER, _PLACE), emit

    return turn


def _turn_tile(builder: Builder, letter: str, re: Registers, im: Registers, tangents: list[Any], scale: Any) -> None:
    for k in range(4):
        re[k], im[k] = multiply(builder, re[k], scale), multiply(builder, im[k], scale)
    for bit, tangent in enumerate(tangents):
        if bit < LANE_BITS:
            _turn_lanes(builder, letter, re, im, bit, tangent)
        else:
            _turn_pairs(builder, letter, re, im, bit - LANE_BITS, tangent)


def _tile(letter: str) -> Any:
    @intrinsic
    def turn(typing: Any, re: Any, im: Any, place: Any, scale: Any, t0: Any, t1: Any, t2: Any, t3: Any, t4: Any) -> Any:
        """Multiplies by the scale and rotates the lowest `TILE_BITS` qubits."""

        def emit(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
            pointers = _pointers(context, builder, signature, args, 2)
            places = _places(builder, args[2], INT64(WIDTH), 4)
            r, i = (_loads(builder, pointer, places) for pointer in pointers)
            scale, *tangents = (splat(builder, value) for value in args[3 : 4 + TILE_BITS])
            _turn_tile(builder, letter, r, i, tangents, scale)
            _stores(builder, r, pointers[0], places)
            _stores(builder, i, pointers[1], places)
            return context.get_dummy_value()

        return types.void(re, im, _PLACE, *[_NUMBER] * 6), emit

    return turn


def _tile_back(letter: str) -> Any:
    @intrinsic
    def turn(
        typing: Any, pr: Any, pi: Any, lr: Any, li: Any, sums: Any, place: Any, scale: Any,
        t0: Any, t1: Any, t2: Any, t3: Any, t4: Any,
    ) -> Any:  # fmt: skip
        """Adds the slopes of the lowest qubits to the vectors ``sums[qubit]``, then turns both states like `tile`."""

        def emit(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
            *pointers, total = _pointers(context, builder, signature, args, 5)
            places = _places(builder, args[5], INT64(WIDTH), 4)
            registers = [_loads(builder, pointer, places) for pointer in pointers]
            for bit in range(TILE_BITS):
                slope, number = (_slope_lanes, bit) if bit < LANE_BITS else (_slope_pairs, bit - LANE_BITS)
                _collect(builder, slope(builder, letter, registers[:2], registers[2:], number), total, INT64(bit))
            scale, *tangents = (splat(builder, value) for value in args[6 : 7 + TILE_BITS])
            for state in (registers[:2], registers[2:]):
                _turn_tile(builder, letter, *state, tangents, scale)
            for pointer, values in zip(pointers, registers, strict=True):
                _stores(builder, values, pointer, places)
            return context.get_dummy_value()

        return types.void(pr, pi, lr, li, sums, _PLACE, *[_NUMBER] * 6), emit

    return turn


quad_x, quad_y = _quad("X"), _quad("Y")
quad_back_x, quad_back_y = _quad_back("X"), _quad_back("Y")
tile_x, tile_y = _tile("X"), _tile("Y")
tile_back_x, tile_back_y = _tile_back("X"), _tile_back("Y")
