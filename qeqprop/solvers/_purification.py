"""Circuits that purify a distribution of bits: ``sum_b sqrt(p_b) |b>|b>``, then a circuit on the first half.

Free populations are prepared by a tree of rotations. Partner qubit k is turned by an angle that depends on the bits of
the partners above it; with n - 1 - k of them these are ``2^(n-1-k)`` plain rotations between as many CNOTs. Half the
difference and half the sum of neighbouring angles, again and again, are the angles of the plain ones (a Walsh transform
in the order of the Gray code).

Source: Möttönen, Vartiainen, Bergholm and Salomaa, Quantum Inf. Comput. 5, 467 (2005).
"""

from __future__ import annotations

from functools import cache

import numpy as np
from qiskit.circuit import QuantumCircuit

from qeqprop.gates import numbered
from qeqprop.interfaces import FloatArray

_kept: dict[tuple[int, bool], tuple[QuantumCircuit, QuantumCircuit]] = {}


def purification(circuit: QuantumCircuit, *, product: bool) -> QuantumCircuit:
    """On 2n qubits: partners n .. 2n-1 hold the populations, CNOTs copy them, the circuit acts on sites 0 .. n-1.

    Its parameters are those of `partner_angles`, then those of the circuit. Equal calls give the same object.
    """
    known = _kept.get((id(circuit), product))
    if known is not None:
        return known[1]
    n = circuit.num_qubits
    count = n if product else (1 << n) - 1
    angles = numbered(count, "latent")
    whole = QuantumCircuit(2 * n)
    used = 0
    for target in reversed(range(n)):
        controls = [] if product else list(range(target + 1, n))
        steps = 1 << len(controls)
        for step in range(steps):
            whole.ry(angles[used], n + target)
            used += 1
            if controls:
                flips = _gray(step) ^ _gray((step + 1) % steps)
                whole.cx(n + controls[flips.bit_length() - 1], n + target)
    whole.cx(range(n, 2 * n), range(n))
    whole.compose(circuit, qubits=range(n), inplace=True)
    if len(_kept) > 32:
        _kept.clear()
    _kept[id(circuit), product] = (circuit, whole)  # the circuit is kept, so that no other comes to have its id
    return whole


def partner_angles(p: FloatArray, *, product: bool) -> FloatArray:
    """The angles (rows, n_angles) that prepare populations (rows, 2^n), those of independent bits if ``product``."""
    n = p.shape[1].bit_length() - 1
    columns: list[FloatArray] = []
    for target in reversed(range(n)):
        blocks = p.reshape(len(p), -1, 2, 1 << target).sum(axis=3)  # (rows, bits above, this bit)
        if product:
            blocks = blocks.sum(axis=1, keepdims=True)
        angles = 2 * np.arctan2(np.sqrt(blocks[:, :, 1]), np.sqrt(blocks[:, :, 0]))
        columns.append(angles @ _plain(angles.shape[1]).T)
    return np.concatenate(columns, axis=1)


def _gray(number: int) -> int:
    return number ^ (number >> 1)


@cache
def _plain(count: int) -> FloatArray:
    """From the angles of all control values to those of plain rotations: ``M_ij = (-1)^(j . gray(i)) / count``."""
    gray = np.arange(count) ^ (np.arange(count) >> 1)
    odd = np.bitwise_count(gray[:, None] & np.arange(count)) % 2
    return (1.0 - 2.0 * odd) / count
