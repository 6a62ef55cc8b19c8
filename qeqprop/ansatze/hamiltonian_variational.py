"""The Hamiltonian-variational ansatz: layers of rotations about the network's own strings."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge
from qiskit.quantum_info import PauliList

from qeqprop.ansatze._product import irregular, product_start
from qeqprop.checks import check_argument
from qeqprop.gates import factors, numbered, rotate
from qeqprop.interfaces import Ansatz, Trial

Start = Literal["automatic", "plus", "zero", "product"]

_STEP = 0.3
"""Time of one layer in the sweep that the first angles are taken from, with couplings of up to 1."""

_TILT = 0.04
"""Size of the irregular part of the first angles: it leads away from points where symmetry makes gradients vanish."""


def hamiltonian_variational(
    *,
    layers: Annotated[int, Ge(1)] = 3,
    tied: bool = False,
    start: Start = "automatic",
) -> Ansatz:
    r"""Layers of rotations about the strings of the Hamiltonian, on a product state.

    .. math:: |\psi(\theta)\rangle = \prod_{l=1}^{L} \prod_s e^{-i \theta_{ls} P_s / 2} |\psi_0\rangle

    Within a layer come first the strings of Z only, then the mixed ones, then those of Y and of X only. Every parameter
    turns about Pauli strings, whose eigenvalues are -1 and 1, so that shifts by pi/2 give exact gradients, one pair for
    each string that the parameter turns.

    The first angles are those of a short adiabatic sweep from ``-sum_k X_k`` to the Hamiltonian in `layers` steps
    (`Trial.slopes` follow its coefficients), plus a small irregular part; they are the same every time.

    Args:
        layers: number of layers.
        tied: one parameter for each kind of string and layer (``ZZ``, ``Z``, ``X``, ..) instead of one for each string.
            It keeps the symmetries of a uniform chain, and cannot follow couplings that differ.
        start: the initial state. ``"plus"`` is the ground state of the fields ``-X``. In a network without fields along
            Z it keeps the parity ``X_0 X_1 ..`` at 1; a ground state of parity -1, as of fields ``+X`` on an odd number
            of sites, is out of reach. ``"zero"`` has all sites up; ``"product"`` turns every site by angles of
            its own (Y, and Z where a string has an odd number of Y), which breaks every symmetry; ``"automatic"`` is
            plus where every site has a field along X, and product otherwise.

    Source: Wecker, Hastings and Troyer, Phys. Rev. A 92, 042303 (2015).
    """
    check_argument("layers", layers, Annotated[int, Ge(1)])
    check_argument("tied", tied, bool)
    check_argument("start", start, Start)

    def ansatz(strings: PauliList) -> Trial:
        return _trial(strings, layers, tied, start)

    return ansatz


def _trial(strings: PauliList, layers: int, tied: bool, start: Start) -> Trial:
    words = factors(strings)
    order = sorted((index for index, (word, _) in enumerate(words) if word), key=lambda index: _place(words[index][0]))
    if not order:
        raise ValueError("Argument `strings` must hold a string other than the identity.")
    circuit, turned, angles = product_start(strings, start)
    plus = "h" in circuit.count_ops()
    names = list(dict.fromkeys(words[index][0] if tied else index for index in order))
    number = {name: position for position, name in enumerate(names)}
    chosen = [number[words[index][0] if tied else index] for index in order]

    theta = numbered(len(turned) + layers * len(names))
    for (word, places), parameter in zip(turned, theta, strict=False):
        rotate(circuit, word, places, parameter)
    for layer in range(layers):
        for index, choice in zip(order, chosen, strict=True):
            rotate(circuit, *words[index], theta[len(turned) + layer * len(names) + choice])

    slopes = np.zeros((len(theta), len(words)))
    initial = _TILT * irregular(len(theta))
    initial[: len(turned)] += angles
    counts = np.bincount(chosen)
    for layer in range(layers):
        ramp = (layer + 0.5) / layers
        for index, choice in zip(order, chosen, strict=True):
            row = len(turned) + layer * len(names) + choice
            slopes[row, index] = 2 * _STEP * ramp / counts[choice]
            if plus and words[index][0] == "X":
                initial[row] -= 2 * _STEP * (1 - ramp) / counts[choice]
    return Trial(circuit, initial, slopes)


def _place(word: str) -> int:
    """Z first: it is what moves a state of all plus."""
    return {"Z": 0, "Y": 2, "X": 3}.get("".join(sorted(set(word))), 1)
