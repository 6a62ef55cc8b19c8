"""Every rule against finite differences of the loss, at its stated order."""

import numpy as np
import pytest
from oracles import dense_parts, five_point, gibbs_expectation
from systems import one_qubit, random_network

import qeqprop
from qeqprop import losses
from qeqprop.checking import check_gradient, finite_differences
from qeqprop.interfaces import NotConverged, PhysicsWarning
from qeqprop.operators import term
from qeqprop.rules.holomorphic import Holomorphic
from qeqprop.rules.linear_response import LinearResponse
from qeqprop.rules.nudging import OneSidedNudging, SymmetricNudging
from qeqprop.rules.richardson import Richardson
from qeqprop.solvers.exact import Exact

LOSSES = [
    losses.mean_squared_error(),
    losses.cross_entropy(sharpness=1.5),
    losses.linear(),
    losses.negative_magnitude(),
    losses.cost_observable(),
    losses.sensitivity(distance=0.7),
]
ORDERS = {"one-sided": 1, "symmetric": 2, "richardson": 4}


def random_case(seed):
    """A random network of 2 to 8 sites with a non-degenerate level, a batch of two, a loss and a level 0-2."""
    random = np.random.default_rng(seed)
    sites = int(random.choice([2, 3, 3, 4, 4, 5, 6, 8], p=[0.2, 0.2, 0.1, 0.2, 0.1, 0.1, 0.06, 0.04]))
    network = random_network(seed, sites=sites, n_trainable=5, n_inputs=2, n_outputs=2)
    theta = network.initial + 0.3 * random.normal(size=5)
    x = random.normal(size=(2, 2))
    labels = random.integers(2, size=2)
    return network, theta, x, np.where(np.eye(2)[labels] > 0, 1.0, -1.0), LOSSES[seed % len(LOSSES)], seed % 3


def small_beta(network, theta, x, y, loss, solver):
    """A nudge of one per cent of what would move the level by its gap."""
    settling = network.with_squares() if loss.squares else network
    outputs = qeqprop.predict(settling, theta, x, solver=solver)
    error = np.abs(loss.gradient(outputs, y)) @ np.sum(np.abs(settling.outputs), axis=1)
    gap = qeqprop.gradient(network, theta, x, y, loss=loss, solver=solver).certificate.gap
    return 0.02 * float(np.min(gap) / np.max(error))


@pytest.mark.parametrize("block", range(10))
def test_200_random_networks_meet_finite_differences_at_the_stated_order(block):
    judged = dict.fromkeys(ORDERS, 0)
    for seed in range(20 * block, 20 * block + 20):
        network, theta, x, y, loss, level = random_case(seed)
        solver = Exact(level=level, tolerance=1e-11)  # so that what is judged below stands above the residual
        beta = small_beta(network, theta, x, y, loss, solver)
        step = min(1e-3, beta)  # finite differences, too, need steps below the gap
        check = check_gradient(network, theta, x, y, loss=loss, rule=LinearResponse(), solver=solver, step=step)
        exact, scale = check.gradient, max(1.0, float(np.max(np.abs(check.reference))))
        assert check.largest_error < 2e-7 * scale, (seed, str(check))

        def error(rule, case=(network, theta, x, y), loss=loss, solver=solver, exact=exact):
            return float(
                np.max(np.abs(qeqprop.gradient(*case, loss=loss, rule=rule, solver=solver).values - exact.values))
            )

        for name, rules in {
            "one-sided": (OneSidedNudging(beta), OneSidedNudging(beta / 2)),
            "symmetric": (SymmetricNudging(beta), SymmetricNudging(beta / 2)),
            "richardson": (Richardson((8 * beta, 4 * beta)), Richardson((4 * beta, 2 * beta))),
        }.items():
            coarse, fine = error(rules[0]), error(rules[1])
            assert coarse < 0.2 * scale, (seed, name, coarse)
            if fine < 1e-11 * scale / beta:  # rounding, magnified by 1/beta
                continue
            judged[name] += 1
            order = np.log2(coarse / fine)
            assert abs(order - ORDERS[name]) < 0.35, (seed, name, order, coarse, fine)
        if network.num_sites <= 4:
            assert error(Holomorphic(5 * beta, 8)) < 1e-7 * scale, seed
    assert judged["one-sided"] >= 18
    assert judged["symmetric"] >= 12


@pytest.mark.parametrize("temperature", [0.2, 1.0, 10.0])
def test_rules_hold_in_gibbs_states(temperature):
    network = random_network(3, sites=3)
    random = np.random.default_rng(0)
    theta, x, y = network.initial, random.normal(size=(2, 2)), np.sign(random.normal(size=(2, 2)))
    solver = Exact(temperature=temperature)
    loss = losses.mean_squared_error()

    def value(index, shift):
        moved = theta.copy()
        moved[index] += shift
        parts = [dense_parts(network, moved, row) for row in x]
        outputs = [[gibbs_expectation(h, o, temperature) for o in outs] for h, _, outs in parts]
        return loss.value(np.array(outputs), y)

    reference = [five_point(lambda s, j=j: value(j, s), 1e-3) for j in range(network.n_trainable)]
    exact = qeqprop.gradient(network, theta, x, y, loss=loss, solver=solver)
    np.testing.assert_allclose(exact.values, reference, atol=1e-9)
    errors = [
        np.max(
            np.abs(qeqprop.gradient(network, theta, x, y, loss=loss, rule=rule, solver=solver).values - exact.values)
        )
        for rule in (SymmetricNudging(0.02), SymmetricNudging(0.01), Richardson((0.1, 0.05)))
    ]
    assert 3.5 < errors[0] / errors[1] < 4.5
    assert errors[2] < errors[1]


def test_the_gradient_of_a_degenerate_level_is_that_of_its_projector():
    """Two equal, uncoupled spins: the first excited level is twofold, and only its average has a smooth gradient."""
    network = qeqprop.Network.of(
        static=term("X", (0,), 2, -1.0) + term("X", (1,), 2, -1.0),
        trainable=[term("Z", (0,), 2, -1.0) + term("Z", (1,), 2, -1.0), term("ZZ", (0, 1), 2, -1.0)],
        outputs=[term("Z", (0,), 2)],
    )
    theta, x, y = [0.7, 0.0], np.zeros((1, 0)), np.zeros((1, 1))
    loss = losses.output()
    solver = Exact(level=1, multiplet="average")
    exact = qeqprop.gradient(network, theta, x, y, loss=loss, solver=solver)
    assert exact.certificate.degeneracy.tolist() == [[2]]
    first = finite_differences(network.freeze({1: 0.0}), [0.7], x, y, loss=loss, solver=solver)
    np.testing.assert_allclose(exact.values[:1], first, atol=1e-9)
    errors = [
        np.max(
            np.abs(
                qeqprop.gradient(network, theta, x, y, loss=loss, rule=SymmetricNudging(b), solver=solver).values
                - exact.values
            )
        )
        for b in (0.04, 0.02)
    ]
    assert 3.5 < errors[0] / errors[1] < 4.5


def test_a_split_level_has_no_response_and_an_ambiguous_output_is_said():
    network = qeqprop.Network.of(
        trainable=[term("ZZ", (0, 1), 2, -1.0)], outputs=[term("Z", (0,), 2)], static=term("XX", (0, 1), 2, -0.1)
    )
    with pytest.warns(PhysicsWarning, match="degenerate"):
        qeqprop.predict(network.freeze({0: 1.0}), [], np.zeros((1, 0)), solver=Exact(level=0, degenerate=0.3))
    lone = qeqprop.Network.of(trainable=[term("ZZ", (0, 1), 2, -1.0)], outputs=[term("Z", (0,), 2)])
    with pytest.warns(PhysicsWarning, match="degenerate"), pytest.raises(NotConverged, match="multiplet='average'"):
        qeqprop.gradient(lone, [1.0], np.zeros((1, 0)), np.full((1, 1), 0.5), loss=losses.mean_squared_error)


def test_a_crossed_level_is_followed_and_said():
    """Two uncoupled spins: a nudge of spin 1 alone pulls its excitation through that of spin 0."""
    network = qeqprop.Network.of(
        static=term("Z", (0,), 2, -1.0) + term("Z", (1,), 2, -1.1),
        trainable=[term("Z", (0,), 2, -1.0)],
        outputs=[term("Z", (1,), 2)],
    )
    loss = losses.output()
    with pytest.warns(PhysicsWarning, match="from level 1 the state went on in level 2"):
        found = qeqprop.gradient(
            network,
            [0.0],
            np.zeros((1, 0)),
            np.zeros((1, 0)),
            loss=loss,
            rule=OneSidedNudging(0.2),
            solver=Exact(level=1),
        )
    assert found.certificate.level[-2].tolist() == [2]
    np.testing.assert_allclose(found.values, 0.0, atol=1e-12)  # by index it would be -2 / 0.2 = -10


def test_a_tiny_gap_that_nothing_couples_is_harmless_and_reported():
    network = qeqprop.Network.of(
        static=term("ZZ", (0, 1), 3, -1.0) + term("X", (2,), 3, -0.4) + term("XX", (0, 1), 3, -1e-7),
        trainable=[term("Z", (2,), 3, -1.0)],
        outputs=[term("Z", (2,), 3)],
    )
    found = qeqprop.gradient(network, [0.3], np.zeros((1, 0)), np.zeros((1, 0)), loss=losses.output())
    assert found.certificate.gap[0, 0] < 1e-6
    assert found.certificate.degeneracy[0, 0] == 1
    np.testing.assert_allclose(found.values, 0.4**2 / 0.5**3, rtol=1e-9)


def test_one_sided_surrogates_bound_the_cost():
    """Ground states are concave in the nudge: J_(+b) <= <C> <= J_(-b), and the quotient is J's exact gradient."""
    network, x = one_qubit(), np.zeros((1, 0))
    theta = np.array([0.8, 1.5])

    def surrogate(beta, shift=(0.0, 0.0)):
        a, b = theta + shift
        return (-np.hypot(a - beta, b) + np.hypot(a, b)) / beta

    cost = qeqprop.predict(network, theta, x)[0, 0]
    assert surrogate(0.3) < cost < surrogate(-0.3)
    for beta in (0.3, -0.3):
        found = qeqprop.gradient(network, theta, x, np.zeros((1, 0)), loss=losses.output(), rule=OneSidedNudging(beta))
        wanted = [five_point(lambda s, d=d, b=beta: surrogate(b, s * d), 1e-3) for d in np.eye(2)]
        np.testing.assert_allclose(found.values, wanted, atol=1e-10)


def test_the_cost_observable_also_minimises_the_variance():
    network = random_network(1, sites=3)
    x, y = np.array([[0.3, -0.2]]), np.array([[1.0, -1.0]])
    signal = qeqprop.gradient(network, network.initial, x, y, loss=losses.mean_squared_error)
    observable = qeqprop.gradient(network, network.initial, x, y, loss=losses.cost_observable)
    squares = network.with_squares()
    means = qeqprop.predict(squares, network.initial, x)
    variance = 0.5 * np.sum(means[:, 2:] - means[:, :2] ** 2)
    np.testing.assert_allclose(observable.loss, signal.loss + variance, atol=1e-12)  # mse averages two outputs: 1/2 sum


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SymmetricNudging(0.0), "`beta` must be a finite number greater than 0"),
        (lambda: SymmetricNudging(float("nan")), "`beta` must be a finite number"),
        (lambda: SymmetricNudging("0.1"), "`beta` must be a finite number"),
        (lambda: OneSidedNudging(0.0), "`beta` must be a finite number other than 0"),
        (lambda: Richardson((0.1, 0.1)), "`betas` must hold different"),
        (lambda: Richardson(()), "`betas` must hold different"),
        (lambda: Holomorphic(0.1, 1), "`points` must be an integer at least 2"),
        (lambda: Holomorphic(0.1, 4.5), "`points` must be an integer"),
        (lambda: Exact(level=-1), "`level` must be an integer at least 0"),
        (lambda: Exact(multiplet="both"), "`multiplet` must be 'single' or 'average'"),
        (lambda: Exact(level=1, temperature=0.5), "exclude each other"),
    ],
)
def test_bad_settings_are_refused_by_name(make, message):
    with pytest.raises(ValueError, match=message):
        make()
