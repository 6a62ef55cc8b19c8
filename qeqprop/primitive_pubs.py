"""What is asked of primitives, one PUB for all rows, and what the answers of an estimator say; a canary comes last.

A sampler is asked for the bits of every basis. An estimator is asked for every string once, and the observables are put
together by us: errors of strings that are read from the same shots are added without regard to their signs, since an
estimator does not tell their covariances. That is a safe bound.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from qeqprop.counts import Readout
from qeqprop.engine.bases import MeasurementBasis, needed_bases
from qeqprop.interfaces import Canary, Expectations, FloatArray, IntArray, Measured, Measurement
from qeqprop.placement import Placed, mirrored, there_and_back, with_measurement


def sampler_pubs(placed: Placed, readout: Readout) -> list[tuple[Any, ...]]:
    """PUBs for every basis, one for each row where there is nothing to broadcast; the last one is the canary."""
    numbers, values = readout.shots_by_basis, placed.values(readout.parameters)
    pubs: list[tuple[Any, ...]] = []
    for basis, number in zip(readout.bases, numbers, strict=True):
        pubs += _broadcast(with_measurement(placed, basis.letters), values, number)
    return pubs + (_broadcast(mirrored(placed), values[:1], max(numbers)) if readout.canary else [])


def outcomes_of(table: Any) -> IntArray:
    """Basis indices (rows, shots) from the bytes (.., shots, n_bytes) of a register, the highest byte first."""
    wide = np.asarray(table, dtype=np.int64)
    places = 1 << (8 * np.arange(wide.shape[-1] - 1, -1, -1, dtype=np.int64))
    outcomes: IntArray = wide @ places
    return outcomes.reshape(-1, outcomes.shape[-1])


class Strings(NamedTuple):
    """The strings that have to be estimated.

    Attributes:
        bases: in which they can be read.
        indices: (n_read,) their places among the strings of the measurement, basis by basis.
    """

    bases: list[MeasurementBasis]
    indices: Any

    @classmethod
    def of(cls, measurement: Measurement) -> Strings:
        bases = needed_bases(measurement.strings, measurement.weights)
        found = [basis.indices for basis in bases]
        return cls(bases, np.concatenate(found) if found else np.zeros(0, dtype=np.int64))


def estimator_pubs(measurement: Measurement, placed: Placed, precision: float) -> list[Any]:
    """PUBs for all rows, one for each row where there is nothing to broadcast; the last one is the canary."""
    values, width = placed.values(measurement.parameters), placed.circuit.num_qubits
    labels = [str(label) for label in measurement.strings.to_labels()]
    observables = [_on_qubits(labels[int(index)], placed.sites, width) for index in Strings.of(measurement).indices]
    every_z = [_on_qubits(label, placed.sites, width) for label in _single_z(len(placed.sites))]
    canary = there_and_back(placed)
    return [
        *_points(placed.circuit, observables, values, precision),
        *_points(canary, every_z, values[:1], precision),
    ]


def constants(measurement: Measurement) -> FloatArray:
    """What the identity contributes to every observable, (rows, n_observables)."""
    identity = ~np.any(measurement.strings.x | measurement.strings.z, axis=1)
    weights = measurement.weights
    return np.broadcast_to(np.sum(weights[:, :, identity], axis=2), (measurement.rows, weights.shape[1])).copy()


def put_together(
    measurement: Measurement,
    found: tuple[FloatArray, FloatArray],
    alive: tuple[FloatArray, FloatArray],
    shots: int,
) -> Measured:
    """The observables from the strings.

    Args:
        measurement: what was asked.
        found: values and errors (rows, n_read) of the strings.
        alive: those (1, n_sites) of the canary.
        shots: of each row and basis.
    """
    (means, errors), weights = found, measurement.weights
    bases, indices = Strings.of(measurement)
    value = constants(measurement) + np.einsum("bos,bs->bo", weights[:, :, indices], means)
    squares, begin = np.zeros_like(value), 0
    for basis in bases:
        part = slice(begin, begin + len(basis.indices))
        squares += np.einsum("bos,bs->bo", np.abs(weights[:, :, basis.indices]), errors[:, part]) ** 2
        begin = part.stop
    canary = Canary(1.0, float(np.mean(alive[0])), float(np.mean(alive[1])))
    spent = shots * (measurement.rows * len(bases) + 1)
    return Measured(Expectations(value, np.sqrt(squares)), spent, canary)


def _broadcast(circuit: Any, values: FloatArray, shots: int) -> list[tuple[Any, ...]]:
    return [(circuit, values, shots)] if circuit.num_parameters else [(circuit, None, shots)] * len(values)


def _points(circuit: Any, observables: list[str], values: FloatArray, precision: float) -> list[Any]:
    if circuit.num_parameters:
        return [(circuit, observables, values[:, None, :], precision)]
    return [(circuit, observables, None, precision)] * len(values)


def _single_z(sites: int) -> list[str]:
    return ["I" * (sites - 1 - site) + "Z" + "I" * site for site in range(sites)]


def _on_qubits(label: str, sites: tuple[int, ...], width: int) -> str:
    """A label of the sites as one of the machine's qubits."""
    letters = ["I"] * width
    for letter, qubit in zip(reversed(label), sites, strict=True):
        letters[qubit] = letter
    return "".join(reversed(letters))
