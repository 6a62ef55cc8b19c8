"""A job as the service knows it, and the folder that jobs are kept in."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

Fate = Literal["completed", "failed", "cancelled", "too_long"]

FINAL = ("Completed", "Failed", "Cancelled")
RAN_TOO_LONG = 1305
REFUSED = 1517
BROKE_DOWN = 9999


@dataclass(eq=False)
class Job:
    """What the service knows of a job.

    Attributes:
        id: its name.
        program: ``executor``, ``sampler`` or ``estimator``.
        backend: the machine.
        tags: of the client.
        created: seconds since 1970, as the other times.
        limit: seconds on the machine that it may take at most; None for no limit.
        entropy: of all that is random in it.
        fate: how it is going to end.
        executions: that it asks for.
        estimate: seconds on the machine that it will be billed.
        billed: seconds on the machine that it was billed.
        generation: of the calibration it ran with.
    """

    id: str
    program: str
    backend: str
    tags: list[str]
    created: float
    session_id: str | None = None
    limit: float | None = None
    private: bool = False
    entropy: list[int] = field(default_factory=list[int])
    fate: Fate = "completed"
    executions: int = 0
    estimate: float = 0.0
    state: str = "Queued"
    reason: str | None = None
    reason_code: int | None = None
    running: float | None = None
    finished: float | None = None
    billed: float = 0.0
    generation: int = 0

    @property
    def is_final(self) -> bool:
        return self.state in FINAL


def entropy_of(tags: Sequence[str]) -> list[int]:
    """The randomness that tags stand for; fresh where none of them counts."""
    counted = sorted({tag for tag in tags if not tag.startswith("id-")})
    if not counted:
        return [secrets.randbits(128)]
    return [int.from_bytes(hashlib.sha256(json.dumps(counted).encode()).digest()[:16], "big")]


@dataclass(frozen=True)
class JobFolder:
    """Three files for each job, each replaced as a whole: what is known of it, its parameters, its result.

    Attributes:
        path: None to keep nothing.
    """

    path: Path | None

    def __post_init__(self) -> None:
        if self.path is not None:
            self.path.mkdir(parents=True, exist_ok=True)

    def keep(self, job: Job, kind: Literal["job", "params", "result"], text: str | None = None) -> None:
        """Writes one of the files; what is known of the job if no text is given."""
        if self.path is not None:
            beside = self.path / f"{job.id}.{kind}.new"
            beside.write_text(json.dumps(asdict(job)) if text is None else text, encoding="utf-8")
            beside.replace(self.path / f"{job.id}.{kind}")

    def drop(self, job: Job, kind: str = "*") -> None:
        """Removes one of the files, or all."""
        for path in [] if self.path is None else self.path.glob(f"{job.id}.{kind}"):
            path.unlink(missing_ok=True)

    def load(self) -> Iterator[tuple[Job, Any, str | None]]:
        """The jobs of a service that was here before, their parameters and results; what was running begins again."""
        for path in [] if self.path is None else self.path.glob("*.job"):
            job = Job(**json.loads(path.read_text(encoding="utf-8")))
            params = json.loads(path.with_suffix(".params").read_text(encoding="utf-8"))
            result = path.with_suffix(".result")
            if not job.is_final:
                job.state, job.running = "Queued", None
                yield job, params, None
            elif job.state == "Completed":  # the result of a private job is gone once it was fetched
                yield job, params, result.read_text(encoding="utf-8") if result.exists() else None
            else:
                yield job, params, job.reason or job.state
