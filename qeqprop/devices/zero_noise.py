"""Results extrapolated to no noise at all, from circuits that were folded to have three and five times as much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated

import numpy as np
from annotated_types import Ge

from qeqprop.checks import check_fields
from qeqprop.counts import Readout, check_shots, estimate
from qeqprop.devices.profile import Profile
from qeqprop.engine.bases import needed_bases
from qeqprop.interfaces import Device, Expectations, FloatArray, Measured, Measurement
from qeqprop.placement import as_placing, folded


@dataclass(frozen=True)
class ZeroNoise:
    """Zero-noise extrapolation (Temme, Bravyi and Gambetta, Phys. Rev. Lett. 119, 180509, 2017) by folding.

    The translated circuit U runs as ``U (U^-1 U)^k`` on its qubits: the same unitary with ``2 k + 1`` times the errors
    of the gates (Giurgica-Tiron et al., IEEE QCE 2020). A polynomial of the given degree is fitted by least squares to
    the answers at all factors, and its value at zero is ``sum_f w_f O_f`` with weights that depend on the factors alone
    (degree = number of factors - 1 is Richardson's), and its variance ``sum_f w_f^2 Var[O_f]``, which is larger than
    without: 1.5 times for factors (1, 3, 5) and degree 1, at three times the shots.

    Errors that commute with their gate, such as depolarisation, are multiplied exactly to first order, so what is left
    is of second order: half the noise leaves a quarter. A higher degree makes it smaller but not of third order, since
    the inverse exchanges the order of two errors. Relaxation does not commute, and a small part of it stays. Errors of
    the readout are not multiplied and stay: wrap ``ZeroNoise(ReadoutMitigated(device))``.

    Attributes:
        device: a device that places circuits.
        factors: odd whole numbers, different, the first 1.
        degree: of the polynomial.

    Raises:
        ValueError: for other factors, too high a degree, or a device that does not place circuits.
    """

    device: Device = field(default_factory=Profile)
    factors: tuple[int, ...] = (1, 3, 5)
    degree: Annotated[int, Ge(1)] = 1

    def __post_init__(self) -> None:
        check_fields(self)
        as_placing(self.device)
        odd = all(float(factor) == int(factor) and factor % 2 == 1 for factor in self.factors)
        if len(self.factors) < 2 or not odd or list(self.factors) != sorted({*self.factors, 1}):
            raise ValueError(
                f"Argument `factors` must be odd numbers from 1 upwards, at least two, but is {self.factors}."
            )
        if self.degree >= len(self.factors):
            raise ValueError(
                f"Argument `degree` must be below the number of factors, {len(self.factors)}, but is {self.degree}."
            )

    @property
    def name(self) -> str:
        factors = ", ".join(map(str, self.factors))
        return f"{self.device.name}, extrapolated to no noise from {factors} times by degree {self.degree}"

    @property
    def reads_states(self) -> bool:
        return False

    def run(self, measurement: Measurement, *, shots: int | None, key: tuple[int, ...]) -> Measured:
        """See `interfaces.Device`; the shots are those of each factor. The canary is that of the unfolded circuit."""
        device = as_placing(self.device)
        number = check_shots(device.shots if shots is None else shots, 1)[0]
        bases = needed_bases(measurement.strings, measurement.weights)
        if not bases or not measurement.rows:
            return device.run(measurement, shots=number, key=key)
        placed = device.place(measurement.circuit)
        asked = Readout(measurement.parameters, bases, number, key)
        readings = [
            device.read_placed(folded(placed, factor), replace(asked, key=(*key, factor), canary=factor == 1))
            for factor in self.factors
        ]
        answers = [estimate(each, measurement) for each in readings]
        weights = extrapolation(self.factors, self.degree)
        values = np.tensordot(weights, [answer.values for answer in answers], axes=1)
        variances = np.tensordot(weights**2, [answer.std_errors**2 for answer in answers], axes=1)
        shots_spent = sum(each.shots for each in readings)
        return Measured(Expectations(values, np.sqrt(variances)), shots_spent, readings[0].canary)


def extrapolation(factors: Sequence[int], degree: int) -> FloatArray:
    """The weights (n_factors,) of the answers: the least-squares polynomial through them, at zero."""
    powers = np.vander(np.asarray(factors, dtype=np.float64), degree + 1, increasing=True)
    return np.linalg.pinv(powers)[0]
