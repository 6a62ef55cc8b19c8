"""What the pictures show is what the numbers are."""

import subprocess
import sys
import warnings

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, Wedge
from qiskit.quantum_info import SparsePauliOp
from systems import ising_chain, one_qubit, one_qubit_answer, random_network

import qeqprop
from qeqprop import Network, losses, plots
from qeqprop.networks.cluster_ising import cluster_ising, cluster_sensor
from qeqprop.networks.kitaev_honeycomb import kitaev_honeycomb
from qeqprop.networks.transverse_ising import transverse_ising
from qeqprop.operators import term
from qeqprop.rules.holomorphic import Holomorphic
from qeqprop.rules.linear_response import LinearResponse
from qeqprop.rules.nudging import OneSidedNudging, SymmetricNudging
from qeqprop.rules.richardson import Richardson
from qeqprop.solvers.adiabatic import Adiabatic
from qeqprop.solvers.exact import Exact
from qeqprop.solvers.sampled import Sampled
from qeqprop.strokes import INPUT, OUTPUT

MSE = losses.mean_squared_error
ONE_QUBIT = (one_qubit(), [0.8, 1.5], np.zeros((1, 0)), [[1.0]])
NAN = float("nan")


def drawn(figure, tmp_path):
    """Saving works, and makes a picture that is not empty."""
    assert isinstance(figure, Figure)
    figure.savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "figure.png").stat().st_size > 4000
    return figure


def panel(figure, title):
    (found,) = [ax for ax in figure.axes if ax.get_title() == title]
    return found


def named(ax):
    """x and y of every line with a name; of points with error bars too."""
    handles, labels = ax.get_legend_handles_labels()
    lines = [getattr(handle, "lines", [handle])[0] for handle in handles]
    return {
        label: (np.asarray(line.get_xdata(), dtype=float), np.asarray(line.get_ydata(), dtype=float))
        for label, line in zip(labels, lines, strict=True)
        if hasattr(line, "get_xdata")
    }


def artists(figure, kind=PathPatch):
    """The patches of a network's drawing by their names."""
    return {patch.get_gid(): patch for patch in figure.axes[0].patches if isinstance(patch, kind)}


# --- learning curves --------------------------------------------------------------------------------------------


def test_learning_curves_show_every_column_in_its_panel(tmp_path):
    history = {
        "step": [1, 2, 3],
        "loss": [3.0, 2.0, 1.0],
        "validation_loss": [NAN, 2.5, NAN],
        "accuracy": [0.1, 0.2, 0.9],
        "validation_accuracy": [0.0, NAN, 0.8],
        "gradient_norm": [1.0, 2.0, 1.5],
        "gap": [0.5, 0.4, 0.3],
        "shots": [10, 20, 30],
    }
    figure = drawn(plots.learning_curves(history), tmp_path)
    assert [ax.get_title() for ax in figure.axes] == ["Loss", "Accuracy", "Gradient", "Gap", "Measurements"]
    assert all(ax.get_xlabel() == "training step" and ax.get_ylabel() for ax in figure.axes)
    loss, accuracy = named(panel(figure, "Loss")), named(panel(figure, "Accuracy"))
    np.testing.assert_array_equal(loss["training"], ([1, 2, 3], history["loss"]))
    np.testing.assert_array_equal(loss["validation"], ([2], [2.5]))
    np.testing.assert_array_equal(accuracy["training"], ([1, 2, 3], history["accuracy"]))
    np.testing.assert_array_equal(accuracy["validation"], ([1, 3], [0.0, 0.8]))
    for title, name, key in (
        ("Gradient", "gradient", "gradient_norm"),
        ("Gap", "gap", "gap"),
        ("Measurements", "shots", "shots"),
    ):
        np.testing.assert_array_equal(named(panel(figure, title))[name][1], history[key])


def test_learning_curves_do_without_what_is_missing(tmp_path):
    figure = drawn(plots.learning_curves({"theta": [1.0] * 7, "loss": [2.0, NAN, 1.0], "shots": [0, 0, 0]}), tmp_path)
    assert [ax.get_title() for ax in figure.axes] == ["Loss"]
    np.testing.assert_array_equal(named(figure.axes[0])["training"], ([1, 2, 3], [2.0, NAN, 1.0]))
    empty = drawn(plots.learning_curves({"loss": [NAN, np.inf], "accuracy": [NAN, NAN]}), tmp_path)
    assert [text.get_text() for text in empty.axes[0].texts] == ["no finite numbers"]
    assert len(drawn(plots.learning_curves({"step": [1], "loss": [1.0]}), tmp_path).axes) == 1
    drawn(plots.learning_curves({"step": [], "loss": []}), tmp_path)


def test_a_loss_that_falls_by_decades_has_a_logarithmic_axis():
    assert plots.learning_curves({"loss": [1.0, 0.1, 0.01]}).axes[0].get_yscale() == "log"
    assert plots.learning_curves({"loss": [1.0, 0.5, 0.4]}).axes[0].get_yscale() == "linear"
    assert plots.learning_curves({"loss": [1.0, 0.01, -1.0]}).axes[0].get_yscale() == "linear"


@pytest.mark.parametrize(
    ("history", "words"),
    [
        ({}, "must hold at least one of"),
        ({"speed": [1.0]}, r"but holds \['speed'\]"),
        ({"step": [1, 2], "loss": [1.0]}, "columns of one length"),
        ({"loss": [[1.0]]}, "columns of one length"),
    ],
)
def test_a_history_that_makes_no_sense_is_refused(history, words):
    with pytest.raises(ValueError, match=words):
        plots.learning_curves(history)


# --- networks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda: transverse_ising(sites=16, n_inputs=2),
        cluster_sensor,
        cluster_ising,
        kitaev_honeycomb,
        one_qubit,
        lambda: random_network(1),
    ],
)
def test_networks_of_all_kinds_are_drawn(make, tmp_path):
    network = make()
    theta = network.initial + np.linspace(-1, 1, network.n_trainable)
    figure = drawn(plots.network(network, theta), tmp_path)
    texts = {text.get_text(): text.get_position() for text in figure.axes[0].texts}
    assert {str(site) for site in range(network.num_sites)} <= set(texts)
    if network.positions is not None:  # drawn where the network says, up to one scale
        places = np.array([texts[str(site)] for site in range(network.num_sites)])
        factor = np.linalg.norm(places) / np.linalg.norm(network.positions)
        np.testing.assert_allclose(places, factor * network.positions, atol=1e-12)
    drawn(plots.network(network), tmp_path)
    drawn(plots.network(network, theta, x=np.linspace(0.3, 1, network.n_inputs)), tmp_path)


def small_network():
    """Three couplings on one bond, one on another, fields, a string of three letters, an input and an output."""
    return Network.of(
        trainable=[term(word, (0, 1), 4) for word in ("XX", "YY", "ZZ")]
        + [term("ZZ", (1, 2), 4), term("X", (3,), 4), term("ZXZ", (0, 1, 2), 4)],
        inputs=[term("Z", (0,), 4)],
        outputs=[term("Z", (2,), 4)],
    )


def test_colours_are_signed_and_centred_and_widths_are_magnitudes():
    figure = plots.network(small_network(), [1.0, -2.0, 0.5, 2.0, -1.0, 0.25])
    bar = figure.axes[1]
    assert bar.get_xlim() == (-2.0, 2.0)  # zero in the middle
    found = artists(figure)
    bonds = [found[f"bond {name}"] for name in ("X0 X1", "Y0 Y1", "Z0 Z1", "Z1 Z2")]
    widths = [bond.get_linewidth() for bond in bonds]
    thinnest = 0.4
    shares = (np.array(widths) - thinnest) / (max(widths) - thinnest)
    np.testing.assert_allclose(shares, [0.5, 1.0, 0.25, 1.0])
    red, blue = bonds[3].get_edgecolor(), bonds[1].get_edgecolor()
    assert red[0] > red[2]
    assert blue[2] > blue[0]
    field = artists(figure, Wedge)["field X3"].get_facecolor()
    assert field[2] > field[0]
    assert found["patch Z0 X1 Z2"].get_alpha() < 0.5  # faint


def test_couplings_of_one_bond_are_parallel_lines_of_different_styles():
    figure = plots.network(small_network(), np.ones(6))
    found = artists(figure)
    bonds = [found[f"bond {name}"] for name in ("X0 X1", "Y0 Y1", "Z0 Z1")]
    paths = [bond.get_path().vertices for bond in bonds]
    shifts = [path - paths[0] for path in paths[1:]]
    assert all(np.allclose(shift, shift[0]) and np.linalg.norm(shift[0]) > 0.02 for shift in shifts)
    assert len({str(bond.get_linestyle()) for bond in bonds}) == 3
    words = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert {"XX coupling", "YY coupling", "ZZ coupling", "input site", "output site", "hidden site"} <= set(words)


def test_sites_have_the_colours_of_their_roles():
    driven = Network.of(
        trainable=[term("X", (1,), 3), term("X", (2,), 3)],
        driver=[0, -1],
        inputs=[term("Z", (0,), 3)],
        outputs=[term("ZZ", (1, 2), 3)],
    )
    discs = artists(plots.network(driven), Wedge)
    colour = {name: to_hex(disc.get_facecolor()).upper() for name, disc in discs.items() if name}
    assert colour["site 0 0"] == INPUT
    assert colour["site 2 0"] == OUTPUT
    assert (colour["site 1 90"], colour["site 1 270"]) == (INPUT, OUTPUT)  # driven and read: a disc of two colours


def test_terms_without_a_value_are_not_given_a_colour_of_the_scale():
    figure = plots.network(small_network())
    assert len(figure.axes) == 1  # no colour bar
    assert len({bond.get_edgecolor() for bond in artists(figure).values() if bond.get_alpha() is None}) == 1
    without = artists(plots.network(small_network(), np.ones(6)), Wedge)["field Z0"].get_facecolor()
    assert to_hex(without).upper() == INPUT
    given = artists(plots.network(small_network(), np.ones(6), x=[-1.0]), Wedge)["field Z0"].get_facecolor()
    assert given[2] > given[0]


def test_a_line_bends_around_a_site_in_its_way():
    network = Network.of(
        trainable=[term("ZZ", (0, 2), 3)], outputs=[term("Z", (1,), 3)], positions=[[0, 0], [1, 0], [2, 0]]
    )
    start, control, end = artists(plots.network(network, [1.0]))["bond Z0 Z2"].get_path().vertices
    t = np.linspace(0, 1, 101)[:, None]
    curve = (1 - t) ** 2 * start + 2 * t * (1 - t) * control + t**2 * end
    np.testing.assert_allclose([start, end], [[0, 0], [2, 0]])
    assert np.min(np.linalg.norm(curve - [1.0, 0.0], axis=1)) > 0.31  # clear of the site's ring


def test_wrong_shapes_of_a_network_are_named():
    with pytest.raises(ValueError, match="`theta`"):
        plots.network(small_network(), [1.0])
    with pytest.raises(ValueError, match=r"`x` must have shape \(n_inputs,\) = \(1,\)"):
        plots.network(small_network(), np.ones(6), x=[1.0, 2.0])


# --- free and nudged --------------------------------------------------------------------------------------------


def test_free_and_nudged_expectations_are_those_of_the_states(tmp_path):
    figure = drawn(plots.nudged_expectations(*ONE_QUBIT, loss=MSE, beta=0.1), tmp_path)
    left, right = figure.axes
    free = one_qubit_answer(0.8, 1.5)
    error = losses.mean_squared_error().gradient(np.array([[free.z]]), np.array([[1.0]]))[0, 0]
    nudged = one_qubit_answer(0.8 - 0.1 * error, 1.5)  # H + beta e Z
    np.testing.assert_allclose(named(left)["free"], ([-free.z, -free.x], [0, 1]), atol=1e-12)
    np.testing.assert_allclose(named(left)["nudged, beta = 0.1"], ([-nudged.z, -nudged.x], [0, 1]), atol=1e-12)
    np.testing.assert_allclose(
        named(right)["(nudged − free) / beta"][0], [(free.z - nudged.z) / 0.1, (free.x - nudged.x) / 0.1]
    )
    np.testing.assert_allclose(named(right)["gradient dL/dθ"][0], error * free.z_gradient)
    assert [label.get_text() for label in left.get_yticklabels()] == ["Z0", "X0"]


def test_the_difference_over_beta_is_one_sided_nudging():
    network = random_network(3)
    case = (network, network.initial, np.array([[0.2, 0.4], [0.7, -0.3]]), np.zeros((2, network.n_outputs)))
    wanted = qeqprop.gradient(*case, loss=MSE, rule=OneSidedNudging(beta=-0.2)).values
    right = plots.nudged_expectations(*case, loss=MSE, beta=-0.2).axes[1]
    np.testing.assert_allclose(named(right)["(nudged − free) / beta"][0], wanted, atol=1e-10)


def test_measured_expectations_have_error_bars():
    figure = plots.nudged_expectations(
        *ONE_QUBIT, loss=MSE, beta=0.5, solver=Sampled(Exact(), shots=100), rule=SymmetricNudging(0.5), seed=3
    )

    def lengths(ax):
        return {
            container.get_label(): [segment[1, 0] - segment[0, 0] for segment in container.lines[2][0].get_segments()]
            for container in ax.containers
        }

    left, right = map(lengths, figure.axes)
    z = one_qubit_answer(0.8, 1.5).z
    assert left["free"][0] == pytest.approx(2 * np.sqrt((1 - z**2) / 100), rel=0.3)
    of_difference = np.hypot(left["free"], left["nudged, beta = 0.5"]) / 0.5
    np.testing.assert_allclose(right["(nudged − free) / beta"], of_difference)
    exact = plots.nudged_expectations(*ONE_QUBIT, loss=MSE).axes[0].containers
    assert not any(container.has_xerr for container in exact)


@pytest.mark.parametrize("beta", [0.0, NAN, np.inf])
def test_a_nudge_must_be_a_finite_number_other_than_zero(beta):
    with pytest.raises(ValueError, match="`beta`"):
        plots.nudged_expectations(*ONE_QUBIT, loss=MSE, beta=beta)


# --- a rule beside the exact gradient ---------------------------------------------------------------------------


def test_a_rule_beside_the_exact_gradient(tmp_path):
    check = qeqprop.check_gradient(*ONE_QUBIT, loss=MSE, rule=SymmetricNudging(0.3))
    figure = drawn(plots.rule_against_exact(check), tmp_path)
    (ax,) = figure.axes
    np.testing.assert_array_equal(named(ax)["parameter"], (check.reference, check.gradient.values))
    across, up = named(ax)["rule = reference"]
    np.testing.assert_array_equal(across, up)
    assert across[0] < min(check.reference) < max(check.reference) < across[1]
    text = " ".join(text.get_text() for text in ax.texts)
    assert f"cosine {check.cosine:.6f}" in text
    assert f"slope {check.slope:.6f}" in text


def test_measured_gradients_have_error_bars(tmp_path):
    check = qeqprop.check_gradient(
        *ONE_QUBIT,
        loss=MSE,
        rule=SymmetricNudging(0.3),
        solver=Sampled(Exact(), shots=100),
        reference_solver=Exact(),
    )
    ax = drawn(plots.rule_against_exact(check), tmp_path).axes[0]
    (points,) = ax.containers
    lengths = [segment[1, 1] - segment[0, 1] for segment in points.lines[2][0].get_segments()]
    np.testing.assert_allclose(lengths, 2 * check.gradient.std_errors)


# --- errors against beta ----------------------------------------------------------------------------------------


def test_errors_fall_with_the_order_of_the_rule(tmp_path):
    betas = [0.02, 0.04, 0.08]
    figure = drawn(plots.error_against_beta(*ONE_QUBIT, loss=MSE, betas=betas[::-1]), tmp_path)
    (ax,) = figure.axes
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    curves = named(ax)
    wanted = qeqprop.gradient(*ONE_QUBIT, loss=MSE, rule=LinearResponse()).values
    for name, order, make in (
        ("one-sided", 1, OneSidedNudging),
        ("symmetric", 2, SymmetricNudging),
        ("Richardson", 4, lambda beta: Richardson(betas=(beta / 2, beta))),
        ("holomorphic", 4, lambda beta: Holomorphic(beta=beta, points=4)),
    ):
        across, errors = curves.pop(name)
        np.testing.assert_array_equal(across, betas)
        assert np.polyfit(np.log(betas), np.log(errors), 1)[0] == pytest.approx(order, abs=0.2)
        found = qeqprop.gradient(*ONE_QUBIT, loss=MSE, rule=make(0.08)).values
        assert errors[2] == pytest.approx(np.max(np.abs(found - wanted)), rel=1e-6)
    assert not curves
    assert sorted(text.get_text() for text in ax.texts) == ["slope 1", "slope 2", "slope 4"]


def test_reference_slopes_have_the_slope_they_name():
    (ax,) = plots.error_against_beta(*ONE_QUBIT, loss=MSE, betas=np.geomspace(0.02, 0.2, 5)).axes
    guides = {line.get_label(): line.get_xydata() for line in ax.lines if line.get_label().startswith("_slope")}
    assert set(guides) == {"_slope 1", "_slope 2", "_slope 4"}
    for label, points in guides.items():
        rise = np.diff(np.log(points), axis=0)
        np.testing.assert_allclose(rise[:, 1] / rise[:, 0], float(label.split()[1]))


def test_rules_of_ones_own_and_solvers_that_do_not_follow_complex_nudges():
    warm = Exact(temperature=0.5)
    (ax,) = plots.error_against_beta(*ONE_QUBIT, loss=MSE, betas=[0.05, 0.1], solver=warm).axes
    assert set(named(ax)) == {"one-sided", "symmetric", "Richardson"}
    own = {"mine": lambda beta: SymmetricNudging(beta=beta)}
    (ax,) = plots.error_against_beta(*ONE_QUBIT, loss=MSE, betas=[0.05, 0.1], rules=own).axes
    assert set(named(ax)) == {"mine"}
    with pytest.raises(ValueError, match="Complex nudges"):
        plots.error_against_beta(
            *ONE_QUBIT, loss=MSE, betas=[0.1], solver=warm, rules={"mine": lambda beta: Holomorphic(beta=beta)}
        )


def test_a_rule_that_refuses_leaves_a_hole_and_one_that_warns_a_hollow_point():
    # H = -0.3 Z, error signal 4: at beta = 0.3 / 4 the nudge turns the ground state over
    network = one_qubit()
    case = (network, [0.3, 0.0], np.zeros((1, 0)), [[-1.0]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # none gets out of the plot
        (ax,) = plots.error_against_beta(
            *case, loss=MSE, betas=[0.01, 1.0], rules={"one-sided": lambda beta: OneSidedNudging(beta=beta)}
        ).axes
    hollow = [line.get_xdata().tolist() for line in ax.lines if line.get_markerfacecolor() == "white"]
    assert hollow == [[1.0]]
    near = (one_qubit(), [0.1, 0.1], np.zeros((1, 0)), [[-1.0]])  # exceptional point at beta = 0.04
    (ax,) = plots.error_against_beta(
        *near, loss=MSE, betas=[0.005, 0.5], rules={"holomorphic": lambda beta: Holomorphic(beta=beta)}
    ).axes
    assert np.isfinite(named(ax)["holomorphic"][1]).tolist() == [True, False]


@pytest.mark.parametrize("betas", [[], [0.1, 0.0], [-0.1], [NAN], [[0.1]]])
def test_nudges_must_be_above_zero(betas):
    with pytest.raises(ValueError, match="`betas`"):
        plots.error_against_beta(*ONE_QUBIT, loss=MSE, betas=betas)


# --- spectra ----------------------------------------------------------------------------------------------------


def test_the_spectrum_along_a_path(tmp_path):
    path = np.stack([np.full(5, 0.8), np.linspace(2.0, 0.1, 5)], axis=1)
    figure = drawn(plots.spectrum(one_qubit(), path, [], n_levels=2, steps=[0, 10, 20, 30, 40]), tmp_path)
    (ax,) = figure.axes
    gaps = 2 * np.hypot(path[:, 0], path[:, 1])
    np.testing.assert_allclose(named(ax)["first excited"], ([0, 10, 20, 30, 40], gaps))
    np.testing.assert_array_equal(named(ax)["ground state"][1], np.zeros(5))
    narrowest = named(ax)[f"smallest gap {gaps[-1]:.3g}"]
    np.testing.assert_allclose(narrowest, ([40], [gaps[-1]]))
    (shade,) = ax.collections
    assert shade.get_paths()[0].get_extents().ymax == pytest.approx(gaps.max())
    assert ax.get_xlabel() == "training step"


@pytest.mark.parametrize("sites", [3, 9])
def test_levels_are_those_of_the_hamiltonian_with_its_inputs(sites):
    network = transverse_ising(sites=sites, n_inputs=2, edges="chain")
    thetas = network.initial + 0.3 * np.random.default_rng(1).normal(size=(2, network.n_trainable))
    x = [0.4, -0.7]
    (ax,) = plots.spectrum(network, thetas, x, n_levels=4).axes
    curves = sorted(
        (np.asarray(line.get_ydata(), dtype=float) for line in ax.lines if len(line.get_ydata()) == 2), key=np.sum
    )
    energies = np.stack([np.linalg.eigvalsh(network.hamiltonian(theta, x).to_matrix())[:4] for theta in thetas])
    np.testing.assert_allclose(np.transpose(curves), energies - energies[:, :1], atol=1e-8)


def test_degenerate_levels_and_single_points_are_drawn(tmp_path):
    network = Network.of(trainable=[SparsePauliOp(["ZZ"], [-1.0])], outputs=[SparsePauliOp(["IZ"])])
    (ax,) = drawn(plots.spectrum(network, [[1.0]], n_levels=9), tmp_path).axes  # only four levels exist
    assert named(ax)["first excited"][1].tolist() == [0.0]
    assert sorted(line.get_ydata()[0] for line in ax.lines if line.get_label() != "smallest gap 0") == [0, 0, 2, 2]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"thetas": [0.8, 1.5]}, r"`thetas` must have shape \(n_points, n_trainable\)"),
        ({"thetas": np.zeros((0, 2))}, "at least one point"),
        ({"thetas": [[NAN, 1.0]]}, "`thetas` must be finite"),
        ({"x": [1.0]}, "`x` must have shape"),
        ({"steps": [1, 2]}, "`steps` must have shape"),
        ({"n_levels": 1}, "`n_levels` must be at least 2"),
    ],
)
def test_a_path_that_makes_no_sense_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        plots.spectrum(**({"network": one_qubit(), "thetas": [[0.8, 1.5]], "x": []} | change))


# --- sweeps -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sites", [4, 7])  # diagonalised in full, and not
def test_the_gap_along_a_sweep_is_that_of_the_coupled_level(sites, tmp_path):
    """Sweeps of an Ising chain conserve its parity, so that excitations come in pairs of modes."""
    J, g = 1.0, 0.4
    figure = drawn(
        plots.gap_along_path(ising_chain(sites), [J, g], solver=Adiabatic(9.0), n_levels=8, points=31), tmp_path
    )
    (ax,) = figure.axes
    lines = named(ax)
    s, gap = lines["lowest level that is coupled"]
    f = (1 - np.cos(np.pi * s)) / 2
    chains = [(1 - part + part * g) * np.eye(sites) + part * J * np.eye(sites, k=1) for part in f]
    pairs = np.array([2 * np.sum(np.linalg.svd(chain)[1][-2:]) for chain in chains])
    assert np.isfinite(gap).sum() > 10
    assert np.all((gap > pairs - 1e-5)[np.isfinite(gap)])
    assert np.nanmin(gap) == pytest.approx(np.min(pairs), rel=1e-4)
    assert any(f"smallest gap {np.nanmin(gap):.3g}" in label for label in lines)
    assert any(text.get_text().endswith("taken 9") for text in ax.get_legend().get_texts())


def test_wrong_arguments_of_sweeps_are_named():
    for choices, name in (
        ({"n_levels": 1}, "n_levels"),
        ({"points": 1}, "points"),
        ({"solver": Adiabatic(level=1)}, "solver"),
        ({"x": [1.0]}, "x"),
        ({"theta": [1.0]}, "theta"),
    ):
        with pytest.raises(ValueError, match=f"`{name}`"):
            plots.gap_along_path(**{"network": ising_chain(3), "theta": [1.0, 0.5], **choices})


# --- all of them ------------------------------------------------------------------------------------------------


def test_pictures_go_into_given_axes():
    figure = Figure(figsize=(12, 8))
    axes = figure.subplots(1, 5).ravel()
    check = qeqprop.check_gradient(*ONE_QUBIT, loss=MSE, rule=SymmetricNudging(0.3))
    for ax, draw in zip(
        axes,
        (
            lambda ax: plots.network(one_qubit(), [0.8, 1.5], ax=ax),
            lambda ax: plots.rule_against_exact(check, ax=ax),
            lambda ax: plots.error_against_beta(*ONE_QUBIT, loss=MSE, betas=[0.05, 0.1], ax=ax),
            lambda ax: plots.spectrum(one_qubit(), [[0.8, 1.5], [1.0, 1.0]], ax=ax),
            lambda ax: plots.gap_along_path(one_qubit(), [0.8, 1.5], points=11, ax=ax),
        ),
        strict=True,
    ):
        assert draw(ax) is figure
        assert ax.has_data()
        assert ax.get_title()


@pytest.mark.parametrize(
    "make", [kitaev_honeycomb, one_qubit, lambda: random_network(1), cluster_sensor, cluster_ising]
)
def test_nothing_is_cut_off_at_the_edge(make):
    """Title, legend and the label of the colour bar lie inside the picture."""
    network = make()
    figure = plots.network(network, network.initial + 1.0)
    figure.draw_without_rendering()
    picture, bar = figure.axes
    for words in (picture.title, picture.get_legend(), bar.xaxis.label):
        box = words.get_window_extent()
        assert min(box.x0, box.y0) >= -1
        assert box.x1 <= figure.bbox.width + 1
        assert box.y1 <= figure.bbox.height + 1


def test_notebooks_get_an_image():
    assert plots.learning_curves({"loss": [2.0, 1.0]})._repr_png_().startswith(b"\x89PNG")


def test_no_window_and_no_global_figure_is_made():
    code = (
        "import sys, qeqprop; from qeqprop import plots; from qeqprop.networks.cluster_ising import cluster_ising;"
        "plots.learning_curves({'step': [1], 'loss': [1.0]})._repr_png_();"
        "plots.network(cluster_ising(sites=4), [1.0, 0.5])._repr_png_();"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
