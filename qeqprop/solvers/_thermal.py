"""What solvers of Gibbs states have in common for those who wrap them."""

from __future__ import annotations

from typing import Protocol

from qeqprop.interfaces import Solver


class ThermalSolver(Solver, Protocol):
    """A solver whose equilibria are Gibbs states at a temperature, or eigenstates at zero."""

    @property
    def temperature(self) -> float: ...


def check_warm(solver: ThermalSolver, name: str) -> None:
    """Refuses a solver without a temperature above zero, in the name of the one that wraps it."""
    if not getattr(solver, "temperature", 0.0) > 0:
        raise ValueError(
            f"Argument `solver` must have a temperature above 0, such as Exact(temperature=1.0), for {name}, "
            f"but is {solver!r}."
        )
