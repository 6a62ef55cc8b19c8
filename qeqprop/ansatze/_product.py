"""The product states that circuits start from."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from qiskit.circuit import QuantumCircuit
from qiskit.quantum_info import PauliList

from qeqprop.gates import Factors, factors
from qeqprop.interfaces import FloatArray


class Product(NamedTuple):
    """A product state: gates without parameters, then rotations of single sites.

    Attributes:
        circuit: the gates.
        turns: the rotations.
        angles: (n_turns,) where their optimisation starts: tilted up and down in turn, halfway to the equator.
    """

    circuit: QuantumCircuit
    turns: list[Factors]
    angles: FloatArray


def product_start(strings: PauliList, start: Literal["automatic", "plus", "zero", "product"]) -> Product:
    """All plus, all zero, or free: plus by default where every site has a field along X, free otherwise."""
    words, sites = factors(strings), int(strings.num_qubits or 0)
    if start == "automatic":
        driven = {places[0] for word, places in words if word == "X"}
        start = "plus" if len(driven) == sites else "product"
    circuit = QuantumCircuit(sites)
    if start == "plus":
        circuit.h(range(sites))
    letters = ("Y" if is_real(strings) else "YZ") if start == "product" else ""
    turns = [(letter, (site,)) for letter in letters for site in range(sites)]
    angles = [np.pi / 4 + np.pi / 2 * (site % 2) if letter == "Y" else 0.0 for letter, (site,) in turns]
    return Product(circuit, turns, np.array(angles))


def is_real(strings: PauliList) -> bool:
    """Whether every string has an even number of Y: then sums of them have real eigenstates."""
    return not np.any(np.sum(strings.x & strings.z, axis=1) % 2)


def irregular(count: int) -> FloatArray:
    """Numbers from -1 to 1 in which nothing repeats, multiples of the golden ratio."""
    return 2 * np.modf((1 + np.arange(count)) * (np.sqrt(5) - 1) / 2)[0] - 1
