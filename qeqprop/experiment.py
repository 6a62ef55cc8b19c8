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
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from qeqprop.assembly import Setup, assemble
from qeqprop.interfaces import AnyNetwork, Device, EnergyNetwork, FloatArray, Network, RemoteDevice
from qeqprop.ledger import Ledger, Step, open_run, write_file
from qeqprop.runfile import canonical, read, short_hash
from qeqprop.toml_text import to_toml

if TYPE_CHECKING:
    from qeqprop.measurement_count import StepCost
    from qeqprop.training import TrainingState

_PROTOCOL_SAMPLES = 4
"""Samples that an adiabatic protocol is tried on by a check."""


@dataclass(frozen=True)
class Check:
    """What an experiment is, found without running it.

    Attributes:
        name: the name its run folder gets.
        resolved: the run file with all defaults filled in.
        sites, strings, trainable, inputs, outputs: the size of the network; no strings where it is no Pauli sum.
        samples, test_samples: the size of the data.
        settings: (measurement bases) x (states) for the gradient of one sample; None if it is computed, not measured.
        shift_settings: the same by the parameter-shift rule, for a circuit with as many angles; None without strings.
        circuits: that one step runs, for all samples of its batch; None if it runs none.
        shots: of these circuits; None where no shots are taken.
        findings: what is to be said of the way in which states are prepared.
        price: what the run costs on a machine that is paid for; None for other devices.
    """

    name: str
    resolved: Mapping[str, Any]
    sites: int
    strings: int
    trainable: int
    inputs: int
    outputs: int
    samples: int
    test_samples: int
    settings: int | None
    shift_settings: int | None
    circuits: int | None
    shots: int | None
    findings: tuple[str, ...]
    price: Price | None = None


@dataclass(frozen=True)
class Price:
    """What a run costs on a machine that is paid for, estimated without asking anybody.

    Attributes:
        machine: its name.
        steps: of the run.
        jobs, shots, seconds: of a step, its test samples too where they are looked at in every step.
        total_seconds: of the whole run.
        pause: seconds between two jobs, which are in these seconds, where they are paid; None where not.
        budget: seconds that the run may spend; None for any number.
    """

    machine: str
    steps: int
    jobs: int
    shots: int
    seconds: float
    total_seconds: float
    budget: float | None
    pause: float | None = None


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

    def check(self) -> Check:
        """Says what would be run, and runs nothing."""
        from qeqprop.measurement_count import settings_per_gradient, shift_settings, step_cost

        setup, network, data = self.setup, self.setup.network, self.setup.data
        targets = data.train.y[: setup.plan.batch]
        sampler = setup.solver if setup.device is None else setup.device
        shots: int | None = getattr(sampler, "shots", None)
        measures = setup.device is not None or shots is not None
        sums = network if isinstance(network, Network) else None
        cost = step_cost(sums, setup.rule, setup.loss, targets, shots) if sums and measures else None
        return Check(
            name=self.name,
            resolved=setup.resolved,
            sites=sums.num_sites if sums else cast(EnergyNetwork, network).n_variables,
            strings=len(sums.strings) if sums else 0,
            trainable=network.n_trainable,
            inputs=network.n_inputs,
            outputs=network.n_outputs,
            samples=len(data.train.x),
            test_samples=len(data.test.x),
            settings=settings_per_gradient(sums, setup.rule, setup.loss, targets) if sums else None,
            shift_settings=shift_settings(sums) if sums else None,
            circuits=None if cost is None else cost.circuits,
            shots=None if cost is None else cost.shots,
            findings=tuple(self._findings()),
            price=self._price(sums, cost) if sums and cost else None,
        )

    def _price(self, network: Network, cost: StepCost) -> Price | None:
        from qeqprop.measurement_count import test_cost
        from qeqprop.recorded import is_remote

        setup, plan = self.setup, self.setup.plan
        if setup.device is None or not is_remote(setup.device) or cost.shots is None:
            return None
        device, tested = cast(RemoteDevice, setup.device), len(setup.data.test.x)
        test = test_cost(network, tested, getattr(device, "shots", None))
        gradient = device.rough_seconds(cost.jobs, cost.shots)
        look = device.rough_seconds(1, test.shots or 0) if tested else 0.0
        looks = -(-plan.steps // plan.validate_every) if tested else 0  # the last step is tested anyway
        each = plan.validate_every == 1 and tested
        return Price(
            machine=device.machine,
            steps=plan.steps,
            jobs=cost.jobs + (1 if each else 0),
            shots=cost.shots + ((test.shots or 0) if each else 0),
            seconds=gradient + (look if each else 0.0),
            total_seconds=plan.steps * gradient + looks * look,
            budget=plan.budget_seconds,
            pause=device.paid_pause,
        )

    def _findings(self) -> Iterator[str]:
        """What is to be said of the way in which states are prepared."""
        from qeqprop.placement_report import circuit_of, placement_report
        from qeqprop.propagation import MEASURING_RESPONSES
        from qeqprop.protocol_report import check_protocol
        from qeqprop.solvers.variational import Variational
        from qeqprop.training import initial_theta

        setup = self.setup
        if not isinstance(setup.network, Network):
            return
        if isinstance(setup.solver, MEASURING_RESPONSES):
            name = type(setup.solver).__name__
            yield f"note: cost: {name} measures the response by circuits that are not counted here"
        if isinstance(setup.solver, Variational) and setup.solver.angles == "device" and setup.device is not None:
            yield "note: cost: the circuits of a step are those of its final states, those of the search come on top"
        theta = initial_theta(setup.network, seed=setup.seed, scale=setup.plan.initial_scale)
        x = setup.data.train.x[:_PROTOCOL_SAMPLES]
        yield from map(str, check_protocol(setup.solver, setup.rule, setup.network, theta=theta, x=x))
        circuit = None if setup.device is None else circuit_of(setup.solver, setup.network, theta, x)
        placed = None if setup.device is None or circuit is None else placement_report(setup.device, circuit)
        if placed is not None:
            yield f"placement: {placed}"

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
