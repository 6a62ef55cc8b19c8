"""Every solver of continuous networks with every rule: they agree on springs, where all are right, or refuse."""

import dataclasses
import inspect
import pkgutil
import sys
from importlib import import_module
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from members import members

import qeqprop
import qeqprop.classical
from qeqprop import losses
from qeqprop.classical.gaussian import Gaussian
from qeqprop.classical.harmonic import harmonic
from qeqprop.classical.landscape import ContinuousEquilibria
from qeqprop.devices.statevector import Statevector
from qeqprop.parts import read_part


def solvers():
    """``{module:name: class}`` of every dataclass whose ``solve`` takes `ContinuousEquilibria`."""
    found = {}
    for info in pkgutil.iter_modules(qeqprop.classical.__path__):
        module = import_module(f"qeqprop.classical.{info.name}")
        for name, thing in vars(module).items():
            if not (inspect.isclass(thing) and dataclasses.is_dataclass(thing) and hasattr(thing, "solve")):
                continue
            own = thing.__module__ == module.__name__
            if own and get_type_hints(thing.solve).get("problem") is ContinuousEquilibria:
                found[f"{info.name}:{name}"] = thing
    return found


SOLVERS, RULES = solvers(), members("rules")
SPRINGS = harmonic(sites=2, outputs=(0, 1))
CASE = (SPRINGS, np.array([1.0, 1.2, 0.5]), np.array([[1.0], [-0.4]]), np.array([[0.2, 1.0], [0.0, -0.3]]))


def test_the_solvers_are_found():
    names = {name.split(":")[1] for name in SOLVERS}
    assert names == {"Gaussian", "Langevin", "LowTemperature", "Quadrature", "Relaxation"}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", SOLVERS)
def test_every_pair_agrees_or_refuses(name, rule):
    """The gradient of an error signal along places is the same at any temperature."""
    solver, made = SOLVERS[name](), RULES[rule]()
    exact = qeqprop.gradient(*CASE, loss=losses.mean_squared_error, solver=Gaussian()).values
    try:
        found = qeqprop.gradient(*CASE, loss=losses.mean_squared_error, rule=made, solver=solver, seed=3)
    except ValueError as refusal:
        assert rule not in ("LinearResponse", "SymmetricNudging", "OneSidedNudging", "Richardson"), refusal
        return
    slack = 0.1 if rule == "OneSidedNudging" else 1e-3
    assert np.all(np.abs(found.values - exact) < slack * np.max(np.abs(exact)) + 5 * found.std_errors)
    assert np.all(found.certificate.converged)
    assert np.any(found.std_errors > 0) == (name == "langevin:Langevin")
    assert (found.shots > 0) == (name == "langevin:Langevin")


@pytest.mark.parametrize("name", SOLVERS)
def test_devices_are_refused_and_run_files_may_name_it(name):
    with pytest.raises(ValueError, match="`device` must be None"):
        qeqprop.predict(*CASE[:3], solver=SOLVERS[name](), device=Statevector())
    problems = []
    assert read_part(("solver",), f"qeqprop.classical.{name}", None, problems) is not None, problems
