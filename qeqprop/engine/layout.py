"""The Pauli strings of a table as the compiled kernels want them: real, sorted, in flat arrays.

Every kernel works on real vectors. A string with an even number of Y is a real matrix; one with an odd number is ``i``
times a real one, ``P = i K``. Complex amplitudes are therefore stored as their real parts followed by their imaginary
parts, which is one more, highest, site; on it ``i`` acts as the real matrix ``[[0, -1], [1, 0]]``, so that ``P``
becomes a real string as well. Krylov spaces of Hermitian sums are the same in both pictures, because all their inner
products are real.

A real string acts as ``(P psi)[b] = factor * (-1)^popcount(b & z) * psi[b xor x]``. By flip mask x the strings fall
into the diagonal ones (x = 0), flips of one site without a sign, ``X_k``, and all others, the signed flips.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from qeqprop.engine.paulis import PauliTable
from qeqprop.engine.vectors import TILE, WIDTH
from qeqprop.interfaces import FloatArray, IntArray


class Layout(NamedTuple):
    """Pauli strings in kernel order; ``*_index``: which coefficient belongs to an entry, ``*_factor``: times what.

    Attributes:
        sites: number of sites, with the one that holds real and imaginary part.
        strings: number of strings.
        partner: 1 if the highest site holds real and imaginary part, else 0.
        constant_index: the identity, if there.
        field_index: (sites,) the string Z_k of every site, -1 where there is none.
        pair_index: (sites, sites) the string Z_j Z_k in row k and column j < k, -1 where there is none.
        reach: (sites,) one more than the largest j of row k, 0 where there is none.
        rest_z, rest_index: all longer strings of Z.
        flip_site, flip_index: strings X of one site, where no other string flips just that site.
        group_mask: the other flip masks, sorted by ``mask mod WIDTH``.
        group_starts: (WIDTH + 1,) where each remainder begins.
        sign_starts: (n_groups + 1,) where the strings of each group begin.
        sign_mask, sign_z, sign_index, sign_factor: their strings.
        lane_starts: (WIDTH + 1,) where the strings of each remainder begin.
        support_string: the strings without Y, and where their letters begin (``support_starts``, one more).
        support_site, support_letter: their letters, 0 for X and 1 for Z.
    """

    sites: int
    strings: int
    partner: int
    constant_index: IntArray
    field_index: IntArray
    pair_index: IntArray
    reach: IntArray
    rest_z: IntArray
    rest_index: IntArray
    flip_site: IntArray
    flip_index: IntArray
    group_mask: IntArray
    group_starts: IntArray
    sign_starts: IntArray
    sign_mask: IntArray
    sign_z: IntArray
    sign_index: IntArray
    sign_factor: FloatArray
    lane_starts: IntArray
    support_string: IntArray
    support_starts: IntArray
    support_site: IntArray
    support_letter: IntArray


_PLACES = np.arange(TILE, dtype=np.int64)
SIGN_PATTERNS: FloatArray = np.where(np.bitwise_count(_PLACES[:, None] & _PLACES) & 1, -1.0, 1.0)
"""(TILE, TILE): the signs ``(-1)^popcount(j & z)`` of the amplitudes j within a tile for every low part of z."""


@lru_cache(maxsize=64)
def layout_of(table: PauliTable) -> Layout:
    """Sorts the strings of a table; layouts of recent tables are kept."""
    masks = np.empty(len(table.z), dtype=np.int64)
    for mask, indices in table.groups:
        masks[indices] = mask
    imaginary = np.abs(table.phases.imag) > 0.5
    top = (1 << table.num_sites) * imaginary.astype(np.int64)
    x, z = masks | top, table.z | top
    # even n_y: i^n_y is real. Odd: P = i K with K = -Im(i^n_y) (-1)^popcount(b & z) at the target b; the real part of
    # P psi is -K times the imaginary one, the imaginary part +K times the real one: the sign of the highest site
    factor = table.phases.real + table.phases.imag
    weight = np.bitwise_count(z)
    diagonal = x == 0
    sites = [tuple(np.flatnonzero((int(mask) >> np.arange(62)) & 1)) for mask in z]

    def chosen(condition: np.ndarray) -> IntArray:
        return np.flatnonzero(condition).astype(np.int64)

    fields, pairs = chosen(diagonal & (weight == 1)), chosen(diagonal & (weight == 2))
    rest = chosen(diagonal & (weight > 2))
    field_index = np.full(table.num_sites, -1, dtype=np.int64)
    pair_index = np.full((table.num_sites, table.num_sites), -1, dtype=np.int64)
    for index in fields:
        field_index[sites[index][0]] = index
    for index in pairs:
        low, high = sites[index]
        pair_index[high, low] = index
    flipping = chosen(~diagonal)
    signed_masks = np.unique(x[flipping][(z[flipping] != 0) | (np.bitwise_count(x[flipping]) > 1)])
    plain = flipping[~np.isin(x[flipping], signed_masks)]
    groups = signed_masks[np.argsort(signed_masks % WIDTH, kind="stable")]
    members = [flipping[x[flipping] == mask] for mask in groups]
    signed = np.concatenate([*members, np.zeros(0, dtype=np.int64)]).astype(np.int64)
    without_y = chosen((masks & table.z == 0) & (masks | table.z != 0))
    words = [
        [
            (site, int(table.z[index]) >> site & 1)
            for site in range(table.num_sites)
            if (masks | table.z)[index] >> site & 1
        ]
        for index in without_y
    ]
    group_starts = np.searchsorted(groups % WIDTH, np.arange(WIDTH + 1)).astype(np.int64)
    sign_starts = np.cumsum([0, *[len(member) for member in members]], dtype=np.int64)
    return Layout(
        sites=table.num_sites + int(not table.real),
        strings=len(table.z),
        partner=int(not table.real),
        constant_index=chosen(diagonal & (weight == 0)),
        field_index=field_index,
        pair_index=pair_index,
        reach=np.array([max(np.flatnonzero(row >= 0), default=-1) + 1 for row in pair_index], dtype=np.int64),
        rest_z=z[rest],
        rest_index=rest,
        flip_site=np.array([int(mask).bit_length() - 1 for mask in x[plain]], dtype=np.int64),
        flip_index=plain,
        group_mask=groups,
        group_starts=group_starts,
        sign_starts=sign_starts,
        sign_mask=x[signed],
        sign_z=z[signed],
        sign_index=signed,
        sign_factor=factor[signed],
        lane_starts=sign_starts[group_starts],
        support_string=without_y,
        support_starts=np.cumsum([0, *[len(word) for word in words]], dtype=np.int64),
        support_site=np.array([site for word in words for site, _ in word], dtype=np.int64),
        support_letter=np.array([letter for word in words for _, letter in word], dtype=np.int64),
    )
