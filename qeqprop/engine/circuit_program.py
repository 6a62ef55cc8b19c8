"""A circuit as the kernels see it: flat arrays, and the order in which blocks of the state go through the gates.

A state of more than `BLOCK_BITS` qubits does not fit the fast cache. So gates are collected into *steps* that each pass
over the state once: a block step runs every gate that stays within blocks of ``2^low`` neighbouring amplitudes, a
column step rotates the qubits above (columns are gathered into a buffer first), a full step is one gate that does
neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from qeqprop.interfaces import FloatArray, IntArray

if TYPE_CHECKING:
    from qeqprop.engine.circuits import Circuit

DIAGONAL, TURN_X, TURN_Y, STRINGS, FLIPS = range(5)
"""Kinds of layers: Z strings, rotations about X, about Y, any Pauli strings one by one, controlled NOTs."""

BLOCK, COLUMNS, FULL = range(3)
"""Kinds of steps."""

PREPARE, STORE, COLLECT, REPORT, FORWARD, BACKWARD, SLOPES, APPLY, EXPECT = range(9)
"""Kinds of tasks. The first four are for one thread."""

BLOCK_BITS = 12


X, Z, Y, TOP, OTHER, INDEX = range(6)
"""Columns of `Program.items`."""


class Program(NamedTuple):
    """A circuit in flat arrays.

    Attributes:
        qubits: width of the state, padded to whole tiles.
        low: the lowest ``low`` qubits number the amplitudes of a block.
        steps: (n_steps, 3) kind, first and last place in ``order``.
        order: (n_places,) the layers of each step.
        layers: (n_layers, 5) kind, first and last item, union of the flip masks, whether any angle is a parameter.
        items: (n_items, 6) of each rotation the masks x and z and the number of Y of its string ``i^y X^x Z^z``; of the
            part of a Z string in a block the highest site and the site of the other Z (the same for one Z, -1 for more
            than two), of a rotation of one qubit the qubit; and which parameter is its angle, -1 for none.
        affine: (n_items, 2) scale and offset of the angle.
    """

    qubits: int
    low: int
    steps: IntArray
    order: IntArray
    layers: IntArray
    items: IntArray
    affine: FloatArray


def top_bit(masks: IntArray) -> IntArray:
    """The position of the highest set bit, -1 for none."""
    return np.frexp(masks.astype(np.float64))[1].astype(np.int64) - 1  # exact below 2^53


def steps_of(layers: IntArray, low: int) -> tuple[IntArray, IntArray]:
    """The steps (n_steps, 3) and the order (n_places,) of layers (n_layers, 5); see `Program`."""
    steps: list[tuple[int, int, int]] = []
    order: list[int] = []
    within: list[int] = []  # layers that wait for the next block step
    above: list[int] = []  # and for the column step after it; different qubits, so the two commute

    def emit(kind: int, members: list[int]) -> None:
        if members:
            steps.append((kind, len(order), len(order) + len(members)))
            order.extend(members)
            members.clear()

    for number, (kind, first, last, mask, _) in enumerate(layers.tolist()):
        if kind in (TURN_X, TURN_Y):
            if mask & ((1 << low) - 1):
                within.append(number)
            if mask >> low:
                above.append(number)
            continue
        if above or mask >> low:
            emit(BLOCK, within)
            emit(COLUMNS, above)
        if mask >> low:
            emit(FULL, [number])
        elif last > first:
            within.append(number)
    emit(BLOCK, within)
    emit(COLUMNS, above)
    return np.array(steps, dtype=np.int64).reshape(-1, 3), np.array(order, dtype=np.int64)


def compile_layers(circuit: Circuit, block_bits: int) -> Program:
    """The program of a circuit for blocks of at most ``2^block_bits`` amplitudes."""
    from qeqprop.engine.circuit_vectors import TILE_BITS  # compiled code is loaded when first used

    qubits = max(circuit.num_qubits, TILE_BITS)
    low = min(qubits, max(block_bits, TILE_BITS))
    if (qubits - low) & 1:  # the qubits above go two by two
        low += 1 if low == TILE_BITS else -1
    within = (1 << low) - 1
    layers: list[tuple[int, int, int, int, bool]] = []
    first = 0
    for kind, last in zip(circuit.kinds.tolist(), circuit.ends.tolist(), strict=True):
        for begin, end in _parts(circuit.x[first:last] >> low, first) if kind in (STRINGS, FLIPS) else [(first, last)]:
            mask = int(np.bitwise_or.reduce(circuit.x[begin:end], initial=0))
            layers.append((kind, begin, end, mask, bool(np.any(circuit.angles.index[begin:end] >= 0))))
        first = last
    table = np.array(layers, dtype=np.int64).reshape(-1, 5)
    steps, order = steps_of(table, low)
    near = circuit.z & within
    top = top_bit(near)
    rest = near & ~(1 << np.maximum(top, 0))
    weight = np.bitwise_count(near)
    columns = (
        circuit.x,
        circuit.z,
        np.bitwise_count(circuit.x & circuit.z) % 4,
        np.where(circuit.x > 0, top_bit(circuit.x), top),
        np.where(weight <= 1, top, np.where(weight == 2, top_bit(rest), -1)),
        circuit.angles.index,
    )
    items = np.stack([column.astype(np.int64) for column in columns], axis=1)
    affine = np.stack([circuit.angles.scale, circuit.angles.offset], axis=1)
    return Program(qubits, low, steps, order, table, items, affine)


def tasks_of(program: Program) -> tuple[IntArray, IntArray]:
    """The tasks (n_tasks, 2), kinds and steps, that make a state, and those that make an energy and its gradient."""
    forward = [(PREPARE, 0), *((FORWARD, step) for step in range(len(program.steps)))]
    backward: list[tuple[int, int]] = [(APPLY, 0)]
    for step, (kind, first, _) in reversed(list(enumerate(program.steps.tolist()))):
        if kind == FULL and program.layers[program.order[first], 4]:
            backward.append((SLOPES, step))
        backward.append((BACKWARD, step))
    return np.array([*forward, (STORE, 0)]), np.array([*forward, *backward, (COLLECT, 0)])


def _parts(high: IntArray, first: int) -> list[tuple[int, int]]:
    """Runs of items whose flips stay within a block; each other item by itself."""
    parts: list[tuple[int, int]] = []
    run = False
    for item, beyond in enumerate(high.tolist(), first):
        if run and not beyond:
            parts[-1] = (parts[-1][0], item + 1)
        else:
            parts.append((item, item + 1))
        run = not beyond
    return parts
