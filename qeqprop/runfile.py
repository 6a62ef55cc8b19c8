"""Run files before anything in them is validated, and the mistakes in them, each with its place."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, cast

from qeqprop.toml_text import BARE_KEY, KeyPath, find_lines


class RunFileError(ValueError):
    """All mistakes of a run file, one line each in ``problems``."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class Problem(NamedTuple):
    """One mistake: the key it is about, () for the whole file, and what is wrong."""

    path: KeyPath
    message: str


@dataclass(frozen=True)
class RunFile:
    """A run file as it was read, nothing validated yet.

    Attributes:
        path: where the file is.
        tree: its tables, with the values set on the command line in place.
        lines: the line of every key and table header.
        overridden: the keys that were set on the command line.
    """

    path: Path
    tree: dict[str, Any]
    lines: Mapping[KeyPath, int]
    overridden: frozenset[KeyPath]

    def describe(self, problem: Problem) -> str:
        """The mistake with its place: ``run.toml:12: rule.betta: unknown key``."""
        path, message = problem
        name = ".".join(path)
        for length in range(len(path), -1, -1):
            prefix = path[:length]
            if prefix in self.overridden:
                return f"--set {name}: {message}"
            if prefix in self.lines:
                return f"{self.path}:{self.lines[prefix]}: {name}: {message}"
        return f"{self.path}:1: {name}: {message}" if name else f"{self.path}: {message}"

    def error(self, problems: Iterable[Problem]) -> RunFileError:
        """The exception that reports all mistakes, in the order of the file."""

        def line(problem: Problem) -> int:
            prefixes = (problem.path[:length] for length in range(len(problem.path), 0, -1))
            return next((self.lines[prefix] for prefix in prefixes if prefix in self.lines), 0)

        return RunFileError([self.describe(problem) for problem in sorted(problems, key=line)])


def read(path: str | Path, overrides: Sequence[str] = ()) -> RunFile:
    """Reads a run file and puts the overrides, ``"rule.beta=0.2"``, into it.

    Raises:
        RunFileError: if the file cannot be read or is not TOML, or an override is not ``key=value``.
    """
    path = Path(path)
    text = _read_text(path)
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RunFileError([_syntax_problem(path, text, str(error))]) from None
    except RecursionError:
        raise RunFileError([f"{path}: is nested too deeply."]) from None
    problems: list[str] = []
    overridden: set[KeyPath] = set()
    for override in overrides:
        key, _, value = override.partition("=")
        keys = tuple(key.strip().split("."))
        if "=" not in override or not all(BARE_KEY.fullmatch(part) for part in keys):
            problems.append(f"--set {override}: must be of the form key=value, such as rule.beta=0.2")
            continue
        table = tree
        for depth, part in enumerate(keys[:-1], start=1):
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                problems.append(
                    f"--set {key}: {'.'.join(keys[:depth])} is {table!r}, not a table that could hold a key"
                )
                break
        else:
            cast(dict[str, Any], table)[keys[-1]] = _override_value(value.strip())
            overridden.add(keys)
    if problems:
        raise RunFileError(problems)
    return RunFile(path, tree, find_lines(text), frozenset(overridden))


def canonical(resolved: Mapping[str, Any]) -> str:
    """The resolved run file as JSON that is the same text for the same content."""
    return json.dumps(resolved, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def short_hash(resolved: Mapping[str, Any]) -> str:
    """Eight hexadecimal digits that name a resolved run file."""
    return hashlib.sha256(canonical(resolved).encode()).hexdigest()[:8]


def _read_text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except IsADirectoryError:
        raise RunFileError([f"{path}: is a folder, not a run file."]) from None
    except FileNotFoundError:
        raise RunFileError([f"{path}: no such file."]) from None
    except (OSError, ValueError) as error:
        raise RunFileError([f"{path}: cannot be read ({error})."]) from None
    try:
        # A byte order mark is what some editors put in front; line ends are made one kind, as TOML reads them.
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise RunFileError([f"{path}:{line}: is not UTF-8 text (byte {content[error.start]:#04x})."]) from None


def _syntax_problem(path: Path, text: str, message: str) -> str:
    place = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)", message)
    line = (place.group(1) if place else None) or str(text.rstrip("\n").count("\n") + 1)
    return f"{path}:{line}: not valid TOML: {message if place is None else message[: place.start()]}"


def _override_value(text: str) -> Any:
    try:
        parsed = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return parsed["value"] if len(parsed) == 1 else text
