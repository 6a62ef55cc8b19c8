"""Every network against an independent dense construction, and against published numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import combinations, product

import numpy as np
import pytest
import systems
from numpy.testing import assert_allclose
from qiskit.quantum_info import SparsePauliOp

from qeqprop.interfaces import FloatArray, Network
from qeqprop.networks._graphs import edge_list
from qeqprop.networks.cluster_ising import cluster_ising, cluster_sensor
from qeqprop.networks.kitaev_honeycomb import kitaev_honeycomb
from qeqprop.networks.rydberg_chain import rydberg_chain, rydberg_lattice
from qeqprop.networks.spin_graph import spin_graph
from qeqprop.networks.transverse_ising import transverse_ising
from qeqprop.operators import parse, projector

BUILDERS = (
    transverse_ising,
    spin_graph,
    cluster_ising,
    cluster_sensor,
    kitaev_honeycomb,
    rydberg_chain,
    rydberg_lattice,
)
MATRICES = {
    "X": np.asarray([[0, 1], [1, 0]], dtype=np.complex128),
    "Y": np.asarray([[0, -1j], [1j, 0]]),
    "Z": np.diag([1.0 + 0j, -1.0]),
    "n": np.diag([1.0 + 0j, 0.0]),
    "u": np.diag([1.0 + 0j, 0.0]),
    "d": np.diag([0.0 + 0j, 1.0]),
}


def dense(sites: int, **letters: str) -> np.ndarray:
    """The matrix of a product such as ``dense(3, s0="Z", s2="X")``; site 0 is the rightmost factor."""
    matrix = np.eye(1)
    for site in range(sites):
        matrix = np.kron(MATRICES.get(letters.get(f"s{site}", ""), np.eye(2)), matrix)
    return matrix


def word(text: str, places: Iterable[int], sites: int) -> np.ndarray:
    return dense(sites, **{f"s{site}": letter for site, letter in zip(places, text, strict=True)})


def summed(matrices: Iterable[np.ndarray]) -> np.ndarray:
    return np.sum(list(matrices), axis=0)


def some(n: int, seed: int = 0) -> FloatArray:
    return np.random.default_rng(seed).normal(size=n)


def matrix(network: Network, theta: FloatArray, x: FloatArray) -> np.ndarray:
    return network.hamiltonian(theta, x).to_matrix()


def output(network: Network, index: int) -> np.ndarray:
    return SparsePauliOp(network.strings, network.outputs[index]).to_matrix()


def ground_value(network: Network, theta: FloatArray, index: int = 0) -> float:
    _, states = np.linalg.eigh(matrix(network, theta, np.zeros(network.n_inputs)))
    return float(np.real(states[:, 0].conj() @ output(network, index) @ states[:, 0]))


# --- what holds for all of them ---------------------------------------------------------------------------------


@pytest.mark.parametrize("build", BUILDERS)
def test_defaults_make_a_network_without_idle_strings(build: Callable[[], Network]) -> None:
    network = build()
    assert network.n_trainable > 0
    assert network.positions is not None
    rows = np.concatenate([network.static[None], network.inputs, network.trainable, network.outputs])
    assert np.all(np.any(rows != 0, axis=0))
    distances = np.linalg.norm(network.positions[:, None] - network.positions[None], axis=-1)
    assert np.min(distances + 10 * np.eye(network.num_sites)) > 0.5


# --- transverse Ising -------------------------------------------------------------------------------------------


def test_transverse_ising_is_its_formula() -> None:
    network = transverse_ising(sites=4, edges="ring", n_inputs=2, fields_x="trainable", couplings_xx=True)
    ring = [(0, 1), (1, 2), (2, 3), (3, 0)]
    J, h, g, K, w = some(4), some(4, 1), some(4, 2), some(4, 3), some(8, 4)
    x = np.asarray([0.3, -1.2])
    expected = -summed(
        [
            *(J[k] * word("ZZ", bond, 4) + K[k] * word("XX", bond, 4) for k, bond in enumerate(ring)),
            *(h[i] * word("Z", [i], 4) + g[i] * word("X", [i], 4) for i in range(4)),
            *(w[4 * k + i] * x[k] * word("Z", [i], 4) for k in range(2) for i in range(4)),
        ]
    )
    assert_allclose(matrix(network, np.concatenate([J, h, g, K, w]), x), expected, atol=1e-13)
    assert_allclose(output(network, 0), word("Z", [3], 4))
    assert network.term_names[:4] == ("Z0 Z1", "Z1 Z2", "Z2 Z3", "Z0 Z3")
    assert network.driver.tolist() == [-1] * 16 + [0] * 4 + [1] * 4
    assert_allclose(network.initial, [0] * 8 + [1] * 4 + [0] * 12)


@pytest.mark.parametrize(("encoding", "strength"), [("pinned", 7.0), ("fields", 1.0)])
def test_transverse_ising_fixed_inputs(encoding: str, strength: float) -> None:
    network = transverse_ising(
        sites=3, edges="chain", n_inputs=2, encoding=encoding, input_weights=False, pinning=7.0, fields_z="none"
    )
    x, J = np.asarray([0.5, -1.0]), some(2)
    expected = -summed(
        [
            *(J[i] * word("ZZ", [i, i + 1], 3) for i in range(2)),
            *(word("X", [i], 3) for i in range(3)),
            *(strength * x[k] * word("Z", [k], 3) for k in range(2)),
        ]
    )
    assert_allclose(matrix(network, J, x), expected, atol=1e-13)


def test_transverse_ising_layers() -> None:
    network = transverse_ising(layers=(2, 3, 1), n_inputs=4, fields_x="uniform_trainable", field_x=0.7)
    assert network.num_sites == 6
    bonds = ["Z0 Z2", "Z0 Z3", "Z0 Z4", "Z1 Z2", "Z1 Z3", "Z1 Z4", "Z2 Z5", "Z3 Z5", "Z4 Z5"]
    weights = [f"x{k} Z{i}" for k in range(4) for i in range(2)]
    assert network.term_names == (*bonds, *(f"Z{i}" for i in range(6)), "X0 + 5 more", *weights)
    assert network.initial[15] == 0.7
    assert not np.any(network.static)


def test_transverse_ising_projectors_count_with_the_last_site_as_the_right_digit() -> None:
    network = transverse_ising(sites=3, n_outputs=3, readout="projector")
    for index, pattern in enumerate(("uu", "ud", "du")):
        assert_allclose(output(network, index), word(pattern, [1, 2], 3), atol=1e-15)


def test_transverse_ising_z_readout_is_in_order() -> None:
    network = transverse_ising(sites=3, n_outputs=2)
    assert_allclose(output(network, 0), word("Z", [1], 3))
    assert_allclose(output(network, 1), word("Z", [2], 3))


def test_pinned_inputs_clamp_their_sites() -> None:
    network = transverse_ising(sites=3, n_inputs=2, encoding="pinned", pinning=1000.0)
    hamiltonian = matrix(network, 0.1 * some(network.n_trainable), np.asarray([1.0, -1.0]))
    state = np.linalg.eigh(hamiltonian)[1][:, 0]
    for site, value in enumerate((1.0, -1.0)):
        assert_allclose(np.real(state.conj() @ word("Z", [site], 3) @ state), value, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"edges": [(0, 6)]}, r"`edges` .* sites from 0 to 5, but for \(0, 6\)"),
        ({"edges": [(2, 2)]}, r"`edges` .* but for \(2, 2\)"),
        ({"edges": [(0, 1), (1, 0)]}, r"`edges` .* for \(1, 0\) holds it twice"),
        ({"edges": "star"}, r"`edges` must be one of 'complete', 'chain', 'ring', but is 'star'"),
        ({"sites": 0}, r"`sites` must be at least 1, but is 0"),
        ({"layers": (3,)}, r"`layers` must hold at least two"),
        ({"n_inputs": 7, "encoding": "pinned"}, r"`n_inputs` must be at most 6, the number of input sites, but is 7"),
        ({"n_inputs": 3, "input_weights": False, "layers": (2, 2)}, r"`n_inputs` must be at most 2"),
        ({"n_outputs": 7}, r"`n_outputs` must be at most 6"),
        ({"n_outputs": 2, "layers": (2, 1)}, r"`n_outputs` must be at most 1"),
        (
            {"n_outputs": 5, "layers": (2, 2), "readout": "projector"},
            r"`n_outputs` must be at most 4, the number of bit",
        ),
        ({"n_outputs": 1, "readout": "projector"}, r"`n_outputs` must be at least 2"),
        ({"readout": "x"}, r"`readout` must be one of"),
        ({"pinning": 0.0}, r"`pinning` must be greater than 0, but is 0.0"),
        ({"encoding": "angle"}, r"`encoding` must be one of"),
        ({"fields_x": "none"}, r"`fields_x` must be one of"),
    ],
)
def test_transverse_ising_refuses(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        transverse_ising(**arguments)


# --- spin graph -------------------------------------------------------------------------------------------------


def test_spin_graph_is_its_formula() -> None:
    edges = [(0, 1), (2, 1), (3, 0)]
    network = spin_graph(
        sites=4,
        edges=edges,
        bonds=("XY", "ZZ"),
        fields=("Y", "X"),
        tied=("ZZ", "Y"),
        static={"YX": 0.4, "Z": 0.3, "Z0 X3": -0.2},
        start={"XY": 0.6, "ZZ": 0.5},
        inputs=["Z0", "Z1 X2"],
        outputs=["X0 Y3", "Z2"],
    )
    theta, x = some(3 + 1 + 1 + 4), np.asarray([1.1, -0.4])
    expected = -summed(
        [
            *(theta[k] * word("XY", edge, 4) for k, edge in enumerate(edges)),
            *(theta[3] * word("ZZ", edge, 4) + 0.4 * word("YX", edge, 4) for edge in edges),
            *(theta[4] * word("Y", [i], 4) + theta[5 + i] * word("X", [i], 4) for i in range(4)),
            *(0.3 * word("Z", [i], 4) for i in range(4)),
            -0.2 * word("ZX", [0, 3], 4),
            x[0] * word("Z", [0], 4) + x[1] * word("ZX", [1, 2], 4),
        ]
    )
    assert_allclose(matrix(network, theta, x), expected, atol=1e-13)
    assert_allclose(output(network, 0), word("XY", [0, 3], 4))
    assert_allclose(output(network, 1), word("Z", [2], 4))
    assert_allclose(network.initial, [0.6] * 3 + [0.5] + [0.0] * 5)


def test_spin_graph_and_transverse_ising_agree() -> None:
    graph = spin_graph(sites=4, edges="complete", fields=("Z",), static={"X": 1.0}, outputs=["Z3"])
    ising = transverse_ising(sites=4)
    theta = some(10)
    assert_allclose(matrix(graph, theta, np.zeros(0)), matrix(ising, theta, np.zeros(0)))
    assert_allclose(output(graph, 0), output(ising, 0))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bonds": ("ZA",)}, r"`bonds` must hold words of 2 letters X, Y, Z, but holds 'ZA'"),
        ({"bonds": ("Z",)}, r"`bonds` must hold words of 2 letters"),
        ({"fields": ("ZZ",)}, r"`fields` must hold words of 1 letter X"),
        ({"fields": "X"}, r"`fields` must be a list of different words, but is 'X'"),
        ({"fields": ("X", "X")}, r"`fields` must be a list of different words"),
        ({"tied": ("Y",)}, r"`tied` must name trainable words, which are \['ZZ', 'X', 'Z'\], but names \['Y'\]"),
        ({"start": {"Y": 1.0}}, r"`start` must name trainable words"),
        ({"static": {"XXX": 1.0}}, r"must read like 'X0 Z3'.*but is 'XXX'"),
        ({"inputs": ["Z0 Z0"]}, r"'Z0 Z0' must name different sites from 0 to 3"),
        ({"outputs": ["Z4"]}, r"'Z4' must name different sites from 0 to 3"),
        ({"outputs": [""]}, r"must read like 'X0 Z3'"),
        ({"outputs": []}, r"`outputs` must hold at least one"),
        ({"edges": [(0, 1, 2)]}, r"`edges` must hold different pairs"),
        ({"sites": 0}, r"`sites` must be at least 1"),
    ],
)
def test_spin_graph_refuses(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        spin_graph(**arguments)


def test_parse_and_term_names_are_inverse() -> None:
    assert parse("Z0 Y2", 3).to_list() == [("YIZ", 1.0 + 0j)]
    network = systems.random_network(3, sites=5, n_trainable=4, n_inputs=0, driven=False)
    for name, row in zip(network.term_names[:2], network.trainable, strict=False):
        assert parse(name, 5).paulis[0] == network.strings[int(np.flatnonzero(row)[0])]


def test_named_graphs() -> None:
    assert edge_list("complete", 4) == list(combinations(range(4), 2))
    assert edge_list("chain", 3) == [(0, 1), (1, 2)]
    assert edge_list("ring", 2) == [(0, 1)]
    assert edge_list("ring", 1) == []
    assert spin_graph(sites=3, edges=np.asarray([[2, 0]])).term_names[0] == "Z0 Z2"


# --- cluster Ising ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("boundary", "triples", "starts"),
    [("open", "inner", range(1, 8)), ("open", "all", range(8)), ("periodic", "all", range(10))],
)
def test_cluster_ising_is_its_formula(boundary: str, triples: str, starts: range) -> None:
    network = cluster_ising(boundary=boundary, triples=triples)
    pairs = range(9 if boundary == "open" else 10)
    expected = -summed(
        [
            *(0.8 * word("X", [j], 10) for j in range(10)),
            *(0.3 * word("ZZ", [j, (j + 1) % 10], 10) for j in pairs),
            *(0.5 * word("ZXZ", [j, (j + 1) % 10, (j + 2) % 10], 10) for j in starts),
        ]
    )
    assert_allclose(matrix(network, np.asarray([0.8, 0.3]), np.zeros(0)), expected, atol=1e-13)
    assert_allclose(output(network, 0), word("XX", [0, 4], 10))


def test_cluster_ising_other_arguments() -> None:
    assert cluster_ising(sites=3).n_outputs == 1
    network = cluster_ising(sites=4, cluster_field=0.0, field_x=0.2, coupling_zz=0.1, outputs=["Z0", "Z1 Z2"])
    assert network.n_outputs == 2
    assert not np.any(network.static)
    assert_allclose(network.initial, [0.2, 0.1])
    with pytest.raises(ValueError, match="`boundary` must be one of 'open', 'periodic', but is 'twisted'"):
        cluster_ising(boundary="twisted")
    with pytest.raises(ValueError, match="`sites` must be at least 3, but is 2"):
        cluster_ising(sites=2)


def test_cluster_sensor_is_its_formula() -> None:
    network = cluster_sensor(sites=4)
    x, theta = np.asarray([0.7, 1.3, 2.0]), some(51)
    places = [(s, q) for s in (0, 1) for q in (4, 5)]
    products = [
        *(word(a + b, place, 6) for place in places for a, b in product("XYZ", repeat=2)),
        *(word(a, [q], 6) for q in (4, 5) for a in "XYZ"),
        *(word(a + b, [4, 5], 6) for a, b in product("XYZ", repeat=2)),
    ]
    expected = summed(
        [
            *(x[0] * word("ZXZ", [j, (j + 1) % 4, (j + 2) % 4], 6) for j in range(4)),
            *(-x[1] * word("ZZ", [j, (j + 1) % 4], 6) - x[2] * word("X", [j], 6) for j in range(4)),
            *(value * one for value, one in zip(theta, products, strict=True)),
        ]
    )
    assert_allclose(matrix(network, theta, x), expected, atol=1e-13)
    for index, pattern in enumerate(("uu", "ud", "dd")):
        assert_allclose(output(network, index), word(pattern, [4, 5], 6), atol=1e-15)


def test_cluster_sensor_counts() -> None:
    network = cluster_sensor()
    assert (network.num_sites, network.n_inputs, network.n_trainable, network.n_outputs) == (10, 3, 51, 3)
    assert len(set(network.term_names)) == 51
    one, three = cluster_sensor(sites=3, sensors=1), cluster_sensor(sites=3, sensors=3)
    assert (one.n_trainable, one.n_outputs) == (18 + 3, 2)
    assert (three.n_trainable, three.n_outputs) == (54 + 9 + 27, 4)
    with pytest.raises(ValueError, match="`sensors` must be at least 1, but is 0"):
        cluster_sensor(sensors=0)


# --- Kitaev honeycomb -------------------------------------------------------------------------------------------


def test_kitaev_honeycomb_links_make_a_honeycomb() -> None:
    network = kitaev_honeycomb(columns=3, rows=2, field_role="input")
    degree = np.zeros(12, dtype=int)
    for row, letter in zip(network.trainable, "XYZ", strict=True):
        assert set(row[row != 0]) == {-1.0}
        used = [network.strings[int(k)].to_label()[::-1] for k in np.flatnonzero(row)]
        sites = [[site for site, found in enumerate(label) if found == letter] for label in used]
        assert all(label.count("I") == 10 for label in used)
        # Each site has exactly one link of each kind.
        assert sorted(site for pair in sites for site in pair) == list(range(12))
        degree[np.ravel(sites)] += 1
    assert set(degree) == {3}
    assert (network.n_inputs, network.n_trainable) == (1, 3)


def test_kitaev_honeycomb_is_its_formula() -> None:
    open_links = {"XX": [(2, 1), (6, 5)], "YY": [(4, 1), (6, 3)], "ZZ": [(0, 1), (2, 3), (4, 5), (6, 7)]}
    wrapped = {"XX": [(0, 3), (4, 7)], "YY": [(0, 5), (2, 7)], "ZZ": []}
    J, h = (0.7, -0.4, 1.2), 0.35
    field = h / 3**0.5 * summed(word(a, [i], 8) for i in range(8) for a in "XYZ")
    for boundary in ("open", "periodic"):
        links = {k: v + wrapped[k] * (boundary == "periodic") for k, v in open_links.items()}
        expected = -field - summed(
            value * word(kind, pair, 8) for value, (kind, pairs) in zip(J, links.items(), strict=True) for pair in pairs
        )
        static = kitaev_honeycomb(boundary=boundary, field=h)
        assert_allclose(matrix(static, np.asarray(J), np.zeros(0)), expected, atol=1e-13)
        for index, (kind, pairs) in enumerate(links.items()):
            mean = summed(word(kind, pair, 8) for pair in pairs) / len(pairs)
            assert_allclose(output(static, index), mean, atol=1e-14)
        trained = kitaev_honeycomb(boundary=boundary, field_role="trainable", field=h, readout="magnetisation")
        assert_allclose(matrix(trained, np.asarray([*J, h]), np.zeros(0)), expected, atol=1e-13)
        assert_allclose(trained.initial, [1, 1, 1, h])
        assert_allclose(output(trained, 0), field / (8 * h), atol=1e-14)


def test_kitaev_honeycomb_hexagons_close_and_are_conserved() -> None:
    network = kitaev_honeycomb(columns=3, rows=3, field=0.0)
    neighbour: dict[tuple[int, str], int] = {}
    for row, letter in zip(network.trainable, "XYZ", strict=True):
        for index in np.flatnonzero(row):
            label = network.strings[int(index)].to_label()[::-1]
            first, second = (site for site, found in enumerate(label) if found == letter)
            neighbour |= {(first, letter): second, (second, letter): first}
    hamiltonian = network.hamiltonian(np.asarray([0.7, -0.4, 1.2]))
    for start in range(18):
        ring = [start]
        for letter in "XYZXYZ":
            ring.append(neighbour[ring[-1], letter])
        assert ring[-1] == start
        assert len(set(ring)) == 6
        # Each site carries the letter of its link that leaves the hexagon: Kitaev's conserved flux.
        flux = SparsePauliOp.from_sparse_list([("YZXYZX", ring[:-1], 1.0)], 18)
        commutator = (flux @ hamiltonian - hamiltonian @ flux).simplify()
        assert_allclose(commutator.coeffs, 0, atol=1e-14)


def test_kitaev_honeycomb_refuses() -> None:
    for arguments, message in (
        ({"columns": 1}, "`columns` must be at least 2, but is 1"),
        ({"readout": "flux"}, "`readout` must be one of 'bonds', 'magnetisation', but is 'flux'"),
        ({"field_role": "none"}, "`field_role` must be one of"),
        ({"readout": ["Z8"]}, "'Z8' must name different sites from 0 to 7"),
    ):
        with pytest.raises(ValueError, match=message):
            kitaev_honeycomb(**arguments)


# --- Rydberg atoms ----------------------------------------------------------------------------------------------


def test_rydberg_chain_published_staggered_magnetisation() -> None:
    network = rydberg_chain()
    assert_allclose(ground_value(network, np.asarray([0.5, 1.5])), 0.671697, atol=5e-7)
    assert_allclose(network.initial, [0.5, 1.5])


@pytest.mark.parametrize("boundary", ["open", "periodic"])
def test_rydberg_chain_is_its_formula(boundary: str) -> None:
    network = rydberg_chain(sites=4, boundary=boundary, blockade_range=2, interaction=1.4, n_inputs=1)
    pairs = {(0, 1): 1, (1, 2): 1, (2, 3): 1, (0, 2): 2, (1, 3): 2}
    if boundary == "periodic":
        pairs[(0, 3)] = 1
    expected = summed(
        [
            *(0.45 * word("X", [i], 4) - 1.7 * word("n", [i], 4) for i in range(4)),
            *(1.4 / apart**6 * word("nn", pair, 4) for pair, apart in pairs.items()),
            -0.3 * word("n", [0], 4),
        ]
    )
    assert_allclose(matrix(network, np.asarray([0.9, 1.7]), np.asarray([0.3])), expected, atol=1e-13)
    staggered = summed((-1) ** i * word("Z", [i], 4) for i in range(4)) / 4
    assert network.n_outputs == 1
    assert_allclose(output(network, 0), staggered @ staggered, atol=1e-14)


def test_rydberg_local_control_and_readouts() -> None:
    network = rydberg_chain(sites=3, control="local", readout="densities")
    theta = some(6)
    tied = rydberg_chain(sites=3, readout="staggered")
    assert_allclose(network.initial, [0.5] * 3 + [1.5] * 3)
    expected = matrix(tied, np.zeros(2), np.zeros(0)) + summed(
        theta[i] / 2 * word("X", [i], 3) - theta[3 + i] * word("n", [i], 3) for i in range(3)
    )
    assert_allclose(matrix(network, theta, np.zeros(0)), expected, atol=1e-13)
    assert_allclose(output(network, 2), word("n", [2], 3))
    assert_allclose(output(tied, 0), summed((-1) ** i * word("Z", [i], 3) for i in range(3)) / 3, atol=1e-15)


def test_rydberg_lattice_is_its_formula() -> None:
    network = rydberg_lattice(columns=3, rows=2, blockade_range=1.5)
    straight = [(0, 1), (1, 2), (3, 4), (4, 5), (0, 3), (1, 4), (2, 5)]
    diagonal = [(0, 4), (1, 3), (1, 5), (2, 4)]
    expected = summed(
        [
            *(0.25 * word("X", [i], 6) - 1.5 * word("n", [i], 6) for i in range(6)),
            *(word("nn", pair, 6) for pair in straight),
            *(word("nn", pair, 6) / 8 for pair in diagonal),
        ]
    )
    assert_allclose(matrix(network, network.initial, np.zeros(0)), expected, atol=1e-13)
    signs = (1, -1, 1, -1, 1, -1)
    staggered = summed(sign * word("Z", [i], 6) for i, sign in enumerate(signs)) / 6
    assert_allclose(output(network, 0), staggered @ staggered, atol=1e-14)


def test_rydberg_row_is_the_chain() -> None:
    chain, row = rydberg_chain(blockade_range=3), rydberg_lattice(columns=5, rows=1, blockade_range=3)
    theta = some(2)
    assert_allclose(matrix(chain, theta, np.zeros(0)), matrix(row, theta, np.zeros(0)))


def test_rydberg_refuses() -> None:
    for arguments, message in (
        ({"n_inputs": 6}, "`n_inputs` must be at most 5, the number of atoms, but is 6"),
        ({"blockade_range": 0.5}, "`blockade_range` must be at least 1, but is 0.5"),
        ({"readout": "z"}, "`readout` must be one of"),
        ({"control": "global"}, "`control` must be one of"),
    ):
        with pytest.raises(ValueError, match=message):
            rydberg_chain(**arguments)
    with pytest.raises(ValueError, match="`rows` must be at least 1"):
        rydberg_lattice(rows=0)


# --- the systems with known answers, and what a network does ----------------------------------------------------


def test_one_qubit() -> None:
    network, theta, step = systems.one_qubit(), np.asarray([0.7, -1.1]), 1e-5
    answer = systems.one_qubit_answer(*theta)
    energies = np.linalg.eigvalsh(matrix(network, theta, np.zeros(0)))
    assert_allclose(energies, [answer.energy, answer.energy + answer.gap], atol=1e-14)
    assert_allclose(ground_value(network, theta), answer.z, atol=1e-14)
    slopes = [
        (ground_value(network, theta + shift) - ground_value(network, theta - shift)) / (2 * step)
        for shift in step * np.eye(2)
    ]
    assert_allclose(slopes, answer.z_gradient, atol=1e-9)


@pytest.mark.parametrize("sites", [2, 5])
def test_ising_chain(sites: int) -> None:
    network = systems.ising_chain(sites)
    energies = np.linalg.eigvalsh(matrix(network, np.asarray([0.8, 0.6]), np.zeros(0)))
    assert_allclose(energies, systems.ising_chain_levels(0.8, 0.6, sites), atol=1e-12)
    theta = np.concatenate([np.full(sites - 1, 0.8), np.zeros(sites)])
    built = transverse_ising(sites=sites, edges="chain", field_x=0.6)
    ground = np.linalg.eigvalsh(matrix(built, theta, np.zeros(0)))[0]
    assert_allclose(ground, systems.ising_chain_energy(0.8, 0.6, sites), atol=1e-12)


def test_hydrogen_molecule() -> None:
    network = systems.hydrogen_molecule()
    energies = np.linalg.eigvalsh(matrix(network, network.initial, np.zeros(0)))
    assert_allclose(energies, systems.H2_EIGENVALUES, atol=1e-8)


def test_random_network_is_reproducible_and_has_a_gap() -> None:
    for seed in range(5):
        one, two = (systems.random_network(seed, sites=3, n_trainable=5, n_inputs=2, n_outputs=3) for _ in range(2))
        assert (one.num_sites, one.n_trainable, one.n_inputs, one.n_outputs) == (3, 5, 2, 3)
        assert one.driver[-1] >= 0
        assert_allclose(matrix(one, one.initial, np.ones(2)), matrix(two, two.initial, np.ones(2)))
        energies = np.linalg.eigvalsh(matrix(one, one.initial, np.ones(2)))
        assert energies[1] - energies[0] > 1e-3
    assert np.all(systems.random_network(0, n_inputs=2, driven=False).driver == -1)


def test_driven_terms_are_multiplied_by_their_input() -> None:
    network = systems.random_network(1, sites=3, n_trainable=6, n_inputs=2)
    x, theta = np.asarray([[0.4, -0.9], [2.0, 0.1]]), some(6)
    factors = np.asarray([[1.0 if k < 0 else row[k] for k in network.driver] for row in x])
    assert_allclose(network.driving(x), factors)
    for sample, factor, built in zip(x, factors, network.hamiltonians(theta, x).coefficients, strict=True):
        expected = network.static + sample @ network.inputs + (theta * factor) @ network.trainable
        assert_allclose(built, expected, atol=1e-14)


@pytest.mark.parametrize("build", [lambda: systems.random_network(2), lambda: transverse_ising(sites=3, n_inputs=2)])
def test_freezing_keeps_the_hamiltonian(build: Callable[[], Network]) -> None:
    network = build()
    theta, x = some(network.n_trainable), np.asarray([0.4, -0.9])
    last = network.n_trainable - 1
    frozen = network.freeze({1: theta[1], last: theta[last]})
    assert frozen.n_trainable == network.n_trainable - 2
    assert network.driver[last] >= 0
    assert_allclose(matrix(frozen, np.delete(theta, [1, last]), x), matrix(network, theta, x), atol=1e-13)
    with pytest.raises(ValueError, match=f"`values` must name terms from 0 to {last}, but names {last + 1}"):
        network.freeze({last + 1: 0.0})


def test_tied_weights_are_the_sum_of_the_free_ones() -> None:
    free, tied = spin_graph(sites=3), spin_graph(sites=3, tied=("ZZ", "X", "Z"))
    assert (free.n_trainable, tied.n_trainable) == (9, 3)
    shared = some(3)
    assert_allclose(matrix(tied, shared, np.zeros(0)), matrix(free, np.repeat(shared, 3), np.zeros(0)), atol=1e-13)


def test_projectors_of_all_patterns_add_up_to_one() -> None:
    everything = summed(projector(bits, (2, 0), 3).to_matrix() for bits in product((0, 1), repeat=2))
    assert_allclose(everything, np.eye(8), atol=1e-15)
