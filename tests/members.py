"""The members of a family, found by looking: public functions or dataclasses defined in its files."""

from __future__ import annotations

import dataclasses
import inspect
import pkgutil
from importlib import import_module


def members(family: str) -> dict[str, object]:
    """``{name: maker}`` for every public function (networks, datasets, ansatze) or dataclass (solvers, rules)."""
    package = import_module(f"qeqprop.{family}")
    found = {}
    for module_info in pkgutil.iter_modules(package.__path__):
        if module_info.name.startswith("_"):
            continue
        module = import_module(f"qeqprop.{family}.{module_info.name}")
        for name, thing in vars(module).items():
            if name.startswith("_") or getattr(thing, "__module__", None) != module.__name__:
                continue
            wanted = inspect.isfunction if family in ("networks", "datasets", "ansatze") else dataclasses.is_dataclass
            if wanted(thing):
                found[name] = thing
    return found
