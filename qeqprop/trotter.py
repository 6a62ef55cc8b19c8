"""Trotterised sweeps in qiskit's gates: one circuit for a whole batch, its angles as parameters."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from qiskit.circuit import QuantumCircuit

from qeqprop.engine.circuit_layers import Angles
from qeqprop.engine.circuits import Circuit
from qeqprop.gates import Factors, numbered, rotate
from qeqprop.interfaces import IntArray


def in_qiskit_gates(circuit: Circuit) -> QuantumCircuit:
    """A circuit of Pauli rotations whose every angle is a parameter of its own, as `trotter_sweep` makes them.

    Parameter j is named ``theta_00j`` and is the angle of rotation j: ``exp(-i theta/2 P)`` (`gates.rotate`). The order
    of the parameters is that of their names. Equal circuits give the same object, so that what was compiled for one can
    be found again.

    Raises:
        ValueError: if an angle is not a parameter of its own.
    """
    angles, count = circuit.angles, len(circuit.x)
    plain = Angles(np.arange(count), np.ones(count), np.zeros(count))
    if any(not np.array_equal(getattr(angles, name), getattr(plain, name)) for name in ("index", "scale", "offset")):
        raise ValueError("Argument `circuit` must have a parameter of its own for every angle.")
    return _in_gates(circuit.num_qubits, circuit.start == "plus", _bytes(circuit.x), _bytes(circuit.z))


@lru_cache(maxsize=32)
def _in_gates(num_qubits: int, plus: bool, x: bytes, z: bytes) -> QuantumCircuit:
    result = QuantumCircuit(num_qubits)
    if plus:
        result.h(range(num_qubits))
    masks = list(zip(_masks(x), _masks(z), strict=True))
    for (flips, signs), parameter in zip(masks, numbered(len(masks)), strict=True):
        rotate(result, *_factors(num_qubits, flips, signs), parameter)
    return result


def _factors(num_qubits: int, flips: int, signs: int) -> Factors:
    """The letters and sites of the string of the masks."""
    sites = tuple(site for site in range(num_qubits) if (flips | signs) >> site & 1)
    return "".join("ZXY"[(flips >> site & 1) + (flips >> site & signs >> site & 1)] for site in sites), sites


def _bytes(masks: IntArray) -> bytes:
    return np.ascontiguousarray(masks, dtype=np.int64).tobytes()


def _masks(content: bytes) -> list[int]:
    return np.frombuffer(content, dtype=np.int64).tolist()
