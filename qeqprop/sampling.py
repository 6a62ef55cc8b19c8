"""From labelled points to a `Dataset`: targets, a stratified split, and scalings that look at the training part only.

Everything here is a pure function of its arguments. A dataset is made by `dataset_of` and then, if its inputs have no
unit of their own, passed through `project` and `standardise`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import make_dataclass
from functools import wraps
from typing import Annotated, Any, Literal, ParamSpec, get_args, get_origin, get_type_hints

import numpy as np
from annotated_types import Ge, Gt, Lt

from qeqprop.checks import check_fields, check_shape
from qeqprop.interfaces import Dataset, FloatArray, IntArray, Samples

Targets = Literal["sign", "onehot"]
Fraction = Annotated[float, Ge(0), Lt(1)]
Positive = Annotated[float, Gt(0)]
Seed = Annotated[int, Ge(0), Lt(2**32)]

Parameters = ParamSpec("Parameters")


def checked(source: Callable[Parameters, Dataset]) -> Callable[Parameters, Dataset]:
    """A dataset function that checks its numbers against its own annotations (``Annotated[float, Gt(0)]``) first.

    Raises (when the result is called):
        TypeError: if an argument is unknown.
        ValueError: names the argument, what was wanted and what came.
    """
    signature = inspect.signature(source)

    @wraps(source)
    def call(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Dataset:
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{source.__name__}() {error}.") from None
        bound.apply_defaults()
        hints: dict[str, Any] = get_type_hints(source, include_extras=True)
        for name, value in bound.arguments.items():
            whole = get_origin(hints[name]) is Annotated and get_args(hints[name])[0] is int
            if whole and (isinstance(value, bool) or not isinstance(value, (int, np.integer))):
                raise ValueError(f"Argument `{name}` must be an integer, but is {value!r}.")
        record = make_dataclass("Arguments", [(name, hints[name]) for name in bound.arguments])
        check_fields(record(**bound.arguments))
        return source(*args, **kwargs)

    return call


def dataset_of(
    x: FloatArray,
    labels: IntArray,
    *,
    classes: tuple[str, ...],
    features: tuple[str, ...],
    description: str,
    targets: Targets = "sign",
    test_fraction: float = 0.3,
    seed: int = 0,
) -> Dataset:
    """Encodes the labels (n_samples,) of the inputs x (n_samples, n_inputs) and splits both, class by class.

    Args:
        x: the inputs.
        labels: the index of each sample's class.
        classes: names of the classes.
        features: names of the inputs.
        description: one line on what it is and where it comes from.
        targets: see `encode_targets`.
        test_fraction: see `split`.
        seed: see `split`.
    """
    check_shape("x", x, "(n_samples, n_inputs)", (len(labels), len(features)))
    x, y = x.astype(np.float64), encode_targets(labels, len(classes), targets)
    train, test = split(labels, test_fraction, seed)
    return Dataset(Samples(x[train], y[train]), Samples(x[test], y[test]), classes, features, description)


def encode_targets(labels: IntArray, n_classes: int, targets: Targets) -> FloatArray:
    """The targets of the labels (n_samples,).

    Returns:
        * ``"sign"``: (n_samples, n_classes), +1 in the column of the class and -1 elsewhere; for two classes only one
          column (n_samples, 1), +1 for the second class and -1 for the first.
        * ``"onehot"``: (n_samples, n_classes), 1 in the column of the class and 0 elsewhere.

    Raises:
        ValueError: if a label is no class, there are fewer than two classes, or `targets` is unknown.
    """
    if targets not in get_args(Targets):
        raise ValueError(f"Argument `targets` must be one of {get_args(Targets)}, but is {targets!r}.")
    if n_classes < 2:
        raise ValueError(f"Argument `n_classes` must be at least 2, but is {n_classes}.")
    check_shape("labels", labels, "(n_samples,)", (None,))
    if not np.all(np.isin(labels, np.arange(n_classes))):
        raise ValueError(
            f"Argument `labels` must hold classes from 0 to {n_classes - 1}, but holds {np.unique(labels).tolist()}."
        )
    onehot = np.eye(n_classes)[labels]
    if targets == "onehot":
        return onehot
    signs = 2 * onehot - 1
    return signs[:, 1:] if n_classes == 2 else signs


def split(labels: IntArray, test_fraction: float, seed: int) -> tuple[IntArray, IntArray]:
    """Shuffled indices of a training and a test part, in which every class has the same share up to one sample.

    The test part has ``test_fraction`` of the samples, rounded; what does not divide evenly is taken from the classes
    with the largest remainders. Every class that occurs keeps at least one sample to train on, if need be at the
    expense of the test part.

    Args:
        labels: (n_samples,) the index of each sample's class.
        test_fraction: in [0, 1). At 0 nothing is held back: both parts are the whole set.
        seed: of the shuffle.

    Raises:
        ValueError: if `test_fraction` is outside its range, or so small that no sample is left to test.
    """
    if not 0 <= test_fraction < 1:
        raise ValueError(f"Argument `test_fraction` must be in [0, 1), but is {test_fraction}.")
    shuffled = np.random.default_rng([seed, 1]).permutation(len(labels))  # stream 0 is the one that draws the points
    if test_fraction == 0:
        return shuffled, shuffled
    _, member, counts = np.unique(labels[shuffled], return_inverse=True, return_counts=True)
    held_back = _held_back(counts, test_fraction)
    if not np.any(held_back):
        raise ValueError(
            f"Argument `test_fraction` must leave a sample to test (0 tests on the training samples), "
            f"but is {test_fraction} of {len(labels)} samples in {len(counts)} classes."
        )
    rank = np.empty(len(labels), dtype=np.int64)  # of a sample among those of its class
    rank[np.argsort(member, kind="stable")] = np.concatenate([np.arange(count) for count in counts])
    testing = rank < held_back[member]
    return shuffled[~testing], shuffled[testing]


def standardise(dataset: Dataset, scale: float = 1.0) -> Dataset:
    """The inputs as ``scale (x - mean) / deviation``, with mean and deviation of the *training* inputs.

    An input that is constant in the training part is only shifted and scaled.
    """
    if not 0 < scale < np.inf:
        raise ValueError(f"Argument `scale` must be a finite number greater than 0, but is {scale!r}.")
    known = dataset.train.x
    mean, deviation = known.mean(axis=0), known.std(axis=0)
    deviation = np.where(np.ptp(known, axis=0) == 0, 1.0, deviation)  # a rounded deviation of a constant may be 1e-17
    return _with_inputs(dataset, lambda x: scale * (x - mean) / deviation, dataset.features)


def project(dataset: Dataset, features: int) -> Dataset:
    """The inputs on the first principal components of the *training* inputs (Pearson 1901), largest variance first.

    Each component points to the side where its largest loading is positive, so that the result does not depend on the
    linear algebra library.

    Raises:
        ValueError: if the training inputs do not span ``features`` dimensions.
    """
    known = dataset.train.x
    mean = known.mean(axis=0)
    _, spread, components = np.linalg.svd(known - mean, full_matrices=False)
    # a direction without variance is rounding noise, which a later standardisation would blow up to an input
    rank = int(np.sum(spread > spread[0] * max(known.shape) * np.finfo(np.float64).eps))
    if not isinstance(features, (int, np.integer)) or not 1 <= features <= rank:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ValueError(
            f"Argument `features` must be an integer from 1 to {rank}, the dimensions that the {len(known)} training "
            f"samples span, but is {features}."
        )
    components = components[:features]
    largest = np.argmax(np.abs(components), axis=1)
    components = components * np.sign(components[np.arange(features), largest])[:, None]
    return _with_inputs(
        dataset, lambda x: (x - mean) @ components.T, tuple(f"component {index}" for index in range(features))
    )


def _held_back(counts: IntArray, test_fraction: float) -> IntArray:
    """The number of test samples of each class (n_classes,), by the method of largest remainders."""
    quotas = counts * test_fraction
    held_back = np.floor(quotas).astype(np.int64)
    missing = round(float(quotas.sum())) - int(held_back.sum())
    by_remainder = np.argsort(held_back - quotas, kind="stable")
    spare = [
        index for index in by_remainder if held_back[index] < quotas[index] and held_back[index] + 1 < counts[index]
    ]
    held_back[spare[:missing]] += 1
    return held_back


def _with_inputs(dataset: Dataset, change: Callable[[FloatArray], FloatArray], features: tuple[str, ...]) -> Dataset:
    train, test = (samples._replace(x=change(samples.x)) for samples in (dataset.train, dataset.test))
    return dataset._replace(train=train, test=test, features=features)
