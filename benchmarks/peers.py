"""What a user would write instead: the same gradient with other packages, each one as its friends would write it.

A peer is a few functions: `settle` finds the ground state of one nudged sample, `outputs` and `observables` measure it.
All peers share the loop over samples and nudges in `gradient`. What can be built once for many gradients is built by
the function that makes the peer and is not timed.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from qiskit.quantum_info import PauliList, SparsePauliOp, Statevector
from scipy.sparse import csr_array
from scipy.sparse.linalg import eigsh
from tasks import Task

from qeqprop.interfaces import FloatArray

State = Any


class Peer(NamedTuple):
    """One way to write the gradient.

    Attributes:
        settle: ``(sample, nudge (n_outputs,), start)`` to the ground state; start is a nearby state or None.
        outputs: the state's ``<O_k>``, (n_outputs,).
        observables: the state's ``<dH/dtheta_j>``, (n_trainable,).
        begin: called once for every gradient: what all samples share.
    """

    settle: Callable[[int, FloatArray, State | None], State]
    outputs: Callable[[State], FloatArray]
    observables: Callable[[State], FloatArray]
    begin: Callable[[], None] = lambda: None


def gradient(task: Task, peer: Peer) -> Callable[[], FloatArray]:
    """The batch mean of the symmetric difference quotients: three ground states for each sample."""

    def run() -> FloatArray:
        peer.begin()
        total, free = np.zeros(task.network.n_trainable), None
        for sample in range(task.batch):
            free = peer.settle(sample, np.zeros(task.network.n_outputs), free)
            nudge = task.beta * task.error(sample, peer.outputs(free))
            plus, minus = (peer.observables(peer.settle(sample, sign * nudge, free)) for sign in (1, -1))
            total += (plus - minus) / (2 * task.beta)
        return total / task.batch

    return run


def extrapolated(task: Task, peer_of: Callable[[Task], Peer]) -> tuple[FloatArray, FloatArray]:
    """The symmetric quotients at ``beta``, and those extrapolated to no nudge with a second run at ``beta / 2``."""
    halved = replace(task, beta=task.beta / 2)
    whole, half = gradient(task, peer_of(task))(), gradient(halved, peer_of(halved))()
    return whole, (4 * half - whole) / 3


def free_state(task: Task, peer: Peer) -> Callable[[], FloatArray]:
    """Only the ground state of the first sample and its outputs: where a whole gradient takes too long."""

    def run() -> FloatArray:
        peer.begin()
        return peer.outputs(peer.settle(0, np.zeros(task.network.n_outputs), None))

    return run


# --- any network --------------------------------------------------------------------------------------------------


def script(task: Task) -> Peer:
    """SparsePauliOp -> sparse matrix -> eigsh -> Statevector.expectation_value."""
    network = task.network

    def settle(sample: int, nudge: FloatArray, start: State | None) -> Statevector:
        operator = SparsePauliOp(network.strings, task.coefficients[sample] + nudge @ network.outputs)
        matrix = operator.to_matrix(sparse=True)
        # eigsh refuses matrices of two rows
        _, vectors = eigsh(matrix, k=1, which="SA") if network.num_sites > 1 else np.linalg.eigh(matrix.toarray())
        return Statevector(np.ascontiguousarray(vectors[:, 0]))

    def measure(rows: FloatArray) -> Callable[[Statevector], FloatArray]:
        operators = [SparsePauliOp(network.strings[np.flatnonzero(row)], row[np.flatnonzero(row)]) for row in rows]
        return lambda state: np.array([state.expectation_value(operator).real for operator in operators])

    return Peer(settle, measure(network.outputs), measure(network.trainable))


def netket(task: Task) -> Peer:
    """netket: `PauliStrings`, `lanczos_ed`, and the observables as sparse matrices."""
    import netket as nk

    network = task.network
    hilbert = nk.hilbert.Qubit(network.num_sites)
    labels = network.strings.to_labels()

    def operator(coefficients: FloatArray) -> Any:
        used = np.flatnonzero(coefficients)
        return nk.operator.PauliStringsNumba(hilbert, [labels[index] for index in used], coefficients[used])

    def settle(sample: int, nudge: FloatArray, start: State | None) -> FloatArray:
        hamiltonian = operator(task.coefficients[sample] + nudge @ network.outputs)
        return nk.exact.lanczos_ed(hamiltonian, k=1, compute_eigenvectors=True)[1][:, 0]

    def measure(rows: FloatArray) -> Callable[[FloatArray], FloatArray]:
        operators = [operator(row).to_sparse() for row in rows]
        return lambda state: np.array([np.vdot(state, one @ state).real for one in operators])

    return Peer(settle, measure(network.outputs), measure(network.trainable))


# --- the dense Ising network --------------------------------------------------------------------------------------


class Ising(NamedTuple):
    """The parts of a `tasks.dense_ising`; every term of its Hamiltonian has a minus sign."""

    sites: int
    pairs: list[tuple[int, int]]
    couplings: FloatArray
    fields: FloatArray
    transverse: FloatArray

    @classmethod
    def of(cls, task: Task) -> Ising:
        pairs = list(combinations(range(task.sites), 2))
        return cls(task.sites, pairs, *np.split(task.theta, [len(pairs), len(pairs) + task.sites]))


def expert(task: Task) -> Peer:
    """One real CSR built once, its data written in place, a warm start, all expectations vectorised.

    eigsh stops at a relative residual of 1e-10, which is enough for the difference quotient.
    """
    sites, pairs, couplings, fields, transverse = Ising.of(task)
    dim, pair_table = 1 << sites, tuple(np.array(pairs).T)
    basis = np.arange(dim, dtype=np.int32)
    signs = np.stack([1.0 - 2.0 * ((basis >> site) & 1) for site in range(sites)])  # (sites, dim)
    flips = np.concatenate([[0], 1 << np.arange(sites)]).astype(np.int32)
    columns, starts = (basis[:, None] ^ flips).ravel(), np.arange(dim + 1, dtype=np.int32) * (sites + 1)
    matrix = csr_array((np.zeros(len(columns)), columns, starts), shape=(dim, dim))
    data = matrix.data.reshape(dim, sites + 1)  # a view: column 0 is the diagonal
    bonds = np.zeros(dim)

    def begin() -> None:
        data[:, 1:] = -transverse
        square = np.zeros((sites, sites))
        square[pair_table] = couplings
        bonds[:] = -np.sum(signs * (square @ signs), axis=0)

    def settle(sample: int, nudge: FloatArray, start: State | None) -> FloatArray:
        data[:, 0] = bonds + (nudge - fields - task.x[sample]) @ signs
        return eigsh(matrix, k=1, which="SA", v0=start, tol=1e-10)[1][:, 0]

    def observables(state: FloatArray) -> FloatArray:
        weighted = signs * state**2
        halves = [state.reshape(-1, 2, 1 << site) for site in range(sites)]
        x = [2 * np.vdot(half[:, 0], half[:, 1]) for half in halves]
        return -np.concatenate([(weighted @ signs.T)[pair_table], weighted.sum(axis=1), x])

    return Peer(settle, lambda state: signs @ state**2, observables, begin)


def quspin(task: Task) -> Peer:
    """QuSpin: `hamiltonian`, couplings once for each gradient, fields for each state, `eigsh`, `expt_value`."""
    from quspin.basis import spin_basis_1d
    from quspin.operators import hamiltonian

    sites, pairs, couplings, fields, transverse = Ising.of(task)
    basis = spin_basis_1d(sites, pauli=1)
    shared: list[Any] = []

    def operator(*static: list[Any]) -> Any:
        unchecked = {"check_herm": False, "check_pcon": False, "check_symm": False}
        return hamiltonian(list(static), [], basis=basis, dtype=np.float64, **unchecked)

    def begin() -> None:
        bonds = [[-value, *pair] for value, pair in zip(couplings, pairs, strict=True)]
        shared[:] = [operator(["zz", bonds], ["x", [[-value, site] for site, value in enumerate(transverse)]])]

    def settle(sample: int, nudge: FloatArray, start: State | None) -> FloatArray:
        field = nudge - fields - task.x[sample]
        total = shared[0] + operator(["z", [[value, site] for site, value in enumerate(field)]])
        return total.eigsh(k=1, which="SA")[1][:, 0]

    def measure(operators: Sequence[Any]) -> Callable[[FloatArray], FloatArray]:
        return lambda state: np.array([one.expt_value(state).real for one in operators])

    outputs = [operator(["z", [[1.0, site]]]) for site in range(sites)]

    @cache
    def terms() -> list[Any]:  # made in the call that is not counted, and only if asked for: they fill gigabytes
        zz = [operator(["zz", [[-1.0, *pair]]]) for pair in pairs]
        return zz + [operator([letter, [[-1.0, site]]]) for letter in "zx" for site in range(sites)]

    def observables(state: FloatArray) -> FloatArray:
        return measure(terms())(state)

    return Peer(settle, measure(outputs), observables, begin)


def quimb(task: Task) -> Peer:
    """quimb: sparse operators from `ikron`, those of one gradient added once, `groundstate`, `expec`."""
    import quimb as qu

    sites, pairs, couplings, fields, transverse = Ising.of(task)
    shared: list[Any] = []

    def place(letter: str, site: int) -> Any:
        return qu.ikron(qu.pauli(letter, sparse=True), [2] * sites, site, sparse=True).real.tocsr()

    z, x = ([place(letter, site) for site in range(sites)] for letter in "ZX")
    zz = [z[i] @ z[j] for i, j in pairs]

    def weighted(values: FloatArray, operators: list[Any]) -> Any:
        return sum(value * operator for value, operator in zip(values, operators, strict=True))

    def begin() -> None:
        shared[:] = [-weighted(couplings, zz) - weighted(transverse, x)]

    def settle(sample: int, nudge: FloatArray, start: State | None) -> Any:
        return qu.groundstate(shared[0] + weighted(nudge - fields - task.x[sample], z))

    def measure(operators: list[Any]) -> Callable[[Any], FloatArray]:
        return lambda state: np.array([qu.expec(operator, state) for operator in operators])

    return Peer(settle, measure(z), lambda state: -measure([*zz, *z, *x])(state), begin)


PEERS: dict[str, tuple[Callable[[Task], Peer], str]] = {
    "script": (script, "scipy"),
    "expert scipy": (expert, "scipy"),
    "QuSpin": (quspin, "quspin"),
    "quimb": (quimb, "quimb"),
    "netket": (netket, "netket"),
}
"""The makers of the peers and the package each needs."""


def make(name: str, task: Task) -> Peer | None:
    """A peer for a task, or None and a line that says so if its package is not installed."""
    maker, package = PEERS[name]
    if importlib.util.find_spec(package) is None:
        print(f"skipped: {name} needs the package {package}, which is not installed", flush=True)
        return None
    return maker(task)


def batched_eigh(task: Task) -> Callable[[], FloatArray]:
    """numpy's batched eigh of all Hamiltonians as real matrices (batch, dim, dim), which are made before."""
    strings: PauliList = task.network.strings
    matrices = np.stack([SparsePauliOp(strings, row).to_matrix().real for row in task.coefficients])
    return lambda: np.linalg.eigh(matrices).eigenvalues[:, 0]
