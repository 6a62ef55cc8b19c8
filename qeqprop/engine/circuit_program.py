"""A circuit as the kernels see it: flat arrays, and the order in which blocks of the state go through the gates.

A large state does not fit the fast cache. So gates are collected into *steps* that each pass over the state once: a
block step runs every gate that stays within blocks of ``2^low`` neighbouring amplitudes, a column step gathers some
columns into a buffer and rotates the qubits above, a full step is one gate that does neither. A diagonal gate runs in
either, so that a layer of rotations and a diagonal one take one pass together.
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
"""Kinds of tasks."""

ZERO, PLUS, GIVEN = range(3)
"""Kinds of initial states."""

BLOCK_BITS = 13
"""The lowest qubits of a state that are taken together; what a block needs on the way back fits the second cache."""

MOST_BITS = 14
"""Qubits that number the amplitudes of a block at most: the tables of `circuit_diagonals` are made for them."""

COLUMN_BITS = 12
"""The same for the columns that are gathered."""

MIN_NARROW = 3  # a cache line

X, Z, Y, TOP, OTHER, INDEX = range(6)
"""Columns of `Program.items`."""


class Program(NamedTuple):
    """A circuit in flat arrays.

    A pass sees the state either in blocks or in columns, and numbers the qubits accordingly; ``sizes`` and ``items``
    hold both views, at `BLOCK` and at `COLUMNS`.

    Attributes:
        qubits: width of the state, padded to whole tiles.
        low: the lowest ``low`` qubits number the amplitudes of a block.
        narrow: the lowest ``narrow`` qubits number the columns that a column step gathers.
        sizes: (2,) how many qubits number the amplitudes of a block, or of the columns gathered.
        steps: (n_steps, 3) kind, first and last place in ``order``.
        order: (n_places,) the layers of each step.
        layers: (n_layers, 5) kind, first and last item, union of the flip masks, whether any angle is a parameter.
        items: (2, n_items, 6) of each rotation the masks x and z and the number of Y of its string ``i^y X^x Z^z``; of
            the part of a Z string within a block the highest site and the site of the other Z (the same for one Z, -1
            for more than two), of a rotation of one qubit the qubit; and which parameter is its angle, -1 for none.
            In the view of columns only the Z strings are right.
        affine: (n_items, 2) scale and offset of the angle.
        begin, end: masks of the qubits whose basis is turned at the beginning and at the end, see `circuit_frames`.
    """

    qubits: int
    low: int
    narrow: int
    sizes: IntArray
    steps: IntArray
    order: IntArray
    layers: IntArray
    items: IntArray
    affine: FloatArray
    begin: int
    end: int


def top_bit(masks: IntArray) -> IntArray:
    """The position of the highest set bit, -1 for none."""
    return np.frexp(masks.astype(np.float64))[1].astype(np.int64) - 1  # exact below 2^53


def steps_of(
    layers: IntArray, low: int, first: int, *, cross: bool, whole: bool
) -> tuple[list[tuple[int, int, int]], list[int]]:
    """The steps and the order of layers (n_layers, 5), see `Program`, beginning with blocks or columns.

    Each step takes all it can: rotations of the qubits it holds (those of other qubits commute with them and wait for
    the next step), and any diagonal for which no rotation waits; in a column step only with ``cross``. Where a block is
    the ``whole`` state, each diagonal behind rotations begins a new step.
    """
    steps: list[tuple[int, int, int]] = []
    order: list[int] = []
    within = (1 << low) - 1
    waiting: list[tuple[int, bool]] = []  # layers passed over, and whether it is their upper part that waits
    place, kind = 0, first
    rows = layers.tolist()
    while waiting or place < len(rows):
        members = [number for number, above in waiting if above == (kind == COLUMNS)]
        waiting = [entry for entry in waiting if entry[1] != (kind == COLUMNS)]
        while place < len(rows):
            what, begin, end, mask, _ = rows[place]
            if what == TURN_Y:
                for above, part in enumerate((mask & within, mask & ~within)):
                    if part and above == (kind == COLUMNS):
                        members.append(place)
                    elif part:
                        waiting.append((place, bool(above)))
            elif begin < end:
                foreign = kind == COLUMNS and not (cross and what == DIAGONAL)
                turned = whole and bool(members) and rows[members[-1]][0] == TURN_Y and what == DIAGONAL
                if waiting or mask & ~within or foreign or turned:
                    break
                members.append(place)
            place += 1
        if members:
            steps.append((kind, len(order), len(order) + len(members)))
            order += members
        if not waiting and place < len(rows) and rows[place][3] & ~within:
            steps.append((FULL, len(order), len(order) + 1))
            order.append(place)
            place += 1
        kind = BLOCK + COLUMNS - kind
    return steps, order


def compile_layers(circuit: Circuit, block_bits: int) -> Program:
    """The program of a circuit for blocks of about ``2^block_bits`` amplitudes."""
    from qeqprop.engine.circuit_frames import real_layers
    from qeqprop.engine.circuit_vectors import TILE_BITS  # compiled code is loaded when first used

    turned = real_layers(circuit)
    qubits = max(circuit.num_qubits, TILE_BITS)
    low = qubits if qubits <= block_bits else max(block_bits, TILE_BITS, min(MOST_BITS, (qubits + 3) // 2))
    high = qubits - low
    narrow = min(low, max(MIN_NARROW, TILE_BITS - high, COLUMN_BITS - high))
    layers: list[tuple[int, int, int, int, bool]] = []
    first = 0
    for kind, last in zip(turned.kinds, turned.ends, strict=True):
        x, index = turned.items[first:last, 0], turned.items[:, 3]
        for begin, end in _parts(x >> low, first) if kind in (STRINGS, FLIPS) else [(first, last)]:
            mask = int(np.bitwise_or.reduce(turned.items[begin:end, 0], initial=0))
            layers.append((kind, begin, end, mask, bool(np.any(index[begin:end] >= 0))))
        first = last
    table = np.array(layers, dtype=np.int64).reshape(-1, 5)
    size = narrow + high
    cross = low < qubits and size <= MOST_BITS
    plans = [steps_of(table, low, kind, cross=cross, whole=not high) for kind in (BLOCK, COLUMNS)]
    steps, order = min(plans, key=lambda plan: len(plan[0]))
    z = turned.items[:, 1]
    within, below = (1 << low) - 1, (1 << narrow) - 1
    columns = (z & below) | (z >> low << narrow) | ((z & within) >> narrow << size)
    return Program(
        qubits,
        low,
        narrow,
        np.array([low, size]),
        np.array(steps, dtype=np.int64).reshape(-1, 3),
        np.array(order, dtype=np.int64),
        table,
        np.stack([_view(turned.items, z, low), _view(turned.items, columns, size)]),
        turned.affine,
        turned.begin,
        turned.end,
    )


def _view(items: IntArray, z: IntArray, size: int) -> IntArray:
    """The items (n_items, 6) of `Program` where ``2^size`` amplitudes are a block."""
    x, y, index = items[:, 0], items[:, 2], items[:, 3]
    near = z & ((1 << size) - 1)
    top = top_bit(near)
    weight = np.bitwise_count(near)
    other = np.where(weight <= 1, top, np.where(weight == 2, top_bit(near & ~(1 << np.maximum(top, 0))), -1))
    return np.stack([x, z, y, np.where(x > 0, top_bit(x), top), other, index], axis=1).astype(np.int64)


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
