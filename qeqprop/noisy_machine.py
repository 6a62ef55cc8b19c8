"""Shots of a noisy machine: one simulation for each row, and measurements as products of what each qubit does.

A basis adds gates to single qubits and reads them, all with errors. In Pauli vectors (`pauli_transfer`) reading outcome
o from a qubit is a vector of four numbers: the readout's confusion, ``(P(o|0) +- P(o|1)) / 2`` for I and Z, times the
matrices of those noisy gates. The probability of all outcomes is the product of these vectors with the state, so one
simulation of the body serves all bases, and every row and basis draws its shots from a stream of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from qiskit.quantum_info import SuperOp

from qeqprop.calibrated_noise import confusion, gate_noise, relaxation
from qeqprop.calibration import Calibration
from qeqprop.counts import Readings, Readout, canary_of, stream
from qeqprop.interfaces import FloatArray, IntArray
from qeqprop.pauli_transfer import Program, compile_noisy, run_noisy
from qeqprop.placement import Placed, ending, there_and_back

MAX_SITES = 12
"""A Pauli vector of twelve sites takes an eighth of a gigabyte."""


@dataclass(frozen=True, eq=False)
class NoisyMachine:
    """The qubits that a circuit uses.

    Attributes:
        calibration: of those qubits.
    """

    calibration: Calibration

    def noise(self, name: str, qubits: tuple[int, ...], time: float) -> SuperOp | None:
        """What follows a gate, or happens while a qubit waits ``time`` of the machine's units."""
        calibration = self.calibration
        if name == "delay":
            (qubit,) = qubits
            return relaxation(calibration.t1[qubit], calibration.t2[qubit], time * calibration.dt)
        return gate_noise(calibration, name, qubits) if name != "rz" else None


def read_noisy(placed: Placed, readout: Readout) -> Readings:
    """Measures every row in every basis, and a canary, on the machine of a placed circuit.

    Args:
        placed: with a `NoisyMachine` as its simulator.
        readout: what is to be read; the canary is the circuit of the first row and its inverse.

    Raises:
        ValueError: for too many sites.
    """
    bases, numbers, key = readout.bases, readout.shots_by_basis, readout.key
    values = placed.values(readout.parameters)
    states = noisy_states(placed, values)
    outcomes: list[IntArray] = []
    for position, (basis, number) in enumerate(zip(bases, numbers, strict=True)):
        likely = probabilities(placed, states, basis.letters)
        outcomes.append(np.stack([_draw(row, number, stream(key, at, position)) for at, row in enumerate(likely)]))
    if not readout.canary:
        return Readings(bases, outcomes)
    back = run_noisy(_there_and_back(placed), values[:1])
    in_z = probabilities(placed, back, "Z" * len(placed.sites))[0]
    alive = _draw(in_z, max(numbers), stream(key, len(values), len(bases)))
    return Readings(bases, outcomes, canary_of(alive, len(placed.sites)), extra_shots=alive.size)


def noisy_states(placed: Placed, values: FloatArray) -> FloatArray:
    """The Pauli vectors (rows, 4^n_qubits) of all rows, from the parameters of the placed circuit.

    Raises:
        ValueError: for too many sites.
    """
    if placed.circuit.num_qubits > MAX_SITES:
        raise ValueError(
            f"Argument `circuit` must have at most {MAX_SITES} qubits to be simulated with noise, "
            f"but has {placed.circuit.num_qubits}."
        )
    return run_noisy(_program(placed), values)


def probabilities(placed: Placed, states: FloatArray, letters: str) -> FloatArray:
    """How likely every outcome is, (rows, 2^n_sites); bit k of an outcome is site k.

    Args:
        placed: see `read_noisy`.
        states: (rows, 4^n_qubits).
        letters: the Pauli measured at each site, site 0 first.
    """
    effects, rows, n_qubits = _effects(placed, letters), len(states), placed.circuit.num_qubits
    rest = states
    for qubit in reversed(range(n_qubits)):  # the last qubit is the highest bit
        rest = effects[qubit] @ rest.reshape(rows, -1, 4, 1 << (2 * qubit))
    by_qubit = rest.reshape(rows, *[2] * n_qubits)  # axis n_qubits - q is qubit q
    axes = [n_qubits - placed.sites[site] for site in reversed(range(n_qubits))]
    likely = np.clip(by_qubit.transpose(0, *axes).reshape(rows, -1), 0.0, None)
    return likely / np.sum(likely, axis=1, keepdims=True)


@lru_cache(maxsize=64)
def _program(placed: Placed) -> Program:
    return compile_noisy(placed.circuit, placed.simulator.noise)


@lru_cache(maxsize=64)
def _there_and_back(placed: Placed) -> Program:
    return compile_noisy(there_and_back(placed), placed.simulator.noise)


@lru_cache(maxsize=256)
def _effects(placed: Placed, letters: str) -> FloatArray:
    """What reading 0 or 1 from every qubit is worth, (n_qubits, 2, 4)."""
    calibration: Calibration = placed.simulator.calibration
    turns = compile_noisy(ending(placed, letters), placed.simulator.noise)
    effects = np.zeros((turns.n_qubits, 2, 4))
    for qubit in range(turns.n_qubits):
        of_zero, of_one = confusion(calibration, qubit)
        effects[qubit, :, 0], effects[qubit, :, 3] = (of_zero + of_one) / 2, (of_zero - of_one) / 2
    for step in reversed(turns.steps):
        (qubit,) = step.qubits
        effects[qubit] = effects[qubit] @ step.fixed
    return effects


def _draw(likely: FloatArray, shots: int, seeds: np.random.SeedSequence) -> IntArray:
    """Independent outcomes (shots,)."""
    places = np.cumsum(likely)
    return np.searchsorted(places, places[-1] * np.random.default_rng(seeds).random(shots), side="right")
