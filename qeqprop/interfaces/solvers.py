"""What a solver is asked, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from qiskit.quantum_info import PauliList

from qeqprop.interfaces.arrays import FloatArray
from qeqprop.interfaces.devices import Measure
from qeqprop.interfaces.operators import PauliSums
from qeqprop.interfaces.states import Certificate, Expectations, Start


@dataclass(frozen=True, eq=False)
class Equilibria:
    """What a network asks of a solver: a batch of equilibria and what to measure in them.

    Attributes:
        hamiltonians: (batch,) operators.
        observables: (n_observables,) operators, the same for the whole batch.
        perturbation: (batch,) operators N: also return ``d<observable>/dnu`` of ``H + nu N`` at ``nu = 0``.
        start: where a nearby solution stopped.
        key: names the random streams of this call, so that a replay repeats them: (seed, step, call).
    """

    hamiltonians: PauliSums
    observables: PauliSums
    perturbation: PauliSums | None = None
    start: Start | None = None
    key: tuple[int, ...] = ()

    def on_common_strings(self) -> Equilibria:
        """The same question with all operators on one list of strings, those of the Hamiltonians first."""
        known, asked = self.hamiltonians.strings, self.observables.strings
        if asked is known or asked.to_labels() == known.to_labels():
            return self
        strings = PauliList(list(dict.fromkeys([*known.to_labels(), *asked.to_labels()])))
        column = {label: index for index, label in enumerate(strings.to_labels())}

        def spread(sums: PauliSums) -> PauliSums:
            coefficients = np.zeros((len(sums), len(strings)), dtype=sums.coefficients.dtype)
            coefficients[:, [column[label] for label in sums.strings.to_labels()]] = sums.coefficients
            return PauliSums(strings, coefficients)

        return replace(
            self,
            hamiltonians=spread(self.hamiltonians),
            observables=spread(self.observables),
            perturbation=None if self.perturbation is None else spread(self.perturbation),
        )


@dataclass(frozen=True, eq=False)
class Solution:
    """What a solver answers.

    Attributes:
        expectations: (batch, n_observables).
        response: (batch, n_observables) ``d<observable>/dnu``, if a perturbation was given.
        energies: (batch,).
        certificate: arrays (batch,).
        start: for the next, nearby call.
        shots: projective measurements spent, zero where nothing was sampled.
        series: (batch, 2, samples, chains) the energy and the perturbation, or the first observable without one, along
            every chain; None where no chain was sampled.
    """

    expectations: Expectations
    response: Expectations | None
    energies: FloatArray
    certificate: Certificate
    start: Start
    shots: int = 0
    series: FloatArray | None = None


class Solver(Protocol):
    """A way to reach equilibrium."""

    def solve(self, problem: Equilibria, measure: Measure | None = None, *, precision: float | None = None) -> Solution:
        """Settles every equilibrium of the batch.

        Args:
            problem: the equilibria, and what to measure there.
            measure: the device that runs the circuits; an exact simulator where none is given. A solver that runs no
                circuits refuses any (`refuse_device`).
            precision: the wanted standard error per Pauli string.
        """
        ...


def refuse_device(solver: str, measure: Measure | None) -> None:
    """What a solver that runs no circuits says to a device."""
    if measure is not None:
        raise ValueError(
            f"Argument `device` must be None with the solver {solver}, which computes its states and runs no circuits, "
            f"but is {measure.device.name}: leave it out, or take a solver that prepares states by circuits, "
            "such as Variational or Adiabatic."
        )
