"""The service on this computer: a small HTTP server that IBM's own client talks to, unmodified.

`Rehearsal` listens on 127.0.0.1 only and is found through environment variables alone::

    with Rehearsal() as rehearsal:
        os.environ |= rehearsal.environment()
        service = QiskitRuntimeService()

What it offers and what it leaves out is said in the package's own text.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qeqprop.rehearsal.account import PlanName, instance_of
from qeqprop.rehearsal.faults import Action, Fault, Faults
from qeqprop.rehearsal.job import Fate, Job
from qeqprop.rehearsal.jobs import JobBook
from qeqprop.rehearsal.machines import Machine, machine
from qeqprop.rehearsal.messages import Reply, Request
from qeqprop.rehearsal.routes import CATALOG, ROOT, answer
from qeqprop.rehearsal.service import Service
from qeqprop.rehearsal.wire import listen

API_KEY = "rehearsal-api-key"
"""Known to everybody: nothing can be bought with it."""

_PAGE = "<html><body><h1>The service is being maintained.</h1></body></html>"


@dataclass(frozen=True)
class Entry:
    """One request in the log; no header and no body is kept.

    Attributes:
        time: seconds since 1970.
        method: of the request.
        path: with its query.
        code: of the answer; 0 if there was none.
        fault: the action of the fault that befell it, if any.
    """

    time: float
    method: str
    path: str
    code: int
    fault: str | None = None


class Rehearsal:
    """The stand-in of the service.

    Args:
        machines: on offer: snapshots (``kingston``) or calibrations (``kingston_8.toml``), or `Machine` themselves.
        plan: ``open``, ``payg``, ``flex`` or ``premium``.
        port: 0 for any that is free.
        folder: where jobs and sessions are kept, so that they outlive the process; None for nowhere.
        api_key: the only one that is let in.
        instance: the only instance: a cloud resource name, or a name; the plan's own by default.
        queue_seconds: how long a job waits at least.
        run_seconds: how long it runs at least.
        token_seconds: how long an access token is good for; the client asks for another ten seconds before its end.
        tag_lag: seconds for which a new job is not found by its tags.
        drift_every: a machine has a new calibration after so many of its jobs; None for never.
        posts_per_minute: how many jobs may be posted in a minute; None for any number.
        allowance: seconds on a machine, in place of the plan's own.
    """

    def __init__(
        self,
        machines: tuple[str | Machine, ...] = ("kingston_8.toml",),
        *,
        plan: PlanName = "open",
        port: int = 0,
        folder: Path | None = None,
        api_key: str = API_KEY,
        instance: str | None = None,
        queue_seconds: float = 0.0,
        run_seconds: float = 0.0,
        token_seconds: float = 3600.0,
        tag_lag: float = 0.0,
        drift_every: int | None = None,
        posts_per_minute: int | None = None,
        allowance: float | None = None,
    ) -> None:
        offered = [machine(each) if isinstance(each, str) else each for each in machines]
        by_name = {each.name: each for each in offered}
        self.book = JobBook(
            by_name.__getitem__,
            folder,
            queue_seconds=queue_seconds,
            run_seconds=run_seconds,
            drift_every=drift_every,
        )
        self.service = Service(
            by_name,
            self.book,
            plan,
            api_key,
            instance_of(plan, instance),
            token_seconds,
            tag_lag=tag_lag,
            posts_per_minute=posts_per_minute,
            allowance=allowance,
            folder=folder,
        )
        self.log: list[Entry] = []
        self.faults = Faults()
        self._api_key, self._folder = api_key, folder
        self._stopped = threading.Event()
        self._listener = listen(port, self._exchange)
        self.port: int = self._listener.server_address[1]
        self._wait_for_return: threading.Timer | None = None

    # --- life -----------------------------------------------------------------------------------------------------

    def __enter__(self) -> Rehearsal:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends the server and its threads."""
        self._stopped.set()
        if self._wait_for_return is not None:
            self._wait_for_return.cancel()
            self._wait_for_return.join()
        self._hang_up()
        self.book.stop()

    def away(self, seconds: float) -> None:
        """Refuses connections for a while; jobs go on."""
        self._hang_up()
        self._wait_for_return = threading.Timer(seconds, self._return)
        self._wait_for_return.start()

    # --- what a client needs to know --------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def instance(self) -> str:
        """The cloud resource name of the only instance."""
        return self.service.instance.crn

    def environment(self) -> dict[str, str]:
        """The variables by which the client finds it; keep everything else of the environment as it is."""
        return {
            "QISKIT_IBM_CHANNEL": "ibm_quantum_platform",
            "QISKIT_IBM_TOKEN": self._api_key,
            "QISKIT_IBM_INSTANCE": self.instance,
            "QISKIT_IBM_URL": f"{self.url}{ROOT}",
            "IAM_URL": self.url,
            "GLOBAL_SEARCH_URL": self.url,
            "GLOBAL_CATALOG_URL": f"{self.url}{CATALOG}",
            "USAGE_DATA_OPT_OUT": "True",
            "NO_PROXY": ",".join(filter(None, [os.environ.get("NO_PROXY"), "127.0.0.1"])),
        }

    @contextmanager
    def connected(self) -> Generator[None, None, None]:
        """This process finds the stand-in, and nothing else, while the block lasts.

        Raises:
            RuntimeError: if the client would still go elsewhere.
        """
        before = {name: os.environ.get(name) for name in self.environment()}
        os.environ.update(self.environment())
        try:
            _check_address(self.url)
            yield
        finally:
            for name, value in before.items():
                os.environ.pop(name, None) if value is None else os.environ.update({name: value})

    # --- trouble ----------------------------------------------------------------------------------------------------

    def fault(self, method: str, path: str, action: Action, **details: Any) -> None:
        """Something goes wrong with a request to come; see `faults.Fault` for the details."""
        self.faults.add(Fault(method, path, action, **details))

    def next_job(self, fate: Fate, reason: str = "As was asked for.") -> None:
        """The next job that is posted ends so: ``failed``, ``cancelled``, ``too_long``."""
        self.book.next_ends(fate, reason)

    def close_session(self, session_id: str) -> None:
        """Closes a session from the server's side; its jobs are cancelled."""
        session = self.service.sessions.find(session_id)
        if session is None:
            raise ValueError(f"Argument `session_id` must be that of a session, but is {session_id!r}.")
        for job in self.service.sessions.close(session):
            self.book.cancel(job)

    @property
    def jobs(self) -> list[Job]:
        """All jobs, oldest first."""
        return self.book.all()

    @property
    def consumed(self) -> float:
        """Seconds on a machine that were billed."""
        return self.service.consumed

    # --- requests ---------------------------------------------------------------------------------------------------

    def _exchange(self, request: Request, target: str) -> tuple[Reply | None, bool]:
        fault = self.faults.befalling(request.method, request.path)
        reply = self._reply(request, fault)
        self._note(Entry(time.time(), request.method, target, reply.code if reply else 0, fault and fault.action))
        return reply, fault is not None and fault.action == "truncate"

    def _reply(self, request: Request, fault: Fault | None) -> Reply | None:
        """The reply, None for a connection that is closed without one."""
        if fault is None or fault.action == "truncate":
            return answer(self.service, request)
        if fault.action == "drop_before":
            return None
        if fault.action == "status":
            if fault.takes_effect:
                answer(self.service, request)
            headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
            errors = [{"code": fault.code, "message": "A fault that was asked for."}]
            return Reply(fault.code, json.dumps({"errors": errors, "trace": "rehearsal"}), headers=headers)
        reply = answer(self.service, request)
        if fault.action in ("hang", "wait"):
            self._stopped.wait(fault.seconds)
        if fault.action == "wait":
            return reply
        return Reply(200, _PAGE, "text/html") if fault.action == "html" else None

    def _note(self, entry: Entry) -> None:
        self.log.append(entry)
        if self._folder is not None:
            with (self._folder / "requests.log").open("a", encoding="utf-8") as stream:
                stream.write(f"{entry.time:.3f} {entry.method} {entry.path} {entry.code} {entry.fault or ''}\n")

    def _hang_up(self) -> None:
        self._listener.shutdown()
        self._listener.server_close()

    def _return(self) -> None:
        if not self._stopped.is_set():
            self._listener = listen(self.port, self._exchange)


def _check_address(url: str) -> None:
    from qiskit_ibm_runtime import QiskitRuntimeService

    found = str(QiskitRuntimeService()._active_api_client._session.base_url)  # pyright: ignore[reportPrivateUsage]
    if not found.startswith(url):
        raise RuntimeError(f"The client would go to {found}, not to {url}: nothing was sent.")
