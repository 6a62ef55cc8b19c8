"""Exact eigenstates and Gibbs states of a Pauli sum: dense for small networks, matrix-free Lanczos for large ones."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt, Le

from qeqprop.checks import check_fields
from qeqprop.engine.eigen import Spectrum, dense_spectrum, lowest_spectrum
from qeqprop.engine.equilibrium import Equilibrium, settle_biorthogonal, settle_gibbs, settle_level
from qeqprop.engine.paulis import PauliTable
from qeqprop.interfaces import (
    BoolArray,
    Equilibria,
    Expectations,
    FloatArray,
    Measure,
    NotConverged,
    NumberArray,
    PhysicsWarning,
    Solution,
    Start,
    refuse_device,
)

_TINY = np.finfo(np.float64).tiny

_AIM = 0.1
"""Part of the tolerance that the iteration aims at: differences of nudged states lose a digit or two."""

SINGLE_TOLERANCE = 1e-5
"""Residual that seven digits reach with some room, relative to the sum of absolute coefficients."""

GIBBS_SITES = 10
"""A Gibbs state needs every eigenstate: full diagonalisation up to this many sites."""


@dataclass(frozen=True)
class Exact:
    """The eigenstate of a level, or the Gibbs state, to machine precision.

    Observables are ``Tr[P O] / g`` with P the projector on the chosen states: one eigenstate, or all g states of a
    degenerate level with ``multiplet="average"``. The response is first-order perturbation theory; at a temperature it
    is the Kubo-Mori response ``-(1/T)[(A;N) - <A><N>]`` of the re-thermalised state.

    A nudged ground state is the ground state of the nudged network: that is what settling means. A nudged excited state
    is *followed* from its free state by overlap: if a nudge makes two levels cross, the state is kept, not its index.
    In both cases a `PhysicsWarning` says that a level was crossed.

    Attributes:
        level: 0 is the ground state; levels count eigenstates, with multiplicity.
        temperature: above zero the Gibbs state of all levels, up to 10 sites; beyond, there is `Typical`.
        multiplet: "single" takes one state of a degenerate level (and warns if an answer depends on which);
            "average" takes the projector on the whole level.
        tracking: "overlap" follows a state through crossings, "index" takes the level of the same index; by default
            the index for the ground state and the overlap above it.
        tolerance: largest residual ``||H psi - E psi||`` relative to the sum of absolute coefficients. The error of an
            expectation value is about the residual divided by the gap; 1e-8 is plenty for training, and faster.
        degenerate: levels closer than this, relative to the same sum, count as one.
        dense_sites: largest network that is diagonalised in full; three sites always are.
        storage: "single" keeps state vectors with seven digits, for exploring large networks: half the memory, and
            from about 16 sites on less time. It needs a tolerance of at least 1e-5; levels closer than the tolerance
            count as one, and gradients are good to three or four digits.
        accept_unconverged: warn instead of raising `NotConverged`.

    Raises:
        ValueError: for a level the network does not have, or a Gibbs state of more than 10 sites.
        NotConverged: if a residual is too large, or a response does not exist because the level is degenerate and the
            perturbation splits it.

    Source: Massar & Mognetti, arXiv:2405.08467 (2024); Wanjura & Marquardt, Nat. Commun. 16, 6595 (2025).
    """

    level: Annotated[int, Ge(0)] = 0
    temperature: Annotated[float, Ge(0)] = 0.0
    multiplet: Literal["single", "average"] = "single"
    tracking: Literal["overlap", "index"] | None = None
    tolerance: Annotated[float, Gt(0)] = 1e-10
    degenerate: Annotated[float, Gt(0)] = 1e-9
    dense_sites: Annotated[int, Ge(1), Le(12)] = 3
    storage: Literal["double", "single"] = "double"
    accept_unconverged: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        if self.temperature > 0 and self.level > 0:
            raise ValueError("Arguments `level` and `temperature` exclude each other: a Gibbs state holds every level.")
        if self.storage == "single" and self.tolerance < SINGLE_TOLERANCE:
            raise ValueError(
                f"Argument `tolerance` must be at least {SINGLE_TOLERANCE} with storage='single', "
                f"but is {self.tolerance}: Exact(storage='single', tolerance={SINGLE_TOLERANCE})."
            )

    def solve(self, problem: Equilibria, measure: Measure | None = None, *, precision: float | None = None) -> Solution:
        """Settles the batch; ``precision`` is not needed, since nothing is sampled."""
        refuse_device("Exact", measure)
        problem = problem.on_common_strings()
        table = PauliTable.of(problem.hamiltonians.strings)
        self._check_size(table)
        settled = self._settle(table, problem)
        self._judge(settled, problem)
        observables = problem.observables.coefficients.T
        return Solution(
            expectations=Expectations.exact(settled.strings @ observables),
            response=None if settled.response is None else Expectations.exact(settled.response @ observables),
            energies=settled.energies,
            certificate=settled.certificate,
            start=settled.start,
        )

    def ensemble(self, solution: Solution) -> tuple[NumberArray, FloatArray]:
        """The states (batch, n, dim) and weights (batch, n) a solution consists of, for those who measure them."""
        return solution.start.arrays["states"], solution.start.arrays["weights"]

    def _settle(self, table: PauliTable, problem: Equilibria) -> Equilibrium:
        hamiltonians = problem.hamiltonians.coefficients
        scale = np.maximum(np.abs(hamiltonians).sum(axis=1), _TINY)
        nearest = max(self.degenerate, self.tolerance) if self.storage == "single" else self.degenerate
        tolerances, spacings = self.tolerance * scale, nearest * scale
        if np.iscomplexobj(hamiltonians):
            if problem.start is None or self.temperature > 0 or self.multiplet == "average":
                raise ValueError(
                    "Complex nudges follow one eigenstate from its free state: settle the free state first."
                )
            return settle_biorthogonal(table, hamiltonians, tolerances=tolerances, start=problem.start)
        real: FloatArray = np.real(hamiltonians)
        spectrum = self._spectrum(table, real, problem.start, tolerances, spacings)
        perturbations = None if problem.perturbation is None else np.real(problem.perturbation.coefficients)
        if self.temperature > 0:
            return settle_gibbs(
                table,
                real,
                spectrum,
                temperature=self.temperature,
                tolerances=tolerances,
                spacings=spacings,
                perturbations=perturbations,
            )
        return settle_level(
            table,
            real,
            spectrum,
            level=self.level,
            tolerances=tolerances,
            spacings=spacings,
            response_tolerance=max(1e-12, 10 * self.tolerance),
            average=self.multiplet == "average",
            by_overlap=self.multiplet == "average"
            or (self.tracking or ("overlap" if self.level else "index")) == "overlap",
            observables=np.real(problem.observables.coefficients),
            perturbations=perturbations,
            start=problem.start,
        )

    def _spectrum(
        self,
        table: PauliTable,
        hamiltonians: FloatArray,
        start: Start | None,
        tolerances: FloatArray,
        spacings: FloatArray,
    ) -> Spectrum:
        """Eigenpairs of every sample, taken from the start where its Hamiltonian is the same to the last bit."""
        if start is None or "residuals" not in start.arrays:
            return self._diagonalise(table, hamiltonians, tolerances, spacings, None)
        arrays = start.arrays
        if arrays["coefficients"].shape != hamiltonians.shape:  # of other strings
            return self._diagonalise(table, hamiltonians, tolerances, spacings, arrays["vectors"])
        known = (arrays["coefficients"] == hamiltonians).all(axis=1)
        if not known.any():
            return self._diagonalise(table, hamiltonians, tolerances, spacings, arrays["vectors"])
        before = Spectrum(arrays["energies"], arrays["vectors"], arrays["residuals"], int(arrays["accurate"][0]))
        if known.all():
            return before
        new = ~known
        found = self._diagonalise(table, hamiltonians[new], tolerances[new], spacings[new], before.vectors[new])
        n_states = min(before.energies.shape[1], found.energies.shape[1])
        merged = [array[:, :n_states].copy() for array in (before.energies, before.vectors, before.residuals)]
        for array, fresh in zip(merged, (found.energies, found.vectors, found.residuals), strict=True):
            array[new] = fresh[:, :n_states]
        return Spectrum(merged[0], merged[1], merged[2], min(before.n_accurate, found.n_accurate))

    def _diagonalise(
        self,
        table: PauliTable,
        hamiltonians: FloatArray,
        tolerances: FloatArray,
        spacings: FloatArray,
        nearby: NumberArray | None,
    ) -> Spectrum:
        """Everything, or the lowest states and one of a distinct level above the wanted one in every sample."""
        n_accurate = self.level + 1
        while True:
            if self.temperature > 0 or table.num_sites <= max(3, self.dense_sites) or 4 * n_accurate > table.dim:
                return dense_spectrum(table, hamiltonians)
            found = lowest_spectrum(
                table,
                hamiltonians,
                n_accurate + 1,
                n_accurate=n_accurate,
                goals=_AIM * tolerances,
                nearby=nearby if nearby is not None and nearby.shape[1] > n_accurate else None,
                dtype=np.dtype(np.float32 if self.storage == "single" else np.float64),
            )
            energies = found.energies[:, self.level :]
            if ((energies[:, 1:] - energies[:, :-1]).max(axis=1) > spacings).all():
                return found
            if n_accurate > 64:
                raise NotConverged(
                    f"Level {self.level} has more than {n_accurate - self.level} degenerate states, too many to find "
                    "iteratively. Break the symmetry, or raise `dense_sites` for a small network."
                )
            n_accurate = 2 * n_accurate + 1

    def _check_size(self, table: PauliTable) -> None:
        if self.level >= table.dim:
            raise ValueError(
                f"Argument `level` must be less than {table.dim} for {table.num_sites} sites, but is {self.level}."
            )
        if self.temperature > 0 and table.num_sites > GIBBS_SITES:
            raise ValueError(
                f"Argument `temperature` must be 0 above {GIBBS_SITES} sites (a Gibbs state needs every eigenstate), "
                f"but is {self.temperature} for {table.num_sites} sites: use Typical(temperature={self.temperature})."
            )

    def _judge(self, settled: Equilibrium, problem: Equilibria) -> None:
        """Refuses or flags what would mislead."""
        certificate = settled.certificate
        if not certificate.converged.all():
            message = (
                f"{_samples(~certificate.converged)}: residual up to {np.max(certificate.residual):.1e} exceeds the "
                f"tolerance {self.tolerance:.1e} (relative to the sum of absolute coefficients)."
            )
            if not self.accept_unconverged:
                raise NotConverged(message)
            warnings.warn(message, PhysicsWarning, stacklevel=4)
        if settled.undefined.any():
            raise NotConverged(
                f"{_samples(settled.undefined)}: level {self.level} is degenerate and the nudge splits it, so the "
                "response of a single state does not exist. Use multiplet='average', or break the symmetry."
            )
        if settled.ambiguous.any():
            warnings.warn(
                f"{_samples(settled.ambiguous)}: level {self.level} is degenerate (up to "
                f"{np.max(certificate.degeneracy)} states) and the observables depend on which state is taken. "
                "Use multiplet='average', or break the symmetry.",
                PhysicsWarning,
                stacklevel=4,
            )
        if settled.crossed.any():
            reached = sorted(set(certificate.level[settled.crossed].tolist()))
            warnings.warn(
                f"{_samples(settled.crossed)}: the nudge crossed a level; from level {self.level} the state went on in "
                f"level {', '.join(map(str, reached))} with an overlap down to "
                f"{np.min(certificate.overlap[settled.crossed]):.2f}. Is the nudge small against the gap?",
                PhysicsWarning,
                stacklevel=4,
            )


def _samples(which: BoolArray) -> str:
    indices = np.flatnonzero(which)
    shown = ", ".join(map(str, indices[:5])) + (", ..." if len(indices) > 5 else "")
    return f"Sample{'s' * (len(indices) > 1)} {shown}"
