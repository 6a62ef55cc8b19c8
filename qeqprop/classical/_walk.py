"""How Langevin chains move: where all of them are, one step of each, and what partial integration says of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from qeqprop.classical.landscape import ContinuousEquilibria, Landscape
from qeqprop.counts import stream
from qeqprop.interfaces import FloatArray, Start


class Moving(Protocol):
    """What `langevin.Langevin` says of its moves."""

    @property
    def temperature(self) -> float: ...

    @property
    def method(self) -> Literal["adjusted", "overdamped", "underdamped"]: ...

    @property
    def step(self) -> float: ...

    @property
    def friction(self) -> float: ...

    @property
    def chains(self) -> int: ...


@dataclass(eq=False)
class Walk:
    """Where all chains are; rows times chains, chains innermost.

    Attributes:
        landscape: the energies, one for each chain.
        rows: how many states are sampled.
        random: the stream of all kicks.
        s, p, kick: (rows * chains, n) positions, momenta, and the last kick.
        energy: (rows * chains,), which only adjusted chains keep up to date; its gradient.
        length: (rows * chains,) the step.
        accepted: (rows * chains,) whether the last move was.
    """

    landscape: Landscape
    rows: int
    random: np.random.Generator
    s: FloatArray
    p: FloatArray
    kick: FloatArray
    length: FloatArray

    def __post_init__(self) -> None:
        self.energy: FloatArray = self.landscape.energy(self.s)
        self.gradient: FloatArray = self.landscape.gradient(self.s)
        self.accepted = np.ones(len(self.s), dtype=np.bool_)

    def start(self) -> Start:
        """For a nearby call."""
        chains = len(self.s) // self.rows
        arrays = {name: getattr(self, name).reshape(self.rows, chains, -1) for name in ("s", "p", "kick")}
        return Start(arrays | {"length": self.length.reshape(self.rows, chains)})

    def move(self, how: Moving) -> None:
        """One step of every chain."""
        {"adjusted": self._adjusted, "overdamped": self._overdamped, "underdamped": self._underdamped}[how.method](how)

    def _adjusted(self, how: Moving) -> None:
        T, h = how.temperature, self.length[:, None]
        here = self.s - h * _held(self.gradient, T, h)
        there = here + np.sqrt(2 * T * h) * self.random.normal(size=self.s.shape)
        energy, gradient = self.landscape.energy(there), self.landscape.gradient(there)
        forth = np.sum((there - here) ** 2, axis=1)
        back = np.sum((self.s - there + h * _held(gradient, T, h)) ** 2, axis=1)
        exponent = (self.energy - energy) / T + (forth - back) / (4 * T * self.length)
        self.accepted = np.log(self.random.random(len(self.s))) < exponent
        took = self.accepted[:, None]
        self.s, self.gradient = np.where(took, there, self.s), np.where(took, gradient, self.gradient)
        self.energy = np.where(self.accepted, energy, self.energy)

    def _overdamped(self, how: Moving) -> None:
        kick = self.random.normal(size=self.s.shape)
        h = self.length[:, None]
        self.s = self.s - h * self.gradient + np.sqrt(2 * how.temperature * h) * (self.kick + kick) / 2
        self.kick = kick
        self.gradient = self.landscape.gradient(self.s)

    def _underdamped(self, how: Moving) -> None:
        h = self.length[:, None]
        kept = np.exp(-how.friction * h)
        p, s = self.p - h / 2 * self.gradient, self.s
        s = s + h / 2 * p
        p = kept * p + np.sqrt(how.temperature * (1 - kept**2)) * self.random.normal(size=s.shape)
        self.s = s + h / 2 * p
        self.gradient = self.landscape.gradient(self.s)
        self.p = p - h / 2 * self.gradient


def add_variates(
    quiet: FloatArray, walk: Walk, problem: ContinuousEquilibria, temperature: float, cost: FloatArray | None
) -> None:
    """Adds ``f dE/ds_i - T df/ds_i`` for f = 1, s_i and C to the three parts (rows * chains, n)."""
    model, gradient = walk.landscape.model, walk.gradient
    quiet[0] += gradient
    if model.period is None:
        quiet[1] += (walk.s - model.rest) * gradient - temperature
    if cost is not None:
        quiet[2] += cost[:, None] * gradient - temperature * problem.cost_gradient(walk.s)


def _held(gradient: FloatArray, temperature: float, step: FloatArray) -> FloatArray:
    """The gradient, no longer than drifts at most twice as far as a kick goes: so chains find back from far outside."""
    longest = np.sqrt(8 * gradient.shape[1] * temperature / step)
    return gradient * np.minimum(1.0, longest / np.maximum(np.linalg.norm(gradient, axis=1, keepdims=True), 1e-300))


def begin(landscape: Landscape, how: Moving, rows: int, key: tuple[int, ...], start: Start | None) -> Walk:
    """Chains about the resting place as far as the temperature throws them, or where chains like these stopped."""
    random = np.random.default_rng(stream(key, 3) if key else None)
    n = landscape.model.n_variables
    shape = (rows * how.chains, n)
    heat = np.sqrt(how.temperature)
    s = landscape.model.rest + heat * random.normal(size=shape)
    p, kick = heat * random.normal(size=shape), random.normal(size=shape)
    length = np.full(len(s), how.step)
    known = {} if start is None else start.arrays
    if "kick" in known and known["s"].shape == (rows, how.chains, n):
        s, p, kick = (known[name].reshape(shape) for name in ("s", "p", "kick"))
        length = known["length"].reshape(-1)
    return Walk(landscape, rows, random, s, p, kick, length.copy())
