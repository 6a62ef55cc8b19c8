"""Jobs: post, find, read, cancel, retag, delete."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any, cast

from qeqprop.rehearsal.job import Job
from qeqprop.rehearsal.messages import Refusal, Reply, Request, as_json
from qeqprop.rehearsal.service import Service
from qeqprop.rehearsal.sessions import iso


def post(service: Service, request: Request) -> Reply:
    """A new job, if plan, session and the limit of posts allow it."""
    posted = cast(dict[str, Any], json.loads(request.body))
    service.machine(posted["backend"])
    service.check_posts()
    if service.consumed >= service.limit:
        raise Refusal(403, 1303, "The instance has met its usage limit.")
    session_id = posted.get("session_id")
    if session_id is not None:
        session = service.sessions.find(session_id)
        if session is None:
            raise Refusal(404, 1215, f"There is no session {session_id}.")
        if session.closed or not session.accepting:
            raise Refusal(409, 1217, f"The session {session_id} is closed.")
    limit = posted.get("cost")
    job = service.jobs.submit(posted, None if limit is None else float(limit))
    return as_json({"id": job.id, "backend": job.backend, "session_id": session_id, "private": job.private})


def found(service: Service, request: Request) -> Reply:
    """Jobs by tag, session, machine, state and time, in pages."""
    found = [job for job in service.jobs.all() if _matches(service, job, request)]
    if request.value("sort") != "ASC":
        found.reverse()
    offset, limit = int(request.value("offset") or 0), int(request.value("limit") or 200)
    page = [_shown(job) for job in found[offset : offset + limit]]
    return as_json({"jobs": page, "count": len(found), "limit": limit, "offset": offset})


def one(service: Service, request: Request, job_id: str) -> Reply:
    """One job, with its parameters unless they are not wanted."""
    job = service.job(job_id)
    shown = _shown(job)
    if request.value("exclude_params") != "true":
        shown["params"] = service.jobs.params(job)
    return as_json(shown)


def result(service: Service, request: Request, job_id: str) -> Reply:
    """What it gave, or why it did not."""
    job = service.job(job_id)
    text = service.jobs.result(job)
    return Reply(200, text, "text/plain" if job.state != "Completed" else "application/json") if text else Reply(204)


def logs(service: Service, request: Request, job_id: str) -> Reply:
    """A line of text."""
    job = service.job(job_id)
    return Reply(200, f"{iso(job.created)} {job.state} {job.reason or ''}\n", "text/plain")


def metrics(service: Service, request: Request, job_id: str) -> Reply:
    """When it ran and what it was billed."""
    job = service.job(job_id)
    times = {"created": iso(job.created), "running": iso(job.running), "finished": iso(job.finished)}
    usage = {
        "status": "final" if job.is_final else "pending",
        "qpu_charge_time_seconds": job.billed,
        "quantum_seconds": job.billed,
        "seconds": job.billed,
    }
    place = None if job.is_final else service.jobs.position(job)
    return as_json(
        {
            "timestamps": times,
            "usage": usage,
            "bss": {"seconds": job.billed},
            "executions": job.executions,
            "position_in_queue": place,
        }
    )


def cancel(service: Service, request: Request, job_id: str) -> Reply:
    """Cancels it, unless it has ended."""
    if not service.jobs.cancel(service.job(job_id)):
        raise Refusal(409, 1291, f"The job {job_id} has ended and cannot be cancelled.")
    return Reply(204)


def retag(service: Service, request: Request, job_id: str) -> Reply:
    """Other tags; what it draws was settled when it was posted."""
    service.jobs.retag(service.job(job_id), json.loads(request.body)["tags"])
    return Reply(204)


def delete(service: Service, request: Request, job_id: str) -> Reply:
    """Forgets it."""
    service.jobs.delete(service.job(job_id))
    return Reply(204)


def _matches(service: Service, job: Job, request: Request) -> bool:
    wanted, pending = request.query.get("tags", []), request.value("pending")
    if wanted and (set(wanted) - set(job.tags) or time.time() < job.created + service.tag_lag):
        return False
    if pending is not None and (pending == "true") == job.is_final:
        return False
    exact = {"backend": job.backend, "program": job.program, "session_id": job.session_id}
    if any(request.value(name) not in (None, value) for name, value in exact.items()):
        return False
    since, until = request.value("created_after"), request.value("created_before")
    created = iso(job.created) or ""
    return (since is None or created >= _utc(since)) and (until is None or created <= _utc(until))


def _shown(job: Job) -> dict[str, Any]:
    state = {"status": job.state}
    if job.reason is not None and job.is_final:
        state["reason"] = job.reason
    if job.reason_code is not None:
        state["reason_code"] = cast(Any, job.reason_code)
    return {
        "id": job.id,
        "backend": job.backend,
        "state": state,
        "status": job.state,
        "program": {"id": job.program},
        "created": iso(job.created),
        "ended": iso(job.finished),
        "runtime": "",
        "tags": job.tags,
        "session_id": job.session_id,
        "cost": job.limit,
        "private": job.private,
        "estimated_running_time_seconds": job.estimate,
        "usage": {"seconds": job.billed},
    }


def _utc(text: str) -> str:
    moment = datetime.fromisoformat(text)
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return iso(moment.timestamp()) or ""
