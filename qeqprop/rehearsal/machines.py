"""The machines of the rehearsal: full snapshots that IBM's client brings along, and small stored calibrations.

Everything a machine says of itself is JSON as the service sends it. What its noise is computed from is read back from
that same JSON, so that a client and the simulation can never disagree about a qubit. Where a machine has been given a
drift, each new calibration multiplies every error and time by a random factor of its own and moves the date by an hour.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from qeqprop.calibration import Calibration, Qubits, from_text
from qeqprop.names import suggestion
from qeqprop.rehearsal.machine_json import configuration_of, drifted, properties_of, value_of, with_fractional
from qeqprop.snapshots import snapshot
from qeqprop.stored_files import find_stored

FULL = ("kingston", "boston", "torino", "miami", "sherbrooke")
"""One machine of each family: Heron r2, r3 and r1, Nighthawk, Eagle."""

CUT = ("kingston_8.toml", "boston_8.toml", "torino_8.toml", "berlin_9.toml", "sherbrooke_6.toml")
"""The calibrations of `hardware_profiles/`."""


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
        return self.first if not generation else drifted(self.name, self.first, generation)

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
            if (value := value_of(gate["parameters"], "gate_length")) is not None
        }
        for qubit, entries in enumerate(properties["qubits"]):
            found["measure", (qubit,)] = value_of(entries, "readout_length") or 0.0
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
    properties = properties_of(calibration, name)
    return Machine(name, with_fractional(configuration_of(calibration, name), properties), json.dumps(properties))


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
    return Machine(f"ibm_{name}", with_fractional(configuration, json.loads(text)), text)


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
