"""Equilibrium states of Pauli sums with their certificates: one level, a Gibbs state, a non-Hermitian eigenstate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qeqprop.engine.eigen import Spectrum, biorthogonal_spectrum
from qeqprop.engine.levels import choose, couplings, follow, gaps, multiplet, overlaps, padded, splits
from qeqprop.engine.paulis import PauliTable
from qeqprop.engine.response import eigenstate_response, gibbs_response
from qeqprop.interfaces import BoolArray, Certificate, ComplexArray, FloatArray, NumberArray, Start


@dataclass(frozen=True, eq=False)
class Equilibrium:
    """A batch of settled states, seen through the Pauli strings.

    Attributes:
        strings: (batch, n_strings) expectation of every Pauli string.
        response: (batch, n_strings) their derivatives along the perturbation, if one was given.
        energies: (batch,).
        certificate: arrays (batch,).
        start: arrays to go on from.
        crossed: (batch,) the level crossed another one on the way from the start: the state was followed to another
            index, or the state of the same index is a different one (overlap below one half).
        ambiguous: (batch,) an observable depends on which state of a degenerate level was taken.
        undefined: (batch,) the perturbation splits a degenerate level of which one state was taken.
    """

    strings: NumberArray
    response: FloatArray | None
    energies: FloatArray
    certificate: Certificate
    start: Start
    crossed: BoolArray
    ambiguous: BoolArray
    undefined: BoolArray


def settle_level(
    table: PauliTable,
    hamiltonians: FloatArray,
    spectrum: Spectrum,
    *,
    level: int,
    tolerances: FloatArray,
    average: bool,
    by_overlap: bool,
    observables: FloatArray,
    perturbations: FloatArray | None,
    start: Start | None,
) -> Equilibrium:
    """One level of every sample: the state of that index, or the one that continues the start's.

    Args:
        table: the strings.
        hamiltonians: (batch, n_strings).
        spectrum: lowest eigenpairs, at least one distinct level above ``level`` unless complete.
        level: index of the state.
        tolerances: (batch,) spacing below which levels are degenerate, and largest residual.
        average: take the projector on the whole degenerate level.
        by_overlap: with a start, take the state that continues it rather than the one of the same index.
        observables: (n_observables, n_strings), for the certificate.
        perturbations: (batch, n_strings) or None.
        start: with arrays "states" and "weights", or None.
    """
    members = choose(spectrum, level, tolerances, average)
    crossed = np.zeros(len(members), dtype=np.bool_)
    overlap = np.full(len(members), np.nan)
    if start is not None:
        origin, shares = start.arrays["states"], start.arrays["weights"]
        if by_overlap:
            members = follow(spectrum, level, tolerances, origin, shares)
        overlap = overlaps(spectrum, members, origin, shares)
        crossed = (overlap < 0.5) | np.array(
            [
                not np.any(np.isin(chosen, multiplet(row, level, tolerance)))
                for chosen, row, tolerance in zip(members, spectrum.energies, tolerances, strict=True)
            ]
        )
    states, weights, energies = padded(spectrum, members)
    below, above, degeneracy = gaps(spectrum, members, tolerances)
    nothing = np.zeros(len(members), dtype=np.bool_)
    ambiguous = undefined = nothing
    if np.any(degeneracy > [len(chosen) for chosen in members]):
        ambiguous = splits(table, spectrum, members, observables[None], tolerances)
        if perturbations is not None:
            undefined = splits(table, spectrum, members, perturbations[:, None], tolerances)
    residual = _residual(table, hamiltonians, states, energies)
    certificate = Certificate(
        residual=residual,
        gap_below=below,
        gap_above=above,
        degeneracy=degeneracy,
        level=np.array([chosen[0] for chosen in members]),
        overlap=overlap,
        nudge_coupling=np.full(len(members), np.nan)
        if perturbations is None
        else couplings(table, spectrum, members, perturbations[:, None]),
        trainable_coupling=couplings(table, spectrum, members, observables[None]),
        converged=residual <= tolerances,
    )
    return Equilibrium(
        strings=np.einsum("bg,bgs->bs", weights, np.real(table.elements(states, states))),
        response=None
        if perturbations is None
        else eigenstate_response(table, spectrum, members, hamiltonians, perturbations),
        energies=np.sum(weights * energies, axis=1),
        certificate=certificate,
        start=_start(hamiltonians, spectrum, states=states, weights=weights),
        crossed=crossed,
        ambiguous=ambiguous,
        undefined=undefined,
    )


def settle_gibbs(
    table: PauliTable,
    hamiltonians: FloatArray,
    spectrum: Spectrum,
    *,
    temperature: float,
    tolerances: FloatArray,
    perturbations: FloatArray | None,
) -> Equilibrium:
    """The Gibbs state ``exp(-H/T)/Z`` of every sample from its complete spectrum."""
    boltzmann = np.exp(-(spectrum.energies - spectrum.energies[:, :1]) / temperature)
    weights = boltzmann / np.sum(boltzmann, axis=1, keepdims=True)
    density = np.swapaxes(spectrum.vectors, 1, 2) @ (weights[:, :, None] * spectrum.vectors.conj())
    ground = choose(spectrum, 0, tolerances, average=True)
    _, above, degeneracy = gaps(spectrum, ground, tolerances)
    residual = _residual(table, hamiltonians, spectrum.vectors, spectrum.energies)
    unknown, nothing = np.full(len(weights), np.nan), np.zeros(len(weights), dtype=np.bool_)
    return Equilibrium(
        strings=np.real(table.traces(density)),
        response=None
        if perturbations is None
        else gibbs_response(table, spectrum, weights, temperature, perturbations),
        energies=np.sum(weights * spectrum.energies, axis=1),
        certificate=Certificate(
            residual=residual,
            gap_below=np.full(len(weights), np.inf),
            gap_above=above,
            degeneracy=degeneracy,
            level=np.zeros(len(weights), dtype=np.int64),
            overlap=unknown,
            nudge_coupling=unknown,
            trainable_coupling=unknown,
            converged=residual <= tolerances,
        ),
        start=_start(hamiltonians, spectrum, states=spectrum.vectors, weights=weights),
        crossed=nothing,
        ambiguous=nothing,
        undefined=nothing,
    )


def settle_biorthogonal(
    table: PauliTable, hamiltonians: ComplexArray, *, tolerances: FloatArray, start: Start
) -> Equilibrium:
    """The eigenstate of a non-Hermitian sum that continues the start, with ``<A> = <L|A|R> / <L|R>``.

    The start holds right "states" and, if it came from here, "left" ones; the follower has the largest
    ``|<L_0|R><L|R_0>|`` of all eigenstates.
    """
    right_0 = start.arrays["states"][:, 0]
    left_0 = start.arrays.get("left", start.arrays["states"])[:, 0]
    values, right, left = biorthogonal_spectrum(table, hamiltonians)
    shares = np.abs(np.einsum("bi,bki->bk", left_0.conj(), right) * np.einsum("bki,bi->bk", left.conj(), right_0))
    shares = shares / np.abs(np.einsum("bi,bi->b", left_0.conj(), right_0))[:, None]
    best = np.argmax(shares, axis=1)
    rows = np.arange(len(best))
    energy, ket, bra = values[rows, best], right[rows, best], left[rows, best]
    norm = np.einsum("bi,bi->b", bra.conj(), ket)[:, None]
    distance = np.abs(values - energy[:, None])
    distance[rows, best] = np.inf
    applied = table.apply(table.diagonals(hamiltonians), ket)
    residual = np.linalg.norm(applied - energy[:, None] * ket, axis=1)
    nearest, unknown = np.min(distance, axis=1), np.full(len(best), np.nan)
    nothing = np.zeros(len(best), dtype=np.bool_)
    return Equilibrium(
        strings=table.elements(bra, ket) / norm,
        response=None,
        energies=np.real(energy),
        certificate=Certificate(
            residual=residual,
            gap_below=nearest,
            gap_above=nearest,
            degeneracy=np.ones(len(best), dtype=np.int64),
            level=np.sum(np.real(values) < np.real(energy)[:, None], axis=1),
            overlap=shares[rows, best],
            nudge_coupling=unknown,
            trainable_coupling=unknown,
            converged=residual <= tolerances,
        ),
        start=Start({"coefficients": hamiltonians, "states": ket[:, None], "left": bra[:, None]}),
        crossed=nothing,
        ambiguous=nothing,
        undefined=nothing,
    )


def _start(hamiltonians: FloatArray, spectrum: Spectrum, **arrays: NDArray[Any]) -> Start:
    return Start({"coefficients": hamiltonians, "energies": spectrum.energies, "vectors": spectrum.vectors, **arrays})


def _residual(table: PauliTable, hamiltonians: FloatArray, states: NumberArray, energies: FloatArray) -> FloatArray:
    """The largest ``||H psi - E psi||`` over the states (batch, g, dim) of energies (batch, g), (batch,)."""
    diagonals = [diagonal[:, None] for diagonal in table.diagonals(hamiltonians)]
    return np.max(np.linalg.norm(table.apply(diagonals, states) - energies[:, :, None] * states, axis=2), axis=1)
