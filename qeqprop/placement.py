"""A circuit made ready for a machine: translated once, its qubits chosen once and kept, its endings added.

The body of a circuit is translated to the target's gates a single time, parameters and all. Where its sites ended up is
remembered; each measurement basis adds single-qubit gates there and a measurement of every site. Observables and bases
never move to other qubits by themselves: `Placed.sites` is the one place that knows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol, cast

import numpy as np
from qiskit import transpile
from qiskit.circuit import ClassicalRegister, QuantumCircuit
from qiskit.transpiler import Target

from qeqprop.checks import check_shape
from qeqprop.counts import MAX_SITES, Readings, Readout, SamplingDevice, advice_for
from qeqprop.fractional_gates import bounded, turned_back
from qeqprop.interfaces import Device, FloatArray, IntArray
from qeqprop.qubit_choice import choose_qubits

GATES = "id h x y z s sdg t tdg sx sxdg p rx ry rz cx cz swap rxx ryy rzz rzx"
"""What every simulator knows by name, of the gates that circuits here are made of."""

TRANSPILER_SEED = 11
"""Swaps are the same in every run."""


@dataclass(frozen=True, eq=False)
class Placed:
    """A translated circuit.

    Attributes:
        circuit: in the machine's gates on the machine's qubits, without measurements.
        sites: (n_sites,) the qubit that holds each site at the end.
        columns: for each parameter of ``circuit`` its column among the parameters of the original.
        in_place: translates a circuit that is on the machine's qubits already, and moves nothing.
        simulator: what runs it, where that is made for the qubits that were chosen.
        extend: makes the parameters that were translated from the original ones, where they differ.
    """

    circuit: QuantumCircuit
    sites: tuple[int, ...]
    columns: IntArray
    in_place: Callable[[QuantumCircuit], QuantumCircuit]
    simulator: Any = None
    extend: Callable[[FloatArray], FloatArray] | None = None

    def values(self, parameters: FloatArray) -> FloatArray:
        """The parameters (rows, n) of the original in the order of ``circuit.parameters``."""
        return (parameters if self.extend is None else self.extend(parameters))[:, self.columns]


class PlacingDevice(SamplingDevice, Protocol):
    """A sampling device that shows where it puts a circuit, so that others may change what runs on those qubits."""

    def place(self, circuit: QuantumCircuit) -> Placed:
        """The circuit on its qubits, always the same ones."""
        ...

    def read_placed(self, placed: Placed, readout: Readout) -> Readings:
        """`SamplingDevice.read` of a placed circuit."""
        ...


def as_placing(device: Device) -> PlacingDevice:
    """The device, if it shows where it puts a circuit; else a `ValueError`."""
    if not hasattr(device, "read_placed"):
        name = getattr(device, "name", repr(device))
        raise ValueError(
            f"Argument `device` must be a device that places circuits, such as Profile() or Aer(), but is {name}."
            f"{advice_for(device)}"
        )
    return cast(PlacingDevice, device)


def read_by_placing(device: PlacingDevice, circuit: QuantumCircuit, readout: Readout) -> Readings:
    """`SamplingDevice.read` of a device that places circuits."""
    wanted = (None, circuit.num_parameters)
    check_shape("parameters", readout.parameters, "(rows, n_parameters)", wanted)
    return device.read_placed(device.place(circuit), readout)


def place(
    circuit: QuantumCircuit,
    translate: Callable[[QuantumCircuit], QuantumCircuit],
    in_place: Callable[[QuantumCircuit], QuantumCircuit],
    *,
    mid_circuit: bool = False,
) -> Placed:
    """Translates a circuit and finds out where its sites are.

    Args:
        circuit: its qubits are the sites.
        translate: such as qiskit's `transpile` for one target.
        in_place: see `Placed`.
        mid_circuit: whether the circuit may measure on its way; the bits that it writes are further sites.

    Raises:
        ValueError: for more sites than an outcome has bits, or a measurement that the device cannot make.
    """
    if circuit.num_qubits > MAX_SITES:
        raise ValueError(
            f"Argument `circuit` must have at most {MAX_SITES} qubits to be sampled, but has {circuit.num_qubits}."
        )
    if circuit.num_clbits and not mid_circuit:
        raise ValueError(
            f"Argument `circuit` must not measure on this device, but has {circuit.num_clbits} classical bits: take "
            "one that measures in the middle of a circuit, Aer without noise, or copy the outcome to a qubit."
        )
    translated = translate(circuit)
    layout = translated.layout
    sites = range(circuit.num_qubits) if layout is None else layout.final_index_layout(filter_ancillas=True)
    column = {parameter.name: index for index, parameter in enumerate(circuit.parameters)}
    columns = [column[parameter.name] for parameter in translated.parameters]
    return Placed(translated, tuple(sites), np.array(columns, dtype=np.int64), in_place)


def place_anywhere(circuit: QuantumCircuit) -> Placed:
    """A circuit spelt out in the gates that every simulator knows, on the qubits it has."""
    gates: list[str] = [*GATES.split()]
    return place(circuit, partial(transpile, basis_gates=gates, optimization_level=1), lambda ending: ending)


def place_on(
    circuit: QuantumCircuit, target: Target, qubits: tuple[int, ...] | None = None, *, fractional: bool = False
) -> Placed:
    """A circuit in the gates of a machine, on qubits chosen by their errors and kept.

    Gates whose angles are bounded are left out, unless they are wanted: then every angle about ZZ is brought within its
    bounds row by row (`fractional_gates`).

    Args:
        circuit: without measurements.
        target: the machine.
        qubits: (n_sites,) the qubit of each site; chosen by `choose_qubits` where None.
        fractional: use the rotations of free angle that the machine has.

    Raises:
        ValueError: if the machine has too few qubits that work, or cannot run what the translation made.
    """
    width = int(target.num_qubits or circuit.num_qubits)
    if circuit.num_qubits > width:
        raise ValueError(
            f"Argument `circuit` must have at most the {width} qubits of the machine, but has {circuit.num_qubits}."
        )
    gates = target if fractional else _without_bounds(target)
    chosen = choose_qubits(circuit.decompose("PauliEvolution"), gates).qubits if qubits is None else qubits
    if len(set(chosen)) != circuit.num_qubits or not all(0 <= qubit < width for qubit in chosen):
        raise ValueError(
            f"Argument `qubits` must name {circuit.num_qubits} different qubits from 0 to {width - 1}, one for each "
            f"site, but is {chosen}."
        )
    settings: dict[str, Any] = {"target": gates, "seed_transpiler": TRANSPILER_SEED}
    translate = partial(transpile, initial_layout=list(chosen), optimization_level=2, **settings)
    in_place = partial(transpile, initial_layout=list(range(width)), optimization_level=0, **settings)
    if fractional:
        within = bounded(circuit.decompose("PauliEvolution"))
        back = place(within.circuit, translate, lambda inverse: in_place(turned_back(inverse)))
        placed = replace(back, extend=within.values)
    else:
        placed = place(circuit, translate, in_place)
    for check in (placed.circuit, with_measurement(placed, "Y" * circuit.num_qubits)):
        check_supported(check, gates)
    return placed


def check_supported(circuit: QuantumCircuit, target: Target) -> None:
    """Raises a `ValueError` unless every instruction of a circuit is one of the target's, on qubits that have it."""
    for step in circuit.data:
        qubits = tuple(circuit.find_bit(qubit).index for qubit in step.qubits)
        name = step.operation.name
        if name != "barrier" and not target.instruction_supported(name, qubits):
            raise ValueError(f"Argument `circuit` must hold gates of the machine only, but holds {name} on {qubits}.")


def _without_bounds(target: Target) -> Target:
    """A target without the gates whose angles it bounds."""
    bounded = [name for name in target.operation_names if target.gate_has_angle_bounds(name)]
    if not bounded:
        return target
    rest = Target(num_qubits=target.num_qubits, dt=target.dt, qubit_properties=target.qubit_properties)
    for name in target.operation_names:
        if name not in bounded:
            rest.add_instruction(target.operation_from_name(name), target[name], name=name)
    return rest


def with_measurement(placed: Placed, letters: str) -> QuantumCircuit:
    """The circuit that measures every site in a basis: site k into classical bit k.

    Args:
        placed: the translated body.
        letters: the Pauli measured at each site, site 0 first; those of classical bits are behind and need nothing.
    """
    whole = placed.circuit.copy()
    whole.compose(ending(placed, letters), inplace=True)
    return _measured(placed, whole)


def ending(placed: Placed, letters: str) -> QuantumCircuit:
    """The gates on single qubits that turn a basis into Z."""
    turns = QuantumCircuit(placed.circuit.num_qubits)
    for site, letter in zip(placed.sites, letters, strict=False):
        if letter == "Y":
            turns.sdg(site)
        if letter != "Z":
            turns.h(site)
    return placed.in_place(turns)


def mirrored(placed: Placed) -> QuantumCircuit:
    """The body and its inverse, measured: ideally every site gives 0, so what it gives shows the noise."""
    return _measured(placed, there_and_back(placed))


def there_and_back(placed: Placed) -> QuantumCircuit:
    """The body and its inverse: ideally all qubits at zero."""
    body = placed.circuit
    both = body.copy()
    both.barrier()  # nothing cancels
    both.compose(placed.in_place(body.inverse()), inplace=True)
    return both


def folded(placed: Placed, factor: int) -> Placed:
    """The body U as ``U (U^-1 U)^k`` with ``factor = 2 k + 1``: the same unitary with so many times the errors.

    Barriers keep what was translated from being put together again.
    """
    body, whole = placed.circuit, placed.circuit.copy()
    back = placed.in_place(body.inverse())
    for _ in range(factor // 2):
        for part in (back, body):
            whole.barrier()
            whole.compose(part, inplace=True)
    return replace(placed, circuit=whole)


def prepared(placed: Placed, bit: int) -> Placed:
    """In place of the body the product state with this bit in every site: what is read then is the readout's doing."""
    body = QuantumCircuit(placed.circuit.num_qubits)
    if bit:
        body.x(placed.sites)
    return replace(placed, circuit=placed.in_place(body), columns=np.zeros(0, dtype=np.int64), extend=None)


def _measured(placed: Placed, circuit: QuantumCircuit) -> QuantumCircuit:
    bits = ClassicalRegister(len(placed.sites), "sites")
    circuit.add_register(bits)
    circuit.measure(placed.sites, bits)
    return circuit
