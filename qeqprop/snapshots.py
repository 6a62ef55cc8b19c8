"""Calibrations cut from machines: from the snapshots that IBM's client brings along, or from the machine of today.

A snapshot of the client is named like its class, ``FakeKingston``, and needs no account and no network. A machine is
named as the service names it, ``ibm_kingston``, and is asked through your account.

Broken gates (errors of 1 or more) are left out, and so are broken qubits where a whole machine is taken; the others
keep their numbers in ``Calibration.physical``.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Any, NamedTuple

import numpy as np
from qiskit.circuit import QuantumCircuit
from qiskit.providers import BackendV2

from qeqprop.calibration import GATES, Calibration, GateCalibration, Qubits, from_text, to_text
from qeqprop.interfaces import FloatArray
from qeqprop.names import suggestion
from qeqprop.qubit_choice import ErrorMap, choose_qubits, connected_qubits
from qeqprop.stored_files import find_stored

FOLDER = "hardware_profiles"


class Machine(NamedTuple):
    """A machine that the client has a snapshot of.

    Attributes:
        family: of its processor.
        n_qubits: that it has, the broken ones too.
    """

    family: str
    n_qubits: int


BUNDLED: Mapping[str, Machine] = {
    "FakeTorino": Machine("Heron r1", 133),
    "FakeFez": Machine("Heron r2", 156),
    "FakeMarrakesh": Machine("Heron r2", 156),
    "FakeKingston": Machine("Heron r2", 156),
    "FakeAachen": Machine("Heron r3", 156),
    "FakeBoston": Machine("Heron r3", 156),
    "FakePittsburgh": Machine("Heron r3", 156),
    "FakeBerlin": Machine("Nighthawk r1", 120),
    "FakeMiami": Machine("Nighthawk r1", 120),
    "FakeBrisbane": Machine("Eagle r3", 127),
    "FakeSherbrooke": Machine("Eagle r3", 127),
}
"""The snapshots of the families in service. Another, FakeNighthawk, is left out: its numbers are invented."""


def snapshot(backend: BackendV2, qubits: Sequence[int] | None = None, *, source: str = "") -> Calibration:
    """Cuts a calibration from a backend of IBM (or a stored one of its client) that has ``properties()``.

    Args:
        backend: of qiskit-ibm-runtime, with the numbers of the day.
        qubits: physical qubits, in the order they shall have; every one that works by default.
        source: where the numbers come from; the backend's own name by default.

    Raises:
        ValueError: for qubits that the machine does not have, or that are broken.
    """
    properties: Any = backend.properties()  # pyright: ignore[reportAttributeAccessIssue]
    present = range(len(properties.qubits))
    chosen = [q for q in present if _works(properties, q)] if qubits is None else list(qubits)
    if not set(chosen) <= set(present) or len(set(chosen)) != len(chosen) or not chosen:
        raise ValueError(
            f"Argument `qubits` must name different qubits from 0 to {len(present) - 1}, but is {list(qubits or [])}."
        )
    broken = [qubit for qubit in chosen if not _works(properties, qubit)]
    if broken:
        raise ValueError(f"Argument `qubits` must name qubits that work, but {broken[0]} can not be turned or read.")
    entries = {qubit: properties.qubit_property(qubit) for qubit in chosen}

    def values(name: str, otherwise: str = "") -> FloatArray:
        return np.array([_number(entry, name if name in entry else otherwise) for entry in entries.values()])

    t1 = values("T1")
    return Calibration(
        name=properties.backend_name,
        source=source or backend.name or "",
        date=properties.last_update_date.isoformat(),
        dt=float(backend.dt or math.nan),
        physical=tuple(chosen),
        t1=t1,
        t2=np.minimum(values("T2"), 2 * t1),
        readout=np.stack([values(name, "readout_error") for name in ("prob_meas1_prep0", "prob_meas0_prep1")], axis=1),
        readout_duration=values("readout_length"),
        gates=_gates(properties, chosen),
        family=_family(backend),
    )


def bundled(name: str, qubits: Sequence[int] | None = None) -> Calibration:
    """The calibration of a snapshot of the client, ``FakeKingston``; of every qubit that works by default.

    Raises:
        ValueError: if there is no such snapshot, or the client is not installed.
    """
    if name not in BUNDLED:
        raise ValueError(
            f"Argument `machine` must name a snapshot of qiskit-ibm-runtime, but is {name!r}"
            f"{suggestion(name, sorted(BUNDLED))}."
        )
    from importlib.metadata import version

    try:
        from qiskit_ibm_runtime import fake_provider
    except ImportError:
        raise ValueError(
            f"Argument `machine` is {name!r}, which needs qiskit-ibm-runtime: pip install qiskit-ibm-runtime, "
            "or take one of the stored calibrations (`qeqprop profile list`)."
        ) from None
    source = f"{name} of qiskit-ibm-runtime {version('qiskit-ibm-runtime')} (Apache-2.0)"
    return snapshot(getattr(fake_provider, name)(), qubits, source=source)


def from_account(machine: str, qubits: Sequence[int] | None = None, *, instance: str | None = None) -> Calibration:
    """The calibration that a machine has now, asked through your account (environment or saved account).

    Args:
        machine: as the service names it, ``ibm_kingston``.
        qubits: every one that works by default.
        instance: the instance to ask through; the one of the account by default.

    Raises:
        ValueError: if the client is not installed or the service does not answer.
    """
    try:
        from qiskit_ibm_runtime import QiskitRuntimeService
    except ImportError:
        raise ValueError(
            "A machine can only be asked with qiskit-ibm-runtime: pip install qiskit-ibm-runtime."
        ) from None
    try:
        backend = QiskitRuntimeService(instance=instance).backend(machine)
    except Exception as error:  # of the client, the network or the service: what it says may hold what is secret
        raise ValueError(
            f"{machine} cannot be asked ({type(error).__name__}): `qeqprop doctor` shows what is missing. Without an "
            f"account there are snapshots: {', '.join(BUNDLED)}."
        ) from None
    return snapshot(backend, qubits, source=f"{machine}, asked through the service")


def best_qubits(calibration: Calibration, sites: int, *, line: bool = False) -> tuple[int, ...]:
    """The physical qubits of the best connected set, or of the best line, by their errors.

    Args:
        calibration: of a machine.
        sites: how many.
        line: whether each has to be next to the one before it.

    Raises:
        ValueError: if there are no so many.
    """
    target = calibration.target()
    if line:
        chain = QuantumCircuit(sites)
        for site in range(sites - 1):
            chain.cz(site, site + 1)
        choice = choose_qubits(chain, target)
        if not choice.direct:
            raise ValueError(f"Argument `sites` must be the length of a line on {calibration.name}, but is {sites}.")
        return tuple(calibration.physical[qubit] for qubit in choice.qubits)
    try:
        chosen = connected_qubits(sites, ErrorMap.of(target))
    except ValueError:
        raise ValueError(
            f"Argument `sites` is {sites}, but {calibration.name} has no {sites} connected qubits that work, "
            f"out of {calibration.n_qubits}."
        ) from None
    return tuple(sorted(calibration.physical[qubit] for qubit in chosen))


# --- profiles by name ---------------------------------------------------------------------------------------------


def profile_text(name: str, *, argument: str = "profile") -> str:
    """The text of a calibration by its name: a file (`find_stored`), or a whole machine, ``FakeKingston``.

    Raises:
        ValueError: if there is neither.
    """
    if name in BUNDLED:
        return _bundled_text(name)
    return find_stored(name, FOLDER, argument=argument).read_text(encoding="utf-8")


def profile_checksum(name: str) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of a profile's text."""
    return sha256(profile_text(name).encode()).hexdigest()[:16]


def settings_of(text: str) -> dict[str, Any] | None:
    """The settings of a device that a profile holds, its name at ``use``; None for a calibration."""
    tree = tomllib.loads(text)
    return tree if "use" in tree else None


@lru_cache(maxsize=16)
def calibration_of(text: str) -> Calibration:
    """A calibration from its text, the same object for the same text."""
    return from_text(text)


@lru_cache(maxsize=4)
def _bundled_text(name: str) -> str:
    return to_text(bundled(name))


# --- reading properties ---------------------------------------------------------------------------------------------


def _gates(properties: Any, chosen: Sequence[int]) -> dict[str, dict[Qubits, GateCalibration]]:
    """All gates on the chosen qubits that work, by their places in the list."""
    place = {qubit: index for index, qubit in enumerate(chosen)}
    known = {gate.gate for gate in properties.gates}
    gates: dict[str, dict[Qubits, GateCalibration]] = {}
    for name in [name for name in GATES if name in known]:
        found: dict[Qubits, GateCalibration] = {}
        for where, entry in properties.gate_property(name).items():
            error, duration = _number(entry, "gate_error"), _number(entry, "gate_length")
            if set(where) <= place.keys() and not error >= 1:
                found[tuple(place[qubit] for qubit in where)] = GateCalibration(error, duration)
        if found:
            gates[name] = dict(sorted(found.items()))
    return gates


def _works(properties: Any, qubit: int) -> bool:
    """Whether a qubit can be read and turned at all."""
    entry = properties.qubit_property(qubit)
    wrong = sum(_number(entry, name) for name in ("prob_meas1_prep0", "prob_meas0_prep1"))
    turned = _number(properties.gate_property("sx").get((qubit,), {}), "gate_error")
    alive = all(not _number(entry, name) <= 0 for name in ("T1", "T2"))
    return alive and not wrong >= 1 and not _number(entry, "readout_error") >= 0.5 and not turned >= 1


def _family(backend: BackendV2) -> str:
    """Such as ``Heron r2``; empty where the backend does not tell."""
    kind: Any = getattr(backend, "processor_type", None) or {}
    words = [str(kind.get("family", "")), f"r{kind['revision']}" if kind.get("revision") else ""]
    return " ".join(word for word in words if word)


def _number(entry: Mapping[str, Any], name: str) -> float:
    return float(entry[name][0]) if name in entry else math.nan
