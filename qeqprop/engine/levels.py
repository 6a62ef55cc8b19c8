"""Which eigenstates make up a level, how a state is followed under a nudge, and how well the level stands alone."""

from __future__ import annotations

import numpy as np

from qeqprop.engine.eigen import Spectrum, string_elements
from qeqprop.engine.paulis import PauliTable
from qeqprop.interfaces import BoolArray, FloatArray, IntArray, NumberArray

_NEIGHBOURS = 4  # how many of the nearest states a certificate looks at


def multiplet(energies: FloatArray, level: int, spacing: float) -> IntArray:
    """Indices of all states within a chain of distances up to ``spacing`` around ``level``; energies (n_states,)."""
    first = last = level
    while first > 0 and energies[first] - energies[first - 1] <= spacing:
        first -= 1
    while last + 1 < len(energies) and energies[last + 1] - energies[last] <= spacing:
        last += 1
    return np.arange(first, last + 1)


def level_numbers(energies: FloatArray, spacings: FloatArray) -> IntArray:
    """Which level each state belongs to, (batch, n_states), from 0: a step above ``spacings`` begins the next one."""
    numbers = np.zeros(energies.shape, dtype=np.int64)
    np.cumsum(energies[:, 1:] - energies[:, :-1] > spacings[:, None], axis=1, out=numbers[:, 1:])
    return numbers


def choose(spectrum: Spectrum, level: int, spacings: FloatArray, average: bool) -> tuple[IntArray, FloatArray]:
    """The member states (batch, g) of ``level`` and their weights: the level's own index, or its whole multiplet."""
    if not average:
        shape = (len(spectrum.energies), 1)
        return np.full(shape, level), np.ones(shape)
    return _table([multiplet(row, level, spacing) for row, spacing in zip(spectrum.energies, spacings, strict=True)])


def _table(members: list[IntArray]) -> tuple[IntArray, FloatArray]:
    """Lists of members as a table, padded with the first of each list at the weight zero."""
    width = max(len(chosen) for chosen in members)
    table = np.array([np.concatenate([chosen, np.full(width - len(chosen), chosen[0])]) for chosen in members])
    weights = np.zeros(table.shape)
    for row, chosen in zip(weights, members, strict=True):
        row[: len(chosen)] = 1.0 / len(chosen)
    return table, weights


def follow(
    spectrum: Spectrum, level: int, spacings: FloatArray, states: NumberArray, weights: FloatArray
) -> tuple[IntArray, FloatArray]:
    """The member states that continue the given ones, and their weights.

    One state continues in the level of its index while that level holds at least half of it, else in the level that
    does; a projector on g states continues in the g states with the largest weight. Without any majority the index
    decides.

    Args:
        spectrum: of the new Hamiltonians.
        level: the index asked for.
        spacings: (batch,) distance below which levels are one.
        states: (batch, g, dim) where the states came from.
        weights: (batch, g) zero for padding.
    """
    origins = weights > 0
    inner = spectrum.vectors.conj() @ np.swapaxes(states, 1, 2)
    held = (np.abs(inner) ** 2 * origins[:, None, :]).sum(axis=2)  # (batch, n_states), at most 1 each
    held[:, spectrum.n_accurate :] = 0.0
    numbers = level_numbers(spectrum.energies, spacings)
    if origins.shape[1] == 1 and (numbers[:, -1] == numbers.shape[1] - 1).all():  # no level is degenerate
        moved = (held[:, level] < 0.5) & (held.max(axis=1) > 0.5)
        return np.where(moved, held.argmax(axis=1), level)[:, None], np.ones((len(held), 1))
    members: list[IntArray] = []
    for number, shares, count in zip(numbers, held, origins.sum(axis=1), strict=True):
        home = np.flatnonzero(number == number[level])
        if count == 1:
            if np.sum(shares[home]) < 0.5:
                away = np.flatnonzero(number == number[np.argmax(shares)])
                home = away if np.sum(shares[away]) > 0.5 else home
            chosen = home[[int(np.argmax(shares[home]))]]
        else:
            best = np.sort(np.argsort(-shares, kind="stable")[:count])
            chosen = best if np.sum(shares[best]) > 0.5 * count or len(home) != count else home
        members.append(chosen)
    return _table(members)


def overlaps(
    spectrum: Spectrum, members: IntArray, weights: FloatArray, states: NumberArray, origin_weights: FloatArray
) -> FloatArray:
    """How much of the given states the members hold, from 0 to 1, (batch,); arguments as for `follow`."""
    inner = spectrum.vectors[places(members)].conj() @ np.swapaxes(states, 1, 2)
    there, before = weights > 0, origin_weights > 0
    shares = np.abs(inner) ** 2 * (there[:, :, None] & before[:, None, :])
    return shares.sum(axis=(1, 2)) / before.sum(axis=1)


def places(members: IntArray) -> tuple[IntArray, IntArray] | tuple[slice, slice]:
    """Index of the members, (batch, g, ...), in arrays (batch, n_states, ...); it copies nothing if it can."""
    first = int(members[0, 0])
    if members.shape[1] == 1 and (members == first).all():
        return slice(None), slice(first, first + 1)
    return np.arange(len(members))[:, None], members


def membership(spectrum: Spectrum, members: IntArray) -> BoolArray:
    """Which states are members, (batch, n_states)."""
    result = np.zeros(spectrum.energies.shape, dtype=np.bool_)
    result[np.arange(len(members))[:, None], members] = True
    return result


def gaps(spectrum: Spectrum, members: IntArray, spacings: FloatArray) -> tuple[FloatArray, FloatArray, IntArray]:
    """Distances (batch,) to the next distinct level below and above, and the degeneracy of the level."""
    energies = spectrum.energies
    steps = energies[:, 1:] - energies[:, :-1]
    jumps, rows = steps > spacings[:, None], np.arange(len(energies))
    if members.shape[1] == 1 and jumps.all():  # no level is degenerate
        around = np.full((len(energies), steps.shape[1] + 2), np.inf)
        around[:, 1:-1] = steps
        return around[rows, members[:, 0]], around[rows, members[:, 0] + 1], np.ones(len(energies), dtype=np.int64)
    member, positions = membership(spectrum, members), np.arange(energies.shape[1])
    first, last = member.argmax(axis=1), positions[-1] - member[:, ::-1].argmax(axis=1)
    level = level_numbers(energies, spacings)
    own = level == level[rows, first][:, None]
    end = np.maximum(positions[-1] - own[:, ::-1].argmax(axis=1), last)
    lower = (positions < own.argmax(axis=1)[:, None]) & ~member
    upper = (positions > end[:, None]) & ~member
    below = energies[rows, first] - np.max(np.where(lower, energies, -np.inf), axis=1)
    above = np.min(np.where(upper, energies, np.inf), axis=1) - energies[rows, last]
    return below, above, np.maximum(own.sum(axis=1), member.sum(axis=1))


def neighbour_elements(table: PauliTable, spectrum: Spectrum, members: IntArray) -> NumberArray:
    """``<m|P_s|n>`` from the first member n to the nearest non-members m, (batch, n, n_strings), zero where none."""
    if (found := elements_of(spectrum, members)) is not None and found.shape[1] <= _NEIGHBOURS + 1:
        own = spectrum.n_accurate - 1
        return np.concatenate([found[:, :own], found[:, own + 1 :]], axis=1)
    member = membership(spectrum, members)
    distance = np.abs(spectrum.energies - spectrum.energies[np.arange(len(members)), members[:, 0]][:, None])
    distance = np.where(member, np.inf, distance)
    count = min(_NEIGHBOURS, int(np.max(np.sum(~member, axis=1))))
    nearest = np.argsort(distance, axis=1, kind="stable")[:, :count]
    there = np.isfinite(np.take_along_axis(distance, nearest, axis=1))
    values = [string_elements(table, spectrum.vectors, m, spectrum.vectors, members[:, 0]) for m in nearest.T]
    return np.stack(values, axis=1) * there[:, :, None] if values else np.zeros((len(members), 0, len(table.z)))


def elements_of(spectrum: Spectrum, members: IntArray) -> NumberArray | None:
    """The elements that came with the spectrum, if its last accurate state is the only member of every sample."""
    alone = spectrum.elements is not None and members.shape[1] == 1 and (members == spectrum.n_accurate - 1).all()
    return spectrum.elements if alone else None


def couplings(elements: NumberArray, operators: FloatArray) -> FloatArray:
    """Largest ``|<m|operator|n>|`` of `neighbour_elements`, (batch,).

    Operators are (batch, n_operators, n_strings), or (1, n_operators, n_strings) for all samples.
    """
    batch, n, n_strings = elements.shape
    if len(operators) == 1:  # one product instead of many small ones
        values = (operators[0] @ elements.reshape(batch * n, n_strings).T).reshape(operators.shape[1], batch, n)
        return np.abs(values).max(axis=(0, 2), initial=0.0)
    return np.abs(elements @ np.swapaxes(operators, 1, 2)).max(axis=(1, 2), initial=0.0)


def splits(
    table: PauliTable, spectrum: Spectrum, members: IntArray, operators: FloatArray, spacings: FloatArray
) -> BoolArray:
    """Whether some operator is not a multiple of one within the level of the (single) member state, (batch,).

    Where it is not, the answer depends on which state of the level was taken.
    """
    result = np.zeros(len(members), dtype=np.bool_)
    for sample, (energies, vectors, chosen) in enumerate(
        zip(spectrum.energies, spectrum.vectors, members, strict=True)
    ):
        level = multiplet(energies, int(chosen[0]), spacings[sample])
        if len(level) == len(np.unique(chosen)):
            continue
        size = len(level)
        pairs = np.repeat(vectors[level][None], size * size, axis=0)  # all pairs of the level as one batch
        bra, ket = np.divmod(np.arange(size * size), size)
        elements = string_elements(table, pairs, bra, pairs, ket).reshape(size, size, -1)
        rows = operators[sample % len(operators)]
        blocks = np.einsum("abs,os->oab", elements, rows)
        mean = np.einsum("oaa->o", blocks) / size
        deviation = np.abs(blocks - mean[:, None, None] * np.eye(size))
        result[sample] = bool(np.any(deviation > 1e-7 * np.maximum(1.0, np.sum(np.abs(rows), axis=1))[:, None, None]))
    return result
