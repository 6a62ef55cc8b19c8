"""Requests and replies without the wire."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass(frozen=True)
class Request:
    """Attributes: method, path without the query, the query's values by name, the headers by lower-case name, body."""

    method: str
    path: str
    query: Mapping[str, Sequence[str]]
    headers: Mapping[str, str]
    body: bytes

    @classmethod
    def of(cls, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Request:
        parts = urlsplit(target)
        return cls(method, unquote(parts.path), parse_qs(parts.query), {k.lower(): v for k, v in headers.items()}, body)

    def value(self, name: str) -> str | None:
        return self.query[name][0] if name in self.query else None


@dataclass(frozen=True)
class Reply:
    """Attributes: the status code, the body as text, its type, more headers."""

    code: int
    body: str = ""
    kind: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


class Refusal(Exception):
    """Ends a request with an error of the service."""

    def __init__(self, status: int, code: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        body = json.dumps({"errors": [{"code": code, "message": message}], "trace": "rehearsal"})
        self.reply = Reply(status, body, headers=headers or {})


def as_json(value: Any) -> Reply:
    """A value, sent with code 200."""
    return Reply(200, json.dumps(value))
