"""What one gradient would cost in measurements, found by letting a rule ask for states that nobody settles."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil
from typing import NamedTuple

import numpy as np

from qeqprop.engine.bases import needed_bases
from qeqprop.interfaces import (
    AnyNetwork,
    Certificate,
    Expectations,
    FloatArray,
    LearningRule,
    Loss,
    Network,
    NumberArray,
    Settled,
    Start,
    Want,
)


class Asked(NamedTuple):
    """One call of a rule: how many nudges, what it wants of them, whether they are complex, and how precisely."""

    n_nudges: int
    want: Want
    complex: bool
    precision: float | None

    @property
    def measurable(self) -> bool:
        return Want.RESPONSE not in self.want and not self.complex


class Demands(NamedTuple):
    """What a rule asks of a solver beyond measuring states."""

    response: bool
    complex: bool


class StepCost(NamedTuple):
    """What one gradient of a batch runs: circuits (one for each sample, nudge and basis), shots if known, and jobs."""

    circuits: int
    shots: int | None
    jobs: int = 1


@dataclass(frozen=True)
class RecordingSettle:
    """A `Settle` that answers zeros at once and remembers what it was asked."""

    network: AnyNetwork
    batch: int
    asked: list[Asked] = field(default_factory=list[Asked])

    @property
    def n_outputs(self) -> int:
        return self.network.n_outputs

    def __call__(
        self, nudges: NumberArray, *, want: Want, precision: float | None = None, start: Start | None = None
    ) -> Settled:
        """See `interfaces.Settle`."""
        n_nudges = len(nudges)
        self.asked.append(Asked(n_nudges, want, np.iscomplexobj(nudges), precision))

        def zeros(flag: Want, length: int) -> Expectations | None:
            return Expectations.exact(np.zeros((n_nudges, self.batch, length))) if flag in want else None

        number, none = np.zeros((n_nudges, self.batch)), np.zeros((n_nudges, self.batch), dtype=np.int64)
        return Settled(
            outputs=zeros(Want.OUTPUTS, self.n_outputs),
            energy_gradient=zeros(Want.ENERGY_GRADIENT, self.network.n_trainable),
            response=zeros(Want.RESPONSE, self.network.n_trainable),
            certificate=Certificate(
                residual=number,
                gap_below=number + np.inf,
                gap_above=number + 1.0,
                degeneracy=none + 1,
                level=none,
                overlap=number + 1.0,
                nudge_coupling=number,
                trainable_coupling=number,
                converged=none == 0,
            ),
            start=Start({}),
            shots=0,
            covariances=np.zeros((n_nudges, self.batch, self.n_outputs, self.n_outputs)),
        )


def settings_per_gradient(network: Network, rule: LearningRule, loss: Loss, targets: FloatArray) -> int | None:
    """(measurement bases) x (states) for the gradient of one sample, whatever the number of terms.

    All terms that commute site by site are read in one basis; for an Ising network there are two, all X and all Z.

    Args:
        network: the network.
        rule: the rule that asks.
        loss: the loss.
        targets: (batch, n_targets) of one batch.

    Returns:
        None for a rule that asks for a response, which is computed and not measured, or one that does not take the
        answer zero.
    """
    settling = network.with_squares() if loss.squares else network
    asked = _asked(settling, rule, loss, targets)
    if asked is None or not all(call.measurable for call in asked):
        return None
    return sum(call.n_nudges * _bases(settling, call.want) for call in asked)


def shift_settings(network: Network) -> int:
    """The settings for one sample by the parameter-shift rule, for a circuit with as many angles as the network has.

    Two shifted circuits for each angle and the circuit itself, read in the bases of the outputs.
    """
    return (1 + 2 * network.n_trainable) * _bases(network, Want.OUTPUTS)


def step_cost(
    network: Network, rule: LearningRule, loss: Loss, targets: FloatArray, shots: int | None
) -> StepCost | None:
    """What the gradient of one batch runs, the search of a variational solver not counted.

    Args:
        network, rule, loss, targets: as for `settings_per_gradient`.
        shots: of a call that names no precision; None where not known.
    """
    settling = network.with_squares() if loss.squares else network
    asked = _asked(settling, rule, loss, targets)
    if asked is None or not all(call.measurable for call in asked):
        return None
    circuits = [len(targets) * call.n_nudges * _bases(settling, call.want) for call in asked]
    each = [shots if call.precision is None else max(2, ceil(1.0 / call.precision**2)) for call in asked]
    spent = [number * one for number, one in zip(circuits, each, strict=True) if one is not None]
    return StepCost(sum(circuits), sum(spent) if len(spent) == len(circuits) else None, len(asked))


def test_cost(network: Network, samples: int, shots: int | None) -> StepCost:
    """What looking at the test samples runs."""
    circuits = samples * _bases(network, Want.OUTPUTS)
    return StepCost(circuits, None if shots is None else circuits * shots)


def demands(network: AnyNetwork, rule: LearningRule, loss: Loss, targets: FloatArray) -> Demands:
    """What a rule asks of a solver beyond measuring states; nothing where that is not known beforehand."""
    asked = _asked(network.with_squares() if loss.squares else network, rule, loss, targets) or []
    return Demands(any(Want.RESPONSE in call.want for call in asked), any(call.complex for call in asked))


def refuse_unmeasurable(
    settling: AnyNetwork, rule: LearningRule, loss: Loss, targets: FloatArray, device: str, *, responses: bool
) -> None:
    """Refuses a rule that asks for what no device measures, before the device is asked anything.

    Args:
        settling: the network, with squares if the loss reads them.
        rule, loss, targets: as for `settings_per_gradient`.
        device: its name.
        responses: whether the solver measures linear responses.

    Raises:
        ValueError: if the rule asks for a linear response or for complex nudges.
    """
    for call in _asked(settling, rule, loss, targets) or []:
        if call.complex or (Want.RESPONSE in call.want and not responses):
            what = (
                "complex nudges, which no device prepares" if call.complex else "a response, which no device measures"
            )
            raise ValueError(
                f"Argument `rule` asks for {what}, and `device` is {device}: use a nudging rule, such as "
                "SymmetricNudging(beta=0.1), or leave out the device."
            )


def _asked(settling: AnyNetwork, rule: LearningRule, loss: Loss, targets: FloatArray) -> list[Asked] | None:
    settle = RecordingSettle(settling, len(targets))
    try:
        rule.gradient(settle, targets, loss)
    except Exception:  # zeros need not be an answer to every rule; then nothing is known beforehand
        return None
    return settle.asked


def _bases(network: Network, want: Want) -> int:
    rows = [network.outputs] if Want.OUTPUTS in want else []
    rows += [network.trainable] if Want.ENERGY_GRADIENT in want else []
    return len(needed_bases(network.strings, np.concatenate(rows))) if rows else 0
