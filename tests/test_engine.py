"""The numerical floor against dense matrices."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import dense_string, kubo_mori, perturbation_theory
from qiskit.quantum_info import PauliList

from qeqprop.engine.bases import measurement_bases, rotate
from qeqprop.engine.eigen import Spectrum, dense_spectrum, lowest_spectrum
from qeqprop.engine.equilibrium import settle_biorthogonal, settle_level
from qeqprop.engine.levels import follow, level_numbers, multiplet, overlaps
from qeqprop.engine.paulis import PauliTable
from qeqprop.engine.response import eigenstate_response, gibbs_response
from qeqprop.interfaces import Start


@st.composite
def pauli_sums(draw, max_sites=5):
    sites = draw(st.integers(1, max_sites))
    labels = draw(st.lists(st.text("IXYZ", min_size=sites, max_size=sites), min_size=1, max_size=12, unique=True))
    seed = draw(st.integers(0, 2**31))
    return labels, np.random.default_rng(seed)


def matrix_of(labels, coefficients):
    return sum(c * dense_string(label) for c, label in zip(coefficients, labels, strict=True))


def random_states(random, shape):
    states = random.normal(size=shape) + 1j * random.normal(size=shape)
    return states / np.linalg.norm(states, axis=-1, keepdims=True)


@given(pauli_sums())
def test_matrices_apply_and_elements_agree_with_kron(case):
    labels, random = case
    table = PauliTable.of(PauliList(labels))
    coefficients = random.normal(size=(3, len(labels)))
    dense = np.array([matrix_of(labels, row) for row in coefficients])
    np.testing.assert_allclose(table.matrices(coefficients), dense, atol=1e-13)
    states = random_states(random, (3, 2, table.dim))
    for sample in range(3):
        applied = table.apply(table.diagonals(coefficients[sample]), states[sample])
        np.testing.assert_allclose(applied, states[sample] @ dense[sample].T, atol=1e-12)
    bra, ket = states[:, 0], states[:, 1]
    wanted = np.array([[b.conj() @ dense_string(label) @ k for label in labels] for b, k in zip(bra, ket, strict=True)])
    np.testing.assert_allclose(table.elements(bra, ket), wanted, atol=1e-12)
    density = np.einsum("bi,bj->bij", ket, bra.conj())
    np.testing.assert_allclose(table.traces(density), wanted, atol=1e-12)


def test_real_strings_give_real_matrices():
    assert PauliTable.of(PauliList(["XX", "YY", "ZI"])).matrices(np.ones((1, 3))).dtype == np.float64
    assert PauliTable.of(PauliList(["XY", "ZI"])).matrices(np.ones((1, 2))).dtype == np.complex128


def test_a_list_of_strings_changed_in_place_gets_another_table():
    strings = PauliList(["ZI", "II"])
    before = PauliTable.of(strings)
    assert PauliTable.of(strings) is before
    strings.x[1] = True  # XX
    matrix = PauliTable.of(strings).matrices(np.ones((1, 2)))[0]
    np.testing.assert_array_equal(matrix, np.diag([1.0, 1.0, -1.0, -1.0]) + np.eye(4)[::-1])


@given(pauli_sums())
def test_bases_read_every_string_once_and_rotate_to_its_eigenbasis(case):
    labels, random = case
    strings = PauliList(labels)
    state = random_states(random, (2 ** len(labels[0]),))
    table = PauliTable.of(strings)
    wanted = np.real(table.elements(state, state))
    read = []
    for basis in measurement_bases(strings):
        probabilities = np.abs(rotate(state, basis.letters)) ** 2
        for index, mask in zip(basis.indices, basis.masks, strict=True):
            parity = 1.0 - 2.0 * (np.bitwise_count(np.arange(len(state)) & int(mask)) & 1)
            np.testing.assert_allclose(probabilities @ parity, wanted[index], atol=1e-12)
            read.append(int(index))
    assert sorted(read) == [index for index, label in enumerate(labels) if set(label) != {"I"}]


def test_ising_networks_need_two_bases_whatever_their_edges():
    sites = 7
    labels = [
        "".join("Z" if k in pair else "I" for k in range(sites))
        for pair in [(a, b) for a in range(7) for b in range(a)]
    ]
    labels += ["".join(letter if k == site else "I" for k in range(sites)) for site in range(sites) for letter in "XZ"]
    assert len(measurement_bases(PauliList(labels))) == 2
    labels += ["".join("X" if k in (a, b) else "I" for k in range(sites)) for a in range(7) for b in range(a)]
    assert len(measurement_bases(PauliList(labels))) == 2


@pytest.mark.parametrize("letters", ["XZ", "XYZ"])
def test_iterative_and_dense_spectra_agree(letters):
    random = np.random.default_rng(5)
    labels = sorted({"".join(random.choice(list("I" + letters), 7)) for _ in range(30)} - {"I" * 7})
    table = PauliTable.of(PauliList(labels))
    coefficients = random.normal(size=(2, len(labels)))
    dense = dense_spectrum(table, coefficients)
    few = lowest_spectrum(table, coefficients, 5, n_accurate=5, goals=np.full(2, 1e-11))
    assert np.max(few.residuals) < 1e-10
    np.testing.assert_allclose(few.energies, dense.energies[:, :5], atol=1e-10)
    overlaps = np.abs(np.einsum("bki,bki->bk", few.vectors.conj(), dense.vectors[:, :5]))
    np.testing.assert_allclose(overlaps, 1.0, atol=1e-8)


def response_of(table, spectrum, level, row, nudge):
    members, weights = np.array([[level]]), np.ones((1, 1))
    limits = {"spacings": np.array([1e-9]), "tolerance": 1e-12}
    return eigenstate_response(table, spectrum, members, weights, row, nudge, **limits)


@given(pauli_sums(max_sites=4), st.integers(0, 2))
def test_response_is_perturbation_theory_with_and_without_the_whole_spectrum(case, level):
    labels, random = case
    sites = len(labels[0])
    labels = sorted(
        {*labels, *("".join(p if k == s else "I" for k in range(sites)) for s in range(sites) for p in "XYZ")}
    )
    table = PauliTable.of(PauliList(labels))
    if table.dim <= 2 * level + 2:
        return
    row, nudge = random.normal(size=(2, 1, len(labels)))
    spectrum = dense_spectrum(table, row)
    if np.min(np.diff(spectrum.energies[0])) < 1e-3:
        return
    wanted = [
        perturbation_theory(matrix_of(labels, row[0]), matrix_of(labels, nudge[0]), dense_string(label), level)
        for label in labels
    ]
    full = response_of(table, spectrum, level, row, nudge)
    np.testing.assert_allclose(full[0], wanted, rtol=1e-8, atol=1e-8)
    few = (spectrum.energies, spectrum.vectors, spectrum.residuals)
    part = Spectrum(*(array[:, : level + 2] for array in few), n_accurate=level + 1)
    if sites > 2:
        projected = response_of(table, part, level, row, nudge)
        np.testing.assert_allclose(projected[0], wanted, rtol=1e-8, atol=1e-8)


@given(pauli_sums(max_sites=3), st.sampled_from([0.1, 0.7, 5.0]))
def test_gibbs_response_is_kubo_mori(case, temperature):
    labels, random = case
    table = PauliTable.of(PauliList(labels))
    row, nudge = random.normal(size=(2, 1, len(labels)))
    spectrum = dense_spectrum(table, row)
    weights = np.exp(-(spectrum.energies - spectrum.energies[:, :1]) / temperature)
    weights /= weights.sum()
    found = gibbs_response(table, spectrum, weights, temperature, nudge)[0]
    wanted = [
        kubo_mori(matrix_of(labels, row[0]), matrix_of(labels, nudge[0]), dense_string(label), temperature)
        for label in labels
    ]
    np.testing.assert_allclose(found, wanted, rtol=1e-8, atol=1e-8)


def test_gibbs_response_survives_a_tiny_temperature():
    table = PauliTable.of(PauliList(["Z", "X"]))
    row = np.array([[-0.8, -1.5]])
    spectrum = dense_spectrum(table, row)
    cold = gibbs_response(table, spectrum, np.array([[1.0, 0.0]]), 1e-3, np.array([[1.0, 0.0]]))
    ground = response_of(table, spectrum, 0, row, np.array([[1.0, 0.0]]))
    np.testing.assert_allclose(cold, ground, atol=1e-12)


def test_multiplets_are_found_from_any_member():
    energies = np.array([-2.0, -1.0, -1.0 + 1e-12, -1.0 + 2e-12, 3.0])
    for level in (1, 2, 3):
        assert multiplet(energies, level, 1e-9).tolist() == [1, 2, 3]
    assert multiplet(energies, 0, 1e-9).tolist() == [0]
    assert level_numbers(energies[None], np.array([1e-9])).tolist() == [[0, 1, 1, 1, 2]]


def test_a_state_is_followed_through_a_crossing_and_kept_without_a_majority():
    spectrum = Spectrum(np.array([[0.0, 1.0, 2.0]]), np.eye(3)[None], np.zeros((1, 3)), 3)
    one = np.ones((1, 1))
    away = np.array([[[0.1, np.sqrt(0.99), 0.0]]])
    members, weights = follow(spectrum, 0, np.array([1e-9]), away, one)
    assert members.tolist() == [[1]]
    np.testing.assert_allclose(overlaps(spectrum, members, weights, away, one), 0.99)
    split = np.array([[[0.5, 0.6, np.sqrt(1 - 0.61)]]])
    members, weights = follow(spectrum, 0, np.array([1e-9]), split, one)
    assert members.tolist() == [[0]]
    np.testing.assert_allclose(overlaps(spectrum, members, weights, split, one), 0.25)


def test_biorthogonal_states_reduce_to_eigenstates_and_certify_their_residual():
    random = np.random.default_rng(2)
    labels = ["XX", "ZI", "IZ", "YX", "IX"]
    table = PauliTable.of(PauliList(labels))
    row = random.normal(size=(1, 5))
    real = settle_level(
        table,
        row,
        dense_spectrum(table, row),
        level=0,
        tolerances=np.array([1e-9]),
        spacings=np.array([1e-9]),
        response_tolerance=1e-11,
        average=False,
        by_overlap=False,
        observables=np.eye(5),
        perturbations=None,
        start=None,
    )
    complex_ = settle_biorthogonal(table, row.astype(complex), tolerances=np.array([1e-9]), start=real.start)
    np.testing.assert_allclose(complex_.strings, real.strings, atol=1e-12)
    assert complex_.certificate.residual[0] < 1e-12
    np.testing.assert_allclose(complex_.certificate.overlap, 1.0)


@pytest.mark.parametrize("level", [0, 1, 3])
def test_states_are_followed_one_by_one_as_all_at_once(level):
    """Rotations by random angles, some past the middle between two states; the rule is that of the docstring."""
    random = np.random.default_rng(level)
    energies, vectors = np.sort(random.normal(size=(40, 5)), axis=1), np.stack([np.eye(5)] * 40)
    states = random_states(random, (40, 1, 5)) + random.uniform(0, 3, size=(40, 1, 1)) * np.eye(5)[random.integers(5)]
    states /= np.linalg.norm(states, axis=2, keepdims=True)
    spacings, one = np.full(40, 1e-9), np.ones((40, 1))
    followed, _ = follow(Spectrum(energies, vectors, np.zeros((40, 5)), 4), level, spacings, states, one)
    shares = np.abs(states[:, 0]) ** 2 * (np.arange(5) < 4)  # the last state is not known well
    wanted = [np.argmax(row) if row[level] < 0.5 and np.max(row) > 0.5 else level for row in shares]
    assert followed[:, 0].tolist() == wanted
    assert len(set(wanted)) > 1
    twofold = energies.copy()
    twofold[0, 4] = twofold[0, 3]  # now one sample is degenerate, and all are looked at one by one
    again, _ = follow(Spectrum(twofold, vectors, np.zeros((40, 5)), 4), level, spacings, states, one)
    assert again[1:, 0].tolist() == wanted[1:]


def test_start_repeats_along_the_nudges():
    start = Start({"a": np.arange(3)})
    assert start.repeat(2).arrays["a"].tolist() == [0, 1, 2, 0, 1, 2]
