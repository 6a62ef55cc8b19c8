"""What the service knows and whom it lets in; the routes read and change it."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from qeqprop.rehearsal.account import PLANS, Instance, PlanName, is_valid
from qeqprop.rehearsal.job import Job
from qeqprop.rehearsal.jobs import JobBook
from qeqprop.rehearsal.machines import Machine
from qeqprop.rehearsal.messages import Refusal, Request
from qeqprop.rehearsal.sessions import Session, Sessions


@dataclass(eq=False)
class Service:
    """The state behind the routes.

    Attributes:
        machines: by name, in the order they are listed.
        jobs: all of them.
        plan: what was paid for.
        api_key: the only one that is known.
        instance: the only one there is.
        token_seconds: how long an access token is good for.
        tag_lag: seconds for which a new job is not found by its tags.
        posts_per_minute: how many jobs may be posted in a minute; None for any number.
        allowance: seconds on a machine, in place of the plan's own.
        folder: where sessions are kept; None for nowhere.
    """

    machines: Mapping[str, Machine]
    jobs: JobBook
    plan: PlanName
    api_key: str = field(repr=False)
    instance: Instance
    token_seconds: float = 3600.0
    tag_lag: float = 0.0
    posts_per_minute: int | None = None
    allowance: float | None = None
    folder: Path | None = None

    def __post_init__(self) -> None:
        self.sessions = Sessions(self.jobs.all, self.folder)
        self._posted: list[float] = []
        self._lock = threading.Lock()

    @property
    def consumed(self) -> float:
        """Seconds on a machine that were billed: jobs, and of sessions the time they had it to themselves."""
        dedicated = {session.id: session for session in self.sessions.all() if session.mode == "dedicated"}
        alone = sum(job.billed for job in self.jobs.all() if job.session_id not in dedicated)
        return alone + sum(self.sessions.seconds(session) for session in dedicated.values())

    @property
    def limit(self) -> float:
        """Seconds on a machine that may be billed in all."""
        return PLANS[self.plan].allowance if self.allowance is None else self.allowance

    def check_token(self, request: Request) -> None:
        """Refuses a request without an access token that is good."""
        if not is_valid(self.api_key, request.headers.get("authorization", "")):
            raise Refusal(401, 1200, "The authorization is missing, wrong or has run out.")

    def check_access(self, request: Request) -> None:
        """Refuses a request that may not use the instance."""
        self.check_token(request)
        instance = request.headers.get("service-crn")
        if instance is not None and unquote(instance) != self.instance.crn:
            raise Refusal(403, 1211, "The instance is unknown or not yours.")

    def check_posts(self) -> None:
        """Counts a job that is posted, and refuses it if there are too many in a minute."""
        if self.posts_per_minute is None:
            return
        with self._lock:
            now = time.monotonic()
            self._posted = [posted for posted in self._posted if posted > now - 60]
            if len(self._posted) >= self.posts_per_minute:
                wait = f"{60 - (now - self._posted[0]):.0f}"
                raise Refusal(429, 1429, f"At most {self.posts_per_minute} jobs a minute.", {"Retry-After": wait})
            self._posted.append(now)

    def machine(self, name: str) -> Machine:
        """A machine by its name."""
        if name not in self.machines:
            raise Refusal(404, 1216, f"There is no backend {name}.")
        return self.machines[name]

    def queue(self, name: str) -> int:
        """How many jobs wait for a machine or run on it."""
        return sum(job.backend == name and not job.is_final for job in self.jobs.all())

    def job(self, job_id: str) -> Job:
        """A job by its id."""
        job = self.jobs.find(job_id)
        if job is None:
            raise Refusal(404, 1291, f"There is no job {job_id}.")
        return job

    def session(self, session_id: str) -> Session:
        """A session by its id."""
        session = self.sessions.find(session_id)
        if session is None:
            raise Refusal(404, 1215, f"There is no session {session_id}.")
        return session
