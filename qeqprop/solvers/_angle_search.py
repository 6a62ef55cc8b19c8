"""Where the angles of a batch of circuits are found: on the compiled simulator, or on a device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qeqprop.descent import Descent, descend
from qeqprop.interfaces import BoolArray, ComplexArray, Equilibria, FloatArray, IntArray, Measure, PauliSums, Start
from qeqprop.solvers._circuit_family import CircuitFamily
from qeqprop.solvers._device_search import DeviceSearch, Method

SIMULATED_SITES = 10
"""Up to this many sites the states of a search on a device are also simulated, to certify them."""

_DEFLATING = 3.0  # height of the wall around lower levels, in units of the sum of absolute coefficients


class Search(NamedTuple):
    """What the searches of a call found.

    Attributes:
        descents: one for each level, or one for all.
        amplitudes: (batch, dim) the states of the wanted level without noise, None where they are not known.
        origin: (batch, dim) the states that they started from.
        samples: (batch,) which sample each row belongs to.
        shots: spent on the search.
    """

    descents: list[Descent]
    amplitudes: ComplexArray | None
    origin: ComplexArray | None
    samples: IntArray
    shots: int = 0

    @property
    def points(self) -> FloatArray:
        """The angles (batch, n_parameters) of the wanted level."""
        return self.descents[-1].points

    @property
    def converged(self) -> BoolArray:
        return np.all([descent.converged for descent in self.descents], axis=0)

    @property
    def start(self) -> Start:
        points, inverses = (
            np.stack(parts, axis=1)
            for parts in zip(*((descent.points, descent.inverses) for descent in self.descents), strict=True)
        )
        return Start({"points": points, "inverses": inverses, "samples": self.samples})


def search_on_simulator(
    family: CircuitFamily,
    begins: FloatArray | None,
    problem: Equilibria,
    *,
    level: int,
    together: bool,
    tolerance: float,
    calls: int,
) -> Search:
    """One search for each level from below, or one for all of them together; ``begins`` is where the ansatz rests."""
    hamiltonians, known = problem.hamiltonians, _known(problem)
    scales = scales_of(hamiltonians)
    basis = level if together else 0
    if begins is None:
        begins = family.trial.starts(hamiltonians.coefficients)
    found: list[ComplexArray] = []
    descents: list[Descent] = []
    for index in range(1 if together else level + 1):
        objective = (
            family.ensemble_energy(hamiltonians, level + 1)
            if together
            else family.energy(hamiltonians, found, _DEFLATING * scales)
        )
        descent = descend(
            objective,
            begins if known is None else known["points"][:, index],
            tolerances=tolerance * scales,
            most=calls,
            inverses=None if known is None else known["inverses"][:, index],
            name="VQE" if not level or together else f"VQE level {index}",
        )
        descents.append(descent)
        found.append(family.images(descent.points, basis))
    origin = None if known is None else family.images(known["points"][:, -1], basis)
    return Search(descents, found[-1], origin, _samples(problem))


def search_on_device(
    family: CircuitFamily,
    begins: FloatArray | None,
    problem: Equilibria,
    measure: Measure,
    *,
    method: Method,
    tolerance: float,
    jobs: int,
    shots: int | None,
) -> Search:
    """A search for the ground state by measured energies; what it leaves is found by simulating small networks."""
    hamiltonians, known, samples = problem.hamiltonians, _known(problem), _samples(problem)
    if begins is None:
        begins = family.trial.starts(hamiltonians.coefficients)
    if known is not None:
        begins = known["points"][:, 0]
    device = DeviceSearch(measure, family.trial.circuit, hamiltonians, samples, shots)
    points = device.find(method, begins, jobs, problem.key)
    batch, size = points.shape
    if hamiltonians.num_sites > SIMULATED_SITES:
        unknown, nothing = np.full(batch, np.nan), np.zeros(batch, dtype=np.bool_)
        descent = Descent(points, unknown, np.full((batch, size), np.nan), np.zeros((batch, size, 0)), nothing, jobs)
        return Search([descent], None, None, samples, device.shots)
    values, gradients = family.energy(hamiltonians, [], np.zeros(batch))(np.arange(batch), points)
    converged = np.linalg.norm(gradients, axis=1) <= tolerance * scales_of(hamiltonians)
    descent = Descent(points, values, gradients, family.inverse_hessians(points, hamiltonians), converged, jobs)
    origin = None if known is None else family.images(begins, 0)
    return Search([descent], family.images(points, 0), origin, samples, device.shots)


def scales_of(hamiltonians: PauliSums) -> FloatArray:
    """The sums of absolute coefficients (batch,), without the identity's: half of what energies can differ by."""
    moving = np.any(hamiltonians.strings.x | hamiltonians.strings.z, axis=1)
    return np.sum(np.abs(hamiltonians.coefficients[:, moving]), axis=1)


def _known(problem: Equilibria) -> Mapping[str, NDArray[Any]] | None:
    return None if problem.start is None else problem.start.arrays


def _samples(problem: Equilibria) -> IntArray:
    return np.arange(len(problem.hamiltonians)) if problem.start is None else problem.start.arrays["samples"]
