"""First-order response of expectation values to a perturbation, in eigenstates and in Gibbs states.

With ``N`` the perturbation and ``p`` the (fixed or thermal) weights of the eigenstates, the density matrix changes by
``drho_mn = N_mn (p_m - p_n) / (E_m - E_n)``. For one eigenstate this is Rayleigh-Schroedinger perturbation theory,
for a Gibbs state the Kubo-Mori response, where the diagonal and the degenerate blocks take the limit
``-(p / T)(N_mn - delta_mn <N>)``.
"""

from __future__ import annotations

import numpy as np

from qeqprop.engine.eigen import Spectrum, applier
from qeqprop.engine.levels import membership, padded
from qeqprop.engine.paulis import PauliTable
from qeqprop.interfaces import FloatArray, IntArray, NotConverged, NumberArray


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
    table: PauliTable, spectrum: Spectrum, members: list[IntArray], hamiltonians: FloatArray, perturbations: FloatArray
) -> FloatArray:
    """``d/dnu`` of the mean of ``<P_s>`` over the member states of each sample, (batch, n_strings).

    The members are eigenstates that are not coupled by N to other states of the same energy (the caller checks).
    Known eigenstates contribute by the sum over states; the rest of the space, if the spectrum is not complete, by
    conjugate gradients on ``(H - E) y = -Q N |n>``, where the operator is positive because all lower states are known.
    """
    states, weights, energies = padded(spectrum, members)
    outside = ~membership(spectrum, members)
    diagonals = table.diagonals(perturbations)
    result = np.zeros((len(members), len(table.z)))
    for place in range(states.shape[1]):  # the g-th member of every sample; padding has the weight zero
        state, energy = states[:, place], energies[:, place]
        pushed = table.apply(diagonals, state)  # N |n>
        amplitude = np.einsum("bki,bi->bk", spectrum.vectors.conj(), pushed)
        splitting = spectrum.energies - energy[:, None]
        known = outside & (np.abs(splitting) > 1e-14)
        shifted = -np.einsum(
            "bk,bki->bi", np.where(known, amplitude / np.where(known, splitting, 1.0), 0.0), spectrum.vectors
        )
        if not spectrum.complete:
            rest = [
                _complement(table, row, value, vectors, push)
                for row, value, vectors, push in zip(hamiltonians, energy, spectrum.vectors, pushed, strict=True)
            ]
            shifted = shifted + np.stack(rest)
        result += 2.0 * weights[:, place, None] * np.real(table.elements(state, shifted))
    return result


def _complement(
    table: PauliTable, row: FloatArray, energy: float, known: NumberArray, pushed: NumberArray
) -> NumberArray:
    from scipy.sparse.linalg import LinearOperator, cg

    apply = applier(table, row)

    def outside(psi: NumberArray) -> NumberArray:
        return psi - (known.conj() @ psi) @ known

    def shifted(psi: NumberArray) -> NumberArray:
        psi = outside(psi)
        return outside(apply(psi) - energy * psi)

    right = -outside(pushed)
    if not np.any(np.abs(right) > 1e-15):
        return np.zeros_like(right)
    operator = LinearOperator((table.dim, table.dim), matvec=shifted, dtype=right.dtype)  # pyright: ignore[reportCallIssue]
    solution, failed = cg(operator, right, rtol=1e-12, atol=0.0, maxiter=5000)
    error = np.linalg.norm(shifted(solution) - right) / np.linalg.norm(right)
    if failed and error > 1e-9:
        raise NotConverged(f"The linear response stopped at a relative residual of {error:.1e}, wanted 1e-9.")
    return outside(solution)
