"""The innermost loops of the circuit engine: butterflies over real arrays as vector instructions.

Rotations about Y are real, so that a state is two real arrays that never meet. They are written with tangents:
``exp(-i t/2 Y) = cos(t/2) (1 - i tan(t/2) Y)`` costs a multiply-add for each number, and the cosines of all qubits are
multiplied in once.
"""

# numba's and llvmlite's decorators and values carry no types
# pyright: reportUntypedFunctionDecorator=false

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from qeqprop.engine.circuit_vectors import (
    LANE_BITS,
    SWEEP_BITS,
    TILE_BITS,
    Builder,
    Terms,
    accumulators,
    bit_signs,
    collect,
    deposit,
    loads,
    loop,
    multiply_add,
    places_of,
    pointers_of,
    stores,
)
from qeqprop.engine.vectors import INT64, WIDTH, add, flip_lanes, multiply, splat, subtract

_PLACE, _NUMBER = types.intp, types.float64
Butterfly = Callable[[Builder, Any, Any, Any], tuple[Any, Any]]


def _rotate(builder: Builder, a: Any, b: Any, tangent: Any) -> tuple[Any, Any]:
    return multiply_add(builder, builder.fneg(tangent), b, a), multiply_add(builder, tangent, a, b)


def _hadamard(builder: Builder, a: Any, b: Any, _: Any) -> tuple[Any, Any]:
    return add(builder, a, b), subtract(builder, a, b)


def _pairs(builder: Builder, butterfly: Butterfly, registers: list[Any], factors: Sequence[Any]) -> None:
    """A butterfly for each bit of the registers' numbers."""
    for bit, factor in enumerate(factors):
        for a in range(len(registers)):
            b = a | 1 << bit
            if a != b:
                registers[a], registers[b] = butterfly(builder, registers[a], registers[b], factor)


def _turn_tile(builder: Builder, registers: list[Any], scale: Any, lanes: Sequence[Any], tangents: list[Any]) -> None:
    """Multiplies by the scale and rotates all qubits of a tile; the tangents of the lanes are signed."""
    for k in range(len(registers)):
        value = multiply(builder, registers[k], scale)
        for bit, tangent in enumerate(lanes):
            value = multiply_add(builder, tangent, flip_lanes(builder, value, 1 << bit), value)
        registers[k] = value
    _pairs(builder, _rotate, registers, tangents)


def _slopes(psi: list[Any], lam: list[Any], bit: int) -> Terms:
    """The products whose sum is ``Im <lam|Y|psi>`` for one bit of the registers' numbers, and the signs."""
    pairs = [(a, a | 1 << bit) for a in range(len(psi)) if not a >> bit & 1]
    return [term for a, b in pairs for term in ((lam[b], psi[a], 1), (lam[a], psi[b], -1))]


def _lane_slopes(builder: Builder, psi: list[Any], lam: list[Any], bit: int) -> Terms:
    """The same for one bit of the lanes, up to the sign of each lane."""
    return [(b, flip_lanes(builder, a, 1 << bit), 1) for a, b in zip(psi, lam, strict=True)]


def _fence(builder: Builder) -> None:
    """Loads after it are done again: what is in memory need not stay in registers meanwhile."""
    builder.asm(ir.FunctionType(ir.VoidType(), []), "", "~{memory}", [], True)


def _sweep(bits: int, butterfly: Butterfly) -> Any:
    @intrinsic
    def turn(typing: Any, plane: Any, length: Any, stride: Any, t0: Any, t1: Any, t2: Any) -> Any:
        """A butterfly for each of the bits from that of ``stride`` on."""

        def emit(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
            (pointer,) = pointers_of(context, builder, signature, args, [0])
            factors = [splat(builder, value) for value in args[3 : 3 + bits]]
            with loop(builder, builder.lshr(args[1], INT64(bits)), WIDTH) as number:
                places = places_of(builder, number, args[2], bits)
                registers = loads(builder, pointer, places)
                _pairs(builder, butterfly, registers, factors)
                stores(builder, registers, pointer, places)
            return context.get_dummy_value()

        return types.void(plane, _PLACE, _PLACE, _NUMBER, _NUMBER, _NUMBER), emit

    return turn


def _back_sweep(bits: int, *, turned: bool) -> Any:
    @intrinsic
    def turn(typing: Any, psi: Any, lam: Any, sums: Any, length: Any, stride: Any, t0: Any, t1: Any, t2: Any) -> Any:
        """Adds the slopes of the qubits to the vectors ``sums[0]``, ...; then rotates both states, if ``turned``."""

        def emit(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
            *states, sums = pointers_of(context, builder, signature, args, [0, 1, 2])
            tangents = [splat(builder, value) for value in args[5 : 5 + bits]]
            found = accumulators(builder, bits, ways=1 if turned else 2 if bits != 2 else 4)
            with loop(builder, builder.lshr(args[3], INT64(bits)), WIDTH) as number:
                places = places_of(builder, number, args[4], bits)
                psi = loads(builder, states[0], places)
                for bit in range(bits):
                    collect(builder, _slopes(psi, loads(builder, states[1], places), bit), found[bit])
                    if turned and bits == SWEEP_BITS:
                        _fence(builder)
                if turned:
                    for registers, pointer in ((psi, states[0]), (loads(builder, states[1], places), states[1])):
                        _pairs(builder, _rotate, registers, tangents)
                        stores(builder, registers, pointer, places)
            deposit(builder, found, sums, [None] * bits)
            return context.get_dummy_value()

        return types.void(psi, lam, sums, _PLACE, _PLACE, _NUMBER, _NUMBER, _NUMBER), emit

    return turn


def _tile_factors(builder: Builder, values: Sequence[Any]) -> tuple[Any, list[Any], list[Any]]:
    """The scale, the signed tangents of the lanes and those of the registers."""
    scale, *tangents = (splat(builder, value) for value in values[: 1 + TILE_BITS])
    lanes = [multiply(builder, tangents[bit], bit_signs(bit)) for bit in range(LANE_BITS)]
    return scale, lanes, tangents[LANE_BITS:]


_TILE_PLACES = [INT64(k * WIDTH) for k in range(1 << SWEEP_BITS)]


@intrinsic
def turn_tiles(
    typing: Any, plane: Any, length: Any, scale: Any, t0: Any, t1: Any, t2: Any, t3: Any, t4: Any, t5: Any
) -> Any:
    """Multiplies by the scale and rotates the lowest `TILE_BITS` qubits."""

    def emit(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        (pointer,) = pointers_of(context, builder, signature, args, [0])
        factors = _tile_factors(builder, args[2:])
        with loop(builder, args[1], 1 << TILE_BITS) as number:
            places = [builder.add(number, place) for place in _TILE_PLACES]
            registers = loads(builder, pointer, places)
            _turn_tile(builder, registers, *factors)
            stores(builder, registers, pointer, places)
        return context.get_dummy_value()

    return types.void(plane, _PLACE, *[_NUMBER] * 7), emit


def _back_tiles(*, turned: bool) -> Any:
    @intrinsic
    def turn(
        typing: Any, psi: Any, lam: Any, sums: Any, length: Any, scale: Any,
        t0: Any, t1: Any, t2: Any, t3: Any, t4: Any, t5: Any,
    ) -> Any:  # fmt: skip
        """Adds the slopes of the lowest qubits to the vectors ``sums[qubit]``; if ``turned``, `turn_tiles` of both."""

        def emit(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
            *states, sums = pointers_of(context, builder, signature, args, [0, 1, 2])
            factors = _tile_factors(builder, args[4:])
            found = accumulators(builder, TILE_BITS, ways=1)
            with loop(builder, args[3], 1 << TILE_BITS) as number:
                places = [builder.add(number, place) for place in _TILE_PLACES]
                psi = loads(builder, states[0], places)
                for bit in range(TILE_BITS):
                    lam = loads(builder, states[1], places)
                    if bit < LANE_BITS:
                        collect(builder, _lane_slopes(builder, psi, lam, bit), found[bit])
                    else:
                        collect(builder, _slopes(psi, lam, bit - LANE_BITS), found[bit])
                    _fence(builder)
                if turned:
                    for registers, pointer in ((psi, states[0]), (loads(builder, states[1], places), states[1])):
                        _turn_tile(builder, registers, *factors)
                        stores(builder, registers, pointer, places)
            signs = [bit_signs(bit) if bit < LANE_BITS else None for bit in range(TILE_BITS)]
            deposit(builder, found, sums, signs)
            return context.get_dummy_value()

        return types.void(psi, lam, sums, _PLACE, *[_NUMBER] * 7), emit

    return turn


turn_one, turn_two, turn_three = (_sweep(bits, _rotate) for bits in (1, 2, 3))
back_one, back_two, back_three = (_back_sweep(bits, turned=True) for bits in (1, 2, 3))
slopes_one, slopes_two, slopes_three = (_back_sweep(bits, turned=False) for bits in (1, 2, 3))
turn_tiles_back, slopes_tiles = _back_tiles(turned=True), _back_tiles(turned=False)
hadamard_one, hadamard_two, hadamard_three = (_sweep(bits, _hadamard) for bits in (1, 2, 3))


@intrinsic
def hadamard_tiles(typing: Any, plane: Any, length: Any) -> Any:
    """Sums and differences over the lowest `TILE_BITS` bits."""

    def emit(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        (pointer,) = pointers_of(context, builder, signature, args, [0])
        with loop(builder, args[1], 1 << TILE_BITS) as number:
            places = [builder.add(number, place) for place in _TILE_PLACES]
            registers = loads(builder, pointer, places)
            for bit in range(LANE_BITS):
                signs = bit_signs(bit)
                registers = [
                    subtract(builder, flip_lanes(builder, value, 1 << bit), multiply(builder, signs, value))
                    for value in registers
                ]
            _pairs(builder, _hadamard, registers, [None] * SWEEP_BITS)
            stores(builder, registers, pointer, places)
        return context.get_dummy_value()

    return types.void(plane, _PLACE), emit
