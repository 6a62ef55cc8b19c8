"""The steps of a circuit: all layers of a step on one block after the other, so that each block is fetched once."""

# numba infers the types of compiled code
# pyright: reportMissingParameterType=false, reportUntypedFunctionDecorator=false, reportUnknownParameterType=false
# pyright: reportCallIssue=false, reportArgumentType=false

from __future__ import annotations

from typing import NamedTuple

from qeqprop.engine.circuit_diagonals import (
    all_slopes,
    crossing_lines,
    crossing_table,
    give_slopes,
    line_phases,
    multiply_phases,
    phase_table,
    undo_line_phases,
)
from qeqprop.engine.circuit_kernels import (
    FOUND,
    SIGNS,
    SMALL,
    SUMS,
    back_block,
    block_slopes,
    compiled,
    gather_columns,
    norm_of,
    return_columns,
    turn_block,
)
from qeqprop.engine.circuit_program import (
    BACKWARD,
    COLUMNS,
    DIAGONAL,
    FORWARD,
    SLOPES,
    STRINGS,
    TOP,
    TURN_Y,
    X,
    Y,
    Z,
)
from qeqprop.engine.circuit_strings import flip_where, string_slope, turn_string
from qeqprop.engine.circuit_vectors import copy_lines
from qeqprop.interfaces import FloatArray


class Buffers(NamedTuple):
    """Where one thread works.

    Attributes:
        rows: (4, dim or more) real and imaginary parts of psi and of the costate; shared by the threads of a state.
        halves: (n_items, 2) cosines and sines of half the angles; shared.
        turns: (n_layers, 2, n_qubits) cosines and tangents of half the angles of rotation layers; shared.
        kept: (n_steps or 0, 2, dim or more) psi inside of each step, as its blocks or gathered columns lie; shared.
        tables: (7, block or more) phases E, T and L, and real numbers.
        columns: (4, rows * columns or more) what a column step gathers.
        small: (11, 256) see `circuit_kernels`.
        partial: (n_items or n_strings, and one more) what this thread found; the energy is last.
    """

    rows: FloatArray
    halves: FloatArray
    turns: FloatArray
    kept: FloatArray
    tables: FloatArray
    columns: FloatArray
    small: FloatArray
    partial: FloatArray


@compiled
def diagonal_layer(items, size, buffers, layer, pr, pi, lr, li, block, ready, back, scale):
    """A diagonal layer on one block; the table of what stays within a block is built once for all blocks."""
    first, last = layer[1], layer[2]
    tables, length = buffers.tables, 1 << size
    halves, small, q = buffers.halves, buffers.small, tables[6]
    trained = back and layer[4]
    if not ready:
        phase_table(items, size, first, last, halves, small, tables[0], tables[1], tables[4], tables[5])
    crosses = size < buffers.turns.shape[2]
    if crosses and not crossing_lines(items, size, first, last, halves, block, small):
        if back:
            undo_line_phases(size, pr, pi, lr, li, small, tables[0], tables[1], q)
        else:
            line_phases(size, pr, pi, small, tables[0], tables[1])
    else:
        used = 2 if crosses else 0
        if crosses:
            crossing_table(items, size, first, last, halves, block, small, tables[0], tables[1], tables[2], tables[3])
        if trained:
            all_slopes(pr, pi, lr, li, size, q)
        multiply_phases(pr, pi, length, tables[used], tables[used + 1], -1.0 if back else 1.0)
        if back:
            multiply_phases(lr, li, length, tables[used], tables[used + 1], -1.0)
    if trained:
        give_slopes(items, size, first, last, block, q, 1.0 / scale, buffers.partial)


@compiled
def turn_layer(program, buffers, kind, number, re, im, sign, careful):
    """The rotations of a layer that a step takes, on one block of one state; returns how much too large it grew."""
    first, shift, size = first_bit(program, kind), shift_of(program, kind), program.sizes[kind]
    cosines, tangents, mask = buffers.turns[number, 0], buffers.turns[number, 1], program.layers[number, 3]
    for plane in (re, im):  # one call only: what is compiled into it is large
        turn_block(plane, size, first, shift, tangents, cosines, mask, sign, careful)
    return 1.0 if first == 0 or careful else 1.0 / norm_of(cosines, first + shift, size + shift)


@compiled
def slopes_layer(program, buffers, kind, number, pr, pi, lr, li, turned, careful, scale):
    """The slopes of such a layer; if ``turned``, the rotations are taken away from both states. See `back_block`."""
    first, shift, size = first_bit(program, kind), shift_of(program, kind), program.sizes[kind]
    cosines, tangents, mask = buffers.turns[number, 0], buffers.turns[number, 1], program.layers[number, 3]
    begin, end = first + shift, size + shift
    sums, found = buffers.small[SUMS], buffers.small[FOUND]
    found[begin:end] = 0.0
    if turned:
        scale = back_block(
            pr, pi, lr, li, size, first, shift, tangents, cosines, mask, careful, scale, sums, found
        )  # fmt: skip
    else:
        block_slopes(pr, pi, lr, li, size, first, shift, mask, scale, sums, found)
    for item in range(program.layers[number, 1], program.layers[number, 2]):
        if begin <= program.items[0, item, TOP] < end:
            buffers.partial[item] += found[program.items[0, item, TOP]]
    return scale


@compiled
def string_layer(program, buffers, kind, item, begin, end, task):
    """One string, or one controlled flip, on a range of places: forwards, its slope, or back."""
    pr, pi, lr, li = buffers.rows[0], buffers.rows[1], buffers.rows[2], buffers.rows[3]
    x, z, y = program.items[0, item, X], program.items[0, item, Z], program.items[0, item, Y]
    signs = buffers.small[SIGNS]
    if task == SLOPES:
        buffers.partial[item] += string_slope(pr, pi, lr, li, x, z, y, begin, end, signs, buffers.small[SUMS])
        return
    for state in range(2 if task == BACKWARD else 1):
        re, im = buffers.rows[2 * state], buffers.rows[2 * state + 1]
        if kind == STRINGS:
            c, s = buffers.halves[item, 0], buffers.halves[item, 1]
            turn_string(re, im, x, z, y, c, -s if task == BACKWARD else s, begin, end, signs)
        else:
            flip_where(re, im, x, z, begin, end)


@compiled
def first_bit(program, kind):
    """The lowest bit of a block that a step rotates: the lowest qubits belong to the block steps."""
    return program.narrow if kind == COLUMNS else 0


@compiled
def shift_of(program, kind):
    """What must be added to the bits of a block that a step rotates, to get qubits."""
    return program.low - program.narrow if kind == COLUMNS else 0


@compiled
def outline(program, buffers, step):
    """What is known of a step beforehand.

    Returns:
        The numbers of its first and its last layer that is no rotation (all are rotations: their count, and the last),
        the norm of all its rotations, that of those behind the last other layer, and whether they are too small for
        floats. Norms of block steps are one: their tiles take care of them.
    """
    kind, begin, end = program.steps[step, 0], program.steps[step, 1], program.steps[step, 2]
    lowest, highest = (program.low, program.qubits) if kind == COLUMNS else (0, program.low)
    first, last, norm, tail, least = end - begin, -1, 1.0, 1.0, 1.0
    for k in range(end - begin):
        number = program.order[begin + k]
        if program.layers[number, 0] == TURN_Y:
            one = norm_of(buffers.turns[number, 0], lowest, highest)
            norm *= one
            tail *= one
            least = min(least, abs(one))
        else:
            first, last, tail = min(first, k), k, 1.0
    if last < 0:
        last, tail = end - begin - 1, 1.0
    careful = abs(norm) < SMALL if kind == COLUMNS else least < SMALL
    if careful or kind != COLUMNS:
        norm = tail = 1.0
    return first, last, norm, tail, careful


@compiled
def ends_in_rotations(program, step, first):
    """Whether a step is the last of all and has rotations only: then psi needs no store, it is where H psi was made."""
    return step + 1 == len(program.steps) and first == program.steps[step, 2] - program.steps[step, 1]


@compiled
def run_forward(program, buffers, step, begin, end):
    """The layers of a block step on some blocks, or of a column step on some groups of columns."""
    kind, place, members = program.steps[step, 0], program.steps[step, 1], program.steps[step, 2]
    members -= place
    size, items, columns = program.sizes[kind], program.items[kind], kind == COLUMNS
    narrow, low, high = program.narrow, program.low, program.qubits - program.low
    first, last, norm, _, careful = outline(program, buffers, step)
    stores = step < len(buffers.kept) and not ends_in_rotations(program, step, first)
    ready = -1
    for block in range(begin, end):
        start, stop = block << size, (block + 1) << size
        if columns:
            pr, pi = buffers.columns[0][: 1 << size], buffers.columns[1][: 1 << size]
            gather_columns(buffers.rows, 0, 2, buffers.columns, block, narrow, low, high, norm)
        else:
            pr, pi = buffers.rows[0][start:stop], buffers.rows[1][start:stop]
        for k in range(members):
            number = program.order[place + k]
            layer = program.layers[number]
            if layer[0] == DIAGONAL:
                diagonal_layer(items, size, buffers, layer, pr, pi, pr, pi, block, ready == number, False, 1.0)
                ready = number
            elif layer[0] == TURN_Y:
                turn_layer(program, buffers, kind, number, pr, pi, 1.0, careful)
            else:
                for item in range(layer[1], layer[2]):
                    string_layer(program, buffers, layer[0], item, start, stop, FORWARD)
            if stores and k == last:
                copy_lines(pr, 0, 0, buffers.kept[step, 0], start, 0, 1, 1 << size, 1.0)
                copy_lines(pi, 0, 0, buffers.kept[step, 1], start, 0, 1, 1 << size, 1.0)
        if columns:
            return_columns(buffers.rows, 0, 2, buffers.columns, block, narrow, low, high)


@compiled
def run_back(program, buffers, step, begin, end):
    """Takes the layers of such a step away again, and finds their slopes.

    Where psi was kept behind the last layer that is no rotation, it need not be turned by the rotations that follow
    (they commute, so that all their slopes can be found there), nor by those at the beginning.
    """
    kind, place, members = program.steps[step, 0], program.steps[step, 1], program.steps[step, 2]
    members -= place
    size, items, columns = program.sizes[kind], program.items[kind], kind == COLUMNS
    narrow, low, high = program.narrow, program.low, program.qubits - program.low
    first, last, norm, tail, careful = outline(program, buffers, step)
    stored = step < len(buffers.kept)
    kept = stored and not ends_in_rotations(program, step, first)
    if not kept:
        tail = norm
    if not stored:
        first, last = 0, members - 1
    ready = -1
    for block in range(begin, end):
        start, stop = block << size, (block + 1) << size
        scale = norm * tail
        if columns:
            pr, pi = buffers.columns[0][: 1 << size], buffers.columns[1][: 1 << size]
            lr, li = buffers.columns[2][: 1 << size], buffers.columns[3][: 1 << size]
            gather_columns(buffers.rows, 2 if kept else 0, 4, buffers.columns, block, narrow, low, high, norm)
        else:
            pr, pi = buffers.rows[0][start:stop], buffers.rows[1][start:stop]
            lr, li = buffers.rows[2][start:stop], buffers.rows[3][start:stop]
        if kept:
            pr, pi = buffers.kept[step, 0][start:stop], buffers.kept[step, 1][start:stop]
        for k in range(members - 1, last, -1):
            scale *= turn_layer(program, buffers, kind, program.order[place + k], lr, li, -1.0, careful)
        for k in range(members - 1, -1, -1):
            number = program.order[place + k]
            layer = program.layers[number]
            if layer[0] == DIAGONAL:
                diagonal_layer(items, size, buffers, layer, pr, pi, lr, li, block, ready == number, True, scale)
                ready = number
            elif layer[0] == TURN_Y:
                both = first <= k <= last
                if layer[4]:
                    scale = slopes_layer(program, buffers, kind, number, pr, pi, lr, li, both, careful, scale)
                elif both:
                    scale *= turn_layer(program, buffers, kind, number, pr, pi, -1.0, careful)
                if both and not layer[4]:
                    scale *= turn_layer(program, buffers, kind, number, lr, li, -1.0, careful)
            else:
                for item in range(layer[2] - 1, layer[1] - 1, -1):
                    if layer[4]:
                        string_layer(program, buffers, layer[0], item, start, stop, SLOPES)
                    string_layer(program, buffers, layer[0], item, start, stop, BACKWARD)
        for k in range(min(first, last + 1)):
            turn_layer(program, buffers, kind, program.order[place + k], lr, li, -1.0, careful)
        if columns:
            return_columns(buffers.rows, 2 if stored else 0, 4, buffers.columns, block, narrow, low, high)
