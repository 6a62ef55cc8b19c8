"""Rotations about the commutators of the network's strings: the ansatz that reaches ground states with few steps."""

from __future__ import annotations

from math import ceil
from typing import Annotated

import numpy as np
from annotated_types import Ge
from qiskit.circuit import QuantumCircuit
from qiskit.quantum_info import PauliList

from qeqprop.checks import check_argument
from qeqprop.gates import factors, numbered, rotate
from qeqprop.interfaces import Ansatz, FloatArray, Trial

_SPANNED_SITES = 5
"""Networks up to this size get enough layers to reach every state, by default."""

_SPARE = 1.5
"""Parameters in units of the dimensions of the states: with some to spare, searches do not get stuck in valleys."""

_LAYERS = 3  # of larger networks

_TILT = 0.1  # size of the irregular part of the first angles


def commutators(*, layers: Annotated[int, Ge(1)] | None = None) -> Ansatz:
    r"""Layers of rotations about single sites and about the commutators of the network's strings, from ``|0..0>``.

    .. math:: |\psi(\theta)\rangle = \prod_{l=1}^{L} \prod_P e^{-i \theta_{lP} P / 2} |0..0\rangle

    P runs over the Y of every site and over the commutators ``[P_s, P_t]`` of strings that are no longer than the
    strings themselves: for an Ising network in a transverse field these are ``Y_i``, ``Y_i Z_j`` and ``Z_i Y_j``. They
    are the generators of counterdiabatic driving: in first order they make exactly the change of a ground state that
    its couplings ask for. Layers of the strings themselves make it in second order only, which is a valley that a
    search follows for a long time. Where the strings are real matrices, so are the states; otherwise Z of every site
    and the strings themselves join.

    Searches end soon where the circuit has more parameters than the states have dimensions.

    Args:
        layers: number of layers; by default as many as reach every state up to five sites, three above.

    Source: Hegade et al., Phys. Rev. Applied 15, 024038 (2021), for the generators; Larocca et al., Nat. Comput. Sci.
    3, 542 (2023), for the number of parameters.
    """
    if layers is not None:
        check_argument("layers", layers, Annotated[int, Ge(1)])

    def ansatz(strings: PauliList) -> Trial:
        generators, real = _generators(strings)
        sites = int(strings.num_qubits or 0)
        dimensions = 2**sites - 1 if real else 2 * (2**sites - 1)
        enough = ceil(_SPARE * dimensions / len(generators)) if sites <= _SPANNED_SITES else _LAYERS
        return _trial(generators, enough if layers is None else layers)

    return ansatz


def _generators(strings: PauliList) -> tuple[PauliList, bool]:
    """The generators in order of their length, and whether the states stay real."""
    x, z = strings.x, strings.z
    sites = x.shape[1]
    real = not np.any(np.sum(x & z, axis=1) % 2)
    longest = max(2, int(np.max(np.sum(x | z, axis=1), initial=0)))
    first, second = np.nonzero(np.triu((x.astype(int) @ z.T + z.astype(int) @ x.T) % 2))  # pairs that do not commute
    each, none = np.eye(sites, dtype=bool), np.zeros((sites, sites), dtype=bool)
    all_x = np.concatenate([each, x[first] ^ x[second]] + ([] if real else [none, x]))
    all_z = np.concatenate([each, z[first] ^ z[second]] + ([] if real else [each, z]))
    lengths = np.sum(all_x | all_z, axis=1)
    kept = (lengths > 0) & (lengths <= longest)
    labels = sorted(set(PauliList.from_symplectic(all_z[kept], all_x[kept]).to_labels()), key=_place)
    return PauliList(labels), real


def _place(label: str) -> tuple[int, str]:
    """Short strings first."""
    return len(label) - label.count("I"), label[::-1]


def _trial(generators: PauliList, layers: int) -> Trial:
    words = factors(generators)
    theta = numbered(layers * len(words))
    circuit = QuantumCircuit(generators.num_qubits)
    for position, parameter in enumerate(theta):
        rotate(circuit, *words[position % len(words)], parameter)
    initial: FloatArray = _TILT * np.cos(1.7 * np.arange(len(theta)))  # nothing repeats
    for position, (word, _) in enumerate(words):
        initial[position] += 0.45 * np.pi * (word == "Y")  # near the equator
    return Trial(circuit, initial)
