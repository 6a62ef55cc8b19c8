"""What the noise of a machine does to a training: the same run with and without it, and what the canary says of it.

The canary of a job is its circuit and the inverse, ideally back at zero: the mean Z of all sites, c. Let every site
keep the factor p of its signal through the circuit, and the readout the factor r. Then ``c = r p^2``, and the output of
one site is damped by ``r p``, which lies between ``c`` and ``sqrt(c)`` since both are at most one; an output of w sites
between ``c^w`` and ``c^(w/2)``. So the canary bounds what the noise does to the outputs, without knowing them. Errors
that prefer one bit add a constant, which damps nothing: it is fitted and left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from qeqprop.assembly import Setup
from qeqprop.devices.statevector import Statevector
from qeqprop.interfaces import Canary, Device, FloatArray, Measured, Measurement, Network
from qeqprop.propagation import measure_outputs
from qeqprop.training import TrainingState

ROWS = 64
"""Samples that the damping is found from, at most."""


@dataclass(frozen=True, eq=False)
class Listening:
    """A device whose canaries are kept.

    Attributes:
        device: that runs the jobs.
        canaries: of all jobs so far.
    """

    device: Device
    canaries: list[Canary] = field(default_factory=list[Canary])

    @property
    def name(self) -> str:
        return self.device.name

    @property
    def reads_states(self) -> bool:
        return self.device.reads_states

    def run(self, measurement: Measurement, *, shots: int | None, key: tuple[int, ...]) -> Measured:
        """See `interfaces.Device`."""
        answer = self.device.run(measurement, shots=shots, key=key)
        if answer.canary is not None:
            self.canaries.append(answer.canary)
        return answer


class Pair(NamedTuple):
    """The same step of both runs.

    Attributes:
        noisy: with the noise of the machine.
        ideal: with as many shots and no noise.
        cosine: between both gradients; the parameters differ after the first step.
        canary: mean of this step's canaries; nan where the device has none.
    """

    noisy: TrainingState
    ideal: TrainingState
    cosine: float
    canary: float


class Damping(NamedTuple):
    """How much of the outputs a machine lets through, and what its canary says of that.

    Attributes:
        factor: slope of the noisy outputs on the exact ones, each output with a constant of its own.
        error: its standard error.
        canary: the mean of the canaries.
        low, high: where the factor has to be by the canary.
    """

    factor: float
    error: float
    canary: float
    low: float
    high: float

    @property
    def told(self) -> bool:
        """Whether the outputs differ enough to tell the factor to a tenth."""
        return bool(self.error < 0.1)

    @property
    def expected(self) -> bool:
        """Whether the factor is where the canary says, within three standard errors."""
        return self.low - 3 * self.error <= self.factor <= self.high + 3 * self.error


def side_by_side(setup: Setup, device: Device, *, shots: int, steps: int) -> Iterator[Pair]:
    """Trains twice, step by step: on a noisy device, and with the same shots and seed without noise.

    Args:
        setup: what a run file says; its own device does not matter.
        device: the noisy one.
        shots: of the ideal one, for each row and basis.
        steps: of both.
    """
    heard = Listening(device)
    plan = replace(setup.plan, steps=steps, validate_every=steps)
    noisy, ideal = (setup.train(one, shorter=plan) for one in (heard, Statevector(shots=shots)))
    known = 0
    for with_noise, without in zip(noisy, ideal, strict=True):
        values = [canary.value for canary in heard.canaries[known:]]
        known = len(heard.canaries)
        yield Pair(with_noise, without, _cosine(with_noise, without), float(np.mean(values)) if values else np.nan)


def damping(setup: Setup, device: Device, theta: FloatArray) -> Damping:
    """What a noisy device makes of the outputs at parameters theta (n_trainable,), beside the exact ones.

    Raises:
        ValueError: for a network that runs on no device.
    """
    if not isinstance(setup.network, Network):
        raise ValueError(f"Argument `setup` must have a quantum network, but has {type(setup.network).__name__}.")
    heard, x = Listening(device), setup.data.train.x[:ROWS]
    noisy, exact = (
        measure_outputs(setup.network, theta, x, solver=setup.solver, device=one, seed=setup.seed)[0]
        for one in (heard, Statevector())
    )
    canary = float(np.mean([one.value for one in heard.canaries])) if heard.canaries else np.nan
    factor, error = slope(np.real(exact.values), np.real(noisy.values), noisy.std_errors)
    fewest, most = _widths(setup.network)
    kept = min(max(canary, 0.0), 1.0)
    return Damping(factor, error, canary, kept**most, kept ** (fewest / 2))


def slope(exact: FloatArray, noisy: FloatArray, std_errors: FloatArray) -> tuple[float, float]:
    """The common slope of columns on columns, each with a constant of its own, and its standard error.

    Args:
        exact: (rows, n_outputs).
        noisy: (rows, n_outputs).
        std_errors: (rows, n_outputs) of ``noisy``.
    """
    apart = exact - np.mean(exact, axis=0)
    square = float(np.sum(apart**2))
    if square <= 0.0:
        return float("nan"), float("inf")
    return float(np.sum(apart * noisy)) / square, float(np.sqrt(np.sum((apart * std_errors) ** 2))) / square


def _cosine(first: TrainingState, second: TrainingState) -> float:
    if first.gradient is None or second.gradient is None:
        return float("nan")
    a, b = first.gradient.values, second.gradient.values
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / lengths if lengths else float("nan")


def _widths(network: Network) -> tuple[int, int]:
    """The fewest and the most sites that a string of an output acts on, the identity aside."""
    sizes = np.sum(network.strings.x | network.strings.z, axis=1)
    used = sizes[np.any(network.outputs != 0, axis=0) & (sizes > 0)]
    return int(np.min(used, initial=len(network.strings.z[0]))), int(np.max(used, initial=1))
