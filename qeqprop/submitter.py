"""Jobs that cost money: posted once, found again after any failure, collected, and never paid for twice.

Before a job is posted its unique tag is in the book. What follows a post whose fate is not known (a dropped connection,
a reply that cannot be read, a process that was killed) is a search for that tag, a wait for as long as the service may
need to show it, another search, and only then another post; the number of posts is limited.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from qeqprop.interfaces import JobState, Lesson, Measurement, RemoteDevice
from qeqprop.job_table import LESSON, Job, JobTable, seconds_left
from qeqprop.patience import Answer, Patience, Refused, Trouble, Unreachable, tell_people, until_answered, usual

MAX_POSTS = 3
"""By one process, of a job that no search finds."""

_PAID_WAIT = 2.0
"""Seconds between two looks at a job, at most, while the machine is held and paid for."""

MAX_ATTEMPTS = 3
"""Of one job, where the attempts before it ended badly."""

LESSON_TAG = "lesson"
"""In place of the part of a call."""

Question = Measurement | Lesson


class JobFailed(RuntimeError):
    """A job ended without a result."""


class BudgetExceeded(RuntimeError):
    """The next job would cost more than a run may spend."""


@dataclass(frozen=True, eq=False)
class Submitter:
    """Posts and collects the jobs of one run.

    Attributes:
        device: where they run.
        book: where everything is written down first.
        tags: that all jobs of the run have.
        places: whether a job also has its step, call and part as tags.
        budget: seconds on the machine that the whole run may spend; None for any number.
        patience: how long is waited for what; the usual one where None.
    """

    device: RemoteDevice
    book: JobTable
    tags: Sequence[str] = ("qeqprop",)
    places: bool = True
    budget: float | None = None
    patience: Patience | None = None

    def submit(self, jobs: Sequence[tuple[Job, Question]], shots: int | None) -> list[Job]:
        """All jobs of a call, posted; those that were posted before are found again.

        Raises:
            BudgetExceeded: before the first post, if those that are to be posted cost too much.
            JobFailed: for a job that ended badly too often.
            Refused, Unreachable: see `patience`.
        """
        self.mind_sessions()
        current = [(self._again(job) if job.outcome else job, question) for job, question in jobs]
        new = [job.estimate or 0.0 for job, _ in current if job.raw is None and job.posted is None]
        if new:
            self._check_budget(sum(new))
        return [job if job.raw is not None else self._posted(job, question, shots) for job, question in current]

    def collect(self, job: Job, question: Question, shots: int | None) -> Job:
        """The job with its result, which is in the book as it came; one that failed is posted once more.

        Raises:
            JobFailed: for one that was cancelled, ran too long or failed too often.
            BudgetExceeded, Refused, Unreachable: as for `submit`.
        """
        while job.raw is None:
            job = self._without_doubles(job)
            state = self._wait(job)
            job_id = str(job.job_id)
            if state.phase == "done":
                raw = self.read(lambda job_id=job_id: self.device.collect(job_id), f"the result of job {job_id}")
                job = self.book.note_job(job, raw=raw)
            else:
                job = self.book.note_job(job, outcome=state.phase)
            billed = self.read(lambda job_id=job_id: self.device.billed(job_id), f"the bill of job {job_id}")
            if billed is not None:
                job = self.book.note_job(job, billed=billed)
            self.mind_sessions()
            if job.raw is not None:
                job = self._without_doubles(job)
            if job.outcome == "failed" and job.attempt < MAX_ATTEMPTS:
                job = self._again(job)
                self._check_budget(job.estimate or 0.0)
                job = self._posted(job, question, shots)
            elif job.outcome is not None:
                raise JobFailed(_failure(job, state))
        return job

    def mind_sessions(self) -> None:
        """Writes down what the session of this process has cost beside its jobs; ends those that nobody uses any more.

        Such as the session of a process that was killed: its time is paid.
        """
        left = [name for name, known in self.book.sessions().items() if known["open"]]
        if self.device.paid_pause is None and not left:
            return
        used = self.read(self.device.idle, "what the session costs")
        for name, seconds in used.items():
            self.book.note_session(name, seconds, is_open=True)
        for name in set(left) - set(used):
            seconds = self.read(lambda name=name: self.device.end_session(name), f"the end of session {name}")
            self.book.note_session(name, seconds, is_open=False)

    # --- steps ------------------------------------------------------------------------------------------------------

    def _posted(self, job: Job, question: Question, shots: int | None) -> Job:
        waits, begun = self._patience.waits(), time.monotonic()
        lost = renewals = 0
        while job.job_id is None:
            found = None if job.posted is None else self._find(job)
            if found is not None:
                return self.book.note_job(job, job_id=found)
            if lost >= MAX_POSTS:
                raise JobFailed(
                    f"{_named(job)} was posted {lost} times, and the service shows none of them. Run the same again "
                    f"when it is well: what it shows by then for the tag {id_tag(job)} is used."
                )
            self._await_turn()
            job = self.book.note_job(job, posted=time.time(), posts=job.posts + 1)
            try:
                job = self.book.note_job(job, job_id=self.device.post(question, shots, self._all_tags(job)))
                self.mind_sessions()  # of a session that was opened for it
            except Trouble as trouble:
                lost += trouble.kind == "unclear"
                renewals += trouble.kind in ("stale", "closed")
                if trouble.kind != "unclear":  # nothing has happened
                    job = self.book.note_job(job, posted=None, posts=job.posts - 1)
                if trouble.kind == "refused" or renewals > MAX_POSTS:
                    raise Refused(f"The service refused {_named(job).lower()}: {trouble}") from None
                if trouble.kind == "busy" and time.monotonic() - begun > self._patience.away:
                    seconds = f"{self._patience.away:.0f} s"
                    raise Unreachable(f"The service has taken no job for {seconds}: {trouble}") from None
                tell_people(f"{_named(job)}: {trouble}")
                waits.wait(trouble.wait)
                if trouble.kind in ("stale", "closed"):
                    self.read(self.device.renew, "a new connection")
        return job

    def _find(self, job: Job) -> str | None:
        """The id of the job with the tag, if there is one when the service must be able to show it."""
        waits = self._patience.waits()
        while True:
            settled = not seconds_left(job.posted, self._tags_settle)
            found = self.read(lambda: self.device.find(id_tag(job)), "jobs by their tag")
            if found or settled:
                return self._oldest(job, found)
            tell_people(f"{_named(job)}: looking for it by its tag")
            waits.wait()

    def _oldest(self, job: Job, found: Sequence[str]) -> str | None:
        """Of several jobs of one question the first; the others are ended."""
        for double in found[1:]:
            self._end_double(job, double)
        return found[0] if found else None

    def _without_doubles(self, job: Job) -> Job:
        """A job that was posted several times may have come into being more than once; one that is done stays."""
        if job.posts < 2:
            return job
        found = self.read(lambda: self.device.find(id_tag(job)), "jobs by their tag")
        job_id = str(job.job_id)
        first = job_id if job.raw is not None or not found else found[0]
        for double in {*found, job_id} - {first}:
            self._end_double(job, double)
        return job if first == job_id else self.book.note_job(job, job_id=first)

    def _end_double(self, job: Job, double: str) -> None:
        """A second job for one question: ended, what it was billed is written down, and said."""
        self.read(lambda: self.device.cancel(double), f"the end of job {double}")
        billed = self.read(lambda: self.device.billed(double), f"the bill of job {double}")
        if self.book.note_double(job, double, billed):
            warnings.warn(
                f"{_named(job)} was posted twice, since the service did not show the first one by its tag within "
                f"{self._tags_settle:g} s: job {double} was cancelled, and may be billed {billed or 0.0:.1f} s. "
                "Wait longer before another post: device.tags_settle.",
                RuntimeWarning,
                stacklevel=2,
            )

    def _wait(self, job: Job) -> JobState:
        waits, begun = self._patience.waits(), time.monotonic()
        if self.device.paid_pause is not None:  # a result that waits to be seen is paid for
            waits = replace(self._patience, longest=min(self._patience.longest, _PAID_WAIT)).waits()
        job_id = str(job.job_id)
        while True:
            state = self.read(lambda: self.device.state(job_id), f"the state of job {job_id}")
            if state.is_final:
                return state
            tell_people(f"job {job_id} {state.phase}, {time.monotonic() - begun:.0f} s")
            waits.wait()

    def _again(self, job: Job) -> Job:
        """Another attempt at a job that ended badly; one that somebody cancelled may be posted any number of times."""
        if job.attempt >= MAX_ATTEMPTS and job.outcome != "cancelled":
            raise JobFailed(
                f"{_named(job)} ended badly {job.attempt} times, the last time it {_ended(str(job.outcome))}; "
                "it is not posted again. See why: qeqprop jobs list."
            )
        return self.book.begin_job(job.call, job.content, job.part, job.attempt + 1, job.estimate)

    def _check_budget(self, estimate: float) -> None:
        if self.budget is None:
            return
        spent = self.book.spent_seconds()
        if spent + estimate > self.budget:
            raise BudgetExceeded(
                f"The next jobs cost about {estimate:.1f} s on the machine, and {spent:.1f} s of the budget of "
                f"{self.budget:g} s are spent. Nothing was posted, every answer is saved; go on with a larger budget: "
                f"--set train.budget_seconds={max(2 * self.budget, spent + 2 * estimate):.0f}"
            )

    def _await_turn(self) -> None:
        number = self.device.posts_per_minute
        posts = self.book.last_posts(number)
        if len(posts) == number and (left := seconds_left(posts[-1], 60.0)):
            tell_people(f"waiting {left:.0f} s: the service takes {number} jobs a minute")
            time.sleep(left)

    def _all_tags(self, job: Job) -> list[str]:
        part = LESSON_TAG if job.part == LESSON else f"part-{job.part}"
        places = [f"step-{job.step}", f"call-{job.call}", *([part] if job.part else [])]
        return [*self.tags, *(places if self.places else [part] * (job.part == LESSON)), id_tag(job)]

    def read(self, call: Callable[[], Answer], what: str) -> Answer:
        """What a call that only reads gives, however often it takes (`until_answered`)."""
        return until_answered(call, self._patience, what, self.device.renew)

    @property
    def _tags_settle(self) -> float:
        """Seconds after a post in which its job is surely found by its tag."""
        return self._patience.tags_settle if self.device.tags_settle is None else self.device.tags_settle

    @property
    def _patience(self) -> Patience:
        return self.patience or usual()


def id_tag(job: Job) -> str:
    """The tag that no other job has."""
    return f"id-{job.tag}"


def _named(job: Job) -> str:
    if job.part == LESSON:
        return f"The lesson of step {job.step}, call {job.call}"
    part = f", part {job.part}" if job.part else ""
    return f"The job of step {job.step}, call {job.call}{part}"


def _ended(outcome: str) -> str:
    return {"cancelled": "was cancelled"}.get(outcome, outcome)


def _failure(job: Job, state: JobState) -> str:
    advice = {
        "ran too long": "Raise device.max_execution_time, or ask for fewer shots.",
        "cancelled": "Run the same again to post it anew.",
    }.get(state.phase, "Run the same again when its cause is gone.")
    said = " ".join(state.reason.replace(f"Job {job.job_id} has failed:", "").split()).rstrip(".")
    reason = f": {said}" if said else ""
    return f"{_named(job)} ({job.job_id}) {_ended(state.phase)}{reason}. {advice}"
