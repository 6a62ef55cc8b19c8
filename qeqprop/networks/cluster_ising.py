"""The cluster-Ising chain, and the sensor that learns to tell its phases."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, product
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge
from qiskit.quantum_info import SparsePauliOp

from qeqprop.interfaces import Network
from qeqprop.networks._graphs import at_least, circle, line, one_of
from qeqprop.operators import parse, projector, term, total


def cluster_ising(
    *,
    sites: Annotated[int, Ge(3)] = 10,
    boundary: Literal["open", "periodic"] = "open",
    triples: Literal["inner", "all"] = "inner",
    cluster_field: float = 0.5,
    field_x: float = 1.0,
    coupling_zz: float = 0.5,
    outputs: Sequence[str] | None = None,
) -> Network:
    r"""The cluster-Ising chain with two trainable couplings for the whole chain.

    .. math:: H = -\Big[ g_X \sum_j X_j + g_{ZZ} \sum_j Z_j Z_{j+1} + g_{ZXZ} \sum_j Z_j X_{j+1} Z_{j+2} \Big]

    The parameters are ``(g_X, g_ZZ)``, each ``P_j`` carries the minus sign; ``g_ZXZ = cluster_field`` is fixed. With
    ``boundary="open"`` terms that leave the chain are absent; with ``"periodic"`` all indices count modulo ``sites``.
    The default arguments give the published system: ten sites, open, the triples j = 1 .. 7, the output ``X_0 X_4``.

    Args:
        sites: length of the chain.
        boundary: of all three sums.
        triples: ``"inner"`` leaves out the triple that starts at site 0, ``"all"`` keeps it.
        cluster_field: the fixed ``g_ZXZ``.
        field_x: centre of the random initial ``g_X``.
        coupling_zz: centre of the random initial ``g_ZZ``.
        outputs: strings such as ``"X0 X4"``; by default ``X`` on site 0 and on site 4, or on the last site of a
            shorter chain.

    Raises:
        ValueError: if the chain is shorter than a triple, an option is unknown or a string does not fit.

    Source: Wanjura and Marquardt, Nat. Commun. 16, 6595 (2025).
    """
    at_least("sites", sites, 3)
    one_of("boundary", boundary, ("open", "periodic"))
    one_of("triples", triples, ("inner", "all"))
    periodic = boundary == "periodic"
    clusters = _windows("ZXZ", sites, sites, periodic)[1 if triples == "inner" else 0 :]
    texts = (f"X0 X{min(4, sites - 1)}",) if outputs is None else outputs
    return Network.of(
        static=total(clusters) * -float(cluster_field) if clusters and cluster_field else None,
        trainable=[total(_windows(word, sites, sites, periodic)) * -1.0 for word in ("X", "ZZ")],
        outputs=[parse(text, sites) for text in texts],
        initial=[field_x, coupling_zz],
        positions=circle(sites) if periodic else line(sites),
    )


def cluster_sensor(*, sites: Annotated[int, Ge(3)] = 8, sensors: Annotated[int, Ge(1)] = 2) -> Network:
    r"""Sensor spins that learn to tell the phase of a periodic cluster-Ising ring that is given as the input.

    .. math:: H = x_0 \sum_j Z_j X_{j+1} Z_{j+2} - x_1 \sum_j Z_j Z_{j+1} - x_2 \sum_j X_j + \sum_k \theta_k P_k

    The inputs are ``x = (g_ZXZ, g_ZZ, g_X)`` and act on the ring, sites 0 to ``sites - 1``, whose indices count modulo
    ``sites``; mind that the cluster term has a plus sign here. The sensors are the sites after the ring. The trainable
    ``P_k`` carry a plus sign and come in this order: every Pauli matrix of the ring's sites 0 and 1 times every Pauli
    matrix of each sensor; the Pauli matrices of each sensor; their products for each pair of sensors. For two sensors
    these are 36 + 6 + 9 = 51 terms. Output ``k`` is the probability that the last ``k`` sensors have ``Z = -1`` and the
    others ``Z = +1``: for two sensors (+, +), (+, -), (-, -).

    Args:
        sites: length of the ring.
        sensors: number of sensors; there is one output more.

    Raises:
        ValueError: if the ring is shorter than a triple or there is no sensor.

    Source: Wanjura and Marquardt, Nat. Commun. 16, 6595 (2025).
    """
    at_least("sites", sites, 3)
    at_least("sensors", sensors, 1)
    width = sites + sensors
    outside = range(sites, width)
    places = [
        *product((0, 1), outside),
        *((sensor,) for sensor in outside),
        *combinations(outside, 2),
    ]
    trainable = [term("".join(word), place, width) for place in places for word in product("XYZ", repeat=len(place))]
    signs = (("ZXZ", 1.0), ("ZZ", -1.0), ("X", -1.0))
    ring = circle(sites)
    # The sensors hang outside the ring, next to its sites 0 and 1.
    angles = 2 * np.pi / sites * np.linspace(0.0, 1.0, sensors) if sensors > 1 else np.asarray([np.pi / sites])
    radius = sites / (2 * np.pi) + 1.5
    return Network.of(
        inputs=[total(_windows(word, sites, width, periodic=True)) * sign for word, sign in signs],
        trainable=trainable,
        outputs=[projector([0] * (sensors - k) + [1] * k, outside, width) for k in range(sensors + 1)],
        positions=np.concatenate([ring, radius * np.stack([np.sin(angles), np.cos(angles)], axis=1)]),
    )


def _windows(word: str, sites: int, width: int, periodic: bool) -> list[SparsePauliOp]:
    """The word on every run of neighbours of the first ``sites`` of ``width`` sites, by its first site."""
    starts = range(sites if periodic else sites - len(word) + 1)
    return [term(word, [(start + step) % sites for step in range(len(word))], width) for start in starts]
