"""Eigenstates of Pauli sums: all of them by dense diagonalisation, the lowest by an iterative method.

Vectors are stored as rows: ``vectors[b, i]`` is eigenvector i of sample b.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from qeqprop.engine import compiled
from qeqprop.engine.layout import layout_of
from qeqprop.engine.paulis import PauliTable
from qeqprop.interfaces import ComplexArray, FloatArray, IntArray, NumberArray

_COMPILED_DIM = 8  # below, the batch is not worth the lanes


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Lowest eigenpairs of a batch of Hermitian sums.

    Attributes:
        energies: (batch, n_states), ascending.
        vectors: (batch, n_states, dim).
        residuals: (batch, n_states) ``||H psi - E psi||``.
        n_accurate: how many of the states are solved; any others only tell how far the next level is.
        elements: (batch, n_states, n_strings) ``<m|P_s|n>`` of every state m with the last accurate one, n; or None.
    """

    energies: FloatArray
    vectors: NumberArray
    residuals: FloatArray
    n_accurate: int
    elements: NumberArray | None = None

    @property
    def complete(self) -> bool:
        return self.vectors.shape[1] == self.vectors.shape[2]


def dense_spectrum(table: PauliTable, coefficients: FloatArray) -> Spectrum:
    """All eigenpairs of every sum; coefficients (batch, n_strings)."""
    matrices = table.matrices(coefficients)
    with one_blas_thread():
        energies, columns = np.linalg.eigh(matrices)
        residuals = np.linalg.norm(matrices @ columns - columns * energies[:, None, :], axis=1)
    return Spectrum(energies, np.ascontiguousarray(np.swapaxes(columns, -1, -2)), residuals, table.dim)


def one_blas_thread() -> AbstractContextManager[object]:
    """Inside, linear algebra is not threaded: its threads slow small matrices down by an order of magnitude."""
    return _blas_threads().limit(limits=1)


@cache
def _blas_threads() -> ThreadpoolController:
    return ThreadpoolController()


def lowest_spectrum(
    table: PauliTable,
    coefficients: FloatArray,
    n_states: int,
    *,
    n_accurate: int,
    goals: FloatArray,
    nearby: NumberArray | None = None,
    dtype: np.dtype[Any] = compiled.DOUBLE,
) -> Spectrum:
    """The lowest ``n_states`` eigenpairs of every sum by Lanczos with deflation, matrix-free and compiled.

    Args:
        table: the strings, of at least four sites.
        coefficients: (batch, n_strings).
        n_states: how many states; those from ``n_accurate`` on only tell how far the next level is, to about a percent.
        n_accurate: how many states to solve to their goal.
        goals: (batch,) residuals ``||H psi - E psi||`` to reach; what was reached is in the result.
        nearby: (batch, at least n_states, dim) states of similar sums to start from. Starts are random otherwise, and
            always hold a trace of everything: one with a symmetry would never leave its sector and miss levels below.
        dtype: how real vectors are stored.
    """
    start = None if nearby is None else real_picture(table, nearby[:, :n_states])
    energies, residuals, vectors, parts = compiled.lowest_states(
        layout_of(table), coefficients, n_states, n_accurate, goals, start, dtype
    )
    elements = parts[0] if table.real else parts[0] + 1j * parts[1]
    if (energies[:, 1:] < energies[:, :-1]).any():  # a level was found after one just above it
        order, elements = np.argsort(energies, axis=1), None
        energies, residuals = np.take_along_axis(energies, order, 1), np.take_along_axis(residuals, order, 1)
        vectors = np.take_along_axis(vectors, order[:, :, None], 1)
    return Spectrum(energies, complex_picture(table, vectors), residuals, n_accurate, elements)


def real_picture(table: PauliTable, vectors: NumberArray) -> FloatArray:
    """Vectors (..., dim) as the compiled engine stores them: as they are, or real parts before imaginary parts."""
    if table.real:
        return np.real(vectors)
    return np.concatenate([np.real(vectors), np.imag(vectors)], axis=-1)


def complex_picture(table: PauliTable, vectors: FloatArray) -> NumberArray:
    """The reverse of `real_picture`."""
    return vectors if table.real else vectors[..., : table.dim] + 1j * vectors[..., table.dim :]


def string_elements(
    table: PauliTable, bras: NumberArray, which_bra: IntArray, kets: NumberArray, which_ket: IntArray
) -> NumberArray:
    """``<bra|P_s|ket>`` of every string, (batch, n_strings), complex where a string is.

    The states of sample b are ``bras[b, which_bra[b]]`` and ``kets[b, which_ket[b]]`` of arrays (batch, n, dim).
    """
    if table.dim < _COMPILED_DIM:
        rows = np.arange(len(bras))
        values = table.elements(bras[rows, which_bra], kets[rows, which_ket])
        return np.real(values) if table.real else values
    layout, right = layout_of(table), real_picture(table, kets)
    values = compiled.string_elements(layout, real_picture(table, bras), which_bra, right, which_ket)
    if table.real:
        return values
    turned = real_picture(table, 1j * bras)  # Re <i u|P|v> = Im <u|P|v>
    return values + 1j * compiled.string_elements(layout, turned, which_bra, right, which_ket)


def biorthogonal_spectrum(
    table: PauliTable, coefficients: ComplexArray
) -> tuple[NumberArray, NumberArray, NumberArray]:
    """Eigenvalues (batch, dim), right and left eigenvectors (batch, dim, dim) of non-Hermitian sums, as rows.

    Left vectors obey ``<L_i| H = E_i <L_i|`` and are the rows of the inverse of the matrix of right vectors,
    conjugated, so that ``<L_i|R_j> = delta_ij``.
    """
    values, columns = np.linalg.eig(table.matrices(coefficients))
    right = np.swapaxes(columns, -1, -2)
    left = np.linalg.inv(columns).conj()
    return values, right, left
