"""Exact and sampled equilibria: certificates, refusals, honest errors."""

import numpy as np
import pytest
from oracles import dense_parts, eigenstate_expectation
from systems import ising_chain, ising_chain_levels, random_network

import qeqprop
from qeqprop import losses
from qeqprop.interfaces import Equilibria, NotConverged, PauliSums, PhysicsWarning
from qeqprop.operators import term
from qeqprop.propagation import measure_outputs
from qeqprop.rules.nudging import OneSidedNudging, SymmetricNudging
from qeqprop.solvers.exact import Exact
from qeqprop.solvers.sampled import Sampled

NO_INPUT = np.zeros((1, 0))


def solve(network, theta, solver, x=NO_INPUT, **fields):
    return solver.solve(
        Equilibria(network.hamiltonians(theta, x), PauliSums(network.strings, network.outputs), **fields)
    )


@pytest.mark.parametrize("level", [0, 1, 5])
@pytest.mark.parametrize("dense_sites", [3, 8])
def test_outputs_are_those_of_the_dense_eigenvector(level, dense_sites):
    network = random_network(9, sites=6)
    x = np.array([[0.3, -1.0], [0.0, 0.5]])
    found = qeqprop.predict(network, network.initial, x, solver=Exact(level=level, dense_sites=dense_sites))
    for row, outputs in zip(x, found, strict=True):
        hamiltonian, _, observables = dense_parts(network, network.initial, row)
        np.testing.assert_allclose(
            outputs, [eigenstate_expectation(hamiltonian, o, level) for o in observables], atol=1e-9
        )


def test_iterative_and_dense_gradients_agree():
    network = random_network(5, sites=7)
    x, y = np.array([[0.3, -1.0]]), np.array([[1.0, -1.0]])
    both = [
        qeqprop.gradient(
            network, network.initial, x, y, loss=losses.mean_squared_error, solver=Exact(dense_sites=d, level=1)
        )
        for d in (1, 8)
    ]
    np.testing.assert_allclose(both[0].values, both[1].values, atol=1e-9)


@pytest.mark.parametrize("dense_sites", [3, 8])
def test_gaps_and_degeneracy_are_those_of_free_fermions(dense_sites):
    levels = ising_chain_levels(1.0, 0.7, 6)
    answer = solve(ising_chain(6), [1.0, 0.7], Exact(level=1, dense_sites=dense_sites))
    assert answer.certificate.gap_below[0] == pytest.approx(levels[1] - levels[0], abs=1e-9)
    exact = 1e-9 if dense_sites == 8 else 1e-2  # the iterative solver finds the state above only as well as a gap needs
    assert answer.certificate.gap_above[0] == pytest.approx(levels[2] - levels[1], rel=exact)
    assert answer.certificate.degeneracy.tolist() == [1]
    assert answer.energies[0] == pytest.approx(levels[1], abs=1e-9)


@pytest.mark.parametrize("level", [0, 1, 3])
def test_couplings_are_the_largest_elements_with_the_four_nearest_states(level):
    network = random_network(11, sites=5)
    row = np.array([0.3, -1.0])
    hamiltonian, _, observables = dense_parts(network, network.initial, row)
    nudge = PauliSums(network.strings, network.outputs[:1] - 0.5 * network.outputs[1:2])
    answer = solve(network, network.initial, Exact(level=level, dense_sites=8), row[None], perturbation=nudge)
    energies, vectors = np.linalg.eigh(hamiltonian)
    nearest = np.argsort(np.abs(energies - energies[level]))[1:5]

    def largest(operators):
        return np.max(np.abs([vectors[:, nearest].conj().T @ o @ vectors[:, level] for o in operators]))

    assert answer.certificate.trainable_coupling[0] == pytest.approx(largest(observables), abs=1e-9)
    pushed = largest([observables[0] - 0.5 * observables[1]])
    assert answer.certificate.nudge_coupling[0] == pytest.approx(pushed, abs=1e-9)


@pytest.mark.parametrize("dense_sites", [3, 8])
@pytest.mark.parametrize("level", [0, 2])
def test_a_response_from_the_free_states_is_the_response_from_nothing(level, dense_sites):
    network = random_network(3, sites=5)
    x = np.array([[0.3, -1.0], [0.5, 0.1]])
    solver = Exact(level=level, dense_sites=dense_sites)
    nudge = PauliSums(network.strings, np.stack([network.outputs[0], -network.outputs[1]]))
    free = solve(network, network.initial, solver, x)
    cold = solve(network, network.initial, solver, x, perturbation=nudge)
    warm = solve(network, network.initial, solver, x, perturbation=nudge, start=free.start)
    np.testing.assert_array_equal(warm.response.values, cold.response.values)
    np.testing.assert_array_equal(warm.energies, cold.energies)
    for name, array in vars(warm.certificate).items():
        if name != "overlap":
            np.testing.assert_array_equal(array, getattr(cold.certificate, name), err_msg=name)
    np.testing.assert_array_equal(warm.certificate.overlap, 1.0)
    again = solve(network, network.initial, solver, x, perturbation=nudge, start=warm.start)
    np.testing.assert_array_equal(again.response.values, cold.response.values)


@pytest.mark.parametrize("dense_sites", [3, 8])
def test_the_whole_multiplet_is_found_and_its_average_does_not_depend_on_the_basis(dense_sites):
    sites = 6  # without a field along x the ground level of the ring of ZZ bonds is twofold
    network = qeqprop.Network.of(
        static=sum(
            (term("ZZ", (k, (k + 1) % sites), sites, -1.0) for k in range(1, sites)), term("ZZ", (0, 1), sites, -1.0)
        ),
        trainable=[term("X", (0,), sites, -1.0)],
        outputs=[term("Z", (3,), sites), term("ZZ", (0, 3), sites)],
    )
    answer = solve(network, [0.0], Exact(multiplet="average", dense_sites=dense_sites))
    assert answer.certificate.degeneracy.tolist() == [2]
    np.testing.assert_allclose(answer.expectations.values, [[0.0, 1.0]], atol=1e-10)
    with pytest.warns(PhysicsWarning, match="degenerate"):
        solve(network, [0.0], Exact(dense_sites=dense_sites))


def test_a_missed_tolerance_is_refused_unless_told_otherwise():
    network = random_network(1, sites=4)
    with pytest.raises(NotConverged, match="residual up to"):
        solve(network, network.initial, Exact(tolerance=1e-18), x=np.zeros((1, 2)))
    with pytest.warns(PhysicsWarning, match="residual up to"):
        answer = solve(network, network.initial, Exact(tolerance=1e-18, accept_unconverged=True), x=np.zeros((1, 2)))
    assert not answer.certificate.converged[0]


def test_what_a_network_does_not_have_is_refused():
    with pytest.raises(ValueError, match="`level` must be less than 8"):
        solve(ising_chain(3), [1, 1], Exact(level=8))
    with pytest.raises(ValueError, match="must be 0 above 10 sites"):
        solve(ising_chain(11), [1, 1], Exact(temperature=1.0))


def test_a_known_state_is_not_solved_again(monkeypatch):
    import qeqprop.solvers.exact as exact

    solved = []
    real = exact.dense_spectrum
    monkeypatch.setattr(exact, "dense_spectrum", lambda table, rows: (solved.append(len(rows)), real(table, rows))[1])
    network = random_network(3, sites=3)
    x, y = np.zeros((2, 2)), np.ones((2, 2))
    qeqprop.gradient(network, network.initial, x, y, loss=losses.mean_squared_error)
    assert solved == [2]  # the response reuses the free states
    solved.clear()
    qeqprop.gradient(network, network.initial, x, y, loss=losses.mean_squared_error, rule=OneSidedNudging(0.05))
    assert solved == [2, 2]  # the free states once, the nudged ones once


def test_projective_errors_are_right_and_streams_independent():
    """Normalised residuals of many repetitions have variance one; two equal samples of a job differ."""
    network = random_network(6, sites=3)
    x = np.array([[0.4, -0.3], [0.4, -0.3]])
    exact = qeqprop.predict(network, network.initial, x)
    runs = [measure_outputs(network, network.initial, x, solver=Sampled(shots=200))[0] for _ in range(500)]
    residuals = np.array([(run.values - exact) / run.std_errors for run in runs])
    np.testing.assert_allclose(np.mean(residuals, axis=0), 0.0, atol=0.25)
    np.testing.assert_allclose(np.var(residuals, axis=0), 1.0, atol=0.25)
    correlation = np.corrcoef(residuals[:, 0, 0], residuals[:, 1, 0])[0, 1]
    assert abs(correlation) < 0.2
    assert np.any(runs[0].values[0] != runs[0].values[1])


def test_gradient_errors_are_right():
    network = random_network(8, sites=3)
    x, y = np.array([[0.2, 0.1]]), np.array([[0.0, 0.0]])
    loss = losses.output()  # a constant error signal: all noise is the difference's
    rule = SymmetricNudging(0.2)
    exact = qeqprop.gradient(network, network.initial, x, y, loss=loss, rule=rule)
    runs = [
        qeqprop.gradient(network, network.initial, x, y, loss=loss, rule=rule, solver=Sampled(shots=300))
        for _ in range(500)
    ]
    residuals = np.array([(run.values - exact.values) / run.std_errors for run in runs])
    np.testing.assert_allclose(np.var(residuals, axis=0), 1.0, atol=0.25)
    np.testing.assert_allclose(np.mean(residuals, axis=0), 0.0, atol=0.25)


def test_an_eigenstate_has_no_error():
    network = qeqprop.Network.of(
        static=term("Z", (0,), 2, -1.0) + term("X", (1,), 2, -1.0),
        trainable=[term("ZX", (0, 1), 2)],
        outputs=[term("Z", (0,), 2), term("X", (1,), 2), term("ZX", (0, 1), 2)],
    )
    outputs, _, shots = measure_outputs(network, [0.0], NO_INPUT, solver=Sampled(shots=50))
    np.testing.assert_array_equal(outputs.values, np.ones((1, 3)))
    np.testing.assert_array_equal(outputs.std_errors, 0.0)
    assert shots == 50


def test_the_covariance_within_a_basis_counts():
    """On two bits that are always equal the sum of Z has four times the variance of one Z, the difference none."""
    network = qeqprop.Network.of(
        static=term("ZZ", (0, 1), 2, -1.0) + term("XX", (0, 1), 2, -1.0),
        trainable=[term("X", (0,), 2)],
        outputs=[
            term("Z", (0,), 2),
            term("Z", (0,), 2) + term("Z", (1,), 2),
            term("Z", (0,), 2) - term("Z", (1,), 2),
        ],
    )
    outputs, _, _ = measure_outputs(network, [0.0], NO_INPUT, solver=Sampled(shots=400))
    single, double, none = outputs.std_errors[0]
    assert double == pytest.approx(2 * single)
    assert single == pytest.approx(1 / np.sqrt(400), rel=0.05)
    assert none == 0.0


def test_precision_sets_the_shots_of_a_call():
    network = ising_chain(3)
    _, _, shots = measure_outputs(network, [1, 1], NO_INPUT, solver=Sampled(shots=10), precision=0.05)
    assert shots == 400
    rule = SymmetricNudging(0.1, precision=0.1, output_precision=0.05)
    found = qeqprop.gradient(
        network, [1, 1], NO_INPUT, [[0.0]], loss=losses.mean_squared_error, rule=rule, solver=Sampled()
    )
    assert found.shots == 400 + 2 * 2 * 100  # X for the output; X and Z for two nudged states


def test_gibbs_states_can_be_sampled():
    network = random_network(4, sites=2)
    x = np.zeros((1, 2))
    exact = qeqprop.predict(network, network.initial, x, solver=Exact(temperature=0.7))
    outputs, _, _ = measure_outputs(network, network.initial, x, solver=Sampled(Exact(temperature=0.7), shots=20000))
    assert np.all(np.abs(outputs.values - exact) < 5 * outputs.std_errors)
