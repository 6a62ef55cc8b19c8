"""How the noise of the outputs, carried by the error signal, moves a gradient."""

from __future__ import annotations

import numpy as np

from qeqprop.interfaces import FloatArray, Loss, Settled


def signal_variance(
    free: Settled, targets: FloatArray, loss: Loss, error: FloatArray, quotients: FloatArray, variances: FloatArray
) -> FloatArray:
    """``batch^2`` times the variance that the noise of the error signal gives to a gradient, (n_trainable,).

    The quotient of sample b is linear in its error signal, ``c_bj = sum_k R_bkj e_bk``, so an error ``de`` of the
    signal moves the gradient by ``sum_b R_bj . de_b``. Its covariance is ``J Cov(y) J^T``, ``J = de/dy``, where a loss
    that joins samples joins their errors.

    What is known of the response R is the quotient itself: R along the measured signal. For one output that is all,
    ``R_bj = c_bj / e_b``. For several outputs the other directions are taken to be as likely: a priori ``R_bj`` is
    Gaussian with the covariance ``r_j^2 diag(Var y_b)`` (an output that does not fluctuate does not respond either),
    with the scale ``r_j^2`` from all samples together, their own shot noise subtracted; and the variance is the mean
    over what the measured quotients leave possible. Where a quotient drowns in its own noise, or the signal is about
    zero, the scale of the batch stands in for it.

    Args:
        free: the free states with outputs and covariances, one nudge.
        targets: (batch, n_targets).
        loss: the loss.
        error: (batch, n_outputs) the error signal at the measured outputs.
        quotients: (batch, n_trainable) ``c``.
        variances: (batch, n_trainable) of the quotients at this error signal.
    """
    assert free.covariances is not None  # the rule wanted them
    if not free.covariances.any():
        return np.zeros(quotients.shape[1])
    predictions, covariances, spreads = _noisy_outputs(free)
    noise = _signal_covariances(loss, predictions, spreads, covariances, targets)  # (groups, rows, rows, k, l)
    groups, rows = noise.shape[:2]
    along = spreads**2 * error  # (batch, k): where R points on average, for a quotient of one
    sizes = np.sum(along * error, axis=1)
    within = np.einsum("grrkk->grk", noise).reshape(spreads.shape)
    uncertain = float(np.sum(spreads**2 * within))
    squares = np.maximum(np.sum(quotients**2 - variances, axis=0), 0.0)
    scales = squares / (np.sum(sizes) + uncertain) if uncertain else np.zeros_like(squares)  # r_j^2
    expected = scales * sizes[:, None] + variances  # of c^2
    gains = np.divide(scales, expected, out=np.zeros_like(expected), where=expected > 0)
    along = along.reshape(groups, rows, -1)
    known = np.einsum("grk,grskl,gsl->grs", along, noise, along)
    means = (gains * quotients).reshape(groups, rows, -1)  # R_bj = means_bj along_b, and a rest of mean zero
    rest = uncertain - gains.T @ np.einsum("grr->gr", known).reshape(-1)
    return np.maximum(np.einsum("grj,grs,gsj->j", means, known, means) + scales * rest, 0.0)


def spread_variance(quotients: FloatArray, loss: Loss) -> FloatArray:
    """``batch^2`` times the variance of a gradient that was measured several times, from the spread, (n_trainable,).

    Args:
        quotients: (repeats, batch, n_trainable), independent between repeats, and between samples that the loss does
            not join.
        loss: the loss.
    """
    repeats, batch, _ = quotients.shape
    rows = _joined(loss, batch)
    together = np.sum(quotients.reshape(repeats, batch // rows, rows, -1), axis=2)
    return np.sum(np.var(together, axis=0, ddof=1), axis=0) / repeats


def likely_error(free: Settled, targets: FloatArray, loss: Loss) -> FloatArray:
    """A direction in which the noise of the outputs may have moved the error signal, (batch, n_outputs).

    With ``Cov(e) = sum_i lambda_i u_i u_i^T`` it is ``sum_i +-sqrt(lambda_i) u_i``, the signs at random: the mean over
    them of ``(sum_b R_b . direction_b)^2`` is the variance ``R^T Cov(e) R`` that the noise gives to a gradient, for any
    response R. A sum over groups of samples that the loss joins averages over as many signs. They are a function
    of the measured outputs, whose last digits nothing else depends on.
    """
    predictions, covariances, spreads = _noisy_outputs(free)
    noise = _signal_covariances(loss, predictions, spreads, covariances, targets)
    groups, rows, _, n_outputs, _ = noise.shape
    size = rows * n_outputs
    values, vectors = np.linalg.eigh(noise.transpose(0, 1, 3, 2, 4).reshape(groups, size, size))
    random = np.random.default_rng(np.frombuffer(predictions.tobytes(), dtype=np.uint32))
    signs = random.choice([-1.0, 1.0], size=(groups, size))
    along = np.einsum("gsi,gi->gs", vectors, signs * np.sqrt(np.maximum(values, 0.0)))
    return along.reshape(predictions.shape)


def probed_variance(quotients: FloatArray, variances: FloatArray, loss: Loss) -> FloatArray:
    """``batch^2`` times the variance that the noise of the error signal gives to a gradient, (n_trainable,).

    Args:
        quotients: (batch, n_trainable) the response along `likely_error`.
        variances: (batch, n_trainable) of these quotients, whose own noise does not count.
        loss: the loss.
    """
    batch, n_trainable = quotients.shape
    together = np.sum(quotients.reshape(-1, _joined(loss, batch), n_trainable), axis=1)
    return np.maximum(np.sum(together**2, axis=0) - np.sum(variances, axis=0), 0.0)


def _noisy_outputs(free: Settled) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The outputs (batch, n_outputs), their covariances (batch, n_outputs, n_outputs) and their standard errors."""
    assert free.outputs is not None  # the rule wanted it
    assert free.covariances is not None
    covariances = free.covariances[0]
    return free.outputs.values[0].real, covariances, np.sqrt(np.einsum("bkk->bk", covariances))


def _joined(loss: Loss, batch: int) -> int:
    """How many neighbouring samples the loss joins."""
    return loss.group if batch % loss.group == 0 else batch


def _signal_covariances(
    loss: Loss, predictions: FloatArray, spreads: FloatArray, covariances: FloatArray, targets: FloatArray
) -> FloatArray:
    """``Cov(e_rk, e_sl)`` inside each group of rows that the loss joins, (groups, rows, rows, n_outputs, n_outputs).

    ``J`` is the secant over one standard error to either side, so that a kink of the loss counts as the noise sees it.
    """
    batch, n_outputs = predictions.shape
    rows = _joined(loss, batch)
    groups = batch // rows
    slopes = np.zeros((groups, rows, n_outputs, rows, n_outputs))  # de[r, k] / dy[s, l]
    for row in range(rows):
        for output in range(n_outputs):
            shift = np.zeros_like(predictions)
            shift[row::rows, output] = spreads[row::rows, output]
            change = loss.gradient(predictions + shift, targets) - loss.gradient(predictions - shift, targets)
            width = 2 * shift[row::rows, output]
            change = change.reshape(groups, rows, n_outputs)
            moved = width[:, None, None] > 0
            slopes[:, :, :, row, output] = np.divide(
                change, width[:, None, None], out=np.zeros_like(change), where=moved
            )
    grouped = covariances.reshape(groups, rows, n_outputs, n_outputs)
    return np.einsum("grksm,gsmn,gtlsn->grtkl", slopes, grouped, slopes, optimize=True)
