"""Networks of spins as scikit-learn estimators."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from qeqprop import losses
from qeqprop.interfaces import FloatArray, LearningRule, Loss, Network, Optimizer, Penalty, Samples, Solver
from qeqprop.model_file import describe_table, network_arrays, network_from, read_model, restore, write_model
from qeqprop.networks.transverse_ising import transverse_ising
from qeqprop.optimizers import adam
from qeqprop.propagation import gradient, predict
from qeqprop.training import TrainingState, initial_theta, train

NetworkMaker = Callable[[int, int], Network]

_REACH = 0.8  # a regressor's targets are scaled to this part of the outputs' range
_SAVED = ("theta_", "offset_", "scale_", "target_offset_", "target_scale_")


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

    Every class is answered for by ``<Z>`` of a spin of its own (two classes share one); the largest output decides.
    Features are standardised and act on every spin through learnt weights.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> from qeqprop import QEPClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> QEPClassifier(steps=60, random_state=0).fit(X, y).score(X, y) > 0.9
        True

    Args:
        network: a network, or a function ``(n_inputs, n_outputs) -> Network``; by default a small
            transverse-field Ising network with learnt input weights.
        loss: a loss or its maker; by default the cross-entropy of `losses.cross_entropy()`.
        rule: linear response by default.
        solver: exact ground states by default.
        optimizer: an optimiser or its maker (`functools.partial` sets its options); Adam with rate 0.05 by default.
        steps: steps of `fit`.
        batch: samples of a step; None for all.
        initial_scale: deviation of the random initial parameters.
        penalty: a penalty or its maker.
        warm_start: `fit` goes on from the last parameters and the optimiser's memory.
        random_state: of initial parameters, minibatches and measurements.
        scale_inputs: standardise the features with the statistics of the first data seen.

    Attributes:
        classes_: (n_classes,) labels.
        network_, theta_: the trained network.
        optimizer_state_, n_iter_, history_: the optimiser's memory, steps done, loss and accuracy of each.
    """

    classes_: NDArray[Any]
    network_: Network
    theta_: FloatArray
    optimizer_state_: dict[str, Any]
    n_iter_: int
    history_: dict[str, list[float]]
    seed_: int
    offset_: FloatArray
    scale_: FloatArray

    def __init__(
        self,
        network: Network | NetworkMaker | None = None,
        *,
        loss: Loss | Callable[[], Loss] | None = None,
        rule: LearningRule | None = None,
        solver: Solver | None = None,
        optimizer: Optimizer | Callable[[], Optimizer] | None = None,
        steps: int = 60,
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
        x, labels = _validated(self, X, y)
        again = self.warm_start and hasattr(self, "theta_")
        self._prepare(x, labels, self.classes_ if again else None, fresh=not again)
        _fit(self, x, self._targets(labels), _parts(self, losses.cross_entropy()))
        return self

    def partial_fit(self, X: ArrayLike, y: ArrayLike, classes: ArrayLike | None = None) -> Self:
        """One step of the optimiser on this batch; the first call needs all ``classes``, or data that holds them."""
        first = not hasattr(self, "theta_")
        x, labels = _validated(self, X, y, reset=first)
        self._prepare(x, labels, classes if first else self.classes_, fresh=first)
        _step(self, x, self._targets(labels), _parts(self, losses.cross_entropy()))
        return self

    def decision_function(self, X: ArrayLike) -> FloatArray:
        """The outputs, (n_samples,) for two classes (positive for ``classes_[1]``), else (n_samples, n_classes)."""
        outputs = self._outputs(X)
        return outputs[:, 0] if len(self.classes_) == 2 else outputs

    def predict_proba(self, X: ArrayLike) -> FloatArray:
        """Probabilities (n_samples, n_classes).

        The softmax (for two classes the logistic function) of four times the outputs, as in the default loss.
        """
        outputs = self._outputs(X)
        if len(self.classes_) == 2:
            second = 1.0 / (1.0 + np.exp(-4.0 * outputs[:, 0]))
            return np.stack([1.0 - second, second], axis=1)
        held = np.exp(4.0 * (outputs - outputs.max(axis=1, keepdims=True)))
        return held / held.sum(axis=1, keepdims=True)

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Labels (n_samples,)."""
        outputs = self._outputs(X)
        winners = (outputs[:, 0] > 0).astype(int) if len(self.classes_) == 2 else outputs.argmax(axis=1)
        return self.classes_[winners]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the fitted estimator to one ``.npz`` file, without pickle, the optimiser's memory included.

        Raises:
            ValueError: if a part has no import name to be stored by.
        """
        check_is_fitted(self)
        labels = self.classes_
        if labels.dtype == object:
            labels = labels.astype(str)
        _save(self, path, {"classes_": labels})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Reads a saved estimator: it predicts, and goes on with `partial_fit`, to the same bits.

        Raises:
            ValueError: if the file is no saved `QEPClassifier`.
        """
        estimator, arrays = _load(cls, path)
        estimator.classes_ = arrays["classes_"]
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

    def _outputs(self, X: ArrayLike) -> FloatArray:
        check_is_fitted(self)
        return _outputs(self, _validated(self, X, reset=False))


class QEPRegressor(RegressorMixin, BaseEstimator):
    """A network of spins that learns a number by equilibrium propagation.

    The output is ``<Z>`` of one spin; targets are scaled to 0.8 of its range and predictions are scaled back.

    Example:
        >>> import numpy as np
        >>> from qeqprop import QEPRegressor
        >>> X = np.linspace(-1, 1, 20)[:, None]
        >>> QEPRegressor(random_state=0).fit(X, X[:, 0] ** 3).score(X, X[:, 0] ** 3) > 0.9
        True

    Args and attributes as for `QEPClassifier`; the default loss is the mean squared error. ``target_offset_`` and
    ``target_scale_`` map the output to the target.
    """

    target_offset_: FloatArray
    target_scale_: FloatArray
    network_: Network
    theta_: FloatArray
    optimizer_state_: dict[str, Any]
    n_iter_: int
    history_: dict[str, list[float]]
    seed_: int
    offset_: FloatArray
    scale_: FloatArray

    def __init__(
        self,
        network: Network | NetworkMaker | None = None,
        *,
        loss: Loss | Callable[[], Loss] | None = None,
        rule: LearningRule | None = None,
        solver: Solver | None = None,
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
        x, targets = _validated(self, X, y, y_numeric=True)
        if not (self.warm_start and hasattr(self, "theta_")):
            self._initialise(x, targets)
        _fit(self, x, self._targets(targets), _parts(self, losses.mean_squared_error()))
        return self

    def partial_fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """One step of the optimiser on this batch; the first batch sets the scales."""
        first = not hasattr(self, "theta_")
        x, targets = _validated(self, X, y, y_numeric=True, reset=first)
        if first:
            self._initialise(x, targets)
        _step(self, x, self._targets(targets), _parts(self, losses.mean_squared_error()))
        return self

    def predict(self, X: ArrayLike) -> FloatArray:
        """Predictions (n_samples,)."""
        check_is_fitted(self)
        return _outputs(self, _validated(self, X, reset=False))[:, 0] * self.target_scale_ + self.target_offset_

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the fitted estimator to one ``.npz`` file, as `QEPClassifier.save`."""
        check_is_fitted(self)
        _save(self, path, {})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Reads a saved estimator, as `QEPClassifier.load`."""
        return _load(cls, path)[0]

    def _initialise(self, X: FloatArray, y: FloatArray) -> None:
        low, high = float(np.min(y)), float(np.max(y))
        self.target_offset_ = np.array((low + high) / 2)
        self.target_scale_ = np.array((high - low) / 2 / _REACH if high > low else 1.0)
        _initialise(self, X, 1)

    def _targets(self, y: FloatArray) -> FloatArray:
        return ((y - self.target_offset_) / self.target_scale_)[:, None]


Estimator = QEPClassifier | QEPRegressor


def _validated(estimator: Any, X: Any, *y: Any, **options: Any) -> Any:
    """Inputs, or inputs and one column of targets, as scikit-learn wants them checked."""
    checked = validate_data(estimator, X, *y, **options, dtype=np.float64)
    return (checked[0], column_or_1d(checked[1], warn=True)) if y else checked


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
    spread = np.std(X, axis=0)
    estimator.offset_ = np.mean(X, axis=0) if estimator.scale_inputs else np.zeros(X.shape[1])
    estimator.scale_ = np.where(spread > 0, spread, 1.0) if estimator.scale_inputs else np.ones(X.shape[1])
    estimator.network_ = network
    estimator.seed_ = int(check_random_state(estimator.random_state).randint(2**31))
    estimator.theta_ = initial_theta(network, seed=estimator.seed_, scale=estimator.initial_scale)
    estimator.optimizer_state_ = _parts(estimator, losses.mean_squared_error()).optimizer.init(estimator.theta_)
    estimator.n_iter_ = 0
    estimator.history_ = {"step": [], "loss": []}


def _made(part: Any, record: type) -> Any:
    """A part that may be given as the function that makes it."""
    return part if part is None or isinstance(part, record) else part()


def _parts(estimator: Estimator, default_loss: Loss) -> _Parts:
    return _Parts(
        loss=_made(estimator.loss, Loss) or default_loss,
        rule=estimator.rule,
        solver=estimator.solver,
        optimizer=_made(estimator.optimizer, Optimizer) or adam(learning_rate=0.05),
        penalty=_made(estimator.penalty, Penalty),
    )


def _scaled(estimator: Estimator, X: FloatArray) -> FloatArray:
    return (X - estimator.offset_) / estimator.scale_


def _fit(estimator: Estimator, X: FloatArray, targets: FloatArray, parts: _Parts) -> None:
    now = TrainingState(estimator.n_iter_, estimator.theta_, estimator.optimizer_state_, np.nan, {}, 0)
    for state in train(
        estimator.network_,
        Samples(_scaled(estimator, X), targets),
        loss=parts.loss,
        rule=parts.rule,
        solver=parts.solver,
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
        estimator.network_, estimator.theta_, _scaled(estimator, X), solver=estimator.solver, seed=estimator.seed_
    )


def _save(estimator: Estimator, path: str | os.PathLike[str], more: dict[str, NDArray[Any]]) -> None:
    parameters: dict[str, Any] = estimator.get_params(deep=False)
    if isinstance(parameters["network"], Network):
        parameters["network"] = None  # its arrays are stored as those of the fitted network
    facts: dict[str, Any] = {name: describe_table(name, {name: value})[name] for name, value in parameters.items()}
    arrays = {name: getattr(estimator, name) for name in _SAVED if hasattr(estimator, name)}
    arrays |= {f"network.{name}": array for name, array in network_arrays(estimator.network_).items()}
    arrays |= {f"memory.{name}": array for name, array in estimator.optimizer_state_.items()}
    arrays |= {f"history.{name}": np.array(column) for name, column in estimator.history_.items()}
    fitted = {name: getattr(estimator, name) for name in ("seed_", "n_iter_", "n_features_in_")}
    given = isinstance(estimator.network, Network)
    write_model(
        path,
        {"estimator": type(estimator).__name__, "parameters": facts, "fitted": fitted, "network_given": given},
        arrays | more,
    )


def _load(cls: Any, path: str | os.PathLike[str]) -> tuple[Any, dict[str, NDArray[Any]]]:
    facts, arrays = read_model(path)
    if facts.get("estimator") != cls.__name__:
        raise ValueError(f"{path}: must hold a {cls.__name__}, but holds a {facts.get('estimator')}.")

    def group(prefix: str) -> dict[str, NDArray[Any]]:
        return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}

    network = network_from(group("network."))
    parameters = {name: restore(value) for name, value in facts["parameters"].items()}
    if facts["network_given"]:
        parameters["network"] = network
    estimator = cls(**parameters)
    for name, value in [*facts["fitted"].items(), *((name, arrays[name]) for name in _SAVED if name in arrays)]:
        setattr(estimator, name, value)
    estimator.network_, estimator.optimizer_state_ = network, group("memory.")
    estimator.history_ = {name: array.tolist() for name, array in group("history.").items()}
    return estimator, arrays
