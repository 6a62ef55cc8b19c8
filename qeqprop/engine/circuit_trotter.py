"""Adiabatic preparation as a circuit: Trotter steps of ``H(s) = (1 - f(s)) H_start + f(s) H``.

A step uses H at its middle, split into groups of strings that commute with one another. First order is the product of
the groups, with an error of O(dt) in the final state; second order is their symmetric product, with O(dt^2), whose
outermost group is shared by neighbouring steps; fourth order replaces each step by five symmetric ones of lengths
p, p, 1 - 4p, p, p with ``p = 1 / (4 - 4^(1/3))``, each with H at its own middle, with O(dt^4).

Source: Suzuki, Phys. Lett. A 146, 319 (1990), and for operators that depend on time Proc. Japan Acad. B 69, 161 (1993).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Literal

import numpy as np

from qeqprop.engine.circuit_layers import Angles, masks_of
from qeqprop.engine.circuit_program import DIAGONAL, STRINGS, TURN_X, TURN_Y
from qeqprop.engine.circuits import Circuit, is_whole, real_coefficients
from qeqprop.interfaces import BoolArray, FloatArray, IntArray, PauliSums

Order = Literal[1, 2, 4]
"""Power of the step's length with which the error of the final state falls."""

Piece = tuple[int, IntArray]  # a kind of layer and the strings in it

_SUZUKI = 1 / (4 - 4 ** (1 / 3))


def trotter_sweep(
    start: PauliSums,
    target: PauliSums,
    ramp: Callable[[FloatArray], FloatArray],
    *,
    total_time: float,
    steps: int,
    order: Order = 2,
    initial: Literal["zero", "plus"] = "plus",
) -> tuple[Circuit, FloatArray]:
    """The circuit of a sweep and its angles (batch, n_angles): `states` of the two are the prepared states.

    Strings of both operators are rotated once, those without any coefficient not at all.

    Args:
        start: H_start, one operator, or one for each sample.
        target: H, (batch,) operators.
        ramp: f, from s (n,) in [0, 1] to f(s) (n,).
        total_time: the time of the whole sweep.
        steps: number of Trotter steps.
        order: 1, 2 or 4.
        initial: the ground state of H_start: all plus for ``-sum X``, all zero for ``-sum Z``.

    Raises:
        ValueError: names the argument that does not fit.
    """
    if not is_whole(steps, 1):
        raise ValueError(f"Argument `steps` must be a whole number from 1 on, but is {steps!r}.")
    if not np.isfinite(total_time):
        raise ValueError(f"Argument `total_time` must be a finite number, but is {total_time!r}.")
    if order not in (1, 2, 4):
        raise ValueError(f"Argument `order` must be 1, 2 or 4, but is {order!r}.")
    lengths, middles = _substeps(steps, order)
    values = np.asarray(ramp(middles), dtype=np.float64)
    if values.shape != middles.shape or not np.all(np.isfinite(values)):
        raise ValueError(
            f"Argument `ramp` must map s {middles.shape} to finite f(s) {middles.shape}, "
            f"but gives shape {values.shape}."
        )
    masks, begins, ends = united(start, target)
    groups = commuting_groups(masks)
    now = (1 - values[:, None]) * begins[:, None] + values[:, None] * ends[:, None]
    whole = 2 * total_time * lengths[:, None] * now  # angles of whole steps, (batch, n_substeps, n_strings)
    product = _plain_product if order == 1 or len(groups) == 1 else _symmetric_product
    pieces, angles = product(groups, whole)
    return _circuit(target.num_sites, masks, pieces, initial), angles


def product_state(num_qubits: int) -> Circuit:
    """``RY(angle_k)`` on every qubit k: a product state of real amplitudes, all zero at angles of zero."""
    bits = np.left_shift(1, np.arange(num_qubits, dtype=np.int64))
    masks = np.stack([bits, bits, np.ones_like(bits)], axis=1)
    return _circuit(num_qubits, masks, [(TURN_Y, np.arange(num_qubits))], "zero")


def one_after_the_other(circuits: Sequence[Circuit]) -> Circuit:
    """The circuits in sequence, each angle a parameter of its own; the initial state is that of the first."""
    items = np.cumsum([0, *(len(circuit.x) for circuit in circuits)])
    return _kept_circuit(
        circuits[0].num_qubits,
        np.concatenate([circuit.kinds for circuit in circuits]),
        np.concatenate([circuit.ends + item for circuit, item in zip(circuits, items, strict=False)]),
        np.concatenate([circuit.x for circuit in circuits]),
        np.concatenate([circuit.z for circuit in circuits]),
        circuits[0].start,
    )


def _substeps(steps: int, order: Order) -> tuple[FloatArray, FloatArray]:
    """Lengths and middles of the (symmetric) steps, in units of the whole time."""
    parts = np.array([_SUZUKI, _SUZUKI, 1 - 4 * _SUZUKI, _SUZUKI, _SUZUKI]) if order == 4 else np.ones(1)
    middles = np.cumsum(parts) - parts / 2
    lengths = np.tile(parts, steps) / steps
    return lengths, (np.arange(steps)[:, None] + middles).reshape(-1) / steps


def united(start: PauliSums, target: PauliSums) -> tuple[IntArray, FloatArray, FloatArray]:
    """Masks (n_strings, 3) of all strings needed, and the coefficients (batch, n_strings) of both operators."""
    first = real_coefficients("start", start, target.num_sites)
    last = real_coefficients("target", target, target.num_sites)
    if len(first) not in (1, len(last)):
        raise ValueError(f"Argument `start` must hold one operator or {len(last)}, but holds {len(first)}.")
    masks, place = np.unique(
        np.concatenate([masks_of(start.strings), masks_of(target.strings)]), axis=0, return_inverse=True
    )
    place = place.reshape(-1)
    begins, ends = np.zeros((len(last), len(masks))), np.zeros((len(last), len(masks)))
    begins[:, place[: first.shape[1]]] = first
    ends[:, place[first.shape[1] :]] = last
    needed = np.any(begins != 0, axis=0) | np.any(ends != 0, axis=0)
    needed[0] |= not np.any(needed)
    return masks[needed], begins[:, needed], ends[:, needed]


def commuting_groups(masks: IntArray) -> list[list[Piece]]:
    """Groups of strings that commute with one another, each as layers of one kind; masks (n_strings, 3).

    All strings of Z make a group, all of X, all of Y; any other joins the first group with which it commutes.
    """
    x, z, _ = masks.T
    pure = [x == 0, (x > 0) & (z == 0), (x > 0) & (x == z)]
    groups = [np.flatnonzero(chosen).tolist() for chosen in pure if np.any(chosen)]
    for string in np.flatnonzero(~np.any(pure, axis=0)).tolist():
        home = next((group for group in groups if np.all(_commutes(masks, group, string))), None)
        if home is None:
            groups.append([string])
        else:
            home.append(string)
    return [_layers_of(masks, np.array(group)) for group in groups]


def _commutes(masks: IntArray, group: list[int], string: int) -> BoolArray:
    x, z, _ = masks.T
    crossings = np.bitwise_count(x[group] & z[string]) + np.bitwise_count(z[group] & x[string])
    return crossings % 2 == 0


def _layers_of(masks: IntArray, group: IntArray) -> list[Piece]:
    x, z, _ = masks[group].T
    single = np.bitwise_count(x) == 1
    kinds = np.select([x == 0, single & (z == 0), single & (z == x)], [DIAGONAL, TURN_X, TURN_Y], STRINGS)
    return [(kind, group[kinds == kind]) for kind in (DIAGONAL, TURN_X, TURN_Y, STRINGS) if np.any(kinds == kind)]


def _plain_product(groups: list[list[Piece]], whole: FloatArray) -> tuple[list[Piece], FloatArray]:
    """One group after the other in every step: the layers and their angles (batch, n_angles)."""
    pieces = [piece for group in groups for piece in group]
    chosen = np.concatenate([strings for _, strings in pieces])
    return pieces * whole.shape[1], whole[:, :, chosen].reshape(len(whole), -1)


def _symmetric_product(groups: list[list[Piece]], whole: FloatArray) -> tuple[list[Piece], FloatArray]:
    """Half steps of all groups but the last, which is in the middle, there and back; the first is shared by steps."""
    batch, steps, n_strings = whole.shape
    outer, inner = groups[0], [*groups[1:], *groups[-2:0:-1]]
    shares = [1.0 if position == len(groups) - 2 else 0.5 for position in range(len(inner))]
    first = np.concatenate([strings for _, strings in outer])
    shared = np.zeros((batch, steps + 1, n_strings))
    shared[:, :-1] += 0.5 * whole
    shared[:, 1:] += 0.5 * whole
    columns = [shared[:, :-1, first]]
    columns += [
        share * whole[:, :, strings] for share, group in zip(shares, inner, strict=True) for _, strings in group
    ]
    body = np.concatenate(columns, axis=2).reshape(batch, -1)
    layers = [piece for group in [outer, *inner] for piece in group]
    return [*(layers * steps), *outer], np.concatenate([body, shared[:, -1, first]], axis=1)


def _circuit(num_qubits: int, masks: IntArray, layers: list[Piece], initial: Literal["zero", "plus"]) -> Circuit:
    """A circuit of these layers whose every angle is a parameter of its own."""
    items = np.concatenate([members for _, members in layers])
    kinds = np.array([kind for kind, _ in layers])
    ends = np.cumsum([len(members) for _, members in layers])
    return _kept_circuit(num_qubits, kinds, ends, masks[items, 0], masks[items, 1], initial)


def _kept_circuit(
    num_qubits: int, kinds: IntArray, ends: IntArray, x: IntArray, z: IntArray, initial: Literal["zero", "plus"]
) -> Circuit:
    """The same object for the same circuit: the engine keeps what it has compiled with it."""
    arrays = (np.ascontiguousarray(array, dtype=np.int64).tobytes() for array in (kinds, ends, x, z))
    return _made(num_qubits, *arrays, initial)


@lru_cache(maxsize=16)
def _made(num_qubits: int, kinds: bytes, ends: bytes, x: bytes, z: bytes, initial: Literal["zero", "plus"]) -> Circuit:
    arrays = (np.frombuffer(content, dtype=np.int64) for content in (kinds, ends, x, z))
    count = len(x) // np.dtype(np.int64).itemsize
    return Circuit(
        num_qubits, count, *arrays, angles=Angles(np.arange(count), np.ones(count), np.zeros(count)), start=initial
    )
