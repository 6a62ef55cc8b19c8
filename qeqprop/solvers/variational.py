"""Eigenstates by a variational quantum eigensolver: all samples and phases of a batch advance together."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal, NamedTuple

import numpy as np
from annotated_types import Ge, Gt

from qeqprop.ansatze.commutators import commutators
from qeqprop.certifying import certify
from qeqprop.checks import check_fields
from qeqprop.descent import Descent, descend, times
from qeqprop.engine.circuits import expectations
from qeqprop.interfaces import (
    Ansatz,
    BoolArray,
    Certificate,
    ComplexArray,
    Equilibria,
    Expectations,
    FloatArray,
    GrowingAnsatz,
    IntArray,
    Measure,
    PauliSums,
    PhysicsWarning,
    Solution,
    Start,
)
from qeqprop.solvers._circuit_family import DEFLATED_SITES, CircuitFamily, family_of
from qeqprop.solvers._growing import at_rest, continued
from qeqprop.solvers._measured_states import measure_states

_FAR = 0.05
"""Energy standard deviation, in units of the sum of absolute coefficients, from which a state is no eigenstate."""


@dataclass(frozen=True)
class Variational:
    """The state of lowest energy among those that a circuit reaches (VQE), and the levels above it.

    The search minimises ``<H>(theta)`` of every sample and phase by a quasi-Newton search of its own; all searches
    advance in lockstep, one call for each iteration. Nudged states start from the angles of their free state, with its
    curvatures, and share its circuit.

    Two things are certified, and they are not the same:

    * **The search is at its end** (`Certificate.converged`): the gradient of the energy in the angles is below
      `tolerance`. This is what equilibrium propagation needs: if the angles are stationary for every nudge, nudged
      differences are the exact gradient of the cost of *the circuit's own* state, whatever that state is. What an
      unfinished search leaves is a bias, divided by beta; it is estimated by the step that the search would take next,
      and a `PhysicsWarning` states it.
    * **The state is an eigenstate** (`Certificate.residual`): the standard deviation of its energy,
      ``sqrt(<H^2> - <H>^2) = ||H psi - E psi||``, tells how far the circuit's state is from an eigenstate. No search
      lowers it below what the circuit can reach: more layers do.

    A search may end in a local minimum. Up to `diagonal_sites` the levels are computed for the certificate, which then
    names the level that was reached, and a `PhysicsWarning` says if it is another than asked for; beyond, nobody knows.

    On a device that does not show its states the angles are still found on the compiled simulator, and only the final
    states are run and measured, all rows in one job: a common and cheap practice. It means that the device's errors are
    seen in the outputs and not by the search, that no shots are spent on the search, and that the network must be small
    enough to simulate. Certificates and energies are those of the states without noise.

    The linear response is exact, ``d<O>/dnu = -grad <O> . Hess^-1 grad <N>``, the response of the stationary angles.

    Levels above the ground state are searched from below. With ``excited="deflation"`` each level pays for its overlap
    with the levels below it, up to 10 sites. With ``excited="subspace"`` one set of angles maps the first basis states
    to all levels at once, whose weighted mean energy it minimises. Either way the nudged difference is exact only where
    the states are eigenstates: look at the residual. They have no linear response.

    Attributes:
        ansatz: the circuits; by default rotations about commutators, `commutators`, which reach every state up to five
            sites. One that grows (`adaptive`) grows in every call that has no start, for all samples together.
        tolerance: largest gradient of the energy in the angles, relative to the sum of absolute coefficients.
        iterations: calls of the search at most, for each level.
        level: 0 is the ground state; levels count states, with multiplicity.
        excited: how levels above the ground state are found.
        diagonal_sites: the largest network whose exact levels are computed for the certificate: gaps are nan beyond.

    Raises:
        ValueError: for a level that the network does not have, complex nudges, or the response of an excited level.

    Source: Peruzzo et al., Nat. Commun. 5, 4213 (2014); Higgott, Wang and Brierley, Quantum 3, 156 (2019) (deflation);
    Nakanishi, Mitarai and Fujii, Phys. Rev. Research 1, 033062 (2019) (subspace search).
    """

    ansatz: Ansatz = field(default_factory=commutators)
    tolerance: Annotated[float, Gt(0)] = 1e-9
    iterations: Annotated[int, Ge(1)] = 1000
    level: Annotated[int, Ge(0)] = 0
    excited: Literal["deflation", "subspace"] = "deflation"
    diagonal_sites: Annotated[int, Ge(0)] = 4

    def __post_init__(self) -> None:
        check_fields(self)

    def solve(self, problem: Equilibria, measure: Measure | None = None, *, precision: float | None = None) -> Solution:
        """Settles the batch; ``precision`` is the wanted standard error per Pauli string where it is measured."""
        exact = measure is None or measure.device.reads_states
        self._check(problem, exact)
        scales = _scales(problem.hamiltonians)
        ansatz, begins = at_rest(self.ansatz, problem, tolerances=self.tolerance * scales, most=self.iterations)
        family = family_of(ansatz, problem.hamiltonians.strings)
        search = self._search(family, begins, problem)
        hamiltonians, observables = problem.hamiltonians, problem.observables
        values = expectations(search.amplitudes, observables)
        certified = certify(
            hamiltonians,
            search.amplitudes,
            level=self.level,
            tolerance=1.0,
            diagonal_sites=self.diagonal_sites,
            origin=search.origin,
        )
        certificate = replace(certified.certificate, converged=search.converged)
        self._judge(family, search, certificate, problem, values)
        response = None
        if problem.perturbation is not None:
            slopes, undefined = family.response(
                search.descents[0].points, hamiltonians, problem.perturbation, observables
            )
            _warn(undefined, "the angles are at a saddle, or free to move along the nudge: there is no response.")
            response = Expectations.exact(slopes)
        measured, shots = Expectations.exact(values), 0
        if measure is not None and not exact:
            circuit, points = family.prepared(self._basis), search.descents[-1].points
            measured, shots = measure_states(measure, circuit, points, observables, search.samples, precision)
        return Solution(measured, response, certified.energies, certificate, continued(search.start, ansatz), shots)

    @property
    def _basis(self) -> int:
        """The basis state that the circuit maps to the wanted level."""
        return self.level if self.excited == "subspace" else 0

    def _check(self, problem: Equilibria, exact: bool) -> None:
        """Refuses what cannot be settled."""
        sites = problem.hamiltonians.num_sites
        if self.level >= 2**sites:
            raise ValueError(f"Argument `level` must be less than {2**sites} for {sites} sites, but is {self.level}.")
        if np.iscomplexobj(problem.hamiltonians.coefficients):
            raise ValueError("Solver Variational cannot settle complex nudges: use SymmetricNudging or Richardson.")
        if problem.perturbation is not None and not exact:
            raise ValueError(
                "Solver Variational measures states on a device and cannot give their linear response there: use a "
                "nudging rule, such as SymmetricNudging(beta=0.1), or leave out `device`."
            )
        if self.level and problem.perturbation is not None:
            raise ValueError(
                "Solver Variational knows the linear response of ground states only: use a nudging rule for "
                f"level={self.level}, such as SymmetricNudging(beta=0.1)."
            )
        if self.level and isinstance(self.ansatz, GrowingAnsatz):
            raise ValueError(
                f"Argument `ansatz` must not grow with level={self.level}: it would grow for the ground state only."
            )
        if self.level and self.excited == "deflation" and sites > DEFLATED_SITES:
            raise ValueError(
                f"Argument `excited` must be 'subspace' above {DEFLATED_SITES} sites, but is 'deflation' for {sites}."
            )

    def _search(self, family: CircuitFamily, begins: FloatArray | None, problem: Equilibria) -> _Search:
        """All searches of the call: one for each level, or one for all of them."""
        hamiltonians, known = problem.hamiltonians, None if problem.start is None else problem.start.arrays
        scales = _scales(hamiltonians)
        together = self.excited == "subspace" and self.level > 0
        if begins is None:
            begins = family.trial.starts(hamiltonians.coefficients)
        found: list[ComplexArray] = []
        descents: list[Descent] = []
        for index in range(1 if together else self.level + 1):
            objective = (
                family.ensemble_energy(hamiltonians, self.level + 1)
                if together
                else family.energy(hamiltonians, found, 3 * scales)
            )
            descent = descend(
                objective,
                begins if known is None else known["points"][:, index],
                tolerances=self.tolerance * scales,
                most=self.iterations,
                inverses=None if known is None else known["inverses"][:, index],
                name="VQE" if not self.level or together else f"VQE level {index}",
            )
            descents.append(descent)
            found.append(family.images(descent.points, self._basis))
        origin = None if known is None else family.images(known["points"][:, -1], self._basis)
        samples = np.arange(len(hamiltonians)) if known is None else known["samples"]
        return _Search(descents, found[-1], origin, samples)

    def _judge(
        self,
        family: CircuitFamily,
        search: _Search,
        certificate: Certificate,
        problem: Equilibria,
        values: FloatArray,
    ) -> None:
        """Flags what would mislead."""
        scales = _scales(problem.hamiltonians)
        last = search.descents[-1]
        open_ended = ~certificate.converged
        if open_ended.any():
            steps = times(last.inverses, last.gradients)
            finished = expectations(family.images(last.points - steps, self._basis), problem.observables)
            left = float(np.max(np.abs(finished - values)[open_ended], initial=0.0))
            norms = np.linalg.norm(last.gradients, axis=1) / np.maximum(scales, np.finfo(np.float64).tiny)
            _warn(
                open_ended,
                f"the search stopped after {self.iterations} iterations with a gradient up to {np.max(norms):.1e} "
                f"(`tolerance` {self.tolerance:.1e}); its next step would change an observable by up to {left:.1e}, a "
                "bias that nudging divides by beta. Allow more `iterations`, or take an `ansatz` with more layers.",
            )
        _warn(
            certificate.level != self.level,
            f"most of the state is in another level than {self.level}: the search ended in another minimum, or the "
            "circuit does not reach the level.",
        )
        _warn(
            certificate.residual > _FAR * scales,
            f"the circuit's state is far from an eigenstate, with an energy standard deviation up to "
            f"{np.max(certificate.residual):.1e}: take an `ansatz` with more layers.",
        )


class _Search(NamedTuple):
    """What the searches of a call found.

    Attributes:
        descents: one for each level, or one for all.
        amplitudes: (batch, dim) the states of the wanted level.
        origin: (batch, dim) the states that they started from.
        samples: (batch,) which sample each row belongs to.
    """

    descents: list[Descent]
    amplitudes: ComplexArray
    origin: ComplexArray | None
    samples: IntArray

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


def _scales(hamiltonians: PauliSums) -> FloatArray:
    """The sums of absolute coefficients (batch,), without the identity's: half of what energies can differ by."""
    moving = np.any(hamiltonians.strings.x | hamiltonians.strings.z, axis=1)
    return np.sum(np.abs(hamiltonians.coefficients[:, moving]), axis=1)


def _warn(which: BoolArray, what: str) -> None:
    if which.any():
        indices = np.flatnonzero(which)
        shown = ", ".join(map(str, indices[:5])) + (", ..." if len(indices) > 5 else "")
        warnings.warn(f"Sample{'s' * (len(indices) > 1)} {shown}: {what}", PhysicsWarning, stacklevel=4)
