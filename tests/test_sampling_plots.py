"""Pictures of samples: what is drawn is what was computed."""

import warnings

import numpy as np
import pytest

import qeqprop
from qeqprop import losses, plots
from qeqprop.classical.chain_statistics import autocorrelation, autocorrelation_time
from qeqprop.classical.chains import Gibbs, Metropolis
from qeqprop.classical.enumeration import Enumeration
from qeqprop.classical.ising import layered_ising, square_lattice
from qeqprop.classical.langevin import Langevin
from qeqprop.classical.xy_phases import xy_phases
from qeqprop.experiment import Experiment
from qeqprop.propagation import measure_outputs
from qeqprop.report import pictures
from qeqprop.rules.linear_response import LinearResponse
from qeqprop.rules.nudging import SymmetricNudging

MSE = losses.mean_squared_error
SPINS = layered_ising(n_inputs=1, hidden=(3,), n_outputs=1)
CASE = (SPINS, np.linspace(-0.8, 0.9, SPINS.n_trainable), [[0.5], [-0.7]], [[1.0], [-1.0]])


def gibbs(samples):
    return Gibbs(chains=16, samples=samples, burn_in=20, r_hat=9.0)


METHODS = {
    "response": lambda samples: (LinearResponse(), gibbs(samples)),
    "nudge": lambda samples: (SymmetricNudging(2.0), gibbs(samples)),
}


def lines_of(figure):
    return {line.get_label(): line for line in figure.axes[0].get_lines()}


def test_errors_fall_as_the_root_of_the_samples_and_end_at_the_bias():
    counts, repeats = [10, 40, 160], 40
    figure = plots.error_against_samples(
        *CASE, loss=MSE, samples=counts, methods=METHODS, reference=Enumeration(1.0), repeats=repeats, seed=3
    )
    response, nudge = figure.axes[0].containers
    exact = qeqprop.gradient(*CASE, loss=MSE, solver=Enumeration(1.0)).values
    found = [qeqprop.gradient(*CASE, loss=MSE, solver=gibbs(40), seed=3 + r) for r in range(repeats)]
    across, errors = response.lines[0].get_data()
    assert across[1] == found[0].shots
    assert errors[1] == pytest.approx(np.sqrt(np.mean([(one.values - exact) ** 2 for one in found])))
    claimed = lines_of(figure)["_response claims"].get_ydata()
    assert claimed[1] == pytest.approx(np.sqrt(np.mean([one.std_errors**2 for one in found])))
    np.testing.assert_allclose(claimed, errors, rtol=0.3)
    exponents = [float(box.get_label().split("{")[1].split(r"\pm")[0]) for box in (response, nudge)]
    assert exponents[0] == pytest.approx(-0.5, abs=0.1)
    assert exponents[1] > -0.1
    biased = qeqprop.gradient(*CASE, loss=MSE, rule=SymmetricNudging(2.0), solver=Enumeration(1.0)).values
    bias = np.sqrt(np.mean((biased - exact) ** 2))
    assert nudge.lines[0].get_ydata()[-1] == pytest.approx(bias, rel=0.1)
    assert lines_of(figure)["_nudge claims"].get_ydata()[-1] < bias / 2


def test_warned_points_are_hollow():
    figure = plots.error_against_samples(
        *CASE,
        loss=MSE,
        samples=[4, 1000],
        methods={"short": lambda samples: (LinearResponse(), Gibbs(chains=16, samples=samples, r_hat=1.02))},
        reference=Enumeration(1.0),
        repeats=3,
    )
    hollow = [line for line in figure.axes[0].get_lines() if line.get_markerfacecolor() == "white"]
    assert len(hollow[0].get_xdata()) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"samples": [0, 3]}, "`samples`"),
        ({"samples": []}, "`samples`"),
        ({"repeats": 2}, "`repeats`"),
        ({"methods": {"sum": lambda samples: (LinearResponse(), Enumeration(1.0))}}, "that of 'sum' computes"),
    ],
)
def test_errors_that_make_no_sense_are_refused(change, words):
    asked = {"samples": [8], "methods": METHODS, "reference": Enumeration(1.0), "repeats": 3}
    with pytest.raises(ValueError, match=words):
        plots.error_against_samples(*CASE, loss=MSE, **asked | change)


def test_the_memory_of_chains_is_that_of_the_certificate():
    """Near the critical temperature a magnetisation is remembered longer than an energy, and by single chains alike."""
    lattice, theta, x = square_lattice(length=4), [1.0], np.zeros((1, 0))
    solvers = {"blocks": Gibbs(3.0, samples=400), "sites": Metropolis(3.0, samples=400)}
    figure = plots.autocorrelation(lattice, theta, x, solvers=solvers, seed=7)
    shown = lines_of(figure)
    for name, solver in solvers.items():
        quality = measure_outputs(lattice, theta, x, solver=solver, seed=7)[1]
        label = next(label for label in shown if label.startswith(name))
        tau, spread = (float(part.split("=")[1]) for part in label.split(": ")[1].split(", "))
        certified = measure_outputs(lattice, theta, x, solver=solver, seed=8)[1]  # chains of their own
        assert tau == pytest.approx(quality.autocorrelation[0], rel=0.4)
        assert tau == pytest.approx(certified.autocorrelation[0], rel=0.4)
        assert 1.0 <= spread < 1.1
        energy, output = shown[label].get_ydata(), shown[f"_{name} output"].get_ydata()
        assert energy[0] == output[0] == 1.0
        assert output[3] > energy[3] > 0


def test_the_autocorrelation_of_a_known_process():
    """``a' = r a + noise`` forgets as ``r^t``, with the integrated time ``(1 + r) / (1 - r) / 2``."""
    r, random = 0.7, np.random.default_rng(1)
    series = np.zeros((1, 2000, 200))
    series[0, 0] = random.normal(size=200)
    for t in range(1, 2000):
        series[0, t] = r * series[0, t - 1] + np.sqrt(1 - r**2) * random.normal(size=200)
    np.testing.assert_allclose(autocorrelation(series)[0, :8], r ** np.arange(8), atol=0.015)
    assert autocorrelation_time(series)[0] == pytest.approx((1 + r) / (1 - r) / 2, rel=0.03)
    np.testing.assert_array_equal(autocorrelation(np.ones((1, 5, 2))), np.zeros((1, 5)))


def test_chains_of_continuous_networks_have_a_memory_and_other_solvers_none():
    phases = xy_phases(sites=2, inputs=(0,), outputs=(1,))
    figure = plots.autocorrelation(phases, phases.initial, [[0.4]], solvers=Langevin(0.5))
    assert any(label.startswith("Langevin: tau") for label in lines_of(figure))
    with pytest.raises(ValueError, match="that of 'Enumeration' is Enumeration"):
        plots.autocorrelation(*CASE[:3], solvers=Enumeration(1.0))
    with pytest.raises(ValueError, match="must settle the ContinuousEquilibria"):
        plots.autocorrelation(phases, phases.initial, [[0.4]], solvers=Gibbs())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", qeqprop.PhysicsWarning)
        short = plots.autocorrelation(*CASE[:3], solvers=Gibbs(samples=4))
    assert short.axes[0].get_xlim()[1] < 8


def test_a_run_that_samples_shows_its_chains(tmp_path):
    (tmp_path / "run.toml").write_text(
        """
        schema = 1
        loss = { use = "mean_squared_error" }
        network = { use = "qeqprop.classical.ising:layered_ising", n_inputs = 2, hidden = [2] }
        data = { use = "boolean:xor" }
        solver = { use = "qeqprop.classical.chains:Gibbs", samples = 40, r_hat = 9.0 }
        rule = { use = "linear_response:LinearResponse" }
        optimizer = { use = "adam" }
        train = { steps = 2 }
        """
    )
    folder = Experiment.load(tmp_path / "run.toml").run(tmp_path).folder
    assert [path.name for path in pictures(folder)] == ["loss.png", "network.png", "chains.png"]
    assert (folder / "chains.png").read_bytes().startswith(b"\x89PNG")
