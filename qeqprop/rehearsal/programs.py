"""The programs of the service: the executor, on which the newer primitives stand, and the older sampler and estimator.

A program is read into items, each a circuit at many points; what they cost follows from them before anything runs. The
bill of a job is ``overhead + sum_items executions (rep_delay + duration)`` in seconds on the machine, where duration is
that of one execution with every gate as early as it can be. The service publishes no formula; this one is a floor.

Server-side mitigation of the older estimator (its resilience levels) is not modelled: it answers as at level 0.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from qiskit.circuit import ClassicalRegister, QuantumCircuit
from qiskit.quantum_info import PauliList

from qeqprop.interfaces import FloatArray
from qeqprop.rehearsal.machines import Machine
from qeqprop.rehearsal.simulation import Bits, RefusedProgram, duration, points, sample

OVERHEAD = 2.0
"""Seconds on the machine that every job is billed beside its executions."""

MAX_EXECUTIONS = 10_000_000
"""Of one job."""

Arrays = dict[str, np.ndarray[Any, Any]]


@dataclass(frozen=True, eq=False)
class Item:
    """One circuit at many points.

    Attributes:
        circuit: with measurements.
        shape: of the array of points.
        shots: of each point.
        draw: makes the parameter values (points, n_parameters) and what is answered beside the bits; it may be random.
    """

    circuit: QuantumCircuit
    shape: tuple[int, ...]
    shots: int
    draw: Callable[[np.random.Generator], tuple[FloatArray, Arrays]]

    @property
    def executions(self) -> int:
        return points(self.shape) * self.shots


@dataclass(frozen=True, eq=False)
class Program:
    """What a job has to do.

    Attributes:
        items: in their order.
        rep_delay: seconds between executions; None for the machine's own.
        answer: makes the text of the result from the bits (.., shots, size) of every item's registers.
    """

    items: Sequence[Item]
    rep_delay: float | None
    answer: Callable[[list[Arrays]], str]

    @property
    def executions(self) -> int:
        return sum(item.executions for item in self.items)

    def seconds(self, machine: Machine) -> float:
        """What it will be billed."""
        delay = machine.rep_delay if self.rep_delay is None else self.rep_delay
        lasts = sum(item.executions * (delay + duration(machine, item.circuit)) for item in self.items)
        return round(OVERHEAD + lasts, 6)

    def run(self, machine: Machine, generation: int, entropy: Sequence[int]) -> str:
        """The text of the result: a function of the machine's calibration and the entropy.

        Raises:
            RefusedProgram: if the machine cannot run it.
        """
        if self.executions > MAX_EXECUTIONS:
            raise RefusedProgram(f"A job has at most {MAX_EXECUTIONS} executions, but this one {self.executions}.")
        read: list[Arrays] = []
        for position, item in enumerate(self.items):
            drawing, sampling = np.random.SeedSequence(list(entropy), spawn_key=(position,)).spawn(2)
            values, beside = item.draw(np.random.default_rng(drawing))
            bits = sample(machine, item.circuit, values, item.shots, sampling, generation=generation)
            shaped: Arrays = {name: each.reshape(*item.shape, *each.shape[1:]) for name, each in bits.items()}
            read.append(beside | shaped)
        return self.answer(read)


def read_program(name: str, params: Mapping[str, Any]) -> Program:
    """Reads what a client has posted.

    Args:
        name: ``executor``, ``sampler`` or ``estimator``.
        params: the JSON of its parameters.

    Raises:
        RefusedProgram: if there is no such program, or its parameters cannot be read.
    """
    readers = {"executor": _executor, "sampler": _sampler, "estimator": _estimator}
    if name not in readers:
        raise RefusedProgram(f"The rehearsal runs {', '.join(readers)}, but not {name}.")
    try:
        return readers[name](params)
    except RefusedProgram:
        raise
    except Exception as error:
        raise RefusedProgram(f"The parameters of {name} cannot be read: {type(error).__name__}: {error}") from error


# --- executor: the client's own converters, here alone -----------------------------------------------------------


def _executor(params: Mapping[str, Any]) -> Program:
    from ibm_quantum_schemas.common import CompressedTensorModel
    from ibm_quantum_schemas.executor import version_2_0 as schema
    from qiskit_ibm_runtime.fake_provider.executor.broadcast_sample import broadcast_sample
    from qiskit_ibm_runtime.quantum_program.params_converters import QUANTUM_PROGRAM_PARAMS_CONVERTERS

    version = params.get("schema_version")
    if version != "v2.0":
        raise RefusedProgram(f"The rehearsal reads schema v2.0 of the executor, but the job has {version}.")
    model = schema.ParamsModel.model_validate(params)
    read: Any = QUANTUM_PROGRAM_PARAMS_CONVERTERS["v2.0"].decoder  # of the model of this version
    program, options = read(model)
    if program.meas_level not in (None, "classified"):
        raise RefusedProgram(f"The rehearsal returns bits only, but the job wants {program.meas_level}.")

    def item(each: Any) -> Item:
        if hasattr(each, "samplex"):
            each.samplex.finalize()

            def draw(random: np.random.Generator) -> tuple[FloatArray, Arrays]:
                drawn = broadcast_sample(each.samplex, each.samplex_arguments, tuple(each.shape), random)
                values = drawn.pop("parameter_values", np.zeros((points(each.shape), 0)))
                return np.asarray(values).reshape(points(each.shape), -1), drawn

            return Item(each.circuit, tuple(each.shape), program.shots, draw)
        values = np.asarray(each.circuit_arguments, dtype=np.float64)
        shape, rows = values.shape[:-1], values.reshape(points(values.shape[:-1]), values.shape[-1])
        return Item(each.circuit, shape, program.shots, lambda random: (rows, {}))

    def answer(read: list[Arrays]) -> str:
        data = [
            schema.QuantumProgramResultItemModel(
                results={name: CompressedTensorModel.from_numpy(values) for name, values in each.items()},
                metadata=schema.ItemMetadataModel(),
            )
            for each in read
        ]
        return schema.QuantumProgramResultModel(
            data=data,
            metadata=schema.MetadataModel(chunk_timing=[]),
            passthrough_data=model.quantum_program.passthrough_data,
            semantic_role=model.quantum_program.semantic_role,
        ).model_dump_json()

    return Program([item(each) for each in program.items], options.execution.rep_delay, answer)


# --- the older primitives ----------------------------------------------------------------------------------------


def _decoded(params: Mapping[str, Any]) -> Any:
    from qiskit_ibm_runtime import RuntimeDecoder

    return json.loads(json.dumps(params), cls=RuntimeDecoder)


def _encoded(results: Sequence[Any], metadata: Mapping[str, Any]) -> str:
    from qiskit.primitives import PrimitiveResult
    from qiskit_ibm_runtime import RuntimeEncoder

    return json.dumps(PrimitiveResult(results, metadata={**metadata, "version": 2}), cls=RuntimeEncoder)


def _rep_delay(params: Mapping[str, Any]) -> float | None:
    return params.get("options", {}).get("execution", {}).get("rep_delay")


def _fixed(circuit: QuantumCircuit, shape: tuple[int, ...], shots: int, rows: FloatArray) -> Item:
    return Item(circuit, shape, shots, lambda random: (rows, {}))


def _sampler(params: Mapping[str, Any]) -> Program:
    from qiskit.primitives import BitArray, DataBin, SamplerPubResult

    read = _decoded(params)
    default = read.get("options", {}).get("default_shots") or 4096
    items: list[Item] = []
    for circuit, values, shots in read["pubs"]:
        array = np.asarray(values, dtype=np.float64)
        shape = array.shape[:-1]
        items.append(_fixed(circuit, shape, int(shots or default), array.reshape(points(shape), array.shape[-1])))

    def answer(found: list[Arrays]) -> str:
        results = [
            SamplerPubResult(
                DataBin(
                    **{name: BitArray.from_bool_array(bits, order="little") for name, bits in each.items()},
                    shape=item.shape,
                ),
                metadata={"circuit_metadata": item.circuit.metadata or {}},
            )
            for item, each in zip(items, found, strict=True)
        ]
        return _encoded(results, {})

    return Program(items, _rep_delay(params), answer)


def _estimator(params: Mapping[str, Any]) -> Program:
    read = _decoded(params)
    options = read.get("options", {})
    jobs = [_Estimate.of(pub, options) for pub in read["pubs"]]
    items = [item for job in jobs for item in job.items]

    def answer(found: list[Arrays]) -> str:
        bits = iter(found)
        return _encoded([job.result([next(bits)["read"] for _ in job.items]) for job in jobs], {})

    return Program(items, _rep_delay(params), answer)


@dataclass(frozen=True, eq=False)
class _Estimate:
    """One PUB of the older estimator: all its Pauli strings, read in as few settings as commute qubit by qubit."""

    shape: tuple[int, ...]
    rows: np.ndarray[Any, Any]  # for each element of the answer, which row of parameters
    weights: list[dict[str, float]]  # for each element of the answer
    settings: list[list[str]]  # Pauli strings of each setting
    items: list[Item]

    @classmethod
    def of(cls, pub: Any, options: Mapping[str, Any]) -> _Estimate:
        from qiskit.primitives.containers.observables_array import ObservablesArray

        circuit, observables, values, precision = pub
        body = circuit.remove_final_measurements(inplace=False)
        if precision is None and options.get("default_shots"):
            shots = int(options["default_shots"])
        else:
            shots = math.ceil(1.0 / float(precision or options.get("default_precision") or 0.015625) ** 2)
        array, wanted = np.asarray(values, dtype=np.float64), ObservablesArray.coerce(observables)
        places, which = np.broadcast_arrays(
            np.arange(points(array.shape[:-1])).reshape(array.shape[:-1]),
            np.arange(points(wanted.shape)).reshape(wanted.shape),
        )
        terms: Any = wanted.ravel().tolist()
        each: list[dict[str, float]] = [dict(term) for term in terms]
        labels = sorted({label for term in each for label in term if set(label) != {"I"}})
        if any(set(label) - set("IXYZ") for label in labels):
            raise RefusedProgram("The rehearsal estimates Pauli strings of I, X, Y, Z only.")
        groups = PauliList(labels).group_commuting(qubit_wise=True) if labels else []
        settings = [[str(label) for label in group.to_labels()] for group in groups]
        rows = array.reshape(points(array.shape[:-1]), array.shape[-1])
        items = [_fixed(_in_setting(body, setting), (len(rows),), shots, rows) for setting in settings]
        return cls(places.shape, places.ravel(), [each[index] for index in which.ravel()], settings, items)

    def result(self, read: Sequence[Bits]) -> Any:
        """Values and errors of all elements; within a setting all covariances are in the error."""
        from qiskit.primitives import DataBin, PubResult

        means, squares = np.zeros(len(self.rows)), np.zeros(len(self.rows))
        for setting, bits in zip(self.settings, read, strict=True):
            signs, place = 1.0 - 2.0 * bits, {qubit: bit for bit, qubit in enumerate(_letters(setting))}
            worth = {  # (rows, shots)
                label: np.prod(signs[..., [place[k] for k in _letters([label])]], axis=-1) for label in setting
            }
            for element, (row, weights) in enumerate(zip(self.rows, self.weights, strict=True)):
                value = sum(weights.get(label, 0.0) * worth[label][row] for label in setting)
                means[element] += np.mean(value)
                squares[element] += np.var(value) / (np.size(value) - 1 or 1)
        for element, weights in enumerate(self.weights):
            means[element] += sum(weight for label, weight in weights.items() if set(label) == {"I"})
        errors = np.sqrt(squares).reshape(self.shape)
        data = DataBin(evs=means.reshape(self.shape), stds=errors, ensemble_standard_error=errors, shape=self.shape)
        return PubResult(data, metadata={"shots": self.items[0].shots if self.items else 0})


def _letters(labels: Sequence[str]) -> dict[int, str]:
    """What is read of each qubit, those that are not left out."""
    return dict(sorted((k, letter) for label in labels for k, letter in enumerate(reversed(label)) if letter != "I"))


def _in_setting(body: QuantumCircuit, labels: Sequence[str]) -> QuantumCircuit:
    """The circuit, turned and read so that these strings can be had, in native gates."""
    letters = _letters(labels)
    register = ClassicalRegister(len(letters), "read")
    circuit = body.copy()
    circuit.add_register(register)
    for bit, (qubit, letter) in enumerate(letters.items()):
        if letter == "X":
            circuit.rz(np.pi / 2, qubit)  # sx turns Y into Z, and this X into Y
        if letter in "XY":
            circuit.sx(qubit)
        circuit.measure(qubit, register[bit])
    return circuit
