"""The command line: what it prints, how it exits, and what it leaves on the disk."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from qeqprop import __version__
from qeqprop.cli import app
from qeqprop.experiment import Experiment
from qeqprop.ledger import FILE_NAME, open_run
from qeqprop.terminal import user_errors

GOOD = """\
schema = 1
[network]
use = "transverse_ising:transverse_ising"
sites = 3
n_inputs = 2
[data]
use = "boolean:xor"
[rule]
use = "nudging:SymmetricNudging"
beta = 0.1
[train]
steps = 3
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("good.toml").write_text(GOOD)
    return tmp_path


def qeqprop(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def everything(folder):
    return {path: path.read_bytes() if path.is_file() else None for path in Path(folder).rglob("*")}


# --- mistakes: 30 and more, each with one clear message, exit code 2 and nothing written


def changed(old, new):
    assert old in GOOD
    return GOOD.replace(old, new)


BAD_FILES = {
    "empty": ("", "bad.toml:1: schema: missing key"),
    "syntax": (changed("sites = 3", "sites = "), "bad.toml:4: not valid TOML"),
    "unclosed table": (changed("[data]", "[data"), "bad.toml:6: not valid TOML"),
    "unclosed string": (changed('"boolean:xor"', '"boolean:xor'), "bad.toml:7: not valid TOML"),
    "twice": (changed("sites = 3", "sites = 3\nsites = 4"), "bad.toml:5: not valid TOML: Cannot overwrite a value"),
    "deep": ("a = " + "[" * 5000 + "]" * 5000, "nested too deeply"),
    "binary": (bytes(range(256)), "bad.toml:2: is not UTF-8 text (byte 0x80)."),
    "utf-16": (GOOD.encode("utf-16"), "bad.toml:1: is not UTF-8 text"),
    "latin-1": (f"# Schrödinger\n{GOOD}".encode("latin-1"), "bad.toml:1: is not UTF-8 text (byte 0xf6)"),
    "yaml": ("schema: 1\nnetwork:\n  sites: 3\n", "bad.toml:1: not valid TOML"),
    "no schema": (changed("schema = 1\n", ""), "bad.toml:1: schema: missing key (write `schema = 1` at the top)"),
    "schema": (changed("schema = 1", "schema = 99"), "bad.toml:1: schema: must be 1, but is 99"),
    "no network": (changed("[network]", "[nettwork]"), "bad.toml:2: nettwork: unknown key (did you mean 'network'?)"),
    "no use": (changed('use = "boolean:xor"', ""), "bad.toml:6: data.use: missing key"),
    "no steps": (changed("steps = 3", ""), "bad.toml:11: train.steps: missing key"),
    "typing error": (changed("beta", "betta"), "bad.toml:10: rule.betta: unknown key (did you mean 'beta'?)"),
    "no such part": (changed("xor", "xorr"), "bad.toml:7: data.use: no 'boolean:xorr' in qeqprop.datasets"),
    "no such module": (changed("boolean:", "nowhere:"), "bad.toml:7: data.use: no 'nowhere:xor' in qeqprop.datasets"),
    "a class that is no part": (changed("boolean:xor", "pathlib:Path"), "data: pathlib:Path must give Dataset"),
    "not a name": (changed('"boolean:xor"', '"what is this?"'), "bad.toml:7: data.use: no 'what is this?'"),
    "text for a number": (changed("sites = 3", 'sites = "3"'), "bad.toml:4: network.sites: must be a valid integer"),
    "bool for a number": (changed("sites = 3", "sites = true"), "bad.toml:4: network.sites: must be a valid integer"),
    "out of range": (changed("0.1", "-0.1"), "bad.toml:10: rule.beta: must be greater than 0, but is -0.1"),
    "not a number": (changed("0.1", "nan"), "bad.toml:10: rule.beta: must be a finite number, but is nan"),
    "no steps at all": (changed("steps = 3", "steps = 0"), "train.steps: must be greater than or equal to 1, but is 0"),
    "seed": (changed("schema = 1", "schema = 1\nseed = 1.5"), "bad.toml:2: seed: must be a whole number"),
    "not a table": (
        "train = 3\n" + GOOD.replace("[train]\nsteps = 3\n", ""),
        "bad.toml:1: train: must be a table, but is 3",
    ),
    "features": (changed("n_inputs = 2", "n_inputs = 5"), "bad.toml:6: data: has 2 features, but the network takes 5"),
    "outputs": (changed("sites = 3", "sites = 9\nn_outputs = 3"), "target columns, but the network has 3 outputs"),
    "batch": (changed("steps = 3", "steps = 3\nbatch = 7"), "bad.toml:13: train.batch: must be at most the number"),
    "loss": ("loss = 'negativ_magnitude'\n" + GOOD, "bad.toml:1: loss: no 'negativ_magnitude' in qeqprop.losses"),
    "loss of other data": ("loss = 'hinge'\n" + GOOD.replace("xor", 'xor"\ntargets = "onehot'), "target columns"),
}


@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files(here, name, command):
    text, message = BAD_FILES[name]
    Path("bad.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert_refused(here, [command, "bad.toml"], message)


BAD_ARGUMENTS = {
    "no file": (["run", "absent.toml"], "absent.toml: no such file."),
    "a folder": (["run", "folder"], "folder: is a folder, not a run file."),
    "a strange name": (["check", "x" * 5000], "cannot be read"),
    "set without value": (["run", "good.toml", "--set", "rule.beta"], "--set rule.beta: must be of the form key=value"),
    "set wrong value": (["run", "good.toml", "--set", "rule.beta=x"], "--set rule.beta: must be a valid number"),
    "set unknown key": (
        ["run", "good.toml", "--set", "rule.bet=1"],
        "--set rule.bet: unknown key (did you mean 'beta'?)",
    ),
    "set into a value": (["run", "good.toml", "--set", "rule.beta.x=1"], "rule.beta is 0.1, not a table"),
    "results into a file": (["run", "good.toml", "--folder", "good.toml"], "good.toml"),
    "unknown option": (["run", "good.toml", "--sett", "a=1"], "No such option: --sett"),
    "unknown command": (["trian", "good.toml"], "No such command 'trian'"),
    "no argument": (["run"], "Missing argument 'FILE'"),
    "show nothing": (["show", "absent"], "absent: no such folder"),
    "show a file": (["show", "good.toml"], "good.toml: not a folder"),
    "show another folder": (["show", "folder"], "folder: not a run folder, it has no ledger.sqlite"),
    "show garbage": (["show", "garbage"], "not a ledger"),
    "show an empty ledger": (["show", "empty"], "the run has not begun yet"),
    "init over a file": (["init", "good"], "good.toml: is there already"),
    "init into nowhere": (["init", "absent/new"], "absent/new.toml"),
}


@pytest.mark.parametrize("name", BAD_ARGUMENTS)
def test_bad_arguments(here, name):
    arguments, message = BAD_ARGUMENTS[name]
    for folder in ("folder", "garbage", "empty"):
        Path(folder).mkdir()
    (here / "garbage" / FILE_NAME).write_bytes(b"\x93garbage" * 300)
    (here / "empty" / FILE_NAME).write_bytes(b"")
    assert_refused(here, arguments, message)


def assert_refused(folder, arguments, message):
    before = everything(folder)
    result = qeqprop(*arguments)
    assert message in " ".join(result.output.split()), result.output
    assert result.exit_code == 2
    assert isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    assert everything(folder) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable_file(here):
    Path("good.toml").chmod(0)
    assert_refused(here, ["run", "good.toml"], "good.toml: cannot be read")


def test_a_rule_that_the_solver_cannot_serve(here):
    arguments = ["--set", "solver.use=sampled:Sampled", "--set", "rule={use='linear_response:LinearResponse'}"]
    assert_refused(here, ["run", "good.toml", *arguments], "use a nudging rule")


def test_a_run_that_another_process_works_on(here):
    from qeqprop.runfile import canonical

    experiment = Experiment.load("good.toml")
    resolved = canonical(experiment.setup.resolved)
    with open_run(here / "runs" / experiment.name, resolved=resolved, versions=experiment.setup.versions):
        assert_refused(here, ["run", "good.toml"], "another process is working on this run")


# --- what works


def test_init_writes_a_file_that_checks(here):
    assert qeqprop("init", "iris").exit_code == 0
    text = Path("iris.toml").read_text()
    assert "qeqprop run iris.toml" in text
    assert tomllib.loads(text)["schema"] == 1
    result = qeqprop("check", "iris.toml")
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in here.iterdir()) == ["good.toml", "iris.toml"]
    result = qeqprop("run", "iris.toml", "--set", "train.steps=2", "--quiet")
    assert (result.exit_code, result.output) == (0, "")


def test_check_shows_all_defaults_and_writes_nothing(here):
    before = everything(here)
    result = qeqprop("check", "good.toml", "--set", "rule.beta=0.25")
    assert result.exit_code == 0
    resolved, _, table = result.stdout.rpartition("\n\n")
    assert tomllib.loads(resolved) == Experiment.load("good.toml", ["rule.beta=0.25"]).setup.resolved
    assert "trainable" in table
    assert everything(here) == before


def test_a_search_inside_a_step_can_be_followed(here, monkeypatch):
    monkeypatch.setattr("qeqprop.progress.LINE_EVERY", 0.0)
    ansatz = "{use='hamiltonian_variational:hamiltonian_variational', layers=3}"
    options = ["--set", f"solver={{use='variational:Variational', ansatz={ansatz}, tolerance=1e-4}}"]
    result = qeqprop("run", "good.toml", *options)
    assert result.exit_code == 0, result.output
    lines = [line for line in result.output.splitlines() if "VQE" in line]
    assert lines[0].startswith("after step 0/3: VQE 1/1000, 4 states to go, ")
    assert lines[-1].startswith("after step 3/3: VQE ") or lines[-1].startswith("after step 2/3: VQE ")
    assert all(" to be " in line for line in lines)


def test_check_says_that_a_measured_response_is_not_counted(here):
    options = ['solver={use="random_time:RandomTime"}', 'rule={use="linear_response:LinearResponse"}']
    device = 'device={use="statevector:Statevector", shots=100}'
    result = qeqprop("check", "good.toml", *(word for one in [*options, device] for word in ("--set", one)))
    assert result.exit_code == 0, result.output
    assert "none counted, the rule asks for a response" in result.output
    assert "RandomTime measures the response by circuits that are not counted here" in result.output


def test_check_looks_at_an_adiabatic_protocol(here):
    solver = "{use='adiabatic:Adiabatic', total_time=4.0, ramp='linear'}"
    options = ["--set", f"solver={solver}", "--set", "device={use='aer:Aer', shots=100}"]
    result = qeqprop("check", "good.toml", *options)
    assert result.exit_code == 0, result.output
    assert "bias: end slopes: the ramp starts with slope 1" in result.output
    rows = dict(line.split("  ", 1) for line in result.output.splitlines() if "  " in line)
    assert rows["a step"].strip() == "12 circuits, 1200 shots"  # 4 samples x (free, up, down), all read in Z
    assert "bias" not in qeqprop("check", "good.toml").output
    assert sorted(path.name for path in here.iterdir()) == ["good.toml"]


def test_run_again_is_the_same_run(here):
    first = qeqprop("run", "good.toml")
    assert first.exit_code == 0, first.output
    assert "step 3/3" in first.output
    (folder,) = Path("runs").iterdir()
    weights = np.load(folder / "weights.npz")["theta"]
    again = qeqprop("run", "good.toml")
    assert "it was finished already" in again.output
    np.testing.assert_array_equal(np.load(folder / "weights.npz")["theta"], weights)
    other = qeqprop("run", "good.toml", "--set", "seed=1", "--folder", "elsewhere")
    assert other.exit_code == 0
    assert len(list(Path("elsewhere").iterdir())) == 1


def test_a_classification_is_compared_with_logistic_regression(here):
    result = qeqprop("run", "good.toml")
    assert result.exit_code == 0, result.output
    assert "logistic regression on the same features: 0.5\n" in result.stdout  # no line tells XOR's classes apart
    (folder,) = Path("runs").iterdir()
    shown = qeqprop("show", folder, "--no-pictures").stdout.splitlines()
    assert any(line.split()[:3] == ["logistic", "regression", "0.5"] for line in shown)
    assert qeqprop("run", "good.toml", "--quiet").output == ""


def test_show(here):
    qeqprop("run", "good.toml", "--quiet")
    (folder,) = Path("runs").iterdir()
    result = qeqprop("show", folder, "--no-pictures")
    assert result.exit_code == 0, result.output
    assert "3 of 3, finished" in result.output
    assert "nudging:SymmetricNudging" in result.output
    with sqlite3.connect(folder / FILE_NAME) as connection:
        (loss,) = connection.execute("SELECT loss FROM steps WHERE step = 3").fetchone()
    connection.close()
    assert f"{loss:.6g}" in result.output


def test_show_draws(here):
    pytest.importorskip("qeqprop.plots")
    qeqprop("run", "good.toml", "--quiet")
    (folder,) = Path("runs").iterdir()
    result = qeqprop("show", folder)
    assert result.exit_code == 0, result.output
    for name in ("loss.png", "network.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")
        assert f"drawn: {folder / name}" in result.output


def test_ctrl_c_says_how_to_go_on(here):
    command = [sys.executable, "-c", "from qeqprop.cli import main; main()", "run", "good.toml"]
    arguments = ["--set", "train.steps=100000", "--folder", "my runs"]
    with subprocess.Popen([*command, *arguments], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        deadline = time.monotonic() + 60
        while not list(Path("my runs").glob(f"*/{FILE_NAME}")) and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(1.0)
        child.send_signal(signal.SIGINT)
        output, errors = child.communicate(timeout=60)
    assert child.returncode == 130, errors
    assert "Traceback" not in errors
    assert "qeqprop run good.toml --set train.steps=100000 --folder 'my runs'" in errors
    assert output == ""


def test_version_and_help():
    assert qeqprop("--version").output == f"qeqprop {__version__}\n"
    for command, example in (
        ([], "qeqprop run iris.toml --set rule.beta=0.1"),
        (["run"], "qeqprop run iris.toml --set seed=3"),
        (["check"], "qeqprop check iris.toml"),
        (["show"], "qeqprop show runs/iris-"),
        (["init"], "qeqprop init iris"),
    ):
        result = qeqprop(*command, "--help")
        assert result.exit_code == 0
        assert example in result.output


def test_help_is_light():
    program = """
import sys
from qeqprop.cli import main
try:
    main()
except SystemExit as stop:
    assert not stop.code
heavy = {"qiskit", "scipy", "numba", "sklearn", "matplotlib", "numpy"} & set(sys.modules)
assert not heavy, heavy
"""
    for arguments in (["--help"], ["run", "--help"], ["profile", "--help"], ["doctor", "--help"], ["--version"]):
        subprocess.run([sys.executable, "-c", program, *arguments], check=True, stdout=subprocess.DEVNULL)


def test_what_does_not_fit_into_memory_is_said_in_one_message(capsys):
    with pytest.raises(typer.Exit) as stopped, user_errors():
        np.empty((1 << 50,))
    assert stopped.value.exit_code == 1
    assert "error: not enough memory: Unable to allocate 8.00 PiB" in (said := capsys.readouterr().err)
    assert "Take fewer sites, or a smaller `batch`." in said


def test_the_package_is_the_command_too():
    done = subprocess.run([sys.executable, "-m", "qeqprop", "--version"], capture_output=True, text=True, check=True)
    assert __version__ in done.stdout
