"""Equilibrium propagation on quantum systems.

A network of spins sits in an eigenstate of its Hamiltonian. Nudge its outputs by a small `beta`, let it settle again,
and the change of ``<dH/dtheta>`` is the gradient of the cost: one local number per coupling.

Everything below is loaded when it is first used, so that `import qeqprop` stays light.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qeqprop.checking import check_gradient as check_gradient
    from qeqprop.estimators import QEPClassifier as QEPClassifier
    from qeqprop.estimators import QEPRegressor as QEPRegressor
    from qeqprop.experiment import Experiment as Experiment
    from qeqprop.interfaces import Network as Network
    from qeqprop.interfaces import NotConverged as NotConverged
    from qeqprop.interfaces import PauliSums as PauliSums
    from qeqprop.interfaces import PhysicsWarning as PhysicsWarning
    from qeqprop.propagation import gradient as gradient
    from qeqprop.propagation import predict as predict
    from qeqprop.training import train as train

__version__ = "0.1.0"

_HOME = {
    "Network": "interfaces",
    "NotConverged": "interfaces",
    "PauliSums": "interfaces",
    "PhysicsWarning": "interfaces",
    "check_gradient": "checking",
    "gradient": "propagation",
    "predict": "propagation",
    "train": "training",
    "Experiment": "experiment",
    "QEPClassifier": "estimators",
    "QEPRegressor": "estimators",
}
_MODULES = (
    "advice",
    "ansatze",
    "checking",
    "classical",
    "datasets",
    "devices",
    "estimators",
    "experiment",
    "interfaces",
    "ledger",
    "losses",
    "networks",
    "operators",
    "optimizers",
    "plots",
    "propagation",
    "report",
    "rules",
    "solvers",
    "training",
)


def lazy_members(family: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """A module's `__getattr__`, which imports the members of a family when they are first named, and its `__dir__`."""

    def member(name: str) -> Any:
        if not name.startswith("_"):
            try:
                return import_module(f"{family}.{name}")
            except ModuleNotFoundError as error:
                if error.name != f"{family}.{name}":
                    raise
        raise AttributeError(f"module {family!r} has no attribute {name!r}")

    def names() -> list[str]:
        package = import_module(family)
        return sorted(entry.name for entry in iter_modules(package.__path__) if not entry.name.startswith("_"))

    return member, names


def __getattr__(name: str) -> Any:
    if name in _HOME:
        globals()[name] = getattr(import_module(f"qeqprop.{_HOME[name]}"), name)  # found at once from now on
        return globals()[name]
    if name in _MODULES:
        return import_module(f"qeqprop.{name}")
    raise AttributeError(f"module 'qeqprop' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*(name for name in globals() if name.startswith("__")), *_HOME, *_MODULES])
