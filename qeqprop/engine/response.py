"""First-order response of expectation values to a perturbation, in eigenstates and in Gibbs states.

With ``N`` the perturbation and ``p`` the (fixed or thermal) weights of the eigenstates, the density matrix changes by
``drho_mn = N_mn (p_m - p_n) / (E_m - E_n)``. For one eigenstate this is Rayleigh-Schroedinger perturbation theory,
for a Gibbs state the Kubo-Mori response, where the diagonal and the degenerate blocks take the limit
``-(p / T)(N_mn - delta_mn <N>)``.
"""

from __future__ import annotations

import numpy as np

from qeqprop.engine import compiled
from qeqprop.engine.eigen import Spectrum, real_picture
from qeqprop.engine.layout import layout_of
from qeqprop.engine.paulis import PauliTable
from qeqprop.interfaces import BoolArray, FloatArray, IntArray, NotConverged


def gibbs_response(
    table: PauliTable, spectrum: Spectrum, weights: FloatArray, temperature: float, perturbations: FloatArray
) -> FloatArray:
    """``d Tr[P_s rho] / dnu`` of the re-thermalised state for every string, (batch, n_strings).

    Args:
        table: the strings.
        spectrum: complete spectra (batch,).
        weights: (batch, dim) Boltzmann weights.
        temperature: above zero.
        perturbations: (batch, n_strings) coefficients of N.
    """
    result = np.empty((len(weights), len(table.z)))
    for sample, (energies, vectors, p, row) in enumerate(
        zip(spectrum.energies, spectrum.vectors, weights, perturbations, strict=True)
    ):
        applied = table.apply(table.diagonals(row), vectors)  # N |n>, as rows
        matrix = vectors.conj() @ applied.T  # N_mn
        # (p_m - p_n)/(E_m - E_n) = -(p_low / T) expm1(u)/u, u = -|E_m - E_n|/T: no overflow, no cancellation at small u
        u = -np.abs(energies[:, None] - energies[None, :]) / temperature
        slope = np.where(u > -1e-12, 1.0, np.expm1(u) / np.where(u > -1e-12, 1.0, u))
        factor = -np.maximum(p[:, None], p[None, :]) / temperature * slope
        change = matrix * factor + np.diag(p * float(np.real(p @ np.diag(matrix))) / temperature)
        density = vectors.T @ change @ vectors.conj()
        result[sample] = np.real(table.traces(density))
    return result


def eigenstate_response(
    table: PauliTable,
    spectrum: Spectrum,
    members: IntArray,
    weights: FloatArray,
    hamiltonians: FloatArray,
    perturbations: FloatArray,
    *,
    spacings: FloatArray,
    tolerance: float,
) -> FloatArray:
    """``d/dnu`` of the mean of ``<P_s>`` over the member states of each sample, (batch, n_strings).

    The members are eigenstates that are not coupled by N to other states of the same energy (the caller checks).
    Known eigenstates contribute by the sum over states; the rest of the space, if the spectrum is not complete, by
    conjugate gradients on ``(H - E) y = -Q N |n>``, where the operator is positive because all lower states are known.

    Args:
        table: the strings.
        spectrum: eigenstates, all those of the level and below among the accurate ones.
        members: (batch, g) their indices.
        weights: (batch, g), zero for padding.
        hamiltonians: (batch, n_strings).
        perturbations: (batch, n_strings).
        spacings: (batch,) distance within which states belong to one level.
        tolerance: largest residual of the linear equation, relative to its right-hand side.

    Raises:
        NotConverged: if the equation is not solved that well.
    """
    result = np.zeros((len(members), len(table.z)))
    rows = np.arange(len(members))
    for member, weight in zip(members.T, weights.T, strict=True):  # the g-th member of every sample
        energies = spectrum.energies[rows, member][:, None]
        inside = np.abs(spectrum.energies - energies) <= spacings[:, None]
        for other in members.T:
            inside[rows, other] = True
        if spectrum.n_accurate == table.dim:
            slope = _sum_over_states(table, spectrum, member, inside, perturbations)
        else:
            slope, reached = compiled.responses(
                layout_of(table),
                hamiltonians,
                perturbations,
                real_picture(table, spectrum.vectors),
                spectrum.energies,
                spectrum.n_accurate,
                member,
                inside.astype(np.int64),
                tolerance,
            )
            if (reached > 10 * tolerance).any():
                raise NotConverged(
                    f"The linear response stopped at a relative residual of {np.max(reached):.1e}, "
                    f"wanted {tolerance:.1e}."
                )
        result += weight[:, None] * slope
    return result


def _sum_over_states(
    table: PauliTable, spectrum: Spectrum, member: IntArray, inside: BoolArray, perturbations: FloatArray
) -> FloatArray:
    state = spectrum.vectors[np.arange(len(member)), member]
    pushed = table.apply(table.diagonals(perturbations), state)  # N |n>
    amplitude = np.einsum("bki,bi->bk", spectrum.vectors.conj(), pushed)
    splitting = spectrum.energies - spectrum.energies[np.arange(len(member)), member][:, None]
    factor = np.where(inside, 0.0, amplitude / np.where(inside, 1.0, splitting))
    shifted = -np.einsum("bk,bki->bi", factor, spectrum.vectors)
    return 2.0 * np.real(table.elements(state, shifted))
