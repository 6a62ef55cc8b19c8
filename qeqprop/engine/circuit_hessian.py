"""Second derivatives of the energy of a circuit, exactly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qeqprop.engine.circuit_layers import Angles
from qeqprop.engine.circuits import Circuit, energy_and_gradient
from qeqprop.interfaces import FloatArray, PauliSums


def hessian(circuit: Circuit, parameters: FloatArray, hamiltonians: PauliSums) -> FloatArray:
    """The matrices ``d^2<H> / d theta_i d theta_j`` (batch, n_parameters, n_parameters).

    An angle enters every expectation as a sine, so half the difference of gradients a quarter turn to both sides is
    exact: ``2 n_angles`` gradients for each sample. Parameters that share or scale angles follow by the chain rule.

    Args:
        circuit: the circuit.
        parameters: (batch, n_parameters).
        hamiltonians: (batch,) operators.

    Source: Mari, Bromley and Killoran, Phys. Rev. A 103, 012405 (2021).
    """
    a = circuit.angles
    free = np.flatnonzero(a.index >= 0)
    number = np.full(len(a.index), -1)
    number[free] = np.arange(len(free))
    own = Angles(number, np.where(number >= 0, 1.0, a.scale), np.where(number >= 0, 0.0, a.offset))
    unshared = replace(circuit, n_parameters=len(free), angles=own)
    angles = a.scale[free] * parameters[:, a.index[free]] + a.offset[free]
    quarters = np.pi / 2 * np.stack([np.eye(len(free)), -np.eye(len(free))], axis=1)  # (n_angles, 2, n_angles)
    shifted = (angles[:, None, None] + quarters).reshape(-1, len(free))
    repeated = np.repeat(hamiltonians.coefficients, 2 * len(free), axis=0)
    _, gradients = energy_and_gradient(unshared, shifted, PauliSums(hamiltonians.strings, repeated))
    pairs = gradients.reshape(len(parameters), len(free), 2, len(free))
    spread = np.zeros((len(free), circuit.n_parameters))
    spread[np.arange(len(free)), a.index[free]] = a.scale[free]
    return spread.T @ (0.5 * (pairs[:, :, 0] - pairs[:, :, 1])) @ spread
