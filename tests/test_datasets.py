"""Datasets: shapes and encodings, splits without leakage, and labels that follow from the physics."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from pydantic import ValidationError, validate_call

from qeqprop.datasets.boolean import bars_and_stripes, parity, xor
from qeqprop.datasets.field_probes import field_probes
from qeqprop.datasets.phases import (
    _cluster_ising_labels,
    _transverse_ising_labels,
    cluster_ising_phases,
    transverse_ising_phases,
)
from qeqprop.datasets.shapes import circles, moons
from qeqprop.datasets.tables import breast_cancer, digits, iris, wine
from qeqprop.interfaces import Dataset, Samples
from qeqprop.operators import term, total
from qeqprop.sampling import dataset_of, encode_targets, project, split, standardise

TABLES = {iris: (150, 4, 3), wine: (178, 13, 3), breast_cancer: (569, 30, 2), digits: (1797, 8, 10)}
SHAPES = {moons: (200, 2, 2), circles: (200, 2, 2)}
BOOLEAN = {xor: (4, 2, 2), parity: (8, 3, 2), bars_and_stripes: (12, 9, 2)}
PHASES = {cluster_ising_phases: (100, 3, 3), transverse_ising_phases: (100, 2, 2)}
CLASSIFICATIONS = TABLES | SHAPES | BOOLEAN | PHASES
SPLIT = TABLES | SHAPES | PHASES
ALL = [*CLASSIFICATIONS, field_probes]


def named(cases):
    return pytest.mark.parametrize("source", cases, ids=lambda source: source.__name__)


def same(left: Dataset, right: Dataset) -> bool:
    return all(np.array_equal(a, b) for part in (0, 1) for a, b in zip(left[part], right[part], strict=True))


def labels_of(samples: Samples, n_classes: int):
    return np.argmax(samples.y, axis=1) if samples.y.shape[1] == n_classes else (samples.y[:, 0] > 0).astype(int)


def labelled(x, labels, **options) -> Dataset:
    features = tuple(f"x{index}" for index in range(x.shape[1]))
    classes = tuple(f"c{index}" for index in range(max(labels) + 1))
    return dataset_of(x, np.asarray(labels), classes=classes, features=features, description="made up", **options)


# --- every dataset ----------------------------------------------------------------------------------------------


@named(ALL)
def test_defaults_give_a_complete_dataset(source):
    dataset = source()
    for samples in (dataset.train, dataset.test):
        assert samples.x.dtype == samples.y.dtype == np.float64
        assert np.all(np.isfinite(samples.x))
        assert np.all(np.isfinite(samples.y))
        assert samples.x.ndim == samples.y.ndim == 2
        assert samples.x.shape[1] == len(dataset.features)
        assert len(samples.x) == len(samples.y) > 0
    assert dataset.description
    assert "\n" not in dataset.description


@named(ALL)
def test_calls_repeat(source):
    assert same(source(), source())


@named(SPLIT)
def test_the_seed_matters(source):
    assert not same(source(seed=1), source(seed=2))
    assert same(source(seed=3), source(seed=3))


@named(CLASSIFICATIONS)
@pytest.mark.parametrize("targets", ["sign", "onehot"])
def test_shapes_and_encodings(source, targets):
    n_samples, n_inputs, n_classes = CLASSIFICATIONS[source]
    dataset = source(targets=targets)
    together = len(dataset.train.x) + len(dataset.test.x)
    assert together == (2 * n_samples if source in BOOLEAN else n_samples)
    assert len(dataset.features) == n_inputs
    assert len(dataset.classes) == n_classes
    columns = 1 if targets == "sign" and n_classes == 2 else n_classes
    for _, y in (dataset.train, dataset.test):
        assert y.shape[1] == columns
        assert set(np.unique(y)) == ({-1.0, 1.0} if targets == "sign" else {0.0, 1.0})
        if columns > 1:
            assert np.all(np.sum(y == 1, axis=1) == 1)


@named(CLASSIFICATIONS)
def test_both_encodings_name_the_same_class(source):
    signs, onehot = source(targets="sign"), source(targets="onehot")
    n_classes = len(signs.classes)
    assert np.array_equal(signs.train.x, onehot.train.x)
    assert np.array_equal(labels_of(signs.train, n_classes), labels_of(onehot.train, n_classes))


@named(SPLIT)
def test_split_is_stratified(source):
    dataset = source(test_fraction=0.25)
    n_classes = len(dataset.classes)
    train, test = (np.bincount(labels_of(part, n_classes), minlength=n_classes) for part in dataset[:2])
    assert np.all(np.abs(test - 0.25 * (train + test)) < 1)
    assert test.sum() == round(0.25 * (train + test).sum())


@named([source for source in CLASSIFICATIONS if source is not xor])
def test_nothing_is_held_back_at_zero(source):
    dataset = source(test_fraction=0.0)
    assert np.array_equal(dataset.train.x, dataset.test.x)
    assert np.array_equal(dataset.train.y, dataset.test.y)
    assert len(dataset.train.x) == CLASSIFICATIONS[source][0]


@named(ALL)
def test_run_files_can_be_validated_against_the_signature(source):
    assert same(validate_call(source)(), source())
    with pytest.raises(ValidationError):
        validate_call(source)(colour="red")


@named([source for source in CLASSIFICATIONS if source is not xor])
@pytest.mark.parametrize("fraction", [-0.1, 1.0, 1.5, float("nan"), None])
def test_bad_test_fraction_is_named(source, fraction):
    with pytest.raises(ValueError, match="Argument `test_fraction` must be"):
        source(test_fraction=fraction)


@named(CLASSIFICATIONS)
@pytest.mark.parametrize(
    ("name", "value"), [("targets", "one-hot"), ("seed", -1), ("seed", 1.5), ("seed", True), ("seed", 2**32)]
)
def test_bad_common_arguments_are_named(source, name, value):
    with pytest.raises(ValueError, match=f"Argument `{name}` must be"):
        source(**{name: value})


@named(ALL)
def test_unknown_arguments_are_named(source):
    with pytest.raises(TypeError, match=rf"{source.__name__}\(\) .*'colour'"):
        source(colour="red")


def test_importing_datasets_does_not_load_scikit_learn():
    modules = "tables, shapes, boolean, phases, field_probes"
    code = f"import sys; from qeqprop.datasets import {modules}; sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- the shared steps -------------------------------------------------------------------------------------------


def test_encoding_of_two_and_of_three_classes():
    assert np.array_equal(encode_targets(np.array([0, 1]), 2, "sign"), [[-1], [1]])
    assert np.array_equal(encode_targets(np.array([0, 1]), 2, "onehot"), [[1, 0], [0, 1]])
    assert np.array_equal(encode_targets(np.array([2, 0]), 3, "sign"), [[-1, -1, 1], [1, -1, -1]])
    assert np.array_equal(encode_targets(np.array([2, 0]), 3, "onehot"), [[0, 0, 1], [1, 0, 0]])


@pytest.mark.parametrize(
    ("labels", "n_classes", "targets", "name"),
    [([0, 3], 3, "sign", "labels"), ([-1, 0], 3, "onehot", "labels"), ([0], 1, "sign", "n_classes"),
     ([[0]], 2, "sign", "labels"), ([0], 2, "other", "targets")],
)  # fmt: skip
def test_encoding_refuses(labels, n_classes, targets, name):
    with pytest.raises(ValueError, match=f"Argument `{name}` must"):
        encode_targets(np.array(labels), n_classes, targets)


@pytest.mark.parametrize("fraction", [0.1, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("counts", [(10, 10), (7, 11, 23), (1, 30), (3, 3, 3, 3)])
def test_split_is_a_balanced_partition(counts, fraction):
    labels = np.repeat(np.arange(len(counts)), counts)
    train, test = split(labels, fraction, seed=5)
    assert sorted([*train, *test]) == list(range(sum(counts)))
    held_back = np.bincount(labels[test], minlength=len(counts))
    assert np.all(np.abs(held_back - fraction * np.array(counts)) < 1)
    assert np.all(held_back < counts)


def test_split_shuffles():
    train, test = split(np.repeat([0, 1], 50), 0.5, seed=0)
    assert np.any(np.diff(train) < 0)
    assert np.any(np.diff(test) < 0)


def test_split_that_leaves_nothing_to_test_is_refused():
    with pytest.raises(ValueError, match="Argument `test_fraction` must leave a sample to test"):
        split(np.array([0, 1]), 0.1, 0)


def test_every_sample_is_tested_equally_often():
    labels = np.repeat([0, 1], [12, 8])
    tested = sum(np.isin(np.arange(20), split(labels, 0.25, seed)[1]).astype(int) for seed in range(2000))
    assert np.all(np.abs(tested / 2000 - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 2000))


def test_standardisation_uses_the_training_part_only():
    rng = np.random.default_rng(0)
    x = rng.normal(3.0, 2.0, (40, 3))
    labels = np.repeat([0, 1], 20)
    plain = labelled(x, labels)
    changed = plain._replace(test=plain.test._replace(x=plain.test.x + 1000.0))
    first, second = standardise(plain, 0.5), standardise(changed, 0.5)
    assert np.array_equal(first.train.x, second.train.x)
    assert np.allclose(first.train.x.mean(axis=0), 0, atol=1e-14)
    assert np.allclose(first.train.x.std(axis=0), 0.5)
    assert np.allclose(
        first.test.x, 0.5 * (plain.test.x - plain.train.x.mean(axis=0)) / plain.train.x.std(axis=0), atol=1e-14
    )
    assert not np.allclose(first.test.x.mean(axis=0), 0, atol=1e-3)


def test_constant_inputs_become_zero():
    x = np.column_stack([np.full(10, 0.1), np.arange(10.0)])
    dataset = standardise(labelled(x, [0, 1] * 5))
    assert np.allclose(dataset.train.x[:, 0], 0, atol=1e-15)


@pytest.mark.parametrize("scale", [0.0, -1.0, float("inf"), float("nan")])
def test_standardisation_refuses(scale):
    with pytest.raises(ValueError, match="Argument `scale` must be"):
        standardise(xor(), scale)


def test_principal_components_use_the_training_part_only():
    rng = np.random.default_rng(1)
    plain = labelled(rng.normal(size=(60, 5)) @ rng.normal(size=(5, 5)), np.repeat([0, 1], 30))
    changed = plain._replace(test=plain.test._replace(x=100 * plain.test.x[:, ::-1]))
    assert np.array_equal(project(plain, 2).train.x, project(changed, 2).train.x)


def test_principal_components_agree_with_the_covariance_matrix():
    rng = np.random.default_rng(2)
    plain = labelled(rng.normal(size=(80, 6)) @ rng.normal(size=(6, 6)), np.repeat([0, 1], 40))
    projected = project(plain, 6)
    variances = np.linalg.eigvalsh(np.cov(plain.train.x.T))[::-1]
    assert np.allclose(np.cov(projected.train.x.T), np.diag(variances), atol=1e-10 * variances[0])
    between = [np.linalg.norm(part.x[:5, None] - part.x[None, :5], axis=2) for part in (plain.test, projected.test)]
    assert np.allclose(*between), "all components together are a rotation"


@pytest.mark.parametrize("features", [0, 3, 7])
def test_components_without_variance_are_refused(features):
    x = np.random.default_rng(3).normal(size=(30, 2)) @ np.ones((2, 4))
    x[:, 3] = np.arange(30.0)  # two dimensions in four columns
    with pytest.raises(ValueError, match="Argument `features` must be an integer from 1 to 2"):
        project(labelled(x, [0, 1] * 15), features)


# --- tables -----------------------------------------------------------------------------------------------------


@named(TABLES)
def test_tables_are_standardised_on_the_training_part(source):
    dataset = source(scale=0.3)
    assert np.allclose(dataset.train.x.mean(axis=0), 0, atol=1e-12)
    assert np.allclose(dataset.train.x.std(axis=0), 0.3)
    assert not np.allclose(dataset.test.x.mean(axis=0), 0, atol=1e-4)


@named(TABLES)
def test_components_of_tables_are_uncorrelated(source):
    dataset = source(features=3)
    assert dataset.features == ("component 0", "component 1", "component 2")
    assert np.allclose(dataset.train.x.T @ dataset.train.x / len(dataset.train.x), np.eye(3), atol=1e-10)


def test_subsets_of_classes_keep_the_order_asked_for():
    dataset = iris(classes=(2, 0), test_fraction=0.0)
    assert dataset.classes == ("virginica", "setosa")
    assert dataset.train.y.shape == (100, 1)
    setosa = dataset.train.y[:, 0] > 0
    petal_length = dataset.train.x[:, dataset.features.index("petal length (cm)")]
    assert petal_length[setosa].max() < petal_length[~setosa].min()
    reverse = iris(classes=(0, 2), test_fraction=0.0)
    assert reverse.classes == ("setosa", "virginica")


def test_digits_keep_their_pixels_on_request():
    dataset = digits(features=None, classes=(0, 1, 7))
    assert dataset.train.x.shape[1] == 64
    assert dataset.classes == ("0", "1", "7")
    assert dataset.train.y.shape[1] == 3


@named(TABLES)
@pytest.mark.parametrize("classes", [(), (0,), (0, 0), (0, 10), (-1, 0)])
def test_unknown_classes_are_refused(source, classes):
    with pytest.raises(ValueError, match="Argument `classes` must hold at least two different classes from 0 to"):
        source(classes=classes)


@named(TABLES)
@pytest.mark.parametrize("features", [0, -2, 65, 2.5])
def test_more_components_than_inputs_are_refused(source, features):
    with pytest.raises(ValueError, match="Argument `features` must be an integer"):
        source(features=features)


# --- shapes -----------------------------------------------------------------------------------------------------


@named(SHAPES)
def test_shapes_are_not_linearly_separable(source):
    dataset = source(samples=400, noise=0.05)
    design = np.column_stack([dataset.train.x, np.ones(len(dataset.train.x))])
    weights = np.linalg.lstsq(design, dataset.train.y[:, 0], rcond=None)[0]
    accuracy = np.mean(np.sign(design @ weights) == dataset.train.y[:, 0])
    assert accuracy < 0.95


def test_inner_circle_is_the_positive_class():
    dataset = circles(noise=0.0, inner_radius=0.3, test_fraction=0.0)
    radius = np.linalg.norm(dataset.train.x, axis=1)
    inner = dataset.train.y[:, 0] > 0
    assert radius[inner].max() / radius[~inner].min() == pytest.approx(0.3, abs=0.01)


@pytest.mark.parametrize(
    ("source", "options", "name"),
    [(moons, {"noise": -0.1}, "noise"), (moons, {"samples": 3}, "samples"), (circles, {"samples": 7.5}, "samples"),
     (circles, {"inner_radius": 1.0}, "inner_radius"), (circles, {"scale": 0.0}, "scale")],
)  # fmt: skip
def test_shapes_refuse(source, options, name):
    with pytest.raises(ValueError, match=f"Argument `{name}` must be"):
        source(**options)


# --- boolean ----------------------------------------------------------------------------------------------------


def test_xor_is_the_negative_product():
    x, y = xor(scale=0.5).train
    assert {tuple(row) for row in x} == {(a, b) for a in (-0.5, 0.5) for b in (-0.5, 0.5)}
    assert np.array_equal(y[:, 0], -np.sign(x[:, 0] * x[:, 1]))
    assert np.array_equal(xor().test.x, xor().train.x)


@pytest.mark.parametrize("bits", [2, 3, 5])
def test_parity_is_the_negative_product(bits):
    x, y = parity(bits=bits).train
    assert len(np.unique(x, axis=0)) == len(x) == 2**bits
    assert np.array_equal(y[:, 0], -x.prod(axis=1))


@pytest.mark.parametrize("size", [2, 3, 4])
def test_bars_and_stripes(size):
    x, y = bars_and_stripes(size=size).train
    assert len(np.unique(x, axis=0)) == len(x) == 2 * (2**size - 2)
    images = x.reshape(-1, size, size)
    columns_constant = np.all(images == images[:, :1, :], axis=(1, 2))
    rows_constant = np.all(images == images[:, :, :1], axis=(1, 2))
    assert np.array_equal(rows_constant, y[:, 0] > 0)
    assert np.array_equal(columns_constant, y[:, 0] < 0)


@pytest.mark.parametrize(
    ("source", "options", "name"),
    [(parity, {"bits": 1}, "bits"), (parity, {"bits": 13}, "bits"), (bars_and_stripes, {"size": 1}, "size"),
     (xor, {"scale": -1.0}, "scale")],
)  # fmt: skip
def test_boolean_refuses(source, options, name):
    with pytest.raises(ValueError, match=f"Argument `{name}` must be"):
        source(**options)


# --- phases -----------------------------------------------------------------------------------------------------


def test_triangle_is_sampled_uniformly():
    dataset = cluster_ising_phases(samples=20000, test_fraction=0.0)
    g = dataset.train.x
    assert np.all(g >= 0)
    assert np.allclose(g.sum(axis=1), 4)
    # uniform on the triangle: cutting it at the middle of its edges gives four parts of one quarter each
    corners = np.mean(g >= 2, axis=0)
    assert np.all(np.abs(corners - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 20000))
    # each coupling u has the law 1 - (1 - u/4)^2, so the square root is uniform
    ranks = np.sort(1 - (1 - g / 4) ** 2, axis=0)
    distance = np.abs(ranks - (np.arange(20000)[:, None] + 0.5) / 20000).max()
    assert distance < 1.95 / np.sqrt(20000), "Kolmogorov-Smirnov at 0.1 %"
    assert np.allclose(dataset.train.y.mean(axis=0), [3 / 8, 1 / 4, 3 / 8], atol=0.02)


@pytest.mark.parametrize(
    ("couplings", "phase"),
    [((4, 0, 0), 0), ((0, 4, 0), 1), ((0, 0, 4), 2), ((1, 2, 1), 1), ((2, 2, 0), 1), ((0, 2, 2), 1), ((2, 0, 2), 2),
     ((1.5, 1, 1.5), 2), ((1.51, 1, 1.49), 0), ((1.49, 1, 1.51), 2), ((1.005, 1.99, 1.005), 2), ((0.9, 2.2, 0.9), 1)],
)  # fmt: skip
def test_cluster_ising_boundaries(couplings, phase):
    assert _cluster_ising_labels(np.array([couplings], dtype=float)) == [phase]


def test_cluster_ising_phases_are_winding_numbers():
    """The phases of free fermions: zeros of ``g_X - g_ZZ z + g_ZXZ z^2`` inside the unit circle."""
    g, y = cluster_ising_phases(samples=500, test_fraction=0.0).train
    inside = [np.sum(np.abs(np.roots([cluster, -ising, field])) < 1) for cluster, ising, field in g]
    phase_of_winding = np.array([2, 1, 0])
    assert np.array_equal(phase_of_winding[inside], np.argmax(y, axis=1))


@pytest.mark.parametrize("couplings", [(0.9, 2.2, 0.9), (2.0, 1.0, 1.0), (1.0, 1.0, 2.0), (0.2, 0.5, 3.3)])
def test_cluster_ising_signs(couplings):
    """The polynomial above belongs to the Hamiltonian that is documented: energy of a small ring."""
    cluster, ising, field = couplings
    sites = 6
    ring = [(j, (j + 1) % sites, (j + 2) % sites) for j in range(sites)]
    H = total(
        [term("ZXZ", triple, sites, cluster) for triple in ring]
        + [term("ZZ", triple[:2], sites, -ising) for triple in ring]
        + [term("X", triple[:1], sites, -field) for triple in ring]
    ).to_matrix()
    z = np.exp(1j * np.pi * (2 * np.arange(sites) + 1) / sites)
    assert np.linalg.eigvalsh(H)[0] == pytest.approx(-np.abs(field - ising * z + cluster * z**2).sum(), abs=1e-10)


def test_transverse_ising_line():
    dataset = transverse_ising_phases(samples=4000, test_fraction=0.0)
    x, y = dataset.train
    assert np.allclose(x.sum(axis=1), 2)
    assert np.array_equal(y[:, 0] > 0, x[:, 0] > x[:, 1])
    assert x[:, 0].mean() == pytest.approx(1, abs=0.05)
    assert x[:, 0].std() == pytest.approx(2 / np.sqrt(12), abs=0.02)
    assert np.array_equal(_transverse_ising_labels(np.array([[1.0, 1.0], [1.01, 0.99]])), [0, 1])


@named(PHASES)
def test_phases_refuse(source):
    with pytest.raises(ValueError, match="Argument `samples` must be"):
        source(samples=1)


# --- field probes -----------------------------------------------------------------------------------------------


def test_field_probes_are_ground_states():
    dataset = field_probes()
    assert dataset.classes == ()
    assert np.allclose(dataset.train.x[:, 0], np.linspace(-2, 2, 9))
    assert np.allclose(dataset.test.x[:, 0], np.linspace(-1.75, 1.75, 8))
    for x, y in zip(*dataset.train, strict=True):
        H = np.array([[-0.8, -(1.5 + x[0])], [-(1.5 + x[0]), 0.8]])
        ground = np.linalg.eigh(H)[1][:, 0]
        assert ground[0] ** 2 - ground[1] ** 2 == pytest.approx(y[0], abs=1e-12)


def test_one_probe_is_at_zero_field():
    dataset = field_probes(probes=1)
    assert np.array_equal(dataset.train.x, [[0.0]])
    assert np.array_equal(dataset.test.x, dataset.train.x)
    assert dataset.train.y[0, 0] == pytest.approx(0.8 / 1.7)


@pytest.mark.parametrize(
    ("options", "name"),
    [({"probes": 0}, "probes"), ({"probes": 2.0}, "probes"), ({"span": 0.0}, "span"), ({"target": (1.0,)}, "target"),
     ({"target": (0.0, 1.0)}, "target"), ({"target": (float("nan"), 1.0)}, "target")],
)  # fmt: skip
def test_field_probes_refuse(options, name):
    with pytest.raises(ValueError, match=f"Argument `{name}` must"):
        field_probes(**options)
