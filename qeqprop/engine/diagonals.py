"""Strings of Z: the diagonal of their sum by doubling, and all their expectations by halving.

Both walk over the sites once and cost about four additions an amplitude for any number of Z and ZZ, however dense the
graph. With site m added, a diagonal of Z and ZZ terms doubles as ``D -> (D + L, D - L)``, where ``L = h_m + sum_j J_jm
Z_j`` doubles in the same way; expectations are the transpose. Longer strings take one pass each.
"""

# numba infers the types of compiled functions
# pyright: reportMissingParameterType=false, reportUntypedFunctionDecorator=false, reportArgumentType=false
# pyright: reportCallIssue=false

from __future__ import annotations

import numba as nb

from qeqprop.engine.apply import INLINED, OPTIONS, parity_sign
from qeqprop.engine.kernels import at, axpy, fold, product, split
from qeqprop.engine.vectors import WIDTH


@nb.njit(**OPTIONS)
def build_diagonal(layout, coefficients, diagonal, scratch, tag):
    """The diagonal (dim * lanes,) of the sum; coefficients (n_strings, lanes), scratch (dim * lanes / 2,)."""
    lanes = len(tag)
    sites = layout.sites - layout.partner
    for lane in range(lanes):
        diagonal[lane] = coefficients[layout.constant_index[0], lane] if layout.constant_index.size else 0.0
    for m in range(sites):
        for lane in range(lanes):
            scratch[lane] = 0.0
        field, reach = layout.field_index[m], layout.reach[m]  # sites below `reach` appear in L; above, it repeats
        if field >= 0:
            for lane in range(lanes):
                scratch[lane] = coefficients[field, lane]
        for j in range(reach):
            size = lanes << j
            index = layout.pair_index[m, j]
            if lanes == 1:
                weight = coefficients[index, 0] if index >= 0 else 0.0
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
def _fold_rows(a, size, sums, tag):
    """``a[:size] += a[size : 2 size]``; sums (lanes,) of the differences before."""
    lanes = len(tag)
    for lane in range(lanes):
        sums[lane] = 0.0
    if size >= 4 * WIDTH:
        fold((at(a, 0), at(a, size)), sums, sums, 0, size, tag)
    else:
        for row in range(size // lanes):
            for lane in range(lanes):
                low, high = a[row * lanes + lane], a[size + row * lanes + lane]
                a[row * lanes + lane] = low + high
                sums[lane] += low - high


@nb.njit(**OPTIONS)
def diagonal_elements(layout, u, v, elements, total, difference, sums, tag):
    """Writes ``sum_b u[b] v[b] (-1)^popcount(b & z)`` of all strings of Z to elements (n_strings, lanes).

    ``total`` (dim * lanes,) and ``difference`` (dim * lanes / 2,) are scratch, sums (2 * lanes,); u and v are addresses.
    """
    lanes = len(tag)
    sites = layout.sites - layout.partner
    dim = lanes << sites
    product((at(total, 0), u, v), sums, sums, 0, dim << layout.partner, tag)
    if layout.partner:
        sums[:] = 1.0
        axpy((at(total, 0), at(total, dim)), sums, sums, 0, dim, tag)
    for k in range(layout.rest_z.size):
        for lane in range(lanes):
            elements[layout.rest_index[k], lane] = 0.0
        for row in range(1 << sites):
            sign = parity_sign(row, layout.rest_z[k])
            for lane in range(lanes):
                elements[layout.rest_index[k], lane] += sign * total[row * lanes + lane]
    for m in range(sites - 1, -1, -1):
        size = lanes << m
        if size >= 4 * WIDTH:
            split((at(difference, 0), at(total, 0), at(total, size)), sums, sums, 0, size, tag)
        else:
            for b in range(size):
                low, high = total[b], total[size + b]
                total[b] = low + high
                difference[b] = low - high
        for j in range(m - 1, -1, -1):
            index = layout.pair_index[m, j]
            _fold_rows(difference, lanes << j, sums, tag)
            if index >= 0:
                for lane in range(lanes):
                    elements[index, lane] = sums[lane]
        if layout.field_index[m] >= 0:
            for lane in range(lanes):
                elements[layout.field_index[m], lane] = difference[lane]
    if layout.constant_index.size:
        for lane in range(lanes):
            elements[layout.constant_index[0], lane] = total[lane]
