"""Products of Pauli sums, as Pauli sums: symmetric products ``{A, B}/2`` and commutators ``[A, B]/2i``.

A string is ``P = i^|x & z| X^x Z^z``, so ``P_l P_r = i^(n_l + n_r - n_lr) (-1)^|z_l & x_r| P_lr`` with n the number of
Y. Strings that commute have a real factor and make the symmetric product, the others make the commutator.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from qiskit.quantum_info import PauliList
from scipy.sparse import csr_array

from qeqprop.interfaces import FloatArray, PauliSums

_REAL, _IMAGINARY = np.array([1.0, 0.0, -1.0, 0.0]), np.array([0.0, 1.0, 0.0, -1.0])  # of 1, i, -1, -i


class Products(NamedTuple):
    """All products of operators A_j with operators B_b.

    Attributes:
        strings: (n_strings,) that occur.
        symmetric: (n_b, n_a, n_strings) ``(A_j B_b + B_b A_j) / 2``.
        commutators: (n_b, n_a, n_strings) ``(A_j B_b - B_b A_j) / 2i``.
    """

    strings: PauliList
    symmetric: FloatArray
    commutators: FloatArray


def products(left: PauliSums, right: PauliSums) -> Products:
    """The products of all ``left`` operators A_j with all ``right`` operators B_b, Hermitian all."""
    a, b = left.strings, right.strings
    x, z = a.x[:, None] ^ b.x, a.z[:, None] ^ b.z
    power = np.sum(a.x & a.z, axis=1)[:, None] + np.sum(b.x & b.z, axis=1) - np.sum(x & z, axis=2)
    crossings = a.z.astype(np.int64) @ b.x.T.astype(np.int64)
    quarters = ((power + 2 * crossings) % 4).reshape(-1)
    bits = np.concatenate([z, x], axis=2).reshape(len(quarters), -1)
    different, place = np.unique(bits, axis=0, return_inverse=True)
    sites = left.num_sites
    pairs = np.arange(len(quarters))
    shape = (len(quarters), len(different))
    # (n_b, n_a, pairs): the coefficients of every pair of strings
    outer = np.real(right.coefficients)[:, None, None, :] * np.real(left.coefficients)[None, :, :, None]
    rows = outer.reshape(-1, len(quarters))
    real, imaginary = (
        csr_array((part[quarters], (pairs, place.reshape(-1))), shape=shape) for part in (_REAL, _IMAGINARY)
    )
    size = (len(right), len(left), len(different))
    return Products(
        PauliList.from_symplectic(different[:, :sites], different[:, sites:]),
        np.asarray(rows @ real).reshape(size),
        np.asarray(rows @ imaginary).reshape(size),
    )
