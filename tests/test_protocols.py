"""What the check of adiabatic protocols finds is what is wrong with their gradients."""

import numpy as np
import pytest
from systems import ising_chain, one_qubit

import qeqprop
from qeqprop import losses
from qeqprop.interfaces import PhysicsWarning
from qeqprop.networks.transverse_ising import transverse_ising
from qeqprop.protocol_check import Finding, biases, largest_nudge, phase_shift
from qeqprop.protocol_report import check_protocol, errors_of
from qeqprop.ramps import cosine, linear, quintic
from qeqprop.rules.linear_response import LinearResponse
from qeqprop.rules.nudging import OneSidedNudging, SymmetricNudging
from qeqprop.rules.richardson import Richardson
from qeqprop.solvers.adiabatic import Adiabatic
from qeqprop.solvers.exact import Exact

RULE = SymmetricNudging(0.1)
QUBIT = (one_qubit(), [0.8, 1.5], np.zeros((1, 0)), np.zeros((1, 0)))


def kinds(findings, *severities):
    return [finding.kind for finding in findings if finding.severity in severities]


def test_biased_protocols_are_named():
    assert kinds(biases(cosine, "ramped"), "bias") == kinds(biases(quintic, "cached"), "bias") == []
    assert kinds(biases(linear, "ramped"), "bias") == ["end slopes"]
    assert kinds(biases(lambda s: s**2, "abrupt"), "bias") == ["end slopes", "abrupt nudge"]
    assert str(Finding("end slopes", "bias", "text")) == "bias: end slopes: text"


@pytest.mark.parametrize(
    ("choices", "name"), [({"ramp": "linear"}, "end slopes"), ({"nudge": "abrupt"}, "abrupt nudge")]
)
def test_a_biased_gradient_is_never_silent(choices, name):
    solver = Adiabatic(total_time=30.0, start_field="Z", **choices)
    qeqprop.predict(*QUBIT[:3], solver=solver)  # a state alone is not biased
    with pytest.warns(PhysicsWarning, match=name):
        qeqprop.gradient(*QUBIT, loss=losses.output, rule=RULE, solver=solver)


def test_the_phase_counts_beta_error_time_and_slope():
    assert phase_shift(0.01, 2.0, 10.0, 1.0) == []
    (found,) = phase_shift(0.1, 2.0, 10.0, 1.5)
    assert "= 3," in found.message
    assert largest_nudge(Richardson((0.1, 0.3))) == 0.3
    assert largest_nudge(OneSidedNudging(-0.2)) == 0.2
    assert largest_nudge(LinearResponse()) is None


def test_trotter_error_of_the_gradient_is_found_and_has_its_order():
    found = [
        errors_of(Adiabatic(8.0, steps, start_field="Z", order=2), RULE, one_qubit(), theta=[0.8, 1.5]).trotter
        for steps in (20, 40, 80)
    ]
    np.testing.assert_allclose(np.log2(found[:-1]) - np.log2(found[1:]), 2.0, atol=0.2)


def test_errors_are_those_of_the_gradient():
    solver = Adiabatic(12.0, 40, start_field="Z")
    errors = errors_of(solver, RULE, one_qubit(), theta=[0.8, 1.5])
    by_solver, exact = (
        qeqprop.gradient(*QUBIT, loss=losses.output, rule=RULE, solver=one).values for one in (solver, Exact())
    )
    assert errors.total == pytest.approx(np.linalg.norm(by_solver - exact) / np.linalg.norm(exact))
    assert errors.gap == pytest.approx(2 * np.hypot(0.7, 1.5))  # of the state that is nudged towards the gap
    assert errors.trotter > 0
    assert abs(errors.evolution - errors.total) <= errors.trotter + 1e-12


def test_a_good_protocol_has_only_notes():
    found = check_protocol(Adiabatic(40.0), SymmetricNudging(0.01), ising_chain(4), theta=[0.5, 1.0])
    assert {finding.severity for finding in found} == {"note"}
    assert kinds(found, "note") == ["cost", "gradient"]


@pytest.mark.parametrize(
    ("solver", "kind"),
    [
        (Adiabatic(3.0), "evolution time"),
        (Adiabatic(40.0, 20), "Trotter steps"),
        (Adiabatic(2.0), "states"),
        (Adiabatic(40.0, start_field="Z", tolerance=0.5), "conserved"),
    ],
)
def test_bad_protocols_are_warned_of(solver, kind):
    network = ising_chain(3)
    theta = [0.0, 1.0] if kind == "conserved" else [0.8, 1.0]
    if kind == "conserved":  # without fields along X nothing turns a spin along Z
        network, theta = network.freeze({1: 0.0}), [0.5]
    assert kind in kinds(check_protocol(solver, RULE, network, theta=theta), "warning")


def test_cached_nudges_say_what_they_cost():
    (cost,) = [
        finding
        for finding in check_protocol(Adiabatic(20.0, nudge="cached", nudge_time=5.0), RULE, ising_chain(3))
        if finding.kind == "cost"
    ]
    assert "1.25 times as long on a device" in cost.message
    assert "0.25 times on the compiled simulator" in cost.message


def test_a_long_nudge_is_noted():
    found = check_protocol(Adiabatic(60.0, start_field="Z"), SymmetricNudging(0.2), one_qubit(), theta=[0.8, 1.5])
    assert "phase" in kinds(found, "note")
    assert "phase" not in kinds(
        check_protocol(Adiabatic(60.0, start_field="Z"), SymmetricNudging(0.002), one_qubit(), theta=[0.8, 1.5]), "note"
    )


def test_large_networks_and_other_solvers():
    assert check_protocol(Exact(), RULE, ising_chain(3)) == []
    found = check_protocol(Adiabatic(2.0, 4, ramp="linear"), RULE, transverse_ising(sites=12))
    assert kinds(found, "bias", "note") == ["end slopes", "cost", "not tried"]
    found = check_protocol(Adiabatic(2.0, 400), RULE, transverse_ising(sites=12, edges="chain"))
    assert kinds(found, "note") == ["cost", "Trotter steps", "not tried"]
    assert "not tried" in kinds(check_protocol(Adiabatic(4.0), LinearResponse(), ising_chain(3)), "warning")
