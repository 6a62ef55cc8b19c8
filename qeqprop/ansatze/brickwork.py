"""The hardware-efficient ansatz: bricks of two-qubit gates between rows of single-qubit rotations."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge
from qiskit.circuit import QuantumCircuit
from qiskit.quantum_info import PauliList

from qeqprop.ansatze._product import is_real
from qeqprop.checks import check_argument
from qeqprop.gates import numbered, rotate
from qeqprop.interfaces import Ansatz, Trial

_SPREAD = 0.3
"""Largest first angle: random circuits of large angles have gradients that vanish with the number of sites."""


def brickwork(
    *,
    layers: Annotated[int, Ge(1)] = 3,
    real: bool | None = None,
    fractional: bool = False,
    seed: Annotated[int, Ge(0)] = 0,
) -> Ansatz:
    """Rows of rotations, each followed by CZ on the even and the odd bonds of a line of sites in turn.

    One layer turns every site, entangles sites (0, 1), (2, 3), .., turns again and entangles (1, 2), (3, 4), ..; after
    the last one follows a row of rotations. It knows nothing of the network but whether its states are real, and fits
    a device whose qubits sit on a line without any swap.

    Args:
        layers: number of layers.
        real: turn about Y only, so that all amplitudes are real; about Y and Z otherwise. By default where every string
            has an even number of Y: then the Hamiltonian is real and so are its eigenstates. A real circuit cannot
            follow a Hamiltonian that is not, and has fewer parameters. It cannot be had with fractional bricks.
        fractional: ``exp(-i theta/2 ZZ)`` with free angles in the place of CZ, for devices that have them as a gate:
            more freedom at the same number of two-qubit gates.
        seed: of the first angles, small random ones; the same every time.

    Raises:
        ValueError: if both `real` and `fractional` are asked for.

    Source: Kandala et al., Nature 549, 242 (2017).
    """
    check_argument("layers", layers, Annotated[int, Ge(1)])
    check_argument("real", real, bool | None)
    check_argument("fractional", fractional, bool)
    check_argument("seed", seed, Annotated[int, Ge(0)])
    if real and fractional:
        raise ValueError("Arguments `real` and `fractional` exclude each other: turns about ZZ make states complex.")

    def ansatz(strings: PauliList) -> Trial:
        about_y = not fractional and is_real(strings) if real is None else real
        return _trial(int(strings.num_qubits or 0), layers, "Y" if about_y else "YZ", fractional, seed)

    return ansatz


def _trial(sites: int, layers: int, letters: Literal["Y", "YZ"], fractional: bool, seed: int) -> Trial:
    rows = [[(site, site + 1) for site in range(first, sites - 1, 2)] for first in (0, 1)] * layers
    rows = [row for row in rows if row]
    count = (len(rows) + 1) * sites * len(letters) + fractional * sum(len(row) for row in rows)
    theta = numbered(count)
    unused = iter(theta)
    circuit = QuantumCircuit(sites)

    def turn() -> None:
        for letter in letters:
            for site in range(sites):
                rotate(circuit, letter, (site,), next(unused))

    for row in rows:
        turn()
        for bond in row:
            if fractional:
                rotate(circuit, "ZZ", bond, next(unused))
            else:
                circuit.cz(*bond)
    turn()
    return Trial(circuit, np.random.default_rng(seed).uniform(-_SPREAD, _SPREAD, count))
