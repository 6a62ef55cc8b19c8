"""The passes of the circuit engine over blocks of a state; real and imaginary parts are separate arrays.

Every function works on a part of the state, so that one thread or several can share it. Forward passes apply layers;
backward passes take them away again from the state psi and from the costate ``lam = H psi``, and on the way collect
``dE/dtheta = Im <lam|P|psi>`` for each rotation ``exp(-i theta/2 P)``.
"""

# numba infers the types of compiled code
# pyright: reportMissingParameterType=false, reportUntypedFunctionDecorator=false, reportUnknownParameterType=false
# pyright: reportCallIssue=false, reportArgumentType=false

from __future__ import annotations

from typing import Any

from numba import njit

from qeqprop.engine.circuit_program import TURN_X
from qeqprop.engine.circuit_vectors import (
    TILE_BITS,
    quad_back_x,
    quad_back_y,
    quad_move_back_x,
    quad_move_back_y,
    quad_move_x,
    quad_move_y,
    quad_x,
    quad_y,
    tile_back_x,
    tile_back_y,
    tile_x,
    tile_y,
)
from qeqprop.engine.vectors import WIDTH

compiled: Any = njit(
    cache=True, fastmath=True, error_model="numpy", nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True
)

TILE = WIDTH * 4
COLUMN_BITS = 5
SMALL = 1e-60
LINE_BITS = 6
PAIR = 16
PAIRS, FACTORS, SUMS, FOUND, SIGNS = 4, 6, 8, 9, 10
"""Rows of the small buffer (11, 256): factors of pairs of sites, of single sites, sums over lanes, slopes, signs; the
first four hold factors of lines."""


# --- rotations about X and Y ------------------------------------------------------------------------------------


@compiled
def norm_of(cosine, first, last):
    """The product of some qubits' cosines."""
    result = 1.0
    for qubit in range(first, last):
        result *= cosine[qubit]
    return result


@compiled
def rescale(re, im, start, length, factor):
    """Multiplies a range of places by a number."""
    for k in range(start, start + length):
        re[k] *= factor
        im[k] *= factor


@compiled
def spread(number, stride):
    """The place that numbers a quad: two zero bits inserted at the bit of ``stride``."""
    return ((number & -stride) << 2) | (number & (stride - 1))


@compiled
def turn_quads(kind, re, im, start, length, bit, tangent, cosine, first, last, mask, sign, careful):
    """Rotates the qubits first to last, which are the bits from ``bit`` on, two at a time.

    A single qubit left over is paired with the bit below, which is turned by nothing.
    """
    qubit = first
    while qubit < last:
        single = qubit + 1 == last
        position = bit + qubit - first - (1 if single else 0)
        t0 = 0.0 if single else sign * tangent[qubit]
        t1 = sign * (tangent[qubit] if single else tangent[qubit + 1])
        if mask >> qubit & (1 if single else 3):
            stride = 1 << position
            if kind == TURN_X:
                for number in range(0, length >> 2, WIDTH):
                    quad_x(re, im, start + spread(number, stride), stride, t0, t1)
            else:
                for number in range(0, length >> 2, WIDTH):
                    quad_y(re, im, start + spread(number, stride), stride, t0, t1)
            if careful:
                rescale(re, im, start, length, norm_of(cosine, qubit, qubit + 1 if single else qubit + 2))
        qubit += 2


@compiled
def turn_block(kind, re, im, start, low, tangent, cosine, mask, sign):
    """Rotates the qubits of a block."""
    norm = norm_of(cosine, 0, low)
    careful = abs(norm) < SMALL  # then the tangents are so large that the norm goes in by portions
    if careful:
        norm = norm_of(cosine, 0, TILE_BITS)
    t0, t1, t2, t3 = sign * tangent[0], sign * tangent[1], sign * tangent[2], sign * tangent[3]
    t4 = sign * tangent[4] if TILE_BITS > 4 else 0.0
    if kind == TURN_X:
        for place in range(start, start + (1 << low), TILE):
            tile_x(re, im, place, norm, t0, t1, t2, t3, t4)
    else:
        for place in range(start, start + (1 << low), TILE):
            tile_y(re, im, place, norm, t0, t1, t2, t3, t4)
    turn_quads(kind, re, im, start, 1 << low, TILE_BITS, tangent, cosine, TILE_BITS, low, mask, sign, careful)


@compiled
def drain(sums, row, weight):
    """The sum over the lanes of one vector of sums, which is then zero."""
    total = 0.0
    for lane in range(row * WIDTH, (row + 1) * WIDTH):
        total += sums[lane]
        sums[lane] = 0.0
    return total * weight


@compiled
def back_quads(
    kind, pr, pi, lr, li, start, length, bit, tangent, cosine, first, last, mask, norm, careful, sums, found
):
    """Takes rotations away from both states and adds the slopes of qubits first to last to ``found``.

    Both states are ``norm`` times too large when it begins.
    """
    qubit = first
    while qubit < last:
        single = qubit + 1 == last
        position = bit + qubit - first - (1 if single else 0)
        t0 = 0.0 if single else -tangent[qubit]
        t1 = -tangent[qubit] if single else -tangent[qubit + 1]
        if mask >> qubit & (1 if single else 3):
            stride = 1 << position
            if kind == TURN_X:
                for number in range(0, length >> 2, WIDTH):
                    quad_back_x(pr, pi, lr, li, sums, start + spread(number, stride), stride, t0, t1)
            else:
                for number in range(0, length >> 2, WIDTH):
                    quad_back_y(pr, pi, lr, li, sums, start + spread(number, stride), stride, t0, t1)
            lower, upper = drain(sums, 0, 1.0 / norm**2), drain(sums, 1, 1.0 / norm**2)
            turned = norm_of(cosine, qubit, qubit + 1 if single else qubit + 2)
            if single:
                found[qubit] += upper
            else:
                found[qubit] += lower
                found[qubit + 1] += upper
            if careful:
                rescale(pr, pi, start, length, turned)
                rescale(lr, li, start, length, turned)
            else:
                norm /= turned
        qubit += 2


@compiled
def back_block(kind, pr, pi, lr, li, start, low, tangent, cosine, mask, sums, found):
    """Takes the rotations of a block's qubits away from both states; adds their slopes to ``found``."""
    norm = norm_of(cosine, 0, low)
    careful = abs(norm) < SMALL
    tile_norm = norm_of(cosine, 0, TILE_BITS)
    if careful:
        norm = tile_norm
    t0, t1, t2, t3 = -tangent[0], -tangent[1], -tangent[2], -tangent[3]
    t4 = -tangent[4] if TILE_BITS > 4 else 0.0
    if kind == TURN_X:
        for place in range(start, start + (1 << low), TILE):
            tile_back_x(pr, pi, lr, li, sums, place, norm, t0, t1, t2, t3, t4)
    else:
        for place in range(start, start + (1 << low), TILE):
            tile_back_y(pr, pi, lr, li, sums, place, norm, t0, t1, t2, t3, t4)
    for qubit in range(TILE_BITS):
        found[qubit] += drain(sums, qubit, 1.0)
    length = 1 << low
    back_quads(
        kind, pr, pi, lr, li, start, length, TILE_BITS, tangent, cosine, TILE_BITS, low, mask, norm / tile_norm,
        careful, sums, found,
    )  # fmt: skip


@compiled
def turn_columns(kind, rows, first_row, buffer, column, low, bits, tangent, cosine, sign, load, save):
    """Rotates the qubits from ``low`` on, an even number, on some columns of one state.

    Row r of the columns begins at ``(r << low) + column`` of the state, and at ``r << COLUMN_BITS`` of the buffer. With
    ``load`` they come from the state, with ``save`` they go there; else from the buffer and to it.
    """
    norm = norm_of(cosine, low, low + bits)
    careful = abs(norm) < SMALL
    sr, si, br, bi = rows[first_row], rows[first_row + 1], buffer[first_row], buffer[first_row + 1]
    for bit in range(0, bits, 2):
        scale = norm_of(cosine, low + bit, low + bit + 2) if careful else (norm if bit == 0 else 1.0)
        come, go = load and bit == 0, save and bit + 2 == bits
        fr, fi = (sr, si) if come else (br, bi)
        tr, ti = (sr, si) if go else (br, bi)
        t0, t1 = sign * tangent[low + bit], sign * tangent[low + bit + 1]
        wide, narrow = 1 << (low + bit), 1 << (COLUMN_BITS + bit)
        source_stride, target_stride = wide if come else narrow, wide if go else narrow
        for group in range(1 << (bits - 2)):
            row = ((group >> bit) << (bit + 2)) | (group & ((1 << bit) - 1))
            far, near = (row << low) + column, row << COLUMN_BITS
            for k in range(0, 1 << COLUMN_BITS, WIDTH):
                source, target = (far if come else near) + k, (far if go else near) + k
                if kind == TURN_X:
                    quad_move_x(fr, fi, source, source_stride, tr, ti, target, target_stride, t0, t1, scale)
                else:
                    quad_move_y(fr, fi, source, source_stride, tr, ti, target, target_stride, t0, t1, scale)


@compiled
def back_columns(kind, rows, buffer, column, low, bits, tangent, cosine, load, save, sums, found):
    """Takes the rotations of `turn_columns` away from both states and adds their slopes to ``found``."""
    norm = norm_of(cosine, low, low + bits)
    careful = abs(norm) < SMALL
    size = 1.0  # how much too large both states are
    for bit in range(0, bits, 2):
        turned = norm_of(cosine, low + bit, low + bit + 2)
        scale = turned if careful else (norm if bit == 0 else 1.0)
        come, go = load and bit == 0, save and bit + 2 == bits
        sources, targets = rows if come else buffer, rows if go else buffer
        t0, t1 = -tangent[low + bit], -tangent[low + bit + 1]
        wide, narrow = 1 << (low + bit), 1 << (COLUMN_BITS + bit)
        source_stride, target_stride = wide if come else narrow, wide if go else narrow
        for group in range(1 << (bits - 2)):
            row = ((group >> bit) << (bit + 2)) | (group & ((1 << bit) - 1))
            far, near = (row << low) + column, row << COLUMN_BITS
            for k in range(0, 1 << COLUMN_BITS, WIDTH):
                source, target = (far if come else near) + k, (far if go else near) + k
                if kind == TURN_X:
                    quad_move_back_x(
                        sources, source, source_stride, targets, target, target_stride, sums, t0, t1, scale
                    )
                else:
                    quad_move_back_y(
                        sources, source, source_stride, targets, target, target_stride, sums, t0, t1, scale
                    )
        size *= scale
        found[low + bit] += drain(sums, 0, 1.0 / size**2)
        found[low + bit + 1] += drain(sums, 1, 1.0 / size**2)
        size /= turned
