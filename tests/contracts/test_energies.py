"""Every continuous energy of the package beside finite differences of itself, found by looking."""

import inspect
import pkgutil
from importlib import import_module

import numpy as np
import pytest

import qeqprop.classical
from qeqprop.classical.continuous import ContinuousNetwork
from qeqprop.classical.jets import derivative
from qeqprop.classical.landscape import Landscape
from qeqprop.parts import read_part


def networks():
    """``{module:name: network}`` of every public function that returns a `ContinuousNetwork`, with its defaults."""
    found = {}
    for info in pkgutil.iter_modules(qeqprop.classical.__path__):
        module = import_module(f"qeqprop.classical.{info.name}")
        for name, thing in vars(module).items():
            own = inspect.isfunction(thing) and thing.__module__ == module.__name__
            makes = own and inspect.signature(thing).return_annotation == "ContinuousNetwork"
            if makes and thing.__name__ != "from_energy":  # which needs an energy
                found[f"{info.name}:{name}"] = thing()
    return found


NETWORKS = networks()
NETWORKS["squared"] = NETWORKS["xy_phases:xy_phases"].with_squares()


def case(network):
    random = np.random.default_rng(3)
    rows = 4
    landscape = Landscape(
        network.model,
        network.initial + 0.3 * random.normal(size=network.n_trainable),
        random.normal(size=(rows, network.n_inputs)),
        random.normal(size=(rows, network.n_outputs)),
    )
    vectors = random.normal(size=(4, rows, network.n_variables))
    return landscape, vectors[0], vectors[1:]


def slope(function, s, direction, step=1e-3):
    """The derivative along a direction, to the fourth order in the step."""
    near = function(s + step * direction) - function(s - step * direction)
    far = function(s + 2 * step * direction) - function(s - 2 * step * direction)
    return (8 * near - far) / (12 * step)


def test_the_energies_are_found():
    assert {"harmonic:harmonic", "double_wells:double_wells", "xy_phases:xy_phases", "layered:layered"} <= set(NETWORKS)


@pytest.mark.parametrize("name", NETWORKS)
def test_derivatives_in_the_variables(name):
    landscape, s, (a, b, c) = case(NETWORKS[name])
    pairs = [
        (landscape.energy, np.sum(landscape.gradient(s) * a, axis=1)),
        (landscape.gradient, landscape.bend(s, a)),
        (lambda at: landscape.bend(at, b), landscape.bend(s, a, b)),
        (lambda at: landscape.bend(at, b, c), landscape.bend(s, a, b, c)),
    ]
    for function, wanted in pairs:
        np.testing.assert_allclose(slope(function, s, a), wanted, atol=1e-9)
    hessian = landscape.hessian(s)
    np.testing.assert_allclose(np.einsum("rij,rj->ri", hessian, a), landscape.bend(s, a), atol=1e-12)
    np.testing.assert_allclose(hessian, hessian.transpose(0, 2, 1), atol=1e-12)


@pytest.mark.parametrize("name", NETWORKS)
def test_derivatives_in_the_parameters_and_of_the_outputs(name):
    network = NETWORKS[name]
    landscape, s, (a, _, _) = case(network)
    model, theta, x = landscape.model, landscape.theta, landscape.x
    found = model.parameter_gradient(theta, x, s)
    for j, unit in enumerate(np.eye(len(theta))):
        np.testing.assert_allclose(slope(lambda at: model.energy(at, x, s), theta, unit), found[:, j], atol=1e-9)
    weights = landscape.nudges
    along = np.sum(model.output_gradient(s, weights) * a, axis=1)
    np.testing.assert_allclose(np.sum(derivative(model.outputs, s, a) * weights, axis=1), along, atol=1e-12)
    assert len(set(network.term_names)) == network.n_trainable


@pytest.mark.parametrize("name", [name for name in NETWORKS if ":" in name])
def test_run_files_may_name_it(name):
    problems = []
    assert read_part(("network",), f"qeqprop.classical.{name}", None, problems) is not None, problems
    assert isinstance(NETWORKS[name], ContinuousNetwork)
