"""One full gradient of a dense transverse-field Ising network: this package beside the script a user would write.

Each side finds, for every sample, the ground state, the two nudged states and all expectations of X, Z and ZZ. Medians
of interleaved runs; prints a table of times and ratios. Run with `make bench`.
"""

from __future__ import annotations

import platform
import time
from itertools import combinations

import numpy as np
from qiskit.quantum_info import SparsePauliOp, Statevector
from scipy.sparse.linalg import eigsh

import qeqprop
from qeqprop import losses
from qeqprop.networks.transverse_ising import transverse_ising
from qeqprop.rules.linear_response import LinearResponse
from qeqprop.rules.nudging import SymmetricNudging

BETA = 0.05


def script_gradient(sites, theta, targets):
    """SparsePauliOp -> sparse matrix -> eigsh -> Statevector expectations, one sample after the other."""
    pairs = list(combinations(range(sites), 2))
    terms = [SparsePauliOp.from_sparse_list([("ZZ", pair, -1.0)], sites) for pair in pairs]
    terms += [SparsePauliOp.from_sparse_list([(letter, [k], -1.0)], sites) for letter in "ZX" for k in range(sites)]
    output = SparsePauliOp.from_sparse_list([("Z", [sites - 1], 1.0)], sites)
    hamiltonian = SparsePauliOp.sum([value * term for value, term in zip(theta, terms, strict=True)]).simplify()

    def ground(operator):
        _, vectors = eigsh(operator.to_matrix(sparse=True), k=1, which="SA")
        return Statevector(vectors[:, 0])

    result = np.zeros(len(terms))
    for target in targets:
        error = 2 * (ground(hamiltonian).expectation_value(output).real - target)
        plus, minus = (ground((hamiltonian + sign * BETA * error * output).simplify()) for sign in (1, -1))
        for index, term in enumerate(terms):
            difference = plus.expectation_value(term) - minus.expectation_value(term)
            result[index] += difference.real / (2 * BETA)
    return result / len(targets)


def medians(functions, repeats):
    """Median seconds of each function, the runs interleaved so that drift hits all alike."""
    seconds = {name: [] for name in functions}
    for _ in range(repeats):
        for name, function in functions.items():
            begin = time.perf_counter()
            function()
            seconds[name].append(time.perf_counter() - begin)
    return {name: float(np.median(values)) for name, values in seconds.items()}


def main():
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}")
    print(f"{'sites':>5} {'batch':>5} {'script':>10} {'nudged pair':>12} {'ratio':>6} {'response':>10} {'ratio':>6}")
    for sites, batch in ((4, 16), (6, 8), (8, 4), (10, 2)):
        network = transverse_ising(sites=sites, fields_x="trainable")
        random = np.random.default_rng(sites)
        theta = network.initial + random.normal(size=network.n_trainable)
        targets = random.uniform(-1, 1, size=batch)
        case = (network, theta, np.zeros((batch, 0)), targets[:, None])

        def ours(rule, case=case):
            return qeqprop.gradient(*case, loss=losses.mean_squared_error, rule=rule).values

        found = medians(
            {
                "script": lambda s=sites, t=theta, y=targets: script_gradient(s, t, y),
                "pair": lambda f=ours: f(SymmetricNudging(BETA)),
                "response": lambda f=ours: f(LinearResponse()),
            },
            repeats=5,
        )
        script, pair, response = found["script"], found["pair"], found["response"]
        np.testing.assert_allclose(  # both sides find the same gradient; theta is ordered J, h, g on both
            ours(SymmetricNudging(BETA)), script_gradient(sites, theta, targets), atol=1e-6
        )
        print(
            f"{sites:>5} {batch:>5} {1e3 * script:>8.1f}ms {1e3 * pair:>10.2f}ms {script / pair:>6.1f}"
            f" {1e3 * response:>8.2f}ms {script / response:>6.1f}"
        )


if __name__ == "__main__":
    main()
