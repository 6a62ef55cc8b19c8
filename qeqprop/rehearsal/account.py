"""Who may use the service, what they have paid for, and what is left of it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any, Literal, NamedTuple

PlanName = Literal["open", "payg", "flex", "premium"]


class Plan(NamedTuple):
    """What a plan allows.

    Attributes:
        title: as the catalogue shows it.
        pricing: its kind of price.
        sessions: whether a client may have the machine to itself.
        allowance: seconds on a machine, in all.
        price: dollars for a second on a machine.
    """

    title: str
    pricing: str
    sessions: bool
    allowance: float
    price: float


PLANS: dict[PlanName, Plan] = {  # prices and the open plan's ten minutes: published by IBM, seen in May 2026
    "open": Plan("Open", "free", False, 600.0, 0.0),
    "payg": Plan("Pay-as-you-go", "paygo", True, 36_000.0, 1.60),
    "flex": Plan("Flex", "subscription", True, 36_000.0, 1.20),
    "premium": Plan("Premium", "subscription", True, 36_000.0, 0.80),
}

PLAN_ID = "00000000-0000-4000-8000-000000000001"


class Instance(NamedTuple):
    """Attributes: the cloud resource name, and the name for people."""

    crn: str
    name: str


def instance_of(plan: PlanName, wanted: str | None) -> Instance:
    """The only instance, with the cloud resource name or the name that is wanted."""
    number = f"{list(PLANS).index(plan):012d}"
    own = f"crn:v1:bluemix:public:quantum-computing:us-east:a/{'0' * 32}:00000000-0000-4000-8000-{number}::"
    if wanted is None:
        return Instance(own, f"rehearsal-{plan}")
    return Instance(wanted, f"rehearsal-{plan}") if wanted.startswith("crn:") else Instance(own, wanted)


def access_token(api_key: str, lifetime: float) -> dict[str, Any]:
    """What the identity service answers: a token that proves the key for so many seconds, without holding it."""
    now = time.time()
    head = _part({"alg": "HS256", "typ": "JWT"})
    body = _part({"iat": now, "exp": now + lifetime, "sub": "rehearsal"})
    return {
        "access_token": f"{head}.{body}.{_signature(api_key, f'{head}.{body}')}",
        "refresh_token": "not_supported",
        "token_type": "Bearer",
        "expires_in": int(lifetime),
        "expiration": int(now + lifetime),
        "scope": "ibm openid",
    }


def is_valid(api_key: str, authorization: str) -> bool:
    """Whether the header holds a token made with this key that has not run out."""
    kind, _, token = authorization.partition(" ")
    if kind != "Bearer" or token.count(".") != 2:
        return False
    head, body, signature = token.split(".")
    if not hmac.compare_digest(signature, _signature(api_key, f"{head}.{body}")):
        return False
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return bool(claims["exp"] > time.time())


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def _signature(api_key: str, text: str) -> str:
    digest = hmac.new(hashlib.sha256(api_key.encode()).digest(), text.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
