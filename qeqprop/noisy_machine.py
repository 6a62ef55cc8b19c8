"""Shots of a noisy machine: one density matrix for each row, and measurements as products of what each qubit does.

A basis adds gates to single qubits and reads them, all with errors. So reading outcome o from a qubit is an operator
``E_o`` with ``E_0 + E_1 = 1``: the adjoint of those noisy gates, applied to ``sum_b P(o|b) |b><b|`` with the readout's
confusion P. The probability of all outcomes is ``tr[rho E_o1 x E_o2 x ..]``, so one simulation of the body serves all
bases, and every row and basis draws its shots from a stream of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from qiskit.circuit import QuantumCircuit
from qiskit.quantum_info import SuperOp

from qeqprop.calibrated_backend import noise_model
from qeqprop.calibrated_noise import confusion, gate_noise
from qeqprop.calibration import Calibration
from qeqprop.checks import finite_array
from qeqprop.counts import Readings, canary_of, check_shots, stream
from qeqprop.engine.bases import MeasurementBasis
from qeqprop.interfaces import ComplexArray, FloatArray, IntArray
from qeqprop.placement import Placed, ending, there_and_back

MAX_SITES = 12
"""A density matrix of twelve sites takes a quarter of a gigabyte."""


@dataclass(frozen=True, eq=False)
class NoisyMachine:
    """The qubits that a circuit uses.

    Attributes:
        calibration: of those qubits.
    """

    calibration: Calibration

    @cached_property
    def simulator(self) -> Any:
        """An `AerSimulator` of density matrices with all gate errors."""
        from qiskit_aer import AerSimulator

        model = noise_model(self.calibration)
        # neighbouring gates and their noise are multiplied first; a thread costs more than it gives
        return AerSimulator(method="density_matrix", noise_model=model, fusion_threshold=1, max_parallel_threads=1)


def read_noisy(
    placed: Placed,
    parameters: FloatArray,
    bases: Sequence[MeasurementBasis],
    shots: int | Sequence[int],
    key: tuple[int, ...],
    *,
    canary: bool = True,
) -> Readings:
    """Measures every row in every basis, and the canary, on the machine of a placed circuit.

    Args:
        placed: with a `NoisyMachine` as its simulator.
        parameters: (rows, n_parameters) of the original circuit.
        bases: the settings.
        shots: for each row; one number, or one for each basis.
        key: names the random streams.
        canary: whether the circuit of the first row and its inverse are measured as well.
    """
    numbers = check_shots(shots, len(bases))
    values = placed.values(finite_array("parameters", parameters, "(rows, n_parameters)", (None, None)))
    states, back = density_matrices(placed, values, canary=canary)
    outcomes: list[IntArray] = []
    for position, (basis, number) in enumerate(zip(bases, numbers, strict=True)):
        likely = probabilities(placed, states, basis.letters)
        outcomes.append(np.stack([_draw(row, number, stream(key, at, position)) for at, row in enumerate(likely)]))
    if back is None:
        return Readings(bases, outcomes)
    in_z = probabilities(placed, back, "Z" * len(placed.sites))[0]
    alive = _draw(in_z, max(numbers), stream(key, len(values), len(bases)))
    return Readings(bases, outcomes, canary_of(alive, len(placed.sites)), extra_shots=alive.size)


def density_matrices(
    placed: Placed, values: FloatArray, *, canary: bool = False
) -> tuple[ComplexArray, ComplexArray | None]:
    """The states of all rows (rows, dim, dim), and that of the first one after the inverse, in one job of Aer.

    Args:
        placed: see `read_noisy`.
        values: (rows, n) of the parameters of the placed circuit.
        canary: whether the latter is wanted.

    Raises:
        ValueError: for too many sites.
    """
    if placed.circuit.num_qubits > MAX_SITES:
        raise ValueError(
            f"Argument `circuit` must have at most {MAX_SITES} qubits to be simulated with noise, "
            f"but has {placed.circuit.num_qubits}."
        )
    circuits, points = [placed.circuit], [values]
    if canary:
        circuits.append(_there_and_back(placed))
        points.append(values[:1])
    saved = [_saving(circuit) for circuit in circuits]
    binds: Any = [
        dict(zip(one.parameters, rows.T.tolist(), strict=True)) for one, rows in zip(saved, points, strict=True)
    ]
    options = {"parameter_binds": binds} if placed.circuit.num_parameters else {}
    result = placed.simulator.simulator.run(saved, shots=1, **options).result()
    if not result.success:
        raise RuntimeError(f"Aer could not run the job: {result.status}")
    found = np.stack([np.asarray(one.data.density_matrix) for one in result.results])
    count = len(found) - canary
    states = np.broadcast_to(found[:count], (len(values), *found.shape[1:]))  # equal rows without parameters
    return states, found[count:] if canary else None


def probabilities(placed: Placed, states: ComplexArray, letters: str) -> FloatArray:
    """How likely every outcome is, (rows, dim); bit k of an outcome is site k.

    Args:
        placed: see `read_noisy`.
        states: (rows, dim, dim).
        letters: the Pauli measured at each site, site 0 first.
    """
    effects, rows, n_qubits = _effects(placed, letters), len(states), placed.circuit.num_qubits
    rest = states[:, None]  # (rows, outcomes so far, dim left, dim left)
    for qubit in reversed(range(n_qubits)):  # the last qubit is the highest bit
        left = 1 << qubit
        blocks = rest.reshape(rows, -1, 2, left, 2, left)
        rest = np.einsum("bdiajc,oji->bdoac", blocks, effects[qubit]).reshape(rows, -1, left, left)
    by_qubit = np.real(rest).reshape(rows, *[2] * n_qubits)  # axis n_qubits - q is qubit q
    axes = [n_qubits - placed.sites[site] for site in reversed(range(n_qubits))]
    likely = np.clip(by_qubit.transpose(0, *axes).reshape(rows, -1), 0.0, None)
    return likely / np.sum(likely, axis=1, keepdims=True)


@lru_cache(maxsize=256)
def _effects(placed: Placed, letters: str) -> ComplexArray:
    """The operators ``E_o`` of every qubit, (n_qubits, 2, 2, 2): outcome, row, column."""
    calibration: Calibration = placed.simulator.calibration
    turns = ending(placed, letters)
    channels = [SuperOp(np.eye(4)) for _ in range(turns.num_qubits)]
    for step in turns.data:
        if step.operation.name not in ("barrier", "delay"):
            (qubit,) = (turns.find_bit(bit).index for bit in step.qubits)
            noisy = SuperOp(step.operation).compose(gate_noise(calibration, step.operation.name, (qubit,)))
            channels[qubit] = channels[qubit].compose(noisy)
    effects = np.empty((turns.num_qubits, 2, 2, 2), dtype=np.complex128)
    for qubit, channel in enumerate(channels):
        for outcome, read in enumerate(confusion(calibration, qubit).T):
            effects[qubit, outcome] = np.asarray(channel.adjoint().data @ np.diag(read).ravel()).reshape(2, 2).T
    return effects


@lru_cache(maxsize=64)
def _there_and_back(placed: Placed) -> QuantumCircuit:
    return there_and_back(placed)


def _saving(circuit: QuantumCircuit) -> QuantumCircuit:
    from qiskit_aer.library import SaveDensityMatrix

    whole = circuit.copy()
    whole.append(SaveDensityMatrix(circuit.num_qubits), range(circuit.num_qubits))
    return whole


def _draw(likely: FloatArray, shots: int, seeds: np.random.SeedSequence) -> IntArray:
    """Independent outcomes (shots,)."""
    places = np.cumsum(likely)
    return np.searchsorted(places, places[-1] * np.random.default_rng(seeds).random(shots), side="right")
