"""Rotations of the qubits of one block: forwards, and backwards with their slopes.

A state is two real arrays, *planes*, and so is the costate ``lam = H psi``. Backward passes take rotations away from
both and on the way collect ``dE/dtheta = Im <lam|Y|psi>`` for each rotation ``exp(-i theta/2 Y)``. What is called a
block here lies one after the other, be it a part of the state or columns of it that were gathered.
"""

# numba infers the types of compiled code
# pyright: reportMissingParameterType=false, reportUntypedFunctionDecorator=false, reportUnknownParameterType=false
# pyright: reportCallIssue=false, reportArgumentType=false

from __future__ import annotations

from typing import Any

from numba import njit

from qeqprop.engine.circuit_butterflies import (
    back_one,
    back_three,
    back_two,
    hadamard_one,
    hadamard_three,
    hadamard_tiles,
    hadamard_two,
    slopes_one,
    slopes_three,
    slopes_tiles,
    slopes_two,
    turn_one,
    turn_three,
    turn_tiles,
    turn_tiles_back,
    turn_two,
)
from qeqprop.engine.circuit_vectors import SWEEP_BITS, TILE_BITS, copy_lines
from qeqprop.engine.vectors import WIDTH

compiled: Any = njit(
    cache=True, fastmath=True, error_model="numpy", nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True
)

SMALL = 1e-60
LINE_BITS = 6
PAIR = 16
PAIRS, FACTORS, SUMS, FOUND, SIGNS = 4, 6, 8, 9, 10
"""Rows of the small buffer (11, 256): factors of pairs of sites, of single sites, sums over lanes, slopes, signs; the
first four hold factors of lines."""


@compiled
def norm_of(cosine, first, last):
    """The product of some qubits' cosines."""
    result = 1.0
    for qubit in range(first, last):
        result *= cosine[qubit]
    return result


@compiled
def rescale(plane, factor):
    """Multiplies a plane by a number."""
    for k in range(len(plane)):
        plane[k] *= factor


@compiled
def drain(sums, row, weight):
    """The sum over the lanes of one vector of sums, which is then zero."""
    total = 0.0
    for lane in range(row * WIDTH, (row + 1) * WIDTH):
        total += sums[lane]
        sums[lane] = 0.0
    return total * weight


@compiled
def turn_block(plane, size, first, shift, tangent, cosine, mask, sign, careful):
    """Rotates the qubits of one plane of a block from bit ``first`` on, zero or above the tile; bit k is ``k + shift``.

    With tangents the numbers grow. The tile puts that right in advance, for all qubits; where it is not turned, the
    numbers came too small. If that would be too small for floats, since an angle is very near to pi, then with
    ``careful`` each portion of qubits is put right by itself.
    """
    length, bit = 1 << size, first
    if first == 0:
        norm = norm_of(cosine, 0, TILE_BITS if careful else size)
        t0, t1, t2, t3 = sign * tangent[0], sign * tangent[1], sign * tangent[2], sign * tangent[3]
        t4, t5 = sign * tangent[4], sign * tangent[5] if TILE_BITS > 5 else 0.0
        turn_tiles(plane, length, norm, t0, t1, t2, t3, t4, t5)
        bit = TILE_BITS
    while bit < size:
        count = min(SWEEP_BITS, size - bit)
        qubit = bit + shift
        if mask >> qubit & ((1 << count) - 1):
            t0, stride = sign * tangent[qubit], 1 << bit
            t1 = sign * tangent[qubit + 1] if count > 1 else 0.0
            if count == 3:
                turn_three(plane, length, stride, t0, t1, sign * tangent[qubit + 2])
            elif count == 2:
                turn_two(plane, length, stride, t0, t1, 0.0)
            else:
                turn_one(plane, length, stride, t0, 0.0, 0.0)
            if careful:
                rescale(plane, norm_of(cosine, qubit, qubit + count))
        bit += count


@compiled
def back_block(pr, pi, lr, li, size, first, shift, tangent, cosine, mask, careful, scale, sums, found):
    """Takes the rotations of `turn_block` away from both states and adds their slopes to ``found``.

    The product of both states is ``scale`` times what it should be; returns what it is times at the end.
    """
    length, bit = 1 << size, first
    if first == 0:
        tile = norm_of(cosine, 0, TILE_BITS)
        norm = tile if careful else norm_of(cosine, 0, size)
        t0, t1, t2, t3, t4 = -tangent[0], -tangent[1], -tangent[2], -tangent[3], -tangent[4]
        t5 = -tangent[5] if TILE_BITS > 5 else 0.0
        turn_tiles_back(pr, lr, sums, length, norm, t0, t1, t2, t3, t4, t5)
        turn_tiles_back(pi, li, sums, length, norm, t0, t1, t2, t3, t4, t5)
        for qubit in range(TILE_BITS):
            found[qubit] += drain(sums, qubit, 1.0 / scale)
        bit = TILE_BITS
        scale *= (norm / tile) ** 2
    while bit < size:
        left = size - bit
        count = 3 if left == 3 else min(2, left)
        qubit = bit + shift
        if mask >> qubit & ((1 << count) - 1):
            t0, stride = -tangent[qubit], 1 << bit
            t1 = -tangent[qubit + 1] if count > 1 else 0.0
            for part in range(2):
                psi, lam = (pi, li) if part else (pr, lr)
                if count == 3:
                    back_three(psi, lam, sums, length, stride, t0, t1, -tangent[qubit + 2])
                elif count == 2:
                    back_two(psi, lam, sums, length, stride, t0, t1, 0.0)
                else:
                    back_one(psi, lam, sums, length, stride, t0, 0.0, 0.0)
            for k in range(count):
                found[qubit + k] += drain(sums, k, 1.0 / scale)
            turned = norm_of(cosine, qubit, qubit + count)
            if careful:
                for plane in (pr, pi, lr, li):
                    rescale(plane, turned)
            else:
                scale /= turned**2
        bit += count
    return scale


@compiled
def block_slopes(pr, pi, lr, li, size, first, shift, mask, scale, sums, found):
    """Adds the slopes of a block's qubits to ``found``, as `back_block` does, but leaves the states alone."""
    length, bit = 1 << size, first
    if first == 0:
        slopes_tiles(pr, lr, sums, length, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
        slopes_tiles(pi, li, sums, length, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
        for qubit in range(TILE_BITS):
            found[qubit] += drain(sums, qubit, 1.0 / scale)
        bit = TILE_BITS
    while bit < size:
        count = min(SWEEP_BITS, size - bit)
        if mask >> (bit + shift) & ((1 << count) - 1):
            for part in range(2):
                psi, lam = (pi, li) if part else (pr, lr)
                if count == 3:
                    slopes_three(psi, lam, sums, length, 1 << bit, 0.0, 0.0, 0.0)
                elif count == 2:
                    slopes_two(psi, lam, sums, length, 1 << bit, 0.0, 0.0, 0.0)
                else:
                    slopes_one(psi, lam, sums, length, 1 << bit, 0.0, 0.0, 0.0)
            for k in range(count):
                found[bit + shift + k] += drain(sums, k, 1.0 / scale)
        bit += count


@compiled
def hadamard(plane, bits):
    """The Walsh-Hadamard transform: entry z becomes ``sum_k (-1)^popcount(k & z) plane[k]``."""
    length = 1 << bits
    hadamard_tiles(plane, length)
    bit = TILE_BITS
    while bit < bits:
        count = min(SWEEP_BITS, bits - bit)
        if count == 3:
            hadamard_three(plane, length, 1 << bit, 0.0, 0.0, 0.0)
        elif count == 2:
            hadamard_two(plane, length, 1 << bit, 0.0, 0.0, 0.0)
        else:
            hadamard_one(plane, length, 1 << bit, 0.0, 0.0, 0.0)
        bit += count


@compiled
def gather_columns(rows, begin, end, columns, group, narrow, low, high, factor):
    """Gathers ``2^narrow`` neighbouring columns of some planes of the state, times a factor."""
    for row in range(begin, end):
        copy_lines(rows[row], group << narrow, 1 << low, columns[row], 0, 1 << narrow, 1 << high, 1 << narrow, factor)


@compiled
def return_columns(rows, begin, end, columns, group, narrow, low, high):
    """Puts back what `gather_columns` gathered."""
    for row in range(begin, end):
        copy_lines(columns[row], 0, 1 << narrow, rows[row], group << narrow, 1 << low, 1 << high, 1 << narrow, 1.0)
