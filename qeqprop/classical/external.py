"""Samplers from elsewhere: anything that draws spins of an Ising energy, an annealer for instance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pkgutil import resolve_name
from typing import Annotated, Any, Protocol

import numpy as np
from annotated_types import Ge, Gt
from numpy.typing import NDArray

from qeqprop.checks import check_fields, check_shape
from qeqprop.classical._averages import ChainSums, averages, certificate, covariances
from qeqprop.classical._spins import SpinProblem, spin_problem, tables_of
from qeqprop.engine.spin_sweeps import sum_up
from qeqprop.interfaces import Equilibria, FloatArray, Measure, Solution, Start, refuse_device


class SpinSampler(Protocol):
    """Draws spins with ``p(s) ~ exp(-E(s) / temperature)``, ``E = sum_(k < l) J_kl s_k s_l + sum_k h_k s_k``."""

    def __call__(
        self, couplings: FloatArray, fields: FloatArray, temperature: float, reads: int, key: tuple[int, ...]
    ) -> NDArray[Any]:
        """Independent spins of +1 and -1.

        Args:
            couplings: J, (n_sites, n_sites), its upper triangle.
            fields: h, (n_sites,).
            temperature: above zero.
            reads: how many.
            key: names the random stream, where the sampler has one.

        Returns:
            (reads, n_sites).
        """
        ...


@dataclass(frozen=True)
class External:
    """The equilibria of an Ising network from somebody else's sampler, which is asked once for each sample of a batch.

    The reads count as independent: standard errors and covariances are those of M independent samples. What the
    sampler really draws (annealers have a temperature of their own) is not certified.

    Attributes:
        sampler: see `SpinSampler`. In a run file a function that is one is named by itself, what makes one with its
            arguments: ``sampler = "mine:draw"``, ``sampler = { use = "mine:Annealer", sweeps = 100 }``.
        temperature: above zero.
        reads: for each equilibrium; a call that asks for a precision p takes ``ceil(1 / p^2)``.

    Raises:
        ValueError: for strings with X or Y or of more than two spins, complex nudges, or answers that are no spins.
    """

    sampler: SpinSampler
    temperature: Annotated[float, Gt(0)] = 1.0
    reads: Annotated[int, Ge(2)] = 1000

    def __post_init__(self) -> None:
        check_fields(self)

    def solve(self, problem: Equilibria, measure: Measure | None = None, *, precision: float | None = None) -> Solution:
        """Asks for each equilibrium of the batch in turn."""
        refuse_device("External", measure)
        spins = spin_problem(problem, "External")
        reads = self.reads if precision is None else max(2, int(np.ceil(1.0 / precision**2)))
        draws = np.empty((spins.rows, 1, spins.n_sites, reads), dtype=np.int8)
        for row in range(spins.rows):
            couplings, fields = _pairs(spins, row)
            drawn = np.asarray(self.sampler(couplings, fields, self.temperature, reads, (*problem.key, row)))
            check_shape("sampler(..)", drawn, "(reads, n_sites)", (reads, spins.n_sites))
            if not np.all(np.abs(drawn) == 1):
                raise ValueError("Argument `sampler` must draw spins of +1 and -1, but drew something else.")
            draws[row, 0] = drawn.T
        push = spins.perturbation
        shape = (spins.rows, len(spins.holds), reads)
        sums, joint = np.zeros(shape), np.zeros(shape if push is not None else (0, *shape[1:]))
        series = np.zeros((spins.rows, 2, 1, reads))
        tracked = np.zeros_like(spins.coefficients) if push is None else push
        sum_up(tuple(tables_of(spins.holds)), spins.coefficients, tracked, draws, sums, joint, series, 0, spins.rows)
        found = ChainSums(1, sums, None if push is None else joint, series)
        quality = certificate(found, np.inf)
        return Solution(
            expectations=averages(found, spins.observables),
            response=None if push is None else covariances(found, spins.observables, -1.0 / self.temperature),
            energies=found.series[:, 0].mean(axis=(1, 2)),
            certificate=replace(quality, converged=np.ones(spins.rows, dtype=np.bool_)),
            start=Start({"rows": np.zeros(spins.rows)}),
            shots=spins.rows * reads,
        )


@dataclass(frozen=True)
class Dimod:
    """A `SpinSampler` out of any sampler of dimod's interface; needs ``pip install qeqprop[annealer]``.

    The sampler is handed ``J / T`` and ``h / T`` and has to draw at a temperature of one: for the simulated annealer
    of dwave-samplers that is ``options = { beta_range = [0.1, 1.0] }``, which ends there.

    Attributes:
        use: the class of the sampler, such as ``"dwave.samplers:SimulatedAnnealingSampler"``.
        options: what its ``sample`` takes beside the energy and ``num_reads``.
        seed_name: the option that takes a seed; empty for a sampler without one.

    Raises:
        ImportError: from a call, if dimod or the sampler is not installed.
    """

    use: str = "dwave.samplers:SimulatedAnnealingSampler"
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    seed_name: str = "seed"

    def __call__(
        self, couplings: FloatArray, fields: FloatArray, temperature: float, reads: int, key: tuple[int, ...]
    ) -> NDArray[Any]:
        """See `SpinSampler`."""
        try:
            dimod = resolve_name("dimod")
            sampler = resolve_name(self.use)()
        except ImportError as error:
            raise ImportError(
                f"Sampler {self.use} cannot be imported ({error}): pip install 'qeqprop[annealer]'."
            ) from error
        linear = {site: float(value) / temperature for site, value in enumerate(fields)}
        quadratic = {
            (int(k), int(m)): float(couplings[k, m]) / temperature for k, m in zip(*np.nonzero(couplings), strict=True)
        }
        model = dimod.BinaryQuadraticModel.from_ising(linear, quadratic)
        options = dict(self.options)
        if self.seed_name:
            options[self.seed_name] = int(np.random.SeedSequence(key).generate_state(1)[0] >> 1)
        answer = sampler.sample(model, num_reads=reads, **options)
        order = [list(answer.variables).index(site) for site in range(len(fields))]
        return np.repeat(answer.record.sample, answer.record.num_occurrences, axis=0)[:, order]


def _pairs(spins: SpinProblem, row: int) -> tuple[FloatArray, FloatArray]:
    """Couplings (n_sites, n_sites) and fields (n_sites,) of one energy."""
    couplings, fields = np.zeros((spins.n_sites, spins.n_sites)), np.zeros(spins.n_sites)
    for sites, value in zip(spins.holds, spins.coefficients[row], strict=True):
        held = np.flatnonzero(sites)
        if len(held) == 1:
            fields[held[0]] += value
        elif len(held) == 2:
            couplings[held[0], held[1]] += value
        elif len(held) > 2 and value != 0:
            raise ValueError(
                f"Solver External hands over pairs of spins, but the energy holds a string of {len(held)}: use "
                "classical.chains:Gibbs."
            )
    return couplings, fields
