"""Identity, instances, plans and machines."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import parse_qs

from qeqprop.rehearsal.account import PLAN_ID, PLANS, access_token
from qeqprop.rehearsal.machines import Machine
from qeqprop.rehearsal.messages import Refusal, Reply, Request, as_json
from qeqprop.rehearsal.service import Service
from qeqprop.rehearsal.sessions import iso


def token(service: Service, request: Request) -> Reply:
    """The identity service."""
    if parse_qs(request.body.decode()).get("apikey") != [service.api_key]:
        body = {"errorCode": "BXNIM0415E", "errorMessage": "Provided API key could not be found."}
        return Reply(400, json.dumps(body))
    return as_json(access_token(service.api_key, service.token_seconds))


def search(service: Service, request: Request) -> Reply:
    """The instances of the account."""
    service.check_token(request)
    item = {
        "crn": service.instance.crn,
        "name": service.instance.name,
        "service_plan_unique_id": PLAN_ID,
        "tags": [],
        "doc": {"extensions": [{"name": "allocation", "value": "rehearsal"}]},
    }
    return as_json({"items": [item], "limit": 100})


def catalog(service: Service, request: Request, plan_id: str) -> Reply:
    """What a plan is called and costs."""
    if plan_id != PLAN_ID:
        raise Refusal(404, 1404, "There is no such plan.")
    plan = PLANS[service.plan]
    return as_json(
        {
            "id": PLAN_ID,
            "overview_ui": {"en": {"display_name": plan.title}},
            "metadata": {"pricing": {"type": plan.pricing}},
        }
    )


def usage(service: Service, request: Request) -> Reply:
    """What was billed and what is left."""
    consumed, now = service.consumed, time.time()
    return as_json(
        {
            "instance_id": service.instance.crn,
            "plan_id": PLAN_ID,
            "usage_consumed_seconds": consumed,
            "usage_limit_seconds": service.limit,
            "usage_allocation_seconds": service.limit,
            "usage_remaining_seconds": max(service.limit - consumed, 0.0),
            "usage_limit_reached": consumed >= service.limit,
            "usage_period": {"start_time": iso(now - 28 * 86400), "end_time": iso(now)},
        }
    )


def settings(service: Service, request: Request) -> Reply:
    """The settings of the instance."""
    return as_json({"instance_id": service.instance.crn, "plan_id": PLAN_ID, "usage_limit_seconds": service.limit})


def backends(service: Service, request: Request) -> Reply:
    """The machines on offer."""
    return as_json({"devices": [_device(service, machine) for machine in service.machines.values()]})


def configuration(service: Service, request: Request, name: str) -> Reply:
    """What does not change about a machine."""
    return as_json(service.machine(name).configuration)


def properties(service: Service, request: Request, name: str) -> Reply:
    """The calibration of the day."""
    return Reply(200, service.machine(name).properties(service.jobs.generation(name)))


def status(service: Service, request: Request, name: str) -> Reply:
    """Whether a machine works, and how long its queue is."""
    version = service.machine(name).configuration["backend_version"]
    return as_json({"state": True, "status": "active", "length_queue": service.queue(name), "backend_version": version})


def _device(service: Service, machine: Machine) -> dict[str, Any]:
    return {
        "name": machine.name,
        "status": {"name": "online", "reason": "available"},
        "queue_length": service.queue(machine.name),
        "qubits": machine.n_qubits,
        "processor_type": machine.configuration.get("processor_type", {}),
    }
