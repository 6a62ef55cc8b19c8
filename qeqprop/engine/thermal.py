"""Gibbs states from random vectors: canonical typicality, with the error of the trace.

For a vector r of independent random signs, ``|phi> = exp(-H / 2T) |r>`` obeys ``E <phi|A|phi> = Tr[exp(-H / T) A]``
(Hutchinson's trace estimator), so that R of them give ``<A> = sum_r <phi_r|A|phi_r> / sum_r <phi_r|phi_r>``. The
relative error falls like ``1 / sqrt(R Z_eff)``, where ``Z_eff`` counts the states with weight, so that large and warm
networks need few vectors. It is measured by leaving out one vector after the other (jackknife).

Where few levels have weight, the trace over the lowest of them is taken exactly, and the random vectors only sample the
rest of the space: with orthonormal q, ``Tr B = sum_q <q|B|q> + E <r|(1 - Q) B (1 - Q)|r>``. That holds for any q, so
they need not be good eigenvectors, and do not move with a perturbation.

The exponential is a Chebyshev series on an interval that holds the spectrum. Unlike a Krylov space it keeps no basis,
and it can be differentiated: the response to a perturbation is the *exact* derivative of the estimator, with the same
random vectors and no step, its error falls alike.

Source: Sugiura & Shimizu, Phys. Rev. Lett. 111, 010401 (2013); Hutchinson, Commun. Stat. Simul. Comput. 19, 433 (1990);
Tal-Ezer & Kosloff, J. Chem. Phys. 81, 3967 (1984); Meyer et al., Hutch++, arXiv:2010.09649 (2020).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ive

from qeqprop.engine import compiled, thermal_tasks
from qeqprop.engine.compilation import announced
from qeqprop.engine.compiled import BASIS_BYTES, LANE_SITES, chunks_of
from qeqprop.engine.eigen import one_blas_thread
from qeqprop.engine.krylov import SKEW
from qeqprop.engine.lanes import LANES
from qeqprop.engine.layout import Layout
from qeqprop.engine.memory import uninitialised
from qeqprop.engine.sums import operator_space
from qeqprop.engine.team import teams
from qeqprop.engine.threads import get_threads, run
from qeqprop.interfaces import Expectations, FloatArray, IntArray

WIDEST = 1e6
"""Half width of a spectrum, in units of 2T, beyond which a temperature counts as too low: about ten thousand terms."""


class Moments(NamedTuple):
    """What every random vector says of every sample; a ratio of sums over the vectors is a thermal average.

    Attributes:
        elements: (batch, n_vectors, n_strings) ``<phi|P_s|phi>``.
        squares: (batch, n_vectors, 1) ``<phi|phi>``.
        slopes, square_slopes: their derivatives along the perturbation, or None.
        errors: (batch,) bound of ``|phi - exp(-(H - lower) / 2T) r|`` relative to the root mean square of ``|phi|``.
    """

    elements: FloatArray
    squares: FloatArray
    slopes: FloatArray | None
    square_slopes: FloatArray | None
    errors: FloatArray

    def join(self, other: Moments) -> Moments:
        """Those of more vectors of the same samples."""

        def both(one: FloatArray | None, two: FloatArray | None) -> FloatArray | None:
            return None if one is None or two is None else np.concatenate([one, two], axis=1)

        return Moments(
            np.concatenate([self.elements, other.elements], axis=1),
            np.concatenate([self.squares, other.squares], axis=1),
            both(self.slopes, other.slopes),
            both(self.square_slopes, other.square_slopes),
            np.maximum(self.errors, other.errors),
        )


class Outline(NamedTuple):
    """What is known of the spectra beforehand.

    Attributes:
        lower, upper: (batch,) bounds, the lower one no farther off than about the temperature.
        lowest: (batch, n_lowest, dim) orthonormal vectors close to the lowest levels, in the picture of `layout`.
    """

    lower: FloatArray
    upper: FloatArray
    lowest: FloatArray


def outline(layout: Layout, coefficients: FloatArray, temperature: float, n_lowest: int) -> Outline:
    """Bounds of the spectra, the outermost Ritz values moved outwards by their residuals, and the lowest vectors.

    There are at most a quarter as many vectors as dimensions.
    """
    scale = np.sum(np.abs(coefficients), axis=1)
    goals = np.clip(temperature, 1e-6 * scale, 1e-2 * scale) + np.finfo(np.float64).tiny
    kept = min(n_lowest, (1 << (layout.sites - layout.partner)) // 4)
    energies, residuals, vectors, _ = compiled.lowest_states(layout, coefficients, max(1, kept), 1, goals)
    above, errors, _, _ = compiled.lowest_states(layout, -coefficients, 1, 1, goals)
    lower = np.min(energies - residuals, axis=1)
    return Outline(lower, -above[:, 0] + errors[:, 0], _orthonormal(layout, vectors[:, :kept]))


def _orthonormal(layout: Layout, vectors: FloatArray) -> FloatArray:
    """Vectors with the same span; where they hold real and imaginary parts, followed by their multiples by i."""
    half = vectors.shape[2] >> layout.partner
    states = vectors[..., :half] + 1j * vectors[..., half:] if layout.partner else vectors
    with one_blas_thread():
        q = np.swapaxes(np.linalg.qr(np.swapaxes(states, 1, 2))[0], 1, 2)
    parts = [np.concatenate([np.real(x), np.imag(x)], axis=2) for x in (q, 1j * q)] if layout.partner else [np.real(q)]
    return np.ascontiguousarray(np.concatenate(parts, axis=1))


def exponential_series(half_range: float, tolerance: float) -> tuple[FloatArray, float]:
    """The c_k of ``exp(-a (x + 1)) = sum_k c_k T_k(x)`` on [-1, 1], and the sum of those that are left out.

    ``c_k = 2 (-1)^k exp(-a) I_k(a)``, half of it at k = 0, with the modified Bessel functions I_k.

    Raises:
        ValueError: if the range is larger than WIDEST.
    """
    if half_range > WIDEST:
        raise ValueError(
            f"Argument `temperature` must be larger: the spectrum is {4 * half_range:.1e} temperatures wide, at most "
            f"{4 * WIDEST:.1e} can be done. Exact() finds the ground state."
        )
    length = int(60.0 + 14.0 * np.sqrt(half_range))  # more than enough: beyond, the c_k are below 1e-20
    orders = np.arange(length)
    c = 2.0 * (-1.0) ** orders * ive(orders, half_range)
    c[0] *= 0.5
    tails = np.cumsum(np.abs(c[::-1]))[::-1]  # from this term on
    n_terms = max(2, int(np.sum(tails[:-1] > tolerance)))
    return c[:n_terms], float(tails[n_terms])


def thermal_moments(
    layout: Layout,
    coefficients: FloatArray,
    temperature: float,
    known: Outline,
    seeds: NDArray[np.uint64],
    perturbations: FloatArray | None,
    tolerance: float,
) -> Moments:
    """The moments of ``exp(-(H - lower) / 2T) r`` for every sample and random vector.

    Args:
        layout: the strings.
        coefficients: (batch, n_strings) of H.
        temperature: above zero.
        known: of the spectra.
        seeds: (batch, n_vectors) of the random vectors.
        perturbations: (batch, n_strings) of N, or None.
        tolerance: relative error of the exponential.
    """
    batch, n_random = seeds.shape
    lower, upper, lowest = known
    copies = 1 + layout.partner
    n_begun = lowest.shape[1] // copies
    # an interval may be too wide: then H = 0 is no special case
    widths = np.maximum(0.5 * (upper - lower), temperature)
    # the norm of phi is at least about the overlap of r with the ground state, 2^(-sites / 2)
    wanted = 0.1 * tolerance * 2.0 ** (-0.5 * layout.sites)
    found = [exponential_series(0.5 * width / temperature, wanted) for width in widths]
    n_terms = np.array([len(c) for c, _ in found], dtype=np.int64)
    series = np.array([np.pad(c, (0, int(np.max(n_terms)) - len(c))) for c, _ in found])
    coefficients = np.ascontiguousarray(coefficients)
    pushes = np.zeros((0, layout.strings)) if perturbations is None else np.ascontiguousarray(perturbations)
    pairs, orders = batch * (n_begun + n_random), 1 + int(perturbations is not None)
    elements, squares, growths = np.empty((orders, pairs, layout.strings)), np.empty((orders, pairs)), np.empty(pairs)
    seeds = np.ascontiguousarray(seeds)

    def work(chunks: IntArray, space: FloatArray, tag: tuple[int, ...]) -> None:
        thermal_tasks.thermal(
            layout, coefficients, pushes, chunks, lowest, n_begun, seeds, lower + widths, widths, series, n_terms,
            elements, squares, growths, space, teams(1)[0], tag,
        )  # fmt: skip

    _distribute(layout, pairs, thermal_tasks.ROWS[orders - 1], work)
    shape = (batch, n_begun + n_random, -1)

    def whole(moments: FloatArray) -> FloatArray:
        """To every random vector's moments add the exact part of the trace; (batch, n_random, ...)."""
        moments = moments.reshape(shape)
        return moments[:, n_begun:] + copies * np.sum(moments[:, :n_begun], axis=1, keepdims=True)

    # were the interval wrong, the terms left out would have grown like those that were taken
    missing = np.array([tail for _, tail in found]) * np.sqrt(np.max(growths.reshape(shape), axis=(1, 2)))
    rounding = np.finfo(np.float64).eps * np.sqrt(n_terms)
    total = whole(squares[0])
    return Moments(
        whole(elements[0]),
        total,
        whole(elements[1]) if orders == 2 else None,
        whole(squares[1]) if orders == 2 else None,
        (missing + rounding) / np.sqrt(np.mean(total, axis=(1, 2)) / (1 << layout.sites)),
    )


def _distribute(
    layout: Layout, n_pairs: int, n_rows: int, work: Callable[[IntArray, FloatArray, tuple[int, ...]], None]
) -> None:
    """Runs ``work(chunks, space, tag)`` for all pairs, a vector (or one in every lane) on each thread.

    There are many vectors for every sample: threads need not share one, however large it is.
    """
    lanes = LANES if layout.sites <= LANE_SITES else 1
    tag = (0,) * lanes
    chunks = chunks_of(n_pairs, lanes)
    size = n_rows * ((lanes << layout.sites) + SKEW) + layout.strings * lanes + 2 * operator_space(layout)
    count = min(get_threads(), len(chunks), (n_pairs << layout.sites) // 4096, BASIS_BYTES // (8 * size))

    def share(first: int) -> None:
        work(np.ascontiguousarray(chunks[first :: max(1, count)]), uninitialised(size), tag)

    with announced("thermal vectors", lanes):
        run([partial(share, first) for first in range(max(1, count))])


def thermal_average(moments: Moments, observables: FloatArray) -> Expectations:
    """``<O>`` (batch, n_observables) of observables (n_observables, n_strings)."""
    return _jackknife(lambda o, z: o / z, moments.elements @ observables.T, moments.squares)


def thermal_response(moments: Moments, observables: FloatArray) -> Expectations:
    """``d<O>/dnu`` of the re-thermalised state of ``H + nu N``: minus the Kubo-Mori correlator over T."""
    assert moments.slopes is not None  # the caller gave a perturbation
    assert moments.square_slopes is not None
    sums = (moments.elements @ observables.T, moments.squares, moments.slopes @ observables.T, moments.square_slopes)
    return _jackknife(lambda o, z, do, dz: (do - o * dz / z) / z, *sums)


def thermal_energy(moments: Moments, coefficients: FloatArray) -> Expectations:
    """``<H>`` (batch,) of H with coefficients (batch, n_strings)."""
    energy = np.einsum("brs,bs->br", moments.elements, coefficients)[:, :, None]
    found = _jackknife(lambda o, z: o / z, energy, moments.squares)
    return Expectations(found.values[:, 0], found.std_errors[:, 0])


def free_energy(moments: Moments, layout: Layout, lower: FloatArray, temperature: float) -> Expectations:
    """``F = -T log Z`` (batch,), where lower (batch,) is the bound that the moments were taken with."""
    copies = 1 + layout.partner  # real and imaginary parts both count the trace
    mean = np.mean(moments.squares, axis=1, keepdims=True)
    found = _jackknife(lambda z: -temperature * np.log(z), moments.squares / mean)
    offset = lower - temperature * np.log(mean[:, 0, 0] / copies)
    values = offset + found.values[:, 0] + temperature * np.log(moments.squares.shape[1])
    return Expectations(values, found.std_errors[:, 0])


def _jackknife(estimate: Callable[..., FloatArray], *moments: FloatArray) -> Expectations:
    """A function of the sums over the vectors (axis 1), and its standard error from leaving out each in turn."""
    totals = [np.sum(moment, axis=1, keepdims=True) for moment in moments]
    without = estimate(*[total - moment for total, moment in zip(totals, moments, strict=True)])
    n_vectors = without.shape[1]
    errors = np.sqrt((n_vectors - 1) * np.var(without, axis=1))
    return Expectations(estimate(*totals)[:, 0], errors)
