"""Searches whose values are measured, without noise, with shots, and on devices."""

from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose
from qiskit.quantum_info import PauliList
from scipy.linalg import expm
from systems import hydrogen_molecule, ising_chain

from qeqprop.ansatze.commutators import commutators
from qeqprop.ansatze.hamiltonian_variational import hamiltonian_variational
from qeqprop.devices.statevector import Statevector
from qeqprop.engine.circuit_hessian import metric
from qeqprop.interfaces import PauliSums
from qeqprop.iterations import heard_by
from qeqprop.measuring import BoundMeasure
from qeqprop.shot_descent import _STIFFNESS, gradient_steps, natural_steps, rotosolve, spsa
from qeqprop.solvers._circuit_family import family_of
from qeqprop.solvers._device_search import DeviceSearch

NETWORK = hydrogen_molecule()
HAMILTONIANS = PauliSums(
    NETWORK.strings, NETWORK.hamiltonians(NETWORK.initial, np.zeros((3, 0))).coefficients * [[1.0], [0.5], [2.0]]
)
ANSATZ = commutators(layers=1)
FAMILY = family_of(ANSATZ, NETWORK.strings)
OBJECTIVE = FAMILY.energy(HAMILTONIANS, [], np.ones(3))
LOWEST = np.array([np.linalg.eigvalsh(HAMILTONIANS.operator(row).to_matrix())[0] for row in range(3)])
BEGIN = np.tile(FAMILY.trial.initial, (3, 1))


def exact_values(points):
    rows, n_points, _ = points.shape
    values, _ = OBJECTIVE(np.repeat(np.arange(rows), n_points), points.reshape(rows * n_points, -1))
    return values.reshape(rows, n_points)


def energies(points):
    return OBJECTIVE(np.arange(3), points)[0]


def test_rotosolve_puts_one_angle_to_its_minimum():
    found = rotosolve(exact_values, BEGIN, most=1)
    assert_allclose(found[:, 1:], BEGIN[:, 1:])
    for row in range(3):
        line = np.repeat(BEGIN[None, row], 721, axis=0)
        line[:, 0] = np.linspace(-np.pi, np.pi, 721)
        values, _ = OBJECTIVE(np.full(721, row), line)
        assert energies(found)[row] <= np.min(values) + 1e-12
        assert energies(found)[row] == pytest.approx(np.min(values), abs=1e-4)


@pytest.mark.parametrize("way", ["rotosolve", "spsa", "gradient", "natural"])
def test_every_way_finds_the_ground_states_of_all_rows(way):
    if way == "rotosolve":
        found, allowed = rotosolve(exact_values, BEGIN, most=200), 1e-4
    elif way == "spsa":
        found, allowed = spsa(exact_values, BEGIN, most=600, random=np.random.default_rng(1)), 1e-2
    elif way == "natural":
        slopes, metrics = (lambda at: OBJECTIVE(np.arange(3), at)[1]), partial(metric, FAMILY.circuit)
        found, allowed = natural_steps(slopes, metrics, BEGIN, times=np.array([1.0, 2.0, 0.5]), most=100), 1e-3
    else:
        found, allowed = gradient_steps(lambda at: OBJECTIVE(np.arange(3), at)[1], BEGIN, most=200), 1e-3
    assert np.all(energies(found) - LOWEST < allowed)
    assert np.all(energies(found) - LOWEST > -1e-12)


@pytest.mark.parametrize(("method", "rows"), [("rotosolve", 3), ("spsa", 2), ("gradient", 8), ("natural", 8)])
def test_one_job_for_each_iteration_and_every_shot_counted(method, rows):
    """Shots of a batch: rows of the job times bases (Z and X, one each for the two groups) times shots."""
    measure = BoundMeasure(Statevector(shots=50), (1,))
    search = DeviceSearch(measure, FAMILY.trial.circuit, HAMILTONIANS, np.arange(3), 20)
    heard = []
    with heard_by(heard.append):
        search.find(method, BEGIN, 8, (1, 2))
    assert next(measure.calls) == 8
    assert search.shots == 8 * 3 * rows * 2 * 20
    assert heard[-1].number == heard[-1].most == 8


@pytest.mark.parametrize("method", ["rotosolve", "spsa", "gradient", "natural"])
def test_measured_searches_repeat_themselves_and_come_down(method):
    def found():
        measure = BoundMeasure(Statevector(shots=400), (5,))
        search = DeviceSearch(measure, FAMILY.trial.circuit, HAMILTONIANS, np.array([0, 1, 0]), None)
        return search.find(method, BEGIN, 150 if method == "spsa" else 60, (1, 2))

    points = found()
    np.testing.assert_array_equal(points, found())
    assert np.all(energies(points) - LOWEST < 0.1 * (energies(BEGIN) - LOWEST))


def test_rows_are_told_apart_in_whatever_order_they_run():
    measure = BoundMeasure(Statevector())
    search = DeviceSearch(measure, FAMILY.trial.circuit, HAMILTONIANS, np.array([2, 0, 1]), None)
    points = BEGIN + np.random.default_rng(3).normal(size=BEGIN.shape)
    assert_allclose(search.find("rotosolve", points, 5, ()), rotosolve(exact_values, points, most=5), atol=1e-9)
    slopes = search.find("gradient", points, 5, ())
    assert_allclose(slopes, gradient_steps(lambda at: OBJECTIVE(np.arange(3), at)[1], points, most=5), atol=1e-6)


def test_natural_steps_follow_imaginary_time():
    """A short step turns the state like exp(-H t), whatever the angles are: to first order in t where all moves are."""
    single = PauliSums(PauliList(["X", "Z"]), np.array([[0.7, -1.1]]))
    family = family_of(commutators(layers=1), single.strings)
    begin = family.trial.initial[None]
    objective = family.energy(single, [], np.ones(1))
    distances = []
    for time in (0.02, 0.01):
        turned = natural_steps(
            lambda at: objective(np.arange(1), at)[1],
            lambda at: metric(family.circuit, at) - _STIFFNESS * np.eye(1),
            begin,
            times=np.array([time]),
            most=1,
        )
        wanted = expm(-time * single.operator().to_matrix()) @ family.images(begin, 0)[0]
        share = np.abs(np.vdot(wanted, family.images(turned, 0)[0])) / np.linalg.norm(wanted)
        distances.append(np.sqrt(max(1 - share**2, 0.0)))
    assert distances[0] < 1e-3
    assert distances[0] / distances[1] == pytest.approx(4.0, rel=0.1)


def test_natural_gradient_refuses_what_it_cannot_simulate():
    network = ising_chain(11)
    circuit = commutators(layers=1)(network.strings).circuit
    measure = BoundMeasure(Statevector(shots=10))
    search = DeviceSearch(measure, circuit, network.hamiltonians([1.0, 1.0], np.zeros((1, 0))), np.zeros(1), None)
    with pytest.raises(ValueError, match="above 10 sites"):
        search.find("natural", np.zeros((1, circuit.num_parameters)), 3, ())
    assert next(measure.calls) == 0


def test_rotosolve_refuses_shared_angles():
    network = ising_chain(3)
    tied = hamiltonian_variational(layers=1, tied=True)(network.strings).circuit
    search = DeviceSearch(
        BoundMeasure(Statevector()), tied, network.hamiltonians([1.0, 1.0], np.zeros((1, 0))), np.zeros(1), None
    )
    with pytest.raises(ValueError, match="shares or scales"):
        search.find("rotosolve", np.zeros((1, tied.num_parameters)), 3, ())
