"""What one thread does for one thermal vector: a Chebyshev series of the sum on a random vector.

A task works on pairs of a sample and a vector, one in each lane: pair ``p`` is vector ``p mod n_vectors`` of sample
``p // n_vectors``. ``space`` is the workspace of the task, one flat array.
"""

# numba infers the types of compiled functions
# pyright: reportMissingParameterType=false, reportUntypedFunctionDecorator=false, reportArgumentType=false
# pyright: reportCallIssue=false

from __future__ import annotations

import numba as nb
import numpy as np

from qeqprop.engine.addresses import at
from qeqprop.engine.apply import OPTIONS, apply
from qeqprop.engine.krylov import GOLDEN, SKEW, inner, splitmix
from qeqprop.engine.measuring import string_elements
from qeqprop.engine.streams import axpy, three_term, three_term_deflated
from qeqprop.engine.sums import build_operator, empty_operator, operator_space
from qeqprop.engine.tasks import gather

ROWS = (6, 11)
"""Vectors of a workspace without and with derivative: diagonals, three terms of the series, their sum, and scratch."""


@nb.njit(**OPTIONS)
def random_signs(x, seeds, tag):
    """Fills every lane with +1 and -1, which are a function of the place and of the lane's seed only."""
    lanes = len(tag)
    for lane in range(lanes):
        bits = np.uint64(0)
        for b in range(x.size // lanes):
            place = np.uint64(b)
            if b % 64 == 0:
                bits = splitmix(seeds[lane] + ((place >> np.uint64(6)) + np.uint64(1)) * GOLDEN)
            odd = (bits >> (place & np.uint64(63))) & np.uint64(1)
            x[b * lanes + lane] = 1.0 - 2.0 * np.float64(odd)


@nb.njit(**OPTIONS)
def begin_vectors(lowest, n_begun, seeds, rows, vectors, x, scratch, dots, team, tag):
    """One vector for every lane: the first n_begun of ``lowest`` as they are, then random signs outside all of them.

    Args:
        lowest: (batch, n_lowest, dim) orthonormal.
        n_begun: how many of them are vectors of their own.
        seeds: (batch, n_random).
        rows: (lanes,) samples.
        vectors: (lanes,) which vector of the sample.
        x: (dim * lanes,) result.
        scratch: (dim * lanes,).
        dots: (lanes,) scratch.
        team: of one thread.
        tag: tuple of as many numbers as lanes.
    """
    lanes = len(tag)
    own, which = np.zeros(lanes, dtype=np.uint64), np.empty(lowest.shape[0], dtype=np.int64)
    for lane in range(lanes):
        if vectors[lane] >= n_begun:
            own[lane] = seeds[rows[lane], vectors[lane] - n_begun]
    random_signs(x, own, tag)
    for k in range(lowest.shape[1]):
        which[:] = k
        gather(lowest, which, rows, scratch, team, tag)
        inner(x.size, at(scratch, 0), at(x, 0), dots, team, tag)
        for lane in range(lanes):
            dots[lane] = -dots[lane]
        axpy((x, scratch), dots, dots, 0, x.size, tag)
    for lane in range(lanes):
        if vectors[lane] < n_begun:
            for b in range(x.size // lanes):
                x[b * lanes + lane] = lowest[rows[lane], vectors[lane], b]


@nb.njit(**OPTIONS)
def thermal(
    layout, coefficients, perturbations, chunks, lowest, n_begun, seeds, centres, widths, series, n_terms, elements,
    squares, growths, space, team, tag,
):  # fmt: skip
    """``phi = sum_k c_k T_k((H - centre) / width) r`` and its derivative along N, seen through all strings.

    With ``h`` the scaled sum and ``t_k = T_k(h) r``, both recurrences run side by side:
    ``t_k = 2 h t_(k-1) - t_(k-2)`` and ``t'_k = 2 h t'_(k-1) + (2 N / width) t_(k-1) - t'_(k-2)``.

    Args:
        layout: the strings.
        coefficients: (batch, n_strings) of H.
        perturbations: (batch, n_strings) of N, or (0, n_strings): no derivative.
        chunks: (n_chunks, lanes) pairs.
        lowest, n_begun, seeds: the vectors r, see `begin_vectors`; each sample has ``n_begun + n_random`` of them.
        centres, widths: (batch,) middle and half width of an interval that holds the spectrum.
        series: (batch, longest) the c_k.
        n_terms: (batch,) how many of them, at least two.
        elements: (1 or 2, n_pairs, n_strings) result: ``<phi|P_s|phi>`` and, if wanted, its derivative.
        squares: (1 or 2, n_pairs) result: ``<phi|phi>`` and its derivative.
        growths: (n_pairs,) result: the largest ``|t_k|^2 / |r|^2``, at most one if the interval is right.
        space: workspace of ROWS rows of ``dim * lanes + SKEW``, room for one or two operators, and n_strings * lanes.
        team: of one thread.
        tag: tuple of as many numbers as lanes.
    """
    lanes = len(tag)
    size = (1 << layout.sites) * lanes
    width = size + SKEW
    respond = perturbations.shape[0] > 0
    diagonal, phi, terms = space[:size], space[width : width + size], space[2 * width : 5 * width]
    scratch = space[5 * width : 5 * width + size]
    last = 6 * width if respond else 0  # without derivative these are never touched
    push, phi_slope = space[last : last + size], space[last + width : last + width + size]
    term_slopes = space[last + 2 * width : last + 5 * width]
    first, parts_size = (11 if respond else 6) * width, operator_space(layout)
    parts, push_parts = space[first:], space[first + parts_size :]
    first += (2 if respond else 1) * parts_size
    shared = space[first : first + layout.strings * lanes].reshape((layout.strings, lanes))
    operator = empty_operator(layout, diagonal, parts, team, tag)
    perturbation = empty_operator(layout, push, push_parts, team, tag)
    rows, vectors = np.empty(lanes, dtype=np.int64), np.empty(lanes, dtype=np.int64)
    weights, factors, sums, dots = np.empty(4 * lanes), np.empty(lanes), np.empty(2 * lanes), np.empty(lanes)
    growth, lengths = np.empty(lanes), np.empty(lanes)
    n_vectors = n_begun + seeds.shape[1]
    for pairs in chunks:
        longest = 0
        for lane in range(lanes):
            rows[lane], vectors[lane] = pairs[lane] // n_vectors, pairs[lane] % n_vectors
            longest = max(longest, n_terms[rows[lane]])
            factors[lane], growth[lane] = series[rows[lane], 0], 0.0
        build_operator(layout, coefficients, rows, diagonal, parts, scratch, team, tag)
        if respond:
            build_operator(layout, perturbations, rows, push, push_parts, scratch, team, tag)
            phi_slope[:] = 0.0
            term_slopes[:size] = 0.0
        begin_vectors(lowest, n_begun, seeds, rows, vectors, terms[:size], scratch, dots, team, tag)
        inner(size, at(terms, 0), at(terms, 0), lengths, team, tag)
        phi[:] = 0.0
        axpy((at(phi, 0), at(terms, 0)), factors, factors, 0, size, tag)
        for k in range(1, longest):
            place, before, new = (k - 1) % 3 * width, (k - 2) % 3 * width if k > 1 else 0, k % 3 * width
            u, p, t = at(terms, place), at(terms, before), at(terms, new)
            double = 2.0 if k > 1 else 1.0
            for lane in range(lanes):
                row = rows[lane]
                factors[lane] = series[row, k] if k < n_terms[row] else 0.0
                weights[lane] = double / widths[row]
                weights[lanes + lane] = -double * centres[row] / widths[row]
                weights[2 * lanes + lane] = -1.0 if k > 1 else 0.0
                weights[3 * lanes + lane] = double / widths[row]
            if respond:
                du, dp, dt = at(term_slopes, place), at(term_slopes, before), at(term_slopes, new)
                apply(perturbation, u, at(scratch, 0), dots, team, tag)
                apply(operator, du, dt, dots, team, tag)
                three_term_deflated((dt, du, dp, at(scratch, 0)), weights, sums, 0, size, tag)
                axpy((at(phi_slope, 0), dt), factors, factors, 0, size, tag)
            apply(operator, u, t, dots, team, tag)
            sums[:] = 0.0
            three_term((t, u, p), weights, sums, 0, size, tag)
            axpy((at(phi, 0), t), factors, factors, 0, size, tag)
            for lane in range(lanes):
                if k < n_terms[rows[lane]]:
                    growth[lane] = max(growth[lane], sums[lane] / lengths[lane])
        for order in range(elements.shape[0]):
            ket = phi_slope if order else phi
            inner(size, at(phi, 0), at(ket, 0), dots, team, tag)
            string_elements(layout, at(phi, 0), at(ket, 0), shared, terms, scratch, team, tag)
            for lane in range(lanes):
                growths[pairs[lane]] = growth[lane]
                squares[order, pairs[lane]] = (1 + order) * dots[lane]
                for s in range(layout.strings):
                    elements[order, pairs[lane], s] = (1 + order) * shared[s, lane]
