"""The generator of states: resume, minibatches, metrics, and the checker."""

import itertools

import numpy as np
import pytest
from systems import one_qubit, random_network

from qeqprop import losses
from qeqprop.checking import check_gradient
from qeqprop.interfaces import Samples
from qeqprop.optimizers import adam, sgd
from qeqprop.rules.nudging import SymmetricNudging
from qeqprop.solvers.exact import Exact
from qeqprop.solvers.sampled import Sampled
from qeqprop.training import initial_theta, minibatch, train


def samples(count=10):
    random = np.random.default_rng(0)
    x = random.normal(size=(count, 2))
    first = x[:, :1] > x[:, 1:]
    return Samples(x, np.where(np.concatenate([first, ~first], axis=1), 1.0, -1.0))


def run(steps, **options):
    network = random_network(3, sites=3)
    chosen = {"loss": losses.mean_squared_error, "batch": 4, "seed": 5, **options}
    return list(train(network, samples(), steps=steps, **chosen))


@pytest.mark.parametrize("solver", [Exact(), Sampled(shots=50)])
def test_a_run_resumed_from_any_state_ends_in_the_same_bits(solver):
    options = {"solver": solver, "rule": SymmetricNudging(0.1), "optimizer": adam(learning_rate=0.1)}
    whole = run(6, **options)
    for stop in (1, 3, 5):
        rest = run(6, resume=whole[stop - 1], **options)
        assert [state.step for state in rest] == list(range(stop + 1, 7))
        np.testing.assert_array_equal(rest[-1].theta, whole[-1].theta)
        assert rest[-1].shots == whole[-1].shots
        assert rest[-1].loss == whole[-1].loss


def test_every_shot_is_counted():
    network, shots = random_network(3, sites=3), 50
    states = run(3, solver=Sampled(shots=shots), rule=SymmetricNudging(0.1), validation=samples(3), validate_every=2)
    from qeqprop.engine.bases import measurement_bases

    def bases(rows):
        used = np.flatnonzero(np.any(rows != 0, axis=0))
        return len(measurement_bases(network.strings[used]))

    outputs, gradients = bases(network.outputs), bases(network.trainable)
    batches = [4, 4, 2]
    steps = [size * shots * (outputs + 2 * gradients) for size in batches]
    checks = [0, 3 * shots * outputs, 3 * shots * outputs]  # every second step, and the last
    assert [state.shots for state in states] == np.cumsum(np.add(steps, checks)).tolist()


def test_seeds_matter_and_nothing_else_does():
    np.testing.assert_array_equal(run(2)[-1].theta, run(2)[-1].theta)
    assert np.any(run(2, seed=6)[-1].theta != run(2)[-1].theta)


@pytest.mark.parametrize(("count", "batch"), [(10, 4), (10, 5), (7, 3), (3, 8)])
def test_an_epoch_sees_every_sample_once(count, batch):
    per_epoch = -(-count // min(batch, count))
    for epoch in range(3):
        seen = [minibatch(count, batch, seed=1, step=epoch * per_epoch + k + 1) for k in range(per_epoch)]
        assert sorted(itertools.chain(*seen)) == list(range(count))
    if count > batch:
        first, second = minibatch(count, batch, seed=1, step=1), minibatch(count, batch, seed=1, step=1 + per_epoch)
        assert first.tolist() != second.tolist() or minibatch(count, batch, seed=2, step=1).tolist() != first.tolist()


def test_joined_samples_stay_together():
    for step in range(1, 7):
        chosen = minibatch(12, 4, seed=0, step=step, group=losses.sensitivity().group)
        assert len(chosen) == 4
        assert np.all(chosen[0::2] % 2 == 0)
        assert np.all(chosen[1::2] == chosen[0::2] + 1)


def test_training_learns_and_reports():
    states = run(200, batch=None, optimizer=adam(learning_rate=0.1), classification=True, validation=samples(6))
    assert states[-1].loss < 0.7 * states[0].loss
    assert states[-1].metrics["accuracy"] >= 0.8
    assert {"gap", "gradient_norm", "gradient_error", "validation_loss", "validation_accuracy"} <= set(
        states[-1].metrics
    )
    assert states[-1].gradient is not None


def test_the_callers_loop_stops_training():
    network = random_network(3, sites=3)
    for state in train(
        network, samples(), loss=losses.mean_squared_error, steps=10**9, optimizer=sgd(learning_rate=0.1)
    ):
        if state.step == 3:
            break
    assert state.step == 3


def test_initial_parameters_surround_the_networks_centre():
    network = random_network(3, sites=3)
    np.testing.assert_array_equal(initial_theta(network, seed=1, scale=0.0), network.initial)
    assert np.any(initial_theta(network, seed=1) != initial_theta(network, seed=2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "`steps` must be at least 1"),
        ({"steps": 1, "batch": 0}, "`batch` must be at least 1"),
        ({"steps": 1, "validate_every": 0}, "`validate_every` must be at least 1"),
        ({"steps": 1, "theta": [1.0]}, "`theta` must have shape"),
    ],
)
def test_bad_settings_are_refused_before_the_first_step(options, message):
    with pytest.raises(ValueError, match=message):
        train(random_network(3, sites=3), samples(), loss=losses.mean_squared_error, **options)


def test_a_cost_observable_trains():
    states = run(30, loss=losses.cost_observable, batch=None, optimizer=adam(learning_rate=0.1), classification=True)
    assert states[-1].loss < states[0].loss


def test_the_checker_reports_direction_length_and_every_parameter():
    check = check_gradient(one_qubit(), [0.8, 1.5], np.zeros((1, 0)), [[1.0]], loss=losses.mean_squared_error)
    assert check.cosine == pytest.approx(1.0, abs=1e-10)
    assert check.slope == pytest.approx(1.0, abs=1e-8)
    assert check.largest_error < 1e-9
    biased = check_gradient(
        one_qubit(), [0.8, 1.5], np.zeros((1, 0)), [[1.0]], loss=losses.mean_squared_error, rule=SymmetricNudging(0.5)
    )
    assert biased.largest_error > 1e-3
    text = str(biased)
    assert "Z0" in text
    assert "cosine" in text
    assert len(text.splitlines()) == 4
