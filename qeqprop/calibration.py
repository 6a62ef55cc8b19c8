"""A small stored calibration: what a machine's makers measured of a few of its qubits on one day.

It is cut from a machine (`snapshots`), kept as TOML (`to_text`, `from_text`), and gives back a target for the
transpiler (`Calibration.target`). Broken gates, with an error of 1 or more, are left out. What was not measured is nan
and counts as ideal.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from qiskit.circuit import Delay, Gate, Measure, Parameter
from qiskit.circuit.library import CXGate, CZGate, ECRGate, IGate, RXGate, RZGate, RZZGate, SXGate, XGate
from qiskit.providers import QubitProperties
from qiskit.transpiler import InstructionProperties, Target

from qeqprop.checks import check_shape
from qeqprop.interfaces import FloatArray
from qeqprop.toml_text import to_toml

Qubits = tuple[int, ...]

FRACTIONAL = frozenset({"rx", "rzz"})
"""Gates of free angle that some machines offer beside the fixed ones."""

_ANGLE = Parameter("angle")
GATES: Mapping[str, Gate] = {
    "id": IGate(),
    "rz": RZGate(_ANGLE),
    "sx": SXGate(),
    "x": XGate(),
    "rx": RXGate(_ANGLE),
    "cx": CXGate(),
    "cz": CZGate(),
    "ecr": ECRGate(),
    "rzz": RZZGate(_ANGLE),
}
_RZZ_BOUNDS = [(0.0, math.pi / 2)]
"""Machines apply rzz by angles from 0 to pi/2 only."""


class GateCalibration(NamedTuple):
    """One gate on given qubits.

    Attributes:
        error: ``1 - F`` with the average gate fidelity F.
        duration: in seconds; 0 for a gate that is done by counting phases.
    """

    error: float
    duration: float


@dataclass(frozen=True, eq=False)
class Calibration:
    """Measured properties of a few qubits.

    Attributes:
        name: of the machine.
        source: where the numbers come from.
        date: when they were measured, as in ISO 8601.
        dt: the machine's unit of time, in seconds.
        physical: (n_qubits,) the numbers of the qubits on the machine; here they are 0, 1, 2, ..
        t1: (n_qubits,) relaxation times in seconds.
        t2: (n_qubits,) dephasing times in seconds, at most ``2 t1``.
        readout: (n_qubits, 2) the probabilities to read 1 where 0 was prepared, and 0 where 1 was.
        readout_duration: (n_qubits,) in seconds.
        gates: for each gate and its qubits, error and duration.
        family: of the processor, such as ``Heron r2``; empty where not known.
    """

    name: str
    source: str
    date: str
    dt: float
    physical: Qubits
    t1: FloatArray
    t2: FloatArray
    readout: FloatArray
    readout_duration: FloatArray
    gates: Mapping[str, Mapping[Qubits, GateCalibration]]
    family: str = ""

    def __post_init__(self) -> None:
        n_qubits = len(self.physical)
        for name in ("t1", "t2", "readout_duration"):
            check_shape(name, getattr(self, name), "(n_qubits,)", (n_qubits,))
        check_shape("readout", self.readout, "(n_qubits, 2)", (n_qubits, 2))
        for name, values, wanted, fits in (
            ("t1", self.t1, "greater than 0", self.t1 > 0),
            ("t2", self.t2, "greater than 0 and at most 2 t1", (self.t2 > 0) & ~(self.t2 > 2 * self.t1)),
            ("readout", self.readout, "probabilities whose sum is below 1", _valid_readout(self.readout)),
        ):
            if not np.all(fits | np.isnan(values)):
                raise ValueError(
                    f"Argument `{name}` must be {wanted} (or nan, not measured), but is {values.tolist()}."
                )
        for name, entries in self.gates.items():
            _check_gate(name, entries, n_qubits)

    @property
    def n_qubits(self) -> int:
        return len(self.physical)

    def cut(self, qubits: Sequence[int]) -> Calibration:
        """The calibration of some of its qubits alone, in the given order, which become 0, 1, 2, .."""
        chosen = list(qubits)
        position = {qubit: index for index, qubit in enumerate(chosen)}
        gates = {
            name: {
                tuple(position[qubit] for qubit in where): entry
                for where, entry in entries.items()
                if all(qubit in position for qubit in where)
            }
            for name, entries in self.gates.items()
        }
        return replace(
            self,
            physical=tuple(self.physical[qubit] for qubit in chosen),
            t1=self.t1[chosen],
            t2=self.t2[chosen],
            readout=self.readout[chosen],
            readout_duration=self.readout_duration[chosen],
            gates=gates,
        )

    def without_gates(self) -> Calibration:
        """The same qubits, which can only wait and be read."""
        return replace(self, gates={})

    def target(self, *, fractional: bool = False) -> Target:
        """What the transpiler has to know; with the gates of free angle if they are wanted (and there)."""
        qubits = [QubitProperties(t1=_or_none(t1), t2=_or_none(t2)) for t1, t2 in zip(self.t1, self.t2, strict=True)]
        target = Target(f"{self.name}, {self.date}", self.n_qubits, self.dt, qubit_properties=qubits)
        for name, entries in self.gates.items():
            if entries and (fractional or name not in FRACTIONAL):
                properties = {where: _properties(entry.duration, entry.error) for where, entry in entries.items()}
                target.add_instruction(GATES[name], properties, angle_bounds=_RZZ_BOUNDS if name == "rzz" else None)
        errors = np.mean(self.readout, axis=1)
        measures = {
            (qubit,): _properties(duration, error)
            for qubit, (duration, error) in enumerate(zip(self.readout_duration, errors, strict=True))
        }
        target.add_instruction(Measure(), measures)
        target.add_instruction(Delay(Parameter("time")), {(qubit,): None for qubit in range(self.n_qubits)})
        return target


# --- to text and back -----------------------------------------------------------------------------------------------


def to_text(calibration: Calibration) -> str:
    """A calibration as TOML: one line for each qubit and for each gate."""
    qubits = {
        str(qubit): {
            "t1": float(calibration.t1[qubit]),
            "t2": float(calibration.t2[qubit]),
            "read_1_of_0": float(calibration.readout[qubit, 0]),
            "read_0_of_1": float(calibration.readout[qubit, 1]),
            "readout_duration": float(calibration.readout_duration[qubit]),
        }
        for qubit in range(calibration.n_qubits)
    }
    tree: dict[str, Any] = {
        "name": calibration.name,
        "source": calibration.source,
        **({"family": calibration.family} if calibration.family else {}),
        "date": calibration.date,
        "dt": calibration.dt,
        "physical": list(calibration.physical),
        "qubits": qubits,
    }
    for name, entries in calibration.gates.items():
        tree[name] = {"-".join(map(str, where)): entry._asdict() for where, entry in entries.items()}
    return to_toml(tree)


def from_text(text: str) -> Calibration:
    """A calibration from TOML.

    Raises:
        ValueError: if a key is missing or unknown, or a number is out of its range.
    """
    tree = tomllib.loads(text)
    if "use" in tree:
        raise ValueError(
            f"A calibration must hold the numbers of qubits, but this file chooses a device, {tree['use']}: "
            "name it in a run file, [device] with profile = ..."
        )
    try:
        qubits = [tree["qubits"][str(qubit)] for qubit in range(len(tree["physical"]))]
        names = tree.keys() - {"name", "source", "date", "dt", "physical", "qubits", "family"}
        return Calibration(
            name=tree["name"],
            source=tree["source"],
            family=tree.get("family", ""),
            date=tree["date"],
            dt=tree["dt"],
            physical=tuple(tree["physical"]),
            t1=np.array([qubit["t1"] for qubit in qubits]),
            t2=np.array([qubit["t2"] for qubit in qubits]),
            readout=np.array([[qubit["read_1_of_0"], qubit["read_0_of_1"]] for qubit in qubits]),
            readout_duration=np.array([qubit["readout_duration"] for qubit in qubits]),
            gates={
                name: {
                    tuple(map(int, where.split("-"))): GateCalibration(entry["error"], entry["duration"])
                    for where, entry in table.items()
                }
                for name, table in tree.items()
                if name in names
            },
        )
    except KeyError as error:
        raise ValueError(f"A calibration must have the key {error}, but it is missing.") from None


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _properties(duration: float, error: float) -> InstructionProperties:
    return InstructionProperties(_or_none(duration), _or_none(error))


def _valid_readout(readout: FloatArray) -> Any:
    return (readout >= 0) & (readout <= 1) & (np.sum(readout, axis=1, keepdims=True) < 1)


def _check_gate(name: str, entries: Mapping[Qubits, GateCalibration], n_qubits: int) -> None:
    if name not in GATES:
        raise ValueError(f"Argument `gates` must hold gates out of {', '.join(GATES)}, but holds {name!r}.")
    for where, (error, duration) in entries.items():
        sites = len(set(where)) == len(where) == GATES[name].num_qubits and all(0 <= q < n_qubits for q in where)
        if not sites or error < 0 or error >= 1 or duration < 0:
            raise ValueError(
                f"Argument `gates` must hold errors from 0 to below 1 and durations of at least 0 on the right number "
                f"of different qubits below {n_qubits}, but {name} on {where} has {error!r} and {duration!r}."
            )
