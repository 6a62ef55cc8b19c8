"""The temperature of samples: found within its error, whose size is right; and said where there is none."""

import numpy as np
import pytest
from qiskit.quantum_info import PauliList

from qeqprop.effective_temperature import effective_temperature
from qeqprop.interfaces import NotConverged, PauliSums

STRINGS = PauliList(["IIZZ", "IZZI", "ZZII", "ZIIZ", "IIIZ", "ZIII", "ZZZI"])
H = PauliSums(STRINGS, np.array([[-0.7, 0.4, -0.9, 0.3, -0.5, 0.2, 0.6]]))


def energies():
    bits = np.arange(16)[:, None] >> np.arange(4) & 1
    return np.prod(np.where(bits[:, None] & STRINGS.z, -1.0, 1.0), axis=2) @ H.coefficients[0]


def drawn(temperature, shots, random):
    p = np.exp(-energies() / temperature)
    return random.choice(16, size=shots, p=p / p.sum())


@pytest.mark.parametrize("temperature", [0.5, 2.0, -1.5])
def test_temperatures_are_found_within_errors_that_are_right(temperature):
    random = np.random.default_rng(3)
    found = [effective_temperature(H, drawn(temperature, 4000, random)) for _ in range(300)]
    inverses = np.array([1 / one.value for one in found])
    errors = np.array([one.std_error / one.value**2 for one in found])
    assert abs(np.mean(inverses) - 1 / temperature) < 3 * np.std(inverses) / np.sqrt(300) + 0.002
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(np.std(inverses), rel=0.2)


def test_what_has_no_temperature_is_said():
    with pytest.raises(NotConverged, match="No temperature fits"):
        effective_temperature(H, np.full(100, np.argmin(energies())))
    with pytest.raises(ValueError, match="one operator of strings of Z only"):
        effective_temperature(PauliSums(PauliList(["XZ"]), np.ones((1, 1))), np.zeros(10))
    with pytest.raises(ValueError, match="with at least 2"):
        effective_temperature(H, np.zeros(1))
