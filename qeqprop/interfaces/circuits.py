"""Circuits: what is measured in them, and the families that solvers search for a state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from qiskit.circuit import QuantumCircuit
from qiskit.quantum_info import PauliList

from qeqprop.checks import finite_array
from qeqprop.interfaces.arrays import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Measurement:
    """One parametrised circuit at many points, and what to measure there: one job of a device, one PUB of a primitive.

    What is measured are Pauli strings, each once; the weights turn them into observables, which may differ from row to
    row (energies of different samples).

    Attributes:
        circuit: its qubits are the sites. A circuit that measures on its way, which few devices run, has the classical
            bits that it writes as further sites behind the qubits, of which only Z can be asked.
        parameters: (rows, n_parameters) in the order of ``circuit.parameters``.
        strings: (n_strings,) without repetition.
        weights: (rows, n_observables, n_strings), or (1, n_observables, n_strings) for all rows.
    """

    circuit: QuantumCircuit
    parameters: FloatArray
    strings: PauliList
    weights: FloatArray

    def __post_init__(self) -> None:
        finite_array("parameters", self.parameters, "(rows, n_parameters)", (None, self.circuit.num_parameters))
        finite_array("weights", self.weights, "(rows, n_observables, n_strings)", (None, None, len(self.strings)))
        if len(self.weights) not in (1, len(self.parameters)):
            raise ValueError(
                f"Argument `weights` must have 1 or {len(self.parameters)} rows, like `parameters`, "
                f"but has {len(self.weights)}."
            )
        qubits, bits = self.circuit.num_qubits, self.circuit.num_clbits
        if self.strings.num_qubits != qubits + bits:
            raise ValueError(
                f"Argument `strings` must act on the {qubits} qubits of the circuit"
                f"{f' and its {bits} classical bits' if bits else ''}, but acts on {self.strings.num_qubits}."
            )
        if np.any(self.strings.x[:, qubits:]):
            raise ValueError("Argument `strings` must ask for Z, or nothing, of the circuit's classical bits.")

    @property
    def rows(self) -> int:
        return len(self.parameters)


class Trial(NamedTuple):
    """A parametrised circuit and where its optimisation starts.

    Attributes:
        circuit: parameters are named ``theta_000``, ``theta_001``, .., so that their order is that of their names.
        initial: (n_parameters,) parameters of the first iteration.
        slopes: (n_parameters, n_strings) how that start follows the coefficients of a Hamiltonian; None where it does
            not.
    """

    circuit: QuantumCircuit
    initial: FloatArray
    slopes: FloatArray | None = None

    def starts(self, coefficients: FloatArray) -> FloatArray:
        """Where each Hamiltonian starts, ``initial + slopes c``, (batch, n_parameters).

        Args:
            coefficients: c, (batch, n_strings); a row with a coefficient above 1 is scaled down to 1 first, since these
                are angles.
        """
        if self.slopes is None:
            return np.tile(self.initial, (len(coefficients), 1))
        largest = np.maximum(1.0, np.max(np.abs(coefficients), axis=1, keepdims=True, initial=0.0))
        return self.initial + coefficients / largest @ self.slopes.T


class Ansatz(Protocol):
    """A family of circuits for given Pauli strings: ``ansatz(strings) -> Trial``."""

    def __call__(self, strings: PauliList) -> Trial: ...


class EnergyGradient(Protocol):
    """The gradients of a batch of energies in circuits, exact or measured."""

    def __call__(self, circuit: QuantumCircuit, parameters: FloatArray, wanted: IntArray) -> FloatArray:
        """``dE/dparameter``, (batch, n_wanted), of the wanted ones (n_wanted,) at parameters (batch, n_parameters)."""
        ...


@runtime_checkable
class GrowingAnsatz(Ansatz, Protocol):
    """A family of circuits that grows gate by gate, one circuit for a whole batch; called, it gives the first one.

    A circuit is named by the gates it was grown by, in their order: numbers of members of a pool. A solver settles the
    circuit of no choices, asks for the next choice, adds a zero to its parameters, settles again, until there is none.
    """

    def grown(self, strings: PauliList, choices: Sequence[int]) -> Trial:
        """The circuit with these gates and their parameters at its end; it may have no parameter at all."""
        ...

    def choose(
        self, strings: PauliList, choices: Sequence[int], parameters: FloatArray, gradient: EnergyGradient
    ) -> int | None:
        """The gate to add to the circuit of these choices at parameters (batch, n_parameters), None for no more."""
        ...
