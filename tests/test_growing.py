"""Variational states of circuits that grow."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from systems import ising_chain, ising_chain_energy, ising_chain_slopes, random_network

import qeqprop
from qeqprop import losses
from qeqprop.ansatze.adaptive import adaptive
from qeqprop.devices.statevector import Statevector
from qeqprop.interfaces import Equilibria, PauliSums, PhysicsWarning, Solver
from qeqprop.measuring import BoundMeasure
from qeqprop.parts import build, read_part
from qeqprop.rules.linear_response import LinearResponse
from qeqprop.rules.nudging import SymmetricNudging
from qeqprop.solvers.exact import Exact
from qeqprop.solvers.variational import Variational


def problem(network, thetas):
    coefficients = [network.hamiltonians(theta, np.zeros((1, 0))).coefficients[0] for theta in thetas]
    observables = PauliSums(network.strings, np.concatenate([network.outputs, network.trainable]))
    return Equilibria(PauliSums(network.strings, np.array(coefficients)), observables)


def test_a_grown_circuit_settles_a_batch_and_shares_it_with_what_continues():
    thetas = [[1.0, 0.6], [0.7, 1.2]]
    free = Variational(ansatz=adaptive()).solve(problem(ising_chain(4), thetas))
    assert free.certificate.converged.all()
    assert_allclose(free.energies, [ising_chain_energy(*theta, 4) for theta in thetas], atol=1e-6)
    assert_allclose(free.expectations.values[:, 1:], [ising_chain_slopes(*theta, 4) for theta in thetas], atol=2e-3)
    choices = free.start.arrays["choices"]
    assert choices.shape[0] == 2
    assert 0 < choices.shape[1] <= 30

    asked = problem(ising_chain(4), [[1.01, 0.6], [0.7, 1.21]] * 2)
    again = Variational(ansatz=adaptive(most=1)).solve(
        Equilibria(asked.hamiltonians, asked.observables, start=free.start.repeat(2))
    )  # `most` would stop it: it does not grow again
    assert again.start.arrays["choices"].tolist() == [choices[0].tolist()] * 4
    assert_allclose(again.certificate.overlap, 1, atol=1e-2)


@pytest.mark.parametrize("rule", [SymmetricNudging(beta=1e-3), LinearResponse()])
def test_gradients_of_grown_circuits_agree_with_exact_ones(rule):
    network = random_network(11, sites=3)
    x, y = np.array([[0.2, -0.4], [1.0, 0.3]]), np.array([[1.0, -1.0], [-1.0, 1.0]])
    case = (network, network.initial, x, y)
    solver = Variational(ansatz=adaptive(tolerance=1e-5))
    found = qeqprop.gradient(*case, loss=losses.mean_squared_error, rule=rule, solver=solver)
    exact = qeqprop.gradient(*case, loss=losses.mean_squared_error, rule=rule, solver=Exact())
    assert_allclose(found.values, exact.values, atol=0.02 * np.max(np.abs(exact.values)))


@pytest.mark.parametrize("angles", ["simulator", "device"])
def test_grown_circuits_are_measured_on_devices(angles):
    asked = problem(ising_chain(3), [[1.0, 0.6], [0.7, 1.2]])
    exact = Variational(ansatz=adaptive()).solve(asked)
    solver = Variational(ansatz=adaptive(), angles=angles, iterations=None if angles == "simulator" else 5)
    with warnings.catch_warnings():
        if angles == "device":
            warnings.simplefilter("ignore", PhysicsWarning)  # five jobs do not end a search
        found = solver.solve(asked, BoundMeasure(Statevector(shots=2000), (1,)))
    np.testing.assert_array_equal(found.start.arrays["choices"], exact.start.arrays["choices"])
    assert found.shots > 0
    allowed = 5 * found.expectations.std_errors + (1e-9 if angles == "simulator" else 0.5)
    assert np.all(np.abs(found.expectations.values - exact.expectations.values) < allowed)


def test_a_state_that_needs_no_gate_is_settled_without_one():
    network = ising_chain(3)
    answer = Variational(ansatz=adaptive()).solve(problem(network, [[0.0, 1.0]]))  # all plus is the ground state
    assert answer.start.arrays["choices"].shape == (1, 0)
    assert_allclose(answer.energies, -3.0, atol=1e-12)
    assert answer.certificate.converged.all()


def test_a_circuit_that_must_stop_early_says_so():
    with (
        pytest.warns(PhysicsWarning, match="stops growing at 1 gates"),
        pytest.warns(PhysicsWarning, match="far from an eigenstate"),
    ):
        answer = Variational(ansatz=adaptive(most=1)).solve(problem(ising_chain(3), [[1.0, 1.0]]))
    assert answer.certificate.residual[0] > 0.1


def test_excited_levels_are_refused():
    with pytest.raises(ValueError, match="`ansatz` must not grow with level=1"):
        Variational(ansatz=adaptive(), level=1).solve(problem(ising_chain(3), [[1.0, 1.0]]))


@pytest.mark.filterwarnings("ignore:.*far from an eigenstate")  # one layer of bricks
@pytest.mark.parametrize("name", ["adaptive", "brickwork", "commutators", "from_file", "hamiltonian_variational"])
def test_run_files_name_every_ansatz(name):
    problems = []
    table = {"use": "variational:Variational", "ansatz": {"use": f"{name}:{name}"}}
    part = read_part(("solver",), table, Solver, problems)
    solver = build(part, problems)
    assert problems == []
    network = ising_chain(3)
    assert_allclose(solver.solve(problem(network, [[1.0, 0.8]])).energies, ising_chain_energy(1.0, 0.8, 3), atol=0.1)
    table["ansatz"]["layerz"] = 2
    assert read_part(("solver",), table, Solver, problems) is None
    assert "unknown key" in problems[0].message
