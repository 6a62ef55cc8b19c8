"""Asking a device: made ready before states are prepared for it, and bound to random streams."""

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


def make_ready(device: Device | None) -> None:
    """Lets a device that has to be reached say now what it would refuse later, before states are prepared for it.

    Most devices are here and have no ``ready``.

    Raises:
        ValueError: for what the device refuses.
    """
    ready = getattr(device, "ready", None)
    if ready is not None:
        ready()
