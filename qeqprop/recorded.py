"""A device whose jobs are written down before they are asked and after they are answered, so that a run can go on.

For each job: the intent is committed, the device is asked, the answer is committed, and only then returned. A run that
was killed is run again, and every job that was answered is answered from the book; one that was not is asked again,
with the same random streams. A device whose jobs outlive the process has them collected instead (`submitter`).
"""

from __future__ import annotations

import hashlib
import io
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, cast

import numpy as np
from qiskit.circuit import QuantumCircuit
from qiskit.circuit.library.standard_gates import get_standard_gate_name_mapping

from qeqprop.interfaces import Canary, Device, Expectations, Measured, Measurement, RemoteDevice
from qeqprop.job_table import LESSON, Job, JobTable
from qeqprop.submitter import Submitter


class ReplayDiverged(RuntimeError):
    """A run that goes on asks another question than it asked before: its program or its parts have changed."""


@dataclass(frozen=True, eq=False)
class Recorded:
    """A device with a memory.

    A job is named by the step in progress and by the number of the call in it. Its content's hash only verifies: the
    same circuit asked twice has to give two answers.

    Attributes:
        device: which is asked where the book has no answer.
        book: where questions and answers are kept.
        tags: that the jobs of the run have at a service.
        places: whether they also have their step, call and part as tags.
        budget: seconds on the machine that the run may spend; None for any number.
        calls: counts the calls of each step.

    Raises (from `run`):
        ReplayDiverged: if the book holds another question for this call.
        BudgetExceeded, JobFailed, Refused, Unreachable: of a device whose jobs outlive the process; see `submitter`.
    """

    device: Device
    book: JobTable
    tags: Sequence[str] = ("qeqprop",)
    places: bool = True
    budget: float | None = None
    calls: defaultdict[int, Iterator[int]] = field(default_factory=lambda: defaultdict(count))

    @property
    def name(self) -> str:
        return self.device.name

    @property
    def reads_states(self) -> bool:
        return self.device.reads_states

    def ready(self) -> None:
        """Refuses what a service would refuse of the account, the plan and the machine; asks it once in a process.

        A step that has jobs already goes on with nothing left to spend: what was paid is collected.
        """
        if is_remote(self.device):
            submitter, spending = self._submitter(), self.book.find_job(0) is None
            submitter.read(lambda: submitter.device.reach(spending=spending), "the account and the machine")
            submitter.mind_sessions()

    def close(self) -> None:
        """Ends what was opened for the jobs of this process, such as a session, and writes down what it has cost."""
        if is_remote(self.device):
            for name, seconds in cast(RemoteDevice, self.device).close().items():
                self.book.note_session(name, seconds, is_open=False)

    def run(self, measurement: Measurement, *, shots: int | None, key: tuple[int, ...]) -> Measured:
        """See `interfaces.Device`."""
        call = next(self.calls[self.book.step_in_progress])
        if is_remote(self.device):
            return self._run_remotely(call, cast(RemoteDevice, self.device), measurement, shots, key)
        content = question_hash(self.device.name, measurement, shots, key)
        job = self._known(call, 0, content)
        if job is not None and job.answer is not None:
            return _read(job.answer)
        if job is None:
            self.book.begin_job(call, content)
        measured = self.device.run(measurement, shots=shots, key=key)
        self.book.finish_job(call, _written(measured), measured)
        return measured

    def _run_remotely(
        self, call: int, device: RemoteDevice, measurement: Measurement, shots: int | None, key: tuple[int, ...]
    ) -> Measured:
        questions = list(enumerate(device.parts(measurement, shots)))
        if not questions:
            return device.nothing(measurement)
        contents = [question_hash(device.name, question, shots, key) for _, question in questions]
        known = [self._known(call, part, contents[part]) for part, _ in questions]
        submitter = self._submitter()
        if any(job is None or job.answer is None for job in known):
            self._settle(submitter, measurement.circuit)
            self._learn(submitter, measurement, call, contents[0])
        for part, question in questions:
            if known[part] is None:
                cost = submitter.read(lambda question=question: device.cost(question, shots), "what is left to spend")
                known[part] = self.book.begin_job(call, contents[part], part, 1, cost.seconds)
        jobs = [cast(Job, job) for job in known]
        open_parts = [part for part, _ in questions if jobs[part].answer is None]
        posted = submitter.submit([(jobs[part], questions[part][1]) for part in open_parts], shots)
        answers = {part: _read(job.answer) for part, job in enumerate(jobs) if job.answer is not None}
        for part, job in zip(open_parts, posted, strict=True):
            question = questions[part][1]
            raw = submitter.collect(job, question, shots).raw
            answers[part] = device.decode(question, shots, cast(bytes, raw))
            self.book.finish_job(call, _written(answers[part]), answers[part], part)
        return _joined([answers[part] for part, _ in questions])

    def _submitter(self) -> Submitter:
        return Submitter(cast(RemoteDevice, self.device), self.book, self.tags, self.places, self.budget)

    def _known(self, call: int, part: int, content: str) -> Job | None:
        job = self.book.find_job(call, part)
        if job is not None and job.content != content:
            raise ReplayDiverged(
                f"Job {call} of step {job.step} asks something else than it did before the run was interrupted: other "
                "versions, another device, or a part that is no function of its arguments and key. "
                "Go on with what the run was begun with, or begin it anew in another folder."
            )
        return job

    def _settle(self, submitter: Submitter, circuit: QuantumCircuit) -> None:
        """The circuit on the qubits that it had before, or on new ones that are kept from now on."""
        name = f"placement {circuit_hash(circuit)[:16]}"
        known = self.book.recall(name)
        settled = submitter.read(lambda: submitter.device.settle(circuit, known), "the machine and its calibration")
        if known is None:
            self.book.keep(name, settled)

    def _learn(self, submitter: Submitter, measurement: Measurement, call: int, content: str) -> None:
        """What the device has to know before it measures, by a job that is paid for like any other."""
        device, book = submitter.device, self.book
        lesson = submitter.read(lambda: device.lesson(measurement, book.recall(_LEARNED)), "what is to be learned")
        if lesson is None:
            return
        job = self._known(call, LESSON, content)
        if job is None:
            cost = submitter.read(lambda: device.cost(lesson, None), "what is left to spend")
            book.keep(_LEARNED, lesson.asked)
            job = book.begin_job(call, content, LESSON, 1, cost.seconds)
        (job,) = submitter.submit([(job, lesson)], None)
        raw = cast(bytes, submitter.collect(job, lesson, None).raw)
        learned = device.learn(cast(Mapping[str, Any], book.recall(_LEARNED)), raw)
        nothing = Measured(Expectations.exact(np.zeros((0, 0))), int(learned["executions"]))
        book.finish_job(call, b"", nothing, LESSON)
        book.keep(_LEARNED, learned)


_LEARNED = "learned"


def is_remote(device: Device) -> bool:
    """Whether the jobs of a device outlive the process that posted them."""
    return hasattr(device, "post")


def question_hash(device: str, measurement: Measurement, shots: int | None, key: tuple[int, ...]) -> str:
    """A hash of everything that a job asks: device, circuit, points, observables, shots and random streams."""
    digest = hashlib.sha256(f"{device}\n{shots}\n{key}\n{measurement.strings.to_labels()}\n".encode())
    for line in _lines(measurement.circuit):
        digest.update(line.encode())
    for array in (measurement.parameters, measurement.weights):
        digest.update(f"{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def circuit_hash(circuit: QuantumCircuit) -> str:
    """A hash of a circuit's gates, places and parameters."""
    return hashlib.sha256("".join(_lines(circuit)).encode()).hexdigest()


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


def _joined(parts: Sequence[Measured]) -> Measured:
    """The rows of several jobs one after the other, and the mean of their canaries."""
    if len(parts) == 1:
        return parts[0]
    values = np.concatenate([part.expectations.values for part in parts])
    errors = np.concatenate([part.expectations.std_errors for part in parts])
    canaries = [part.canary for part in parts if part.canary is not None]
    canary = None
    if canaries:
        spread = float(np.sqrt(sum(each.std_error**2 for each in canaries))) / len(canaries)
        ideal, value = (float(np.mean([getattr(each, name) for each in canaries])) for name in ("ideal", "value"))
        canary = Canary(ideal, value, spread)
    return Measured(Expectations(values, errors), sum(part.shots for part in parts), canary)
