"""Eigenstates of Pauli sums: all of them by dense diagonalisation, the lowest by an iterative method.

Vectors are stored as rows: ``vectors[b, i]`` is eigenvector i of sample b.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from threadpoolctl import ThreadpoolController

from qeqprop.engine.paulis import PauliTable
from qeqprop.interfaces import ComplexArray, FloatArray, NotConverged, NumberArray

_SPARSE_DIM = 1 << 14


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Lowest eigenpairs of a batch of Hermitian sums.

    Attributes:
        energies: (batch, n_states), ascending.
        vectors: (batch, n_states, dim).
    """

    energies: FloatArray
    vectors: NumberArray

    @property
    def complete(self) -> bool:
        return self.vectors.shape[1] == self.vectors.shape[2]


def dense_spectrum(table: PauliTable, coefficients: FloatArray) -> Spectrum:
    """All eigenpairs of every sum; coefficients (batch, n_strings)."""
    with _blas_threads().limit(limits=1):  # threads of the library slow small matrices down by an order of magnitude
        energies, columns = np.linalg.eigh(table.matrices(coefficients))
    return Spectrum(energies, np.ascontiguousarray(np.swapaxes(columns, -1, -2)))


@cache
def _blas_threads() -> ThreadpoolController:
    return ThreadpoolController()


def lowest_spectrum(table: PauliTable, coefficients: FloatArray, n_states: int) -> Spectrum:
    """The lowest ``n_states`` eigenpairs of every sum by implicitly restarted Lanczos, matrix-free.

    The starting vector is random (with a fixed seed) on purpose: a vector with a symmetry would never leave its sector
    and miss levels below.

    Raises:
        NotConverged: if the iteration gives up.
    """
    from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

    dtype = np.float64 if table.real else np.complex128
    energies = np.empty((len(coefficients), n_states))
    vectors = np.empty((len(coefficients), n_states, table.dim), dtype=dtype)
    first = np.random.default_rng(0).normal(size=table.dim).astype(dtype)
    for sample, row in enumerate(coefficients):
        operator = LinearOperator((table.dim, table.dim), matvec=applier(table, row), dtype=dtype)  # pyright: ignore[reportCallIssue]
        basis = min(table.dim, max(24, 3 * n_states))
        try:
            found, columns = eigsh(operator, k=n_states, which="SA", v0=first, ncv=basis, maxiter=20000)
        except ArpackNoConvergence as error:
            raise NotConverged(
                f"Sample {sample}: the iterative eigensolver found {len(error.eigenvalues)} of {n_states} states. "
                "Ask for a lower level, or raise `dense_sites` for a small network."
            ) from None
        order = np.argsort(found)
        energies[sample] = found[order]
        vectors[sample] = np.linalg.qr(columns[:, order])[0].T  # degenerate ARPACK vectors are orthogonal to 1e-8 only
    return Spectrum(energies, vectors)


def applier(table: PauliTable, row: NumberArray) -> Callable[[NumberArray], NumberArray]:
    """``psi -> H psi`` for one sum, with everything that does not depend on psi done once.

    Few flip masks on a small space are fastest as a sparse matrix; on a large one its indices would cost more memory
    traffic than the numbers, and the sum is applied mask by mask.
    """
    diagonals = table.diagonals(row)
    if table.dim > _SPARSE_DIM:
        return lambda psi: table.apply(diagonals, psi.reshape(-1))
    from scipy.sparse import csr_array

    basis = np.arange(table.dim)
    sources = np.stack([basis ^ mask for mask, _ in table.groups], axis=1)  # row b of H has column b xor x
    entries = np.stack([diagonal[flipped] for diagonal, flipped in zip(diagonals, sources.T, strict=True)], axis=1)
    starts = np.arange(table.dim + 1) * len(table.groups)
    matrix = csr_array((entries.reshape(-1), sources.reshape(-1), starts), shape=(table.dim, table.dim))
    return lambda psi: matrix @ psi.reshape(-1)


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
