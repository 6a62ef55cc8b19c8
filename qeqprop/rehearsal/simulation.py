"""Shots of a circuit on a machine of any size: only the qubits that act on each other are simulated together, on Aer.

A circuit for 156 qubits that uses six of them costs what six cost. Qubits are grouped by their two-qubit gates; a group
is cut out with its noise and run on Aer, which draws every shot. A qubit by itself, such as the many that a twirled
measurement reads for nothing, has its probabilities computed exactly from Pauli vectors (`pauli_transfer`) for all rows
at once, and its shots drawn from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qiskit.circuit import QuantumCircuit

from qeqprop.calibrated_backend import noise_model
from qeqprop.calibrated_noise import confusion
from qeqprop.calibration import Calibration, Qubits
from qeqprop.devices.aer import DENSE_SITES, aer_simulator
from qeqprop.fractional_gates import linear_angle
from qeqprop.interfaces import FloatArray
from qeqprop.noisy_machine import NoisyMachine
from qeqprop.pauli_transfer import compile_noisy, run_noisy
from qeqprop.rehearsal.machines import Machine

Bits = NDArray[np.bool_]

MAX_GROUP = 24
"""Qubits that can be simulated together."""

_FREE = frozenset({"barrier", "delay", "measure", "reset"})


class RefusedProgram(ValueError):
    """A machine cannot run this: the job fails with this message."""


@dataclass(frozen=True, eq=False)
class Group:
    """Qubits of a circuit that act on each other.

    Attributes:
        qubits: their physical numbers.
        clbits: the classical bits of the whole circuit that they write, in the order of the group's own.
        circuit: on these qubits and bits alone.
        columns: which parameters of the whole circuit it has, in the order of its own.
    """

    qubits: Qubits
    clbits: list[int]
    circuit: QuantumCircuit
    columns: list[int]


def sample(
    machine: Machine,
    circuit: QuantumCircuit,
    values: FloatArray,
    shots: int,
    seeds: np.random.SeedSequence,
    *,
    generation: int = 0,
) -> dict[str, Bits]:
    """Runs a circuit of native gates at many points.

    Args:
        machine: which it is placed on: qubit k of the circuit is qubit k of the machine.
        circuit: with measurements.
        values: (rows, n_parameters) in the order of ``circuit.parameters``.
        shots: of each row.
        seeds: all that is random.
        generation: of the machine's calibration.

    Returns:
        For each classical register (rows, shots, size): element k is bit k of the register.

    Raises:
        RefusedProgram: if the machine has no such gate there, or a number is not finite or out of the gate's range.
    """
    check_native(machine, circuit, values)
    read = np.zeros((circuit.num_clbits, len(values), shots), dtype=np.bool_)
    groups = split(circuit)
    for group, stream in zip(groups, seeds.spawn(len(groups)), strict=True):
        read[group.clbits] = _sample_group(machine, group, values[:, group.columns], shots, stream, generation)
    return {
        register.name: np.moveaxis(read[[circuit.find_bit(bit).index for bit in register]], 0, 2)
        for register in circuit.cregs
    }


def check_native(machine: Machine, circuit: QuantumCircuit, values: FloatArray) -> None:
    """Refuses what the machine does not know, as the service does.

    Raises:
        RefusedProgram: names the gate, its qubits and why.
    """
    if not np.all(np.isfinite(values)):
        raise RefusedProgram("A parameter value is not finite.")
    if circuit.num_qubits > machine.n_qubits:
        raise RefusedProgram(
            f"The circuit has {circuit.num_qubits} qubits, but {machine.name} only {machine.n_qubits}."
        )
    durations, parameters = machine.durations, list(circuit.parameters)
    for step in circuit.data:
        gate, qubits = step.operation, tuple(circuit.find_bit(bit).index for bit in step.qubits)
        if gate.name in _FREE:
            continue
        if (gate.name, qubits) not in durations:
            raise RefusedProgram(f"The instruction {gate.name} on qubits {qubits} is not supported by {machine.name}.")
        if gate.name == "rzz":
            slope, offset = linear_angle(gate.params[0], parameters)
            angles = values @ slope + offset
            if np.any((angles < -1e-9) | (angles > np.pi / 2 + 1e-9)):
                raise RefusedProgram(f"The angle of rzz on qubits {qubits} must be from 0 to pi/2.")


def duration(machine: Machine, circuit: QuantumCircuit) -> float:
    """Seconds that one execution lasts, every gate as early as it can be."""
    free = np.zeros(circuit.num_qubits)
    unit = 1e-9 * float(machine.configuration.get("dt") or 0.0)
    for step in circuit.data:
        gate, qubits = step.operation, [circuit.find_bit(bit).index for bit in step.qubits]
        lasts = machine.durations.get((gate.name, tuple(qubits)), 0.0)
        if gate.name == "delay":
            lasts = float(gate.params[0]) * (unit if gate.unit == "dt" else 1.0)
        free[qubits] = np.max(free[qubits]) + lasts
    return float(np.max(free, initial=0.0))


def split(circuit: QuantumCircuit) -> list[Group]:
    """The groups of qubits that act on each other; those without any gate or measurement are left out."""
    owner = list(range(circuit.num_qubits))

    def root(qubit: int) -> int:
        while owner[qubit] != qubit:
            owner[qubit] = qubit = owner[owner[qubit]]
        return qubit

    steps: list[tuple[Any, list[int], list[int]]] = []
    for step in circuit.data:
        if step.operation.name == "barrier":
            continue
        if getattr(step.operation, "blocks", None):
            raise RefusedProgram(f"The rehearsal runs no control flow, but the circuit has {step.operation.name}.")
        qubits = [circuit.find_bit(bit).index for bit in step.qubits]
        steps.append((step.operation, qubits, [circuit.find_bit(bit).index for bit in step.clbits]))
        for qubit in qubits[1:]:
            owner[root(qubit)] = root(qubits[0])
    members: dict[int, list[Any]] = {}
    for step in steps:
        members.setdefault(root(step[1][0]), []).append(step)
    position = {parameter: index for index, parameter in enumerate(circuit.parameters)}
    return [_group(list(part), position) for _, part in sorted(members.items())]


def _group(steps: list[Any], position: dict[Any, int]) -> Group:
    qubits = sorted({qubit for _, where, _ in steps for qubit in where})
    clbits = sorted({bit for *_, written in steps for bit in written})
    place, bit_place = ({name: index for index, name in enumerate(names)} for names in (qubits, clbits))
    part = QuantumCircuit(len(qubits), len(clbits))
    for operation, where, written in steps:
        part.append(operation, [place[qubit] for qubit in where], [bit_place[bit] for bit in written])
    return Group(tuple(qubits), clbits, part, [position[parameter] for parameter in part.parameters])


def _sample_group(
    machine: Machine, group: Group, values: FloatArray, shots: int, seeds: np.random.SeedSequence, generation: int
) -> Bits:
    """(n_clbits, rows, shots)"""
    shape = (len(group.clbits), len(values), shots)
    if not group.clbits:
        return np.zeros(shape, dtype=np.bool_)
    names = [step.operation.name for step in group.circuit.data]
    if len(group.qubits) == 1 and names.count("measure") == 1 and names[-1] == "measure" and "reset" not in names:
        likely = _probability_of_one(machine, group, values, generation)
        return np.random.default_rng(seeds).random(shape) < likely[None, :, None]
    if len(group.qubits) > MAX_GROUP:
        raise RefusedProgram(
            f"The rehearsal simulates at most {MAX_GROUP} qubits together, but {len(group.qubits)} are entangled."
        )
    return _on_aer(_simulator(_calibration(machine, group, generation)), group.circuit, values, shots, seeds)


def _calibration(machine: Machine, group: Group, generation: int) -> Calibration:
    try:
        calibration = machine.calibration(group.qubits, generation)
    except ValueError as error:
        raise RefusedProgram(f"Qubits {group.qubits} of {machine.name} are not fit for use: {error}") from None
    for step in group.circuit.data:
        name, where = step.operation.name, tuple(group.circuit.find_bit(bit).index for bit in step.qubits)
        if name not in _FREE and where not in calibration.gates.get(name, {}):
            broken = tuple(group.qubits[qubit] for qubit in where)
            raise RefusedProgram(f"The instruction {name} on qubits {broken} of {machine.name} is broken.")
    return calibration


def _probability_of_one(machine: Machine, group: Group, values: FloatArray, generation: int) -> FloatArray:
    """(rows,) of reading 1 from a qubit by itself; one half if it is broken."""
    try:
        calibration = machine.calibration(group.qubits, generation)
    except ValueError:
        return np.full(len(values), 0.5)
    body = QuantumCircuit(1)
    for step in group.circuit.data:
        if step.operation.name != "measure" and (
            step.operation.name == "delay" or (0,) in calibration.gates.get(step.operation.name, {})
        ):
            body.append(step.operation, [0])
    columns = [list(group.circuit.parameters).index(parameter) for parameter in body.parameters]
    state = run_noisy(compile_noisy(body, NoisyMachine(calibration).noise), values[:, columns])
    of_zero, of_one = confusion(calibration, 0)[:, 1]
    return np.clip((of_zero + of_one) / 2 + (of_zero - of_one) / 2 * state[:, 3], 0.0, 1.0)


@lru_cache(maxsize=32)
def _simulator(calibration: Calibration) -> Any:
    method = "density_matrix" if calibration.n_qubits <= DENSE_SITES else "statevector"
    return aer_simulator(method, noise_model(calibration), calibration.n_qubits)


def _on_aer(
    simulator: Any, circuit: QuantumCircuit, values: FloatArray, shots: int, seeds: np.random.SeedSequence
) -> Bits:
    """Every shot as it was drawn, (n_clbits, rows, shots)."""
    columns = dict(zip(circuit.parameters, values.T.tolist(), strict=True))
    circuits = [circuit] if columns else [circuit] * len(values)
    options: dict[str, Any] = {"parameter_binds": [columns]} if columns else {}
    seed = int(seeds.generate_state(1, np.uint64)[0] >> np.uint64(2))
    result = simulator.run(circuits, shots=shots, seed_simulator=seed, memory=True, **options).result()
    if not result.success:
        raise RefusedProgram(f"The simulation failed: {result.status}")
    drawn = np.array([[int(outcome, 16) for outcome in row.data.memory] for row in result.results], dtype=np.int64)
    return _bits(drawn, circuit.num_clbits)


def _bits(drawn: NDArray[np.int64], number: int) -> Bits:
    return (drawn[None] >> np.arange(number)[:, None, None] & 1).astype(np.bool_)


def points(shape: Sequence[int]) -> int:
    """How many points an array of that shape has."""
    return int(np.prod(shape, dtype=np.int64))
