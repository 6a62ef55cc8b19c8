"""One training step on states found by VQE: this package beside the scripts that a user would write.

The step is a gradient of a batch of 16: for each sample the free ground state of a ring of Ising spins in random
fields, and two nudged ones that start from it. Everybody has the same circuit (two layers of the network's own strings,
every angle free), the same first angles and exact expectation values. The scripts are measured on the first sample and
their time is multiplied by the batch, whose samples have nothing in common for them; what all sides find for it must
agree to a few parts in a hundred, since each stops its search where its own default does. With 10 sites SLSQP, whose
gradients are finite differences, is stopped after five iterations of each search: a lower bound. What is measured by
shots on a machine is counted beside the parameter-shift rule.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import peers
from measure import Row, interleaved, once, row
from qiskit.quantum_info import SparsePauliOp
from tasks import Task

import qeqprop
from qeqprop import losses
from qeqprop.ansatze.hamiltonian_variational import hamiltonian_variational
from qeqprop.interfaces import FloatArray
from qeqprop.measurement_count import settings_per_gradient, shift_settings
from qeqprop.networks.transverse_ising import transverse_ising
from qeqprop.rules.nudging import SymmetricNudging
from qeqprop.solvers.variational import Variational

BETA = 0.1
BATCH = 16
LAYERS = 2
WHOLE = 6
"""Sites up to which SLSQP comes to its end."""

TOLERANCE = 1e-5
"""Of our search: a gradient that the scripts do not reach."""

AGREEMENT = 0.05
"""Largest difference of two gradients of one sample, as a part of the largest component."""

REQUIRED = 20.0


def rows(*, threads: int = 1, quick: bool = False) -> Iterator[Row]:
    """The step at 6 and 10 sites; ``quick`` stops at 6."""
    for sites in (6,) if quick else (6, 10):
        yield from step(ring(sites))


def ring(sites: int) -> Task:
    """A ring whose samples have random fields along Z of their own."""
    random = np.random.default_rng(sites)
    network = transverse_ising(sites=sites, edges="ring", n_inputs=sites, input_weights=False)
    theta = network.initial + 0.3 * random.normal(size=network.n_trainable)
    x = random.normal(size=(BATCH, network.n_inputs))
    return Task("VQE step, Ising ring", network, theta, x, random.choice([-1.0, 1.0], size=(BATCH, 1)), BETA)


def ours(task: Task) -> Callable[[], FloatArray]:
    """The whole batch in lockstep."""
    solver = Variational(ansatz=hamiltonian_variational(layers=LAYERS), tolerance=TOLERANCE, diagonal_sites=0)
    loss, rule = losses.mean_squared_error(), SymmetricNudging(task.beta)
    return lambda: (
        qeqprop.gradient(task.network, task.theta, task.x, task.y, loss=loss, rule=rule, solver=solver).values
    )


def step(task: Task) -> Iterator[Row]:
    """All sides of one step, and what the step runs on a machine."""
    one = replace(task, x=task.x[:1], y=task.y[:1])
    mine = interleaved({"ours": ours(task)}, budget=10.0)["ours"]
    reference = ours(one)()
    for name, (maker, package, required) in SCRIPTS.items():
        if importlib.util.find_spec(package) is None:
            print(f"skipped: {name} needs the package {package}, which is not installed", flush=True)
            continue
        found = once(peers.gradient(one, maker(one)))
        apart = float(np.max(np.abs(found.answer - reference)) / np.max(np.abs(reference)))
        unfinished = maker is algorithms and task.sites > WHOLE
        if apart > AGREEMENT and not unfinished:
            raise ValueError(f"{name} finds another gradient at {task.sites} sites: {apart:.3f} of the largest apart.")
        what = "five iterations of each search: a lower bound" if unfinished else f"gradients {apart:.1e} apart"
        yield row(
            f"{task.name}, n = {task.sites}, batch {task.batch}",
            ours="Variational, symmetric nudging",
            value=mine.median,
            peer=name,
            peer_value=task.batch * found.median,
            required=required,
            repeats=mine.repeats,
            note=f"peer one sample, once, times {task.batch}; {what}",
            sites=task.sites,
        )
    settings = settings_per_gradient(task.network, SymmetricNudging(task.beta), losses.mean_squared_error(), task.y)
    yield row(
        f"circuits for one sample, n = {task.sites}",
        ours="three states in their bases",
        value=float(settings or 0),
        peer="parameter shift, as many angles",
        peer_value=float(shift_settings(task.network)),
        unit="circuits",
        repeats=1,
        note="each as often as shots are wanted; the search for the states not counted",
        sites=task.sites,
    )


# --- the scripts --------------------------------------------------------------------------------------------------


def algorithms(task: Task) -> peers.Peer:
    """qiskit-algorithms' `VQE` with its SLSQP on the exact estimator of Aer."""
    from qiskit_aer.primitives import EstimatorV2
    from qiskit_algorithms import VQE
    from qiskit_algorithms.optimizers import SLSQP

    network = task.network
    trial = hamiltonian_variational(layers=LAYERS)(network.strings)
    optimizer = SLSQP() if task.sites <= WHOLE else SLSQP(maxiter=5)
    estimator = EstimatorV2(options={"default_precision": 0.0, "backend_options": {"method": "statevector"}})

    def settle(sample: int, nudge: FloatArray, start: Any) -> Any:
        operator = SparsePauliOp(network.strings, task.coefficients[sample] + nudge @ network.outputs)
        first = trial.starts(task.coefficients[sample : sample + 1])[0] if start is None else start
        search = VQE(estimator, trial.circuit, optimizer, initial_point=first)
        return np.asarray(search.compute_minimum_eigenvalue(operator).optimal_point)

    def measure(operators: FloatArray) -> Callable[[Any], FloatArray]:
        wanted = [SparsePauliOp(network.strings[np.flatnonzero(one)], one[np.flatnonzero(one)]) for one in operators]
        return lambda point: np.asarray(
            estimator.run([(trial.circuit, wanted, point)], precision=0.0).result()[0].data.evs
        )

    return peers.Peer(settle, measure(network.outputs), measure(network.trainable))


def pennylane(task: Task) -> peers.Peer:
    """PennyLane's lightning with adjoint gradients, and scipy's L-BFGS-B."""
    import pennylane as qml
    from pennylane import numpy as tracked
    from scipy.optimize import minimize

    network, sites = task.network, task.sites
    trial = hamiltonian_variational(layers=LAYERS)(network.strings)
    circuit = trial.circuit
    number = {parameter: index for index, parameter in enumerate(circuit.parameters)}
    gates = {"h": qml.Hadamard, "rx": qml.RX, "ry": qml.RY, "rz": qml.RZ, "rzz": qml.IsingZZ, "rxx": qml.IsingXX}
    device = qml.device("lightning.qubit", wires=sites)

    def prepare(values: Any) -> None:
        for instruction in circuit.data:
            wires = [circuit.find_bit(qubit).index for qubit in instruction.qubits]
            angles = [values[number[angle]] for angle in instruction.operation.params]
            gates[instruction.operation.name](*angles, wires=wires)

    def operator_of(coefficients: FloatArray) -> Any:
        used = np.flatnonzero(coefficients)
        words = [
            qml.pauli.string_to_pauli_word(label[::-1], wire_map={k: k for k in range(sites)})
            for label in network.strings[used].to_labels()
        ]
        return qml.Hamiltonian(coefficients[used], words)

    def settle(sample: int, nudge: FloatArray, start: Any) -> Any:
        hamiltonian = operator_of(task.coefficients[sample] + nudge @ network.outputs)

        @qml.qnode(device, diff_method="adjoint")
        def energy(values: Any) -> Any:
            prepare(values)
            return qml.expval(hamiltonian)

        slope = qml.grad(energy)

        def both(values: FloatArray) -> tuple[float, FloatArray]:
            gradient = np.asarray(slope(tracked.array(values, requires_grad=True)))
            return float(slope.forward), gradient

        first = trial.starts(task.coefficients[sample : sample + 1])[0] if start is None else start
        return minimize(both, first, jac=True, method="L-BFGS-B", options={"maxiter": 1000, "gtol": 1e-5}).x

    def measure(operators: FloatArray) -> Callable[[Any], FloatArray]:
        wanted = [operator_of(one) for one in operators]

        @qml.qnode(device)
        def values_of(values: Any) -> Any:
            prepare(values)
            return [qml.expval(one) for one in wanted]

        return lambda point: np.array([float(value) for value in values_of(point)])

    return peers.Peer(settle, measure(network.outputs), measure(network.trainable))


SCRIPTS: dict[str, tuple[Callable[[Task], peers.Peer], str, float | None]] = {
    "qiskit-algorithms' VQE on Aer": (algorithms, "qiskit_algorithms", REQUIRED),
    "PennyLane lightning, L-BFGS-B": (pennylane, "pennylane", None),
}
"""The makers, the package each needs and the ratio that is wanted."""


if __name__ == "__main__":
    from measure import show

    for line in rows():
        show([line])
