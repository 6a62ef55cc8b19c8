"""Circuits that begin with Bell pairs of sites and partners, and reach Gibbs states from there.

Traced over the partners, Bell pairs are the maximally mixed state, and ``exp(-tau H)`` on the sites makes the Gibbs
state of the temperature ``1 / (2 tau)`` of them. A rotation of the sites alone leaves the mixed state as it is. But
``Q (x) Q^T`` is one on Bell pairs, so that for a site's letter Q that anticommutes with a string P

    P |pairs> = -i G |pairs>   with   G = i P Q (x) Q^T :

a rotation about G, one letter longer than P, is to first order what imaginary time does with P.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil

import numpy as np
from qiskit.circuit import QuantumCircuit
from qiskit.quantum_info import PauliList

from qeqprop.ansatze.commutators import commutators
from qeqprop.gates import Factors, factors, numbered, rotate
from qeqprop.interfaces import FloatArray, Trial

_APART = 0.3
"""First angles of a layer that the next one takes back: no two layers begin alike, or their angles had one metric."""

_MOST_LAYERS = 3  # by default

_PARTNER = {"Z": ("Y", "X"), "X": ("Y", "Z"), "Y": ("Z", "X")}
"""For a letter P the letters of ``i P Q`` and ``Q^T``, up to the sign; real matrices stay real."""


def bell_pairs(strings: PauliList, layers: int | None = None) -> Trial:
    """Sites 0 .. n-1 and partners n .. 2n-1, at first in Bell pairs: the initial angles make one of each two layers.

    A layer rotates about G for every string and each of its sites, then turns sites and partners among themselves
    (`commutators`). Every other layer is run backwards. By default there are as many layers as give a parameter to
    every dimension of Gibbs states, three at most. Equal calls give the same object.
    """
    return _trial(tuple(strings.to_labels()), layers)


@lru_cache(maxsize=32)
def _trial(labels: tuple[str, ...], layers: int | None) -> Trial:
    strings = PauliList(list(labels))
    sites = int(strings.num_qubits or 0)
    turn = commutators(layers=1)(strings).circuit
    words = _crossing(strings)
    count = len(words) + 2 * turn.num_parameters
    real = not np.any(np.sum(strings.x & strings.z, axis=1) % 2)
    dimensions = (2 ** (sites - 1) * (2**sites + 1) if real else 4**sites) - 1
    depth = min(ceil(dimensions / count), _MOST_LAYERS) if layers is None else layers
    theta = numbered(depth * count)
    circuit = QuantumCircuit(2 * sites)
    circuit.h(range(sites, 2 * sites))
    circuit.cx(range(sites, 2 * sites), range(sites))
    for number in range(depth):
        angles = theta[number * count : (number + 1) * count]
        layer = QuantumCircuit(2 * sites)
        for (word, places), angle in zip(words, angles, strict=False):
            rotate(layer, word, places, angle)
        of_sites, of_partners = angles[len(words) : -turn.num_parameters], angles[-turn.num_parameters :]
        layer.compose(turn.assign_parameters(of_sites), qubits=range(sites), inplace=True)
        layer.compose(turn.assign_parameters(of_partners), qubits=range(sites, 2 * sites), inplace=True)
        circuit.compose(layer.inverse() if number % 2 else layer, inplace=True)
    paired = np.arange(depth) < depth - depth % 2
    waves = _APART * np.cos(1.7 * np.arange(count) + (np.arange(depth) // 2)[:, None])  # nothing repeats
    initial: FloatArray = (waves * paired[:, None]).ravel()
    return Trial(circuit, initial)


def _crossing(strings: PauliList) -> list[Factors]:
    """The rotations that tie sites to partners."""
    sites, found = int(strings.num_qubits or 0), list[Factors]()
    for word, places in factors(strings):
        for index, place in enumerate(places):
            letter, partner = _PARTNER[word[index]]
            found.append((word[:index] + letter + word[index + 1 :] + partner, (*places, sites + place)))
    return found
