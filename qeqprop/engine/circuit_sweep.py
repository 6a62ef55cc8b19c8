"""From passes to answers: all steps of a circuit forwards, ``H psi``, and all steps back.

What is to be done is a list of tasks, each for a part of the state. Threads that share a state are a team: all do the
same tasks with their parts, and meet before the next.
"""

# numba infers the types of compiled code
# pyright: reportMissingParameterType=false, reportUntypedFunctionDecorator=false, reportUnknownParameterType=false
# pyright: reportCallIssue=false, reportArgumentType=false

from __future__ import annotations

import numpy as np
from numba import njit

from qeqprop.engine.circuit_kernels import FOUND, SIGNS, SUMS, compiled
from qeqprop.engine.circuit_passes import run_back, run_forward, string_layer
from qeqprop.engine.circuit_products import count_bits
from qeqprop.engine.circuit_program import (
    APPLY,
    BACKWARD,
    COLLECT,
    COLUMNS,
    EXPECT,
    FLIPS,
    FULL,
    INDEX,
    PLUS,
    PREPARE,
    REPORT,
    STORE,
    TOP,
    TURN_Y,
    ZERO,
    X,
    Z,
)
from qeqprop.engine.circuit_strings import apply_blocks, expect_block
from qeqprop.engine.team import wait
from qeqprop.engine.vectors import WIDTH


@compiled
def by_quarters(re, im, turns):
    """``i^turns (re + i im)``."""
    if turns & 1:
        re, im = -im, re
    return (-re, -im) if turns & 2 else (re, im)


@compiled
def prepare_state(program, qubits, start, given, rows, begin, end):
    """The initial state from place ``begin`` to ``end``."""
    re, im = rows[0], rows[1]
    filled = begin if start == ZERO else max(begin, min(end, 1 << qubits))
    im[begin:end] = 0.0
    re[filled:end] = 0.0
    if start == ZERO:
        if begin == 0:
            re[0] = 1.0
    elif start == PLUS:
        re[begin:filled] = 1.0 / np.sqrt(1 << qubits)
    else:
        for k in range(begin, filled):
            re[k], im[k] = given[k].real, given[k].imag
    if program.begin and start != ZERO:
        for k in range(begin, filled):
            re[k], im[k] = by_quarters(re[k], im[k], count_bits(k & program.begin))


@compiled
def prepare_angles(program, parameters, halves, turns):
    """What the passes need of the angles of one sample."""
    for number in range(len(program.layers)):
        kind, first, last = program.layers[number, 0], program.layers[number, 1], program.layers[number, 2]
        turned = kind == TURN_Y
        if turned:
            turns[number, 1] = 0.0
        for item in range(first, last):
            half = program.affine[item, 1]
            if program.items[0, item, INDEX] >= 0:
                half += program.affine[item, 0] * parameters[program.items[0, item, INDEX]]
            half *= 0.5
            if turned:
                turns[number, 1, program.items[0, item, TOP]] += half
            else:
                halves[item, 0], halves[item, 1] = np.cos(half), np.sin(half)
        if turned:
            for qubit in range(program.qubits):
                half = turns[number, 1, qubit]
                turns[number, 0, qubit] = np.cos(half)
                turns[number, 1, qubit] = np.sin(half) / np.cos(half)


@compiled
def part(team, total, unit):
    """The part ``begin, end`` of some places that a rank works on, in whole units."""
    units = total // unit
    return units * team.rank // team.ranks * unit, units * (team.rank + 1) // team.ranks * unit


@compiled
def collect(program, partial, numbers):
    """Adds what one thread found: the energy to numbers[0] and the gradient behind it."""
    numbers[0] += partial[-1]
    for item in range(program.items.shape[1]):
        if program.items[0, item, INDEX] >= 0:
            numbers[1 + program.items[0, item, INDEX]] += program.affine[item, 0] * partial[item]


@njit(cache=True, fastmath=True, error_model="numpy", nogil=True)
def run(
    tasks, program, parameters, strings, coefficients, qubits, start, given, numbers, amplitudes, buffers, team,
    sample, samples,
):  # fmt: skip
    """Does the tasks (n_tasks, 2), kinds and steps, for every ``samples``-th sample from ``sample`` on.

    Energies and gradients are added to numbers (batch, 1 + n_parameters), expectations of strings to numbers (batch,
    n_strings); states are written to amplitudes (batch, dim). Arrays with one row serve all samples.
    """
    low = program.low
    blocks, total = 1 << (program.qubits - low), 1 << program.qubits
    pr, pi, lr, li = buffers.rows[0], buffers.rows[1], buffers.rows[2], buffers.rows[3]
    real, signs, sums = buffers.tables[6], buffers.small[SIGNS], buffers.small[SUMS]
    while sample < len(numbers):
        for place in range(len(tasks)):
            task, step = tasks[place, 0], tasks[place, 1]
            begin, end = part(team, blocks, 1)
            if task == PREPARE:
                begin, end = part(team, total, 1)
                prepare_state(program, qubits, start, given[sample % len(given)], buffers.rows, begin, end)
                if team.rank == 0:
                    prepare_angles(program, parameters[sample % len(parameters)], buffers.halves, buffers.turns)
                buffers.partial[:] = 0.0
                sums[:] = 0.0
            elif task == STORE:
                begin, end = part(team, 1 << qubits, 1)
                for k in range(begin, end):
                    re, im = by_quarters(pr[k], pi[k], -count_bits(k & program.end))
                    amplitudes[sample, k] = complex(re, im)
            elif task in (COLLECT, REPORT):
                for rank in range(team.ranks):  # always in this order, so that sums are the same each time
                    if rank == team.rank:
                        if task == COLLECT:
                            collect(program, buffers.partial, numbers[sample])
                        else:
                            for s in range(len(strings)):
                                numbers[sample, s] += buffers.partial[s]
                    wait(team)
            elif task == APPLY:
                row = coefficients[sample % len(coefficients)]
                buffers.partial[-1] += apply_blocks(
                    strings, row, low, begin, end, pr, pi, lr, li, real, buffers.small[FOUND], signs, sums
                )
            elif task == EXPECT:
                for block in range(begin, end):
                    expect_block(strings, low, block, pr, pi, real, signs, sums, buffers.partial)
            elif program.steps[step, 0] != FULL:
                if program.steps[step, 0] == COLUMNS:
                    begin, end = part(team, 1 << (low - program.narrow), 1)
                if task == BACKWARD:
                    run_back(program, buffers, step, begin, end)
                else:
                    run_forward(program, buffers, step, begin, end)
            else:
                number = program.order[program.steps[step, 1]]
                kind, item = program.layers[number, 0], program.layers[number, 1]
                unit = 2 * WIDTH
                if kind == FLIPS:
                    moved = program.items[0, item, X] | program.items[0, item, Z]
                    unit = max(unit, 2 * (moved & -moved))
                begin, end = part(team, total, unit)
                string_layer(program, buffers, kind, item, begin, end, task)
            wait(team)
        sample += samples
