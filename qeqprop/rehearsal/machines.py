"""The machines of the rehearsal: full snapshots that IBM's client brings along, and small stored calibrations.

Everything a machine says of itself is JSON as the service sends it. What its noise is computed from is read back from
that same JSON, so that a client and the simulation can never disagree about a qubit. Where a machine has been given a
drift, each new calibration multiplies every error and time by a random factor of its own and moves the date by an hour.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from qeqprop.calibration import FRACTIONAL, Calibration, Qubits, from_text
from qeqprop.names import suggestion
from qeqprop.snapshots import snapshot
from qeqprop.stored_files import find_stored

FULL = ("kingston", "boston", "torino", "miami", "sherbrooke")
"""One machine of each family: Heron r2, r3 and r1, Nighthawk, Eagle."""

CUT = ("kingston_8.toml", "boston_8.toml", "torino_8.toml", "berlin_9.toml", "sherbrooke_6.toml")
"""The calibrations of `hardware_profiles/`."""

_DRIFT = 0.15
"""Standard deviation of the logarithm by which a new calibration differs from the first one."""

_QASM = {
    "rx": ("gate rx(theta) q { U(theta, -pi/2, pi/2) q; }", ["theta"]),
    "rzz": ("gate rzz(theta) q0, q1 { cx q0, q1; rz(theta) q1; cx q0, q1; }", ["theta"]),
    "rz": ("gate rz(theta) q { U(0, 0, theta) q; }", ["theta"]),
}
_FASTEST = (0.0, 500.0)
"""Microseconds between repetitions that a cut machine allows."""


@dataclass(frozen=True, eq=False)
class Machine:
    """One quantum computer of the rehearsal.

    Attributes:
        name: as the service calls it.
        configuration: what does not change, as the service sends it.
        first: its properties at the start, as JSON text.
    """

    name: str
    configuration: Mapping[str, Any]
    first: str
    _known: dict[tuple[Qubits, int], Calibration] = field(default_factory=dict[tuple[Qubits, int], Calibration])

    @property
    def n_qubits(self) -> int:
        return int(self.configuration["n_qubits"])

    @property
    def rep_delay(self) -> float:
        """Seconds between the end of one execution and the next, unless a job asks for others."""
        return float(self.configuration["default_rep_delay"]) * 1e-6

    def properties(self, generation: int = 0) -> str:
        """The calibration of the day, JSON text; 0 is the first one."""
        return self.first if not generation else _drifted(self.name, self.first, generation)

    def calibration(self, qubits: Sequence[int], generation: int = 0) -> Calibration:
        """The numbers of a few qubits, which become 0, 1, 2, ..; what is broken is left out.

        Raises:
            ValueError: if a qubit's own numbers make no sense, as those of a broken one may.
        """
        place = (tuple(qubits), generation)
        if place not in self._known:
            self._known[place] = snapshot(_stored(self, generation), qubits, source="rehearsal")
        return self._known[place]

    @cached_property
    def durations(self) -> Mapping[tuple[str, Qubits], float]:
        """Seconds of every gate and readout; they do not drift."""
        properties = json.loads(self.first)
        found = {
            (gate["gate"], tuple(gate["qubits"])): value
            for gate in properties["gates"]
            if (value := _value(gate["parameters"], "gate_length")) is not None
        }
        for qubit, entries in enumerate(properties["qubits"]):
            found["measure", (qubit,)] = _value(entries, "readout_length") or 0.0
        return {place: 1e-9 * nanoseconds for place, nanoseconds in found.items()}


@lru_cache(maxsize=64)
def machine(name: str) -> Machine:
    """A machine by its name: of a bundled snapshot (``kingston``), or a stored calibration (``kingston_8.toml``).

    The names under which the service offers them, ``ibm_kingston`` and ``ibm_kingston_8``, are understood as well.

    Raises:
        ValueError: if there is none of that name.
    """
    known = name.removeprefix("ibm_")
    if not known.endswith(".toml") and any(character.isdecimal() for character in known):
        known += ".toml"
    if not known.endswith(".toml"):
        return _of_snapshot(known)
    path = find_stored(known, "hardware_profiles", argument="machine")
    return of_calibration(from_text(path.read_text(encoding="utf-8")), f"ibm_{Path(known).stem}")


def of_calibration(calibration: Calibration, name: str) -> Machine:
    """A machine of the qubits of a calibration alone."""
    fixed = [gate for gate in calibration.gates if gate not in FRACTIONAL]
    edges = sorted({where for places in calibration.gates.values() for where in places if len(where) == 2})
    configuration: dict[str, Any] = {
        "backend_name": name,
        "backend_version": "1.0.0",
        "description": calibration.source,
        "n_qubits": calibration.n_qubits,
        "basis_gates": fixed,
        "gates": [_gate(gate, calibration.gates[gate]) for gate in fixed],
        "supported_instructions": [*fixed, "measure", "delay", "reset"],
        "coupling_map": [list(edge) for edge in edges],
        "local": False,
        "simulator": False,
        "conditional": False,
        "open_pulse": False,
        "memory": True,
        "max_shots": 100_000,
        "max_experiments": 300,
        "dt": 1e9 * calibration.dt,
        "dtm": 1e9 * calibration.dt,
        "dynamic_reprate_enabled": True,
        "rep_delay_range": list(_FASTEST),
        "default_rep_delay": 250.0,
        "online_date": calibration.date,
        "supported_features": [],
    }
    return Machine(name, _with_fractional(configuration, _properties(calibration, name)), _text(calibration, name))


# --- bundled snapshots -------------------------------------------------------------------------------------------


def _of_snapshot(name: str) -> Machine:
    from qiskit_ibm_runtime import fake_provider

    found: Any = getattr(fake_provider, f"Fake{name.capitalize()}", None)
    if found is None:
        known = sorted(other[4:].lower() for other in dir(fake_provider) if other.startswith("Fake"))
        hint = suggestion(name, known)
        raise ValueError(f"Argument `machine` must be a bundled snapshot such as {FULL[0]}, but is {name!r}{hint}.")
    folder = Path(found.dirname)
    configuration = json.loads((folder / found.conf_filename).read_text(encoding="utf-8"))
    text = (folder / found.props_filename).read_text(encoding="utf-8")
    configuration["backend_name"] = f"ibm_{name}"
    return Machine(f"ibm_{name}", _with_fractional(configuration, json.loads(text)), text)


def _with_fractional(configuration: dict[str, Any], properties: Mapping[str, Any]) -> dict[str, Any]:
    """The gates of free angle, which the snapshots leave out of the configuration though they know their errors."""
    for name in sorted(FRACTIONAL - set(configuration["basis_gates"])):
        places = [gate["qubits"] for gate in properties["gates"] if gate["gate"] == name]
        if places:
            configuration["basis_gates"].append(name)
            configuration["gates"].append(_gate(name, places))
            if "supported_instructions" in configuration:
                configuration["supported_instructions"].append(name)
    return configuration


def _gate(name: str, places: Any) -> dict[str, Any]:
    definition, parameters = _QASM.get(name, (None, []))
    wires = "q" if len(next(iter(places), (0,))) == 1 else "q0, q1"
    definition = definition or f"gate {name} {wires} {{ {name.upper()} {wires}; }}"
    return {
        "name": name,
        "parameters": parameters,
        "qasm_def": definition,
        "coupling_map": [list(place) for place in places],
    }


# --- properties as JSON, and back --------------------------------------------------------------------------------


def _text(calibration: Calibration, name: str) -> str:
    return json.dumps(_properties(calibration, name))


def _properties(calibration: Calibration, name: str) -> dict[str, Any]:
    def entry(name: str, value: float, unit: str = "") -> list[dict[str, Any]]:
        return [] if math.isnan(value) else [{"date": calibration.date, "name": name, "unit": unit, "value": value}]

    qubits = [
        [
            *entry("T1", 1e6 * float(calibration.t1[qubit]), "us"),
            *entry("T2", 1e6 * float(calibration.t2[qubit]), "us"),
            *entry("readout_error", float(np.mean(calibration.readout[qubit]))),
            *entry("prob_meas1_prep0", float(calibration.readout[qubit, 0])),
            *entry("prob_meas0_prep1", float(calibration.readout[qubit, 1])),
            *entry("readout_length", 1e9 * float(calibration.readout_duration[qubit]), "ns"),
        ]
        for qubit in range(calibration.n_qubits)
    ]
    gates = [
        {
            "gate": gate,
            "name": gate + "_".join(map(str, where)),
            "qubits": list(where),
            "parameters": [*entry("gate_error", value.error), *entry("gate_length", 1e9 * value.duration, "ns")],
        }
        for gate, places in calibration.gates.items()
        for where, value in places.items()
    ]
    return {
        "backend_name": name,
        "backend_version": "1.0.0",
        "last_update_date": calibration.date,
        "qubits": qubits,
        "gates": gates,
        "general": [],
    }


def _value(entries: Sequence[Mapping[str, Any]], name: str) -> float | None:
    return next((float(entry["value"]) for entry in entries if entry["name"] == name), None)


@lru_cache(maxsize=16)
def _drifted(name: str, first: str, generation: int) -> str:
    properties = json.loads(first)
    random = np.random.default_rng(np.random.SeedSequence([generation, *name.encode()]))
    date = datetime.fromisoformat(properties["last_update_date"]) + timedelta(hours=generation)
    properties["last_update_date"] = date.isoformat()
    tables = [*properties["qubits"], *(gate["parameters"] for gate in properties["gates"])]
    for entry in (entry for table in tables for entry in table):
        value, unit = entry["value"], entry["unit"]
        if unit == "us":
            entry["value"] = value * float(np.exp(_DRIFT * random.normal()))
        elif unit == "" and value < 0.4:  # an error; more than that is broken and stays so
            entry["value"] = min(value * float(np.exp(_DRIFT * random.normal())), 0.45)
    return json.dumps(properties)


class _Stored:
    """A machine as `snapshots.snapshot` wants it."""

    def __init__(self, name: str, dt: float | None, properties: Any) -> None:
        self.name, self.dt, self._properties = name, dt, properties

    def properties(self) -> Any:
        return self._properties


@lru_cache(maxsize=16)
def _stored(machine: Machine, generation: int) -> Any:
    from qiskit_ibm_runtime.utils.backend_decoder import properties_from_server_data

    properties = properties_from_server_data(json.loads(machine.properties(generation)), use_fractional_gates=None)
    dt = machine.configuration.get("dt")
    return _Stored(machine.name, None if dt is None else 1e-9 * dt, properties)
