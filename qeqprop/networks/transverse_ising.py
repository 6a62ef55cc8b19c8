"""The transverse-field Ising network: the spin glass that most of the literature trains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise, product
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt
from qiskit.quantum_info import SparsePauliOp

from qeqprop.interfaces import FloatArray, Network
from qeqprop.networks._graphs import at_least, at_most, columns, edge_list, one_of, places
from qeqprop.operators import projector, term, total


def transverse_ising(
    *,
    sites: Annotated[int, Ge(1)] = 6,
    edges: Literal["complete", "chain", "ring"] | Sequence[tuple[int, int]] = "complete",
    layers: Sequence[int] | None = None,
    n_inputs: Annotated[int, Ge(0)] = 0,
    encoding: Literal["fields", "pinned"] = "fields",
    input_weights: bool = True,
    pinning: Annotated[float, Gt(0)] = 10.0,
    n_outputs: Annotated[int, Ge(1)] = 1,
    readout: Literal["z", "projector"] = "z",
    fields_z: Literal["trainable", "none"] = "trainable",
    fields_x: Literal["uniform", "trainable", "uniform_trainable"] = "uniform",
    field_x: float = 1.0,
    couplings_xx: bool = False,
) -> Network:
    r"""A network of spins with trainable Ising couplings in a transverse field.

    .. math:: H = -\sum_{(ij)} J_{ij} Z_i Z_j - \sum_i h_i Z_i - \sum_i g_i X_i
                  \left[ - \sum_{(ij)} K_{ij} X_i X_j \right] + H_{\rm data}(x)

    The sums over ``(ij)`` run over the bonds: ``"complete"`` has all pairs, ``"chain"`` is open, ``"ring"`` periodic.
    The parameters come in the order ``J`` (bonds in their order), ``h``, ``g``, ``K``, input weights; each ``P_j``
    carries the minus sign. The data act on the input sites, which are the first layer if there are layers; without
    layers they are all sites where each input has weights, and the first ``n_inputs`` sites otherwise:

    * ``encoding="fields"`` with ``input_weights``: ``-sum_ki w_ki x_k Z_i``, one trainable ``w_ki`` for each input and
      input site (all sites for input 0, then for input 1, ...);
    * ``encoding="fields"`` without: ``-sum_k x_k Z_k``;
    * ``encoding="pinned"``: ``-pinning sum_k x_k Z_k``, so that an input ``+-1`` clamps its own site.

    The outputs sit on the last sites, so leave room for them behind pinned ones.

    Args:
        sites: number of spins; not used with ``layers``.
        edges: a named graph or a list of pairs ``(i, j)``; not used with ``layers``.
        layers: sites per layer ``(input, hidden, ..., output)``, numbered layer by layer, every site bound to all sites
            of the next layer.
        n_inputs: number of input features.
        encoding: how the inputs enter.
        input_weights: whether inputs that are fields have trainable weights.
        pinning: strength of pinned inputs, an energy.
        n_outputs: number of outputs.
        readout: ``"z"`` measures ``Z`` of the last ``n_outputs`` sites; ``"projector"`` measures the probabilities of
            the first ``n_outputs`` of the patterns 00, 01, 10, 11 (in this order) of the last ``ceil(log2 n_outputs)``
            sites, where the right digit is the last site and digit 0 is ``Z = +1``.
        fields_z: whether there are trainable fields ``h_i``.
        fields_x: ``"uniform"`` fixes ``g_i = field_x``; ``"trainable"`` has one ``g_i`` for each site;
            ``"uniform_trainable"`` ties them to one.
        field_x: strength of the transverse field, where training starts if it is trained.
        couplings_xx: whether the bonds also have trainable ``K_ij``.

    Raises:
        ValueError: if a bond leaves the network, an option is unknown, or inputs or outputs do not find their sites.

    Source: Massar and Mognetti, "Equilibrium propagation: the quantum and the thermal cases", arXiv:2405.08467 (2024);
        Wanjura and Marquardt, Nat. Commun. 16, 6595 (2025).
    """
    one_of("encoding", encoding, ("fields", "pinned"))
    one_of("fields_z", fields_z, ("trainable", "none"))
    one_of("fields_x", fields_x, ("uniform", "trainable", "uniform_trainable"))
    sites, bonds, positions = _graph(sites, edges, layers)
    weighted = encoding == "fields" and input_weights
    n_input_sites = sites if layers is None else layers[0]
    if not pinning > 0:
        raise ValueError(f"Argument `pinning` must be greater than 0, but is {pinning}.")
    at_least("n_inputs", n_inputs, 0)
    if not weighted:
        at_most("n_inputs", n_inputs, n_input_sites, "the number of input sites")

    uniform_x = total(term("X", (site,), sites, -1.0) for site in range(sites))
    trainable = [term("ZZ", bond, sites, -1.0) for bond in bonds]
    if fields_z == "trainable":
        trainable += [term("Z", (site,), sites, -1.0) for site in range(sites)]
    before_x = len(trainable)
    if fields_x == "trainable":
        trainable += [term("X", (site,), sites, -1.0) for site in range(sites)]
    elif fields_x == "uniform_trainable":
        trainable += [uniform_x]
    initial = [0.0] * before_x + [float(field_x)] * (len(trainable) - before_x)
    if couplings_xx:
        trainable += [term("XX", bond, sites, -1.0) for bond in bonds]
    driver = [-1] * len(trainable)
    if weighted:
        trainable += [term("Z", (site,), sites, -1.0) for _ in range(n_inputs) for site in range(n_input_sites)]
        driver += [index for index in range(n_inputs) for _ in range(n_input_sites)]
    strength = -float(pinning) if encoding == "pinned" else -1.0
    network = Network.of(
        static=uniform_x * float(field_x) if fields_x == "uniform" and field_x else None,
        inputs=[] if weighted else [term("Z", (index,), sites, strength) for index in range(n_inputs)],
        trainable=trainable,
        outputs=_outputs(readout, n_outputs, sites, sites if layers is None else layers[-1]),
        initial=initial + [0.0] * (len(trainable) - len(initial)),
        positions=positions,
    )
    if not weighted:
        return network
    # A weighted input has no operator of its own: all it does is to multiply its weights.
    inputs = np.zeros((n_inputs, len(network.strings)))
    return replace(network, inputs=inputs, driver=np.asarray(driver, dtype=np.int64))


def _graph(
    sites: int,
    edges: Literal["complete", "chain", "ring"] | Sequence[tuple[int, int]],
    layers: Sequence[int] | None,
) -> tuple[int, list[tuple[int, int]], FloatArray]:
    """Number of sites, bonds and positions."""
    if layers is None:
        at_least("sites", sites, 1)
        return sites, edge_list(edges, sites), places(edges, sites)
    if len(layers) < 2 or any(length < 1 for length in layers):
        raise ValueError(f"Argument `layers` must hold at least two positive numbers of sites, but is {tuple(layers)}.")
    ends = [sum(layers[:index]) for index in range(len(layers) + 1)]
    ranges = [range(start, stop) for start, stop in pairwise(ends)]
    return ends[-1], [bond for left, right in pairwise(ranges) for bond in product(left, right)], columns(layers)


def _outputs(readout: str, n_outputs: int, sites: int, available: int) -> list[SparsePauliOp]:
    one_of("readout", readout, ("z", "projector"))
    if readout == "z":
        at_least("n_outputs", n_outputs, 1)
        at_most("n_outputs", n_outputs, available, "the number of output sites")
        return [term("Z", (site,), sites) for site in range(sites - n_outputs, sites)]
    at_least("n_outputs", n_outputs, 2)
    at_most("n_outputs", n_outputs, 2**available, "the number of bit patterns of the output sites")
    digits = (n_outputs - 1).bit_length()
    last = range(sites - digits, sites)
    return [projector(bits, last, sites) for bits in list(product((0, 1), repeat=digits))[:n_outputs]]
