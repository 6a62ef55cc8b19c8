"""Gibbs states by imaginary time: Bell pairs follow ``exp(-H / 2T)`` as well as a circuit can."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import numpy as np
from annotated_types import Ge, Gt

from qeqprop.checks import check_fields
from qeqprop.engine.circuit_conversion import from_qiskit
from qeqprop.engine.circuit_hessian import metric
from qeqprop.engine.circuits import Circuit, energy_and_gradient, expectations, states
from qeqprop.interfaces import (
    Certificate,
    ComplexArray,
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
from qeqprop.solvers._bell_pairs import bell_pairs
from qeqprop.solvers._gibbs_states import Thermal, beside, deviations, free_energies, logarithms, settle_prepared

MOST_SITES = 6
"""The flow runs on twice as many simulated qubits, with a state for every angle."""


@dataclass(frozen=True)
class ThermalImaginaryTime:
    """The Gibbs state at the end of imaginary time ``1/2T``, from the maximally mixed state (VarQITE).

    ``exp(-tau H)`` on one half of n Bell pairs, normalised, purifies the Gibbs state of temperature ``1 / 2 tau``. By
    McLachlan's principle the angles of a circuit on the 2n qubits follow it as closely as they can,
    ``A dtheta/dtau = -C``, with A the real part of the quantum geometric tensor and ``C = grad <H> / 2``, integrated
    by the classical Runge-Kutta method: the error falls as the fourth power of the step. Nothing is searched and
    nothing can get stuck, but nothing is corrected either: what the circuit cannot follow stays, and lower
    temperatures are further away. The circuit ties sites to partners by rotations that do to first order what
    imaginary time does, between those that turn sites and partners among themselves.

    Two certificates need no spectrum. ``residual`` is the standard deviation of ``H + T ln rho`` in rho, zero in the
    Gibbs state and nowhere else among full-rank states. And two free energies are compared: that of the state,
    ``F_var = <H> - T S >= F``, and that of its path, ``-T (n ln 2 - int d(1/T) <H>)``; they agree where ``<H>`` was
    that of Gibbs states all the way. Up to `diagonal_sites` the exact F takes the place of the second. ``converged``
    says that ``residual <= tolerance T``; half the square of ``residual / T`` is about the relative entropy to the
    Gibbs state. A `PhysicsWarning` says what the circuit does not reach.

    A nudged state has no shorter way than the free one, so that it begins at Bell pairs as well, with the same steps:
    the errors of the path cancel in differences as far as they are alike. On a device that does not show its states the
    final states are measured; the path is followed on the compiled simulator, since A takes a circuit for every pair of
    angles.

    Attributes:
        temperature: above zero.
        layers: of the circuit; by default as many as give a parameter to every dimension of Gibbs states, three at
            most.
        steps: of the flow.
        floor: added to the diagonal of A, in units of its largest element. Angles that hardly change the state would
            else be turned far.
        tolerance: largest standard deviation of ``H/T + ln rho`` of a state that counts as converged.
        diagonal_sites: largest network whose exact free energy is computed.

    Raises:
        ValueError: for more than 6 sites, complex nudges, or a response, which `RandomTime` measures.

    Source: McArdle et al., npj Quantum Inf. 5, 75 (2019); Yuan et al., Quantum 3, 191 (2019); Zoufal, Lucchi and
    Woerner, Quantum Mach. Intell. 3, 7 (2021), for Gibbs states.
    """

    temperature: Annotated[float, Gt(0)] = 1.0
    layers: Annotated[int, Ge(1)] | None = None
    steps: Annotated[int, Ge(1)] = 10
    floor: Annotated[float, Gt(0)] = 1e-4
    tolerance: Annotated[float, Gt(0)] = 0.2
    diagonal_sites: Annotated[int, Ge(0)] = 6

    def __post_init__(self) -> None:
        check_fields(self)

    def solve(self, problem: Equilibria, measure: Measure | None = None, *, precision: float | None = None) -> Solution:
        """Settles the batch; ``precision`` is the wanted standard error per Pauli string where it is measured."""
        return settle_prepared(self, problem, measure, precision)

    def prepare(self, problem: Equilibria) -> Thermal:
        """The thermal states as circuits, with what is known of them; nothing is measured."""
        self._refuse(problem)
        hamiltonians = problem.hamiltonians
        trial = bell_pairs(hamiltonians.strings, self.layers)
        circuit = from_qiskit(trial.circuit)
        path = self._path(circuit, trial.initial, beside(hamiltonians))
        amplitudes = states(circuit, path.points)
        images, p = schmidt(amplitudes)
        residual = deviations(hamiltonians, images.reshape(-1, images.shape[2]), p, self.temperature)
        certificate = Certificate.of(
            residual <= self.tolerance * self.temperature, residual=residual, gap_below=np.full(len(p), np.inf)
        )
        own = path.energies + self.temperature * np.sum(p * logarithms(p), axis=1)
        self._judge(hamiltonians, certificate, own, path.free)
        known = None if problem.start is None else problem.start.arrays
        samples = np.arange(len(p)) if known is None else known["samples"]
        values = Expectations.exact(expectations(amplitudes, beside(problem.observables)))
        solution = Solution(values, None, path.energies, certificate, Start({"samples": samples}))
        return Thermal(trial.circuit, path.points, samples, solution)

    def _refuse(self, problem: Equilibria) -> None:
        sites = problem.hamiltonians.num_sites
        if sites > MOST_SITES:
            raise ValueError(
                f"Solver ThermalImaginaryTime settles up to {MOST_SITES} sites, but the network has {sites}: use "
                f"Thermofield(temperature={self.temperature}), Exact or Typical."
            )
        if np.iscomplexobj(problem.hamiltonians.coefficients):
            raise ValueError(
                "Solver ThermalImaginaryTime cannot settle complex nudges: use SymmetricNudging or Richardson."
            )

    def _path(self, circuit: Circuit, initial: FloatArray, hamiltonians: PauliSums) -> _Path:
        """All rows in lockstep; the integral of the energy is one more variable of the flow."""
        step = 0.5 / self.temperature / self.steps
        points = np.tile(initial, (len(hamiltonians), 1))
        area = np.zeros(len(points))
        for number in range(self.steps):
            tell(Iteration("thermal imaginary time", number, self.steps, len(points), float(self.steps - number), 0.0))
            slopes, heights = list[FloatArray](), list[FloatArray]()
            for ahead in (0.0, 0.5 * step, 0.5 * step, step):
                at = points + ahead * slopes[-1] if slopes else points
                energies, gradients = energy_and_gradient(circuit, at, hamiltonians)
                slopes.append(self._velocity(circuit, at, gradients))
                heights.append(energies)
            points = points + step / 6 * (slopes[0] + 2 * slopes[1] + 2 * slopes[2] + slopes[3])
            area += step / 6 * (heights[0] + 2 * heights[1] + 2 * heights[2] + heights[3])
        energies, _ = energy_and_gradient(circuit, points, hamiltonians)
        sites = circuit.num_qubits // 2
        return _Path(points, energies, self.temperature * (2 * area - sites * np.log(2)))

    def _velocity(self, circuit: Circuit, points: FloatArray, gradients: FloatArray) -> FloatArray:
        """``dtheta/dtau = -A^-1 grad <H> / 2``, (rows, n_angles)."""
        tensors = metric(circuit, points)
        largest = np.max(np.abs(tensors), axis=(1, 2), keepdims=True)
        tensors += self.floor * largest * np.eye(points.shape[1])
        return np.linalg.solve(tensors, -0.5 * gradients[:, :, None])[:, :, 0]

    def _judge(self, hamiltonians: PauliSums, certificate: Certificate, own: FloatArray, path: FloatArray) -> None:
        """Says which states the circuit did not reach."""
        far = ~certificate.converged
        if not far.any():
            return
        known = hamiltonians.num_sites <= self.diagonal_sites
        other = free_energies(hamiltonians, self.temperature) if known else path
        apart = np.abs(own - other) / self.temperature
        warnings.warn(
            f"{int(np.sum(far))} of {len(far)} states are not the Gibbs state: H/T + ln rho fluctuates by up to "
            f"{np.max(certificate.residual) / self.temperature:.2g} (`tolerance` {self.tolerance:.2g}), and the free "
            f"energies of the state and of its {'spectrum' if known else 'path'} are up to {np.max(apart):.2g} T apart"
            ": take more `layers`, or more `steps`.",
            PhysicsWarning,
            stacklevel=4,
        )


class _Path(NamedTuple):
    """Where the flow of each row ended: angles, energies, and the free energy from the energies along it."""

    points: FloatArray
    energies: FloatArray
    free: FloatArray


def schmidt(amplitudes: ComplexArray) -> tuple[ComplexArray, FloatArray]:
    """The states of the sites (rows, 2^n, 2^n), one after the other, and their populations (rows, 2^n).

    Args:
        amplitudes: (rows, 4^n) of pairs of registers, the sites being the lower half.
    """
    dim = 1 << ((amplitudes.shape[1].bit_length() - 1) // 2)
    _, weights, sites = np.linalg.svd(amplitudes.reshape(-1, dim, dim))  # (partners, sites)
    p = weights**2
    return sites, p / p.sum(axis=1, keepdims=True)
