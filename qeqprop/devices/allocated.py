"""Shots where they help most: a pilot measures how much each basis scatters, the rest of the shots go there."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated

import numpy as np
from annotated_types import Gt, Le

from qeqprop.checks import check_fields
from qeqprop.counts import Readout, as_sampling, check_shots, contributions, estimate, run_by_reading
from qeqprop.devices.statevector import Statevector
from qeqprop.engine.bases import needed_bases
from qeqprop.interfaces import BoolArray, Device, Expectations, FloatArray, Measured, Measurement


def _thousand_shots() -> Device:
    return Statevector(shots=1000)


@dataclass(frozen=True)
class Allocated:
    """Divides the shots of a job between its bases by their variance, the total kept.

    With M_B shots in basis B the summed squared error of all rows and observables is ``sum_B S_B / M_B``, where S_B
    sums the variances of what one shot of B is worth. At a fixed total it is smallest for ``M_B ~ sqrt(S_B)`` (Neyman,
    J. R. Stat. Soc. 97, 558, 1934). A pilot of equal shots in all bases estimates S_B, the rest is divided by it; every
    basis gets the pilot's number at least once more, in case the pilot has seen too little.

    Pilot and rest are joined as ``part pilot + (1 - part) rest`` with a weight that was fixed beforehand. Pooling their
    shots would be biased, since the pilot decides how many there are; so nothing is lost and nothing is biased.

    Attributes:
        device: a device that samples.
        pilot: part of the shots that are divided equally.
    """

    device: Device = field(default_factory=_thousand_shots)
    pilot: Annotated[float, Gt(0), Le(0.5)] = 0.1

    def __post_init__(self) -> None:
        check_fields(self)
        as_sampling(self.device)

    @property
    def name(self) -> str:
        return f"{self.device.name}, allocated by variance"

    @property
    def reads_states(self) -> bool:
        return False

    def run(self, measurement: Measurement, *, shots: int | None, key: tuple[int, ...]) -> Measured:
        """See `interfaces.Device`; the shots are those of each row and basis on average."""
        device = as_sampling(self.device)
        number = check_shots(device.shots if shots is None else shots, 1)[0]
        bases = needed_bases(measurement.strings, measurement.weights)
        first = max(2, round(self.pilot * number))
        if len(bases) < 2 or number < 2 * first or not measurement.rows:  # nothing to divide
            return run_by_reading(device, measurement, shots=number, key=key)
        circuit = measurement.circuit
        few = Readout(measurement.parameters, bases, first, (*key, 0))
        pilot = device.read(circuit, few)
        spread = np.sqrt(np.sum(contributions(pilot, measurement)[1], axis=(1, 2)))
        numbers = divide(spread, (number - first) * len(bases), first)
        rest = device.read(circuit, replace(few, shots=numbers, key=(*key, 1)))
        part = first / number
        early, late = estimate(pilot, measurement), estimate(rest, measurement)
        joined = Expectations(
            part * early.values + (1 - part) * late.values,
            np.hypot(part * early.std_errors, (1 - part) * late.std_errors),
        )
        return Measured(joined, pilot.shots + rest.shots, rest.canary)


def divide(spread: FloatArray, total: int, least: int) -> list[int]:
    """Whole numbers of a sum, in proportion to the spread (n_bases,) but none below the least."""
    shares = np.full(len(spread), float(least))
    free: BoolArray = np.ones(len(spread), dtype=bool)
    while np.any(free):
        left = total - least * np.sum(~free)
        weights = spread[free] if np.any(spread[free]) else np.ones(int(np.sum(free)))
        wanted = left * weights / np.sum(weights)
        if np.all(wanted >= least):
            shares[free] = wanted
            break
        free[np.flatnonzero(free)[wanted < least]] = False
    numbers = np.floor(shares).astype(np.int64)
    order = np.argsort(numbers - shares, kind="stable")
    numbers[order[: total - int(np.sum(numbers))]] += 1
    return numbers.tolist()
