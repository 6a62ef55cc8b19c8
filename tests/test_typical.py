"""Gibbs states from random vectors: the vectors against dense exponentials, the averages against their error bars."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import dense_sums, gibbs_expectation, kubo_mori
from qiskit.quantum_info import PauliList
from scipy.linalg import expm_frechet
from systems import ising_chain, ising_chain_levels, random_network

import qeqprop
from qeqprop import losses
from qeqprop.engine import thermal
from qeqprop.engine.eigen import complex_picture, dense_spectrum
from qeqprop.engine.layout import layout_of
from qeqprop.engine.paulis import PauliTable
from qeqprop.engine.response import gibbs_response
from qeqprop.engine.threads import threads
from qeqprop.interfaces import Equilibria, NotConverged, PauliSums
from qeqprop.networks.transverse_ising import transverse_ising
from qeqprop.propagation import measure_outputs
from qeqprop.rules.linear_response import LinearResponse
from qeqprop.rules.nudging import SymmetricNudging
from qeqprop.solvers.exact import Exact
from qeqprop.solvers.typical import Typical

NO_INPUT = np.zeros((1, 0))


def splitmix_signs(seed, size):
    """Bit b mod 64 of the hash of word b // 64, as a sign."""
    signs, mask = [], 2**64 - 1
    for word in range(-(-size // 64)):
        bits = (seed + (word + 1) * 0x9E3779B97F4A7C15) & mask
        bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & mask
        bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & mask
        bits ^= bits >> 31
        signs += [1.0 - 2.0 * ((bits >> place) & 1) for place in range(64)]
    return np.array(signs[:size])


def random_labels(random, sites, n_strings, letters):
    """Different strings, at least one of them with a Y if there is one among the letters."""
    labels = {letters[-1] + "I" * (sites - 1)}
    while len(labels) < min(n_strings, 3**sites):
        labels.add("".join(random.choice(list("I" + letters), sites)))
    return sorted(labels)


@st.composite
def cases(draw):
    random = np.random.default_rng(draw(st.integers(0, 10**6)))
    sites = draw(st.integers(3, 8))
    labels = random_labels(random, sites, draw(st.integers(2, 20)), draw(st.sampled_from(["XZ", "XZY", "ZX"])))
    batch = draw(st.integers(1, 2))
    scale = draw(st.sampled_from([0.0, 0.1, 1.0]))
    coefficients = scale * random.normal(size=(batch, len(labels)))
    return labels, coefficients, random.normal(size=coefficients.shape), draw(st.sampled_from([0.2, 1.0, 30.0]))


@settings(deadline=None, max_examples=40)
@given(cases(), st.integers(0, 2**64 - 1), st.sampled_from([0, 1, 3]))
def test_thermal_vectors_and_their_derivatives_are_those_of_dense_exponentials(case, seed, n_lowest):
    labels, coefficients, pushes, temperature = case
    table = PauliTable.of(PauliList(labels))
    layout = layout_of(table)
    known = thermal.outline(layout, coefficients, temperature, n_lowest)
    lower, upper, lowest = known
    copies, n_lowest = 1 + layout.partner, min(n_lowest, table.dim // 4)
    assert lowest.shape == (len(coefficients), copies * n_lowest, 1 << layout.sites)
    seeds = np.array([[seed, seed // 3, seed // 7]] * len(coefficients), dtype=np.uint64)
    found = thermal.thermal_moments(layout, coefficients, temperature, known, seeds, pushes, 1e-10)
    assert np.all(found.errors < 1e-9)
    for b, (h, n) in enumerate(zip(table.matrices(coefficients), table.matrices(pushes), strict=True)):
        levels = np.linalg.eigvalsh(h)
        assert lower[b] <= levels[0] + 1e-12 * np.sum(np.abs(coefficients))
        assert upper[b] >= levels[-1] - 1e-12 * np.sum(np.abs(coefficients))
        a = -(h - lower[b] * np.eye(table.dim)) / (2 * temperature)
        power, slope = expm_frechet(a, -n / (2 * temperature))
        q = lowest[b]
        np.testing.assert_allclose(q @ q.T, np.eye(len(q)), atol=1e-12)
        for v in range(3):
            r = splitmix_signs(int(seeds[b, v]), 1 << layout.sites)
            vectors = complex_picture(table, np.array([r - (r @ q.T) @ q, *np.sqrt(copies) * q[:n_lowest]]))
            phis, phi_slopes = vectors @ power.T, vectors @ slope.T
            size = np.sum(np.abs(phis) ** 2)
            tight = {"rtol": 1e-9, "atol": 1e-9 * size}
            np.testing.assert_allclose(found.squares[b, v, 0], size, **tight)
            elements = np.sum(np.real(table.elements(phis, phis)), axis=0)
            np.testing.assert_allclose(found.elements[b, v], elements, **tight)
            tight["atol"] = 1e-8 * size / temperature
            wanted = 2 * np.sum(np.real(phis.conj() * phi_slopes))
            np.testing.assert_allclose(found.square_slopes[b, v, 0], wanted, **tight)
            elements = 2 * np.sum(np.real(table.elements(phis, phi_slopes)), axis=0)
            np.testing.assert_allclose(found.slopes[b, v], elements, **tight)


@settings(deadline=None, max_examples=60)
@given(st.floats(-3, 6), st.sampled_from([1e-6, 1e-11, 1e-15]))
def test_the_series_is_the_exponential_to_its_bound(power, tolerance):
    a = 10.0**power
    series, left_out = thermal.exponential_series(a, tolerance)
    assert left_out <= max(tolerance, 1e-19)
    x = np.cos(np.linspace(0, np.pi, 50))
    found = np.polynomial.chebyshev.chebval(x, series)
    np.testing.assert_allclose(found, np.exp(-a * (x + 1)), atol=left_out + 1e-14 * np.sqrt(len(series)))
    assert len(series) < 20 + 12 * np.sqrt(a)


def dense_gibbs(labels, coefficients, pushes, temperature):
    """Exact expectations and responses of all strings, (batch, n_strings)."""
    table = PauliTable.of(PauliList(labels))
    spectrum = dense_spectrum(table, coefficients)
    weights = np.exp(-(spectrum.energies - spectrum.energies[:, :1]) / temperature)
    weights /= np.sum(weights, axis=1, keepdims=True)
    density = np.swapaxes(spectrum.vectors, 1, 2) @ (weights[:, :, None] * spectrum.vectors.conj())
    return np.real(table.traces(density)), gibbs_response(table, spectrum, weights, temperature, pushes)


def answer_of(labels, coefficients, solver, pushes=None, key=(1, 2, 3), **choices):
    strings = PauliList(labels)
    push = None if pushes is None else PauliSums(strings, pushes)
    every = PauliSums(strings, np.eye(len(labels)))
    return solver.solve(Equilibria(PauliSums(strings, coefficients), every, push, key=key), **choices)


@pytest.mark.parametrize("letters", ["XZ", "XZY"])
@pytest.mark.parametrize("temperature", [0.1, 0.5, 3.0])
def test_averages_and_responses_scatter_around_the_exact_ones_as_their_errors_say(letters, temperature):
    random = np.random.default_rng(5)
    labels = random_labels(random, 8, 30, letters)
    coefficients, pushes = random.normal(size=(2, 1, 30)) / 2
    exact, slope = dense_gibbs(labels, coefficients, pushes, temperature)
    solver = Typical(temperature, vectors=24)
    many = 40
    answer = answer_of(labels, np.tile(coefficients, (many, 1)), solver, np.tile(pushes, (many, 1)))
    for found, wanted in ((answer.expectations, exact), (answer.response, slope)):
        pulls = (found.values - wanted) / found.std_errors
        assert 0.8 < np.mean(pulls**2) < 1.3  # (vectors - 1) / (vectors - 3) for normal numbers
        assert np.max(np.abs(np.mean(pulls, axis=0))) < 4.5 / np.sqrt(many)
        assert np.max(np.abs(pulls)) < 6.5


def test_levels_taken_exactly_leave_less_to_chance():
    random = np.random.default_rng(8)
    labels = random_labels(random, 9, 30, "XZY")
    coefficients, pushes = random.normal(size=(2, 1, 30)) / 2
    exact, slope = dense_gibbs(labels, coefficients, pushes, 0.1)
    errors = []
    for levels in (0, 4, 16):
        answer = answer_of(labels, coefficients, Typical(0.1, vectors=64, levels=levels), pushes)
        pairs = ((answer.expectations, exact), (answer.response, slope))
        assert np.all([np.abs(found.values - wanted) < 4.5 * found.std_errors + 1e-8 for found, wanted in pairs])
        errors.append([np.sqrt(np.mean(found.std_errors**2)) for found, _ in pairs])
    assert np.all(np.divide(errors[0], errors[1]) > 1.5)
    assert np.all(np.divide(errors[1], errors[2]) > 1.5)


def test_kubo_mori_within_the_error_bars():
    network = random_network(8, sites=7)
    theta, temperature = network.initial, 0.8
    x = np.array([[0.3, -0.6]])
    hamiltonians = network.hamiltonians(theta, x)
    observables = PauliSums(network.strings, network.outputs)
    push = PauliSums(network.strings, network.trainable[:1])
    answer = Typical(temperature, vectors=400).solve(Equilibria(hamiltonians, observables, push, key=(3,)))
    h, n = dense_sums(hamiltonians)[0], dense_sums(push)[0]
    for k, o in enumerate(dense_sums(observables)):
        mean, slope = gibbs_expectation(h, o, temperature), kubo_mori(h, n, o, temperature)
        assert abs(answer.expectations.values[0, k] - mean) < 4 * answer.expectations.std_errors[0, k]
        assert abs(answer.response.values[0, k] - slope) < 4 * answer.response.std_errors[0, k]
        assert answer.response.std_errors[0, k] < 0.1


def rms_error(sites, vectors, temperature=4.0):
    labels = random_labels(np.random.default_rng(2), sites, 25, "XZ")
    coefficients = np.random.default_rng(3).normal(size=(1, 25)) / 3
    return np.sqrt(np.mean(answer_of(labels, coefficients, Typical(temperature, vectors)).expectations.std_errors ** 2))


def test_errors_fall_with_the_root_of_the_vectors_and_of_the_dimension():
    assert rms_error(9, 25) / rms_error(9, 400) == pytest.approx(4.0, rel=0.2)
    sizes = np.array([7, 9, 11, 13])
    errors = [rms_error(sites, 64) for sites in sizes]
    assert np.polyfit(sizes, np.log2(errors), 1)[0] == pytest.approx(-0.5, abs=0.1)


def test_cold_is_the_ground_state_and_hot_is_nothing():
    network, theta = ising_chain(11), [0.6, 1.0]
    ground, spectrum = Exact(), ising_chain_levels(0.6, 1.0, 11)
    temperature = (spectrum[1] - spectrum[0]) / 60
    problem = Equilibria(network.hamiltonians(theta, NO_INPUT), PauliSums(network.strings, network.outputs), key=(1,))
    cold, exact = Typical(temperature).solve(problem), ground.solve(problem)
    np.testing.assert_allclose(cold.expectations.values, exact.expectations.values, atol=1e-9)
    np.testing.assert_allclose(cold.energies, exact.energies, atol=1e-9)
    hot = Typical(1e6).solve(problem)
    np.testing.assert_allclose(hot.expectations.values, 0.0, atol=6 * hot.expectations.std_errors[0, 0])
    assert hot.expectations.std_errors[0, 0] < 2e-3


@pytest.mark.parametrize("n_lowest", [0, 6])
def test_the_free_energy_is_that_of_free_fermions(n_lowest):
    network, theta, temperature = ising_chain(10), [0.6, 1.0], 0.7
    sums, layout = network.hamiltonians(theta, NO_INPUT), layout_of(PauliTable.of(network.strings))
    known = thermal.outline(layout, sums.coefficients, temperature, n_lowest)
    seeds = np.arange(64, dtype=np.uint64)[None] * 977
    moments = thermal.thermal_moments(layout, sums.coefficients, temperature, known, seeds, None, 1e-10)
    levels = ising_chain_levels(*theta, 10)
    wanted = levels[0] - temperature * np.log(np.sum(np.exp(-(levels - levels[0]) / temperature)))
    found = thermal.free_energy(moments, layout, known.lower, temperature)
    assert abs(found.values[0] - wanted) < 4 * found.std_errors[0] < 0.4
    energy = thermal.thermal_energy(moments, sums.coefficients)
    weights = np.exp(-(levels - levels[0]) / temperature)
    assert abs(energy.values[0] - np.sum(weights * levels) / np.sum(weights)) < 4 * energy.std_errors[0] < 0.5


def test_a_shifted_hamiltonian_has_the_same_state_and_no_response_to_the_shift():
    random = np.random.default_rng(0)
    labels = ["I" * 9, *random_labels(random, 9, 12, "XZY")]
    coefficients = random.normal(size=(1, len(labels)))
    shift = np.eye(len(labels))[:1]
    free, shifted = (
        answer_of(labels, c, Typical(1.0, levels=0), shift) for c in (coefficients, coefficients + 7 * shift)
    )
    np.testing.assert_allclose(free.expectations.values, shifted.expectations.values, atol=1e-8)
    np.testing.assert_allclose(free.response.values, 0.0, atol=1e-8)


@pytest.mark.parametrize("letters", ["XZ", "XZY"])
def test_threads_agree(letters):
    random = np.random.default_rng(4)
    for sites in (5, 11):
        labels = random_labels(random, sites, 12, letters)
        coefficients, pushes = random.normal(size=(2, 1, len(labels)))
        answers = []
        for count in (1, 2):
            with threads(count):
                answers.append(answer_of(labels, coefficients, Typical(1.0, vectors=5, levels=2), pushes))
        for name in ("expectations", "response"):
            one, two = (getattr(answer, name) for answer in answers)
            np.testing.assert_allclose(one.values, two.values, atol=1e-9)
            np.testing.assert_allclose(one.std_errors, two.std_errors, atol=1e-9)


def test_gradients_agree_with_full_diagonalisation():
    network = transverse_ising(sites=10, n_inputs=2, n_outputs=2)
    random = np.random.default_rng(1)
    theta = network.initial + 0.3 * random.normal(size=network.n_trainable)
    case = (network, theta, random.normal(size=(2, 2)), np.array([[1.0, -1.0], [-1.0, 1.0]]))
    exact = qeqprop.gradient(*case, loss=losses.mean_squared_error, solver=Exact(temperature=0.5))
    found = qeqprop.gradient(
        *case, loss=losses.mean_squared_error, rule=LinearResponse(), solver=Typical(0.5, vectors=200), seed=2
    )
    noise = np.abs(found.predictions - exact.predictions).max()  # of the error signal, not in the error bars
    assert noise < 0.05
    allowed = 4.5 * found.std_errors + 2 * noise * np.max(np.abs(exact.values))
    assert np.all(np.abs(found.values - exact.values) < allowed)
    assert np.linalg.norm(found.values - exact.values) < 0.15 * np.linalg.norm(exact.values)


def test_error_bars_of_nudged_differences_are_honest():
    network = random_network(12, sites=6)
    x, y = np.array([[0.2, -0.4]]), np.array([[1.0, -1.0]])
    case, rule = (network, network.initial, x, y), SymmetricNudging(0.3)
    exact = qeqprop.gradient(*case, loss=losses.linear, rule=rule, solver=Exact(temperature=1.0))
    pulls = []
    for seed in range(30):
        found = qeqprop.gradient(*case, loss=losses.linear, rule=rule, solver=Typical(1.0), seed=seed)
        pulls.append((found.values - exact.values) / found.std_errors)
    assert 0.7 < np.mean(np.square(pulls)) < 1.4


def test_a_key_repeats_its_vectors_and_every_sample_has_its_own():
    labels = random_labels(np.random.default_rng(6), 8, 10, "XZ")
    coefficients = np.tile(np.random.default_rng(7).normal(size=(1, 10)), (2, 1))
    one, again, other = (answer_of(labels, coefficients, Typical(), key=key) for key in ((1, 2), (1, 2), (1, 3)))
    np.testing.assert_array_equal(one.expectations.values, again.expectations.values)
    assert not np.allclose(one.expectations.values, other.expectations.values)
    assert not np.allclose(one.expectations.values[0], one.expectations.values[1])
    fresh = [answer_of(labels, coefficients, Typical(), key=()).expectations.values for _ in range(2)]
    assert not np.allclose(*fresh)


def test_a_precision_is_reached_by_more_vectors():
    network = random_network(3, sites=8)
    x = np.zeros((2, 2))
    for precision in (0.02, 0.01):
        found, _, shots = measure_outputs(
            network, network.initial, x, solver=Typical(2.0, vectors=8), precision=precision, seed=1
        )
        weights = np.sum(np.abs(network.outputs), axis=1)
        assert np.all(found.std_errors < 1.5 * precision * weights)
        assert shots == 0
    with pytest.raises(ValueError, match=r"`precision` of 1\.0e-06 would take"):
        measure_outputs(network, network.initial, x, solver=Typical(2.0), precision=1e-6)


def test_the_range_of_a_known_spectrum_is_not_looked_for_again(monkeypatch):
    network = ising_chain(8)
    looked, real = [], thermal.outline
    import qeqprop.solvers.typical as typical

    monkeypatch.setattr(typical, "outline", lambda *args: (looked.append(1), real(*args))[1])
    case = (network, [0.6, 1.0], NO_INPUT, NO_INPUT)
    qeqprop.gradient(*case, loss=losses.output, solver=Typical(), seed=0)
    assert len(looked) == 1
    looked.clear()
    qeqprop.gradient(*case, loss=losses.output, rule=SymmetricNudging(0.1), solver=Typical(), seed=0)
    assert len(looked) == 2


def test_what_cannot_be_answered_is_refused():
    with pytest.raises(ValueError, match="at least 3 sites, but the network has 2"):
        qeqprop.predict(ising_chain(2), [1, 1], NO_INPUT, solver=Typical())
    with pytest.raises(ValueError, match="`temperature` must be larger"):
        qeqprop.predict(ising_chain(5), [1, 1], NO_INPUT, solver=Typical(1e-12))
    with pytest.raises(NotConverged, match="relative errors up to"):
        qeqprop.predict(ising_chain(5), [1, 1], NO_INPUT, solver=Typical(tolerance=1e-18))
    with pytest.raises(ValueError, match=r"use Typical\(temperature=0.5\)"):
        qeqprop.predict(ising_chain(11), [1, 1], NO_INPUT, solver=Exact(temperature=0.5))
    for wrong in ({"temperature": 0.0}, {"vectors": 1}, {"tolerance": 0.0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Typical(**wrong)


@pytest.mark.slow
@pytest.mark.parametrize(("sites", "letters"), [(12, "XZ"), (11, "XZY")])
def test_larger_networks_against_full_diagonalisation(sites, letters):
    random = np.random.default_rng(9)
    labels = random_labels(random, sites, 30, letters)
    coefficients, pushes = random.normal(size=(2, 1, 30)) / 2
    exact, slope = dense_gibbs(labels, coefficients, pushes, 0.7)
    answers = [answer_of(labels, coefficients, Typical(0.7, vectors=64), pushes, key=(key,)) for key in range(8)]
    for name, wanted in (("expectations", exact), ("response", slope)):
        found = [getattr(answer, name) for answer in answers]
        pulls = np.array([(each.values - wanted) / each.std_errors for each in found])
        assert np.max(np.abs(pulls)) < 5
        assert 0.7 < np.mean(pulls**2) < 1.4
