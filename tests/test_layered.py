"""A layered network that relaxes learns handwritten digits."""

from pathlib import Path

import numpy as np
import pytest

from qeqprop import losses, predict, train
from qeqprop.classical.layered import layered
from qeqprop.classical.relaxation import Relaxation
from qeqprop.datasets.tables import digits
from qeqprop.experiment import Experiment
from qeqprop.optimizers import adam
from qeqprop.rules.linear_response import LinearResponse
from qeqprop.rules.nudging import SymmetricNudging

EXPERIMENT = Path(__file__).parents[1] / "experiments" / "digits_continuous.toml"


@pytest.mark.parametrize("rule", [LinearResponse(), SymmetricNudging(beta=0.1)])
def test_four_digits_in_forty_steps(rule):
    data = digits(classes=(0, 1, 2, 3), features=8)
    states = train(
        layered(layers=(8, 8, 4)),
        data.train,
        loss=losses.cross_entropy,
        steps=40,
        rule=rule,
        solver=Relaxation(tolerance=1e-6),
        optimizer=adam(0.05),
        batch=30,
        initial_scale=0.0,
        validation=data.test,
        validate_every=40,
        classification=True,
    )
    assert list(states)[-1].metrics["validation_accuracy"] > 0.95


def test_a_neuron_at_rest_is_a_soft_cube_root():
    network = layered(layers=(1, 1), quartic=2.0)
    field = np.array([[-1.5], [0.0], [3.0]])
    s = predict(network, [0.0, 1.0], field, solver=Relaxation(tolerance=1e-12))
    np.testing.assert_allclose(s + 2 * s**3, field, atol=1e-11)


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["nudging:SymmetricNudging", "linear_response:LinearResponse"])
def test_ten_digits_from_the_run_file(tmp_path, rule):
    text = EXPERIMENT.read_text().replace("nudging:SymmetricNudging", rule)
    if "linear" in rule:
        text = text.replace("beta = 0.1\n", "")
    (tmp_path / "run.toml").write_text(text)
    states = []
    Experiment.load(tmp_path / "run.toml").run(tmp_path / "runs", states.append)
    assert states[-1].metrics["validation_accuracy"] > 0.95
