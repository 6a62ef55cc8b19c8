"""Circuits for given Pauli strings: what they hold, what they reach, and that every tool of the package reads them."""

import sys
from pathlib import Path

import numpy as np
import pytest
from qiskit.quantum_info import PauliList, Statevector
from scipy.optimize import minimize

sys.path.insert(0, str(Path(__file__).parent))
from members import members
from systems import hydrogen_molecule, ising_chain, ising_chain_energy, random_network

from qeqprop.ansatze.adaptive import adaptive
from qeqprop.ansatze.brickwork import brickwork
from qeqprop.ansatze.hamiltonian_variational import hamiltonian_variational
from qeqprop.devices import statevector
from qeqprop.engine.circuit_conversion import from_qiskit
from qeqprop.engine.circuits import energy_and_gradient, states
from qeqprop.gates import factors, numbered
from qeqprop.interfaces import GrowingAnsatz, PauliSums, PhysicsWarning
from qeqprop.measuring import BoundMeasure
from qeqprop.parameter_shift import shifted_gradient, unshared

ANSATZE = members("ansatze")
ISING = ising_chain(3).strings
MIXED = random_network(3, sites=3).strings


def trial_of(ansatz, strings):
    return ansatz.grown(strings, (4, 0, 9, 4)) if isinstance(ansatz, GrowingAnsatz) else ansatz(strings)


def reached(trial, hamiltonian, points=None):
    """The lowest energy that scipy finds from the trial's own starts."""
    circuit = from_qiskit(trial.circuit)

    def cost(parameters):
        energies, gradients = energy_and_gradient(circuit, parameters[None], hamiltonian)
        return energies[0], gradients[0]

    starts = trial.starts(hamiltonian.coefficients) if points is None else points
    options = {"maxiter": 5000, "maxfun": 10000, "ftol": 1e-15, "gtol": 1e-9}
    return min(minimize(cost, start, jac=True, method="L-BFGS-B", options=options).fun for start in starts)


@pytest.mark.parametrize("name", ANSATZE)
@pytest.mark.parametrize("strings", [ISING, MIXED], ids=["ising", "mixed"])
def test_the_order_of_parameters_is_that_of_their_names_and_the_engine_agrees_with_qiskit(name, strings):
    trial = trial_of(ANSATZE[name](), strings)
    assert [parameter.name for parameter in trial.circuit.parameters] == [
        f"theta_{index:03d}" for index in range(len(trial.initial))
    ]
    assert trial.circuit.num_qubits == 3
    points = np.random.default_rng(1).uniform(-3, 3, (2, len(trial.initial)))
    for amplitudes, point in zip(states(from_qiskit(trial.circuit), points), points, strict=True):
        bound = trial.circuit.assign_parameters(point).decompose("PauliEvolution")
        np.testing.assert_allclose(amplitudes, Statevector(bound).data, atol=1e-12)


@pytest.mark.parametrize("name", [name for name in ANSATZE if name != "adaptive"])  # its gates start at zero
@pytest.mark.parametrize("strings", [ISING, MIXED], ids=["ising", "mixed"])
def test_the_first_point_is_finite_the_same_every_time_and_no_saddle(name, strings):
    maker = ANSATZE[name]
    trial, again = trial_of(maker(), strings), trial_of(maker(), strings)
    np.testing.assert_array_equal(trial.initial, again.initial)
    coefficients = np.random.default_rng(0).normal(size=(3, len(strings)))
    for points in (trial.starts(coefficients), trial.starts(0 * coefficients)):
        assert points.shape == (3, len(trial.initial))
        _, gradients = energy_and_gradient(from_qiskit(trial.circuit), points, PauliSums(strings, coefficients))
        assert np.all(np.max(np.abs(gradients), axis=1) > 0.01)


@pytest.mark.parametrize(("sites", "layers", "tied"), [(2, 1, True), (3, 2, False), (4, 3, False), (4, 6, True)])
def test_layers_of_its_own_strings_reach_the_ground_state_of_an_ising_chain(sites, layers, tied):
    network = ising_chain(sites)
    trial = hamiltonian_variational(layers=layers, tied=tied)(network.strings)
    found = reached(trial, network.hamiltonians([1.0, 0.8], np.zeros((1, 0))))
    assert abs(found - ising_chain_energy(1.0, 0.8, sites)) < 1e-8


def test_one_layer_is_not_enough():
    network = ising_chain(4)
    found = reached(
        hamiltonian_variational(layers=1)(network.strings), network.hamiltonians([1.0, 0.8], np.zeros((1, 0)))
    )
    assert found > ising_chain_energy(1.0, 0.8, 4) + 1e-3


@pytest.mark.parametrize("maker", [hamiltonian_variational, brickwork])
def test_networks_without_symmetry_are_reached(maker):
    network = random_network(5, sites=2)
    hamiltonian = network.hamiltonians(network.initial, np.array([[0.3, -0.2]]))
    exact = np.linalg.eigvalsh(hamiltonian.operator().to_matrix())[0]
    assert abs(reached(maker(layers=3)(network.strings), hamiltonian) - exact) < 1e-8


@pytest.mark.parametrize("options", [{"real": True}, {"real": False}, {"fractional": True}])
def test_bricks_of_every_kind_reach_the_hydrogen_molecule(options):
    network = hydrogen_molecule()
    hamiltonian = network.hamiltonians(network.initial, np.zeros((1, 0)))
    trial = brickwork(layers=2, **options)(network.strings)
    assert abs(reached(trial, hamiltonian) + 1.857275030202) < 1e-8


def test_the_sweep_of_the_first_angles_is_better_than_plus():
    network = ising_chain(5)
    hamiltonians = network.hamiltonians([1.0, 0.8], np.zeros((1, 0)))
    trial = hamiltonian_variational(layers=4)(network.strings)
    energy, _ = energy_and_gradient(from_qiskit(trial.circuit), trial.starts(hamiltonians.coefficients), hamiltonians)
    exact, plus = ising_chain_energy(1.0, 0.8, 5), -0.8 * 5
    assert energy[0] - exact < 0.3 * (plus - exact)


def test_a_tied_parameter_turns_all_strings_of_its_kind():
    trial = hamiltonian_variational(layers=2, tied=True)(ISING)
    assert len(trial.initial) == 4
    assert trial.slopes.shape == (4, len(ISING))
    operations = dict(trial.circuit.count_ops())
    assert operations == {"h": 3, "rzz": 4, "rx": 6}
    assert len(hamiltonian_variational(layers=2)(ISING).initial) == 10


def test_the_start_is_chosen_by_the_strings():
    heisenberg = PauliList(["IXX", "XXI", "IYY", "YYI", "IZZ", "ZZI"])
    count = {
        name: dict(hamiltonian_variational(layers=1)(strings).circuit.count_ops())
        for name, strings in (("ising", ISING), ("heisenberg", heisenberg), ("mixed", MIXED))
    }
    assert count["ising"]["h"] == 3
    assert "h" not in count["heisenberg"] and count["heisenberg"]["ry"] == 3 and "rz" not in count["heisenberg"]
    trial = hamiltonian_variational(layers=1, start="zero")(ISING)
    assert "h" not in trial.circuit.count_ops()


def test_a_product_start_breaks_parity_and_plus_keeps_it():
    flip = PauliSums(PauliList(["XXX"]), np.ones((1, 1)))
    for start, kept in (("plus", True), ("product", False)):
        trial = hamiltonian_variational(layers=2, start=start)(ISING)
        points = np.random.default_rng(2).normal(size=(3, len(trial.initial)))
        parity, _ = energy_and_gradient(from_qiskit(trial.circuit), points, flip)
        assert np.allclose(parity, 1.0, atol=1e-12) == kept


def test_a_ground_state_of_the_other_parity_needs_a_product_start():
    """Three fields +X: all minus, of parity -1; the docstring says that plus does not reach it."""
    network = ising_chain(3)
    hamiltonian = network.hamiltonians([0.3, -1.0], np.zeros((1, 0)))
    exact = np.linalg.eigvalsh(hamiltonian.operator().to_matrix())[0]
    for start, found in (("plus", False), ("product", True)):
        energy = reached(hamiltonian_variational(start=start)(network.strings), hamiltonian)
        assert (abs(energy - exact) < 1e-8) == found


def test_bricks_are_real_exactly_where_the_strings_are():
    assert set(brickwork()(ISING).circuit.count_ops()) == {"ry", "cz"}
    assert set(brickwork()(MIXED).circuit.count_ops()) == {"ry", "rz", "cz"}
    assert set(brickwork(fractional=True)(ISING).circuit.count_ops()) == {"ry", "rz", "rzz"}
    points = np.random.default_rng(2).normal(size=(2, len(brickwork()(ISING).initial)))
    assert np.max(np.abs(states(from_qiskit(brickwork()(ISING).circuit), points).imag)) < 1e-14


def grow(ansatz, hamiltonians):
    """One optimisation after the other: choices, parameters (batch, n_parameters) and energies (batch,)."""
    strings = hamiltonians.strings

    def gradient(circuit, parameters, wanted):
        return energy_and_gradient(from_qiskit(circuit), parameters, hamiltonians)[1][:, wanted]

    choices, parameters = [], np.tile(ansatz.grown(strings, ()).initial, (len(hamiltonians), 1))
    while True:
        circuit = from_qiskit(ansatz.grown(strings, choices).circuit)
        for row, coefficients in enumerate(hamiltonians.coefficients if parameters.size else ()):
            one = PauliSums(strings, coefficients[None])

            def cost(point, one=one, circuit=circuit):
                energies, gradients = energy_and_gradient(circuit, point[None], one)
                return energies[0], gradients[0]

            found = minimize(cost, parameters[row], jac=True, method="L-BFGS-B", options={"ftol": 1e-15, "gtol": 1e-8})
            parameters[row] = found.x
        choice = ansatz.choose(strings, choices, parameters, gradient)
        if choice is None:
            return choices, parameters, energy_and_gradient(circuit, parameters, hamiltonians)[0]
        choices = [*choices, choice]
        parameters = np.concatenate([parameters, np.zeros((len(parameters), 1))], axis=1)


@pytest.mark.parametrize("start", ["automatic", "product"])
def test_a_grown_circuit_reaches_the_ground_states_of_a_whole_batch(start):
    network = ising_chain(4)
    fields = [0.6, 1.3]
    coefficients = [network.hamiltonians([1.0, field], np.zeros((1, 0))).coefficients[0] for field in fields]
    choices, parameters, energies = grow(adaptive(start=start), PauliSums(network.strings, np.array(coefficients)))
    assert len(choices) <= 30
    assert parameters.shape == (2, len(choices) + 4 * (start == "product"))
    np.testing.assert_allclose(energies, [ising_chain_energy(1.0, field, 4) for field in fields], atol=1e-6)


def test_a_grown_circuit_reaches_complex_ground_states():
    network = random_network(5, sites=3)
    hamiltonians = network.hamiltonians(network.initial, np.array([[0.3, -0.2]]))
    _, _, energies = grow(adaptive(), hamiltonians)
    exact = np.linalg.eigvalsh(hamiltonians.operator().to_matrix())[0]
    np.testing.assert_allclose(energies, exact, atol=1e-6)


def test_the_gate_with_the_largest_gradient_is_chosen_on_any_device():
    network = random_network(5, sites=3)
    hamiltonians = network.hamiltonians(network.initial, np.array([[0.3, -0.2], [1.0, 0.5]]))
    ansatz, strings = adaptive(), network.strings
    parameters = np.random.default_rng(0).normal(size=(2, ansatz.grown(strings, (3, 7)).circuit.num_parameters))
    measure, jobs = BoundMeasure(statevector.Statevector()), []

    def by_adjoint(circuit, points, wanted):
        return energy_and_gradient(from_qiskit(circuit), points, hamiltonians)[1][:, wanted]

    def by_shifts(circuit, points, wanted):
        weights = hamiltonians.coefficients[:, None]
        found, _ = shifted_gradient(measure, unshared(circuit), points, strings, weights, wanted=wanted)
        jobs.append(found.values)
        np.testing.assert_allclose(found.values[:, 0], by_adjoint(circuit, points, wanted), atol=1e-11)
        return found.values[:, 0]

    choice = ansatz.choose(strings, (3, 7), parameters, by_adjoint)
    assert choice == ansatz.choose(strings, (3, 7), parameters, by_shifts)
    assert len(jobs) == 1
    assert choice == np.argmax(np.sum(jobs[0][:, 0] ** 2, axis=0))


def test_growing_stops_at_its_limit_and_says_so():
    network = ising_chain(3)
    with pytest.warns(PhysicsWarning, match=r"stops growing at 1 gates with a gradient of .*, above its tolerance"):
        choices, _, _ = grow(adaptive(most=1), network.hamiltonians([1.0, 0.8], np.zeros((1, 0))))
    assert len(choices) == 1


def test_real_strings_grow_real_circuits():
    circuit = from_qiskit(adaptive().grown(ISING, range(9)).circuit)
    points = np.random.default_rng(2).normal(size=(2, 9))
    assert np.max(np.abs(states(circuit, points).imag)) < 1e-14


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="`layers` must be an integer at least 1, but is 0"):
        hamiltonian_variational(layers=0)
    with pytest.raises(ValueError, match="`start` must be 'automatic' or"):
        hamiltonian_variational(start="minus")
    with pytest.raises(ValueError, match="`tied` must be True or False, but is 1"):
        hamiltonian_variational(tied=1)
    with pytest.raises(ValueError, match="`strings` must hold a string other than the identity"):
        hamiltonian_variational()(PauliList(["II"]))
    with pytest.raises(ValueError, match=r"`layers` must be an integer at least 1, but is 1\.5"):
        brickwork(layers=1.5)
    with pytest.raises(ValueError, match="`tolerance` must be a finite number greater than 0, but is 0"):
        adaptive(tolerance=0)
    with pytest.raises(ValueError, match="`real` and `fractional` exclude each other"):
        brickwork(real=True, fractional=True)


def test_numbers_of_parameters_sort_as_text():
    for count in (3, 1000, 1001):
        names = [parameter.name for parameter in numbered(count)]
        assert names == sorted(names)
    assert factors(PauliList(["IZX", "III"])) == [("XZ", (0, 1)), ("", ())]
