"""What was made of a circuit, remembered as long as the circuit lives: translated and compiled once."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from qiskit.circuit import QuantumCircuit

Made = TypeVar("Made")

_made: dict[tuple[Hashable, ...], tuple[weakref.ref[QuantumCircuit], Any, Any]] = {}


def once(circuit: QuantumCircuit, key: Hashable, make: Callable[[], Made], *, machine: Any = None) -> Made:
    """What ``make`` makes of a circuit, remembered as long as the circuit lives and is neither added to nor bound.

    Args:
        circuit: the very object; an equal one is made anew.
        key: names the settings and what is made.
        make: called the first time.
        machine: the object it is made for, if that has no name of its own.
    """
    place = (id(circuit), len(circuit.data), circuit.num_parameters, id(machine), key)
    known = _made.get(place)
    if known is not None and known[0]() is circuit:
        return known[2]
    made = make()
    # the machine is kept, so that no other can come to have its id
    _made[place] = (weakref.ref(circuit, lambda _: _made.pop(place, None)), machine, made)
    return made
