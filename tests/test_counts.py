"""From bits to numbers: as few bases as possible, and error bars that hold every covariance."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import dense_string
from qiskit.circuit import QuantumCircuit
from qiskit.quantum_info import PauliList

from qeqprop.counts import Readings, Readout, canary_of, check_shots, estimate, moments, stream
from qeqprop.engine.bases import MeasurementBasis, measurement_bases, needed_bases
from qeqprop.interfaces import Measurement
from qeqprop.networks.cluster_ising import cluster_sensor


def fit_together(one, other):
    """Whether two strings commute on every single site."""
    return all(a == b or "I" in (a, b) for a, b in zip(one, other, strict=True))


def fewest_groups(labels):
    """The least number of groups, by putting every label into every group that takes it, or a new one."""
    best = len(labels)

    def place(position, groups):
        nonlocal best
        if len(groups) >= best:
            return
        if position == len(labels):
            best = len(groups)
            return
        for group in groups:
            if all(fit_together(labels[position], other) for other in group):
                group.append(labels[position])
                place(position + 1, groups)
                group.pop()
        groups.append([labels[position]])
        place(position + 1, groups)
        groups.pop()

    place(0, [])
    return best


@given(st.lists(st.text("IXYZ", min_size=4, max_size=4), min_size=1, max_size=9, unique=True))
def test_bases_are_as_few_as_brute_force_finds(labels):
    read = [label for label in labels if set(label) != {"I"}]
    bases = measurement_bases(PauliList(labels))
    assert len(bases) == (fewest_groups(read) if read else 0)
    for basis in bases:
        for index in basis.indices:
            assert fit_together(labels[index], basis.letters[::-1])
    assert sorted(int(index) for basis in bases for index in basis.indices) == [
        index for index, label in enumerate(labels) if label in read
    ]


def test_the_sensor_and_random_networks_need_few_bases():
    sensor = cluster_sensor()
    trainable = sensor.strings[np.any(sensor.trainable != 0, axis=0)]
    assert len(trainable) == 51
    assert len(measurement_bases(trainable)) == 9  # every pair of letters on two sensors must be seen: no fewer
    assert len(needed_bases(sensor.strings, np.concatenate([sensor.trainable, sensor.outputs]))) == 9
    random = np.random.default_rng(2)
    labels = sorted({"".join(random.choice(list("IXYZ"), 7)) for _ in range(200)})
    assert len(measurement_bases(PauliList(labels))) <= len(PauliList(labels).group_qubit_wise_commuting())


def test_a_ring_of_odd_conflicts_needs_a_third_basis():
    labels = ["XIIIZ", "ZXIII", "IZXII", "IIZXI", "IIIZX"]  # neighbours conflict: five vertices on a ring
    assert len(measurement_bases(PauliList(labels))) == 3
    assert len(measurement_bases(PauliList(labels[:4]))) == 2


def test_strings_without_weight_are_not_measured():
    bases = needed_bases(PauliList(["XX", "ZZ", "YI"]), np.array([[[0.0, 1.0, 0.0]], [[0.0, 0.0, 2.0]]]))
    assert [basis.indices.tolist() for basis in bases] == [[1], [2]]
    assert needed_bases(PauliList(["XX"]), np.zeros((1, 1, 1))) == []


@given(st.integers(0, 2**32 - 1), st.sampled_from([False, True]))
def test_moments_are_those_of_the_values_of_single_shots(seed, mitigated):
    random = np.random.default_rng(seed)
    sites, shots = 3, 40
    masks = random.integers(1, 8, size=4)
    weights = random.normal(size=(2, 4))
    site_values = random.normal(size=(sites, 2)) if mitigated else np.tile([1.0, -1.0], (sites, 1))
    drawn = random.integers(0, 8, size=shots)
    worth = np.zeros((2, shots))
    for shot, observable, (number, mask) in product(range(shots), range(2), enumerate(masks)):
        signs = [site_values[k, drawn[shot] >> k & 1] for k in range(sites) if mask >> k & 1]
        worth[observable, shot] += weights[observable, number] * np.prod(signs)
    found, counts = np.unique(drawn, return_counts=True)
    mean, variance = moments(weights, masks, found, counts, site_values if mitigated else None)
    np.testing.assert_allclose(mean, worth.mean(axis=1), atol=1e-12)
    np.testing.assert_allclose(variance, worth.var(axis=1, ddof=1), atol=1e-12)


def test_the_error_of_a_sum_holds_the_covariance_of_its_strings():
    """Z0 and Z1 of (|00> + |11>)/sqrt 2 are one coin, not two; their difference is no coin at all."""
    strings, basis = PauliList(["IZ", "ZI"]), MeasurementBasis("ZZ", np.array([0, 1]), np.array([1, 2]))
    drawn = np.random.default_rng(1).choice([0, 3], size=(1, 400))
    measurement = Measurement(
        QuantumCircuit(2), np.zeros((1, 0)), strings, np.array([[[1.0, 0.0], [1.0, 1.0], [0.3, -0.3]]])
    )
    answer = estimate(Readings([basis], [drawn]), measurement)
    one, both, difference = answer.std_errors[0]
    assert both == pytest.approx(2 * one)  # sqrt 2 without the covariance
    assert one == pytest.approx(1 / np.sqrt(400), rel=0.02)
    assert difference == 0.0
    assert answer.values[0, 2] == 0.0


def test_estimates_agree_with_the_state_for_every_row_and_its_own_weights():
    random = np.random.default_rng(3)
    strings = PauliList(["III", "ZZI", "IXX", "XIZ", "IYI"])
    states = random.normal(size=(2, 8)) + 1j * random.normal(size=(2, 8))
    states /= np.linalg.norm(states, axis=1, keepdims=True)
    weights = random.normal(size=(2, 3, 5))
    measurement = Measurement(QuantumCircuit(3), np.zeros((2, 0)), strings, weights)
    bases = needed_bases(strings, weights)
    turned = {"X": np.array([[1, 1], [1, -1]]) / np.sqrt(2), "Y": np.array([[1, -1j], [1, 1j]]) / np.sqrt(2)}
    outcomes = []
    for basis in bases:
        turn = np.ones((1, 1))
        for letter in basis.letters:
            turn = np.kron(turned.get(letter, np.eye(2)), turn)
        probabilities = np.abs(states @ turn.T) ** 2
        outcomes.append(np.stack([random.choice(8, size=20000, p=row / row.sum()) for row in probabilities]))
    answer = estimate(Readings(bases, outcomes), measurement)
    dense = np.stack([dense_string(label) for label in strings.to_labels()])
    each = np.real(np.einsum("bi,sij,bj->bs", states.conj(), dense, states))
    wanted = np.einsum("bos,bs->bo", weights, each)
    assert np.all(np.abs(answer.values - wanted) < 5 * answer.std_errors)
    assert np.all(answer.std_errors < 0.05)


def test_the_canary_counts_flipped_sites():
    canary = canary_of(np.array([0, 0, 0b0001, 0b0011]), 4)
    assert canary.value == pytest.approx(1 - 2 * 3 / 16)
    assert canary.std_error == pytest.approx(np.std([1, 1, 0.5, 0.0], ddof=1) / 2)
    assert canary_of(np.zeros(5, dtype=np.int64), 4).std_error == 0.0


def test_streams_of_a_job_differ_and_repeat():
    seeds = {tuple(stream((7, 1), row, basis).generate_state(2)) for row in range(4) for basis in range(3)}
    assert len(seeds) == 12
    assert tuple(stream((7, 1), 0, 0).generate_state(2)) in seeds
    assert tuple(stream((7, 2), 0, 0).generate_state(2)) not in seeds


@pytest.mark.parametrize("shots", [1, 0, -3, 2.5, True, None, [10, 1]])
def test_shots_without_an_error_bar_are_refused(shots):
    with pytest.raises(ValueError, match="`shots` must be an integer at least 2"):
        check_shots(shots, 2)
    with pytest.raises(ValueError, match="one for each basis"):
        check_shots([10, 10, 10], 2)


def test_a_readout_that_cannot_be_taken_is_refused():
    bases, row = measurement_bases(PauliList(["IZ", "XX"])), np.zeros((1, 2))
    assert Readout(row, bases, 7, (1,)).shots_by_basis == [7, 7]
    assert Readout(row, bases, [7, 9], (1,)).shots_by_basis == [7, 9]
    with pytest.raises(ValueError, match="one for each basis"):
        Readout(row, bases, [7], (1,))
    with pytest.raises(ValueError, match="`shots` must be an integer at least 2"):
        Readout(row, bases, 1, (1,))
    with pytest.raises(ValueError, match="`parameters` must be finite"):
        Readout(np.full((1, 2), np.nan), bases, 7, (1,))
