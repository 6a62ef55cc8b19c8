"""The service's own sampler and estimator, which the executor replaces.

Mitigation on the server's side (the estimator's resilience levels) is not modelled: it answers as at level 0.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from qiskit.circuit import ClassicalRegister, QuantumCircuit
from qiskit.quantum_info import PauliList

from qeqprop.interfaces import FloatArray
from qeqprop.rehearsal.program import Arrays, Item, Program
from qeqprop.rehearsal.simulation import Bits, RefusedProgram, points


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


def sampler(params: Mapping[str, Any]) -> Program:
    """The program of `SamplerV2`: one item for each PUB."""
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


def estimator(params: Mapping[str, Any]) -> Program:
    """The program of `EstimatorV2`: one item for each setting of each PUB."""
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
