"""The compiled engine against dense matrices: every kernel, every layout of vectors, one thread and a team."""

from itertools import combinations
from threading import Barrier, get_ident

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import dense_string
from qiskit.quantum_info import PauliList

import qeqprop
from qeqprop import losses
from qeqprop.engine import compiled
from qeqprop.engine.eigen import complex_picture, dense_spectrum, lowest_spectrum, real_picture, string_elements
from qeqprop.engine.layout import layout_of
from qeqprop.engine.paulis import PauliTable
from qeqprop.engine.response import eigenstate_response
from qeqprop.engine.threads import get_threads, run, set_threads, threads
from qeqprop.engine.tridiagonal import PRECISION, SCRATCH, lowest_pair
from qeqprop.networks.transverse_ising import transverse_ising
from qeqprop.solvers.exact import Exact


def ising_labels(sites):
    """All X, Z and ZZ."""
    words = [({site: letter}) for site in range(sites) for letter in "XZ"]
    words += [{a: "Z", b: "Z"} for a, b in combinations(range(sites), 2)]
    return ["".join(word.get(site, "I") for site in range(sites)) for word in words]


def heisenberg_labels(sites):
    """All XX, YY and ZZ, and Z."""
    words = [{a: letter, b: letter} for a, b in combinations(range(sites), 2) for letter in "XYZ"]
    words += [{site: "Z"} for site in range(sites)]
    return ["".join(word.get(site, "I") for site in range(sites)) for word in words]


def random_labels(random, sites, count, letters):
    return sorted({"".join(random.choice(list("I" + letters), sites)) for _ in range(count)})


def sums_of(random, labels, batch):
    table = PauliTable.of(PauliList(labels))
    return table, random.normal(size=(batch, len(labels)))


def random_states(random, table, batch):
    states = random.normal(size=(batch, table.dim)) + (0 if table.real else 1j) * random.normal(size=(batch, table.dim))
    return states / np.linalg.norm(states, axis=1, keepdims=True)


@st.composite
def systems(draw, min_sites=3, max_sites=6):
    sites, batch = draw(st.integers(min_sites, max_sites)), draw(st.sampled_from([1, 3, 9]))
    random = np.random.default_rng(draw(st.integers(0, 2**31)))
    letters = draw(st.sampled_from(["Z", "X", "XZ", "XYZ"]))
    labels = random_labels(random, sites, draw(st.integers(1, 14)), letters)
    return (*sums_of(random, labels, batch), labels, random)


@settings(deadline=None)
@given(systems())
def test_applying_and_measuring_agree_with_kron(case):
    table, coefficients, labels, random = case
    batch, layout = len(coefficients), layout_of(table)
    states = random_states(random, table, batch)
    found = complex_picture(table, compiled.multiply(layout, coefficients, real_picture(table, states)))
    matrices = [sum(c * dense_string(label) for c, label in zip(row, labels, strict=True)) for row in coefficients]
    np.testing.assert_allclose(found, [m @ s for m, s in zip(matrices, states, strict=True)], atol=1e-12)
    bras, zeros = random_states(random, table, batch), np.zeros(batch, dtype=np.int64)
    elements = string_elements(table, bras[:, None], zeros, states[:, None], zeros)
    wanted = [
        [bra.conj() @ dense_string(label) @ ket for label in labels] for bra, ket in zip(bras, states, strict=True)
    ]
    np.testing.assert_allclose(elements, wanted, atol=1e-12)


@pytest.mark.parametrize("sites", [5, 8, 11, 12, 13, 15, 17, 18])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_blocks_chunks_and_teams_agree_with_the_readable_apply(sites, count):
    random = np.random.default_rng(sites)
    labels = [*ising_labels(sites), "X" * sites, "Y" * 2 + "Z" * (sites - 2)]
    table, coefficients = sums_of(random, labels, 1)
    states = random_states(random, table, 1)
    wanted = table.apply(table.diagonals(coefficients), states)
    zeros = np.zeros(1, dtype=np.int64)
    with threads(count):
        found = compiled.multiply(layout_of(table), coefficients, states)
        elements = string_elements(table, states[:, None], zeros, states[:, None], zeros)
    np.testing.assert_allclose(found, wanted, atol=1e-11)
    np.testing.assert_allclose(elements, np.real(table.elements(states, states)), atol=1e-12)


def test_a_kept_workspace_serves_any_size_and_precision(monkeypatch):
    fresh, asked = compiled.uninitialised, []

    def counted(*shape, **options):
        asked.append(shape)
        return fresh(*shape, **options)

    def multiplies(sites, dtype, tolerance):
        table, coefficients = sums_of(random, ising_labels(sites), 1)
        states = random_states(random, table, 1).astype(dtype)
        found = compiled.multiply(layout_of(table), coefficients, states)
        np.testing.assert_allclose(found, table.apply(table.diagonals(coefficients), states), atol=tolerance)
        return len(asked)

    random = np.random.default_rng(7)
    monkeypatch.setattr(compiled, "uninitialised", counted)
    monkeypatch.setattr(compiled, "_KEPT_SPACE", 1 << 20)
    multiplies(9, np.float64, 1e-12)  # may find what an earlier call has left
    before = multiplies(10, np.float64, 1e-12)
    assert [multiplies(10, np.float64, 1e-12), multiplies(8, np.float64, 1e-12)] == [before, before]
    assert [multiplies(10, np.float32, 1e-4), multiplies(10, np.float64, 1e-12)] == [before, before]
    assert multiplies(11, np.float64, 1e-12) == before + 1
    monkeypatch.setattr(compiled, "_KEPT_SPACE", 0)
    assert multiplies(12, np.float64, 1e-12) == before + 2
    assert multiplies(8, np.float64, 1e-12) == before + 3


@settings(deadline=None, max_examples=60)
@given(systems(max_sites=6), st.integers(1, 3), st.sampled_from([1, 99]))
def test_lowest_states_and_their_residuals_are_those_of_the_matrix(case, n_accurate, rough_sites):
    table, coefficients, _, _ = case
    norms = np.sum(np.abs(coefficients), axis=1)
    goals = 1e-12 * norms
    dense = dense_spectrum(table, coefficients)
    layout = layout_of(table)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "ROUGH_SITES", rough_sites)
        found = compiled.lowest_states(layout, coefficients, n_accurate + 1, n_accurate, goals)
    energies, residuals, vectors = found.energies, found.residuals, found.vectors
    np.testing.assert_allclose(energies[:, :n_accurate], dense.energies[:, :n_accurate], atol=1e-11 * np.max(norms))
    assert np.all(residuals[:, :n_accurate] <= 20 * goals[:, None])
    states = complex_picture(table, vectors)
    for k in range(n_accurate + 1):
        applied = complex_picture(table, compiled.multiply(layout, coefficients, np.ascontiguousarray(vectors[:, k])))
        measured = np.linalg.norm(applied - energies[:, k, None] * states[:, k], axis=1)
        digits = 1e-12 if k < n_accurate else 1e-6  # a state that only tells a gap is measured in single precision
        np.testing.assert_allclose(measured, residuals[:, k], atol=digits * np.max(norms) + 1e-15)
    kets = states[:, n_accurate - 1]
    wanted = np.stack([table.elements(states[:, k], kets) for k in range(n_accurate + 1)], axis=1)
    np.testing.assert_allclose(found.elements, [np.real(wanted), np.imag(wanted)][: len(found.elements)], atol=1e-12)
    overlaps = np.einsum("bki,bli->bkl", states.conj(), states)
    np.testing.assert_allclose(overlaps, np.tile(np.eye(n_accurate + 1), (len(states), 1, 1)), atol=1e-7)


@pytest.mark.parametrize("letters", ["XZ", "XYZ"])
@pytest.mark.parametrize(("sites", "batch"), [(5, 9), (8, 2)])
@pytest.mark.parametrize("level", [0, 2])
def test_responses_are_perturbation_theory_to_nine_digits(letters, sites, batch, level):
    random = np.random.default_rng(level)
    labels = sorted({*random_labels(random, sites, 25, letters), *ising_labels(sites)})
    table, coefficients = sums_of(random, labels, batch)
    pushes, limits = random.normal(size=coefficients.shape), {"spacings": np.full(batch, 1e-9), "tolerance": 1e-12}
    goals = 1e-13 * np.sum(np.abs(coefficients), axis=1)
    dense = dense_spectrum(table, coefficients)
    few = lowest_spectrum(table, coefficients, level + 2, n_accurate=level + 1, goals=goals)
    members, weights = np.full((batch, 1), level), np.ones((batch, 1))
    wanted = eigenstate_response(table, dense, members, weights, coefficients, pushes, **limits)
    found = eigenstate_response(table, few, members, weights, coefficients, pushes, **limits)
    np.testing.assert_allclose(found, wanted, atol=1e-9 * max(1.0, np.max(np.abs(wanted))))


@pytest.mark.parametrize("network", [transverse_ising(sites=8, n_inputs=3), transverse_ising(sites=11, n_inputs=3)])
def test_the_default_gradient_agrees_with_extrapolated_finite_differences(network):
    """Six-point central differences (error step^6) of the loss itself, with tight states."""
    random = np.random.default_rng(4)
    theta, x, y = (
        random.normal(size=network.n_trainable),
        random.normal(size=(2, 3)),
        random.uniform(-1, 1, size=(2, 1)),
    )
    loss = losses.mean_squared_error()
    found = qeqprop.gradient(network, theta, x, y, loss=loss, solver=Exact(tolerance=1e-13))
    for index in (0, network.n_trainable // 2, network.n_trainable - 1):

        def value(shift, index=index):
            moved = theta + shift * np.eye(len(theta))[index]
            return loss.value(qeqprop.predict(network, moved, x, solver=Exact(tolerance=1e-13)), y)

        step = 0.01
        differences = [(value(k * step) - value(-k * step)) / step for k in (1, 2, 3)]
        wanted = 3 / 4 * differences[0] - 3 / 20 * differences[1] + 1 / 60 * differences[2]
        assert found.values[index] == pytest.approx(wanted, abs=1e-9)


def test_a_restarted_small_basis_reaches_the_same_state(monkeypatch):
    random = np.random.default_rng(3)
    table, coefficients = sums_of(random, ising_labels(8), 3)
    monkeypatch.setattr(compiled, "BASIS_BYTES", 8 * 8 * (256 + 136))
    found = compiled.lowest_states(layout_of(table), coefficients, 1, 1, np.full(3, 1e-9))
    np.testing.assert_allclose(found.energies[:, 0], dense_spectrum(table, coefficients).energies[:, 0], atol=1e-10)
    assert np.max(found.residuals) < 1e-9


def test_a_lower_state_of_another_symmetry_is_not_missed_from_a_symmetric_start():
    """Two blocks that no operator couples: the start is the exact ground state of the wrong one."""
    table, coefficients = sums_of(np.random.default_rng(0), ising_labels(6), 1)
    x_only = np.array([[1.0 if set(label) <= {"I", "X"} else 0.0 for label in ising_labels(6)]])
    coefficients = -0.3 * x_only
    coefficients[0, ising_labels(6).index("ZZIIII")] = -1.0
    dense = dense_spectrum(table, coefficients)
    start = np.real(dense.vectors[:, [1, 0]])  # the second level first
    energies = compiled.lowest_states(layout_of(table), coefficients, 2, 1, np.array([1e-11]), start).energies
    np.testing.assert_allclose(energies[0, 0], dense.energies[0, 0], atol=1e-10)


@pytest.mark.parametrize("labels", [ising_labels(18), heisenberg_labels(17)])
def test_a_team_finds_what_one_thread_finds(labels):
    random = np.random.default_rng(1)
    table, coefficients = sums_of(random, labels, 1)
    goals, layout = 1e-9 * np.sum(np.abs(coefficients), axis=1), layout_of(table)
    answers = []
    for count in (1, 2):
        with threads(count):
            energies, _, vectors, _ = compiled.lowest_states(layout, coefficients, 1, 1, goals)
            push = random.normal(size=coefficients.shape) if not answers else answers[0][2]
            zero, inside = np.zeros(1, dtype=np.int64), np.ones((1, 1), dtype=np.int64)
            slope, reached = compiled.responses(layout, coefficients, push, vectors, energies, 1, zero, inside, 1e-9)
            answers.append((energies, slope, push))
            assert reached[0] <= 1e-9
    np.testing.assert_allclose(answers[0][0], answers[1][0], rtol=1e-12)
    np.testing.assert_allclose(answers[0][1], answers[1][1], atol=1e-6)


@pytest.mark.parametrize("lanes", [1, 8])
def test_the_lowest_pair_of_tridiagonal_matrices(lanes):
    random = np.random.default_rng(2)
    for size in (1, 2, 5, 40):
        diagonal, off = random.normal(size=(size, lanes)), random.normal(size=(size, lanes))
        inverse, theta, vector = 1 / off, np.empty(lanes), np.empty((size, lanes))
        pivots, scratch, tag = np.empty((size, lanes)), np.empty((SCRATCH, lanes)), (0,) * lanes
        lowest_pair(size, diagonal, off, inverse, theta, False, PRECISION, vector, pivots, scratch, tag)
        cold = theta.copy()
        for distance in (1e-9, 1e-2, 10.0, -10.0):  # good, bad and impossible guesses
            theta[:] = cold + distance
            lowest_pair(size, diagonal, off, inverse, theta, True, PRECISION, vector, pivots, scratch, tag)
            np.testing.assert_allclose(theta, cold, atol=1e-13)
        for lane in range(lanes):
            matrix = np.diag(diagonal[:, lane]) + np.diag(off[1:, lane], 1) + np.diag(off[1:, lane], -1)
            energies, columns = np.linalg.eigh(matrix)
            assert theta[lane] == pytest.approx(energies[0], abs=1e-12)
            assert abs(vector[:, lane] @ columns[:, 0]) == pytest.approx(1.0, abs=1e-10)


@pytest.mark.parametrize(("sites", "batch"), [(6, 9), (9, 2)])
@pytest.mark.parametrize("letters", ["XZ", "XYZ"])
def test_single_storage_agrees_to_its_digits(sites, batch, letters):
    random = np.random.default_rng(sites)
    labels = sorted({*random_labels(random, sites, 20, letters), *ising_labels(sites)})
    table, coefficients = sums_of(random, labels, batch)
    layout, dense = layout_of(table), dense_spectrum(table, coefficients)
    scale = np.sum(np.abs(coefficients), axis=1)
    found = compiled.lowest_states(layout, coefficients, 2, 1, 1e-6 * scale, dtype=np.dtype(np.float32))
    assert found.vectors.dtype == np.float32
    assert np.all(found.residuals[:, 0] < 3e-6 * scale)
    np.testing.assert_allclose(found.energies[:, 0] / scale, dense.energies[:, 0] / scale, atol=1e-6)
    states = complex_picture(table, found.vectors[:, 0]).astype(complex)
    np.testing.assert_allclose(found.elements[0, :, 0], table.elements(states, states).real, atol=1e-5)
    # the vectors that were found, rounded as they are, against the same product in double precision
    double = compiled.multiply(layout, coefficients, found.vectors[:, 0].astype(np.float64))
    single = compiled.multiply(layout, coefficients, np.ascontiguousarray(found.vectors[:, 0]))
    np.testing.assert_allclose(single / scale[:, None], double / scale[:, None], atol=1e-6)


@pytest.mark.parametrize("field", [0.4, 0.0])
def test_a_rough_search_for_the_gap_tells_a_degenerate_level(field):
    """In single precision the neighbour is found as well as ever, and where it may be the same level, found again."""
    labels = ["".join("Z" if site in (a, a + 1) else "I" for site in range(8)) for a in range(7)]
    labels += ["".join("Z" if site == a else "I" for site in range(8)) for a in range(8)]
    labels += ["".join("X" if site == a else "I" for site in range(8)) for a in range(8)]
    table = PauliTable.of(PauliList(labels))
    row = np.concatenate([-np.ones(7), -field * np.ones(8), -0.02 * np.ones(8)])  # a ferromagnet with two ground states
    coefficients = np.stack([row, row + 0.3 * np.random.default_rng(1).normal(size=23)])
    goals = 1e-11 * np.sum(np.abs(coefficients), axis=1)
    dense, found = (
        dense_spectrum(table, coefficients),
        compiled.lowest_states(layout_of(table), coefficients, 2, 1, goals),
    )
    gaps = [spectrum.energies[:, 1] - spectrum.energies[:, 0] for spectrum in (dense, found)]
    np.testing.assert_allclose(gaps[1], gaps[0], rtol=1e-2, atol=1e-9)
    assert (gaps[1][0] < 1e-9) == (field == 0.0)
    np.testing.assert_allclose(found.energies[:, 0], dense.energies[:, 0], atol=1e-11)


@pytest.mark.parametrize("field", [1.2, 0.5, 0.3, 0.15, 0.08, 0.03])
@pytest.mark.parametrize("batch", [1, 3])
def test_what_single_precision_cannot_tell_is_told_in_double_precision(field, batch):
    """A ferromagnet in a field has a doublet, apart by 1 down to 1e-13: its states, the next gap and the response."""
    pairs = ["".join("Z" if site in (a, (a + 1) % 8) else "I" for site in range(8)) for a in range(8)]
    singles = ["".join(letter if site == a else "I" for site in range(8)) for letter in "XZ" for a in range(8)]
    labels = pairs + singles
    table, random = PauliTable.of(PauliList(labels)), np.random.default_rng(2)
    row = np.concatenate([-np.ones(8), -field * random.uniform(0.8, 1.2, 8), np.zeros(8)])
    coefficients = np.tile(row, (batch, 1)) * np.linspace(1.0, 1.3, batch)[:, None]
    scale = np.sum(np.abs(coefficients), axis=1)
    dense, layout = dense_spectrum(table, coefficients), layout_of(table)
    for n_accurate in (1, 2):
        found = compiled.lowest_states(layout, coefficients, n_accurate + 1, n_accurate, 1e-12 * scale)
        assert np.all(found.residuals[:, :n_accurate] < 2e-12 * scale[:, None])
        wanted = dense.energies[:, : n_accurate + 1] - dense.energies[:, :1]
        levels = found.energies - found.energies[:, :1]
        np.testing.assert_allclose(levels[:, :n_accurate], wanted[:, :n_accurate], atol=1e-11)
        np.testing.assert_allclose(levels[:, -1], wanted[:, -1], rtol=1e-2, atol=1e-9)
        np.testing.assert_allclose(found.energies[:, 0], dense.energies[:, 0], atol=1e-12 * np.max(scale))
    # a push that keeps the symmetry does not mix the doublet, however close it is
    pushes = np.zeros_like(coefficients)
    pushes[:, 8:16] = random.normal(size=8)
    few = lowest_spectrum(table, coefficients, 3, n_accurate=2, goals=1e-13 * scale)
    limits = {"spacings": 1e-9 * scale, "tolerance": 1e-11}
    averaged = np.tile([[0, 1]], (batch, 1)), np.full((batch, 2), 0.5)
    wanted = eigenstate_response(table, dense, *averaged, coefficients, pushes, **limits)
    response = eigenstate_response(table, few, *averaged, coefficients, pushes, **limits)
    np.testing.assert_allclose(response, wanted, atol=1e-8 * np.max(np.abs(wanted)))


def test_single_storage_gives_gradients_of_three_digits_and_says_what_it_needs():
    network, random = transverse_ising(sites=9, n_inputs=3), np.random.default_rng(5)
    theta, x, y = random.normal(size=network.n_trainable), random.normal(size=(2, 3)), random.normal(size=(2, 1))
    loss = losses.mean_squared_error()
    wanted = qeqprop.gradient(network, theta, x, y, loss=loss).values
    solver = Exact(storage="single", tolerance=1e-5)
    found = qeqprop.gradient(network, theta, x, y, loss=loss, solver=solver).values
    np.testing.assert_allclose(found, wanted, atol=1e-3 * np.max(np.abs(wanted)))
    with pytest.raises(ValueError, match=r"`tolerance` must be at least 1e-05 with storage='single', but is 1e-10"):
        Exact(storage="single")


def test_the_caller_chooses_the_threads():
    before = get_threads()
    with threads(1):
        assert get_threads() == 1
    assert get_threads() == before
    for wrong in (0, 1.5, True, 100, "two"):
        with pytest.raises(ValueError, match="from 1 to 64"):
            set_threads(wrong)


def test_tasks_run_together_each_on_a_thread_of_its_own():
    for _ in range(3):
        barrier, seen = Barrier(4), []

        def task(barrier=barrier, seen=seen):
            barrier.wait(10)  # passes only if all four have come
            seen.append(get_ident())

        run([task] * 4)
        assert len(set(seen)) == 4
        assert get_ident() in seen


def test_a_failure_on_another_thread_is_raised():
    def fail():
        raise ArithmeticError("lost")

    for tasks in ([fail], [fail, list], [list, fail]):
        with pytest.raises(ArithmeticError, match="lost"):
            run(tasks)


@pytest.mark.parametrize("digits", [8, 6, 4])
@pytest.mark.parametrize("batch", [1, 9])
def test_copies_of_a_state_that_cancel_are_searched_again(digits, batch):
    """Parameters that training on iris met: the Ritz residual was below its goal, the measured one 1e-2."""
    network = transverse_ising(sites=5)
    pairs = [0.02155356, -0.10942680, 0.75062314, -0.00526675, 0.25570610, -1.18188867, 1.66616169]
    pairs += [0.73318922, -0.35645688, -0.20330458]
    fields = [-0.21267646, -3.69097455, -3.92718054, 0.48177749, 3.92071001]
    coefficients = np.tile(np.round([-1.0] * 5 + pairs + fields, digits), (batch, 1))
    goals = np.full(batch, 1e-11 * np.abs(coefficients[0]).sum())
    found = compiled.lowest_states(layout_of(PauliTable.of(network.strings)), coefficients, 2, 1, goals)
    assert np.all(found.residuals[:, 0] < 2 * goals)
    strings = [dense_string(label) for label in network.strings.to_labels()]
    exact = np.linalg.eigvalsh(np.einsum("s,sij->ij", coefficients[0], strings))
    np.testing.assert_allclose(found.energies[:, 0], exact[0], rtol=0, atol=1e-12 * np.abs(coefficients[0]).sum())
