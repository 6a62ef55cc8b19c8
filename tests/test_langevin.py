"""Sampled continuous networks beside quadrature and closed forms."""

from dataclasses import replace

import numpy as np
import pytest
from oracles import TWO_ERRORS, chance_of_bias

import qeqprop
from qeqprop import losses
from qeqprop.classical.double_wells import double_wells
from qeqprop.classical.gaussian import Gaussian
from qeqprop.classical.harmonic import harmonic
from qeqprop.classical.langevin import Langevin
from qeqprop.classical.quadrature import Quadrature
from qeqprop.classical.xy_phases import xy_phases
from qeqprop.interfaces import Want
from qeqprop.propagation import measure_outputs
from qeqprop.rules.nudging import SymmetricNudging
from qeqprop.settling import bind

QUARTIC = double_wells(sites=2, inputs=(0,), outputs=(0, 1), barrier=0.25, curvature=1.0)
CASE = (QUARTIC, np.array([0.7, -0.4, 0.5]), np.array([[0.6], [-0.3]]), np.array([[1.0, -0.5], [0.2, 0.4]]))
METHODS = {
    "adjusted": Langevin(0.5, chains=200),
    "overdamped": Langevin(0.5, method="overdamped", step=0.05, chains=200, thin=8),
    "underdamped": Langevin(0.5, method="underdamped", step=0.2, chains=200, thin=5),
}


@pytest.mark.parametrize("method", METHODS)
def test_outputs_and_covariances_beside_quadrature(method):
    exact, solver = Quadrature(0.5), METHODS[method]
    wanted = qeqprop.predict(*CASE[:3], solver=exact)
    found, quality, shots = measure_outputs(*CASE[:3], solver=solver, seed=1)
    assert np.all(np.abs(found.values - wanted) < 4 * found.std_errors)
    assert np.all(found.std_errors < 0.02)
    assert np.all(quality.r_hat < 1.05)
    assert np.all(quality.residual < 0.03)
    assert shots == 2 * 200 * 200
    case = {"loss": losses.mean_squared_error}
    gradient = qeqprop.gradient(*CASE, solver=solver, seed=3, **case)
    exactly = qeqprop.gradient(*CASE, solver=exact, **case)
    assert np.all(np.abs(gradient.values - exactly.values) < 4 * gradient.std_errors)


@pytest.mark.parametrize("method", METHODS)
def test_phases(method):
    network = xy_phases(sites=2, inputs=(0,), outputs=(1,))
    theta, x = network.initial + 0.3, np.array([[0.8]])
    found, _, _ = measure_outputs(network, theta, x, solver=METHODS[method], seed=2)
    wanted = qeqprop.predict(network, theta, x, solver=Quadrature(0.5))
    assert np.all(np.abs(found.values - wanted) < 4 * found.std_errors)


@pytest.mark.parametrize("method", ["overdamped", "underdamped"])
def test_the_bias_of_a_step_falls_at_least_as_its_square(method):
    """Of ``<cos s>`` in the well ``-2 cos s``, seen above the noise by many chains."""
    network, theta, x = xy_phases(sites=1, edges=[], inputs=(), outputs=(0,)), np.array([2.0, 0.0]), np.zeros((1, 0))
    exact = qeqprop.predict(network, theta, x, solver=Quadrature())[0, 0]
    errors, noise = [], []
    for step in (0.8, 0.4) if method == "overdamped" else (1.2, 0.6):
        solver = Langevin(method=method, step=step, chains=6000, samples=80, burn_in=round(6 / step), thin=3)
        found, _, _ = measure_outputs(network, theta, x, solver=solver, seed=5)
        errors.append(abs(found.values[0, 0] - exact))
        noise.append(found.std_errors[0, 0])
    assert errors[0] > 10 * noise[0]
    assert errors[1] < errors[0] / 4 + 3 * noise[1]


@pytest.mark.parametrize(("method", "step"), [("overdamped", 0.4), ("underdamped", 0.8)])
def test_springs_have_no_bias(method, step):
    """At steps where Euler's variances would be off by a third."""
    network = harmonic(sites=2, outputs=(0, 1)).with_squares()
    theta, x = np.array([1.0, 1.5, 0.5]), np.array([[0.4]])
    solver = Langevin(0.7, method=method, step=step, chains=4000, samples=100)
    found, quality, _ = measure_outputs(network, theta, x, solver=solver, seed=5)
    wanted = qeqprop.predict(network, theta, x, solver=Gaussian(0.7, quantum=False))
    assert np.all(np.abs(found.values - wanted) < 4 * found.std_errors)
    assert np.all(found.std_errors < 0.01)
    assert quality.residual[0] < 0.01


@pytest.mark.parametrize("rule", ["response", "nudging"])
def test_error_bars_are_right(rule):
    """Forty gradients: their spread is what they say of themselves, and their mean is right."""
    solver = Langevin(0.5, chains=32, samples=20, burn_in=40, r_hat=2.0)
    made = {"loss": losses.mean_squared_error, "solver": solver}
    if rule == "nudging":
        made["rule"] = SymmetricNudging(beta=0.3)
    exact = qeqprop.gradient(*CASE, **made | {"solver": Quadrature(0.5)}).values
    found = [qeqprop.gradient(*CASE, **made, seed=seed) for seed in range(60)]
    z = np.array([(one.values - exact) / one.std_errors for one in found])
    assert np.all(np.abs(z.mean(axis=0)) < 3.5 / np.sqrt(60)), z.mean(axis=0)
    assert 0.8 < np.sqrt(np.mean(z**2)) < 1.25


def test_the_key_names_the_chains_and_precision_is_met():
    solver = Langevin(0.5, chains=32, samples=20, r_hat=2.0)
    one, same, other = (qeqprop.predict(*CASE[:3], solver=solver, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert np.all(one != other)
    found, _, shots = measure_outputs(*CASE[:3], solver=solver, seed=1, precision=0.01)
    assert np.all(found.std_errors < 0.013)
    assert shots > 2 * 32 * 40
    with pytest.raises(ValueError, match="`precision`"):
        measure_outputs(*CASE[:3], solver=solver, seed=1, precision=1e-6)


def test_chains_that_do_not_mix_are_told():
    wells = double_wells(sites=1, edges=[], inputs=(), outputs=(0,))
    with pytest.warns(qeqprop.PhysicsWarning, match="do not agree"):
        qeqprop.predict(wells, [0.02], np.zeros((1, 0)), solver=Langevin(0.03), seed=1)


def test_adjusted_chains_find_back_from_far_outside():
    """In a quartic well the slope at s = 10 would throw them to the other side of the world."""
    settle = bind(*CASE[:3], Langevin(2.0, chains=16, samples=50, burn_in=300), (1,))
    free = settle(np.zeros((1, 2, 2)), want=Want.OUTPUTS)
    far = type(free.start)(dict(free.start.arrays) | {"s": np.full((2, 16, 2), 10.0)})
    found = settle(np.zeros((1, 2, 2)), want=Want.OUTPUTS, start=far)
    wanted = qeqprop.predict(*CASE[:3], solver=Quadrature(2.0))
    assert np.all(np.abs(found.outputs.values[0] - wanted) < 5 * found.outputs.std_errors[0])


def test_a_step_too_long_is_refused():
    solver = Langevin(1.0, method="overdamped", step=5.0)
    with np.errstate(all="ignore"), pytest.raises(qeqprop.NotConverged, match="too long"):
        qeqprop.predict(*CASE[:3], solver=solver, seed=1)


def test_nudged_chains_begin_where_the_free_ones_stopped():
    settle = bind(*CASE[:3], Langevin(0.5, chains=8, samples=4, burn_in=0, r_hat=100.0), (1,))
    free = settle(np.zeros((1, 2, 2)), want=Want.OUTPUTS)
    assert free.start.arrays["s"].shape == (2, 8, 2)
    nudged = settle(np.zeros((2, 2, 2)), want=Want.OUTPUTS, start=free.start)
    assert nudged.outputs.values.shape == (2, 2, 2)
    assert np.all(nudged.outputs.values[0] != nudged.outputs.values[1])


@pytest.mark.slow
def test_sampled_gradients_are_unbiased_and_fall_as_one_over_the_root_of_the_samples():
    """400 gradients of an output by covariance, at two lengths: no bias, asked at once, and errors within 20 %."""
    loss = losses.output(weights=[1.0, -0.5])
    exact = qeqprop.gradient(*CASE, loss=loss, solver=Quadrature(0.5)).values
    spreads = []
    for samples in (15, 60):
        solver = Langevin(0.5, chains=32, samples=samples, burn_in=60, thin=4, r_hat=3.0)
        found = [qeqprop.gradient(*CASE, loss=loss, solver=solver, seed=s) for s in range(400)]
        values, errors = (np.array([getattr(one, name) for one in found]) for name in ("values", "std_errors"))
        spread = values.std(axis=0, ddof=1)
        assert chance_of_bias(values, exact) > TWO_ERRORS
        np.testing.assert_allclose(np.sqrt(np.mean(errors**2, axis=0)), spread, rtol=0.2)
        spreads.append(np.linalg.norm(spread))
    exponent = np.log2(spreads[1] / spreads[0]) / 2
    assert exponent == pytest.approx(-0.5, abs=0.06)


def overdamped_bias(step, slope, energy, observable, reach):
    """The bias of the overdamped scheme at T = 1 from its stationary density, without any chain.

    With ``y_n = s_n - sqrt(h/2) R_n`` the scheme is a Markov chain, ``y' = y - h E'(s) + sqrt(2 h) R``: its kernel on a
    circle of 2 ``reach``, by Gauss-Hermite sums over R and a Fourier series in y.
    """
    n, (kicks, weights) = 256, np.polynomial.hermite_e.hermegauss(40)
    weights = weights / weights.sum()
    y = reach * (2 * np.arange(n) / n - 1)
    waves = np.pi / reach * np.fft.fftfreq(n, 1 / n)
    s = y[:, None] + np.sqrt(step / 2) * kicks
    there = y[:, None] - step * slope(s) + np.sqrt(2 * step) * kicks
    moved = np.einsum("kyr,r->ky", np.exp(-1j * waves[:, None, None] * there), weights)
    kernel = np.linalg.matrix_power(np.real(np.exp(1j * np.outer(y, waves)) / n @ moved), 2**14)
    density = kernel @ np.full(n, 1 / n)
    exact = np.exp(-energy(y))
    found = np.sum(density[:, None] / density.sum() * observable(s) * weights)
    return found - np.sum(observable(y) * exact) / exact.sum()


PHASE = (np.sin, lambda s: -np.cos(s), np.cos, np.pi)
QUARTIC_WELL = (lambda s: s**3, lambda s: s**4 / 4, lambda s: s**2, 5.0)


@pytest.mark.parametrize("well", [PHASE, QUARTIC_WELL])
def test_the_bias_of_overdamped_chains_is_of_second_order(well):
    biases = [overdamped_bias(step, *well) for step in (0.04, 0.02)]
    assert np.log2(biases[0] / biases[1]) == pytest.approx(2, abs=0.1)


def test_overdamped_chains_have_the_bias_of_their_scheme():
    """Seen far above the noise, and then explained by the scheme alone."""
    network, theta, x = xy_phases(sites=1, edges=[], inputs=(), outputs=(0,)), np.array([1.0, 0.0]), np.zeros((1, 0))
    solver = Langevin(method="overdamped", step=0.8, chains=10000, samples=100, burn_in=20)
    found, _, _ = measure_outputs(network, theta, x, solver=solver, seed=5)
    bias = found.values[0, 0] - qeqprop.predict(network, theta, x, solver=Quadrature(1.0))[0, 0]
    noise = found.std_errors[0, 0]
    assert abs(bias) > 6 * noise
    assert abs(bias - overdamped_bias(0.8, *PHASE)) < 4 * noise


@pytest.mark.slow
def test_the_bias_of_underdamped_chains_is_of_second_order():
    """The power p of ``bias ~ h^p`` of <s^2> in the well ``s^4/4`` beside quadrature, with its error."""
    network = double_wells(sites=1, edges=[], inputs=(), outputs=(0,), barrier=0.25, curvature=0.0).with_squares()
    case = (network, np.zeros(1), np.zeros((1, 0)))
    exact = qeqprop.predict(*case, solver=Quadrature(1.0))[0, 1]
    steps, biases, noise = (0.4, 0.3, 0.2), [], []
    for step in steps:
        how = {"step": step, "friction": 2.0, "thin": round(1 / step)}
        solver = Langevin(method="underdamped", chains=40000, samples=1000, burn_in=200, **how)
        found, _, _ = measure_outputs(*case, solver=solver, seed=4)
        biases.append(abs(found.values[0, 1] - exact))
        noise.append(found.std_errors[0, 1])
    relative = np.array(noise) / biases
    fit, spread = np.polyfit(np.log(steps), np.log(biases), 1, w=1 / relative, cov="unscaled")
    error = np.sqrt(spread[0, 0])
    assert error < 0.4
    assert abs(fit[0] - 2) < 3 * error, f"h^{fit[0]:.2f} +- {error:.2f}"
    print(f"h^{fit[0]:.2f} +- {error:.2f}")


@pytest.mark.slow
@pytest.mark.parametrize(("temperature", "factor"), [(0.2, 3.0), (0.5, 3.0)])
def test_variates_take_noise_and_leave_no_bias(temperature, factor):
    """400 gradients without a nudge; chains of two double wells that are bent but not split."""
    loss = losses.mean_squared_error()
    exact = qeqprop.gradient(*CASE, loss=loss, solver=Quadrature(temperature)).values
    spreads = []
    for variates in (False, True):
        solver = Langevin(temperature, samples=25, burn_in=60, thin=4, r_hat=3.0, variates=variates)
        found = [qeqprop.gradient(*CASE, loss=loss, solver=solver, seed=seed) for seed in range(400)]
        values, errors = (np.array([getattr(one, name) for one in found]) for name in ("values", "std_errors"))
        spreads.append(values.std(axis=0, ddof=1))
        assert chance_of_bias(values, exact) > TWO_ERRORS / 4  # so many are asked
        np.testing.assert_allclose(np.sqrt(np.mean(errors**2, axis=0)), spreads[-1], rtol=0.2)
    assert np.sum(spreads[0] ** 2) > factor * np.sum(spreads[1] ** 2)


def test_variates_save_samples():
    loss, solver = losses.mean_squared_error(), Langevin(0.2, samples=25, burn_in=60, thin=4, r_hat=3.0)
    exact = qeqprop.gradient(*CASE, loss=loss, solver=Quadrature(0.2)).values
    plain, quiet = (
        qeqprop.gradient(*CASE, loss=loss, solver=one, seed=2) for one in (solver, replace(solver, variates=True))
    )
    assert np.sum(plain.std_errors**2) > 3 * np.sum(quiet.std_errors**2)
    assert np.all(np.abs(quiet.values - exact) < 4 * quiet.std_errors)


def test_variates_are_refused_where_they_would_be_biased_or_blind():
    with pytest.raises(ValueError, match="`method` must be 'adjusted' with `variates`"):
        Langevin(method="underdamped", variates=True)
    with pytest.raises(ValueError, match="`chains` must be at least 24 with `variates`"):
        qeqprop.predict(*CASE[:3], solver=Langevin(chains=20, variates=True))
