"""Networks of spins as scikit-learn estimators."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import sklearn
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, softmax
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from qeqprop import __version__, losses
from qeqprop.interfaces import Device, FloatArray, LearningRule, Loss, Network, Optimizer, Penalty, Samples, Solver
from qeqprop.model_file import describe, network_arrays, network_from, read_model, restore, write_model
from qeqprop.networks.transverse_ising import transverse_ising
from qeqprop.optimizers import adam
from qeqprop.propagation import gradient, predict
from qeqprop.training import TrainingState, initial_theta, train

NetworkMaker = Callable[[int, int], Network]

_REACH = 0.8  # a regressor's targets are scaled to this part of the outputs' range
_SAVED = ("theta_", "mean_", "scale_", "target_offset_", "target_scale_")


@dataclass(frozen=True)
class _Parts:
    """The parts of an estimator, made anew when needed: closures are no attributes of a picklable estimator."""

    loss: Loss
    rule: LearningRule | None
    solver: Solver | None
    optimizer: Optimizer
    penalty: Penalty | None


class QEPClassifier(ClassifierMixin, BaseEstimator):
    """A network of spins that learns classes by equilibrium propagation.

    Every class is answered for by ``<Z>`` of a spin of its own, and two classes share one. Features are standardised
    and act on every spin through learnt weights. The score of class ``c`` is ``-L(y, c)``, minus the loss that the
    outputs ``y`` would have if the sample belonged to it; the best score decides, and probabilities are
    ``p_c ~ exp(-L(y, c))``. For the default loss that is the softmax of four times the outputs, or the logistic
    function of four times the only one.

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

    Args:
        network: a network, or a function ``(n_inputs, n_outputs) -> Network``; by default `transverse_ising` with
            learnt input weights, one site for each output and at least four.
        loss: a loss or its maker, for targets -1 and +1; by default `losses.cross_entropy`.
        rule: linear response by default.
        solver: exact ground states by default.
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
    network_: Network
    theta_: FloatArray
    optimizer_state_: dict[str, Any]
    n_iter_: int
    history_: dict[str, list[float]]
    seed_: int
    mean_: FloatArray
    scale_: FloatArray

    def __init__(
        self,
        network: Network | NetworkMaker | None = None,
        *,
        loss: Loss | Callable[[], Loss] | None = None,
        rule: LearningRule | None = None,
        solver: Solver | None = None,
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
        _fit(self, x, self._targets(labels), _parts(self))
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
        _step(self, x, self._targets(labels), _parts(self))
        return self

    def decision_function(self, X: ArrayLike) -> FloatArray:
        """Scores (n_samples, n_classes), minus the loss of each class.

        For two classes their difference (n_samples,), positive for ``classes_[1]``: its log-odds.
        """
        check_is_fitted(self)
        outputs = _outputs(self, _validated(self, X, reset=False))
        loss = _parts(self).loss
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
            _save(self, path, {"classes": describe("classes_", labels.tolist())}, {})
        else:
            _save(self, path, {}, {"classes_": labels})

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
        estimator, facts, arrays = _load(cls, path, trusted, parts)
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
            _initialise(self, X, n_outputs)

    def _targets(self, y: NDArray[Any]) -> FloatArray:
        marked = y[:, None] == (self.classes_[1:] if len(self.classes_) == 2 else self.classes_)
        return np.where(marked, 1.0, -1.0)


class QEPRegressor(RegressorMixin, BaseEstimator):
    """A network of spins that learns a number by equilibrium propagation.

    The output is ``<Z>`` of one spin. The targets of the first data seen are mapped to the inner four fifths of the
    range that the output can reach, and predictions are mapped back.

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
    network_: Network
    theta_: FloatArray
    optimizer_state_: dict[str, Any]
    n_iter_: int
    history_: dict[str, list[float]]
    seed_: int
    mean_: FloatArray
    scale_: FloatArray

    def __init__(
        self,
        network: Network | NetworkMaker | None = None,
        *,
        loss: Loss | Callable[[], Loss] | None = None,
        rule: LearningRule | None = None,
        solver: Solver | None = None,
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
        _fit(self, x, self._targets(targets), _parts(self))
        return self

    def partial_fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """One step of the optimiser on this batch; the first batch sets the scales of features and targets."""
        first = not hasattr(self, "theta_")
        x, targets = _validated(self, X, y, y_numeric=True, reset=first)
        if first:
            self._initialise(x, targets)
        _step(self, x, self._targets(targets), _parts(self))
        return self

    def predict(self, X: ArrayLike) -> FloatArray:
        """Predictions (n_samples,)."""
        check_is_fitted(self)
        return _outputs(self, _validated(self, X, reset=False))[:, 0] * self.target_scale_ + self.target_offset_

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the fitted estimator to one ``.npz`` file, as `QEPClassifier.save`."""
        check_is_fitted(self)
        _save(self, path, {}, {})

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, trusted: Sequence[str] = (), **parts: Any) -> Self:
        """Reads a saved estimator, as `QEPClassifier.load`."""
        return _load(cls, path, trusted, parts)[0]

    def _initialise(self, X: FloatArray, y: FloatArray) -> None:
        _initialise(self, X, 1)
        low, high = float(np.min(y)), float(np.max(y))
        centre, reach = _range(self.network_)
        scale = (high - low) / 2 / (_REACH * reach) if high > low else 1.0
        self.target_scale_, self.target_offset_ = np.array(scale), np.array((low + high) / 2 - scale * centre)

    def _targets(self, y: FloatArray) -> FloatArray:
        return ((y - self.target_offset_) / self.target_scale_)[:, None]


Estimator = QEPClassifier | QEPRegressor


def _validated(estimator: Any, X: Any, *y: Any, **options: Any) -> Any:
    """Inputs, or inputs and one column of targets, as scikit-learn wants them checked."""
    checked = validate_data(estimator, X, *y, **options, dtype=np.float64)
    return (checked[0], column_or_1d(checked[1], warn=True)) if y else checked


def _range(network: Network) -> tuple[float, float]:
    """Centre and half width of the range that the only output can reach: Pauli strings lie between -1 and 1."""
    moves = np.any(network.strings.z | network.strings.x, axis=1)
    coefficients = network.outputs[0]
    reach = float(np.sum(np.abs(coefficients[moves])))
    if reach == 0:
        raise ValueError(
            "Argument `network` must have an output that depends on its state, but its output is constant."
        )
    return float(np.sum(coefficients[~moves])), reach


def _default_network(n_inputs: int, n_outputs: int) -> Network:
    return transverse_ising(sites=max(4, n_outputs), n_inputs=n_inputs, n_outputs=n_outputs)


def _initialise(estimator: Estimator, X: FloatArray, n_outputs: int) -> None:
    """The network, the scales and the random parameters, before the first step."""
    made = _default_network if estimator.network is None else estimator.network
    network = made if isinstance(made, Network) else made(X.shape[1], n_outputs)
    if network.n_inputs != X.shape[1] or network.n_outputs != n_outputs:
        raise ValueError(
            f"Argument `network` must have {X.shape[1]} inputs and {n_outputs} outputs for this data, "
            f"but has {network.n_inputs} and {network.n_outputs}."
        )
    # the rounded deviation of a constant feature may be 1e-17
    spread = np.where(np.ptp(X, axis=0) > 0, np.std(X, axis=0), 0.0)
    estimator.mean_ = np.mean(X, axis=0) if estimator.scale_inputs else np.zeros(X.shape[1])
    estimator.scale_ = np.where(spread > 0, spread, 1.0) if estimator.scale_inputs else np.ones(X.shape[1])
    estimator.network_ = network
    estimator.seed_ = int(check_random_state(estimator.random_state).randint(2**31))
    estimator.theta_ = initial_theta(network, seed=estimator.seed_, scale=estimator.initial_scale)
    estimator.optimizer_state_ = _parts(estimator).optimizer.init(estimator.theta_)
    estimator.n_iter_ = 0
    estimator.history_ = {"step": [], "loss": []}


def _made(part: Any, record: type) -> Any:
    """A part that may be given as the function that makes it."""
    return part if part is None or isinstance(part, record) else part()


def _parts(estimator: Estimator) -> _Parts:
    classifies = isinstance(estimator, QEPClassifier)
    default_loss = losses.cross_entropy() if classifies else losses.mean_squared_error()
    return _Parts(
        loss=_made(estimator.loss, Loss) or default_loss,
        rule=estimator.rule,
        solver=estimator.solver,
        optimizer=_made(estimator.optimizer, Optimizer) or adam(learning_rate=0.1 if classifies else 0.05),
        penalty=_made(estimator.penalty, Penalty),
    )


def _scaled(estimator: Estimator, X: FloatArray) -> FloatArray:
    return (X - estimator.mean_) / estimator.scale_


def _fit(estimator: Estimator, X: FloatArray, targets: FloatArray, parts: _Parts) -> None:
    now = TrainingState(estimator.n_iter_, estimator.theta_, estimator.optimizer_state_, np.nan, {}, 0)
    for state in train(
        estimator.network_,
        Samples(_scaled(estimator, X), targets),
        loss=parts.loss,
        rule=parts.rule,
        solver=parts.solver,
        device=estimator.device,
        optimizer=parts.optimizer,
        penalty=parts.penalty,
        steps=estimator.n_iter_ + estimator.steps,
        batch=estimator.batch,
        seed=estimator.seed_,
        resume=now,
    ):
        _record(estimator, state.theta, state.optimizer_state, state.step, state.loss)


def _step(estimator: Estimator, X: FloatArray, targets: FloatArray, parts: _Parts) -> None:
    step = estimator.n_iter_ + 1
    found = gradient(
        estimator.network_,
        estimator.theta_,
        _scaled(estimator, X),
        targets,
        loss=parts.loss,
        rule=parts.rule,
        solver=parts.solver,
        device=estimator.device,
        penalty=parts.penalty,
        seed=estimator.seed_,
        step=step,
    )
    theta, memory = parts.optimizer.update(found.values, estimator.optimizer_state_, estimator.theta_)
    _record(estimator, theta, memory, step, found.loss)


def _record(estimator: Estimator, theta: FloatArray, memory: dict[str, Any], step: int, loss: float) -> None:
    estimator.theta_, estimator.optimizer_state_, estimator.n_iter_ = theta, memory, step
    estimator.history_["step"].append(step)
    estimator.history_["loss"].append(loss)


def _outputs(estimator: Estimator, X: FloatArray) -> FloatArray:
    return predict(
        estimator.network_,
        estimator.theta_,
        _scaled(estimator, X),
        solver=estimator.solver,
        device=estimator.device,
        seed=estimator.seed_,
    )


def _save(
    estimator: Estimator, path: str | os.PathLike[str], more_facts: dict[str, Any], more_arrays: dict[str, NDArray[Any]]
) -> None:
    parameters: dict[str, Any] = estimator.get_params(deep=False)
    if isinstance(parameters["random_state"], np.random.RandomState):
        parameters["random_state"] = estimator.seed_
    described = {name: describe(name, value) for name, value in parameters.items()}
    if isinstance(estimator.network, Network) or "again" in (described["network"] or {}):
        described["network"] = {"fitted": True}
    fitted = {name: getattr(estimator, name) for name in ("seed_", "n_iter_", "n_features_in_")}
    if hasattr(estimator, "feature_names_in_"):
        fitted["feature_names_in_"] = vars(estimator)["feature_names_in_"].tolist()
    facts = {
        "estimator": type(estimator).__name__,
        "parameters": described,
        "fitted": fitted,
        "versions": {"qeqprop": __version__, "scikit-learn": sklearn.__version__, "numpy": np.__version__},
    }
    arrays = {name: getattr(estimator, name) for name in _SAVED if hasattr(estimator, name)}
    arrays |= {f"network.{name}": array for name, array in network_arrays(estimator.network_).items()}
    arrays |= {f"memory.{name}": array for name, array in estimator.optimizer_state_.items()}
    arrays |= {f"history.{name}": np.array(column) for name, column in estimator.history_.items()}
    write_model(path, facts | more_facts, arrays | more_arrays)


def _load(
    cls: Any, path: str | os.PathLike[str], trusted: Sequence[str], parts: dict[str, Any]
) -> tuple[Any, dict[str, Any], dict[str, NDArray[Any]]]:
    facts, arrays = read_model(path)
    if facts.get("estimator") != cls.__name__:
        raise ValueError(f"{path}: must hold a {cls.__name__}, but holds a {facts.get('estimator')}.")

    def group(prefix: str) -> dict[str, NDArray[Any]]:
        return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}

    network = network_from(group("network."))
    stored = {name: value for name, value in facts["parameters"].items() if name not in parts}
    if stored.get("network") == {"fitted": True}:
        parts = {"network": network, **parts}
        del stored["network"]
    restored = {name: restore(path, name, value, trusted) for name, value in stored.items()}
    estimator = cls(**restored, **parts)
    for name, value in [*facts["fitted"].items(), *((name, arrays[name]) for name in _SAVED if name in arrays)]:
        setattr(estimator, name, np.array(value, dtype=object) if isinstance(value, list) else value)
    estimator.network_, estimator.optimizer_state_ = network, group("memory.")
    estimator.history_ = {name: array.tolist() for name, array in group("history.").items()}
    return estimator, facts, arrays
