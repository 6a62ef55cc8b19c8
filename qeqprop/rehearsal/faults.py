"""What can go wrong between a client and the service, to be tried on purpose."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from typing import Literal, cast, get_args

Action = Literal["status", "drop_before", "drop_after", "truncate", "html", "hang", "wait"]

ACTIONS: tuple[str, ...] = get_args(Action)


@dataclass(frozen=True)
class Fault:
    """One kind of trouble.

    Attributes:
        method: ``GET``, ``POST``, .. of the requests it befalls; ``*`` for all.
        path: a regular expression found anywhere in their path.
        action: ``status`` answers with the code and does nothing; ``drop_before`` and ``drop_after`` close the
            connection before and after the request took effect; ``truncate`` sends half of the answer; ``html`` sends
            a page of HTML with code 200 after the request took effect; ``hang`` lets the request take effect, holds
            the connection for some seconds and closes it without an answer; ``wait`` answers that much later.
        code: of ``status``.
        retry_after: whole seconds for the header of that name, if there is one.
        seconds: of ``hang`` and ``wait``.
        times: how many requests it befalls.
        after: how many it spares first.
        takes_effect: whether the request is carried out although ``status`` is answered.
    """

    method: str
    path: str
    action: Action
    code: int = 500
    retry_after: int | None = None
    seconds: float = 5.0
    times: int = 1
    after: int = 0
    takes_effect: bool = False

    def __post_init__(self) -> None:
        if self.action not in ACTIONS:
            raise ValueError(f"Argument `action` must be one of {', '.join(ACTIONS)}, but is {self.action!r}.")
        try:
            re.compile(self.path)
        except re.error as error:
            raise ValueError(f"Argument `path` must be a regular expression, but {self.path!r}: {error}.") from None


@dataclass(eq=False)
class Faults:
    """Those that are waiting to happen; any number of threads may ask.

    Attributes:
        happened: how many have.
    """

    happened: int = 0
    _waiting: list[list[int | Fault]] = field(default_factory=list[list[int | Fault]])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, fault: Fault) -> None:
        """Another one; those of a request happen in the order in which they were added."""
        with self._lock:
            self._waiting.append([0, fault])

    def clear(self) -> None:
        """No more of them."""
        with self._lock:
            self._waiting.clear()

    def befalling(self, method: str, path: str) -> Fault | None:
        """The fault of this request, if any; it counts as happened."""
        with self._lock:
            for entry in self._waiting:
                seen, fault = cast(tuple[int, Fault], tuple(entry))
                if fault.method not in ("*", method) or not re.search(fault.path, path):
                    continue
                entry[0] = seen + 1
                if seen < fault.after:
                    continue
                if seen + 1 >= fault.after + fault.times:
                    self._waiting.remove(entry)
                self.happened += 1
                return fault
        return None


def read_fault(text: str) -> Fault:
    """A fault from one line: method, path, action, and what else it needs.

    ``POST /jobs$ 503 times=2``, ``GET /results wait=3``, ``POST /jobs$ drop_after``, ``GET /jobs 429 retry_after=1``.

    Raises:
        ValueError: says what is not understood.
    """
    words = text.split()
    if len(words) < 3:
        raise ValueError(f"A fault must read like 'POST /jobs$ 503 times=2', but is {text!r}.")
    method, path, what, *others = words
    name, _, value = what.partition("=")
    try:
        numbers = {key: float(number) for key, _, number in (word.partition("=") for word in others)}
        unknown = numbers.keys() - {"times", "after", "retry_after"}
        if unknown:
            raise ValueError(f"{min(unknown)} is none of times, after, retry_after")
        fault = Fault(
            method.upper(),
            path,
            cast(Action, "status" if name.isdecimal() else name),
            code=int(name) if name.isdecimal() else 500,
            seconds=float(value or 5.0),
            times=int(numbers.get("times", 1)),
            after=int(numbers.get("after", 0)),
            retry_after=int(numbers["retry_after"]) if "retry_after" in numbers else None,
        )
    except ValueError as error:
        raise ValueError(f"A fault must read like 'POST /jobs$ 503 times=2', but is {text!r}: {error}") from None
    return fault
