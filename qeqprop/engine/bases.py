"""Measurement bases: which Pauli strings one setting reads, and states rotated into it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from qiskit.quantum_info import PauliList

from qeqprop.interfaces import IntArray, NumberArray

_TO_Z = {
    "X": np.array([[1, 1], [1, -1]]) / np.sqrt(2),
    "Y": np.array([[1, -1j], [1, 1j]]) / np.sqrt(2),
}


@dataclass(frozen=True, eq=False)
class MeasurementBasis:
    """One setting of all sites.

    Attributes:
        letters: the Pauli measured at each site, site 0 first; a site nobody asks for is measured in Z.
        indices: which strings are read in this setting.
        masks: for each of them the sites whose bits are multiplied.
    """

    letters: str
    indices: IntArray
    masks: IntArray


def measurement_bases(strings: PauliList) -> list[MeasurementBasis]:
    """Groups strings into settings in which they commute site by site; the identity needs none.

    All ZZ and Z of an Ising network share one basis and all X another: two, whatever the edges.
    """
    return list(_grouped(tuple(strings.to_labels())))


@lru_cache(maxsize=64)
def _grouped(labels: tuple[str, ...]) -> tuple[MeasurementBasis, ...]:
    strings = PauliList(list(labels))
    weights = 1 << np.arange(strings.num_qubits or 0, dtype=np.int64)
    support = (strings.x | strings.z) @ weights
    wanted = np.flatnonzero(support)
    if not len(wanted):
        return ()
    bases: list[MeasurementBasis] = []
    position = {labels[index]: int(index) for index in wanted}
    for group in PauliList([labels[index] for index in wanted]).group_qubit_wise_commuting():
        indices = np.sort([position[label] for label in group.to_labels()])
        x, z = np.any(strings.x[indices], axis=0), np.any(strings.z[indices], axis=0)
        letters = "".join("Y" if both else "X" if flip else "Z" for flip, both in zip(x, x & z, strict=True))
        bases.append(MeasurementBasis(letters, indices, support[indices]))
    return tuple(sorted(bases, key=lambda basis: int(basis.indices[0])))


def rotate(states: NumberArray, letters: str) -> NumberArray:
    """States (..., dim) expressed in a basis, so that ``|psi[b]|^2`` is the probability of the bits of b."""
    for site, letter in enumerate(letters):
        if letter == "Z":
            continue
        blocks = states.reshape(*states.shape[:-1], -1, 2, 1 << site)
        states = np.einsum("ij,...ajb->...aib", _TO_Z[letter], blocks).reshape(states.shape)
    return states
