"""What a run is going to be and to cost, found without running it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from qeqprop.assembly import Setup
from qeqprop.compatibility import CLASSICAL
from qeqprop.interfaces import EnergyNetwork, Network, RemoteDevice

if TYPE_CHECKING:
    from qeqprop.measurement_count import StepCost

_PROTOCOL_SAMPLES = 4
"""Samples that an adiabatic protocol is tried on by a check."""


@dataclass(frozen=True)
class Preview:
    """What an experiment is, found without running it.

    Attributes:
        name: the name its run folder gets.
        resolved: the run file with all defaults filled in.
        sites, strings, trainable, inputs, outputs: the size of the network; no strings where it is no Pauli sum.
        samples, test_samples: the size of the data.
        settings: (measurement bases) x (states) for the gradient of one sample; None if it is computed, not measured.
        shift_settings: the same by the parameter-shift rule, for a circuit with as many angles; None where
            the solver, or the network, is classical.
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
        lesson: seconds for each layer of gates whose noise is learned, once for each calibration, which are not in
            these seconds; None where nothing is learned.
        most_overhead: how many times as many seconds a step may take, where the learned noise decides.
    """

    machine: str
    steps: int
    jobs: int
    shots: int
    seconds: float
    total_seconds: float
    budget: float | None
    pause: float | None = None
    lesson: float | None = None
    most_overhead: float = 1.0


def preview(name: str, setup: Setup) -> Preview:
    """Says what would be run under a name, and runs nothing."""
    from qeqprop.measurement_count import settings_per_gradient, shift_settings, step_cost

    network, data = setup.network, setup.data
    targets = data.train.y[: setup.plan.batch]
    sampler = setup.solver if setup.device is None else setup.device
    shots: int | None = getattr(sampler, "shots", None)
    measures = setup.device is not None or shots is not None
    sums = network if isinstance(network, Network) else None
    cost = step_cost(sums, setup.rule, setup.loss, targets, shots) if sums and measures else None
    by_circuits = sums if not isinstance(setup.solver, CLASSICAL) else None
    return Preview(
        name=name,
        resolved=setup.resolved,
        sites=sums.num_sites if sums else cast(EnergyNetwork, network).n_variables,
        strings=len(sums.strings) if sums else 0,
        trainable=network.n_trainable,
        inputs=network.n_inputs,
        outputs=network.n_outputs,
        samples=len(data.train.x),
        test_samples=len(data.test.x),
        settings=settings_per_gradient(by_circuits, setup.rule, setup.loss, targets) if by_circuits else None,
        shift_settings=shift_settings(by_circuits) if by_circuits else None,
        circuits=None if cost is None else cost.circuits,
        shots=None if cost is None else cost.shots,
        findings=tuple(_findings(setup)),
        price=_price(setup, sums, cost) if sums and cost else None,
    )


def _price(setup: Setup, network: Network, cost: StepCost) -> Price | None:
    from qeqprop.measurement_count import test_cost
    from qeqprop.recorded import is_remote

    plan = setup.plan
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
        lesson=device.rough_lesson,
        most_overhead=device.most_overhead,
    )


def _findings(setup: Setup) -> Iterator[str]:
    """What is to be said of the way in which states are prepared."""
    from qeqprop.placement_report import circuit_of, placement_report
    from qeqprop.propagation import MEASURING_RESPONSES
    from qeqprop.protocol_report import check_protocol
    from qeqprop.solvers.variational import Variational
    from qeqprop.training import initial_theta

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
