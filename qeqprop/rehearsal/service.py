"""What the service answers to each request, without the wire: identity, catalogue, machines, jobs, sessions, usage."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, unquote, urlsplit

from qeqprop.rehearsal.account import PLAN_ID, PLANS, Instance, PlanName, access_token, is_valid
from qeqprop.rehearsal.jobs import Job, JobBook
from qeqprop.rehearsal.machines import Machine
from qeqprop.rehearsal.sessions import Mode, Sessions, iso
from qeqprop.rehearsal.simulation import RefusedProgram

ROOT = "/experimental/api/v1"
"""The client takes an address as it is only if this word is in it."""

CATALOG = "/catalog"


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


@dataclass(eq=False)
class Service:
    """The state behind the routes.

    Attributes:
        machines: by name, in the order they are listed.
        jobs: all of them.
        plan: what was paid for.
        api_key: the only one that is known.
        instance: the only one there is.
        token_seconds: how long an access token is good for.
        tag_lag: seconds for which a new job is not found by its tags.
        posts_per_minute: how many jobs may be posted in a minute; None for any number.
        allowance: seconds on a machine, in place of the plan's own.
        folder: where sessions are kept; None for nowhere.
    """

    machines: Mapping[str, Machine]
    jobs: JobBook
    plan: PlanName
    api_key: str = field(repr=False)
    instance: Instance
    token_seconds: float = 3600.0
    tag_lag: float = 0.0
    posts_per_minute: int | None = None
    allowance: float | None = None
    folder: Path | None = None

    def __post_init__(self) -> None:
        self.sessions = Sessions(self.jobs.all, self.folder)
        self._posted: list[float] = []

    def answer(self, request: Request) -> Reply:
        """The reply to any request."""
        try:
            for method, pattern, route, open_to_all in _ROUTES:
                found = re.fullmatch(pattern, request.path)
                if found and method == request.method:
                    if not open_to_all:
                        self._check_access(request)
                    return route(self, request, *found.groups())
        except Refusal as refusal:
            return refusal.reply
        except RefusedProgram as error:
            return Refusal(400, 1101, str(error)).reply
        except (ValueError, KeyError, TypeError) as error:
            return Refusal(400, 1100, f"The request cannot be read: {type(error).__name__}: {error}").reply
        return Refusal(404, 1404, f"There is nothing at {request.method} {request.path}.").reply

    @property
    def consumed(self) -> float:
        """Seconds on a machine that were billed: jobs, and of sessions the time they had it to themselves."""
        dedicated = {session.id: session for session in self.sessions.all() if session.mode == "dedicated"}
        alone = sum(job.billed for job in self.jobs.all() if job.session_id not in dedicated)
        return alone + sum(self.sessions.seconds(session) for session in dedicated.values())

    @property
    def limit(self) -> float:
        """Seconds on a machine that may be billed in all."""
        return PLANS[self.plan].allowance if self.allowance is None else self.allowance

    def _check_access(self, request: Request) -> None:
        if not is_valid(self.api_key, request.headers.get("authorization", "")):
            raise Refusal(401, 1200, "The authorization is missing, wrong or has run out.")
        instance = request.headers.get("service-crn")
        if instance is not None and unquote(instance) != self.instance.crn:
            raise Refusal(403, 1211, "The instance is unknown or not yours.")

    # --- identity and catalogue -----------------------------------------------------------------------------------

    def token(self, request: Request) -> Reply:
        """The identity service."""
        if parse_qs(request.body.decode()).get("apikey") != [self.api_key]:
            body = {"errorCode": "BXNIM0415E", "errorMessage": "Provided API key could not be found."}
            return Reply(400, json.dumps(body))
        return _json(access_token(self.api_key, self.token_seconds))

    def search(self, request: Request) -> Reply:
        """The instances of the account."""
        if not is_valid(self.api_key, request.headers.get("authorization", "")):
            raise Refusal(401, 1200, "The authorization is missing, wrong or has run out.")
        item = {
            "crn": self.instance.crn,
            "name": self.instance.name,
            "service_plan_unique_id": PLAN_ID,
            "tags": [],
            "doc": {"extensions": [{"name": "allocation", "value": "rehearsal"}]},
        }
        return _json({"items": [item], "limit": 100})

    def catalog(self, request: Request, plan_id: str) -> Reply:
        """What a plan is called and costs."""
        if plan_id != PLAN_ID:
            raise Refusal(404, 1404, "There is no such plan.")
        plan = PLANS[self.plan]
        return _json(
            {
                "id": PLAN_ID,
                "overview_ui": {"en": {"display_name": plan.title}},
                "metadata": {"pricing": {"type": plan.pricing}},
            }
        )

    def usage(self, request: Request) -> Reply:
        """What was billed and what is left."""
        consumed, now = self.consumed, time.time()
        return _json(
            {
                "instance_id": self.instance.crn,
                "plan_id": PLAN_ID,
                "usage_consumed_seconds": consumed,
                "usage_limit_seconds": self.limit,
                "usage_allocation_seconds": self.limit,
                "usage_remaining_seconds": max(self.limit - consumed, 0.0),
                "usage_limit_reached": consumed >= self.limit,
                "usage_period": {"start_time": iso(now - 28 * 86400), "end_time": iso(now)},
            }
        )

    def settings(self, request: Request) -> Reply:
        """The settings of the instance."""
        return _json({"instance_id": self.instance.crn, "plan_id": PLAN_ID, "usage_limit_seconds": self.limit})

    # --- machines -------------------------------------------------------------------------------------------------

    def backends(self, request: Request) -> Reply:
        """The machines on offer."""
        return _json({"devices": [self._device(machine) for machine in self.machines.values()]})

    def configuration(self, request: Request, name: str) -> Reply:
        """What does not change about a machine."""
        return _json(self._machine(name).configuration)

    def properties(self, request: Request, name: str) -> Reply:
        """The calibration of the day."""
        return Reply(200, self._machine(name).properties(self.jobs.generation(name)))

    def status(self, request: Request, name: str) -> Reply:
        """Whether a machine works, and how long its queue is."""
        version = self._machine(name).configuration["backend_version"]
        return _json({"state": True, "status": "active", "length_queue": self._queue(name), "backend_version": version})

    def _machine(self, name: str) -> Machine:
        if name not in self.machines:
            raise Refusal(404, 1216, f"There is no backend {name}.")
        return self.machines[name]

    def _device(self, machine: Machine) -> dict[str, Any]:
        return {
            "name": machine.name,
            "status": {"name": "online", "reason": "available"},
            "queue_length": self._queue(machine.name),
            "qubits": machine.n_qubits,
            "processor_type": machine.configuration.get("processor_type", {}),
        }

    def _queue(self, name: str) -> int:
        return sum(job.backend == name and not job.is_final for job in self.jobs.all())

    # --- jobs -----------------------------------------------------------------------------------------------------

    def post_job(self, request: Request) -> Reply:
        """A new job, if plan, session and the limit of posts allow it."""
        posted = cast(dict[str, Any], json.loads(request.body))
        self._machine(posted["backend"])
        self._check_posts()
        if self.consumed >= self.limit:
            raise Refusal(403, 1303, "The instance has met its usage limit.")
        session_id = posted.get("session_id")
        if session_id is not None:
            session = self.sessions.find(session_id)
            if session is None:
                raise Refusal(404, 1215, f"There is no session {session_id}.")
            if session.closed or not session.accepting:
                raise Refusal(409, 1217, f"The session {session_id} is closed.")
        limit = posted.get("cost")
        job = self.jobs.submit(posted, None if limit is None else float(limit))
        return _json({"id": job.id, "backend": job.backend, "session_id": session_id, "private": job.private})

    def list_jobs(self, request: Request) -> Reply:
        """Jobs by tag, session, machine, state and time, in pages."""
        found = [job for job in self.jobs.all() if self._matches(job, request)]
        if request.value("sort") != "ASC":
            found.reverse()
        offset, limit = int(request.value("offset") or 0), int(request.value("limit") or 200)
        page = [self._shown(job) for job in found[offset : offset + limit]]
        return _json({"jobs": page, "count": len(found), "limit": limit, "offset": offset})

    def get_job(self, request: Request, job_id: str) -> Reply:
        """One job, with its parameters unless they are not wanted."""
        job = self._job(job_id)
        shown = self._shown(job)
        if request.value("exclude_params") != "true":
            shown["params"] = self.jobs.params(job)
        return _json(shown)

    def job_result(self, request: Request, job_id: str) -> Reply:
        """What it gave, or why it did not."""
        job = self._job(job_id)
        text = self.jobs.result(job)
        return (
            Reply(200, text, "text/plain" if job.state != "Completed" else "application/json") if text else Reply(204)
        )

    def job_logs(self, request: Request, job_id: str) -> Reply:
        """A line of text."""
        job = self._job(job_id)
        return Reply(200, f"{iso(job.created)} {job.state} {job.reason or ''}\n", "text/plain")

    def job_metrics(self, request: Request, job_id: str) -> Reply:
        """When it ran and what it was billed."""
        job = self._job(job_id)
        times = {"created": iso(job.created), "running": iso(job.running), "finished": iso(job.finished)}
        usage = {
            "status": "final" if job.is_final else "pending",
            "qpu_charge_time_seconds": job.billed,
            "quantum_seconds": job.billed,
            "seconds": job.billed,
        }
        place = None if job.is_final else self.jobs.position(job)
        return _json(
            {
                "timestamps": times,
                "usage": usage,
                "bss": {"seconds": job.billed},
                "executions": job.executions,
                "position_in_queue": place,
            }
        )

    def cancel_job(self, request: Request, job_id: str) -> Reply:
        """Cancels it, unless it has ended."""
        if not self.jobs.cancel(self._job(job_id)):
            raise Refusal(409, 1291, f"The job {job_id} has ended and cannot be cancelled.")
        return Reply(204)

    def tag_job(self, request: Request, job_id: str) -> Reply:
        """Other tags; what it draws was settled when it was posted."""
        self.jobs.retag(self._job(job_id), json.loads(request.body)["tags"])
        return Reply(204)

    def delete_job(self, request: Request, job_id: str) -> Reply:
        """Forgets it."""
        self.jobs.delete(self._job(job_id))
        return Reply(204)

    def _job(self, job_id: str) -> Job:
        job = self.jobs.find(job_id)
        if job is None:
            raise Refusal(404, 1291, f"There is no job {job_id}.")
        return job

    def _check_posts(self) -> None:
        if self.posts_per_minute is None:
            return
        now = time.monotonic()
        self._posted = [posted for posted in self._posted if posted > now - 60]
        if len(self._posted) >= self.posts_per_minute:
            wait = f"{60 - (now - self._posted[0]):.0f}"
            raise Refusal(429, 1429, f"At most {self.posts_per_minute} jobs a minute.", {"Retry-After": wait})
        self._posted.append(now)

    def _matches(self, job: Job, request: Request) -> bool:
        wanted, pending = request.query.get("tags", []), request.value("pending")
        if wanted and (set(wanted) - set(job.tags) or time.time() < job.created + self.tag_lag):
            return False
        if pending is not None and (pending == "true") == job.is_final:
            return False
        exact = {"backend": job.backend, "program": job.program, "session_id": job.session_id}
        if any(request.value(name) not in (None, value) for name, value in exact.items()):
            return False
        since, until = request.value("created_after"), request.value("created_before")
        created = iso(job.created) or ""
        return (since is None or created >= _utc(since)) and (until is None or created <= _utc(until))

    def _shown(self, job: Job) -> dict[str, Any]:
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

    # --- sessions -------------------------------------------------------------------------------------------------

    def open_session(self, request: Request) -> Reply:
        """A session or a batch; no session on the open plan."""
        posted = cast(dict[str, Any], json.loads(request.body))
        mode = cast(Mode, posted.get("mode", "dedicated"))
        self._machine(posted["backend"])
        if mode == "dedicated" and not PLANS[self.plan].sessions:
            raise Refusal(400, 1352, "You are not authorized to run a session when using the open plan.")
        session = self.sessions.open(posted["backend"], mode, posted.get("max_ttl"))
        return _json(self.sessions.details(session))

    def get_session(self, request: Request, session_id: str) -> Reply:
        """Its state and times."""
        return _json(self.sessions.details(self._session(session_id)))

    def patch_session(self, request: Request, session_id: str) -> Reply:
        """Takes no more jobs."""
        if json.loads(request.body).get("accepting_jobs") is False:
            self.sessions.stop_accepting(self._session(session_id))
        return Reply(204)

    def close_session(self, request: Request, session_id: str) -> Reply:
        """Ends it at once, with its jobs."""
        for job in self.sessions.close(self._session(session_id)):
            self.jobs.cancel(job)
        return Reply(204)

    def _session(self, session_id: str) -> Any:
        session = self.sessions.find(session_id)
        if session is None:
            raise Refusal(404, 1215, f"There is no session {session_id}.")
        return session


def _json(value: Any) -> Reply:
    return Reply(200, json.dumps(value))


def _utc(text: str) -> str:
    from datetime import UTC, datetime

    moment = datetime.fromisoformat(text)
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return iso(moment.timestamp()) or ""


_NAME = "([^/]+)"
_ROUTES: list[tuple[str, str, Any, bool]] = [
    ("POST", "/identity/token", Service.token, True),
    ("POST", "/v3/resources/search", Service.search, True),
    ("GET", f"{CATALOG}/{_NAME}", Service.catalog, True),
    ("GET", f"{ROOT}/instances/usage", Service.usage, False),
    ("GET", f"{ROOT}/instances/configuration", Service.settings, False),
    ("GET", f"{ROOT}/backends", Service.backends, False),
    ("GET", f"{ROOT}/backends/{_NAME}/configuration", Service.configuration, False),
    ("GET", f"{ROOT}/backends/{_NAME}/properties", Service.properties, False),
    ("GET", f"{ROOT}/backends/{_NAME}/status", Service.status, False),
    ("POST", f"{ROOT}/jobs", Service.post_job, False),
    ("GET", f"{ROOT}/jobs", Service.list_jobs, False),
    ("GET", f"{ROOT}/jobs/{_NAME}", Service.get_job, False),
    ("GET", f"{ROOT}/jobs/{_NAME}/results", Service.job_result, False),
    ("GET", f"{ROOT}/jobs/{_NAME}/logs", Service.job_logs, False),
    ("GET", f"{ROOT}/jobs/{_NAME}/metrics", Service.job_metrics, False),
    ("POST", f"{ROOT}/jobs/{_NAME}/cancel", Service.cancel_job, False),
    ("PUT", f"{ROOT}/jobs/{_NAME}/tags", Service.tag_job, False),
    ("DELETE", f"{ROOT}/jobs/{_NAME}", Service.delete_job, False),
    ("POST", f"{ROOT}/sessions", Service.open_session, False),
    ("GET", f"{ROOT}/sessions/{_NAME}", Service.get_session, False),
    ("PATCH", f"{ROOT}/sessions/{_NAME}", Service.patch_session, False),
    ("DELETE", f"{ROOT}/sessions/{_NAME}/close", Service.close_session, False),
]
