"""Profiles named in run files: calibrations are noisy devices, settings are the devices that they choose."""

from pathlib import Path

import pytest

from qeqprop.devices.profile import Profile
from qeqprop.devices.statevector import Statevector
from qeqprop.experiment import Experiment
from qeqprop.runfile import RunFileError
from qeqprop.snapshots import BUNDLED, FOLDER, calibration_of, profile_text, settings_of
from qeqprop.stored_files import stored_names

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


# --- settings for IBM's machines, submitted by the unmodified client to the stand-in of the service

SETTINGS = {
    "heron_r1.toml": ("torino", "torino_8.toml"),
    "heron_r2.toml": ("kingston", "kingston_8.toml"),
    "heron_r3.toml": ("boston", "boston_8.toml"),
    "nighthawk.toml": ("miami", "berlin_9.toml"),
    "eagle.toml": ("sherbrooke", "sherbrooke_6.toml"),
}


def test_every_stored_profile_is_tested():
    names = {name for name in stored_names(FOLDER) if name.endswith(".toml")}
    calibrations = {name for name in names if settings_of(profile_text(name)) is None}
    assert names == calibrations | set(SETTINGS) | {"ideal.toml"}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_are_for_a_machine_of_their_family(load, name):
    full, part = SETTINGS[name]
    device = load(name, "device.instance=mine").setup.device
    assert device.machine == f"ibm_{full}"
    assert device.mode == "batch"
    assert device.max_execution_time == 300
    family = calibration_of(profile_text(part)).family
    assert family.split()[0] == BUNDLED[f"Fake{full.capitalize()}"].family.split()[0]


def submitted(load, name, offered, machine, folder):
    """One step of a run with these settings."""
    from qeqprop.rehearsal.server import Rehearsal

    with Rehearsal((offered,), plan="open") as service, service.connected():
        run = load(name, f"device.machine={machine}", "device.shots=100", f"device.instance={service.instance}")
        found = run.run(folder)
        return found, service.jobs


@pytest.mark.filterwarnings("ignore::qeqprop.interfaces.PhysicsWarning")
@pytest.mark.parametrize("name", SETTINGS)
def test_settings_are_taken_by_client_and_service(load, tmp_path, name):
    part = SETTINGS[name][1]
    found, jobs = submitted(load, name, part, f"ibm_{part.removesuffix('.toml')}", tmp_path / "runs")
    assert found.shots == sum(job.executions for job in jobs) > 0
    assert all(job.state == "Completed" for job in jobs)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::qeqprop.interfaces.PhysicsWarning")
@pytest.mark.parametrize("name", SETTINGS)
def test_settings_run_on_their_whole_machine(load, tmp_path, name):
    full = SETTINGS[name][0]
    found, jobs = submitted(load, name, full, f"ibm_{full}", tmp_path / "runs")
    assert found.shots == sum(job.executions for job in jobs) > 0
