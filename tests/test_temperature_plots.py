"""Pictures along the temperature axis: what is drawn is what was computed."""

import numpy as np
import pytest

from qeqprop import losses, plots
from qeqprop.classical.double_wells import double_wells
from qeqprop.classical.harmonic import harmonic
from qeqprop.classical.langevin import Langevin
from qeqprop.classical.low_temperature import LowTemperature
from qeqprop.classical.quadrature import Quadrature, free_energy, free_energy_profile
from qeqprop.rules.linear_response import LinearResponse

SOFT = double_wells(sites=1, edges=[], inputs=(0,), outputs=(0,), barrier=0.25, curvature=2.0)


def test_errors_are_drawn_with_their_bars_and_their_warnings():
    rule = LinearResponse()
    figure = plots.error_against_temperature(
        SOFT,
        [0.3],
        [[0.5]],
        [[1.0]],
        loss=losses.mean_squared_error,
        temperatures=[0.02, 0.04, 3.0],
        methods={
            "cold": lambda T: (rule, LowTemperature(T, starts=0)),
            "sampled": lambda T: (rule, Langevin(T, samples=40)),
        },
        reference=Quadrature,
    )
    lines = {line.get_label(): line for line in figure.axes[0].get_lines()}
    cold = np.array(lines["cold"].get_ydata())
    assert np.log2(cold[1] / cold[0]) == pytest.approx(2, abs=0.2)
    hollow = [line for line in figure.axes[0].get_lines() if line.get_markerfacecolor() == "white"]
    np.testing.assert_array_equal(hollow[0].get_xdata(), [3.0])  # where the expansion warns
    assert np.all(np.array(lines["_sampled bar"].get_ydata()) > 0)


def test_free_energies_add_up():
    """``int ds exp(-F(s)/T)`` is the whole partition function; a spring's own profile is a parabola."""
    network = harmonic(sites=3)
    theta, x = network.initial, np.array([[0.3]])
    landscape = network.landscape(theta, x)
    at, heights = free_energy_profile(landscape, 0.4, 1, 101)
    whole = -0.4 * np.log(np.trapezoid(np.exp(-heights / 0.4), at))
    assert whole == pytest.approx(free_energy(landscape, 0.4, 64)[0], abs=1e-7)
    stiffness = 1 / np.linalg.inv(network.model.stiffness(theta))[1, 1]
    assert np.polyfit(at, heights, 2)[0] == pytest.approx(stiffness / 2, rel=1e-6)
    figure = plots.free_energy_landscape(network, theta, [0.3], temperatures=(0.1, 0.4), variable=1, points=101)
    drawn = figure.axes[0].get_lines()[1].get_ydata()
    np.testing.assert_allclose(drawn, heights - heights.min())


def test_refusals():
    with pytest.raises(ValueError, match="`temperatures`"):
        plots.error_against_temperature(
            SOFT, [0.3], [[0.5]], [[1.0]], loss=losses.output, temperatures=[0.0], methods={}, reference=Quadrature
        )
    with pytest.raises(ValueError, match="`variable`"):
        plots.free_energy_landscape(SOFT, [0.3], [0.5], variable=1)
