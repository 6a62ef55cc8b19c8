"""Second derivatives of the energy of a circuit, and the metric of its states, exactly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qeqprop.engine.circuit_layers import Angles
from qeqprop.engine.circuits import Circuit, energy_and_gradient, states
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
    own, angles, spread = with_own_angles(circuit, parameters)
    count = own.n_parameters
    quarters = np.pi / 2 * np.stack([np.eye(count), -np.eye(count)], axis=1)  # (n_angles, 2, n_angles)
    shifted = (angles[:, None, None] + quarters).reshape(-1, count)
    repeated = np.repeat(hamiltonians.coefficients, 2 * count, axis=0)
    _, gradients = energy_and_gradient(own, shifted, PauliSums(hamiltonians.strings, repeated))
    pairs = gradients.reshape(len(parameters), count, 2, count)
    return spread.T @ (0.5 * (pairs[:, :, 0] - pairs[:, :, 1])) @ spread


def metric(circuit: Circuit, parameters: FloatArray) -> FloatArray:
    """The real part of the quantum geometric tensor, (batch, n_parameters, n_parameters).

    ``Re [<d_i psi|d_j psi> - <d_i psi|psi><psi|d_j psi>]``, a quarter of the quantum Fisher information. Half a turn of
    one angle gives twice the derivative, ``d psi / d angle = psi(angle + pi) / 2``: ``n_angles + 1`` states for each
    sample.

    Args:
        circuit: the circuit.
        parameters: (batch, n_parameters).

    Source: Stokes, Izaac, Killoran and Carleo, Quantum 4, 269 (2020).
    """
    own, angles, spread = with_own_angles(circuit, parameters)
    count = own.n_parameters
    turned = angles[:, None] + np.concatenate([np.zeros((1, count)), np.pi * np.eye(count)])
    found = states(own, turned.reshape(-1, count)).reshape(len(parameters), count + 1, circuit.dim)
    psi, tangents = found[:, 0], 0.5 * (spread.T @ found[:, 1:])
    along = np.einsum("bid,bd->bi", tangents.conj(), psi)
    products = np.real(tangents.conj() @ np.swapaxes(tangents, 1, 2))
    return products - np.real(along[:, :, None] * along[:, None, :].conj())


def with_own_angles(circuit: Circuit, parameters: FloatArray) -> tuple[Circuit, FloatArray, FloatArray]:
    """The circuit with a parameter for every angle that is one, unscaled.

    Returns:
        the circuit; its parameters (batch, n_angles); and the chain rule ``d angle / d parameter``,
        (n_angles, n_parameters).
    """
    a = circuit.angles
    free = np.flatnonzero(a.index >= 0)
    number = np.full(len(a.index), -1)
    number[free] = np.arange(len(free))
    own = Angles(number, np.where(number >= 0, 1.0, a.scale), np.where(number >= 0, 0.0, a.offset))
    spread = np.zeros((len(free), circuit.n_parameters))
    spread[np.arange(len(free)), a.index[free]] = a.scale[free]
    angles = a.scale[free] * parameters[:, a.index[free]] + a.offset[free]
    return replace(circuit, n_parameters=len(free), angles=own), angles, spread
