"""Ising networks: Pauli sums with no letter but Z, built anew or as the diagonal limit of a quantum network.

Spin ``s_k = +1`` is the eigenvalue +1 of ``Z_k``. Their energies are affine in the trainable couplings like those of
every `Network`, so input weights, tied and frozen terms are at hand. The solvers are in `enumeration` and `chains`.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Annotated

import numpy as np
from annotated_types import Ge
from qiskit.quantum_info import PauliList

from qeqprop.checks import check_argument, listed
from qeqprop.interfaces import Network

Size = Annotated[int, Ge(1)]


def ising_of(network: Network) -> Network:
    """The diagonal limit of a quantum network: what is left of it when every term with X or Y is switched off.

    Strings with X or Y are dropped; a trainable term of nothing else is dropped with its parameter, so that
    ``n_trainable`` may fall and ``term_names`` says what is left.

    Raises:
        ValueError: if an output holds X or Y, which no spin along Z answers, or nothing trainable is left.
    """
    flips = np.any(network.strings.x, axis=1)
    moving = np.flatnonzero(np.any(network.outputs[:, flips] != 0, axis=1))
    if len(moving):
        raise ValueError(
            f"Argument `network` must have outputs of Z only, but output {int(moving[0])} holds X or Y: in the "
            "diagonal limit it is zero."
        )
    terms = np.flatnonzero(np.any(network.trainable[:, ~flips] != 0, axis=1))
    if not len(terms):
        raise ValueError("Argument `network` must have a trainable term of Z only, but each of them holds X or Y.")
    trainable = network.trainable[terms][:, ~flips]
    return replace(
        network,
        strings=network.strings[np.flatnonzero(~flips)],
        static=network.static[~flips],
        inputs=network.inputs[:, ~flips],
        trainable=trainable,
        driver=network.driver[terms],
        outputs=network.outputs[:, ~flips],
        initial=network.initial[terms],
    )


def layered_ising(*, n_inputs: Size = 4, hidden: tuple[Size, ...] = (8,), n_outputs: Size = 1) -> Network:
    """Layers of spins with all couplings between neighbouring ones, the inputs as fields on the first layer.

    ``E = - sum_ik W_ik x_i s_k - sum J_kl s_k s_l - sum b_k s_k``; the last layer are the outputs ``<s_k>``. Without
    hidden layers every output is a spin by itself. All of W, J and b are trainable, in this order, W by input.

    Args:
        n_inputs: features.
        hidden: spins in each hidden layer, may be empty.
        n_outputs: spins of the last layer.

    Raises:
        ValueError: for sizes below one.
    """
    inner = listed("hidden", hidden)
    for name, size in [("n_inputs", n_inputs), ("n_outputs", n_outputs), *(("hidden", size) for size in inner)]:
        check_argument(name, size, Size)
    sizes = [*inner, n_outputs]
    first = np.cumsum([0, *sizes])
    layers = [np.arange(begin, end) for begin, end in pairwise(first)]
    sites, couplings = int(first[-1]), [(k, m) for one, two in pairwise(layers) for k in one for m in two]
    z = np.zeros((sites + len(couplings), sites), dtype=np.bool_)
    z[np.arange(sites), np.arange(sites)] = True
    for row, (k, m) in enumerate(couplings):
        z[sites + row, [k, m]] = True
    n_strings, n_weights = len(z), n_inputs * sizes[0]
    trainable = np.zeros((n_weights + len(couplings) + sites, n_strings))
    trainable[np.arange(n_weights), np.tile(layers[0], n_inputs)] = -1.0
    trainable[n_weights + np.arange(len(couplings)), sites + np.arange(len(couplings))] = -1.0
    trainable[n_weights + len(couplings) + np.arange(sites), np.arange(sites)] = -1.0
    driver = np.concatenate([np.repeat(np.arange(n_inputs), sizes[0]), np.full(len(trainable) - n_weights, -1)])
    outputs = np.zeros((n_outputs, n_strings))
    outputs[np.arange(n_outputs), layers[-1]] = 1.0
    places = [(level, (np.arange(len(layer)) + 0.5) / len(layer)) for level, layer in enumerate(layers)]
    return Network(
        strings=PauliList.from_symplectic(z, np.zeros_like(z)),
        static=np.zeros(n_strings),
        inputs=np.zeros((n_inputs, n_strings)),
        trainable=trainable,
        driver=driver.astype(np.int64),
        outputs=outputs,
        initial=np.zeros(len(trainable)),
        positions=np.concatenate([np.stack([np.full(len(row), float(level)), row], axis=1) for level, row in places]),
    )


def square_lattice(*, length: Annotated[int, Ge(2)] = 4, field: float = 0.0) -> Network:
    """The Ising model on a periodic square lattice, ``E = -J sum_<kl> s_k s_l - h sum_k s_k`` with theta = (J,).

    The output is the magnetisation per site. On a side of two each pair of neighbours is bound twice.

    Args:
        length: of a side.
        field: h.

    Source: Onsager, Phys. Rev. 65, 117 (1944).
    """
    check_argument("length", length, Annotated[int, Ge(2)])
    check_argument("field", field, float)
    sites = length**2
    grid = np.arange(sites).reshape(length, length)
    pairs: dict[tuple[int, int], float] = {}
    for neighbour in (np.roll(grid, -1, axis=0), np.roll(grid, -1, axis=1)):
        for k, m in zip(grid.flat, neighbour.flat, strict=True):
            pair = (min(int(k), int(m)), max(int(k), int(m)))
            pairs[pair] = pairs.get(pair, 0.0) + 1.0
    z = np.zeros((sites + len(pairs), sites), dtype=np.bool_)
    z[np.arange(sites), np.arange(sites)] = True
    for row, pair in enumerate(pairs):
        z[sites + row, list(pair)] = True
    coupled, magnetisation = np.zeros((1, len(z))), np.zeros((1, len(z)))
    coupled[0, sites:] = [-count for count in pairs.values()]
    magnetisation[0, :sites] = 1.0 / sites
    return Network(
        strings=PauliList.from_symplectic(z, np.zeros_like(z)),
        static=-field * sites * magnetisation[0],
        inputs=np.zeros((0, len(z))),
        trainable=coupled,
        driver=np.array([-1]),
        outputs=magnetisation,
        initial=np.ones(1),
        positions=np.stack([np.arange(sites) % length, np.arange(sites) // length], axis=1).astype(np.float64),
    )
