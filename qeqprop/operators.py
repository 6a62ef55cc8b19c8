"""Small makers of Pauli operators, so that a network reads like its formula.

Site ``k`` is qubit ``k``; bit 0 of a site is ``Z = +1``, bit 1 is ``Z = -1``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product

from qiskit.quantum_info import SparsePauliOp


def term(word: str, sites: Sequence[int], num_sites: int, coefficient: float = 1.0) -> SparsePauliOp:
    """``coefficient * word[0]_{sites[0]} word[1]_{sites[1]} ...``, for instance ``term("ZZ", (0, 3), 6, -1.0)``."""
    if len(word) != len(sites):
        raise ValueError(f"Argument `word` must have one letter for each of the sites {tuple(sites)}, but is {word!r}.")
    if any(not 0 <= site < num_sites for site in sites) or len(set(sites)) != len(sites):
        raise ValueError(f"Argument `sites` must be different sites from 0 to {num_sites - 1}, but is {tuple(sites)}.")
    return SparsePauliOp.from_sparse_list([(word, list(sites), coefficient)], num_sites)


def total(terms: Iterable[SparsePauliOp]) -> SparsePauliOp:
    """The sum of at least one operator, equal strings merged."""
    return SparsePauliOp.sum(list(terms)).simplify(atol=0)


def projector(bits: Sequence[int], sites: Sequence[int], num_sites: int) -> SparsePauliOp:
    """The projector on ``bits`` of ``sites``: the product of ``(1 + (-1)^bit Z_site) / 2``."""
    if len(bits) != len(sites) or any(bit not in (0, 1) for bit in bits):
        raise ValueError(
            f"Argument `bits` must hold a 0 or 1 for each of the sites {tuple(sites)}, but is {tuple(bits)}."
        )
    strings: list[SparsePauliOp] = []
    for chosen in product((0, 1), repeat=len(sites)):
        used = [site for site, use in zip(sites, chosen, strict=True) if use]
        sign = (-1) ** sum(bit for bit, use in zip(bits, chosen, strict=True) if use)
        strings.append(term("Z" * len(used), used, num_sites, sign / 2 ** len(sites)))
    return total(strings)


def parse(text: str, num_sites: int) -> SparsePauliOp:
    """The Pauli string that a text such as ``"Z0 Z1"`` or ``"X4"`` names: letters X, Y, Z, each with its site.

    Raises:
        ValueError: if something is not a letter with a site, or a site is out of range or named twice.
    """
    factors = text.split()
    if not factors or any(factor[0] not in "XYZ" or not factor[1:].isdecimal() for factor in factors):
        raise ValueError(f"A Pauli string must read like 'X0 Z3', letters X, Y, Z with their sites, but is {text!r}.")
    sites = [int(factor[1:]) for factor in factors]
    if any(site >= num_sites for site in sites) or len(set(sites)) != len(sites):
        raise ValueError(f"The Pauli string {text!r} must name different sites from 0 to {num_sites - 1}.")
    return term("".join(factor[0] for factor in factors), sites, num_sites)
