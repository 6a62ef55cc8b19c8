"""Is an adiabatic protocol good enough for a rule and a network? Tried on the simulator, before anything is spent."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from qeqprop import losses
from qeqprop.engine.circuit_program import DIAGONAL
from qeqprop.engine.circuits import Circuit
from qeqprop.engine.eigen import dense_spectrum, string_elements
from qeqprop.engine.paulis import PauliTable
from qeqprop.engine.trotter_bound import trotter_bound
from qeqprop.interfaces import (
    Equilibria,
    FloatArray,
    LearningRule,
    Network,
    NotConverged,
    PauliSums,
    PhysicsWarning,
    Solver,
)
from qeqprop.propagation import gradient
from qeqprop.protocol_check import Finding, biases, gradient_error, largest_nudge, phase_shift, stuck_sites
from qeqprop.ramps import at_once, ramp_of
from qeqprop.solvers.adiabatic import Adiabatic
from qeqprop.solvers.exact import Exact
from qeqprop.start_fields import conserved, field_operators, start_fields

SITES = 10
"""Networks up to this size are simulated and diagonalised; larger protocols are judged by their form alone."""


@dataclass(frozen=True)
class ProtocolErrors:
    """Errors of the gradient of ``sum_k <O_k>`` by a protocol, relative to its length.

    Attributes:
        trotter: from the Trotter steps, by a second run with twice as many (Richardson).
        evolution: from the finite time, beside exact states under the same rule, the Trotter error taken off.
        total: both together.
        gap: the smallest gap of the samples, free and nudged.
    """

    trotter: float
    evolution: float
    total: float
    gap: float


def errors_of(
    solver: Adiabatic,
    rule: LearningRule,
    network: Network,
    *,
    theta: ArrayLike | None = None,
    x: ArrayLike | None = None,
) -> ProtocolErrors:
    """The errors of a protocol, on the exact simulator, at parameters theta and inputs x (batch, n_inputs).

    With steps that are half as long the error of the Trotter product of order p is ``2^-p`` of what it was, so that it
    is ``|g(steps) - g(2 steps)| / (1 - 2^-p)``.

    Raises:
        ValueError: if the rule and the solver do not fit.
    """
    case = (*_point(network, theta, x), np.zeros((1 if x is None else len(np.asarray(x)), 0)))
    finer = replace(solver, steps=2 * solver.n_steps)
    exact = gradient(network, *case, loss=losses.output, rule=rule, solver=Exact(level=solver.level), seed=0)
    found, better = (
        gradient(network, *case, loss=losses.output, rule=rule, solver=one, seed=0) for one in (solver, finer)
    )
    steps = (found.values - better.values) / (1 - 2.0**-solver.order)
    length = max(float(np.linalg.norm(exact.values)), float(np.finfo(np.float64).tiny))

    def relative(difference: FloatArray) -> float:
        return float(np.linalg.norm(difference)) / length

    off = found.values - exact.values
    return ProtocolErrors(relative(steps), relative(off - steps), relative(off), float(np.min(exact.certificate.gap)))


def check_protocol(
    solver: Solver,
    rule: LearningRule,
    network: Network,
    *,
    theta: ArrayLike | None = None,
    x: ArrayLike | None = None,
    error: float = 1.0,
    wanted: float = 0.05,
) -> list[Finding]:
    """What is wrong with, or good to know of, a protocol; empty for solvers that follow none.

    Networks up to 10 sites are tried: gradients by the protocol beside those of exact states. Larger ones are judged by
    the form of the protocol alone, and a note says so.

    Args:
        solver: only `Adiabatic` follows a protocol.
        rule: whose nudges are looked at.
        network: the network.
        theta: (n_trainable,) where to look; the network's initial parameters by default.
        x: (batch, n_inputs) the inputs; one sample of zeros by default.
        error: size of the error signal.
        wanted: error of the gradient, relative to its length, that is small enough.
    """
    if not isinstance(solver, Adiabatic):
        return []
    parameters, inputs = _point(network, theta, x)
    hamiltonians = network.hamiltonians(parameters, inputs)
    fields = start_fields(hamiltonians, solver.start_field, spread=solver.level > 0)
    found = biases(ramp_of(solver.ramp), solver.nudge)
    found += stuck_sites(np.flatnonzero(conserved(hamiltonians, fields)).tolist())
    found.append(_cost(solver, network, hamiltonians))
    beta = largest_nudge(rule)
    if network.num_sites > SITES:
        text = (
            f"{network.num_sites} sites are too many to try the protocol (up to {SITES}); only its form was looked at"
        )
        return [*found, *_bounded(solver, fields, hamiltonians), Finding("not tried", "note", text)]
    if beta is not None:
        found += phase_shift(beta, error, _nudged_time(solver), _slope(network, hamiltonians, solver.level))
    return found + _tried(solver, rule, network, parameters, inputs, wanted)


def _tried(
    solver: Adiabatic, rule: LearningRule, network: Network, theta: FloatArray, x: FloatArray, wanted: float
) -> list[Finding]:
    """The errors of the gradient, and whatever was warned of while they were computed."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", PhysicsWarning)
        try:
            errors = errors_of(solver, rule, network, theta=theta, x=x)
        except (ValueError, NotConverged) as refusal:
            return [Finding("not tried", "warning", str(refusal))]
    found = gradient_error(
        "Trotter steps", errors.trotter, wanted, f"take more `steps` than {solver.n_steps}, or a higher `order`"
    )
    found += gradient_error(
        "evolution time",
        errors.evolution,
        wanted,
        f"take a longer `total_time` than {solver.total_time:g} (the smallest gap is {errors.gap:.2g})",
    )
    messages = dict.fromkeys(str(one.message) for one in caught if issubclass(one.category, PhysicsWarning))
    known = [finding.message for finding in biases(ramp_of(solver.ramp), solver.nudge)]
    found += [
        Finding("states", "warning", message) for message in messages if not any(text in message for text in known)
    ]
    text = f"the gradient at these parameters is off by {errors.total:.2%} ({errors.trotter:.2%} by Trotter steps)"
    return [*found, Finding("gradient", "note", text)]


def _bounded(solver: Adiabatic, fields: FloatArray, hamiltonians: PauliSums) -> list[Finding]:
    """The bound of the Trotter error of a state, where it says anything."""
    bound = trotter_bound(
        field_operators(fields), hamiltonians, total_time=solver.total_time, steps=solver.n_steps, order=solver.order
    )
    text = (
        f"commutators bound the error of a state by {bound:.2g}, often ten or a hundred times more than it is; nudging "
        "divides what changes with the nudge by beta"
    )
    return [Finding("Trotter steps", "note", text)] if bound < 1 else []


def _point(network: Network, theta: ArrayLike | None, x: ArrayLike | None) -> tuple[FloatArray, FloatArray]:
    parameters = network.check_theta(network.initial if theta is None else theta)
    return parameters, network.check_x(np.zeros((1, network.n_inputs)) if x is None else x)


def _cost(solver: Adiabatic, network: Network, hamiltonians: PauliSums) -> Finding:
    """How long the circuits are, free and nudged, on a device."""
    problem = Equilibria(hamiltonians, PauliSums(network.strings, network.outputs))
    text = f"a free circuit has {_rotations(solver.circuit(problem)[0])}"
    if solver.nudge != "ramped":
        time = solver.nudge_time or solver.total_time
        text += (
            f"; a nudged one goes on for a time of {time:g} after the {solver.total_time:g} of the free one: "
            f"{1 + time / solver.total_time:.3g} times as long on a device, where every shot begins anew, and "
            f"{time / solver.total_time:.3g} times on the compiled simulator, which keeps the free state"
        )
    return Finding("cost", "note", text)


def _rotations(circuit: Circuit) -> str:
    several = int(np.sum(np.bitwise_count(circuit.x | circuit.z) > 1))
    diagonal = int(np.sum(circuit.kinds == DIAGONAL))
    return (
        f"{len(circuit.x)} rotations, {several} of them on two sites or more, in {len(circuit.kinds)} layers "
        f"({diagonal} of them diagonal)"
    )


def _nudged_time(solver: Adiabatic) -> float:
    """The integral over time of the nudge's ramp."""
    time = solver.total_time if solver.nudge == "ramped" else solver.nudge_time or solver.total_time
    ramp = at_once if solver.nudge == "abrupt" else ramp_of(solver.ramp)
    return time * float(np.mean(ramp((np.arange(200) + 0.5) / 200)))


def _slope(network: Network, hamiltonians: PauliSums, level: int) -> float:
    """The largest difference of ``<sum_k O_k>`` between the level and its neighbours, over the samples."""
    table = PauliTable.of(hamiltonians.strings)
    spectrum = dense_spectrum(table, np.real(hamiltonians.coefficients))
    nearest = [index for index in (level - 1, level, level + 1, level + 2) if 0 <= index < table.dim]
    rows = np.zeros(len(hamiltonians), dtype=np.int64)
    nudge = np.sum(network.outputs, axis=0)
    values = {
        index: np.real(string_elements(table, spectrum.vectors, rows + index, spectrum.vectors, rows + index)) @ nudge
        for index in nearest
    }
    return float(max(np.max(np.abs(values[index] - values[level])) for index in nearest))
