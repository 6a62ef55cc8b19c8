"""The life of jobs: queued, running, completed; or failed, cancelled, run too long.

One machine works at a time, on one job after the other, oldest first. What a job draws is a function of its tags (those
that begin with ``id-`` do not count, since they name a submission and not a question), so that the same question asked
by another run, or again after a crash, has the same answer bit by bit. A job without other tags draws fresh randomness.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from qeqprop.rehearsal.job import BROKE_DOWN, RAN_TOO_LONG, REFUSED, Fate, Job, JobFolder, entropy_of
from qeqprop.rehearsal.machines import Machine
from qeqprop.rehearsal.program import Program
from qeqprop.rehearsal.programs import read_program
from qeqprop.rehearsal.simulation import RefusedProgram


class JobBook:
    """All jobs, and the thread that runs them.

    Args:
        machines: by name.
        folder: where they are kept; None for nowhere.
        queue_seconds: how long a job waits at least.
        run_seconds: how long it runs at least.
        drift_every: a machine has a new calibration after so many of its jobs; None for never.
    """

    def __init__(
        self,
        machines: Callable[[str], Machine],
        folder: Path | None = None,
        *,
        queue_seconds: float = 0.0,
        run_seconds: float = 0.0,
        drift_every: int | None = None,
    ) -> None:
        self.queue_seconds, self.run_seconds = queue_seconds, run_seconds
        self._machines, self._folder, self._drift_every = machines, JobFolder(folder), drift_every
        self._jobs: dict[str, Job] = {}
        self._programs: dict[str, Program] = {}
        self._params: dict[str, Any] = {}
        self._results: dict[str, str] = {}
        self._fates: deque[tuple[Fate, str]] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        for job, params, result in self._folder.load():
            self._jobs[job.id], self._params[job.id] = job, params
            if result is not None:
                self._results[job.id] = result
        self._worker = threading.Thread(target=self._work, name="rehearsal-jobs", daemon=True)
        self._worker.start()

    def stop(self) -> None:
        """Ends the thread, after the job that is running."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._worker.join()

    # --- what a client asks ---------------------------------------------------------------------------------------

    def submit(self, posted: dict[str, Any], limit: float | None) -> Job:
        """A new job from what a client posted.

        Raises:
            RefusedProgram: if it cannot be read.
        """
        program = read_program(posted["program_id"], posted["params"])
        machine, tags = self._machines(posted["backend"]), [str(tag) for tag in posted.get("tags", [])]
        job = Job(
            id=secrets.token_hex(10),
            program=posted["program_id"],
            backend=machine.name,
            tags=tags,
            created=time.time(),
            session_id=posted.get("session_id"),
            limit=limit,
            private=bool(posted.get("private", False)),
            entropy=entropy_of(tags),
            executions=program.executions,
            estimate=program.seconds(machine),
        )
        with self._changed:
            if self._fates:
                job.fate, job.reason = self._fates.popleft()
            self._programs[job.id], self._params[job.id] = program, posted["params"]
            self._folder.keep(job, "params", json.dumps(posted["params"]))
            self._jobs[job.id] = job
            self._folder.keep(job, "job")
            self._changed.notify_all()
        return job

    def find(self, job_id: str) -> Job | None:
        with self._changed:
            return self._jobs.get(job_id)

    def all(self) -> list[Job]:
        """Oldest first."""
        with self._changed:
            return sorted(self._jobs.values(), key=lambda job: job.created)

    def params(self, job: Job) -> Any:
        with self._changed:
            return None if job.private else self._params.get(job.id)

    def result(self, job: Job) -> str:
        """The text of the result, or of what went wrong; empty while there is none. Of a private job only once."""
        with self._changed:
            text = self._results.get(job.id, "")
            if job.private and job.is_final:
                self._results.pop(job.id, None)
                self._folder.drop(job, "result")
            return text

    def retag(self, job: Job, tags: Sequence[str]) -> None:
        with self._changed:
            job.tags = list(tags)
            self._folder.keep(job, "job")

    def cancel(self, job: Job) -> bool:
        """Whether it could still be cancelled. What ran until then is billed."""
        with self._changed:
            if job.is_final:
                return False
            ran = 0.0 if job.running is None else min(job.estimate, time.time() - job.running)
            self._end(job, "Cancelled", "Job cancelled by the user.", None, billed=ran)
            return True

    def delete(self, job: Job) -> None:
        """Forgets it; what it was billed is forgotten as well."""
        with self._changed:
            for table in (self._jobs, self._programs, self._params, self._results):
                table.pop(job.id, None)
            self._folder.drop(job)

    def next_ends(self, fate: Fate, reason: str) -> None:
        """How the next job that comes is going to end."""
        with self._changed:
            self._fates.append((fate, reason))

    def generation(self, backend: str) -> int:
        """Which calibration a machine has: 0 is the first."""
        if self._drift_every is None:
            return 0
        with self._changed:
            done = sum(job.backend == backend and job.state == "Completed" for job in self._jobs.values())
        return done // self._drift_every

    def position(self, job: Job) -> int:
        """How many jobs are before it in the queue."""
        return sum(not other.is_final and other.created < job.created for other in self.all())

    # --- the thread -----------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while (job := self._next()) is not None:
            begun = time.monotonic()
            try:
                text, code = self._run(job), None
            except RefusedProgram as error:
                text, code = str(error), REFUSED
            except Exception as error:  # a job that breaks the simulation fails; the service goes on
                text, code = f"{type(error).__name__}: {error}", BROKE_DOWN
            with self._changed:
                left = self.run_seconds - (time.monotonic() - begun)
                self._changed.wait_for(lambda job=job: self._stopping or job.is_final, timeout=max(left, 0.0))
                interrupted = self._stopping and left > 0
                if job.id in self._jobs and not job.is_final and not interrupted:
                    self._finish(job, text, code)

    def _next(self) -> Job | None:
        """The oldest job that has waited long enough, now running; None to end."""
        with self._changed:
            while not self._stopping:
                waiting = sorted((job for job in self._jobs.values() if not job.is_final), key=lambda job: job.created)
                left = waiting[0].created + self.queue_seconds - time.time() if waiting else None
                if waiting and left is not None and left <= 0:
                    job = waiting[0]
                    job.state, job.running = "Running", time.time()
                    self._folder.keep(job, "job")
                    return job
                self._changed.wait(timeout=left)
            return None

    def _run(self, job: Job) -> str:
        job.generation = self.generation(job.backend)
        too_long = job.limit is not None and job.estimate > job.limit
        if job.fate == "completed" and too_long:
            job.fate, job.reason = "too_long", "Job ran longer than maximum execution time."
        if job.fate != "completed":
            return ""
        with self._changed:
            program = self._programs.get(job.id)
        program = program or read_program(job.program, self._params[job.id])
        return program.run(self._machines(job.backend), job.generation, job.entropy)

    def _finish(self, job: Job, text: str, code: int | None) -> None:
        if job.fate == "too_long":
            billed = min(job.estimate, job.limit or job.estimate)
            self._end(job, "Cancelled", job.reason or "Job ran too long.", RAN_TOO_LONG, billed=billed)
        elif job.fate == "cancelled":
            self._end(job, "Cancelled", job.reason or "Job cancelled by the service.", None, billed=0.0)
        elif job.fate == "failed" or code is not None:
            self._end(job, "Failed", text or job.reason or "Job failed.", code or BROKE_DOWN, billed=0.0)
        else:
            self._results[job.id] = text
            self._folder.keep(job, "result", text)
            self._end(job, "Completed", None, None, billed=job.estimate)

    def _end(self, job: Job, state: str, reason: str | None, code: int | None, *, billed: float) -> None:
        job.state, job.reason, job.reason_code = state, reason, code
        job.finished, job.billed = time.time(), billed
        if reason is not None:
            self._results[job.id] = reason
        self._programs.pop(job.id, None)
        self._folder.keep(job, "job")
        self._changed.notify_all()
