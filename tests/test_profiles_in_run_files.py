"""Profiles named in run files: calibrations are noisy devices, settings are the devices that they choose."""

from pathlib import Path

import pytest

from qeqprop.devices.profile import Profile
from qeqprop.devices.statevector import Statevector
from qeqprop.experiment import Experiment
from qeqprop.runfile import RunFileError

RUN = """\
schema = 1
[network]
use = "transverse_ising:transverse_ising"
sites = 3
edges = "chain"
n_inputs = 2
[data]
use = "boolean:xor"
[solver]
use = "adiabatic:Adiabatic"
total_time = 2.0
steps = 2
tolerance = 1.0
[device]
profile = "NAME"
[rule]
use = "nudging:SymmetricNudging"
[train]
steps = 1
"""


@pytest.fixture
def load(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def loaded(name, *overrides):
        Path("run.toml").write_text(RUN.replace("NAME", name))
        return Experiment.load("run.toml", overrides)

    return loaded


def test_a_calibration_is_a_noisy_device(load):
    setup = load("torino_8.toml", "device.shots=70").setup
    assert setup.device == Profile("torino_8.toml", shots=70)
    assert len(setup.resolved["device"]["checksum"]) == 16


def test_settings_choose_a_device_and_the_run_file_comes_first(load):
    assert load("ideal.toml").setup.device == Statevector(shots=1000)
    found = load("ideal.toml", "device.shots=70")
    assert found.setup.device == Statevector(shots=70)
    assert found.setup.resolved["device"] == {"use": "statevector:Statevector", "shots": 70}  # the profile is inlined


def test_a_whole_machine_is_a_device_whose_numbers_are_part_of_the_run(load):
    setup = load("FakeSherbrooke").setup
    assert setup.device.calibration.n_qubits == 126
    assert setup.resolved["device"]["profile"] == "FakeSherbrooke"
    assert len(setup.resolved["device"]["checksum"]) == 16


@pytest.mark.filterwarnings("ignore::qeqprop.interfaces.PhysicsWarning")
def test_the_same_content_is_the_same_run(load, tmp_path):
    (tmp_path / "mine.toml").write_text('use = "statevector:Statevector"\nshots = 50\n')
    first = load("mine.toml")
    (tmp_path / "mine.toml").write_text('use = "statevector:Statevector"\nshots = 60\n')
    second = load("mine.toml")
    assert first.setup.resolved != second.setup.resolved
    assert second.run(tmp_path / "runs").shots > 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('use = "statevector:Statevectr"', "device.use: no 'statevector:Statevectr'"),
        ('use = "statevector:Statevector"\nshotts = 3', "device.shotts: unknown key .did you mean 'shots'"),
        ("shots = 3", "mine.toml is none: A calibration must have the key 'physical'"),
        ("use = ", "mine.toml is none: Invalid value"),
    ],
)
def test_wrong_files_are_said(load, tmp_path, text, message):
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(RunFileError, match=message):
        load("mine.toml")


def test_a_name_that_is_none_gets_a_suggestion(load):
    with pytest.raises(RunFileError, match=r"device.profile: .*did you mean 'torino_8\.toml'"):
        load("torin_8.toml")
