"""Rotations about ZZ within the angles that a machine has, 0 to pi/2, whatever angle a circuit asks for.

Up to a phase ``rzz(t + m pi) = rzz(t) (Z Z)^m``, and ``rzz(-t) = X rzz(t) X`` with X on one of the two. So one circuit
serves all angles::

    rx(flip) -- rzz(size) -- rx(flip) -- rz(turn) on both,    flip and turn 0 or pi, size from 0 to pi/2

whose angles are functions of the row. The turns cost nothing, the flips two short gates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from qiskit.circuit import Parameter, QuantumCircuit

from qeqprop.interfaces import FloatArray


class Bounded(NamedTuple):
    """A circuit whose rotations about ZZ stay in their bounds.

    Attributes:
        circuit: with parameters of its own.
        values: maps the parameters (rows, n) of the original to those of ``circuit``, both in the circuits' order.
    """

    circuit: QuantumCircuit
    values: Callable[[FloatArray], FloatArray]


def bounded(circuit: QuantumCircuit) -> Bounded:
    """Brings every rzz within its bounds.

    Raises:
        ValueError: if an angle is not a linear function of the parameters.
    """
    whole = circuit.copy_empty_like()
    slopes: list[FloatArray] = []
    offsets: list[float] = []
    for step in circuit.data:
        if step.operation.name != "rzz":
            whole.append(step)
            continue
        slope, offset = linear_angle(step.operation.params[0], list(circuit.parameters))
        number = len(offsets)
        slopes.append(slope)
        offsets.append(offset)
        size, flip, turn = (Parameter(f"zz_{number:04d}_{word}") for word in ("size", "flip", "turn"))
        first, second = step.qubits
        whole.rx(flip, first)
        whole.rzz(size, first, second)
        whole.rx(flip, first)
        whole.rz(turn, first)
        whole.rz(turn, second)
    names = [parameter.name for parameter in whole.parameters]
    originals = [parameter.name for parameter in circuit.parameters]
    matrix, constant = np.array(slopes).reshape(len(offsets), len(originals)), np.array(offsets)

    def values(parameters: FloatArray) -> FloatArray:
        columns = dict(zip(originals, parameters.T, strict=True))
        for number, angles in enumerate((parameters @ matrix.T + constant).T):
            for word, column in zip(("size", "flip", "turn"), reduced(angles), strict=True):
                columns[f"zz_{number:04d}_{word}"] = column
        return np.array([columns[name] for name in names]).reshape(len(names), len(parameters)).T

    return Bounded(whole, values)


def reduced(angles: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Size in [0, pi/2], flip and turn (0 or pi) of rotations about ZZ, each of the shape of the angles."""
    halves: FloatArray = np.round(angles / np.pi)
    rest: FloatArray = angles - np.pi * halves
    flip: FloatArray = np.where(rest < 0, np.pi, 0.0)
    return np.minimum(np.abs(rest), np.pi / 2), flip, np.pi * (halves % 2)


def turned_back(circuit: QuantumCircuit) -> QuantumCircuit:
    """The inverse of a bounded circuit, as `QuantumCircuit.inverse` gives it, with its negative rzz flipped again."""
    whole = circuit.copy_empty_like()
    for step in circuit.data:
        if step.operation.name != "rzz":
            whole.append(step)
            continue
        first, second = step.qubits
        whole.x(first)
        whole.rzz(-1 * step.operation.params[0], first, second)
        whole.x(first)
    return whole


def linear_angle(angle: Any, parameters: list[Any]) -> tuple[FloatArray, float]:
    """Slopes (n_parameters,) and offset of an angle of a gate.

    Raises:
        ValueError: if it is not linear in the parameters.
    """
    slopes = np.zeros(len(parameters))
    if isinstance(angle, (int, float)):
        return slopes, float(angle)
    for index, parameter in enumerate(parameters):
        if parameter in angle.parameters:
            slope = angle.gradient(parameter)
            if getattr(slope, "parameters", None):
                raise ValueError(
                    f"Argument `circuit` must turn by angles that are linear in its parameters, but one is {angle}."
                )
            slopes[index] = float(slope)
    return slopes, float(angle.bind(dict.fromkeys(angle.parameters, 0.0)))
