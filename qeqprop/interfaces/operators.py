"""Batches of operators over one list of Pauli strings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from qiskit.quantum_info import PauliList, SparsePauliOp

from qeqprop.checks import check_shape
from qeqprop.interfaces.arrays import BoolArray, FloatArray, NumberArray


@dataclass(frozen=True, eq=False)
class PauliSums:
    """A batch of operators ``sum_s coefficients[b, s] strings[s]`` over one list of Pauli strings.

    Attributes:
        strings: the Pauli strings, (n_strings,), without phases and without repetition.
        coefficients: (batch, n_strings), real for Hermitian operators; complex ones are the non-Hermitian
            Hamiltonians of holomorphic nudging.
    """

    strings: PauliList
    coefficients: NumberArray

    def __post_init__(self) -> None:
        check_shape("coefficients", self.coefficients, "(batch, n_strings)", (None, len(self.strings)))

    @classmethod
    def of(cls, operators: Sequence[SparsePauliOp]) -> PauliSums:
        """Collects operators of one width into a batch over the union of their strings."""
        operators = [operator.simplify(atol=0) for operator in operators]
        strings = PauliList.from_symplectic(*unique_strings([operator.paulis for operator in operators]))
        return cls(strings, coefficient_rows(operators, strings))

    @property
    def num_sites(self) -> int:
        return int(self.strings.num_qubits or 0)

    def __len__(self) -> int:
        return len(self.coefficients)

    def operator(self, index: int = 0) -> SparsePauliOp:
        """One operator of the batch, without its zero terms."""
        return SparsePauliOp(self.strings, self.coefficients[index]).simplify(atol=0)


def unique_strings(lists: Sequence[PauliList]) -> tuple[BoolArray, BoolArray]:
    """The different strings in order of first appearance, as (z, x) bit tables (n_strings, n_sites)."""
    z = np.concatenate([paulis.z for paulis in lists])
    x = np.concatenate([paulis.x for paulis in lists])
    _, first = np.unique(np.concatenate([z, x], axis=1), axis=0, return_index=True)
    keep = np.sort(first)
    return z[keep], x[keep]


def coefficient_rows(operators: Sequence[SparsePauliOp], strings: PauliList) -> FloatArray:
    """The coefficients of Hermitian operators, (n_operators, n_strings), in strings that hold all of theirs."""
    index = {label: position for position, label in enumerate(strings.to_labels())}
    rows = np.zeros((len(operators), len(strings)))
    for row, operator in zip(rows, operators, strict=True):
        for label, coefficient in zip(operator.paulis.to_labels(), np.asarray(operator.coeffs), strict=True):
            row[index[label]] += float(np.real(coefficient))
    return rows
