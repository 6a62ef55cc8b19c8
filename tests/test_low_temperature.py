"""Continuous networks that relax, and the expansion in the temperature, beside quadrature."""

import warnings
from dataclasses import dataclass

import numpy as np
import pytest

import qeqprop
from qeqprop import losses
from qeqprop.checking import check_gradient
from qeqprop.classical import quadrature
from qeqprop.classical.continuous import ContinuousNetwork
from qeqprop.classical.double_wells import double_wells
from qeqprop.classical.harmonic import harmonic
from qeqprop.classical.landscape import ContinuousEquilibria
from qeqprop.classical.layered import layered
from qeqprop.classical.low_temperature import LowTemperature, free_energy
from qeqprop.classical.quadrature import Quadrature
from qeqprop.classical.relaxation import Relaxation, minimise
from qeqprop.classical.xy_phases import xy_phases
from qeqprop.interfaces import Want
from qeqprop.rules.nudging import OneSidedNudging, SymmetricNudging

LOSS = losses.mean_squared_error


def case(network, *, rows=2, scale=0.2, seed=1):
    random = np.random.default_rng(seed)
    theta = network.initial + scale * random.normal(size=network.n_trainable)
    return theta, random.normal(size=(rows, network.n_inputs)), random.normal(size=(rows, network.n_outputs))


def quartic():
    """Two coupled quartic variables with one basin, and its tilted state: all terms of the expansion are at work."""
    network = double_wells(sites=2, inputs=(0,), outputs=(0, 1), barrier=0.25, curvature=2.0)
    return network, np.array([0.7, -0.4, 0.5]), np.array([[0.6], [-0.3]]), np.array([[1.0, -0.5], [0.2, 0.4]])


def responses(network, theta, x, directions, solver):
    problem = network.pose(theta, x).equilibria(directions, Want.RESPONSE, None, (0,))
    return solver.solve(problem).response.values


@pytest.mark.parametrize("made", [lambda: double_wells(curvature=0.5), xy_phases, layered, lambda: harmonic(sites=3)])
def test_the_deterministic_rule_is_the_gradient_of_the_relaxed_loss(made):
    network = made()
    theta, x, y = case(network)
    found = check_gradient(network, theta, x, y, loss=LOSS, solver=Relaxation(tolerance=1e-11))
    assert found.largest_error < 1e-7
    assert np.all(found.gradient.certificate.residual < 1e-11)
    s = minimise(network.landscape(theta, x), np.zeros((2, network.n_variables)), 1e-11, 200).s
    hessian = network.hessian(theta, x, s)
    np.testing.assert_allclose(found.gradient.certificate.gap[0], np.linalg.eigvalsh(hessian)[:, 0], rtol=1e-6)


def test_nudging_has_its_orders():
    network = double_wells(curvature=0.5)
    theta, x, y = case(network)
    solver = Relaxation(tolerance=1e-12)
    exact = qeqprop.gradient(network, theta, x, y, loss=LOSS, solver=solver).values
    for rule, order in ((OneSidedNudging, 1), (SymmetricNudging, 2)):
        errors = [
            np.linalg.norm(
                qeqprop.gradient(network, theta, x, y, loss=LOSS, solver=solver, rule=rule(beta)).values - exact
            )
            for beta in (0.02, 0.01)
        ]
        assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.05)


def test_the_expansion_has_its_orders():
    """After g_0 the residual of a response falls as T, after g_1 as T^2; the means likewise, and F as T^3."""
    network, theta, x, directions = quartic()
    temperatures = np.array([0.04, 0.02, 0.01])
    cold = Relaxation(tolerance=1e-12)
    zeroth, first, means = [], [], []
    for T in temperatures:
        exact = Quadrature(temperature=T, tolerance=1e-11)
        wanted = responses(network, theta, x, directions, exact)
        zeroth.append(np.linalg.norm(responses(network, theta, x, directions, cold) - wanted))
        first.append(np.linalg.norm(responses(network, theta, x, directions, LowTemperature(T, starts=0)) - wanted))
        solved = [qeqprop.predict(network, theta, x, solver=one) for one in (LowTemperature(T, starts=0), exact)]
        means.append(np.linalg.norm(solved[0] - solved[1]))
    landscape = network.landscape(theta, x)
    s = minimise(landscape, np.zeros((2, 2)), 1e-12, 100).s
    energies = [
        np.linalg.norm(free_energy(landscape, s, T) - quadrature.free_energy(landscape, T)) for T in temperatures
    ]
    for errors, order in ((zeroth, 1), (first, 2), (means, 2), (energies, 3)):
        slopes = np.log2(np.array(errors[:-1]) / errors[1:])
        assert slopes[-1] == pytest.approx(order, abs=0.15), (errors, slopes)
        assert abs(slopes[-1] - order) < abs(slopes[0] - order)


def test_the_first_order_is_a_gradient():
    """g_0 + T g_1 is the derivative of the expanded outputs themselves."""
    network = double_wells(sites=3, barrier=0.3, curvature=1.0)
    theta, x, y = case(network)
    found = check_gradient(network, theta, x, y, loss=LOSS, solver=LowTemperature(0.05, starts=0, tolerance=1e-12))
    assert found.largest_error < 1e-8


def test_random_probes_have_honest_errors():
    network, theta, x, directions = quartic()
    exact = responses(network, theta, x, directions, LowTemperature(0.05, starts=0))
    problem = network.pose(theta, x).equilibria(directions, Want.RESPONSE, None, (0,))
    z = []
    for seed in range(30):
        keyed = ContinuousEquilibria(problem.landscape, problem.want, problem.direction, None, (seed,))
        answer = LowTemperature(0.05, starts=0, probes=40).solve(keyed).response
        z.append((answer.values - exact) / answer.std_errors)
    z = np.array(z)
    assert np.all(np.abs(z.mean(axis=0)) < 4 / np.sqrt(30))
    assert 0.75 < np.sqrt(np.mean(z**2)) < 1.25


def test_conjugate_gradients_and_the_stored_inverse_agree(monkeypatch):
    network, theta, x, directions = quartic()
    solver = LowTemperature(0.05, starts=0, tolerance=1e-12)
    stored = responses(network, theta, x, directions, solver)
    monkeypatch.setattr("qeqprop.classical._stiffness._DENSE", 0)
    np.testing.assert_allclose(responses(network, theta, x, directions, solver), stored, atol=1e-11)


def test_soft_modes_and_several_basins_are_told():
    flat = double_wells(sites=2, edges=[], inputs=(), outputs=(0,), barrier=0.25, curvature=1e-3)
    with pytest.warns(qeqprop.PhysicsWarning, match="the expansion is doubtful"):
        qeqprop.predict(flat, np.zeros(2), np.zeros((1, 0)), solver=LowTemperature(0.1, starts=0))
    wells = double_wells(sites=1, edges=[], inputs=(), outputs=(0,))
    with pytest.warns(qeqprop.PhysicsWarning, match="several basins"):
        found = qeqprop.predict(wells, np.array([-0.01]), np.zeros((1, 0)), solver=Relaxation(starts=6), seed=1)
    assert found[0, 0] < -0.9  # the lower one
    turning = xy_phases(sites=2, inputs=(), outputs=(0,))
    with pytest.warns(qeqprop.PhysicsWarning, match="softest mode"):
        qeqprop.predict(turning, np.array([0.0, 0, 0, 0, 1.0]), np.zeros((1, 0)), solver=Relaxation())


def test_a_saddle_is_left():
    wells = double_wells(sites=2, edges=[], inputs=(), outputs=(0, 1))
    found = qeqprop.predict(wells, np.zeros(2), np.zeros((3, 0)), solver=Relaxation())
    np.testing.assert_allclose(np.abs(found), 1.0, atol=1e-9)


def test_an_energy_without_a_minimum_is_refused():
    with pytest.raises(qeqprop.NotConverged, match="minimum"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        qeqprop.predict(harmonic(), np.array([-1.0, -1.0, 0.1]), np.ones((1, 1)), solver=Relaxation())


def test_quadrature_knows_the_gaussian():
    network = harmonic(sites=2, inputs=(0,), outputs=(0, 1))
    theta, x = np.array([1.0, 1.5, 0.5]), np.array([[1.0], [-0.4]])
    K = network.model.stiffness(theta)
    forces = np.array([[1.0, 0.0], [-0.4, 0.0]])
    found = qeqprop.predict(network.with_squares(), theta, x, solver=Quadrature(temperature=0.3))
    means = forces @ np.linalg.inv(K)
    np.testing.assert_allclose(found[:, :2], means, atol=1e-9)
    np.testing.assert_allclose(found[:, 2:], means**2 + 0.3 * np.diag(np.linalg.inv(K)), atol=1e-9)
    exact = -0.5 * np.sum(forces @ np.linalg.inv(K) * forces, axis=1) + 0.15 * np.log(np.linalg.det(K / (0.6 * np.pi)))
    np.testing.assert_allclose(quadrature.free_energy(network.landscape(theta, x), 0.3), exact, atol=1e-9)


def test_covariance_is_the_gradient_at_any_temperature():
    network = xy_phases(sites=2, inputs=(0,), outputs=(1,))
    theta, x, y = case(network)
    found = check_gradient(network, theta, x, y, loss=LOSS, solver=Quadrature(temperature=0.7))
    assert found.largest_error < 1e-8


def test_solvers_and_networks_of_other_kinds_are_refused():
    with pytest.raises(ValueError, match="must settle the ContinuousEquilibria"):
        qeqprop.predict(double_wells(), np.zeros(10), np.zeros((1, 2)))
    with pytest.raises(ValueError, match="at most 3 variables"):
        qeqprop.predict(double_wells(), np.zeros(10), np.zeros((1, 2)), solver=Quadrature())
    with pytest.raises(ValueError, match="complex"):
        double_wells().pose(np.zeros(10), np.zeros((1, 2))).equilibria(np.ones((1, 1)) * 1j, Want.OUTPUTS, None, ())


def test_a_network_of_ones_own():
    """One dataclass is an energy: here E = theta (cosh s - x s), whose minimum is arsinh x."""

    @dataclass(frozen=True)
    class Hyperbolic:
        n_variables: int = 1
        n_inputs: int = 1
        n_outputs: int = 1
        initial = np.ones(1)
        term_names = ("theta",)
        rest = np.zeros(1)
        period = None

        def energy(self, theta, x, s):
            return self.parameter_gradient(theta, x, s)[:, 0] * theta[0]

        def gradient(self, theta, x, s):
            return theta[0] * ((np.exp(s) - np.exp(-s)) / 2 - x)

        def parameter_gradient(self, theta, x, s):
            return (np.exp(s) + np.exp(-s)) / 2 - x * s

        def outputs(self, s):
            return s

        def output_gradient(self, s, weights):
            return weights

    x = np.array([[0.5], [2.0]])
    network = ContinuousNetwork(Hyperbolic())
    np.testing.assert_allclose(
        qeqprop.predict(network, [1.0], x, solver=Relaxation(tolerance=1e-12)), np.arcsinh(x), atol=1e-12
    )
    found = check_gradient(network, [3.0], x, x, loss=LOSS, solver=LowTemperature(0.1, tolerance=1e-12, starts=0))
    assert found.largest_error < 1e-9
