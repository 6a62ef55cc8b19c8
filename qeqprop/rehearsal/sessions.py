"""Sessions and batches: jobs that belong together, with the machine to themselves or not."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from qeqprop.rehearsal.job import Job

Mode = Literal["dedicated", "batch"]

LONGEST = 8 * 3600
IDLE = 60


@dataclass(eq=False)
class Session:
    """A session (``dedicated``: the machine waits for it, and that is paid) or a batch (only its jobs are).

    Attributes:
        id: its name.
        backend: the machine.
        mode: see above.
        created: seconds since 1970.
        max_ttl: seconds after which it is closed in any case.
        accepting: whether jobs may still be added.
        stopped: seconds since 1970, when that ended.
        closed: when it was closed, if it is.
    """

    id: str
    backend: str
    mode: Mode
    created: float
    max_ttl: int
    accepting: bool = True
    stopped: float | None = None
    closed: float | None = None


class Sessions:
    """All of them; any number of threads may ask.

    Args:
        jobs: all jobs, oldest first.
        folder: where they are kept; None for nowhere.
    """

    def __init__(self, jobs: Callable[[], list[Job]], folder: Path | None) -> None:
        self._jobs, self._folder = jobs, folder
        self._all: dict[str, Session] = {}
        self._lock = threading.RLock()
        for path in [] if folder is None else folder.glob("*.session"):
            session = Session(**json.loads(path.read_text(encoding="utf-8")))
            self._all[session.id] = session

    def open(self, backend: str, mode: Mode, max_ttl: int | None) -> Session:
        session = Session(secrets.token_hex(10), backend, mode, time.time(), max_ttl or LONGEST)
        with self._lock:
            self._all[session.id] = session
            self._keep(session)
        return session

    def find(self, session_id: str) -> Session | None:
        """The session, closed if its time is over."""
        with self._lock:
            session = self._all.get(session_id)
            if session is not None and session.closed is None and time.time() > session.created + session.max_ttl:
                self.close(session)
            return session

    def all(self) -> list[Session]:
        with self._lock:
            return [session for name in list(self._all) if (session := self.find(name)) is not None]

    def stop_accepting(self, session: Session) -> None:
        """No more jobs; it is closed when those it has are done."""
        with self._lock:
            session.accepting, session.stopped = False, session.stopped or time.time()
            self._keep(session)

    def close(self, session: Session) -> list[Job]:
        """Closes it now; the jobs that are left have to be cancelled."""
        with self._lock:
            session.accepting = False
            session.closed = session.closed or time.time()
            self._keep(session)
        return [job for job in self._of(session) if not job.is_final]

    def seconds(self, session: Session) -> float:
        """What it was billed until now: its jobs, and of a session all time between them, from the first to the end.

        A job takes less time here than on the machine and is billed what it would take there; between jobs the clock
        on the wall is right.
        """
        jobs, now = self._of(session), time.time()
        billed = sum(job.billed for job in jobs)
        ran = [(job.running, job.finished or now) for job in jobs if job.running is not None]
        if session.mode == "batch" or not ran:
            return billed
        last = max(end for _, end in ran)
        stopped = session.closed or (session.stopped if all(job.is_final for job in jobs) else None)
        until = now if stopped is None else max(stopped, last)
        held = until - min(begin for begin, _ in ran)
        return billed + max(0.0, held - sum(end - begin for begin, end in ran))

    def details(self, session: Session) -> dict[str, Any]:
        """As the service sends it."""
        jobs = self._of(session)
        begins = [job.running for job in jobs if job.running is not None]
        ends = [job.finished for job in jobs if job.finished is not None]
        over = not session.accepting and all(job.is_final for job in jobs)
        state = "closed" if session.closed or over else "active" if begins else "open"
        return {
            "id": session.id,
            "backend_name": session.backend,
            "mode": session.mode,
            "state": state,
            "accepting_jobs": session.accepting,
            "interactive_ttl": IDLE if session.mode == "dedicated" else 1,
            "active_ttl": session.max_ttl,
            "max_ttl": session.max_ttl,
            "started_at": iso(min(begins, default=None)),
            "activated_at": iso(min(begins, default=None)),
            "closed_at": iso(session.closed or (max(ends, default=session.created) if over else None)),
            "last_job_started": iso(max(begins, default=None)),
            "last_job_completed": iso(max(ends, default=None)),
            "elapsed_time": self.seconds(session),
            "timestamps": [],
        }

    def _of(self, session: Session) -> list[Job]:
        return [job for job in self._jobs() if job.session_id == session.id]

    def _keep(self, session: Session) -> None:
        if self._folder is not None:
            beside = self._folder / f"{session.id}.session.new"
            beside.write_text(json.dumps(asdict(session)), encoding="utf-8")
            beside.replace(self._folder / f"{session.id}.session")


def iso(seconds: float | None) -> str | None:
    """A time as the service writes it, in UTC."""
    if seconds is None:
        return None
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds % 1 * 1e6):06d}Z"
