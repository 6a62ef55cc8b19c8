"""Readout errors taken out of the samples: what a bit is worth follows from how often it is read wrongly."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated

import numpy as np
from annotated_types import Ge
from qiskit.circuit import QuantumCircuit
from qiskit.quantum_info import PauliList

from qeqprop.checks import check_fields
from qeqprop.counts import Readings, Readout, run_by_reading
from qeqprop.devices.profile import Profile
from qeqprop.engine.bases import measurement_bases
from qeqprop.interfaces import Device, FloatArray, IntArray, Measured, Measurement
from qeqprop.placement import Placed, as_placing, prepared, read_by_placing

_LEAST = 0.1
"""Below this ``1 - a - b`` a readout tells so little of the bit that its inverse is all noise."""


@dataclass(frozen=True)
class ReadoutMitigated:
    """Takes the readout errors of a device out, bit by bit.

    A site reads 1 where it was 0 with probability a, and 0 where it was 1 with probability b. The worth of a bit is
    then not +1 and -1 but ``v(0) = (1 + a - b) / (1 - a - b)`` and ``v(1) = -(1 - a + b) / (1 - a - b)``, whose mean
    over the errors is the true +1 or -1. A string is worth the product over its sites: the inverse of the tensor
    product of all confusion matrices (Bravyi et al., Phys. Rev. A 103, 042605, 2021), on the sites that it reads only.
    Since every shot has its worth, means are unbiased and standard errors hold all covariances, and their growth by
    mitigation. Not in it: errors of the readout that depend on the other sites.

    a and b are measured in every job, on the qubits of the circuit, by as many shots in all zeros and in all ones; they
    are counted. The noise of a and b themselves is common to all rows and not in the standard errors: relative to the
    variance of a single site it is about ``(a + b) shots / calibration_shots``, two per mille by default.

    Attributes:
        device: a device that places circuits.
        calibration_shots: of each of the two prepared states.

    Raises:
        ValueError: if the device does not sample, or has its readout mitigated already.
        RuntimeError: if a site is read wrongly so often that nothing can be made of it.
    """

    device: Device = field(default_factory=Profile)
    calibration_shots: Annotated[int, Ge(2)] = 10_000

    def __post_init__(self) -> None:
        check_fields(self)
        as_placing(self.device)
        if isinstance(self.device, ReadoutMitigated):
            raise ValueError(
                f"Argument `device` must not have its readout mitigated already, but is {self.device.name}."
            )

    @property
    def name(self) -> str:
        return f"{self.device.name}, readout mitigated"

    @property
    def shots(self) -> int | None:
        """Those of the device."""
        return as_placing(self.device).shots

    @property
    def reads_states(self) -> bool:
        return False

    def run(self, measurement: Measurement, *, shots: int | None, key: tuple[int, ...]) -> Measured:
        """See `interfaces.Device`."""
        return run_by_reading(self, measurement, shots=shots, key=key)

    def read(self, circuit: QuantumCircuit, readout: Readout) -> Readings:
        """See `counts.SamplingDevice`."""
        return read_by_placing(self, circuit, readout)

    def place(self, circuit: QuantumCircuit) -> Placed:
        """See `placement.PlacingDevice`."""
        return as_placing(self.device).place(circuit)

    def read_placed(self, placed: Placed, readout: Readout) -> Readings:
        """See `placement.PlacingDevice`; the canary stays as it was read."""
        device, n_sites, key = as_placing(self.device), len(placed.sites), readout.key
        readings = device.read_placed(placed, replace(readout, key=(*key, 1)))
        in_z = measurement_bases(PauliList(["Z" * n_sites]))
        flipped = np.zeros((n_sites, 2))
        for bit in (0, 1):
            alone = Readout(np.zeros((1, 0)), in_z, self.calibration_shots, (*key, 2 + bit), canary=False)
            read = device.read_placed(prepared(placed, bit), alone)
            flipped[:, bit] = np.mean(_bits(read.outcomes[0][0], n_sites) != bit, axis=1)
        spent = readings.extra_shots + 2 * self.calibration_shots
        return replace(readings, site_values=site_values(flipped), extra_shots=spent)


def site_values(flipped: FloatArray) -> FloatArray:
    """What the bits of each site are worth, (n_sites, 2), from how often 0 and 1 are read as the other, (n_sites, 2).

    Raises:
        RuntimeError: if that is about as often as not.
    """
    a, b = flipped.T
    told = 1.0 - a - b
    if np.any(told < _LEAST):
        site = int(np.argmin(told))
        raise RuntimeError(
            f"Site {site} is read wrongly too often for its errors to be taken out: 1 for 0 in {a[site]:.1%} of the "
            f"shots, 0 for 1 in {b[site]:.1%}."
        )
    return np.stack([(1 + a - b) / told, -(1 - a + b) / told], axis=1)


def _bits(outcomes: IntArray, n_sites: int) -> IntArray:
    """(n_sites, shots) of basis indices."""
    return outcomes >> np.arange(n_sites)[:, None] & 1
