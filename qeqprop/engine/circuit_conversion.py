"""From qiskit's circuits to layers: gates that commute are gathered into as few passes as possible."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from qeqprop.engine.circuit_program import FLIPS
from qeqprop.engine.circuits import (
    Angles,
    Circuit,
    Layer,
    controlled_x,
    controlled_z,
    diagonal,
    hadamards,
    pauli_rotations,
    rotations,
)

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

_LETTERS = {"rx": "X", "ry": "Y", "rz": "Z", "rxx": "XX", "ryy": "YY", "rzz": "ZZ", "rzx": "ZX"}
_QUARTERS = {
    "x": ("X", 2),
    "y": ("Y", 2),
    "z": ("Z", 2),
    "s": ("Z", 1),
    "sdg": ("Z", -1),
    "sx": ("X", 1),
    "sxdg": ("X", -1),
    "t": ("Z", 0.5),
    "tdg": ("Z", -0.5),
}
KNOWN = [*_LETTERS, *_QUARTERS, "p", "h", "cx", "cz", "id", "barrier", "PauliEvolution"]
"""Names of the gates that `from_qiskit` converts."""


def from_qiskit(circuit: QuantumCircuit) -> Circuit:
    """The same circuit in layers, exactly, its global phase too; parameter j is ``circuit.parameters[j]``.

    Args:
        circuit: of the gates rx, ry, rz, p, rxx, ryy, rzz, rzx, x, y, z, s, sx, t, h, cx, cz and `PauliEvolutionGate`
            of one Pauli string, or of several that commute. An angle may be a number or affine in one parameter.

    Raises:
        ValueError: if a gate is none of these (use ``circuit.decompose()``) or an angle is not affine in one parameter.
    """
    numbers = {parameter: index for index, parameter in enumerate(circuit.parameters)}
    layers: list[Layer] = []
    for instruction in circuit.data:
        qubits = [circuit.find_bit(qubit).index for qubit in instruction.qubits]
        layers += _layers(instruction.operation, qubits, numbers)
    index, scale, offset = _angle(circuit.global_phase, numbers, "the global phase")
    layers.append(diagonal([()], Angles(np.array([index]), np.array([-2 * scale]), np.array([-2 * offset]))))
    return Circuit.of(circuit.num_qubits, fuse(layers), n_parameters=len(numbers))


def _layers(operation: Any, qubits: list[int], numbers: dict[Any, int]) -> list[Layer]:  # noqa: PLR0911
    name = operation.name
    if name in ("barrier", "id"):
        return []
    if name in _LETTERS:
        return [_rotation(_LETTERS[name], qubits, _single(_angle(operation.params[0], numbers, name)))]
    if name in _QUARTERS:
        letter, quarters = _QUARTERS[name]
        return _phased(letter, qubits, _single((-1, 0.0, quarters * np.pi / 2)))
    if name == "p":
        return _phased("Z", qubits, _single(_angle(operation.params[0], numbers, name)))
    if name == "h":
        return hadamards(qubits)
    if name in ("cx", "cz"):
        return [(controlled_x if name == "cx" else controlled_z)([(qubits[0], qubits[1])])]
    if name == "PauliEvolution":
        return _evolution(operation, qubits, numbers)
    raise ValueError(f"Argument `circuit` must hold gates of {', '.join(KNOWN)} only, but holds {name!r}.")


def _single(angle: tuple[int, float, float]) -> Angles:
    index, scale, offset = angle
    return Angles(np.array([index]), np.array([scale]), np.array([offset]))


def _rotation(word: str, qubits: list[int], angles: Angles) -> Layer:
    if set(word) == {"Z"}:
        return diagonal([qubits], angles)
    if len(word) == 1:
        return rotations("X" if word == "X" else "Y", qubits, angles)
    return pauli_rotations([(word, qubits)], angles)


def _phased(letter: str, qubits: list[int], angles: Angles) -> list[Layer]:
    """``exp(i theta/2) exp(-i theta/2 P)``: P itself for theta = pi, its root for pi/2, the phase gate for Z."""
    return [_rotation(letter, qubits, angles), diagonal([()], Angles(angles.index, -angles.scale, -angles.offset))]


def _evolution(operation: Any, qubits: list[int], numbers: dict[Any, int]) -> list[Layer]:
    """``exp(-i t sum_k c_k P_k)`` for strings that commute."""
    operator = operation.operator
    if isinstance(operator, list) or not hasattr(operator, "paulis"):
        raise ValueError(
            "Argument `circuit` must evolve under one SparsePauliOp at a time, but a gate holds another kind."
        )
    strings = operator.paulis
    if np.any(np.imag(operator.coeffs.astype(complex))):
        raise ValueError("Argument `circuit` must evolve under Hermitian operators, but a coefficient is complex.")
    if not all(np.all(strings.commutes(string)) for string in strings):
        raise ValueError(
            "Argument `circuit` must evolve under strings that commute, but those of a PauliEvolution do not: "
            "use its decomposition."
        )
    index, scale, offset = _angle(operation.time, numbers, "PauliEvolution")
    layers: list[Layer] = []
    for label, coefficient in zip(strings.to_labels(), np.real(operator.coeffs).tolist(), strict=True):
        sites = [(letter, qubits[k]) for k, letter in enumerate(reversed(label)) if letter != "I"]
        word = "".join(letter for letter, _ in sites)
        angles = _single((index, 2 * coefficient * scale, 2 * coefficient * offset))
        layers.append(_rotation(word, [site for _, site in sites], angles) if word else diagonal([()], angles))
    return layers


def _angle(value: Any, numbers: dict[Any, int], where: str) -> tuple[int, float, float]:
    """Index, scale and offset of an angle."""
    names = list(getattr(value, "parameters", ()))
    if not names:
        return -1, 0.0, float(value)
    if len(names) == 1:
        (name,) = names
        slope = value.gradient(name)
        if not getattr(slope, "parameters", ()):
            return numbers[name], float(np.real(complex(slope))), float(value.bind({name: 0.0}))
    raise ValueError(
        f"Argument `circuit` must hold angles that are affine in one parameter, but that of {where} is {value}."
    )


# --- fusion -----------------------------------------------------------------------------------------------------


@dataclass
class _Group:
    kind: int
    x: list[int] = field(default_factory=list[int])
    z: list[int] = field(default_factory=list[int])
    angles: list[tuple[int, float, float]] = field(default_factory=list[tuple[int, float, float]])
    support: int = 0

    def add(self, x: int, z: int, angle: tuple[int, float, float]) -> None:
        self.x.append(x)
        self.z.append(z)
        self.angles.append(angle)
        self.support |= x | z

    def commutes(self, kind: int, x: int, z: int) -> bool:
        """Whether a gate may pass this group: no common qubit, or Pauli strings that commute."""
        if not self.support & (x | z):
            return True
        if FLIPS in (kind, self.kind):
            return False
        return all(((x & b).bit_count() + (z & a).bit_count()) % 2 == 0 for a, b in zip(self.x, self.z, strict=True))

    def layer(self) -> Layer:
        index, scale, offset = zip(*self.angles, strict=True)
        angles = Angles(np.array(index), np.array(scale, dtype=np.float64), np.array(offset, dtype=np.float64))
        return Layer(self.kind, np.array(self.x), np.array(self.z), angles)


def fuse(layers: list[Layer]) -> list[Layer]:
    """The same gates in fewer layers: each joins the last layer of its kind, past layers that it commutes with."""
    groups: list[_Group] = []
    for layer in layers:
        angles = zip(
            layer.angles.index.tolist(), layer.angles.scale.tolist(), layer.angles.offset.tolist(), strict=True
        )
        for x, z, angle in zip(layer.x.tolist(), layer.z.tolist(), angles, strict=True):
            _reachable(groups, layer.kind, x, z).add(x, z, angle)
    return [group.layer() for group in groups]


def _reachable(groups: list[_Group], kind: int, x: int, z: int) -> _Group:
    for group in reversed(groups):
        if group.kind == kind:  # strings and flips keep their order within a layer, the others commute
            return group
        if not group.commutes(kind, x, z):
            break
    groups.append(_Group(kind))
    return groups[-1]
