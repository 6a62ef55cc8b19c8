"""Words of vector code that the circuit engine has besides those of `vectors`: loops, tiles, sums in registers.

A *tile* holds eight vectors: its qubits are the lanes of a register and three more. A *sweep* turns up to three qubits
further up, eight vectors at a distance.
"""

# numba's and llvmlite's decorators and values carry no types
# pyright: reportUntypedFunctionDecorator=false, reportUnusedFunction=false

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import partial, reduce
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from qeqprop.engine import addresses
from qeqprop.engine.vectors import (
    INT64,
    VECTOR,
    WIDTH,
    add,
    load,
    multiply,
    splat,
    store,
)

LANE_BITS = WIDTH.bit_length() - 1
"""Qubits within one vector register."""

SWEEP_BITS = 3
"""Qubits that are turned while their numbers are in registers."""

TILE_BITS = LANE_BITS + SWEEP_BITS
"""Qubits within one tile; smaller states are padded with qubits in state zero."""

_PLACE, _NUMBER = types.intp, types.float64
Builder = Any  # llvmlite's types are opaque
Terms = list[tuple[Any, Any, int]]


def pointers_of(context: Any, builder: Builder, signature: Any, args: Any, places: Sequence[int]) -> list[Any]:
    """The data pointers of some arguments, arrays."""
    return [addresses.pointer_of(context, builder, signature.args[k], args[k]) for k in places]


def multiply_add(builder: Builder, a: Any, b: Any, c: Any) -> Any:
    """``a * b + c`` in this order: long sums that LLVM may regroup become more multiplications and additions."""
    kind = ir.FunctionType(VECTOR, [VECTOR] * 3)
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.fmuladd.v{WIDTH}f64"), [a, b, c])


@contextmanager
def loop(builder: Builder, count: Any, step: int) -> Generator[Any]:
    """Emits what is inside for every ``step``-th number below ``count``."""
    with addresses.loop(builder, INT64(0), count, step) as (number, _):
        yield number


def places_of(builder: Builder, number: Any, stride: Any, bits: int) -> list[Any]:
    """Where a group of ``2^bits`` vectors lies: zero bits are inserted into its number at the bit of ``stride``."""
    above = builder.shl(builder.and_(number, builder.neg(stride)), INT64(bits))
    first = builder.or_(above, builder.and_(number, builder.sub(stride, INT64(1))))
    return [builder.add(first, builder.mul(stride, INT64(k))) for k in range(1 << bits)]


def accumulators(builder: Builder, rows: int, ways: int) -> list[list[Any]]:
    """Vectors of zeros that stay in registers during a loop, several for each sum: additions wait for each other."""
    return [addresses.accumulators(builder, ways) for _ in range(rows)]


def collect(builder: Builder, terms: Terms, places: list[Any]) -> None:
    """Adds products to the accumulators of one sum in turn."""
    for k, (a, b, sign) in enumerate(terms):
        place = places[k % len(places)]
        total = multiply_add(builder, a if sign > 0 else builder.fneg(a), b, builder.load(place))
        builder.store(total, place)


def deposit(builder: Builder, accumulators: list[list[Any]], sums: Any, signs: Sequence[Any]) -> None:
    """Adds the accumulators to the vectors ``sums[0]``, ``sums[1]``, ..."""
    for row, (places, sign) in enumerate(zip(accumulators, signs, strict=True)):
        value = reduce(partial(add, builder), [builder.load(place) for place in places])
        value = value if sign is None else multiply(builder, sign, value)
        store(builder, add(builder, load(builder, sums, INT64(row * WIDTH)), value), sums, INT64(row * WIDTH))


def loads(builder: Builder, pointer: Any, places: list[Any]) -> list[Any]:
    """The vectors at some places."""
    return [load(builder, pointer, place) for place in places]


def stores(builder: Builder, registers: list[Any], pointer: Any, places: list[Any]) -> None:
    """Writes vectors to some places."""
    for register, place in zip(registers, places, strict=True):
        store(builder, register, pointer, place)


def bit_signs(bit: int) -> Any:
    """-1 in the lanes where the bit is clear, +1 where it is set."""
    return ir.Constant(VECTOR, [1.0 if lane >> bit & 1 else -1.0 for lane in range(WIDTH)])


@intrinsic
def copy_lines(
    typing: Any, source: Any, first: Any, distance: Any, target: Any, place: Any, stride: Any, lines: Any, length: Any,
    factor: Any,
) -> Any:  # fmt: skip
    """Copies lines at a distance to places at a stride, times a factor."""

    def emit(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        here, there = pointers_of(context, builder, signature, args, [0, 3])
        factor = splat(builder, args[8])
        with loop(builder, args[6], 1) as line:
            begin = builder.add(args[1], builder.mul(line, args[2]))
            end = builder.add(args[4], builder.mul(line, args[5]))
            with loop(builder, args[7], WIDTH) as k:
                value = multiply(builder, factor, load(builder, here, builder.add(begin, k)))
                store(builder, value, there, builder.add(end, k))
        return context.get_dummy_value()

    return types.void(source, _PLACE, _PLACE, target, *[_PLACE] * 4, _NUMBER), emit
