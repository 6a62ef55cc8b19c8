"""From passes to answers: all steps of a circuit forwards, ``H psi``, and all steps back.

What is to be done is a list of tasks, each for a part of the state. One thread does all tasks of one sample after the
other; threads that share a state do one task each with their parts and meet before the next.
"""

# numba infers the types of compiled code
# pyright: reportMissingParameterType=false, reportUntypedFunctionDecorator=false, reportUnknownParameterType=false
# pyright: reportCallIssue=false, reportArgumentType=false

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

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
    COLUMN_BITS,
    FOUND,
    SIGNS,
    SUMS,
    back_block,
    back_columns,
    compiled,
    turn_block,
    turn_columns,
)
from qeqprop.engine.circuit_program import (
    APPLY,
    BACKWARD,
    BLOCK,
    COLLECT,
    COLUMNS,
    DIAGONAL,
    EXPECT,
    FLIPS,
    INDEX,
    PREPARE,
    REPORT,
    SLOPES,
    STORE,
    STRINGS,
    TOP,
    TURN_X,
    TURN_Y,
    X,
    Y,
    Z,
)
from qeqprop.engine.circuit_strings import apply_block, expect_block, flip_where, string_slope, turn_string
from qeqprop.engine.vectors import WIDTH
from qeqprop.interfaces import FloatArray

ZERO, PLUS, GIVEN = range(3)
"""Kinds of initial states."""


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
def prepare(program, parameters, qubits, start, given, rows, halves, turns):
    """The initial state, and what the passes need of the angles of one sample."""
    re, im = rows[0], rows[1]
    re[:] = 0.0
    im[:] = 0.0
    if start == ZERO:
        re[0] = 1.0
    elif start == PLUS:
        re[: 1 << qubits] = 1.0 / np.sqrt(1 << qubits)
    else:
        for k in range(1 << qubits):
            re[k], im[k] = given[k].real, given[k].imag
    for number in range(len(program.layers)):
        kind, first, last = program.layers[number, 0], program.layers[number, 1], program.layers[number, 2]
        turned = kind in (TURN_X, TURN_Y)
        if turned:
            turns[number, 1] = 0.0
        for item in range(first, last):
            half = program.affine[item, 1]
            if program.items[item, INDEX] >= 0:
                half += program.affine[item, 0] * parameters[program.items[item, INDEX]]
            half *= 0.5
            if turned:
                turns[number, 1, program.items[item, TOP]] += half
            else:
                halves[item, 0], halves[item, 1] = np.cos(half), np.sin(half)
        if turned:
            for qubit in range(program.qubits):
                half = turns[number, 1, qubit]
                turns[number, 0, qubit] = np.cos(half)
                turns[number, 1, qubit] = np.sin(half) / np.cos(half)


@compiled
def share(total, unit, thread, threads):
    """Where a thread's part of ``total`` places, in whole units, begins."""
    return total // unit * thread // threads * unit


@compiled
def diagonal_layer(program, buffers, number, block, ready, back):
    """A diagonal layer on one block; the table of what stays within a block is built once for all blocks."""
    pr, pi, lr, li = buffers.rows[0], buffers.rows[1], buffers.rows[2], buffers.rows[3]
    first, last = program.layers[number, 1], program.layers[number, 2]
    tables, length = buffers.tables, 1 << program.low
    start = block << program.low
    halves, small, q = buffers.halves, buffers.small, tables[6]
    trained = back and program.layers[number, 4]
    if ready != number:
        phase_table(program, first, last, halves, small, tables[0], tables[1], tables[4], tables[5])
    crosses = program.low < program.qubits
    if crosses and not crossing_lines(program, first, last, halves, block, small):
        if back:
            undo_line_phases(program.low, pr, pi, lr, li, start, small, tables[0], tables[1], q)
        else:
            line_phases(program.low, pr, pi, start, small, tables[0], tables[1])
    else:
        used = 2 if crosses else 0
        if crosses:
            crossing_table(program, first, last, halves, block, small, tables[0], tables[1], tables[2], tables[3])
        if trained:
            all_slopes(pr, pi, lr, li, start, program.low, q)
        multiply_phases(pr, pi, start, length, tables[used], tables[used + 1], -1.0 if back else 1.0)
        if back:
            multiply_phases(lr, li, start, length, tables[used], tables[used + 1], -1.0)
    if trained:
        give_slopes(program, first, last, block, q, buffers.partial)


@compiled
def give(program, number, found, partial, begin, end):
    """Hands the slopes of the qubits from begin to end to the items of a rotation layer."""
    for item in range(program.layers[number, 1], program.layers[number, 2]):
        if begin <= program.items[item, TOP] < end:
            partial[item] += found[program.items[item, TOP]]


@compiled
def rotation_layer(program, buffers, number, block, back):
    """A rotation layer on the qubits of one block."""
    pr, pi, lr, li = buffers.rows[0], buffers.rows[1], buffers.rows[2], buffers.rows[3]
    kind, mask, trained = program.layers[number, 0], program.layers[number, 3], program.layers[number, 4]
    norms, tangents = buffers.turns[number, 0], buffers.turns[number, 1]
    low = program.low
    start = block << low
    if back and trained:
        found = buffers.small[FOUND]
        found[:low] = 0.0
        back_block(kind, pr, pi, lr, li, start, low, tangents, norms, mask, buffers.small[SUMS], found)
        give(program, number, found, buffers.partial, 0, low)
        return
    for state in range(2 if back else 1):
        re, im = buffers.rows[2 * state], buffers.rows[2 * state + 1]
        turn_block(kind, re, im, start, low, tangents, norms, mask, -1.0 if back else 1.0)


@compiled
def string_layer(program, buffers, kind, item, begin, end, task):
    """One string, or one controlled flip, on a range of places: forwards, its slope, or back."""
    pr, pi, lr, li = buffers.rows[0], buffers.rows[1], buffers.rows[2], buffers.rows[3]
    x, z, y = program.items[item, X], program.items[item, Z], program.items[item, Y]
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
def block_pass(program, buffers, step, task, begin, end):
    """The layers of a block step on some blocks."""
    low, ready, back = program.low, -1, task == BACKWARD
    first_place, last_place = program.steps[step, 1], program.steps[step, 2]
    for block in range(begin, end):
        start = block << low
        for counter in range(last_place - first_place):
            number = program.order[last_place - 1 - counter if back else first_place + counter]
            kind, first, last = program.layers[number, 0], program.layers[number, 1], program.layers[number, 2]
            if kind == DIAGONAL:
                diagonal_layer(program, buffers, number, block, ready, back)
                ready = number
            elif kind in (TURN_X, TURN_Y):
                rotation_layer(program, buffers, number, block, back)
            else:
                for k in range(last - first):
                    item = last - 1 - k if back else first + k
                    if back and program.layers[number, 4]:
                        string_layer(program, buffers, kind, item, start, start + (1 << low), SLOPES)
                    string_layer(program, buffers, kind, item, start, start + (1 << low), task)


@compiled
def columns_pass(program, buffers, step, back, begin, end):
    """Rotates the qubits above the blocks, a few columns at a time."""
    low, bits = program.low, program.qubits - program.low
    first_place, last_place = program.steps[step, 1], program.steps[step, 2]
    found = buffers.small[FOUND]
    members = last_place - first_place
    for group in range(begin, end):
        column = group << COLUMN_BITS
        for counter in range(members):
            number = program.order[last_place - 1 - counter if back else first_place + counter]
            kind = program.layers[number, 0]
            norms, tangents = buffers.turns[number, 0], buffers.turns[number, 1]
            load, save = counter == 0, counter + 1 == members
            if back and program.layers[number, 4]:
                found[low : low + bits] = 0.0
                back_columns(
                    kind, buffers.rows, buffers.columns, column, low, bits, tangents, norms, load, save,
                    buffers.small[SUMS], found,
                )  # fmt: skip
                give(program, number, found, buffers.partial, low, low + bits)
            else:
                for row in range(0, 4 if back else 2, 2):
                    turn_columns(
                        kind, buffers.rows, row, buffers.columns, column, low, bits, tangents, norms,
                        -1.0 if back else 1.0, load, save,
                    )  # fmt: skip


@compiled
def collect(program, partial, numbers):
    """Adds what one thread found: the energy to numbers[0] and the gradient behind it."""
    numbers[0] += partial[-1]
    for item in range(len(program.items)):
        if program.items[item, INDEX] >= 0:
            numbers[1 + program.items[item, INDEX]] += program.affine[item, 0] * partial[item]


@njit(cache=True, fastmath=True, error_model="numpy", nogil=True)
def run(
    tasks, program, parameters, strings, coefficients, qubits, start, given, numbers, amplitudes, buffers,
    sample, samples, thread, threads,
):  # fmt: skip
    """Does the tasks (n_tasks, 2), kinds and steps, for every ``samples``-th sample from ``sample`` on.

    Energies and gradients are added to numbers (batch, 1 + n_parameters), expectations of strings to numbers (batch,
    n_strings); states are written to amplitudes (batch, dim). Arrays with one row serve all samples.
    """
    low = program.low
    blocks = 1 << (program.qubits - low)
    pr, pi, lr, li = buffers.rows[0], buffers.rows[1], buffers.rows[2], buffers.rows[3]
    real, signs, sums = buffers.tables[6], buffers.small[SIGNS], buffers.small[SUMS]
    while sample < len(numbers):
        for place in range(len(tasks)):
            task, step = tasks[place, 0], tasks[place, 1]
            begin, end = share(blocks, 1, thread, threads), share(blocks, 1, thread + 1, threads)
            if task == PREPARE:
                row, given_row = parameters[sample % len(parameters)], given[sample % len(given)]
                prepare(program, row, qubits, start, given_row, buffers.rows, buffers.halves, buffers.turns)
                buffers.partial[:] = 0.0
                sums[:] = 0.0
            elif task == STORE:
                for k in range(1 << qubits):
                    amplitudes[sample, k] = complex(pr[k], pi[k])
            elif task == COLLECT:
                collect(program, buffers.partial, numbers[sample])
            elif task == REPORT:
                for s in range(len(strings)):
                    numbers[sample, s] += buffers.partial[s]
            elif task == APPLY:
                row = coefficients[sample % len(coefficients)]
                for block in range(begin, end):
                    buffers.partial[-1] += apply_block(strings, row, low, block, pr, pi, lr, li, real, signs, sums)
            elif task == EXPECT:
                for block in range(begin, end):
                    expect_block(strings, low, block, pr, pi, real, signs, sums, buffers.partial)
            elif program.steps[step, 0] == BLOCK:
                block_pass(program, buffers, step, task, begin, end)
            elif program.steps[step, 0] == COLUMNS:
                groups = 1 << (low - COLUMN_BITS)
                begin, end = share(groups, 1, thread, threads), share(groups, 1, thread + 1, threads)
                columns_pass(program, buffers, step, task == BACKWARD, begin, end)
            else:
                number = program.order[program.steps[step, 1]]
                kind, item = program.layers[number, 0], program.layers[number, 1]
                unit = 2 * WIDTH
                if kind == FLIPS:
                    moved = program.items[item, X] | program.items[item, Z]
                    unit = max(unit, 2 * (moved & -moved))
                total = 1 << program.qubits
                begin, end = share(total, unit, thread, threads), share(total, unit, thread + 1, threads)
                string_layer(program, buffers, kind, item, begin, end, task)
        sample += samples
