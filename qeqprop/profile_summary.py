"""Profiles in a few numbers: which there are, and what their machines are worth."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from qeqprop.calibration import Calibration, from_text
from qeqprop.interfaces import FloatArray
from qeqprop.snapshots import FOLDER, settings_of
from qeqprop.stored_files import find_stored, stored_names

TWO_QUBIT_GATES = ("cz", "ecr", "cx", "rzz")


class Summary(NamedTuple):
    """One profile in a line.

    Attributes:
        name: of the file.
        family: of the processor; for settings of a device what they choose.
        qubits: how many; empty for settings.
        date: of the calibration.
        errors: mean errors of the two-qubit gate, of sx and of the readout; empty for settings.
    """

    name: str
    family: str
    qubits: str = ""
    date: str = ""
    errors: tuple[float, ...] = ()


def summaries() -> list[Summary]:
    """Every profile that can be found from here, by name."""
    return [_summary(name) for name in stored_names(FOLDER) if name.endswith(".toml")]


def table(rows: Iterable[Summary]) -> Iterator[str]:
    """Lines with aligned columns."""
    yield f"{'profile':<20} {'family':<24} {'qubits':>6}  {'date':<10}  {'2-qubit':>9} {'sx':>9} {'readout':>9}"
    for row in rows:
        errors = "".join(f" {error:>9.2e}" for error in row.errors)
        yield f"{row.name:<20} {row.family:<24} {row.qubits:>6}  {row.date:<10} {errors}".rstrip()


def numbers(calibration: Calibration) -> dict[str, Any]:
    """A calibration in a few numbers: medians and means over its qubits and pairs."""
    rows: dict[str, Any] = {
        "machine": calibration.name,
        "family": calibration.family or "unknown",
        "date": calibration.date,
        "source": calibration.source,
        "qubits": f"{calibration.n_qubits}: {_short(calibration.physical)}",
        "pairs": len({tuple(sorted(pair)) for name in TWO_QUBIT_GATES for pair in calibration.gates.get(name, {})}),
        "T1": _spread(calibration.t1 * 1e6, "us"),
        "T2": _spread(calibration.t2 * 1e6, "us"),
        "reads 1 of 0": _spread(calibration.readout[:, 0]),
        "reads 0 of 1": _spread(calibration.readout[:, 1]),
    }
    for name in ("sx", *TWO_QUBIT_GATES):
        if calibration.gates.get(name):
            rows[f"error of {name}"] = _spread(gate_errors(calibration, name))
    return rows


def qubit_lines(calibration: Calibration, *, most: int = 20) -> Iterator[str]:
    """One line for each qubit with its neighbours, for machines of at most so many qubits."""
    if calibration.n_qubits > most:
        yield f"({calibration.n_qubits} qubits; the picture shows each of them)"
        return
    yield f"{'qubit':>5}  {'on chip':>7}  {'T1 us':>7}  {'T2 us':>7}  {'1 of 0':>7}  {'0 of 1':>7}  {'sx':>8}  pairs"
    for qubit, on_chip in enumerate(calibration.physical):
        sx = calibration.gates.get("sx", {}).get((qubit,))
        pairs = ", ".join(f"{other}: {error:.1e}" for other, error in _pairs(calibration, qubit))
        yield (
            f"{qubit:>5}  {on_chip:>7}  {calibration.t1[qubit] * 1e6:>7.0f}  {calibration.t2[qubit] * 1e6:>7.0f}  "
            f"{calibration.readout[qubit, 0]:>7.4f}  {calibration.readout[qubit, 1]:>7.4f}  "
            f"{np.nan if sx is None else sx.error:>8.1e}  {pairs}"
        )


def gate_errors(calibration: Calibration, name: str) -> FloatArray:
    """The errors of a gate, wherever it is calibrated."""
    return np.array([entry.error for entry in calibration.gates.get(name, {}).values()], dtype=np.float64)


def _summary(name: str) -> Summary:
    text = find_stored(name, FOLDER).read_text(encoding="utf-8")
    try:
        settings = settings_of(text)
        if settings is not None:
            chosen = [str(settings["use"]), *(str(settings[key]) for key in ("machine",) if key in settings)]
            return Summary(name, " ".join(chosen))
        calibration = from_text(text)
    except (ValueError, KeyError) as error:
        return Summary(name, f"cannot be read: {error}")
    fixed = next((gate for gate in TWO_QUBIT_GATES if calibration.gates.get(gate)), "")
    errors = (gate_errors(calibration, fixed), gate_errors(calibration, "sx"), calibration.readout)
    means = tuple(float(np.nanmean(each)) if each.size else np.nan for each in errors)
    return Summary(name, calibration.family, str(calibration.n_qubits), calibration.date[:10], means)


def _pairs(calibration: Calibration, qubit: int) -> Iterator[tuple[int, float]]:
    table: Mapping[tuple[int, ...], Any] = next(
        (calibration.gates[name] for name in TWO_QUBIT_GATES if calibration.gates.get(name)), {}
    )
    found = {other: entry.error for pair, entry in table.items() if qubit in pair for other in pair if other != qubit}
    yield from sorted(found.items())


def _spread(values: FloatArray, unit: str = "") -> str:
    """``median 0.0012, mean 0.0034, worst 0.01``; the worst of a time is the shortest."""
    known = values[np.isfinite(values)]
    if not known.size:
        return "not measured"
    worst = np.min(known) if unit else np.max(known)
    return f"median {np.median(known):.3g}, mean {np.mean(known):.3g}, worst {worst:.3g} {unit}".rstrip()


def _short(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[:20])) + (", ..." if len(numbers) > 20 else "")
