"""scikit-learn's contract, and models that survive their process without pickle."""

import functools
import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.exceptions import DataConversionWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from qeqprop import QEPClassifier, QEPRegressor, losses, optimizers
from qeqprop.networks.transverse_ising import transverse_ising
from qeqprop.rules.nudging import SymmetricNudging
from qeqprop.solvers.exact import Exact
from qeqprop.solvers.sampled import Sampled


@parametrize_with_checks([QEPClassifier(steps=25, batch=16, random_state=0), QEPRegressor(steps=60, random_state=0)])
def test_scikit_learns_own_checks(estimator, check):
    with warnings.catch_warnings():
        # scikit-learn's checks announce the ones they skip (pandas and array-API containers that are not installed)
        warnings.simplefilter("ignore")
        check(estimator)


def blobs(n_classes, seed=0):
    random = np.random.default_rng(seed)
    centres = 3 * np.array([[1, 1, 1], [-1, -1, 1], [1, -1, -1], [-1, 1, -1], [-1, 1, 1], [1, -1, 1]])[:n_classes]
    labels = np.repeat(np.arange(n_classes), 12)
    return centres[labels] + 0.7 * random.normal(size=(len(labels), 3)), np.array(list("abcdefgh"))[labels]


@pytest.mark.parametrize("n_classes", [2, 3, 6])
def test_classes_of_any_number(n_classes):
    X, y = blobs(n_classes)
    fitted = QEPClassifier(steps=80, random_state=1).fit(X, y)
    assert fitted.score(X, y) > 0.8
    probabilities = fitted.predict_proba(X)
    assert probabilities.shape == (len(X), n_classes)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    np.testing.assert_array_equal(fitted.classes_[probabilities.argmax(axis=1)], fitted.predict(X))
    assert fitted.history_["loss"][-1] < fitted.history_["loss"][0]
    assert fitted.n_iter_ == len(fitted.history_["step"]) == 80


@pytest.mark.parametrize("load", [load_iris, load_breast_cancer])
def test_defaults_are_within_three_points_of_logistic_regression(load):
    X, y = load(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)
    ours = QEPClassifier(random_state=0).fit(X, y).score(X_test, y_test)
    theirs = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y).score(X_test, y_test)
    assert ours > theirs - 0.03


def test_the_same_seed_gives_the_same_bits_and_partial_fits_add_up():
    X, y = blobs(3)
    first, second = (QEPClassifier(steps=5, random_state=3).fit(X, y) for _ in range(2))
    np.testing.assert_array_equal(first.theta_, second.theta_)
    whole = QEPClassifier(steps=3, batch=None, random_state=3).fit(X, y)
    steps = QEPClassifier(random_state=3)
    for _ in range(3):
        steps.partial_fit(X, y, classes=["a", "b", "c"])
    np.testing.assert_array_equal(whole.theta_, steps.theta_)


def test_warm_start_goes_on():
    X, y = blobs(2)
    whole = QEPClassifier(steps=6, batch=None, random_state=0).fit(X, y)
    parts = QEPClassifier(steps=3, batch=None, random_state=0, warm_start=True).fit(X, y).fit(X, y)
    np.testing.assert_array_equal(whole.theta_, parts.theta_)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"rule": SymmetricNudging(0.1), "solver": Sampled(Exact(level=0), shots=50)},
        {"optimizer": functools.partial(optimizers.momentum, learning_rate=0.02), "loss": losses.hinge},
        {"network": transverse_ising(sites=3, n_inputs=3, n_outputs=3)},
    ],
)
def test_a_saved_model_predicts_and_learns_on_to_the_same_bits(tmp_path, options):
    X, y = blobs(3)
    fitted = QEPClassifier(steps=4, random_state=0, **options).fit(X, y)
    fitted.save(tmp_path / "model.npz")
    loaded = QEPClassifier.load(tmp_path / "model.npz")
    np.testing.assert_array_equal(loaded.decision_function(X), fitted.decision_function(X))
    np.testing.assert_array_equal(loaded.predict(X), fitted.predict(X))
    fitted.partial_fit(X, y)
    loaded.partial_fit(X, y)
    np.testing.assert_array_equal(loaded.theta_, fitted.theta_)
    assert loaded.history_ == fitted.history_
    assert loaded.get_params(deep=False).keys() == fitted.get_params(deep=False).keys()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.npz"]


def test_a_saved_regressor(tmp_path):
    X = np.linspace(-2, 3, 30)[:, None]
    fitted = QEPRegressor(random_state=0).fit(X, 5 + np.tanh(X[:, 0]))
    assert fitted.score(X, 5 + np.tanh(X[:, 0])) > 0.9
    fitted.save(tmp_path / "model.npz")
    np.testing.assert_array_equal(QEPRegressor.load(tmp_path / "model.npz").predict(X), fitted.predict(X))
    with pytest.raises(ValueError, match="must hold a QEPClassifier, but holds a QEPRegressor"):
        QEPClassifier.load(tmp_path / "model.npz")


def test_what_cannot_be_stored_or_is_no_model_is_named(tmp_path):
    X, y = blobs(2)
    fitted = QEPClassifier(steps=1, loss=lambda: losses.hinge(margin=0.5)).fit(X, y)
    with pytest.raises(ValueError, match="`loss` must have an import name"):
        fitted.save(tmp_path / "model.npz")
    assert not list(tmp_path.iterdir())
    (tmp_path / "other.npz").write_bytes(b"no model")
    with pytest.raises(ValueError, match="is no model file"):
        QEPClassifier.load(tmp_path / "other.npz")
    np.savez(tmp_path / "evil.npz", facts=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ValueError, match="is no model file"):
        QEPClassifier.load(tmp_path / "evil.npz")


def test_pipelines_searches_clones_and_pickles():
    X, y = blobs(3)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), QEPClassifier(random_state=0, initial_scale=2.0)),
        {"qepclassifier__steps": [1, 20]},
        cv=2,
    )
    assert search.fit(X, y).best_params_ == {"qepclassifier__steps": 20}
    fitted = search.best_estimator_[-1]
    assert not hasattr(clone(fitted), "theta_")
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict(X), fitted.predict(X))


def test_mistakes_are_named():
    X, y = blobs(3)
    with pytest.raises(ValueError, match="must have 3 inputs and 3 outputs for this data, but has 2 and 1"):
        QEPClassifier(transverse_ising(sites=3, n_inputs=2)).fit(X, y)
    with pytest.raises(ValueError, match="at least two classes, but holds 1 class"):
        QEPClassifier().fit(X[:5], y[:5])
    with pytest.raises(ValueError, match="must hold labels of the known classes"):
        QEPClassifier(steps=1).fit(X, y).partial_fit(X, np.full(len(X), "z"))
    with pytest.warns(DataConversionWarning):
        QEPRegressor(steps=1).fit(X, X[:, :1])
