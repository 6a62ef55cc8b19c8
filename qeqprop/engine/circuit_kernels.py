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

from qeqprop.engine.circuit_vectors import (
    SWEEP_BITS,
    TILE_BITS,
    back_one,
    back_three,
    back_two,
    copy_lines,
    hadamard_one,
    hadamard_three,
    hadamard_tiles,
    hadamard_two,
    turn_one,
    turn_three,
    turn_tiles,
    turn_tiles_back,
    turn_two,
)
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
def rescale(plane, start, length, factor):
    """Multiplies a range of places by a number."""
    for k in range(start, start + length):
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
def turn_block(plane, start, size, first, shift, tangent, cosine, mask, sign, careful):
    """Rotates the qubits of one plane of a block from bit ``first`` on, zero or above the tile; bit k is qubit k + shift.

    With tangents the numbers grow. The tile puts that right in advance, for all qubits; where it is not turned, the
    numbers came too small. If that would be too small for floats, since an angle is very near to pi, then with
    ``careful`` each portion of qubits is put right by itself.
    """
    length = 1 << size
    norm = norm_of(cosine, first + shift, size + shift)
    bit = first
    if first == 0:
        bit = TILE_BITS
        t5 = sign * tangent[5] if TILE_BITS > 5 else 0.0
        turn_tiles(
            plane, start, length, norm_of(cosine, 0, TILE_BITS) if careful else norm, sign * tangent[0],
            sign * tangent[1], sign * tangent[2], sign * tangent[3], sign * tangent[4], t5,
        )  # fmt: skip
    while bit < size:
        count = min(SWEEP_BITS, size - bit)
        qubit = bit + shift
        if mask >> qubit & ((1 << count) - 1):
            t0, stride = sign * tangent[qubit], 1 << bit
            t1 = sign * tangent[qubit + 1] if count > 1 else 0.0
            if count == 3:
                turn_three(plane, start, length, stride, t0, t1, sign * tangent[qubit + 2])
            elif count == 2:
                turn_two(plane, start, length, stride, t0, t1, 0.0)
            else:
                turn_one(plane, start, length, stride, t0, 0.0, 0.0)
            if careful:
                rescale(plane, start, length, norm_of(cosine, qubit, qubit + count))
        bit += count


@compiled
def back_block(rows, start, size, first, shift, tangent, cosine, mask, careful, scale, sums, found):
    """Takes the rotations of `turn_block` away from both states and adds their slopes to ``found``.

    Both states are ``scale`` times what they should be; returns what they are times at the end.
    """
    length = 1 << size
    bit = first
    if first == 0:
        bit = TILE_BITS
        tile = norm_of(cosine, 0, TILE_BITS)
        norm = tile if careful else norm_of(cosine, 0, size)
        t5 = -tangent[5] if TILE_BITS > 5 else 0.0
        for part in range(2):
            turn_tiles_back(
                rows[part], rows[2 + part], sums, start, length, norm, -tangent[0], -tangent[1], -tangent[2],
                -tangent[3], -tangent[4], t5,
            )  # fmt: skip
        for qubit in range(TILE_BITS):
            found[qubit] += drain(sums, qubit, 1.0 / scale**2)
        scale *= norm / tile
    while bit < size:
        left = size - bit
        count = 3 if left == 3 else min(2, left)
        qubit = bit + shift
        if mask >> qubit & ((1 << count) - 1):
            t0, stride = -tangent[qubit], 1 << bit
            t1 = -tangent[qubit + 1] if count > 1 else 0.0
            for part in range(2):
                psi, lam = rows[part], rows[2 + part]
                if count == 3:
                    back_three(psi, lam, sums, start, length, stride, t0, t1, -tangent[qubit + 2])
                elif count == 2:
                    back_two(psi, lam, sums, start, length, stride, t0, t1, 0.0)
                else:
                    back_one(psi, lam, sums, start, length, stride, t0, 0.0, 0.0)
            for k in range(count):
                found[qubit + k] += drain(sums, k, 1.0 / scale**2)
            turned = norm_of(cosine, qubit, qubit + count)
            if careful:
                for row in range(4):
                    rescale(rows[row], start, length, turned)
            else:
                scale /= turned
        bit += count
    return scale


@compiled
def hadamard(plane, bits):
    """The Walsh-Hadamard transform: entry z becomes ``sum_k (-1)^popcount(k & z) plane[k]``."""
    length = 1 << bits
    hadamard_tiles(plane, 0, length)
    bit = TILE_BITS
    while bit < bits:
        count = min(SWEEP_BITS, bits - bit)
        if count == 3:
            hadamard_three(plane, 0, length, 1 << bit, 0.0, 0.0, 0.0)
        elif count == 2:
            hadamard_two(plane, 0, length, 1 << bit, 0.0, 0.0, 0.0)
        else:
            hadamard_one(plane, 0, length, 1 << bit, 0.0, 0.0, 0.0)
        bit += count


@compiled
def gather_columns(rows, planes, columns, group, narrow, low, high, factor):
    """Gathers ``2^narrow`` neighbouring columns of the first planes of the state, times a factor."""
    for row in range(planes):
        copy_lines(rows[row], group << narrow, 1 << low, columns[row], 0, 1 << narrow, 1 << high, 1 << narrow, factor)


@compiled
def return_columns(rows, planes, columns, group, narrow, low, high):
    """Puts back what `gather_columns` gathered."""
    for row in range(planes):
        copy_lines(columns[row], 0, 1 << narrow, rows[row], group << narrow, 1 << low, 1 << high, 1 << narrow, 1.0)
