"""Circuits that grow: one search after the other, each from the end of the one before, with one gate more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from qiskit.circuit import QuantumCircuit
from qiskit.quantum_info import PauliList

from qeqprop.descent import descend
from qeqprop.engine.circuit_conversion import from_qiskit
from qeqprop.engine.circuits import energy_and_gradient
from qeqprop.interfaces import (
    Ansatz,
    EnergyGradient,
    Equilibria,
    FloatArray,
    GrowingAnsatz,
    IntArray,
    Start,
    Trial,
)
from qeqprop.solvers._circuit_family import family_of

_COARSE = 1e-7
"""Tolerance of the searches on the way, relative like that of the last one; to choose a gate needs no finer ones."""


@dataclass(frozen=True)
class Grown:
    """A growing ansatz at rest: `Ansatz` of one circuit, named by its gates."""

    ansatz: GrowingAnsatz
    choices: tuple[int, ...]

    def __call__(self, strings: PauliList) -> Trial:
        return self.ansatz.grown(strings, self.choices)


def grow(
    ansatz: GrowingAnsatz,
    strings: PauliList,
    rows: int,
    search: Callable[[Ansatz, FloatArray], FloatArray],
    gradient: EnergyGradient,
) -> tuple[Grown, FloatArray]:
    """The circuit in its full size and the points (rows, n_parameters) of the last search.

    Args:
        ansatz: the ansatz.
        strings: of the Hamiltonians.
        rows: number of Hamiltonians, which all get the same circuit.
        search: settles the parameters (rows, n_parameters) of a circuit from where they are.
        gradient: of all energies, exact or measured.
    """
    grown = Grown(ansatz, ())
    points = np.tile(grown(strings).initial, (rows, 1))
    while True:
        if points.shape[1]:
            points = search(grown, points)
        choice = ansatz.choose(strings, grown.choices, points, gradient)
        if choice is None:
            return grown, points
        grown = Grown(ansatz, (*grown.choices, choice))
        points = np.concatenate([points, np.zeros((rows, 1))], axis=1)


def at_rest(
    ansatz: Ansatz, problem: Equilibria, *, tolerances: FloatArray, most: int
) -> tuple[Ansatz, FloatArray | None]:
    """The ansatz, grown on the simulator if it grows, and where growing ended (rows, n_parameters).

    What continues from a start takes the circuit of that.

    Args:
        ansatz: of any kind.
        problem: what is to be settled.
        tolerances: (rows,) of the last search, on the norm of the gradient.
        most: calls of each search.
    """
    if not isinstance(ansatz, GrowingAnsatz):
        return ansatz, None
    if problem.start is not None:
        return Grown(ansatz, tuple(problem.start.arrays["choices"][0].tolist())), None
    hamiltonians = problem.hamiltonians
    coarse = np.maximum(tolerances, _COARSE * np.sum(np.abs(hamiltonians.coefficients), axis=1))

    def gradient(circuit: QuantumCircuit, parameters: FloatArray, wanted: IntArray) -> FloatArray:
        return energy_and_gradient(from_qiskit(circuit), parameters, hamiltonians)[1][:, wanted]

    def search(grown: Ansatz, points: FloatArray) -> FloatArray:
        objective = family_of(grown, hamiltonians.strings).energy(hamiltonians, [], tolerances)
        name = f"growing, {points.shape[1]} angles"
        return descend(objective, points, tolerances=coarse, most=most, name=name).points

    return grow(ansatz, hamiltonians.strings, len(hamiltonians), search, gradient)


def continued(start: Start, ansatz: Ansatz) -> Start:
    """The start with the gates of a grown circuit, for the searches that continue from it."""
    if not isinstance(ansatz, Grown):
        return start
    rows = len(next(iter(start.arrays.values())))
    return Start({**start.arrays, "choices": np.tile(np.array(ansatz.choices, dtype=np.int64), (rows, 1))})
