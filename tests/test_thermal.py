"""Learning in Gibbs states: rules against sums over all levels, at their orders; bounds, limits, what is wrong."""

import numpy as np
import pytest
from oracles import (
    TWO_ERRORS,
    chance_of_bias,
    dense_parts,
    dense_string,
    dense_sums,
    equal_time_covariance,
    five_point,
    free_energy,
    gibbs_expectation,
    isolated_response,
    kubo_mori,
)
from qiskit.quantum_info import PauliList
from systems import one_qubit, random_network

import qeqprop
from qeqprop import losses
from qeqprop.interfaces import PauliSums
from qeqprop.networks.transverse_ising import transverse_ising
from qeqprop.operators import term, total
from qeqprop.pauli_products import products
from qeqprop.propagation import at_temperature
from qeqprop.rules.linear_response import LinearResponse
from qeqprop.rules.nudging import OneSidedNudging, SymmetricNudging
from qeqprop.rules.richardson import Richardson
from qeqprop.runfile import RunFileError
from qeqprop.solvers.adiabatic import Adiabatic
from qeqprop.solvers.equal_time import EqualTime
from qeqprop.solvers.exact import Exact
from qeqprop.solvers.sampled import Sampled
from qeqprop.training import initial_theta

NO_INPUT, NO_TARGET = np.zeros((1, 0)), np.zeros((1, 0))
ORDERS = {"one-sided": 1, "symmetric": 2, "richardson": 4}


def random_case(seed):
    """A network of 1 to 4 sites, its parameters, and a temperature from cold to hot."""
    random = np.random.default_rng([seed, 6])
    network = random_network(seed, sites=int(random.integers(1, 5)), n_trainable=4, n_inputs=0, n_outputs=1)
    return network, network.initial + 0.3 * random.normal(size=4), float(10 ** random.uniform(-0.5, 1.0))


def gradient(network, theta, rule, temperature, solver=None):
    solver = Exact(temperature=temperature) if solver is None else solver
    return qeqprop.gradient(network, theta, NO_INPUT, NO_TARGET, loss=losses.output, rule=rule, solver=solver)


def nudged_free_energy(network, theta, temperature):
    """F(theta, beta), and the parts of the network."""
    hamiltonian, slopes, (cost,) = dense_parts(network, theta, ())

    def sum_over_levels(j, shift, beta):
        return free_energy(hamiltonian + shift * slopes[j] + beta * cost, temperature)

    return sum_over_levels, hamiltonian, slopes, cost


def slope_of_slope(free, j, step):
    """``d<C>/dtheta = d^2 F / dtheta dbeta``."""
    return five_point(lambda s: five_point(lambda b: free(j, s, b), step), step)


def slope_of_surrogate(free, j, beta, step):
    """``d/dtheta [F(beta) - F(0)] / beta``."""
    return five_point(lambda s: (free(j, s, beta) - free(j, s, 0)) / beta, step)


@pytest.mark.parametrize("block", range(5))
def test_100_random_networks_meet_sums_over_all_levels_at_the_stated_order(block):
    judged = dict.fromkeys(ORDERS, 0)
    for seed in range(20 * block, 20 * block + 20):
        network, theta, temperature = random_case(seed)
        free, hamiltonian, slopes, cost = nudged_free_energy(network, theta, temperature)
        found = gradient(network, theta, LinearResponse(), temperature).values
        exact = [kubo_mori(hamiltonian, cost, slope, temperature) for slope in slopes]
        scale = max(1.0, np.max(np.abs(exact)))
        np.testing.assert_allclose(found, exact, atol=1e-8 * scale)
        twice = [slope_of_slope(free, j, 2e-2 * temperature) for j in range(len(theta))]
        np.testing.assert_allclose(found, twice, atol=3e-5 * scale)

        beta = 0.02 * temperature
        for sign in (1, -1):  # a finite nudge is the exact gradient of J_b = [F(b) - F(0)]/b
            surrogate = [slope_of_surrogate(free, j, sign * beta, 1e-2 * temperature) for j in range(len(theta))]
            one_sided = gradient(network, theta, OneSidedNudging(sign * beta), temperature).values
            np.testing.assert_allclose(one_sided, surrogate, atol=1e-6 * scale)
        mean_cost = gibbs_expectation(hamiltonian, cost, temperature)
        output = qeqprop.predict(network, theta, NO_INPUT, solver=Exact(temperature=temperature))[0, 0]
        assert output == pytest.approx(mean_cost)
        for b in (beta, 50 * beta):
            below, above = ((free(0, 0, sign * b) - free(0, 0, 0)) / (sign * b) for sign in (1, -1))
            assert below < mean_cost < above

        for name, rules in {
            "one-sided": (OneSidedNudging(beta), OneSidedNudging(beta / 2)),
            "symmetric": (SymmetricNudging(2 * beta), SymmetricNudging(beta)),
            "richardson": (Richardson((8 * beta, 4 * beta)), Richardson((4 * beta, 2 * beta))),
        }.items():
            coarse, fine = (
                np.max(np.abs(gradient(network, theta, rule, temperature).values - found)) for rule in rules
            )
            if fine < 1e-11 * scale / beta:  # rounding, magnified by 1/beta
                continue
            judged[name] += 1
            assert abs(np.log2(coarse / fine) - ORDERS[name]) < 0.35, (seed, name, coarse, fine)
    assert judged["one-sided"] >= 18
    assert judged["symmetric"] >= 18
    assert judged["richardson"] >= 10


def test_cold_states_are_ground_states_up_to_the_weight_of_the_next_level():
    network, theta, _ = random_case(3)
    energies = np.linalg.eigvalsh(dense_parts(network, theta, ())[0])
    gap = energies[1] - energies[0]
    ground = gradient(network, theta, LinearResponse(), 0.0, Exact()).values
    left = []
    for temperature in (gap / 6, gap / 8):
        thermal = gradient(network, theta, LinearResponse(), temperature).values
        left.append(np.max(np.abs(thermal - ground)) / np.max(np.abs(ground)))
    assert left[0] < 30 * np.exp(-6)
    assert np.log(left[0] / left[1]) == pytest.approx(2.0, abs=0.4)  # exp(-gap/T), with a factor 1/T before it


def test_hot_states_leave_the_covariance_of_all_levels():
    """``T g -> -[Tr AC/d - Tr A Tr C/d^2]`` with corrections of order 1/T."""
    network, theta, _ = random_case(6)
    _, slopes, (cost,) = dense_parts(network, theta, ())
    dim = len(cost)
    hot = [-np.real(np.trace(a @ cost) / dim - np.trace(a) * np.trace(cost) / dim**2) for a in slopes]
    off = [
        np.max(np.abs(temperature * gradient(network, theta, LinearResponse(), temperature).values - hot))
        for temperature in (1e3, 2e3)
    ]
    assert off[0] < 0.02
    assert off[0] / off[1] == pytest.approx(2.0, abs=0.1)


def test_one_spin_at_temperature_one_has_the_published_numbers():
    solver = Exact(temperature=1.0)
    theta = np.array([0.8, 1.5])
    assert qeqprop.predict(one_qubit(), theta, NO_INPUT, solver=solver)[0, 0] == pytest.approx(0.440193, abs=1e-6)
    found = gradient(one_qubit(), theta, LinearResponse(), 1.0)
    np.testing.assert_allclose(found.values, [0.456072, -0.176566], atol=1e-6)


# --- the shortcut, and the trap ---------------------------------------------------------------------------------


def test_products_of_pauli_sums_are_those_of_matrices():
    random = np.random.default_rng(1)
    left = PauliSums(PauliList(["XYZ", "IIY", "ZZI", "III"]), random.normal(size=(3, 4)))
    right = PauliSums(PauliList(["YYX", "XII", "IZY"]), random.normal(size=(2, 3)))
    made = products(left, right)
    strings = np.array([dense_string(label) for label in made.strings.to_labels()])
    for b, second in enumerate(dense_sums(right)):
        for j, first in enumerate(dense_sums(left)):
            symmetric, commutator = (
                np.einsum("s,sij->ij", part[b, j], strings) for part in (made.symmetric, made.commutators)
            )
            np.testing.assert_allclose(symmetric, (first @ second + second @ first) / 2, atol=1e-12)
            np.testing.assert_allclose(commutator, (first @ second - second @ first) / 2j, atol=1e-12)


def classical(sites=3):
    """A diagonal network, whose every Gibbs state is a distribution of bits."""
    return transverse_ising(sites=sites, n_inputs=1, fields_x="uniform", field_x=0.0)


def conserved():
    """A Heisenberg chain in a field along Z, whose output, the sum of Z, commutes with H, while the terms do not."""
    bonds = [total(term(2 * w, (i, i + 1), 3) for w in "XYZ") for i in range(2)]
    fields = [term("Z", (0,), 3), term("X", (0,), 3)]
    return qeqprop.Network.of(
        static=total(term("Z", (i,), 3, 0.3) for i in range(3)),
        trainable=[*bonds, *fields],
        outputs=[total(term("Z", (i,), 3) for i in range(3))],
    )


def test_equal_times_are_exact_where_something_commutes_and_refused_elsewhere():
    random = np.random.default_rng(0)
    network = classical()
    theta, x, y = random.normal(size=network.n_trainable), random.normal(size=(3, 1)), np.ones((3, 1))
    exact = Exact(temperature=0.7)
    settings = {"loss": losses.mean_squared_error}
    wanted = qeqprop.gradient(network, theta, x, y, solver=exact, **settings)
    found = qeqprop.gradient(network, theta, x, y, solver=EqualTime(exact), **settings)
    np.testing.assert_allclose(found.values, wanted.values, atol=1e-12)

    network = conserved()
    theta = np.array([0.7, -0.4, 0.5, 0.0])  # without the last field the output is conserved
    found = gradient(network, theta, LinearResponse(), 0.6, EqualTime(Exact(temperature=0.6)))
    np.testing.assert_allclose(found.values, gradient(network, theta, LinearResponse(), 0.6).values, atol=1e-12)
    with pytest.raises(ValueError, match=r"Solver EqualTime .* in sample 0 .* x coth x"):
        gradient(network, [0.7, -0.4, 0.5, 0.1], LinearResponse(), 0.6, EqualTime(Exact(temperature=0.6)))
    with pytest.raises(ValueError, match="must have a temperature above 0"):
        EqualTime(Exact())


def test_equal_times_are_wrong_by_x_coth_x_where_nothing_commutes():
    """One spin along Z: the response of X to X has one transition, ``E = 2h``, so all of it is off by one factor."""
    h, temperature = 0.9, 0.5
    hamiltonian, flip = h * dense_string("Z"), dense_string("X")
    right = kubo_mori(hamiltonian, flip, flip, temperature)
    wrong = equal_time_covariance(hamiltonian, flip, flip, temperature)
    x = h / temperature
    assert wrong / right == pytest.approx(x / np.tanh(x), rel=1e-9)
    assert wrong / right > 1.8


def test_sampled_covariances_have_honest_errors_that_fall_as_the_root_of_the_shots():
    """Products and means are measured apart: unbiased, with the spread that each answer says of itself."""
    network = classical(2)
    theta = np.array([0.6, 0.3, -0.5, 0.8, -0.2])
    x, y = np.array([[0.5]]), np.array([[1.0]])
    settings = {"loss": losses.output}
    exact = qeqprop.gradient(network, theta, x, y, solver=Exact(temperature=0.8), **settings)
    spreads = []
    for shots in (200, 800):
        solver = EqualTime(Sampled(Exact(temperature=0.8), shots=shots))
        found = [qeqprop.gradient(network, theta, x, y, solver=solver, seed=seed, **settings) for seed in range(400)]
        values, errors = (np.array([getattr(one, name) for one in found]) for name in ("values", "std_errors"))
        assert chance_of_bias(values, exact.values) > TWO_ERRORS
        spreads.append(np.std(values, axis=0))
        np.testing.assert_allclose(np.sqrt(np.mean(errors**2, axis=0)), spreads[-1], rtol=0.2)
        assert found[0].shots == 4 * shots  # the error signal, the means of A, that of N, and the products
    exponent = np.log2(np.linalg.norm(spreads[1]) / np.linalg.norm(spreads[0])) / 2
    assert exponent == pytest.approx(-0.5, abs=0.05)


def test_an_isolated_thermal_state_misses_the_covariance_of_its_levels():
    """Nudged adiabatically its populations stay: ``-(1/T) Cov_p(A_nn, C_nn)`` of the Kubo-Mori response is absent."""
    network, theta, temperature = random_case(11)
    hamiltonian, slopes, (cost,) = dense_parts(network, theta, ())
    energies, vectors = np.linalg.eigh(hamiltonian)
    p = np.exp(-(energies - energies[0]) / temperature)
    p /= p.sum()
    c = np.real(np.diag(vectors.conj().T @ cost @ vectors))
    missing = []
    for slope in slopes:
        a = np.real(np.diag(vectors.conj().T @ slope @ vectors))
        missing.append(-(p @ (a * c) - (p @ a) * (p @ c)) / temperature)
        whole = kubo_mori(hamiltonian, cost, slope, temperature)
        isolated = isolated_response(hamiltonian, cost, slope, temperature)
        assert whole == pytest.approx(isolated + missing[-1], abs=1e-10)
    found = gradient(network, theta, LinearResponse(), temperature).values
    assert np.max(np.abs(missing)) > 0.1 * np.max(np.abs(found))
    with pytest.raises(ValueError, match=r"`temperature` must be 0 .* misses -\(1/T\) Cov_p"):
        Adiabatic(temperature=0.5)


# --- a schedule of temperatures -----------------------------------------------------------------------------------

COOLING = """schema = 1
[network]
use = "transverse_ising:transverse_ising"
sites = 3
n_inputs = 2
[data]
use = "boolean:xor"
[solver]
use = "exact:Exact"
temperature = 0.5
[train]
steps = 3
temperature = { use = "exponential", start = 2.0, rate = 0.5 }
"""


def test_a_run_cools_as_its_schedule_says_and_any_state_goes_on(tmp_path):
    path = tmp_path / "cooling.toml"
    path.write_text(COOLING)
    experiment = qeqprop.Experiment.load(path)
    assert experiment.setup.resolved["train"]["temperature"] == {"use": "exponential", "start": 2.0, "rate": 0.5}
    run = experiment.run(tmp_path / "runs")
    setup = experiment.setup
    theta = initial_theta(setup.network)
    memory = setup.optimizer.init(theta)
    for temperature in (2.0, 1.0, 0.5):
        x, y = setup.data.train
        found = qeqprop.gradient(setup.network, theta, x, y, loss=setup.loss, solver=Exact(temperature=temperature))
        theta, memory = setup.optimizer.update(found.values, memory, theta)
    np.testing.assert_array_equal(run.theta, theta)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('use = "exact:Exact"\ntemperature = 0.5', 'use = "dmrg:DMRG"', "train.temperature: Solver DMRG has no temp"),
        ('use = "exponential"', 'use = "exponentiol"', "did you mean 'exponential'"),
        ("rate = 0.5", "rate = 1.5", "train.temperature.rate: "),
    ],
)
def test_a_schedule_that_does_not_fit_is_refused(tmp_path, old, new, message):
    path = tmp_path / "cooling.toml"
    path.write_text(COOLING.replace(old, new))
    with pytest.raises(RunFileError, match=message):
        qeqprop.Experiment.load(path)


def test_wrapped_solvers_take_a_temperature():
    solver = at_temperature(EqualTime(Sampled(Exact(temperature=1.0))), 0.3)
    assert solver == EqualTime(Sampled(Exact(temperature=0.3)))
