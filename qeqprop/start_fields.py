"""Where an adiabatic sweep begins: a field on every site, ``H_start = sum_i s_i L_i``, whose eigenstates are products.

Each site has one letter L, X or Z, for the whole batch and a sign for each sample. A sweep gets nowhere on a site
whose L commutes with every string of H: what it conserves cannot turn. So L is X unless H conserves X there and not Z.
X keeps the spin-flip symmetry of Ising networks: their states stay in the sector of the ground state, where the gap is
not the tiny one between the two sectors. The sign is that of L in H, negative where H has none, so that a field of the
network does not pass through zero on the way.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from qiskit.quantum_info import PauliList

from qeqprop.interfaces import BoolArray, FloatArray, PauliSums

LEVEL_SITES = 16
"""Excited start states are chosen by the energies of all product states, up to this many sites."""


def start_fields(
    hamiltonians: PauliSums, letter: Literal["X", "Z"] | None = None, *, spread: bool = False
) -> FloatArray:
    """The fields (batch, 2, n_sites): coefficients of X and of Z on every site, one of them zero.

    Args:
        hamiltonians: (batch,) where the sweeps end.
        letter: the letter of every site; chosen for each by default.
        spread: strengths ``2^(i / n_sites)`` instead of 1, so that no two product states have the same energy.
    """
    strings, coefficients = hamiltonians.strings, np.real(hamiltonians.coefficients)
    used = np.any(coefficients != 0, axis=0)
    keeps_x, keeps_z = ~np.any(strings.z[used], axis=0), ~np.any(strings.x[used], axis=0)
    sites = np.arange(hamiltonians.num_sites)
    is_x = ~keeps_x | keeps_z if letter is None else np.full(len(sites), letter == "X")
    own = _own_fields(strings, coefficients)
    chosen = np.where(is_x, own[:, 0], own[:, 1])
    strength = 2.0 ** (sites / len(sites)) if spread else np.ones(len(sites))
    signed = np.where(chosen > 0, strength, -strength)
    return np.stack([np.where(is_x, signed, 0.0), np.where(is_x, 0.0, signed)], axis=1)


def conserved(hamiltonians: PauliSums, fields: FloatArray) -> BoolArray:
    """The sites (n_sites,) whose start field commutes with every string of H: their spins stay as they begin."""
    used = np.any(hamiltonians.coefficients != 0, axis=0)
    is_x = np.any(fields[:, 0] != 0, axis=0)
    crossing = np.where(is_x, hamiltonians.strings.z[used], hamiltonians.strings.x[used])
    return ~np.any(crossing, axis=0)


def field_operators(fields: FloatArray) -> PauliSums:
    """H_start of every sample, from fields (batch, 2, n_sites)."""
    n_sites = fields.shape[2]
    one, none = np.eye(n_sites, dtype=np.bool_), np.zeros((n_sites, n_sites), dtype=np.bool_)
    strings = PauliList.from_symplectic(np.concatenate([none, one]), np.concatenate([one, none]))
    return PauliSums(strings, fields.reshape(len(fields), -1))


def field_angles(fields: FloatArray, level: int = 0) -> FloatArray:
    """Angles (batch, n_sites) of RY gates that turn all zero into an eigenstate of H_start; levels by energy.

    Raises:
        ValueError: for a level that does not exist or, above the ground state, more than 16 sites.
    """
    x, z = fields[:, 0], fields[:, 1]
    angles = np.arctan2(-x, -z)  # the direction opposite to the field, from Z towards X
    if level == 0:
        return angles
    n_sites = fields.shape[2]
    if n_sites > LEVEL_SITES or level >= 2**n_sites:
        raise ValueError(
            f"Argument `level` must be below 2^sites, and 0 above {LEVEL_SITES} sites, "
            f"but is {level} for {n_sites} sites."
        )
    flips = (np.arange(2**n_sites)[:, None] >> np.arange(n_sites)) & 1
    strengths = np.abs(x[0] + z[0])
    return angles + np.pi * flips[np.argsort(flips @ strengths, kind="stable")[level]]


def _own_fields(strings: PauliList, coefficients: FloatArray) -> FloatArray:
    """The coefficients of single X and single Z in H, (batch, 2, n_sites)."""
    alone = np.sum(strings.x | strings.z, axis=1) == 1
    columns = [(strings.x & ~strings.z)[alone], (strings.z & ~strings.x)[alone]]
    return np.stack([coefficients[:, alone] @ column.astype(np.float64) for column in columns], axis=1)
