"""A fitted model as one file without pickle: arrays in an ``.npz`` archive, everything else as JSON inside it.

Parts that are objects are stored by import name: a frozen dataclass (a rule, a solver, an energy) with its fields, a
function (the maker of a loss or an optimiser) by its name alone, a `functools.partial` of such a function with its
keywords.

Reading calls only what belongs to the families of this package (losses, networks, rules, solvers, devices, ..), or to
modules the caller trusts, so that a model from somebody else runs none of their code.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import json
import os
import pkgutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qiskit.quantum_info import PauliList

from qeqprop.interfaces import Loss, Network, Optimizer, Penalty
from qeqprop.ledger import write_file

_FORMAT = 1
_FAMILIES = tuple(
    f"qeqprop.{family}"
    for family in ("ansatze", "classical", "devices", "losses", "networks", "optimizers", "rules", "solvers")
)
_NUMBERS = {"float64": np.float64, "int64": np.int64, "bool": np.bool_}
_NETWORK_ARRAYS = ("static", "inputs", "trainable", "driver", "outputs", "initial", "positions")


def write_model(path: str | os.PathLike[str], facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Writes facts (plain JSON data) and arrays under a temporary name, flushed and renamed."""
    text = json.dumps({"format": _FORMAT, **facts})
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, facts=np.array(text), **dict(arrays))
    write_file(Path(path), content.getvalue())


def read_model(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Reads what `write_model` wrote.

    Raises:
        ValueError: if the file is something else, or of another format.
    """
    try:
        with np.load(Path(path), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        facts: dict[str, Any] = json.loads(str(arrays.pop("facts")))
    except FileNotFoundError:
        raise
    except Exception as error:
        raise ValueError(f"{path}: is no model file of qeqprop ({error}).") from None
    if facts.get("format") != _FORMAT:
        raise ValueError(f"{path}: must have format {_FORMAT}, but has {facts.get('format')}.")
    return facts, arrays


def network_arrays(network: Network) -> dict[str, NDArray[Any]]:
    """A network as plain arrays, its strings as labels."""
    arrays = {name: getattr(network, name) for name in _NETWORK_ARRAYS if getattr(network, name) is not None}
    return {"strings": np.array(network.strings.to_labels()), **arrays}


def network_from(arrays: Mapping[str, NDArray[Any]]) -> Network:
    """The network that `network_arrays` took apart, to the last bit."""
    parts: dict[str, Any] = {name: arrays.get(name) for name in _NETWORK_ARRAYS}
    return Network(strings=PauliList(arrays["strings"].tolist()), **parts)


def describe(name: str, value: Any) -> Any:
    """A parameter as JSON data; one that cannot be stored leaves a note of what it was."""
    if isinstance(value, Loss | Penalty | Optimizer):  # functions that only their maker can make
        return {"again": f"the {type(value).__name__} {getattr(value, 'name', '')}".rstrip()}
    try:
        return _described(name, value)
    except ValueError:
        return {"again": repr(value)}


def restore(path: str | os.PathLike[str], name: str, description: Any, trusted: Sequence[str] = ()) -> Any:
    """The parameter that `describe` described.

    Args:
        path: the file, for messages.
        name: the parameter, for messages.
        description: from the file, which may have been forged.
        trusted: modules besides the families of this package whose functions and classes it may name.

    Raises:
        ValueError: if the parameter was not stored, or names what is neither of this package nor trusted.
    """

    def part(import_name: str) -> Any:
        module, _, member = import_name.partition(":")
        if not any(module == known or module.startswith(f"{known}.") for known in (*_FAMILIES, *trusted)):
            raise ValueError(
                f"{path}: `{name}` is {import_name}, which is not of this package: pass it again, "
                f"load(path, {name}=...), or trust its module, load(path, trusted=[{module!r}])."
            )
        # what a module merely imported, or an attribute of it, is none of its parts
        found = pkgutil.resolve_name(import_name) if member.isidentifier() else None
        if getattr(found, "__module__", None) != module:
            raise ValueError(f"{path}: `{name}` is {import_name}, which is no part of {module}.")
        return found

    def made(told: Any) -> Any:
        if isinstance(told, list):
            return tuple(made(item) for item in told)
        if not isinstance(told, dict):
            return told
        if "array" in told:
            return np.array(told["array"], dtype=_NUMBERS[told["dtype"]]).reshape(told["shape"])
        kind = next((kind for kind in ("make", "partial") if kind in told), "function")
        found = part(str(told.get(kind)))  # refused before its arguments are made
        arguments = {key: made(value) for key, value in told.get("with", {}).items()}
        if kind == "make":
            return found(**arguments)
        return functools.partial(found, **arguments) if kind == "partial" else found

    if isinstance(description, dict) and "again" in description:
        raise ValueError(
            f"{path}: `{name}` could not be stored, it was {description['again']}: pass it again, "
            f"load(path, {name}=...)."
        )
    return made(description)


def _described(name: str, value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [_described(name, item) for item in value]
    if isinstance(value, np.ndarray) and value.dtype.name in _NUMBERS:  # decimals name every float64
        return {"array": value.ravel().tolist(), "dtype": value.dtype.name, "shape": list(value.shape)}
    if isinstance(value, np.generic):
        return value.item()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        table = {entry.name: getattr(value, entry.name) for entry in dataclasses.fields(value)}
        kind, thing = "make", type(value)
    elif isinstance(value, functools.partial) and not value.args:
        table, kind, thing = value.keywords, "partial", value.func
    else:
        return {"function": _import_name(name, value)}
    return {kind: _import_name(name, thing), "with": {key: _described(name, item) for key, item in table.items()}}


def _import_name(name: str, thing: Any) -> str:
    module, inner = getattr(thing, "__module__", None), getattr(thing, "__qualname__", "<")
    if module is None or module == "__main__" or "<" in inner:
        raise ValueError(
            f"Argument `{name}` must have an import name to be saved (a dataclass, a function of a module, or a "
            f"functools.partial of one), but is {thing!r}."
        )
    return f"{module}:{inner}"
