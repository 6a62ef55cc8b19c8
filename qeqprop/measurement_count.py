"""What one gradient would cost in measurements, found by letting a rule ask for states that nobody settles."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from qeqprop.engine.bases import needed_bases
from qeqprop.interfaces import (
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


@dataclass(frozen=True)
class RecordingSettle:
    """A `Settle` that answers zeros at once and remembers what it was asked, and whether one can measure it."""

    network: Network
    batch: int
    asked: list[tuple[int, Want, bool]] = field(default_factory=list[tuple[int, Want, bool]])

    @property
    def n_outputs(self) -> int:
        return self.network.n_outputs

    def __call__(
        self, nudges: NumberArray, *, want: Want, precision: float | None = None, start: Start | None = None
    ) -> Settled:
        """See `interfaces.Settle`."""
        n_nudges = len(nudges)
        self.asked.append((n_nudges, want, Want.RESPONSE not in want and not np.iscomplexobj(nudges)))

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
    if asked is None or not all(measurable for _, _, measurable in asked):
        return None
    return sum(n_nudges * _bases(settling, want) for n_nudges, want, _ in asked)


def is_measurable(network: Network, rule: LearningRule, loss: Loss, targets: FloatArray) -> bool:
    """Whether all that a rule asks for can be measured: no response, no complex nudge."""
    asked = _asked(network.with_squares() if loss.squares else network, rule, loss, targets)
    return asked is None or all(measurable for _, _, measurable in asked)


def _asked(
    settling: Network, rule: LearningRule, loss: Loss, targets: FloatArray
) -> list[tuple[int, Want, bool]] | None:
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
