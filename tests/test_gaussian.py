"""Oscillators in closed form: published numbers, a truncated Hilbert space, quadrature, finite differences."""

from functools import reduce

import numpy as np
import pytest
from scipy.linalg import expm

import qeqprop
from qeqprop import losses
from qeqprop.checking import check_gradient
from qeqprop.classical.double_wells import double_wells
from qeqprop.classical.gaussian import Gaussian
from qeqprop.classical.harmonic import harmonic
from qeqprop.classical.quadrature import Quadrature
from qeqprop.propagation import measure_outputs
from qeqprop.rules.nudging import OneSidedNudging, SymmetricNudging

PAIR = harmonic(sites=2, outputs=(1,))
CASE = (PAIR, np.array([1.0, 1.0, 0.5]), np.array([[1.0]]))  # k1, k2, k12; the force on x1


def test_two_oscillators():
    """``H = p^2/2 + (x1^2 + x2^2)/2 + (x1 - x2)^2/4 - x1`` with ``L = (<x2> - 1)^2 / 2`` and ``C = (x2 - 1)^2 / 2``."""
    both = harmonic(sites=2, outputs=(0, 1))
    np.testing.assert_allclose(qeqprop.predict(both, *CASE[1:], solver=Gaussian()), [[0.75, 0.25]], atol=1e-12)
    signal = qeqprop.gradient(*CASE, [[1.0]], loss=losses.mean_squared_error, solver=Gaussian())
    np.testing.assert_allclose(signal.values / 2, [0.140625, 0.140625, -0.1875], atol=1e-12)
    cost = qeqprop.gradient(*CASE, [[1.0]], loss=losses.cost_observable, solver=Gaussian())
    assert cost.loss == pytest.approx(0.494638, abs=1e-6)
    np.testing.assert_allclose(cost.values, [0.134938, 0.061715, -0.231694], atol=1e-6)


@pytest.mark.parametrize("quantum", [True, False])
@pytest.mark.parametrize("temperature", [0.0, 0.05, 1.0])
@pytest.mark.parametrize("loss", [losses.mean_squared_error, losses.cost_observable])
def test_gradients_are_those_of_the_loss(quantum, temperature, loss):
    network = harmonic(sites=4, edges="complete", inputs=(0, 1), outputs=(2, 3))
    random = np.random.default_rng(0)
    theta = random.uniform(0.5, 1.5, size=network.n_trainable)
    x, y = random.normal(size=(2, 3, 2))
    found = check_gradient(network, theta, x, y, loss=loss, solver=Gaussian(temperature, quantum=quantum))
    assert found.largest_error < 1e-9
    assert np.all(found.gradient.certificate.residual < 1e-12)


def test_equal_springs_do_not_divide_by_zero():
    network = harmonic(sites=3, edges=[], outputs=(0, 1, 2))
    found = check_gradient(
        network, np.ones(3), [[0.4]], [[1.0, 0, 0]], loss=losses.cost_observable, solver=Gaussian(temperature=0.3)
    )
    assert found.largest_error < 1e-9


def test_an_error_signal_does_not_see_quantum_mechanics():
    gradients = [
        qeqprop.gradient(*CASE, [[1.0]], loss=losses.mean_squared_error, solver=solver).values
        for solver in (Gaussian(), Gaussian(2.0), Gaussian(0.5, quantum=False))
    ]
    np.testing.assert_allclose(gradients[1:], [gradients[0]] * 2, atol=1e-12)


def test_warm_oscillators_are_classical():
    """The quantum variance exceeds the classical one by ``1/12T`` at high temperature."""
    squares = [
        qeqprop.predict(PAIR.with_squares(), *CASE[1:], solver=Gaussian(T, quantum=quantum))[0, 1]
        for T in (4.0, 8.0)
        for quantum in (True, False)
    ]
    assert squares[0] - squares[1] == pytest.approx(1 / 48, rel=1e-2)
    assert squares[2] - squares[3] == pytest.approx(1 / 96, rel=1e-2)


def test_classical_ones_beside_quadrature():
    found = [
        qeqprop.gradient(*CASE, [[1.0]], loss=losses.cost_observable, solver=solver)
        for solver in (Gaussian(0.4, quantum=False), Quadrature(0.4))
    ]
    np.testing.assert_allclose(found[0].values, found[1].values, atol=1e-9)
    assert found[0].loss == pytest.approx(found[1].loss, abs=1e-9)


def test_quantum_ones_beside_a_truncated_hilbert_space():
    """Thirty levels of each mass on a spring of its own, coupled, as a dense Gibbs state."""
    n, T = 30, 0.6
    lower = np.diag(np.sqrt(np.arange(1.0, n)), 1)
    place, momentum = (lower + lower.T) / np.sqrt(2), (lower - lower.T) / np.sqrt(2)
    one = np.eye(n)
    x1, x2 = reduce(np.kron, (place, one)), reduce(np.kron, (one, place))
    kinetic = -(np.kron(momentum @ momentum, one) + np.kron(one, momentum @ momentum)) / 2
    gap = x1 - x2
    H = kinetic + (x1 @ x1 + x2 @ x2) / 2 + 0.25 * gap @ gap - x1
    rho = expm(-H / T)
    rho /= np.trace(rho)
    wanted = [np.trace(rho @ x2), np.trace(rho @ x2 @ x2)]
    found = qeqprop.predict(PAIR.with_squares(), *CASE[1:], solver=Gaussian(T))
    np.testing.assert_allclose(found[0], wanted, atol=1e-6)


def test_nudging_meets_it_at_its_order():
    """A nudge along a place moves means in proportion: only the terms quadratic in it are seen at second order."""
    exact = qeqprop.gradient(*CASE, [[1.0]], loss=losses.cost_observable, solver=Gaussian(0.3)).values
    for rule, order in ((OneSidedNudging, 1), (SymmetricNudging, 2)):
        errors = [
            np.linalg.norm(
                qeqprop.gradient(
                    *CASE, [[1.0]], loss=losses.cost_observable, solver=Gaussian(0.3), rule=rule(beta)
                ).values
                - exact
            )
            for beta in (0.04, 0.02)
        ]
        assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.05)


def test_refusals():
    with pytest.raises(ValueError, match="more than quadratic"):
        qeqprop.predict(double_wells(), np.zeros(10), np.zeros((1, 2)), solver=Gaussian())
    with pytest.raises(qeqprop.NotConverged, match="do not hold"):
        qeqprop.predict(PAIR, [-1.0, 1.0, 0.5], [[1.0]], solver=Gaussian())
    states = measure_outputs(PAIR, *CASE[1:], solver=Gaussian())
    assert states[1].gap[0] == pytest.approx(1.0)  # the lowest frequency
