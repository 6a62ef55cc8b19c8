"""A cold continuous network: averages and responses expanded in the temperature about the minimum.

With ``x*`` the minimum, ``G`` the inverse Hessian there, subscripts derivatives, and repeated indices summed::

    <f> = f(x*) + (T/2) [G_ij f_ij - f_i G_ij s_j] + O(T^2),        s_j = E_jkl G_kl
    d<A>/dbeta = g_0 + T g_1 + O(T^2),      g_0 = -C_i G_ij A_j = A'v,   v = -G C'
    g_1 = 1/2 {tr(dG A'') + tr(G A'''[v]) - (A''v) G s - A' dG s - A' G ds}
    dH = E_3[v] + C'',   dG = -G dH G,   ds_j = E_jklm v_m G_kl + C_jkl G_kl + E_jkl dG_kl

All of it is linear in ``G = sum_p w_p z_p^T`` with ``w_p = G z_p``. So the sum runs over unit vectors z, exactly, or
over random signs, whose mean has a standard error; each costs five linear solves, by conjugate gradients above 64
variables.

Source: Massar & Mognetti, arXiv:2405.08467 (2024), for the idea; the expansion is Laplace's.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt

from qeqprop.checks import check_fields
from qeqprop.classical._stiffness import compliance, extreme_modes
from qeqprop.classical.jets import derivative
from qeqprop.classical.landscape import ContinuousEquilibria, Landscape
from qeqprop.classical.relaxation import Minimum, Relaxation, certificate_of, relaxed
from qeqprop.counts import stream
from qeqprop.interfaces import Expectations, FloatArray, Measure, PhysicsWarning, Solution, Start, refuse_device

Solve = Callable[[FloatArray], FloatArray]
"""The inverse Hessian, times a batch of vectors."""

_NUMBERS = 2**21
"""Observables, over probes and rows, that are held at once."""
_LARGE = 0.3
"""A correction along the softest mode above this part of its leading term is called large."""


@dataclass(frozen=True)
class LowTemperature:
    """Averages and responses to the first order in the temperature: what Gibbs sampling would find, without samples.

    With the rule `LinearResponse` the gradient is ``g_0 + T g_1``; the solver `Relaxation` gives ``g_0`` alone. Other
    rules nudge averages that are right to the first order. Energies are mean energies, ``E* + n T / 2``.

    A `PhysicsWarning` says where a soft mode makes the expansion doubtful, and where there are several basins, of which
    only the lowest enters.

    Attributes:
        temperature: above zero.
        probes: random signs that stand for the whole space in traces, which then have standard errors; None: all unit
            vectors, exactly.
        tolerance: largest component of the energy gradient at the minimum.
        steps: most Newton steps to it.
        starts: how many more beginnings to try in search of other basins, drawn about the resting place.
        spread: their deviation.

    Raises:
        NotConverged: if a state misses the tolerance, or rests on no stable minimum.
    """

    temperature: Annotated[float, Gt(0)] = 0.01
    probes: Annotated[int, Ge(2)] | None = None
    tolerance: Annotated[float, Gt(0)] = 1e-10
    steps: Annotated[int, Ge(1)] = 200
    starts: Annotated[int, Ge(0)] = 4
    spread: Annotated[float, Gt(0)] = 1.0

    def __post_init__(self) -> None:
        check_fields(self)

    def solve(
        self, problem: ContinuousEquilibria, measure: Measure | None = None, *, precision: float | None = None
    ) -> Solution:
        """Relaxes every row and adds the correction of the first order."""
        del precision
        refuse_device("LowTemperature", measure)
        landscape = problem.landscape
        how = Relaxation(self.tolerance, self.steps, self.starts, self.spread)
        found = relaxed(landscape, problem.start, how, problem.key)
        warn_of_large_corrections(landscape, found, self.temperature)
        solve = compliance(landscape, found.s, self.tolerance)
        probes = self._probes(landscape, problem.key)
        means = self._joined(problem, probes, lambda many, s, z: fluctuation(many, s, z, solve), found.s)
        response = None
        if problem.direction is not None:
            v = -solve(problem.cost_gradient(found.s))
            first = self._joined(problem, probes, lambda many, s, z: first_correction(many, s, z, solve), found.s)
            response = _plus(derivative(problem.observables, found.s, v), first)
        return Solution(
            expectations=_plus(problem.observables(found.s), means),
            response=response,
            energies=landscape.energy(found.s) + landscape.model.n_variables * self.temperature / 2,
            certificate=certificate_of(found),
            start=Start({"s": found.s}),
        )

    def _probes(self, landscape: Landscape, key: tuple[int, ...]) -> FloatArray:
        """Unit vectors, or random signs, (n_probes, rows, n_variables)."""
        n_rows, n = len(landscape), landscape.model.n_variables
        if self.probes is None:
            return np.repeat(np.eye(n)[:, None], n_rows, axis=1)
        random = np.random.default_rng(stream(key, 2))
        return np.where(random.random((self.probes, n_rows, n)) < 0.5, -1.0, 1.0)

    def _joined(
        self,
        problem: ContinuousEquilibria,
        probes: FloatArray,
        part: Callable[[ContinuousEquilibria, FloatArray, FloatArray], FloatArray],
        s: FloatArray,
    ) -> Expectations:
        """T times the sum over unit vectors or, with its standard error, the mean over random signs."""
        n_rows, n = s.shape
        width = problem.observables(s).shape[1]
        together = max(1, _NUMBERS // max(1, n_rows * max(width, n)))
        parts: list[FloatArray] = []
        for begin in range(0, len(probes), together):
            some = probes[begin : begin + together]
            found = part(problem.copies(len(some)), np.tile(s, (len(some), 1)), some.reshape(-1, n))
            parts.append(found.reshape(len(some), n_rows, -1))
        stacked = self.temperature * np.concatenate(parts)
        if self.probes is None:
            return Expectations.exact(np.sum(stacked, axis=0))
        return Expectations(np.mean(stacked, axis=0), np.std(stacked, axis=0, ddof=1) / np.sqrt(self.probes))


def fluctuation(problem: ContinuousEquilibria, s: FloatArray, probe: FloatArray, solve: Solve) -> FloatArray:
    """One probe's part of ``1/2 [G_ij f_ij - f_i G_ij s_j]`` for every observable f, (rows, n_observables).

    Args:
        problem: what is asked.
        s: (rows, n_variables) the minima.
        probe: z, (rows, n_variables).
        solve: G times a batch of vectors.
    """
    w = solve(probe)
    r = solve(problem.landscape.bend(s, w, probe))
    return (derivative(problem.observables, s, w, probe) - derivative(problem.observables, s, r)) / 2


def first_correction(problem: ContinuousEquilibria, s: FloatArray, probe: FloatArray, solve: Solve) -> FloatArray:
    """One probe's part of ``g_1`` for every observable A, (rows, n_observables); arguments as for `fluctuation`."""
    landscape = problem.landscape
    v = -solve(problem.cost_gradient(s))

    def stiffening(vector: FloatArray) -> FloatArray:
        """``dH`` times a vector."""
        return landscape.bend(s, v, vector) + derivative(problem.cost_gradient, s, vector)

    w = solve(probe)
    p = solve(stiffening(w))  # dG z = -p
    r = solve(landscape.bend(s, w, probe))  # G s
    pull = landscape.bend(s, v, w, probe) + derivative(problem.cost_gradient, s, w, probe)
    dr = solve(pull - landscape.bend(s, p, probe) - stiffening(r))  # d(G s)
    f = problem.observables
    second = derivative(f, s, p, probe) + derivative(f, s, v, r) + derivative(f, s, dr)
    return (derivative(f, s, v, w, probe) - second) / 2


def warn_of_large_corrections(landscape: Landscape, found: Minimum, temperature: float) -> None:
    """Says where the first correction along the softest mode is not small beside what it corrects."""
    softest, _, mode = extreme_modes(landscape, found.s)
    third = np.sum(landscape.bend(found.s, mode, mode) * mode, axis=1)
    fourth = np.sum(landscape.bend(found.s, mode, mode, mode) * mode, axis=1)
    size = temperature * (np.abs(fourth) / softest**2 + third**2 / softest**3) / 2
    if np.any(size > _LARGE):
        warnings.warn(
            f"At the temperature {temperature:g} the correction along the softest mode (stiffness "
            f"{np.min(softest):.2g}) is {np.max(size):.0%} of what it corrects: the expansion is doubtful. Sample the "
            "network (Langevin), or cool it.",
            PhysicsWarning,
            stacklevel=4,
        )


def free_energy(landscape: Landscape, s: FloatArray, temperature: float) -> FloatArray:
    """``F = E* + (T/2) ln det(H / 2 pi T) + T^2 {E_4 GG/8 - (E_3 G) G (E_3 G)/8 - E_3 GGG E_3/12}``, (rows,).

    To the second order, at the minima s (rows, n_variables). It holds all third and fourth derivatives, n^4 numbers:
    for small networks.

    Raises:
        ValueError: above 32 variables.
    """
    n = s.shape[1]
    if n > 32:
        raise ValueError(f"The free energy of {n} variables would take {n}^4 derivatives: it is limited to 32.")
    hessian = landscape.hessian(s)
    G = np.asarray(np.linalg.inv(hessian), dtype=np.float64)
    units = [np.tile(unit, (len(s), 1)) for unit in np.eye(n)]
    third = np.stack([np.stack([landscape.bend(s, a, b) for b in units], 1) for a in units], 1)
    pairs = [(i, k) for i in range(n) for k in range(n)]
    fourth = sum(np.sum(landscape.bend(s, units[i], G[:, i], units[k]) * G[:, k], axis=1) for i, k in pairs)
    pull = np.einsum("rjkl,rkl->rj", third, G)
    rings = np.einsum("rabc,rai,rbj,rck,rijk->r", third, G, G, G, third, optimize=True)
    logarithm = np.linalg.slogdet(hessian / (2 * np.pi * temperature))[1]
    second = fourth / 8 - np.einsum("ri,rij,rj->r", pull, G, pull) / 8 - rings / 12
    return landscape.energy(s) + temperature / 2 * logarithm + temperature**2 * second


def _plus(values: FloatArray, correction: Expectations) -> Expectations:
    return Expectations(values + correction.values, correction.std_errors)
