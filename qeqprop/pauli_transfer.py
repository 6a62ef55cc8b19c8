"""Noisy circuits on Pauli vectors: all rows together, in real numbers.

A state is the table of its Pauli expectation values ``r_P = tr(P rho)``, 4^n numbers, and a channel the real matrix
``R_PQ = tr(P E(Q)) / d`` (Greenbaum 2015). A rotation is ``R(t) = A + cos(t) B + sin(t) C`` with fixed matrices, so the
rows of a job, which differ in angles, share all else. Gates on single qubits, with their noise, are multiplied up until
a gate on two qubits comes; one matrix of 16 x 16 for each row then takes them all to the state.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from qiskit.circuit import QuantumCircuit
from qiskit.quantum_info import PTM, SuperOp

from qeqprop.fractional_gates import linear_angle
from qeqprop.interfaces import FloatArray

CHANNELS = Callable[[str, tuple[int, ...], float], SuperOp | None]
"""The noise that follows a gate of that name on those qubits, or a delay of that many units; None for none."""

_ROOM = 1 << 19
"""Numbers in the states that are worked on together: what a processor keeps at hand."""

_LETTERS = 4


class Step(NamedTuple):
    """A gate with its noise.

    Attributes:
        qubits: one or two.
        fixed: the matrix, or A of a rotation.
        cosine: B, if the angle depends on the row.
        sine: C.
        angle: the number of the angle, -1 for none.
    """

    qubits: tuple[int, ...]
    fixed: FloatArray
    cosine: FloatArray | None = None
    sine: FloatArray | None = None
    angle: int = -1


class Program(NamedTuple):
    """A circuit with its noise, ready to run.

    Attributes:
        n_qubits: of the circuit.
        steps: in their order.
        slopes: (n_angles, n_parameters).
        offsets: (n_angles,).
    """

    n_qubits: int
    steps: list[Step]
    slopes: FloatArray
    offsets: FloatArray


def compile_noisy(circuit: QuantumCircuit, noise: CHANNELS) -> Program:
    """Reads a circuit of gates on one or two qubits, delays and barriers.

    Raises:
        ValueError: if an angle is not linear in the parameters.
    """
    parameters = list(circuit.parameters)
    known: dict[Any, FloatArray | None] = {}
    steps: list[Step] = []
    slopes: list[FloatArray] = []
    offsets: list[float] = []

    def noise_of(name: str, qubits: tuple[int, ...], time: float) -> FloatArray | None:
        place = (name, qubits, time)
        if place not in known:
            channel = noise(name, qubits, time)
            known[place] = None if channel is None else transfer_matrix(channel)
        return known[place]

    for step in circuit.data:
        gate, qubits = step.operation, tuple(circuit.find_bit(bit).index for bit in step.qubits)
        if gate.name == "barrier":
            continue
        waits = gate.name == "delay"
        after = noise_of(gate.name, qubits, float(gate.params[0]) if waits else 0.0)
        moved = (lambda matrix: matrix) if after is None else (lambda matrix, after=after: after @ matrix)
        if waits:
            steps.append(Step(qubits, moved(np.eye(_LETTERS))))
        elif any(getattr(parameter, "parameters", None) for parameter in gate.params):
            slope, offset = linear_angle(gate.params[0], parameters)
            steps.append(Step(qubits, *map(moved, _rotation(gate)), angle=len(offsets)))
            slopes.append(slope)
            offsets.append(offset)
        else:
            steps.append(Step(qubits, moved(transfer_matrix(SuperOp(gate)))))
    return Program(circuit.num_qubits, steps, _table(slopes, len(parameters)), np.array(offsets))


def run_noisy(program: Program, values: FloatArray) -> FloatArray:
    """The Pauli vectors (rows, 4^n) that a circuit makes of zeros; the letters I, X, Y, Z of qubit 0 change fastest.

    Args:
        program: of `compile_noisy`.
        values: (rows, n_parameters) in the order of ``circuit.parameters``.
    """
    count = max(1, _ROOM >> (2 * program.n_qubits))
    parts = [values[begin : begin + count] for begin in range(0, len(values), count)]
    return np.concatenate([_run(program, part) for part in parts])


def transfer_matrix(channel: SuperOp) -> FloatArray:
    """The matrix R of a channel on one or two qubits; the letter of its first qubit changes fastest."""
    return np.asarray(np.real(PTM(channel).data), dtype=np.float64)


def _table(rows: list[FloatArray], width: int) -> FloatArray:
    return np.array(rows, dtype=np.float64).reshape(len(rows), width)


def _rotation(gate: Any) -> tuple[FloatArray, FloatArray, FloatArray]:
    """A, B and C of a rotation by an angle, ``exp(-i t/2 P)``."""
    zero, quarter, half = (transfer_matrix(SuperOp(type(gate)(angle))) for angle in (0.0, np.pi / 2, np.pi))
    mean = (zero + half) / 2
    return mean, (zero - half) / 2, quarter - mean


def _run(program: Program, values: FloatArray) -> FloatArray:
    rows, n_qubits = len(values), program.n_qubits
    angles = values @ program.slopes.T + program.offsets
    cosines, sines = np.cos(angles)[:, :, None, None], np.sin(angles)[:, :, None, None]
    one = np.array([1.0, 0.0, 0.0, 1.0])  # of |0><0|
    state: FloatArray = np.ones((1, 1))
    for _ in range(n_qubits):
        state = np.asarray(np.kron(state, one), dtype=np.float64)
    state = np.repeat(state, rows, axis=0)
    nothing = np.eye(_LETTERS)[None]
    waiting = [nothing] * n_qubits  # products of gates on single qubits that the state has not seen yet
    for step in program.steps:
        matrix = step.fixed[None]
        if step.cosine is not None and step.sine is not None:
            matrix = matrix + cosines[:, step.angle] * step.cosine + sines[:, step.angle] * step.sine
        if len(step.qubits) == 1:
            (qubit,) = step.qubits
            waiting[qubit] = matrix @ waiting[qubit]
        else:
            low, high = step.qubits
            both = np.einsum("rij,rkl->rikjl", waiting[high], waiting[low]).reshape(-1, 16, 16)
            state = _applied(state, matrix @ both, (high, low), n_qubits)
            waiting[low] = waiting[high] = nothing
    for qubit, matrix in enumerate(waiting):
        if matrix is not nothing:
            state = _applied(state, matrix, (qubit,), n_qubits)
    return state


def _applied(state: FloatArray, matrix: FloatArray, qubits: tuple[int, ...], n_qubits: int) -> FloatArray:
    """States (rows, 4^n) after a matrix (rows or 1, 4^k, 4^k) on k qubits, of which the last changes fastest."""
    rows = len(state)
    axes, front = [n_qubits - qubit for qubit in qubits], list(range(1, len(qubits) + 1))
    table = np.moveaxis(state.reshape(rows, *[_LETTERS] * n_qubits), axes, front)
    moved = (matrix @ table.reshape(rows, matrix.shape[-1], -1)).reshape(table.shape)
    return np.moveaxis(moved, front, axes).reshape(rows, -1)
