"""Energy and gradient of a Hamiltonian-variational circuit: this package beside PennyLane, qulacs and qiskit-aer.

The circuit has four layers, each a rotation about ZZ on every bond of a ring and one about X on every qubit, all 8 n
angles free, on the state of all plus; the energy is that of an open transverse-field Ising chain. Everybody computes in
double precision and must find the same energy and gradient. The number of threads is set before a process starts, so
each number of threads has a process of its own. Peers that are not installed are skipped::

    python benchmarks/circuits.py            # one thread and two
    python benchmarks/circuits.py --quick    # smaller sizes

qiskit-aer knows no gradient; its estimator evaluates the parameter shifts of some parameters, and the time of all is
extrapolated.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import subprocess
import sys
import time

import numpy as np

SIZES = (8, 12, 16, 20)
LAYERS = 4
BATCH = 16
FIELD = -0.7
SHIFTED = {8: 64, 12: 8, 16: 2, 20: 1}  # parameters whose shifts the estimator really evaluates
REPEATS = {8: 9, 12: 9, 16: 7, 20: 3}
PEERS = {"lightning": "pennylane_lightning", "device": "pennylane_lightning", "qulacs": "qulacs", "aer": "qiskit_aer"}


def ours(n, angles, batch=1):
    from qiskit.quantum_info import SparsePauliOp

    from qeqprop.engine.circuits import Circuit, diagonal, energy_and_gradient, free, rotations
    from qeqprop.interfaces import PauliSums

    layers = []
    for layer in range(LAYERS):
        first = 2 * n * layer
        layers.append(diagonal([(k, (k + 1) % n) for k in range(n)], free(range(first, first + n))))
        layers.append(rotations("X", range(n), free(range(first + n, first + 2 * n))))
    circuit = Circuit.of(n, layers, start="plus")
    terms = [("ZZ", [k, k + 1], -1.0) for k in range(n - 1)] + [("X", [k], FIELD) for k in range(n)]
    hamiltonian = PauliSums.of([SparsePauliOp.from_sparse_list(terms, n)])
    rows = np.repeat(angles[None], batch, axis=0)

    def run():
        energies, gradients = energy_and_gradient(circuit, rows, hamiltonian)
        return energies[0], gradients[0]

    return run


def lightning(n, angles):
    """As PennyLane is used: the gradient of a QNode."""
    import pennylane as qml
    from pennylane import numpy as tracked

    hamiltonian = lightning_hamiltonian(n)

    @qml.qnode(qml.device("lightning.qubit", wires=n), diff_method="adjoint")
    def energy(values):
        lightning_operations(n, values)
        return qml.expval(hamiltonian)

    slope = qml.grad(energy)
    values = tracked.array(angles, requires_grad=True)

    def run():
        gradient = np.array(slope(values))
        return slope.forward, gradient  # the energy of the forward pass

    return run


def lightning_device(n, angles):
    """The device itself, without the overhead of a QNode."""
    import pennylane as qml

    device = qml.device("lightning.qubit", wires=n)
    with qml.queuing.AnnotatedQueue() as queue:
        lightning_operations(n, [float(angle) for angle in angles])
        qml.expval(lightning_hamiltonian(n))
    script = qml.tape.QuantumScript.from_queue(queue)
    script.trainable_params = list(range(len(angles)))
    config = qml.devices.ExecutionConfig(gradient_method="adjoint", use_device_gradient=True)

    def run():
        energies, gradients = device.execute_and_compute_derivatives([script], config)
        return float(np.ravel(energies)[0]), np.array([float(value) for value in np.ravel(gradients)])

    return run


def lightning_hamiltonian(n):
    import pennylane as qml

    words = [qml.Z(k) @ qml.Z(k + 1) for k in range(n - 1)] + [qml.X(k) for k in range(n)]
    return qml.Hamiltonian([-1.0] * (n - 1) + [FIELD] * n, words)


def lightning_operations(n, values):
    import pennylane as qml

    for k in range(n):
        qml.Hadamard(k)
    for layer in range(LAYERS):
        first = 2 * n * layer
        for k in range(n):
            qml.IsingZZ(values[first + k], wires=[k, (k + 1) % n])
        for k in range(n):
            qml.RX(values[first + n + k], wires=k)


def qulacs(n, angles):
    from qulacs import Observable, ParametricQuantumCircuit

    circuit = ParametricQuantumCircuit(n)
    for k in range(n):
        circuit.add_H_gate(k)
    counter = iter(angles)
    for _ in range(LAYERS):
        for k in range(n):
            circuit.add_parametric_multi_Pauli_rotation_gate([k, (k + 1) % n], [3, 3], -float(next(counter)))
        for k in range(n):
            circuit.add_parametric_RX_gate(k, -float(next(counter)))
    observable = Observable(n)
    for k in range(n - 1):
        observable.add_operator(-1.0, f"Z {k} Z {k + 1}")
    for k in range(n):
        observable.add_operator(FIELD, f"X {k}")

    def energy():
        from qulacs import QuantumState

        state = QuantumState(n)
        circuit.update_quantum_state(state)
        return observable.get_expectation_value(state)

    def run():  # qulacs turns the other way round: exp(+i theta/2 P)
        return energy, -np.array(circuit.backprop(observable))

    return run


def aer(n, angles):
    from qiskit import QuantumCircuit
    from qiskit.circuit import ParameterVector
    from qiskit.quantum_info import SparsePauliOp
    from qiskit_aer.primitives import EstimatorV2

    parameters = ParameterVector("theta", len(angles))
    circuit = QuantumCircuit(n)
    circuit.h(range(n))
    counter = iter(parameters)
    for _ in range(LAYERS):
        for k in range(n):
            circuit.rzz(next(counter), k, (k + 1) % n)
        for k in range(n):
            circuit.rx(next(counter), k)
    terms = [("ZZ", [k, k + 1], -1.0) for k in range(n - 1)] + [("X", [k], FIELD) for k in range(n)]
    hamiltonian = SparsePauliOp.from_sparse_list(terms, n)
    threads = int(os.environ.get("OMP_NUM_THREADS", "1"))
    options = {"backend_options": {"method": "statevector", "max_parallel_threads": threads}}
    estimator = EstimatorV2(options={"default_precision": 0.0, **options})
    chosen = min(SHIFTED[n], len(angles))
    points = np.repeat(angles[None], 2 * chosen, axis=0)
    for k in range(chosen):
        points[2 * k, k] += np.pi / 2
        points[2 * k + 1, k] -= np.pi / 2

    def run():
        values = estimator.run([(circuit, hamiltonian, points)], precision=0.0).result()[0].data.evs
        return None, (values[0::2] - values[1::2]) / 2

    return run


def median_seconds(functions, repeats):
    """Median seconds of each function, the runs interleaved so that drift hits all alike.

    A fast function runs several times in a row, for a twentieth of a second: on a shared machine a short run either
    meets an interruption or does not.
    """
    seconds = {name: [] for name in functions}
    counts = {}
    for name, function in functions.items():
        begin = time.perf_counter()
        function()
        counts[name] = max(1, int(0.05 / (time.perf_counter() - begin)))
    for _ in range(repeats):
        for name, function in functions.items():
            begin = time.perf_counter()
            for _ in range(counts[name]):
                function()
            seconds[name].append((time.perf_counter() - begin) / counts[name])
    return {name: float(np.median(values)) for name, values in seconds.items()}


def measure(n):
    """One row: our seconds, those of each installed peer, and the ratios."""
    angles = np.random.default_rng(n).uniform(-1.0, 1.0, size=2 * n * LAYERS)
    run = ours(n, angles)
    energy, gradient = run()
    row = {
        "what": "energy and adjoint gradient, Hamiltonian-variational Ising ring",
        "n": n,
        "parameters": len(angles),
        "threads": int(os.environ.get("OMP_NUM_THREADS", "1")),
        "notes": [],
        "required": {"lightning": 15, "qulacs": 30} if n == 16 else {},
    }
    functions = {"ours": run, "batched": ours(n, angles, BATCH)}
    makers = {"lightning": lightning, "device": lightning_device, "qulacs": qulacs, "aer": aer}
    for name, make in makers.items():
        if importlib.util.find_spec(PEERS[name]) is None:
            row["notes"].append(f"{name} is not installed: skipped")
            continue
        peer = make(n, angles)
        value, slopes = peer()
        if value is not None:
            np.testing.assert_allclose(value() if callable(value) else value, energy, atol=1e-9)
        np.testing.assert_allclose(slopes, gradient[: len(slopes)], atol=1e-9)
        functions[name] = peer
    slow = functions.pop("aer", None)
    found = median_seconds(functions, REPEATS[n])
    if slow is not None:
        chosen = min(SHIFTED[n], len(angles))
        found["aer"] = median_seconds({"aer": slow}, 1)["aer"] * len(angles) / chosen
        if chosen < len(angles):
            row["notes"].append(f"aer is extrapolated from {chosen} of {len(angles)} parameters")
    row["ours"], row["ours, each of a batch"] = found.pop("ours"), found.pop("batched") / BATCH
    row["peers"] = found
    row["ratios"] = {name: seconds / row["ours"] for name, seconds in found.items()}
    return row


def rows(sizes=SIZES, threads=(1, 2)):
    """All rows; every number of threads in a process of its own."""
    result = []
    for count in threads:
        environment = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "QEQPROP_THREADS"), str(count))
        for n in sizes:
            command = [sys.executable, __file__, "--one", str(n)]
            answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            if answer.returncode:
                raise RuntimeError(f"The benchmark of {n} qubits failed:\n{answer.stderr}")
            result.append(json.loads(answer.stdout.splitlines()[-1]))
    return result


def main():
    reader = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    reader.add_argument("--one", type=int, help="measure one size in this process and print a line of JSON")
    reader.add_argument("--quick", action="store_true", help="up to 12 qubits")
    arguments = reader.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.one)))
        return
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}")
    print("Energy and full gradient, medians of interleaved runs, one sample (and each of 16). lightning: a QNode's")
    print("gradient; device: lightning.qubit without it; qulacs: backprop; aer: EstimatorV2 with parameter shifts.")
    print(
        f"{'qubits':>6} {'angles':>6} {'threads':>7} {'ours':>10} {'in batch':>10}"
        + "".join(f" {name:>11} {'ratio':>8}" for name in PEERS)
    )
    sizes = SIZES[:2] if arguments.quick else SIZES
    for row in (row for count in (1, 2) for n in sizes for row in rows((n,), (count,))):  # printed as they come
        cells = [f"{row['n']:>6} {row['parameters']:>6} {row['threads']:>7} {1e3 * row['ours']:>8.3f}ms"]
        cells.append(f"{1e3 * row['ours, each of a batch']:>8.3f}ms")
        for name in PEERS:
            known = name in row["peers"]
            cells.append(
                f"{1e3 * row['peers'][name]:>9.1f}ms {row['ratios'][name]:>8.1f}" if known else f"{'-':>11} {'-':>8}"
            )
        print(" ".join(cells), *(f"\n        {note}" for note in row["notes"]), flush=True)


if __name__ == "__main__":
    main()
