"""What the samples of chains tell of the chains: how long they remember, and whether they agree."""

from __future__ import annotations

import numpy as np

from qeqprop.interfaces import FloatArray

WINDOW = 5.0
"""The sum over the autocorrelation ends at this many autocorrelation times (Sokal)."""


def autocorrelation(series: FloatArray) -> FloatArray:
    """``rho(t) = <a(s) a(s + t)> / <a^2>`` of the deviations a from the mean, at lags of t samples, (rows, samples).

    Args:
        series: (rows, samples, chains), stationary, all chains of a row alike.

    Returns:
        1 at lag 0; zero everywhere for a constant.
    """
    samples = series.shape[1]
    apart = series - series.mean(axis=(1, 2), keepdims=True)
    spectrum = np.abs(np.fft.rfft(apart, n=2 * samples, axis=1)) ** 2
    lags = np.fft.irfft(spectrum.sum(axis=2), n=2 * samples, axis=1)[:, :samples] / np.arange(samples, 0, -1)
    variances = lags[:, :1]
    floor = 1e-24 * np.mean(series**2, axis=(1, 2))[:, None]  # rounding of a constant is no fluctuation
    return np.divide(lags, variances, out=np.zeros_like(lags), where=variances > floor)


def autocorrelation_time(series: FloatArray) -> FloatArray:
    """``tau = 1/2 + sum_(t = 1..W) rho(t)``, W the first window of at least ``5 tau``; (rows,).

    Args:
        series: (rows, samples, chains), stationary, all chains of a row alike.

    Source: Sokal, in Functional Integration (1997), for the window.
    """
    rows, samples, _ = series.shape
    rho = autocorrelation(series)
    sums = 0.5 + np.cumsum(rho[:, 1:], axis=1)
    sums = np.concatenate([np.full((rows, 1), 0.5), sums], axis=1)
    wide = np.arange(samples) >= WINDOW * sums
    wide[:, -1] = True
    return np.maximum(sums[np.arange(rows), np.argmax(wide, axis=1)], 0.5 / samples)


def r_hat(series: FloatArray) -> FloatArray:
    """Spread of half chains against the spread inside them (rows,): 1 where all have seen the same.

    Args:
        series: (rows, samples, chains).

    Source: Gelman & Rubin, Stat. Sci. 7, 457 (1992); halves by Gelman et al., Bayesian Data Analysis (2013).
    """
    half = series.shape[1] // 2
    if half < 2:
        return np.full(len(series), np.nan)
    halves = np.concatenate([series[:, :half], series[:, half : 2 * half]], axis=2)
    inside = halves.var(axis=1, ddof=1).mean(axis=1)
    between = halves.mean(axis=1).var(axis=1, ddof=1)
    scale = 1e-24 * np.mean(series**2, axis=(1, 2))
    inside, between = np.where(inside > scale, inside, 0.0), np.where(between > scale, between, 0.0)
    ratio = np.divide(between, inside, out=np.where(between > 0, np.inf, 1.0 / half), where=inside > 0)
    return np.sqrt((half - 1) / half + ratio)
