"""The lattices as IBM builds them, against the couplings of every snapshot."""

import numpy as np
import pytest
from qiskit_ibm_runtime import fake_provider

from qeqprop.lattices import heavy_hex, lattice_of, patch, spread, square
from qeqprop.snapshots import BUNDLED


@pytest.mark.parametrize("name", BUNDLED)
def test_edges_are_those_of_the_machine(name):
    """The configuration lists all pairs that were built, broken or not, except on Sherbrooke and its like."""
    configuration = getattr(fake_provider, name)().configuration()
    lattice = lattice_of(BUNDLED[name].family)
    built = {tuple(sorted(pair)) for pair in configuration.coupling_map}
    assert lattice.n_qubits == configuration.n_qubits == BUNDLED[name].n_qubits
    assert set(lattice.edges) == built
    lengths = [np.linalg.norm(lattice.positions[a] - lattice.positions[b]) for a, b in lattice.edges]
    np.testing.assert_allclose(lengths, 1.0, atol=1e-12)
    assert len({tuple(place) for place in lattice.positions.tolist()}) == lattice.n_qubits


def test_a_small_heavy_hexagon():
    lattice = heavy_hex("small", [range(5), range(5)], [(0, 4)])
    assert lattice.n_qubits == 12
    assert len(lattice.edges) == 12  # a ring
    assert (0, 5) in lattice.edges
    assert (6, 11) in lattice.edges
    degree = np.bincount(np.array(lattice.edges).ravel())
    np.testing.assert_array_equal(degree, 2)


def test_an_unknown_family_has_no_lattice():
    assert lattice_of("Falcon r5") is None
    assert lattice_of("") is None


def test_any_graph_can_be_spread_out():
    line = spread(5, [(a, a + 1) for a in range(4)])
    np.testing.assert_allclose(np.linalg.norm(np.diff(line, axis=0), axis=1), 1.0, atol=1e-9)
    np.testing.assert_allclose(line[:, 1], 0.0, atol=1e-7)
    grid = square("grid", 3, 3)
    places = spread(9, grid.edges)
    near = [np.linalg.norm(places[a] - places[b]) for a, b in grid.edges]
    assert max(near) < 1.6
    assert np.all(np.isfinite(spread(4, [(0, 1), (2, 3)])))
    assert spread(1, []).shape == (1, 2)


def test_a_patch_is_compact_and_connected():
    grid = square("grid", 6, 6)
    chosen = patch(grid.edges, 14, 9)
    inside = [edge for edge in grid.edges if set(edge) <= set(chosen)]
    assert len(chosen) == 9
    assert len(inside) == 12  # three by three has most pairs of all sets of nine
    with pytest.raises(ValueError, match="`sites` must be at most 36, all that are connected, but is 37"):
        patch(grid.edges, 0, 37)
