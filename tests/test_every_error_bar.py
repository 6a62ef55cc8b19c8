"""Error bars of gradients for every rule, basis and device: 500 repetitions spread as they say.

The repetitions are 500 equal samples of one batch, looked at one by one: rows of a job have errors of their own, which
is half of what is tested here. What a job measures for all its rows together, the calibration of a mitigated readout,
is the same for all repetitions.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np
import pytest
from members import members
from qiskit.providers.fake_provider import GenericBackendV2

import qeqprop
from qeqprop import losses
from qeqprop.interfaces import Expectations
from qeqprop.networks.spin_graph import spin_graph
from qeqprop.networks.transverse_ising import transverse_ising
from qeqprop.rules.nudging import OneSidedNudging, SymmetricNudging
from qeqprop.rules.richardson import Richardson
from qeqprop.settling import bind
from qeqprop.solvers.adiabatic import Adiabatic

REPETITIONS, SHOTS = 500, 200
RULES = {rule: rule(0.2) for rule in (OneSidedNudging, SymmetricNudging)} | {Richardson: Richardson((0.2, 0.3))}
BASES = {
    "Z": transverse_ising(sites=2, n_outputs=2),
    "X, Z": transverse_ising(sites=2, n_outputs=2, couplings_xx=True),
    "X, Y, Z": spin_graph(sites=2, edges="chain", bonds=("XX", "YY", "ZZ"), outputs=("Z0", "X1")),
}
NEEDED = {"Backend": {"backend": GenericBackendV2(2, coupling_map=[[0, 1]], seed=3), "shots": SHOTS}}
NEEDED |= {name: {"shots": SHOTS} for name in ("Aer", "Primitive", "Profile", "Statevector")}
ELSEWHERE = {"IBM"}  # needs a service to talk to; its bits are read as those of Backend
DEVICES = {name: made(**NEEDED.get(name, {})) for name, made in members("devices").items() if name not in ELSEWHERE}
SLOW = {"Backend", "Primitive"}


@dataclass(frozen=True)
class Kept:
    """A settle that keeps its answers."""

    settle: object
    answers: list = field(default_factory=list)

    def __getattr__(self, name):
        return getattr(self.settle, name)

    def __call__(self, nudges, **asked):
        self.answers.append(self.settle(nudges, **asked))
        return self.answers[-1]


@dataclass(frozen=True)
class OneSample:
    """A settle of one sample that gives its part of answers that were kept."""

    settled: list
    sample: int
    n_outputs: int
    batch: int = 1

    def __call__(self, nudges, **asked):
        answer, mine = self.settled.pop(0), slice(self.sample, self.sample + 1)

        def part(numbers):
            return None if numbers is None else Expectations(numbers.values[:, mine], numbers.std_errors[:, mine])

        return replace(
            answer,
            outputs=part(answer.outputs),
            energy_gradient=part(answer.energy_gradient),
            certificate=answer.certificate.map(lambda array: array[:, mine]),
            covariances=None if answer.covariances is None else answer.covariances[:, mine],
        )


def normalised(network, rule, device, seed=1):
    """Residuals over standard errors, (repetitions, n_trainable)."""
    theta = np.random.default_rng(4).normal(size=network.n_trainable)
    solver, loss = Adiabatic(total_time=2.0, steps=4, tolerance=10.0), losses.mean_squared_error()
    targets = np.tile([[0.8, -0.6]], (REPETITIONS, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", qeqprop.PhysicsWarning)
        kept = Kept(bind(network, theta, np.zeros((REPETITIONS, 0)), solver, (seed,), device))
        rule.gradient(kept, targets, loss)
    runs = [
        rule.gradient(OneSample(list(kept.answers), sample, kept.n_outputs), targets[:1], loss)
        for sample in range(REPETITIONS)
    ]
    values, errors = np.array([run.values for run in runs]), np.array([run.std_errors for run in runs])
    return (values - values.mean(axis=0)) / errors


def _is_quick(device, basis, rule):
    """Everything on the compiled simulator, and one case on every other device that is quick."""
    return device == "Statevector" or (device not in SLOW and basis == "X, Z" and rule is SymmetricNudging)


CASES = [
    pytest.param(
        *case,
        marks=[] if _is_quick(*case) else pytest.mark.slow,
        id=f"{case[0]}-{case[1]}-{case[2].__name__}",
    )
    for case in product(DEVICES, BASES, RULES)
]


@pytest.mark.parametrize(("device", "basis", "rule"), CASES)
def test_the_spread_is_the_one_that_is_reported(device, basis, rule):
    residuals = normalised(BASES[basis], RULES[rule], DEVICES[device])
    found = np.var(residuals, axis=0)
    print(f"{device} {basis} {rule.__name__}: {np.min(found):.3f} to {np.max(found):.3f}")
    assert np.all((found > 0.8) & (found < 1.25)), found
    neighbours = np.mean(residuals[:-1] * residuals[1:], axis=0)
    assert np.all(np.abs(neighbours) < 5 / np.sqrt(REPETITIONS)), neighbours
