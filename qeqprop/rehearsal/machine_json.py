"""Machines as the service describes them, in JSON: made from a calibration, completed, and drifting."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import numpy as np

from qeqprop.calibration import FRACTIONAL, Calibration

_DRIFT = 0.15
"""Standard deviation of the logarithm by which a new calibration differs from the first one."""

_QASM = {
    "rx": ("gate rx(theta) q { U(theta, -pi/2, pi/2) q; }", ["theta"]),
    "rzz": ("gate rzz(theta) q0, q1 { cx q0, q1; rz(theta) q1; cx q0, q1; }", ["theta"]),
    "rz": ("gate rz(theta) q { U(0, 0, theta) q; }", ["theta"]),
}
_FASTEST = (0.0, 500.0)
"""Microseconds between repetitions that a cut machine allows."""


def configuration_of(calibration: Calibration, name: str) -> dict[str, Any]:
    """What does not change about a machine of the qubits of a calibration alone."""
    family, _, revision = calibration.family.partition(" r")
    fixed = [gate for gate in calibration.gates if gate not in FRACTIONAL]
    edges = sorted({where for places in calibration.gates.values() for where in places if len(where) == 2})
    return {
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
        "processor_type": {"family": family, "revision": revision},
    }


def properties_of(calibration: Calibration, name: str) -> dict[str, Any]:
    """The numbers of the day; what was not measured is left out."""

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


def with_fractional(configuration: dict[str, Any], properties: Mapping[str, Any]) -> dict[str, Any]:
    """The gates of free angle, which the snapshots leave out of the configuration though they know their errors."""
    for name in sorted(FRACTIONAL - set(configuration["basis_gates"])):
        places = [gate["qubits"] for gate in properties["gates"] if gate["gate"] == name]
        if places:
            configuration["basis_gates"].append(name)
            configuration["gates"].append(_gate(name, places))
            if "supported_instructions" in configuration:
                configuration["supported_instructions"].append(name)
    return configuration


@lru_cache(maxsize=16)
def drifted(name: str, first: str, generation: int) -> str:
    """The properties of a later calibration."""
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


def value_of(entries: Sequence[Mapping[str, Any]], name: str) -> float | None:
    """A number of a table by its name."""
    return next((float(entry["value"]) for entry in entries if entry["name"] == name), None)


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
