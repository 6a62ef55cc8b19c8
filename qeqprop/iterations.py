"""How far an iteration inside a solver is, for whoever wants to see it.

A solver tells, and need not know who listens::

    with heard_by(lambda at: print(at.name, at.number, at.distance)):
        qeqprop.gradient(..., solver=Variational())

Nobody listens by default. Listeners belong to the thread (or task) that entered the block.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple


class Iteration(NamedTuple):
    """One iteration of something that needs many.

    Attributes:
        name: what iterates, such as "VQE".
        number: counts from 1.
        most: how many there may be.
        rows: states that are not finished yet.
        distance: largest distance from the goal among them, such as the norm of a gradient.
        goal: the distance at which a state is finished; zero where only `most` ends it.
    """

    name: str
    number: int
    most: int
    rows: int
    distance: float
    goal: float


Listener = Callable[[Iteration], None]

_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def heard_by(listener: Listener) -> Generator[None, None, None]:
    """Inside the block every iteration is told to the listener."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def is_heard() -> bool:
    """Whether anybody listens, for those to whom a report costs something."""
    return _listener.get() is not None


def tell(iteration: Iteration) -> None:
    """Tells an iteration to whoever listens."""
    listener = _listener.get()
    if listener is not None:
        listener(iteration)
