"""Ground and low excited states of chains and ladders too long for a state vector: matrix product states."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, NamedTuple

import numpy as np
from annotated_types import Ge, Gt
from qiskit.quantum_info import PauliList
from scipy.sparse import csr_array
from scipy.sparse.csgraph import reverse_cuthill_mckee

from qeqprop.checks import check_fields
from qeqprop.engine.matrix_products import StringTable, Tensors, overlap, padded, residual, unpadded
from qeqprop.engine.sweeps import Chain
from qeqprop.interfaces import (
    BoolArray,
    Certificate,
    Equilibria,
    Expectations,
    FloatArray,
    IntArray,
    Measure,
    NotConverged,
    PhysicsWarning,
    Solution,
    Start,
    refuse_device,
)

_FIRST_BOND = 8  # of random states
_COARSE = 1e-6  # weight that a bond may drop at first; each sweep it is a hundred times less
_CUTOFF = 0.1  # weight that a bond may drop at last, in units of the squared tolerance
_MIXING = 1000.0  # what is mixed in while bonds grow, in units of the weight that may be dropped


@dataclass(frozen=True)
class DMRG:
    """The ground state, or a low excited one, as a matrix product state: chains and ladders of many sites.

    Sweeps over pairs of sites let the bonds grow; sweeps over single sites then make the energy stationary among all
    states of these bonds. A nudged state starts from its free state and keeps its bonds, so that free and nudged states
    belong to one variational family: nudged differences are then the exact gradient of the cost *of the variational
    states*, up to the rule's order in beta, also where ``bond`` is too small for the true ones. (Bonds of a nudged
    state grow only where it would miss the tolerance otherwise.) Strings that reach far cost bonds; sites are
    renumbered for the sweeps where that makes strings reach less far.

    Sweeps are local: a certified state is an eigenstate to its residual, but that there is no lower one is not
    certified. Excited states are kept orthogonal to those below. There is no linear response and no complex nudge: a
    response by differences would hide a step that `SymmetricNudging` and `Richardson` show.

    The certificate's ``residual`` is exact, not an estimate from dropped weights. With ``gap`` the next level is found
    too, and with it ``gap_above`` and ``degeneracy``; where these are not known they are nan and 0. The couplings are
    nan.

    Attributes:
        bond: largest bond of the state; time grows like its third power.
        level: 0 is the ground state; levels count states in the order of their energies, found from below.
        gap: also find the next state, for the certificate; doubles the time.
        tolerance: largest residual ``||H psi - E psi||`` relative to the sum of absolute coefficients; levels closer
            than this count as degenerate. It also sets what growing bonds may drop.
        stationarity: largest residual within the family of states with the same bonds, relative likewise: the error of
            nudged differences is about this over the gap and beta.
        starts: number of random states that are tried; after one coarse sweep each, the lowest goes on. Frustrated
            networks need some.
        sweeps: how many of them, there and back, may then be spent on one state.
        accept_unconverged: warn instead of raising `NotConverged`.

    Raises:
        ValueError: for a level the network does not have, a response or a complex nudge.
        NotConverged: if a state misses its tolerances.

    Source: White, Phys. Rev. Lett. 69, 2863 (1992); Schollwöck, Ann. Phys. 326, 96 (2011).
    """

    bond: Annotated[int, Ge(1)] = 64
    level: Annotated[int, Ge(0)] = 0
    gap: bool = False
    tolerance: Annotated[float, Gt(0)] = 1e-6
    stationarity: Annotated[float, Gt(0)] = 1e-8
    starts: Annotated[int, Ge(1)] = 4
    sweeps: Annotated[int, Ge(1)] = 100
    accept_unconverged: bool = False

    def __post_init__(self) -> None:
        check_fields(self)

    def solve(self, problem: Equilibria, measure: Measure | None = None, *, precision: float | None = None) -> Solution:
        """Settles one sample after the other; ``precision`` is not needed, since nothing is sampled."""
        refuse_device("DMRG", measure)
        coefficients = self._coefficients(problem)
        strings = problem.hamiltonians.strings
        start = None if problem.start is None else problem.start.arrays
        order = _order(strings, coefficients) if start is None else start["order"][0]
        table = StringTable.of(strings, order)
        settled: list[list[_State]] = []
        overlaps = np.full(len(coefficients), np.nan)
        for sample, row in enumerate(coefficients):
            pairs = [] if start is None else zip(start["tensors"][sample], start["bonds"][sample], strict=True)
            known = [unpadded(array, bonds) for array, bonds in pairs]
            settled.append(self._lowest(table, row, known))
            if len(known) > self.level:
                overlaps[sample] = abs(overlap(known[self.level], settled[-1][self.level].tensors)) ** 2
        certificate = self._certificate(settled, np.sum(np.abs(coefficients), axis=1), overlaps)
        self._judge(certificate, settled)
        measured = np.array([table.expectations(states[self.level].tensors) for states in settled])
        return Solution(
            expectations=Expectations.exact(measured @ problem.observables.coefficients.T),
            response=None,
            energies=np.array([states[self.level].energy for states in settled]),
            certificate=certificate,
            start=_start(settled, order),
        )

    def _coefficients(self, problem: Equilibria) -> FloatArray:
        """The Hamiltonians' coefficients, after refusals."""
        sites = problem.hamiltonians.num_sites
        if self.level + self.gap >= 2**sites:
            wanted = f"less than {2**sites - self.gap} for {sites} sites" + " with `gap`" * self.gap
            raise ValueError(f"Argument `level` must be {wanted}, but is {self.level}.")
        if problem.perturbation is not None:
            raise ValueError(
                "Solver DMRG settles states and gives no linear response: use a nudging rule, such as "
                "SymmetricNudging(beta=0.1)."
            )
        if np.iscomplexobj(problem.hamiltonians.coefficients):
            raise ValueError("Solver DMRG cannot settle complex nudges: use SymmetricNudging or Richardson.")
        return problem.hamiltonians.coefficients

    def _lowest(self, table: StringTable, coefficients: FloatArray, known: list[Tensors]) -> list[_State]:
        """All states up to the level, and the next one for the gap; each starts from the known one, if there is."""
        operator = table.operator(coefficients)
        height = np.sqrt(2 * np.sum(np.abs(coefficients)))  # twice the largest absolute energy
        states: list[_State] = []
        for index in range(self.level + 1 + self.gap):
            avoided = [[height * state.tensors[0], *state.tensors[1:]] for state in states]
            warm = index < len(known)
            chain = Chain.of(operator, known[index], avoided) if warm else self._begin(operator, avoided)
            states.append(self._settle(table, coefficients, chain, warm))
        return sorted(states, key=lambda state: state.energy)

    def _begin(self, operator: Tensors, avoided: list[Tensors]) -> Chain:
        """The best of several random states after one coarse sweep each."""
        bond = min(self.bond, _FIRST_BOND)
        chains = [Chain.of(operator, _random_state(operator, bond, seed), avoided) for seed in range(self.starts)]
        for chain in chains:
            chain.grow(0.0, self.bond, _COARSE, mixing=_MIXING * _COARSE)
        return min(chains, key=lambda chain: chain.energy)

    def _settle(self, table: StringTable, coefficients: FloatArray, chain: Chain, warm: bool) -> _State:
        """Sweeps until the state is stationary and its residual small, or until larger bonds are not allowed."""
        scale = max(float(np.sum(np.abs(coefficients))), float(np.finfo(np.float64).tiny))
        goal = 0.5 * self.stationarity * scale / np.sqrt(len(chain.tensors))  # for each site; squares add up
        fine = _CUTOFF * self.tolerance**2
        coarse = [_COARSE * 100.0**-step for step in range(1, 20) if _COARSE * 100.0**-step > fine]
        distance, spent = np.inf, 0
        for cutoffs in ([] if warm else [*coarse, fine], [fine], [fine / 100], [fine / 10000]):
            spent += self._grow(chain, cutoffs, goal, self.sweeps - spent)
            spent += self._relax(chain, goal, scale, max(1, self.sweeps - spent))
            distance = residual(table.operator(coefficients, shift=chain.energy), chain.tensors) / scale
            if distance <= self.tolerance or chain.bond >= self.bond or spent >= self.sweeps:
                break
        return _State(chain.tensors, chain.energy, distance, chain.residual / scale)

    def _grow(self, chain: Chain, cutoffs: Sequence[float], goal: float, sweeps: int) -> int:
        """Sweeps over pairs, a mixed one for each cutoff, then plain ones while they help; how many there were."""
        for cutoff in cutoffs[:sweeps]:
            chain.grow(goal, self.bond, cutoff, mixing=_MIXING * cutoff)
        for spent in range(len(cutoffs), sweeps if cutoffs else 0):
            before = chain.residual
            chain.grow(goal, self.bond, cutoffs[-1])
            if chain.residual > 0.5 * before or chain.residual <= goal:
                return spent + 1
        return min(len(cutoffs), sweeps)

    def _relax(self, chain: Chain, goal: float, scale: float, sweeps: int) -> int:
        """Sweeps over single sites until the state is stationary; how many there were."""
        for spent in range(sweeps):
            chain.sweep(goal)
            if chain.residual <= self.stationarity * scale:
                return spent + 1
        return sweeps

    def _certificate(self, settled: list[list[_State]], scales: FloatArray, overlaps: FloatArray) -> Certificate:
        energies = np.array([[state.energy for state in states] for states in settled])
        good = np.array([[self._is_good(state) for state in states] for states in settled])
        distances = energies - energies[:, [self.level]]
        distances[:, self.level + 1 :][~good[:, self.level + 1 :]] = np.nan  # no level to measure a gap to
        close = self.tolerance * scales[:, None]
        above = np.min(np.where(distances > close, distances, np.inf), axis=1)
        below = np.min(np.where(distances < -close, -distances, np.inf), axis=1)
        level = np.sum(np.abs(distances) <= close, axis=1)
        unknown = np.full(len(settled), np.nan)
        return Certificate(
            residual=scales * np.array([states[self.level].residual for states in settled]),
            gap_below=below,
            gap_above=np.where(np.isfinite(above), above, np.nan),
            degeneracy=np.where(np.isfinite(above), level, 0),
            level=np.full(len(settled), self.level),
            overlap=overlaps,
            nudge_coupling=unknown,
            trainable_coupling=unknown,
            converged=np.all(good[:, : self.level + 1], axis=1),
        )

    def _is_good(self, state: _State) -> bool:
        return state.residual <= self.tolerance and state.stationarity <= self.stationarity

    def _judge(self, certificate: Certificate, settled: list[list[_State]]) -> None:
        """Refuses or flags what would mislead."""
        if np.all(certificate.converged):
            return
        bad = np.flatnonzero(~certificate.converged)
        states = [state for row in bad for state in settled[row][: self.level + 1]]
        worst = np.max([(state.residual, state.stationarity) for state in states], axis=0)
        message = (
            f"{len(bad)} of {len(settled)} samples, the first of them {bad[0]}: relative to the sum of absolute "
            f"coefficients the residual is up to {worst[0]:.1e} (`tolerance` {self.tolerance:.1e}), that among states "
            f"of the same bonds up to {worst[1]:.1e} (`stationarity` {self.stationarity:.1e}). Allow a larger `bond` "
            f"than {self.bond}, more `sweeps` than {self.sweeps}, or a larger tolerance."
        )
        if not self.accept_unconverged:
            raise NotConverged(message)
        warnings.warn(message, PhysicsWarning, stacklevel=4)


class _State(NamedTuple):
    """A settled state, with its residuals relative to the sum of absolute coefficients: in all, and in its family."""

    tensors: Tensors
    energy: float
    residual: float
    stationarity: float


def _order(strings: PauliList, coefficients: FloatArray) -> IntArray:
    """The order of sites for the sweeps: as given, or one in which the strings reach less far (Cuthill-McKee)."""
    support = (strings.x | strings.z)[np.any(coefficients != 0, axis=0)]
    sites = np.arange(support.shape[1])
    support = support[np.sum(support, axis=1) > 1]
    if not len(support):
        return sites
    bonds = csr_array(support.T.astype(np.int64) @ support.astype(np.int64))
    shorter = reverse_cuthill_mckee(bonds, symmetric_mode=True).astype(np.int64)
    return min((sites, shorter), key=lambda order: _reach(support[:, order]))


def _reach(support: BoolArray) -> int:
    """The sum over the strings of the distance between their first and last sites."""
    last = support.shape[1] - 1 - np.argmax(support[:, ::-1], axis=1)
    return int(np.sum(last - np.argmax(support, axis=1)))


def _random_state(operator: Tensors, bond: int, seed: int) -> Tensors:
    """One of the states that are tried where none is known: the same for every Hamiltonian."""
    random = np.random.default_rng(seed)
    sites = len(operator)
    bonds = [min(bond, 2 ** min(site, sites - site, 30)) for site in range(sites + 1)]
    tensors: Tensors = [random.normal(size=(left, 2, right)) for left, right in pairwise(bonds)]
    if any(np.iscomplexobj(tensor) for tensor in operator):
        tensors = [tensor + 1j * random.normal(size=tensor.shape) for tensor in tensors]
    return tensors


def _start(settled: list[list[_State]], order: IntArray) -> Start:
    tensors, bonds = padded([state.tensors for states in settled for state in states])
    shape = (len(settled), -1)
    return Start(
        {
            "tensors": tensors.reshape(*shape, *tensors.shape[1:]),
            "bonds": bonds.reshape(*shape, bonds.shape[1]),
            "order": np.tile(order, (len(settled), 1)),
        }
    )
