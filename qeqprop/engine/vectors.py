"""Words of vector code: what the kernels' intrinsics are written with.

Loops that LLVM is left to vectorise lose a factor of up to three on small states, where permutations within a register
decide. So the innermost loops are emitted as explicit vector instructions with the functions below; each takes an
`llvmlite.ir.IRBuilder` first. LLVM maps them to whatever the processor has, so they are right everywhere; `WIDTH` and
`TILE` only choose what is fast.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import config

DOUBLE = ir.DoubleType()
FLOAT = ir.FloatType()
INT32 = ir.IntType(32)
INT64 = ir.IntType(64)
_FAST = ("fast",)  # sums may be reordered: every reduction here is a sum of products


def _has_wide_registers() -> bool:
    chosen: str | None = getattr(
        config, "CPU_FEATURES", None
    )  # what NUMBA_CPU_FEATURES asks for, or None for all that the processor has
    if chosen is not None or getattr(config, "CPU_NAME", None) == "generic":
        return "+avx512f" in (chosen or "")
    return bool(llvm.get_host_cpu_features().get("avx512f", False))


WIDTH = 8 if _has_wide_registers() else 4
"""Doubles in one vector register: AVX-512 holds eight, AVX2 four (two NEON registers, too)."""

VECTORS = 8
"""Vectors of accumulators an inner loop keeps in registers."""

TILE = WIDTH * VECTORS
"""Amplitudes that an inner loop works on at once."""

VECTOR = ir.VectorType(DOUBLE, WIDTH)
SINGLE_VECTOR = ir.VectorType(FLOAT, WIDTH)

Builder = Any  # ir.IRBuilder and ir.Value carry no types
Value = Any


def zero(kind: Any = VECTOR) -> Value:
    """The vector of zeros."""
    return ir.Constant(kind, [0.0] * WIDTH)


def vector_of(pointer: Value) -> Any:
    """The type of the vectors that are loaded from there."""
    return ir.VectorType(pointer.type.pointee, WIDTH)


def load(builder: Builder, pointer: Value, offset: Value) -> Value:
    """The vector at ``pointer[offset]``, in the precision that is stored there."""
    result = builder.load(_place(builder, pointer, offset))
    result.align = 8 if pointer.type.pointee == DOUBLE else 4
    return result


def load_scalar(builder: Builder, pointer: Value, offset: Value) -> Value:
    """The number at ``pointer[offset]``, an integer or a double."""
    result = builder.load(builder.gep(pointer, [offset]))
    return builder.fpext(result, DOUBLE) if result.type == FLOAT else result


def store(builder: Builder, vector: Value, pointer: Value, offset: Value) -> None:
    """Writes the vector to ``pointer[offset]``, rounded if single precision is stored there."""
    kind = vector_of(pointer)
    converted = double(builder, vector) if kind == VECTOR else _single(builder, vector)
    builder.store(converted, _place(builder, pointer, offset)).align = 8 if kind == VECTOR else 4


def _place(builder: Builder, pointer: Value, offset: Value) -> Value:
    return builder.bitcast(builder.gep(pointer, [offset]), vector_of(pointer).as_pointer())


def double(builder: Builder, vector: Value) -> Value:
    """The vector in double precision."""
    return builder.fpext(vector, VECTOR) if vector.type == SINGLE_VECTOR else vector


def _single(builder: Builder, vector: Value) -> Value:
    return builder.fptrunc(vector, SINGLE_VECTOR) if vector.type == VECTOR else vector


def splat(builder: Builder, scalar: Value) -> Value:
    """A vector with the scalar in every lane."""
    undefined = ir.Constant(VECTOR, ir.Undefined)
    first = builder.insert_element(undefined, scalar, INT32(0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(INT32, WIDTH), [0] * WIDTH))


def flip_lanes(builder: Builder, vector: Value, mask: int) -> Value:
    """Lane k of the result is lane ``k xor mask``: a spin flip on the lowest sites."""
    if mask == 0:
        return vector
    order: Sequence[int] = [lane ^ mask for lane in range(WIDTH)]
    undefined = ir.Constant(vector.type, ir.Undefined)
    return builder.shuffle_vector(vector, undefined, ir.Constant(ir.VectorType(INT32, WIDTH), order))


def add(builder: Builder, a: Value, b: Value) -> Value:
    """``a + b``, of one precision."""
    return builder.fadd(a, b, flags=_FAST)


def subtract(builder: Builder, a: Value, b: Value) -> Value:
    """``a - b``, of one precision."""
    return builder.fsub(a, b, flags=_FAST)


def multiply(builder: Builder, a: Value, b: Value) -> Value:
    """``a * b``, in the lower precision of the two: a single number has no more digits to give."""
    if a.type != b.type:
        a, b = _single(builder, a), _single(builder, b)
    return builder.fmul(a, b, flags=_FAST)


def multiply_add(builder: Builder, a: Value, b: Value, c: Value) -> Value:
    """``a * b + c``, one instruction where the processor has it; in the precision of the sum c."""
    product = multiply(builder, a, b)
    return builder.fadd(double(builder, product) if c.type == VECTOR else product, c, flags=_FAST)


def add_products(builder: Builder, pairs: Sequence[tuple[Value, Value]], places: Sequence[Value]) -> None:
    """Adds ``sum a * b`` over a few pairs to sums in double precision that wait at the places, whichever of them.

    Products of single numbers are added to each other first: one conversion serves them all.
    """
    if all(SINGLE_VECTOR in (a.type, b.type) for a, b in pairs):
        few = zero(SINGLE_VECTOR)
        for a, b in pairs:
            few = multiply_add(builder, a, b, few)
        builder.store(add(builder, double(builder, few), builder.load(places[0])), places[0])
    else:
        for (a, b), place in zip(pairs, places, strict=True):
            builder.store(multiply_add(builder, a, b, builder.load(place)), place)


def horizontal_sum(builder: Builder, vector: Value) -> Value:
    """The sum over the lanes, a double."""
    vector = double(builder, vector)
    total = builder.extract_element(vector, INT32(0))
    for lane in range(1, WIDTH):
        total = builder.fadd(total, builder.extract_element(vector, INT32(lane)), flags=_FAST)
    return total
