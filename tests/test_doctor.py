"""``qeqprop doctor``: says what is missing and what to do, and nothing that is secret."""

import socket

import pytest
from typer.testing import CliRunner

from qeqprop.cli import app
from qeqprop.doctor import describe, examine

TOKEN = "tok-very-secret-4711"
CRN = "crn:v1:bluemix:public:quantum-computing:us-east:a/0000000000000000:11111111-2222::"


@pytest.fixture
def nobody(monkeypatch, tmp_path):
    """A computer without an account."""
    for name in ("QISKIT_IBM_TOKEN", "QISKIT_IBM_INSTANCE", "QISKIT_IBM_URL", "IAM_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def at(monkeypatch, port, *, instance=CRN):
    """An account whose service should be on this computer."""
    base = f"http://127.0.0.1:{port}"
    for name, value in {
        "QISKIT_IBM_TOKEN": TOKEN,
        "QISKIT_IBM_INSTANCE": instance,
        "QISKIT_IBM_URL": f"{base}/experimental/api/v1",
        "IAM_URL": base,
        "GLOBAL_SEARCH_URL": base,
        "GLOBAL_CATALOG_URL": f"{base}/catalog",
    }.items():
        monkeypatch.setenv(name, value)


def doctor(*arguments):
    return CliRunner().invoke(app, ["doctor", *arguments])


@pytest.mark.usefixtures("nobody")
def test_without_an_account_all_else_is_told():
    found = {finding.topic: finding for finding in examine()}
    assert found["qeqprop"].words == "0.1.0"
    assert found["qiskit-ibm-runtime"].words.startswith("0.")
    assert "threads" in found["engine"].words
    assert "QISKIT_IBM_TOKEN" in found["account"].advice
    assert not any(finding.wrong for finding in found.values())
    assert doctor().exit_code == 0


@pytest.mark.usefixtures("nobody")
def test_without_the_client_all_else_is_told(monkeypatch):
    monkeypatch.setattr("qeqprop.doctor.CLIENT", "qiskit-ibm-runtime-that-is-not-there")
    monkeypatch.setattr("qeqprop.doctor.PACKAGES", ("qeqprop", "qiskit-ibm-runtime-that-is-not-there"))
    found = {finding.topic: finding for finding in examine()}
    assert "pip install" in found["qiskit-ibm-runtime-that-is-not-there"].advice
    assert "account" not in found


@pytest.mark.usefixtures("nobody")
def test_a_service_that_cannot_be_reached_is_one_message(monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        at(monkeypatch, free.getsockname()[1])  # bound, but nobody listens
        result = doctor()
    assert result.exit_code == 1
    assert "service              not reached" in result.output
    assert "Traceback" not in result.output
    assert TOKEN not in result.output


@pytest.mark.usefixtures("nobody")
def test_a_service_that_never_answers_is_left_alone(monkeypatch):
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        at(monkeypatch, deaf.getsockname()[1])
        found = list(examine(patience=0.3))[-1]
    assert found.wrong
    assert "no answer within 0.3 seconds" in found.words


@pytest.mark.usefixtures("nobody")
def test_an_instance_that_is_cut_off_is_named(monkeypatch):
    at(monkeypatch, 9, instance="crn:v1:bluemix")
    found = list(examine())[-1]
    assert (found.topic, found.words, found.wrong) == ("instance", "not a whole CRN", True)


@pytest.mark.usefixtures("nobody")
def test_a_saved_account_is_found_and_not_told(tmp_path, monkeypatch):
    from qiskit_ibm_runtime import QiskitRuntimeService
    from qiskit_ibm_runtime.accounts import management

    file = tmp_path / "accounts.json"
    monkeypatch.setattr(management, "_DEFAULT_ACCOUNT_CONFIG_JSON_FILE", str(file))
    QiskitRuntimeService.save_account(token=TOKEN, instance="crn:v1:short", overwrite=True)
    assert TOKEN in file.read_text()
    result = doctor()
    assert "saved account" in result.output
    assert "not a whole CRN" in result.output
    assert TOKEN not in result.output


@pytest.mark.parametrize(
    "text", [f"refused {TOKEN}!", f"Authorization: Bearer {TOKEN}", f"{{'apikey': '{TOKEN}'}}", f"token={TOKEN}"]
)
def test_secrets_are_blacked_out(text):
    for secrets in ((TOKEN,), ()):
        if text.startswith("refused") and not secrets:
            continue  # nothing tells that this is a secret
        said = describe(RuntimeError(text), secrets)
        assert TOKEN not in said
        assert "***" in said
    assert describe(RuntimeError("x" * 500)).endswith("...")
    assert describe(KeyError()) == "KeyError"


# --- against the stand-in of the service, with the unmodified client


@pytest.fixture
def service(nobody, monkeypatch):
    """Starts a stand-in that the client finds through the environment."""
    from qeqprop.rehearsal.server import Rehearsal

    started = []

    def start(*machines, **settings):
        rehearsal = Rehearsal(machines or ("kingston_8.toml", "boston_8.toml"), **settings)
        started.append(rehearsal)
        for name, value in rehearsal.environment().items():
            monkeypatch.setenv(name, value)
        return rehearsal

    yield start
    for rehearsal in started:
        rehearsal.stop()


def test_instance_plan_seconds_and_machines_are_told(service):
    rehearsal = service(plan="open", api_key=TOKEN)
    result = doctor()
    assert result.exit_code == 0, result.output
    rows = {line[:20].strip(): line[21:] for line in result.output.splitlines()}
    assert "127.0.0.1, a stand-in on this computer" in rows["service"]
    assert "plan open" in rows["instance"]
    assert rows["usage"] == "0 s used, 600 s left of 600 s"
    machines = [name for name in rows if "kingston" in name or "boston" in name]
    assert len(machines) == 2
    assert all("8 qubits, 0 jobs waiting" in rows[name] for name in machines)
    assert TOKEN not in result.output
    assert TOKEN not in str(rehearsal.log)


def test_an_allowance_that_is_used_up_is_said(service):
    service(plan="open", allowance=0.0)
    found = {finding.topic: finding for finding in examine()}
    assert "0 s left" in found["usage"].words
    assert "used up" in found["usage"].advice


@pytest.mark.parametrize("code", [401, 403, 500])
def test_a_service_in_trouble_is_one_message(service, code, monkeypatch):
    rehearsal = service(api_key=TOKEN)
    rehearsal.fault("GET", "/backends", "status", code=code, times=100)
    monkeypatch.setattr("urllib3.util.Retry.DEFAULT_BACKOFF_MAX", 0.01)
    result = doctor("--patience", "2")
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    assert "none in reach" in result.output or "not reached" in result.output
    assert TOKEN not in result.output


def test_a_wrong_token_is_said(service, monkeypatch):
    service(api_key="another one")
    monkeypatch.setenv("QISKIT_IBM_TOKEN", TOKEN)
    result = doctor()
    assert result.exit_code == 1
    assert "not reached" in result.output
    assert TOKEN not in result.output


def test_a_machine_of_today_is_cut_through_the_account(service, tmp_path, monkeypatch):
    from qeqprop.calibration import from_text
    from qeqprop.snapshots import calibration_of, profile_text

    monkeypatch.chdir(tmp_path)
    service("kingston_8.toml")
    name = "ibm_kingston_8"
    result = CliRunner().invoke(app, ["profile", "snapshot", name, "--qubits", "3,4,5", "--out", "today.toml"])
    assert result.exit_code == 0, result.output
    found, wanted = from_text((tmp_path / "today.toml").read_text()), calibration_of(profile_text("kingston_8.toml"))
    assert found.name == name
    assert found.physical == (3, 4, 5)
    assert found.readout == pytest.approx(wanted.readout[3:6])
    assert found.gates["cz"][(0, 1)].error == pytest.approx(wanted.gates["cz"][(3, 4)].error)
    refused = CliRunner().invoke(app, ["profile", "snapshot", "ibm_nowhere"])
    assert refused.exit_code == 2
    assert "`qeqprop doctor` shows what is missing" in refused.output
