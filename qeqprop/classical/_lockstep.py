"""All chains of a batch in lockstep: from a problem of spins to averages, covariances and where the chains stopped."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from itertools import pairwise
from math import ceil
from typing import Annotated, NamedTuple

import numpy as np
from annotated_types import Ge, Gt
from numpy.typing import NDArray

from qeqprop.classical._averages import ChainSums, averages, certificate, covariances
from qeqprop.classical._spins import SpinProblem, spin_problem, structure_of
from qeqprop.classical._variates import FEWEST_CHAINS, SpinVariates, common_sites
from qeqprop.engine.compilation import announced
from qeqprop.engine.spin_sweeps import BLOCK, first_spins, run_chains, sum_up
from qeqprop.engine.spin_variates import sum_variates
from qeqprop.engine.threads import get_threads, run
from qeqprop.interfaces import Equilibria, FloatArray, IntArray, Measure, PhysicsWarning, Solution, Start, refuse_device

SpinArray = NDArray[np.int8]

_BYTES = 2**27
"""Samples kept at a time: they are added up and forgotten."""

_MOST_SAMPLES = 10**7


class Method(NamedTuple):
    """How chains move.

    Attributes:
        name: of the solver, for messages.
        kind: of an update.
        blocks: whether a sweep goes colour by colour.
        temperatures: the sampled one first, then those that are exchanged with it.
    """

    name: str
    kind: int
    blocks: bool
    temperatures: Sequence[float]


@dataclass(frozen=True)
class Chains:
    """What all samplers are told: how long their chains are, and at which temperature; `chains.Gibbs` says it in full.

    Nothing but data, so that a sampler that is one of these has the same keys in a run file as all others.
    """

    temperature: Annotated[float, Gt(0)] = 1.0
    _: KW_ONLY
    chains: Annotated[int, Ge(2)] = 64
    samples: Annotated[int, Ge(1)] = 100
    burn_in: Annotated[int, Ge(0)] = 100
    thin: Annotated[int, Ge(1)] = 1
    r_hat: Annotated[float, Gt(1)] = 1.1
    variates: bool = False


def settle_by_chains(
    problem: Equilibria, measure: Measure | None, method: Method, how: Chains, precision: float | None
) -> Solution:
    """Samples, and samples again for longer if a string's standard error exceeds ``precision``."""
    refuse_device(method.name, measure)
    spins = spin_problem(problem, method.name)
    if how.variates and how.chains < FEWEST_CHAINS:
        raise ValueError(f"Argument `chains` must be at least {FEWEST_CHAINS} with `variates`, but is {how.chains}.")
    found, stop = _sample(spins, method, how, problem.key, problem.start)
    spent = how.samples
    if precision is not None:
        largest = _largest_error(spins, found)
        if largest > precision:
            how = replace(how, samples=_samples_for(precision, largest, how.samples))
            found, stop = _sample(spins, method, how, (*problem.key, 1), Start({"spins": stop}))
            spent += how.samples
    quality = certificate(found, how.r_hat)
    _judge(method.name, quality.r_hat, how)
    return Solution(
        expectations=averages(found, spins.observables),
        response=None
        if spins.perturbation is None
        else covariances(found, spins.observables, -1.0 / method.temperatures[0]),
        energies=found.series[:, 0].mean(axis=(1, 2)),
        certificate=quality,
        start=Start({"spins": stop}),
        shots=spins.rows * how.chains * spent,
        series=found.series,
    )


def _sample(
    problem: SpinProblem, method: Method, how: Chains, key: tuple[int, ...], start: Start | None
) -> tuple[ChainSums, SpinArray]:
    """Runs all chains and adds up what they show; also where they stopped, (rows, chains, rungs, n_sites)."""
    rungs, rows = len(method.temperatures), problem.rows
    members = min(max(1, BLOCK // rungs), how.chains)
    blocks = -(-how.chains // members)  # the last one may hold more chains than are wanted
    keys = _keys(key, rows, blocks, rungs * members)
    spins = _first(problem, keys, method, start, members, how.chains)
    active = np.any(problem.coefficients != 0, axis=0)
    structure = structure_of(problem.holds, active)
    tables, graph, colours = tuple(structure.tables), tuple(structure.graph), structure.blocks
    order = colours if method.blocks else np.arange(problem.n_sites)
    inverse = 1.0 / np.array(method.temperatures)
    push = problem.perturbation
    tracked = np.tile(problem.observables[:1], (rows, 1)) if push is None else push
    sums = np.zeros((rows, len(problem.holds), how.chains))
    joint = np.zeros((0 if push is None else rows, len(problem.holds), how.chains))
    series = np.zeros((rows, 2, how.samples, how.chains))
    variates, common = None, common_sites(problem.holds, np.any(tracked != 0, axis=0) & how.variates)
    if how.variates:
        variates = SpinVariates(np.zeros_like(sums), np.zeros_like(joint), np.zeros((rows, how.chains)))
    per_sample = rows * problem.n_sites * blocks * members
    segment = max(1, min(how.samples, _BYTES // max(1, per_sample)))
    with announced(run_chains, rungs > 1):
        for taken in range(0, how.samples, segment):
            count = min(segment, how.samples - taken)
            burn = how.burn_in if taken == 0 else 0
            done = 0 if taken == 0 else how.burn_in + taken * how.thin
            draws = np.empty((rows, count, problem.n_sites, blocks * members), dtype=np.int8)
            schedule = np.array([burn, count, how.thin, done])

            def move(begin: int, end: int, draws: SpinArray = draws, schedule: IntArray = schedule) -> None:
                chosen = (graph, tables, order, problem.coefficients, inverse, keys, method.kind, schedule)
                run_chains(*chosen, spins, draws, begin, end)

            _share(move, rows * blocks)
            kept = np.ascontiguousarray(draws[..., : how.chains])
            part = np.zeros((rows, 2, count, how.chains))

            def add(begin: int, end: int, kept: SpinArray = kept, part: FloatArray = part) -> None:
                sum_up(tables, problem.coefficients, tracked, kept, sums, joint, part, begin, end)

            _share(add, rows)
            if variates is not None:

                def move_on(begin: int, end: int, kept: SpinArray = kept, into: SpinVariates = variates) -> None:
                    energies = (problem.coefficients, tracked, inverse[0])
                    sums_of = (into.plain, into.joint, into.pushed)
                    sum_variates(graph, tables, common, *energies, kept, *sums_of, begin, end)

                with announced(sum_variates):
                    _share(move_on, rows)
            series[:, :, taken : taken + count] = part
    stop = spins.reshape(rows, blocks, problem.n_sites, rungs, members).transpose(0, 1, 4, 3, 2)
    stop = np.ascontiguousarray(stop.reshape(rows, blocks * members, rungs, problem.n_sites)[:, : how.chains])
    quiet = None if variates is None else variates.per_sample(how.samples)
    return ChainSums(how.samples, sums, None if push is None else joint, series, quiet), stop


def _first(
    problem: SpinProblem, keys: NDArray[np.uint64], method: Method, start: Start | None, members: int, chains: int
) -> SpinArray:
    """Where the chains start, (rows, blocks, n_sites, lanes): random spins, or where chains like these stopped."""
    rows, blocks, lanes = keys.shape
    rungs = len(method.temperatures)
    spins = np.empty((rows * blocks, problem.n_sites, lanes), dtype=np.int8)
    first_spins(keys.reshape(-1, lanes), spins)
    spins = spins.reshape(rows, blocks, problem.n_sites, lanes)
    known = None if start is None else start.arrays.get("spins")
    if known is not None and known.shape == (rows, chains, rungs, problem.n_sites):
        padded = np.resize(np.arange(chains), blocks * members)  # the last block repeats the first chains
        whole = known[:, padded].reshape(rows, blocks, members, rungs, problem.n_sites)
        spins = whole.transpose(0, 1, 4, 3, 2).reshape(rows, blocks, problem.n_sites, lanes)
    return np.ascontiguousarray(spins)


def _keys(key: tuple[int, ...], rows: int, blocks: int, lanes: int) -> NDArray[np.uint64]:
    """An odd number for every chain; fresh ones without a key."""
    streams = np.random.SeedSequence(key or None).spawn(rows)
    drawn = [stream.generate_state(blocks * lanes, np.uint64) for stream in streams]
    return np.array(drawn, dtype=np.uint64).reshape(rows, blocks, lanes) | np.uint64(1)


def _share(work: Callable[[int, int], None], count: int) -> None:
    """Runs ``work(begin, end)`` on all threads, each on a part of ``count`` tasks that are as long as each other."""
    ranks = min(get_threads(), count)
    cuts = [count * rank // ranks for rank in range(ranks + 1)] if ranks else [0]
    run([lambda begin=begin, end=end: work(begin, end) for begin, end in pairwise(cuts)])


def _largest_error(problem: SpinProblem, found: ChainSums) -> float:
    used = np.eye(problem.observables.shape[1])[np.any(problem.observables != 0, axis=0)]
    return float(np.max(averages(found, used).std_errors, initial=0.0))


def _samples_for(precision: float, largest: float, samples: int) -> int:
    """How many samples of a chain bring the largest error of a string down to the precision."""
    needed = samples * (largest / precision) ** 2
    if needed > _MOST_SAMPLES:
        raise ValueError(
            f"A `precision` of {precision:.1e} would take {needed:.0f} samples of each chain, more than "
            f"{_MOST_SAMPLES}; {samples} give {largest:.1e}."
        )
    return ceil(needed)


def _judge(name: str, spread: FloatArray | None, how: Chains) -> None:
    assert spread is not None
    wrong = np.flatnonzero(spread >= how.r_hat)
    if len(wrong):
        warnings.warn(
            f"Solver {name}: in {len(wrong)} of {len(spread)} states the chains do not agree yet (R-hat up to "
            f"{np.max(spread[wrong]):.2f}, wanted below {how.r_hat}). Raise `burn_in` and `samples`, or use "
            "Tempering.",
            PhysicsWarning,
            stacklevel=5,
        )
