"""Where circuits run: devices that answer at once, and those whose jobs outlive the process that posted them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

from qiskit.circuit import QuantumCircuit

from qeqprop.interfaces.circuits import Measurement
from qeqprop.interfaces.states import Expectations


@dataclass(frozen=True, eq=False)
class Canary:
    """A state whose ideal value is known, measured in the same job: how noisy the device was.

    Attributes:
        ideal: the value without noise.
        value: what was measured.
        std_error: of the value.
    """

    ideal: float
    value: float
    std_error: float


@dataclass(frozen=True, eq=False)
class Measured:
    """What a device answers.

    Attributes:
        expectations: (rows, n_observables) with standard errors that hold all covariances of strings that were read
            from the same shots; zero where exact.
        shots: projective measurements spent, over all rows and bases, the canary's too.
        canary: of a noisy device.
    """

    expectations: Expectations
    shots: int
    canary: Canary | None = None


class Device(Protocol):
    """Where circuits run."""

    @property
    def name(self) -> str:
        """The machine and its settings, for messages and the ledger."""
        ...

    @property
    def reads_states(self) -> bool:
        """Whether it is the compiled simulator itself: exact, so that states and gradients may be computed."""
        ...

    def run(self, measurement: Measurement, *, shots: int | None, key: tuple[int, ...]) -> Measured:
        """Runs one job.

        Args:
            measurement: circuit, points and observables.
            shots: for each row and basis; the device's own number (none for an exact simulator) where None.
            key: names the random streams of the job; every row and basis has one of its own.
        """
        ...


class JobCost(NamedTuple):
    """What a job is going to cost.

    Attributes:
        circuits: that it runs, each at one point and in one basis.
        shots: of all of them.
        seconds: on the machine, as they will be billed, estimated.
    """

    circuits: int
    shots: int
    seconds: float


class JobState(NamedTuple):
    """How far a job is.

    Attributes:
        phase: where it is, or how it ended.
        reason: why it did not end well.
    """

    phase: Literal["queued", "running", "done", "failed", "cancelled", "ran too long"]
    reason: str = ""

    @property
    def is_final(self) -> bool:
        return self.phase not in ("queued", "running")


@dataclass(frozen=True, eq=False)
class Lesson:
    """A job by which a device learns what it has to know before it can measure, such as the noise of its gates.

    Attributes:
        asked: what is to be learned and of which calibration, with all that is known already; kept with the run before
            the job is posted.
        layers: of gates, in the words of the device.
    """

    asked: Mapping[str, Any]
    layers: Sequence[Any]


class RemoteDevice(Device, Protocol):
    """A device whose jobs outlive the process that posted them, and cost money: driven by `recorded.Recorded`.

    Every method but `parts`, `decode` and `close` may raise `patience.Trouble`.
    """

    @property
    def posts_per_minute(self) -> int:
        """How many jobs the service takes in a minute."""
        ...

    @property
    def paid_pause(self) -> float | None:
        """Seconds between two jobs, as expected, where they are paid since the machine is held; None where not."""
        ...

    @property
    def tags_settle(self) -> float | None:
        """Seconds after a post in which its job is surely found by its tags; as long as is usual where None."""
        ...

    def reach(self, *, spending: bool) -> None:
        """Asks the service, once, whether account, plan and machine will do; refuses with `ValueError` if not.

        Args:
            spending: whether jobs are going to be posted, so that there has to be something left to pay them.
        """
        ...

    def parts(self, measurement: Measurement, shots: int | None) -> Sequence[Measurement]:
        """The measurement in pieces, row by row, each small enough for one job; none where nothing has to be read."""
        ...

    def nothing(self, measurement: Measurement) -> Measured:
        """The answer where nothing has to be read."""
        ...

    def settle(self, circuit: QuantumCircuit, known: Mapping[str, Any] | None) -> Mapping[str, Any]:
        """Where a circuit is put, to be kept with the run; what was kept, if anything was, and then it stays there."""
        ...

    @property
    def machine(self) -> str:
        """Its name at the service."""
        ...

    def rough_seconds(self, jobs: int, shots: int) -> float:
        """About how many seconds on the machine jobs with so many shots in all cost; asks nobody."""
        ...

    def lesson(self, measurement: Measurement, known: Mapping[str, Any] | None) -> Lesson | None:
        """What has to be learned before the first part can be asked, by a job of its own; None if nothing has to.

        What was learned before, and is of the calibration of now, is used from now on.
        """
        ...

    def learn(self, asked: Mapping[str, Any], raw: bytes) -> Mapping[str, Any]:
        """What the result of a lesson says, and what was known before, to be kept with the run; used from now on."""
        ...

    @property
    def rough_lesson(self) -> float | None:
        """About how many seconds on the machine a lesson costs for each layer; None where nothing is learned."""
        ...

    @property
    def most_overhead(self) -> float:
        """How many times as much a job may cost where the noise, once it is learned, decides how often it runs."""
        ...

    def cost(self, question: Measurement | Lesson, shots: int | None) -> JobCost:
        """What one part is going to cost; refuses with `ValueError` what the machine cannot run."""
        ...

    def post(self, question: Measurement | Lesson, shots: int | None, tags: Sequence[str]) -> str:
        """Posts one job, and gives the service's id of it."""
        ...

    def find(self, tag: str) -> Sequence[str]:
        """The ids of all jobs with a tag, the oldest first."""
        ...

    def state(self, job_id: str) -> JobState:
        """How far a job is."""
        ...

    def collect(self, job_id: str) -> bytes:
        """The result of a job that is done, as it came."""
        ...

    def decode(self, measurement: Measurement, shots: int | None, raw: bytes) -> Measured:
        """What the result of one part says."""
        ...

    def billed(self, job_id: str) -> float | None:
        """Seconds on the machine that a job was billed; None while that is not known."""
        ...

    def cancel(self, job_id: str) -> None:
        """Cancels a job; one that has ended stays as it is."""
        ...

    def renew(self) -> None:
        """Connects anew: the permission has run out, or the session was closed."""
        ...

    def idle(self) -> Mapping[str, float]:
        """Sessions of this process that hold the machine, and the seconds that each has cost beside its jobs."""
        ...

    def end_session(self, session_id: str) -> float:
        """Ends a session that another process left open; the seconds that it has cost beside its jobs."""
        ...

    def close(self) -> Mapping[str, float]:
        """Ends what was opened for the jobs of this process, such as a session; jobs that were posted go on.

        Gives the sessions that were ended, and the seconds that each has cost beside its jobs.
        """
        ...


class Measure(Protocol):
    """A device bound to the random streams of one gradient: what a solver measures with. One call is one job."""

    @property
    def device(self) -> Device: ...

    def __call__(self, measurement: Measurement, *, shots: int | None = None) -> Measured: ...
