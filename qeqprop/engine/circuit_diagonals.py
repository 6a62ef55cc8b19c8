"""Diagonal layers on blocks of a state: tables of phases, and the slopes of all Z strings by one transform."""

# numba infers the types of compiled code
# pyright: reportMissingParameterType=false, reportUntypedFunctionDecorator=false, reportUnknownParameterType=false
# pyright: reportCallIssue=false, reportArgumentType=false

from __future__ import annotations

from qeqprop.engine.circuit_kernels import FACTORS, LINE_BITS, PAIR, PAIRS, compiled, hadamard
from qeqprop.engine.circuit_products import (
    double_up,
    multiply_line,
    phase,
    phase_line,
    shade,
    sign_of,
    slopes,
    undo_line,
    widen,
)
from qeqprop.engine.circuit_program import OTHER, TOP, Z
from qeqprop.engine.vectors import WIDTH


@compiled
def multiply_string(re, im, length, mask, c, s):
    """Multiplies entry k by ``c + i s (-1)^popcount(k & mask)``."""
    for k in range(length):
        signed = s * sign_of(k & mask)
        r, i = re[k], im[k]
        re[k] = r * c - i * signed
        im[k] = r * signed + i * c


@compiled
def widen_table(re, im, length, c, s):
    """Appends to a table its product with ``c - i s``, and multiplies it by ``c + i s``."""
    if length >= WIDTH:
        for k in range(0, length, WIDTH):
            widen(re, im, k, length, c, s)
        return
    for k in range(length):
        r, i = re[k], im[k]
        re[k], im[k] = r * c - i * s, r * s + i * c
        re[k + length], im[k + length] = r * c + i * s, i * c - r * s


@compiled
def phase_table(items, low, first, last, halves, small, er, ei, lr, li):
    """``E[k] = exp(-i/2 sum theta (-1)^popcount(k & z))`` over a block for the strings that stay within it.

    Site after site: with the strings whose highest site is m, which are a table L over the sites below,
    ``E[k + 2^m] = E[k] conj(L[k])`` and ``E[k] = E[k] L[k]``. L is built likewise from its pairs.
    """
    for m in range(low):
        for j in range(m + 1):
            small[PAIRS, PAIR * m + j], small[PAIRS + 1, PAIR * m + j] = 1.0, 0.0
    er[0], ei[0] = 1.0, 0.0
    heavy = False
    for item in range(first, last):
        if items[item, Z] >> low:
            continue
        m, j, c, s = items[item, TOP], items[item, OTHER], halves[item, 0], -halves[item, 1]
        if m < 0:
            er[0], ei[0] = er[0] * c - ei[0] * s, er[0] * s + ei[0] * c
        elif j < 0:
            heavy = True
        else:
            r, i = small[PAIRS, PAIR * m + j], small[PAIRS + 1, PAIR * m + j]
            small[PAIRS, PAIR * m + j], small[PAIRS + 1, PAIR * m + j] = r * c - i * s, r * s + i * c
    for m in range(low):
        lr[0], li[0] = small[PAIRS, PAIR * m + m], small[PAIRS + 1, PAIR * m + m]
        for j in range(m):
            length = 1 << j
            if small[PAIRS + 1, PAIR * m + j] == 0.0 and small[PAIRS, PAIR * m + j] == 1.0:
                for k in range(length):
                    lr[k + length], li[k + length] = lr[k], li[k]
            else:
                widen_table(lr, li, length, small[PAIRS, PAIR * m + j], small[PAIRS + 1, PAIR * m + j])
        length = 1 << m
        if heavy:
            for item in range(first, last):
                if items[item, OTHER] < 0 and items[item, TOP] == m and not items[item, Z] >> low:
                    multiply_string(lr, li, length, items[item, Z] ^ length, halves[item, 0], -halves[item, 1])
        if length >= WIDTH:
            for k in range(0, length, WIDTH):
                double_up(er, ei, k, length, lr, li)
        else:
            for k in range(length):
                r, i, c, s = er[k], ei[k], lr[k], li[k]
                er[k], ei[k] = r * c - i * s, r * s + i * c
                er[k + length], ei[k + length] = r * c + i * s, i * c - r * s


@compiled
def crossing_lines(items, low, first, last, halves, block, small):
    """The factors of one block from the strings that reach beyond it and have at most one Z in it.

    They are a product over the block's sites, tabulated in two halves: rows 0 and 1 for the sites below, rows 2 and 3
    for those above. Returns whether there are strings with more than one Z in the block.
    """
    for j in range(low):
        small[FACTORS, j], small[FACTORS + 1, j] = 1.0, 0.0
    wide = False
    small[2, 0], small[3, 0] = 1.0, 0.0
    for item in range(first, last):
        high = items[item, Z] >> low
        if not high:
            continue
        c, s = halves[item, 0], -halves[item, 1] * sign_of(high & block)
        j = items[item, TOP]
        if j < 0:
            r, i = small[2, 0], small[3, 0]
            small[2, 0], small[3, 0] = r * c - i * s, r * s + i * c
        elif j == items[item, OTHER]:
            r, i = small[FACTORS, j], small[FACTORS + 1, j]
            small[FACTORS, j], small[FACTORS + 1, j] = r * c - i * s, r * s + i * c
        else:
            wide = True
    half = min(low, LINE_BITS)
    small[0, 0], small[1, 0] = 1.0, 0.0
    for j in range(half):
        widen_table(small[0], small[1], 1 << j, small[FACTORS, j], small[FACTORS + 1, j])
    for j in range(half, low):
        widen_table(small[2], small[3], 1 << (j - half), small[FACTORS, j], small[FACTORS + 1, j])
    return wide


@compiled
def row_factors(small, row, length):
    """The factors of one row of a block from the tables of `crossing_lines`; often they are those of the row before."""
    if row == 0 or small[2, row] != small[2, row - 1] or small[3, row] != small[3, row - 1]:
        multiply_line(small[FACTORS], small[FACTORS + 1], small[0], small[1], length, small[2, row], small[3, row])


@compiled
def crossing_table(items, low, first, last, halves, block, small, er, ei, tr, ti):
    """All phases T of one block: the table E within it times the strings that reach beyond it."""
    half = min(low, LINE_BITS)
    for row in range(1 << (low - half)):
        row_factors(small, row, 1 << half)
        shade(tr, ti, er, ei, row << half, small[FACTORS], small[FACTORS + 1], 1 << half)
    for item in range(first, last):
        high = items[item, Z] >> low
        if high and items[item, TOP] >= 0 and items[item, TOP] != items[item, OTHER]:
            s = -halves[item, 1] * sign_of(high & block)
            multiply_string(tr, ti, 1 << low, items[item, Z] & ((1 << low) - 1), halves[item, 0], s)


@compiled
def line_phases(low, re, im, small, er, ei):
    """Multiplies a block by E and the factors of `crossing_lines`."""
    half = min(low, LINE_BITS)
    for row in range(1 << (low - half)):
        row_factors(small, row, 1 << half)
        phase_line(re, im, row << half, er, ei, row << half, small[FACTORS], small[FACTORS + 1], 1 << half)


@compiled
def undo_line_phases(low, pr, pi, lr, li, small, er, ei, q):
    """``q = Im(conj(lam) psi)`` over a block, and takes E and the factors of `crossing_lines` away from both states."""
    half = min(low, LINE_BITS)
    for row in range(1 << (low - half)):
        row_factors(small, row, 1 << half)
        first = row << half
        undo_line(pr, pi, lr, li, first, q, er, ei, first, small[FACTORS], small[FACTORS + 1], 1 << half)


@compiled
def multiply_phases(re, im, length, tr, ti, sign):
    """Multiplies a block by the phases T, or for sign -1 by their conjugates."""
    for k in range(0, length, WIDTH):
        phase(re, im, k, tr, ti, k, sign)


@compiled
def all_slopes(pr, pi, lr, li, low, q):
    """``q = Im(conj(lam) psi)`` over a block."""
    for k in range(0, 1 << low, WIDTH):
        slopes(q, k, pr, pi, lr, li, k)


@compiled
def give_slopes(items, low, first, last, block, q, weight, partial):
    """Adds ``Im <lam|Z string|psi>`` over one block for all strings of a layer, by one transform."""
    hadamard(q, low)
    within = (1 << low) - 1
    for item in range(first, last):
        partial[item] += weight * q[items[item, Z] & within] * sign_of(items[item, Z] >> low & block)
