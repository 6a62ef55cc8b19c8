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

from qeqprop.ansatze.brickwork import brickwork
from qeqprop.ansatze.hamiltonian_variational import hamiltonian_variational
from qeqprop.engine.circuit_conversion import from_qiskit
from qeqprop.engine.circuits import energy_and_gradient, states
from qeqprop.gates import factors, numbered
from qeqprop.interfaces import PauliSums

ANSATZE = members("ansatze")
ISING = ising_chain(3).strings
MIXED = random_network(3, sites=3).strings


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
    trial = ANSATZE[name]()(strings)
    assert [parameter.name for parameter in trial.circuit.parameters] == [
        f"theta_{index:03d}" for index in range(len(trial.initial))
    ]
    assert trial.circuit.num_qubits == 3
    points = np.random.default_rng(1).uniform(-3, 3, (2, len(trial.initial)))
    for amplitudes, point in zip(states(from_qiskit(trial.circuit), points), points, strict=True):
        bound = trial.circuit.assign_parameters(point).decompose("PauliEvolution")
        np.testing.assert_allclose(amplitudes, Statevector(bound).data, atol=1e-12)


@pytest.mark.parametrize("name", ANSATZE)
@pytest.mark.parametrize("strings", [ISING, MIXED], ids=["ising", "mixed"])
def test_the_first_point_is_finite_the_same_every_time_and_no_saddle(name, strings):
    maker = ANSATZE[name]
    trial, again = maker()(strings), maker()(strings)
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


def test_bricks_are_real_exactly_where_the_strings_are():
    assert set(brickwork()(ISING).circuit.count_ops()) == {"ry", "cz"}
    assert set(brickwork()(MIXED).circuit.count_ops()) == {"ry", "rz", "cz"}
    assert set(brickwork(fractional=True)(ISING).circuit.count_ops()) == {"ry", "rz", "rzz"}
    points = np.random.default_rng(2).normal(size=(2, len(brickwork()(ISING).initial)))
    assert np.max(np.abs(states(from_qiskit(brickwork()(ISING).circuit), points).imag)) < 1e-14


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
    with pytest.raises(ValueError, match="`real` and `fractional` exclude each other"):
        brickwork(real=True, fractional=True)


def test_numbers_of_parameters_sort_as_text():
    for count in (3, 1000, 1001):
        names = [parameter.name for parameter in numbered(count)]
        assert names == sorted(names)
    assert factors(PauliList(["IZX", "III"])) == [("XZ", (0, 1)), ("", ())]
