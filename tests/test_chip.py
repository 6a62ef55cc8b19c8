"""Networks that fit a chip, and what a machine makes of their circuits."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from qiskit import transpile
from qiskit.circuit import QuantumCircuit
from qiskit.providers.fake_provider import GenericBackendV2
from typer.testing import CliRunner

from qeqprop.ansatze.hamiltonian_variational import hamiltonian_variational
from qeqprop.chip_patch import LATTICES, chip_patch, in_rounds
from qeqprop.cli import app
from qeqprop.devices.aer import Aer
from qeqprop.devices.backend import Backend
from qeqprop.devices.ibm import IBM
from qeqprop.devices.profile import Profile
from qeqprop.devices.readout_mitigated import ReadoutMitigated
from qeqprop.lattices import lattice_of
from qeqprop.networks.chip_ising import chip_ising
from qeqprop.networks.transverse_ising import transverse_ising
from qeqprop.placement_report import circuit_of, placement_report
from qeqprop.snapshots import BUNDLED
from qeqprop.solvers.adiabatic import Adiabatic
from qeqprop.solvers.exact import Exact
from qeqprop.solvers.variational import Variational

LAYERS = Variational(ansatz=hamiltonian_variational(layers=1))


def bonds(network):
    """The pairs that a network's strings of two letters act on."""
    support = network.strings.x | network.strings.z
    return {tuple(np.flatnonzero(row).tolist()) for row in support if np.sum(row) == 2}


@pytest.mark.parametrize("chip", ["heavy-hex", "square", "torino_8.toml", "berlin_9.toml", "FakeKingston", "FakeMiami"])
@pytest.mark.parametrize("sites", [1, 2, 6, 8])
def test_every_coupling_lies_on_an_edge(chip, sites):
    piece = chip_patch(chip, sites)
    family = LATTICES.get(chip) or (BUNDLED[chip].family if chip in BUNDLED else None)
    assert len(piece.qubits) == len(set(piece.qubits)) == sites
    assert piece.positions.shape == (sites, 2)
    if family:
        edges = set(lattice_of(family).edges)
        assert all((piece.qubits[a], piece.qubits[b]) in edges for a, b in piece.couplings)
    for a, b in piece.couplings:
        assert np.linalg.norm(piece.positions[a] - piece.positions[b]) == pytest.approx(1.0)
    assert len(piece.couplings) >= sites - 1  # connected
    degree = Counter(site for pair in piece.couplings for site in pair)
    square = chip == "square" or chip in ("berlin_9.toml", "FakeMiami")
    assert max(degree.values(), default=0) <= (4 if square else 3)
    network = chip_ising(chip=chip, sites=sites, couplings_xx=True)
    assert bonds(network) == set(piece.couplings)


@pytest.mark.parametrize(("chip", "rounds"), [("heavy-hex", 3), ("square", 4), ("FakeMiami", 4)])
def test_couplings_come_in_as_few_rounds_as_there_are_neighbours(chip, rounds):
    ready = Counter()
    for a, b in chip_patch(chip, 20).couplings:
        ready[a] = ready[b] = max(ready[a], ready[b]) + 1
    assert max(ready.values()) <= rounds


def test_rounds_of_an_odd_ring():
    ring = in_rounds([(0, 1), (1, 2), (0, 2)])
    assert sorted(ring) == [(0, 1), (0, 2), (1, 2)]
    assert in_rounds([]) == ()


def test_a_square_piece_has_more_couplings():
    assert len(chip_patch("square", 6).couplings) == 7  # two by three
    assert len(chip_patch("square", 9).couplings) == 12
    assert len(chip_patch("heavy-hex", 6).couplings) == 5
    assert len(chip_patch("heavy-hex", 12).couplings) >= 11


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"`chip` must name a file .*Or is it a lattice.*did you mean 'heavy-hex'"):
        chip_ising(chip="heavy-hexx")
    with pytest.raises(ValueError, match="9 connected qubits"):
        chip_ising(chip="torino_8.toml", sites=9)
    with pytest.raises(ValueError, match="`sites` must be at least 1"):
        chip_patch("square", 0)


# --- what a machine makes of it


def report(device, network, solver=LAYERS):
    theta = network.initial + 0.1
    return placement_report(device, circuit_of(solver, network, theta, np.zeros((2, network.n_inputs))))


@pytest.mark.parametrize(
    ("chip", "profile"), [("heavy-hex", "FakeKingston"), ("torino_8.toml", "torino_8.toml"), ("square", "FakeBerlin")]
)
def test_a_network_of_the_chip_needs_no_swaps(chip, profile):
    network = chip_ising(chip=chip, sites=6)
    found = report(Profile(profile), network)
    assert found.swaps == 0
    assert found.gates == found.wanted == 2 * len(bonds(network))
    assert {pair.gates for pair in found.pairs} == {2}  # one rotation about ZZ is two gates
    assert found.begin == found.end
    assert found.depth <= 2 * (4 if chip == "square" else 3)
    assert "no swaps" in str(found)


def test_all_pairs_on_a_line_need_swaps():
    network = transverse_ising(sites=5, edges="complete")
    found = report(Profile("boston_8.toml"), network)
    assert found.wanted == 2 * 10
    assert found.swaps >= 2
    assert f"{found.swaps:.3g} swaps" in str(found)
    assert report(Profile("boston_8.toml"), transverse_ising(sites=5, edges="chain")).success > found.success


def test_the_numbers_are_those_of_the_circuit():
    """Counted and multiplied gate by gate, from the calibration itself."""
    network, device = chip_ising(chip="heavy-hex", sites=5), Profile("FakeTorino")
    circuit = circuit_of(LAYERS, network, network.initial, np.zeros((1, 0)))
    found, placed = placement_report(device, circuit), device.place(circuit)
    cut = placed.simulator.calibration
    success, counted, rounds = 1.0, Counter(), Counter()
    for step in placed.circuit.data:
        qubits = tuple(placed.circuit.find_bit(bit).index for bit in step.qubits)
        if step.operation.name in ("delay", "barrier"):
            continue
        success *= 1 - cut.gates[step.operation.name][qubits].error
        if len(qubits) == 2:
            counted[tuple(sorted(cut.physical[qubit] for qubit in qubits))] += 1
            deepest = max(rounds[qubit] for qubit in qubits) + 1
            rounds.update({qubit: deepest - rounds[qubit] for qubit in qubits})
    success *= np.prod(1 - np.mean(cut.readout, axis=1))
    assert {tuple(sorted(pair.qubits)): pair.gates for pair in found.pairs} == counted
    assert found.gates == sum(counted.values())
    assert found.depth == max(rounds.values())
    assert found.success == pytest.approx(success, rel=0.02)  # one error for all gates of a qubit, its worst
    assert found.success <= success * (1 + 1e-12)


def test_what_a_device_wraps_is_reported():
    network = chip_ising(sites=4)
    assert report(ReadoutMitigated(Profile("FakeTorino")), network) == report(Profile("FakeTorino"), network)
    assert report(Aer(), network) is None
    assert circuit_of(Exact(), network, network.initial, np.zeros((1, 0))) is None


def test_a_backend_is_reported_by_its_target():
    backend = GenericBackendV2(5, coupling_map=[[a, a + 1] for a in range(4)], seed=3)
    found = report(Backend(backend=backend), transverse_ising(sites=3, edges="ring"))
    assert set(found.begin) <= set(range(5))
    assert found.gates > found.wanted
    assert (
        report(Backend(backend=GenericBackendV2(3, coupling_map=None, seed=3)), transverse_ising(sites=3)) is not None
    )


def test_a_machine_of_ibm_is_looked_at_without_asking_it():
    """Neither an account nor a network: the client's own snapshot stands in."""
    network = chip_ising(sites=4)
    found = report(IBM("ibm_torino", instance="mine"), network)
    assert found == report(Profile("FakeTorino"), network)
    assert "of ibm_torino as of 2025-02-26" in str(found)
    assert report(IBM("ibm_nowhere", instance="mine"), network) is None
    halved = report(IBM("ibm_kingston", instance="mine", fractional=True), network)
    assert halved.gates == len(bonds(network))


def test_fractional_gates_are_counted_once():
    network = chip_ising(chip="heavy-hex", sites=4)
    found = report(Profile("FakeKingston", fractional=True), network)
    assert found.gates == found.wanted == len(bonds(network))


def test_sweeps_are_reported():
    network = transverse_ising(sites=4, edges="chain")
    found = report(Profile("kingston_8.toml"), network, Adiabatic(total_time=1.0, steps=2))
    assert found.swaps == 0
    assert found.gates == 2 * 3 * 3  # gates, layers of ZZ in two steps of second order, bonds
    circuit = circuit_of(Adiabatic(total_time=1.0, steps=2), network, network.initial + 0.1, np.zeros((1, 0)))
    assert isinstance(circuit, QuantumCircuit)
    everywhere = transpile(circuit, basis_gates=["cz", "rz", "sx", "x"], optimization_level=2)
    assert found.wanted == everywhere.count_ops()["cz"]


def test_check_prints_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("run.toml").write_text(
        """\
schema = 1
[network]
use = "chip_ising:chip_ising"
chip = "square"
sites = 4
n_inputs = 2
[data]
use = "boolean:xor"
[solver]
use = "variational:Variational"
ansatz = { use = "hamiltonian_variational:hamiltonian_variational", layers = 1 }
[device]
profile = "berlin_9.toml"
[rule]
use = "nudging:SymmetricNudging"
[train]
steps = 2
"""
    )
    found = CliRunner().invoke(app, ["check", "run.toml"])
    assert found.exit_code == 0, found.output
    assert "placement: sites on qubits" in found.output
    assert "no swaps" in found.output
    assert "pair 17-18: 2 gates, each with an error of" in found.output or "each with an error of" in found.output
