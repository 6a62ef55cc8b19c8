"""An Ising network cut out of a chip: its couplings are pairs of qubits that the machine binds."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from annotated_types import Ge

from qeqprop.chip_patch import chip_patch
from qeqprop.interfaces import Network
from qeqprop.networks.transverse_ising import transverse_ising


def chip_ising(
    *,
    chip: str = "heavy-hex",
    sites: Annotated[int, Ge(1)] = 6,
    n_inputs: Annotated[int, Ge(0)] = 0,
    n_outputs: Annotated[int, Ge(1)] = 1,
    readout: Literal["z", "projector"] = "z",
    fields_z: Literal["trainable", "none"] = "trainable",
    fields_x: Literal["uniform", "trainable", "uniform_trainable"] = "uniform",
    field_x: float = 1.0,
    couplings_xx: bool = False,
) -> Network:
    r"""A transverse-field Ising network whose bonds are the edges of a chip, so that its circuits need no swaps.

    .. math:: H = -\sum_{(ij) \in {\rm chip}} J_{ij} Z_i Z_j - \sum_i h_i Z_i - \sum_i g_i X_i
                  \left[ - \sum_{(ij)} K_{ij} X_i X_j \right] - \sum_{ki} w_{ki} x_k Z_i

    On a heavy-hex chip a site has at most three neighbours, and the couplings come in an order in which all of them are
    done in three rounds; on a square chip in four. Sites are numbered as their qubits on the chip, row by row, and the
    outputs are the last ones. Which qubits the network runs on is chosen by the device, by its errors: taken from the
    chip here is only who is a neighbour of whom.

    Args:
        chip: ``"heavy-hex"`` (Eagle, Heron) or ``"square"`` (Nighthawk), or a profile or machine, ``"FakeTorino"``,
            whose best connected qubits are taken and whose broken pairs are left out (`chip_patch`).
        sites: number of spins.
        n_inputs, n_outputs, readout, fields_z, fields_x, field_x, couplings_xx: as in `transverse_ising`.

    Raises:
        ValueError: if there is no such chip, or it has no so many connected qubits.
    """
    piece = chip_patch(chip, sites)
    network = transverse_ising(
        sites=sites,
        edges=piece.couplings,
        n_inputs=n_inputs,
        n_outputs=n_outputs,
        readout=readout,
        fields_z=fields_z,
        fields_x=fields_x,
        field_x=field_x,
        couplings_xx=couplings_xx,
    )
    return replace(network, positions=piece.positions)
