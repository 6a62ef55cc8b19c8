"""The memory of a run: one SQLite file that every step is written to before anybody hears of it.

A run that was killed at any moment goes on from its last committed step. What the next step depends on (the
parameters, the arrays of the optimiser, the step number, from which all random streams follow) is stored bit by bit, so
the continued run is the undisturbed one.

What a device is asked within a step is written down too, each job before it is asked and each answer before it is used
(`Recorded`), so that no job that was answered is paid for twice.

The file is an ordinary database: `sqlite3 runs/NAME/ledger.sqlite "SELECT step, loss FROM steps"`. Arrays are the bytes
of .npy files; nothing is ever pickled.
"""

from __future__ import annotations

import io
import json
import math
import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from qeqprop.job_table import JOBS, JobTable, migrate_jobs, transaction

if TYPE_CHECKING:
    from collections.abc import Generator

SCHEMA_VERSION = 3
APPLICATION_ID = 0x71657170  # "qeqp": tells this file from other people's databases
FILE_NAME = "ledger.sqlite"
LOCK_NAME = "lock"

_TABLES = (
    "CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE steps (step INTEGER PRIMARY KEY, theta BLOB NOT NULL, loss REAL, metrics TEXT NOT NULL,"
    " shots INTEGER NOT NULL)",
    "CREATE TABLE optimizer_arrays (step INTEGER NOT NULL REFERENCES steps, name TEXT NOT NULL, array BLOB NOT NULL,"
    " PRIMARY KEY (step, name))",
    JOBS,
)


class LedgerError(RuntimeError):
    """A ledger cannot be used: it belongs to another run, is in use, is damaged or is of another version."""


@dataclass(frozen=True, eq=False)
class Step:
    """What is remembered of one step.

    Attributes:
        step: its number; the first is 1.
        theta: (n_trainable,) the parameters after the step.
        optimizer_state: the arrays of the optimiser after the step.
        loss: the loss before the update.
        metrics: further numbers, such as ``accuracy`` or ``gap``.
        shots: projective measurements spent since the beginning of the run.
    """

    step: int
    theta: NDArray[np.float64]
    optimizer_state: Mapping[str, NDArray[Any]]
    loss: float
    metrics: Mapping[str, float]
    shots: int


class Ledger:
    """The ledger of one run folder; open it with `open_run` to write or with `read_run` to read."""

    def __init__(self, connection: sqlite3.Connection, folder: Path) -> None:
        self._connection = connection
        self.folder = folder
        self.jobs = JobTable(connection)

    @property
    def resolved(self) -> str:
        """The resolved run file, as canonical JSON."""
        return self._fact("resolved")

    @property
    def versions(self) -> dict[str, str]:
        """What the run was begun with: names of programs and their versions."""
        return json.loads(self._fact("versions"))

    @property
    def source(self) -> str:
        """Where the run file was when the run was begun."""
        return self._fact("source")

    def append(self, step: Step) -> None:
        """Commits one step; when this returns, the step survives a power cut.

        Raises:
            LedgerError: if the step does not follow the last one.
        """
        last = self._last_number()
        if step.step != last + 1:
            raise LedgerError(f"{self.folder}: step {step.step} cannot follow step {last}.")
        metrics = json.dumps({name: float(value) for name, value in step.metrics.items()}, sort_keys=True)
        row = (step.step, _to_bytes(step.theta), float(step.loss), metrics, int(step.shots))
        arrays = [(step.step, name, _to_bytes(array)) for name, array in step.optimizer_state.items()]
        with transaction(self._connection):
            self._connection.execute("INSERT INTO steps VALUES (?, ?, ?, ?, ?)", row)
            self._connection.executemany("INSERT INTO optimizer_arrays VALUES (?, ?, ?)", arrays)
            self.jobs.forget_answers(step.step)

    def last(self) -> Step | None:
        """The last committed step, or None if there is none yet."""
        row = self._connection.execute(
            "SELECT step, theta, loss, metrics, shots FROM steps ORDER BY step DESC LIMIT 1"
        ).fetchone()
        if row is None:
            return None
        number, theta, loss, metrics, shots = row
        arrays = self._connection.execute("SELECT name, array FROM optimizer_arrays WHERE step = ?", (number,))
        state = {name: _from_bytes(array) for name, array in arrays}
        return Step(number, _from_bytes(theta), state, _number(loss), json.loads(metrics), shots)

    def history(self) -> dict[str, list[float]]:
        """Columns of equal length: ``step``, ``loss``, ``shots`` and every metric, nan where it was not taken."""
        rows = self._connection.execute("SELECT step, loss, shots, metrics FROM steps ORDER BY step").fetchall()
        metrics: list[dict[str, float]] = [json.loads(row[3]) for row in rows]
        columns: dict[str, list[float]] = {
            "step": [row[0] for row in rows],
            "loss": [_number(row[1]) for row in rows],
            "shots": [row[2] for row in rows],
        }
        for name in sorted({name for taken in metrics for name in taken}):
            columns[name] = [taken.get(name, math.nan) for taken in metrics]
        return columns

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *reason: object) -> None:
        self.close()

    def _fact(self, name: str) -> str:
        row = self._connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise LedgerError(f"{self.folder / FILE_NAME}: damaged, it does not say its {name!r}.")
        return row[0]

    def _last_number(self) -> int:
        return self._connection.execute("SELECT coalesce(max(step), 0) FROM steps").fetchone()[0]


@contextmanager
def open_run(
    folder: str | os.PathLike[str], *, resolved: str, versions: Mapping[str, str], source: str = ""
) -> Generator[Ledger, None, None]:
    """The ledger of a run folder, made if it is not there, for this process alone.

    Args:
        folder: the run folder, made if it is not there.
        resolved: the resolved run file, as canonical JSON.
        versions: what the run is begun with; an old ledger keeps its own.
        source: where the run file is.

    Raises:
        LedgerError: if another process works on the folder, the folder belongs to another run file, or the file is not
            a ledger of this version.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with _lock(folder), closing(_connect(folder, create=True)) as connection:
        if _is_empty(connection):
            with transaction(connection):
                for table in _TABLES:
                    connection.execute(table)
                facts = {"resolved": resolved, "versions": json.dumps(dict(versions), sort_keys=True), "source": source}
                connection.executemany("INSERT INTO facts VALUES (?, ?)", facts.items())
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        _migrate(connection)
        _check_version(connection, folder)
        ledger = Ledger(connection, folder)
        if ledger.resolved != resolved:
            raise LedgerError(f"{folder}: belongs to another run file; its ledger holds other settings than this one.")
        yield ledger


@contextmanager
def read_run(folder: str | os.PathLike[str]) -> Generator[Ledger, None, None]:
    """The ledger of a run folder for reading, also while a run is going on.

    Raises:
        LedgerError: if the folder is not a run folder, or its ledger not one of this version.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise LedgerError(f"{folder}: {'not a folder' if folder.exists() else 'no such folder'}.")
    if not (folder / FILE_NAME).is_file():
        raise LedgerError(f"{folder}: not a run folder, it has no {FILE_NAME}.")
    with closing(_connect(folder, create=False)) as connection:
        if _is_empty(connection):
            raise LedgerError(f"{folder}: the run has not begun yet, its ledger is empty.")
        _migrate(connection)
        _check_version(connection, folder)
        yield Ledger(connection, folder)


def write_file(path: Path, content: bytes) -> None:
    """Writes a file so that a reader finds the old content or the new one, whatever happens in between."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _lock(folder: Path) -> Generator[None, None, None]:
    # SQLite's own lock, on a file of its own: it dies with the process, is not inherited by children, exists on every
    # system, and leaves the ledger readable.
    with closing(sqlite3.connect(folder / LOCK_NAME, timeout=0.0, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            busy = error.sqlite_errorcode == sqlite3.SQLITE_BUSY
            wrong = f"{folder / LOCK_NAME}: cannot be locked ({error})."
            another = f"{folder}: another process is working on this run; wait for it, or stop it."
            raise LedgerError(another if busy else wrong) from None
        yield


def _connect(folder: Path, *, create: bool) -> sqlite3.Connection:
    # mode=rw, not ro: the reader must be able to roll back the unfinished transaction of a killed writer.
    address = f"{(folder / FILE_NAME).resolve().as_uri()}?mode={'rwc' if create else 'rw'}"
    try:
        connection = sqlite3.connect(address, uri=True, timeout=30.0, isolation_level=None)
    except sqlite3.Error as error:
        raise LedgerError(f"{folder / FILE_NAME}: cannot be opened ({error}).") from None
    try:
        connection.execute("PRAGMA synchronous = FULL")
    except sqlite3.Error as error:
        connection.close()
        raise LedgerError(f"{folder / FILE_NAME}: not a ledger ({error}).") from None
    return connection


def _is_empty(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0


def _migrate(connection: sqlite3.Connection) -> None:
    """Ledgers of versions 1 and 2 differ in their table of jobs, and in nothing else."""
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application == APPLICATION_ID and version in (1, 2):
        with transaction(connection):
            migrate_jobs(connection, version)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _check_version(connection: sqlite3.Connection, folder: Path) -> None:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application != APPLICATION_ID:
        raise LedgerError(f"{folder / FILE_NAME}: not a ledger, but another kind of database.")
    if version != SCHEMA_VERSION:
        raise LedgerError(
            f"{folder / FILE_NAME}: has schema version {version}, but this qeqprop reads and writes {SCHEMA_VERSION}."
        )


def _to_bytes(array: NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.asarray(array), allow_pickle=False)
    return stream.getvalue()


def _from_bytes(content: bytes) -> NDArray[Any]:
    return np.load(io.BytesIO(content), allow_pickle=False)


def _number(value: float | None) -> float:
    return math.nan if value is None else value  # SQLite stores nan as NULL
