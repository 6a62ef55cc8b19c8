"""Circuits as text: golden texts, round trips, files that somebody wrote, and what is refused."""

import sys
from pathlib import Path

import numpy as np
import pytest
from qiskit.circuit import Parameter, QuantumCircuit
from qiskit.quantum_info import PauliList, Statevector

sys.path.insert(0, str(Path(__file__).parent))
from golden import CIRCUITS, ISING, circuit_texts, golden_circuits

from qeqprop.ansatze.from_file import from_file
from qeqprop.devices import statevector
from qeqprop.devices.aer import Aer
from qeqprop.engine.circuit_conversion import from_qiskit
from qeqprop.engine.circuits import states
from qeqprop.interfaces import Measurement
from qeqprop.openqasm import read, write
from qeqprop.parameter_shift import unshared

TEXTS, MADE = circuit_texts(), golden_circuits()
HEAD = 'OPENQASM 3.0;\ninclude "stdgates.inc";\n'
ONE = HEAD + "input float[64] theta_000;\nqubit[2] q;\n"


def written(tmp_path, text, name="mine.qasm"):
    (tmp_path / name).write_text(text)
    return from_file(file=str(tmp_path / name))


@pytest.mark.parametrize("name", TEXTS)
def test_a_changed_circuit_is_a_readable_diff(name):
    assert (CIRCUITS / name).read_text() == TEXTS[name], "if the change is meant: make golden, and read the diff"


@pytest.mark.parametrize("name", MADE)
def test_a_text_that_is_read_prepares_the_same_states(name):
    circuit = read(TEXTS[f"{name}.qasm"], name)
    made = MADE[name][1]
    points = np.random.default_rng(0).uniform(-3, 3, (2, made.num_parameters))
    overlaps = np.sum(states(from_qiskit(circuit), points).conj() * states(from_qiskit(made), points), axis=1)
    np.testing.assert_allclose(np.abs(overlaps), 1, atol=1e-12)
    assert unshared(circuit).n_angles >= circuit.num_parameters


@pytest.mark.parametrize("name", MADE)
def test_every_circuit_runs_on_aer(name):
    circuit = MADE[name][1]
    points = np.random.default_rng(1).uniform(-3, 3, (2, circuit.num_parameters))
    strings = PauliList(["Z" * circuit.num_qubits, "X" * circuit.num_qubits])
    question = Measurement(circuit, points, strings, np.eye(2)[None])
    exact = statevector.Statevector().run(question, shots=None, key=())
    found = Aer(shots=500).run(question, shots=None, key=(3,)).expectations
    assert np.all(np.abs(found.values - exact.expectations.values) < 5 * found.std_errors + 1e-12)


def test_every_stored_circuit_can_be_an_ansatz():
    for path in CIRCUITS.glob("*.qasm"):
        if path.name in ("device_basis.qasm", "device_canary.qasm"):
            with pytest.raises(ValueError, match="must hold gates only, but holds 'measure'"):
                from_file(file=path.name)
            continue
        sites = read(path.read_text(), path.name).num_qubits
        trial = from_file(file=path.name)(PauliList(["Z" * sites]))
        assert trial.initial.shape == (trial.circuit.num_parameters,)


def test_reading_keeps_the_order_that_writing_loses():
    """Parameters in the order of their names, whatever the order of their use, also beyond ten."""
    theta = [Parameter(f"theta_{index:03d}") for index in range(12)]
    circuit = QuantumCircuit(12)
    for site, parameter in enumerate(reversed(theta)):
        circuit.ry(parameter, site)
    again = read(write(circuit, title="reversed"), "reversed")
    point = np.linspace(0.1, 1.2, 12)
    state = Statevector(circuit.assign_parameters(point))
    assert state.equiv(Statevector(again.assign_parameters(point)))


def test_an_ansatz_that_somebody_wrote_is_opened_down_to_known_gates(tmp_path, monkeypatch):
    body = """gate brick(a) x0, x1 { rx(2*a) x0; cz x0, x1; }
gate rzz(a) x0, x1 { cx x0, x1; rz(a) x1; cx x0, x1; }
gate ryy(a) x0, x1 { ry(a) x0; }
brick(theta_000 + 0.1) q[0], q[1]; rzz(theta_000) q[1], q[0]; ryy(theta_000) q[0], q[1]; barrier q;
swap q[0], q[1]; crx(theta_000/3) q[0], q[1]; U(theta_000, 0.2, 0.1) q[0]; ccx q[0], q[1], r[0];
cp(theta_000) q[0], r[0];
"""
    text = HEAD + "input float[64] theta_000;\nqubit[2] q; qubit[1] r; bit c;\n" + body
    trial = written(tmp_path, text)(PauliList(["ZZZ"]))
    operations = trial.circuit.count_ops()
    assert operations["rzz"] == 1
    assert "ryy" not in operations  # the text means something else by it
    point = np.array([0.7])
    wanted = QuantumCircuit(3)
    wanted.rx(2 * 0.8, 0)
    wanted.cz(0, 1)
    wanted.rzz(0.7, 1, 0)
    wanted.ry(0.7, 0)
    wanted.swap(0, 1)
    wanted.crx(0.7 / 3, 0, 1)
    wanted.u(0.7, 0.2, 0.1, 0)
    wanted.ccx(0, 1, 2)
    wanted.cp(0.7, 0, 2)
    state = Statevector(states(from_qiskit(trial.circuit), point[None])[0])
    assert state.equiv(Statevector(wanted))
    unshared(trial.circuit)  # every angle has an exact shift

    monkeypatch.chdir(tmp_path)  # the folder you work in comes first
    (tmp_path / "brickwork.qasm").write_text(ONE + "rx(theta_000) q[1];")
    assert from_file()(PauliList(["ZZ"])).circuit.num_parameters == 1


def test_first_angles_are_given_or_small_random_ones():
    trial, again = from_file()(ISING), from_file()(ISING)
    np.testing.assert_array_equal(trial.initial, again.initial)
    assert np.any(trial.initial != from_file(seed=1)(ISING).initial)
    count = len(trial.initial)
    np.testing.assert_array_equal(from_file(initial=[0.5] * count)(ISING).initial, np.full(count, 0.5))
    with pytest.raises(ValueError, match="`initial` must have shape"):
        from_file(initial=[0.5])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ONE + "bit c; rx(theta_000) q[0]; c = measure q[0];", r"must hold gates only, but holds 'measure'"),
        (ONE + "rx(theta_000) q[0]; reset q[0];", r"must hold gates only, but holds 'reset'"),
        (ONE + "rx(phi) q[0];", r"is no circuit in OpenQASM 3: .*Undefined symbol 'phi'"),
        (ONE + "rx(theta_000 q[0];", r"is no circuit in OpenQASM 3: .*line 5"),
        (ONE + "foo q[0];", r"is no circuit in OpenQASM 3: .*gate 'foo' is not defined"),
        ("hello", r"is no circuit in OpenQASM 3"),
        (
            ONE.replace("theta_000", "theta") + "rx(theta) q[0];",
            r"must name its 1 parameters theta_000 .*theta\.",
        ),
        (ONE.replace("theta_000", "theta_0") + "rx(theta_0) q[0];", r"must name its 1 parameters theta_000"),
        (ONE.replace("theta_000", "theta_001") + "rx(theta_001) q[0];", r"must name its 1 parameters theta_000"),
    ],
)
def test_other_texts_are_refused(tmp_path, text, message):
    with pytest.raises(ValueError, match=r"mine\.qasm " + message):
        written(tmp_path, text)


def test_files_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"`file` must name a file .*did you mean 'brickwork\.qasm'"):
        from_file(file="brickwrk.qasm")
    with pytest.raises(ValueError, match=r"`file` must hold a circuit of 2 qubits, like the network, but .* has 3"):
        from_file()(PauliList(["ZZ"]))
