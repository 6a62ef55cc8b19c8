"""Boolean tasks on spins: complete lists of patterns of +-1, so small that holding samples back is a choice.

Bit 0 is +1 and bit 1 is -1, as for a spin. `test_fraction` is 0 by default: the test part is then the training part.
"""

from __future__ import annotations

from itertools import product
from typing import Annotated

import numpy as np
from annotated_types import Ge, Le

from qeqprop.interfaces import Dataset, FloatArray
from qeqprop.sampling import Fraction, Positive, Seed, Targets, checked, dataset_of


@checked
def xor(*, targets: Targets = "sign", scale: Positive = 1.0, seed: Seed = 0) -> Dataset:
    """Whether two bits differ: the four patterns, the smallest task that no linear network solves.

    With ``targets="sign"`` the target is ``y = -x_0 x_1``. All four patterns are in the training and in the test part.

    Args:
        targets: ``"sign"``, one column +-1, or ``"onehot"``, two columns 0 and 1.
        scale: the inputs are +-scale.
        seed: of the order of the patterns.

    Raises:
        ValueError: if a number is out of its range.
    """
    x = _patterns(2)
    return dataset_of(
        scale * x,
        (x.prod(axis=1) < 0).astype(np.int64),
        classes=("equal", "different"),
        features=("bit 0", "bit 1"),
        description="Exclusive or: do two bits differ?",
        targets=targets,
        test_fraction=0.0,
        seed=seed,
    )


@checked
def parity(
    *,
    bits: Annotated[int, Ge(2), Le(12)] = 3,
    targets: Targets = "sign",
    test_fraction: Fraction = 0.0,
    scale: Positive = 1.0,
    seed: Seed = 0,
) -> Dataset:
    """Whether the number of ones among the bits is odd: all ``2^bits`` patterns.

    With ``targets="sign"`` the target is ``y = -prod_i x_i``; any smaller set of bits tells nothing about it.

    Args:
        bits: number of inputs.
        targets: ``"sign"``, one column +-1, or ``"onehot"``, two columns 0 and 1.
        test_fraction: part held back for testing; at 0 the test part is the training part.
        scale: the inputs are +-scale.
        seed: of the split.

    Raises:
        ValueError: if a number is out of its range.
    """
    x = _patterns(bits)
    return dataset_of(
        scale * x,
        (x.prod(axis=1) < 0).astype(np.int64),
        classes=("even", "odd"),
        features=tuple(f"bit {index}" for index in range(bits)),
        description=f"Parity of {bits} bits, all patterns",
        targets=targets,
        test_fraction=test_fraction,
        seed=seed,
    )


@checked
def bars_and_stripes(
    *,
    size: Annotated[int, Ge(2), Le(8)] = 3,
    targets: Targets = "sign",
    test_fraction: Fraction = 0.0,
    scale: Positive = 1.0,
    seed: Seed = 0,
) -> Dataset:
    """Square images of whole columns (bars, first class) or whole rows (stripes, second class) (MacKay 2003).

    All ``2 (2^size - 2)`` patterns; the empty and the full image, which are both, are left out.

    Args:
        size: pixels along an edge, so ``size^2`` inputs, row by row.
        targets: ``"sign"``, one column +-1, or ``"onehot"``, two columns 0 and 1.
        test_fraction: part held back for testing; at 0 the test part is the training part.
        scale: the inputs are +-scale.
        seed: of the split.

    Raises:
        ValueError: if a number is out of its range.
    """
    lines = _patterns(size)[1:-1]  # without the first and the last, all equal
    bars = np.repeat(lines[:, None, :], size, axis=1).reshape(len(lines), size**2)
    stripes = np.repeat(lines[:, :, None], size, axis=2).reshape(len(lines), size**2)
    return dataset_of(
        scale * np.concatenate([bars, stripes]),
        np.repeat([0, 1], len(lines)),
        classes=("bars", "stripes"),
        features=tuple(f"pixel {row},{column}" for row, column in product(range(size), repeat=2)),
        description=f"Bars and stripes on {size} x {size} pixels, all patterns (MacKay 2003)",
        targets=targets,
        test_fraction=test_fraction,
        seed=seed,
    )


def _patterns(bits: int) -> FloatArray:
    """All patterns of +-1, (2^bits, bits), from all +1 to all -1."""
    return np.array(list(product((1.0, -1.0), repeat=bits)))
