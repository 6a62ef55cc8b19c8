"""The linear response of a Gibbs state as an equal-time covariance, where that is exact."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from qiskit.quantum_info import PauliList

from qeqprop.interfaces import BoolArray, Equilibria, Expectations, FloatArray, Measure, PauliSums, Solution
from qeqprop.pauli_products import products
from qeqprop.solvers._thermal import ThermalSolver, check_warm
from qeqprop.solvers.exact import Exact

_COMMUTES = 1e-12
"""A commutator below this part of the product of both sizes is rounding."""


@dataclass(frozen=True)
class EqualTime:
    """Answers a response by fluctuations: ``d<A>/dnu = -(1/T) [<{A, N}>/2 - <A><N>]``, with no nudge at all.

    The response of a Gibbs state is the Kubo-Mori correlator ``-(1/T)[(A;N) - <A><N>]``. A transition between levels
    ``E_m`` and ``E_n`` weighs ``x coth x`` times as much in the equal-time covariance as it does there, with
    ``x = (E_m - E_n)/2T``. So the covariance is exact where no transition counts: where A or N commutes with H. That
    holds in every diagonal (classical) network, and for conserved outputs; elsewhere the answer is refused.

    A product of Pauli strings is a Pauli string, so the covariance is measured where the state is measured. Means and
    products come from jobs of their own: ``(A - a)(N - n)`` with a and n measured apart is unbiased, and its standard
    error is that of the last job, up to the product of the errors of a and n.

    Attributes:
        solver: whose Gibbs states fluctuate.

    Raises:
        ValueError: for a solver at zero temperature, a complex nudge, or where A and N do not commute with H.

    Source: Kubo, J. Phys. Soc. Jpn. 12, 570 (1957); Massar & Mognetti, arXiv:2405.08467 (2024).
    """

    solver: ThermalSolver = field(default_factory=lambda: Exact(temperature=1.0))

    def __post_init__(self) -> None:
        check_warm(self.solver, "EqualTime")

    @property
    def temperature(self) -> float:
        """That of the solver."""
        return self.solver.temperature

    def solve(self, problem: Equilibria, measure: Measure | None = None, *, precision: float | None = None) -> Solution:
        """Settles as the solver does; a response is asked of it as covariances."""
        if np.iscomplexobj(problem.hamiltonians.coefficients):
            raise ValueError("Solver EqualTime cannot settle complex nudges: use LinearResponse or SymmetricNudging.")
        nudges, observables = problem.perturbation, problem.observables
        if nudges is None:
            return self._ask(problem, observables, 0, measure, precision)
        self._refuse(problem, nudges)
        free = self._ask(problem, observables, 0, measure, precision)  # what the rule asked for, and the means a
        problem = replace(problem, start=free.start)
        along = self._ask(problem, nudges, 1, measure, precision)
        batch = np.arange(len(nudges))
        n, n_errors = along.expectations.values[batch, batch], along.expectations.std_errors[batch, batch]
        a, a_errors = free.expectations.values, free.expectations.std_errors
        together = self._ask(problem, _centred(observables, nudges, a, n), 2, measure, precision)
        shape = (len(nudges), len(nudges), len(observables))
        covariances, errors = (
            part.reshape(shape)[batch, batch]
            for part in (together.expectations.values, together.expectations.std_errors)
        )
        return replace(
            free,
            response=Expectations(
                -covariances / self.temperature,
                np.sqrt(errors**2 + (a_errors * n_errors[:, None]) ** 2) / self.temperature,
            ),
            shots=free.shots + along.shots + together.shots,
        )

    def _ask(
        self, problem: Equilibria, observables: PauliSums, number: int, measure: Measure | None, precision: float | None
    ) -> Solution:
        """One job of the solver, with random streams of its own."""
        key = (*problem.key, number) if problem.key else ()
        asked = replace(problem, observables=observables, perturbation=None, key=key)
        return self.solver.solve(asked, measure, precision=precision)

    def _refuse(self, problem: Equilibria, nudges: PauliSums) -> None:
        still = commuting(nudges, problem.hamiltonians).diagonal()  # (batch,)
        fixed = commuting(problem.observables, problem.hamiltonians)  # (batch, n_observables)
        wrong = ~(still[:, None] | fixed)
        if not wrong.any():
            return
        sample = int(np.argmax(wrong.any(axis=1)))
        raise ValueError(
            f"Solver EqualTime needs observables or nudges that commute with H, but in sample {sample} "
            f"{int(np.sum(wrong[sample]))} of {wrong.shape[1]} observables do not, nor does the nudge. Their "
            "equal-time covariance is not the response: every transition would count x coth x times, "
            "x = (E_m - E_n)/2T. Ask the solver itself for the Kubo-Mori response, Exact(temperature=) or Typical."
        )


def commuting(operators: PauliSums, hamiltonians: PauliSums) -> BoolArray:
    """Whether ``[A_j, H_b] = 0``, (n_hamiltonians, n_operators)."""
    sizes = np.sum(np.abs(hamiltonians.coefficients), axis=1)[:, None] * np.sum(np.abs(operators.coefficients), axis=1)
    left = np.max(np.abs(products(operators, hamiltonians).commutators), axis=2, initial=0.0)
    return left <= _COMMUTES * sizes


def _centred(observables: PauliSums, nudges: PauliSums, a: FloatArray, n: FloatArray) -> PauliSums:
    """``(A_j - a_bj)(N_b - n_b)``, symmetric, for all samples b and observables j in turn."""
    made = [
        products(_less(observables, means), _less(PauliSums(nudges.strings, row[None]), mean[None]))
        for row, means, mean in zip(nudges.coefficients, a, n, strict=True)
    ]
    return PauliSums(made[0].strings, np.concatenate([one.symmetric[0] for one in made]))


def _less(operators: PauliSums, means: FloatArray) -> PauliSums:
    """``A_j - means_j``, on the strings and the identity."""
    strings, coefficients = operators.strings, operators.coefficients
    identity = ~np.any(strings.x | strings.z, axis=1)
    if not identity.any():
        strings = PauliList(["I" * operators.num_sites, *strings.to_labels()])
        coefficients = np.concatenate([np.zeros((len(operators), 1)), coefficients], axis=1)
        identity = np.arange(len(strings)) == 0
    return PauliSums(strings, coefficients - means[:, None] * identity)
