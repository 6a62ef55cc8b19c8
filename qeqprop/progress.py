"""How far a run is, and a search inside a step: a live bar in a terminal, plain lines in a pipe."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console

from qeqprop.iterations import Iteration, Listener, heard_by

if TYPE_CHECKING:
    from qeqprop.experiment import Run
    from qeqprop.training import TrainingState

LINE_EVERY = 5.0
"""Seconds after which a pipe gets a line, if no tenth of the run was finished meanwhile."""

WARNINGS_SHOWN = 3
"""How many different warnings are shown; the others are counted."""


@contextmanager
def watch(steps: int, console: Console) -> Generator[Callable[[TrainingState], None], None, None]:
    """Gives the callback that shows each state; the first few warnings of the run are shown in one line each."""
    shown = _bar(steps, console) if console.is_terminal else _lines(steps, console)
    with few_warnings(console), shown as (callback, listener), heard_by(listener):
        yield callback


@contextmanager
def few_warnings(console: Console) -> Generator[None, None, None]:
    """Shows the first few different warnings in one line each, and counts the others."""
    messages: set[str] = set()

    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if str(message) not in messages and len(messages) < WARNINGS_SHOWN:
            console.print(f"warning: {message}", highlight=False, markup=False, soft_wrap=True)
        messages.add(str(message))

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield
    if len(messages) > WARNINGS_SHOWN:
        console.print(f"There were {len(messages) - WARNINGS_SHOWN} more warnings.", highlight=False)


def describe_iteration(at: Iteration) -> str:
    """How far a search inside a step is: ``VQE 40/1000, 3 states to go, 2e-05 to be 1e-09``."""
    if not at.most:
        return at.name
    goal = f" to be {at.goal:.0e}" if at.goal > 0 else ""
    return f"{at.name} {at.number}/{at.most}, {at.rows} state{'s' * (at.rows != 1)} to go, {at.distance:.0e}{goal}"


def describe(state: TrainingState) -> str:
    """The numbers of a state that a person wants to follow."""
    words = [f"loss {state.loss:.4g}"]
    for name, label in (("accuracy", "accuracy"), ("validation_accuracy", "test"), ("gap", "gap")):
        value = state.metrics.get(name, math.nan)
        if not math.isnan(value):
            words.append(f"{label} {value:.1%}" if "accuracy" in name else f"{label} {value:.3g}")
    return "  ".join(words)


@contextmanager
def _bar(steps: int, console: Console) -> Generator[tuple[Callable[[TrainingState], None], Listener], None, None]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("step"),
        MofNCompleteColumn(),
        BarColumn(bar_width=8),
        TextColumn("{task.description}", markup=False),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=steps)
        numbers = ""

        def callback(state: TrainingState) -> None:
            nonlocal numbers
            numbers = describe(state)
            progress.update(task, completed=state.step, description=numbers)

        def listener(at: Iteration) -> None:
            progress.update(task, description=f"{numbers}  {describe_iteration(at)}".strip())

        yield callback, listener


@contextmanager
def _lines(steps: int, console: Console) -> Generator[tuple[Callable[[TrainingState], None], Listener], None, None]:
    last_line = begun = time.monotonic()
    first = tenth = -1
    step = 0

    def callback(state: TrainingState) -> None:
        nonlocal begun, first, tenth, last_line, step
        step = state.step
        now, reached = time.monotonic(), 10 * state.step // steps
        if first < 0:  # the first step also compiles, it says nothing about the others
            begun, first, tenth = now, state.step, 10 * (state.step - 1) // steps
        if reached == tenth and now - last_line < LINE_EVERY:
            return
        tenth, last_line = reached, now
        left = (now - begun) / (state.step - first + 1) * (steps - state.step)
        console.print(
            f"step {state.step}/{steps}  {describe(state)}  {left:.0f} s left", highlight=False, soft_wrap=True
        )

    def listener(at: Iteration) -> None:
        nonlocal last_line
        if time.monotonic() - last_line >= LINE_EVERY:
            last_line = time.monotonic()
            console.print(f"after step {step}/{steps}: {describe_iteration(at)}", highlight=False, soft_wrap=True)

    yield callback, listener


def describe_result(result: Run, steps: int, logistic: float | None = None) -> str:
    """What came out, what logistic regression makes of the same features, where it is, and what to do next."""
    numbers = "  ".join(
        f"{name.replace('_', ' ').replace('validation', 'test')} {value:.4g}"
        for name, value in {"loss": result.loss, **result.metrics}.items()
        if name in ("loss", "accuracy", "validation_loss", "validation_accuracy")
    )
    shots = f"  {result.shots} shots" if result.shots else ""
    begun = {0: "", steps: " (it was finished already)"}.get(
        result.resumed_from, f" (gone on from step {result.resumed_from})"
    )
    lines = [f"Done, {steps} steps{begun}: {numbers}{shots}"]
    if logistic is not None:
        lines.append(f"logistic regression on the same features: {logistic:.4g}")
    return "\n".join([*lines, f"Results: {result.folder}", f"Next: qeqprop show {result.folder}"])
