"""Two classes in the plane that no straight line separates.

The inputs are standardised with mean and deviation of the *training* part and multiplied by `scale`. A
`test_fraction` of 0 holds nothing back: the test part is then the training part.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Lt

from qeqprop.interfaces import Dataset
from qeqprop.sampling import Fraction, Positive, Seed, Targets, checked, dataset_of, standardise


@checked
def moons(
    *,
    samples: Annotated[int, Ge(4)] = 200,
    noise: Annotated[float, Ge(0)] = 0.1,
    targets: Targets = "sign",
    test_fraction: Fraction = 0.3,
    scale: Positive = 1.0,
    seed: Seed = 0,
) -> Dataset:
    """Two half circles of radius 1 that reach into each other, with normal noise of deviation ``noise``.

    Args:
        samples: in total, half of them in each class.
        noise: standard deviation in both directions, in radii.
        targets: ``"sign"``, one column +-1, or ``"onehot"``, two columns 0 and 1.
        test_fraction: part held back for testing.
        scale: deviation of each input at the end.
        seed: of the noise and of the split.

    Raises:
        ValueError: if a number is out of its range.
    """
    from sklearn.datasets import make_moons

    x, labels = make_moons(n_samples=samples, noise=noise, random_state=seed)
    dataset = dataset_of(
        np.asarray(x, dtype=np.float64),
        np.asarray(labels, dtype=np.int64),
        classes=("upper", "lower"),
        features=("horizontal", "vertical"),
        description=f"Two moons with noise {noise}",
        targets=targets,
        test_fraction=test_fraction,
        seed=seed,
    )
    return standardise(dataset, scale)


@checked
def circles(
    *,
    samples: Annotated[int, Ge(4)] = 200,
    noise: Annotated[float, Ge(0)] = 0.1,
    inner_radius: Annotated[float, Gt(0), Lt(1)] = 0.5,
    targets: Targets = "sign",
    test_fraction: Fraction = 0.3,
    scale: Positive = 1.0,
    seed: Seed = 0,
) -> Dataset:
    """A circle of radius 1 (first class) around a smaller one (second class), with normal noise.

    Args:
        samples: in total, half of them in each class.
        noise: standard deviation in both directions, in radii of the outer circle.
        inner_radius: radius of the inner circle.
        targets: ``"sign"``, one column +-1, or ``"onehot"``, two columns 0 and 1.
        test_fraction: part held back for testing.
        scale: deviation of each input at the end.
        seed: of the noise and of the split.

    Raises:
        ValueError: if a number is out of its range.
    """
    from sklearn.datasets import make_circles

    x, labels = make_circles(n_samples=samples, noise=noise, factor=inner_radius, random_state=seed)
    dataset = dataset_of(
        np.asarray(x, dtype=np.float64),
        np.asarray(labels, dtype=np.int64),
        classes=("outer", "inner"),
        features=("horizontal", "vertical"),
        description=f"Two circles of radius 1 and {inner_radius} with noise {noise}",
        targets=targets,
        test_fraction=test_fraction,
        seed=seed,
    )
    return standardise(dataset, scale)
