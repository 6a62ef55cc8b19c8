"""Imaginary time on circuits: the metric, the flow, and where it ends."""

from dataclasses import replace

import numpy as np
import pytest
from oracles import dense_sums
from scipy.linalg import expm
from systems import H2_EIGENVALUES, hydrogen_molecule, ising_chain, ising_chain_energy, random_network

import qeqprop
from qeqprop import losses
from qeqprop.ansatze.commutators import commutators
from qeqprop.ansatze.hamiltonian_variational import hamiltonian_variational
from qeqprop.devices.statevector import Statevector
from qeqprop.engine.circuit_hessian import metric
from qeqprop.engine.circuits import Circuit, diagonal, fixed, free, hadamards, pauli_rotations, rotations, states
from qeqprop.interfaces import Equilibria, PauliSums, PhysicsWarning
from qeqprop.measuring import BoundMeasure
from qeqprop.rules.holomorphic import Holomorphic
from qeqprop.rules.linear_response import LinearResponse
from qeqprop.rules.nudging import SymmetricNudging
from qeqprop.solvers._circuit_family import family_of
from qeqprop.solvers.imaginary_time import ImaginaryTime
from qeqprop.solvers.variational import Variational

NO_INPUT = np.zeros((1, 0))


def problem(network, theta, x=NO_INPUT):
    return Equilibria(network.hamiltonians(theta, x), PauliSums(network.strings, network.outputs))


def test_the_metric_is_that_of_finite_differences():
    """Parameters that are shared, scaled and shifted; one that only changes the phase has no length."""
    random = np.random.default_rng(5)
    circuit = Circuit.of(
        3,
        [
            hadamards([0, 2]),
            rotations("Y", range(3), free([0, 1, 0], scale=[1.0, -0.7, 2.0])),
            diagonal([(0, 1), (2,), ()], free([2, 0, 4], offset=[0.3, 0.0, 0.1])),
            rotations("X", [1], fixed([0.4])),
            pauli_rotations([("XYZ", (0, 1, 2))], free([3])),
        ],
    )
    points, step = random.normal(size=(2, 5)), 1e-5
    shifts = step * np.eye(5)
    tangents = [(states(circuit, points + shift) - states(circuit, points - shift)) / (2 * step) for shift in shifts]
    psi = states(circuit, points)
    for row, found in enumerate(metric(circuit, points)):
        slopes = np.array([tangent[row] for tangent in tangents])
        across = slopes - np.outer(slopes @ psi[row].conj(), psi[row])
        np.testing.assert_allclose(found, np.real(across.conj() @ across.T), atol=1e-9)
        assert found[4] == pytest.approx(0.0, abs=1e-14)


def test_the_flow_follows_imaginary_time_to_first_order():
    network, ansatz, time = ising_chain(2), commutators(layers=1), 0.6  # reaches all states of real amplitudes
    case = problem(network, [1.0, 0.7])
    family = family_of(ansatz, network.strings)
    begin = family.images(family.trial.starts(case.hamiltonians.coefficients), 0)[0]
    matrix = dense_sums(case.hamiltonians)[0]
    wanted = expm(-time * matrix) @ begin
    wanted /= np.linalg.norm(wanted)
    scale, errors = np.sum(np.abs(case.hamiltonians.coefficients)), []
    for steps in (16, 32, 64):
        solver = ImaginaryTime(ansatz, step=time * scale / steps, growth=1.0, total_time=time, floor=1e-8)
        with pytest.warns(PhysicsWarning, match=r"stopped at imaginary times down to 0\.6"):
            answer = solver.solve(case)
        assert not answer.certificate.converged.any()
        psi = family.images(answer.start.arrays["points"], 0)[0]
        errors.append(np.sqrt(1 - abs(psi.conj() @ wanted) ** 2))
    np.testing.assert_allclose(np.log2(np.array(errors[:-1]) / errors[1:]), 1.0, atol=0.25)
    assert errors[-1] < 0.05


def test_energies_of_a_chain_and_a_molecule():
    chain, molecule = ising_chain(4), hydrogen_molecule()
    found = ImaginaryTime().solve(problem(chain, [1.0, 1.5]))
    assert found.energies[0] == pytest.approx(ising_chain_energy(1.0, 1.5, 4), abs=1e-9)
    found = ImaginaryTime().solve(problem(molecule, molecule.initial))
    assert found.energies[0] == pytest.approx(H2_EIGENVALUES[0], abs=1e-8)
    assert found.certificate.residual[0] < 1e-7
    assert found.certificate.converged.all()


@pytest.mark.filterwarnings("ignore::qeqprop.PhysicsWarning")  # one layer does not reach the ground states
@pytest.mark.parametrize("rule", [SymmetricNudging(0.01), LinearResponse()])
def test_gradients_are_those_of_the_variational_family(rule):
    """A circuit too small for the ground state: both searches end at the same stationary angles."""
    network = ising_chain(3)
    ansatz = hamiltonian_variational(layers=1, tied=True)
    case = (network, [0.9, 0.7], NO_INPUT, np.zeros((1, 0)))
    flow, search = (
        qeqprop.gradient(*case, loss=losses.output, rule=rule, solver=solver(ansatz))
        for solver in (ImaginaryTime, Variational)
    )
    np.testing.assert_allclose(flow.values, search.values, atol=1e-6)
    assert np.min(flow.certificate.residual) > 0.05
    assert flow.certificate.converged.all()


def test_states_are_measured_on_a_device():
    network = random_network(4, sites=2)
    x = np.array([[0.2, -0.4], [0.1, 0.3]])
    exact = qeqprop.predict(network, network.initial, x, solver=ImaginaryTime())
    sampled = qeqprop.predict(
        network, network.initial, x, solver=ImaginaryTime(), device=Statevector(shots=4000), seed=2
    )
    assert 0 < np.max(np.abs(sampled - exact)) < 0.2
    same = qeqprop.predict(network, network.initial, x, solver=ImaginaryTime(), device=Statevector())
    np.testing.assert_array_equal(same, exact)


def test_refusals():
    network = random_network(4, sites=2)
    case = (network, network.initial, np.zeros((1, 2)), np.zeros((1, 0)))
    with pytest.raises(ValueError, match="Solver ImaginaryTime"):
        qeqprop.gradient(*case, loss=losses.output, rule=Holomorphic(), solver=ImaginaryTime())
    asked = replace(problem(*case[:3]), perturbation=network.hamiltonians(network.initial, case[2]))
    with pytest.raises(ValueError, match="Solver ImaginaryTime measures"):
        ImaginaryTime().solve(asked, BoundMeasure(Statevector(shots=10)))
    for choices, name in (({"step": 0.0}, "step"), ({"growth": 0.5}, "growth"), ({"floor": 0.0}, "floor")):
        with pytest.raises(ValueError, match=f"`{name}`"):
            ImaginaryTime(**choices)
