"""Every member of every family keeps its family's contract, built with its defaults and found by looking."""

import inspect
import sys
import warnings
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pytest
from annotated_types import Gt  # noqa: F401  (names a member's annotations may need)

sys.path.insert(0, str(Path(__file__).parents[1]))
from members import members
from systems import random_network

import qeqprop
from qeqprop import losses
from qeqprop.interfaces import Dataset, Equilibria, Network, PauliSums, Want
from qeqprop.settling import bind
from qeqprop.solvers.exact import Exact

NETWORKS, DATASETS = members("networks"), members("datasets")
SOLVERS, RULES = members("solvers"), members("rules")
ANSATZE = members("ansatze")
REFUSED = {
    "Adiabatic": ("LinearResponse", "Holomorphic"),
    "DMRG": ("LinearResponse", "Holomorphic"),
    "EqualTime": ("LinearResponse", "Holomorphic"),  # where nothing commutes, as here
    "ImaginaryTime": ("Holomorphic",),
    "RandomTime": ("Holomorphic",),
    "ThermalImaginaryTime": ("LinearResponse", "Holomorphic"),
    "Thermofield": ("LinearResponse", "Holomorphic"),
    "Sampled": ("LinearResponse", "Holomorphic"),
    "Typical": ("Holomorphic",),
    "Variational": ("Holomorphic",),
}
RESIDUALS = {
    "Adiabatic": 0.2,
    "DMRG": 1e-5,
    "ImaginaryTime": 1e-6,
    "RandomTime": 0.3,
    "ThermalImaginaryTime": 0.02,
    "Thermofield": 0.3,
    "Variational": 1e-6,
}  # their default tolerances are larger


def test_families_are_not_empty():
    assert len(NETWORKS) >= 7
    assert len(DATASETS) >= 10
    assert set(SOLVERS) >= {"Adiabatic", "DMRG", "EqualTime", "Exact", "ImaginaryTime", "Sampled", "Typical"}
    assert len(RULES) == 5
    assert set(ANSATZE) == {"adaptive", "brickwork", "commutators", "from_file", "hamiltonian_variational"}


@pytest.mark.parametrize("name", [*NETWORKS, *DATASETS, *ANSATZE])
def test_makers_document_themselves_and_take_choices_by_keyword(name):
    maker = {**NETWORKS, **DATASETS, **ANSATZE}[name]
    assert maker.__doc__
    get_type_hints(maker, include_extras=True)  # the schema of a run file: must resolve at runtime
    for parameter in inspect.signature(maker).parameters.values():
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY
        assert parameter.default is not inspect.Parameter.empty


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_have_a_gradient(name):
    network = NETWORKS[name]()
    assert isinstance(network, Network)
    random = np.random.default_rng(4)
    theta = network.initial + 0.5 * random.normal(size=network.n_trainable)
    x = random.normal(size=(2, network.n_inputs))
    found = qeqprop.gradient(network, theta, x, np.zeros((2, 0)), loss=losses.output)
    assert found.values.shape == (network.n_trainable,)
    assert np.all(np.isfinite(found.values))
    assert np.any(found.values != 0)
    assert len(network.term_names) == network.n_trainable


@pytest.mark.parametrize("name", DATASETS)
def test_datasets_are_deterministic_and_finite(name):
    data, again = DATASETS[name](), DATASETS[name]()
    assert isinstance(data, Dataset)
    for samples, other in ((data.train, again.train), (data.test, again.test)):
        np.testing.assert_array_equal(samples.x, other.x)
        np.testing.assert_array_equal(samples.y, other.y)
        assert samples.x.dtype == samples.y.dtype == np.float64
        assert len(samples.x) == len(samples.y) > 0
        assert np.all(np.isfinite(samples.x))
    assert data.description
    assert len(data.features) == data.train.x.shape[1]


@pytest.mark.parametrize("name", SOLVERS)
def test_solvers_answer_with_certified_arrays_of_the_batch(name):
    network = random_network(7, sites=3)
    x = np.random.default_rng(0).normal(size=(4, 2))
    problem = Equilibria(
        network.hamiltonians(network.initial, x), PauliSums(network.strings, network.outputs), key=(1, 2, 3)
    )
    solver = SOLVERS[name]()
    answer = solver.solve(problem)
    assert answer.expectations.values.shape == answer.expectations.std_errors.shape == (4, 2)
    assert answer.energies.shape == (4,)
    assert np.all(answer.certificate.converged)
    assert np.all(answer.certificate.residual < RESIDUALS.get(name, 1e-9))
    again = solver.solve(problem)
    np.testing.assert_array_equal(answer.expectations.values, again.expectations.values)  # the key names the streams
    assert (answer.shots > 0) == (name == "Sampled")
    assert np.all((answer.expectations.std_errors > 0) == (name in ("Sampled", "Typical")))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("solver", SOLVERS)
def test_every_pair_of_rule_and_solver_agrees_or_refuses_clearly(rule, solver):
    network = random_network(11, sites=3)
    x, y = np.array([[0.2, -0.4], [1.0, 0.3]]), np.array([[1.0, -1.0], [-1.0, 1.0]])
    case = (network, network.initial, x, y)
    made_solver, made_rule = SOLVERS[solver](), RULES[rule]()
    reference = Exact(temperature=getattr(made_solver, "temperature", 0.0))
    exact = qeqprop.gradient(*case, loss=losses.mean_squared_error, solver=reference)
    if rule in REFUSED.get(solver, ()):
        with pytest.raises(ValueError, match=f"Solver {solver}"):
            qeqprop.gradient(*case, loss=losses.mean_squared_error, rule=made_rule, solver=made_solver)
        return
    found = qeqprop.gradient(*case, loss=losses.mean_squared_error, rule=made_rule, solver=made_solver, seed=5)
    assert found.values.shape == found.std_errors.shape == (network.n_trainable,)
    allowed = 0.02 * np.max(np.abs(exact.values)) + 6 * found.std_errors + (0.15 if rule == "OneSidedNudging" else 0.01)
    assert np.all(np.abs(found.values - exact.values) < allowed)
    assert found.certificate.residual.shape[1] == 2


@pytest.mark.parametrize("solver", SOLVERS)
def test_settled_arrays_have_the_nudges_in_front(solver):
    network = random_network(2, sites=3)
    settle = bind(network, network.initial, np.zeros((3, 2)), SOLVERS[solver](), (0,))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", qeqprop.PhysicsWarning)
        settled = settle(0.01 * np.ones((2, 3, 2)), want=Want.OUTPUTS | Want.ENERGY_GRADIENT)
    assert settled.outputs.values.shape == (2, 3, 2)
    assert settled.energy_gradient.values.shape == (2, 3, network.n_trainable)
    assert settled.certificate.gap.shape == (2, 3)
    with pytest.raises(ValueError, match="`nudges` must have shape"):
        settle(np.zeros((1, 2, 2)), want=Want.OUTPUTS)
