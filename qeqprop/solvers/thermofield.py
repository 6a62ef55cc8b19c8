"""Gibbs states on circuits: populations of basis states, turned into those of levels by a circuit."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt
from scipy.special import softmax

from qeqprop.ansatze.hamiltonian_variational import hamiltonian_variational
from qeqprop.checks import check_fields
from qeqprop.descent import Objective, descend
from qeqprop.engine.circuits import energy_and_gradient, expectations, states
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
from qeqprop.solvers._circuit_family import CircuitFamily, family_of
from qeqprop.solvers._gibbs_states import FAR, Thermal, deviations, free_energies, logarithms, settle_prepared
from qeqprop.solvers._purification import partner_angles, purification

MOST_SITES = 8
"""The search runs all ``2^n`` basis states through the circuit."""


@dataclass(frozen=True)
class Thermofield:
    """The state of lowest free energy among those that a circuit and a distribution of bits make.

    ``rho = U (sum_b p_b |b><b|) U^+`` with a circuit U and populations p. Its entropy is that of p, known in closed
    form, so that ``F = sum_b p_b <b|U^+ H U|b> - T S(p)`` is measurable: an energy and a known number. A circuit that
    entangles two halves at will has no such entropy; it would have to be measured by copies or tomography. That is why
    the state is made this way. It is prepared as a purification: the second half of ``2n`` qubits holds
    ``sum_b sqrt(p_b) |b>``, one CNOT for each site copies the bits, U acts on the first half.

    ``F_var >= F``, and ``(F_var - F)/T`` is the relative entropy to the Gibbs state; it is computed up to
    `diagonal_sites`, and a `PhysicsWarning` says if it is large. For any size ``residual`` is the standard deviation of
    ``H + T ln rho`` in rho, which is zero in the Gibbs state and nowhere else among full-rank states: at T = 0 it is
    that of the energy.
    ``converged`` says that F is stationary in all parameters, which is what makes nudged differences the exact
    gradient of the cost of these states. Nudged states start from their free state and share its circuit.

    Attributes:
        temperature: above zero.
        ansatz: the circuits U; a fixed one, none that grows.
        populations: "levels" leaves all ``2^n`` populations free, whose best choice is ``exp(-E_b/T)``: exact where U
            reaches all eigenstates, and prepared by ``2^n - 1`` rotations. "product" has independent bits, n rotations:
            exact for free fermions, such as a transverse-field Ising chain without fields along Z.
        tolerance: largest gradient of F, relative to the sum of absolute coefficients.
        iterations: of the search at most. It runs on the compiled simulator.
        diagonal_sites: largest network whose exact free energy is computed.

    Raises:
        ValueError: for more than 8 sites, an ansatz that grows, complex nudges, or a response, which `RandomTime`
            measures.

    Source: Verdon, Marks, Nanda, Leichenauer and Hidary, arXiv:1910.02071 (2019); Liu, Mao, Zhang and Wang, Mach.
    Learn.: Sci. Technol. 2, 025011 (2021).
    """

    temperature: Annotated[float, Gt(0)] = 1.0
    ansatz: Ansatz = field(default_factory=lambda: hamiltonian_variational(layers=2))
    populations: Literal["levels", "product"] = "levels"
    tolerance: Annotated[float, Gt(0)] = 1e-5
    iterations: Annotated[int, Ge(1)] = 2000
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
        family = family_of(self.ansatz, hamiltonians.strings)
        known = None if problem.start is None else problem.start.arrays
        scales = np.maximum(np.sum(np.abs(hamiltonians.coefficients), axis=1), np.finfo(np.float64).tiny)
        n_angles = family.circuit.n_parameters
        if known is None:
            # equal populations would be a stationary point
            tilts = 1.0 + 0.1 * np.arange(len(self._features(hamiltonians.num_sites)))
            fields = np.tile(tilts, (len(hamiltonians), 1))
            starts = family.trial.starts(hamiltonians.coefficients)
            begins = np.concatenate([starts, fields], axis=1, dtype=np.float64)
        else:
            begins = known["points"]
        descent = descend(
            self._free_energy(family, hamiltonians),
            begins,
            tolerances=self.tolerance * scales,
            most=self.iterations,
            inverses=None if known is None else known["inverses"],
            name="thermofield",
        )
        angles, fields = descent.points[:, :n_angles], descent.points[:, n_angles:]
        energies = self._level_energies(family, angles, hamiltonians)[0]
        p = self._populations(energies, fields)
        images = _images(family, angles)
        residual = deviations(hamiltonians, images, p, self.temperature)
        certificate = Certificate.of(descent.converged, residual=residual, gap_below=np.full(len(p), np.inf))
        self._judge(hamiltonians, descent.values, descent.gradients, certificate.converged, scales)
        values = np.einsum("bl,blo->bo", p, expectations(images, problem.observables).reshape(*p.shape, -1))
        samples = np.arange(len(p)) if known is None else known["samples"]
        start = Start({"points": descent.points, "inverses": descent.inverses, "samples": samples})
        solution = Solution(Expectations.exact(values), None, np.sum(p * energies, axis=1), certificate, start)
        circuit = purification(family.trial.circuit, product=self.populations == "product")
        parameters = np.concatenate([partner_angles(p, product=self.populations == "product"), angles], axis=1)
        return Thermal(circuit, parameters, samples, solution)

    def _refuse(self, problem: Equilibria) -> None:
        sites = problem.hamiltonians.num_sites
        if sites > MOST_SITES:
            raise ValueError(
                f"Solver Thermofield settles up to {MOST_SITES} sites, but the network has {sites}: use "
                f"Exact(temperature={self.temperature}) or Typical(temperature={self.temperature})."
            )
        if np.iscomplexobj(problem.hamiltonians.coefficients):
            raise ValueError("Solver Thermofield cannot settle complex nudges: use SymmetricNudging or Richardson.")
        if isinstance(self.ansatz, GrowingAnsatz):
            raise ValueError("Argument `ansatz` must not grow with the solver Thermofield.")

    def _features(self, sites: int) -> FloatArray:
        """What the fields of the populations act on, (n_fields, 2^n): the bits of a product, as +-1/2."""
        if self.populations == "levels":
            return np.zeros((0, 1 << sites))
        bits = np.arange(1 << sites) >> np.arange(sites)[:, None] & 1
        return np.where(bits == 1, -0.5, 0.5)

    def _populations(self, energies: FloatArray, fields: FloatArray) -> FloatArray:
        """``p ~ exp(fields . features)``, or where all are free ``exp(-E/T)``; (rows, 2^n)."""
        if self.populations == "levels":
            logarithms = -energies / self.temperature
        else:
            logarithms = fields @ self._features(fields.shape[1])
        return softmax(logarithms, axis=1)

    def _free_energy(self, family: CircuitFamily, hamiltonians: PauliSums) -> Objective:
        """F and its gradient in angles and fields; ``dF/dfield_k = Cov_p(E + T ln p, feature_k)``."""
        n_angles, features = family.circuit.n_parameters, self._features(hamiltonians.num_sites)

        def objective(rows: IntArray, points: FloatArray) -> tuple[FloatArray, FloatArray]:
            chosen = PauliSums(hamiltonians.strings, hamiltonians.coefficients[rows])
            energies, slopes = self._level_energies(family, points[:, :n_angles], chosen)
            p = self._populations(energies, points[:, n_angles:])
            local = energies + self.temperature * logarithms(p)
            values = np.sum(p * local, axis=1)
            gradients = np.einsum("bl,blj->bj", p, slopes)
            along = (p * (local - values[:, None])) @ features.T
            return values, np.concatenate([gradients, along], axis=1)

        return objective

    def _level_energies(
        self, family: CircuitFamily, angles: FloatArray, hamiltonians: PauliSums
    ) -> tuple[FloatArray, FloatArray]:
        """``<b|U^+ H U|b>`` (rows, 2^n) and their gradients (rows, 2^n, n_angles)."""
        dim, rows = family.circuit.dim, len(angles)
        values, slopes = energy_and_gradient(
            family.circuit,
            np.repeat(angles, dim, axis=0),
            PauliSums(hamiltonians.strings, np.repeat(hamiltonians.coefficients, dim, axis=0)),
            start=np.tile(np.eye(dim), (rows, 1)),
        )
        return values.reshape(rows, dim), slopes.reshape(rows, dim, -1)

    def _judge(
        self, hamiltonians: PauliSums, free: FloatArray, left: FloatArray, converged: BoolArray, scales: FloatArray
    ) -> None:
        if not converged.all():
            worst = np.max(np.linalg.norm(left, axis=1) / scales)
            warnings.warn(
                f"{int(np.sum(~converged))} of {len(converged)} states have gradients of the free energy up to "
                f"{worst:.1e} (`tolerance` {self.tolerance:.1e}), a bias that nudging divides by beta: allow more "
                "`iterations`.",
                PhysicsWarning,
                stacklevel=4,
            )
        if hamiltonians.num_sites > self.diagonal_sites:
            return
        above = (free - free_energies(hamiltonians, self.temperature)) / self.temperature
        if np.any(above > FAR):
            warnings.warn(
                f"{int(np.sum(above > FAR))} of {len(above)} states are not the Gibbs state, with relative entropies "
                f"(F_var - F)/T up to {np.max(above):.2g}: take an `ansatz` with more layers, or other `populations`.",
                PhysicsWarning,
                stacklevel=4,
            )


def _images(family: CircuitFamily, angles: FloatArray) -> ComplexArray:
    """``U |b>`` for all rows and b, (rows * 2^n, 2^n)."""
    dim = family.circuit.dim
    return states(family.circuit, np.repeat(angles, dim, axis=0), start=np.tile(np.eye(dim), (len(angles), 1)))
