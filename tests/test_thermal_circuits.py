"""Gibbs states on circuits and the response measured after a random time: against dense matrices, errors honest."""

import warnings
from itertools import pairwise

import numpy as np
import pytest
from oracles import dense_string, dense_sums, free_energy, kubo_mori
from qiskit.circuit import QuantumCircuit
from qiskit.quantum_info import PauliList
from qiskit.quantum_info import Statevector as State
from systems import ising_chain, one_qubit, random_network

import qeqprop
from qeqprop import losses
from qeqprop.ansatze.hamiltonian_variational import hamiltonian_variational
from qeqprop.devices.aer import Aer
from qeqprop.devices.profile import Profile
from qeqprop.devices.statevector import Statevector
from qeqprop.interfaces import Equilibria, Measurement, PauliSums, PhysicsWarning
from qeqprop.measuring import BoundMeasure
from qeqprop.networks.transverse_ising import transverse_ising
from qeqprop.rules.linear_response import LinearResponse
from qeqprop.rules.nudging import OneSidedNudging, SymmetricNudging
from qeqprop.solvers._gibbs_states import free_energies
from qeqprop.solvers._purification import partner_angles, purification
from qeqprop.solvers.exact import Exact
from qeqprop.solvers.random_time import RandomTime, random_times
from qeqprop.solvers.thermofield import Thermofield

PAIR = transverse_ising(sites=2, n_inputs=1)
PAIR_THETA = np.array([0.7, 0.3, -0.5, 0.6, 0.4])
PAIR_CASE = (PAIR, PAIR_THETA, np.array([[0.5], [-0.8]]), np.array([[1.0], [-1.0]]))
DEEP = hamiltonian_variational(layers=4, start="zero")
COOL = Thermofield(0.7, ansatz=DEEP)


def problem_of(network, theta, x=None, **more):
    x = np.zeros((1, network.n_inputs)) if x is None else x
    return Equilibria(network.hamiltonians(theta, x), PauliSums(network.strings, network.outputs), key=(1, 2), **more)


# --- preparation ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("product", [False, True])
@pytest.mark.parametrize("sites", [1, 2, 3])
def test_partners_hold_the_populations(sites, product):
    random = np.random.default_rng(sites)
    p = random.dirichlet(np.ones(1 << sites))
    if product:
        ups = random.random(sites)
        bits = np.arange(1 << sites) >> np.arange(sites)[:, None] & 1
        p = np.prod(np.where(bits, ups[:, None], 1 - ups[:, None]), axis=0)
    circuit = purification(QuantumCircuit(sites), product=product)
    state = State(circuit.assign_parameters(partner_angles(p[None], product=product)[0]))
    table = np.abs(state.data.reshape(1 << sites, 1 << sites)) ** 2  # (partners, sites)
    np.testing.assert_allclose(table, np.diag(p), atol=1e-12)


@pytest.mark.parametrize("populations", ["levels", "product"])
def test_the_circuit_prepares_the_state_that_was_found_and_its_free_energy_is_a_bound(populations):
    network = random_network(4, sites=2)
    x = np.random.default_rng(1).normal(size=(2, 2))
    problem = problem_of(network, network.initial, x)
    solver = Thermofield(0.8, hamiltonian_variational(layers=2, start="zero"), populations=populations, iterations=300)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PhysicsWarning)  # it need not have converged
        thermal = solver.prepare(problem)
    hamiltonians = dense_sums(problem.hamiltonians)
    for row, h in enumerate(hamiltonians):
        state = State(thermal.circuit.assign_parameters(thermal.parameters[row]).decompose("PauliEvolution", reps=2))
        halves = state.data.reshape(4, 4)  # (partners, sites)
        rho = halves.T @ halves.conj()
        values = [np.real(np.trace(rho @ o)) for o in dense_sums(problem.observables)]
        np.testing.assert_allclose(thermal.solution.expectations.values[row], values, atol=1e-10)
        weights, vectors = np.linalg.eigh(rho)
        local = h + 0.8 * (vectors * np.log(weights)) @ vectors.conj().T  # H + T ln rho, a number in the Gibbs state
        free = np.real(np.trace(rho @ local))
        assert free >= free_energy(h, 0.8) - 1e-12
        deviation = np.sqrt(np.real(np.trace(rho @ local @ local)) - free**2)
        assert thermal.solution.certificate.residual[row] == pytest.approx(deviation, abs=1e-6)
        assert thermal.solution.energies[row] == pytest.approx(np.real(np.trace(rho @ h)), abs=1e-10)
        assert free_energies(problem.hamiltonians, 0.8)[row] == pytest.approx(free_energy(h, 0.8), abs=1e-10)


def test_deep_circuits_reach_the_gibbs_state_and_free_fermions_need_a_product_only():
    problem = problem_of(PAIR, PAIR_THETA, PAIR_CASE[2])
    found, exact = COOL.solve(problem), Exact(temperature=0.7).solve(problem)
    np.testing.assert_allclose(found.expectations.values, exact.expectations.values, atol=1e-3)
    chain = ising_chain(3)
    solver = Thermofield(0.6, hamiltonian_variational(layers=3, start="plus"), populations="product", tolerance=1e-6)
    problem = problem_of(chain, [0.8, 1.1])
    found, exact = solver.solve(problem), Exact(temperature=0.6).solve(problem)
    assert found.certificate.converged.all()
    np.testing.assert_allclose(found.expectations.values, exact.expectations.values, atol=1e-6)
    assert found.certificate.residual[0] < 1e-4
    with pytest.warns(PhysicsWarning, match=r"1 of 1 states are not the Gibbs state, with relative entropies"):
        Thermofield(0.6, hamiltonian_variational(layers=2, start="zero"), populations="product").solve(problem)


def test_nudged_differences_are_exact_for_the_states_that_the_circuit_reaches():
    """A shallow circuit is no Gibbs state, and its one-sided quotient still is the gradient of its own surrogate."""
    network, theta = random_network(6, sites=2, n_trainable=3, n_inputs=0, n_outputs=1), np.array([0.4, -0.3, 0.7])
    shallow = Thermofield(0.9, hamiltonian_variational(layers=1, start="zero"), tolerance=1e-9)
    nothing = (np.zeros((1, 0)), np.zeros((1, 0)))
    settings = {"loss": losses.output, "solver": shallow}
    symmetric = [
        qeqprop.gradient(network, theta, *nothing, rule=SymmetricNudging(beta), **settings).values
        for beta in (0.04, 0.02)
    ]
    step = 1e-3
    slopes = [
        (
            qeqprop.predict(network, theta + step * d, nothing[0], solver=shallow)
            - qeqprop.predict(network, theta - step * d, nothing[0], solver=shallow)
        )[0, 0]
        / (2 * step)
        for d in np.eye(3)
    ]
    extrapolated = (4 * symmetric[1] - symmetric[0]) / 3
    np.testing.assert_allclose(extrapolated, slopes, atol=2e-5)
    exact = qeqprop.gradient(network, theta, *nothing, loss=losses.output, solver=Exact(temperature=0.9)).values
    assert np.max(np.abs(exact - slopes)) > 5e-4  # it is another state's
    assert qeqprop.gradient(network, theta, *nothing, rule=OneSidedNudging(0.1), **settings).certificate.converged.all()


@pytest.mark.parametrize("device", [Statevector(shots=400), Aer(shots=400)])
def test_thermal_states_are_measured(device):
    problem = problem_of(PAIR, PAIR_THETA, PAIR_CASE[2])
    exact = COOL.solve(problem)
    found = COOL.solve(problem, BoundMeasure(device, (3,)))
    assert np.all(np.abs(found.expectations.values - exact.expectations.values) < 5 * found.expectations.std_errors)
    assert found.shots == 2 * 400


# --- the response after a random time ---------------------------------------------------------------------------


def test_random_times_have_their_density():
    """Its characteristic function is ``tanh(w/2)/(w/2)``: what turns a transition of energy w T into Kubo-Mori."""
    t = random_times(100_000, np.random.default_rng(0))
    for w in (0.5, 2.0, 7.0, 20.0):
        waves = np.cos(w * t)
        assert np.mean(waves) == pytest.approx(np.tanh(w / 2) / (w / 2), abs=4 * np.std(waves) / np.sqrt(len(t)))
    counts, edges = np.histogram(np.abs(t), bins=[0.02, 0.1, 0.3, 0.6, 1.0, 2.0])
    middle = [np.linspace(a, b, 2001) for a, b in pairwise(edges)]
    shares = [np.trapezoid(4 / np.pi * np.log(1 / np.tanh(np.pi * s / 2)), s) for s in middle]
    np.testing.assert_allclose(counts / len(t), shares, atol=5 / np.sqrt(len(t)))


def test_the_first_measurement_disturbs_what_is_read_later():
    """``E[c a] - E[c] <A>`` is the Kubo-Mori covariance; with ``E[a]`` of the same runs it would be another number."""
    h = dense_string("X") * 0.7 + dense_string("Z") * 0.5
    temperature, first, later = 0.6, dense_string("Z"), dense_string("X")
    energies, v = np.linalg.eigh(h)
    p = np.exp(-energies / temperature)
    rho = (v * (p / p.sum())) @ v.conj().T
    nodes = np.linspace(1e-6, 8, 40001)
    density = 4 / np.pi * np.log(1 / np.tanh(np.pi * nodes / 2))

    def mean_over_times(state):
        inside = v.conj().T @ state @ v, v.conj().T @ later @ v
        waves = np.cos(np.subtract.outer(energies, energies)[:, :, None] * nodes / temperature)
        return np.trapezoid(density * np.einsum("mn,nm,mnt->t", inside[0], inside[1], waves).real, nodes)

    halves = [(np.eye(2) + sign * first) / 2 for sign in (1, -1)]
    collapsed = [half @ rho @ half for half in halves]
    both = mean_over_times(collapsed[0] - collapsed[1])
    c, a = np.real(np.trace(rho @ first)), np.real(np.trace(rho @ later))
    wanted = kubo_mori(h, first, later, temperature)
    assert -(both - c * a) / temperature == pytest.approx(wanted, abs=1e-4)
    disturbed = mean_over_times(collapsed[0] + collapsed[1])
    assert abs(-(both - c * disturbed) / temperature - wanted) > 0.1


def one_spin_many_times(repetitions, temperature=0.8):
    network, theta = one_qubit(), np.array([0.8, 1.5])
    strings = network.strings
    hamiltonians = network.hamiltonians(theta, np.zeros((repetitions, 0)))
    nudges = PauliSums(strings, np.repeat(network.outputs, repetitions, axis=0))
    problem = Equilibria(hamiltonians, PauliSums(strings, network.trainable), nudges, key=(4, 1))
    h, z, x = dense_sums(hamiltonians)[0], dense_string("Z"), dense_string("X")
    return problem, np.array([kubo_mori(h, z, -a, temperature) for a in (z, x)])


ONE_SPIN = Thermofield(0.8, hamiltonian_variational(layers=2, start="product"), tolerance=1e-9)


@pytest.mark.parametrize("device", [None, Statevector(shots=8)])
def test_400_repetitions_are_unbiased_with_honest_errors_that_fall_as_they_should(device):
    problem, exact = one_spin_many_times(400)
    measure = None if device is None else BoundMeasure(device, (9,))
    spreads = []
    for times in (4, 32):
        answer = RandomTime(ONE_SPIN, times=times, shots=8, steps=12).solve(problem, measure).response
        spread = np.std(answer.values, axis=0, ddof=1)
        bias = np.mean(answer.values, axis=0) - exact
        assert np.all(np.abs(bias) < 2 * spread / np.sqrt(400)), (times, bias, spread / 20)
        np.testing.assert_allclose(np.sqrt(np.mean(answer.std_errors**2, axis=0)), spread, rtol=0.2)
        spreads.append(spread)
    exponents = np.log(spreads[1] / spreads[0]) / np.log(32 / 4)
    np.testing.assert_allclose(exponents, -0.5, atol=0.08)


def test_the_product_formula_is_of_second_order_and_said_to_be_too_short():
    problem, exact = one_spin_many_times(1, temperature=0.8)
    answers = [
        RandomTime(ONE_SPIN, times=3000, steps=steps, tolerance=10.0).solve(problem).response.values[0]
        for steps in (4, 8, 16, 256)  # the same times
    ]
    errors = [np.max(np.abs(answer - answers[-1])) for answer in answers[:-1]]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2.0, abs=0.3)
    assert np.log2(errors[1] / errors[2]) == pytest.approx(2.0, abs=0.3)
    np.testing.assert_allclose(answers[-1], exact, atol=0.03)
    with pytest.warns(PhysicsWarning, match="The product formula of 1 steps is off by"):
        RandomTime(ONE_SPIN, times=64, steps=1).solve(problem)


@pytest.mark.parametrize("reading", ["ancilla", "mid_circuit"])
def test_a_gradient_without_a_nudge_is_measured_on_aer(reading):
    exact = qeqprop.gradient(*PAIR_CASE, loss=losses.mean_squared_error, solver=Exact(temperature=0.7))
    solver = RandomTime(COOL, times=50, shots=16, reading=reading)
    found = qeqprop.gradient(*PAIR_CASE, loss=losses.mean_squared_error, solver=solver, device=Aer(), seed=3)
    assert np.all(np.abs(found.values - exact.values) < 4.5 * found.std_errors + 0.01)
    assert np.all(found.std_errors < 0.15)
    assert found.shots == 2 * 1000 + 2 * 800 * 1 + 2 * 50 * 16  # outputs, means and products, all read in one basis


def test_a_circuit_may_measure_on_its_way_where_the_device_can():
    circuit = QuantumCircuit(2, 1)
    circuit.ry(1.1, 0)
    circuit.measure(0, 0)
    circuit.cx(0, 1)
    circuit.h(0)
    strings = PauliList(["ZII", "ZZI", "IXX"])  # the classical bit is the leftmost
    measurement = Measurement(circuit, np.zeros((2, 0)), strings, np.eye(3)[None])
    found = Aer(shots=2000).run(measurement, shots=None, key=(1,)).expectations
    wanted = np.array([np.cos(1.1), 1.0, 0.0])  # without the measurement <XX> would be <ZX> of a Bell pair, cos(1.1)
    assert np.all(np.abs(found.values - wanted) < 5 * found.std_errors + 1e-12)
    with pytest.raises(ValueError, match="`circuit` must not measure on this device"):
        Profile().run(measurement, shots=10, key=(1,))
    with pytest.raises(ValueError, match="must ask for Z, or nothing, of the circuit's classical bits"):
        Measurement(circuit, np.zeros((1, 0)), PauliList(["XII"]), np.ones((1, 1, 1)))
    with pytest.raises(ValueError, match="the 2 qubits of the circuit and its 1 classical bits"):
        Measurement(circuit, np.zeros((1, 0)), PauliList(["ZI"]), np.ones((1, 1, 1)))


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (
            lambda: qeqprop.gradient(*PAIR_CASE, loss=losses.mean_squared_error, solver=COOL),
            "measure it, with RandomTime",
        ),
        (
            lambda: qeqprop.gradient(
                *PAIR_CASE, loss=losses.mean_squared_error, solver=COOL, device=Aer(), rule=LinearResponse()
            ),
            "a response, which no device measures",
        ),
        (lambda: Thermofield(0.0), "`temperature` must be a finite number greater than 0"),
        (lambda: RandomTime(times=1), "`times` must be an integer at least 2"),
        (
            lambda: Thermofield().solve(problem_of(transverse_ising(sites=9), np.zeros(45))),
            "Thermofield settles up to 8 sites",
        ),
    ],
)
def test_what_cannot_be_done_is_refused(ask, message):
    with pytest.raises(ValueError, match=message):
        ask()
