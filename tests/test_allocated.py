"""Shots divided by variance: the total kept, nothing biased, errors smaller and told truly."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qiskit.circuit import Parameter, QuantumCircuit
from qiskit.primitives import StatevectorEstimator
from qiskit.quantum_info import PauliList

from qeqprop.devices.aer import Aer
from qeqprop.devices.allocated import Allocated, divide
from qeqprop.devices.primitive import Primitive
from qeqprop.devices.statevector import Statevector
from qeqprop.interfaces import Measurement


def measurement_of(rows=1, weights=((3.0, 2.0, 0.1),)):
    """Much weight on the Z basis, little on X."""
    circuit = QuantumCircuit(2)
    circuit.ry(Parameter("theta_000"), [0, 1])
    circuit.rzz(0.4, 0, 1)
    return Measurement(circuit, np.full((rows, 1), 0.9), PauliList(["IZ", "ZZ", "XX"]), np.array([weights]))


def test_the_division_is_neymans():
    assert divide(np.array([3.0, 1.0]), 400, 10) == [300, 100]
    assert divide(np.array([1.0, 0.0, 0.0]), 100, 20) == [60, 20, 20]
    assert divide(np.zeros(3), 10, 2) == [4, 3, 3]


@given(st.lists(st.floats(0, 5), min_size=2, max_size=4), st.integers(2, 5), st.integers(0, 12))
def test_no_other_division_is_better(spread, least, more):
    spread = np.array(spread)
    total = least * len(spread) + more
    found = divide(spread, total, least)
    assert sum(found) == total
    assert min(found) >= least

    def error(numbers):
        return np.sum(spread**2 / np.array(numbers))

    options = [n for n in product(range(least, total + 1), repeat=len(spread)) if sum(n) == total]
    best = min(map(error, options))
    assert error(found) <= best * (1 + 1.0 / least) + 1e-12  # whole numbers are within one shot of the real ones


@pytest.mark.parametrize(
    "device", [Statevector(shots=200), pytest.param(Aer(shots=200), marks=pytest.mark.slow)], ids=["compiled", "aer"]
)
def test_allocated_shots_are_unbiased_and_their_errors_are_right(device):
    """Rows are allocated together, so every row is a job of its own here."""
    runs = [Allocated(device).run(measurement_of(), shots=None, key=(5, call)) for call in range(500)]
    exact = Statevector().run(measurement_of(), shots=None, key=()).expectations.values
    values = np.array([run.expectations.values[0, 0] for run in runs])
    errors = np.array([run.expectations.std_errors[0, 0] for run in runs])
    residual = (values - exact[0, 0]) / errors
    assert abs(np.mean(values) - exact[0, 0]) < 4 * np.std(values) / np.sqrt(500)
    assert 0.8 < np.mean(residual**2) < 1.25
    assert all(run.shots == 2 * 200 for run in runs)


def test_uneven_bases_gain_and_even_ones_lose_little():
    plain, allocated = Statevector(shots=1000), Allocated(Statevector(shots=1000))
    measurement = measurement_of(rows=20)
    before, after = (device.run(measurement, shots=None, key=(1,)).expectations for device in (plain, allocated))
    gain = np.mean(after.std_errors**2) / np.mean(before.std_errors**2)
    assert gain < 0.65  # all shots in one of two bases would give a half
    even = measurement_of(rows=20, weights=((1.0, 0.0, 1.0),))
    before, after = (device.run(even, shots=None, key=(1,)).expectations for device in (plain, allocated))
    assert np.mean(after.std_errors**2) / np.mean(before.std_errors**2) < 1.1


def test_only_devices_that_sample_are_taken():
    class Silent:
        name = "silent"

    with pytest.raises(ValueError, match="`device` must be a device that samples, such as Aer\\(\\), but is silent"):
        Allocated(Silent())
    with pytest.raises(ValueError, match="is an estimator and gives no single outcomes"):
        Allocated(Primitive(StatevectorEstimator())).run(measurement_of(), shots=None, key=())
    with pytest.raises(ValueError, match="`pilot` must be"):
        Allocated(pilot=0.7)
