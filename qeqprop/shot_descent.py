"""Minimisations whose values are measured: every call is one job for the whole batch, every row steps by itself.

Four ways, by what a call costs for each row of the batch:

* `rotosolve`: 3 points; each call sets one angle to its best value, for a sine is known by three points.
* `spsa`: 2 points; each call steps along one random direction of all angles.
* `gradient_steps`: ``2 n_angles`` points; each call steps along the gradient found by parameter shifts.
* `natural_steps`: the same; each call steps along the natural gradient, whose metric is computed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from qeqprop.interfaces import FloatArray
from qeqprop.iterations import Iteration, tell

Values = Callable[[FloatArray], FloatArray]
"""From points (rows, n_points, n_parameters) to measured values (rows, n_points), by one job."""

Slopes = Callable[[FloatArray], FloatArray]
"""From points (rows, n_parameters) to measured gradients (rows, n_parameters), by one job."""

_AVERAGED = 0.25  # part of the last points of a walk whose mean is the answer

# SPSA: decay of the steps and of the probes, in the exponents that Spall recommends, and the steps it waits
_STEP_DECAY, _PROBE_DECAY, _PATIENCE = 0.602, 0.101, 0.1
_PROBE = 0.2  # radians
_FIRST_STEP = 0.2  # radians: the mean first step of each angle
_CALIBRATION = 5  # calls that measure the slopes to be expected

# Adam, whose rate falls to a twentieth
_RATE, _LAST_RATE, _MEAN, _SQUARE = 0.1, 0.05, 0.9, 0.99

_STIFFNESS = 0.02  # added to the metric, in which a free angle of a qubit weighs a quarter
_LONGEST = 1.0  # radians: the longest natural step


def rotosolve(values: Values, points: FloatArray, *, most: int) -> FloatArray:
    """One angle after the other goes to the minimum of its sine, (rows, n_parameters) after `most` calls.

    With ``E(a) = c + r cos(a - b)`` the values at a and a quarter turn to both sides give c, r and b; every parameter
    must be the angle of one rotation, with a factor of 1 or -1.

    Source: Nakanishi, Fujii and Todo, Phys. Rev. Research 2, 043158 (2020); Ostaszewski, Grant and Benedetti, Quantum
    5, 391 (2021).
    """
    points = points.copy()
    quarters = np.pi / 2 * np.array([0.0, 1.0, -1.0])
    for call in range(most):
        angle = call % points.shape[1]
        asked = np.repeat(points[:, None], 3, axis=1)
        asked[:, :, angle] += quarters
        here, ahead, behind = values(asked).T
        shifts = -np.pi / 2 - np.arctan2(2 * here - ahead - behind, ahead - behind)
        shifts = (shifts + np.pi) % (2 * np.pi) - np.pi
        points[:, angle] += shifts
        _tell("rotosolve", call, most, shifts)
    return points


def spsa(values: Values, points: FloatArray, *, most: int, random: np.random.Generator) -> FloatArray:
    """Steps along random directions, (rows, n_parameters): the mean of the last quarter of the walk.

    The first few calls measure how steep each row is, so that its first steps turn angles by a fifth of a radian.

    Source: Spall, IEEE Trans. Autom. Control 37, 332 (1992), and 34, 817 (1998) for the gains.
    """
    points = points.copy()
    calibration = min(_CALIBRATION, max(1, most // 4))
    steps = max(1, most - calibration)
    patience = _PATIENCE * steps

    def slopes(probe: float) -> tuple[FloatArray, FloatArray]:
        directions = random.choice([-1.0, 1.0], size=points.shape)
        pairs = values(points[:, None] + probe * np.stack([directions, -directions], axis=1))
        return (pairs[:, 0] - pairs[:, 1]) / (2 * probe), directions

    steep = np.mean([np.abs(slopes(_PROBE)[0]) for _ in range(calibration)], axis=0)
    gains = _FIRST_STEP * (1 + patience) ** _STEP_DECAY / np.maximum(steep, np.finfo(np.float64).tiny)
    kept = np.zeros_like(points)
    n_kept = max(1, int(_AVERAGED * steps))
    for step in range(1, steps + 1):
        slope, directions = slopes(_PROBE / step**_PROBE_DECAY)
        moves = np.clip(gains * slope / (step + patience) ** _STEP_DECAY, -2 * _FIRST_STEP, 2 * _FIRST_STEP)
        points -= moves[:, None] * directions
        kept += points if step > steps - n_kept else 0.0
        _tell("SPSA", calibration + step - 1, most, moves)
    return kept / n_kept


def gradient_steps(slopes: Slopes, points: FloatArray, *, most: int) -> FloatArray:
    """Steps of Adam with a falling rate, (rows, n_parameters): the mean of the last quarter of the walk.

    Source: Kingma and Ba, arXiv:1412.6980 (2014).
    """
    points = points.copy()
    mean, square, kept = np.zeros_like(points), np.zeros_like(points), np.zeros_like(points)
    n_kept = max(1, int(_AVERAGED * most))
    for step in range(1, most + 1):
        gradient = slopes(points)
        mean = _MEAN * mean + (1 - _MEAN) * gradient
        square = _SQUARE * square + (1 - _SQUARE) * gradient**2
        rate = _RATE * _falling(step, most)
        size = np.sqrt(square / (1 - _SQUARE**step))
        points -= rate * mean / (1 - _MEAN**step) / np.maximum(size, np.finfo(np.float64).tiny)
        kept += points if step > most - n_kept else 0.0
        _tell("VQE", step - 1, most, gradient)
    return kept / n_kept


def natural_steps(
    slopes: Slopes, metrics: Callable[[FloatArray], FloatArray], points: FloatArray, *, times: FloatArray, most: int
) -> FloatArray:
    """Steps of imaginary time with a falling length, (rows, n_parameters): the mean of the last quarter of the walk.

    A step is ``-time (F + r) ^-1 grad / 2`` with the metric F of the states, which makes it independent of how angles
    are chosen; r keeps shot noise out of directions in which the state hardly moves.

    Args:
        slopes: measured gradients.
        metrics: from points to F, (rows, n_parameters, n_parameters), the real part of the quantum geometric tensor.
        points: (rows, n_parameters).
        times: (rows,) of the first steps, in units of one over the energy.
        most: jobs.

    Source: Stokes, Izaac, Killoran and Carleo, Quantum 4, 269 (2020).
    """
    points, kept = points.copy(), np.zeros_like(points)
    n_kept = max(1, int(_AVERAGED * most))
    stiffness = _STIFFNESS * np.eye(points.shape[1])
    for step in range(1, most + 1):
        gradient = slopes(points)
        moves = np.linalg.solve(metrics(points) + stiffness, gradient[:, :, None])[:, :, 0]
        moves *= 0.5 * (times * _falling(step, most))[:, None]
        lengths = np.linalg.norm(moves, axis=1, keepdims=True)
        points -= moves * np.minimum(1.0, _LONGEST / np.maximum(lengths, np.finfo(np.float64).tiny))
        kept += points if step > most - n_kept else 0.0
        _tell("natural gradient", step - 1, most, gradient)
    return kept / n_kept


def _falling(step: int, most: int) -> float:
    """From 1 in the first step to a twentieth in the last."""
    return _LAST_RATE ** ((step - 1) / max(1, most - 1))


def _tell(name: str, call: int, most: int, moves: FloatArray) -> None:
    tell(Iteration(name, call + 1, most, len(moves), float(np.max(np.abs(moves), initial=0.0)), 0.0))
