"""Spins on any graph with any two-spin couplings and fields, spelled as words over X, Y, Z."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from annotated_types import Ge
from qiskit.quantum_info import SparsePauliOp

from qeqprop.interfaces import Network
from qeqprop.networks._graphs import at_least, edge_list, places
from qeqprop.operators import parse, term, total


def spin_graph(
    *,
    sites: Annotated[int, Ge(1)] = 4,
    edges: Literal["complete", "chain", "ring"] | Sequence[tuple[int, int]] = "ring",
    bonds: Sequence[str] = ("ZZ",),
    fields: Sequence[str] = ("X", "Z"),
    tied: Sequence[str] = (),
    static: Mapping[str, float] | None = None,
    start: Mapping[str, float] | None = None,
    inputs: Sequence[str] = (),
    outputs: Sequence[str] = ("Z0",),
) -> Network:
    r"""Spins on a graph with couplings such as XX, YY, ZZ or XY on its bonds and fields X, Y, Z on its sites.

    .. math:: H = -\sum_{w} \sum_{(ij)} J^w_{ij} \, w^{(1)}_i w^{(2)}_j - \sum_{a} \sum_i h^a_i \, a_i
                  - \sum_k x_k S_k

    Here ``w`` runs over the two-letter words and ``a`` over the one-letter words. For a bond ``(i, j)`` the first
    letter acts on ``i`` and the second on ``j``, so XY and YX differ, and so do the bonds (0, 1) and (1, 0). A
    ``"chain"`` is open, a ``"ring"`` periodic, ``"complete"`` has all pairs. The parameters come word by word,
    ``bonds`` first and then ``fields``, one for each bond or site in order; each ``P_j`` carries the minus sign. In a
    run file::

        static = { XX = 0.5, "Z0 Z3" = 1.0 }
        inputs = ["Z0", "Z1 Z2"]

    Args:
        sites: number of spins.
        edges: a named graph or a list of pairs ``(i, j)``.
        bonds: trainable two-letter words.
        fields: trainable one-letter words.
        tied: those of the trainable words whose parameters are one, shared by the whole graph.
        static: fixed terms and their strengths: a word of one or two letters stands on all sites or bonds with
            this strength, a string with sites such as ``"Z0 Z3"`` once; signs as above, so 0.5 adds ``-0.5 XX``.
        start: trainable words and the centre of their random initial parameters, zero where not named. By default 1 for
            the field X, if it is trainable: without any field the spins would start degenerate.
        inputs: the strings ``S_k``, such as ``"Z0"`` or ``"Z0 Z1"``, which enter as ``-x_k S_k``.
        outputs: the strings whose expectations are the outputs, such as ``"X0 X4"``.

    Raises:
        ValueError: if a bond leaves the network, or a word or a string is unknown or comes twice.
    """
    at_least("sites", sites, 1)
    pairs = edge_list(edges, sites)
    words = [*_words("bonds", bonds, 2), *_words("fields", fields, 1)]
    centres: dict[str, float] = dict(start) if start is not None else ({"X": 1.0} if "X" in words else {})
    for name, used in (("tied", tied), ("start", centres)):
        strangers = [word for word in used if word not in words]
        if strangers:
            raise ValueError(f"Argument `{name}` must name trainable words, which are {words}, but names {strangers}.")

    trainable: list[SparsePauliOp] = []
    initial: list[float] = []
    for word in words:
        terms = _everywhere(word, pairs, sites)
        terms = [total(terms)] if word in tied and terms else terms
        trainable += terms
        initial += [centres.get(word, 0.0)] * len(terms)
    fixed = [
        one * float(strength)
        for name, strength in (static or {}).items()
        if strength
        for one in (_everywhere(name, pairs, sites) if _is_word(name) else [parse(name, sites) * -1.0])
    ]
    return Network.of(
        static=total(fixed) if fixed else None,
        inputs=[parse(text, sites) * -1.0 for text in inputs],
        trainable=trainable,
        outputs=[parse(text, sites) for text in outputs],
        initial=initial,
        positions=places(edges, sites),
    )


def _words(name: str, words: Sequence[str], length: int) -> list[str]:
    for word in words:
        if len(word) != length or not _is_word(word):
            raise ValueError(
                f"Argument `{name}` must hold words of {length} letter{'s' * (length > 1)} X, Y, Z, but holds {word!r}."
            )
    if isinstance(words, str) or len(set(words)) != len(words):
        raise ValueError(f"Argument `{name}` must be a list of different words, but is {words!r}.")
    return list(words)


def _is_word(text: str) -> bool:
    return len(text) in (1, 2) and set(text) <= set("XYZ")


def _everywhere(word: str, pairs: Sequence[tuple[int, int]], sites: int) -> list[SparsePauliOp]:
    """Minus the word on every bond, or minus the letter on every site."""
    places = pairs if len(word) == 2 else [(site,) for site in range(sites)]
    return [term(word, place, sites, -1.0) for place in places]
