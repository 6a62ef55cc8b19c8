"""TOML as text: on which line each key stands, which `tomllib` does not tell, and trees of tables written as TOML."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any, cast

KeyPath = tuple[str, ...]

BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_OPEN, _CLOSE = "[{", "]}"


def find_lines(text: str) -> dict[KeyPath, int]:
    """The line (from 1) of every table header and every key outside inline tables, for a text that is valid TOML."""
    lines: dict[KeyPath, int] = {}
    table: KeyPath = ()
    position, line = 0, 1
    while position < len(text):
        start = position
        if text[position] == "[":
            position = _end_of_line(text, position)
            table = _keys(text[start:position])
            lines.setdefault(table, line)
        elif text[position] == "#":
            position = _end_of_line(text, position)
        elif text[position].isspace():
            line += text[position] == "\n"
            position += 1
        else:
            keys, position = _key_before_equals(text, position)
            for length in range(1, len(keys) + 1):
                lines.setdefault((*table, *keys[:length]), line)
            end = _end_of_value(text, position)
            line += text.count("\n", start, end)
            position = end
    return lines


def to_toml(tree: Mapping[str, Any]) -> str:
    """A tree of tables as TOML: plain keys first, then one table for each."""
    plain = {key: value for key, value in tree.items() if not isinstance(value, dict)}
    tables = {key: value for key, value in tree.items() if isinstance(value, dict)}
    blocks = ["".join(f"{_key(key)} = {_value(value)}\n" for key, value in plain.items())]
    for name, table in tables.items():
        blocks.append(f"[{_key(name)}]\n" + "".join(f"{_key(key)} = {_value(value)}\n" for key, value in table.items()))
    return "\n".join(blocks)


def _end_of_line(text: str, position: int) -> int:
    end = text.find("\n", position)
    return len(text) if end < 0 else end


def _keys(header: str) -> KeyPath:
    """The keys of a table header, by letting tomllib read it."""
    tree: Any = tomllib.loads(header)
    keys: list[str] = []
    while isinstance(tree, (dict, list)) and tree:
        if isinstance(tree, list):
            tree = tree[0]
            continue
        key, tree = next(iter(cast(dict[str, Any], tree).items()))
        keys.append(key)
    return tuple(keys)


def _key_before_equals(text: str, position: int) -> tuple[KeyPath, int]:
    start, quote = position, ""
    while quote or text[position] != "=":
        character = text[position]
        if quote == '"' and character == "\\":
            position += 1
        elif quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        position += 1
    return _keys(f"{text[start:position]}= 0"), position + 1


def _end_of_value(text: str, position: int) -> int:
    depth = 0
    while position < len(text) and (depth or text[position] != "\n"):
        character = text[position]
        if character in "\"'":
            position = _end_of_string(text, position)
            continue
        if character == "#":
            position = _end_of_line(text, position)
            continue
        depth += (character in _OPEN) - (character in _CLOSE)
        position += 1
    return position


def _end_of_string(text: str, position: int) -> int:
    quote = text[position]
    delimiter = quote * 3 if text.startswith(quote * 3, position) else quote
    position += len(delimiter)
    while not text.startswith(delimiter, position):
        position += 2 if quote == '"' and text[position] == "\\" else 1
    position += len(delimiter)
    while len(delimiter) == 3 and text.startswith(
        quote, position
    ):  # up to two quotes may stand before the closing ones
        position += 1
    return position


def _key(key: str) -> str:
    return key if BARE_KEY.fullmatch(key) else _value(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list):
        return f"[{', '.join(_value(item) for item in cast(list[Any], value))}]"
    if isinstance(value, dict):
        return (
            "{ "
            + ", ".join(f"{_key(key)} = {_value(item)}" for key, item in cast(dict[str, Any], value).items())
            + " }"
        )
    return repr(value)
