"""Matrix product states: operators and expectations against dense ones, states against exact ones and free fermions."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import dense_string, five_point
from qiskit.quantum_info import PauliList
from systems import ising_chain, ising_chain_energy, ising_chain_levels, ising_chain_slopes, random_network

import qeqprop
from qeqprop import losses
from qeqprop.engine.matrix_products import StringTable, overlap, padded, residual, unpadded
from qeqprop.engine.sweeps import Chain
from qeqprop.interfaces import Equilibria, NotConverged, PauliSums, PhysicsWarning
from qeqprop.networks.spin_graph import spin_graph
from qeqprop.networks.transverse_ising import transverse_ising
from qeqprop.rules.linear_response import LinearResponse
from qeqprop.rules.nudging import SymmetricNudging
from qeqprop.rules.richardson import Richardson
from qeqprop.solvers.dmrg import DMRG
from qeqprop.solvers.exact import Exact

TIGHT = DMRG(tolerance=1e-9, stationarity=1e-11)
NO_INPUT = np.zeros((1, 0))


def solve(network, theta, solver, x=NO_INPUT, **fields):
    return solver.solve(
        Equilibria(network.hamiltonians(theta, x), PauliSums(network.strings, network.outputs), **fields)
    )


def ladder(length):
    """The bonds of a ladder whose legs are numbered one after the other."""
    legs = [(start + k, start + k + 1) for start in (0, length) for k in range(length - 1)]
    return legs + [(k, length + k) for k in range(length)]


def dense_operator(tensors):
    """The matrix of an operator; site 0 is the least significant bit."""
    matrix = np.ones((1, 1, 1))
    for tensor in tensors:
        matrix = np.einsum("aij,abst->bsitj", matrix, tensor)
        matrix = matrix.reshape(len(matrix), 2 * matrix.shape[2], -1)
    return matrix[0]


def dense_state(tensors):
    state = np.ones((1, 1))
    for tensor in tensors:
        state = np.einsum("ai,asb->bsi", state, tensor).reshape(tensor.shape[2], -1)
    return state[0]


@st.composite
def random_strings(draw):
    sites = draw(st.integers(1, 5))
    label = st.text("IXYZ", min_size=sites, max_size=sites)
    labels = draw(st.lists(label, min_size=1, max_size=12, unique=True))
    return labels, np.array(draw(st.lists(st.floats(-2, 2), min_size=len(labels), max_size=len(labels))))


@settings(max_examples=60)
@given(random_strings(), st.floats(-1, 1), st.integers(0, 100))
def test_operators_expectations_and_residuals_are_the_dense_ones(sums, shift, seed):
    labels, coefficients = sums
    sites = len(labels[0])
    random = np.random.default_rng(seed)
    table = StringTable.of(PauliList(labels), np.arange(sites))
    strings = np.array([dense_string(label) for label in labels])
    matrix = np.einsum("s,sij->ij", coefficients, strings) - shift * np.eye(2**sites)
    operator = table.operator(coefficients, shift)
    np.testing.assert_allclose(dense_operator(operator), matrix, atol=1e-13)
    bonds = [1, *random.integers(1, 5, sites - 1), 1]
    state = [random.normal(size=(a, 2, b)) + 1j * random.normal(size=(a, 2, b)) for a, b in pairwise(bonds)]
    tensors = Chain.of(operator, state).tensors
    vector = dense_state(tensors)
    assert np.linalg.norm(vector) == pytest.approx(1)
    expected = np.einsum("i,sij,j->s", vector.conj(), strings, vector)
    np.testing.assert_allclose(table.expectations(tensors), expected, atol=1e-12)
    assert residual(operator, tensors) == pytest.approx(np.linalg.norm(matrix @ vector), abs=1e-12)


def test_sites_can_be_renumbered():
    labels, order = ["XYZI", "IIZX", "ZIIZ"], np.array([2, 0, 3, 1])
    renumbered = ["".join(label[::-1][site] for site in order)[::-1] for label in labels]
    weights = np.array([0.3, -1.0, 0.7])
    chains = [
        StringTable.of(PauliList(labels), order).operator(weights),
        StringTable.of(PauliList(renumbered), np.arange(4)).operator(weights),
    ]
    np.testing.assert_allclose(dense_operator(chains[0]), dense_operator(chains[1]), atol=1e-14)


@pytest.mark.parametrize(
    ("words", "edges", "bond"),
    [(("ZZ",), "chain", 3), (("XX", "YY", "ZZ"), "chain", 5), (("ZZ",), "complete", 3)],
)
def test_operators_have_the_smallest_bonds(words, edges, bond):
    """Equal couplings of all pairs need no more than those of neighbours: what is done, has begun, or has not."""
    network = spin_graph(sites=30, edges=edges, bonds=words, fields=("X",), tied=(*words, "X"))
    coefficients = network.hamiltonians(np.ones(network.n_trainable), NO_INPUT).coefficients[0]
    operator = StringTable.of(network.strings, np.arange(30)).operator(coefficients)
    assert max(len(tensor) for tensor in operator) == bond
    assert all(tensor.dtype == np.float64 for tensor in operator)  # YY is real


def test_states_of_different_bonds_share_an_array():
    random = np.random.default_rng(0)
    states = [
        [random.normal(size=shape) for shape in shapes]
        for shapes in ([(1, 2, 2), (2, 2, 3), (3, 2, 1)], [(1, 2, 1), (1, 2, 2), (2, 2, 1)])
    ]
    array, bonds = padded(states)
    assert array.shape == (2, 3, 3, 2, 3)
    for index, state in enumerate(states):
        for found, tensor in zip(unpadded(array[index], bonds[index]), state, strict=True):
            np.testing.assert_array_equal(found, tensor)
    assert overlap(states[0], states[1]) == pytest.approx(dense_state(states[0]) @ dense_state(states[1]))


NETWORKS = {
    "any strings, with Y": random_network(3, sites=8, n_trainable=12, n_inputs=0),
    "Heisenberg ladder": spin_graph(sites=10, edges=ladder(5), bonds=("XX", "YY", "ZZ"), outputs=("Z0 Z9", "X3")),
    "complete": transverse_ising(sites=8, fields_x="trainable", couplings_xx=True),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_energies_outputs_and_gradients_are_the_exact_ones(name):
    network = NETWORKS[name]
    theta = network.initial + 0.7 * np.random.default_rng(5).normal(size=network.n_trainable)
    case = (network, theta, np.zeros((2, 0)), np.full((2, network.n_outputs), 0.5))
    found, exact = (solve(network, theta, solver) for solver in (TIGHT, Exact()))
    np.testing.assert_allclose(found.energies, exact.energies, atol=1e-11)
    np.testing.assert_allclose(found.expectations.values, exact.expectations.values, atol=1e-8)
    gradients = [
        qeqprop.gradient(*case, loss=losses.mean_squared_error, rule=SymmetricNudging(0.05), solver=solver).values
        for solver in (TIGHT, Exact())
    ]
    np.testing.assert_allclose(gradients[0], gradients[1], atol=2e-8)
    assert np.max(np.abs(gradients[1])) > 0.01


@pytest.mark.parametrize("level", [1, 2, 4])
def test_excited_states_are_the_exact_ones(level):
    network = random_network(6, sites=6, n_inputs=0)
    found, exact = (solve(network, network.initial, solver) for solver in (DMRG(level=level), Exact(level=level)))
    np.testing.assert_allclose(found.energies, exact.energies, atol=1e-9)
    np.testing.assert_allclose(found.expectations.values, exact.expectations.values, atol=1e-5)
    np.testing.assert_allclose(found.certificate.gap_below, exact.certificate.gap_below, atol=1e-8)
    assert found.certificate.level.tolist() == [level]
    case = (network, network.initial, NO_INPUT, [[0.5, -0.5]])
    gradients = [
        qeqprop.gradient(*case, loss=losses.mean_squared_error, rule=SymmetricNudging(0.02), solver=solver).values
        for solver in (DMRG(level=level, tolerance=1e-9, stationarity=1e-10), Exact(level=level))
    ]
    np.testing.assert_allclose(gradients[0], gradients[1], atol=1e-6)


def test_the_gap_is_found_on_request():
    levels = ising_chain_levels(0.6, 1.0, 12)
    certificate = solve(ising_chain(12), [0.6, 1.0], DMRG(gap=True)).certificate
    assert certificate.gap_above[0] == pytest.approx(levels[1] - levels[0], abs=1e-8)
    assert certificate.degeneracy.tolist() == [1]
    certificate = solve(ising_chain(12), [0.6, 1.0], DMRG()).certificate
    assert np.isnan(certificate.gap_above[0])
    assert certificate.gap_below[0] == np.inf
    assert certificate.degeneracy.tolist() == [0]


@pytest.mark.parametrize(("sites", "J"), [(32, 1.0), (70, 0.7), pytest.param(128, 1.0, marks=pytest.mark.slow)])
def test_long_chains_are_free_fermions(sites, J):
    """More sites than an integer has bits, critical or not: energy, output and the whole gradient."""
    network, beta = ising_chain(sites), 0.02 * sites
    answer = solve(network, [J, 1.0], DMRG())
    assert answer.energies[0] == pytest.approx(ising_chain_energy(J, 1.0, sites), rel=1e-10)
    assert answer.expectations.values[0, 0] == pytest.approx(-ising_chain_slopes(J, 1.0, sites)[1] / sites, abs=1e-8)
    found = qeqprop.gradient(
        network, [J, 1.0], NO_INPUT, NO_INPUT, loss=losses.output, rule=SymmetricNudging(beta), solver=DMRG()
    )
    slopes = [ising_chain_slopes(J, 1.0 + sign * 0.02, sites) for sign in (-1, 1)]  # the nudge weakens the field
    np.testing.assert_allclose(found.values, (slopes[0] - slopes[1]) / (2 * beta), rtol=1e-6)


@pytest.mark.parametrize("bond", [1, 2])
def test_nudged_differences_are_exact_for_the_variational_states(bond):
    """Where bonds are too small the rule is wrong about the true cost, and right about that of the states it has."""
    network = spin_graph(sites=8, edges="ring", bonds=("XX", "ZZ"), fields=("X", "Z"), outputs=("Z0 Z1", "X4"))
    theta = network.initial + 0.5 * np.random.default_rng(1).normal(size=network.n_trainable)
    y = np.array([[0.3, -0.2]])
    solver = DMRG(bond=bond, stationarity=1e-12, accept_unconverged=True, sweeps=1000)
    loss = losses.mean_squared_error()

    def cost(values):
        return loss.value(qeqprop.predict(network, values, NO_INPUT, solver=solver), y)

    with pytest.warns(PhysicsWarning, match="larger `bond`"):
        found = qeqprop.gradient(network, theta, NO_INPUT, y, loss=loss, rule=Richardson((0.02, 0.04)), solver=solver)
        slopes = [
            five_point(lambda step, unit=unit: cost(theta + step * unit), 1e-3)
            for unit in np.eye(network.n_trainable)[::3]
        ]
    true = qeqprop.gradient(network, theta, NO_INPUT, y, loss=loss)
    assert not np.any(found.certificate.converged)
    np.testing.assert_allclose(found.values[::3], slopes, atol=1e-6)
    assert np.max(np.abs(true.values[::3] - slopes)) > 1e-3


def test_a_nudged_state_stays_in_the_family_of_its_free_state():
    network = ising_chain(16)
    free = solve(network, [0.9, 1.0], DMRG())
    nudged = solve(network, [0.9, 1.01], DMRG(), start=free.start)
    np.testing.assert_array_equal(nudged.start.arrays["bonds"], free.start.arrays["bonds"])
    inside = dense_state(unpadded(free.start.arrays["tensors"][0, 0], free.start.arrays["bonds"][0, 0]))
    outside = dense_state(unpadded(nudged.start.arrays["tensors"][0, 0], nudged.start.arrays["bonds"][0, 0]))
    assert nudged.certificate.overlap[0] == pytest.approx(float(inside @ outside) ** 2)
    assert 0.99 < nudged.certificate.overlap[0] < 1
    far = solve(network, [0.3, 1.0], DMRG(), start=free.start)  # more than these bonds hold: they grow again
    assert far.energies[0] == pytest.approx(ising_chain_energy(0.3, 1.0, 16), rel=1e-10)


def test_a_product_state_grows_where_a_nudge_entangles_it():
    network = qeqprop.Network.of(
        trainable=[qeqprop.operators.term("Z", (site,), 4, -1.0) for site in range(4)],
        outputs=[qeqprop.operators.term("XX", (0, 3), 4)],
    )
    case = (network, [1.0, 0.7, 0.9, 1.1], NO_INPUT, [[1.0]])
    pair = [
        qeqprop.gradient(*case, loss=losses.mean_squared_error, rule=SymmetricNudging(0.1), solver=solver).values
        for solver in (DMRG(), Exact())
    ]
    np.testing.assert_allclose(*pair, atol=1e-6)


def test_the_ends_of_a_ring_find_each_other():
    """A coupling between the first and the last site is noticed, though sweeps are local."""
    network = spin_graph(sites=40, edges="ring", bonds=("ZZ",), fields=("X", "Z"))
    theta = network.initial + np.random.default_rng(1).normal(size=network.n_trainable)
    assert solve(network, theta, DMRG()).certificate.converged[0]


def test_frustrated_networks_need_more_than_one_start():
    network = transverse_ising(sites=10, field_x=0.1)
    missed = []
    for seed in (4, 8, 13):
        theta = np.random.default_rng(seed).normal(size=network.n_trainable)
        energy = solve(network, theta, Exact()).energies
        np.testing.assert_allclose(solve(network, theta, DMRG()).energies, energy, atol=1e-8)
        missed.append(solve(network, theta, DMRG(starts=1)).energies[0] - energy[0] > 0.1)
    assert any(missed)  # what a certificate cannot see: a state that is an eigenstate, but not the lowest


def test_ladders_are_renumbered_and_cost_no_more_than_they_must():
    network = spin_graph(sites=24, edges=ladder(12), tied=("ZZ", "X"), bonds=("ZZ",), fields=("X",))
    answer = solve(network, [0.45, 1.0], DMRG())
    order = answer.start.arrays["order"][0]
    place = np.argsort(order)
    assert max(abs(place[a] - place[b]) for a, b in ladder(12)) == 2
    assert answer.start.arrays["bonds"].max() < 32


def test_the_same_call_gives_the_same_bits():
    network = random_network(2, sites=6, n_inputs=0)
    one, two = (solve(network, network.initial, DMRG(), key=key) for key in ((1,), (2,)))
    np.testing.assert_array_equal(one.expectations.values, two.expectations.values)
    np.testing.assert_array_equal(one.certificate.residual, two.certificate.residual)


def test_residuals_are_the_true_ones():
    network = spin_graph(sites=7, edges="chain", bonds=("XX", "XY", "ZZ"), fields=("X", "Z"))
    theta = np.random.default_rng(4).normal(size=network.n_trainable)
    with pytest.warns(PhysicsWarning):
        answer = solve(network, theta, DMRG(bond=3, accept_unconverged=True))
    arrays = answer.start.arrays
    assert arrays["order"][0].tolist() == list(range(7))
    vector = dense_state(unpadded(arrays["tensors"][0, 0], arrays["bonds"][0, 0]))
    matrix = network.hamiltonian(theta).to_matrix()
    assert answer.energies[0] == pytest.approx(np.vdot(vector, matrix @ vector).real, abs=1e-12)
    expected = np.linalg.norm(matrix @ vector - answer.energies[0] * vector)
    assert answer.certificate.residual[0] == pytest.approx(expected, rel=1e-9)


def test_a_missed_tolerance_is_refused_unless_told_otherwise():
    for solver in (DMRG(bond=2), DMRG(sweeps=1), DMRG(tolerance=1e-18)):
        with pytest.raises(NotConverged, match="`tolerance`"):
            solve(ising_chain(10), [1.0, 1.0], solver)
    with pytest.warns(PhysicsWarning, match="1 of 1 samples"):
        answer = solve(ising_chain(10), [1.0, 1.0], DMRG(bond=2, accept_unconverged=True))
    assert answer.certificate.converged.tolist() == [False]
    assert answer.energies[0] > ising_chain_energy(1.0, 1.0, 10) + 1e-4


def test_what_it_cannot_do_is_refused():
    network = ising_chain(3)
    with pytest.raises(ValueError, match="`level` must be less than 8 for 3 sites"):
        solve(network, [1, 1], DMRG(level=8))
    with pytest.raises(ValueError, match="`level` must be less than 7 for 3 sites with `gap`"):
        solve(network, [1, 1], DMRG(level=7, gap=True))
    with pytest.raises(ValueError, match="no linear response: use a nudging rule"):
        qeqprop.gradient(network, [1, 1], NO_INPUT, NO_INPUT, loss=losses.output, rule=LinearResponse(), solver=DMRG())
    with pytest.raises(ValueError, match="`bond` must be an integer at least 1"):
        DMRG(bond=0)
    with pytest.raises(NotConverged, match="larger `bond`"):  # product states: hardly room for four orthogonal ones
        solve(network, [1, 1], DMRG(level=3, bond=1))
    hamiltonians = network.hamiltonians([1, 1], NO_INPUT)
    nudged = PauliSums(hamiltonians.strings, hamiltonians.coefficients + 0.1j)
    with pytest.raises(ValueError, match="complex nudges"):
        DMRG().solve(Equilibria(nudged, hamiltonians))


def test_the_smallest_systems():
    one = qeqprop.Network.of(
        trainable=[qeqprop.operators.term(letter, (0,), 1) for letter in "XYZ"],
        outputs=[qeqprop.operators.term(letter, (0,), 1) for letter in "XYZ"],
    )
    theta = np.array([0.3, -0.4, 1.2])
    for sign, level in ((-1, 0), (1, 1)):
        answer = solve(one, theta, DMRG(level=level))
        np.testing.assert_allclose(answer.expectations.values[0], sign * theta / 1.3, atol=1e-9)
    np.testing.assert_allclose(solve(ising_chain(3), [0.0, 0.0], DMRG()).energies, 0.0)  # nothing to settle
