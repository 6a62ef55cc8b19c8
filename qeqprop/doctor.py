"""What there is and what is missing: the programs, the engine, the account, the service, the machines in reach.

Nothing secret is said: of a token only where it comes from, and in what others say every secret is blacked out.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import warnings
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlparse

from qeqprop.patience import within

PATIENCE = 40.0
"""Seconds that a call of the service may take; the client itself would wait for ever."""

PACKAGES = ("qeqprop", "qiskit", "qiskit-aer", "qiskit-ibm-runtime", "numpy", "scipy", "numba")
CLIENT = "qiskit-ibm-runtime"


_BEFORE = r"(?<=bearer )|(?<=apikey )|\b(?:token|api[_-]?key|authorization)\W{0,3}[:=]\W{0,3}"
_SECRET = re.compile(rf"(?i)(?:{_BEFORE})[^\s'\"]{{4,}}")
"""What stands behind such a word is nobody's business."""


class Finding(NamedTuple):
    """One line of the doctor.

    Attributes:
        topic: what it is about.
        words: what was found.
        advice: what to do; empty where there is nothing to do.
        wrong: something that was set up and does not work, as against something that is only absent.
    """

    topic: str
    words: str
    advice: str = ""
    wrong: bool = False


def examine(*, patience: float = PATIENCE) -> Iterator[Finding]:
    """Everything, one finding after the other, as soon as it is known.

    Args:
        patience: seconds to wait for each answer of the service.
    """
    yield from _programs()
    yield _engine()
    yield from _account_and_service(patience)


# --- this computer ------------------------------------------------------------------------------------------------


def _programs() -> Iterator[Finding]:
    yield Finding("Python", ".".join(map(str, sys.version_info[:3])))
    for name in PACKAGES:
        found = installed(name)
        if found is None:
            what = "not installed; needed for IBM's machines and their snapshots only"
            yield Finding(name, what, f"pip install '{name}'")
        else:
            yield Finding(name, found)


def installed(name: str) -> str | None:
    """The version of a package, None where it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _engine() -> Finding:
    from qeqprop.engine.threads import available_threads, get_threads

    places = [Path(__file__).parent / "engine" / "__pycache__"]
    if os.environ.get("NUMBA_CACHE_DIR"):
        places = [Path(os.environ["NUMBA_CACHE_DIR"])]
    kernels = sum(1 for place in places if place.is_dir() for _ in place.rglob("*.nbi"))
    threads = f"{get_threads()} of {available_threads()} threads"
    if kernels:
        return Finding("engine", f"{kernels} kernels compiled, {threads}")
    return Finding(
        "engine", f"not compiled yet, {threads}", "qeqprop warm-up   (the first run would do it, in a minute)"
    )


# --- the service ------------------------------------------------------------------------------------------------


class _Credentials(NamedTuple):
    """Where they are from, and what must not be said."""

    source: str
    instance: str | None
    url: str
    secrets: tuple[str, ...]


def _account_and_service(patience: float) -> Iterator[Finding]:
    if installed(CLIENT) is None:
        return
    credentials = _credentials()
    if credentials is None:
        yield Finding(
            "account",
            "none; it is needed for runs on real machines only",
            "set QISKIT_IBM_TOKEN and QISKIT_IBM_INSTANCE, or save one: QiskitRuntimeService.save_account(token=..., "
            "instance=...)",
        )
        return
    yield Finding("account", credentials.source)
    if credentials.instance is None:
        yield Finding("instance", "not chosen: the client would take any, a paid one too", "set QISKIT_IBM_INSTANCE")
    elif credentials.instance.startswith("crn:") and credentials.instance.count(":") < 9:
        advice = "copy it again from the website; it has ten parts, crn:v1:...::"
        yield Finding("instance", "not a whole CRN", advice, wrong=True)
        return
    try:
        with _quiet():
            service = within(patience, _connect)
    except Exception as error:
        yield _refused(error, credentials)
        return
    yield Finding("service", f"reached at {credentials.url}")
    for ask in (_instance, _usage, _machines):
        try:
            with _quiet():
                found = within(patience, lambda ask=ask: list(ask(service)))
        except Exception as error:
            topic = ask.__name__.removeprefix("_")
            yield Finding(topic, f"not told: {describe(error, credentials.secrets)}", wrong=True)
        else:
            yield from found


def _credentials() -> _Credentials | None:
    """From the environment or the saved account, as the client would find them."""
    token = os.environ.get("QISKIT_IBM_TOKEN")
    instance, url = os.environ.get("QISKIT_IBM_INSTANCE"), os.environ.get("QISKIT_IBM_URL")
    if token:
        return _Credentials("token from QISKIT_IBM_TOKEN", instance, _host(url), (token,))
    from qiskit_ibm_runtime import QiskitRuntimeService

    try:
        with _quiet():
            saved: dict[str, Any] = QiskitRuntimeService.saved_accounts()
    except Exception:  # a file that cannot be read: the client will say so when it connects
        saved = {}
    if not saved:
        return None
    chosen = next((one for one in saved.values() if one.get("is_default_account")), next(iter(saved.values())))
    secrets = tuple(str(one["token"]) for one in saved.values() if one.get("token"))
    source = f"saved account, one of {len(saved)}" if len(saved) > 1 else "saved account"
    return _Credentials(source, instance or chosen.get("instance"), _host(url or chosen.get("url")), secrets)


def _host(url: str | None) -> str:
    host = urlparse(url).hostname if url else None
    here = host in ("127.0.0.1", "localhost")
    return f"{host}, a stand-in on this computer" if here else host or "quantum.cloud.ibm.com"


def _connect() -> Any:
    from qiskit_ibm_runtime import QiskitRuntimeService

    return QiskitRuntimeService()


def _instance(service: Any) -> Iterator[Finding]:
    active = service.active_instance()
    for one in service.instances():
        if one.get("crn") == active:
            yield Finding("instance", f"{one.get('name', 'without a name')}, plan {one.get('plan', 'not told')}")


def _usage(service: Any) -> Iterator[Finding]:
    usage = service.usage()
    left, most = usage.get("usage_remaining_seconds"), usage.get("usage_limit_seconds")
    used = usage.get("usage_consumed_seconds")
    words = [f"{used:g} s used" if used is not None else "", f"{left:g} s left" if left is not None else ""]
    words = [", ".join(filter(None, words)), f"of {most:g} s" if most else ""]
    advice = "the allowance is used up: wait for the next period" if left is not None and left <= 0 else ""
    yield Finding("usage", " ".join(filter(None, words)) or "not told", advice)


def _machines(service: Any) -> Iterator[Finding]:
    backends = service.backends()
    if not backends:
        advice = "look at its settings on the website, and whether the token may use it"
        yield Finding("machines", "none in reach of this instance", advice, wrong=True)
    for backend in backends:
        status = backend.status()
        state = f"{status.pending_jobs} jobs waiting" if status.operational else "not operational"
        yield Finding(backend.name, f"{backend.num_qubits} qubits, {state}")


def _refused(error: Exception, credentials: _Credentials) -> Finding:
    advice = {
        "IBMNotAuthorizedError": "the token is wrong or was revoked: make a new one on the website",
        "Trouble": "look at the network, or at HTTPS_PROXY",
    }.get(type(error).__name__, "look at the network, the token and the instance; all that needs no machine works")
    return Finding("service", f"not reached: {describe(error, credentials.secrets)}", advice, wrong=True)


# --- others' words --------------------------------------------------------------------------------------------------


def describe(error: BaseException, secrets: tuple[str, ...] = ()) -> str:
    """What an exception is and says, in one short line with every secret blacked out."""
    text = " ".join(str(error).split())
    for secret in secrets:
        text = text.replace(secret, "***")
    text = _SECRET.sub("***", text)
    return f"{type(error).__name__}: {text[:200]}{'...' * (len(text) > 200)}" if text else type(error).__name__


@contextmanager
def _quiet() -> Generator[None, None, None]:
    """Without what the client logs and warns of: it may hold what is secret."""
    logger = logging.getLogger("qiskit_ibm_runtime")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
