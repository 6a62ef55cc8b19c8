"""The kernels with registers of the other width: what is right on one machine must be right on the next.

The compiler turns vectors of eight numbers into pairs of four where the processor has no wider registers, so that both
widths run everywhere.
"""

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
import llvmlite.binding as llvm

features = llvm.get_host_cpu_features
other = not features().get("avx512f", False)
llvm.get_host_cpu_features = lambda: {"avx512f": other}
from qeqprop.engine import vectors

llvm.get_host_cpu_features = features
assert vectors.WIDTH == (8 if other else 4)

import numpy as np
from oracles import dense_parts, eigenstate_expectation, perturbation_theory
from systems import random_network

import qeqprop
from qeqprop import losses
from qeqprop.networks.transverse_ising import transverse_ising

loss = losses.mean_squared_error()


def slow_gradient(network, theta, x, y):
    parts = [dense_parts(network, theta, row) for row in x]
    predictions = np.array([[eigenstate_expectation(h, o) for o in outputs] for h, _, outputs in parts])
    errors = loss.gradient(predictions, y)
    return np.mean([
        [sum(e * perturbation_theory(h, o, slope, 0) for e, o in zip(error, outputs)) for slope in slopes]
        for error, (h, slopes, outputs) in zip(errors, parts)
    ], axis=0)


for sites, batch in ((1, 5), (2, 5), (4, 9), (5, 6)):  # samples side by side, as large systems are not
    networks = [random_network(sites, sites=sites)]
    if sites > 1:
        networks.append(transverse_ising(sites=sites, n_inputs=2))
    for network in networks:
        random = np.random.default_rng(sites)
        theta = network.initial + random.normal(size=network.n_trainable)
        x, y = random.normal(size=(batch, 2)), random.normal(size=(batch, network.n_outputs))
        found = qeqprop.gradient(network, theta, x, y, loss=loss).values
        wanted = slow_gradient(network, theta, x, y)
        assert np.max(np.abs(found - wanted)) < 1e-6 * np.max(np.abs(wanted)), (sites, batch, found, wanted)
"""


def test_gradients_do_not_depend_on_the_width_of_the_registers(tmp_path):
    tests = Path(__file__).parent
    environment = os.environ | {
        "NUMBA_CACHE_DIR": str(tmp_path),
        "PYTHONPATH": os.pathsep.join([str(tests.parent), str(tests)]),
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
