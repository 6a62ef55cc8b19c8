"""``qeqprop profile``: what it prints and writes, and how it refuses."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from qeqprop.calibration import from_text
from qeqprop.chip_drawing import chip, pair_errors
from qeqprop.cli import app
from qeqprop.snapshots import bundled, calibration_of, profile_text

pytestmark = pytest.mark.usefixtures("here")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def profile(*arguments):
    return CliRunner().invoke(app, ["profile", *map(str, arguments)])


def test_list_names_every_profile_and_your_own(here):
    (here / "hardware_profiles").mkdir()
    (here / "hardware_profiles" / "mine_8.toml").write_text(profile_text("boston_8.toml"))
    (here / "hardware_profiles" / "spoilt.toml").write_text("name = 3")
    (here / "hardware_profiles" / "chosen.toml").write_text('use = "aer:Aer"\nmachine = "garden"')
    found = profile("list")
    assert found.exit_code == 0, found.output
    lines = {line.split()[0]: line for line in found.output.splitlines() if line}
    assert "Heron r2" in lines["kingston_8.toml"]
    assert "2026-04-15" in lines["kingston_8.toml"]
    assert "2.66e-03" in lines["kingston_8.toml"]
    assert lines["mine_8.toml"].split()[1:] == lines["boston_8.toml"].split()[1:]
    assert "cannot be read" in lines["spoilt.toml"]
    assert "aer:Aer garden" in lines["chosen.toml"]
    assert "FakeKingston" in lines


def test_mean_errors_are_those_of_the_file():
    calibration = calibration_of(profile_text("torino_8.toml"))
    line = next(line for line in profile("list").output.splitlines() if line.startswith("torino_8"))
    two, one, readout = map(float, line.split()[-3:])
    assert two == pytest.approx(np.mean([e.error for e in calibration.gates["cz"].values()]), rel=5e-3)
    assert one == pytest.approx(np.mean([e.error for e in calibration.gates["sx"].values()]), rel=5e-3)
    assert readout == pytest.approx(np.mean(calibration.readout), rel=5e-3)


def test_show_prints_numbers_and_draws(here):
    found = profile("show", "kingston_8", "--sites", "5")
    assert found.exit_code == 0, found.output
    assert "FakeKingston of qiskit-ibm-runtime" in found.output
    assert "The best 5 connected qubits: 2, 3, 4, 5, 6" in found.output
    assert (here / "kingston_8.png").read_bytes().startswith(b"\x89PNG")
    rows = [line.split() for line in found.output.splitlines() if line[:5].strip().isdecimal()]
    assert [row[1] for row in rows] == [str(qubit) for qubit in range(8)]
    assert profile("show", "berlin_9.toml", "--no-picture").exit_code == 0
    assert [path.name for path in here.iterdir()] == ["kingston_8.png"]


def test_show_marks_where_a_run_file_goes(here):
    experiment = Path(__file__).parents[1] / "experiments" / "iris_on_a_chip.toml"
    found = profile("show", "FakeTorino", "--file", experiment)
    assert found.exit_code == 0, found.output
    assert "20 two-qubit gates in 12 rounds, no swaps" in found.output
    assert (here / "FakeTorino.png").is_file()
    refused = profile("show", "kingston_8", "--file", experiment.with_name("iris.toml"))
    assert refused.exit_code == 2
    assert "must be left out with the solver Exact" in refused.output


def test_show_of_settings_prints_them(here):
    (here / "chosen.toml").write_text('use = "aer:Aer"\nshots = 7')
    output = profile("show", "chosen").output
    assert "aer:Aer" in output
    assert "7" in output


def test_a_snapshot_is_a_profile(here):
    found = profile("snapshot", "FakeSherbrooke", "--qubits", "30,17,12")
    assert found.exit_code == 0, found.output
    written = from_text((here / "sherbrooke_3.toml").read_text())
    assert written.physical == (30, 17, 12)
    assert from_text(profile_text("sherbrooke_3.toml")).gates["ecr"].keys() == {(1, 0), (1, 2)} | {
        pair for pair in written.gates["ecr"] if pair not in {(1, 0), (1, 2)}
    }
    again = profile("snapshot", "FakeSherbrooke", "--qubits", "30,17,12")
    assert again.exit_code == 2
    assert "is there already" in again.output
    assert profile("snapshot", "FakeSherbrooke", "--sites", 4, "--line", "--out", "line.toml").exit_code == 0
    assert Path("line.toml").is_file()
    assert profile("show", "line", "--no-picture").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "kingstn_8"], "did you mean 'kingston_8.toml'"),
        (["show", "kingston_8", "--sites", "9"], "9 connected qubits"),
        (["snapshot", "FakeKingstown"], "did you mean 'FakeKingston'"),
        (["snapshot", "FakeKingston", "--qubits", "1,2", "--sites", "2"], "give --qubits or --sites, not both"),
        (["snapshot", "FakeKingston", "--qubits", "1,x"], "--qubits must be different numbers"),
        (["snapshot", "FakeKingston", "--qubits", "1,1"], "--qubits must be different numbers"),
        (["snapshot", "FakeKingston", "--qubits", "112,111"], "qubit 112 of FakeKingston does not work"),
    ],
)
def test_mistakes_are_said_and_nothing_is_written(here, arguments, message):
    found = profile(*arguments)
    assert found.exit_code == 2, found.output
    assert message in " ".join(found.output.split())
    assert not list(here.iterdir())


# --- the picture


def artists(figure, gid):
    return [artist for ax in figure.axes for artist in ax.get_children() if artist.get_gid() == gid]


def test_a_whole_chip_shows_what_is_broken():
    whole = bundled("FakeKingston")
    figure = chip(whole, sites=[2, 3, 4], couplings=[(0, 1), (1, 2)])
    (pairs,), (broken,), (crosses,) = (artists(figure, gid) for gid in ("pairs", "broken pairs", "crosses"))
    assert len(pairs.get_segments()) == len(pair_errors(whole)) == 164
    assert len(broken.get_segments()) == 176 - 164
    assert len(crosses.get_xdata()) == 1  # 120-121; the others end in broken qubits
    (qubits,) = artists(figure, "qubits")
    assert len(qubits.get_paths()) == 156
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert sorted(map(int, texts)) == sorted([*range(156), 0, 1, 2])


def test_a_part_of_a_chip_is_drawn_alone():
    figure = chip(calibration_of(profile_text("torino_8.toml")))
    (qubits,) = artists(figure, "qubits")
    assert len(qubits.get_paths()) == 8
    assert not artists(figure, "crosses")
    with pytest.raises(ValueError, match="`sites` must name qubits of ibm_torino that work, but 0 is none"):
        chip(calibration_of(profile_text("torino_8.toml")), sites=[0])


def test_colours_follow_the_errors():
    """The worst pair and the worst readout are the darkest."""
    calibration = calibration_of(profile_text("kingston_8.toml"))
    figure = chip(calibration)
    (pairs,), (qubits,) = artists(figure, "pairs"), artists(figure, "qubits")
    errors = list(pair_errors(calibration).values())
    assert int(np.argmin(pairs.get_colors()[:, :3].sum(axis=1))) == int(np.argmax(errors))
    darkest = int(np.argmin(qubits.get_facecolors()[:, :3].sum(axis=1)))
    assert darkest == int(np.argmax(calibration.readout.mean(axis=1))) == 1
