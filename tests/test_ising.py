"""Ising networks: enumeration and samplers against sums over states, closed forms and each other."""

import warnings
from itertools import product

import numpy as np
import pytest
from oracles import TWO_ERRORS, chance_of_bias
from qiskit.quantum_info import SparsePauliOp
from scipy.special import ellipk

import qeqprop
from qeqprop import losses
from qeqprop.classical._spins import spin_problem, structure_of
from qeqprop.classical._variates import common_sites
from qeqprop.classical.chain_statistics import autocorrelation_time, r_hat
from qeqprop.classical.chains import Gibbs, Metropolis, Tempering
from qeqprop.classical.enumeration import Enumeration
from qeqprop.classical.ising import ising_of, layered_ising, square_lattice
from qeqprop.engine.spin_variates import sum_variates
from qeqprop.engine.threads import threads
from qeqprop.interfaces import Equilibria, Network, PauliSums, Start
from qeqprop.networks.transverse_ising import transverse_ising
from qeqprop.rules.linear_response import LinearResponse
from qeqprop.rules.nudging import OneSidedNudging, SymmetricNudging
from qeqprop.rules.richardson import Richardson
from qeqprop.solvers.exact import Exact

SAMPLERS = [Gibbs, Metropolis, Tempering]


def spin_glass(sites, seed, weights=(1, 2, 3), n_outputs=2):
    """Random couplings of one, two and three spins; the outputs are the first spins, theta are all couplings."""
    random = np.random.default_rng(seed)
    labels = set()
    while len(labels) < 3 * sites:
        letters = np.full(sites, "I")
        letters[random.choice(sites, size=random.choice(weights), replace=False)] = "Z"
        labels.add("".join(letters))
    outputs = ["I" * (sites - 1 - k) + "Z" + "I" * k for k in range(n_outputs)]
    return Network.of(
        trainable=[SparsePauliOp(label) for label in sorted(labels)],
        outputs=[SparsePauliOp(label) for label in outputs],
        initial=0.5 * random.normal(size=len(labels)),
    )


def by_hand(network, theta, temperature, nudge=None):
    """``<s_k>`` of the outputs and ``<A_j>`` by a loop over all states."""
    z, weight, outputs, gradients = np.asarray(network.strings.z), [], [], []
    coefficients = network.hamiltonians(theta, np.zeros((1, 0))).coefficients[0]
    if nudge is not None:
        coefficients = coefficients + nudge @ network.outputs
    for bits in product([0, 1], repeat=network.num_sites):
        spins = 1.0 - 2.0 * np.array(bits)
        strings = np.array([np.prod(spins[row]) for row in z])
        weight.append(np.exp(-(coefficients @ strings) / temperature))
        outputs.append(network.outputs @ strings)
        gradients.append(network.trainable @ strings)
    p = np.array(weight) / np.sum(weight)
    return p @ np.array(outputs), p @ np.array(gradients), p, np.array(outputs), np.array(gradients)


def case(network, rows=1):
    return network, network.initial, np.zeros((rows, 0)), np.tile([[0.4, -0.7][: network.n_outputs]], (rows, 1))


# --- enumeration ---------------------------------------------------------------------------------------------------


def test_enumeration_is_the_sum_over_states():
    network = spin_glass(5, 0)
    problem = Equilibria(
        network.hamiltonians(network.initial, np.zeros((1, 0))),
        PauliSums(network.strings, np.concatenate([network.outputs, network.trainable])),
        PauliSums(network.strings, np.array([[0.3, -1.1]]) @ network.outputs),
    )
    found = Enumeration(temperature=0.8).solve(problem)
    y, a, p, outputs, gradients = by_hand(network, network.initial, 0.8)
    np.testing.assert_allclose(found.expectations.values[0], np.concatenate([y, a]), atol=1e-13)
    n = outputs @ np.array([0.3, -1.1])
    everything = np.concatenate([outputs, gradients], axis=1)
    covariance = p @ (everything * n[:, None]) - (p @ everything) * (p @ n)
    np.testing.assert_allclose(found.response.values[0], -covariance / 0.8, atol=1e-13)


@pytest.mark.parametrize("temperature", [0.0, 0.3, 2.0])
def test_enumeration_agrees_with_exact_quantum_states(temperature):
    network = spin_glass(6, 3)
    found, wanted = (
        qeqprop.gradient(*case(network), loss=losses.mean_squared_error, solver=solver(temperature=temperature))
        for solver in (Enumeration, Exact)
    )
    np.testing.assert_allclose(found.values, wanted.values, atol=1e-12)
    np.testing.assert_allclose(found.predictions, wanted.predictions, atol=1e-12)
    if temperature == 0:
        np.testing.assert_allclose(found.certificate.gap_above, wanted.certificate.gap_above, rtol=1e-2)  # estimated
        assert np.all(found.values == 0)  # discrete spins below the gap


def test_cold_limit_of_the_gradient_dies_with_the_gap():
    """One spin in the field h: ``dy/dh = (1 / T) / cosh(h / T)^2 ~ (4 / T) exp(-2 h / T)``, and 2 h is the gap."""
    network = Network.of(trainable=[SparsePauliOp("Z", [-1.0])], outputs=[SparsePauliOp("Z")])
    where = (network, [0.7], np.zeros((1, 0)), np.zeros((1, 0)))
    found = [qeqprop.gradient(*where, loss=losses.output, solver=Enumeration(t)) for t in (0.07, 0.05, 0.0)]
    gap = found[2].certificate.gap_above[0, 0]
    assert gap == pytest.approx(1.4)
    for temperature, one in zip((0.07, 0.05), found, strict=False):
        assert one.values[0] == pytest.approx(4 / temperature * np.exp(-gap / temperature), rel=1e-6)
    assert found[2].values[0] == 0


def test_degenerate_ground_levels_are_said():
    pair = Network.of(trainable=[SparsePauliOp("ZZ")], outputs=[SparsePauliOp("IZ")], initial=[-1.0])
    with pytest.warns(qeqprop.PhysicsWarning, match="1 of 1 lowest levels are degenerate"):
        assert qeqprop.predict(pair, [-1.0], np.zeros((1, 0)), solver=Enumeration()) == pytest.approx(0.0)
    with (
        warnings.catch_warnings(),
        pytest.raises(qeqprop.NotConverged, match="degenerate and the nudge splits it"),
    ):
        warnings.simplefilter("ignore", qeqprop.PhysicsWarning)
        qeqprop.gradient(pair, [-1.0], np.zeros((1, 0)), np.zeros((1, 0)), loss=losses.output, solver=Enumeration())


def test_nudging_misses_by_the_cumulants():
    """One-sided by ``b/(2 T^2) kappa(A, C, C)``, symmetric by ``-b^2/(6 T^3) kappa(A, C, C, C)``."""
    network, temperature = spin_glass(5, 1), 0.9
    weights = np.array([0.6, -1.0])
    _, mean, p, outputs, a = by_hand(network, network.initial, temperature)
    c = outputs @ weights - p @ outputs @ weights
    third = (p * c**2) @ (a - mean)
    fourth = (p * c**3) @ (a - mean) - 3 * (p @ c**2) * ((p * c) @ (a - mean))
    where = (network, network.initial, np.zeros((1, 0)), np.zeros((1, 0)))

    def found(rule):
        loss = losses.output(weights=weights)
        return qeqprop.gradient(*where, loss=loss, rule=rule, solver=Enumeration(temperature)).values

    exact, b = found(LinearResponse()), 1e-3
    np.testing.assert_allclose((found(OneSidedNudging(b)) - exact) / b, third / (2 * temperature**2), atol=3e-3)
    b = 1e-2
    np.testing.assert_allclose((found(SymmetricNudging(b)) - exact) / b**2, -fourth / (6 * temperature**3), atol=3e-3)


def free_energy(network, theta, temperature, nudge):
    coefficients = network.hamiltonians(theta, np.zeros((1, 0))).coefficients[0] + nudge @ network.outputs
    states = np.array(list(product([1.0, -1.0], repeat=network.num_sites)))
    strings = np.stack([np.prod(states[:, row], axis=1) for row in np.asarray(network.strings.z)], axis=1)
    return -temperature * np.log(np.sum(np.exp(-(strings @ coefficients) / temperature)))


def test_a_hundred_networks_keep_every_formula():
    """The response by finite differences of the mean cost, nudges at their orders, finite nudges by free energies."""
    for seed in range(100):
        random = np.random.default_rng(seed)
        network, temperature = spin_glass(4, seed), float(random.uniform(0.5, 2.0))
        weights, theta = random.normal(size=2), network.initial
        loss, solver = losses.output(weights=weights), Enumeration(temperature)
        where = (network, theta, np.zeros((1, 0)), np.zeros((1, 0)))

        def found(rule, where=where, loss=loss, solver=solver):
            return qeqprop.gradient(*where, loss=loss, rule=rule, solver=solver)

        def surrogate(beta, point, network=network, temperature=temperature, weights=weights):
            ends = [free_energy(network, point, temperature, nudge * weights) for nudge in (beta, 0.0)]
            return (ends[0] - ends[1]) / beta

        exact = found(LinearResponse())
        k, step = int(random.integers(network.n_trainable)), 1e-4
        push = step * np.eye(network.n_trainable)[k]
        costs = [qeqprop.predict(network, theta + s * push, where[2], solver=solver)[0] @ weights for s in (1, -1)]
        assert exact.values[k] == pytest.approx((costs[0] - costs[1]) / (2 * step), abs=1e-7)
        for rule, order in ((OneSidedNudging, 1), (SymmetricNudging, 2)):
            errors = [np.linalg.norm(found(rule(beta)).values - exact.values) for beta in (0.004, 0.008)]
            assert np.log2(errors[1] / errors[0]) == pytest.approx(order, abs=0.1)
        beta = 0.7
        slope = (surrogate(beta, theta + push) - surrogate(beta, theta - push)) / (2 * step)
        assert found(OneSidedNudging(beta)).values[k] == pytest.approx(slope, abs=1e-6)
        assert surrogate(beta, theta) <= exact.loss + 1e-12 <= surrogate(-beta, theta) + 2e-12


# --- the diagonal limit --------------------------------------------------------------------------------------------


def test_the_diagonal_limit_drops_what_flips():
    quantum = transverse_ising(sites=4, n_inputs=2, fields_x="trainable", n_outputs=2)
    ising = ising_of(quantum)
    assert not np.any(ising.strings.x)
    kept = [name in ising.term_names for name in quantum.term_names]
    assert len(ising.term_names) == sum(kept) < len(kept)
    x, random = np.array([[0.3, -0.8]]), np.random.default_rng(1)
    theta = random.normal(size=quantum.n_trainable) * np.array(kept)
    wanted = qeqprop.predict(quantum, theta, x, solver=Exact(temperature=0.6))
    found = qeqprop.predict(ising, theta[kept], x, solver=Enumeration(temperature=0.6))
    np.testing.assert_allclose(found, wanted, atol=1e-12)
    # what does not flip is taken as it is, and <X> is zero
    both = [
        qeqprop.gradient(quantum, theta, x, [[1.0, 0.0]], loss=losses.mean_squared_error, solver=solver).values
        for solver in (Enumeration(temperature=0.6), Exact(temperature=0.6))
    ]
    np.testing.assert_allclose(*both, atol=1e-12)


def test_what_flips_is_refused():
    quantum = transverse_ising(sites=3)
    for solver in (Enumeration(temperature=1.0), Gibbs()):
        with pytest.raises(ValueError, match=r"spins along Z only, but the Hamiltonian holds .*X.*ising_of"):
            qeqprop.predict(quantum, quantum.initial, np.zeros((1, 0)), solver=solver)
    flipping = Network.of(trainable=[SparsePauliOp("Z")], outputs=[SparsePauliOp("X")])
    with pytest.raises(ValueError, match="output 0 holds X or Y"):
        ising_of(flipping)
    with pytest.raises(ValueError, match="must have a trainable term of Z only"):
        ising_of(Network.of(trainable=[SparsePauliOp("X")], outputs=[SparsePauliOp("Z")]))
    with pytest.raises(ValueError, match="at most 20 sites"):
        big = layered_ising(hidden=(20,))
        qeqprop.predict(big, big.initial, np.zeros((1, 4)), solver=Enumeration(1.0))
    with pytest.raises(ValueError, match="`hottest` must be above"):
        Tempering(temperature=2.0, hottest=1.0)


def test_layers_are_coupled_to_their_neighbours():
    network = layered_ising(n_inputs=3, hidden=(2, 4), n_outputs=2)
    assert (network.num_sites, network.n_outputs, network.n_trainable) == (8, 2, 3 * 2 + 2 * 4 + 4 * 2 + 8)
    assert network.term_names[:3] == ("x0 Z0", "x0 Z1", "x1 Z0")
    theta, x = np.random.default_rng(0).normal(size=network.n_trainable), np.array([[0.5, -1.0, 2.0]])
    W, J, K = theta[:6].reshape(3, 2), theta[6:14].reshape(2, 4), theta[14:22].reshape(4, 2)
    spins = np.random.default_rng(1).choice([-1.0, 1.0], size=8)
    one, two, out = spins[:2], spins[2:6], spins[6:]
    energy = -(x[0] @ W @ one) - one @ J @ two - two @ K @ out - theta[22:] @ spins
    strings = np.array([np.prod(spins[row]) for row in np.asarray(network.strings.z)])
    assert network.hamiltonians(theta, x).coefficients[0] @ strings == pytest.approx(energy)


# --- samplers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_samplers_agree_with_enumeration_of_twenty_spins(sampler):
    network = spin_glass(20, 7)
    exact = qeqprop.gradient(*case(network), loss=losses.mean_squared_error, solver=Enumeration(1.2))
    found = qeqprop.gradient(
        *case(network), loss=losses.mean_squared_error, solver=sampler(1.2, chains=256, samples=200), seed=3
    )
    away = (found.values - exact.values) / found.std_errors
    assert np.all(np.abs(away) < 4.5)
    assert 0.6 < np.sqrt(np.mean(away**2)) < 1.5
    assert np.max(found.std_errors) < 0.1 * np.max(np.abs(exact.values))
    assert np.all(found.certificate.r_hat < 1.1)
    assert found.shots == 3 * 256 * 200  # outputs, the response, and the probe of two noisy outputs


def onsager(temperature):
    """Magnetisation and energy per site of the infinite square lattice with J = 1."""
    k = 2 * np.sinh(2 / temperature) / np.cosh(2 / temperature) ** 2
    slope = 2 * np.tanh(2 / temperature) ** 2 - 1
    energy = -1 / np.tanh(2 / temperature) * (1 + 2 / np.pi * slope * ellipk(k**2))
    return (1 - np.sinh(2 / temperature) ** -4) ** 0.125, energy


@pytest.mark.parametrize("sampler", [Gibbs, Metropolis])
def test_square_lattice_below_the_critical_temperature(sampler):
    """From the ordered state: |m| and u of the infinite lattice, from which 24 x 24 differ by exp(-24 / 2)."""
    lattice = square_lattice(length=24)
    sites = lattice.num_sites
    problem = Equilibria(
        lattice.hamiltonians([1.0], np.zeros((1, 0))),
        PauliSums(lattice.strings, np.concatenate([lattice.outputs, lattice.trainable / sites])),
        start=Start({"spins": np.ones((1, 64, 1, sites), dtype=np.int8)}),
        key=(4,),
    )
    found = sampler(2.0, chains=64, samples=300).solve(problem)
    m, u = onsager(2.0)
    assert (m, u) == (pytest.approx(0.911319, abs=1e-6), pytest.approx(-1.745565, abs=1e-6))
    wanted, errors = np.array([m, u]), found.expectations.std_errors[0]
    assert np.all(errors < 1.5e-3)
    assert np.all(np.abs(found.expectations.values[0] - wanted) < 4 * errors)


RULES = [LinearResponse(), SymmetricNudging(0.4), OneSidedNudging(0.4), Richardson((0.3, 0.6))]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
def test_sampled_rules_have_no_bias_right_errors_and_fall_as_the_root_of_the_samples(rule):
    """400 repetitions at two lengths; the exact gradient of the same rule is enumerated.

    The signal is larger than its noise: where it is not, the error bars of nudging are up to a quarter too wide.
    """
    network = spin_glass(6, 5, weights=(1, 2), n_outputs=1)
    where = (network, network.initial, np.zeros((1, 0)), np.array([[-0.8]]))
    asked = {"loss": losses.mean_squared_error(), "rule": rule}
    exact = qeqprop.gradient(*where, solver=Enumeration(1.0), **asked).values
    spreads = []
    for samples in (20, 80):
        solver = Gibbs(1.0, chains=64, samples=samples, r_hat=10.0)
        runs = [qeqprop.gradient(*where, solver=solver, seed=seed, **asked) for seed in range(400)]
        values, errors = np.array([run.values for run in runs]), np.array([run.std_errors for run in runs])
        assert chance_of_bias(values, exact) > TWO_ERRORS
        spreads.append(values.std(axis=0, ddof=1))
        np.testing.assert_allclose(np.sqrt(np.mean(errors**2, axis=0)), spreads[-1], rtol=0.2)
    exponent = np.log2(np.linalg.norm(spreads[1]) / np.linalg.norm(spreads[0])) / 2
    assert exponent == pytest.approx(-0.5, abs=0.05)


@pytest.mark.parametrize(("seed", "n_outputs"), [(2, 3), (7, 2)])
@pytest.mark.parametrize("loss", [losses.mean_squared_error(), losses.cross_entropy()], ids=lambda loss: loss.name)
def test_responses_to_several_noisy_outputs_have_right_errors(loss, seed, n_outputs):
    """The noise of the outputs also moves the signal across itself, where it may do more than along it."""
    network = spin_glass(6, seed, weights=(1, 2), n_outputs=n_outputs)
    where = (network, network.initial, np.zeros((1, 0)), np.eye(n_outputs)[:1])
    solver = Gibbs(1.0, chains=64, samples=60, burn_in=30, r_hat=10.0)

    def ratios(rule):
        runs = [qeqprop.gradient(*where, loss=loss, rule=rule, solver=solver, seed=one) for one in range(400)]
        values, errors = np.array([run.values for run in runs]), np.array([run.std_errors for run in runs])
        return np.sqrt(np.mean(errors**2, axis=0)) / values.std(axis=0, ddof=1), runs[0].shots

    probed, shots = ratios(LinearResponse())
    np.testing.assert_allclose(probed, 1.0, atol=0.2)
    assert shots == 3 * 64 * 60
    if loss.name == "mean_squared_error":
        inferred, shots = ratios(LinearResponse(probe=False))
        assert np.min(inferred) < 0.8
        assert shots == 2 * 64 * 60


def test_variates_are_what_an_update_of_every_spin_changes():
    """``E[f(s with s_k drawn anew)] - f(s)`` summed over k, for every string A, for N and for all ``A N``."""
    network, random, temperature = spin_glass(5, 1), np.random.default_rng(0), 0.7
    problem = spin_problem(
        Equilibria(
            network.hamiltonians(network.initial, np.zeros((1, 0))),
            PauliSums(network.strings, network.trainable),
            PauliSums(network.strings, random.normal(size=(1, len(network.strings)))),
        ),
        "test",
    )
    draws = random.choice([-1, 1], size=(1, 3, 5, 4)).astype(np.int8)
    c, push, holds = problem.coefficients[0], problem.perturbation[0], problem.holds
    structure = structure_of(holds, c != 0)
    plain, joint, pushed = np.zeros((1, len(holds), 4)), np.zeros((1, len(holds), 4)), np.zeros((1, 4))
    common = common_sites(holds, push != 0)
    energies = (problem.coefficients, problem.perturbation, 1 / temperature)
    read = (draws, plain, joint, pushed)
    sum_variates(tuple(structure.graph), tuple(structure.tables), common, *energies, *read, 0, 1)

    def strings(spins):
        return np.array([np.prod(spins[row]) for row in holds])

    def everything(spins):
        a = strings(spins)
        return np.concatenate([a, a * (push @ a), [push @ a]])

    for chain in range(4):
        wanted = np.zeros(2 * len(holds) + 1)
        for spins in draws[0, :, :, chain].astype(float):
            for site in range(5):
                both = np.array([np.where(np.arange(5) == site, spin, spins) for spin in (1.0, -1.0)])
                weights = np.array([np.exp(-(c @ strings(one)) / temperature) for one in both])
                wanted += weights @ [everything(one) for one in both] / weights.sum() - everything(spins)
        found = np.concatenate([plain[0, :, chain], joint[0, :, chain], pushed[:, chain]])
        np.testing.assert_allclose(found, wanted, atol=1e-12)


QUIETER = [(Gibbs, 1.0, 1.7), (Metropolis, 1.0, 1.7), (Gibbs, 3.0, 6.0), (Tempering, 3.0, 6.0)]


@pytest.mark.parametrize(("sampler", "temperature", "factor"), QUIETER)
def test_variates_take_noise_and_leave_no_bias(sampler, temperature, factor):
    """400 gradients without a nudge: unbiased, right errors, and so many times the samples would be needed without."""
    network = spin_glass(6, 5, n_outputs=2)
    where = (network, network.initial, np.zeros((1, 0)), np.array([[-0.8, 0.6]]))
    loss = losses.mean_squared_error()
    exact = qeqprop.gradient(*where, loss=loss, solver=Enumeration(temperature)).values
    spreads = []
    for variates in (False, True):
        solver = sampler(temperature, chains=64, samples=40, burn_in=60, r_hat=10.0, variates=variates)
        runs = [qeqprop.gradient(*where, loss=loss, solver=solver, seed=seed) for seed in range(400)]
        values, errors = np.array([run.values for run in runs]), np.array([run.std_errors for run in runs])
        spreads.append(values.std(axis=0, ddof=1))
        assert chance_of_bias(values, exact) > TWO_ERRORS / (2 * len(QUIETER))  # so many are asked
        np.testing.assert_allclose(np.sqrt(np.mean(errors**2, axis=0)), spreads[-1], rtol=0.2)
    assert np.sum(spreads[0] ** 2) > factor * np.sum(spreads[1] ** 2)


def test_variates_take_chains_for_their_weights():
    with pytest.raises(ValueError, match="`chains` must be at least 16 with `variates`, but is 8"):
        network = spin_glass(4, 1)
        qeqprop.predict(network, network.initial, np.zeros((1, 0)), solver=Gibbs(chains=8, variates=True))


def test_errors_fall_as_the_root_of_the_samples():
    network = spin_glass(8, 2)
    numbers = np.array([50, 200, 800])
    sizes = [
        np.sqrt(
            np.mean(
                qeqprop.gradient(
                    *case(network, rows=4), loss=losses.mean_squared_error, solver=Gibbs(1.0, samples=samples), seed=1
                ).std_errors
                ** 2
            )
        )
        for samples in numbers.tolist()
    ]
    assert np.polyfit(np.log(numbers), np.log(sizes), 1)[0] == pytest.approx(-0.5, abs=0.05)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_streams_are_functions_of_the_key_alone(sampler):
    network = spin_glass(7, 4)
    problem = Equilibria(
        network.hamiltonians(network.initial, np.zeros((3, 0))), PauliSums(network.strings, network.outputs), key=(1, 2)
    )
    solver = sampler(1.0, chains=40, samples=20, r_hat=3.0)
    with threads(1):
        alone = solver.solve(problem)
    with threads(2):
        together = solver.solve(problem)
    np.testing.assert_array_equal(alone.expectations.values, together.expectations.values)
    np.testing.assert_array_equal(alone.start.arrays["spins"], together.start.arrays["spins"])
    assert len({tuple(row) for row in alone.expectations.values}) == 3  # equal samples have streams of their own
    other = solver.solve(Equilibria(problem.hamiltonians, problem.observables, key=(1, 3)))
    assert np.all(other.expectations.values != alone.expectations.values)


def test_a_precision_is_reached():
    network = spin_glass(8, 6)
    problem = Equilibria(
        network.hamiltonians(network.initial, np.zeros((1, 0))), PauliSums(network.strings, network.outputs), key=(1,)
    )
    found = Gibbs(1.0, samples=20).solve(problem, precision=2e-3)
    assert np.all(found.expectations.std_errors < 2.4e-3)
    exact = Enumeration(1.0).solve(problem).expectations.values
    assert np.all(np.abs(found.expectations.values - exact) < 4.5 * found.expectations.std_errors)
    with pytest.raises(ValueError, match=r"`precision` of 1.0e-06 would take"):
        Gibbs(1.0, samples=20).solve(problem, precision=1e-6)


def test_valleys_that_chains_do_not_leave_are_said_and_tempering_leaves_them():
    """A ferromagnet of 12 spins in a weak field, cold: single flips stay where they began."""
    sites = 12
    pairs = total_coupling(sites)
    network = Network.of(
        static=pairs,
        trainable=[SparsePauliOp("Z" + "I" * (sites - 1), [-0.1])],
        outputs=[SparsePauliOp("I" * 11 + "Z")],
    )
    where = (network, np.ones(1), np.zeros((1, 0)))
    with pytest.warns(qeqprop.PhysicsWarning, match="chains do not agree yet"):
        stuck = qeqprop.predict(*where, solver=Gibbs(0.8), seed=1)
    exact = qeqprop.predict(*where, solver=Enumeration(0.8))
    outputs, quality, _ = qeqprop.propagation.measure_outputs(
        *where, solver=Tempering(0.8, hottest=12.0, rungs=12, samples=2000, burn_in=500), seed=1
    )
    assert abs(outputs.values - exact) < 4 * outputs.std_errors
    assert abs(stuck - exact) > 0.05
    assert quality.r_hat[0] < 1.1 < r_hat(np.ones((1, 8, 2)) * [[[1.0, -1.0]]])[0]


def total_coupling(sites):
    return SparsePauliOp.from_sparse_list(
        [("ZZ", [k, m], -0.5) for k in range(sites) for m in range(k)], num_qubits=sites
    )


# --- statistics ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("memory", [0.0, 0.6, 0.9])
def test_autocorrelation_time_of_a_known_process(memory):
    """``s_t = a s_(t-1) + noise`` has ``tau = (1 + a) / (2 (1 - a))``."""
    random = np.random.default_rng(2)
    noise = random.normal(size=(2, 2000, 50))
    series = np.empty_like(noise)
    series[:, 0] = noise[:, 0] / np.sqrt(1 - memory**2)
    for step in range(1, 2000):
        series[:, step] = memory * series[:, step - 1] + noise[:, step]
    np.testing.assert_allclose(autocorrelation_time(series), (1 + memory) / (2 * (1 - memory)), rtol=0.05)
    np.testing.assert_allclose(r_hat(series), 1.0, atol=0.03)
    assert np.all(autocorrelation_time(np.ones((1, 10, 4))) == 0.5)


@pytest.mark.filterwarnings("ignore:Solver Gibbs:qeqprop.PhysicsWarning")  # trained, the valleys are deep
def test_a_run_file_trains_an_ising_network(tmp_path):
    path = tmp_path / "ising.toml"
    path.write_text(
        """
schema = 1
seed = 2
loss = { use = "mean_squared_error" }
[network]
use = "qeqprop.classical.ising:layered_ising"
n_inputs = 2
hidden = [3]
[data]
use = "boolean:xor"
[solver]
use = "qeqprop.classical.chains:Gibbs"
temperature = 0.7
chains = 64
samples = 30
burn_in = 20
[optimizer]
use = "adam"
learning_rate = 0.1
[train]
steps = 80
validate_every = 80
"""
    )
    experiment = qeqprop.Experiment.load(path)
    assert experiment.check().sites == 4
    with pytest.raises(ValueError, match="asks for complex nudges, which Gibbs cannot settle"):
        qeqprop.Experiment.load(path, ["rule.use=holomorphic:Holomorphic"])
    with pytest.raises(ValueError, match="device: must be left out with the solver Gibbs"):
        qeqprop.Experiment.load(path, ["device.use=aer:Aer", "device.shots=10"])
    run = experiment.run(tmp_path / "runs")
    assert run.metrics["validation_accuracy"] == 1.0
    assert run.shots > 0
