"""Optimisers: closed-form first steps, convergence on quadratics, purity, and runs that stop and go on."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from qeqprop import optimizers
from qeqprop.interfaces import Optimizer

OPTIMIZERS = {
    "sgd": optimizers.sgd(0.1),
    "momentum": optimizers.momentum(0.02, decay=0.8),
    "nesterov": optimizers.momentum(0.02, decay=0.8, nesterov=True),
    "adam": optimizers.adam(optimizers.exponential(0.1, 0.99)),
    "normalized": optimizers.normalized(optimizers.exponential(0.3, 0.98)),
    "inverse": optimizers.sgd(optimizers.inverse(0.2, 1000)),
}
SCHEDULES = ("constant", "cosine", "exponential", "inverse", "piecewise")
CURVATURES = np.array([1.0, 3.0, 10.0])
MINIMUM = np.array([0.5, -1.0, 0.2])

every_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS.keys())


def slope(theta):
    return CURVATURES * (theta - MINIMUM)


def run(optimizer, theta, state, steps):
    for _ in range(steps):
        theta, state = optimizer.update(slope(theta), state, theta)
    return theta, state


@pytest.mark.parametrize("name", ["sgd", "momentum", "adam", "normalized"])
def test_makers_have_defaults(name):
    assert isinstance(getattr(optimizers, name)(), Optimizer)


@every_optimizer
def test_convergence_on_a_quadratic(optimizer):
    theta, state = run(optimizer, np.zeros(3), optimizer.init(np.zeros(3)), 600)
    np.testing.assert_allclose(theta, MINIMUM, atol=1e-4)
    assert state["step"] == 600


@every_optimizer
def test_a_run_cut_in_two_and_stored_is_the_same_run(optimizer, tmp_path):
    start = np.array([1.0, 2.0, -1.0])
    whole, _ = run(optimizer, start, optimizer.init(start), 37)
    theta, state = run(optimizer, start, optimizer.init(start), 20)
    np.savez(tmp_path / "state.npz", theta=theta, **{f"state_{key}": array for key, array in state.items()})
    with np.load(tmp_path / "state.npz") as stored:
        loaded = {key.removeprefix("state_"): stored[key] for key in stored.files if key != "theta"}
        theta = stored["theta"]
    assert {array.dtype.name for array in loaded.values()} <= {"float64", "int64"}
    again, state = run(optimizer, theta, loaded, 17)
    np.testing.assert_array_equal(again, whole)
    assert state["step"] == 37


@every_optimizer
def test_updates_are_pure(optimizer):
    theta = np.array([1.0, 0.0, 3.0])
    gradient = slope(theta)
    _, state = optimizer.update(gradient, optimizer.init(theta), theta)
    for array in (theta, gradient, *state.values()):
        array.flags.writeable = False
    kept = {key: array.copy() for key, array in state.items()}
    first, first_state = optimizer.update(gradient, state, theta)
    second, _ = optimizer.update(gradient, state, theta)
    np.testing.assert_array_equal(first, second)
    assert first is not theta and first_state is not state
    assert not any(np.shares_memory(array, gradient) for array in (first, *first_state.values()))
    for key, array in kept.items():
        np.testing.assert_array_equal(state[key], array)


# --- closed forms -----------------------------------------------------------------------------------------------

gradients = arrays(np.float64, 3, elements=st.integers(-1000, 1000).map(lambda number: number / 100))


@settings(deadline=None)
@given(gradients)
def test_sgd_step(gradient):
    optimizer = optimizers.sgd(0.5)
    theta, state = optimizer.update(gradient, optimizer.init(np.ones(3)), np.ones(3))
    np.testing.assert_array_equal(theta, 1 - 0.5 * gradient)
    assert list(state) == ["step"]


@settings(deadline=None)
@given(gradients)
def test_first_steps_of_adam(gradient):
    optimizer = optimizers.adam(0.1)
    start = np.zeros(3)
    theta, state = optimizer.update(gradient, optimizer.init(start), start)
    np.testing.assert_allclose(theta, -0.1 * gradient / (np.abs(gradient) + 1e-8), rtol=1e-12)
    theta, _ = optimizer.update(gradient, state, theta)  # in a constant gradient every step is the first one
    np.testing.assert_allclose(theta, -0.2 * gradient / (np.abs(gradient) + 1e-8), rtol=1e-11)


def test_second_step_of_adam_with_another_gradient():
    optimizer = optimizers.adam(1.0, decay_mean=0.5, decay_square=0.75, epsilon=1e-12)
    theta, state = optimizer.update(np.array([2.0]), optimizer.init(np.zeros(1)), np.zeros(1))
    later, _ = optimizer.update(np.array([-1.0]), state, theta)
    mean = (0.5 * 1.0 + 0.5 * -1.0) / 0.75
    square = (0.75 * 1.0 + 0.25 * 1.0) / (1 - 0.75**2)
    np.testing.assert_allclose(later - theta, [-mean / math.sqrt(square)], atol=1e-12)


@pytest.mark.parametrize(("nesterov", "factors"), [(False, (1.0, 1.5, 1.75)), (True, (1.5, 1.75, 1.875))])
def test_first_steps_of_momentum_in_a_constant_gradient(nesterov, factors):
    optimizer = optimizers.momentum(0.1, decay=0.5, nesterov=nesterov)
    gradient, theta = np.array([2.0, -4.0]), np.zeros(2)
    state = optimizer.init(theta)
    for factor in factors:
        moved, state = optimizer.update(gradient, state, theta)
        np.testing.assert_allclose(moved - theta, -0.1 * factor * gradient, rtol=1e-14)
        theta = moved


def test_momentum_without_memory_is_gradient_descent():
    start = np.ones(3)
    plain, remembering = optimizers.sgd(0.01), optimizers.momentum(0.01, decay=0.0)
    expected, _ = run(plain, start, plain.init(start), 5)
    found, _ = run(remembering, start, remembering.init(start), 5)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("scale", [1e-320, 1e-200, 1.0, 1e200])
def test_normalized_steps_have_one_length(scale):
    optimizer = optimizers.normalized(0.25)
    theta, _ = optimizer.update(scale * np.array([3.0, -4.0]), optimizer.init(np.zeros(2)), np.zeros(2))
    np.testing.assert_allclose(theta, [-0.15, 0.2], rtol=1e-3 if scale == 1e-320 else 1e-14)


@pytest.mark.parametrize("theta", [np.array([1.0, 2.0]), np.zeros(0)])
def test_normalized_stays_where_the_gradient_is_zero(theta):
    optimizer = optimizers.normalized(0.25)
    moved, state = optimizer.update(np.zeros_like(theta), optimizer.init(theta), theta)
    np.testing.assert_array_equal(moved, theta)
    assert state["step"] == 1


# --- schedules --------------------------------------------------------------------------------------------------


def test_schedules():
    assert [optimizers.constant(0.3)(step) for step in (0, 1000)] == [0.3, 0.3]
    cosine = optimizers.cosine(start=0.1, end=0.02, steps=10)
    assert [cosine(step) for step in (0, 5, 10, 99)] == pytest.approx([0.1, 0.06, 0.02, 0.02])
    assert optimizers.exponential(start=0.8, rate=0.5)(3) == pytest.approx(0.1)
    assert optimizers.exponential(start=0.8, rate=0.5)(10**6) == 0
    assert optimizers.inverse(start=0.8, steps=10)(30) == pytest.approx(0.2)
    piecewise = optimizers.piecewise(values=[0.3, 0.2, 0.1], boundaries=[2, 5])
    assert [piecewise(step) for step in range(7)] == [0.3, 0.3, 0.2, 0.2, 0.2, 0.1, 0.1]


def test_an_optimizer_asks_its_schedule_for_every_step():
    asked: list[int] = []

    def schedule(step: int) -> float:
        asked.append(step)
        return 1.0 if step < 2 else 0.0

    optimizer = optimizers.sgd(schedule)
    theta, state = np.zeros(1), optimizer.init(np.zeros(1))
    for _ in range(4):
        theta, state = optimizer.update(np.ones(1), state, theta)
    assert asked == [0, 1, 2, 3] and theta[0] == -2.0


@pytest.mark.parametrize("name", ["sgd", "momentum", "adam", "normalized", *SCHEDULES])
def test_signatures_are_schemas(name):
    from pydantic import ValidationError, validate_call

    maker = validate_call(getattr(optimizers, name))
    maker()
    with pytest.raises(ValidationError):
        maker(speed=0.1)
    if name in SCHEDULES:
        return
    for good in (1, 0.05, optimizers.cosine()):
        assert isinstance(maker(learning_rate=good), Optimizer)
    for bad in (0.0, -0.1, {"start": 1.0}):
        with pytest.raises(ValidationError):
            maker(learning_rate=bad)


# --- errors -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: optimizers.sgd(0.0), "`learning_rate` must be a finite number above 0, but is 0.0"),
        (lambda: optimizers.normalized(True), "`learning_rate` must be a finite number above 0, but is True"),
        (lambda: optimizers.adam(math.nan), "`learning_rate` must be a finite number above 0, but is nan"),
        (lambda: optimizers.adam(decay_square=1.0), "`decay_square` must be a number from 0 to below 1, but is 1.0"),
        (lambda: optimizers.adam(epsilon=0), "`epsilon` must be a finite number above 0, but is 0"),
        (lambda: optimizers.momentum(decay=-0.1), "`decay` must be a number from 0 to below 1, but is -0.1"),
        (lambda: optimizers.cosine(steps=0), "`steps` must be a whole number of at least 1, but is 0"),
        (lambda: optimizers.cosine(end=-1), "`end` must be a finite number of at least 0, but is -1"),
        (lambda: optimizers.exponential(rate=1.5), "`rate` must be at most 1, but is 1.5"),
        (lambda: optimizers.piecewise([0.1], [5]), r"`values` must hold len\(boundaries\) \+ 1 = 2 rates, but holds 1"),
        (lambda: optimizers.piecewise([1, 2, 3], [5, 5]), r"`boundaries` must increase, but is \(5, 5\)"),
        (lambda: optimizers.piecewise([0.1, -1.0]), r"`values\[1\]` must be a finite number above 0, but is -1.0"),
    ],
)
def test_argument_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@every_optimizer
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_gradient_that_is_not_finite_stops_the_run(optimizer, bad):
    message = rf"`gradient` must be finite, but gradient\[1\] is {bad} \(1 of 3 entries are not finite\)"
    with pytest.raises(ValueError, match=message):
        optimizer.update(np.array([0.0, bad, 1.0]), optimizer.init(np.zeros(3)), np.zeros(3))


def test_shapes_are_checked():
    optimizer = optimizers.adam()
    state = optimizer.init(np.zeros(3))
    with pytest.raises(ValueError, match=r"`gradient` must have shape \(n_trainable,\) = \(3,\), but has shape \(2,\)"):
        optimizer.update(np.zeros(2), state, np.zeros(3))
    with pytest.raises(ValueError, match=r"`state\['mean'\]` must have shape \(n_trainable,\) = \(2,\)"):
        optimizer.update(np.zeros(2), state, np.zeros(2))
    with pytest.raises(ValueError, match=r"`theta` must have shape \(n_trainable,\) = \(_,\), but has shape \(1, 2\)"):
        optimizer.init(np.zeros((1, 2)))


def test_the_state_of_another_optimizer_is_refused():
    state = optimizers.sgd().init(np.zeros(2))
    with pytest.raises(ValueError, match=r"\['mean', 'square', 'step'\] of the optimiser adam, but holds \['step'\]"):
        optimizers.adam().update(np.zeros(2), state, np.zeros(2))


def test_a_schedule_below_zero_is_refused():
    optimizer = optimizers.sgd(lambda step: -1.0)
    with pytest.raises(ValueError, match=r"`learning_rate\(0\)` must be a finite number of at least 0, but is -1.0"):
        optimizer.update(np.zeros(2), optimizer.init(np.zeros(2)), np.zeros(2))
