"""The records everybody shares: meaning, and messages."""

import re
import subprocess
import sys

import numpy as np
import pytest
from oracles import dense_parts, dense_string, dense_sums
from qiskit.primitives import StatevectorSampler
from qiskit.quantum_info import SparsePauliOp
from qiskit_aer import AerSimulator
from systems import one_qubit, random_network

import qeqprop
from qeqprop.devices.aer import Aer
from qeqprop.devices.statevector import Statevector
from qeqprop.interfaces import Network, PauliSums
from qeqprop.operators import parse, projector, term, total
from qeqprop.rules.nudging import SymmetricNudging
from qeqprop.solvers.exact import Exact

Z, X = SparsePauliOp("Z"), SparsePauliOp("X")


def test_the_hamiltonian_is_its_formula():
    network = random_network(3, sites=3)
    theta, x = np.linspace(-1, 1, network.n_trainable), np.array([0.3, -2.0])
    hamiltonian, _, _ = dense_parts(network, theta, x)
    np.testing.assert_allclose(network.hamiltonian(theta, x).to_matrix(), hamiltonian, atol=1e-13)
    batch = network.hamiltonians(theta, np.array([x, 2 * x]))
    np.testing.assert_allclose(dense_sums(batch)[0], hamiltonian, atol=1e-13)
    assert isinstance(network.hamiltonian(theta, x), SparsePauliOp)


def test_pauli_sums_collect_operators_and_give_them_back():
    sums = PauliSums.of([SparsePauliOp(["XI", "ZZ"], [1.0, 2.0]), SparsePauliOp(["ZZ", "IY"], [-1.0, 0.5])])
    assert sums.strings.to_labels() == ["XI", "ZZ", "IY"]
    np.testing.assert_array_equal(sums.coefficients, [[1, 2, 0], [0, -1, 0.5]])
    assert sums.operator(1).equiv(SparsePauliOp(["ZZ", "IY"], [-1.0, 0.5]))
    assert len(sums) == 2
    assert sums.num_sites == 2


def test_tied_driven_and_frozen_terms():
    network = Network.of(
        inputs=[term("Z", (0,), 2)],
        trainable=[term("Z", (0,), 2) + term("Z", (1,), 2), term("XX", (0, 1), 2), term("Y", (1,), 2)],
        outputs=[term("Z", (1,), 2)],
        driver=[-1, 0, -1],
    )
    assert network.term_names == ("Z0 + 1 more", "x0 X0 X1", "Y1")
    wanted = SparsePauliOp(["IZ", "ZI", "XX", "YI"], [3.0 + 0.5, 3.0, 0.5 * 4.0, 7.0])
    assert network.hamiltonian([3.0, 4.0, 7.0], [0.5]).equiv(wanted)
    frozen = network.freeze({0: 3.0, 1: 4.0})
    assert frozen.n_trainable == 1
    assert frozen.hamiltonian([7.0], [0.5]).equiv(wanted)
    with pytest.raises(ValueError, match="must name terms from 0 to 2, but names 3"):
        network.freeze({3: 1.0})


def test_squares_of_projectors_and_sums():
    network = Network.of(
        trainable=[term("X", (0,), 2)],
        outputs=[projector([0, 1], [0, 1], 2), total([term("Z", (0,), 2), term("X", (1,), 2, 2.0)])],
    )
    squared = network.with_squares()
    matrices = [SparsePauliOp(squared.strings, row).to_matrix() for row in squared.outputs]
    np.testing.assert_allclose(matrices[2], matrices[0], atol=1e-14)  # a projector is its own square
    np.testing.assert_allclose(matrices[3], matrices[1] @ matrices[1], atol=1e-14)


def test_site_zero_is_the_rightmost_letter_and_bit_zero_is_up():
    np.testing.assert_allclose(term("Z", (0,), 2).to_matrix(), dense_string("IZ"))
    np.testing.assert_allclose(np.diag(projector([1], [0], 2).to_matrix()), [0, 1, 0, 1])
    assert parse("Z0 X1", 3).equiv(SparsePauliOp("IXZ"))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Network.of(trainable=[Z], outputs=[]), "`outputs` must hold at least one operator"),
        (lambda: Network.of(trainable=[SparsePauliOp("ZZ")], outputs=[Z]), "`trainable[0]` must act on 1 sites"),
        (lambda: Network.of(trainable=[1j * Z], outputs=[Z]), "`trainable[0]` must be Hermitian"),
        (lambda: Network.of(trainable=[Z, X @ Z], outputs=[Z]), "`trainable[1]` must be Hermitian"),
        (lambda: Network.of(trainable=[np.nan * Z], outputs=[Z]), "`trainable[0]` must have finite coefficients"),
        (lambda: Network.of(static=np.nan * Z, trainable=[], outputs=[Z]), "`static` must have finite"),
        (lambda: Network.of(trainable=["Z"], outputs=[Z]), "`trainable[0]` must be a SparsePauliOp, but is a str"),
        (lambda: Network.of(trainable=Z, outputs=[Z]), "`trainable` must be a list"),
        (lambda: Network.of(trainable=[Z], outputs=[Z], driver=[0]), "`driver` must hold input indices"),
        (lambda: Network.of(trainable=[Z], outputs=[Z], driver=[-1, -1]), "`driver` must have shape (n_trainable,)"),
        (lambda: Network.of(trainable=[Z], outputs=[Z], initial=[np.inf]), "`initial` must be finite"),
        (lambda: Network.of(trainable=[Z], outputs=[Z], positions=[[0.0]]), "`positions` must have shape"),
        (lambda: one_qubit().hamiltonian([1.0]), "`theta` must have shape (n_trainable,) = (2,), but has shape (1,)"),
        (lambda: one_qubit().hamiltonian([1.0, np.nan]), "`theta` must be finite"),
        (lambda: one_qubit().hamiltonian([1.0, 1j]), "`theta` must be an array of real numbers"),
        (lambda: one_qubit().hamiltonian(["a", "b"]), "`theta` must be an array of real numbers"),
        (
            lambda: random_network(0).hamiltonians(random_network(0).initial, [1.0, 2.0, 3.0]),
            "`x` must have shape (batch, n_inputs) = (_, 2), but has shape (3,)",
        ),
        (lambda: PauliSums(one_qubit().strings, np.zeros((1, 3))), "`coefficients` must have shape"),
        (lambda: term("ZZ", (0, 0), 2), "`sites` must be different sites"),
        (lambda: term("ZZ", (0,), 2), "`word` must have one letter"),
        (lambda: projector([2], [0], 2), "`bits` must hold a 0 or 1"),
    ],
)
def test_mistakes_are_named(make, message):
    with pytest.raises((ValueError, TypeError), match=re.escape(message)):
        make()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"y": [[1.0, 2.0]]}, "`y` must have shape"),
        ({"y": [[np.nan]]}, "`y` must be finite"),
        ({"x": [[0.0]]}, "`x` must have shape"),
        ({"device": "ibm"}, "`device` must be a device"),
        ({"device": Aer}, "`device` must be made, but is the class Aer itself: write Aer"),
        ({"device": AerSimulator()}, "`device` must be a device, .* is a AerSimulator of others: wrap it, Backend"),
        ({"device": StatevectorSampler()}, "is a StatevectorSampler of others: wrap it, Primitive"),
        ({"solver": Exact}, "`solver` must be made, but is the class Exact itself"),
        ({"solver": "exact"}, "`solver` must be a solver, such as Exact.., but is 'exact'"),
        ({"rule": SymmetricNudging}, "`rule` must be made, but is the class SymmetricNudging itself"),
        ({"rule": Exact()}, "`rule` must be a rule, such as SymmetricNudging"),
        ({"loss": "mse"}, "`loss` must be a loss, such as mean_squared_error, but is 'mse'"),
        ({"device": Statevector()}, "`device` must be None with the solver Exact"),
    ],
)
def test_gradient_names_wrong_arguments(arguments, message):
    given = {"x": np.zeros((1, 0)), "y": [[1.0]], "loss": qeqprop.losses.mean_squared_error} | arguments
    with pytest.raises(ValueError, match=message):
        qeqprop.gradient(one_qubit(), [0.8, 1.5], **given)


def test_a_loss_or_its_maker_and_a_penalty():
    case = (one_qubit(), [0.8, 1.5], np.zeros((1, 0)), [[1.0]])
    made = qeqprop.gradient(*case, loss=qeqprop.losses.mean_squared_error())
    maker = qeqprop.gradient(*case, loss=qeqprop.losses.mean_squared_error)
    np.testing.assert_array_equal(made.values, maker.values)
    more = qeqprop.gradient(*case, loss=qeqprop.losses.mean_squared_error, penalty=qeqprop.losses.l2(strength=0.1))
    np.testing.assert_allclose(more.values - made.values, 0.2 * np.array([0.8, 1.5]))
    assert more.loss == pytest.approx(made.loss + 0.1 * (0.8**2 + 1.5**2))


def test_import_and_help_stay_light():
    heavy = ("qiskit", "scipy", "numba", "sklearn", "matplotlib", "qiskit_aer", "qiskit_ibm_runtime", "pydantic")
    code = f"import qeqprop, sys; print([name for name in {heavy!r} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_names_of_the_face_are_reachable_from_the_package():
    code = (
        "import qeqprop; qeqprop.Network.of; qeqprop.solvers.exact.Exact(level=0, temperature=0.0); "
        "qeqprop.rules.nudging.SymmetricNudging(beta=0.1); qeqprop.rules.nudging.OneSidedNudging(beta=0.1); "
        "qeqprop.rules.linear_response.LinearResponse(); qeqprop.losses.mean_squared_error; "
        "[getattr(qeqprop, name) for name in dir(qeqprop) if not name.startswith('_')]"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = qeqprop.nonsense
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = qeqprop.solvers.nonsense


def test_a_notebook_completes_the_names_of_families_and_their_members():
    assert {"Network", "classical", "gradient", "rules"} <= set(dir(qeqprop))
    assert not {"Any", "annotations", "import_module"} & set(dir(qeqprop))
    assert {"chains", "langevin", "relaxation"} <= set(dir(qeqprop.classical))
    assert all(getattr(qeqprop.rules, name).__name__ == f"qeqprop.rules.{name}" for name in dir(qeqprop.rules))
