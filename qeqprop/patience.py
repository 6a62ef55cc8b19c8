"""Calls of a service that may fail, hang or answer rubbish: repeated where that is safe, given up in time.

A call runs in a thread of its own that is left alone when it takes too long, since the client of a service may wait for
an answer for ever. What went wrong is a `Trouble` of one of a few kinds; who makes the call says which error is which.
Reading is repeated until it succeeds or patience ends. Posting never is: see `submitter`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from qeqprop.iterations import Iteration, tell

Answer = TypeVar("Answer")

Kind = Literal["busy", "unclear", "stale", "closed", "refused"]


class Trouble(RuntimeError):
    """A call of a service went wrong.

    Attributes:
        kind: ``busy``: not now, nothing has happened; ``unclear``: nobody knows whether it has taken effect; ``stale``:
            the permission has run out; ``closed``: the session of the job is over, nothing has happened; ``refused``:
            for good, nothing has happened.
        wait: seconds that the service asks to wait.
    """

    def __init__(self, kind: Kind, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.kind: Kind = kind
        self.wait = wait


class Unreachable(RuntimeError):
    """A service did not answer for so long that a run stops; what was posted goes on and is found again."""


class Refused(RuntimeError):
    """A service refuses what it is asked, and will again."""


@dataclass(frozen=True)
class Patience:
    """How long is waited for what, in seconds.

    Attributes:
        reply: for an answer, before a call is left alone.
        post: for the answer to a post, which may carry megabytes.
        first, longest: between two calls; each wait is half as long again as the one before.
        away: for a service that fails whatever it is asked.
        tags_settle: until a job that was posted is surely found by its tags. The service promises no time.
    """

    reply: float = 60.0
    post: float = 300.0
    first: float = 0.5
    longest: float = 30.0
    away: float = 3600.0
    tags_settle: float = 60.0

    def waits(self) -> Waits:
        """The waits between calls, from the shortest."""
        return Waits(self)


PATIENCE = Patience()
"""What everybody has who is given none."""


def usual() -> Patience:
    """`PATIENCE`, as it is now."""
    return PATIENCE


@dataclass
class Waits:
    """Waits that grow.

    Attributes:
        patience: sets the first and the longest one.
        next: the coming one, in seconds.
    """

    patience: Patience
    next: float = 0.0

    def wait(self, asked: float | None = None) -> None:
        """Waits, as long as a service asked for if it did."""
        self.next = min(max(1.5 * self.next, self.patience.first), self.patience.longest)
        time.sleep(max(self.next, asked or 0.0))


def tell_people(message: str) -> None:
    """Says what is being waited for, to whoever wants to know."""
    tell(Iteration(message, 0, 0, 0, 0.0, 0.0))


def within(seconds: float, call: Callable[[], Answer]) -> Answer:
    """What a call gives, if it gives it in time.

    Raises:
        Trouble: of the kind ``unclear`` if not; the call is left alone. Whatever the call raises is raised here.
    """
    outcome: list[Any] = []
    context = copy_context()

    def work() -> None:
        try:
            outcome.append((True, context.run(call)))
        except BaseException as error:
            outcome.append((False, error))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    if not outcome:
        raise Trouble("unclear", f"no answer within {seconds:g} seconds")
    succeeded, result = outcome[0]
    if not succeeded:
        raise result
    return result


def until_answered(call: Callable[[], Answer], patience: Patience, what: str, renew: Callable[[], None]) -> Answer:
    """Repeats a call that only reads until it is answered.

    Args:
        call: raises `Trouble` if it fails.
        patience: how long.
        what: is asked for, for messages.
        renew: gets a new permission where the old one has run out.

    Raises:
        Unreachable: when patience ends.
        Refused: if the service refuses.
    """
    waits, begun, renewals = patience.waits(), time.monotonic(), 0
    while True:
        try:
            return call()
        except Trouble as trouble:
            if trouble.kind in ("refused", "closed") or (trouble.kind == "stale" and renewals >= 3):
                raise Refused(f"The service refused {what}: {trouble}") from None
            if time.monotonic() - begun > patience.away:
                raise Unreachable(
                    f"The service has not answered for {patience.away:.0f} seconds when asked for {what} ({trouble}). "
                    "Jobs that were posted go on; run the same again to collect them."
                ) from None
            tell_people(f"{what}: {trouble}; asking again")
            waits.wait(trouble.wait)
            if trouble.kind == "stale":
                renewals += 1
                renew()
