"""Samplers of continuous networks: chains that drift downhill and are kicked by heat, all in lockstep.

A step is a few array operations over all chains, plain numpy: 20 to 25 ns for a variable of an unadjusted quartic
network of 8 to 32 sites and 1024 chains, half of it for random numbers. A plain compiled loop over chains takes 36 to
49 ns on the same core; compiling pays, by a factor of two, only where so few variables and chains are left that numpy
has nothing but overhead. So any energy stays an ordinary dataclass.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from math import ceil
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt

from qeqprop.checks import check_fields
from qeqprop.classical._averages import ChainSums, averages, certificate, covariances
from qeqprop.classical._variates import Variates
from qeqprop.classical._walk import Walk, add_variates, begin
from qeqprop.classical.landscape import ContinuousEquilibria, Landscape
from qeqprop.interfaces import FloatArray, Measure, NotConverged, PhysicsWarning, Solution, Start, refuse_device

_ACCEPTANCE = 0.574
"""The share of accepted moves at which adjusted chains move fastest in many variables (Roberts & Rosenthal 1998)."""
_FEW = 0.2
_CHAINS_PER_VARIABLE = 12
"""Halves of six, which know three weights."""
_MOST_SAMPLES = 10**6


@dataclass(frozen=True)
class Langevin:
    """Gibbs states ``p ~ exp(-E/T)`` of continuous variables, sampled by Langevin dynamics with the step h.

    * ``"adjusted"``: ``s' = s - h dE/ds + sqrt(2 T h) R``, accepted or refused after Metropolis: no bias. A drift
      longer than two kicks is cut. The step is tuned while the chains burn in, row by row, and then fixed.
    * ``"overdamped"``: the same with ``(R_n + R_(n+1)) / 2`` for R and nothing refused: averages are off by O(h^2), and
      exact for springs.
    * ``"underdamped"``: positions and momenta with the friction g, half a kick, half a drift, friction and heat, half a
      drift, half a kick: averages are off by O(h^2), and exact for springs.

    The response is the covariance ``-(1/T) Cov(C, A)`` of the samples (fluctuation and dissipation), unbiased at any
    autocorrelation; errors are the spread between chains. The certificate's ``residual`` is the relative deviation of
    the virial ``<(s - <s>) dE/ds>`` from ``n T``: the bias of a step that is too long shows there, above the noise of
    the samples (nan for phases, which have no virial).

    Attributes:
        temperature: above zero.
        method: see above.
        step: h; of adjusted chains the first guess.
        friction: g, of underdamped chains.
        chains: independent ones for each sample of the batch; 64 know their error to 9 %.
        samples: of each chain; a call that asks for a precision takes as many more as this needs.
        burn_in: steps before the first sample, also of chains that start where others stopped.
        thin: steps between samples.
        r_hat: largest one without a warning.
        variates: subtracts numbers whose mean is zero by partial integration, ``<f dE/ds_i> = T <df/ds_i>`` with f = 1,
            s_i (not for phases) and the nudged cost; the weights of one half of the chains come from the other half, so
            that nothing is biased. Takes adjusted chains, twelve for each variable or more.

    Raises:
        ValueError: for a precision out of reach, or variates of chains that are biased or too few.
        NotConverged: if the step is so long that the chains run away.

    Source: Roberts & Tweedie, Bernoulli 2, 341 (1996); Leimkuhler & Matthews, Appl. Math. Res. Express 2013, 34 (2013).
    """

    temperature: Annotated[float, Gt(0)] = 1.0
    method: Literal["adjusted", "overdamped", "underdamped"] = "adjusted"
    step: Annotated[float, Gt(0)] = 0.1
    friction: Annotated[float, Gt(0)] = 1.0
    chains: Annotated[int, Ge(2)] = 64
    samples: Annotated[int, Ge(1)] = 200
    burn_in: Annotated[int, Ge(0)] = 200
    thin: Annotated[int, Ge(1)] = 2
    r_hat: Annotated[float, Gt(1)] = 1.1
    variates: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        if self.variates and self.method != "adjusted":
            raise ValueError(f"Argument `method` must be 'adjusted' with `variates`, but is {self.method!r}.")

    def solve(
        self, problem: ContinuousEquilibria, measure: Measure | None = None, *, precision: float | None = None
    ) -> Solution:
        """Samples, and samples again for longer if an observable's standard error exceeds ``precision``."""
        refuse_device("Langevin", measure)
        fewest = _CHAINS_PER_VARIABLE * problem.landscape.model.n_variables
        if self.variates and self.chains < fewest:
            raise ValueError(
                f"Argument `chains` must be at least {fewest} with `variates` of this energy, but is {self.chains}."
            )
        with np.errstate(over="ignore", invalid="ignore"):  # of chains that run away, which is told
            found, walk, virial = self._sample(problem, problem.key, problem.start)
        observables = np.eye(found.sums.shape[1])
        spent = self.samples
        if precision is not None:
            largest = float(np.max(averages(found, observables).std_errors, initial=0.0))
            if largest > precision:
                needed = self._samples_for(precision, largest)
                longer = replace(self, samples=needed)
                found, walk, virial = longer._sample(problem, (*problem.key, 1), walk.start())
                spent += needed
        quality = certificate(found, self.r_hat)
        self._judge(quality.r_hat, walk)
        response = None
        if problem.direction is not None:
            response = covariances(found, observables, -1.0 / self.temperature)
        return Solution(
            expectations=averages(found, observables),
            response=response,
            energies=found.series[:, 0].mean(axis=(1, 2)),
            certificate=replace(quality, residual=self._virial_error(problem.landscape, virial)),
            start=walk.start(),
            shots=len(problem.landscape) * self.chains * spent,
            series=found.series,
        )

    def _sample(
        self, problem: ContinuousEquilibria, key: tuple[int, ...], start: Start | None
    ) -> tuple[ChainSums, Walk, FloatArray]:
        """What all chains add up to, where they stopped, and the virial (rows,)."""
        rows, chains = len(problem.landscape), self.chains
        many = problem.take(np.repeat(np.arange(rows), chains))
        walk = begin(many.landscape, self, rows, key, start)
        for step in range(self.burn_in):
            walk.move(self)
            if self.method == "adjusted":
                share = walk.accepted.reshape(rows, chains).mean(axis=1)
                walk.length *= np.exp(np.repeat(share - _ACCEPTANCE, chains) / np.sqrt(1 + step / 10))
        n_read = problem.observables(walk.s.reshape(rows, chains, -1)[:, 0]).shape[1]
        sums = np.zeros((rows, n_read, chains))
        joint = None if problem.direction is None else np.zeros_like(sums)
        series = np.zeros((rows, 2, self.samples, chains))
        forces, places = np.zeros((2, *walk.s.shape))
        virial = np.zeros(rows)
        quiet = np.zeros((3, *walk.s.shape))
        for sample in range(self.samples):
            for _ in range(self.thin):
                walk.move(self)
            energy = walk.energy if self.method == "adjusted" else many.landscape.energy(walk.s)
            read = many.observables(walk.s)
            pushed = read[:, 0] if joint is None else many.cost(walk.s)
            sums += read.reshape(rows, chains, n_read).transpose(0, 2, 1)
            if joint is not None:
                joint += (read * pushed[:, None]).reshape(rows, chains, n_read).transpose(0, 2, 1)
            series[:, 0, sample] = energy.reshape(rows, chains)
            series[:, 1, sample] = pushed.reshape(rows, chains)
            if self.variates:
                add_variates(quiet, walk, many, self.temperature, None if joint is None else pushed)
            forces += walk.gradient
            places += walk.s
            virial += (walk.s * walk.gradient).sum(axis=1).reshape(rows, chains).mean(axis=1)
        if not np.all(np.isfinite(series)):
            raise NotConverged(f"The chains ran away: the step {self.step:g} is too long for this energy.")
        centre = places.reshape(rows, chains, -1).mean(axis=1) / self.samples
        pull = forces.reshape(rows, chains, -1).mean(axis=1) / self.samples
        variates = None
        if self.variates:
            means = (quiet / self.samples).reshape(3, rows, chains, -1).transpose(0, 3, 1, 2)
            parts = list(means.reshape(-1, rows, 1, chains))
            variates = Variates(parts[: 2 * walk.s.shape[1]], parts)
        return (
            ChainSums(self.samples, sums, joint, series, variates),
            walk,
            virial / self.samples - np.sum(centre * pull, axis=1),
        )

    def _virial_error(self, landscape: Landscape, virial: FloatArray) -> FloatArray:
        if landscape.model.period is not None:
            return np.full(len(virial), np.nan)
        return np.abs(virial / (landscape.model.n_variables * self.temperature) - 1.0)

    def _samples_for(self, precision: float, largest: float) -> int:
        needed = self.samples * (largest / precision) ** 2
        if needed > _MOST_SAMPLES:
            raise ValueError(
                f"A `precision` of {precision:.1e} would take {needed:.0f} samples of each chain, more than "
                f"{_MOST_SAMPLES}; {self.samples} give {largest:.1e}."
            )
        return ceil(needed)

    def _judge(self, spread: FloatArray | None, walk: Walk) -> None:
        assert spread is not None
        if np.any(spread >= self.r_hat):
            warnings.warn(
                f"Solver Langevin: in {np.sum(spread >= self.r_hat)} of {len(spread)} states the chains do not agree "
                f"yet (R-hat up to {np.nanmax(spread):.2f}, wanted below {self.r_hat}). Raise `burn_in`, `thin` and "
                "`samples`; several basins may take too long at this temperature.",
                PhysicsWarning,
                stacklevel=4,
            )
        if self.method == "adjusted" and np.mean(walk.accepted) < _FEW:
            warnings.warn(
                f"Solver Langevin accepts only {np.mean(walk.accepted):.0%} of its moves: raise `burn_in`, in which "
                "the step is tuned, or begin with a shorter `step`.",
                PhysicsWarning,
                stacklevel=4,
            )
