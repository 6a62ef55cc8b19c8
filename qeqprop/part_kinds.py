"""What kind of part an annotation asks for, where its kind lives, and whether something is of a kind."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import is_dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import numpy as np
from numpy.typing import ArrayLike

from qeqprop.interfaces import (
    Ansatz,
    Dataset,
    Device,
    EnergyNetwork,
    LearningRule,
    Loss,
    Network,
    Optimizer,
    Penalty,
    Solver,
)

_CALLABLE = get_origin(Callable[[], None])

FAMILIES: Mapping[type, str] = {
    Network: "qeqprop.networks",
    EnergyNetwork: "qeqprop.networks",
    Dataset: "qeqprop.datasets",
    Solver: "qeqprop.solvers",
    Device: "qeqprop.devices",
    Ansatz: "qeqprop.ansatze",
    LearningRule: "qeqprop.rules",
    Loss: "qeqprop.losses",
    Penalty: "qeqprop.losses",
    Optimizer: "qeqprop.optimizers",
}
"""Where the members of a kind live. What else a part takes as an argument is looked for in the part's own family."""

_METHODS: Mapping[type, str] = {
    Solver: "solve",
    LearningRule: "gradient",
    Device: "run",
    Ansatz: "__call__",
    EnergyNetwork: "n_trainable",
}
"""The protocols, by the member that makes one; `Network` is one of the networks."""


def fits(built: Any, kind: type | None) -> bool:
    """Whether what was built is of the kind that was wanted."""
    if kind is None or (kind not in _METHODS and getattr(kind, "_is_protocol", False)):
        return True
    return hasattr(built, _METHODS[kind]) if kind in _METHODS else isinstance(built, kind)


def is_meant(found: Callable[..., Any], kind: type | None) -> bool:
    """Whether a function is the part itself, not what makes it: it takes what a part of this kind is called with."""
    called = vars(kind).get("__call__") if kind is not None else None
    if called is None or not inspect.isfunction(found):
        return False
    return [*inspect.signature(called).parameters][1:] == [*inspect.signature(found).parameters]


def _bare(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def _alternatives(hint: Any) -> Sequence[Any]:
    hint = _bare(hint)
    if get_origin(hint) in (Union, types.UnionType):
        return [inner for member in get_args(hint) for inner in _alternatives(member)]
    return [hint]


def is_array(hint: Any) -> bool:
    """Whether an annotation asks for an array."""
    members = _alternatives(hint)
    return any(get_origin(member) is np.ndarray for member in members) or set(get_args(ArrayLike)) <= set(members)


def wanted_part(hint: Any) -> tuple[type | None, bool, bool]:
    """What part an annotation asks for, whether a text can only name one, and whether nothing but a part will do."""
    members = [member for member in _alternatives(hint) if member is not type(None)]
    kinds = [member for member in members if isinstance(member, type) and _is_kind(member)]
    made = [member for member in members if member is Callable or get_origin(member) is _CALLABLE]
    texts = any(member in (str, Any, object) or get_origin(member) is Literal for member in members)
    found = len(kinds) + len(made)
    return (kinds[0] if kinds else None), found > 0 and not texts, 0 < found == len(members)


def _is_kind(member: type) -> bool:
    return member in FAMILIES or is_dataclass(member) or getattr(member, "_is_protocol", False)
