"""What is asked of the client of IBM: its options as tables, what they cost roughly, and what they must not be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from qeqprop.ibm_jobs import PrimitiveName, checked_options
from qeqprop.noise_learning import Method, asks_for_noise, check_learner, learner_options, method_of

REP_DELAY = 250e-6
"""Seconds between executions, where nothing else is asked for: that of the machines in service."""

EXECUTION = 5e-6
"""Seconds that a short circuit lasts, readout included."""

RESERVED = {
    "max_execution_time": "is an argument of its own",
    "environment.max_execution_time": "is an argument of its own, `max_execution_time`",
    "resilience_level": "is an argument of its own",
    "default_shots": "is `shots`",
    "default_precision": "follows from `shots`",
    "environment.job_tags": "is how jobs are found again",
    "environment.private": "lets a result be read once only, and a reply may be lost on its way",
}
"""Options of the client that cannot be given as such."""

ZNE_FACTORS = (1, 3, 5)
"""By which the client amplifies the noise at resilience level 2, each in circuits of its own."""

Decoupling = Literal["none", "XX", "XpXm", "XY4"]


@dataclass(frozen=True)
class ClientOptions:
    """The fields of `IBM` that the client's primitive and noise learner are told; see there.

    Raises:
        ValueError: for what the client does not know, or what no job could do.
    """

    primitive: PrimitiveName
    resilience_level: int
    mitigation: Method
    noise_learning: Mapping[str, Any] | None
    twirling: bool
    dynamical_decoupling: Decoupling
    others: Mapping[str, Any]
    max_execution_time: int

    def __post_init__(self) -> None:
        _check_not_reserved(self.others)
        if self.primitive != "estimator" and asks_for_noise(self.table()):
            raise ValueError(
                f"Argument `primitive` must be 'estimator' where PEC or PEA is asked for, but is '{self.primitive}'."
            )
        checked_options(self.primitive, self.table())
        self._check_mitigation()

    def table(self, tags: Sequence[str] = ()) -> dict[str, Any]:
        """The client's options: those of the fields, and over them those that were given."""
        chosen: dict[str, Any] = {
            "max_execution_time": self.max_execution_time,
            "environment": {"job_tags": list(tags)},
        }
        if self.dynamical_decoupling != "none":
            chosen["dynamical_decoupling"] = {"enable": True, "sequence_type": self.dynamical_decoupling}
        if self.twirling:
            chosen["twirling"] = {"enable_gates": True}
        if self.primitive != "sampler":
            chosen["resilience_level"] = self.resilience_level
        if self.mitigation == "pec":
            chosen["resilience"] = {"pec_mitigation": True}
        elif self.mitigation == "pea":
            chosen["resilience"] = {"zne_mitigation": True, "zne": {"amplifier": "pea"}}
        return merged(chosen, self.others)

    def learner(self, tags: Sequence[str] = ()) -> dict[str, Any]:
        """The options of the client's noise learner: those of the fields, and over them those that were given."""
        own = self.table(tags)
        shared = {name: own[name] for name in ("max_execution_time", "environment", "execution") if name in own}
        return merged(shared, self.noise_learning or {})

    @cached_property
    def method(self) -> Method:
        """What is made of a model of the noise, whether it was asked for by `mitigation` or among `options`."""
        return method_of(self.table()) if self.primitive == "estimator" else "none"

    @property
    def most_overhead(self) -> float:
        """How many times as many shots PEC may take: ``options.resilience.pec.max_overhead``."""
        if self.method != "pec":
            return 1.0
        return float(checked_options(self.primitive, self.table()).resilience.pec.max_overhead)

    @property
    def rough_lesson(self) -> float | None:
        """Nine bases at every depth (van den Berg et al., 2023), each circuit at many randomizations."""
        if self.method == "none":
            return None
        chosen = learner_options(self.learner())
        runs = 9 * len(chosen.layer_pair_depths) * chosen.num_randomizations * chosen.shots_per_randomization
        delay = chosen.execution.rep_delay
        return runs * ((REP_DELAY if delay is None else float(delay)) + EXECUTION)

    @property
    def rough_execution(self) -> float:
        """About how many seconds a shot lasts, with all amplifications of its noise.

        Circuits are taken to be short beside the pause between executions.
        """
        execution: Any = self.others.get("execution", {})
        delay = float(execution.get("rep_delay", REP_DELAY)) + EXECUTION
        folds = len(ZNE_FACTORS) if self.primitive != "sampler" and self.resilience_level == 2 else 1
        if self.method == "pea":
            factors = checked_options(self.primitive, self.table()).resilience.zne.noise_factors
            folds = len(ZNE_FACTORS if factors == "auto" else factors)
        return folds * delay

    def _check_mitigation(self) -> None:
        """Refuses what no job could do, before there is any."""
        if self.method == "none":
            if self.noise_learning:
                raise ValueError("Argument `noise_learning` must be left out where mitigation is neither PEC nor PEA.")
            return
        check_learner()
        learner_options(self.learner())
        if checked_options(self.primitive, self.table()).resilience.pec.max_overhead is None:
            raise ValueError("Argument `options` must bound resilience.pec.max_overhead, so that a job has a price.")


def _check_not_reserved(options: Mapping[str, Any]) -> None:
    for name, reason in RESERVED.items():
        *outer, last = name.split(".")
        table: Any = options
        for word in outer:
            table = table.get(word, {}) if isinstance(table, Mapping) else {}
        if isinstance(table, Mapping) and last in table:
            raise ValueError(f"Argument `options` must not hold {name}, which {reason}.")


def merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Two tables of tables, the second over the first."""
    result = dict(first)
    for name, value in second.items():
        both = isinstance(value, Mapping) and isinstance(result.get(name), Mapping)
        result[name] = merged(result[name], value) if both else value
    return result
