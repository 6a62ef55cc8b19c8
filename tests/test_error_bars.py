"""Error bars of gradients: the spread over many repetitions is the one that is reported."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from oracles import dense_parts, perturbation_theory

import qeqprop
from qeqprop import losses
from qeqprop.devices.aer import Aer
from qeqprop.devices.statevector import Statevector
from qeqprop.interfaces import Loss, Want
from qeqprop.networks.transverse_ising import transverse_ising
from qeqprop.rules._signal_noise import signal_variance, spread_variance
from qeqprop.rules.nudging import OneSidedNudging, SymmetricNudging
from qeqprop.rules.richardson import Richardson
from qeqprop.settling import bind
from qeqprop.solvers.adiabatic import Adiabatic
from qeqprop.solvers.exact import Exact
from qeqprop.solvers.sampled import Sampled
from qeqprop.solvers.typical import Typical

REPETITIONS = 500


def ising(n_outputs, sites=2):
    network = transverse_ising(sites=sites, n_inputs=1, n_outputs=n_outputs)
    return replace(network, initial=network.initial + 0.7 * np.random.default_rng(1).normal(size=network.n_trainable))


def normalised_variance(network, x, y, loss, rule, shots):
    runs = [
        qeqprop.gradient(network, network.initial, x, y, loss=loss, rule=rule, solver=Sampled(shots=shots), seed=seed)
        for seed in range(REPETITIONS)
    ]
    values, errors = np.array([run.values for run in runs]), np.array([run.std_errors for run in runs])
    return np.var((values - values.mean(axis=0)) / errors, axis=0)


def responses(network, x):
    """``R_bj``, by perturbation theory on dense matrices, (batch, n_trainable)."""
    return np.array(
        [
            [perturbation_theory(h, outputs[0], slope, 0) for slope in slopes]
            for h, slopes, outputs in (dense_parts(network, network.initial, row) for row in x)
        ]
    )


@pytest.mark.parametrize("n_outputs", [1, 2])
@pytest.mark.parametrize("rule", [OneSidedNudging(0.2), SymmetricNudging(0.1), Richardson((0.1, 0.2))])
def test_error_bars_of_every_nudging_rule(rule, n_outputs):
    x, y = np.array([[0.3], [-0.8]]), np.array([[-1.0, 1.0], [1.0, 1.0]])[:, :n_outputs]
    found = normalised_variance(ising(n_outputs), x, y, losses.mean_squared_error(), rule, 200)
    assert np.all((found > 0.8) & (found < 1.25)), found


@pytest.mark.parametrize("loss", [losses.mean_squared_error(), losses.cross_entropy()])
def test_noise_that_comes_from_the_outputs_is_in_the_error_bars(loss):
    """Few output shots, many gradient shots: nearly all of the spread is that of the error signal."""
    network, x, y = ising(1), np.array([[0.3], [-0.8]]), np.array([[-1.0], [1.0]])
    rule = SymmetricNudging(0.1, precision=0.003, output_precision=0.15)
    found = normalised_variance(network, x, y, loss, rule, 2)
    assert np.all((found > 0.8) & (found < 1.25)), found
    certain = replace(rule, output_precision=0.003)
    noisy, sharp = (
        qeqprop.gradient(network, network.initial, x, y, loss=loss, rule=one, solver=Sampled(), seed=0).std_errors
        for one in (rule, certain)
    )
    assert np.all(noisy > 1.5 * sharp)
    assert np.max(noisy / sharp) > 5


def test_losses_that_join_samples_join_their_errors():
    """Two samples, ``L = (y_0 - y_1)^2 / 2``: the oracle is (R_0 - R_1)^2 Var(y_0 - y_1)."""
    joined = Loss(
        "joined",
        lambda y, t: float((y[0, 0] - y[1, 0]) ** 2 / 2),
        lambda y, t: 2 * (y[0, 0] - y[1, 0]) * np.array([[1.0], [-1.0]]),
        group=2,
    )
    network, x = ising(1), np.array([[0.3], [-2.5]])
    settle = bind(network, network.initial, x, Exact(), (0,))
    free = replace(settle(np.zeros((1, 2, 1)), want=Want.OUTPUTS), covariances=np.full((1, 2, 1, 1), 1e-4))
    error = joined.gradient(free.outputs.values[0], np.zeros((2, 0)))
    quotients = responses(network, x) * error
    found = signal_variance(free, np.zeros((2, 0)), joined, error, quotients, np.zeros_like(quotients))
    response = responses(network, x)
    np.testing.assert_allclose(found, 4 * (response[0] - response[1]) ** 2 * 2e-4, rtol=1e-3)


def test_the_noise_of_one_output_is_the_response_times_the_noise_of_the_signal():
    """The oracle is perturbation theory: Var = sum_b R_bj^2 Var(e_b)."""
    network = ising(1)
    x, y = np.array([[0.3], [-0.8], [1.5]]), np.array([[-1.0], [1.0], [-1.0]])
    loss, beta = losses.mean_squared_error(), 1e-3
    settle = bind(network, network.initial, x, Exact(), (0,))
    free = settle(np.zeros((1, 3, 1)), want=Want.OUTPUTS | Want.COVARIANCES)
    spread = np.array([0.01, 0.02, 0.03])
    free = replace(free, covariances=(spread**2).reshape(1, 3, 1, 1))
    error = loss.gradient(free.outputs.values[0], y)
    nudged = settle(np.array([beta, -beta])[:, None, None] * error, want=Want.ENERGY_GRADIENT).energy_gradient.values
    quotients = (nudged[0] - nudged[1]) / (2 * beta)
    found = signal_variance(free, y, loss, error, quotients, np.zeros_like(quotients))
    np.testing.assert_allclose(found, (2 * spread) ** 2 @ responses(network, x) ** 2, rtol=5e-3)


def test_covariances_of_outputs_come_from_the_same_shots():
    """Var(a + b) - Var(a) - Var(b) of the reported errors is the covariance of the repetitions."""
    network = ising(2)
    network = replace(network, initial=np.where(np.array(network.term_names) == "Z0 Z1", 1.0, 0.1))
    x = np.array([[0.3], [-0.8]])

    def free(seed):
        settle = bind(network, network.initial, x, Sampled(shots=50), (seed,))
        return settle(np.zeros((1, 2, 2)), want=Want.OUTPUTS | Want.COVARIANCES)

    answers = [free(seed) for seed in range(1000)]
    values = np.array([answer.outputs.values[0] for answer in answers])
    reported = np.mean([answer.covariances[0] for answer in answers], axis=0)
    for sample in range(2):
        seen = np.cov(values[:, sample].T)
        np.testing.assert_allclose(reported[sample], seen, atol=0.15 * np.max(seen))
    assert np.max(np.abs(reported[:, 0, 1]) / reported[:, 0, 0]).min() > 0.3  # else this says nothing


def test_exact_outputs_add_nothing():
    network = ising(2)
    found = qeqprop.gradient(
        network,
        network.initial,
        np.array([[0.3]]),
        np.array([[-1.0, 1.0]]),
        loss=losses.mean_squared_error,
        rule=SymmetricNudging(),
    )
    np.testing.assert_array_equal(found.std_errors, 0.0)


@pytest.mark.parametrize(
    ("rule", "states"), [(SymmetricNudging(0.2), 2), (OneSidedNudging(0.2), 2), (Richardson((0.2, 0.3)), 4)]
)
@pytest.mark.parametrize("device", [Statevector(shots=200), Aer(shots=200)])
def test_shots_are_states_times_bases(device, rule, states):
    """Two bases (XX and ZZ couplings) for nudged states, one for the outputs."""
    network = transverse_ising(sites=2, n_outputs=2, couplings_xx=True)
    case = (network, network.initial, np.zeros((1, 0)), np.array([[0.8, -0.6]]))
    solver = Adiabatic(total_time=2.0, steps=4, tolerance=10.0)
    found = qeqprop.gradient(*case, loss=losses.mean_squared_error, rule=rule, solver=solver, device=device)
    assert found.shots == 200 * (1 + 2 * states)


def test_repeats_measure_what_the_formula_assumes():
    """Three outputs, a thousand times fewer shots for them: inferred error bars are far off, and say so."""
    network, random = transverse_ising(sites=4, edges="chain", n_inputs=1, n_outputs=3), np.random.default_rng(1)
    theta = network.initial + random.normal(size=network.n_trainable)
    case = (network, theta, random.normal(size=(2, 1)), np.array([[-1.0, -1.0, 1.0], [1.0, -1.0, 1.0]]))
    rule = SymmetricNudging(0.2, precision=0.003, output_precision=0.1)

    def spread(rule):
        runs = [
            qeqprop.gradient(*case, loss=losses.mean_squared_error(), rule=rule, solver=Sampled(), seed=seed)
            for seed in range(300)
        ]
        values, errors = np.array([run.values for run in runs]), np.array([run.std_errors for run in runs])
        return np.var((values - values.mean(axis=0)) / errors, axis=0), runs[0].shots

    with pytest.warns(qeqprop.PhysicsWarning, match="More than half of the noise of this gradient"):
        inferred, once = spread(rule)
    measured, often = spread(replace(rule, repeats=20))
    assert often == 20 * once
    assert np.max(inferred) > 2
    assert np.all((measured > 0.8) & (measured < 1.25)), measured


def test_repeats_join_what_the_loss_joins():
    """Errors that are opposite in two joined samples cancel in the gradient, and in its error bar."""
    quotients = np.random.default_rng(0).normal(size=(5, 4, 3))
    quotients[:, 1::2] = 1.0 - quotients[:, ::2]
    joined = Loss("joined", lambda y, t: 0.0, lambda y, t: y, group=2)
    np.testing.assert_allclose(spread_variance(quotients, joined), 0.0, atol=1e-28)
    alone = spread_variance(quotients, joined._replace(group=1))
    np.testing.assert_allclose(alone, np.sum(np.var(quotients, axis=0, ddof=1), axis=0) / 5)


def test_repeats_of_exact_states_are_the_states_themselves():
    network, x, y = ising(2), np.array([[0.3], [-0.8]]), np.array([[-1.0, 1.0], [1.0, 1.0]])
    loss = losses.mean_squared_error()
    for rule in (SymmetricNudging(), OneSidedNudging(), Richardson()):
        once, often = (
            qeqprop.gradient(network, network.initial, x, y, loss=loss, rule=replace(rule, repeats=n)) for n in (1, 3)
        )
        np.testing.assert_allclose(often.values, once.values, atol=1e-9)
        np.testing.assert_allclose(often.std_errors, 0.0, atol=1e-9)
        assert often.predictions.shape == once.predictions.shape


def test_responses_with_errors_hold_those_of_the_signal():
    """Thermal vectors: the response along the signal and the signal itself are both noisy."""
    network = transverse_ising(sites=6, edges="ring", n_inputs=1, n_outputs=1)
    theta = network.initial + 0.5 * np.random.default_rng(3).normal(size=network.n_trainable)
    runs = [
        qeqprop.gradient(
            network,
            theta,
            np.array([[0.3]]),
            np.array([[-1.0]]),
            loss=losses.mean_squared_error,
            solver=Typical(temperature=1.5, levels=0),
            seed=seed,
        )
        for seed in range(REPETITIONS)
    ]
    values, errors = np.array([run.values for run in runs]), np.array([run.std_errors for run in runs])
    found = np.var((values - values.mean(axis=0)) / errors, axis=0)
    assert np.all((found > 0.8) & (found < 1.25)), found
