import zipfile
from pathlib import Path

import pytest

from qeqprop.stored_files import find_stored

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("folder", ["circuits", "hardware_profiles"])
def test_what_ships_is_found_from_anywhere(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_stored("README.md", folder).samefile(ROOT / folder / "README.md")


def test_your_own_file_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = tmp_path / "circuits" / "README.md"
    own.parent.mkdir()
    own.write_text("mine")
    assert find_stored("README.md", "circuits").read_text() == "mine"
    (tmp_path / "README.md").write_text("nearer")
    assert find_stored("README.md", "circuits").read_text() == "nearer"
    assert find_stored(str(own), "hardware_profiles") == own


@pytest.mark.parametrize("name", ["", "circuits", "no_such.qasm"])
def test_a_missing_file_is_named(name):
    with pytest.raises(ValueError, match=r"`circuit` must name a file here or in circuits/, but is '"):
        find_stored(name, "circuits", argument="circuit")


def test_a_close_name_is_suggested(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hardware_profiles").mkdir()
    (tmp_path / "hardware_profiles" / "garden_3.toml").touch()
    with pytest.raises(ValueError, match=r"did you mean 'garden_3\.toml'"):
        find_stored("gardn_3.toml", "hardware_profiles", argument="profile")


@pytest.mark.slow
def test_the_wheel_holds_them(tmp_path):
    from hatchling.builders.wheel import WheelBuilder

    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    names = zipfile.ZipFile(wheel).namelist()
    assert "qeqprop/circuits/README.md" in names
    assert "qeqprop/hardware_profiles/README.md" in names
