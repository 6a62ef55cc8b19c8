"""How wrong a Trotter product can be at most, from commutators alone: for networks that nobody can simulate."""

from __future__ import annotations

import numpy as np

from qeqprop.engine.circuit_trotter import Order, commuting_groups, united
from qeqprop.interfaces import PauliSums


def trotter_bound(start: PauliSums, target: PauliSums, *, total_time: float, steps: int, order: Order) -> float:
    """An upper bound of the norm by which the state at the end of `trotter_sweep` is off, for any ramp from 0 to 1.

    With groups ``H_1 .. H_m`` in the order of the product and steps of length dt,

    * first order: ``T dt/2 sum_(a<b) |[H_a, H_b]|``;
    * second order: ``T dt^2 sum_a { |[R_a, [R_a, H_a]]| / 12 + |[H_a, [H_a, R_a]]| / 24 }``, ``R_a = sum_(b>a) H_b``.

    Norms are bounded by the sums over their strings, at the largest coefficients that occur on the way and in the
    batch; that H changes within a step is left out, an error of the same order. The true error is often ten or a
    hundred times less. Infinite for the fourth order, whose bound has thousands of commutators.

    Source: Childs, Su, Tran, Wiebe and Zhu, Phys. Rev. X 11, 011020 (2021).
    """
    if order == 4:
        return float("inf")
    masks, begins, ends = united(start, target)
    weights = np.max(np.maximum(np.abs(begins), np.abs(ends)), axis=0)
    group = np.empty(len(masks), dtype=np.int64)
    for number, pieces in enumerate(commuting_groups(masks)):
        for _, strings in pieces:
            group[strings] = number
    x, z, _ = masks.T
    crossings = np.bitwise_count(x[:, None] & z) + np.bitwise_count(z[:, None] & x)
    anti = (crossings % 2).astype(np.bool_)  # (n_strings, n_strings) which pairs anticommute
    later = group > group[:, None]  # [a, b]: b belongs to R_a
    step = total_time / steps
    pairs = np.where(anti & later, weights[:, None] * weights, 0.0)  # [a, b]: a part of [H_a, R_a], a half of its norm
    if order == 1:
        return float(total_time * step / 2 * 2 * np.sum(pairs))
    nested = pairs[:, :, None] * weights * (anti[:, None] ^ anti[None])  # [a, b, c]: c anticommutes with the product ab
    same = group == group[:, None]
    outer, inner = (float(4 * np.sum(nested * chosen[:, None])) for chosen in (later, same))
    return float(total_time * step**2 * (outer / 12 + inner / 24))
