"""What every command says and how: tables of two columns, and mistakes in one message with an exit code."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

import typer


def print_table(rows: Mapping[str, Any]) -> None:
    """Names and values, the values below each other."""
    width = max(len(name) for name in rows)
    for name, value in rows.items():
        typer.echo(f"{name.replace('_', ' '):<{width}}  {f'{value:.6g}' if isinstance(value, float) else value}")


def fail(message: str, code: int = 2) -> NoReturn:
    """Ends the command: 2 where something is wrong with what was given, 1 where a computation failed."""
    typer.echo(message, err=True)
    raise typer.Exit(code)


@contextmanager
def user_errors() -> Generator[None, None, None]:
    """What the user can put right is said in one message, without a traceback; anything else is a bug and shows one."""
    try:
        yield
    except KeyboardInterrupt:
        fail("Stopped.", 130)
    except BrokenPipeError:
        raise
    except Exception as error:
        import sqlite3

        from qeqprop.interfaces import NotConverged
        from qeqprop.ledger import LedgerError
        from qeqprop.patience import Refused, Trouble, Unreachable
        from qeqprop.recorded import ReplayDiverged
        from qeqprop.runfile import RunFileError
        from qeqprop.submitter import BudgetExceeded, JobFailed

        if isinstance(error, typer.Exit):
            raise
        stopped = (NotConverged, ReplayDiverged, JobFailed, BudgetExceeded, Refused, Trouble, Unreachable)
        if isinstance(error, stopped):
            fail(f"error: {error} Every finished step is saved.", 1)
        if isinstance(error, MemoryError):
            fail(f"error: not enough memory: {error}. Take fewer sites, or a smaller `batch`.", 1)
        if isinstance(error, sqlite3.Error):
            fail(f"error: the ledger cannot be used ({error}). Every finished step is saved.", 1)
        optional = type(error) is ImportError and isinstance(error.__cause__, ImportError)  # says what to install
        if not optional and not isinstance(error, (OSError, ValueError, LedgerError)):
            raise
        fail(str(error) if isinstance(error, RunFileError) else f"error: {error}")
