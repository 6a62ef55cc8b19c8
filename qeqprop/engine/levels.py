"""Which eigenstates make up a level, how a state is followed under a nudge, and how well the level stands alone."""

from __future__ import annotations

import numpy as np

from qeqprop.engine.eigen import Spectrum
from qeqprop.engine.paulis import PauliTable
from qeqprop.interfaces import BoolArray, FloatArray, IntArray, NumberArray

_NEIGHBOURS = 4  # how many of the nearest states a certificate looks at


def multiplet(energies: FloatArray, level: int, tolerance: float) -> IntArray:
    """Indices of all states within a chain of spacings below ``tolerance`` around ``level``; energies (n_states,)."""
    first = last = level
    while first > 0 and energies[first] - energies[first - 1] <= tolerance:
        first -= 1
    while last + 1 < len(energies) and energies[last + 1] - energies[last] <= tolerance:
        last += 1
    return np.arange(first, last + 1)


def choose(spectrum: Spectrum, level: int, tolerances: FloatArray, average: bool) -> list[IntArray]:
    """The member states of ``level`` in every sample: the level's own index, or its whole multiplet."""
    if not average:
        return [np.array([level])] * len(spectrum.energies)
    return [multiplet(row, level, tolerance) for row, tolerance in zip(spectrum.energies, tolerances, strict=True)]


def follow(
    spectrum: Spectrum, level: int, tolerances: FloatArray, states: NumberArray, weights: FloatArray
) -> list[IntArray]:
    """The member states that continue the given ones.

    One state continues in the level of its index while that level holds at least half of it, else in the level that
    does; a projector on g states continues in the g states with the largest weight. Without any majority the index
    decides.

    Args:
        spectrum: of the new Hamiltonians.
        level: the index asked for.
        tolerances: (batch,) spacing below which levels are one.
        states: (batch, g, dim) where the states came from.
        weights: (batch, g) zero for padding.
    """
    members: list[IntArray] = []
    for sample, (energies, vectors) in enumerate(zip(spectrum.energies, spectrum.vectors, strict=True)):
        origin = states[sample][weights[sample] > 0]
        shares = np.sum(np.abs(vectors.conj() @ origin.T) ** 2, axis=1)  # (n_states,), at most 1 each
        if len(origin) == 1:
            home = multiplet(energies, level, tolerances[sample])
            if np.sum(shares[home]) < 0.5:
                away = multiplet(energies, int(np.argmax(shares)), tolerances[sample])
                home = away if np.sum(shares[away]) > 0.5 else home
            chosen = home[[int(np.argmax(shares[home]))]]
        else:
            best = np.sort(np.argsort(-shares, kind="stable")[: len(origin)])
            own = multiplet(energies, level, tolerances[sample])
            chosen = best if np.sum(shares[best]) > 0.5 * len(origin) or len(own) != len(origin) else own
        members.append(chosen)
    return members


def overlaps(spectrum: Spectrum, members: list[IntArray], states: NumberArray, weights: FloatArray) -> FloatArray:
    """How much of the given states the members hold, from 0 to 1, (batch,); arguments as for `follow`."""
    result = np.empty(len(members))
    for sample, chosen in enumerate(members):
        origin = states[sample][weights[sample] > 0]
        result[sample] = np.sum(np.abs(spectrum.vectors[sample, chosen].conj() @ origin.T) ** 2) / len(origin)
    return result


def padded(spectrum: Spectrum, members: list[IntArray]) -> tuple[NumberArray, FloatArray, FloatArray]:
    """Member states (batch, g, dim), equal weights and energies (batch, g), padded with zeros to the largest g."""
    width = max(len(chosen) for chosen in members)
    states = np.zeros((len(members), width, spectrum.vectors.shape[-1]), dtype=spectrum.vectors.dtype)
    weights, energies = np.zeros((len(members), width)), np.zeros((len(members), width))
    for sample, chosen in enumerate(members):
        states[sample, : len(chosen)] = spectrum.vectors[sample, chosen]
        weights[sample, : len(chosen)] = 1.0 / len(chosen)
        energies[sample, : len(chosen)] = spectrum.energies[sample, chosen]
    return states, weights, energies


def membership(spectrum: Spectrum, members: list[IntArray]) -> BoolArray:
    """Which states are members, (batch, n_states)."""
    result = np.zeros(spectrum.energies.shape, dtype=np.bool_)
    for row, chosen in zip(result, members, strict=True):
        row[chosen] = True
    return result


def gaps(
    spectrum: Spectrum, members: list[IntArray], tolerances: FloatArray
) -> tuple[FloatArray, FloatArray, IntArray]:
    """Distances (batch,) to the next distinct level below and above, and the degeneracy of the level."""
    energies, member = spectrum.energies, membership(spectrum, members)
    rows, positions = np.arange(len(energies)), np.arange(energies.shape[1])
    first, last = member.argmax(axis=1), positions[-1] - member[:, ::-1].argmax(axis=1)
    jumps = np.diff(energies, axis=1, prepend=energies[:, :1]) > tolerances[:, None]
    level = np.cumsum(jumps, axis=1)  # number of the level each state belongs to
    own = level == level[rows, first][:, None]
    end = np.maximum(positions[-1] - own[:, ::-1].argmax(axis=1), last)
    lower = (positions < own.argmax(axis=1)[:, None]) & ~member
    upper = (positions > end[:, None]) & ~member
    below = energies[rows, first] - np.max(np.where(lower, energies, -np.inf), axis=1)
    above = np.min(np.where(upper, energies, np.inf), axis=1) - energies[rows, last]
    return below, above, np.maximum(own.sum(axis=1), member.sum(axis=1))


def couplings(table: PauliTable, spectrum: Spectrum, members: list[IntArray], operators: FloatArray) -> FloatArray:
    """Largest ``|<m|operator|n>|`` between the first member n and its nearest non-members m, (batch,).

    Args:
        table: the strings.
        spectrum: eigenstates.
        members: indices of the member states of each sample.
        operators: (batch or 1, n_operators, n_strings) coefficients.
    """
    energies, member = spectrum.energies, membership(spectrum, members)
    rows, first = np.arange(len(energies)), member.argmax(axis=1)
    distance = np.where(member, np.inf, np.abs(energies - energies[rows, first][:, None]))
    nearest = np.argsort(distance, axis=1, kind="stable")[:, :_NEIGHBOURS]
    reachable = np.isfinite(np.take_along_axis(distance, nearest, axis=1))
    elements = table.elements(spectrum.vectors[rows[:, None], nearest], spectrum.vectors[rows, first][:, None])
    values = np.abs(elements @ np.swapaxes(operators, 1, 2))  # (batch, n_nearest, n_operators)
    return np.max(np.where(reachable[:, :, None], values, 0.0), axis=(1, 2), initial=0.0)


def splits(
    table: PauliTable, spectrum: Spectrum, members: list[IntArray], operators: FloatArray, tolerances: FloatArray
) -> BoolArray:
    """Whether some operator is not a multiple of one within the level of the (single) member state, (batch,).

    Where it is not, the answer depends on which state of the level was taken.
    """
    result = np.zeros(len(members), dtype=np.bool_)
    for sample, (energies, vectors, chosen) in enumerate(
        zip(spectrum.energies, spectrum.vectors, members, strict=True)
    ):
        level = multiplet(energies, int(chosen[0]), tolerances[sample])
        if len(level) == len(chosen):
            continue
        basis = vectors[level]
        elements = table.elements(basis[:, None], basis[None, :])  # (g, g, n_strings)
        rows = operators[sample % len(operators)]
        blocks = np.einsum("abs,os->oab", elements, rows)
        mean = np.einsum("oaa->o", blocks) / len(level)
        deviation = np.abs(blocks - mean[:, None, None] * np.eye(len(level)))
        result[sample] = bool(np.any(deviation > 1e-7 * np.maximum(1.0, np.sum(np.abs(rows), axis=1))[:, None, None]))
    return result
