"""From a name in a run file to the function or class it stands for."""

from __future__ import annotations

import difflib
import pkgutil
import sys
import types
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any, cast

_ALSO = {"qeqprop.networks": "qeqprop.classical", "qeqprop.solvers": "qeqprop.classical"}
"""Where members of a family live that have to be named in full."""


def suggestion(word: str, known: Iterable[str]) -> str:
    """`` (did you mean 'beta'?)``, or a list of what there is."""
    known = list(known)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return f" (did you mean {close[0]!r}?)"
    return f" (there are: {', '.join(known)})" if known else ""


def find(use: str, family: str) -> Callable[..., Any] | str:
    """The object a name stands for, or what is wrong with the name.

    Args:
        use: ``module:member``, or ``member`` of a family that is one module.
        family: the package that is searched first; then the name is taken as it is. Empty for none.
    """
    separator = "." if ":" in use else ":"
    for name in [f"{family}{separator}{use}", use] if family else [use]:
        try:
            found = pkgutil.resolve_name(name)
        except Exception as error:  # importing a module of the user runs the user's code
            if _is_missing(error, name):
                continue
            reason = error if isinstance(error, ImportError) else f"{type(error).__name__}: {error}"
            return f"{use!r} cannot be imported ({reason})"
        if isinstance(found, types.ModuleType):
            example = f"{use}:{(_members(found) or ['name'])[0]}"
            return f"{use!r} is a module; name something in it, such as {example!r}"
        if not callable(found):
            return f"{use!r} is a {type(found).__name__}, not a function or class"
        return cast(Callable[..., Any], found)
    module, _, member = use.partition(":")
    if (outside := sys.modules.get(module)) is not None:
        return f"no {member!r} in {module}{suggestion(member, _members(outside) or _callables(outside))}"
    return f"no {use!r} in {family or 'any module'}{_nearest(use, family)}"


def _nearest(use: str, family: str) -> str:
    """What could have been meant by a name that is none."""
    elsewhere = _ALSO.get(family)
    named = _names_in(elsewhere, use) if elsewhere else []
    if named:
        return suggestion(named[0], named)
    return suggestion(use, _family_members(family, use)) + (f"; more of them are in {elsewhere}" if elsewhere else "")


def _is_missing(error: Exception, name: str) -> bool:
    """Whether there is no such thing, rather than a thing that fails when it is imported."""
    words = name.replace(":", ".").split(".")
    packages = {".".join(words[:count]) for count in range(1, len(words) + 1)}
    if isinstance(error, ModuleNotFoundError):
        return error.name in packages
    # pkgutil.resolve_name itself raises these for a name that is none, or that its module does not have
    return isinstance(error, ValueError) or (isinstance(error, AttributeError) and error.name in (*words, None))


def _family_members(family: str, use: str) -> list[str]:
    """Names that could have been meant, without importing more than the module that was named."""
    if not family:
        return []
    package = import_module(family)
    if not hasattr(package, "__path__"):
        return _members(package)
    modules = [entry.name for entry in pkgutil.iter_modules(package.__path__) if not entry.name.startswith("_")]
    module = use.split(":", maxsplit=1)[0]
    if module not in modules:
        return modules
    return [f"{module}:{name}" for name in _members(import_module(f"{family}.{module}"))]


def _names_in(package: str, use: str) -> list[str]:
    """The full names of what a package has under a name: ``module:member``, a member alone, or a module alone."""
    module, _, member = use.rpartition(":")
    modules = [entry.name for entry in pkgutil.iter_modules(import_module(package).__path__) if entry.name[0] != "_"]
    chosen = [name for name in modules if name == (module or member)] or ([] if module else modules)
    found = ((name, thing) for name in chosen for thing in _members(import_module(f"{package}.{name}")))
    return [f"{package}.{name}:{thing}" for name, thing in found if member in (thing, name)]


def _members(module: types.ModuleType) -> list[str]:
    """What a module defines itself."""
    return [name for name in _callables(module) if getattr(vars(module)[name], "__module__", "") == module.__name__]


def _callables(module: types.ModuleType) -> list[str]:
    return [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
