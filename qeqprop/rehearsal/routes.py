"""What is answered where."""

from __future__ import annotations

import re
from typing import Any

from qeqprop.rehearsal import routes_account, routes_jobs, routes_sessions
from qeqprop.rehearsal.messages import Refusal, Reply, Request
from qeqprop.rehearsal.service import Service
from qeqprop.rehearsal.simulation import RefusedProgram

ROOT = "/experimental/api/v1"
"""The client takes an address as it is only if this word is in it."""

CATALOG = "/catalog"

_NAME = "([^/]+)"
_ROUTES: list[tuple[str, str, Any, bool]] = [
    ("POST", "/identity/token", routes_account.token, True),
    ("POST", "/v3/resources/search", routes_account.search, True),
    ("GET", f"{CATALOG}/{_NAME}", routes_account.catalog, True),
    ("GET", f"{ROOT}/instances/usage", routes_account.usage, False),
    ("GET", f"{ROOT}/instances/configuration", routes_account.settings, False),
    ("GET", f"{ROOT}/backends", routes_account.backends, False),
    ("GET", f"{ROOT}/backends/{_NAME}/configuration", routes_account.configuration, False),
    ("GET", f"{ROOT}/backends/{_NAME}/properties", routes_account.properties, False),
    ("GET", f"{ROOT}/backends/{_NAME}/status", routes_account.status, False),
    ("POST", f"{ROOT}/jobs", routes_jobs.post, False),
    ("GET", f"{ROOT}/jobs", routes_jobs.found, False),
    ("GET", f"{ROOT}/jobs/{_NAME}", routes_jobs.one, False),
    ("GET", f"{ROOT}/jobs/{_NAME}/results", routes_jobs.result, False),
    ("GET", f"{ROOT}/jobs/{_NAME}/logs", routes_jobs.logs, False),
    ("GET", f"{ROOT}/jobs/{_NAME}/metrics", routes_jobs.metrics, False),
    ("POST", f"{ROOT}/jobs/{_NAME}/cancel", routes_jobs.cancel, False),
    ("PUT", f"{ROOT}/jobs/{_NAME}/tags", routes_jobs.retag, False),
    ("DELETE", f"{ROOT}/jobs/{_NAME}", routes_jobs.delete, False),
    ("POST", f"{ROOT}/sessions", routes_sessions.begin, False),
    ("GET", f"{ROOT}/sessions/{_NAME}", routes_sessions.one, False),
    ("PATCH", f"{ROOT}/sessions/{_NAME}", routes_sessions.change, False),
    ("DELETE", f"{ROOT}/sessions/{_NAME}/close", routes_sessions.close, False),
]


def answer(service: Service, request: Request) -> Reply:
    """The reply to any request."""
    try:
        for method, pattern, route, open_to_all in _ROUTES:
            found = re.fullmatch(pattern, request.path)
            if found and method == request.method:
                if not open_to_all:
                    service.check_access(request)
                return route(service, request, *found.groups())
    except Refusal as refusal:
        return refusal.reply
    except RefusedProgram as error:
        return Refusal(400, 1101, str(error)).reply
    except (ValueError, KeyError, TypeError) as error:
        return Refusal(400, 1100, f"The request cannot be read: {type(error).__name__}: {error}").reply
    return Refusal(404, 1404, f"There is nothing at {request.method} {request.path}.").reply
