"""Runs from run files: checked before they begin, written down step by step, continued after any interruption."""

from __future__ import annotations

import io
import math
import signal
import threading
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qeqprop.assembly import Setup, assemble
from qeqprop.interfaces import AnyNetwork, Device, FloatArray
from qeqprop.ledger import Ledger, Step, open_run, write_file
from qeqprop.preview import Preview, preview
from qeqprop.runfile import canonical, read, short_hash
from qeqprop.toml_text import to_toml

if TYPE_CHECKING:
    from qeqprop.training import TrainingState


@dataclass(frozen=True, eq=False)
class Run:
    """What came out of a run.

    Attributes:
        folder: where everything is.
        theta: (n_trainable,) the trained parameters.
        loss: the loss of the last step.
        metrics: the metrics of the last step.
        shots: projective measurements spent.
        resumed_from: the step an earlier process had come to, 0 for a fresh run.
    """

    folder: Path
    theta: FloatArray
    loss: float
    metrics: Mapping[str, float]
    shots: int
    resumed_from: int


@dataclass(frozen=True, eq=False)
class Experiment:
    """Everything a run file says, ready to run. Make one with `Experiment.load`.

    Attributes:
        source: the run file.
        setup: its content, as objects.
    """

    source: Path
    setup: Setup

    @classmethod
    def load(cls, path: str | Path, overrides: Sequence[str] = ()) -> Experiment:
        """Reads and checks a run file.

        Args:
            path: a TOML file; modules beside it can be named in it.
            overrides: values that replace those of the file, such as ``"rule.beta=0.2"``.

        Raises:
            RunFileError: with all mistakes.
        """
        file = read(path, overrides)
        return cls(file.path, assemble(file))

    @property
    def name(self) -> str:
        """The name of the run folder: that of the file and a hash of the resolved content, ``iris-3fa4c1d2``."""
        return f"{self.source.stem}-{short_hash(self.setup.resolved)}"

    def check(self) -> Preview:
        """Says what would be run, and runs nothing."""
        return preview(self.name, self.setup)

    def run(self, folder: str | Path = "runs", progress: Callable[[TrainingState], None] | None = None) -> Run:
        """Trains, or goes on where an earlier process stopped, and writes the results into ``folder / name``.

        Ctrl-C lets the current step finish; the step is in the ledger when `KeyboardInterrupt` is raised. On a machine
        whose jobs go on by themselves it ends the run at once.

        Args:
            folder: where the run folders are.
            progress: called with each state after it is in the ledger.

        Raises:
            LedgerError: if another process works on this run, or the folder holds something else.
            KeyboardInterrupt: after Ctrl-C; run again to go on.
        """
        resolved = canonical(self.setup.resolved)
        run_folder = Path(folder) / self.name
        source = str(self.source.resolve())
        with open_run(run_folder, resolved=resolved, versions=self.setup.versions, source=source) as ledger:
            self._warn_of_other_versions(ledger)
            last = ledger.last()
            resumed_from = last.step if last else 0
            write_file(run_folder / "run.toml", to_toml(self.setup.resolved).encode())
            if resumed_from < self.setup.plan.steps:
                device = self._device(ledger)
                with _stoppable(device) as interrupted:
                    for state in self._states(last, device):
                        last = Step(
                            state.step, state.theta, state.optimizer_state, state.loss, state.metrics, state.shots
                        )
                        ledger.append(last)
                        if progress is not None:
                            progress(state)
                        if interrupted.is_set() and state.step < self.setup.plan.steps:
                            raise KeyboardInterrupt
            assert last is not None  # there is at least one step
            _write_results(run_folder, self.setup.network, last.theta, ledger.history())
            return Run(run_folder, last.theta, last.loss, last.metrics, last.shots, resumed_from)

    def _device(self, ledger: Ledger) -> Device | None:
        """The device with a memory; what the simulator computes is the same again and needs none."""
        device = self.setup.device
        if device is None or device.reads_states:
            return device
        from qeqprop.recorded import Recorded

        tags = ("qeqprop", f"run-{short_hash(self.setup.resolved)}")
        return Recorded(device, ledger.jobs, tags, budget=self.setup.plan.budget_seconds)

    def _states(self, last: Step | None, device: Device | None) -> Iterator[TrainingState]:
        from qeqprop.training import TrainingState

        resume = None
        if last is not None:
            resume = TrainingState(
                step=last.step,
                theta=last.theta,
                optimizer_state=dict(last.optimizer_state),
                loss=last.loss,
                metrics=dict(last.metrics),
                shots=last.shots,
                gradient=None,
            )
        return self.setup.train(device, resume=resume)

    def _warn_of_other_versions(self, ledger: Ledger) -> None:
        begun, now = ledger.versions, self.setup.versions
        names = sorted(name for name in {*begun, *now} if begun.get(name) != now.get(name))
        if names:
            changes = ", ".join(f"{name} {begun.get(name)} -> {now.get(name)}" for name in names)
            warnings.warn(f"The run was begun with other versions ({changes}); its numbers may differ.", stacklevel=3)


@contextmanager
def _stoppable(device: Device | None) -> Generator[threading.Event, None, None]:
    """Ctrl-C ends a step, or at once where jobs go on without this process and waiting may take hours."""
    from qeqprop.recorded import Recorded, is_remote

    if not isinstance(device, Recorded) or not is_remote(device.device):
        with _finish_step_on_interrupt() as interrupted:
            yield interrupted
        return
    try:
        yield threading.Event()
    finally:
        device.close()


@contextmanager
def _finish_step_on_interrupt() -> Generator[threading.Event, None, None]:
    """The first Ctrl-C sets the event, the second one interrupts at once."""
    interrupted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield interrupted
        return

    def first(number: int, frame: Any) -> None:
        interrupted.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, first)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)


def _write_results(
    folder: Path, network: AnyNetwork, theta: FloatArray, history: Mapping[str, Sequence[float]]
) -> None:
    weights = io.BytesIO()
    np.savez(weights, allow_pickle=False, theta=theta, terms=np.array(network.term_names, dtype=np.str_))
    write_file(folder / "weights.npz", weights.getvalue())
    rows = zip(*history.values(), strict=True)
    lines = [",".join(history), *(",".join("" if math.isnan(value) else repr(value) for value in row) for row in rows)]
    write_file(folder / "history.csv", ("\n".join(lines) + "\n").encode())
