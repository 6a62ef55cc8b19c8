"""Every triple of rule, solver and device agrees with the same solver on exact states, or refuses before it spends."""

import sys
import warnings
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from qiskit.providers.fake_provider import GenericBackendV2

sys.path.insert(0, str(Path(__file__).parents[1]))
from members import members

import qeqprop
from qeqprop import losses
from qeqprop.ansatze.hamiltonian_variational import hamiltonian_variational
from qeqprop.networks.transverse_ising import transverse_ising

RULES, SOLVERS, DEVICES = members("rules"), members("solvers"), members("devices")
SOLVERS.pop("RandomTime")  # measures responses on every device, exact ones too: tests/test_thermal_circuits.py
QUICK = {
    "ThermalImaginaryTime": {"layers": 1, "steps": 4},
    "Adiabatic": {"total_time": 3.0, "steps": 6, "tolerance": 1.0},
    "Thermofield": {"ansatz": hamiltonian_variational(layers=1), "tolerance": 1e-2, "diagonal_sites": 0},
}  # the reference is as quick
NEEDED = {
    "Backend": {"backend": GenericBackendV2(6, coupling_map=[[q, q + 1] for q in range(5)], seed=3)},
    "IBM": {"machine": "ibm_kingston_8", "posts_per_minute": 1000},
}
NOISY = {"Profile", "Backend", "IBM", "ReadoutMitigated", "ZeroNoise"}
MADE = {name: made(**NEEDED.get(name, {})) for name, made in DEVICES.items()}
pytestmark = pytest.mark.usefixtures("service")  # that IBM's client talks to
MADE["Statevector with shots"] = DEVICES["Statevector"](shots=1000)
WITHOUT_CIRCUITS = {"Exact", "Sampled", "DMRG", "Typical", "EqualTime"}
WRAPPED = {"EqualTime": "Exact"}  # what answers in their place, by default
NUDGING = {"OneSidedNudging": {"beta": 0.3}, "SymmetricNudging": {"beta": 0.3}, "Richardson": {"betas": (0.3, 0.6)}}
SHOTS = 400

NETWORK = transverse_ising(sites=3, edges="chain", n_inputs=1)
THETA = NETWORK.initial + np.random.default_rng(2).normal(size=NETWORK.n_trainable)
CASE = (NETWORK, THETA, np.array([[0.4], [-0.7]]), np.array([[1.0], [-1.0]]))


@dataclass(frozen=True)
class Watched:
    """A device that remembers what it was asked."""

    device: object
    asked: list = field(default_factory=list)

    @property
    def name(self):
        return self.device.name

    @property
    def reads_states(self):
        return self.device.reads_states

    def run(self, measurement, *, shots, key):
        answer = self.device.run(measurement, shots=shots, key=key)
        self.asked.append(answer.shots)
        return answer


def found(rule, solver, device=None):
    settings = dict(NUDGING.get(rule, {}))
    if rule in NUDGING:
        settings |= {"precision": SHOTS**-0.5, "output_precision": SHOTS**-0.5}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", qeqprop.PhysicsWarning)
        return qeqprop.gradient(
            *CASE,
            loss=losses.mean_squared_error,
            rule=RULES[rule](**settings),
            solver=SOLVERS[solver](**QUICK.get(solver, {})),
            device=device,
            seed=1,
        )


reference = cache(found)


@pytest.mark.parametrize("device", MADE)
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("rule", RULES)
def test_every_triple_agrees_or_refuses(rule, solver, device):
    watched = Watched(MADE[device])
    refused = solver in WITHOUT_CIRCUITS
    if refused or (rule not in NUDGING and not watched.reads_states):
        computing = WRAPPED.get(solver, solver)
        wanted = f"`device` must be None with the solver {computing}" if watched.reads_states else "device"
        with pytest.raises(ValueError, match=wanted):
            found(rule, solver, watched)
        assert not watched.asked
        return
    try:
        exact = reference(rule, solver)
    except ValueError as refusal:  # of the solver itself, with any device and with none
        with pytest.raises(ValueError, match=str(refusal)[:20]):
            found(rule, solver, watched)
        return
    answer = found(rule, solver, watched)
    assert answer.shots == sum(watched.asked)
    slack = (0.3 if device in NOISY else 1e-9) * np.max(np.abs(exact.values))
    assert np.all(np.abs(answer.values - exact.values) < 5 * answer.std_errors + slack)
    assert np.any(answer.std_errors > 0) == (not watched.reads_states)
