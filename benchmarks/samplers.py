"""Samplers of Ising spins, in nanoseconds per spin update: this package beside a loop, numpy and dimod's ecosystem.

Two energies: the square lattice at T = 2, from the ordered state, and a dense random glass at T = 1. Every side makes
sweeps of single-spin updates at one temperature; each must find the known energy per site of the lattice (Onsager) or
the energy that ours finds for the glass, to a few parts in a hundred, or the run stops. What counts is an update of one
spin of one chain, accepted or not, with the measurement of a sample every tenth sweep on our side.

The simulated annealer of dwave-samplers is asked for sweeps at one temperature. It keeps spins that cannot flip without
drawing a number, and runs its reads one after the other; ours are side by side. The numpy script updates the two
colours of the lattice in turn, for all chains at once, which is what a user vectorises; it knows the lattice only.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from measure import Row, interleaved, row
from scipy.special import ellipk

from qeqprop.classical.chains import Gibbs, Metropolis
from qeqprop.classical.ising import layered_ising, square_lattice
from qeqprop.interfaces import Equilibria, FloatArray, Network, PauliSums, Start

AGREEMENT = 0.03
SAMPLES, THIN = 10, 10


def rows(*, threads: int = 1, quick: bool = False) -> Iterator[Row]:
    """The lattice and the glass; ``quick`` takes smaller ones."""
    yield from lattice(16 if quick else 64, chains=64 * threads)
    yield from glass(32 if quick else 128, chains=128 * threads)


def lattice(length: int, chains: int) -> Iterator[Row]:
    network, temperature = square_lattice(length=length), 2.0
    sites, sweeps = length**2, SAMPLES * THIN
    grid = np.arange(sites).reshape(length, length)
    couplings: dict[tuple[int, int], float] = {}
    for neighbour in (np.roll(grid, -1, axis=0), np.roll(grid, -1, axis=1)):
        for k, m in zip(grid.flat, neighbour.flat, strict=True):
            couplings[int(k), int(m)] = -1.0
    wanted = onsager_energy(temperature)
    case = f"square lattice {length} x {length}, T = {temperature:g}"
    ours = [
        kind(temperature, chains=chains, samples=SAMPLES, burn_in=0, thin=THIN, r_hat=100.0)
        for kind in (Gibbs, Metropolis)
    ]
    mine = {
        **{type(sampler).__name__: _solve(sampler, network, np.ones(1), chains) for sampler in ours},
        "numpy": lambda: checkerboard(length, temperature, chains, sweeps),
    }
    yield from _compare(case, mine, couplings, sites, temperature, chains, wanted, sweeps)


def glass(sites: int, chains: int) -> Iterator[Row]:
    """Two layers of spins, every one coupled to all of the other layer."""
    network, temperature, sweeps = layered_ising(n_inputs=1, hidden=(sites // 2,), n_outputs=sites // 2), 1.0, 200
    theta = np.random.default_rng(sites).normal(size=network.n_trainable) / math.sqrt(sites)
    coefficients = network.hamiltonians(theta, np.zeros((1, 1))).coefficients[0]
    couplings = {
        (int(np.flatnonzero(held)[0]), int(np.flatnonzero(held)[1])): float(c)
        for held, c in zip(np.asarray(network.strings.z), coefficients, strict=True)
        if np.sum(held) == 2
    }
    fields = coefficients[: network.num_sites]
    sampler = Gibbs(temperature, chains=chains, samples=20, burn_in=0, thin=THIN, r_hat=100.0)
    mine = {"Gibbs": _solve(sampler, network, theta, chains)}
    case = f"two layers, {sites // 2} + {sites // 2} spins, all coupled, T = {temperature:g}"
    yield from _compare(case, mine, couplings, sites, temperature, chains, None, sweeps, fields)


def _compare(
    case: str,
    mine: dict[str, Callable[[], float]],
    couplings: dict[tuple[int, int], float],
    sites: int,
    temperature: float,
    chains: int,
    wanted: float | None,
    sweeps: int,
    fields: FloatArray | None = None,
) -> Iterator[Row]:
    fields = np.zeros(sites) if fields is None else fields
    sides = dict(mine)
    if importlib.util.find_spec("dwave") is not None:
        sides["dwave-samplers"] = annealer(couplings, fields, temperature, chains, sweeps)
    else:
        print("skipped: dwave-samplers, which is not installed", flush=True)
    few = max(1, 100_000 // sites)
    sides["Python loop"] = python_loop(couplings, fields, temperature, few)
    timed = interleaved(sides, budget=10.0)
    wanted = timed["Gibbs"].answer / sites if wanted is None else wanted
    for name, timing in timed.items():
        if name != "Python loop" and abs(timing.answer / sites - wanted) > AGREEMENT * abs(wanted):
            raise ValueError(f"{name} finds the energy {timing.answer / sites:.4f} per site, not {wanted:.4f}: {case}.")
    updates = dict.fromkeys(timed, sites * chains * sweeps) | {"Python loop": sites * few}
    cost = {name: timing.median / updates[name] * 1e9 for name, timing in timed.items()}
    for ours in ("Gibbs", "Metropolis"):
        for peer, required in (("Python loop", 100.0), ("dwave-samplers", 1.0), ("numpy", None)):
            if ours in cost and peer in cost:
                yield row(
                    f"{case}, {chains} chains",
                    ours=ours,
                    value=cost[ours],
                    peer=peer if peer != "numpy" else "numpy, checkerboard",
                    peer_value=cost[peer],
                    required=required,
                    unit="ns per update",
                    repeats=timed[ours].repeats,
                    note=f"{1e3 / cost[ours]:.0f} million updates a second",
                    sites=sites,
                )


def onsager_energy(temperature: float) -> float:
    """Energy per site of the infinite lattice."""
    ratio = np.tanh(2 / temperature)
    k = 2 * np.sinh(2 / temperature) / np.cosh(2 / temperature) ** 2
    return float(-1 / ratio * (1 + 2 / np.pi * (2 * ratio**2 - 1) * ellipk(k**2)))


def _solve(solver: Gibbs | Metropolis, network: Network, theta: FloatArray, chains: int) -> Callable[[], float]:
    """The mean energy from chains that start with all spins up, as the other sides' do."""
    problem = Equilibria(
        network.hamiltonians(theta, np.zeros((1, network.n_inputs))),
        PauliSums(network.strings, network.outputs),
        start=Start({"spins": np.ones((1, chains, 1, network.num_sites), dtype=np.int8)}),
        key=(1,),
    )
    return lambda: float(solver.solve(problem).energies[0])


# --- the others ---------------------------------------------------------------------------------------------------


def python_loop(
    couplings: dict[tuple[int, int], float], fields: FloatArray, temperature: float, sweeps: int
) -> Callable[[], float]:
    """One chain, one spin after the other, as a textbook has it; the lists of neighbours are made before."""
    import random

    random.seed(1)
    neighbours: list[list[tuple[int, float]]] = [[] for _ in fields]
    for (k, m), c in couplings.items():
        neighbours[k].append((m, c))
        neighbours[m].append((k, c))
    h = fields.tolist()

    def run() -> float:
        spins = [1] * len(h)
        for _ in range(sweeps):
            for k in range(len(spins)):
                field = h[k]
                for m, c in neighbours[k]:
                    field += c * spins[m]
                change = -2 * spins[k] * field
                if change <= 0 or random.random() < math.exp(-change / temperature):
                    spins[k] = -spins[k]
        energy = sum(c * spins[k] * spins[m] for (k, m), c in couplings.items())
        return energy + sum(a * s for a, s in zip(h, spins, strict=True))

    return run


def checkerboard(length: int, temperature: float, chains: int, sweeps: int) -> float:
    """Metropolis in numpy on the periodic lattice, one colour of all chains at once; the mean energy at the end."""
    random = np.random.default_rng(1)
    spins = np.ones((chains, length, length), dtype=np.int8)
    colour = np.add.outer(np.arange(length), np.arange(length)) % 2
    accept = np.exp(np.minimum(0.0, -2.0 * np.arange(-4, 5) / temperature))
    found = []
    for sweep in range(sweeps):
        for parity in (0, 1):
            field = np.roll(spins, 1, 1) + np.roll(spins, -1, 1) + np.roll(spins, 1, 2) + np.roll(spins, -1, 2)
            flip = (random.random(spins.shape, dtype=np.float32) < accept[spins * field + 4]) & (colour == parity)
            spins = np.where(flip, -spins, spins)
        if sweep % THIN == THIN - 1:
            bonds = spins * (np.roll(spins, 1, 1) + np.roll(spins, 1, 2))
            found.append(-np.sum(bonds, dtype=np.int64) / chains)
    return float(np.mean(found[len(found) // 2 :]))


def annealer(
    couplings: dict[tuple[int, int], float], fields: FloatArray, temperature: float, chains: int, sweeps: int
) -> Callable[[], float]:
    """dwave-samplers' `SimulatedAnnealingSampler`, its energy built before, all sweeps at one temperature."""
    import dimod
    from dwave.samplers import SimulatedAnnealingSampler

    model = dimod.BinaryQuadraticModel.from_ising(dict(enumerate(fields.tolist())), couplings)
    settings: dict[str, Any] = {
        "num_reads": chains,
        "beta_schedule_type": "custom",
        "beta_schedule": [1 / temperature],
        "num_sweeps_per_beta": sweeps,
        "initial_states": np.ones((1, len(fields)), dtype=np.int8),
        "initial_states_generator": "tile",
        "seed": 1,
    }
    sampler = SimulatedAnnealingSampler()
    return lambda: float(np.mean(sampler.sample(model, **settings).record.energy))


if __name__ == "__main__":
    from measure import show

    show(list(rows(quick=True)))
