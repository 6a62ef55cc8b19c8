"""scikit-learn's contract, and models that survive their process without pickle."""

import doctest
import functools
import pickle
import warnings
from dataclasses import dataclass, replace

import numpy as np
import pytest
from qiskit.quantum_info import PauliList, SparsePauliOp
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.exceptions import DataConversionWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from qeqprop import Network, QEPClassifier, QEPRegressor, estimators, losses, optimizers, predict
from qeqprop.classical.chains import Gibbs
from qeqprop.classical.energy_function import from_energy
from qeqprop.classical.enumeration import Enumeration
from qeqprop.classical.ising import layered_ising
from qeqprop.classical.layered import layered
from qeqprop.classical.relaxation import Relaxation
from qeqprop.devices.statevector import Statevector
from qeqprop.networks.transverse_ising import transverse_ising
from qeqprop.rules.nudging import SymmetricNudging
from qeqprop.solvers.adiabatic import Adiabatic
from qeqprop.solvers.exact import Exact
from qeqprop.solvers.sampled import Sampled


@parametrize_with_checks([QEPClassifier(steps=20, batch=16, random_state=0), QEPRegressor(steps=50, random_state=0)])
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
    fitted = QEPClassifier(steps=50, random_state=1).fit(X, y)
    assert fitted.score(X, y) > 0.8
    probabilities = fitted.predict_proba(X)
    assert probabilities.shape == (len(X), n_classes)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    np.testing.assert_array_equal(fitted.classes_[probabilities.argmax(axis=1)], fitted.predict(X))
    assert fitted.history_["loss"][-1] < fitted.history_["loss"][0]
    assert fitted.n_iter_ == len(fitted.history_["step"]) == 50


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


def test_what_cannot_be_stored_is_asked_for(tmp_path):
    X, y = blobs(3)
    loss, optimizer = losses.cross_entropy(sharpness=2.0), optimizers.sgd(0.2)
    fitted = QEPClassifier(
        lambda n_inputs, n_outputs: transverse_ising(sites=3, n_inputs=n_inputs, n_outputs=n_outputs),
        loss=loss,
        optimizer=optimizer,
        steps=2,
        random_state=np.random.RandomState(5),
    ).fit(X, y)
    fitted.save(tmp_path / "model.npz")
    with pytest.raises(ValueError, match="`loss` could not be stored, it was the Loss cross_entropy: pass it again"):
        QEPClassifier.load(tmp_path / "model.npz")
    with pytest.raises(ValueError, match="`optimizer` could not be stored"):
        QEPClassifier.load(tmp_path / "model.npz", loss=loss)
    loaded = QEPClassifier.load(tmp_path / "model.npz", loss=loss, optimizer=optimizer, steps=7)
    assert loaded.steps == 7
    assert loaded.network is loaded.network_
    assert loaded.random_state == fitted.seed_
    np.testing.assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))
    np.testing.assert_array_equal(loaded.partial_fit(X, y).theta_, fitted.partial_fit(X, y).theta_)


@dataclass(frozen=True)
class HalfNudging:
    """A rule of the user's."""

    beta: float = 0.2

    def gradient(self, settle, targets, loss):
        return SymmetricNudging(self.beta / 2).gradient(settle, targets, loss)


def test_a_model_runs_only_code_that_is_trusted(tmp_path):
    X, y = blobs(2)
    fitted = QEPClassifier(rule=HalfNudging(0.1), steps=2, random_state=0).fit(X, y)
    fitted.save(tmp_path / "model.npz")
    with pytest.raises(ValueError, match=f"`rule` is {__name__}:HalfNudging, which is not of this package"):
        QEPClassifier.load(tmp_path / "model.npz")
    assert QEPClassifier.load(tmp_path / "model.npz", trusted=[__name__]).rule == HalfNudging(0.1)
    assert QEPClassifier.load(tmp_path / "model.npz", rule=HalfNudging(0.3)).rule == HalfNudging(0.3)


@pytest.mark.parametrize("name", ["os:system", "qeqprop.losses:np.save", "qeqprop.losses.np.save", "qeqprop.losses:np"])
def test_a_forged_model_is_refused(tmp_path, name):
    X, y = blobs(2)
    QEPClassifier(rule=SymmetricNudging(0.1), steps=1).fit(X, y).save(tmp_path / "model.npz")
    with np.load(tmp_path / "model.npz") as archive:
        arrays = dict(archive)
    forged = str(arrays["facts"]).replace("qeqprop.rules.nudging:SymmetricNudging", name)
    np.savez(tmp_path / "forged.npz", **(arrays | {"facts": np.array(forged)}))
    with pytest.raises(ValueError, match="which is no"):
        QEPClassifier.load(tmp_path / "forged.npz")


def test_what_is_no_model_is_named(tmp_path):
    (tmp_path / "other.npz").write_bytes(b"no model")
    with pytest.raises(ValueError, match="is no model file"):
        QEPClassifier.load(tmp_path / "other.npz")
    np.savez(tmp_path / "evil.npz", facts=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ValueError, match="is no model file"):
        QEPClassifier.load(tmp_path / "evil.npz")


@pytest.mark.parametrize("labels", [np.array(["no", "yes"], dtype=object), np.array([-3, 7]), np.array([False, True])])
def test_labels_of_every_kind_survive(tmp_path, labels):
    X, y = blobs(2)
    fitted = QEPClassifier(steps=1, random_state=0).fit(X, labels[(y == "b").astype(int)])
    fitted.feature_names_in_ = np.array(["one", "two", "three"], dtype=object)  # as a table with names would set it
    fitted.save(tmp_path / "model.npz")
    loaded = QEPClassifier.load(tmp_path / "model.npz")
    for name in ("classes_", "feature_names_in_"):
        assert getattr(loaded, name).dtype == getattr(fitted, name).dtype
        np.testing.assert_array_equal(getattr(loaded, name), getattr(fitted, name))


def projector_network(n_inputs, n_outputs):
    """Outputs between 0 and 1: probabilities of a spin to point down."""
    network = transverse_ising(sites=3, n_inputs=n_inputs, n_outputs=n_outputs)
    padded = {
        name: np.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, 1)])
        for name in ("static", "inputs", "trainable")
        for array in [getattr(network, name)]
    }
    outputs = np.pad(-network.outputs / 2, ((0, 0), (0, 1)), constant_values=0.5)
    return replace(network, strings=PauliList([*network.strings.to_labels(), "III"]), outputs=outputs, **padded)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize(
    ("network", "loss"),
    [
        (None, losses.hinge),
        (None, losses.mean_squared_error),
        (None, losses.cost_observable),
        (None, functools.partial(losses.cross_entropy, sharpness=1.5)),
        (projector_network, functools.partial(losses.cross_entropy, outputs="projector")),
    ],
)
def test_probabilities_follow_the_loss(n_classes, network, loss):
    X, y = blobs(n_classes)
    fitted = QEPClassifier(network, loss=loss, steps=25, random_state=0).fit(X, y)
    assert fitted.score(X, y) > 0.9
    probabilities = fitted.predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    np.testing.assert_array_equal(fitted.classes_[probabilities.argmax(axis=1)], fitted.predict(X))


def test_default_probabilities_are_the_logistic_function_and_the_softmax():
    for n_classes in (2, 3):
        X, y = blobs(n_classes)
        fitted = QEPClassifier(steps=2, random_state=0).fit(X, y)
        outputs = predict(fitted.network_, fitted.theta_, (X - fitted.mean_) / fitted.scale_)
        if n_classes == 2:
            outputs = np.concatenate([np.zeros_like(outputs), outputs], axis=1)
        weights = np.exp(4 * outputs)
        np.testing.assert_allclose(fitted.predict_proba(X), weights / weights.sum(axis=1, keepdims=True), rtol=1e-12)


def test_a_regressor_reaches_targets_with_any_output():
    X = np.linspace(-2, 2, 30)[:, None]
    for network in (None, projector_network):
        fitted = QEPRegressor(network, random_state=0).fit(X, 100 * X[:, 0])
        assert fitted.score(X, 100 * X[:, 0]) > 0.9
    reached = (np.array([-200, 200]) - fitted.target_offset_) / fitted.target_scale_
    np.testing.assert_allclose(reached, [0.1, 0.9])
    with pytest.raises(ValueError, match="output is constant"):
        constant = Network.of(outputs=[SparsePauliOp("I")], trainable=[SparsePauliOp("Z")], inputs=[SparsePauliOp("X")])
        QEPRegressor(constant).fit(X, X[:, 0])


def test_features_as_they_are_and_constant_ones():
    X, y = blobs(2)
    X = np.column_stack([X, np.full(len(X), 0.1)])
    scaled, raw = (QEPClassifier(steps=2, scale_inputs=flag).fit(X, y) for flag in (True, False))
    np.testing.assert_allclose(scaled.mean_, X.mean(axis=0))
    assert scaled.scale_[3] == 1.0
    np.testing.assert_array_equal(raw.mean_, np.zeros(4))
    np.testing.assert_array_equal(raw.scale_, np.ones(4))


def test_the_examples_of_the_docstrings():
    assert doctest.testmod(estimators).failed == 0


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
    network = transverse_ising(sites=3, n_inputs=3, n_outputs=3)
    copied = clone(QEPClassifier(network, loss=losses.hinge(), steps=1, random_state=0))
    np.testing.assert_array_equal(
        copied.fit(X, y).theta_, QEPClassifier(network, loss=losses.hinge, steps=1, random_state=0).fit(X, y).theta_
    )
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict(X), fitted.predict(X))


def test_mistakes_are_named():
    X, y = blobs(3)
    with pytest.raises(ValueError, match="must have 3 inputs and 3 outputs for this data, but has 2 and 1"):
        QEPClassifier(transverse_ising(sites=3, n_inputs=2)).fit(X, y)
    with pytest.raises(ValueError, match="at least two classes, but holds 1 class"):
        QEPClassifier().fit(X[:5], y[:5])
    with pytest.raises(ValueError, match="must hold labels of the known classes"):
        QEPClassifier(steps=1).fit(X, y).partial_fit(X, np.full(len(X), "z"))
    with pytest.raises(ValueError, match="`classes` must be those of the first call"):
        QEPClassifier().partial_fit(X, y, classes=["a", "b", "c"]).partial_fit(X, y, classes=["a", "b"])
    with pytest.raises(ValueError, match="X has 2 features, but QEPClassifier is expecting 3"):
        QEPClassifier(steps=1, warm_start=True).fit(X, y).fit(X[:, :2], y)
    with pytest.warns(DataConversionWarning):
        QEPRegressor(steps=1).fit(X, X[:, :1])


def test_an_estimator_on_a_device_is_saved_and_predicts_the_same(tmp_path):
    X, y = load_iris(return_X_y=True)
    chosen = y < 2
    classifier = QEPClassifier(
        solver=Adiabatic(total_time=1.0, steps=2, tolerance=10.0),
        device=Statevector(shots=200),
        rule=SymmetricNudging(0.2),
        steps=8,
        batch=12,
        random_state=0,
    )
    classifier.fit(X[chosen], y[chosen])
    assert classifier.score(X[chosen], y[chosen]) > 0.8
    classifier.save(tmp_path / "model.npz")
    again = QEPClassifier.load(tmp_path / "model.npz")
    assert again.device == Statevector(shots=200)
    np.testing.assert_array_equal(again.predict_proba(X[:60]), classifier.predict_proba(X[:60]))


# --- classical networks ------------------------------------------------------------------------------------------


def spins(n_inputs, n_outputs):
    return layered_ising(n_inputs=n_inputs, hidden=(3,), n_outputs=n_outputs)


def neurons(n_inputs, n_outputs):
    return layered(layers=(n_inputs, 2, n_outputs), quartic=0.3)


SPINS = QEPClassifier(spins, solver=Enumeration(), temperature=0.8, steps=20, batch=16, random_state=0)
NEURONS = QEPRegressor(
    neurons,
    solver=Relaxation(),
    rule=SymmetricNudging(0.1),
    optimizer=functools.partial(optimizers.adam, learning_rate=0.1),
    steps=8,
    batch=None,
    initial_scale=0.0,
    random_state=0,
)


@pytest.mark.parametrize(
    ("estimator", "check"),
    [
        pytest.param(*pair, id=f"{type(estimator).__name__}-{pair[1].func.__name__}")  # not the addresses of functions
        for estimator in (SPINS, NEURONS)
        for pair in estimator_checks_generator(estimator, mark="xfail")
    ],
)
def test_scikit_learns_own_checks_of_classical_networks(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)


def test_a_search_goes_along_the_temperature():
    """Too hot, the spins do not answer; a sampled network is cloned, copied and fitted anew at each temperature."""
    X, y = blobs(3)
    sampled = QEPClassifier(spins, solver=Gibbs(chains=16, samples=30, r_hat=9.0), steps=25, random_state=0)
    search = GridSearchCV(sampled, {"temperature": [2.0, 1e4]}, cv=2).fit(X, y)
    assert search.best_params_ == {"temperature": 2.0}
    cold, hot = search.cv_results_["mean_test_score"]
    assert cold > 0.9 > hot
    best = search.best_estimator_
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(best)).predict_proba(X), best.predict_proba(X))
    alone = QEPClassifier(spins, solver=replace(sampled.solver, temperature=2.0), steps=25, random_state=0)
    np.testing.assert_array_equal(alone.fit(X, y).theta_, best.theta_)
    with pytest.raises(ValueError, match="Relaxation has no temperature"):
        QEPClassifier(neurons, solver=Relaxation(), temperature=0.5).fit(X, y)


@pytest.mark.parametrize("network", [neurons, layered(layers=(3, 2, 3)), lambda n, m: layered(layers=(n, m))])
def test_a_saved_energy_predicts_and_learns_on_to_the_same_bits(tmp_path, network):
    X, y = blobs(3)
    fitted = QEPClassifier(network, solver=Relaxation(), steps=3, initial_scale=0.0, random_state=0).fit(X, y)
    fitted.save(tmp_path / "model.npz")
    loaded = QEPClassifier.load(tmp_path / "model.npz", trusted=[__name__])
    np.testing.assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))
    np.testing.assert_array_equal(loaded.partial_fit(X, y).theta_, fitted.partial_fit(X, y).theta_)


def test_an_energy_that_cannot_be_stored_is_asked_for(tmp_path):
    def spring(theta, x, s):
        return (s * s / 2 - theta[0] * x * s).sum(axis=1) - theta[1] * s[:, 0]

    network = from_energy(spring, rest=[0.0], initial=[0.0, 0.0], n_inputs=1)
    X = np.linspace(-2, 3, 30)[:, None]
    fitted = QEPRegressor(network, solver=Relaxation(), random_state=0).fit(X, 5 + 2 * X[:, 0])
    assert fitted.score(X, 5 + 2 * X[:, 0]) > 0.99
    np.testing.assert_allclose((np.array([1.0, 11.0]) - fitted.target_offset_) / fitted.target_scale_, [-0.8, 0.8])
    fitted.save(tmp_path / "model.npz")
    with pytest.raises(ValueError, match="`network` could not be stored"):
        QEPRegressor.load(tmp_path / "model.npz")
    again = QEPRegressor.load(tmp_path / "model.npz", network=network)
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))


def test_a_network_and_a_solver_of_different_kinds_are_told_apart():
    X, y = blobs(2)
    with pytest.raises(ValueError, match="but Exact settles Equilibria"):
        QEPClassifier(neurons).fit(X, y)
