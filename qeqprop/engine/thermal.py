"""Gibbs states from random vectors: canonical typicality, with the error of the trace.

For a vector r of independent random signs, ``|phi> = exp(-H / 2T) |r>`` obeys ``E <phi|A|phi> = Tr[exp(-H / T) A]``
(Hutchinson's trace estimator), so that R of them give ``<A> = sum_r <phi_r|A|phi_r> / sum_r <phi_r|phi_r>``. The
relative error falls like ``1 / sqrt(R Z_eff)``, where ``Z_eff`` counts the states with weight, so that large and warm
networks need few vectors. It is measured by leaving out one vector after the other (jackknife).

The exponential is a Chebyshev series on an interval that holds the spectrum. Unlike a Krylov space it keeps no basis,
and it can be differentiated: the response to a perturbation is the *exact* derivative of the estimator, with the same
random vectors and no step, its error falls alike.

Source: Sugiura & Shimizu, Phys. Rev. Lett. 111, 010401 (2013); Hutchinson, Commun. Stat. Simul. Comput. 19, 433 (1990);
Tal-Ezer & Kosloff, J. Chem. Phys. 81, 3967 (1984).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ive

from qeqprop.engine import compiled, thermal_tasks
from qeqprop.engine.krylov import SKEW
from qeqprop.engine.layout import Layout
from qeqprop.engine.team import Team
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


def spectral_range(layout: Layout, coefficients: FloatArray, temperature: float) -> tuple[FloatArray, FloatArray]:
    """Lower and upper bounds (batch,) of the spectra, the lower one no farther off than about the temperature.

    They are the outermost Ritz values, moved outwards by their residuals.
    """
    scale = np.sum(np.abs(coefficients), axis=1)
    goals = np.clip(temperature, 1e-6 * scale, 1e-2 * scale) + np.finfo(np.float64).tiny
    edges: list[FloatArray] = []
    for sign in (1.0, -1.0):
        energies, residuals, _ = compiled.lowest_states(layout, sign * coefficients, 1, 1, goals)
        edges.append(energies[:, 0] - residuals[:, 0])
    return edges[0], -edges[1]


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
    bounds: tuple[FloatArray, FloatArray],
    seeds: NDArray[np.uint64],
    perturbations: FloatArray | None,
    tolerance: float,
) -> Moments:
    """The moments of ``exp(-(H - lower) / 2T) r`` for every sample and random vector.

    Args:
        layout: the strings.
        coefficients: (batch, n_strings) of H.
        temperature: above zero.
        bounds: (batch,) lower and upper ones of the spectra.
        seeds: (batch, n_vectors) of the random vectors.
        perturbations: (batch, n_strings) of N, or None.
        tolerance: relative error of the exponential.
    """
    batch, n_vectors = seeds.shape
    lower, upper = bounds
    # an interval may be too wide: then H = 0 is no special case
    widths = np.maximum(0.5 * (upper - lower), temperature)
    # the norm of phi is at least about the overlap of r with the ground state, 2^(-sites / 2)
    wanted = 0.1 * tolerance * 2.0 ** (-0.5 * layout.sites)
    found = [exponential_series(0.5 * width / temperature, wanted) for width in widths]
    n_terms = np.array([len(c) for c, _ in found], dtype=np.int64)
    series = np.array([np.pad(c, (0, int(np.max(n_terms)) - len(c))) for c, _ in found])
    coefficients = np.ascontiguousarray(coefficients)
    pushes = np.zeros((0, layout.strings)) if perturbations is None else np.ascontiguousarray(perturbations)
    pairs, respond = batch * n_vectors, perturbations is not None
    elements, squares, growths = np.empty((pairs, layout.strings)), np.empty(pairs), np.empty(pairs)
    slopes, square_slopes = np.empty((pairs if respond else 0, layout.strings)), np.empty(pairs if respond else 0)
    flat = np.ascontiguousarray(seeds).reshape(-1)

    def work(chunks: IntArray, space: FloatArray, team: Team, tag: tuple[int, ...]) -> None:
        thermal_tasks.thermal(
            layout, coefficients, pushes, chunks, n_vectors, flat, lower + widths, widths, series, n_terms, elements,
            squares, slopes, square_slopes, growths, space, team, tag,
        )  # fmt: skip

    def numbers(size: int) -> int:
        rows = thermal_tasks.ROWS if respond else thermal_tasks.ROWS - 5
        return rows * (size + SKEW) + layout.strings * (size >> layout.sites)

    compiled._distribute("thermal states", layout, pairs, numbers, work)  # pyright: ignore[reportPrivateUsage]
    shape = (batch, n_vectors, -1)
    # were the interval wrong, the terms left out would have grown like those that were taken
    missing = np.array([tail for _, tail in found]) * np.sqrt(np.max(growths.reshape(shape), axis=(1, 2)))
    typical = np.sqrt(np.mean(squares.reshape(shape), axis=(1, 2)) / (1 << layout.sites))
    rounding = np.finfo(np.float64).eps * np.sqrt(n_terms)
    return Moments(
        elements.reshape(shape),
        squares.reshape(shape),
        slopes.reshape(shape) if respond else None,
        square_slopes.reshape(shape) if respond else None,
        (missing + rounding) / typical,
    )


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
