"""How a landscape yields to forces: its Hessian inverted, and the softest and the stiffest mode."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from qeqprop.classical.landscape import Landscape
from qeqprop.interfaces import BoolArray, FloatArray, IntArray, NotConverged

_RITZ_STEPS = 16
"""Lanczos steps towards the softest mode; exact for as many variables."""
_DENSE = 64
"""Up to as many variables the Hessian is stored and inverted."""


def conjugate_gradients(
    product: Callable[[FloatArray], FloatArray],
    right: FloatArray,
    goal: FloatArray,
    *,
    curved: bool = False,
) -> FloatArray:
    """Solves ``H v = right`` in every row (rows, n) until the residual is ``goal`` (rows,) times that of ``v = 0``.

    Args:
        product: H times a batch of vectors.
        right: (rows, n).
        goal: (rows,).
        curved: H may have negative curvature: stop there, with what was found so far or, at first, with ``right``.

    Raises:
        NotConverged: unless ``curved``, if H is not positive or the goal is not met in ten times n steps.
    """
    v, r = np.zeros_like(right), right.copy()
    p, square = r.copy(), np.sum(right * right, axis=1)
    begin = square.copy()
    open_rows = square > 0
    for step in range(10 * right.shape[1] + 10):
        if not open_rows.any():
            return v
        Hp = product(p)
        curvature = np.sum(p * Hp, axis=1)
        bad = open_rows & ~(curvature > 0)
        if bad.any():
            if not curved:
                raise NotConverged(f"Samples {some_of(bad)}: the Hessian has a mode that is not stable.")
            if step == 0:
                v[bad] = right[bad]
            open_rows &= ~bad
        t = np.where(open_rows, square / np.where(open_rows, curvature, 1.0), 0.0)
        v += t[:, None] * p
        r -= t[:, None] * Hp
        new = np.sum(r * r, axis=1)
        p = r + np.where(open_rows, new / np.where(square > 0, square, 1.0), 0.0)[:, None] * p
        square = new
        open_rows &= square > goal**2 * begin
    if curved:
        return v
    raise NotConverged(f"Samples {some_of(open_rows)}: conjugate gradients did not end; is a mode too soft?")


def compliance(landscape: Landscape, s: FloatArray, tolerance: float) -> Callable[[FloatArray], FloatArray]:
    """``G``, the inverse Hessian at s, as a function of right sides (copies * rows, n_variables), rows innermost.

    A matrix for few variables, conjugate gradients with products alone for many.

    Raises:
        NotConverged: if a mode is not stable.
    """
    n_rows, n = s.shape
    if n <= _DENSE:
        hessian = landscape.hessian(s)
        try:
            np.linalg.cholesky(hessian)
        except np.linalg.LinAlgError:
            raise NotConverged("The Hessian has a mode that is not stable: there is no response along it.") from None
        inverse = np.linalg.inv(hessian)
        return lambda right: np.einsum("rij,crj->cri", inverse, right.reshape(-1, n_rows, n)).reshape(right.shape)

    def solve(right: FloatArray) -> FloatArray:
        copies = np.tile(np.arange(n_rows), len(right) // n_rows)
        many, there = landscape.take(copies), s[copies]
        return conjugate_gradients(lambda v: many.bend(there, v), right, np.full(len(right), min(tolerance, 1e-8)))

    return solve


def extreme_modes(landscape: Landscape, s: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Softest and stiffest eigenvalue (rows,) of the Hessian, and the softest mode, by Lanczos in every row."""
    n_rows, n = s.shape
    n_steps = min(n, _RITZ_STEPS)
    begin = np.random.default_rng(0x736F6674).normal(size=n)  # any vector that no symmetry singles out
    basis = np.zeros((n_steps, n_rows, n))
    basis[0] = begin / np.linalg.norm(begin)
    matrix = np.zeros((n_rows, n_steps, n_steps))
    for step in range(n_steps):
        image = landscape.bend(s, basis[step])
        overlaps = np.einsum("krn,rn->kr", basis[: step + 1], image)
        matrix[:, step, step] = overlaps[step]
        for _ in range(2):  # twice is enough
            image -= np.einsum("krn,kr->rn", basis[: step + 1], np.einsum("krn,rn->kr", basis[: step + 1], image))
        if step + 1 < n_steps:
            norm = np.linalg.norm(image, axis=1)
            whole = norm > 1e-12 * (1.0 + np.abs(overlaps[step]))
            matrix[:, step, step + 1] = matrix[:, step + 1, step] = np.where(whole, norm, 0.0)
            fresh = _another(basis[: step + 1], step) if not whole.all() else image
            basis[step + 1] = np.where(whole[:, None], image / np.where(whole, norm, 1.0)[:, None], fresh)
    values, vectors = np.linalg.eigh(matrix)
    mode = np.einsum("krn,rk->rn", basis, vectors[:, :, 0])
    return values[:, 0], values[:, -1], mode


def _another(basis: FloatArray, step: int) -> FloatArray:
    """A unit vector orthogonal to the basis (k, rows, n), where an invariant space is exhausted."""
    vector = np.tile(np.random.default_rng(step).normal(size=basis.shape[2]), (basis.shape[1], 1))
    for _ in range(2):
        vector -= np.einsum("krn,kr->rn", basis, np.einsum("krn,rn->kr", basis, vector))
    return vector / np.linalg.norm(vector, axis=1, keepdims=True)


def some_of(which: BoolArray | IntArray) -> str:
    """The first few of the rows that are meant, for messages."""
    indices = np.flatnonzero(which)
    return ", ".join(map(str, indices[:5])) + (", .." if len(indices) > 5 else "")
