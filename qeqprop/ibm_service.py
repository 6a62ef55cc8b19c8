"""A connection to IBM's service: opened when it is needed, asked in calls that can be given up, its errors told apart.

The client is used as it is, but for one thing: its own repetitions are turned off, since it repeats posts too, and a
post that took effect must not be made again (`submitter`). The token is the client's affair alone, taken by it from the
environment or the saved account; should it ever be part of a message, it is struck out.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from qeqprop.ibm_errors import told_apart, without_secrets
from qeqprop.interfaces import JobState
from qeqprop.patience import Trouble, usual, within

Answer = TypeVar("Answer")
Mode = Literal["batch", "job", "session"]

INSTANCE_VARIABLE = "QISKIT_IBM_INSTANCE"
RAN_TOO_LONG = "ran longer than maximum execution time"
CLOSING = 5.0
"""Seconds to wait for the end of a batch or session: somebody may have pressed Ctrl-C while the service hangs."""

MAX_GARBLED = 10
"""Replies with the result of one job that cannot be read, before it is given up."""

_PHASES: dict[str, Any] = {"RUNNING": "running", "DONE": "done", "CANCELLED": "cancelled"}


@dataclass(eq=False)
class Connection:
    """What one process knows of the service.

    Attributes:
        machine: its name.
        instance: a cloud resource name, or the name of an instance; that of the environment or account where None.
        mode: how jobs are posted: together in a batch, one by one, or in a session with the machine to itself.
        fractional: whether the machine is asked with its rotations of free angle.
    """

    machine: str
    instance: str | None = None
    mode: Mode = "batch"
    fractional: bool = False
    _service: Any = None
    _backend: Any = None
    _opened: Any = None
    _jobs: dict[str, Any] = field(default_factory=dict[str, Any])
    _bills: dict[str, float] = field(default_factory=dict[str, float])
    _garbled: dict[str, int] = field(default_factory=dict[str, int])

    # --- the account ------------------------------------------------------------------------------------------------

    def service(self) -> Any:
        """The client, connected.

        Raises:
            ValueError: if it is not installed, there is no account, no instance is named, or either is refused.
            Trouble: if the service does not answer.
        """
        if self._service is None:
            self._service = self._ask(self._connect)
        return self._service

    def plan(self) -> str:
        """The plan of the instance in lower case, such as ``open``; empty if the service does not tell."""
        service = self.service()
        instances = self._ask(service.instances)
        return next((str(one["plan"]) for one in instances if one["crn"] == service.active_instance()), "").lower()

    def remaining_seconds(self) -> float | None:
        """Seconds on a machine that the instance has left; None if it has no limit."""
        left = self._ask(self.service().usage).get("usage_remaining_seconds")
        return None if left is None else float(left)

    def backend(self, *, refresh: bool = False) -> Any:
        """The machine, with its properties of now if they are to be read again.

        Raises:
            ValueError: if there is no such machine, or the plan allows no sessions.
            Trouble: if the service does not answer.
        """
        if self._backend is None:
            service = self.service()
            if self.mode == "session" and "open" in self.plan():
                raise ValueError(
                    "Argument `mode` must be 'batch' or 'job' on an Open plan, which has no sessions, but is 'session'."
                )
            self._backend = self._ask(lambda: self._found(service), f"the machine {self.machine}")
        elif refresh:
            self._ask(self._backend.refresh)
        return self._backend

    def calibrated(self) -> str:
        """When the machine was calibrated, in ISO format; empty if it does not tell."""
        properties = self._ask(self.backend().properties)
        return properties.last_update_date.isoformat() if properties else ""

    def renew(self) -> None:
        """Connects anew; batches and sessions are opened again when they are needed."""
        self._service = self._backend = self._opened = None
        self._jobs.clear()
        self.service()

    # --- jobs -------------------------------------------------------------------------------------------------------

    def post(self, make: Callable[[Any], Any], pubs: Sequence[Any]) -> str:
        """Posts a job, and gives its id.

        Args:
            make: makes a primitive for a machine, batch or session.
            pubs: that it runs.
        """
        primitive = make(self._where())
        try:
            return str(self._ask(lambda: primitive.run(pubs).job_id(), seconds=usual().post))
        except Trouble as trouble:
            if trouble.kind == "refused" and self._is_closed():
                raise Trouble("closed", str(trouble)) from None
            raise

    def find(self, tag: str) -> list[str]:
        """The ids of the jobs with a tag, the oldest first."""
        service = self.service()
        return self._ask(lambda: [str(job.job_id()) for job in service.jobs(job_tags=[tag], descending=False)])

    def state(self, job_id: str) -> JobState:
        """How far a job is."""
        job = self.job(job_id)
        status = str(self._ask(job.status))
        if status != "ERROR":
            return JobState(_PHASES.get(status, "queued"))
        reason = self._hidden(str(self._ask(job.error_message) or ""))
        return JobState("ran too long" if RAN_TOO_LONG in reason or "1305" in reason else "failed", reason)

    def tags(self, job_id: str) -> list[str]:
        """The tags that a job was posted with."""
        return [str(tag) for tag in self.job(job_id).tags]

    def result(self, job_id: str, read: Callable[[Any], Answer], *, untouched: bool = False) -> Answer:
        """What is read from the result of a job that is done; a reply that is no result counts as none.

        Args:
            job_id: of the job.
            read: reads the client's own record of the result, or the text of it where ``untouched``.
            untouched: whether the client computes nothing of it.
        """
        job = self.job(job_id)
        result = self._ask(lambda: job.result(decoder=_Untouched if untouched else None), seconds=usual().post)
        try:
            return read(result)
        except (TypeError, KeyError, ValueError, AttributeError, IndexError) as error:
            self._garbled[job_id] = self._garbled.get(job_id, 0) + 1
            kind = "refused" if self._garbled[job_id] >= MAX_GARBLED else "unclear"
            raise Trouble(kind, f"the result cannot be read ({type(error).__name__})") from None

    def billed(self, job_id: str) -> float | None:
        """Seconds on the machine that a job was billed; None while that is not known."""
        if job_id not in self._bills:
            job = self.job(job_id)
            usage = self._ask(job.metrics).get("usage", {})
            if usage.get("status", "pending") == "pending":
                return None
            self._bills[job_id] = float(usage.get("qpu_charge_time_seconds") or 0.0)
        return self._bills[job_id]

    def idle(self) -> dict[str, float]:
        """The session of this process, and the seconds it has cost beside its jobs.

        Nothing for a batch, of which only the jobs are paid, and while there is none.
        """
        return self._idle(self._opened) if self._opened is not None and self.mode == "session" else {}

    def _idle(self, session: Any) -> dict[str, float]:
        name, service = str(session.session_id), self.service()
        jobs = self._ask(lambda: [str(job.job_id()) for job in service.jobs(limit=None, session_id=name)])
        held, billed = float(self._ask(session.usage) or 0.0), sum(self.billed(job_id) or 0.0 for job_id in jobs)
        return {name: max(0.0, held - billed)}

    def end_session(self, session_id: str) -> float:
        """Closes a session that another process left open; the seconds that it has cost beside its jobs."""
        from qiskit_ibm_runtime import Session

        service = self.service()
        session = self._ask(lambda: Session.from_id(session_id, service), f"the session {session_id}")
        self._ask(session.close)
        return self._idle(session)[session_id]

    def cancel(self, job_id: str) -> None:
        """Cancels a job; one that has ended stays as it is."""
        job = self.job(job_id)

        def end() -> None:
            from qiskit_ibm_runtime.exceptions import RuntimeInvalidStateError

            with suppress(RuntimeInvalidStateError):
                job.cancel()

        self._ask(end)

    def job(self, job_id: str) -> Any:
        """The client's own object for a job."""
        if job_id not in self._jobs:
            service = self.service()
            self._jobs[job_id] = self._ask(lambda: service.job(job_id), f"the job {job_id}")
        return self._jobs[job_id]

    def close(self) -> dict[str, float]:
        """Closes the batch or session, if one was opened; its jobs go on. A session that stays open is warned of.

        Gives the session that was closed, and the seconds it has cost beside its jobs.
        """
        opened, self._opened = self._opened, None
        if opened is None:
            return {}
        try:
            self._ask(opened.close, seconds=min(CLOSING, usual().reply))
        except Trouble as trouble:
            if self.mode == "session":  # a batch costs nothing but its jobs
                warnings.warn(
                    f"The session {opened.session_id} could not be closed ({trouble}). Its time is paid until the "
                    "service closes it by itself, or you: Session.from_id(ID, QiskitRuntimeService()).close().",
                    RuntimeWarning,
                    stacklevel=2,
                )
            return {}
        with suppress(Trouble):
            return self._idle(opened) if self.mode == "session" else {}
        return {}

    # --- within -----------------------------------------------------------------------------------------------------

    def _connect(self) -> Any:
        try:
            from qiskit_ibm_runtime import QiskitRuntimeService
        except ImportError:
            raise ValueError("A machine of IBM needs qiskit-ibm-runtime: pip install qiskit-ibm-runtime.") from None
        if not (self.instance or os.environ.get(INSTANCE_VARIABLE) or _saved_instance(QiskitRuntimeService)):
            raise ValueError(
                "Argument `instance` must name the instance that pays: give it, set QISKIT_IBM_INSTANCE, or save it "
                "with the account. Which ones you have: QiskitRuntimeService().instances()."
            )
        service = QiskitRuntimeService(instance=self.instance) if self.instance else QiskitRuntimeService()
        _without_repetitions(service)
        return service

    def _found(self, service: Any) -> Any:
        """The machine, its properties read; the client would read them when they are first used, and not in time."""
        from qiskit.providers.exceptions import QiskitBackendNotFoundError
        from qiskit_ibm_runtime.exceptions import IBMInputValueError

        try:
            backend = service.backend(self.machine, use_fractional_gates=self.fractional)
        except QiskitBackendNotFoundError:
            offered = _offered(service)
            if self.machine in offered:  # the client says the same where it could not read the configuration
                raise Trouble("unclear", "its configuration could not be read") from None
            named = f" ({', '.join(offered)})" if offered else ""
            raise ValueError(
                f"Argument `machine` must name a machine of the instance{named}, but is {self.machine!r}."
            ) from None
        except IBMInputValueError as error:
            if "fractional" not in str(error):
                raise
            raise ValueError(
                f"Argument `fractional` must be False: {self.machine} has no rotations of free angle."
            ) from None
        _ = backend.target
        return backend

    def _where(self) -> Any:
        """What a primitive runs on."""
        backend = self.backend()
        if self.mode == "job":
            return backend
        if self._opened is None:
            from qiskit_ibm_runtime import Batch, Session

            kind = Session if self.mode == "session" else Batch
            try:
                self._opened = self._ask(lambda: kind(backend=backend))
            except Trouble as trouble:  # one that was opened and is not known has no jobs and costs nothing
                raise Trouble(
                    "busy" if trouble.kind == "unclear" else trouble.kind, str(trouble), trouble.wait
                ) from None
        return self._opened

    def _is_closed(self) -> bool:
        if self._opened is None:
            return False
        try:
            details = self._ask(self._opened.details)
        except Trouble as trouble:
            return trouble.kind == "refused"
        return not details or details["state"] == "closed" or not details["accepting_jobs"]

    def _ask(self, call: Callable[[], Answer], what: str = "", *, seconds: float | None = None) -> Answer:
        """A call of the client, given up after a time, its errors told apart."""
        try:
            return within(usual().reply if seconds is None else seconds, call)
        except Trouble:
            raise
        except Exception as error:  # whatever the client, the network or the service may raise
            raise told_apart(error, what, self._hidden) from None

    def _hidden(self, text: str) -> str:
        """A text without secrets."""
        account = None if self._service is None else self._service.active_account()
        return without_secrets(text, (account or {}).get("token"))


class _Untouched:
    """What the client calls a decoder of results: leaves the text as it came."""

    @classmethod
    def is_applicable(cls, data: Any) -> bool:
        return True

    @classmethod
    def decode(cls, data: Any) -> Any:
        return data


def _saved_instance(client: Any) -> str | None:
    """The instance of the saved account, if there is one account or a default one."""
    accounts = client.saved_accounts()
    default = [one for one in accounts.values() if one.get("is_default_account")] or list(accounts.values())
    return default[0].get("instance") if default else None


def _without_repetitions(service: Any) -> None:
    """The client repeats requests that fail, posts too; ours are repeated by us, where that is safe."""
    from requests.adapters import HTTPAdapter

    for client in getattr(service, "_api_clients", {}).values():
        session = getattr(client, "_session", None)
        if session is not None:
            for scheme in ("http://", "https://"):
                session.mount(scheme, HTTPAdapter(max_retries=0))


def _offered(service: Any) -> list[str]:
    """The names of the machines that the service lists for this instance."""
    client = getattr(service, "_active_api_client", None)
    return [] if client is None else sorted(str(one["name"]) for one in client.list_backends())
