"""Gibbs states by imaginary time: orders, depth, certificates and gradients beside dense matrices."""

from dataclasses import replace

import numpy as np
import pytest
from oracles import dense_string, dense_sums, free_energy
from qiskit.quantum_info import PauliList
from qiskit.quantum_info import Statevector as State
from scipy.linalg import expm
from systems import ising_chain, random_network

import qeqprop
from qeqprop import losses
from qeqprop.devices.statevector import Statevector
from qeqprop.engine.circuit_conversion import from_qiskit
from qeqprop.engine.circuits import states
from qeqprop.interfaces import Equilibria, PauliSums, PhysicsWarning
from qeqprop.networks.transverse_ising import transverse_ising
from qeqprop.rules.nudging import SymmetricNudging
from qeqprop.solvers._bell_pairs import bell_pairs
from qeqprop.solvers.exact import Exact
from qeqprop.solvers.random_time import RandomTime
from qeqprop.solvers.thermal_imaginary_time import ThermalImaginaryTime

CHAIN, CHAIN_THETA = ising_chain(3), np.array([0.8, 1.1])
PAIR = transverse_ising(sites=2, n_inputs=1)
PAIR_CASE = (PAIR, np.array([0.7, 0.3, -0.5, 0.6, 0.4]), np.array([[0.5], [-0.8]]), np.array([[1.0], [-1.0]]))


def problem_of(network, theta, x=None, **more):
    x = np.zeros((1, network.n_inputs)) if x is None else x
    asked = np.concatenate([network.outputs, network.trainable])
    return Equilibria(network.hamiltonians(theta, x), PauliSums(network.strings, asked), key=(1, 2), **more)


def purified(hamiltonian, time):
    """``exp(-time H)`` on the lower halves of Bell pairs, as (partners, sites)."""
    state = expm(-time * hamiltonian).T
    return state / np.linalg.norm(state)


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("labels", [["ZI", "IX", "ZZ"], ["YI", "XY", "IZ"]])
def test_it_begins_at_bell_pairs(labels, layers):
    trial = bell_pairs(PauliList(labels), layers)
    state = states(from_qiskit(trial.circuit), trial.initial[None])[0].reshape(4, 4)
    np.testing.assert_allclose(state, np.eye(4) / 2, atol=1e-12)


def test_a_string_has_the_rotation_that_does_what_imaginary_time_does():
    """The first angles turn about G; to first order that is ``exp(-dtau P)``, for any string."""
    labels, step = ["ZII", "IXI", "IIY", "XZI", "YYX"], 1e-3
    trial = bell_pairs(PauliList(labels), 1)
    circuit = from_qiskit(trial.circuit)
    lengths = [len(label.replace("I", "")) for label in labels]
    for label, first, length in zip(labels, np.cumsum([0, *lengths]), lengths, strict=False):
        for angle in range(first, first + length):
            turned = states(circuit, step * np.eye(1, len(trial.initial), angle))[0].reshape(8, 8)
            moved = (turned - np.eye(8) / np.sqrt(8)) / step
            sign = np.sign(np.real(np.trace(moved @ dense_string(label).T)))
            np.testing.assert_allclose(sign * moved, dense_string(label).T / 2 / np.sqrt(8), atol=1e-3)


def test_the_flow_is_followed_to_fourth_order_in_the_step():
    network = random_network(4, sites=2)
    problem = problem_of(network, network.initial)

    def ends(steps):
        solver = ThermalImaginaryTime(0.4, layers=2, steps=steps, floor=1e-2, tolerance=10.0)
        return solver.solve(problem).expectations.values

    finest = ends(64)
    errors = np.array([np.max(np.abs(ends(steps) - finest)) for steps in (8, 16, 32)])
    assert errors[-1] > 1e-9
    np.testing.assert_allclose(np.log2(errors[:-1] / errors[1:]), 4.0, atol=0.4)


def test_the_state_of_the_circuit_is_the_one_that_is_certified():
    """Populations, free-energy bound and ``Var(H + T ln rho)`` from the circuit's own vector."""
    network, temperature = random_network(4, sites=2), 0.8
    problem = problem_of(network, network.initial, np.random.default_rng(1).normal(size=(2, 2)))
    thermal = ThermalImaginaryTime(temperature, layers=1, steps=2, tolerance=10.0).prepare(problem)
    for row, h in enumerate(dense_sums(problem.hamiltonians)):
        state = State(thermal.circuit.assign_parameters(thermal.parameters[row]).decompose("PauliEvolution", reps=2))
        halves = state.data.reshape(4, 4)  # (partners, sites)
        rho = halves.T @ halves.conj()
        values = [np.real(np.trace(rho @ o)) for o in dense_sums(problem.observables)]
        np.testing.assert_allclose(thermal.solution.expectations.values[row], values, atol=1e-10)
        weights, vectors = np.linalg.eigh(rho)
        local = h + temperature * (vectors * np.log(weights)) @ vectors.conj().T
        free = np.real(np.trace(rho @ local))
        assert free >= free_energy(h, temperature) - 1e-12
        deviation = np.sqrt(np.real(np.trace(rho @ local @ local)) - free**2)
        assert thermal.solution.certificate.residual[row] == pytest.approx(deviation, abs=1e-6)
        assert deviation > 1e-4  # two steps leave something
        assert thermal.solution.energies[row] == pytest.approx(np.real(np.trace(rho @ h)), abs=1e-10)
        exact = purified(h, 0.5 / temperature)
        assert abs(np.vdot(exact, halves)) > 0.99


@pytest.mark.parametrize("temperature", [5.0, 0.7, 0.25])
def test_defaults_reach_gibbs_states_of_any_network(temperature):
    for network, theta in ((CHAIN, CHAIN_THETA), (random_network(7, sites=3), None)):
        problem = problem_of(network, network.initial if theta is None else theta)
        found, exact = ThermalImaginaryTime(temperature).solve(problem), Exact(temperature=temperature).solve(problem)
        np.testing.assert_allclose(found.expectations.values, exact.expectations.values, atol=0.01)
        assert found.certificate.converged.all()
        assert found.certificate.residual[0] < 0.05 * temperature


def test_deeper_circuits_come_closer():
    network = transverse_ising(sites=3, n_inputs=1)
    theta = network.initial + 0.7 * np.random.default_rng(3).normal(size=network.n_trainable)
    problem = problem_of(network, theta, np.array([[0.5]]))
    exact = Exact(temperature=0.5).solve(problem).expectations.values
    answers = [ThermalImaginaryTime(0.5, layers=n, steps=20, tolerance=10.0).solve(problem) for n in (1, 2, 3)]
    errors = [np.max(np.abs(answer.expectations.values - exact)) for answer in answers]
    assert errors[0] > 3 * errors[1] > 9 * errors[2]
    residuals = [answer.certificate.residual[0] for answer in answers]
    assert residuals[0] > 2 * residuals[1] > 4 * residuals[2]


@pytest.mark.parametrize(("diagonal_sites", "beside"), [(6, "spectrum"), (0, "path")])
def test_what_the_circuit_does_not_reach_is_said(diagonal_sites, beside):
    network = transverse_ising(sites=4, n_inputs=1)
    theta = network.initial + 0.5 * np.random.default_rng(3).normal(size=network.n_trainable)
    solver = ThermalImaginaryTime(layers=1, diagonal_sites=diagonal_sites)
    with pytest.warns(PhysicsWarning, match=rf"1 of 1 states are not.* of its {beside} are up to 0\.0\d+ T apart"):
        found = solver.solve(problem_of(network, theta, np.array([[0.5]])))
    assert not found.certificate.converged.any()


def test_gradients_by_nudging_are_those_of_gibbs_states():
    settings = {"loss": losses.mean_squared_error, "rule": SymmetricNudging(0.05)}
    exact = qeqprop.gradient(*PAIR_CASE, solver=Exact(temperature=0.6), **settings).values
    found = qeqprop.gradient(*PAIR_CASE, solver=ThermalImaginaryTime(0.6, layers=3, floor=1e-5), **settings)
    np.testing.assert_allclose(found.values, exact, atol=0.01 * np.max(np.abs(exact)))
    assert found.certificate.converged.all()


def test_its_response_is_measured_after_a_random_time():
    exact = qeqprop.gradient(*PAIR_CASE, loss=losses.mean_squared_error, solver=Exact(temperature=0.7))
    solver = RandomTime(ThermalImaginaryTime(0.7), times=50, shots=16)
    device = Statevector(shots=16)
    found = qeqprop.gradient(*PAIR_CASE, loss=losses.mean_squared_error, solver=solver, device=device, seed=3)
    assert np.all(np.abs(found.values - exact.values) < 4.5 * found.std_errors + 0.01)
    with pytest.raises(ValueError, match=r"`solver` must be a solver, such as Thermofield\(\)"):
        RandomTime(Exact(temperature=1.0))


def test_refusals():
    with pytest.raises(ValueError, match="`temperature` must be a finite number greater than 0"):
        ThermalImaginaryTime(0.0)
    with pytest.raises(ValueError, match="ThermalImaginaryTime settles up to 6 sites"):
        ThermalImaginaryTime().solve(problem_of(transverse_ising(sites=7), np.zeros(28)))
    problem = problem_of(*PAIR_CASE[:3])
    with pytest.raises(ValueError, match="has no linear response of its own"):
        ThermalImaginaryTime().solve(replace(problem, perturbation=problem.hamiltonians))
