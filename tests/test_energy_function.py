"""A network of an energy function alone beside the same energy written out."""

import numpy as np
import pytest

import qeqprop
from qeqprop import losses
from qeqprop.classical.double_wells import double_wells
from qeqprop.classical.energy_function import from_energy
from qeqprop.classical.low_temperature import LowTemperature
from qeqprop.classical.relaxation import Relaxation

WRITTEN = double_wells(sites=2, inputs=(0,), outputs=(0, 1), barrier=0.25, curvature=1.0)


def energy(theta, x, s):
    square = s * s
    wells = (0.25 * (square * square + 2 * square + 1)).sum(axis=1)
    return wells - s[:, 0] * (theta[0] + x[:, 0]) - s[:, 1] * theta[1] - theta[2] * s[:, 0] * s[:, 1]


FOUND = from_energy(energy, rest=[0.0, 0.0], initial=[0.0, 0.0, 0.0], n_inputs=1)
CASE = (np.array([0.7, -0.4, 0.5]), np.array([[0.6], [-0.3]]), np.array([[1.0, -0.5], [0.2, 0.4]]))


@pytest.mark.parametrize("loss", [losses.mean_squared_error, losses.cost_observable])
@pytest.mark.parametrize("solver", [Relaxation(tolerance=1e-12), LowTemperature(0.05, starts=0, tolerance=1e-12)])
def test_gradients_are_the_same(loss, solver):
    found, wanted = (qeqprop.gradient(network, *CASE, loss=loss, solver=solver) for network in (FOUND, WRITTEN))
    np.testing.assert_allclose(found.values, wanted.values, atol=1e-12)
    assert found.loss == pytest.approx(wanted.loss, abs=1e-12)


def test_derivatives_and_names():
    s = np.array([[0.3, -0.8], [1.1, 0.2]])
    for name in ("energy", "gradient", "hessian"):
        np.testing.assert_allclose(getattr(FOUND, name)(*CASE[:2], s), getattr(WRITTEN, name)(*CASE[:2], s), atol=1e-13)
    assert FOUND.term_names == ("theta0", "theta1", "theta2")
    with pytest.raises(ValueError, match="`names` must hold 3"):
        from_energy(energy, rest=[0.0, 0.0], initial=np.zeros(3), names=["a"])


def test_what_jets_do_not_know_is_told():
    network = from_energy(lambda theta, x, s: np.abs(s[:, 0]) * theta[0], rest=[0.1], initial=[1.0])
    with pytest.raises(TypeError, match="derivatives of absolute are not known"):
        network.gradient([1.0], np.zeros((1, 0)), [[0.3]])
