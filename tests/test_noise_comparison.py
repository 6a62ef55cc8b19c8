"""A noisy rehearsal differs from the ideal one by what its canary says."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import qeqprop
from qeqprop.cli import app
from qeqprop.devices.profile import Profile
from qeqprop.devices.statevector import Statevector
from qeqprop.experiment import Experiment
from qeqprop.noise_comparison import Listening, damping, side_by_side, slope
from qeqprop.snapshots import FOLDER, profile_text, settings_of
from qeqprop.stored_files import stored_names

RUN = """\
schema = 1
[network]
use = "transverse_ising:transverse_ising"
sites = 5
edges = "chain"
n_inputs = 4
n_outputs = 3
[data]
use = "tables:iris"
[solver]
use = "adiabatic:Adiabatic"
total_time = 2.0
steps = 4
tolerance = 1.0
[device]
use = "aer:Aer"
shots = 300
[rule]
use = "nudging:SymmetricNudging"
beta = 0.3
[train]
steps = 2
batch = 6
"""
CALIBRATIONS = [name for name in stored_names(FOLDER) if name.endswith(".toml")]
CALIBRATIONS = [name for name in CALIBRATIONS if settings_of(profile_text(name)) is None]

pytestmark = pytest.mark.filterwarnings("ignore::qeqprop.interfaces.PhysicsWarning")  # the sweeps are short


@pytest.fixture
def setup(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("run.toml").write_text(RUN)
    return Experiment.load("run.toml").setup


@pytest.mark.parametrize("name", CALIBRATIONS)
def test_every_profile_damps_outputs_as_its_canary_says(setup, name):
    theta = setup.network.initial + np.random.default_rng(5).normal(size=setup.network.n_trainable)
    found = damping(setup, Profile(name, shots=4000), theta)
    assert found.told
    assert 0.5 < found.low == pytest.approx(found.canary)
    assert found.high == pytest.approx(np.sqrt(found.canary))
    assert found.high < 0.98  # it is noisy, and the canary says so
    assert found.expected, found


@dataclass(frozen=True)
class Untroubled:
    """A noisy device whose canary lives on."""

    device: Profile

    name, reads_states = "untroubled", False

    def run(self, measurement, *, shots, key):
        answer = self.device.run(measurement, shots=shots, key=key)
        return replace(answer, canary=replace(answer.canary, value=1.0))


def test_a_canary_that_hides_the_noise_is_found_out(setup):
    theta = setup.network.initial + np.random.default_rng(5).normal(size=setup.network.n_trainable)
    assert not damping(setup, Untroubled(Profile("torino_8.toml", shots=2000)), theta).expected
    assert np.isnan(damping(setup, Statevector(shots=500), theta).canary)


def test_both_runs_are_those_of_their_devices_alone(setup):
    pairs = list(side_by_side(setup, Profile(shots=300), shots=300, steps=2))
    for device, found in ((Profile(shots=300), "noisy"), (Statevector(shots=300), "ideal")):
        alone = qeqprop.train(
            setup.network,
            setup.data.train,
            loss=setup.loss,
            rule=setup.rule,
            solver=setup.solver,
            optimizer=setup.optimizer,
            device=device,
            steps=2,
            batch=6,
            seed=setup.seed,
            initial_scale=setup.plan.initial_scale,
        )
        for state, pair in zip(alone, pairs, strict=True):
            np.testing.assert_array_equal(getattr(pair, found).theta, state.theta)
    assert all(0.5 < pair.canary < 0.99 for pair in pairs)
    assert pairs[0].cosine > 0.8
    assert "validation_accuracy" in pairs[-1].noisy.metrics


def test_the_slope_is_that_of_least_squares():
    random = np.random.default_rng(2)
    exact = random.normal(size=(30, 2))
    noisy = 0.7 * exact + [0.3, -0.1] + 0.01 * random.normal(size=(30, 2))
    table = np.zeros((60, 3))
    table[:30, 0], table[30:, 0] = exact.T
    table[:30, 1] = table[30:, 2] = 1.0
    wanted = np.linalg.lstsq(table, noisy.T.ravel(), rcond=None)[0][0]
    found, error = slope(exact, noisy, np.full((30, 2), 0.01))
    assert found == pytest.approx(wanted, abs=1e-12)
    assert abs(found - 0.7) < 5 * error
    repeats = [
        slope(exact, 0.7 * exact + 0.01 * random.normal(size=(30, 2)), np.full((30, 2), 0.01))[0] for _ in range(400)
    ]
    assert np.std(repeats) == pytest.approx(error, rel=0.15)
    assert np.isinf(slope(np.ones((3, 1)), np.ones((3, 1)), np.ones((3, 1)))[1])


def test_canaries_are_heard(setup):
    heard = Listening(Profile(shots=100))
    assert heard.name == Profile(shots=100).name
    next(iter(side_by_side(setup, heard, shots=100, steps=1)))
    assert len(heard.canaries) >= 2  # free and nudged


def test_the_command_prints_both_and_the_canary(setup):
    assert setup is not None  # it wrote the file
    command = ["profile", "rehearse", "run.toml", "--profile", "boston_8"]
    found = CliRunner().invoke(app, command)
    assert found.exit_code == 0, found.output
    lines = found.output.splitlines()
    assert "profile boston_8.toml (ibm_boston, 2026-04-17) with 300 shots" in lines[0]
    assert [line.split()[0] for line in lines[2:4]] == ["1", "2"]
    assert "as it says" in lines[-1] or "more cannot be told" in lines[-1]
    assert [path.name for path in Path().iterdir()] == ["run.toml"]
    refused = CliRunner().invoke(app, [*command, "--set", "solver={use='exact:Exact'}", "--set", "device.shots=20"])
    assert refused.exit_code == 2
    assert "must be left out with the solver Exact" in refused.output
