"""The composition root: the text of a run file becomes objects, or a list of everything that is wrong with it.

Parts are named, their arguments validated, and what each part allows but the parts together do not is found before
anything runs: data that does not fit the network, a batch larger than the data, a loss that does not take the outputs,
a rule that asks for what the solver cannot give.
"""

from __future__ import annotations

import hashlib
import platform
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, cast

from annotated_types import Ge, Gt

from qeqprop.compatibility import misfits, refusals, unheatable
from qeqprop.devices.ibm import CHANGES_NO_NUMBER, IBM
from qeqprop.interfaces import (
    AnyNetwork,
    Dataset,
    Device,
    EnergyNetwork,
    LearningRule,
    Loss,
    Optimizer,
    Penalty,
    Solver,
)
from qeqprop.names import suggestion
from qeqprop.optimizers import Schedule
from qeqprop.parts import Part, build, read_arguments, read_part
from qeqprop.runfile import Problem, RunFile
from qeqprop.snapshots import profile_checksum, profile_text, settings_of
from qeqprop.training import TrainingState, train

SCHEMA = 1
_PARTS: Mapping[str, tuple[type, str | None]] = {
    "loss": (Loss, "mean_squared_error"),
    "network": (EnergyNetwork, None),
    "data": (Dataset, None),
    "solver": (Solver, "exact:Exact"),
    "rule": (LearningRule, "linear_response:LinearResponse"),
    "optimizer": (Optimizer, "adam"),
    "penalty": (Penalty, ""),
    "device": (Device, ""),
}
"""The parts of a run file: what each has to be, and its default (None: must be given, "": may be absent)."""


@dataclass(frozen=True)
class TrainingPlan:
    """The table ``[train]``: number of steps, samples per step (all by default), spread of the random beginning, every
    how many steps the test samples are looked at, and how many seconds on a machine the whole run may cost.

    The budget is no part of what names a run, since it changes no number: a run goes on with a larger one.
    """

    steps: Annotated[int, Ge(1)]
    batch: Annotated[int, Ge(1)] | None = None
    initial_scale: Annotated[float, Ge(0)] = 0.5
    validate_every: Annotated[int, Ge(1)] = 1
    budget_seconds: Annotated[float, Gt(0)] | None = None


@dataclass(frozen=True, eq=False)
class Setup:
    """Everything a run file says, as objects.

    Attributes:
        resolved: the run file with all defaults filled in, as plain values.
        versions: of the programs, and of the user's own modules, that the numbers depend on.
        seed: of all random streams.
        plan: the table ``[train]``.
        temperature: its schedule of the solver's temperature, if it has one.
    """

    resolved: Mapping[str, Any]
    versions: Mapping[str, str]
    seed: int
    network: AnyNetwork
    data: Dataset
    solver: Solver
    rule: LearningRule
    loss: Loss
    optimizer: Optimizer
    penalty: Penalty | None
    device: Device | None
    plan: TrainingPlan
    temperature: Schedule | None = None

    def train(
        self, device: Device | None, *, resume: TrainingState | None = None, shorter: TrainingPlan | None = None
    ) -> Iterator[TrainingState]:
        """The training that the run file describes, perhaps by a ``shorter`` plan; see `training.train`."""
        plan = self.plan if shorter is None else shorter
        return train(
            self.network,
            self.data.train,
            loss=self.loss,
            rule=self.rule,
            solver=self.solver,
            optimizer=self.optimizer,
            penalty=self.penalty,
            device=device,
            steps=plan.steps,
            batch=plan.batch,
            seed=self.seed,
            initial_scale=plan.initial_scale,
            temperature=self.temperature,
            validation=self.data.test if len(self.data.test.x) else None,
            validate_every=plan.validate_every,
            classification=bool(self.data.classes),
            resume=resume,
        )


def assemble(file: RunFile) -> Setup:
    """Builds what a run file names.

    Raises:
        RunFileError: with all mistakes.
    """
    beside = str(file.path.resolve().parent)
    if beside not in sys.path:  # a user's own module stands beside the run file
        sys.path.insert(0, beside)
    problems: list[Problem] = []
    seed = _read_head(file, problems)
    parts = {name: part for name in _PARTS if (part := _read_part(file, name, problems)) is not None}
    plan = _read_plan(file, problems)
    cooling = _read_temperature(file, problems)
    built: dict[str, Any] = {name: build(part, problems) for name, part in parts.items()}
    temperature: Schedule | None = None if cooling is None else build(cooling, problems)
    if plan is not None:
        problems += misfits(built.get("network"), built.get("data"), built.get("loss"), plan.batch)
    built = {"penalty": None, "device": None} | built
    if not problems and plan is not None:
        problems += refusals(built, plan.batch)
        if temperature is not None:
            problems += unheatable(built["solver"], temperature, plan.steps)
    if problems or plan is None:
        raise file.error(problems)
    resolved: dict[str, Any] = {"schema": SCHEMA, "seed": seed}
    resolved |= {name: part.resolved() for name, part in parts.items()}
    if "device" in resolved:
        resolved["device"] = _checksums(resolved["device"])
    if isinstance(built["device"], IBM):
        for name in CHANGES_NO_NUMBER:
            resolved["device"].pop(name, None)
    resolved["train"] = {
        name: value for name, value in vars(plan).items() if value is not None and name != "budget_seconds"
    }
    if cooling is not None:
        resolved["train"]["temperature"] = cooling.resolved()
    versions = _versions(parts.values())
    if built["device"] is not None:
        client = "qiskit-ibm-runtime" if isinstance(built["device"], IBM) else "qiskit-aer"
        versions[client] = metadata.version(client)
    return Setup(resolved=resolved, versions=versions, seed=seed, plan=plan, temperature=temperature, **built)


def rebuild(name: str, resolved: Mapping[str, Any], beside: Path) -> Any:
    """One part of a resolved run file, or None if it cannot be built any more (a user's module is gone)."""
    if str(beside) not in sys.path:
        sys.path.insert(0, str(beside))
    problems: list[Problem] = []
    part = read_part((name,), resolved[name], _PARTS[name][0], problems)
    return None if part is None else build(part, problems)


def _read_head(file: RunFile, problems: list[Problem]) -> int:
    known = ["schema", "seed", *_PARTS, "train"]
    for key in file.tree:
        if key not in known:
            problems.append(Problem((key,), f"unknown key{suggestion(key, known)}"))
    schema: Any = file.tree.get("schema")
    if "schema" not in file.tree:
        problems.append(Problem(("schema",), f"missing key (write `schema = {SCHEMA}` at the top)"))
    elif type(schema) is not int or schema != SCHEMA:
        problems.append(Problem(("schema",), f"must be {SCHEMA}, but is {schema!r}"))
    seed = file.tree.get("seed", 0)
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**63:
        problems.append(Problem(("seed",), f"must be a whole number from 0 to 2**63 - 1, but is {seed!r}"))
        return 0
    return seed


def _read_part(file: RunFile, name: str, problems: list[Problem]) -> Part | None:
    kind, default = _PARTS[name]
    if name not in file.tree:
        if default is None:
            problems.append(Problem((name,), "missing table"))
        return read_part((name,), default, kind, problems) if default else None
    table = file.tree[name]
    if name == "device" and isinstance(table, dict) and "profile" in table:
        table = _of_profile(cast(dict[str, Any], table))
    if isinstance(table, dict) and "use" not in table and default:
        table = {"use": default, **cast(dict[str, Any], table)}
    return read_part((name,), table, kind, problems)


def _of_profile(table: dict[str, Any]) -> dict[str, Any]:
    """A table that names a profile: a noisy simulator, or the device that the profile holds the settings of."""
    if "use" not in table and isinstance(table["profile"], str):
        try:
            settings = settings_of(profile_text(table["profile"]))
        except ValueError:  # the device says what is wrong with the name
            settings = None
        if settings is not None:
            return settings | {key: value for key, value in table.items() if key != "profile"}
    return {"use": "profile:Profile", **table}


def _read_plan(file: RunFile, problems: list[Problem]) -> TrainingPlan | None:
    table = file.tree.get("train")
    if not isinstance(table, dict):
        wrong = "missing table (it must say `steps`)" if table is None else f"must be a table, but is {table!r}"
        problems.append(Problem(("train",), wrong))
        return None
    before = len(problems)
    table = {name: value for name, value in cast(dict[str, Any], table).items() if name != "temperature"}
    arguments = read_arguments(("train",), table, TrainingPlan, problems)
    return TrainingPlan(**arguments) if len(problems) == before else None


def _read_temperature(file: RunFile, problems: list[Problem]) -> Part | None:
    """The schedule ``[train] temperature``, which the solver's temperature follows."""
    table: Any = file.tree.get("train")
    if not isinstance(table, dict) or "temperature" not in table:
        return None
    value = cast(dict[str, Any], table)["temperature"]
    return read_part(("train", "temperature"), value, None, problems, "qeqprop.optimizers")


def _checksums(table: Any) -> Any:
    """A resolved table with the checksum of every hardware profile it names: another calibration is another run."""
    if isinstance(table, list):
        return [_checksums(item) for item in cast(list[Any], table)]
    if not isinstance(table, dict):
        return table
    entries = {key: _checksums(value) for key, value in cast(dict[str, Any], table).items()}
    if isinstance(entries.get("profile"), str):
        entries["checksum"] = profile_checksum(entries["profile"])
    return entries


def _versions(parts: Iterable[Part]) -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for name in ("qeqprop", "numpy", "scipy", "numba", "qiskit"):
        versions[name] = metadata.version(name)
    for module in sorted(set[str]().union(*(part.modules() for part in parts))):
        file = getattr(sys.modules.get(module), "__file__", None)
        if file is not None:
            versions[module] = "sha256:" + hashlib.sha256(Path(file).read_bytes()).hexdigest()[:16]
    return versions
