"""Trotterised sweeps in qiskit's gates: one circuit for a whole batch, its angles as parameters."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from qiskit.circuit import QuantumCircuit
from qiskit.circuit.library import PauliEvolutionGate
from qiskit.quantum_info import SparsePauliOp

from qeqprop.engine.circuit_layers import Angles
from qeqprop.engine.circuits import Circuit
from qeqprop.gates import numbered, rotate
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
    for (flips, signs), angle in zip(masks, numbered(len(masks)), strict=True):
        sites = [site for site in range(num_qubits) if (flips | signs) >> site & 1]
        word = "".join("ZXY"[(flips >> site & 1) + (flips >> site & signs >> site & 1)] for site in sites)
        if sites:
            rotate(result, word, sites, angle)
        else:  # a phase
            result.append(PauliEvolutionGate(SparsePauliOp("I"), time=angle / 2), [0])
    return result


def _bytes(masks: IntArray) -> bytes:
    return np.ascontiguousarray(masks, dtype=np.int64).tobytes()


def _masks(content: bytes) -> list[int]:
    return np.frombuffer(content, dtype=np.int64).tolist()
