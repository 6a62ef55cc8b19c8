"""Whole machines of more than a hundred qubits: only the qubits in use are simulated, in little memory."""

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from qiskit.circuit import Parameter, QuantumCircuit
from qiskit.quantum_info import PauliList

from qeqprop.devices.profile import Profile
from qeqprop.interfaces import Measurement
from qeqprop.lattices import lattice_of
from qeqprop.snapshots import BUNDLED

ROOT = Path(__file__).parents[1]
ONE_OF_EACH = ["FakeTorino", "FakeKingston", "FakeBoston", "FakeMiami", "FakeBrisbane"]


def chain(sites):
    angles = [Parameter(f"theta_{index:03d}") for index in range(2)]
    circuit = QuantumCircuit(sites)
    circuit.h(range(sites))
    for site in range(sites - 1):
        circuit.rzz(angles[0], site, site + 1)
    circuit.rx(angles[1], range(sites))
    return circuit


@pytest.mark.parametrize("machine", ONE_OF_EACH)
def test_a_chain_runs_on_good_neighbours_of_a_whole_machine(machine):
    circuit, device = chain(6), Profile(machine, shots=2000)
    placed = device.place(circuit)
    assert placed.circuit.num_qubits == 6  # of 120 to 156
    used = [device.calibration.physical[qubit] for qubit in device.qubits(circuit)]
    edges = set(lattice_of(BUNDLED[machine].family).edges)
    assert all(tuple(sorted(pair)) in edges for pair in pairwise(used))
    answer = device.run(
        Measurement(circuit, np.array([[0.4, 0.3]]), PauliList(["IIIIIZ"]), np.ones((1, 1, 1))), shots=None, key=(1,)
    )
    assert 0.7 < answer.canary.value < 1.0 - 5 * answer.canary.std_error
    typical = np.median(device.calibration.readout)
    assert np.mean(device.calibration.readout[list(device.qubits(circuit))]) < 1.5 * typical


@pytest.mark.slow
@pytest.mark.parametrize("machine", ["FakeKingston", "FakeTorino"])
def test_a_rehearsal_stays_below_a_gigabyte(machine):
    command = [sys.executable, str(ROOT / "benchmarks" / "rehearsal.py"), machine]
    row = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert row["qubits"] > 126
    assert row["memory_mib"] < 1024
