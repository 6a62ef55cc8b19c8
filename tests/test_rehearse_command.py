"""The command ``qeqprop rehearse``: the stand-in by itself, and a run against it."""

import os
import re
import shlex
import signal
import subprocess
import sys

import pytest
import requests
from typer.testing import CliRunner

from qeqprop.cli import app

RUN = """
schema = 1
seed = 3
[network]
use = "transverse_ising:transverse_ising"
sites = 2
n_inputs = 2
[data]
use = "boolean:xor"
[solver]
use = "variational:Variational"
ansatz = { use = "hamiltonian_variational:hamiltonian_variational", layers = 1 }
[rule]
use = "nudging:OneSidedNudging"
beta = 0.3
[device]
use = "ibm:IBM"
machine = "ibm_kingston_8"
instance = "my instance"
shots = 100
[train]
steps = 1
batch = 1
"""


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_the_stand_in_says_how_to_reach_it_and_ends_with_a_bill(tmp_path, ending):
    program = [sys.executable, "-c", "from qeqprop.cli import main; main()", "rehearse", "--server"]
    words = ["--machine", "kingston_8.toml", "--keep", "jobs", "--fault", "GET /catalog 503"]
    process = subprocess.Popen(program + words, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    try:
        lines = [process.stdout.readline() for _ in range(11)]
        found = dict(shlex.split(line)[1].split("=", 1) for line in lines if line.startswith("export "))
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", found["IAM_URL"])
        data = {"apikey": found["QISKIT_IBM_TOKEN"]}
        answer = requests.post(f"{found['IAM_URL']}/identity/token", data=data, timeout=20).json()
        headers = {"Authorization": f"Bearer {answer['access_token']}", "Service-CRN": found["QISKIT_IBM_INSTANCE"]}
        devices = requests.get(f"{found['QISKIT_IBM_URL']}/backends", headers=headers, timeout=20).json()["devices"]
        assert [device["name"] for device in devices] == ["ibm_kingston_8"]
        assert requests.get(f"{found['GLOBAL_CATALOG_URL']}/x", timeout=20).status_code == 503
        process.send_signal(ending)
        bill = process.communicate(timeout=20)[0]
        assert re.search(r"^jobs +0$", bill, re.M)
        assert re.search(r"^faults +1$", bill, re.M)
        assert process.returncode == 0
    finally:
        process.kill()
        process.communicate()


@pytest.mark.filterwarnings("ignore:.*far from an eigenstate:qeqprop.interfaces.PhysicsWarning")
def test_a_run_is_practised_and_its_bill_is_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "xor.toml").write_text(RUN)
    before = set(os.environ)
    result = CliRunner().invoke(app, ["rehearse", "xor.toml", "--plan", "payg", "--posts", "100"])
    assert result.exit_code == 0, result.output
    assert re.search(r"^jobs +[1-9]", result.output, re.M)
    assert "would be $" in result.output
    first, billed, thought = (
        float(re.search(pattern, result.output, re.M)[1])
        for pattern in (r"steps?: about ([\d.]+) s", r"^billed +([\d.]+) s", r"^estimated +([\d.]+) s for")
    )
    assert thought == pytest.approx(billed, rel=0.1)
    assert first == pytest.approx(billed, rel=0.1)
    kept, run = sorted((tmp_path / "rehearsals").iterdir(), key=lambda path: path.suffix != ".service")
    assert kept.name.startswith("xor-")
    assert (run / "ledger.sqlite").exists()
    again = CliRunner().invoke(app, ["rehearse", "xor.toml", "--plan", "payg", "--posts", "100"])
    (bill,), (same,) = (re.findall(r"^billed .*$", each.output, re.M) for each in (result, again))
    assert bill == same  # nothing is asked twice
    assert not [name for name in os.environ.keys() - before if "IBM" in name or "URL" in name]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give a run file, or --server"),
        (["--server", "--plan", "gold"], "--plan must be one of open, payg, flex, premium"),
        (["--server", "--fault", "POST /jobs$ explode"], "must read like"),
        (["--server", "--machine", "kingstan"], "did you mean 'kingston'"),
        (["plain.toml"], "needs a device on IBM's machines"),
    ],
)
def test_mistakes_are_said_before_anything_begins(tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plain.toml").write_text(RUN.replace("machine =", "name ="))
    result = CliRunner().invoke(app, ["rehearse", *words])
    assert result.exit_code == 2
    assert message in result.output
    assert not (tmp_path / "rehearsals").exists()


@pytest.mark.slow
def test_a_stand_in_killed_with_a_job_comes_back_and_ends_it(tmp_path, monkeypatch):
    from qiskit import QuantumCircuit, transpile
    from qiskit_ibm_runtime import QiskitRuntimeService
    from qiskit_ibm_runtime.executor_sampler import Sampler

    def start(port, queue):
        program = [sys.executable, "-c", "from qeqprop.cli import main; main()", "rehearse", "--server"]
        words = ["--machine", "kingston_8", "--keep", "jobs", "--port", str(port), "--queue-seconds", str(queue)]
        process = subprocess.Popen(program + words, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
        lines = [process.stdout.readline() for _ in range(11)]
        return process, dict(shlex.split(line)[1].split("=", 1) for line in lines if line.startswith("export "))

    first, found = start(0, 60)
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    backend = QiskitRuntimeService().backend("ibm_kingston_8")
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    sampler = Sampler(mode=backend)
    sampler.options.environment.job_tags = ["run-1"]
    pubs = [transpile(circuit, backend, initial_layout=[4, 5])]
    job = sampler.run(pubs, shots=200)
    first.kill()
    first.communicate()
    second, _ = start(found["IAM_URL"].rpartition(":")[2], 0)
    try:
        bits = job.result()[0].data.meas.array
        (recovered,) = QiskitRuntimeService().jobs(job_tags=["run-1"])
        assert recovered.job_id() == job.job_id()
        assert (sampler.run(pubs, shots=200).result()[0].data.meas.array == bits).all()
    finally:
        second.kill()
        second.communicate()
