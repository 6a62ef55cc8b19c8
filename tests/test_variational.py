"""The variational solver: what it finds, what its certificate says, and that its gradients are exact."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from qiskit.quantum_info import PauliList, Statevector
from systems import (
    H2_EIGENVALUES,
    hydrogen_molecule,
    ising_chain,
    ising_chain_energy,
    one_qubit,
    one_qubit_answer,
    random_network,
)

import qeqprop
from qeqprop import losses
from qeqprop.ansatze.brickwork import brickwork
from qeqprop.ansatze.commutators import commutators
from qeqprop.ansatze.hamiltonian_variational import hamiltonian_variational
from qeqprop.descent import descend
from qeqprop.devices import statevector
from qeqprop.engine.circuit_conversion import from_qiskit
from qeqprop.engine.circuit_hessian import hessian
from qeqprop.engine.circuits import energy_and_gradient
from qeqprop.interfaces import Equilibria, PauliSums, PhysicsWarning
from qeqprop.iterations import heard_by
from qeqprop.measuring import BoundMeasure
from qeqprop.propagation import measure_outputs
from qeqprop.rules.linear_response import LinearResponse
from qeqprop.rules.nudging import SymmetricNudging
from qeqprop.rules.richardson import Richardson
from qeqprop.solvers._circuit_family import family_of
from qeqprop.solvers._measured_states import squares
from qeqprop.solvers.exact import Exact
from qeqprop.solvers.variational import Variational

SMALL = brickwork(layers=1, real=False)


def problem(network, theta=None, x=None):
    x = np.zeros((1, network.n_inputs)) if x is None else x
    theta = network.initial if theta is None else theta
    return Equilibria(network.hamiltonians(theta, x), PauliSums(network.strings, network.outputs))


# --- the search -------------------------------------------------------------------------------------------------


def rosenbrock(rows, points):
    """(1 - x)^2 + (1 + rows) (y - x^2)^2: a curved valley, another one in each row."""
    x, y = points.T
    a = 1.0 + rows
    values = (1 - x) ** 2 + a * (y - x**2) ** 2
    return values, np.stack([-2 * (1 - x) - 4 * a * x * (y - x**2), 2 * a * (y - x**2)], axis=1)


def test_descent_reaches_every_minimum_and_rows_do_not_see_each_other():
    points = np.array([[-1.2, 1.0], [0.0, 0.0], [1.0, 1.0], [2.0, -1.0]])
    found = descend(rosenbrock, points, tolerances=np.full(4, 1e-10), most=500)
    assert found.converged.all()
    assert_allclose(found.points, 1.0, atol=1e-8)
    alone = descend(lambda rows, at: rosenbrock(rows + 3, at), points[3:], tolerances=np.full(1, 1e-10), most=500)
    assert_allclose(alone.points[0], found.points[3], atol=1e-12)
    assert alone.calls <= found.calls


def test_descent_knows_its_curvature_at_the_end():
    found = descend(rosenbrock, np.array([[-1.2, 1.0]]), tolerances=np.full(1, 1e-9), most=500)
    exact = np.array([[2 + 8, -4], [-4, 2.0]])  # at (1, 1) with a = 1
    assert_allclose(found.inverses[0], np.linalg.inv(exact), rtol=0.05)
    again = descend(rosenbrock, found.points + 0.01, tolerances=np.full(1, 1e-9), most=500, inverses=found.inverses)
    cold = descend(rosenbrock, found.points + 0.01, tolerances=np.full(1, 1e-9), most=500)
    assert again.converged.all()
    assert again.calls < cold.calls


def test_descent_stops_where_it_is_told_to_and_says_so():
    heard = []
    with heard_by(heard.append):
        found = descend(rosenbrock, np.array([[-1.2, 1.0], [1.0, 1.0]]), tolerances=np.full(2, 1e-9), most=7)
    assert found.converged.tolist() == [False, True]
    assert found.calls == 7
    assert [at.number for at in heard] == list(range(1, 8))
    assert {at.rows for at in heard} == {1}
    assert heard[-1].distance == pytest.approx(np.linalg.norm(found.gradients[0]))


def test_descent_refuses_more_parameters_than_it_has_room_for():
    with pytest.raises(ValueError, match=r"at most 8192 parameters for 2 rows, .* but has 20000"):
        descend(rosenbrock, np.zeros((2, 20000)), tolerances=np.ones(2), most=3)


# --- the circuit's states and slopes ----------------------------------------------------------------------------


@pytest.mark.parametrize("ansatz", [SMALL, commutators(layers=1), hamiltonian_variational(layers=2, tied=True)])
def test_hessian_is_the_slope_of_the_gradient(ansatz):
    network = random_network(5, sites=3)
    circuit = from_qiskit(ansatz(network.strings).circuit)
    hamiltonians = network.hamiltonians(network.initial, np.ones((2, 2)))
    points = np.random.default_rng(1).normal(size=(2, circuit.n_parameters))
    found = hessian(circuit, points, hamiltonians)
    step = 1e-5
    for j in range(0, circuit.n_parameters, 5):
        moved = step * np.eye(circuit.n_parameters)[j]
        ahead, behind = (energy_and_gradient(circuit, points + sign * moved, hamiltonians)[1] for sign in (1, -1))
        assert_allclose(found[:, j], (ahead - behind) / (2 * step), atol=1e-8)


def test_deflated_energy_and_its_slope():
    network = random_network(3, sites=3)
    family = family_of(SMALL, network.strings)
    random = np.random.default_rng(2)
    points, other = random.normal(size=(2, 2, family.circuit.n_parameters))
    hamiltonians = network.hamiltonians(network.initial, np.ones((2, 2)))
    below, heights = family.images(other, 0), np.array([2.0, 3.0])
    objective = family.energy(hamiltonians, [below], heights)
    values, gradients = objective(np.arange(2), points)
    for row in range(2):
        circuit = family.trial.circuit
        state, lower = (Statevector(circuit.assign_parameters(at[row])) for at in (points, other))
        energy = state.expectation_value(hamiltonians.operator(row)).real
        assert values[row] == pytest.approx(energy + heights[row] * abs(lower.inner(state)) ** 2, abs=1e-12)
    for j in range(family.circuit.n_parameters):
        moved = 1e-5 * np.eye(family.circuit.n_parameters)[j]
        ahead, behind = (objective(np.arange(2), points + sign * moved)[0] for sign in (1, -1))
        assert_allclose(gradients[:, j], (ahead - behind) / 2e-5, atol=1e-8)
    assert_allclose(objective(np.array([1]), points[1:])[0], values[1:])


# --- states and certificates ------------------------------------------------------------------------------------


@pytest.mark.parametrize("excited", ["deflation", "subspace"])
@pytest.mark.parametrize("level", range(4))
def test_hydrogen_molecule_has_its_four_levels(level, excited):
    found = Variational(level=level, excited=excited).solve(problem(hydrogen_molecule()))
    assert found.energies[0] == pytest.approx(H2_EIGENVALUES[level], abs=1e-8)
    assert found.certificate.converged.all()
    assert found.certificate.residual[0] < 1e-8
    assert found.certificate.level[0] == level


@pytest.mark.parametrize(
    ("sites", "J", "g"), [(4, 1.0, 1.0), (5, 1.0, 0.6), (6, -0.5, 1.0), pytest.param(8, 1, 1, marks=pytest.mark.slow)]
)
def test_ising_chain_to_six_digits(sites, J, g):
    found = Variational(tolerance=1e-7).solve(problem(ising_chain(sites), [J, g]))
    assert found.energies[0] == pytest.approx(ising_chain_energy(J, g, sites), abs=1e-6)


def test_one_qubit_and_a_device_that_reads_states():
    network = one_qubit()
    exact = one_qubit_answer(0.8, 1.5)
    outputs, certificate, shots = measure_outputs(
        network, [0.8, 1.5], np.zeros((1, 0)), solver=Variational(), device=statevector.Statevector()
    )
    assert outputs.values[0, 0] == pytest.approx(exact.z, abs=1e-8)
    assert certificate.gap[0] == pytest.approx(exact.gap)
    assert shots == 0
    assert not outputs.std_errors.any()


def test_stationary_and_eigenstate_are_two_things():
    """A product state is stationary long before it is an eigenstate; the residual is that of the dense matrix."""
    network = ising_chain(4)
    with pytest.warns(PhysicsWarning, match="far from an eigenstate"):
        found = Variational(ansatz=product_states).solve(problem(network, [1.0, 1.0]))
    assert found.certificate.converged.all()
    assert found.certificate.residual[0] > 0.5
    state = family_of(product_states, network.strings).images(found.start.arrays["points"][:, 0], 0)[0]
    matrix = network.hamiltonian([1.0, 1.0]).to_matrix()
    energy = np.vdot(state, matrix @ state).real
    assert found.energies[0] == pytest.approx(energy)
    variance = np.vdot(matrix @ state, matrix @ state).real - energy**2
    assert found.certificate.residual[0] == pytest.approx(np.sqrt(variance))


def product_states(strings):
    """Single turns about Y and Z: the best product state."""
    sites = [f"{'I' * (strings.num_qubits - 1 - k)}X{'I' * k}" for k in range(strings.num_qubits)]
    return commutators(layers=1)(PauliList(sites))


def test_an_unfinished_search_says_what_it_leaves():
    network = ising_chain(4)
    solver = Variational(iterations=8)
    with pytest.warns(PhysicsWarning, match="stopped after 8 iterations"):
        found = solver.solve(problem(network, [1.0, 1.0]))
    assert not found.certificate.converged.any()
    later = Variational().solve(problem(network, [1.0, 1.0]))
    assert later.certificate.converged.all()


def test_nudged_states_start_from_the_free_one_and_overlap_it():
    network = random_network(7, sites=3)
    calls = []
    with heard_by(calls.append):
        free = Variational().solve(problem(network))
    cold = len(calls)
    nudged = problem(network)
    nudged = Equilibria(
        PauliSums(network.strings, nudged.hamiltonians.coefficients + 0.01 * network.outputs[:1]),
        nudged.observables,
        start=free.start,
    )
    with heard_by(calls.append):
        found = Variational().solve(nudged)
    assert len(calls) - cold < 0.7 * cold
    assert 0.99 < found.certificate.overlap[0] < 1.0
    assert np.isnan(free.certificate.overlap[0])


# --- gradients --------------------------------------------------------------------------------------------------


def cost_of(solver, network, theta, x, y, start):
    """The loss of the circuit's own states, settled anew from a start."""
    asked = problem(network, theta, x)
    asked = Equilibria(asked.hamiltonians, asked.observables, start=start)
    settled = solver.solve(asked)
    return losses.mean_squared_error().value(settled.expectations.values, y), settled


@pytest.mark.filterwarnings("ignore:.*far from an eigenstate", "ignore:.*another level")
@pytest.mark.parametrize("seed", range(50))
def test_gradient_is_that_of_the_circuits_own_cost(seed):
    """Also where the circuit is too short for the true ground state: the finite difference re-optimises."""
    random = np.random.default_rng(seed)
    network = random_network(seed, sites=3 + seed % 2, n_trainable=5)
    theta = network.initial + 0.3 * random.normal(size=network.n_trainable)
    x, y = random.normal(size=(2, 2)), random.normal(size=(2, 2))
    solver = Variational(ansatz=SMALL, tolerance=1e-12, iterations=3000)
    start = solver.solve(problem(network, theta, x)).start
    wanted = np.zeros(network.n_trainable)
    for j in range(network.n_trainable):
        moves = 3e-4 * np.eye(network.n_trainable)[j]
        costs = [cost_of(solver, network, theta + k * moves, x, y, start)[0] for k in (-2, -1, 1, 2)]
        wanted[j] = np.dot([1, -8, 8, -1], costs) / 36e-4
    case = (network, theta, x, y)
    response = qeqprop.gradient(*case, loss=losses.mean_squared_error, rule=LinearResponse(), solver=solver)
    assert response.certificate.converged.all()
    assert np.max(response.certificate.residual) > 1e-3  # no eigenstates here
    assert_allclose(response.values, wanted, atol=1e-6)
    rule = Richardson(betas=(0.0006, 0.0012))
    nudged = qeqprop.gradient(*case, loss=losses.mean_squared_error, rule=rule, solver=solver)
    assert_allclose(nudged.values, wanted, atol=1e-6)


def test_symmetric_nudging_of_variational_states_has_second_order():
    network = random_network(4, sites=3)
    case = (network, network.initial, np.array([[0.3, -0.2]]), np.array([[1.0, -1.0]]))
    exact = qeqprop.gradient(*case, loss=losses.mean_squared_error, rule=LinearResponse(), solver=Exact()).values
    errors = [
        np.max(
            np.abs(
                qeqprop.gradient(
                    *case, loss=losses.mean_squared_error, rule=SymmetricNudging(beta=beta), solver=Variational()
                ).values
                - exact
            )
        )
        for beta in (0.02, 0.04)
    ]
    assert np.log2(errors[1] / errors[0]) == pytest.approx(2.0, abs=0.1)


def test_excited_levels_have_gradients_by_nudging():
    network = hydrogen_molecule()
    case = (network, network.initial, np.zeros((1, 0)), np.zeros((1, 0)))
    for level in (1, 2):
        exact = qeqprop.gradient(*case, loss=losses.output, solver=Exact(level=level)).values
        for excited in ("deflation", "subspace"):
            found = qeqprop.gradient(
                *case,
                loss=losses.output,
                rule=SymmetricNudging(beta=0.01),
                solver=Variational(level=level, excited=excited),
            )
            assert_allclose(found.values, exact, atol=0.01)


# --- on devices -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "solver", [Variational(), *(Variational(level=2, excited=e) for e in ("deflation", "subspace"))]
)
def test_a_device_measures_the_states_that_were_found(solver):
    network = hydrogen_molecule()
    case = (network, network.initial, np.zeros((6, 0)))
    exact, certificate, _ = measure_outputs(*case, solver=solver)
    device = statevector.Statevector(shots=100)
    found, again, shots = measure_outputs(*case, solver=solver, device=device, seed=3)
    assert shots == 6 * 100
    assert np.all(found.std_errors > 0)
    assert np.all(np.abs(found.values - exact.values) < 4.5 * found.std_errors)
    assert len(set(found.values[:, 0])) > 1  # every row has shots of its own
    assert_allclose(again.residual, certificate.residual)
    _, _, shots = measure_outputs(*case, solver=solver, device=device, precision=0.5)
    assert shots == 6 * 4


def test_rows_of_one_sample_are_neighbours_in_the_job_and_not_in_the_answer():
    network = random_network(7, sites=3)
    x = np.array([[2.0, -1.0], [-0.5, 0.3], [0.0, 1.0]])
    jobs = []

    def measure(measurement, *, shots=None):
        jobs.append(measurement.parameters)
        return statevector.Statevector().run(measurement, shots=shots, key=())

    measure.device = statevector.Statevector(shots=100)
    solver = Variational()
    asked = problem(network, x=x)
    free = solver.solve(asked, measure)
    nudge = 0.01 * network.outputs[0]
    both = np.concatenate([asked.hamiltonians.coefficients + nudge, asked.hamiltonians.coefficients - nudge])
    nudged = Equilibria(PauliSums(network.strings, both), asked.observables, start=free.start.repeat(2))
    found = solver.solve(nudged, measure)
    points = found.start.arrays["points"][:, 0]
    assert_allclose(jobs[1], points[[0, 3, 1, 4, 2, 5]])
    assert_allclose(found.expectations.values, solver.solve(nudged).expectations.values, atol=1e-9)


def test_squares_are_those_of_the_matrices():
    network = random_network(9, sites=3)
    sums = network.hamiltonians(network.initial, np.random.default_rng(1).normal(size=(2, 2)))
    strings, weights = squares(sums)
    assert strings.to_labels()[: len(sums.strings)] == sums.strings.to_labels()
    for row in range(2):
        matrix = sums.operator(row).to_matrix()
        assert_allclose(PauliSums(strings, weights).operator(row).to_matrix(), matrix @ matrix, atol=1e-12)


@pytest.mark.filterwarnings("ignore:.*the search stopped", "ignore:.*far from")
@pytest.mark.parametrize("method", ["gradient", "rotosolve", "spsa"])
def test_a_device_searches_by_itself_and_counts_its_shots(method):
    network = hydrogen_molecule()
    jobs = 160 if method == "spsa" else 80
    solver = Variational(
        ansatz=commutators(layers=1), angles="device", method=method, iterations=jobs, search_shots=300, tolerance=0.2
    )
    device = BoundMeasure(statevector.Statevector(shots=500), (3,))
    asked = Equilibria(*vars(problem(network)).values())
    found = solver.solve(asked, device)
    rows = {"gradient": 8, "rotosolve": 3, "spsa": 2}[method]
    assert found.shots == jobs * rows * 2 * 300 + 500
    assert found.energies[0] == pytest.approx(H2_EIGENVALUES[0], abs=0.05)
    assert np.all(np.isfinite(found.certificate.residual))
    again = Equilibria(asked.hamiltonians, asked.observables, start=found.start)
    assert solver.solve(again, device).certificate.overlap[0] > 0.9


def test_a_device_says_what_its_search_left():
    network = hydrogen_molecule()
    solver = Variational(angles="device", method="spsa", iterations=5, search_shots=50)
    with pytest.warns(PhysicsWarning) as said:
        found = solver.solve(problem(network), BoundMeasure(statevector.Statevector(shots=50), (1,)))
    assert "stopped after 5 iterations" in str(said[0].message)
    assert not found.certificate.converged.any()


def test_variance_can_be_measured():
    network = hydrogen_molecule()
    solver = Variational(ansatz=product_states, certify_variance=True)
    with pytest.warns(PhysicsWarning, match="far from an eigenstate"):
        exact = solver.solve(problem(network))
        found = solver.solve(problem(network), BoundMeasure(statevector.Statevector(shots=100_000), (1,)))
    assert found.certificate.residual[0] == pytest.approx(exact.certificate.residual[0], rel=0.02)
    assert found.shots > 2 * 100_000


# --- refusals ---------------------------------------------------------------------------------------------------


def test_refusals_come_before_anything_is_spent():
    network = hydrogen_molecule()
    asked = problem(network)
    with pytest.raises(ValueError, match="`level` must be less than 4"):
        Variational(level=4).solve(asked)
    with pytest.raises(ValueError, match="linear response of ground states only"):
        Variational(level=1).solve(Equilibria(asked.hamiltonians, asked.observables, perturbation=asked.hamiltonians))
    sampled = BoundMeasure(statevector.Statevector(shots=100))
    with pytest.raises(ValueError, match="measures states on a device"):
        Variational().solve(Equilibria(asked.hamiltonians, asked.observables, perturbation=asked.hamiltonians), sampled)
    with pytest.raises(ValueError, match="a device searches ground states only"):
        Variational(level=1, angles="device").solve(asked, sampled)
    complex_nudge = PauliSums(network.strings, asked.hamiltonians.coefficients + 0.1j)
    with pytest.raises(ValueError, match="complex nudges"):
        Variational().solve(Equilibria(complex_nudge, asked.observables))
    with pytest.raises(ValueError, match="`tolerance` must be a finite number greater than 0"):
        Variational(tolerance=0.0)
    chain = ising_chain(11)
    with pytest.raises(ValueError, match="'subspace' above 10 sites"):
        Variational(level=1).solve(problem(chain, [1.0, 1.0]))
