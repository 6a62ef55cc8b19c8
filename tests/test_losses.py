"""Losses: closed forms, and every error signal against central finite differences of its own loss."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from qeqprop import losses
from qeqprop.interfaces import Loss, Penalty

MAKERS = ("mean_squared_error", "cross_entropy", "hinge", "linear", "output", "negative_magnitude", "sensitivity")
STEP = 1e-6


def finite_differences(function, point):
    """``d function / d point`` by central differences, slowly, one entry at a time."""
    slopes = np.zeros(point.shape)
    for index in np.ndindex(*point.shape):
        ends = []
        for sign in (1, -1):
            moved = point.copy()
            moved[index] += sign * STEP
            ends.append(function(moved))
        slopes[index] = (ends[0] - ends[1]) / (2 * STEP)
    return slopes


def check_error_signal(loss, y, t):
    expected = len(y) * finite_differences(lambda moved: loss.value(moved, t), y)
    found = loss.gradient(y, t)
    assert found.shape == y.shape and found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


shapes = st.tuples(st.integers(1, 5), st.integers(1, 4))
thousandths = (st.integers(-999, -1) | st.integers(1, 999)).map(
    lambda number: number / 1000
)  # far from kinks at 0 and 1
unhurried = settings(deadline=None)


@st.composite
def predictions(draw):
    return draw(arrays(np.float64, draw(shapes), elements=thousandths))


def one_hot(draw, y, low):
    if y.shape[1] == 1:
        return draw(arrays(np.float64, y.shape, elements=st.sampled_from([low, 1.0])))
    columns = draw(arrays(np.int64, len(y), elements=st.integers(0, y.shape[1] - 1)))
    return np.where(np.arange(y.shape[1]) == columns[:, None], 1.0, low)


@pytest.mark.parametrize("name", [*MAKERS, "cost_observable"])
def test_makers_have_defaults_and_names(name):
    loss = getattr(losses, name)()
    assert isinstance(loss, Loss) and loss.name == name
    assert loss.squares == (name == "cost_observable")


# --- error signals ----------------------------------------------------------------------------------------------


@unhurried
@given(st.data(), predictions())
def test_mean_squared_error_and_linear_gradients(data, y):
    t = data.draw(arrays(np.float64, y.shape, elements=thousandths))
    check_error_signal(losses.mean_squared_error(), y, t)
    check_error_signal(losses.linear(), y, t)


@unhurried
@given(st.data(), predictions(), st.sampled_from([0.0, -1.0]), st.sampled_from([0.5, 4.0, 20.0]))
def test_cross_entropy_of_signs_gradient(data, y, low, sharpness):
    check_error_signal(losses.cross_entropy(sharpness=sharpness), y, one_hot(data.draw, y, low))


@unhurried
@given(st.data(), predictions(), st.sampled_from([0.0, -1.0]))
def test_cross_entropy_of_projectors_gradient_on_both_sides_of_the_floor(data, y, low):
    check_error_signal(losses.cross_entropy(outputs="projector", floor=0.3), y, one_hot(data.draw, y, low))


@unhurried
@given(st.data(), predictions(), st.sampled_from([0.5005, 1.0]))
def test_hinge_gradient(data, y, margin):
    t = data.draw(arrays(np.float64, y.shape, elements=st.sampled_from([-1.0, 1.0])))
    check_error_signal(losses.hinge(margin=margin), y, t)


@unhurried
@given(st.data(), predictions())
def test_losses_without_a_teacher_gradients(data, y):
    t = np.zeros((len(y), 0))
    weights = data.draw(st.lists(thousandths, min_size=y.shape[1], max_size=y.shape[1]))
    check_error_signal(losses.output(), y, t)
    check_error_signal(losses.output(weights=weights), y, t)
    check_error_signal(losses.negative_magnitude(), y, t)


@unhurried
@given(st.data(), predictions(), st.sampled_from([0.1, 1.0]))
def test_sensitivity_gradient_joins_samples(data, first, distance):
    change = data.draw(arrays(np.float64, first.shape, elements=thousandths))
    y = np.stack([first, first + change], axis=1).reshape(-1, first.shape[1])
    check_error_signal(losses.sensitivity(distance=distance), y, np.zeros((len(y), 0)))


@unhurried
@given(st.data(), predictions())
def test_cost_observable_gradient(data, y):
    t = data.draw(arrays(np.float64, y.shape, elements=thousandths))
    squares = data.draw(arrays(np.float64, y.shape, elements=thousandths))
    check_error_signal(losses.cost_observable(), np.concatenate([y, squares], axis=1), t)


# --- values -----------------------------------------------------------------------------------------------------


def test_mean_squared_error_agrees_with_scikit_learn():
    from sklearn.metrics import mean_squared_error

    random = np.random.default_rng(1)
    y, t = random.normal(size=(2, 7, 3))
    assert losses.mean_squared_error().value(y, t) == pytest.approx(mean_squared_error(t, y), rel=1e-14)


def test_cross_entropy_agrees_with_scikit_learn():
    from sklearn.metrics import log_loss

    random = np.random.default_rng(2)
    p = random.dirichlet(np.ones(3), size=6)
    classes = np.array([0, 1, 2, 2, 1, 0])
    t = np.eye(3)[classes]
    projectors = losses.cross_entropy(outputs="projector", floor=1e-6)
    assert projectors.value(p, t) == pytest.approx(log_loss(classes, p), rel=1e-12)
    signs = losses.cross_entropy(sharpness=2.0)
    assert signs.value(np.log(p) / 2.0, 2 * t - 1) == pytest.approx(log_loss(classes, p), rel=1e-12)


def test_one_output_is_two_outputs_with_opposite_signs():
    y = np.array([[0.3], [-0.9], [0.1]])
    t = np.array([[1.0], [-1.0], [-1.0]])
    one, two = losses.cross_entropy(sharpness=3.0), losses.cross_entropy(sharpness=1.5)
    assert one.value(y, t) == pytest.approx(two.value(np.hstack([y, -y]), np.hstack([t, -t])), rel=1e-14)
    p = (1 + y) / 2
    projectors = losses.cross_entropy(outputs="projector")
    assert projectors.value(p, t) == pytest.approx(
        projectors.value(np.hstack([p, 1 - p]), np.hstack([t, -t])), rel=1e-14
    )


@pytest.mark.parametrize("columns", [1, 2])
def test_cross_entropy_stays_finite_and_exact_for_huge_arguments(columns):
    loss = losses.cross_entropy(sharpness=1e6)
    y, t = np.full((1, columns), -1.0), np.ones((1, columns))
    y[0, 1:], t[0, 1:] = 1.0, -1.0
    assert loss.value(y, t) == pytest.approx(1e6 * columns)
    np.testing.assert_allclose(loss.gradient(y, t)[0], [-1e6, 1e6][:columns])
    assert loss.value(-y, t) == 0 and np.all(loss.gradient(-y, t) == 0)


def test_projectors_below_the_floor_follow_the_tangent():
    loss = losses.cross_entropy(outputs="projector", floor=0.1)
    t = np.array([[1.0, 0.0]])
    assert loss.value(np.array([[-0.2, 1.0]]), t) == pytest.approx(-np.log(0.1) + 3.0)
    np.testing.assert_allclose(loss.gradient(np.array([[-0.2, 1.0]]), t), [[-10.0, 0.0]])


def test_values_of_the_other_losses():
    y, t = np.array([[0.5, -0.5], [1.0, 0.0]]), np.array([[1.0, 1.0], [-1.0, 1.0]])
    none = np.zeros((2, 0))
    assert losses.hinge().value(y, t) == pytest.approx((0.5 + 1.5 + 2.0 + 1.0) / 4)
    assert losses.linear().value(y, t) == pytest.approx(0.5)
    assert losses.output().value(y, none) == pytest.approx(0.5)
    assert losses.output(weights=[1.0, -2.0]).value(y, none) == pytest.approx(1.25)
    assert losses.negative_magnitude().value(y, t) == pytest.approx(-1.0)
    assert losses.sensitivity(distance=0.5).value(y, none) == pytest.approx(-2.0)
    assert losses.mean_squared_error().value(y, t) == pytest.approx((0.25 + 2.25 + 4.0 + 1.0) / 4)


def test_cost_observable_is_half_the_squared_error_plus_half_the_variance():
    random = np.random.default_rng(3)
    t, means, variances = random.normal(size=(3, 5, 2))
    y = np.concatenate([means, means**2 + variances], axis=1)
    expected = np.mean(np.sum((means - t) ** 2 + variances, axis=1)) / 2
    assert losses.cost_observable().value(y, t) == pytest.approx(expected, rel=1e-12)


def test_cost_observable_reads_no_prediction_for_its_error_signal():
    t = np.array([[0.5], [-1.0]])
    error = losses.cost_observable().gradient(np.full((2, 2), np.nan), t)
    np.testing.assert_array_equal(error, [[-0.5, 0.5], [1.0, 0.5]])


def test_kinks_have_the_slope_zero():
    assert np.all(losses.negative_magnitude().gradient(np.zeros((2, 1)), np.zeros((2, 0))) == 0)
    assert np.all(losses.sensitivity().gradient(np.full((2, 1), 0.3), np.zeros((2, 0))) == 0)
    assert np.all(losses.hinge().gradient(np.ones((2, 1)), np.ones((2, 1))) == 0)
    assert np.all(losses.l1(1.0).gradient(np.zeros(3)) == 0)


def test_losses_do_not_touch_their_arguments():
    y, t = np.array([[0.2, 0.4], [0.1, -0.3]]), np.array([[1.0, -1.0], [-1.0, 1.0]])
    for array in (y, t):
        array.flags.writeable = False
    for name in MAKERS:
        loss = getattr(losses, name)()
        loss.value(y, t)
        assert loss.gradient(y, t).flags.writeable


# --- accuracy ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("predictions", "targets", "expected"),
    [
        ([[0.2, 0.1, -0.4], [0.0, 0.3, 0.9]], [[1, 0, 0], [0, 1, 0]], 0.5),
        ([[0.2, 0.1], [0.0, 0.3]], [[1, -1], [-1, 1]], 1.0),
        ([[0.2], [-0.3], [0.4], [0.6]], [[1], [-1], [-1], [1]], 0.75),
        ([[0.2], [0.3], [0.4], [0.6]], [[1], [0], [0], [1]], 0.75),
        ([[0.2], [0.6]], [[0], [0]], 0.5),
        ([[0.2], [-0.6]], [[1], [1]], 0.5),
        ([[0.0], [0.0]], [[-1], [1]], 0.5),
    ],
)
def test_accuracy(predictions, targets, expected):
    assert losses.accuracy(np.array(predictions), np.array(targets)) == expected


@pytest.mark.parametrize("targets", [[[0.1], [0.2], [0.3]], [[2.0], [2.0], [2.0]]])
def test_accuracy_refuses_a_regression(targets):
    with pytest.raises(ValueError, match="Argument `targets` must hold two values in a single column"):
        losses.accuracy(np.zeros((3, 1)), np.array(targets))


# --- penalties --------------------------------------------------------------------------------------------------


@unhurried
@given(arrays(np.float64, 4, elements=thousandths), st.lists(st.floats(0, 2), min_size=4, max_size=4) | st.floats(0, 2))
def test_penalty_gradients(theta, strength):
    for maker in (losses.l1, losses.l2):
        penalty = maker(strength)
        assert isinstance(penalty, Penalty) and penalty.name == maker.__name__
        np.testing.assert_allclose(
            penalty.gradient(theta), finite_differences(penalty.value, theta), rtol=1e-6, atol=1e-8
        )


def test_penalty_values():
    theta = np.array([1.0, -2.0])
    assert losses.l2(0.5).value(theta) == 2.5
    assert losses.l1([1.0, 0.25]).value(theta) == 1.5


# --- errors -----------------------------------------------------------------------------------------------------


def nan_at(index, shape):
    array = np.zeros(shape)
    array[index] = np.nan
    return array


@pytest.mark.parametrize(
    ("loss", "predictions", "targets", "message"),
    [
        ("mean_squared_error", (4, 2), (4, 3), r"`targets` must have shape \(batch, n_outputs\) = \(4, 2\).*\(4, 3\)"),
        (
            "linear",
            (4, 2),
            (4, 0),
            r"`targets` must have shape \(batch, n_outputs\) = \(4, 2\), but has shape \(4, 0\)",
        ),
        ("hinge", (4,), (4,), r"`predictions` must have shape \(batch, n_outputs\) = \(_, _\), but has shape \(4,\)"),
        (
            "output",
            (4, 2),
            (3, 0),
            r"`targets` must have shape \(batch, n_targets\) = \(4, _\), but has shape \(3, 0\)",
        ),
        ("negative_magnitude", (0, 2), (0, 0), r"`predictions` must hold a sample and an output .*\(0, 2\)"),
        ("sensitivity", (3, 1), (3, 0), "must hold pairs of samples, an even batch, but holds 3"),
        ("cost_observable", (4, 2), (4, 2), r"`predictions` must have shape \(batch, 2 n_targets\) = \(4, 4\)"),
        ("hinge", (2, 1), (2, 1), "`targets` must hold only -1, 1, but holds 0"),
        ("cross_entropy", (2, 3), (2, 3), r"`targets` must mark one class in each row, but row 0 is \[0.0, 0.0, 0.0\]"),
    ],
)
def test_shape_and_value_errors(loss, predictions, targets, message):
    made = getattr(losses, loss)()
    for function in (made.value, made.gradient):
        with pytest.raises(ValueError, match=message):
            function(np.zeros(predictions), np.zeros(targets))


def test_numbers_that_are_not_finite_are_refused():
    loss = losses.mean_squared_error()
    with pytest.raises(ValueError, match=r"`predictions` must be finite, but is nan at index \(1, 0\)"):
        loss.gradient(nan_at((1, 0), (2, 1)), np.zeros((2, 1)))
    with pytest.raises(ValueError, match=r"`targets` must be finite"):
        loss.value(np.zeros((2, 1)), nan_at((0, 0), (2, 1)))


def test_cross_entropy_refuses_mixed_conventions():
    with pytest.raises(ValueError, match="`targets` must hold only 0, 1, but holds -1, 0, 1"):
        losses.cross_entropy().value(np.zeros((3, 1)), np.array([[-1.0], [0.0], [1.0]]))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: losses.hinge(margin=0.0), "`margin` must be a finite number above 0, but is 0.0"),
        (lambda: losses.sensitivity(distance=-1.0), "`distance` must be a finite number above 0"),
        (lambda: losses.cross_entropy(sharpness=np.inf), "`sharpness` must be a finite number above 0, but is inf"),
        (lambda: losses.cross_entropy(floor=1.0), "`floor` must be a finite number above 0 and below 1"),
        (lambda: losses.cross_entropy(outputs="signs"), "`outputs` must be 'sign' or 'projector', but is 'signs'"),
        (lambda: losses.output(weights=[1.0]).value(np.zeros((2, 2)), np.zeros((2, 0))), r"`weights` .* = \(2,\)"),
        (lambda: losses.l2(-1.0), "`strength` must be a number or one each .* not below 0: -1.0"),
        (lambda: losses.l1([1.0, 2.0]).value(np.zeros(3)), r"`theta` must have shape \(n_trainable,\) = \(2,\)"),
    ],
)
def test_argument_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("name", [*MAKERS, "cost_observable", "l1", "l2"])
def test_signatures_are_schemas(name):
    from pydantic import TypeAdapter, validate_call

    maker = getattr(losses, name)
    assert TypeAdapter(maker).core_schema["type"] == "call"
    assert validate_call(maker)().name == name


def test_run_files_are_checked_against_the_signature():
    from pydantic import ValidationError, validate_call

    assert validate_call(losses.l2)(strength=[0.1, 0]).value(np.ones(2)) == 0.1
    for maker, wrong in ((losses.l2, {"strength": [-1.0]}), (losses.cross_entropy, {"outputs": "s"})):
        with pytest.raises(ValidationError):
            validate_call(maker)(**wrong)
