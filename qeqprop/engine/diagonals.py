"""Strings of Z: the diagonal of their sum by doubling, and all their expectations by Walsh's transform.

With site m added, a diagonal of Z and ZZ terms doubles as ``D -> (D + L, D - L)``, where ``L = h_m + sum_j J_jm Z_j``
doubles in the same way: about four additions an amplitude for any number of Z and ZZ, however dense the graph. Longer
strings take one pass each. Expectations come all at once.
"""

# numba infers the types of compiled functions
# pyright: reportMissingParameterType=false, reportUntypedFunctionDecorator=false, reportArgumentType=false
# pyright: reportCallIssue=false

from __future__ import annotations

import numba as nb

from qeqprop.engine.addresses import at
from qeqprop.engine.apply import INLINED, OPTIONS, TILE_SITES, parity_sign
from qeqprop.engine.elements import hadamard_within_tiles
from qeqprop.engine.lanes import hadamard_of_neighbours
from qeqprop.engine.streams import axpy, butterfly, fold, product, split

WALSH_SITES = 8
"""Above, summing out a site costs less than the transform: only pairs are wanted, and no longer strings."""


@nb.njit(**INLINED)
def _coupling(layout, coefficients, m, j):
    index = layout.pair_index[m, j]
    return coefficients[index, 0] if index >= 0 else 0.0


@nb.njit(**OPTIONS)
def build_diagonal(layout, coefficients, diagonal, scratch, tag):
    """The diagonal (dim * lanes,) of the sum; coefficients (n_strings, lanes), scratch (dim * lanes / 2,)."""
    lanes = len(tag)
    sites = layout.sites - layout.partner
    for lane in range(lanes):
        diagonal[lane] = coefficients[layout.constant_index[0], lane] if layout.constant_index.size else 0.0
    for m in range(sites):
        field, reach = layout.field_index[m], layout.reach[m]  # sites below `reach` appear in L; above, it repeats
        for lane in range(lanes):
            scratch[lane] = coefficients[field, lane] if field >= 0 else 0.0
        begun = 0
        if lanes == 1 and reach and sites >= 3:  # at once: loops over one or two amplitudes cost more than their work
            begun = 3
            h = scratch[0]
            r, s = _coupling(layout, coefficients, m, 0), _coupling(layout, coefficients, m, 1)
            t = _coupling(layout, coefficients, m, 2)
            up, down = h + t, h - t
            scratch[0], scratch[1], scratch[2], scratch[3] = up + s + r, up + s - r, up - s + r, up - s - r
            scratch[4], scratch[5], scratch[6], scratch[7] = down + s + r, down + s - r, down - s + r, down - s - r
        for j in range(begun, reach):
            size = lanes << j
            index = layout.pair_index[m, j]
            if lanes == 1:
                weight = _coupling(layout, coefficients, m, j)
                for b in range(size):
                    value = scratch[b]
                    scratch[b] = value + weight
                    scratch[size + b] = value - weight
            else:
                for row in range(1 << j):
                    for lane in range(lanes):
                        weight = coefficients[index, lane] if index >= 0 else 0.0
                        value = scratch[row * lanes + lane]
                        scratch[row * lanes + lane] = value + weight
                        scratch[size + row * lanes + lane] = value - weight
        size = lanes << m
        period = lanes << reach
        if reach == 0 and field < 0:
            diagonal[size : 2 * size] = diagonal[:size]
        else:
            for begin in range(0, size, period):
                for b in range(period):
                    value = diagonal[begin + b]
                    diagonal[begin + b] = value + scratch[b]
                    diagonal[size + begin + b] = value - scratch[b]
    dim = lanes << sites
    for k in range(layout.rest_z.size):
        for row in range(1 << sites):
            sign = parity_sign(row, layout.rest_z[k])
            for lane in range(lanes):
                diagonal[row * lanes + lane] += sign * coefficients[layout.rest_index[k], lane]
    if layout.partner:
        diagonal[dim : 2 * dim] = diagonal[:dim]


@nb.njit(**INLINED)
def _walsh(a, sites, tag):
    """All sums ``sum_b (-1)^popcount(b & z) a[b]`` at once, at the places z: Walsh's transform, in place."""
    lanes = len(tag)
    size, first = lanes << sites, TILE_SITES if lanes == 1 else 1
    if lanes == 1:
        hadamard_within_tiles(a, 0, size)
    else:
        hadamard_of_neighbours(a, 0, size)
    for site in range(first, sites):
        stride = lanes << site
        for begin in range(0, size, 2 * stride):
            butterfly((at(a, begin), at(a, begin + stride)), a, a, 0, stride, tag)


@nb.njit(**OPTIONS)
def diagonal_elements(layout, u, v, elements, total, difference, sums, tag):
    """Writes ``sum_b u[b] v[b] (-1)^popcount(b & z)`` of all strings of Z to elements (n_strings, lanes).

    Sites above WALSH_SITES are summed out one by one, with their sign and without; Walsh's transform of what is left
    holds all strings of the lower ones. ``total`` (dim * lanes,) and ``difference`` (dim * lanes / 2,) are scratch,
    sums (2 * lanes,); u and v are addresses.
    """
    lanes = len(tag)
    sites = layout.sites - layout.partner
    dim = lanes << sites
    low = min(sites, WALSH_SITES)
    product((at(total, 0), u, v), sums, sums, 0, dim << layout.partner, tag)
    if layout.partner:
        sums[:] = 1.0
        axpy((at(total, 0), at(total, dim)), sums, sums, 0, dim, tag)
        total[dim : 2 * dim] = 0.0  # a tile can hold both halves
    for k in range(layout.rest_z.size):
        place, z = layout.rest_index[k], layout.rest_z[k]
        if z >> low:
            for lane in range(lanes):
                elements[place, lane] = 0.0
            for row in range(1 << sites):
                sign = parity_sign(row, z)
                for lane in range(lanes):
                    elements[place, lane] += sign * total[row * lanes + lane]
    for m in range(sites - 1, low - 1, -1):
        size = lanes << m
        split((at(difference, 0), at(total, 0), at(total, size)), sums, sums, 0, size, tag)
        for j in range(m - 1, low - 1, -1):
            size = lanes << j
            for lane in range(lanes):
                sums[lane] = 0.0
            fold((at(difference, 0), at(difference, size)), sums, sums, 0, size, tag)
            if layout.pair_index[m, j] >= 0:
                for lane in range(lanes):
                    elements[layout.pair_index[m, j], lane] = sums[lane]
        _walsh(at(difference, 0), low, tag)
        for lane in range(lanes):
            if layout.field_index[m] >= 0:
                elements[layout.field_index[m], lane] = difference[lane]
            for j in range(low):
                if layout.pair_index[m, j] >= 0:
                    elements[layout.pair_index[m, j], lane] = difference[(lanes << j) + lane]
    _walsh(at(total, 0), low, tag)
    for lane in range(lanes):
        if layout.constant_index.size:
            elements[layout.constant_index[0], lane] = total[lane]
        for m in range(low):
            if layout.field_index[m] >= 0:
                elements[layout.field_index[m], lane] = total[(lanes << m) + lane]
            for j in range(m):
                if layout.pair_index[m, j] >= 0:
                    elements[layout.pair_index[m, j], lane] = total[(lanes << m) + (lanes << j) + lane]
        for k in range(layout.rest_z.size):
            if not layout.rest_z[k] >> low:
                elements[layout.rest_index[k], lane] = total[layout.rest_z[k] * lanes + lane]
