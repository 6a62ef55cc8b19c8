"""Parts of an experiment from tables of a run file: the signature of a part is its schema.

``{use = "nudging:SymmetricNudging", beta = 0.1}`` names a function or a dataclass; the other keys are its arguments and
are validated against its annotations, ranges (``Annotated[float, Gt(0)]``) included. A table with ``use`` inside a
table is a part that is an argument. Nothing is registered: a name is looked for in its family, then anywhere.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Any, cast, get_type_hints

import numpy as np

from qeqprop.interfaces import EnergyNetwork
from qeqprop.names import find, suggestion
from qeqprop.part_kinds import FAMILIES, fits, is_array, is_meant, wanted_part
from qeqprop.runfile import Problem
from qeqprop.toml_text import KeyPath


@dataclass(frozen=True, eq=False)
class Part:
    """A part that was named and whose arguments are valid, but which is not built yet.

    Attributes:
        path: where it stands in the run file.
        use: its name, short inside its family.
        factory: the function or class.
        arguments: what was given, nested parts as `Part`.
        kind: what it has to be, such as `Network`; None for anything.
        family: the package its own parts are looked for in.
    """

    path: KeyPath
    use: str
    factory: Callable[..., Any]
    arguments: Mapping[str, Any]
    kind: type | None
    family: str

    def resolved(self) -> dict[str, Any]:
        """The table of the part with all defaults filled in, as plain values."""
        table: dict[str, Any] = {"use": self.use}
        for name, parameter in inspect.signature(self.factory).parameters.items():
            if name in self.arguments or parameter.default is not parameter.empty:
                table[name] = _plain(self.arguments.get(name, _default(self.factory, parameter)), self.family)
        extra = {name: _plain(value, self.family) for name, value in self.arguments.items() if name not in table}
        return {name: value for name, value in (table | extra).items() if value is not None}

    def modules(self) -> set[str]:
        """The modules outside this package that the part and its own parts come from."""
        own = str(getattr(self.factory, "__module__", "qeqprop"))
        found = set[str]() if own.startswith("qeqprop.") else {own}
        return found.union(*(value.modules() for value in self.arguments.values() if isinstance(value, Part)))


def read_part(path: KeyPath, value: Any, kind: type | None, problems: list[Problem], family: str = "") -> Part | None:
    """Names a part and validates its arguments; adds what is wrong to ``problems`` and gives None if anything is.

    Args:
        path: where the value stands.
        value: a table with ``use``, or the name alone.
        kind: what the part has to be, such as `Network`; None for anything.
        problems: the list to add to.
        family: the package to look in if the kind does not tell.
    """
    family = FAMILIES.get(kind, family) if kind else family
    table: Any = {"use": value} if isinstance(value, str) else value
    if not isinstance(table, dict):
        problems.append(Problem(path, f"must be a table with `use`, but is {value!r}"))
        return None
    table = cast(dict[str, Any], table)
    use = table.get("use")
    if not isinstance(use, str) or not use:
        message = "missing key, it names the part" if use is None else f"must be the name of a part, but is {use!r}"
        problems.append(Problem((*path, "use"), message))
        return None
    found = find(use, family)
    if isinstance(found, str):
        problems.append(Problem((*path, "use") if isinstance(value, dict) else path, found))
        return None
    given = {key: item for key, item in table.items() if key != "use"}
    if not given and is_meant(found, kind):
        found = _giving(found)
    before = len(problems)
    arguments = read_arguments(path, given, found, problems, family)
    short = use.removeprefix(f"{family}.").removeprefix(f"{family}:") if family else use
    return Part(path, short, found, arguments, kind, family) if len(problems) == before else None


def _giving(found: Callable[..., Any]) -> Callable[..., Any]:
    def itself() -> Any:
        return found

    itself.__module__ = found.__module__
    return itself


def read_arguments(
    path: KeyPath, table: Mapping[str, Any], factory: Callable[..., Any], problems: list[Problem], family: str = ""
) -> dict[str, Any]:
    """The arguments for a function or class out of a table, validated against its annotations."""
    try:
        parameters = inspect.signature(factory).parameters
        plain_class = isinstance(factory, type) and not is_dataclass(factory)
        hints = get_type_hints(factory.__init__ if plain_class else factory, include_extras=True)
    except (NameError, TypeError, ValueError) as error:
        problems.append(Problem(path, f"its signature cannot be read ({error})"))
        return {}
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    known = [name for name, parameter in parameters.items() if parameter.kind not in variadic]
    takes_any = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
    arguments: dict[str, Any] = {}
    for name, value in table.items():
        if name in known or takes_any:
            arguments[name] = read_value((*path, name), hints.get(name, Any), value, problems, family)
        else:
            problems.append(Problem((*path, name), f"unknown key{suggestion(name, known)}"))
    for name in known:
        if name not in table and parameters[name].default is inspect.Parameter.empty:
            problems.append(Problem((*path, name), "missing key"))
    return arguments


def read_value(path: KeyPath, hint: Any, value: Any, problems: list[Problem], family: str = "") -> Any:
    """One value, validated against an annotation: no text for numbers, no bool for int, lists for tuples and arrays."""
    from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError

    kind, text_names_part, only_part = wanted_part(hint)
    if only_part or (isinstance(value, dict) and "use" in value) or (text_names_part and isinstance(value, str)):
        return read_part(path, cast(Any, value), kind, problems, family)
    if is_array(hint):
        return _read_array(path, value, problems)
    try:
        adapter = TypeAdapter(hint, config=ConfigDict(strict=True, allow_inf_nan=False))
    except PydanticUserError:  # an annotation beyond pydantic: the part itself has to judge
        return value
    try:
        return adapter.validate_json(json.dumps(value, default=str))
    except ValidationError as error:
        problems.append(Problem(path, _message(error.errors(), value)))
        return None


def build(part: Part, problems: list[Problem]) -> Any:
    """Builds a part, its own parts first; what the part refuses is added to ``problems``."""
    arguments = dict(part.arguments)
    before = len(problems)
    for name, value in part.arguments.items():
        if isinstance(value, Part):
            arguments[name] = build(value, problems)
    if len(problems) > before:
        return None
    try:
        built = part.factory(**arguments)
    except Exception as error:  # a part may be anybody's code; whatever it raises belongs to its table
        named = re.match(r"Argument `(\w+)", str(error))
        path = (*part.path, named.group(1)) if named and named.group(1) in arguments else part.path
        expected = isinstance(error, (ValueError, TypeError))
        problems.append(Problem(path, str(error) if expected else f"{part.use} raised {type(error).__name__}: {error}"))
        return None
    if not fits(built, part.kind):
        wanted = "Network" if part.kind is EnergyNetwork else getattr(part.kind, "__name__", "")
        given = type(built).__name__
        problems.append(Problem(part.path, f"{part.use} must give {wanted}, but gives {given}"))
        return None
    return built


def _read_array(path: KeyPath, value: Any, problems: list[Problem]) -> Any:
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        problems.append(Problem(path, f"must be a list of numbers, but is {value!r}"))
        return None
    if not np.all(np.isfinite(array)):
        problems.append(Problem(path, f"must hold finite numbers, but is {value!r}"))
    return array


def _message(errors: Sequence[Any], value: Any) -> str:
    messages = dict.fromkeys(str(error["msg"]) for error in errors if error["type"] != "callable_type")
    wishes = [
        message.removeprefix("Input should be ") for message in messages if message.startswith("Input should be ")
    ]
    others = [message[0].lower() + message[1:] for message in messages if not message.startswith("Input should be ")]
    wish = [f"must be {' or '.join(wishes)}, but is {value!r}"] if wishes else []
    return "; ".join([*wish, *others])


def _default(factory: Callable[..., Any], parameter: inspect.Parameter) -> Any:
    """The default of an argument; for a dataclass also one that is made anew each time."""
    entries = fields(factory) if isinstance(factory, type) and is_dataclass(factory) else ()
    makers = (entry.default_factory for entry in entries if entry.name == parameter.name)
    maker = next((maker for maker in makers if maker is not MISSING), None)
    return parameter.default if maker is None else maker()


def _plain(value: Any, family: str) -> Any:
    """A value as TOML and JSON can hold it; None for what only code can hold."""
    plain: Any = None
    if isinstance(value, Part):
        plain = value.resolved()
    elif isinstance(value, (bool, int, float, str)):
        plain = value
    elif isinstance(value, np.ndarray):
        plain = value.tolist()
    elif is_dataclass(value) and not isinstance(value, type):
        name = f"{type(value).__module__}:{type(value).__qualname__}"
        for package in {family, *FAMILIES.values()} - {""}:
            name = name.removeprefix(f"{package}.")
        entries = {entry.name: _plain(getattr(value, entry.name), family) for entry in fields(value)}
        plain = {"use": name} | {key: entry for key, entry in entries.items() if entry is not None}
    elif isinstance(value, Mapping):
        plain = {str(key): _plain(item, family) for key, item in cast(Mapping[Any, Any], value).items()}
    elif isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        plain = [_plain(item, family) for item in cast(Sequence[Any], value)]
    return plain
