"""Adiabatic preparation: the states are those of the Schrödinger equation, the certificate those of the levels."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from oracles import dense_sums
from scipy.linalg import expm
from systems import hydrogen_molecule, ising_chain, one_qubit, random_network

import qeqprop
from qeqprop import losses
from qeqprop.devices.statevector import Statevector
from qeqprop.interfaces import Equilibria, PauliSums, PhysicsWarning, Start
from qeqprop.measuring import BoundMeasure
from qeqprop.ramps import at_once, cosine, ramp_of
from qeqprop.rules.holomorphic import Holomorphic
from qeqprop.rules.linear_response import LinearResponse
from qeqprop.rules.nudging import SymmetricNudging
from qeqprop.solvers.adiabatic import Adiabatic
from qeqprop.solvers.exact import Exact
from qeqprop.start_fields import field_operators, start_fields

NO_INPUT, NO_TARGET = np.zeros((1, 0)), np.zeros((1, 0))
NETWORK, X = random_network(7, sites=3), np.random.default_rng(0).normal(size=(2, 2))
FREE = NETWORK.hamiltonians(NETWORK.initial, X)
OUTPUTS = PauliSums(NETWORK.strings, NETWORK.outputs)
NUDGED = PauliSums(FREE.strings, FREE.coefficients + 0.3 * NETWORK.outputs[0])


def evolved(psi, begin, end, ramp, time, steps=100):
    """The Schrödinger equation by two exponentials per step at Gauss points, error O(dt^4)."""
    root = np.sqrt(3) / 6
    for k in range(steps):
        early, late = ramp(np.array([k + 0.5 - root, k + 0.5 + root]) / steps)
        for share in (0.25 + root, 0.25 - root):
            f = share * early + (0.5 - share) * late
            psi = expm(-1j * time / steps * ((0.5 - f) * begin + f * end)) @ psi
    return psi


def by_hand(nudge):
    """The nudged states of both rows for a total time of 5 and a nudge time of 2."""
    found = []
    for field_, free, nudged in zip(
        dense_sums(field_operators(start_fields(FREE))), dense_sums(FREE), dense_sums(NUDGED), strict=True
    ):
        psi = np.linalg.eigh(field_)[1][:, 0]
        if nudge == "ramped":
            found.append(evolved(psi, field_, nudged, cosine, 5.0))
        else:
            psi = evolved(psi, field_, free, cosine, 5.0)
            found.append(evolved(psi, free, nudged, cosine if nudge == "cached" else at_once, 2.0))
    return np.array(found)


@pytest.mark.filterwarnings("ignore::qeqprop.PhysicsWarning")  # a short time
@pytest.mark.parametrize("nudge", ["ramped", "cached", "abrupt"])
def test_nudged_states_solve_the_schroedinger_equation(nudge):
    psi = by_hand(nudge)
    wanted = np.real(np.einsum("bi,oij,bj->bo", psi.conj(), dense_sums(OUTPUTS), psi))
    matrices = dense_sums(NUDGED)
    energies = np.real(np.einsum("bi,bij,bj->b", psi.conj(), matrices, psi))
    spreads = np.linalg.norm(np.einsum("bij,bj->bi", matrices, psi) - energies[:, None] * psi, axis=1)
    solver = Adiabatic(total_time=5.0, steps=50, order=4, nudge=nudge, nudge_time=2.0)
    free = solver.solve(Equilibria(FREE, OUTPUTS))
    nudged = solver.solve(Equilibria(NUDGED, OUTPUTS, start=free.start))
    np.testing.assert_allclose(nudged.expectations.values, wanted, atol=2e-4)
    np.testing.assert_allclose(nudged.energies, energies, atol=2e-4)
    np.testing.assert_allclose(nudged.certificate.residual, spreads, atol=2e-4)
    assert nudged.shots == 0


@pytest.mark.filterwarnings("ignore::qeqprop.PhysicsWarning")
@pytest.mark.parametrize("nudge", ["ramped", "cached", "abrupt"])
def test_on_a_device_the_whole_circuit_is_run_from_the_start(nudge):
    solver = Adiabatic(total_time=5.0, steps=20, nudge=nudge, nudge_time=2.0)
    start = solver.solve(Equilibria(FREE, OUTPUTS)).start
    nudged, measured = (
        solver.solve(Equilibria(NUDGED, OUTPUTS, start=start), measure)
        for measure in (None, BoundMeasure(Statevector(shots=4000), (1, 2)))
    )
    errors = np.abs(measured.expectations.values - nudged.expectations.values)
    assert np.all(errors < 5 * measured.expectations.std_errors)
    assert measured.shots > 0


def test_certificate_tells_the_level_and_its_gaps():
    levels = np.linalg.eigvalsh(dense_sums(FREE))
    found = Adiabatic(total_time=60.0, steps=600).solve(Equilibria(FREE, OUTPUTS))
    certificate = found.certificate
    np.testing.assert_allclose(certificate.gap_above, levels[:, 1] - levels[:, 0], atol=1e-10)
    assert np.all(np.isinf(certificate.gap_below))
    assert certificate.level.tolist() == [0, 0]
    assert np.all(certificate.converged)
    assert np.all(found.energies - levels[:, 0] < certificate.residual**2 / certificate.gap)  # at most the bound
    assert np.all(np.isnan(certificate.overlap))
    again = Adiabatic(total_time=60.0).solve(Equilibria(NUDGED, OUTPUTS, start=found.start))
    assert np.all((again.certificate.overlap > 0.8) & (again.certificate.overlap < 1.0))


def test_a_sweep_that_is_too_fast_says_so():
    with pytest.warns(PhysicsWarning, match="2 of 2 states did not follow"):
        found = Adiabatic(total_time=0.5).solve(Equilibria(FREE, OUTPUTS))
    assert not found.certificate.converged.any()


def test_a_level_that_crossed_another_is_named():
    network = one_qubit()
    hamiltonians, outputs = network.hamiltonians([0.0, -1.0], NO_INPUT), PauliSums(network.strings, network.outputs)
    solver = Adiabatic(total_time=5.0, start_field="X")
    good = solver.solve(Equilibria(hamiltonians, outputs))
    assert good.certificate.converged.all()
    against = Start({**good.start.arrays, "fields": -good.start.arrays["fields"]})  # the field passes through zero
    with pytest.warns(PhysicsWarning, match="1 of them are in another level"):
        bad = solver.solve(Equilibria(hamiltonians, outputs, start=against))
    assert bad.certificate.level.tolist() == [1]
    assert bad.certificate.residual[0] < 1e-12


def test_a_degenerate_level_is_told():
    network = ising_chain(3)
    problem = Equilibria(network.hamiltonians([1.0, 0.0], NO_INPUT), PauliSums(network.strings, network.outputs))
    with pytest.warns(PhysicsWarning, match=r"degenerate \(up to 2 states\)"):
        found = Adiabatic(total_time=40.0).solve(problem)
    assert found.certificate.degeneracy.tolist() == [2]
    assert found.certificate.gap_above[0] == pytest.approx(2.0)
    assert found.certificate.converged.all()  # it is in the level, even under a flip of all sites


def test_large_networks_have_a_residual_but_no_gap():
    network = ising_chain(4)
    problem = Equilibria(network.hamiltonians([0.5, 1.0], NO_INPUT), PauliSums(network.strings, network.outputs))
    known = Adiabatic(total_time=20.0).solve(problem)
    unknown = Adiabatic(total_time=20.0, certified_sites=3).solve(problem)
    np.testing.assert_array_equal(known.certificate.residual, unknown.certificate.residual)
    assert np.isnan(unknown.certificate.gap).all()
    assert unknown.certificate.converged.all()
    measured = Adiabatic(total_time=20.0, certified_sites=3).solve(problem, BoundMeasure(Statevector(shots=100), (1,)))
    assert np.isnan(measured.certificate.residual).all()
    assert not measured.certificate.converged.any()


@pytest.mark.parametrize("level", [1, 2])
def test_levels_follow_levels(level):
    network = hydrogen_molecule()
    problem = Equilibria(network.hamiltonians(network.initial, NO_INPUT), PauliSums(network.strings, network.outputs))
    found = Adiabatic(level=level, start_field="Z").solve(problem)
    wanted = Exact(level=level).solve(problem)
    assert found.certificate.level.tolist() == [level]
    assert found.certificate.converged.all()
    np.testing.assert_allclose(found.expectations.values, wanted.expectations.values, atol=2e-2)
    np.testing.assert_allclose(found.certificate.gap, wanted.certificate.gap, atol=1e-10)


# --- measured -----------------------------------------------------------------------------------------------------


@dataclass
class Listening:
    """The sampling simulator, and the parameters it was asked for."""

    device: Statevector = field(default_factory=lambda: Statevector(shots=50))
    asked: list = field(default_factory=list)

    name = "listening"
    reads_states = False

    def run(self, measurement, *, shots, key):
        self.asked.append((measurement, shots))
        return self.device.run(measurement, shots=shots, key=key)


@pytest.mark.filterwarnings("ignore::qeqprop.PhysicsWarning")
def test_one_job_per_call_with_the_rows_of_a_sample_side_by_side():
    device = Listening()
    x = np.random.default_rng(3).normal(size=(3, 2))
    solver = Adiabatic(total_time=2.0, steps=4)
    found = qeqprop.gradient(
        NETWORK, NETWORK.initial, x, np.zeros((3, 2)), loss=losses.mean_squared_error,
        rule=SymmetricNudging(0.2, precision=0.1, output_precision=0.05), solver=solver, device=device, seed=3,
    )  # fmt: skip
    (free, many), (nudged, few) = device.asked
    assert (many, few) == (400, 100)
    assert free.circuit.num_parameters == free.parameters.shape[1]
    assert (free.rows, nudged.rows) == (3, 6)
    sites = NETWORK.num_sites
    np.testing.assert_array_equal(nudged.parameters[::2, :sites], nudged.parameters[1::2, :sites])
    middle = (nudged.parameters[::2] + nudged.parameters[1::2]) / 2  # nudges cancel between neighbours
    free_angles = solver.circuit(Equilibria(NETWORK.hamiltonians(NETWORK.initial, x), OUTPUTS))[1]
    np.testing.assert_allclose(middle[:, : 2 * sites], free_angles[:, : 2 * sites], atol=0.2)
    assert found.shots > 0
    assert np.all(found.std_errors > 0)


def test_measured_gradients_agree_with_exact_states():
    network = ising_chain(3)
    case = (network, [0.6, 1.0], NO_INPUT, NO_TARGET)
    solver, rule = Adiabatic(total_time=8.0, steps=40), SymmetricNudging(0.3)
    exact = qeqprop.gradient(*case, loss=losses.output, rule=rule, solver=solver)
    measured = [
        qeqprop.gradient(*case, loss=losses.output, rule=rule, solver=solver, device=Statevector(shots=2000), seed=seed)
        for seed in range(4)
    ]
    for one in measured:
        assert np.all(np.abs(one.values - exact.values) < 5 * one.std_errors)
    assert len({tuple(one.values) for one in measured}) == 4


def test_a_nudge_never_turns_the_start_field():
    """The nudge changes the sign of a field of the network; free and nudged states begin alike all the same."""
    network = one_qubit()
    free = network.hamiltonians([1.0, 0.05], NO_INPUT)
    nudge = PauliSums(free.strings, free.coefficients + 0.2 * (network.trainable[1] * -1.0))
    assert start_fields(free)[0, 0, 0] == -start_fields(nudge)[0, 0, 0]
    solver = Adiabatic(total_time=20.0)
    outputs = PauliSums(network.strings, network.outputs)
    answer = solver.solve(Equilibria(free, outputs))
    angles = [solver.circuit(Equilibria(sums, outputs, start=answer.start))[1] for sums in (free, nudge)]
    assert angles[0][0, 0] == angles[1][0, 0] == pytest.approx(np.pi / 2)


# --- refusals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", [LinearResponse(), Holomorphic()])
def test_rules_without_circuits_are_refused(rule):
    with pytest.raises(ValueError, match="Solver Adiabatic"):
        qeqprop.gradient(
            one_qubit(), [0.8, 1.5], NO_INPUT, NO_TARGET, loss=losses.output, rule=rule, solver=Adiabatic()
        )


def test_wrong_arguments_are_named():
    for arguments, name in (
        ({"total_time": 0.0}, "total_time"),
        ({"steps": 0}, "steps"),
        ({"order": 3}, "order"),
        ({"ramp": "square"}, "ramp"),
        ({"nudge": "slow"}, "nudge"),
        ({"start_field": "Y"}, "start_field"),
        ({"tolerance": -1.0}, "tolerance"),
    ):
        with pytest.raises(ValueError, match=f"`{name}`"):
            Adiabatic(**arguments)
    assert Adiabatic(ramp=ramp_of("quintic")).n_steps == 600
