"""The errors of IBM's client told apart: what they mean for a request, in words without secrets."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from qeqprop.patience import Trouble

TOKEN_VARIABLES = ("QISKIT_IBM_TOKEN", "IAM_APIKEY", "IBM_CLOUD_API_KEY")

_DEFINITE = (400, 402, 403, 404, 405, 409, 410, 413, 415, 422)
"""Codes of answers by which a request has not taken effect."""


def told_apart(error: Exception, what: str, hidden: Callable[[str], str]) -> Exception:
    """What is raised in place of an error: a `Trouble` of some kind, or a `ValueError` where the user has to act.

    Args:
        error: of the client, the network or the service.
        what: was asked for, for messages.
        hidden: strikes secrets out of a text.
    """
    from qiskit_ibm_runtime.accounts.exceptions import AccountNotFoundError, AccountsError
    from qiskit_ibm_runtime.exceptions import IBMInputValueError, IBMNotAuthorizedError

    message = hidden(str(error).strip("'\""))
    chain = list(_chain(error))
    code = next((code for one in chain if (code := _code(one)) is not None), None)
    said = f"{what}: {message}" if what else message or type(error).__name__
    answer: Exception = Trouble("unclear", said, _retry_after(chain))
    if isinstance(error, AccountNotFoundError):
        answer = ValueError(
            "There is no account of IBM's service: set QISKIT_IBM_TOKEN and QISKIT_IBM_INSTANCE, or save one with "
            "QiskitRuntimeService.save_account(token=..., instance=...)."
        )
    elif isinstance(error, (AccountsError, IBMInputValueError)) and _is_refusal(code, chain):
        answer = ValueError(f"IBM's service refuses the account or the instance: {message}")
    elif code == 429:
        answer = Trouble("busy", said, _retry_after(chain))
    elif code == 401 or isinstance(error, IBMNotAuthorizedError):
        answer = Trouble("stale", said)
    elif any(type(one).__name__ in ("NewConnectionError", "ConnectTimeoutError") for one in chain):
        answer = Trouble("busy", "the service cannot be reached")
    elif code in _DEFINITE:
        answer = Trouble("refused", said)
    elif isinstance(error, ValueError) and str(error).startswith(("Argument `", "A machine of IBM")):
        answer = error
    return answer


def without_secrets(text: str, token: str | None) -> str:
    """A text in which the tokens of the environment, this one, and whatever looks like one are struck out."""
    for secret in (*map(os.environ.get, TOKEN_VARIABLES), token):
        if secret:
            text = text.replace(secret, "***")
    return re.sub(r"(?i)\b(bearer|apikey)\s+\S+", r"\1 ***", text)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and all that led to it, those inside of it too."""
    seen: set[int] = set()
    waiting: list[Any] = [error]
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, BaseException) and id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]


def _code(error: BaseException) -> int | None:
    """The status code of an HTTP reply, if the error has one."""
    for name in ("status_code", "code"):
        code = getattr(error, name, None)
        if isinstance(code, int) and 100 <= code < 600:
            return code
    response = getattr(error, "response", None)
    code = getattr(response, "status_code", None)
    return code if isinstance(code, int) else None


def _retry_after(chain: list[BaseException]) -> float | None:
    for error in chain:
        headers = getattr(getattr(error, "response", None), "headers", None) or {}
        if "Retry-After" in headers:
            with suppress(ValueError):  # a date, perhaps
                return float(headers["Retry-After"])
    return None


def _is_refusal(code: int | None, chain: list[BaseException]) -> bool:
    """Whether an account or instance was refused, rather than something on the way failed."""
    words = ("Connection", "Timeout", "JSONDecode", "Encoding", "Protocol", "IncompleteRead")
    on_the_way = any(word in type(error).__name__ for error in chain for word in words)
    return code in (400, 401, 403, 404) if code is not None else not on_the_way
