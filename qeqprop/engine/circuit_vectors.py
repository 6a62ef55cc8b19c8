"""The innermost loops of the circuit engine as vector instructions: what happens to a handful of registers.

Rotations about X and Y are written with tangents. ``exp(-i t/2 X) = cos(t/2) (1 - i tan(t/2) X)``, so that a pair of
amplitudes costs four multiply-adds, and the cosines of all qubits are multiplied in once.

A *tile* holds four vectors: its qubits are the lanes of a register and two more. A *quad* is four vectors at a
distance: two neighbouring qubits further up.
"""

# numba's and llvmlite's decorators and values carry no types
# pyright: reportUntypedFunctionDecorator=false, reportUnusedFunction=false

from __future__ import annotations

from collections.abc import Sequence
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


def pointers_of(context: Any, builder: Builder, signature: Any, args: Any, count: int) -> list[Any]:
    """The data pointers of the first ``count`` arguments, arrays."""
    return [_pointer(context, builder, signature.args[k], args[k]) for k in range(count)]


def places_of(builder: Builder, place: Any, stride: Any, count: int) -> list[Any]:
    """``count`` places at a distance."""
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


def _slope_terms(builder: Builder, letter: str, psi: Any, lam: Any, flipped: bool) -> Any:
    """The lanes of ``Im <lam|P|psi>`` for one vector of the costate; psi is already that of the partners.

    ``flipped`` says whether the costate's bit is set; for lanes see `_slope_lanes`.
    """
    (pr, pi), (lr, li) = psi, lam
    if letter == "X":
        return subtract(builder, multiply(builder, lr, pi), multiply(builder, li, pr))
    total = multiply_add(builder, lr, pr, multiply(builder, li, pi))
    return total if flipped else builder.fneg(total)


def _slope(builder: Builder, letter: str, psi: Any, load_costate: Any, bits: Sequence[int]) -> list[Any]:
    """The lanes of the slopes of some bits of a tile or quad: the lanes' bits are negative, -1 the lowest.

    The costate is loaded vector by vector, so that it does not take the registers of psi.
    """
    re, im = psi
    totals: list[Any] = [None] * len(bits)
    for k in range(len(re)):
        costate = load_costate(k)
        for place, bit in enumerate(bits):
            if bit >= 0:
                partner = re[k ^ 1 << bit], im[k ^ 1 << bit]
                terms = _slope_terms(builder, letter, partner, costate, bool(k >> bit & 1))
            else:
                partner = flip_lanes(builder, re[k], 1 << (-bit - 1)), flip_lanes(builder, im[k], 1 << (-bit - 1))
                terms = _slope_terms(builder, letter, partner, costate, True)
            totals[place] = terms if totals[place] is None else add(builder, totals[place], terms)
    for place, bit in enumerate(bits):
        if bit < 0 and letter == "Y":
            totals[place] = multiply(builder, _bit_signs(-bit - 1), totals[place])
    return totals


def _collect(builder: Builder, lanes: Any, sums: Any, row: Any) -> None:
    place = builder.mul(row, INT64(WIDTH))
    store(builder, add(builder, load(builder, sums, place), lanes), sums, place)


def _quad(letter: str) -> Any:
    @intrinsic
    def turn(typing: Any, re: Any, im: Any, place: Any, stride: Any, t0: Any, t1: Any) -> Any:
        """Rotates the qubits of strides ``stride`` and ``2 stride``."""

        def emit(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
            pointers = pointers_of(context, builder, signature, args, 2)
            places = places_of(builder, args[2], args[3], 4)
            r, i = (_loads(builder, pointer, places) for pointer in pointers)
            for bit in range(2):
                _turn_pairs(builder, letter, r, i, bit, splat(builder, args[4 + bit]))
            _stores(builder, r, pointers[0], places)
            _stores(builder, i, pointers[1], places)
            return context.get_dummy_value()

        return types.void(re, im, _PLACE, _PLACE, _NUMBER, _NUMBER), emit

    return turn


def _back(
    builder: Builder, letter: str, sources: list[Any], places: list[Any], targets: list[Any], ends: list[Any],
    sums: Any, angles: Sequence[Any], scale: Any,
) -> None:  # fmt: skip
    """Slopes and rotations of two qubits, psi first; both states go from sources to targets."""

    def fetch(pointer: Any, place: Any) -> Any:
        value = load(builder, pointer, place)
        return value if scale is None else multiply(builder, value, scale)

    tangents = [splat(builder, angle) for angle in angles]
    psi = [[fetch(pointer, place) for place in places] for pointer in sources[:2]]
    costate = lambda k: (fetch(sources[2], places[k]), fetch(sources[3], places[k]))  # noqa: E731
    for row, lanes in enumerate(_slope(builder, letter, psi, costate, (0, 1))):
        _collect(builder, lanes, sums, INT64(row))
    for half in (0, 2):  # psi is stored before the costate is loaded again
        state = psi if half == 0 else [[fetch(pointer, place) for place in places] for pointer in sources[2:]]
        for bit in range(2):
            _turn_pairs(builder, letter, state[0], state[1], bit, tangents[bit])
        for pointer, values in zip(targets[half : half + 2], state, strict=True):
            _stores(builder, values, pointer, ends)


def _quad_back(letter: str) -> Any:
    @intrinsic
    def turn(
        typing: Any, pr: Any, pi: Any, lr: Any, li: Any, sums: Any, place: Any, stride: Any, t0: Any, t1: Any
    ) -> Any:
        """Adds the slopes of two qubits to the vectors ``sums[0]`` and ``sums[1]``, then rotates both states."""

        def emit(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
            *pointers, total = pointers_of(context, builder, signature, args, 5)
            places = places_of(builder, args[5], args[6], 4)
            _back(builder, letter, pointers, places, pointers, places, total, (args[7], args[8]), None)
            return context.get_dummy_value()

        return types.void(pr, pi, lr, li, sums, _PLACE, _PLACE, _NUMBER, _NUMBER), emit

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
            pointers = pointers_of(context, builder, signature, args, 2)
            places = places_of(builder, args[2], INT64(WIDTH), 4)
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
            *pointers, total = pointers_of(context, builder, signature, args, 5)
            places = places_of(builder, args[5], INT64(WIDTH), 4)
            scale, *tangents = (splat(builder, value) for value in args[6 : 7 + TILE_BITS])
            psi = [_loads(builder, pointer, places) for pointer in pointers[:2]]
            costate = lambda k: (load(builder, pointers[2], places[k]), load(builder, pointers[3], places[k]))  # noqa: E731
            bits = [*range(-1, -LANE_BITS - 1, -1), 0, 1]
            for row, lanes in enumerate(_slope(builder, letter, psi, costate, bits)):
                _collect(builder, lanes, total, INT64(row))
            for half in (0, 2):  # psi is stored before the costate is loaded again
                state = psi if half == 0 else [_loads(builder, pointer, places) for pointer in pointers[2:]]
                _turn_tile(builder, letter, state[0], state[1], tangents, scale)
                for pointer, values in zip(pointers[half : half + 2], state, strict=True):
                    _stores(builder, values, pointer, places)
            return context.get_dummy_value()

        return types.void(pr, pi, lr, li, sums, _PLACE, *[_NUMBER] * 6), emit

    return turn


def _quad_move(letter: str) -> Any:
    @intrinsic
    def turn(
        typing: Any, sr: Any, si: Any, source: Any, width: Any, re: Any, im: Any, place: Any, stride: Any,
        t0: Any, t1: Any, scale: Any,
    ) -> Any:  # fmt: skip
        """Like `quad`, times a scale, from places of one pair of arrays to places of another."""

        def emit(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
            pointers = [_pointer(context, builder, signature.args[k], args[k]) for k in (0, 1, 4, 5)]
            places, ends = places_of(builder, args[2], args[3], 4), places_of(builder, args[6], args[7], 4)
            scale = splat(builder, args[10])
            r, i = (
                [multiply(builder, value, scale) for value in _loads(builder, pointer, places)]
                for pointer in pointers[:2]
            )
            for bit in range(2):
                _turn_pairs(builder, letter, r, i, bit, splat(builder, args[8 + bit]))
            _stores(builder, r, pointers[2], ends)
            _stores(builder, i, pointers[3], ends)
            return context.get_dummy_value()

        return types.void(sr, si, _PLACE, _PLACE, re, im, _PLACE, _PLACE, _NUMBER, _NUMBER, _NUMBER), emit

    return turn


def _quad_move_back(letter: str) -> Any:
    @intrinsic
    def turn(
        typing: Any, sources: Any, source: Any, width: Any, targets: Any, place: Any, stride: Any, sums: Any,
        t0: Any, t1: Any, scale: Any,
    ) -> Any:  # fmt: skip
        """Like `quad_back`, times a scale, from the four rows of one array to the four rows of another."""

        def emit(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
            rows = [
                [
                    builder.gep(
                        array.data,
                        [builder.mul(builder.udiv(builder.extract_value(array.strides, 0), INT64(8)), INT64(k))],
                    )
                    for k in range(4)
                ]
                for array in (context.make_array(signature.args[k])(context, builder, args[k]) for k in (0, 3))
            ]
            total = _pointer(context, builder, signature.args[6], args[6])
            places, ends = places_of(builder, args[1], args[2], 4), places_of(builder, args[4], args[5], 4)
            _back(builder, letter, rows[0], places, rows[1], ends, total, (args[7], args[8]), splat(builder, args[9]))
            return context.get_dummy_value()

        return types.void(sources, _PLACE, _PLACE, targets, _PLACE, _PLACE, sums, _NUMBER, _NUMBER, _NUMBER), emit

    return turn


quad_x, quad_y = _quad("X"), _quad("Y")
quad_back_x, quad_back_y = _quad_back("X"), _quad_back("Y")
tile_x, tile_y = _tile("X"), _tile("Y")
tile_back_x, tile_back_y = _tile_back("X"), _tile_back("Y")
quad_move_x, quad_move_y = _quad_move("X"), _quad_move("Y")
quad_move_back_x, quad_move_back_y = _quad_move_back("X"), _quad_move_back("Y")
