"""Ramps, start fields, and Trotter sweeps in qiskit's gates."""

import numpy as np
import pytest
from oracles import dense_sums
from qiskit.quantum_info import SparsePauliOp, Statevector
from scipy.linalg import expm

from qeqprop.engine.circuit_conversion import from_qiskit
from qeqprop.engine.circuit_trotter import one_after_the_other, product_state, trotter_sweep
from qeqprop.engine.circuits import Circuit, fixed, rotations, states
from qeqprop.engine.trotter_bound import trotter_bound
from qeqprop.interfaces import PauliSums
from qeqprop.ramps import at_once, cosine, end_slopes, linear, quintic, ramp_of
from qeqprop.start_fields import conserved, field_angles, field_operators, start_fields
from qeqprop.trotter import in_qiskit_gates

# --- ramps ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "slope"), [("linear", 1.0), ("cosine", 0.0), ("quintic", 0.0)])
def test_ramps_run_from_zero_to_one_with_known_end_slopes(name, slope):
    ramp = ramp_of(name)
    np.testing.assert_allclose(ramp(np.array([0.0, 0.5, 1.0])), [0.0, 0.5, 1.0], atol=1e-15)
    assert np.all(np.diff(ramp(np.linspace(0, 1, 50))) > 0)
    np.testing.assert_allclose(end_slopes(ramp), slope, atol=2e-6)


def test_end_slopes_of_any_ramp():
    np.testing.assert_allclose(end_slopes(lambda s: s**2), [0.0, 2.0], atol=1e-8)
    assert ramp_of(quintic) is quintic
    curvature = [np.diff(f(np.array([0.0, 1e-3, 2e-3])), 2)[0] / 1e-6 for f in (cosine, quintic)]
    np.testing.assert_allclose(curvature, [np.pi**2 / 2, 0.0], atol=0.1)


def test_ramps_that_are_none_are_refused():
    for ramp in ("square", at_once, lambda s: 2 * s, lambda s: 1.0, lambda s: s / (s - 0.5)):
        with np.errstate(divide="ignore"), pytest.raises(ValueError, match="`ramp`"):
            ramp_of(ramp)
    assert ramp_of(linear) is linear


# --- start fields -----------------------------------------------------------------------------------------------


def sums(*operators):
    return PauliSums.of([SparsePauliOp.from_list(terms) for terms in operators])


def test_start_fields_have_the_sign_of_the_networks_own_fields():
    hamiltonians = sums([("IX", -0.3), ("XI", 0.2), ("ZZ", 1.0)], [("IX", 0.3), ("XI", 0.0), ("ZZ", 1.0)])
    np.testing.assert_array_equal(start_fields(hamiltonians)[:, 0], [[-1, 1], [1, -1]])
    np.testing.assert_array_equal(start_fields(hamiltonians)[:, 1], 0)
    np.testing.assert_array_equal(start_fields(hamiltonians, "Z")[:, 1], [[-1, -1], [-1, -1]])


def test_start_fields_avoid_what_the_network_conserves():
    hamiltonians = sums([("IXX", 1.0), ("IIX", 0.5), ("ZII", -0.4), ("XII", 0.1)])
    fields = start_fields(hamiltonians)
    np.testing.assert_array_equal(fields[0], [[0, 0, 1], [-1, -1, 0]])
    assert not conserved(hamiltonians, fields).any()
    np.testing.assert_array_equal(conserved(hamiltonians, start_fields(hamiltonians, "X")), [True, True, False])


@pytest.mark.parametrize("level", range(8))
def test_start_angles_prepare_every_level_of_the_start(level):
    hamiltonians = sums(
        [("IIX", -0.3), ("IXI", 0.2), ("IZZ", 1.0), ("ZII", 0.5), ("XXX", 0.0)], [("IIX", 0.3), ("IZZ", 1.0)]
    )
    fields = start_fields(PauliSums(hamiltonians.strings, hamiltonians.coefficients), spread=True)
    angles = field_angles(fields, level)
    psi = states(product_state(3), angles)
    for matrix, state in zip(dense_sums(field_operators(fields)), psi, strict=True):
        energy = np.linalg.eigvalsh(matrix)[level]
        np.testing.assert_allclose(matrix @ state, energy * state, atol=1e-12)
    with pytest.raises(ValueError, match="`level`"):
        field_angles(fields, 8)


# --- circuits ---------------------------------------------------------------------------------------------------


def operators(random):
    """Two targets with strings of every kind, among them an identity and one that no row uses."""
    words = ["IIZZ", "IZZI", "IIIX", "IXII", "IIYI", "XXII", "IYYI", "ZXZI", "XIYZ", "ZZZI", "IIII", "YIII"]
    coefficients = random.normal(size=(2, len(words)))
    coefficients[:, -1] = 0.0
    strings = SparsePauliOp.from_list([(word, 1.0) for word in words]).paulis
    return PauliSums(strings, coefficients)


@pytest.mark.parametrize("order", [1, 2, 4])
@pytest.mark.parametrize("initial", ["zero", "plus"])
def test_qiskit_prepares_the_states_of_the_engine(order, initial):
    random = np.random.default_rng(order)
    target = operators(random)
    fields = start_fields(target)
    sweep, angles = trotter_sweep(
        field_operators(fields), target, cosine, total_time=1.3, steps=2, order=order, initial=initial
    )
    circuit = in_qiskit_gates(sweep)
    names = [parameter.name for parameter in circuit.parameters]
    assert names[:2] == ["theta_000", "theta_001"]
    assert names == sorted(names)
    wanted = states(sweep, angles)
    for row, psi in zip(angles, wanted, strict=True):
        np.testing.assert_allclose(
            Statevector(circuit.assign_parameters(row).decompose("PauliEvolution")).data, psi, atol=1e-12
        )
    np.testing.assert_allclose(states(from_qiskit(circuit), angles), wanted, atol=1e-12)
    assert in_qiskit_gates(sweep) is circuit


def test_a_string_of_both_operators_is_rotated_once_and_an_unused_one_never():
    chain = sums([("IX", -1.0), ("XI", -1.0)])
    target = sums([("ZZ", 1.0), ("IX", 0.3), ("XI", 0.2), ("YY", 0.0)])
    circuit, angles = trotter_sweep(chain, target, linear, total_time=2.0, steps=5, order=1)
    assert angles.shape == (1, 15)
    np.testing.assert_allclose(angles[0, :3], 2 * 0.4 * np.array([0.1, -0.87, -0.88]))
    assert in_qiskit_gates(circuit).count_ops() == {"rx": 10, "rzz": 5, "h": 2}


def test_circuits_one_after_the_other_have_parameters_of_their_own():
    random = np.random.default_rng(3)
    target = operators(random)
    begin, free = field_operators(start_fields(target)), field_angles(start_fields(target))
    first, early = trotter_sweep(begin, target, cosine, total_time=1.0, steps=2, initial="zero")
    second, late = trotter_sweep(target, target, at_once, total_time=0.7, steps=3, initial="zero")
    together = one_after_the_other([product_state(4), first, second])
    step_by_step = states(second, late, start=states(first, early, start=states(product_state(4), free)))
    np.testing.assert_allclose(states(together, np.concatenate([free, early, late], axis=1)), step_by_step, atol=1e-13)


def test_a_constant_hamiltonian_of_one_group_is_evolved_exactly():
    target = sums([("ZZ", 0.7), ("IZ", -0.4)])
    circuit, angles = trotter_sweep(target, target, linear, total_time=3.0, steps=1)
    matrix = dense_sums(target)[0]
    np.testing.assert_allclose(states(circuit, angles)[0], 0.5 * np.exp(-3j * np.diag(matrix)), atol=1e-14)


def test_circuits_with_other_angles_are_refused():
    with pytest.raises(ValueError, match="`circuit`"):
        in_qiskit_gates(Circuit.of(1, [rotations("X", [0], fixed([0.1]))]))


@pytest.mark.parametrize("order", [1, 2])
def test_commutators_bound_the_error_of_the_product(order):
    target = operators(np.random.default_rng(8))
    ratios = []
    for steps in (50, 100):
        circuit, angles = trotter_sweep(target, target, linear, total_time=1.0, steps=steps, order=order)
        wanted = [expm(-1j * matrix) @ np.full(16, 0.25) for matrix in dense_sums(target)]
        errors = np.linalg.norm(states(circuit, angles) - wanted, axis=1)
        bound = trotter_bound(target, target, total_time=1.0, steps=steps, order=order)
        ratios.append(np.max(errors) / bound)
    assert 0.005 < ratios[1] < 1.0
    assert ratios[0] == pytest.approx(ratios[1], rel=0.1)  # of the same order
    assert trotter_bound(target, target, total_time=1.0, steps=3, order=4) == np.inf
