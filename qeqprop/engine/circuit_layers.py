"""Angles and layers of circuits: what a circuit is put together from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from qiskit.quantum_info import PauliList

from qeqprop.checks import check_shape, finite_array
from qeqprop.engine.circuit_program import DIAGONAL, FLIPS, STRINGS, TURN_X, TURN_Y
from qeqprop.interfaces import FloatArray, IntArray

MAX_QUBITS = 30


# --- angles -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Angles:
    """The angles ``scale * parameters[index] + offset`` of some rotations, arrays (n,); index -1 is a constant."""

    index: IntArray
    scale: FloatArray
    offset: FloatArray

    def __post_init__(self) -> None:
        for name in ("index", "scale", "offset"):
            check_shape(name, getattr(self, name), "(n,)", (len(self.index),))

    def __len__(self) -> int:
        return len(self.index)


def free(index: ArrayLike, scale: ArrayLike = 1.0, offset: ArrayLike = 0.0) -> Angles:
    """Angles ``scale * parameters[index] + offset``; scale and offset are broadcast to the shape of index (n,)."""
    numbers = np.asarray(index, dtype=np.int64)
    if np.any(numbers < 0):
        raise ValueError(f"Argument `index` must hold indices of parameters from 0 on, but holds {numbers.min()}.")
    spread = [
        finite_array("scale", scale, "(n,)", np.shape(scale)),
        finite_array("offset", offset, "(n,)", np.shape(offset)),
    ]
    return Angles(numbers, *(np.broadcast_to(values, numbers.shape).astype(np.float64) for values in spread))


def fixed(values: ArrayLike) -> Angles:
    """Constant angles (n,)."""
    offset = finite_array("values", values, "(n,)", (None,))
    return Angles(np.full(len(offset), -1), np.zeros(len(offset)), offset)


# --- layers -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Layer:
    """Gates of one kind; use `diagonal`, `rotations`, `pauli_rotations`, `hadamards`, `controlled_z`, `controlled_x`.

    Attributes:
        kind: of `circuit_program`: Z strings, rotations about X or Y, any strings, or controlled flips.
        x, z: (n_items,) bit masks of the Pauli strings; of a controlled flip the target and the control.
        angles: (n_items,) all zero for flips.
    """

    kind: int
    x: IntArray
    z: IntArray
    angles: Angles


def _mask(qubits: Iterable[int]) -> int:
    sites = list(qubits)
    if len(set(sites)) != len(sites) or any(not 0 <= site < MAX_QUBITS for site in sites):
        raise ValueError(f"Argument `qubits` must hold different qubits from 0 to {MAX_QUBITS - 1}, but holds {sites}.")
    return sum(1 << int(site) for site in sites)


def _layer(kind: int, masks: Sequence[tuple[int, int]], angles: Angles) -> Layer:
    if len(angles) != len(masks):
        raise ValueError(
            f"Argument `angles` must hold one angle for each of {len(masks)} gates, but holds {len(angles)}."
        )
    array = np.array(masks, dtype=np.int64).reshape(-1, 2)
    return Layer(kind, array[:, 0].copy(), array[:, 1].copy(), angles)


def diagonal(supports: Iterable[Iterable[int]], angles: Angles) -> Layer:
    """``exp(-i/2 sum_k theta_k Z_support(k))`` as one pass; ``supports`` are the qubits of each string of Z.

    An empty support is the identity: a global phase ``-theta/2``.
    """
    return _layer(DIAGONAL, [(0, _mask(support)) for support in supports], angles)


def rotations(letter: Literal["X", "Y", "Z"], qubits: Iterable[int], angles: Angles) -> Layer:
    """``exp(-i theta_k/2 P)`` on each of the qubits, P the letter's Pauli matrix."""
    masks = [_mask([qubit]) for qubit in qubits]
    if letter not in ("X", "Y", "Z"):
        raise ValueError(f"Argument `letter` must be 'X', 'Y' or 'Z', but is {letter!r}.")
    if letter == "Z":
        return _layer(DIAGONAL, [(0, mask) for mask in masks], angles)
    if letter == "X":
        return _layer(TURN_X, [(mask, 0) for mask in masks], angles)
    return _layer(TURN_Y, [(mask, mask) for mask in masks], angles)


def pauli_rotations(strings: PauliList | Sequence[tuple[str, Sequence[int]]], angles: Angles) -> Layer:
    """``exp(-i theta_k/2 P_k)`` one after the other, the first string first.

    Args:
        strings: Pauli strings, or pairs of letters and qubits such as ``("XY", (0, 3))``.
        angles: one for each.
    """
    if isinstance(strings, PauliList):
        x, z, _ = masks_of(strings).T
        return _layer(STRINGS, list(zip(x.tolist(), z.tolist(), strict=True)), angles)
    pairs: list[tuple[int, int]] = []
    for word, qubits in strings:
        if len(word) != len(qubits) or set(word) - set("IXYZ"):
            raise ValueError(
                f"Argument `strings` must hold a letter I, X, Y or Z for each of {qubits}, but holds {word!r}."
            )
        letters = list(zip(word, qubits, strict=True))
        _mask(qubits)
        x, z = (_mask(qubit for letter, qubit in letters if letter in kinds) for kinds in ("XY", "YZ"))
        pairs.append((x, z))
    return _layer(STRINGS, pairs, angles)


def hadamards(qubits: Iterable[int]) -> list[Layer]:
    """Hadamard gates: ``H = exp(-i pi/4 Y) Z``."""
    sites = list(qubits)
    flips = diagonal([*([site] for site in sites), ()], fixed([*[np.pi] * len(sites), -np.pi * len(sites)]))
    return [flips, rotations("Y", sites, fixed([np.pi / 2] * len(sites)))]


def controlled_z(pairs: Iterable[tuple[int, int]]) -> Layer:
    """CZ gates on pairs of qubits: ``exp(i pi/4 (1 - Z_a) (1 - Z_b))``."""
    supports: list[tuple[int, ...]] = []
    for a, b in pairs:
        supports += [(), (a,), (b,), (a, b)]
    quarter = np.pi / 2
    return diagonal(supports, fixed([-quarter, quarter, quarter, -quarter] * (len(supports) // 4)))


def controlled_x(pairs: Iterable[tuple[int, int]]) -> Layer:
    """CX gates on pairs (control, target), the first pair first."""
    masks: list[tuple[int, int]] = []
    for control, target in pairs:
        _mask((control, target))
        masks.append((1 << target, 1 << control))
    return _layer(FLIPS, masks, fixed(np.zeros(len(masks))))


def masks_of(strings: PauliList) -> IntArray:
    """The masks x and z and the number of Y, modulo 4, of Pauli strings ``i^y X^x Z^z``, (n_strings, 3)."""
    return _masks(int(strings.num_qubits or 0), strings.x.tobytes(), strings.z.tobytes())


@lru_cache(maxsize=64)
def _masks(num_qubits: int, x: bytes, z: bytes) -> IntArray:
    weights = 1 << np.arange(num_qubits, dtype=np.int64)
    flips, signs = (np.frombuffer(bits, dtype=np.bool_).reshape(-1, num_qubits) @ weights for bits in (x, z))
    return np.stack([flips, signs, np.bitwise_count(flips & signs).astype(np.int64) % 4], axis=1)
