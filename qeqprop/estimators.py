"""Networks that settle, quantum and classical, as scikit-learn estimators."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, softmax
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from qeqprop import fitting
from qeqprop.fitting import NetworkMaker
from qeqprop.interfaces import AnyNetwork, Device, FloatArray, LearningRule, Loss, Optimizer, Penalty, Solver
from qeqprop.model_file import describe
from qeqprop.saved_estimators import load_estimator, save_estimator

_REACH = 0.8  # a regressor's targets are scaled to this part of the outputs' range


class QEPClassifier(ClassifierMixin, BaseEstimator):
    """A network that learns classes by equilibrium propagation: quantum spins, or any other that has an energy.

    Every class is answered for by an output of its own, ``<Z>`` of a spin, and two classes share one. Features are
    standardised and, in the default network, act on every spin through learnt weights. The score of class ``c`` is
    ``-L(y, c)``, minus the loss that the outputs ``y`` would have if the sample belonged to it; the best score decides,
    and probabilities are ``p_c ~ exp(-L(y, c))``. For the default loss that is the softmax of four times the outputs,
    or the logistic function of four times the only one.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.model_selection import train_test_split
        >>> from qeqprop import QEPClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> X, X_test, y, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)
        >>> classifier = QEPClassifier(random_state=0).fit(X, y)
        >>> classifier.score(X_test, y_test) > 0.9
        True
        >>> classifier.predict_proba(X_test).shape
        (45, 3)

        A rule, a solver and an optimiser of choice; makers, unlike what they make, can be saved and pickled::

            QEPClassifier(
                rule=SymmetricNudging(0.1),
                solver=Sampled(Exact(), shots=1000),
                optimizer=functools.partial(momentum, learning_rate=0.02),
            )

        Classical networks come with a solver of their kind: spins that are sampled at a temperature and learn from
        their own fluctuations, soft neurons that relax::

            QEPClassifier(
                lambda n_inputs, n_outputs: layered_ising(n_inputs=n_inputs, hidden=(16,), n_outputs=n_outputs),
                solver=Gibbs(),
                temperature=0.7,
            )
            QEPClassifier(layered(layers=(4, 8, 3)), solver=Relaxation(), rule=SymmetricNudging(0.1), initial_scale=0.0)

    Args:
        network: a network of any kind, or a function ``(n_inputs, n_outputs) -> network``; by default
            `transverse_ising` with learnt input weights, one site for each output and at least four.
        loss: a loss or its maker, for targets -1 and +1; by default `losses.cross_entropy`.
        rule: linear response by default.
        solver: of networks of this kind; exact ground states by default.
        temperature: of the solver, in the place of its own, so that a search can go along it.
        device: where the circuits of the solver run; the compiled simulator by default.
        optimizer: an optimiser or its maker (`functools.partial` sets its options); Adam with rate 0.1 by default.
        steps: steps of `fit`.
        batch: samples of a step; None for all.
        initial_scale: deviation of the random initial parameters; small ones start near a linear model.
        penalty: a penalty or its maker.
        warm_start: `fit` goes on from the last parameters and the optimiser's memory.
        random_state: of initial parameters, minibatches and measurements: an integer, a `RandomState`, or None.
        scale_inputs: standardise the features with the statistics of the first data seen.

    Attributes:
        classes_: (n_classes,) labels.
        n_features_in_: number of features.
        network_, theta_: the trained network and its parameters (n_trainable,).
        mean_, scale_: (n_features,) the network sees ``(X - mean_) / scale_``.
        optimizer_state_: the optimiser's memory.
        n_iter_: steps done.
        history_: lists ``"step"`` and ``"loss"``, the loss of each step's batch before the step.
        seed_: what ``random_state`` drew; all random numbers follow from it.

    Raises:
        ValueError: for data that scikit-learn refuses, a network that does not fit the data, labels of no known class.
        NotConverged: if a state misses its solver's tolerance.
    """

    classes_: NDArray[Any]
    network_: AnyNetwork
    theta_: FloatArray
    optimizer_state_: dict[str, Any]
    n_iter_: int
    history_: dict[str, list[float]]
    seed_: int
    mean_: FloatArray
    scale_: FloatArray

    def __init__(
        self,
        network: AnyNetwork | NetworkMaker | None = None,
        *,
        loss: Loss | Callable[[], Loss] | None = None,
        rule: LearningRule | None = None,
        solver: Solver | None = None,
        temperature: float | None = None,
        device: Device | None = None,
        optimizer: Optimizer | Callable[[], Optimizer] | None = None,
        steps: int = 100,
        batch: int | None = 32,
        initial_scale: float = 0.1,
        penalty: Penalty | Callable[[], Penalty] | None = None,
        warm_start: bool = False,
        random_state: Any = None,
        scale_inputs: bool = True,
    ) -> None:
        self.network = network
        self.loss = loss
        self.rule = rule
        self.solver = solver
        self.temperature = temperature
        self.device = device
        self.optimizer = optimizer
        self.steps = steps
        self.batch = batch
        self.initial_scale = initial_scale
        self.penalty = penalty
        self.warm_start = warm_start
        self.random_state = random_state
        self.scale_inputs = scale_inputs

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Trains on X (n_samples, n_features) and labels y (n_samples,)."""
        again = self.warm_start and hasattr(self, "theta_")
        x, labels = _validated(self, X, y, reset=not again)
        self._prepare(x, labels, self.classes_ if again else None, fresh=not again)
        fitting.fit(self, x, self._targets(labels))
        return self

    def partial_fit(self, X: ArrayLike, y: ArrayLike, classes: ArrayLike | None = None) -> Self:
        """One step of the optimiser on this batch, with the memory of the steps before.

        The first call sets the scales of the features and needs all ``classes``, or data that holds them.
        """
        first = not hasattr(self, "theta_")
        x, labels = _validated(self, X, y, reset=first)
        if not (first or classes is None or np.array_equal(np.unique(np.asarray(classes)), self.classes_)):
            raise ValueError(f"Argument `classes` must be those of the first call, {self.classes_}, but is {classes}.")
        self._prepare(x, labels, classes if first else self.classes_, fresh=first)
        fitting.step(self, x, self._targets(labels))
        return self

    def decision_function(self, X: ArrayLike) -> FloatArray:
        """Scores (n_samples, n_classes), minus the loss of each class.

        For two classes their difference (n_samples,), positive for ``classes_[1]``: its log-odds.
        """
        check_is_fitted(self)
        outputs = fitting.outputs(self, _validated(self, X, reset=False))
        loss = fitting.parts_of(self).loss
        if loss.squares:  # the squares add the same to the loss of every class
            outputs = np.concatenate([outputs, np.zeros_like(outputs)], axis=1)
        answers = self._targets(self.classes_)[:, None]
        scores = np.array([[-loss.value(row, answer) for answer in answers] for row in outputs[:, None]])
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def predict_proba(self, X: ArrayLike) -> FloatArray:
        """Probabilities (n_samples, n_classes), proportional to ``exp(-L(y, c))``."""
        scores = self.decision_function(X)
        return softmax(scores, axis=1) if scores.ndim == 2 else np.stack([expit(-scores), expit(scores)], axis=1)

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Labels (n_samples,)."""
        scores = self.decision_function(X)
        return self.classes_[scores.argmax(axis=1) if scores.ndim == 2 else (scores > 0).astype(np.int64)]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the fitted estimator to one ``.npz`` file, without pickle, the optimiser's memory included.

        The file appears whole or not at all. A dataclass (a rule, a solver) is stored by import name with its fields, a
        function by import name, a `functools.partial` of one with its keywords. Anything else, such as a finished
        `Loss`, leaves only a note, and `load` asks for it. In place of a network's maker without an import name, or of
        a `RandomState`, the fitted network and `seed_` are stored.
        """
        check_is_fitted(self)
        labels = self.classes_
        if labels.dtype == object:  # an array of objects would need pickle
            save_estimator(self, path, more_facts={"classes": describe("classes_", labels.tolist())})
        else:
            save_estimator(self, path, more_arrays={"classes_": labels})

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, trusted: Sequence[str] = (), **parts: Any) -> Self:
        """Reads a saved estimator: it predicts, and goes on with `partial_fit`, to the same bits.

        Args:
            path: the file.
            trusted: modules besides those of this package whose functions and classes the file may name.
            **parts: parameters that replace the stored ones, and those that could not be stored.

        Raises:
            ValueError: if the file is no saved `QEPClassifier`, or a part must be passed again.
        """
        estimator, facts, arrays = load_estimator(cls, path, trusted, parts)
        names = facts.get("classes")
        estimator.classes_ = arrays["classes_"] if names is None else np.array(names, dtype=object)
        return estimator

    def _prepare(self, X: FloatArray, y: NDArray[Any], classes: ArrayLike | None, *, fresh: bool) -> None:
        check_classification_targets(y)
        labels = np.unique(y) if classes is None else np.unique(np.asarray(classes))
        unknown = np.setdiff1d(y, labels)
        if len(unknown):
            raise ValueError(f"Argument `y` must hold labels of the known classes {labels}, but holds {unknown}.")
        if len(labels) < 2:
            raise ValueError(f"Argument `y` must hold at least two classes, but holds {len(labels)} class.")
        if fresh:
            self.classes_ = labels
            n_outputs = 1 if len(labels) == 2 else len(labels)
            fitting.initialise(self, X, n_outputs)

    def _targets(self, y: NDArray[Any]) -> FloatArray:
        marked = y[:, None] == (self.classes_[1:] if len(self.classes_) == 2 else self.classes_)
        return np.where(marked, 1.0, -1.0)


class QEPRegressor(RegressorMixin, BaseEstimator):
    """A network of any kind that learns a number by equilibrium propagation.

    The output is ``<Z>`` of one spin, or the only output of a network of another kind. The targets of the first data
    seen are mapped to the inner four fifths of the range that a Pauli sum can reach, for energies from -1 to 1, and
    predictions are mapped back.

    Example:
        >>> import numpy as np
        >>> from qeqprop import QEPRegressor
        >>> X = np.linspace(-1, 1, 20)[:, None]
        >>> QEPRegressor(random_state=0).fit(X, X[:, 0] ** 3).score(X, X[:, 0] ** 3) > 0.9
        True

    Args and attributes as for `QEPClassifier`, but for its classes. By default the loss is
    `losses.mean_squared_error`, and Adam's rate 0.05.
    A prediction is ``target_scale_ y + target_offset_``, where ``y`` is the output.
    """

    target_offset_: FloatArray
    target_scale_: FloatArray
    network_: AnyNetwork
    theta_: FloatArray
    optimizer_state_: dict[str, Any]
    n_iter_: int
    history_: dict[str, list[float]]
    seed_: int
    mean_: FloatArray
    scale_: FloatArray

    def __init__(
        self,
        network: AnyNetwork | NetworkMaker | None = None,
        *,
        loss: Loss | Callable[[], Loss] | None = None,
        rule: LearningRule | None = None,
        solver: Solver | None = None,
        temperature: float | None = None,
        device: Device | None = None,
        optimizer: Optimizer | Callable[[], Optimizer] | None = None,
        steps: int = 100,
        batch: int | None = 32,
        initial_scale: float = 0.3,
        penalty: Penalty | Callable[[], Penalty] | None = None,
        warm_start: bool = False,
        random_state: Any = None,
        scale_inputs: bool = True,
    ) -> None:
        self.network = network
        self.loss = loss
        self.rule = rule
        self.solver = solver
        self.temperature = temperature
        self.device = device
        self.optimizer = optimizer
        self.steps = steps
        self.batch = batch
        self.initial_scale = initial_scale
        self.penalty = penalty
        self.warm_start = warm_start
        self.random_state = random_state
        self.scale_inputs = scale_inputs

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Trains on X (n_samples, n_features) and targets y (n_samples,)."""
        again = self.warm_start and hasattr(self, "theta_")
        x, targets = _validated(self, X, y, y_numeric=True, reset=not again)
        if not again:
            self._initialise(x, targets)
        fitting.fit(self, x, self._targets(targets))
        return self

    def partial_fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """One step of the optimiser on this batch; the first batch sets the scales of features and targets."""
        first = not hasattr(self, "theta_")
        x, targets = _validated(self, X, y, y_numeric=True, reset=first)
        if first:
            self._initialise(x, targets)
        fitting.step(self, x, self._targets(targets))
        return self

    def predict(self, X: ArrayLike) -> FloatArray:
        """Predictions (n_samples,)."""
        check_is_fitted(self)
        return fitting.outputs(self, _validated(self, X, reset=False))[:, 0] * self.target_scale_ + self.target_offset_

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the fitted estimator to one ``.npz`` file, as `QEPClassifier.save`."""
        check_is_fitted(self)
        save_estimator(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, trusted: Sequence[str] = (), **parts: Any) -> Self:
        """Reads a saved estimator, as `QEPClassifier.load`."""
        return load_estimator(cls, path, trusted, parts)[0]

    def _initialise(self, X: FloatArray, y: FloatArray) -> None:
        fitting.initialise(self, X, 1)
        low, high = float(np.min(y)), float(np.max(y))
        centre, reach = fitting.output_range(self.network_)
        scale = (high - low) / 2 / (_REACH * reach) if high > low else 1.0
        self.target_scale_, self.target_offset_ = np.array(scale), np.array((low + high) / 2 - scale * centre)

    def _targets(self, y: FloatArray) -> FloatArray:
        return ((y - self.target_offset_) / self.target_scale_)[:, None]


def _validated(estimator: Any, X: Any, *y: Any, **options: Any) -> Any:
    """Inputs, or inputs and one column of targets, as scikit-learn wants them checked."""
    checked = validate_data(estimator, X, *y, **options, dtype=np.float64)
    return (checked[0], column_or_1d(checked[1], warn=True)) if y else checked
