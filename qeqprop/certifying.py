"""What is known about prepared states: how far they are from an eigenstate, and from which."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qeqprop.engine.eigen import Spectrum, dense_spectrum, lowest_spectrum
from qeqprop.engine.levels import gaps
from qeqprop.engine.paulis import PauliTable
from qeqprop.interfaces import Certificate, ComplexArray, FloatArray, IntArray, PauliSums

_DENSE_SITES = 5  # below, full diagonalisation is as fast
_SAME = 1e-9  # levels closer than this, relative to the sum of absolute coefficients, count as one
_TINY = np.finfo(np.float64).tiny


class Certified(NamedTuple):
    """Energies (batch,) of prepared states with their certificate; nan where the states are not known."""

    energies: FloatArray
    certificate: Certificate


def certify(
    hamiltonians: PauliSums,
    states: ComplexArray | None,
    *,
    level: int,
    tolerance: float,
    diagonal_sites: int,
    origin: ComplexArray | None = None,
) -> Certified:
    """Judges states by ``sigma = sqrt(<H^2> - <H>^2)``, and by the exact levels of small networks.

    A state with the weight w in a level that is ``gap`` away from all others has ``1 - w <= (sigma / gap)^2`` if its
    energy is that of the level; a state counts as converged if ``sigma <= tolerance * gap`` and most of it is in the
    level asked for. Where the gap is not known, the width of the spectrum ``sqrt(sum c^2)`` stands in for it.

    Args:
        hamiltonians: (batch,).
        states: (batch, dim), or None where they are not known: then everything is nan, and not converged.
        level: the level asked for.
        tolerance: see above.
        diagonal_sites: the largest network whose lowest levels are computed.
        origin: (batch, dim) the states that these were followed from.
    """
    batch = len(hamiltonians)
    unknown = np.full(batch, np.nan)
    none, asked = np.zeros(batch, dtype=np.int64), np.full(batch, level)
    if states is None:
        return Certified(unknown, Certificate.of(np.zeros(batch, dtype=np.bool_), level=asked))
    coefficients = np.real(hamiltonians.coefficients)
    energies, residual = _moments(hamiltonians, states)
    overlap = unknown if origin is None else np.abs(np.sum(origin.conj() * states, axis=1)) ** 2
    if hamiltonians.num_sites <= diagonal_sites:
        spacings = _SAME * np.maximum(np.sum(np.abs(coefficients), axis=1), _TINY)
        spectrum = _lowest(hamiltonians, level)
        nearest, reached = _reached(spectrum, states, level, spacings)
        below, above, degeneracy = gaps(spectrum, nearest[:, None], spacings)
        if not spectrum.complete:
            above = np.where(np.isfinite(above), above, np.nan)  # the next distinct level was not looked for
    else:
        below, above, degeneracy, reached = unknown, unknown, none, asked
    room = np.fmin(below, above)
    width = np.sqrt(np.sum(coefficients**2, axis=1))
    room = np.where(np.isfinite(room), room, width)
    certificate = Certificate(
        residual=residual,
        gap_below=below,
        gap_above=above,
        degeneracy=degeneracy,
        level=reached,
        overlap=overlap,
        nudge_coupling=unknown,
        trainable_coupling=unknown,
        converged=(residual <= tolerance * room) & (reached == level),
    )
    return Certified(energies, certificate)


def _moments(hamiltonians: PauliSums, states: ComplexArray) -> tuple[FloatArray, FloatArray]:
    """``<H>`` and ``||H psi - <H> psi||``, (batch,) each."""
    table = PauliTable.of(hamiltonians.strings)
    applied = table.apply(table.diagonals(np.real(hamiltonians.coefficients)), states)
    energies = np.real(np.sum(states.conj() * applied, axis=1))
    return energies, np.linalg.norm(applied - energies[:, None] * states, axis=1)


def _lowest(hamiltonians: PauliSums, level: int) -> Spectrum:
    """The levels up to the one asked for and two above."""
    table, coefficients = PauliTable.of(hamiltonians.strings), np.real(hamiltonians.coefficients)
    n_states = level + 3
    if table.num_sites <= _DENSE_SITES or 4 * n_states > table.dim:
        return dense_spectrum(table, coefficients)
    goals = 1e-6 * np.maximum(np.sum(np.abs(coefficients), axis=1), _TINY)
    return lowest_spectrum(table, coefficients, n_states, n_accurate=level + 2, goals=goals)


def _reached(spectrum: Spectrum, states: ComplexArray, level: int, spacings: FloatArray) -> tuple[IntArray, IntArray]:
    """The known level that holds most of each state, and the same with the first unknown one where none holds half.

    It is the level asked for if that is degenerate with it.
    """
    shares = np.abs(np.einsum("bnd,bd->bn", spectrum.vectors.conj(), states)) ** 2
    best = np.argmax(shares, axis=1)
    rows = np.arange(len(best))
    same = np.abs(spectrum.energies[rows, best] - spectrum.energies[:, level]) <= spacings
    nearest = np.where(same, level, best)
    lost = np.sum(shares, axis=1) < 0.5
    return nearest, np.where(lost, spectrum.energies.shape[1], nearest)
