"""A fitted model as one file without pickle: arrays in an ``.npz`` archive, everything else as JSON inside it.

Parts that are objects are stored by import name: a frozen dataclass (a rule, a solver) with its fields, a function (the
maker of a loss or an optimiser) by its name alone, a `functools.partial` of such a function with its keywords.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import json
import os
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qiskit.quantum_info import PauliList

from qeqprop.interfaces import Network
from qeqprop.ledger import write_file

_FORMAT = 1
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
    """A parameter as JSON data.

    Raises:
        ValueError: if it is neither plain data nor a part with an import name.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [describe(name, item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        table = {entry.name: describe(name, getattr(value, entry.name)) for entry in dataclasses.fields(value)}
        return {"make": _import_name(name, type(value)), "with": table}
    if isinstance(value, functools.partial) and not value.args:
        return {"partial": _import_name(name, value.func), "with": describe_table(name, value.keywords)}
    return {"function": _import_name(name, value)}


def describe_table(name: str, table: Mapping[str, Any]) -> dict[str, Any]:
    """Every value of a table described."""
    return {key: describe(name, value) for key, value in table.items()}


def restore(description: Any) -> Any:
    """The parameter that `describe` described."""
    if isinstance(description, list):
        return tuple(restore(item) for item in description)
    if not isinstance(description, dict):
        return description
    arguments = {key: restore(value) for key, value in description.get("with", {}).items()}
    if "make" in description:
        return pkgutil.resolve_name(description["make"])(**arguments)
    if "partial" in description:
        return functools.partial(pkgutil.resolve_name(description["partial"]), **arguments)
    return pkgutil.resolve_name(description["function"])


def _import_name(name: str, thing: Any) -> str:
    module, inner = getattr(thing, "__module__", None), getattr(thing, "__qualname__", "<")
    if module is None or module == "__main__" or "<" in inner:
        raise ValueError(
            f"Argument `{name}` must have an import name to be saved (a dataclass, a function of a module, or a "
            f"functools.partial of one), but is {thing!r}."
        )
    return f"{module}:{inner}"
