"""Machines of IBM, through the account of the user: a job is asked for once, known by its tag, priced before."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from math import ceil
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge, Gt, Le
from qiskit.circuit import QuantumCircuit

from qeqprop.checks import check_fields
from qeqprop.counts import check_shots
from qeqprop.engine.bases import needed_bases
from qeqprop.ibm_jobs import (
    OVERHEAD,
    PrimitiveName,
    check_pubs,
    cost_of,
    from_raw,
    primitive_on,
    pubs_of,
    survival,
    to_raw,
)
from qeqprop.ibm_options import ClientOptions, Decoupling, merged
from qeqprop.ibm_service import Connection, Mode
from qeqprop.interfaces import Expectations, JobCost, JobState, Lesson, Measured, Measurement, PhysicsWarning
from qeqprop.job_table import JobTable, in_memory
from qeqprop.noise_learning import (
    Method,
    described,
    layers_of,
    learner_on,
    lesson_cost,
    model_of,
    models_from,
    noise_map,
    packed,
)
from qeqprop.placement import Placed, place_on
from qeqprop.primitive_pubs import constants
from qeqprop.recorded import Recorded, circuit_hash
from qeqprop.submitter import LESSON_TAG

_EXECUTIONS = 5_000_000
"""Of one job, half of what the service takes."""

_MOST_EXECUTIONS = 10_000_000
"""Of one job, what the service takes."""

CHANGES_NO_NUMBER = ("mode", "pause", "max_execution_time", "posts_per_minute", "tags_settle")
"""How jobs are posted and waited for: no part of what names a run, which goes on when they are changed."""

_ROW_BYTES = 2_000_000
"""Of the parameters of one job; what else a job consists of has to fit into the rest."""


@dataclass(eq=False)
class _Memory:
    """What a process knows of a machine: the connection, where circuits are put, jobs that no run writes down."""

    connection: Connection
    placed: dict[str, Placed] = field(default_factory=dict[str, Placed])
    reached: bool = False
    warned: set[str] = field(default_factory=set[str])
    learned: Mapping[str, Any] = field(default_factory=dict[str, Any])
    book: JobTable = field(default_factory=in_memory)
    calls: defaultdict[int, Iterator[int]] = field(default_factory=lambda: defaultdict(count))


@dataclass(frozen=True)
class IBM:
    """Runs circuits on a machine of IBM, or on the rehearsal of one (`qeqprop rehearse --server`).

    The account is the client's own: saved, or in the environment (QISKIT_IBM_TOKEN, QISKIT_IBM_INSTANCE). One call is
    one job, in which all bases and a canary are measured; large ones are split by their rows. Circuits are put on the
    qubits with the least errors once and stay there for the whole run; the machine's properties are read again before
    each job, and a warning says when they have changed.

    Attributes:
        machine: as the service names it, such as ``ibm_kingston``.
        instance: who pays: a cloud resource name, or the name of an instance; that of the account where None.
        shots: for each row and basis.
        mode: jobs in a ``batch``; each by itself, ``job``; or with the machine to yourself, ``session``, which costs
            the time between jobs too and is refused by an Open plan.
        pause: seconds between two jobs of a session in which this computer works, for the estimate; a guess, and
            ``qeqprop jobs cost RUN`` says what it was. The budget counts what the service says.
        primitive: ``sampler`` gives the bits, from which expectations follow with all covariances; ``estimator`` and
            the older ``estimator_v2`` give numbers that can be mitigated.
        resilience_level: of an estimator: 0 nothing, 1 twirled readout (TREX), 2 zero-noise extrapolation too.
        mitigation: of an ``estimator``, by a model of the noise that is learned on the machine, once for each
            calibration, by a job of its own: ``pec`` cancels the noise (unbiased, at the price of ``gamma^2`` as many
            shots), ``pea`` amplifies it and extrapolates to none. Needs ``pip install 'qeqprop[noise-learning]'``.
        noise_learning: options of the client's noise learner, such as ``num_randomizations``,
            ``shots_per_randomization`` and ``layer_pair_depths``.
        twirling: whether gates are twirled.
        dynamical_decoupling: the sequence that protects waiting qubits, if any.
        fractional: use rotations of free angle about X and ZZ, where the machine has them.
        options: any others of the client's primitive, as a table of tables; none of `ibm_options.RESERVED`.
        qubits: the qubit of each site; chosen by their errors where None.
        max_execution_time: seconds on the machine after which a job is cancelled.
        posts_per_minute: jobs that the service takes in a minute; it allows each user five.
        tags_settle: seconds for which a job is looked for by its tag, after a post whose fate is not known, until it is
            posted again; a minute where None. The service promises no time after which it shows a new job: a minute is
            a guess. If it takes longer there may be two jobs: the second is cancelled when it is seen, and said.

    Raises:
        ValueError: for options that the client does not know, and, before any job: an account, instance or machine that
            is refused, a session on an Open plan, a circuit that the machine cannot run.
    """

    machine: str
    instance: str | None = None
    shots: Annotated[int, Ge(2)] = 1000
    mode: Mode = "batch"
    pause: Annotated[float, Ge(0)] = 5.0
    primitive: PrimitiveName = "sampler"
    resilience_level: Literal[0, 1, 2] = 1
    mitigation: Method = "none"
    noise_learning: Mapping[str, Any] | None = None
    twirling: bool = False
    dynamical_decoupling: Decoupling = "none"
    fractional: bool = False
    options: Mapping[str, Any] | None = None
    qubits: tuple[int, ...] | None = None
    max_execution_time: Annotated[int, Ge(1), Le(10800)] = 300
    posts_per_minute: Annotated[int, Ge(1)] = 5
    tags_settle: Annotated[float, Gt(0)] | None = None
    _client: ClientOptions = field(init=False, repr=False, compare=False)
    _memory: _Memory = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.machine:
            raise ValueError("Argument `machine` must name a machine, such as 'ibm_kingston', but is empty.")
        client = ClientOptions(
            self.primitive,
            self.resilience_level,
            self.mitigation,
            self.noise_learning,
            self.twirling,
            self.dynamical_decoupling,
            self.options or {},
            self.max_execution_time,
        )
        object.__setattr__(self, "_client", client)
        connection = Connection(self.machine, self.instance, self.mode, self.fractional)
        object.__setattr__(self, "_memory", _Memory(connection))

    @property
    def name(self) -> str:
        extras = [
            f"resilience level {self.resilience_level}" if self.primitive != "sampler" else "",
            self.mitigation.upper() if self.mitigation != "none" else "",
            f"noise learning {dict(self.noise_learning or {})}" if self.noise_learning else "",
            "twirling" if self.twirling else "",
            f"decoupling {self.dynamical_decoupling}" if self.dynamical_decoupling != "none" else "",
            "fractional gates" if self.fractional else "",
            f"options {dict(self.options or {})}" if self.options else "",
            f"qubits {self.qubits}" if self.qubits else "",
        ]
        said = "".join(f", {extra}" for extra in extras if extra)
        return f"IBM {self.machine} with {self.shots} shots, {self.primitive}{said}"

    @property
    def reads_states(self) -> bool:
        return False

    @property
    def connection(self) -> Connection:
        """The connection to the service, opened when it is needed."""
        return self._memory.connection

    def run(self, measurement: Measurement, *, shots: int | None, key: tuple[int, ...]) -> Measured:
        """One job that no run writes down (see `interfaces.Device`): if the process ends, it is found by hand only."""
        return self._alone(("qeqprop", f"key-{'-'.join(map(str, key))}")).run(measurement, shots=shots, key=key)

    def ready(self) -> None:
        """Refuses an account, instance, plan or machine before states are prepared (see `measuring.make_ready`)."""
        self._alone(("qeqprop",)).ready()

    # --- a job in its steps; see `interfaces.RemoteDevice` ------------------------------------------------------------

    @property
    def paid_pause(self) -> float | None:
        return self.pause if self.mode == "session" else None

    def reach(self, *, spending: bool) -> None:
        """Account, instance, plan and machine, and whether there is anything left to spend; asked once."""
        if self._memory.reached:
            return
        self.connection.backend()
        left = self.connection.remaining_seconds() if spending else None
        if left is not None and left < OVERHEAD:
            raise ValueError(f"The instance has {left:.1f} s on its machines left, and any job needs more than that.")
        self._memory.reached = True

    def parts(self, measurement: Measurement, shots: int | None) -> Sequence[Measurement]:
        """As many rows together as one job takes."""
        if not _reads_anything(measurement):
            return []
        number, bases = self._shots(shots), len(needed_bases(measurement.strings, measurement.weights))
        weight = 10 if self.primitive != "sampler" else 1  # mitigation repeats circuits
        repeated = max(weight, ceil(self.most_overhead))
        width = 8 * max(1, 3 * measurement.circuit.size() if self.fractional else measurement.circuit.num_parameters)
        most = max(1, min(_EXECUTIONS // (repeated * number * bases), _ROW_BYTES // (weight * width * bases)))
        jobs = ceil(measurement.rows / most)
        pieces = np.array_split(np.arange(measurement.rows), jobs)
        return [_rows(measurement, piece) for piece in pieces] if jobs > 1 else [measurement]

    def nothing(self, measurement: Measurement) -> Measured:
        """The answer where nothing has to be read: what the identity contributes."""
        return Measured(Expectations.exact(constants(measurement)), 0)

    def settle(self, circuit: QuantumCircuit, known: Mapping[str, Any] | None) -> Mapping[str, Any]:
        """The qubits of a circuit, and the calibration they were chosen by."""
        target = self.connection.backend(refresh=True).target
        date, key = self.connection.calibrated(), circuit_hash(circuit)
        placed = self._memory.placed.get(key)
        if placed is None or (known is not None and _initial(placed) != list(known["qubits"])):
            chosen = self.qubits if known is None else tuple(known["qubits"])
            placed = place_on(circuit, target, chosen, fractional=self.fractional)
            self._memory.placed[key] = placed
        chance = survival(placed.circuit, target)
        if known is None:
            return {"machine": self.machine, "qubits": _initial(placed), "calibrated": date, "chance": chance}
        if date != known["calibrated"] and date not in self._memory.warned:
            self._memory.warned.add(date)
            warnings.warn(
                f"{self.machine} was calibrated anew since the run was begun ({known['calibrated']} -> {date}): the "
                f"chance that a circuit runs without an error was {known['chance']:.3g}, and is {chance:.3g} now.",
                PhysicsWarning,
                stacklevel=2,
            )
        return known

    def lesson(self, measurement: Measurement, known: Mapping[str, Any] | None) -> Lesson | None:
        """The layers of a circuit and of its canary whose noise is not known, or not of the calibration of now."""
        if self._client.method == "none":
            return None
        backend, date = self.connection.backend(), self.connection.calibrated()
        old = (known or {}).get("calibrated", date)
        models = (known or {}).get("models", []) if old == date else []
        self._memory.learned = {"calibrated": date, "models": models}
        layers = layers_of(self._pubs(_rows(measurement, slice(0, 1)), None), self._client.table(), backend)
        names = [described(layer, backend.num_qubits) for layer in layers]
        new = [index for index, name in enumerate(names) if model_of(name, models) is None]
        if not new:
            return None
        if old != date:
            warnings.warn(
                f"{self.machine} was calibrated anew since the noise of its gates was learned ({old} -> {date}): it is "
                "learned again.",
                PhysicsWarning,
                stacklevel=2,
            )
        asked = {"calibrated": date, "models": models, "asked": [names[index] for index in new]}
        return Lesson(asked, [layers[index] for index in new])

    def learn(self, asked: Mapping[str, Any], raw: bytes) -> Mapping[str, Any]:
        """The models of all layers that are known now, and how often the lesson ran a circuit."""
        found, executions = models_from(asked["asked"], raw)
        models = [*asked["models"], *found]
        self._memory.learned = {"calibrated": asked["calibrated"], "models": models, "executions": executions}
        return self._memory.learned

    @property
    def rough_lesson(self) -> float | None:
        """About how many seconds it costs to learn the noise of a layer, None where none is learned."""
        return self._client.rough_lesson

    @property
    def most_overhead(self) -> float:
        """How many times as many shots PEC may take."""
        return self._client.most_overhead

    def rough_seconds(self, jobs: int, shots: int) -> float:
        """About how many seconds on the machine jobs with so many shots in all cost, each with its canary.

        A job is priced exactly before it is posted.
        """
        each = self._client.rough_execution
        return jobs * (OVERHEAD + self.shots * each + (self.paid_pause or 0.0)) + shots * each

    def cost(self, question: Measurement | Lesson, shots: int | None) -> JobCost:
        """What one part costs; whatever the machine cannot run, or the instance cannot pay, is refused here."""
        backend = self.connection.backend()
        if isinstance(question, Lesson):
            cost = lesson_cost(question.layers, self._client.learner(), backend)
        else:
            pubs = self._pubs(question, shots)
            check_pubs(pubs, backend.target, self.machine)
            cost = cost_of(self.primitive, pubs, self._with_noise(pubs, []), question, backend)
        if cost.shots > _MOST_EXECUTIONS:
            raise ValueError(
                f"A job would run circuits {cost.shots} times, and the service takes {_MOST_EXECUTIONS}: ask for fewer "
                "shots, or for less mitigation."
            )
        if cost.seconds > self.max_execution_time:
            raise ValueError(
                f"Argument `max_execution_time` must be at least the {cost.seconds:.0f} s that a job needs, "
                f"but is {self.max_execution_time}."
            )
        left = self.connection.remaining_seconds()
        if left is not None and left < cost.seconds:
            raise ValueError(
                f"The instance has {left:.1f} s on its machines left, but the next job needs {cost.seconds:.1f} s."
            )
        return cost

    def post(self, question: Measurement | Lesson, shots: int | None, tags: Sequence[str]) -> str:
        """Posts one job."""
        if isinstance(question, Lesson):
            chosen = self._client.learner(tags)
            return self.connection.post(lambda where: learner_on(where, chosen), question.layers)
        pubs = self._pubs(question, shots)
        options = self._with_noise(pubs, tags)
        return self.connection.post(lambda where: primitive_on(self.primitive, where, options), pubs)

    def find(self, tag: str) -> Sequence[str]:
        """The ids of all jobs with a tag, the oldest first."""
        return self.connection.find(tag)

    def state(self, job_id: str) -> JobState:
        """How far a job is."""
        return self.connection.state(job_id)

    def collect(self, job_id: str) -> bytes:
        """The arrays of a result, as they came; the text of a lesson's."""
        if LESSON_TAG in self.connection.tags(job_id):
            return self.connection.result(job_id, packed, untouched=True)
        return self.connection.result(job_id, to_raw)

    def decode(self, measurement: Measurement, shots: int | None, raw: bytes) -> Measured:
        """The numbers."""
        return from_raw(self.primitive, raw, measurement, measurement.circuit.num_qubits, self._shots(shots))

    def billed(self, job_id: str) -> float | None:
        """Seconds on the machine that a job was billed."""
        return self.connection.billed(job_id)

    def cancel(self, job_id: str) -> None:
        """Cancels a job."""
        self.connection.cancel(job_id)

    def renew(self) -> None:
        """Connects anew."""
        self.connection.renew()

    def idle(self) -> Mapping[str, float]:
        """The session of this process, and what it has cost beside its jobs."""
        return self.connection.idle()

    def end_session(self, session_id: str) -> float:
        """Closes a session that another process left open."""
        return self.connection.end_session(session_id)

    def close(self) -> Mapping[str, float]:
        """Closes the batch or session of this process."""
        return self.connection.close()

    # --- within -------------------------------------------------------------------------------------------------------

    def _alone(self, tags: Sequence[str]) -> Recorded:
        """With the memory of this process, where there is no run."""
        return Recorded(self, self._memory.book, tags, places=False, calls=self._memory.calls)

    def _shots(self, shots: int | None) -> int:
        return check_shots(self.shots if shots is None else shots, 1)[0]

    def _pubs(self, measurement: Measurement, shots: int | None) -> list[Any]:
        placed = self._memory.placed[circuit_hash(measurement.circuit)]
        return pubs_of(self.primitive, placed, measurement, self._shots(shots))

    def _with_noise(self, pubs: Sequence[Any], tags: Sequence[str]) -> dict[str, Any]:
        """The client's options, with the noise of the layers of these PUBs where that is wanted."""
        options = self._client.table(tags)
        if self._client.method == "none":
            return options
        backend, models = self.connection.backend(), self._memory.learned["models"]
        layers = layers_of(pubs, options, backend)
        if not layers:  # nothing to mitigate, and the client cannot read a result without noise in it
            return merged(options, {"resilience": {"pec_mitigation": False, "zne_mitigation": False}})
        known = [model_of(described(layer, backend.num_qubits), models) for layer in layers]
        noise = [(layer, noise_map(model)) for layer, model in zip(layers, known, strict=True) if model is not None]
        return merged(options, {"resilience": {"layer_noise_model": noise}})


def _initial(placed: Placed) -> list[int]:
    """The qubit on which each site begins."""
    layout = placed.circuit.layout
    return list(placed.sites) if layout is None else list(layout.initial_index_layout(filter_ancillas=True))


def _rows(measurement: Measurement, rows: Any) -> Measurement:
    weights = measurement.weights if len(measurement.weights) == 1 else measurement.weights[rows]
    return replace(measurement, parameters=measurement.parameters[rows], weights=weights)


def _reads_anything(measurement: Measurement) -> bool:
    return bool(measurement.rows and needed_bases(measurement.strings, measurement.weights))
