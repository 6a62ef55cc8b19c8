"""Adiabatic preparation as a circuit: Trotter steps of ``H(s) = (1 - f(s)) H_start + f(s) H``.

Step k of length ``dt = total_time / steps`` uses H at its middle, ``s_k = (k + 1/2) / steps``, split into pieces that
each commute within themselves: all strings of Z, all single X, all single Y, and every other string by itself. First
order is their product, with an error of O(dt) in the final state; second order is the symmetric product, with O(dt^2),
whose outermost piece is shared by neighbouring steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from qiskit.quantum_info import PauliList

from qeqprop.engine.circuit_layers import Angles, masks_of
from qeqprop.engine.circuit_program import DIAGONAL, STRINGS, TURN_X, TURN_Y
from qeqprop.engine.circuits import Circuit, is_whole, real_coefficients
from qeqprop.interfaces import FloatArray, IntArray, PauliSums

Piece = tuple[int, IntArray]  # a kind of layer and the strings in it


def trotter_sweep(
    start: PauliSums,
    target: PauliSums,
    ramp: Callable[[FloatArray], FloatArray],
    *,
    total_time: float,
    steps: int,
    order: Literal[1, 2] = 2,
    initial: Literal["zero", "plus"] = "plus",
) -> tuple[Circuit, FloatArray]:
    """The circuit of a sweep and its angles (batch, n_angles): `states` of the two are the prepared states.

    Args:
        start: H_start, one operator, or one for each sample.
        target: H, (batch,) operators.
        ramp: f, from s (steps,) in [0, 1] to f(s) (steps,).
        total_time: the time of the whole sweep.
        steps: number of Trotter steps.
        order: 1 or 2.
        initial: the ground state of H_start: all plus for ``-sum X``, all zero for ``-sum Z``.

    Raises:
        ValueError: names the argument that does not fit.
    """
    if not is_whole(steps, 1):
        raise ValueError(f"Argument `steps` must be a whole number from 1 on, but is {steps!r}.")
    if not np.isfinite(total_time):
        raise ValueError(f"Argument `total_time` must be a finite number, but is {total_time!r}.")
    if order not in (1, 2):
        raise ValueError(f"Argument `order` must be 1 or 2, but is {order!r}.")
    first = real_coefficients("start", start, target.num_sites)
    last = real_coefficients("target", target, target.num_sites)
    if len(first) not in (1, len(last)):
        raise ValueError(f"Argument `start` must hold one operator or {len(last)}, but holds {len(first)}.")
    values = np.asarray(ramp((np.arange(steps) + 0.5) / steps), dtype=np.float64)
    if values.shape != (steps,) or not np.all(np.isfinite(values)):
        raise ValueError(
            f"Argument `ramp` must map s (steps,) to finite f(s) ({steps},), but gives shape {values.shape}."
        )
    masks = np.concatenate([masks_of(start.strings), masks_of(target.strings)])
    pieces = _pieces(masks)
    begins = np.concatenate([np.broadcast_to(first, (len(last), first.shape[1])), np.zeros_like(last)], axis=1)
    ends = np.concatenate([np.zeros((len(last), first.shape[1])), last], axis=1)
    # angles of whole steps, (batch, steps, n_strings), then those of the layers of each step
    whole = 2 * total_time / steps * ((1 - values[:, None]) * begins[:, None] + values[:, None] * ends[:, None])
    if order == 1 or len(pieces) == 1:
        return _circuit(target.strings, masks, pieces * steps, initial), _angles(pieces, whole)
    inner = [*pieces[1:], *pieces[-2:0:-1]]
    layers = [pieces[0], *inner] * steps + [pieces[0]]
    weights = [1.0 if kind_strings is pieces[-1] else 0.5 for kind_strings in inner]
    outer = np.zeros((len(last), steps + 1, len(masks)))
    outer[:, :-1] += 0.5 * whole
    outer[:, 1:] += 0.5 * whole
    strings = pieces[0][1]
    middle = np.concatenate(
        [weight * whole[:, :, piece[1]] for weight, piece in zip(weights, inner, strict=True)], axis=2
    )
    body = np.concatenate([outer[:, :-1, strings], middle], axis=2).reshape(len(last), -1)
    return _circuit(target.strings, masks, layers, initial), np.concatenate([body, outer[:, -1, strings]], axis=1)


def _pieces(masks: IntArray) -> list[Piece]:
    """Kinds of layers, each with the strings in it, from masks (n_strings, 3)."""
    x, z, _ = masks.T
    single = np.bitwise_count(x | z) == 1
    groups = (
        (DIAGONAL, x == 0),
        (TURN_X, single & (x > 0) & (z == 0)),
        (TURN_Y, single & (x > 0) & (z > 0)),
    )
    pieces: list[Piece] = [(kind, np.flatnonzero(chosen)) for kind, chosen in groups if np.any(chosen)]
    rest = np.flatnonzero((x > 0) & ~single)
    return [*pieces, *((STRINGS, np.array([string])) for string in rest)]


def _angles(pieces: list[Piece], whole: FloatArray) -> FloatArray:
    chosen = np.concatenate([strings for _, strings in pieces])
    return whole[:, :, chosen].reshape(len(whole), -1)


def _circuit(strings: PauliList, masks: IntArray, layers: list[Piece], initial: Literal["zero", "plus"]) -> Circuit:
    """A circuit of these layers whose every angle is a parameter of its own."""
    items = np.concatenate([members for _, members in layers])
    count = len(items)
    return Circuit(
        num_qubits=int(strings.num_qubits or 0),
        n_parameters=count,
        kinds=np.array([kind for kind, _ in layers]),
        ends=np.cumsum([len(members) for _, members in layers]),
        x=masks[items, 0],
        z=masks[items, 1],
        angles=Angles(np.arange(count), np.ones(count), np.zeros(count)),
        start=initial,
    )
