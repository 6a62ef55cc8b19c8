"""What every kernel begins with: addresses of vectors, loops, and sums that live in registers.

A vector is a flat array of ``dim * lanes`` numbers, the lane running fastest: one sample alone (``lanes`` = 1), or
several samples of a small system side by side, one in every lane of a vector register. The number of lanes is the
length of the tuple ``tag``, so that it is known when a kernel is compiled. Scalars are arrays (lanes,). Kernels take
vectors as arrays or as addresses; numbers are stored in double or in single precision.
"""

# numba infers the types of compiled functions
# pyright: reportMissingParameterType=false, reportUntypedFunctionDecorator=false, reportArgumentType=false
# pyright: reportCallIssue=false

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from qeqprop.engine.vectors import DOUBLE, INT64, VECTOR, Builder, Value, zero


def pointer_of(context: Any, builder: Builder, kind: Any, value: Value) -> Value:
    """The data pointer of an array; anything else as it is."""
    return context.make_array(kind)(context, builder, value).data if isinstance(kind, types.Array) else value


def pointers(context: Any, builder: Builder, signature: Any, arguments: Any) -> list[Value]:
    """The arguments of a kernel, arrays as data pointers."""
    return [pointer_of(context, builder, kind, value) for kind, value in zip(signature.args, arguments, strict=True)]


@intrinsic
def at(typing, place, offset):
    """The address of ``place[offset]``, of an array or from an address: a vector, as all kernels take it.

    Slices of arrays are counted, atomically, and on a small state that would cost as much as the work. An address is
    not: whoever owns the array must keep it (numba lets go of an array of its own after the last use that it sees).
    """

    def code(context: Any, builder: Builder, signature: Any, arguments: Any) -> Value:
        return builder.gep(pointer_of(context, builder, signature.args[0], arguments[0]), [arguments[1]])

    return types.CPointer(place.dtype)(place, offset), code


def loop(builder: Builder, begin: Value, end: Value, step: int = 1) -> Any:
    """``with loop(...) as (index, _):`` from begin up to end."""
    return cgutils.for_range_slice(builder, begin, end, INT64(step), INT64)


def accumulators(builder: Builder, count: int, kind: Any = VECTOR) -> list[Value]:
    """Vectors that live in registers across a loop, zero at first."""
    places = [cgutils.alloca_once(builder, kind) for _ in range(count)]
    for place in places:
        builder.store(zero(kind), place)
    return places


def sign_of_parity(builder: Builder, bits: Value, mask: Value) -> Value:
    """``(-1)^popcount(bits & mask)``."""
    odd = builder.trunc(builder.ctpop(builder.and_(bits, mask)), ir.IntType(1))
    return builder.select(odd, DOUBLE(-1.0), DOUBLE(1.0))


def increase(builder: Builder, pointer: Value, index: Value, amount: Value) -> None:
    """``pointer[index] += amount``."""
    place = builder.gep(pointer, [index])
    builder.store(builder.fadd(builder.load(place), amount), place)
