"""Checks of arguments: every message names the argument, what was wanted and what came."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import ArrayLike, NDArray

T = TypeVar("T")

_BOUNDS = (
    ("gt", "greater than", lambda value, limit: value > limit),
    ("ge", "at least", lambda value, limit: value >= limit),
    ("lt", "less than", lambda value, limit: value < limit),
    ("le", "at most", lambda value, limit: value <= limit),
)


def shape_message(name: str, shape: str, wanted: str, array: NDArray[Any]) -> str:
    """The message of a wrong shape."""
    return f"Argument `{name}` must have shape {shape} = {wanted}, but has shape {array.shape}."


def check_shape(name: str, array: NDArray[Any], shape: str, wanted: tuple[int | None, ...]) -> None:
    """Raises a `ValueError` unless the shape is ``wanted`` (None: any length); ``shape`` says it in words."""
    if array.ndim != len(wanted) or not all(map(_fits, wanted, array.shape)):
        sizes = ", ".join("_" if length is None else str(length) for length in wanted)
        raise ValueError(shape_message(name, shape, f"({sizes}{',' * (len(wanted) == 1)})", array))


def _fits(wanted: int | None, length: int) -> bool:
    return wanted is None or wanted == length


def finite_array(name: str, values: ArrayLike, shape: str, wanted: tuple[int | None, ...]) -> NDArray[np.float64]:
    """The values as a float64 array of the wanted shape; raises a `ValueError` if they are not finite real numbers."""
    if np.iscomplexobj(values):
        raise ValueError(f"Argument `{name}` must be an array of real numbers {shape}, but holds complex ones.")
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"Argument `{name}` must be an array of real numbers {shape}, but {error}.") from None
    check_shape(name, array, shape, wanted)
    if not np.isfinite(array).all():
        bad = int(np.sum(~np.isfinite(array)))
        raise ValueError(f"Argument `{name}` must be finite, but holds {bad} nan or infinite values.")
    return array


def listed(name: str, values: Iterable[T]) -> list[T]:
    """The values as a list; raises a `ValueError` for a single one."""
    if isinstance(values, str) or not isinstance(values, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ValueError(f"Argument `{name}` must be a list, but is {values!r}: write [{values!r}].")
    return list(values)


def check_part(name: str, part: Any, method: str, example: str) -> None:
    """Raises a `ValueError` unless a part is made, and of its kind: it has the method that makes one."""
    if isinstance(part, type):
        kind = part.__name__
        raise ValueError(f"Argument `{name}` must be made, but is the class {kind} itself: write {kind}(...).")
    if not callable(getattr(part, method, None)):
        raise ValueError(f"Argument `{name}` must be a {name}, such as {example}, but is {part!r}.")


def check_fields(record: Any) -> None:
    """Checks a dataclass's numbers and choices against its own annotations, such as ``Annotated[float, Gt(0)]``.

    Raises:
        ValueError: names the argument, what was wanted and what came.
    """
    hints = _hints(type(record))
    for entry in (entry for entry in fields(record) if entry.init):
        check_argument(entry.name, getattr(record, entry.name), hints[entry.name])


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def check_argument(name: str, value: Any, hint: Any) -> None:
    """Checks one number or choice against its annotation; other kinds of annotations pass."""
    if get_origin(hint) in (Union, UnionType):
        choices = get_args(hint)
        if value is None and NoneType in choices:
            return
        others = [choice for choice in choices if choice is not NoneType]
        if len(others) == 1:
            check_argument(name, value, others[0])
        return
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            wanted = " or ".join(map(repr, get_args(hint)))
            raise ValueError(f"Argument `{name}` must be {wanted}, but is {value!r}.")
        return
    kind, *bounds = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    if kind is bool and not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"Argument `{name}` must be True or False, but is {value!r}.")
    if kind in (int, float):
        _check_number(name, value, "an integer" if kind is int else "a finite number", kind, bounds)


def _check_number(name: str, value: Any, noun: str, kind: type, bounds: list[Any]) -> None:
    limits = [
        (word, getattr(bound, attribute), holds)
        for bound in bounds
        for attribute, word, holds in _BOUNDS
        if getattr(bound, attribute, None) is not None
    ]
    allowed = (int, np.integer) if kind is int else (int, float, np.integer, np.floating)
    fits = isinstance(value, allowed) and not isinstance(value, bool) and bool(np.isfinite(value))
    if not fits or not all(holds(value, limit) for _, limit, holds in limits):
        words = " and ".join(f"{word} {limit}" for word, limit, _ in limits)
        raise ValueError(f"Argument `{name}` must be {noun}{' ' + words if words else ''}, but is {value!r}.")
