"""Equilibrium states of Pauli sums with their certificates: one level, a Gibbs state, a non-Hermitian eigenstate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qeqprop.engine.eigen import Spectrum, biorthogonal_spectrum, string_elements
from qeqprop.engine.levels import (
    choose,
    couplings,
    elements_of,
    follow,
    gaps,
    level_numbers,
    neighbour_elements,
    overlaps,
    places,
    splits,
)
from qeqprop.engine.paulis import PauliTable
from qeqprop.engine.response import eigenstate_response, gibbs_response
from qeqprop.interfaces import (
    BoolArray,
    Certificate,
    ComplexArray,
    FloatArray,
    IntArray,
    NumberArray,
    Start,
)


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
    spacings: FloatArray,
    response_tolerance: float,
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
        tolerances: (batch,) largest residual.
        spacings: (batch,) distance below which levels are degenerate.
        response_tolerance: largest relative residual of the equation for the response.
        average: take the projector on the whole degenerate level.
        by_overlap: with a start, take the state that continues it rather than the one of the same index.
        observables: (n_observables, n_strings), for the certificate.
        perturbations: (batch, n_strings) or None.
        start: with arrays "states" and "weights", or None.
    """
    if start is not None and start.arrays.get("vectors") is spectrum.vectors and "strings" in start.arrays:
        place = _placed(start)  # the very states of the start
        overlap = np.ones(len(hamiltonians))
        crossed = np.zeros(len(hamiltonians), dtype=np.bool_)
    else:
        place, overlap, crossed = _place(table, spectrum, level, spacings, average, by_overlap, start)
        start = _start(hamiltonians, spectrum, **place._asdict())
    members = place.members
    ambiguous = undefined = np.zeros(len(members), dtype=np.bool_)
    if place.incomplete.any():
        ambiguous = splits(table, spectrum, members, observables[None], spacings)
        if perturbations is not None:
            undefined = splits(table, spectrum, members, perturbations[:, None], spacings)
    certificate = Certificate(
        residual=place.residual,
        gap_below=place.below,
        gap_above=place.above,
        degeneracy=place.degeneracy,
        level=members[:, 0],
        overlap=overlap,
        nudge_coupling=np.full(len(members), np.nan)
        if perturbations is None
        else couplings(place.elements, perturbations[:, None]),
        trainable_coupling=couplings(place.elements, observables[None]),
        converged=place.residual <= tolerances,
    )
    return Equilibrium(
        strings=place.strings,
        response=None
        if perturbations is None
        else eigenstate_response(
            table,
            spectrum,
            members,
            place.weights,
            hamiltonians,
            perturbations,
            spacings=spacings,
            tolerance=response_tolerance,
        ),
        energies=place.energy,
        certificate=certificate,
        start=start,
        crossed=crossed,
        ambiguous=ambiguous,
        undefined=undefined,
    )


class _Place(NamedTuple):
    """Where the members stand in the spectrum, and what the strings say of them; all arrays (batch, ...).

    A degenerate level is ``incomplete`` where not all of its states are members.
    """

    members: IntArray
    weights: FloatArray
    states: NumberArray
    energy: FloatArray
    residual: FloatArray
    below: FloatArray
    above: FloatArray
    degeneracy: IntArray
    incomplete: BoolArray
    strings: FloatArray
    elements: NumberArray


def _placed(start: Start) -> _Place:
    return _Place(**{name: start.arrays[name] for name in _Place._fields})


def _place(
    table: PauliTable,
    spectrum: Spectrum,
    level: int,
    spacings: FloatArray,
    average: bool,
    by_overlap: bool,
    start: Start | None,
) -> tuple[_Place, FloatArray, BoolArray]:
    """The members, their overlap with the start, and whether a level was crossed on the way from there."""
    members, weights = choose(spectrum, level, spacings, average)
    overlap, crossed = np.full(len(members), np.nan), np.zeros(len(members), dtype=np.bool_)
    if start is not None:
        origin, shares = start.arrays["states"], start.arrays["weights"]
        if by_overlap:
            members, weights = follow(spectrum, level, spacings, origin, shares)
        overlap = overlaps(spectrum, members, weights, origin, shares)
        crossed = overlap < 0.5
        if by_overlap:
            numbers = level_numbers(spectrum.energies, spacings)
            reached = np.take_along_axis(numbers, members, axis=1)
            crossed |= (reached != numbers[:, level : level + 1]).all(axis=1)
    at = places(members)
    below, above, degeneracy = gaps(spectrum, members, spacings)
    place = _Place(
        members=members,
        weights=weights,
        states=spectrum.vectors[at],
        energy=(weights * spectrum.energies[at]).sum(axis=1),
        residual=spectrum.residuals[at].max(axis=1),
        below=below,
        above=above,
        degeneracy=degeneracy,
        incomplete=degeneracy > (weights > 0).sum(axis=1),
        strings=_strings(table, spectrum, members, weights),
        elements=neighbour_elements(table, spectrum, members),
    )
    return place, overlap, crossed


def settle_gibbs(
    table: PauliTable,
    hamiltonians: FloatArray,
    spectrum: Spectrum,
    *,
    temperature: float,
    tolerances: FloatArray,
    spacings: FloatArray,
    perturbations: FloatArray | None,
) -> Equilibrium:
    """The Gibbs state ``exp(-H/T)/Z`` of every sample from its complete spectrum."""
    boltzmann = np.exp(-(spectrum.energies - spectrum.energies[:, :1]) / temperature)
    weights = boltzmann / np.sum(boltzmann, axis=1, keepdims=True)
    density = np.swapaxes(spectrum.vectors, 1, 2) @ (weights[:, :, None] * spectrum.vectors.conj())
    ground, _ = choose(spectrum, 0, spacings, average=True)
    _, above, degeneracy = gaps(spectrum, ground, spacings)
    residual = np.max(spectrum.residuals, axis=1)
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


def _strings(table: PauliTable, spectrum: Spectrum, members: IntArray, weights: FloatArray) -> FloatArray:
    """The mean of ``<P_s>`` over the members, (batch, n_strings)."""
    if (found := elements_of(spectrum, members)) is not None:
        return np.real(found[:, members[0, 0]])
    result = np.zeros((len(members), len(table.z)))
    for member, weight in zip(members.T, weights.T, strict=True):
        result += weight[:, None] * np.real(string_elements(table, spectrum.vectors, member, spectrum.vectors, member))
    return result


def _start(hamiltonians: FloatArray, spectrum: Spectrum, **arrays: NDArray[Any]) -> Start:
    return Start(
        {
            "coefficients": hamiltonians,
            "energies": spectrum.energies,
            "vectors": spectrum.vectors,
            "residuals": spectrum.residuals,
            "accurate": np.full(len(hamiltonians), spectrum.n_accurate),
            **arrays,
        }
    )
