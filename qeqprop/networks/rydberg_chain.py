"""Rydberg atoms in tweezers, on a chain or a rectangular lattice."""

from __future__ import annotations

from itertools import combinations
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge
from qiskit.quantum_info import SparsePauliOp

from qeqprop.interfaces import FloatArray, Network
from qeqprop.networks._graphs import at_least, at_most, circle, line, one_of
from qeqprop.operators import term, total


def rydberg_chain(
    *,
    sites: Annotated[int, Ge(1)] = 5,
    boundary: Literal["open", "periodic"] = "open",
    blockade_range: Annotated[float, Ge(1)] = 1.0,
    interaction: float = 1.0,
    control: Literal["uniform", "local"] = "uniform",
    rabi_frequency: float = 0.5,
    detuning: float = 1.5,
    n_inputs: Annotated[int, Ge(0)] = 0,
    readout: Literal["staggered_squared", "staggered", "densities"] = "staggered_squared",
) -> Network:
    r"""A chain of Rydberg atoms with trainable Rabi frequency and detuning.

    .. math:: H = \frac{\Omega}{2} \sum_i X_i - \Delta \sum_i n_i + V \sum_{i<j} \frac{n_i n_j}{|i-j|^6}
                  - \sum_k x_k n_k, \qquad n_i = \frac{1 + Z_i}{2}

    The parameters are ``(Omega, Delta)``, or with ``control="local"`` all ``Omega_i`` and then all ``Delta_i``; so
    ``P_Omega`` carries a plus sign and ``P_Delta`` a minus sign. Mind that the excited atom is ``Z = +1``. The ends are
    open, or the distance is the shorter way round the ring.

    Args:
        sites: number of atoms.
        boundary: ``"open"`` or ``"periodic"``.
        blockade_range: pairs that are farther apart do not interact; 1 keeps nearest neighbours only.
        interaction: ``V``, the energy of two excited neighbours.
        control: whether the parameters are shared by all atoms.
        rabi_frequency: centre of the random initial ``Omega``.
        detuning: centre of the random initial ``Delta``.
        n_inputs: number of input features; input ``k`` is an additional detuning of atom ``k``.
        readout: ``"staggered_squared"`` measures ``AM^2``, the square of the staggered magnetisation
            ``AM = (1/N) sum_i (-1)^i Z_i``; ``"staggered"`` measures ``AM``; ``"densities"`` all ``n_i``.

    Raises:
        ValueError: if an option is unknown or there are more inputs than atoms.

    Source: Browaeys and Lahaye, Nature Physics 16, 132 (2020), for the Hamiltonian.
    """
    at_least("sites", sites, 1)
    one_of("boundary", boundary, ("open", "periodic"))
    apart = np.abs(np.subtract.outer(np.arange(sites), np.arange(sites))).astype(np.float64)
    return _rydberg(
        distances=np.minimum(apart, sites - apart) if boundary == "periodic" else apart,
        signs=np.where(np.arange(sites) % 2, -1.0, 1.0),
        blockade_range=blockade_range,
        interaction=interaction,
        control=control,
        initial=(rabi_frequency, detuning),
        n_inputs=n_inputs,
        readout=readout,
        positions=circle(sites) if boundary == "periodic" else line(sites),
    )


def rydberg_lattice(
    *,
    columns: Annotated[int, Ge(1)] = 3,
    rows: Annotated[int, Ge(1)] = 2,
    blockade_range: Annotated[float, Ge(1)] = 1.0,
    interaction: float = 1.0,
    control: Literal["uniform", "local"] = "uniform",
    rabi_frequency: float = 0.5,
    detuning: float = 1.5,
    n_inputs: Annotated[int, Ge(0)] = 0,
    readout: Literal["staggered_squared", "staggered", "densities"] = "staggered_squared",
) -> Network:
    r"""Rydberg atoms on a rectangular lattice with open edges; atom ``row * columns + column`` sits at (column, row).

    The Hamiltonian, its parameters and the other arguments are those of `rydberg_chain`, with the Euclidean distance in
    lattice spacings and the signs ``(-1)^(column + row)`` in the staggered magnetisation.

    Args:
        columns: atoms in a row.
        rows: number of rows.
        blockade_range: pairs that are farther apart do not interact; 1 keeps nearest neighbours, 1.5 also diagonals.
        interaction: ``V``, the energy of two excited neighbours.
        control: whether the parameters are shared by all atoms.
        rabi_frequency: centre of the random initial ``Omega``.
        detuning: centre of the random initial ``Delta``.
        n_inputs: number of input features; input ``k`` is an additional detuning of atom ``k``.
        readout: ``"staggered_squared"``, ``"staggered"`` or ``"densities"``.

    Raises:
        ValueError: if an option is unknown or there are more inputs than atoms.
    """
    at_least("columns", columns, 1)
    at_least("rows", rows, 1)
    places = np.asarray([(float(column), float(row)) for row in range(rows) for column in range(columns)])
    return _rydberg(
        distances=np.linalg.norm(places[:, None] - places[None], axis=-1),
        signs=np.where(places.sum(axis=1) % 2, -1.0, 1.0),
        blockade_range=blockade_range,
        interaction=interaction,
        control=control,
        initial=(rabi_frequency, detuning),
        n_inputs=n_inputs,
        readout=readout,
        positions=places,
    )


def _rydberg(
    *,
    distances: FloatArray,
    signs: FloatArray,
    blockade_range: float,
    interaction: float,
    control: str,
    initial: tuple[float, float],
    n_inputs: int,
    readout: str,
    positions: FloatArray,
) -> Network:
    """The network of atoms with distances (sites, sites) and staggering signs (sites,)."""
    sites = len(signs)
    one_of("control", control, ("uniform", "local"))
    one_of("readout", readout, ("staggered_squared", "staggered", "densities"))
    at_least("n_inputs", n_inputs, 0)
    at_most("n_inputs", n_inputs, sites, "the number of atoms")
    if blockade_range < 1:
        raise ValueError(f"Argument `blockade_range` must be at least 1, but is {blockade_range}.")

    one = term("", (), sites)
    excited = [total([one * 0.5, term("Z", (site,), sites, 0.5)]) for site in range(sites)]
    pairs = [
        (excited[i] @ excited[j]) * float(interaction / distances[i, j] ** 6)
        for i, j in combinations(range(sites), 2)
        if interaction and distances[i, j] < blockade_range + 1e-9  # the margin is for rounded square roots
    ]
    flips = [term("X", (site,), sites, 0.5) for site in range(sites)]
    shifts = [operator * -1.0 for operator in excited]
    if control == "uniform":
        flips, shifts = [total(flips)], [total(shifts)]
    staggered = total(term("Z", (site,), sites, float(sign) / sites) for site, sign in enumerate(signs))
    outputs: dict[str, list[SparsePauliOp]] = {
        "staggered_squared": [(staggered @ staggered).simplify(atol=0)],
        "staggered": [staggered],
        "densities": excited,
    }
    return Network.of(
        static=total(pairs) if pairs else None,
        inputs=[excited[site] * -1.0 for site in range(n_inputs)],
        trainable=[*flips, *shifts],
        outputs=outputs[readout],
        initial=[initial[0]] * len(flips) + [initial[1]] * len(shifts),
        positions=positions,
    )
