"""Sessions and batches: open, read, take no more jobs, close."""

from __future__ import annotations

import json
from typing import Any, cast

from qeqprop.rehearsal.account import PLANS
from qeqprop.rehearsal.messages import Refusal, Reply, Request, as_json
from qeqprop.rehearsal.service import Service
from qeqprop.rehearsal.sessions import Mode


def begin(service: Service, request: Request) -> Reply:
    """A session or a batch; no session on the open plan."""
    posted = cast(dict[str, Any], json.loads(request.body))
    mode = cast(Mode, posted.get("mode", "dedicated"))
    service.machine(posted["backend"])
    if mode == "dedicated" and not PLANS[service.plan].sessions:
        raise Refusal(400, 1352, "You are not authorized to run a session when using the open plan.")
    session = service.sessions.open(posted["backend"], mode, posted.get("max_ttl"))
    return as_json(service.sessions.details(session))


def one(service: Service, request: Request, session_id: str) -> Reply:
    """Its state and times."""
    return as_json(service.sessions.details(service.session(session_id)))


def change(service: Service, request: Request, session_id: str) -> Reply:
    """Takes no more jobs."""
    if json.loads(request.body).get("accepting_jobs") is False:
        service.sessions.stop_accepting(service.session(session_id))
    return Reply(204)


def close(service: Service, request: Request, session_id: str) -> Reply:
    """Ends it at once, with its jobs."""
    for job in service.sessions.close(service.session(session_id)):
        service.jobs.cancel(job)
    return Reply(204)
