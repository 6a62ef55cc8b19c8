"""Hamiltonian detection: learn an unknown Hamiltonian from its answers to known fields."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Ge

from qeqprop.interfaces import Dataset, FloatArray, Samples
from qeqprop.sampling import Positive, checked


@checked
def field_probes(
    *,
    probes: Annotated[int, Ge(1)] = 9,
    span: Positive = 2.0,
    target: tuple[float, float] = (0.8, 1.5),
) -> Dataset:
    """The magnetisation of one unknown spin in known fields, a regression.

    The ground state of ``H = -A Z - (B + f) X`` has ``y(f) = <Z> = A / sqrt(A^2 + (B + f)^2)``. The training inputs are
    the fields f (probes, 1), evenly from -span to span (zero if there is only one), the targets y (probes, 1). The
    test part are the fields halfway between two probes; with one probe it is the training part.

    Args:
        probes: number of fields. One probe fixes only the direction of ``(A, B)``.
        span: largest field, in the unit of A and B.
        target: the parameters (A, B) to be found.

    Raises:
        ValueError: if a number is out of its range, or the target spin feels no field at one of the probes.
    """
    if len(target) != 2 or not np.all(np.isfinite(target)):
        raise ValueError(f"Argument `target` must hold two finite numbers (A, B), but is {target}.")
    A, B = target
    fields = np.linspace(-span, span, probes) if probes > 1 else np.zeros(1)
    between = (fields[1:] + fields[:-1]) / 2 if probes > 1 else fields
    if A == 0 and np.any(B + np.concatenate([fields, between]) == 0):
        raise ValueError(f"Argument `target` must leave a field at every probe, but is {target}: <Z> is undefined.")

    def answers(f: FloatArray) -> Samples:
        return Samples(f[:, None], (A / np.hypot(A, B + f))[:, None])

    return Dataset(
        train=answers(fields),
        test=answers(between),
        features=("f",),
        description=f"Magnetisation of the spin (A, B) = ({A:g}, {B:g}) in {probes} probe fields",
    )
