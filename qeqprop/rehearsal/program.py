"""What a job has to do, and what it costs before anything runs.

A program is read into items, each a circuit at many points. The bill of a job is ``overhead + sum_items executions
(rep_delay + duration)`` in seconds on the machine, where duration is that of one execution with every gate as early as
it can be. The service publishes no formula; this one is a floor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from qiskit.circuit import QuantumCircuit

from qeqprop.interfaces import FloatArray
from qeqprop.rehearsal.machines import Machine
from qeqprop.rehearsal.simulation import RefusedProgram, duration, points, sample

OVERHEAD = 2.0
"""Seconds on the machine that every job is billed beside its executions."""

MAX_EXECUTIONS = 10_000_000
"""Of one job."""

Arrays = dict[str, np.ndarray[Any, Any]]


@dataclass(frozen=True, eq=False)
class Item:
    """One circuit at many points.

    Attributes:
        circuit: with measurements.
        shape: of the array of points.
        shots: of each point.
        draw: makes the parameter values (points, n_parameters) and what is answered beside the bits; it may be random.
    """

    circuit: QuantumCircuit
    shape: tuple[int, ...]
    shots: int
    draw: Callable[[np.random.Generator], tuple[FloatArray, Arrays]]

    @property
    def executions(self) -> int:
        return points(self.shape) * self.shots


@dataclass(frozen=True, eq=False)
class Program:
    """What a job has to do.

    Attributes:
        items: in their order.
        rep_delay: seconds between executions; None for the machine's own.
        answer: makes the text of the result from the bits (.., shots, size) of every item's registers.
    """

    items: Sequence[Item]
    rep_delay: float | None
    answer: Callable[[list[Arrays]], str]

    @property
    def executions(self) -> int:
        return sum(item.executions for item in self.items)

    def seconds(self, machine: Machine) -> float:
        """What it will be billed."""
        delay = machine.rep_delay if self.rep_delay is None else self.rep_delay
        lasts = sum(item.executions * (delay + duration(machine, item.circuit)) for item in self.items)
        return round(OVERHEAD + lasts, 6)

    def run(self, machine: Machine, generation: int, entropy: Sequence[int]) -> str:
        """The text of the result: a function of the machine's calibration and the entropy.

        Raises:
            RefusedProgram: if the machine cannot run it.
        """
        if self.executions > MAX_EXECUTIONS:
            raise RefusedProgram(f"A job has at most {MAX_EXECUTIONS} executions, but this one {self.executions}.")
        read: list[Arrays] = []
        for position, item in enumerate(self.items):
            drawing, sampling = np.random.SeedSequence(list(entropy), spawn_key=(position,)).spawn(2)
            values, beside = item.draw(np.random.default_rng(drawing))
            bits = sample(machine, item.circuit, values, item.shots, sampling, generation=generation)
            shaped: Arrays = {name: each.reshape(*item.shape, *each.shape[1:]) for name, each in bits.items()}
            read.append(beside | shaped)
        return self.answer(read)
