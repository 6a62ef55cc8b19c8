"""What is known of a settled state: its numbers with their errors, how good it is, where the next one starts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qeqprop.interfaces.arrays import BoolArray, FloatArray, IntArray, NumberArray


class PhysicsWarning(UserWarning):
    """A number is finite but may not mean what the user thinks: a degenerate level, a nudge that crossed one."""


class NotConverged(RuntimeError):
    """A state, or a series, did not reach the accuracy it has to certify."""


@dataclass(frozen=True, eq=False)
class Start:
    """Where a nearby solution stopped: arrays with a leading sample axis that only their own solver understands."""

    arrays: Mapping[str, NDArray[Any]]

    def repeat(self, times: int) -> Start:
        """The same start for each of ``times`` copies of the batch (nudges are the outer axis)."""
        return Start({name: np.concatenate([array] * times) for name, array in self.arrays.items()})


@dataclass(frozen=True, eq=False)
class Expectations:
    """Numbers with their standard errors, arrays of one shape; the errors are zero where the numbers are exact."""

    values: NumberArray
    std_errors: FloatArray

    @classmethod
    def exact(cls, values: NumberArray) -> Expectations:
        return cls(values, np.zeros(values.shape))


@dataclass(frozen=True, eq=False)
class Certificate:
    """What is known about the quality of each state; every array has the leading axes of the call.

    Attributes:
        residual: ``||H psi - E psi||``, dimensionless energy.
        gap_below: distance to the next distinct level below, infinite for the ground level.
        gap_above: distance to the next distinct level above, infinite if there is none, nan if it was not looked for.
        degeneracy: number of states in the level, 0 if they were not counted.
        level: index of the state among all eigenstates, counted with multiplicity (differs from the level asked for
            where a nudge crossed a level and the state was followed).
        overlap: weight of the state in the start it was followed from; nan without a start.
        nudge_coupling: largest ``|<m|N|n>|`` to the neighbouring levels; nan where no N was given. A tiny gap is
            harmless where this is zero.
        trainable_coupling: largest ``|<m|observable|n>|`` to the neighbouring levels.
        converged: whether the state meets its solver's tolerance.
        autocorrelation: integrated autocorrelation time in steps between samples, 1/2 for independent ones; None, like
            the next two, where no chain was sampled.
        effective_samples: ``M / (2 tau)``, the independent samples that M correlated ones are worth.
        r_hat: spread of all samples over that inside a chain (Gelman & Rubin), 1 where the chains agree.
    """

    residual: FloatArray
    gap_below: FloatArray
    gap_above: FloatArray
    degeneracy: IntArray
    level: IntArray
    overlap: FloatArray
    nudge_coupling: FloatArray
    trainable_coupling: FloatArray
    converged: BoolArray
    autocorrelation: FloatArray | None = None
    effective_samples: FloatArray | None = None
    r_hat: FloatArray | None = None

    @staticmethod
    def of(converged: BoolArray, **known: NDArray[Any]) -> Certificate:
        """What is ``known`` of states (batch,); the other numbers are nan, the counts zero."""
        unknown, none = np.full(len(converged), np.nan), np.zeros(len(converged), dtype=np.int64)
        certificate = Certificate(unknown, unknown, unknown, none, none, unknown, unknown, unknown, converged)
        return replace(certificate, **known)

    def map(self, function: Callable[[NDArray[Any]], NDArray[Any]]) -> Certificate:
        """The certificate with ``function`` applied to every array (to reshape or to select)."""
        arrays: Mapping[str, Any] = {name: None if one is None else function(one) for name, one in vars(self).items()}
        return Certificate(**arrays)

    def join(self, others: Iterable[Certificate]) -> Certificate:
        """This certificate and others, one after the other along the leading axis."""
        records = [self, *others]
        return Certificate(**{entry.name: _joined(records, entry.name) for entry in fields(self)})

    @property
    def gap(self) -> FloatArray:
        """Distance to the nearest distinct level on either side."""
        return np.minimum(self.gap_below, self.gap_above)


def _joined(records: Sequence[Certificate], name: str) -> Any:
    """One array of several certificates, nan where one lacks what another has."""
    arrays = [getattr(one, name) for one in records]
    missing = [place for place, array in enumerate(arrays) if array is None]
    if len(missing) == len(arrays):
        return None
    for place in missing:
        arrays[place] = np.full(records[place].residual.shape, np.nan)
    return np.concatenate(arrays)
