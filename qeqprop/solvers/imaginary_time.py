"""Ground states by imaginary time: a circuit follows ``exp(-tau H)`` as well as its angles can."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from typing import Annotated, NamedTuple

import numpy as np
from annotated_types import Ge, Gt

from qeqprop.ansatze.commutators import commutators
from qeqprop.certifying import certify
from qeqprop.checks import check_fields
from qeqprop.engine.circuit_hessian import hessian, metric
from qeqprop.engine.circuits import energy_and_gradient, expectations
from qeqprop.interfaces import (
    Ansatz,
    BoolArray,
    Equilibria,
    Expectations,
    FloatArray,
    Measure,
    PauliSums,
    PhysicsWarning,
    Solution,
    Start,
)
from qeqprop.iterations import Iteration, tell
from qeqprop.solvers._circuit_family import CircuitFamily, family_of
from qeqprop.solvers._growing import at_rest, continued
from qeqprop.solvers._measured_states import measure_states

_ROUNDING = 1e-12  # relative change of an energy that may be rounding
_TINY = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True)
class ImaginaryTime:
    """The state at the end of imaginary time, within the family of a circuit (VarQITE).

    ``d psi / d tau = -(H - <H>) psi`` damps every state above the ground state. McLachlan's principle picks the angles
    that stay closest to it, ``A dtheta/dtau = -C``, with A the real part of the quantum geometric tensor and
    ``C = grad <H> / 2``: a descent whose steps have the right length in the space of states, not of angles.

    A step of length dt solves ``(A + dt/2 Hess) dtheta = -dt C``, the equation linearised about where it is. Such steps
    stay stable however long they are; here each that lowers the energy is followed by a longer one, so that the flow
    is followed closely at first and ends like Newton's method. With ``growth=1`` all steps are alike and the flow is
    followed to first order in dt.

    What is certified is what `Variational` certifies: ``converged`` says that the angles are stationary, which is what
    makes nudged differences exact for the circuit's own states; ``residual`` is the standard deviation of the energy,
    how far these are from eigenstates. The linear response is that of stationary angles. On a device that does not show
    its states the angles are found on the compiled simulator, and the final states are measured there: the metric takes
    circuits of their own for every pair of angles, which no device should be asked for.

    Attributes:
        ansatz: the circuits; see `Variational`.
        step: the first time step, in units of one over the sum of absolute coefficients.
        growth: of the step, after each that lowers the energy.
        total_time: imaginary time at which to stop; until the angles are stationary by default.
        floor: added to the diagonal of A, in units of its largest element. Angles that hardly change the state would
            else be turned far. It slows the flow and does not change where it ends.
        tolerance: largest gradient of the energy in the angles, relative to the sum of absolute coefficients.
        iterations: steps at most.
        diagonal_sites: the largest network whose exact levels are computed for the certificate.

    Raises:
        ValueError: for complex nudges, or a response on a device.

    Source: McArdle et al., npj Quantum Inf. 5, 75 (2019); Kelley & Keyes, SIAM Journal on Numerical Analysis 35, 508
    (1998), for the growing steps.
    """

    ansatz: Ansatz = field(default_factory=commutators)
    step: Annotated[float, Gt(0)] = 0.1
    growth: Annotated[float, Ge(1)] = 2.0
    total_time: Annotated[float, Gt(0)] | None = None
    floor: Annotated[float, Gt(0)] = 1e-4
    tolerance: Annotated[float, Gt(0)] = 1e-9
    iterations: Annotated[int, Ge(1)] = 500
    diagonal_sites: Annotated[int, Ge(0)] = 4

    def __post_init__(self) -> None:
        check_fields(self)

    def solve(self, problem: Equilibria, measure: Measure | None = None, *, precision: float | None = None) -> Solution:
        """Settles the batch; ``precision`` is the wanted standard error per Pauli string where it is measured."""
        exact = measure is None or measure.device.reads_states
        self._refuse(problem, exact)
        hamiltonians, known = problem.hamiltonians, None if problem.start is None else problem.start.arrays
        scales = _scales(hamiltonians)
        ansatz, begins = at_rest(self.ansatz, problem, tolerances=self.tolerance * scales, most=self.iterations)
        family = family_of(ansatz, hamiltonians.strings)
        if known is not None:
            begins = known["points"]
        elif begins is None:
            begins = family.trial.starts(hamiltonians.coefficients)
        flow = self._flow(family, hamiltonians, begins, scales)
        amplitudes = family.images(flow.points, 0)
        certified = certify(
            hamiltonians,
            amplitudes,
            level=0,
            tolerance=1.0,
            diagonal_sites=self.diagonal_sites,
            origin=None if known is None else family.images(known["points"], 0),
        )
        certificate = replace(certified.certificate, converged=flow.converged)
        self._judge(flow, scales, certificate.level != 0)
        response = None
        if problem.perturbation is not None:
            slopes, _ = family.response(flow.points, hamiltonians, problem.perturbation, problem.observables)
            response = Expectations.exact(slopes)
        samples = np.arange(len(hamiltonians)) if known is None else known["samples"]
        measured, shots = Expectations.exact(expectations(amplitudes, problem.observables)), 0
        if measure is not None and not exact:
            circuit = family.prepared(0)
            measured, shots = measure_states(measure, circuit, flow.points, problem.observables, samples, precision)
        start = continued(Start({"points": flow.points, "samples": samples}), ansatz)
        return Solution(measured, response, certified.energies, certificate, start, shots)

    def _refuse(self, problem: Equilibria, exact: bool) -> None:
        if np.iscomplexobj(problem.hamiltonians.coefficients):
            raise ValueError("Solver ImaginaryTime cannot settle complex nudges: use SymmetricNudging or Richardson.")
        if problem.perturbation is not None and not exact:
            raise ValueError(
                "Solver ImaginaryTime measures states on a device and cannot give their linear response there: use a "
                "nudging rule, such as SymmetricNudging(beta=0.1), or leave out `device`."
            )

    def _flow(self, family: CircuitFamily, hamiltonians: PauliSums, points: FloatArray, scales: FloatArray) -> _Flow:
        """All rows flow in lockstep; each has a time step of its own and rests when it is at its end."""
        circuit = family.circuit
        points, times = points.copy(), np.zeros(len(points))
        lengths = self.step / np.maximum(scales, _TINY)
        values, gradients = energy_and_gradient(circuit, points, hamiltonians)
        number = 0
        while True:
            norms = np.linalg.norm(gradients, axis=1)
            converged = norms <= self.tolerance * scales
            late = np.full(len(points), False) if self.total_time is None else times >= self.total_time * (1 - 1e-12)
            rows = np.flatnonzero(~(converged | late))
            distance = float(np.max(norms[rows] / np.maximum(scales[rows], _TINY), initial=0.0))
            tell(Iteration("imaginary time", number, self.iterations, len(rows), distance, self.tolerance))
            if not len(rows) or number == self.iterations:
                return _Flow(points, gradients, times, converged)
            chosen = PauliSums(hamiltonians.strings, hamiltonians.coefficients[rows])
            taken = lengths[rows]
            if self.total_time is not None:
                taken = np.minimum(taken, self.total_time - times[rows])
            moved = points[rows] + self._implicit_step(family, points[rows], gradients[rows], chosen, taken)
            energies, slopes = energy_and_gradient(circuit, moved, chosen)
            room = _ROUNDING * np.maximum(np.abs(values[rows]), scales[rows])
            lower = energies <= values[rows] + room
            good, bad = rows[lower], rows[~lower]
            points[good], values[good], gradients[good] = moved[lower], energies[lower], slopes[lower]
            times[good] += taken[lower]
            lengths[good] *= self.growth
            lengths[bad] = 0.25 * taken[~lower]
            number += 1

    def _implicit_step(
        self,
        family: CircuitFamily,
        points: FloatArray,
        gradients: FloatArray,
        hamiltonians: PauliSums,
        lengths: FloatArray,
    ) -> FloatArray:
        """``-(A + dt/2 Hess)^-1 dt/2 grad``, (rows, n_parameters)."""
        tensors = metric(family.circuit, points)
        largest = np.max(np.abs(tensors), axis=(1, 2), keepdims=True)
        half = 0.5 * lengths[:, None, None]
        matrices = tensors + half * hessian(family.circuit, points, hamiltonians)
        matrices += self.floor * (largest + half) * np.eye(points.shape[1])
        return np.linalg.solve(matrices, -half * gradients[:, :, None])[:, :, 0]

    def _judge(self, flow: _Flow, scales: FloatArray, elsewhere: BoolArray) -> None:
        """Flags what would mislead."""
        if not flow.converged.all():
            norms = np.linalg.norm(flow.gradients, axis=1) / np.maximum(scales, _TINY)
            warnings.warn(
                f"{int(np.sum(~flow.converged))} of {len(flow.converged)} states stopped at imaginary times down to "
                f"{np.min(flow.times[~flow.converged]):.3g} with gradients up to {np.max(norms):.1e} (`tolerance` "
                f"{self.tolerance:.1e}), a bias that nudging divides by beta: allow more `iterations` or `total_time`.",
                PhysicsWarning,
                stacklevel=3,
            )
        if elsewhere.any():
            warnings.warn(
                f"{int(np.sum(elsewhere))} of {len(elsewhere)} states are mostly in another level than the ground "
                "level: the start has none of it, or the circuit does not reach it.",
                PhysicsWarning,
                stacklevel=3,
            )


class _Flow(NamedTuple):
    """Where the flow of each row stopped: angles, gradients of the energy, imaginary times, and whether at rest."""

    points: FloatArray
    gradients: FloatArray
    times: FloatArray
    converged: BoolArray


def _scales(hamiltonians: PauliSums) -> FloatArray:
    """The sums of absolute coefficients (batch,), without the identity's."""
    moving = np.any(hamiltonians.strings.x | hamiltonians.strings.z, axis=1)
    return np.sum(np.abs(hamiltonians.coefficients[:, moving]), axis=1)
