"""Asking a device: a device bound to random streams, and the device that stands in where none is given."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

from qeqprop.interfaces import Device, Measured, Measurement


@dataclass(frozen=True)
class BoundMeasure:
    """`Measure` for one device and key; every call is one job and has random streams of its own.

    Attributes:
        device: where the circuits run.
        key: names the random streams, such as (seed, step).
        calls: counts the calls.
    """

    device: Device
    key: tuple[int, ...] = ()
    calls: Iterator[int] = field(default_factory=count)

    def __call__(self, measurement: Measurement, *, shots: int | None = None) -> Measured:
        """See `interfaces.Measure`."""
        return self.device.run(measurement, shots=shots, key=(*self.key, next(self.calls)))
