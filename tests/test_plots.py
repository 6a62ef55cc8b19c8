"""What the pictures show is what the numbers are."""

import subprocess
import sys

import numpy as np
import pytest
from matplotlib.figure import Figure
from systems import one_qubit, random_network

import qeqprop
from qeqprop import losses, plots
from qeqprop.networks.cluster_ising import cluster_sensor
from qeqprop.networks.kitaev_honeycomb import kitaev_honeycomb
from qeqprop.networks.transverse_ising import transverse_ising
from qeqprop.rules.nudging import SymmetricNudging

ONE_QUBIT = (one_qubit(), [0.8, 1.5], np.zeros((1, 0)), [[1.0]])


def drawn(figure, tmp_path):
    """Saving works, and makes a picture that is not empty."""
    assert isinstance(figure, Figure)
    figure.savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 4000
    return figure


def lines_of(figure):
    return [np.asarray(line.get_ydata(), dtype=float) for axes in figure.axes for line in axes.lines]


def holds(figure, wanted):
    wanted = np.asarray(wanted, dtype=float)
    return any(len(line) == len(wanted) and np.allclose(line, wanted, equal_nan=True) for line in lines_of(figure))


def test_learning_curves_show_the_history_and_skip_what_is_missing(tmp_path):
    nan = float("nan")
    history = {
        "step": [1, 2, 3],
        "loss": [3.0, 2.0, 1.0],
        "validation_loss": [nan, 2.5, nan],
        "accuracy": [0.1, 0.2, 0.9],
    }
    figure = drawn(plots.learning_curves(history), tmp_path)
    assert holds(figure, history["loss"])
    assert holds(figure, history["accuracy"])
    assert any(2.5 in line for line in lines_of(figure))
    assert len(drawn(plots.learning_curves({"step": [1], "loss": [1.0]}), tmp_path).axes) == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda: transverse_ising(sites=16, n_inputs=2),
        cluster_sensor,
        kitaev_honeycomb,
        one_qubit,
        lambda: random_network(1),
    ],
)
def test_networks_of_all_kinds_are_drawn(make, tmp_path):
    network = make()
    theta = network.initial + np.linspace(-1, 1, network.n_trainable)
    figure = drawn(plots.network(network, theta), tmp_path)
    texts = {text.get_text() for axes in figure.axes for text in axes.texts}
    assert {str(site) for site in range(network.num_sites)} <= texts
    drawn(plots.network(network), tmp_path)


def test_free_and_nudged_expectations_are_those_of_the_states(tmp_path):
    figure = drawn(plots.nudged_expectations(*ONE_QUBIT, loss=losses.mean_squared_error, beta=0.1), tmp_path)
    values = [np.asarray(line.get_xydata(), dtype=float) for axes in figure.axes for line in axes.lines]
    values += [np.asarray(item.get_offsets(), dtype=float) for axes in figure.axes for item in axes.collections]
    values += [
        np.array([[bar.get_x(), bar.get_height()], [bar.get_width(), 0.0]])
        for axes in figure.axes
        for bar in axes.patches
    ]
    everything = np.concatenate([np.ravel(value) for value in values])
    for wanted in (-0.8 / 1.7, -1.5 / 1.7):  # <dH/dA> = -<Z>, <dH/dB> = -<X>
        assert np.min(np.abs(everything - wanted)) < 1e-9


def test_a_rule_beside_the_exact_gradient(tmp_path):
    check = qeqprop.check_gradient(*ONE_QUBIT, loss=losses.mean_squared_error, rule=SymmetricNudging(0.3))
    figure = drawn(plots.rule_against_exact(check), tmp_path)
    text = " ".join(text.get_text() for axes in figure.axes for text in [*axes.texts, axes.title])
    assert "cosine" in text
    assert f"{check.slope:.2f}"[:4] in text


def test_errors_fall_with_the_order_of_the_rule(tmp_path):
    betas = [0.02, 0.04, 0.08]
    figure = drawn(plots.error_against_beta(*ONE_QUBIT, loss=losses.mean_squared_error, betas=betas), tmp_path)
    slopes = [
        np.polyfit(np.log(betas), np.log(line), 1)[0]
        for line in lines_of(figure)
        if len(line) == 3 and np.all(line > 0)
    ]
    for order in (1, 2, 4):
        assert np.min(np.abs(np.array(slopes) - order)) < 0.2


def test_the_spectrum_along_a_path(tmp_path):
    path = np.stack([np.full(5, 0.8), np.linspace(0.1, 2.0, 5)], axis=1)
    figure = drawn(plots.spectrum(one_qubit(), path, [], n_levels=2), tmp_path)
    assert holds(figure, 2 * np.hypot(path[:, 0], path[:, 1]))


def test_no_window_and_no_global_figure_is_made():
    code = (
        "import sys, qeqprop; from qeqprop import plots; plots.learning_curves({'step': [1], 'loss': [1.0]});"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
