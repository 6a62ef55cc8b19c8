"""The small measured tables that scikit-learn brings along: no download, the same numbers on every machine.

Every function draws a stratified test part, standardises the inputs with mean and deviation of the *training* part
and multiplies them by `scale`, which is then the strength of a typical input field. The options are the same for all:

* ``classes``: the classes to keep, by number and in the order wanted; all by default.
* ``features``: reduce the inputs to that many principal components of the training part, each standardised again.
* ``targets``: ``"sign"`` is +1 in the column of the class and -1 elsewhere (two classes: one column, +1 for the
  second), ``"onehot"`` is 1 in the column of the class and 0 elsewhere.
* ``test_fraction``: in [0, 1); at 0 nothing is held back and the test part is the training part.

All raise a `ValueError` that names the argument if a class does not exist or a number is out of its range.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from qeqprop.interfaces import Dataset
from qeqprop.sampling import Fraction, Positive, Seed, Targets, checked, dataset_of, project, standardise


@checked
def iris(
    *,
    classes: tuple[int, ...] | None = None,
    features: int | None = None,
    targets: Targets = "sign",
    test_fraction: Fraction = 0.3,
    scale: Positive = 1.0,
    seed: Seed = 0,
) -> Dataset:
    """Three species of iris from four lengths of the flower, 150 samples (Anderson 1935, Fisher 1936)."""
    from sklearn.datasets import load_iris

    return _table(
        load_iris(),
        "Three species of iris from four lengths in cm (Fisher 1936, copy of scikit-learn)",
        classes=classes,
        features=features,
        targets=targets,
        test_fraction=test_fraction,
        scale=scale,
        seed=seed,
    )


@checked
def wine(
    *,
    classes: tuple[int, ...] | None = None,
    features: int | None = None,
    targets: Targets = "sign",
    test_fraction: Fraction = 0.3,
    scale: Positive = 1.0,
    seed: Seed = 0,
) -> Dataset:
    """Three growers of wine from thirteen chemical measurements, 178 samples (Forina et al. 1988)."""
    from sklearn.datasets import load_wine

    return _table(
        load_wine(),
        "Three growers of wine from thirteen chemical measurements (Forina et al. 1988, copy of scikit-learn)",
        classes=classes,
        features=features,
        targets=targets,
        test_fraction=test_fraction,
        scale=scale,
        seed=seed,
    )


@checked
def breast_cancer(
    *,
    classes: tuple[int, ...] | None = None,
    features: int | None = None,
    targets: Targets = "sign",
    test_fraction: Fraction = 0.3,
    scale: Positive = 1.0,
    seed: Seed = 0,
) -> Dataset:
    """Malignant (0) or benign (1) from thirty shape measurements of cell nuclei, 569 samples (Street et al. 1993)."""
    from sklearn.datasets import load_breast_cancer

    return _table(
        load_breast_cancer(),
        "Malignant or benign from thirty measurements of cell nuclei (Street et al. 1993, copy of scikit-learn)",
        classes=classes,
        features=features,
        targets=targets,
        test_fraction=test_fraction,
        scale=scale,
        seed=seed,
    )


@checked
def digits(
    *,
    classes: tuple[int, ...] | None = None,
    features: int | Literal["all"] | None = 8,
    targets: Targets = "sign",
    test_fraction: Fraction = 0.3,
    scale: Positive = 1.0,
    seed: Seed = 0,
) -> Dataset:
    """Ten handwritten digits, 1797 images of 8 x 8 pixels (Alpaydin & Kaynak 1998).

    The principal components are those of the pixels as they are, which have one unit; ``features="all"``, or
    None, keeps all 64.
    """
    from sklearn.datasets import load_digits

    return _table(
        load_digits(),
        "Handwritten digits of 8 x 8 pixels (Alpaydin & Kaynak 1998, copy of scikit-learn)",
        one_unit=True,
        classes=classes,
        features=None if features == "all" else features,
        targets=targets,
        test_fraction=test_fraction,
        scale=scale,
        seed=seed,
    )


def _table(
    source: Any,
    description: str,
    *,
    classes: tuple[int, ...] | None,
    features: int | None,
    targets: Targets,
    test_fraction: float,
    scale: float,
    seed: int,
    one_unit: bool = False,
) -> Dataset:
    """One of scikit-learn's bunches as a `Dataset`; with ``one_unit`` the inputs are comparable as they are."""
    names = tuple(str(name) for name in source.target_names)
    kept = _kept_classes(classes, len(names))
    wanted = np.flatnonzero(np.isin(source.target, kept))
    position = {number: index for index, number in enumerate(kept)}
    dataset = dataset_of(
        source.data[wanted],
        np.array([position[int(number)] for number in source.target[wanted]]),
        classes=tuple(names[number] for number in kept),
        features=tuple(str(name) for name in source.feature_names),
        description=description,
        targets=targets,
        test_fraction=test_fraction,
        seed=seed,
    )
    if features is not None:
        dataset = project(dataset if one_unit else standardise(dataset), features)
    return standardise(dataset, scale)


def _kept_classes(classes: tuple[int, ...] | None, n_classes: int) -> tuple[int, ...]:
    if classes is None:
        return tuple(range(n_classes))
    if len(classes) < 2 or len(set(classes)) != len(classes) or not set(classes) <= set(range(n_classes)):
        raise ValueError(
            f"Argument `classes` must hold at least two different classes from 0 to {n_classes - 1}, but is {classes}."
        )
    return tuple(classes)
