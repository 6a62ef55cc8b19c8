"""Rotations about X as real ones: some qubits are seen in a basis turned by ``S = diag(1, i)``.

Since ``S X S^-1 = Y``, a rotation about X is a rotation about Y, which is real, between S and its inverse, which are
diagonal. From one layer of X to the next they cancel; what is left joins diagonal layers, the initial state or the
operators that are measured, so that it costs nothing.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from qeqprop.engine.circuit_program import DIAGONAL, FLIPS, TURN_X, TURN_Y
from qeqprop.interfaces import FloatArray, IntArray

if TYPE_CHECKING:
    from qeqprop.engine.circuits import Circuit


class RealLayers(NamedTuple):
    """Layers without rotations about X.

    Attributes:
        kinds: kind of each layer.
        ends: where its items end.
        items: (n_items, 4) x, z and the number of Y of each string ``i^y X^x Z^z``, and the index of its parameter.
        affine: (n_items, 2) scale and offset of the angle.
        begin, end: masks of the qubits that are turned at the beginning and at the end.
    """

    kinds: list[int]
    ends: list[int]
    items: IntArray
    affine: FloatArray
    begin: int
    end: int


def turned_strings(strings: IntArray, turned: int) -> IntArray:
    """Pauli strings (n_strings, 3), masks x and z and the number of Y, as they are where some qubits are turned.

    X becomes Y, and Y becomes -X.
    """
    return _turned(strings.tobytes(), turned) if turned else strings


@lru_cache(maxsize=64)
def _turned(strings: bytes, turned: int) -> IntArray:
    result = np.frombuffer(strings, dtype=np.int64).reshape(-1, 3).copy()
    moved = result[:, 0] & turned
    result[:, 1] ^= moved
    result[:, 2] = (result[:, 2] + np.bitwise_count(moved)) & 3
    return result


def real_layers(circuit: Circuit) -> RealLayers:
    """The layers of a circuit, with diagonal layers of S and its inverse where they are needed."""
    begin = turned = _first_turned(circuit)
    kinds: list[int] = []
    pieces: list[tuple[IntArray, FloatArray]] = []
    for layer in circuit.layers:
        moved = int(np.bitwise_or.reduce(layer.x, initial=0))
        change = 0
        if layer.kind == TURN_X:
            change = moved & ~turned
        elif layer.kind in (TURN_Y, FLIPS):
            change = moved & turned
        if change:
            items, affine = _phases(change, 1.0 if layer.kind == TURN_X else -1.0)
            if kinds and kinds[-1] == DIAGONAL:
                before = pieces.pop()
                items, affine = np.concatenate([before[0], items]), np.concatenate([before[1], affine])
            else:
                kinds.append(DIAGONAL)
            pieces.append((items, affine))
            turned ^= change
        kinds.append(TURN_Y if layer.kind == TURN_X else layer.kind)
        count = np.bitwise_count(layer.x & layer.z).astype(np.int64)
        strings = turned_strings(np.stack([layer.x, layer.z, count], axis=1), turned)
        angles = layer.angles
        pieces.append((np.column_stack([strings, angles.index]), np.column_stack([angles.scale, angles.offset])))
    return RealLayers(
        kinds,
        np.cumsum([len(items) for items, _ in pieces], dtype=np.int64).tolist(),
        np.concatenate([np.zeros((0, 4), dtype=np.int64), *(items for items, _ in pieces)]),
        np.concatenate([np.zeros((0, 2)), *(affine for _, affine in pieces)]),
        begin,
        turned,
    )


def _first_turned(circuit: Circuit) -> int:
    """The qubits that are rotated about X before anything else, up to the first diagonal layer."""
    turned = seen = 0
    for layer in circuit.layers:
        moved = int(np.bitwise_or.reduce(layer.x, initial=0))
        if layer.kind == DIAGONAL:
            break
        if layer.kind == TURN_X:
            turned |= moved & ~seen
        if layer.kind in (TURN_X, TURN_Y, FLIPS):
            seen |= moved
    return turned


def _phases(qubits: int, sign: float) -> tuple[IntArray, FloatArray]:
    """S on some qubits, or for sign -1 its inverse: rotations about Z by a right angle, and a global phase."""
    masks = [0, *(1 << k for k in range(qubits.bit_length()) if qubits >> k & 1)]
    items = np.zeros((len(masks), 4), dtype=np.int64)
    items[:, 1], items[:, 3] = masks, -1
    affine = np.zeros((len(masks), 2))
    affine[:, 1] = sign * np.pi / 2
    affine[0, 1] *= 1 - len(masks)
    return items, affine
