"""A device whose jobs are written down before they are asked and after they are answered, so that a run can go on.

For each job: the intent is committed, the device is asked, the answer is committed, and only then returned. A run that
was killed is run again, and every job that was answered is answered from the book; one that was not is asked again,
with the same random streams.
"""

from __future__ import annotations

import hashlib
import io
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple, Protocol

import numpy as np
from qiskit.circuit import QuantumCircuit
from qiskit.circuit.library.standard_gates import get_standard_gate_name_mapping

from qeqprop.interfaces import Canary, Device, Expectations, Measured, Measurement


class ReplayDiverged(RuntimeError):
    """A run that goes on asks another question than it asked before: its program or its parts have changed."""


class Job(NamedTuple):
    """A job in the book: the hash of what was asked, and the answer if there is one yet."""

    content: str
    answer: bytes | None


class JobBook(Protocol):
    """Where jobs are written down, such as the ledger of a run; every method commits before it returns.

    A job is named by the step in progress and by the number of the call in it. Its content's hash only verifies: the
    same circuit asked twice has to give two answers.
    """

    @property
    def step_in_progress(self) -> int: ...

    def find_job(self, call: int) -> Job | None: ...

    def begin_job(self, call: int, content: str) -> None: ...

    def finish_job(self, call: int, answer: bytes, measured: Measured) -> None: ...


@dataclass(frozen=True, eq=False)
class Recorded:
    """A device with a memory.

    Attributes:
        device: which is asked where the book has no answer.
        book: where questions and answers are kept.
        calls: counts the calls of each step.

    Raises (from `run`):
        ReplayDiverged: if the book holds another question for this call.
    """

    device: Device
    book: JobBook
    calls: defaultdict[int, Iterator[int]] = field(default_factory=lambda: defaultdict(count))

    @property
    def name(self) -> str:
        return self.device.name

    @property
    def reads_states(self) -> bool:
        return self.device.reads_states

    def run(self, measurement: Measurement, *, shots: int | None, key: tuple[int, ...]) -> Measured:
        """See `interfaces.Device`."""
        step = self.book.step_in_progress
        call = next(self.calls[step])
        content = question_hash(self.device.name, measurement, shots, key)
        job = self.book.find_job(call)
        if job is not None and job.content != content:
            raise ReplayDiverged(
                f"Job {call} of step {step} asks something else than it did before the run was interrupted: other "
                "versions, another device, or a part that is no function of its arguments and key. "
                "Go on with what the run was begun with, or begin it anew in another folder."
            )
        if job is not None and job.answer is not None:
            return _read(job.answer)
        if job is None:
            self.book.begin_job(call, content)
        measured = self.device.run(measurement, shots=shots, key=key)
        self.book.finish_job(call, _written(measured), measured)
        return measured


def question_hash(device: str, measurement: Measurement, shots: int | None, key: tuple[int, ...]) -> str:
    """A hash of everything that a job asks: device, circuit, points, observables, shots and random streams."""
    digest = hashlib.sha256(f"{device}\n{shots}\n{key}\n{measurement.strings.to_labels()}\n".encode())
    for line in _lines(measurement.circuit):
        digest.update(line.encode())
    for array in (measurement.parameters, measurement.weights):
        digest.update(f"{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _lines(circuit: QuantumCircuit) -> Iterator[str]:
    """The circuit as text, gates that are not of qiskit's own set by what they are made of."""
    yield f"{circuit.num_qubits} {[parameter.name for parameter in circuit.parameters]} {circuit.global_phase}\n"
    for instruction in circuit.data:
        operation = instruction.operation
        places = [circuit.find_bit(qubit).index for qubit in instruction.qubits]
        yield f"{operation.name} {places} {[str(value) for value in operation.params]}\n"
        if operation.name not in _STANDARD and operation.definition is not None:
            yield from _lines(operation.definition)


_STANDARD = frozenset(get_standard_gate_name_mapping())


def _written(measured: Measured) -> bytes:
    canary = measured.canary
    numbers = [] if canary is None else [canary.ideal, canary.value, canary.std_error]
    stream = io.BytesIO()
    np.savez(
        stream,
        allow_pickle=False,
        values=measured.expectations.values,
        std_errors=measured.expectations.std_errors,
        shots=np.array(measured.shots),
        canary=np.array(numbers, dtype=np.float64),
    )
    return stream.getvalue()


def _read(answer: bytes) -> Measured:
    with np.load(io.BytesIO(answer), allow_pickle=False) as stored:
        canary = stored["canary"].tolist()
        return Measured(
            Expectations(stored["values"], stored["std_errors"]),
            int(stored["shots"]),
            Canary(*canary) if canary else None,
        )
