"""What a run folder tells, in numbers and pictures."""

from __future__ import annotations

import io
import json
import math
import os
import warnings
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from qeqprop.assembly import rebuild
from qeqprop.interfaces import AnyNetwork, Dataset, Network, PhysicsWarning, Solver
from qeqprop.ledger import read_run, write_file

_CHAIN_ROWS = 4
"""Inputs whose chains are drawn."""


def summary(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """The state of a run.

    Returns:
        ``name``; ``steps`` done and ``steps_wanted``; ``finished``; ``parts`` (family -> name); ``first_loss`` and
        ``best_loss``; ``loss``, ``shots`` and all metrics of the last step; ``jobs`` of a device, and
        ``canary_ideal`` and ``canary_value`` of a noisy one, ``machine_seconds`` of one that is paid for;
        for a classification ``logistic_regression``, see `logistic_accuracy`; ``versions`` at the beginning.

    Raises:
        LedgerError: if this is not a run folder.
    """
    folder = Path(folder)
    with read_run(folder) as ledger:
        resolved, versions, history = json.loads(ledger.resolved), ledger.versions, ledger.history()
        jobs = ledger.jobs.summary()
        source = Path(ledger.source)
    steps, wanted = len(history["step"]), int(resolved["train"]["steps"])
    result: dict[str, Any] = {
        "name": folder.resolve().name,
        "steps": steps,
        "steps_wanted": wanted,
        "finished": steps == wanted,
        "parts": {name: table["use"] for name, table in resolved.items() if isinstance(table, dict) and "use" in table},
    }
    if steps:
        result |= {"first_loss": history["loss"][0], "best_loss": float(np.nanmin([*history["loss"], math.inf]))}
        result |= {name: _latest(column) for name, column in history.items() if name != "step"}
    result |= jobs
    data: Dataset | None = rebuild("data", resolved, source.parent)
    logistic = None if data is None else logistic_accuracy(data)
    if logistic is not None:
        result["logistic_regression"] = logistic
    return result | {"versions": versions}


def logistic_accuracy(data: Dataset) -> float | None:
    """The test accuracy of scikit-learn's logistic regression on the same features, which a network is held to.

    Returns:
        None where there is nothing to compare: the task is not a classification, or has no test samples, no features,
        no labels, or one class only to learn from.
    """
    if not data.classes or not len(data.test.x) or not data.train.x.shape[1] or not data.train.y.shape[1]:
        return None
    train, test = (
        [int(row.argmax()) if len(row) > 1 else int(row[0] > 0) for row in y] for y in (data.train.y, data.test.y)
    )
    if len(set(train)) < 2:
        return None
    from sklearn.linear_model import LogisticRegression

    return float(LogisticRegression(max_iter=5000).fit(data.train.x, train).score(data.test.x, test))


def pictures(folder: str | os.PathLike[str]) -> list[Path]:
    """Draws ``loss.png``, ``network.png`` and, where chains were sampled, ``chains.png`` into the run folder.

    The last two only if the parts of the run can still be imported. The chains are those of some training inputs, run
    anew at the last parameters.

    Raises:
        LedgerError: if this is not a run folder.
    """
    from qeqprop import plots

    folder = Path(folder)
    with read_run(folder) as ledger:
        history, last = ledger.history(), ledger.last()
        resolved, source = json.loads(ledger.resolved), Path(ledger.source)
    if last is None:
        return []
    drawn = [_save(folder / "loss.png", lambda: plots.learning_curves(history))]
    network: AnyNetwork | None = rebuild("network", resolved, source.parent)
    if isinstance(network, Network) and network.n_trainable == len(last.theta):
        drawn.append(_save(folder / "network.png", lambda: plots.network(network, last.theta)))
    solver: Solver | None = rebuild("solver", resolved, source.parent)
    data: Dataset | None = rebuild("data", resolved, source.parent)
    settings = {entry.name for entry in fields(solver)} if is_dataclass(solver) else set[str]()
    if network is not None and solver is not None and data is not None and {"chains", "samples"} <= settings:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PhysicsWarning)  # the picture says R-hat
            x = data.train.x[:_CHAIN_ROWS]
            figure = plots.autocorrelation(network, last.theta, x, solvers=solver)
        drawn.append(_save(folder / "chains.png", lambda: figure))
    return drawn


def _latest(column: list[float]) -> float:
    """The last number that was taken: a test is not taken at every step."""
    return next((value for value in reversed(column) if not math.isnan(value)), math.nan)


def _save(path: Path, draw: Callable[[], Any]) -> Path:
    content = io.BytesIO()
    draw().savefig(content, format="png", dpi=150, bbox_inches="tight")
    write_file(path, content.getvalue())
    return path
