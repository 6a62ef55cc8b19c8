"""From samples of many chains to averages, covariances and their errors.

Chains are independent of each other, so the spread of their averages is the error of the mean whatever the samples
inside a chain remember; with C chains it is known to ``1 / sqrt(2 C)`` of itself. A covariance is

    Cov(A, N) = mean[A N] - sum_(c != c') A_c N_c' / C (C - 1)

with the averages A_c of the chains: no sample meets itself, so it is unbiased at any autocorrelation (for chains of one
sample it is the covariance divided by M - 1). Its error is the spread of what each chain contributes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qeqprop.classical._variates import Variates, quieter
from qeqprop.classical.chain_statistics import autocorrelation_time, r_hat
from qeqprop.interfaces import Certificate, Expectations, FloatArray


@dataclass(frozen=True, eq=False)
class ChainSums:
    """What the samples of a batch add up to.

    Attributes:
        samples: of each chain.
        sums: (rows, n_strings, chains) of every string.
        joint: (rows, n_strings, chains) of every string times N, or None.
        series: (rows, 2, samples, chains) the energy, and N or another observable.
        variates: what quietens averages and covariances, or None.
    """

    samples: int
    sums: FloatArray
    joint: FloatArray | None
    series: FloatArray
    variates: Variates | None = None

    @property
    def chains(self) -> int:
        return self.sums.shape[2]


def averages(found: ChainSums, observables: FloatArray) -> Expectations:
    """The observables (rows, n_observables) of the strings, with errors."""
    strings = found.sums / found.samples
    if found.variates is not None:
        strings = quieter(strings, found.variates.averages)
    return _over_chains(strings, observables)


def covariances(found: ChainSums, observables: FloatArray, factor: float) -> Expectations:
    """``factor * Cov(observable, N)``, (rows, n_observables), unbiased, with errors."""
    assert found.joint is not None
    strings, both = found.sums / found.samples, found.joint / found.samples
    pushed = found.series[:, 1].mean(axis=1)[:, None]  # (rows, 1, chains)
    if found.variates is None:
        own = _contributions(strings, both, pushed)
    else:  # halves that know nothing of each other
        half = found.chains // 2
        parts = [
            _contributions(strings[..., part], both[..., part], pushed[..., part])
            for part in (slice(None, half), slice(half, None))
        ]
        own = quieter(np.concatenate(parts, axis=2), found.variates.covariances)
    return _over_chains(factor * own, observables)


def _contributions(strings: FloatArray, both: FloatArray, pushed: FloatArray) -> FloatArray:
    """What each chain says of ``Cov(A, N)``: ``A N - A_c <N> - <A> N_c + <A> <N>``, and what makes it unbiased."""
    chains = strings.shape[2]
    apart = strings - strings.mean(axis=2, keepdims=True)
    away = pushed - pushed.mean(axis=2, keepdims=True)
    return both - strings * pushed + apart * away * (chains / (chains - 1))


def certificate(found: ChainSums, limit: float) -> Certificate:
    """Autocorrelation time, effective samples and R-hat (rows,), of the slower of energy and nudged observable."""
    tau = np.max([autocorrelation_time(found.series[:, index]) for index in range(2)], axis=0)
    spread = np.max([r_hat(found.series[:, index]) for index in range(2)], axis=0)
    return Certificate.of(
        spread < limit,
        autocorrelation=tau,
        effective_samples=found.samples * found.chains / (2 * tau),
        r_hat=spread,
    )


def _over_chains(strings: FloatArray, observables: FloatArray) -> Expectations:
    """Mean and standard error over chains of observables that are linear in the strings (rows, n_strings, chains).

    Most trainable terms are one string: only sums of several need the chains once more.
    """
    rows, _, chains = strings.shape
    counts = np.count_nonzero(observables, axis=1)
    shape = (rows, len(observables))
    values, errors = np.zeros(shape), np.zeros(shape)
    root = np.sqrt(chains)
    single = np.flatnonzero(counts == 1)
    columns = np.argmax(observables[single] != 0, axis=1)
    factors = observables[single, columns]
    values[:, single] = strings.mean(axis=2)[:, columns] * factors
    errors[:, single] = strings.std(axis=2, ddof=1)[:, columns] / root * np.abs(factors)
    several = np.flatnonzero(counts > 1)
    if len(several):
        used = np.flatnonzero(np.any(observables[several] != 0, axis=0))
        summed = observables[np.ix_(several, used)] @ strings[:, used]  # (rows, n_several, chains)
        values[:, several] = summed.mean(axis=2)
        errors[:, several] = summed.std(axis=2, ddof=1) / root
    return Expectations(values, errors)
