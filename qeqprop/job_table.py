"""The part of a ledger that knows of jobs: what a device was asked, whether it was paid for, and what it answered.

A job has its place: the step, the number of the call in it, the part of the call (a large one is several jobs), and the
attempt (one that ended badly may be posted again). A lesson, by which a device learns what it has to know before the
call, has the part `LESSON`. Every change is committed before anything else happens, in this
order: the intent, the moment before the post, the service's id of the job, its result as it came, the answer.
"""

from __future__ import annotations

import json
import sqlite3
import time
import uuid
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

from qeqprop.interfaces import Measured

JOBS = (
    "CREATE TABLE jobs (step INTEGER NOT NULL, call INTEGER NOT NULL, part INTEGER NOT NULL DEFAULT 0,"
    " attempt INTEGER NOT NULL DEFAULT 1, content TEXT NOT NULL, tag TEXT NOT NULL UNIQUE, estimate REAL,"
    " posts INTEGER NOT NULL DEFAULT 0, posted REAL, job_id TEXT, outcome TEXT, billed REAL, raw BLOB,"
    " shots INTEGER, canary_ideal REAL, canary_value REAL, canary_error REAL, answer BLOB,"
    " PRIMARY KEY (step, call, part, attempt))"
)
"""``estimate`` and ``billed`` are seconds on a machine; ``posted`` is the time just before the last post, in seconds
since 1970; ``outcome`` says how a job ended that ended badly; ``raw`` is the result as it came."""

LESSON = -1

_COPIED = "step, call, content, tag, job_id, shots, canary_ideal, canary_value, canary_error, answer"


@dataclass(frozen=True)
class Job:
    """A job in the book; see `JOBS` for what is meant by what."""

    step: int
    call: int
    part: int
    attempt: int
    content: str
    tag: str
    estimate: float | None
    posts: int
    posted: float | None
    job_id: str | None
    outcome: str | None
    billed: float | None
    raw: bytes | None
    answer: bytes | None

    @property
    def place(self) -> tuple[int, int, int, int]:
        return (self.step, self.call, self.part, self.attempt)

    @property
    def state(self) -> str:
        """In a word or two, for people."""
        if self.outcome is not None:
            return self.outcome
        if self.answer is not None or self.raw is not None:
            return "done"
        if self.job_id is not None:
            return "posted"
        return "not posted" if self.posted is None else "perhaps posted"


_COLUMNS = ", ".join(entry.name for entry in fields(Job))


class JobTable:
    """The jobs of one ledger."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @property
    def step_in_progress(self) -> int:
        """The number of the step that comes next."""
        return self._connection.execute("SELECT coalesce(max(step), 0) FROM steps").fetchone()[0] + 1

    def find_job(self, call: int, part: int = 0) -> Job | None:
        """What is known of a job of the step in progress, of its last attempt."""
        row = self._connection.execute(
            f"SELECT {_COLUMNS} FROM jobs WHERE step = ? AND call = ? AND part = ? ORDER BY attempt DESC LIMIT 1",
            (self.step_in_progress, call, part),
        ).fetchone()
        return None if row is None else Job(*row)

    def begin_job(self, call: int, content: str, part: int = 0, attempt: int = 1, estimate: float | None = None) -> Job:
        """Commits the intent to ask a device."""
        row = (self.step_in_progress, call, part, attempt, content, uuid.uuid4().hex, estimate)
        with transaction(self._connection):
            self._connection.execute(
                "INSERT INTO jobs (step, call, part, attempt, content, tag, estimate) VALUES (?, ?, ?, ?, ?, ?, ?)", row
            )
        found = self.find_job(call, part)
        assert found is not None
        return found

    def note_job(self, job: Job, **changes: Any) -> Job:
        """Commits what has become known of a job, and gives the job with it."""
        names = ", ".join(f"{name} = ?" for name in changes)
        with transaction(self._connection):
            self._connection.execute(
                f"UPDATE jobs SET {names} WHERE step = ? AND call = ? AND part = ? AND attempt = ?",
                (*changes.values(), *job.place),
            )
        return Job(**vars(job) | changes)

    def note_double(self, job: Job, job_id: str, billed: float | None) -> bool:
        """Commits that a second job came into being for one question, once; whether it was not known yet.

        Its attempts are negative, so that it is never taken for the job.
        """
        with transaction(self._connection):
            known = self._connection.execute("SELECT count(*) FROM jobs WHERE job_id = ?", (job_id,)).fetchone()[0]
            if not known:
                attempts = self._connection.execute(
                    "SELECT min(min(attempt), 0) FROM jobs WHERE step = ? AND call = ? AND part = ?",
                    job.place[:3],
                ).fetchone()
                row = (*job.place[:3], attempts[0] - 1, job.content, f"{job.tag}-{job_id}", job.estimate, job.posted)
                self._connection.execute(
                    "INSERT INTO jobs (step, call, part, attempt, content, tag, estimate, posted, job_id, outcome,"
                    " billed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'double', ?)",
                    (*row, job_id, billed),
                )
        return not known

    def finish_job(self, call: int, answer: bytes, measured: Measured, part: int = 0) -> None:
        """Commits the answer of a device."""
        canary = measured.canary
        numbers = (None, None, None) if canary is None else (canary.ideal, canary.value, canary.std_error)
        step = self.step_in_progress
        with transaction(self._connection):
            self._connection.execute(
                "UPDATE jobs SET answer = ?, shots = ?, canary_ideal = ?, canary_value = ?, canary_error = ?"
                " WHERE step = ? AND call = ? AND part = ? AND attempt ="
                " (SELECT max(attempt) FROM jobs WHERE step = ? AND call = ? AND part = ?)",
                (answer, measured.shots, *numbers, step, call, part, step, call, part),
            )

    def forget_answers(self, step: int) -> None:
        """The step stands for its answers now; that they were given, and for how many shots, is kept.

        Inside a transaction of the caller.
        """
        self._connection.execute("UPDATE jobs SET answer = NULL WHERE step = ?", (step,))

    def spent_seconds(self) -> float:
        """Seconds on a machine: what was billed, the estimates of what was posted and is not billed yet, sessions."""
        jobs = self._connection.execute(
            "SELECT coalesce(sum(coalesce(billed, CASE WHEN posted IS NULL THEN 0 ELSE estimate END)), 0) FROM jobs"
        ).fetchone()[0]
        return jobs + self.idle_seconds()

    def note_session(self, session_id: str, idle: float, *, is_open: bool) -> None:
        """Commits what a session has cost beside its jobs, and whether it is still open."""
        self.keep(f"session {session_id}", {"idle": idle, "open": is_open})

    def sessions(self) -> dict[str, Mapping[str, Any]]:
        """What is known of each session, see `note_session`."""
        rows = self._connection.execute("SELECT name, value FROM facts WHERE name LIKE 'session %' ORDER BY rowid")
        return {name.removeprefix("session "): json.loads(value) for name, value in rows}

    def idle_seconds(self) -> float:
        """Seconds that sessions have cost beside their jobs."""
        return sum(float(session["idle"]) for session in self.sessions().values())

    def last_posts(self, number: int) -> list[float]:
        """When the last jobs were posted, in seconds since 1970, the latest first."""
        rows = self._connection.execute(
            "SELECT posted FROM jobs WHERE posted IS NOT NULL ORDER BY posted DESC LIMIT ?", (number,)
        )
        return [row[0] for row in rows]

    def remote_jobs(self) -> list[Job]:
        """All jobs that have an estimate, which those of a device on this computer do not, in their order."""
        rows = self._connection.execute(
            f"SELECT {_COLUMNS} FROM jobs WHERE estimate IS NOT NULL ORDER BY step, call, part, attempt"
        )
        return [Job(*row) for row in rows]

    def summary(self) -> dict[str, float]:
        """What was asked of devices: ``jobs``; ``canary_ideal`` and ``canary_value`` on average where measured;
        ``machine_seconds`` where they are paid for.
        """
        number, ideal, value = self._connection.execute(
            "SELECT count(shots), avg(canary_ideal), avg(canary_value) FROM jobs"
        ).fetchone()
        result: dict[str, float] = {"jobs": number} if number else {}
        if self.remote_jobs():
            result["machine_seconds"] = self.spent_seconds()
        return result if value is None else result | {"canary_ideal": ideal, "canary_value": value}

    def recall(self, name: str) -> Mapping[str, Any] | None:
        """What a device wanted to be kept under this name."""
        row = self._connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else json.loads(row[0])

    def keep(self, name: str, value: Mapping[str, Any]) -> None:
        """Commits what a device wants to be kept."""
        with transaction(self._connection):
            self._connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, json.dumps(dict(value))))


def migrate_jobs(connection: sqlite3.Connection, version: int) -> None:
    """Makes the table of jobs that this version has: a ledger of version 1 has none, one of version 2 a simpler one.

    Inside a transaction of the caller.
    """
    if version == 2:
        connection.execute("ALTER TABLE jobs RENAME TO jobs_2")
    connection.execute(JOBS)
    if version == 2:
        connection.execute(f"INSERT INTO jobs ({_COPIED}) SELECT {_COPIED} FROM jobs_2")
        connection.execute("DROP TABLE jobs_2")


def in_memory() -> JobTable:
    """A table for jobs that nobody wants to remember, kept by this process alone."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for table in ("facts (name TEXT PRIMARY KEY, value TEXT NOT NULL)", "steps (step INTEGER PRIMARY KEY)"):
        connection.execute(f"CREATE TABLE {table}")
    connection.execute(JOBS)
    return JobTable(connection)


def seconds_left(moment: float | None, seconds: float) -> float:
    """How many of these seconds after a moment are still to come; none after a moment that never was."""
    return 0.0 if moment is None else max(0.0, moment + seconds - time.time())


@contextmanager
def transaction(connection: sqlite3.Connection) -> Generator[None, None, None]:
    """All of it or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite has rolled back by itself where the disk is full
            connection.execute("ROLLBACK")
        raise
