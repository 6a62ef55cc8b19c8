"""From bits to numbers: outcomes read in a few bases, and the expectation values with errors that they give.

An observable ``O = sum_s w_s P_s`` is estimated basis by basis. A shot with the bits b in basis B is worth
``V_B(b) = sum_{s read in B} w_s prod_{k in s} v_k(b_k)``, with ``v_k = +1`` for bit 0 and -1 for bit 1 (or what a
mitigated readout puts in their place). Then::

    O = sum_B mean[V_B],    error^2 = sum_B Var[V_B] / M_B

with the unbiased sample variance of M_B shots. Since V_B is the whole part of O that one shot shows, all covariances
of strings read from the same shots are in it. The error is exactly zero where all outcomes agree, as in an eigenstate.
A string that fits several bases is read in one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
from qiskit.circuit import QuantumCircuit

from qeqprop.checks import finite_array
from qeqprop.engine.bases import MeasurementBasis, needed_bases
from qeqprop.engine.circuits import is_whole
from qeqprop.interfaces import Canary, Device, Expectations, FloatArray, IntArray, Measured, Measurement

MAX_SITES = 62
"""Outcomes are 64-bit whole numbers."""

_ROUNDING = 1e-13
"""Values of one observable that differ by less than this part of the sum of weights are the same value."""


@dataclass(frozen=True, eq=False)
class Readings:
    """What was read: for each basis the outcomes of all rows.

    Attributes:
        bases: the settings.
        outcomes: for each basis (rows, shots) basis indices; bit k is site k, bit 1 means the eigenvalue -1 there.
        canary: of a noisy device.
        extra_shots: spent on what is not in ``outcomes``: the canary, a calibration of the readout.
        site_values: (n_sites, 2) what bit 0 and bit 1 of each site are worth; +1 and -1 where None. A mitigated
            readout has others, whose mean over its errors is the true +1 or -1.
    """

    bases: Sequence[MeasurementBasis]
    outcomes: Sequence[IntArray]
    canary: Canary | None = None
    extra_shots: int = 0
    site_values: FloatArray | None = None

    @property
    def shots(self) -> int:
        """Projective measurements spent, over all rows and bases, and beside them."""
        return sum(outcomes.size for outcomes in self.outcomes) + self.extra_shots


@dataclass(frozen=True, eq=False)
class Readout:
    """What is to be read from a circuit: every row in every basis.

    Attributes:
        parameters: (rows, n_parameters) in the order of the parameters of the circuit.
        bases: the settings.
        shots: for each row; one number, or one for each basis.
        key: names the random streams; every row and basis has one of its own.
        canary: whether a noisy device adds its canary.

    Raises:
        ValueError: for parameters that are not finite, and shots that cannot be taken.
    """

    parameters: FloatArray
    bases: Sequence[MeasurementBasis]
    shots: int | Sequence[int]
    key: tuple[int, ...]
    canary: bool = True

    def __post_init__(self) -> None:
        finite_array("parameters", self.parameters, "(rows, n_parameters)", (None, None))
        check_shots(self.shots, len(self.bases))

    @property
    def shots_by_basis(self) -> list[int]:
        """The shots of each row, (n_bases,)."""
        return check_shots(self.shots, len(self.bases))


class SamplingDevice(Device, Protocol):
    """A device that gives single outcomes, so that others may wrap it: mitigation, allocation, extrapolation."""

    @property
    def shots(self) -> int | None:
        """Its own number of shots for each row and basis; None where every call has to say it."""
        ...

    def read(self, circuit: QuantumCircuit, readout: Readout) -> Readings:
        """Measures a circuit without measurements: every row in every basis."""
        ...


def as_sampling(device: Device) -> SamplingDevice:
    """The device, if it gives single outcomes; else a `ValueError`."""
    if not hasattr(device, "read"):
        name = getattr(device, "name", repr(device))
        raise ValueError(
            f"Argument `device` must be a device that samples, such as Aer(), but is {name}.{advice_for(device)}"
        )
    return cast(SamplingDevice, device)


def advice_for(device: Device) -> str:
    """What to do instead of wrapping a device whose jobs are paid; nothing for others."""
    if not hasattr(device, "post"):
        return ""
    return (
        " Its jobs are written down one by one, which a wrapper does not do. What it has itself: an estimator with "
        "resilience_level = 1 (readout errors, TREX) or 2 (zero-noise extrapolation too); or more shots."
    )


def run_by_reading(
    device: SamplingDevice, measurement: Measurement, *, shots: int | None, key: tuple[int, ...]
) -> Measured:
    """`Device.run` of a device that samples: as few bases as the strings need, read and estimated."""
    bases = needed_bases(measurement.strings, measurement.weights)
    number = check_shots(device.shots if shots is None else shots, 1)[0]
    if not bases or not measurement.rows:
        return Measured(estimate(Readings((), ()), measurement), 0)
    readings = device.read(measurement.circuit, Readout(measurement.parameters, bases, number, key))
    return Measured(estimate(readings, measurement), readings.shots, readings.canary)


def check_shots(shots: int | Sequence[int] | None, n_bases: int) -> list[int]:
    """The shots of each basis: whole numbers of at least two, since one shot has no error bar; else `ValueError`."""
    numbers: list[Any] = list(shots) if isinstance(shots, Sequence) else [shots] * n_bases
    if len(numbers) != n_bases:
        raise ValueError(f"Argument `shots` must be one number or {n_bases}, one for each basis, but is {shots!r}.")
    for number in numbers:
        if not is_whole(number, 2):
            raise ValueError(f"Argument `shots` must be an integer at least 2, but is {number!r}.")
    return [int(number) for number in numbers]


def stream(key: tuple[int, ...], *place: int) -> np.random.SeedSequence:
    """The random stream of one place in a job, such as a row and a basis: a function of the key alone."""
    return np.random.SeedSequence(entropy=list(key), spawn_key=place)


# --- estimates --------------------------------------------------------------------------------------------------


def estimate(readings: Readings, measurement: Measurement) -> Expectations:
    """The observables of a measurement (rows, n_observables) from what was read."""
    means, variances = contributions(readings, measurement)
    identity = ~np.any(measurement.strings.x | measurement.strings.z, axis=1)
    constant = np.sum(measurement.weights[:, :, identity], axis=2)
    shots = np.array([outcomes.shape[1] for outcomes in readings.outcomes], dtype=np.float64)
    squares = np.sum(variances / shots[:, None, None], axis=0)
    return Expectations(constant + np.sum(means, axis=0), np.sqrt(squares))


def contributions(readings: Readings, measurement: Measurement) -> tuple[FloatArray, FloatArray]:
    """Mean and variance of one shot's worth, ``mean[V_B]`` and ``Var[V_B]``, (n_bases, rows, n_observables)."""
    weights = measurement.weights
    shape = (len(readings.bases), measurement.rows, weights.shape[1])
    means, variances = np.zeros(shape), np.zeros(shape)
    for position, (basis, outcomes) in enumerate(zip(readings.bases, readings.outcomes, strict=True)):
        for row, drawn in enumerate(outcomes):
            found, counts = np.unique(drawn, return_counts=True)
            read = weights[row % len(weights)][:, basis.indices]
            means[position, row], variances[position, row] = moments(
                read, basis.masks, found, counts, readings.site_values
            )
    return means, variances


def moments(
    weights: FloatArray, masks: IntArray, outcomes: IntArray, counts: IntArray, site_values: FloatArray | None = None
) -> tuple[FloatArray, FloatArray]:
    """Mean and unbiased variance (n_observables,) of one shot's worth.

    Args:
        weights: (n_observables, n_read) of the strings read in this basis.
        masks: (n_read,) the sites whose bits are multiplied.
        outcomes: (n_outcomes,) different basis indices.
        counts: (n_outcomes,) how often each was seen, at least two together.
        site_values: see `Readings`.
    """
    shots = int(np.sum(counts))
    worth = weights @ _products(masks, outcomes, site_values)
    apart = worth - worth[:, :1]
    apart[np.abs(apart) <= _ROUNDING * np.sum(np.abs(weights), axis=1, keepdims=True)] = 0.0
    share = counts / shots
    mean = apart @ share
    variance = (apart - mean[:, None]) ** 2 @ share * (shots / (shots - 1))
    return worth[:, 0] + mean, variance


def _products(masks: IntArray, outcomes: IntArray, site_values: FloatArray | None) -> FloatArray:
    """``prod_{k in s} v_k(b_k)`` for every mask and outcome, (n_read, n_outcomes)."""
    if site_values is None:
        odd = np.bitwise_count(masks[:, None] & outcomes) & 1
        return 1.0 - 2.0 * odd.astype(np.float64)
    products = np.ones((len(masks), len(outcomes)))
    for site, (zero, one) in enumerate(site_values):
        read = (masks >> site & 1) == 1
        products[read] *= np.where(outcomes >> site & 1, one, zero)
    return products


def canary_of(outcomes: IntArray, num_sites: int) -> Canary:
    """The mean Z over all sites of a state that is ideally ``|0..0>``, from its outcomes (shots,): ideally 1."""
    found, counts = np.unique(outcomes, return_counts=True)
    weights = np.full((1, num_sites), 1.0 / num_sites)
    mean, variance = moments(weights, 1 << np.arange(num_sites), found, counts)
    return Canary(1.0, float(mean[0]), float(np.sqrt(variance[0] / len(outcomes))))
