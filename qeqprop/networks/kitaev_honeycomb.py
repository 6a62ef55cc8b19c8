"""Kitaev's honeycomb model: three kinds of bonds that compete on every site."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge

from qeqprop.interfaces import FloatArray, Network
from qeqprop.networks._graphs import at_least, one_of
from qeqprop.operators import parse, term, total


def kitaev_honeycomb(
    *,
    columns: Annotated[int, Ge(2)] = 2,
    rows: Annotated[int, Ge(2)] = 2,
    boundary: Literal["periodic", "open"] = "periodic",
    couplings: tuple[float, float, float] = (1.0, 1.0, 1.0),
    field: float = 0.3,
    field_role: Literal["static", "trainable", "input"] = "static",
    readout: Literal["bonds", "magnetisation"] | Sequence[str] = "bonds",
) -> Network:
    r"""Kitaev's honeycomb model with three trainable couplings in a magnetic field along [1, 1, 1].

    .. math:: H = -J_x \sum_{x\,{\rm links}} X_i X_j - J_y \sum_{y\,{\rm links}} Y_i Y_j
                  - J_z \sum_{z\,{\rm links}} Z_i Z_j - h \sum_i \frac{X_i + Y_i + Z_i}{\sqrt 3}

    The parameters are ``(J_x, J_y, J_z)``, and ``h`` if it is trainable; each ``P_j`` carries the minus sign. A unit
    cell ``(c, r)`` holds two sites, a = 2 (r columns + c) and b = a + 1. Site a has a z-link to the b of its own cell,
    an x-link to the b of cell (c - 1, r) and a y-link to the b of cell (c, r - 1). With ``boundary="periodic"`` the
    cells count modulo ``columns`` and ``rows`` (a torus), with ``"open"`` links that leave the patch are absent. By
    default a torus of eight sites and twelve links.

    Args:
        columns: unit cells along one lattice vector, at least 2.
        rows: unit cells along the other, at least 2.
        boundary: torus or open patch.
        couplings: centre of the random initial ``(J_x, J_y, J_z)``.
        field: the fixed ``h``, or the centre of the initial one if it is trained; not used if it is the input.
        field_role: ``"static"``, ``"trainable"``, or ``"input"``: ``h`` is the one input feature.
        readout: ``"bonds"`` measures the mean of ``XX``, ``YY`` and ``ZZ`` over their own links (three outputs),
            ``"magnetisation"`` the mean of ``(X + Y + Z) / sqrt 3``; or a list of strings such as ``"X0 Y1"``.

    Raises:
        ValueError: if the lattice is too small, an option is unknown or a string does not fit.

    Source: Kitaev, Annals of Physics 321, 2 (2006).
    """
    one_of("boundary", boundary, ("periodic", "open"))
    one_of("field_role", field_role, ("static", "trainable", "input"))
    at_least("columns", columns, 2)
    at_least("rows", rows, 2)
    sites = 2 * columns * rows
    links = _links(columns, rows, periodic=boundary == "periodic")
    kinds = [[term(word, pair, sites) for pair in pairs] for word, pairs in links.items()]
    directions = [term(letter, (site,), sites, 3**-0.5) for site in range(sites) for letter in "XYZ"]
    along_field = total(directions) * -1.0
    trainable = [total(terms) * -1.0 for terms in kinds]
    initial = list(couplings)
    if field_role == "trainable":
        trainable.append(along_field)
        initial.append(field)
    if readout == "bonds":
        outputs = [total(terms) * (1 / len(terms)) for terms in kinds]
    elif readout == "magnetisation":
        outputs = [total(directions) * (1 / sites)]
    else:
        if isinstance(readout, str):
            one_of("readout", readout, ("bonds", "magnetisation"))
        outputs = [parse(text, sites) for text in readout]
    return Network.of(
        static=along_field * float(field) if field_role == "static" and field else None,
        inputs=[along_field] if field_role == "input" else [],
        trainable=trainable,
        outputs=outputs,
        initial=initial,
        positions=_positions(columns, rows),
    )


def _links(columns: int, rows: int, *, periodic: bool) -> dict[str, list[tuple[int, int]]]:
    """The bonds (a, b) of each word."""
    links: dict[str, list[tuple[int, int]]] = {"XX": [], "YY": [], "ZZ": []}
    for row, column in product(range(rows), range(columns)):
        for word, left, down in (("XX", 1, 0), ("YY", 0, 1), ("ZZ", 0, 0)):
            if periodic or (column >= left and row >= down):
                cell = (row - down) % rows * columns + (column - left) % columns
                links[word].append((2 * (row * columns + column), 2 * cell + 1))
    return links


def _positions(columns: int, rows: int) -> FloatArray:
    """Places with links of length one: z-links upright, x-links to the lower left, y-links to the lower right."""
    along_columns, along_rows = np.asarray([3**0.5 / 2, 1.5]), np.asarray([-(3**0.5) / 2, 1.5])
    cells = [column * along_columns + row * along_rows for row, column in product(range(rows), range(columns))]
    return np.asarray([place + shift for place in cells for shift in (np.zeros(2), np.asarray([0.0, 1.0]))])
