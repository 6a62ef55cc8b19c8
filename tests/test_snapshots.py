"""Calibrations cut from machines, whole and in part; profiles by name."""

import datetime
from itertools import pairwise

import numpy as np
import pytest
from qiskit_ibm_runtime import fake_provider

from qeqprop.calibration import from_text, to_text
from qeqprop.devices.profile import Profile
from qeqprop.lattices import lattice_of
from qeqprop.snapshots import (
    BUNDLED,
    best_qubits,
    bundled,
    calibration_of,
    from_account,
    profile_checksum,
    profile_text,
    settings_of,
    snapshot,
)

STORED = {
    "berlin_9.toml": "FakeBerlin",
    "boston_8.toml": "FakeBoston",
    "kingston_8.toml": "FakeKingston",
    "sherbrooke_6.toml": "FakeSherbrooke",
    "torino_8.toml": "FakeTorino",
}


@pytest.mark.parametrize("name", STORED)
def test_what_ships_is_what_the_client_has(name):
    """Cut again, number by number; only the version in the source may differ."""
    stored = calibration_of(profile_text(name))
    again = bundled(STORED[name], stored.physical)
    assert stored.source.startswith(f"{STORED[name]} of qiskit-ibm-runtime ")
    assert stored.family == BUNDLED[STORED[name]].family
    assert to_text(stored).replace(stored.source, again.source) == to_text(again)


@pytest.mark.parametrize("name", ["FakeKingston", "FakeSherbrooke", "FakeMiami"])
def test_a_whole_machine_leaves_out_what_is_broken(name):
    backend = getattr(fake_provider, name)()
    whole, properties = bundled(name), backend.properties()
    lattice = lattice_of(whole.family)
    for qubit in set(range(lattice.n_qubits)) - set(whole.physical):
        assert properties.readout_error(qubit) >= 0.5 or properties.gate_error("sx", qubit) >= 1
    gate = "ecr" if "ecr" in whole.gates else "cz"
    kept = {tuple(whole.physical[q] for q in pair) for pair in whole.gates[gate]}
    for pair in backend.configuration().coupling_map:
        works = properties.gate_error(gate, pair) < 1 and set(pair) <= set(whole.physical)
        assert (tuple(pair) in kept) == works
    again = from_text(to_text(whole))
    assert to_text(again) == to_text(whole)
    assert np.all(~(whole.t2 > 2 * whole.t1))


def test_numbers_are_those_of_the_properties():
    properties = fake_provider.FakeKingston().properties()
    part = bundled("FakeKingston", [7, 6, 17])
    for index, qubit in enumerate((7, 6, 17)):
        assert part.t1[index] == properties.t1(qubit)
        assert part.readout[index, 0] == properties.qubit_property(qubit, "prob_meas1_prep0")[0]
        assert part.readout[index, 1] == properties.qubit_property(qubit, "prob_meas0_prep1")[0]
        assert part.gates["sx"][(index,)].error == properties.gate_error("sx", qubit)
    assert part.gates["cz"][(1, 0)].error == properties.gate_error("cz", [6, 7])
    assert set(part.gates["cz"]) == {(0, 1), (1, 0), (0, 2), (2, 0)}
    assert datetime.datetime.fromisoformat(part.date) == properties.last_update_date


@pytest.mark.parametrize("qubits", [[0, 0], [156], [-1], []])
def test_qubits_that_are_not_there_are_refused(qubits):
    with pytest.raises(ValueError, match="`qubits` must name different qubits from 0 to 155"):
        snapshot(fake_provider.FakeKingston(), qubits)


def test_a_broken_qubit_that_is_asked_for_is_refused():
    with pytest.raises(ValueError, match="`qubits` must name qubits that work, but 112 can not"):
        bundled("FakeKingston", [111, 112])


def test_a_name_that_is_none_gets_a_suggestion():
    with pytest.raises(ValueError, match="did you mean 'FakeKingston'"):
        bundled("FakeKingstown")


def test_a_machine_without_an_account_says_what_to_do(monkeypatch, tmp_path):
    for name in ("QISKIT_IBM_TOKEN", "QISKIT_IBM_INSTANCE", "QISKIT_IBM_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ValueError, match=r"ibm_kingston cannot be asked .*`qeqprop doctor` shows what is missing"):
        from_account("ibm_kingston")


def test_the_best_qubits_are_connected_and_good():
    whole = bundled("FakeKingston")
    chosen = best_qubits(whole, 6)
    line = best_qubits(whole, 6, line=True)
    lattice = lattice_of(whole.family)
    for group in (chosen, line):
        cut = whole.cut([whole.physical.index(qubit) for qubit in group])
        assert np.max(cut.readout) < 0.03
        reached = {group[0]}
        for _ in group:
            reached |= {b for edge in lattice.edges for a, b in (edge, edge[::-1]) if a in reached and b in group}
        assert reached == set(group)
    assert all(tuple(sorted(pair)) in lattice.edges for pair in pairwise(line))
    with pytest.raises(ValueError, match="9 connected qubits"):
        best_qubits(calibration_of(profile_text("torino_8.toml")), 9)
    with pytest.raises(ValueError, match="`sites` must be the length of a line on ibm_torino, but is 8"):
        best_qubits(calibration_of(profile_text("torino_8.toml")), 8, line=True)


def test_a_whole_machine_is_a_profile_by_its_name():
    device = Profile("FakeSherbrooke")
    assert device.calibration.n_qubits == 126
    assert profile_checksum("FakeSherbrooke") == profile_checksum("FakeSherbrooke")
    assert Profile("FakeSherbrooke", checksum=profile_checksum("FakeSherbrooke")) != device
    with pytest.raises(ValueError, match="`checksum` must be that of FakeSherbrooke"):
        Profile("FakeSherbrooke", checksum="0" * 16)


def test_settings_are_told_from_calibrations():
    assert settings_of(profile_text("kingston_8.toml")) is None
    assert settings_of('use = "statevector:Statevector"\nshots = 10\n') == {
        "use": "statevector:Statevector",
        "shots": 10,
    }
    with pytest.raises(ValueError, match="this file chooses a device, ibm:IBM"):
        from_text('use = "ibm:IBM"\n')
