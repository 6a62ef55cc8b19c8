"""Measurement bases: which Pauli strings one setting reads, and states rotated into it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from qiskit.quantum_info import PauliList

from qeqprop.engine.colouring import fewest_classes
from qeqprop.interfaces import BoolArray, FloatArray, IntArray, NumberArray

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
    """Groups strings into settings in which they commute site by site, as few as a colouring of conflicts finds.

    Every string is read in exactly one setting; the identity needs none. All ZZ and Z of an Ising network share one
    setting and all X another: two, whatever the edges.
    """
    return list(_grouped(tuple(strings.to_labels())))


def needed_bases(strings: PauliList, weights: FloatArray) -> list[MeasurementBasis]:
    """The settings that read every string with a weight other than zero in (.., n_strings)."""
    used = np.flatnonzero(np.any(weights.reshape(-1, len(strings)), axis=0))
    labels = strings.to_labels()
    return [
        MeasurementBasis(basis.letters, used[basis.indices], basis.masks)
        for basis in _grouped(tuple(labels[index] for index in used))
    ]


@lru_cache(maxsize=64)
def _grouped(labels: tuple[str, ...]) -> tuple[MeasurementBasis, ...]:
    if not labels:
        return ()
    strings = PauliList(list(labels))
    x, z = strings.x, strings.z
    support = (x | z) @ (1 << np.arange(strings.num_qubits or 0, dtype=np.int64))
    wanted = np.flatnonzero(support)
    bases: list[MeasurementBasis] = []
    for members in fewest_classes(_conflicts(x[wanted], z[wanted])):
        indices = wanted[members]
        flips, both = np.any(x[indices], axis=0), np.any(x[indices] & z[indices], axis=0)
        letters = "".join("Y" if y else "X" if flip else "Z" for flip, y in zip(flips, both, strict=True))
        bases.append(MeasurementBasis(letters, indices, support[indices]))
    return tuple(bases)


def _conflicts(x: BoolArray, z: BoolArray) -> BoolArray:
    """(n, n) whether two strings act on a common site with different letters."""
    letters = [array.astype(np.int64) for array in (x & ~z, x & z, z & ~x)]
    acts = sum(letters)
    return (acts @ np.transpose(acts) - sum(letter @ letter.T for letter in letters)) > 0


def rotate(states: NumberArray, letters: str) -> NumberArray:
    """States (..., dim) expressed in a basis, so that ``|psi[b]|^2`` is the probability of the bits of b."""
    for site, letter in enumerate(letters):
        if letter == "Z":
            continue
        blocks = states.reshape(*states.shape[:-1], -1, 2, 1 << site)
        states = np.einsum("ij,...ajb->...aib", _TO_Z[letter], blocks).reshape(states.shape)
    return states
