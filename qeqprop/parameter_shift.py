"""Exact gradients on any device: every angle of a circuit shifted by a quarter turn to both sides.

An angle a of ``exp(-i a/2 P)`` with ``P^2 = 1`` enters every expectation as a sine, so that

    df/da = (f(a + pi/2) - f(a - pi/2)) / 2

is exact and not a finite difference. A parameter that several gates share, or that a gate scales, gets the sum over its
gates: the circuit is first rewritten with one parameter for each angle.

Source: Mitarai et al., Phys. Rev. A 98, 032309 (2018); Schuld et al., Phys. Rev. A 99, 032331 (2019).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from qiskit.circuit import ParameterExpression, QuantumCircuit
from qiskit.quantum_info import PauliList

from qeqprop.checks import finite_array
from qeqprop.gates import factors, numbered, rotate
from qeqprop.interfaces import Expectations, FloatArray, IntArray, Measure, Measurement

_TURNS = {"rx": "X", "ry": "Y", "rz": "Z", "rxx": "XX", "ryy": "YY", "rzz": "ZZ", "rzx": "ZX"}


@dataclass(frozen=True, eq=False)
class Unshared:
    """A circuit whose every angle is a parameter of its own: ``angles = scales * parameters[index] + offsets``.

    Attributes:
        circuit: with parameters in the order of the gates.
        n_parameters: of the circuit it was made of.
        index: (n_angles,) the old parameter of each angle.
        scales, offsets: (n_angles,).
    """

    circuit: QuantumCircuit
    n_parameters: int
    index: IntArray
    scales: FloatArray
    offsets: FloatArray

    @property
    def n_angles(self) -> int:
        return len(self.index)

    def angles(self, parameters: FloatArray) -> FloatArray:
        """The angles (rows, n_angles) of parameters (rows, n_parameters)."""
        return self.scales * parameters[:, self.index] + self.offsets

    def shifted(self, parameters: FloatArray, moved: IntArray) -> FloatArray:
        """All points of a gradient, (rows * n_moved * 2, n_angles): each moved angle of each row plus, then minus pi/2.

        Args:
            parameters: (rows, n_parameters).
            moved: (n_moved,) angles.
        """
        quarter = np.pi / 2 * np.eye(self.n_angles)[moved]
        steps = np.stack([quarter, -quarter], axis=1)  # (n_moved, 2, n_angles)
        return (self.angles(parameters)[:, None, None] + steps).reshape(-1, self.n_angles)


def unshared(circuit: QuantumCircuit) -> Unshared:
    """Rewrites a circuit with one parameter for each angle.

    Args:
        circuit: its parameters stand in the gates rx, ry, rz, p, rxx, ryy, rzz, rzx and in `PauliEvolutionGate` of
            strings that commute, each angle affine in one parameter; other gates may be anything without parameters.

    Raises:
        ValueError: if a parameter stands anywhere else, where a quarter turn would not give its gradient.
    """
    number = {parameter: position for position, parameter in enumerate(circuit.parameters)}
    turns: list[tuple[str, tuple[int, ...], int, float, float]] = []
    others: list[Any] = []  # turns hold their position, other gates themselves
    for instruction in circuit.data:
        gate, sites = instruction.operation, tuple(circuit.find_bit(qubit).index for qubit in instruction.qubits)
        if not any(isinstance(value, ParameterExpression) and value.parameters for value in gate.params):
            others.append(instruction)
            continue
        for word, chosen, angle in _turns(gate, sites):
            others.append(len(turns))
            turns.append((word, chosen, *_affine(gate.name, angle, number)))
    phi = numbered(len(turns), "phi")
    rewritten = circuit.copy_empty_like()
    rewritten.global_phase = 0.0  # no expectation depends on it
    for entry in others:
        if isinstance(entry, int):
            rotate(rewritten, *turns[entry][:2], phi[entry])
        else:
            rewritten.append(entry)
    return Unshared(
        circuit=rewritten,
        n_parameters=len(number),
        index=np.array([turn[2] for turn in turns], dtype=np.int64),
        scales=np.array([turn[3] for turn in turns], dtype=np.float64),
        offsets=np.array([turn[4] for turn in turns], dtype=np.float64),
    )


def shifted_gradient(
    measure: Measure,
    circuit: Unshared,
    parameters: FloatArray,
    strings: PauliList,
    weights: FloatArray,
    *,
    wanted: IntArray | None = None,
    shots: int | None = None,
) -> tuple[Expectations, int]:
    """``d<O>/dparameters`` (rows, n_observables, n_wanted) at many points by one job, and the shots it took.

    The job has two rows for each point and angle, plus and minus next to each other.

    Args:
        measure: the device.
        circuit: from `unshared`.
        parameters: (rows, n_parameters) of the original circuit.
        strings: (n_strings,) Pauli strings.
        weights: (rows, n_observables, n_strings), or one row for all.
        wanted: (n_wanted,) different parameters, all of them in order by default.
        shots: for each row and basis of the job; the device's own number by default.
    """
    parameters = finite_array("parameters", parameters, "(rows, n_parameters)", (None, circuit.n_parameters))
    chosen = np.arange(circuit.n_parameters) if wanted is None else wanted
    moved = np.flatnonzero(np.isin(circuit.index, chosen))
    rows, n_observables = len(parameters), weights.shape[1]
    if not len(moved) or not rows:
        return Expectations.exact(np.zeros((rows, n_observables, len(chosen)))), 0
    each = weights if len(weights) == 1 else np.repeat(weights, 2 * len(moved), axis=0)
    answer = measure(Measurement(circuit.circuit, circuit.shifted(parameters, moved), strings, each), shots=shots)
    shape = (rows, len(moved), 2, n_observables)
    values, errors = answer.expectations.values.reshape(shape), answer.expectations.std_errors.reshape(shape)
    scales = 0.5 * circuit.scales[moved, None]
    gathered = (circuit.index[moved, None] == chosen).astype(np.float64)  # (n_moved, n_wanted): which angle moves what
    gradient = np.einsum("rao,aw->row", scales * (values[:, :, 0] - values[:, :, 1]), gathered)
    variance = np.einsum("rao,aw->row", scales**2 * np.sum(errors**2, axis=2), gathered)
    return Expectations(gradient, np.sqrt(variance)), answer.shots


def _turns(gate: Any, sites: tuple[int, ...]) -> list[tuple[str, tuple[int, ...], Any]]:
    """The rotations that a gate consists of, up to a phase: letters, sites, angle."""
    if gate.name in _TURNS:
        return [(_TURNS[gate.name], sites, gate.params[0])]
    if gate.name == "p":
        return [("Z", sites, gate.params[0])]
    if gate.name == "PauliEvolution" and not isinstance(gate.operator, list):
        strings, coefficients = gate.operator.paulis, np.asarray(gate.operator.coeffs)
        if all(np.all(strings.commutes(string)) for string in strings) and not np.any(np.imag(coefficients)):
            return [
                (word, tuple(sites[place] for place in places), 2 * float(np.real(coefficient)) * gate.time)
                for (word, places), coefficient in zip(factors(strings), coefficients, strict=True)
                if word
            ]
    raise ValueError(
        f"Argument `circuit` must have its parameters in rotations about Pauli strings, but has one in {gate.name!r}: "
        "use its decomposition."
    )


def _affine(gate: str, angle: Any, number: dict[Any, int]) -> tuple[int, float, float]:
    """Parameter, scale and offset of an angle."""
    names = list(angle.parameters)
    slope = angle.gradient(names[0]) if len(names) == 1 else angle
    if getattr(slope, "parameters", ()):
        raise ValueError(
            f"Argument `circuit` must hold angles that are affine in one parameter, but that of {gate} is {angle}."
        )
    return number[names[0]], float(np.real(complex(slope))), float(angle.bind({names[0]: 0.0}))
