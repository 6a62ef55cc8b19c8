"""Eigenstates by a variational quantum eigensolver: all samples and phases of a batch advance together."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt

from qeqprop.ansatze.commutators import commutators
from qeqprop.certifying import certify
from qeqprop.checks import check_fields
from qeqprop.descent import times
from qeqprop.engine.circuits import expectations
from qeqprop.interfaces import (
    Ansatz,
    BoolArray,
    Certificate,
    Equilibria,
    Expectations,
    FloatArray,
    GrowingAnsatz,
    Measure,
    PhysicsWarning,
    Solution,
)
from qeqprop.solvers._angle_search import SIMULATED_SITES, Search, scales_of, search_on_device, search_on_simulator
from qeqprop.solvers._circuit_family import DEFLATED_SITES, CircuitFamily, family_of
from qeqprop.solvers._device_search import Method
from qeqprop.solvers._growing import at_rest, continued
from qeqprop.solvers._measured_states import measure_deviations, measure_states

_CALLS, _JOBS = 1000, 100  # iterations on the simulator and on a device

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

    On a device that does not show its states the final states are run and measured, all rows in one job. Where their
    angles are found is a choice:

    * ``angles="simulator"``: on the compiled simulator, a common and cheap practice. The device's errors are seen in
      the outputs and not by the search, no shots are spent on it, and the network must be small enough to simulate.
    * ``angles="device"``: by measured energies, one job for each iteration of the whole batch, `iterations` jobs for
      each call. A search by shots ends within their noise, not at a stationary point; nudged differences of such states
      hold that as a bias which no error bar shows. With ``method="gradient"`` a job has two rows for each angle and
      state (parameter shifts), and with "natural", whose metric is computed from simulated states up to 10 sites; with
      "rotosolve" it has three rows and with "spsa" two for each state.

    Energies and certificates are those of the states without noise, simulated up to 10 sites (nan and not converged
    beyond); with `certify_variance` the residual is measured.

    The linear response is exact, ``d<O>/dnu = -grad <O> . Hess^-1 grad <N>``, the response of the stationary angles.

    Levels above the ground state are searched from below. With ``excited="deflation"`` each level pays for its overlap
    with the levels below it, up to 10 sites. With ``excited="subspace"`` one set of angles maps the first basis states
    to all levels at once, whose weighted mean energy it minimises. Either way the nudged difference is exact only where
    the states are eigenstates: look at the residual. They have no linear response.

    Attributes:
        ansatz: the circuits; by default rotations about commutators, `commutators`, which reach every state up to five
            sites. One that grows (`adaptive`) grows in every call that has no start, for all samples together, on the
            simulator.
        tolerance: largest gradient of the energy in the angles, relative to the sum of absolute coefficients. Of a
            nudged difference the relative error is about this divided by beta and by the gap. At beta = 0.1 the default
            leaves 1e-7 of a gradient; 1e-5 leaves 1e-4, enough for training, in a fifth of the time at six sites.
            Circuits with too few layers have long flat valleys, in which only the larger tolerance is ever met.
        iterations: calls of the search at most, for each level; by default 1000 on the simulator, 100 jobs on a device.
        level: 0 is the ground state; levels count states, with multiplicity.
        excited: how levels above the ground state are found.
        angles: where the search runs if there is a device.
        method: of a search on a device.
        search_shots: for each row and basis of a search on a device; the device's own number by default.
        certify_variance: also measure ``<H^2>`` of the final states on the device, in a job of its own.
        diagonal_sites: the largest network whose exact levels are computed for the certificate: gaps are nan beyond.

    Raises:
        ValueError: for a level that the network does not have, complex nudges, the response of an excited level or of
            states on a device, or an excited level that a device should search.

    Source: Peruzzo et al., Nat. Commun. 5, 4213 (2014); Higgott, Wang and Brierley, Quantum 3, 156 (2019) (deflation);
    Nakanishi, Mitarai and Fujii, Phys. Rev. Research 1, 033062 (2019) (subspace search).
    """

    ansatz: Ansatz = field(default_factory=commutators)
    tolerance: Annotated[float, Gt(0)] = 1e-8
    iterations: Annotated[int, Ge(1)] | None = None
    level: Annotated[int, Ge(0)] = 0
    excited: Literal["deflation", "subspace"] = "deflation"
    angles: Literal["simulator", "device"] = "simulator"
    method: Method = "gradient"
    search_shots: Annotated[int, Ge(2)] | None = None
    certify_variance: bool = False
    diagonal_sites: Annotated[int, Ge(0)] = 4

    def __post_init__(self) -> None:
        check_fields(self)

    def solve(self, problem: Equilibria, measure: Measure | None = None, *, precision: float | None = None) -> Solution:
        """Settles the batch; ``precision`` is the wanted standard error per Pauli string where it is measured."""
        device = None if measure is None or measure.device.reads_states else measure
        self._check(problem, device)
        tolerances = self.tolerance * scales_of(problem.hamiltonians)
        ansatz, begins = at_rest(self.ansatz, problem, tolerances=tolerances, most=_CALLS)
        family = family_of(ansatz, problem.hamiltonians.strings)
        search = self._search(family, begins, problem, device)
        hamiltonians, observables = problem.hamiltonians, problem.observables
        energies, certificate = certify(
            hamiltonians,
            search.amplitudes,
            level=self.level,
            tolerance=1.0,
            diagonal_sites=self.diagonal_sites,
            origin=search.origin,
        )
        certificate = replace(certificate, converged=search.converged)
        self._judge(family, search, certificate, problem)
        response, shots = None, search.shots
        if problem.perturbation is not None:
            slopes, undefined = family.response(search.points, hamiltonians, problem.perturbation, observables)
            _warn(undefined, "the angles are at a saddle, or free to move along the nudge: there is no response.")
            response = Expectations.exact(slopes)
        if device is None:
            assert search.amplitudes is not None  # they are known where nothing is measured
            measured = Expectations.exact(expectations(search.amplitudes, observables))
        else:
            circuit = family.prepared(self._basis)
            measured, spent = measure_states(device, circuit, search.points, observables, search.samples, precision)
            shots += spent
            if self.certify_variance:
                deviations, spent = measure_deviations(device, circuit, search.points, hamiltonians, precision)
                certificate, shots = replace(certificate, residual=deviations), shots + spent
        return Solution(measured, response, energies, certificate, continued(search.start, ansatz), shots)

    @property
    def _basis(self) -> int:
        """The basis state that the circuit maps to the wanted level."""
        return self.level if self.excited == "subspace" else 0

    def _search(
        self, family: CircuitFamily, begins: FloatArray | None, problem: Equilibria, device: Measure | None
    ) -> Search:
        if device is None or self.angles == "simulator":
            return search_on_simulator(
                family,
                begins,
                problem,
                level=self.level,
                together=self.excited == "subspace" and self.level > 0,
                tolerance=self.tolerance,
                calls=self.iterations or _CALLS,
            )
        return search_on_device(
            family,
            begins,
            problem,
            device,
            method=self.method,
            tolerance=self.tolerance,
            jobs=self.iterations or _JOBS,
            shots=self.search_shots,
        )

    def _check(self, problem: Equilibria, device: Measure | None) -> None:
        """Refuses what cannot be settled."""
        sites = problem.hamiltonians.num_sites
        if self.level >= 2**sites:
            raise ValueError(f"Argument `level` must be less than {2**sites} for {sites} sites, but is {self.level}.")
        if np.iscomplexobj(problem.hamiltonians.coefficients):
            raise ValueError("Solver Variational cannot settle complex nudges: use SymmetricNudging or Richardson.")
        if problem.perturbation is not None and device is not None:
            raise ValueError(
                "Solver Variational measures states on a device and cannot give their linear response there: use a "
                "nudging rule, such as SymmetricNudging(beta=0.1), or leave out `device`."
            )
        if self.level and problem.perturbation is not None:
            raise ValueError(
                "Solver Variational knows the linear response of ground states only: use a nudging rule for "
                f"level={self.level}, such as SymmetricNudging(beta=0.1)."
            )
        if self.level and self.angles == "device" and device is not None:
            raise ValueError(
                f"Argument `angles` must be 'simulator' for level={self.level}: a device searches ground states only."
            )
        if self.level and isinstance(self.ansatz, GrowingAnsatz):
            raise ValueError(
                f"Argument `ansatz` must not grow with level={self.level}: it would grow for the ground state only."
            )
        if self.level and self.excited == "deflation" and sites > DEFLATED_SITES:
            raise ValueError(
                f"Argument `excited` must be 'subspace' above {DEFLATED_SITES} sites, but is 'deflation' for {sites}."
            )

    def _judge(self, family: CircuitFamily, search: Search, certificate: Certificate, problem: Equilibria) -> None:
        """Flags what would mislead."""
        unfinished = ~certificate.converged
        if search.amplitudes is None:
            _warn(unfinished, f"what the search left is not known, since there are more than {SIMULATED_SITES} sites.")
            return
        scales = scales_of(problem.hamiltonians)
        last = search.descents[-1]
        if unfinished.any():
            steps = times(last.inverses, last.gradients)
            values, finished = (
                expectations(family.images(points, self._basis), problem.observables)
                for points in (last.points, last.points - steps)
            )
            left = float(np.max(np.abs(finished - values)[unfinished], initial=0.0))
            norms = np.linalg.norm(last.gradients, axis=1) / np.maximum(scales, np.finfo(np.float64).tiny)
            _warn(
                unfinished,
                f"the search stopped after {last.calls} iterations with a gradient up to {np.max(norms):.1e} "
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


def _warn(which: BoolArray, what: str) -> None:
    if which.any():
        indices = np.flatnonzero(which)
        shown = ", ".join(map(str, indices[:5])) + (", ..." if len(indices) > 5 else "")
        warnings.warn(f"Sample{'s' * (len(indices) > 1)} {shown}: {what}", PhysicsWarning, stacklevel=4)
