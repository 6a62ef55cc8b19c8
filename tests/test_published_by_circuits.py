"""Published shot noise, through circuits: states found by VQE, bitstrings drawn on Aer, gradients with error bars."""

import numpy as np
import pytest

import qeqprop
from qeqprop import losses
from qeqprop.devices.aer import Aer
from qeqprop.networks.rydberg_chain import rydberg_chain
from qeqprop.rules.nudging import OneSidedNudging, SymmetricNudging
from qeqprop.solvers.variational import Variational

RYDBERG = [0.5, 1.5]
DEVIATIONS = [(OneSidedNudging(0.1), (0.4458, 0.2760)), (SymmetricNudging(0.1), (0.2203, 0.1406))]
EXACT = [(OneSidedNudging(0.1), (0.679024, 0.323368)), (SymmetricNudging(0.1), (0.690894, 0.341087))]


def rydberg_gradient(rule, device=None, seed=0):
    """The gradient of ``(<AM^2> - 1)^2`` in Rabi frequency and detuning."""
    return qeqprop.gradient(
        rydberg_chain(),
        RYDBERG,
        np.zeros((1, 0)),
        np.ones((1, 1)),
        loss=losses.mean_squared_error,
        rule=rule,
        solver=Variational(tolerance=1e-6),
        device=device,
        seed=seed,
    )


@pytest.mark.parametrize(("rule", "wanted"), EXACT)
def test_gradients_of_circuits_are_the_published_quotients(rule, wanted):
    np.testing.assert_allclose(rydberg_gradient(rule).values, wanted, atol=3e-5)


@pytest.mark.parametrize(
    ("repetitions", "slack"), [(16, 0.45), pytest.param(800, 0.1, marks=pytest.mark.slow)], ids=["few", "many"]
)
@pytest.mark.parametrize("case", [0, 1], ids=["one-sided", "symmetric"])
def test_bitstrings_on_aer_have_the_published_shot_noise(case, repetitions, slack):
    """Spread of repetitions, and the standard error that each of them reports of itself; 800 of them tell 10 %."""
    (rule, deviation), wanted = DEVIATIONS[case], np.array(EXACT[case][1])
    runs = [rydberg_gradient(rule, Aer(shots=1000), seed) for seed in range(repetitions)]
    values = np.array([one.values for one in runs])
    np.testing.assert_allclose(np.mean([one.std_errors for one in runs], axis=0), deviation, rtol=0.05)
    np.testing.assert_allclose(np.std(values, axis=0, ddof=1), deviation, rtol=slack)
    assert np.all(np.abs(np.mean(values, axis=0) - wanted) < 4 * np.array(deviation) / np.sqrt(repetitions))
    assert runs[0].shots == 5 * 1000  # two states in two bases, and the output: 4 N_g + N_y


def test_shot_noise_on_aer_falls_as_the_root_of_the_shots():
    shots = np.array([250, 2000, 16000])
    reported = [
        np.mean(
            [rydberg_gradient(SymmetricNudging(0.1), Aer(shots=int(m)), seed).std_errors for seed in range(4)], axis=0
        )
        for m in shots
    ]
    np.testing.assert_allclose(np.polyfit(np.log(shots), np.log(reported), 1)[0], -0.5, atol=0.03)


def test_output_shots_and_gradient_shots_are_separate_knobs():
    rule = SymmetricNudging(0.1, precision=0.05, output_precision=0.02)
    found = rydberg_gradient(rule, Aer(shots=1000))
    assert found.shots == 4 * 400 + 2500
