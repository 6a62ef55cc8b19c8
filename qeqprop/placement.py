"""A circuit made ready for a machine: translated once, its qubits chosen once and kept, its endings added.

The body of a circuit is translated to the target's gates a single time, parameters and all. Where its sites ended up is
remembered; each measurement basis adds single-qubit gates there and a measurement of every site. Observables and bases
never move to other qubits by themselves: `Placed.sites` is the one place that knows.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from qiskit.circuit import ClassicalRegister, QuantumCircuit

from qeqprop.counts import MAX_SITES
from qeqprop.interfaces import FloatArray, IntArray

Made = TypeVar("Made")

TRANSPILER_SEED = 11
"""A layout is chosen once and the same in every run."""


@dataclass(frozen=True, eq=False)
class Placed:
    """A translated circuit.

    Attributes:
        circuit: in the machine's gates on the machine's qubits, without measurements.
        sites: (n_sites,) the qubit that holds each site at the end.
        columns: for each parameter of ``circuit`` its column among the parameters of the original.
        in_place: translates a circuit that is on the machine's qubits already, and moves nothing.
    """

    circuit: QuantumCircuit
    sites: tuple[int, ...]
    columns: IntArray
    in_place: Callable[[QuantumCircuit], QuantumCircuit]

    def values(self, parameters: FloatArray) -> FloatArray:
        """The parameters (rows, n) of the original in the order of ``circuit.parameters``."""
        return parameters[:, self.columns]


def place(
    circuit: QuantumCircuit,
    translate: Callable[[QuantumCircuit], QuantumCircuit],
    in_place: Callable[[QuantumCircuit], QuantumCircuit],
) -> Placed:
    """Translates a circuit and finds out where its sites are.

    Args:
        circuit: without measurements, its qubits are the sites.
        translate: such as qiskit's `transpile` for one target.
        in_place: see `Placed`.

    Raises:
        ValueError: for more sites than an outcome has bits.
    """
    if circuit.num_qubits > MAX_SITES:
        raise ValueError(
            f"Argument `circuit` must have at most {MAX_SITES} qubits to be sampled, but has {circuit.num_qubits}."
        )
    if circuit.num_clbits:
        raise ValueError(f"Argument `circuit` must not measure, but has {circuit.num_clbits} classical bits.")
    translated = translate(circuit)
    layout = translated.layout
    sites = range(circuit.num_qubits) if layout is None else layout.final_index_layout(filter_ancillas=True)
    column = {parameter.name: index for index, parameter in enumerate(circuit.parameters)}
    columns = [column[parameter.name] for parameter in translated.parameters]
    return Placed(translated, tuple(sites), np.array(columns, dtype=np.int64), in_place)


def with_measurement(placed: Placed, letters: str) -> QuantumCircuit:
    """The circuit that measures every site in a basis: site k into classical bit k.

    Args:
        placed: the translated body.
        letters: the Pauli measured at each site, site 0 first.
    """
    ending = QuantumCircuit(placed.circuit.num_qubits)
    for site, letter in zip(placed.sites, letters, strict=True):
        if letter == "Y":
            ending.sdg(site)
        if letter != "Z":
            ending.h(site)
    whole = placed.circuit.copy()
    whole.compose(placed.in_place(ending), inplace=True)
    return _measured(placed, whole)


def mirrored(placed: Placed) -> QuantumCircuit:
    """The body and its inverse, measured: ideally every site gives 0, so what it gives shows the noise."""
    body = placed.circuit
    there_and_back = body.copy()
    there_and_back.barrier()  # nothing cancels
    there_and_back.compose(placed.in_place(body.inverse()), inplace=True)
    return _measured(placed, there_and_back)


def _measured(placed: Placed, circuit: QuantumCircuit) -> QuantumCircuit:
    bits = ClassicalRegister(len(placed.sites), "sites")
    circuit.add_register(bits)
    circuit.measure(placed.sites, bits)
    return circuit


# --- remembering ------------------------------------------------------------------------------------------------

_made: dict[tuple[Hashable, ...], tuple[weakref.ref[QuantumCircuit], Any]] = {}


def once(circuit: QuantumCircuit, key: Hashable, make: Callable[[], Made]) -> Made:
    """What ``make`` makes of a circuit, remembered as long as the circuit lives and is not added to.

    Args:
        circuit: the very object; an equal one is made anew.
        key: names the machine, its settings and what is made.
        make: called the first time.
    """
    place = (id(circuit), len(circuit.data), key)
    known = _made.get(place)
    if known is not None and known[0]() is circuit:
        return known[1]
    made = make()
    _made[place] = (weakref.ref(circuit, lambda _: _made.pop(place, None)), made)
    return made
