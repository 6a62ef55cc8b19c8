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
    compiled,
    gather_columns,
    norm_of,
    return_columns,
    turn_block,
)
from qeqprop.engine.circuit_program import BACKWARD, COLUMNS, DIAGONAL, SLOPES, STRINGS, TOP, TURN_Y, X, Y, Z
from qeqprop.engine.circuit_strings import flip_where, string_slope, turn_string
from qeqprop.interfaces import FloatArray


class Buffers(NamedTuple):
    """Where one thread works.

    Attributes:
        rows: (4, dim or more) real and imaginary parts of psi and of the costate; shared by the threads of a state.
        halves: (n_items, 2) cosines and sines of half the angles; shared.
        turns: (n_layers, 2, n_qubits) cosines and tangents of half the angles of rotation layers; shared.
        tables: (7, block or more) phases E, T and L, and real numbers.
        columns: (4, rows * columns or more) what a column step gathers.
        small: (11, 256) see `circuit_kernels`.
        partial: (n_items or n_strings, and one more) what this thread found; the energy is last.
    """

    rows: FloatArray
    halves: FloatArray
    turns: FloatArray
    tables: FloatArray
    columns: FloatArray
    small: FloatArray
    partial: FloatArray


@compiled
def diagonal_layer(items, size, buffers, layer, rows, start, block, ready, back, scale):
    """A diagonal layer on one block; the table of what stays within a block is built once for all blocks."""
    pr, pi, lr, li = rows[0], rows[1], rows[2], rows[3]
    first, last = layer[1], layer[2]
    tables, length = buffers.tables, 1 << size
    halves, small, q = buffers.halves, buffers.small, tables[6]
    trained = back and layer[4]
    if not ready:
        phase_table(items, size, first, last, halves, small, tables[0], tables[1], tables[4], tables[5])
    crosses = size < buffers.turns.shape[2]
    if crosses and not crossing_lines(items, size, first, last, halves, block, small):
        if back:
            undo_line_phases(size, pr, pi, lr, li, start, small, tables[0], tables[1], q)
        else:
            line_phases(size, pr, pi, start, small, tables[0], tables[1])
    else:
        used = 2 if crosses else 0
        if crosses:
            crossing_table(items, size, first, last, halves, block, small, tables[0], tables[1], tables[2], tables[3])
        if trained:
            all_slopes(pr, pi, lr, li, start, size, q)
        multiply_phases(pr, pi, start, length, tables[used], tables[used + 1], -1.0 if back else 1.0)
        if back:
            multiply_phases(lr, li, start, length, tables[used], tables[used + 1], -1.0)
    if trained:
        give_slopes(items, size, first, last, block, q, 1.0 / scale**2, buffers.partial)


@compiled
def rotation_layer(program, buffers, kind, number, rows, start, back, careful, scale):
    """The rotations of a layer that a block step or a column step takes, on one block; see `back_block` for scale."""
    mask, trained = program.layers[number, 3], program.layers[number, 4]
    cosines, tangents = buffers.turns[number, 0], buffers.turns[number, 1]
    size, first, shift = program.sizes[kind], 0, 0
    if kind == COLUMNS:
        first, shift = program.narrow, program.low - program.narrow
    begin, end = first + shift, size + shift
    if back and trained:
        found = buffers.small[FOUND]
        found[begin:end] = 0.0
        scale = back_block(
            rows, start, size, first, shift, tangents, cosines, mask, careful, scale, buffers.small[SUMS], found
        )
        for item in range(program.layers[number, 1], program.layers[number, 2]):
            if begin <= program.items[0, item, TOP] < end:
                buffers.partial[item] += found[program.items[0, item, TOP]]
        return scale
    for row in range(4 if back else 2):
        turn_block(rows[row], start, size, first, shift, tangents, cosines, mask, -1.0 if back else 1.0, careful)
    return scale if first == 0 or careful else scale / norm_of(cosines, begin, end)


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
def run_step(program, buffers, step, task, begin, end):
    """The layers of a block step on some blocks, or of a column step on some groups of columns."""
    kind, first_place, last_place = program.steps[step, 0], program.steps[step, 1], program.steps[step, 2]
    ready, back, columns = -1, task == BACKWARD, kind == COLUMNS
    size, items = program.sizes[kind], program.items[kind]
    rows = buffers.columns if columns else buffers.rows
    planes, narrow, low, high = 4 if back else 2, program.narrow, program.low, program.qubits - program.low
    norm = 1.0
    for place in range(first_place, last_place):
        number = program.order[place]
        if program.layers[number, 0] == TURN_Y:
            lowest, highest = (low, program.qubits) if columns else (0, low)
            one = norm_of(buffers.turns[number, 0], lowest, highest)
            norm = norm * one if columns else min(norm, abs(one))
    careful = abs(norm) < SMALL
    for block in range(begin, end):
        start, scale = 0 if columns else block << size, 1.0
        if columns:
            scale = 1.0 if careful else norm
            gather_columns(buffers.rows, planes, rows, block, narrow, low, high, scale)
        for counter in range(last_place - first_place):
            number = program.order[last_place - 1 - counter if back else first_place + counter]
            layer = program.layers[number]
            if layer[0] == DIAGONAL:
                diagonal_layer(items, size, buffers, layer, rows, start, block, ready == number, back, scale)
                ready = number
            elif layer[0] == TURN_Y:
                scale = rotation_layer(program, buffers, kind, number, rows, start, back, careful, scale)
            else:
                for k in range(layer[2] - layer[1]):
                    item = layer[2] - 1 - k if back else layer[1] + k
                    if back and layer[4]:
                        string_layer(program, buffers, layer[0], item, start, start + (1 << size), SLOPES)
                    string_layer(program, buffers, layer[0], item, start, start + (1 << size), task)
        if columns:
            return_columns(buffers.rows, planes, rows, block, narrow, low, high)
