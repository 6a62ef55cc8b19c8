"""What every circuit of this package is made of: numbered parameters and rotations about Pauli strings.

A rotation is ``exp(-i angle/2 P)``, the convention of qiskit and of the engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qiskit.circuit import Parameter, QuantumCircuit
from qiskit.circuit.library import PauliEvolutionGate
from qiskit.quantum_info import PauliList, SparsePauliOp

Factors = tuple[str, tuple[int, ...]]
"""A Pauli string as its letters and the sites they act on, sites ascending: ``("ZX", (0, 3))``."""


def numbered(count: int, name: str = "theta") -> list[Any]:
    """Parameters ``theta_000``, ``theta_001``, .., padded so that the order of the names is that of the numbers.

    Circuits sort their parameters by name, and a text that is read back has nothing but the names.
    """
    width = max(3, len(str(count - 1)))
    return [Parameter(f"{name}_{index:0{width}d}") for index in range(count)]


def factors(strings: PauliList) -> list[Factors]:
    """Letters and sites of every string; the identity has none."""
    found: list[Factors] = []
    for label in strings.to_labels():
        places = [(letter, site) for site, letter in enumerate(reversed(label.lstrip("-i"))) if letter != "I"]
        found.append(("".join(letter for letter, _ in places), tuple(site for _, site in places)))
    return found


def rotate(circuit: QuantumCircuit, word: str, sites: Sequence[int], angle: Any) -> None:
    """Appends ``exp(-i angle/2 P)`` with ``P = word[0]_{sites[0]} word[1]_{sites[1]} ..``.

    A string that is a gate of its own is that gate; any other becomes a `PauliEvolutionGate`, which the engine turns in
    one pass and a transpiler spells out.

    Args:
        circuit: is appended to.
        word: letters X, Y, Z; none for the identity, which is a phase.
        sites: one site for each letter.
        angle: a number, a parameter, or an expression affine in one parameter.
    """
    single = {"X": circuit.rx, "Y": circuit.ry, "Z": circuit.rz}
    double = {"XX": circuit.rxx, "YY": circuit.ryy, "ZZ": circuit.rzz, "ZX": circuit.rzx}
    if word in single:
        single[word](angle, sites[0])
    elif word in double:
        double[word](angle, sites[0], sites[1])
    elif word == "XZ":
        circuit.rzx(angle, sites[1], sites[0])
    else:
        operator = SparsePauliOp(word[::-1] or "I")  # the rightmost letter of a label is the first qubit
        circuit.append(PauliEvolutionGate(operator, time=angle / 2), list(sites) or [0])
