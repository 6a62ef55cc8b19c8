"""What a rule asks, and what it gets: settled states, of a network it does not see."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Protocol

from qeqprop.interfaces.arrays import FloatArray, NumberArray
from qeqprop.interfaces.states import Certificate, Expectations, Start


class Want(enum.Flag):
    """What a rule wants to know of the settled states; `COVARIANCES` are those of the outputs' errors."""

    OUTPUTS = enum.auto()
    ENERGY_GRADIENT = enum.auto()
    RESPONSE = enum.auto()
    COVARIANCES = enum.auto()


@dataclass(frozen=True, eq=False)
class Settled:
    """What a rule gets back; the leading axis runs over the nudges it asked for.

    Attributes:
        outputs: (n_nudges, batch, n_outputs) ``y_k = <O_k>``, if wanted.
        energy_gradient: (n_nudges, batch, n_trainable) ``<dH/dtheta_j>``, if wanted.
        response: (n_nudges, batch, n_trainable) derivative of the *free* ``<dH/dtheta_j>`` along each nudge, if wanted.
        certificate: arrays (n_nudges, batch).
        start: (n_nudges * batch,) for the next call; that of one free call warms any number of nudges.
        shots: projective measurements spent.
        covariances: (n_nudges, batch, n_outputs, n_outputs) of the outputs' errors, which are read from the same shots
            where one basis holds them; if wanted together with the outputs.
    """

    outputs: Expectations | None
    energy_gradient: Expectations | None
    response: Expectations | None
    certificate: Certificate
    start: Start
    shots: int
    covariances: FloatArray | None = None


class Settle(Protocol):
    """A network, its parameters, a batch of inputs and a solver, bound together: one call is one job."""

    def __call__(
        self, nudges: NumberArray, *, want: Want, precision: float | None = None, start: Start | None = None
    ) -> Settled:
        """Settles ``H + sum_k nudge_k O_k`` for nudges (n_nudges, batch, n_outputs); zeros are the free state.

        With `Want.RESPONSE` the states stay free and the nudges are the directions of the response.
        """
        ...

    @property
    def n_outputs(self) -> int: ...

    @property
    def batch(self) -> int: ...
