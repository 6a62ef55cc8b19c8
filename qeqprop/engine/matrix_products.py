"""Pauli sums as matrix product operators, and what one reads off a matrix product state.

A state is a list of tensors (left, 2, right), site 0 first; an operator is a list of tensors (left, right, 2, 2), of
which the last two axes are bra and ket. The number of sites is not limited: a string is a row of letters, no integer.

The letters of a string from some site on are its *suffix* there. Strings that share a suffix share all work right of
it: suffixes are the columns that an operator is compressed from, and the environments that strings are measured with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qiskit.quantum_info import PauliList

from qeqprop.interfaces import ComplexArray, FloatArray, IntArray, NumberArray

Tensors = list[NumberArray]

_LETTERS = np.array([[[1, 0], [0, 1]], [[0, 1], [1, 0]], [[1, 0], [0, -1]], [[0, -1], [1, 0]]], dtype=np.float64)
"""I, X, Z and X Z = -i Y, numbered x + 2 z: all real, so that only an odd number of Y makes a string complex."""

_ROUNDING = 1e-15  # singular values this small, relative to the largest, are no part of the operator


@dataclass(frozen=True, eq=False)
class _Column:
    """What is known of one site: the suffixes that begin there, and those among them whose environments are needed.

    Attributes:
        letters: (n_suffixes,) the first letter of each.
        shorter: (n_suffixes,) the rest of each, as an index into the suffixes of the next site.
        needed: indices of the suffixes that some string continues, or begins with, here.
        parents: for each needed suffix the position of its rest among the needed ones of the next site.
        begun: the strings whose first letter other than I is here.
        places: their positions among the needed suffixes.
    """

    letters: IntArray
    shorter: IntArray
    needed: IntArray
    parents: IntArray
    begun: IntArray
    places: IntArray


@dataclass(frozen=True, eq=False)
class StringTable:
    """Pauli strings compiled for matrix products; the identity is always among them, as the last string.

    Attributes:
        phases: (n_strings + 1,) the factors ``i^n_y`` in front of the real letters.
        strings: (n_strings + 1,) each string's index among the suffixes of site 0.
        columns: one for each site.
    """

    phases: ComplexArray
    strings: IntArray
    columns: tuple[_Column, ...]

    @classmethod
    def of(cls, strings: PauliList, order: IntArray) -> StringTable:
        """Compiles the strings for a chain whose k-th tensor is site ``order[k]``; recent tables are kept."""
        letters = (strings.x + 2 * strings.z.astype(np.int64))[:, order]
        return _compiled(letters.tobytes(), letters.shape)

    def operator(self, coefficients: NumberArray, shift: float = 0.0) -> Tensors:
        """The sum ``sum_s coefficients_s P_s - shift`` with the smallest possible bonds, exact to rounding.

        From site to site the sum is a matrix of (what was built so far, letter) by suffixes; its singular vectors are
        the site's tensor, and singular values that are rounding are dropped. Strings are orthogonal: nothing is lost.

        Source: Hubig, McCulloch and Schollwöck, Phys. Rev. B 95, 035129 (2017), for sums in general.
        """
        weights = np.append(coefficients, -shift) * self.phases
        if not np.any(weights.imag):
            weights = weights.real
        first = self.columns[0]
        rest = np.zeros((1, len(first.letters)), dtype=weights.dtype)
        np.add.at(rest[0], self.strings, weights)
        result: Tensors = []
        for column in self.columns:
            width = len(rest)
            matrix = np.zeros((width, 4, int(np.max(column.shorter)) + 1), dtype=rest.dtype)
            matrix[:, column.letters, column.shorter] = rest
            basis, rest = _factors(matrix.reshape(4 * width, -1))
            result.append(np.einsum("alb,lst->abst", basis.reshape(width, 4, -1), _LETTERS))
        result[-1] = result[-1] * rest[0, 0]
        return result

    def expectations(self, tensors: Sequence[NumberArray]) -> FloatArray:
        """``<P_s>`` of all strings (n_strings,) in one pass from the last site, which must be the orthogonality centre.

        The environments of all needed suffixes are carried along together; a string is read off where it begins, since
        what lies left of it is an isometry.
        """
        values = np.ones(len(self.phases), dtype=np.complex128)
        environments = np.ones((1, 1, 1), dtype=tensors[-1].dtype)
        for column, tensor in zip(reversed(self.columns), reversed(tensors), strict=True):
            left, _, right = tensor.shape
            ket = tensor.swapaxes(0, 1).reshape(2 * left, right).T
            kets = np.matmul(environments, ket).reshape(len(environments), 2 * right, left)
            environments = np.empty((len(column.needed), left, left), dtype=kets.dtype)
            for letter, matrix in enumerate(_LETTERS):
                rows = np.flatnonzero(column.letters[column.needed] == letter)
                if len(rows):
                    bra = np.einsum("lsr,st->lrt", tensor.conj(), matrix).reshape(left, 2 * right)
                    environments[rows] = np.matmul(bra, kets[column.parents[rows]])
            values[column.begun] = np.trace(environments[column.places], axis1=1, axis2=2)
        return (values * self.phases).real[:-1]


def residual(shifted: Sequence[NumberArray], tensors: Sequence[NumberArray]) -> float:
    """The norm of an operator ``H - E`` applied to a normalised state, to machine precision.

    The product is a state with the product of both bonds; it is orthogonalised site by site, and what is left is its
    norm. Differences of ``<H^2>`` and ``<H>^2`` would lose half of the digits.
    """
    carried = np.ones((1, 1, 1))
    for operator, tensor in zip(shifted, tensors, strict=True):
        partial = np.tensordot(carried, tensor, (2, 0))  # (carried, operator, ket, right)
        grown = np.tensordot(partial, operator, ((1, 2), (0, 3)))  # (carried, right, operator, bra)
        width, right, bond, _ = grown.shape
        rows = grown.transpose(0, 3, 2, 1).reshape(2 * width, bond * right)
        carried = np.asarray(np.linalg.qr(rows, mode="r")).reshape(-1, bond, right)
    return float(np.abs(carried[0, 0, 0]))


def overlap(bra: Sequence[NumberArray], ket: Sequence[NumberArray]) -> complex:
    """``<bra|ket>``."""
    carried = np.ones((1, 1))
    for left, right in zip(bra, ket, strict=True):
        carried = np.tensordot(left.conj(), np.tensordot(carried, right, (1, 0)), ((0, 1), (0, 1)))
    return complex(carried[0, 0])


def padded(states: Sequence[Tensors]) -> tuple[NDArray[Any], IntArray]:
    """States of one length as one array (n_states, n_sites, bond, 2, bond) with the bonds (n_states, n_sites + 1)."""
    bonds = np.array([[1, *(tensor.shape[2] for tensor in tensors)] for tensors in states])
    widest, kind = int(np.max(bonds)), np.result_type(*(tensor for tensors in states for tensor in tensors))
    result = np.zeros((*bonds[:, 1:].shape, widest, 2, widest), dtype=kind)
    for row, tensors in zip(result, states, strict=True):
        for target, tensor in zip(row, tensors, strict=True):
            target[: tensor.shape[0], :, : tensor.shape[2]] = tensor
    return result, bonds


def unpadded(array: NDArray[Any], bonds: IntArray) -> Tensors:
    """One state of `padded`: an array (n_sites, bond, 2, bond) and its bonds (n_sites + 1,)."""
    return [site[:left, :, :right].copy() for site, left, right in zip(array, bonds[:-1], bonds[1:], strict=True)]


def _factors(matrix: NumberArray) -> tuple[NumberArray, NumberArray]:
    """An isometry and a rest whose product is the matrix, with as few columns as its rank, at least one."""
    if matrix.shape[1] > 2 * matrix.shape[0]:
        isometry, corner = np.linalg.qr(matrix.T.conj())
        basis, rest = _factors(corner.T.conj())
        return basis, rest @ isometry.T.conj()
    basis, values, rest = np.linalg.svd(matrix, full_matrices=False)
    rank = max(1, int(np.sum(values > _ROUNDING * values[0])))
    return basis[:, :rank], values[:rank, None] * rest[:rank]


@lru_cache(maxsize=16)
def _compiled(letters: bytes, shape: tuple[int, int]) -> StringTable:
    table = np.frombuffer(letters, dtype=np.int64).reshape(shape)
    table = np.concatenate([table, np.zeros((1, shape[1]), dtype=np.int64)])
    beginning = np.where(np.any(table > 0, axis=1), np.argmax(table > 0, axis=1), shape[1])  # the first letter not I
    suffixes = np.zeros(len(table), dtype=np.int64)
    needed = np.zeros(1, dtype=np.int64)
    columns: list[_Column] = []
    for site in reversed(range(shape[1])):
        keys, suffixes = np.unique(4 * suffixes + table[:, site], return_inverse=True)
        before, needed = needed, np.unique(suffixes[beginning <= site])
        begun = np.flatnonzero(beginning == site)
        columns.append(
            _Column(
                letters=keys % 4,
                shorter=keys // 4,
                needed=needed,
                parents=np.searchsorted(before, keys[needed] // 4),
                begun=begun,
                places=np.searchsorted(needed, suffixes[begun]),
            )
        )
    return StringTable(
        phases=1j ** (np.sum(table == 3, axis=1) % 4), strings=suffixes, columns=tuple(reversed(columns))
    )
