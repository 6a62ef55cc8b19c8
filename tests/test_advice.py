"""The adviser: its errors are those that repetitions show, and its choice is the better one."""

from pathlib import Path

import numpy as np
import pytest
from qiskit.quantum_info import SparsePauliOp
from typer.testing import CliRunner

import qeqprop
from qeqprop import losses, plots
from qeqprop.advice import Advice, advise
from qeqprop.classical.chains import Gibbs
from qeqprop.classical.enumeration import Enumeration
from qeqprop.classical.ising import layered_ising
from qeqprop.cli import app
from qeqprop.interfaces import Network
from qeqprop.rules.linear_response import LinearResponse
from qeqprop.rules.nudging import SymmetricNudging

pytestmark = pytest.mark.filterwarnings("ignore:Solver Gibbs:qeqprop.PhysicsWarning")  # short chains


def magnet(sites):
    """Many free spins whose sum is the output: nearly Gaussian, so that even a strong push has little bias."""
    total = SparsePauliOp.from_sparse_list([("Z", [k], 1.0) for k in range(sites)], sites)
    return Network.of(trainable=[-1.0 * total], outputs=[total], initial=[0.3])


def true_errors(case, rule, solver, repeats=40):
    exact = qeqprop.gradient(*case, loss=losses.output, solver=Enumeration(solver.temperature)).values
    runs = [qeqprop.gradient(*case, loss=losses.output, rule=rule, solver=solver, seed=seed) for seed in range(repeats)]
    return np.sqrt(np.mean([(run.values - exact) ** 2 for run in runs])), runs[0].shots


@pytest.mark.parametrize("wins", ["LinearResponse", "SymmetricNudging"])
def test_the_advice_is_what_repetitions_show(wins):
    """A strong coupling among few spins, or a sum of many free ones."""
    network = magnet(16) if wins == "SymmetricNudging" else layered_ising(n_inputs=1, hidden=(3,), n_outputs=1)
    theta = network.initial + (0 if network.n_trainable == 1 else 0.5 * np.random.default_rng(2).normal(size=10))
    case = (network, theta, np.ones((1, network.n_inputs)), np.zeros((1, 0)))
    solver = Gibbs(1.0, chains=64, samples=20 if wins == "LinearResponse" else 2, burn_in=20)
    pilot = Gibbs(1.0, chains=128, samples=200, burn_in=20)
    advice = advise(*case, loss=losses.output, solver=pilot, budget=64 * solver.samples * 2)
    assert type(advice.rule).__name__ == wins
    found, shots = true_errors(case, LinearResponse(), solver)
    assert advice.response_error * np.sqrt(advice.budget / shots) == pytest.approx(found, rel=0.3)
    best = int(np.argmin(advice.nudging_errors))
    nudged, shots = true_errors(case, SymmetricNudging(advice.betas[best]), solver)
    predicted = np.hypot(advice.noises[best] * np.sqrt(advice.budget / shots), advice.biases[best])
    assert predicted == pytest.approx(nudged, rel=0.35)
    assert (found < nudged) == (wins == "LinearResponse")
    assert (advice.pulls[best] < 1) == (wins == "LinearResponse")


def test_biases_are_those_of_exact_states():
    network = layered_ising(n_inputs=1, hidden=(3,), n_outputs=1)
    case = (network, 0.5 * np.random.default_rng(2).normal(size=10), np.ones((1, 1)), np.zeros((1, 0)))
    advice = advise(*case, loss=losses.output, solver=Gibbs(1.0, chains=256, samples=200), betas=(0.2, 0.4, 0.8))
    exact = qeqprop.gradient(*case, loss=losses.output, solver=Enumeration(1.0)).values
    for beta, bias in zip(advice.betas, advice.biases, strict=True):
        rule = SymmetricNudging(float(beta))
        wanted = qeqprop.gradient(*case, loss=losses.output, rule=rule, solver=Enumeration(1.0)).values - exact
        assert bias == pytest.approx(np.sqrt(np.mean(wanted**2)), rel=0.25)


def test_what_does_not_sample_is_refused():
    network = magnet(3)
    case = (network, network.initial, np.zeros((1, 0)), np.zeros((1, 0)))
    with pytest.raises(ValueError, match="`solver` must sample, but Enumeration computes"):
        advise(*case, loss=losses.output, solver=Enumeration(1.0))
    with pytest.raises(ValueError, match="`budget` must be at least 1"):
        advise(*case, loss=losses.output, solver=Gibbs(1.0), budget=0)


def test_the_command(tmp_path):
    path: Path = tmp_path / "ising.toml"
    path.write_text(
        """
schema = 1
loss = { use = "mean_squared_error" }
network = { use = "qeqprop.classical.ising:layered_ising", n_inputs = 2, hidden = [2] }
data = { use = "boolean:xor" }
solver = { use = "qeqprop.classical.chains:Gibbs", chains = 32, samples = 20, burn_in = 10 }
train = { steps = 1 }
"""
    )
    shown = CliRunner().invoke(app, ["advise", str(path), "--samples", "5000"])
    assert shown.exit_code == 0, shown.output
    assert "With 5000 samples a gradient take" in shown.output
    drawn = CliRunner().invoke(app, ["advise", str(path), "--picture", str(path.with_name("errors.png"))])
    assert drawn.exit_code == 0, drawn.output
    assert path.with_name("errors.png").read_bytes().startswith(b"\x89PNG")
    for nowhere in ("errors.toml", "absent/errors.png"):
        refused = CliRunner().invoke(app, ["advise", str(path), "--picture", str(path.parent / nowhere)])
        assert refused.exit_code == 2
        assert not (path.parent / nowhere).exists()
    wrong = CliRunner().invoke(app, ["advise", str(path), "--set", "solver.use=exact:Exact"])
    assert wrong.exit_code == 2


def test_the_picture_is_what_the_pilot_says():
    """At the budget the curves go through the errors that are printed; far above it they end at their biases."""
    advice = Advice(LinearResponse(), 100, 0.02, *np.array([[0.5, 2.0], [0.03, 0.01], [0.001, 0.05], [1, 3]]), 0.1, 900)
    lines = {line.get_label(): line for line in plots.advised_errors(advice).axes[0].get_lines()}
    for name, noise, bias in (("response, no nudge", 0.02, 0.0), ("nudge 0.5", 0.03, 0.001), ("nudge 2", 0.01, 0.05)):
        samples, errors = lines[name].get_data()
        np.testing.assert_allclose(errors, np.hypot(noise * np.sqrt(100 / samples), bias))
