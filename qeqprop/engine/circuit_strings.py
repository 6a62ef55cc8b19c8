"""Single Pauli strings on a part of the state, and sums of them: ``H psi``, expectations, controlled NOTs.

The factor ``i^y`` of a string makes its matrix elements real (y odd counts as imaginary) up to the sign from z, so each
kernel takes the two source arrays in the order that needs one real factor each.
"""

# numba infers the types of compiled code
# pyright: reportMissingParameterType=false, reportUntypedFunctionDecorator=false, reportUnknownParameterType=false
# pyright: reportCallIssue=false, reportArgumentType=false

from __future__ import annotations

import numpy as np

from qeqprop.engine.circuit_kernels import compiled, drain, hadamard
from qeqprop.engine.circuit_products import sign_of
from qeqprop.engine.circuit_program import X, Y, Z
from qeqprop.engine.circuit_string_vectors import overlap, string_add, string_dot, string_turn, sum_tiles
from qeqprop.engine.circuit_vectors import TILE_BITS
from qeqprop.engine.vectors import WIDTH

LANES = WIDTH - 1
TILE = 1 << TILE_BITS


@compiled
def lane_signs(signs, x, z):
    """The lanes' part of ``(-1)^popcount((b xor x) & z)``."""
    for lane in range(WIDTH):
        signs[lane] = sign_of((lane ^ x) & z & LANES)


@compiled
def pivot_of(x):
    """The position of the highest set bit of a positive mask."""
    bit = 0
    while x >> (bit + 1):
        bit += 1
    return bit


@compiled
def turn_string(re, im, x, z, y, c, s, begin, end, signs):
    """``exp(-i t/2 P)`` with c = cos(t/2), s = sin(t/2), on the pairs that [begin, end) holds.

    A string that moves whole vectors takes a numbering of pairs: [begin, end) / 2 counts places without the pivot bit.
    """
    lane_signs(signs, x, z)
    k = s if y in (1, 2) else -s
    a, b, kr = (re, im, k) if y & 1 else (im, re, -k)
    high, flip, far = x & ~LANES, x & LANES, z & ~LANES
    if high == 0:
        for place in range(begin, end, WIDTH):
            sign = sign_of(place & far)
            string_turn(re, im, a, b, signs, place, place, flip, c, kr * sign, k * sign, kr * sign, k * sign)
        return
    pivot = pivot_of(high)
    below = (1 << pivot) - 1
    for number in range(begin // 2, end // 2, WIDTH):
        place = ((number & ~below) << 1) | (number & below)
        partner = place ^ high
        here, there = sign_of(partner & far), sign_of(place & far)
        string_turn(re, im, a, b, signs, place, partner, flip, c, kr * here, k * here, kr * there, k * there)


@compiled
def string_slope(pr, pi, lr, li, x, z, y, begin, end, signs, sums):
    """``Im <lam|P|psi>`` over b in [begin, end)."""
    lane_signs(signs, x, z)
    k = 1.0 if y in (1, 2) else -1.0
    a, b, kr = (pr, pi, k) if y & 1 else (pi, pr, -k)
    high, flip, far = x & ~LANES, x & LANES, z & ~LANES
    for place in range(begin, end, WIDTH):
        sign = sign_of((place ^ high) & far)
        string_dot(lr, li, a, b, signs, sums, place, place ^ high, flip, kr * sign, k * sign)
    return drain(sums, 0, 1.0)


@compiled
def flip_where(re, im, x, z, begin, end):
    """``b -> b xor x`` where ``popcount(b & z)`` is odd; places are numbered as in `turn_string`."""
    pivot = pivot_of(x)
    below = (1 << pivot) - 1
    run = 1
    while not (x | z) & run:
        run <<= 1
    for number in range(begin // 2, end // 2, run):
        place = ((number & ~below) << 1) | (number & below)
        if sign_of(place & z) < 0:
            partner = place ^ x
            for k in range(run):
                re[place + k], re[partner + k] = re[partner + k], re[place + k]
                im[place + k], im[partner + k] = im[partner + k], im[place + k]


@compiled
def diagonal_block(strings, coefficients, low, block, q):
    """The diagonal of the Z strings over one block, by one transform of their coefficients."""
    within = (1 << low) - 1
    q[:] = 0.0
    found = False
    for s in range(len(coefficients)):
        if strings[s, X] == 0 and coefficients[s] != 0.0:
            q[strings[s, Z] & within] += coefficients[s] * sign_of(strings[s, Z] >> low & block)
            found = True
    if found:
        hadamard(q, low)


@compiled
def is_far(x, z):
    """Whether a string takes whole tiles to others, with one sign on each."""
    return x != 0 and (x | z) & (TILE - 1) == 0


@compiled
def is_field(x, z, y):
    """Whether a string is a single Y within tiles."""
    return x == z and y & 1 and x & (x - 1) == 0 and x < TILE


@compiled
def sort_strings(strings, coefficients, x, z, factors, fields):
    """Lists the far strings, first those with an even number of Y, and adds up the fields.

    Returns how many have an even number, how many there are, and whether other strings are left.
    """
    fields[:] = 0.0
    count = evens = 0
    left = False
    for odd in range(2):
        for s in range(len(coefficients)):
            y, signed = strings[s, Y], coefficients[s] if strings[s, Y] < 2 else -coefficients[s]
            if signed == 0.0 or strings[s, X] == 0 or y & 1 != odd:
                continue
            if is_far(strings[s, X], strings[s, Z]):
                x[count], z[count], factors[count] = strings[s, X], strings[s, Z], signed
                count += 1
            elif is_field(strings[s, X], strings[s, Z], y):
                fields[pivot_of(strings[s, X])] += signed
            else:
                left = True
        if not odd:
            evens = count
    return evens, count, left


@compiled
def apply_blocks(strings, coefficients, low, begin, end, pr, pi, lr, li, q, fields, signs, sums):
    """``lam = H psi`` over some blocks; returns their part of ``<psi|H|psi>``."""
    n_strings, length = len(coefficients), 1 << low
    x, z, factors = np.empty(n_strings, np.int64), np.empty(n_strings, np.int64), np.empty(n_strings)
    evens, count, left = sort_strings(strings, coefficients, x, z, factors, fields)
    h0, h1, h2, h3, h4, h5 = fields[0], fields[1], fields[2], fields[3], fields[4], fields[5]
    energy = 0.0
    for block in range(begin, end):
        start = block << low
        diagonal_block(strings, coefficients, low, block, q)
        for part in range(2):  # i times psi for an odd number of Y: real and imaginary parts change places
            target, own, other, weight = (li, pi, pr, 1.0) if part else (lr, pr, pi, -1.0)
            sum_tiles(
                target, own, other, start, length, q, x, z, factors, evens, count, weight, sums, h0, h1, h2, h3, h4, h5
            )
        found = drain(sums, 0, 1.0)
        if left:
            add_others(strings, coefficients, start, length, pr, pi, lr, li, signs)
            overlap(pr, pi, lr, li, start, length, sums)
            found = drain(sums, 0, 1.0)
        energy += found
    return energy


@compiled
def add_others(strings, coefficients, start, length, pr, pi, lr, li, signs):
    """Adds the strings that `sort_strings` left to ``lam``, one by one."""
    for s in range(len(coefficients)):
        x, z, y, coefficient = strings[s, X], strings[s, Z], strings[s, Y], coefficients[s]
        if x == 0 or coefficient == 0.0 or is_far(x, z) or is_field(x, z, y):
            continue
        lane_signs(signs, x, z)
        k = coefficient if y < 2 else -coefficient
        a, b, kr = (pi, pr, -k) if y & 1 else (pr, pi, k)
        high, flip, far = x & ~LANES, x & LANES, z & ~LANES
        for place in range(start, start + length, WIDTH):
            sign = sign_of((place ^ high) & far)
            string_add(lr, li, a, b, signs, place, place ^ high, flip, kr * sign, k * sign)


@compiled
def expect_block(strings, low, block, pr, pi, q, signs, sums, partial):
    """Adds each string's part of ``<psi|P|psi>`` over one block to partial (n_strings or more,)."""
    start, length, within = block << low, 1 << low, (1 << low) - 1
    for k in range(length):
        q[k] = pr[start + k] ** 2 + pi[start + k] ** 2
    hadamard(q, low)
    for s in range(len(strings)):
        x, z, y = strings[s, X], strings[s, Z], strings[s, Y]
        if x == 0:
            partial[s] += q[z & within] * sign_of(z >> low & block)
            continue
        lane_signs(signs, x, z)
        k = 1.0 if y < 2 else -1.0
        a, b, kr = (pi, pr, -k) if y & 1 else (pr, pi, k)
        high, flip, far = x & ~LANES, x & LANES, z & ~LANES
        for place in range(start, start + length, WIDTH):
            sign = sign_of((place ^ high) & far)
            string_dot(pr, pi, a, b, signs, sums, place, place ^ high, flip, kr * sign, k * sign)
        partial[s] += drain(sums, 0, 1.0)
