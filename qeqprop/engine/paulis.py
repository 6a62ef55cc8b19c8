"""Pauli strings as bit masks, and what one does with them on state vectors.

A string with bit masks x, z and ``n_y`` letters Y is ``P = i^n_y X^x Z^z``, so that on the basis state of integer b
``P |b> = i^n_y (-1)^popcount(b & z) |b xor x>``. Bit k of b is site k; bit 0 means ``Z = +1``.
Strings that share x differ only by signs: everything here works group by group.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache, reduce

import numpy as np
from qiskit.quantum_info import PauliList

from qeqprop.interfaces import ComplexArray, IntArray, NumberArray

_SIGN_TABLE_LIMIT = 1 << 24  # entries of a sign table that may be held at once (128 MiB)

_KEPT_SIGNS = 1 << 20  # entries of the sign tables that are kept for the next call (8 MiB)


@dataclass(frozen=True, eq=False)
class PauliTable:
    """Compiled Pauli strings.

    Attributes:
        num_sites: number of sites; the state space has ``dim = 2^num_sites`` dimensions.
        z: (n_strings,) sign masks.
        phases: (n_strings,) the factors ``i^n_y``.
        groups: pairs of a flip mask x and the indices of the strings that share it.
        real: whether every string is a real matrix (an even number of Y).
    """

    num_sites: int
    z: IntArray
    phases: ComplexArray
    groups: tuple[tuple[int, IntArray], ...]
    real: bool

    @classmethod
    def of(cls, strings: PauliList) -> PauliTable:
        """Compiles the strings; tables of recent lists are kept."""
        bits = (strings.x.shape, strings.x.tobytes(), strings.z.tobytes())
        known = _tables.get(id(strings))
        if known is not None and known[0] == bits:
            return known[1]
        num_sites = int(strings.num_qubits or 0)
        weights = 1 << np.arange(num_sites, dtype=np.int64)
        table = _compiled(num_sites, tuple((strings.x @ weights).tolist()), tuple((strings.z @ weights).tolist()))
        if len(_tables) >= _KEPT_TABLES:
            _tables.clear()
        _tables[id(strings)] = (bits, table)
        return table

    @classmethod
    def of_masks(cls, num_sites: int, x: IntArray, z: IntArray) -> PauliTable:
        """Compiles flip masks x and sign masks z, (n_strings,)."""
        n_y = np.bitwise_count(x & z)
        masks = dict.fromkeys(x.tolist())
        return cls(
            num_sites=num_sites,
            z=z,
            phases=1j ** (n_y % 4),
            groups=tuple((mask, np.flatnonzero(x == mask)) for mask in masks),
            real=bool(np.all(n_y % 2 == 0)),
        )

    @property
    def dim(self) -> int:
        return 1 << self.num_sites

    def group_phases(self, indices: IntArray) -> NumberArray:
        """The phases of some strings, real where all strings are."""
        return self.phases[indices].real if self.real else self.phases[indices]

    def signs(self, indices: IntArray) -> NumberArray:
        """``(-1)^popcount(b & z)`` for some strings and every basis state, (n, dim)."""
        basis = np.arange(self.dim, dtype=np.int64)
        return 1.0 - 2.0 * (np.bitwise_count(self.z[indices, None] & basis) & 1)

    @cached_property
    def _kept_signs(self) -> list[NumberArray] | None:
        """The sign tables of all groups, where they are small enough to keep."""
        small = len(self.z) * self.dim <= _KEPT_SIGNS
        return [self.signs(indices) for _, indices in self.groups] if small else None

    def sign_chunks(self, group: int) -> Iterator[tuple[slice, IntArray, NumberArray]]:
        """The strings of a group in pieces: their place in the group, their indices and signs (n, dim)."""
        indices = self.groups[group][1]
        if self._kept_signs is not None:
            yield slice(None), indices, self._kept_signs[group]
            return
        size = max(1, _SIGN_TABLE_LIMIT // self.dim)
        for start in range(0, len(indices), size):
            piece = slice(start, start + size)
            yield piece, indices[piece], self.signs(indices[piece])

    def diagonals(self, coefficients: NumberArray) -> list[NumberArray]:
        """For each group the d_x of ``H |b> = sum_x d_x[b] |b xor x>``, (..., dim), from coefficients."""
        result: list[NumberArray] = []
        for group, (_, indices) in enumerate(self.groups):
            weighted = coefficients[..., indices] * self.group_phases(indices)
            pieces = (weighted[..., piece] @ signs for piece, _, signs in self.sign_chunks(group))
            result.append(reduce(np.add, pieces))
        return result

    def matrices(self, coefficients: NumberArray) -> NumberArray:
        """Dense matrices (batch, dim, dim) of the sums; coefficients (batch, n_strings)."""
        basis = np.arange(self.dim)
        diagonals = self.diagonals(coefficients)
        kind = np.result_type(np.float64, *diagonals)
        result = np.zeros((len(coefficients), self.dim, self.dim), dtype=kind)
        for (mask, _), diagonal in zip(self.groups, diagonals, strict=True):
            result[:, basis ^ mask, basis] = diagonal
        return result

    def apply(self, diagonals: list[NumberArray], states: NumberArray) -> NumberArray:
        """``H psi`` for states (..., dim) and the result of `diagonals`, broadcast over leading axes."""
        basis = np.arange(self.dim)
        result = np.zeros(
            np.broadcast_shapes(diagonals[0].shape, states.shape), dtype=np.result_type(states, *diagonals)
        )
        for (mask, _), diagonal in zip(self.groups, diagonals, strict=True):
            flipped = diagonal * states
            result += flipped[..., basis ^ mask] if mask else flipped
        return result

    def elements(self, bra: NumberArray, ket: NumberArray) -> NumberArray:
        """``<bra| P_s |ket>`` for every string, (..., n_strings), bra and ket (..., dim)."""
        return self._traces(lambda flipped: ket * bra[..., flipped].conj(), np.broadcast_shapes(bra.shape, ket.shape))

    def traces(self, density: NumberArray) -> NumberArray:
        """``Tr[P_s rho]`` for every string, (..., n_strings), rho (..., dim, dim)."""
        basis = np.arange(self.dim)
        return self._traces(lambda flipped: density[..., basis, flipped], density.shape[:-1])

    # `pairs` maps flipped -> rho[b, flipped[b]]: the entries of a (virtual) density matrix that a string can see
    def _traces(self, pairs: Callable[[IntArray], NumberArray], shape: tuple[int, ...]) -> NumberArray:
        basis = np.arange(self.dim)
        values = np.zeros((*shape[:-1], len(self.z)), dtype=np.complex128)
        for group, (mask, _) in enumerate(self.groups):
            products = pairs(basis ^ mask)
            for _, indices, signs in self.sign_chunks(group):
                values[..., indices] = (products @ signs.T) * self.phases[indices]
        return values


_KEPT_TABLES = 64
_Bits = tuple[tuple[int, ...], bytes, bytes]
_tables: dict[int, tuple[_Bits, PauliTable]] = {}  # comparing is a good deal faster than hashing


@lru_cache(maxsize=64)
def _compiled(num_sites: int, x: tuple[int, ...], z: tuple[int, ...]) -> PauliTable:
    return PauliTable.of_masks(num_sites, np.array(x, dtype=np.int64), np.array(z, dtype=np.int64))
