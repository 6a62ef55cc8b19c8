"""Circuits as OpenQASM 3 text, written to be compared and read to be run."""

from __future__ import annotations

from contextlib import redirect_stderr
from io import StringIO
from typing import Any

import numpy as np
from qiskit import qasm3
from qiskit.circuit import Gate, QuantumCircuit
from qiskit.circuit.library import RXXGate, RYYGate, RZXGate, RZZGate
from qiskit.quantum_info import Operator

from qeqprop.engine.circuit_conversion import KNOWN
from qeqprop.gates import numbered

_PAIRS = {"rxx": RXXGate, "ryy": RYYGate, "rzz": RZZGate, "rzx": RZXGate}
"""Gates that OpenQASM's standard library lacks: a text defines them, and is believed when it defines the same."""

_DEPTH = 8
"""Definitions inside definitions that are opened."""


def write(circuit: QuantumCircuit, *, title: str) -> str:
    """The circuit as text under a comment; `PauliEvolutionGate` is spelt out, since text knows nothing like it."""
    return f"// {title}\n" + qasm3.dumps(circuit.decompose("PauliEvolution"))


def read(text: str, name: str) -> QuantumCircuit:
    """The circuit of a text, in gates that the engine knows.

    Reading and writing change the order of parameters to that of their names. So the names have to tell the order:
    ``theta_000``, ``theta_001``, .. without a gap.

    Args:
        text: OpenQASM 3, gates only; a barrier is dropped, the qubits of all registers are numbered in order.
        name: what the text is called in messages.

    Raises:
        ValueError: if it cannot be read, holds something else than gates, or names its parameters differently.
    """
    said = StringIO()
    try:
        with redirect_stderr(said):  # where the parser says what is wrong
            circuit = qasm3.loads(text)
    except Exception as error:  # parser and importer raise their own kinds, and others where they meet what they lack
        reason = " ".join(part for part in (str(error).strip('"'), said.getvalue().strip()) if part)
        raise ValueError(f"{name} is no circuit in OpenQASM 3: {reason.rstrip('.') or type(error).__name__}.") from None
    names = [parameter.name for parameter in circuit.parameters]
    wanted = [parameter.name for parameter in numbered(len(names))]
    if names != wanted:
        raise ValueError(
            f"{name} must name its {len(names)} parameters {', '.join(wanted[:2])}{', ..' * (len(names) > 2)} in the "
            f"order of their use, but names {', '.join(names[:5])}{', ..' * (len(names) > 5)}."
        )
    for _ in range(_DEPTH):
        opened = _opened(circuit, name)
        if opened is None:
            return circuit
        circuit = opened
    raise ValueError(f"{name} holds gates that are not made of {', '.join(KNOWN)}.")


def _opened(circuit: QuantumCircuit, name: str) -> QuantumCircuit | None:
    """The circuit with unknown gates replaced by what they are made of; None if there are none."""
    result = QuantumCircuit(circuit.num_qubits, global_phase=circuit.global_phase)
    changed = circuit.num_clbits > 0
    for instruction in circuit.data:
        gate, qubits = instruction.operation, [circuit.find_bit(qubit).index for qubit in instruction.qubits]
        if gate.name == "barrier":
            changed = True
        elif not isinstance(gate, Gate):
            raise ValueError(f"{name} must hold gates only, but holds {gate.name!r}.")
        elif gate.name in KNOWN and type(gate) is not Gate:
            result.append(gate, qubits)
        else:
            changed = True
            _open(result, gate, qubits, name)
    return result if changed else None


def _open(result: QuantumCircuit, gate: Any, qubits: list[int], name: str) -> None:
    if gate.name in _PAIRS and len(gate.params) == 1 and gate.num_qubits == 2:
        known = _PAIRS[gate.name](*gate.params)
        if _same(gate, known):
            result.append(known, qubits)
            return
    if gate.name in ("u", "u3"):
        theta, phi, delta = gate.params
        for letter, angle in (("rz", delta), ("ry", theta), ("rz", phi)):
            getattr(result, letter)(angle, qubits[0])
        return
    if gate.definition is None:
        raise ValueError(f"{name} holds the gate {gate.name!r}, which nothing defines.")
    result.compose(gate.definition, qubits, inplace=True)


def _same(gate: Any, known: Any) -> bool:
    """Whether two gates with one angle do the same, up to a phase."""
    matrices: list[Operator] = []
    for one in (gate, known):
        circuit = QuantumCircuit(2)
        circuit.append(one, [0, 1])
        matrices.append(Operator(circuit.assign_parameters(np.full(circuit.num_parameters, 0.7))))
    return matrices[0].equiv(matrices[1])
