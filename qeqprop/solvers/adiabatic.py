"""Adiabatic preparation: from a product state along a ramp of the Hamiltonian, by Trotter steps."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from math import ceil
from typing import Annotated, Literal, NamedTuple

import numpy as np
from annotated_types import Ge, Gt

from qeqprop.certifying import Certified, certify
from qeqprop.checks import check_fields
from qeqprop.engine.circuit_trotter import Order, one_after_the_other, product_state, trotter_sweep
from qeqprop.engine.circuits import Circuit, expectations, states
from qeqprop.interfaces import (
    Certificate,
    ComplexArray,
    Equilibria,
    Expectations,
    FloatArray,
    IntArray,
    Measure,
    PauliSums,
    PhysicsWarning,
    Solution,
    Start,
)
from qeqprop.protocol_check import biases
from qeqprop.ramps import Ramp, RampName, at_once, ramp_of
from qeqprop.solvers._measured_states import measure_states
from qeqprop.start_fields import field_angles, field_operators, start_fields
from qeqprop.trotter import in_qiskit_gates

_STEP = 0.1  # length of a Trotter step by default


@dataclass(frozen=True)
class Adiabatic:
    """Sweeps ``H(s) = (1 - f(s)) H_start + f(s) H``, s = t / total_time, from the ground state of H_start.

    H_start is a field on every site, along X or Z, with the sign that the network's own field has (`start_fields`).
    Free and nudged states take the same start, so that their errors are alike. Every angle is a parameter of one
    circuit for the whole batch. Without a device, or on the compiled simulator, states are exact; elsewhere they are
    measured, all rows in one job, the rows of one sample side by side.

    A state after a finite time is not stationary, and nudging turns that into a bias of the gradient: of O(1) with a
    ramp that has slopes at its ends or with a nudge switched on at once, of ``1/total_time`` with a cosine. A nudge
    also shifts the phase between the state and what it has lost to others; the difference is a derivative only while
    ``beta |e| total_time |dPhi/dnu|`` is small. `protocol_report.check_protocol` looks at all of this before anything
    is spent; the first two are warned of when a nudged state is prepared.

    The certificate is that of the states without noise and shots, simulated for networks up to ``certified_sites``:
    ``residual`` is the standard deviation of H, which holds what both the finite time and the Trotter steps left, the
    gaps come from the exact levels, ``level`` is the one that holds most of the state, and ``converged`` says that the
    residual is below ``tolerance`` times the gap: at least ``1 - tolerance^2`` of the state is in the level. Larger
    networks on the compiled simulator have a residual but no gap, and are judged against the width of the spectrum
    ``sqrt(sum c^2)``; on other devices nothing is known of them, and they are not called converged. Energies likewise.

    Attributes:
        total_time: of one sweep, in units of one over the energy.
        steps: Trotter steps of one sweep; one for every 0.1 of the time by default.
        ramp: "linear", "cosine", "quintic", or f itself, from s (n,) to f(s) (n,).
        order: of the Trotter product: the error of the state falls like this power of the step.
        nudge: "ramped" sweeps straight to the nudged Hamiltonian, from the start. "cached" goes on from the free state
            and ramps only the nudge: on the compiled simulator, where the free state is at hand, a nudged state costs
            ``nudge_time`` instead of ``total_time``; on a device it costs both, since each shot begins anew. "abrupt"
            does the same with the whole nudge at once; its gradients are wrong, see above.
        nudge_time: the time a cached or abrupt nudge takes; the total time by default.
        start_field: the letter of H_start on all sites; chosen for each site by default.
        level: 0 is the ground state. Higher levels begin in that level of H_start, with fields of different strengths;
            they arrive where no levels cross on the way, which the certificate's ``level`` shows.
        tolerance: largest residual in units of the gap.
        certified_sites: largest network that is simulated and diagonalised for the certificate.
        temperature: must be 0. A thermal state that is nudged adiabatically, cut off from its bath, keeps its
            populations: its response misses ``-(1/T) Cov_p(A_nn, C_nn)``, the part of the gradient by which levels
            change their weights. Only at T = 0 are there no populations to change.

    Raises:
        ValueError: if a response or a complex nudge is asked for, a level that cannot be, or a temperature.

    Source: Farhi et al., arXiv:quant-ph/0001106 (2000); boundary conditions: Lidar, Rezakhani and Hamma, J. Math. Phys.
    50, 102106 (2009).
    """

    total_time: Annotated[float, Gt(0)] = 60.0
    steps: Annotated[int, Ge(1)] | None = None
    ramp: RampName | Ramp = "cosine"
    order: Order = 2
    nudge: Literal["ramped", "cached", "abrupt"] = "ramped"
    nudge_time: Annotated[float, Gt(0)] | None = None
    start_field: Literal["X", "Z"] | None = None
    level: Annotated[int, Ge(0)] = 0
    tolerance: Annotated[float, Gt(0)] = 0.1
    certified_sites: Annotated[int, Ge(0)] = 10
    temperature: Annotated[float, Ge(0)] = 0.0

    def __post_init__(self) -> None:
        check_fields(self)
        if self.temperature > 0:
            raise ValueError(
                f"Argument `temperature` must be 0 with the solver Adiabatic, but is {self.temperature}: a thermal "
                "state nudged in isolation keeps its populations, so that its gradient misses -(1/T) Cov_p(A_nn, C_nn)."
                " Let it thermalise again under the nudge, by Exact(temperature=) or Typical, or take no nudge at all,"
                " with LinearResponse."
            )
        ramp_of(self.ramp)

    @property
    def n_steps(self) -> int:
        """Trotter steps of one sweep."""
        return self.steps or ceil(self.total_time / _STEP - 1e-9)

    def solve(self, problem: Equilibria, measure: Measure | None = None, *, precision: float | None = None) -> Solution:
        """Prepares every state; ``precision`` is the wanted standard error per Pauli string where it is measured."""
        self._refuse(problem)
        if problem.start is not None:  # its nudged states will be compared
            for finding in biases(ramp_of(self.ramp), self.nudge):
                warnings.warn(f"{finding.kind}: {finding.message}.", PhysicsWarning, stacklevel=3)
        begin = self._begin(problem)
        exact = measure is None or measure.device.reads_states
        known = exact or problem.hamiltonians.num_sites <= self.certified_sites
        amplitudes = self._states(problem, begin) if known else None
        certified = self._certified(problem, begin, amplitudes)
        if exact and amplitudes is not None:
            measured, shots = Expectations.exact(expectations(amplitudes, problem.observables)), 0
        else:
            assert measure is not None  # the states would be known
            measured, shots = self._measured(problem, begin, measure, precision)
        return Solution(
            expectations=measured,
            response=None,
            energies=certified.energies,
            certificate=certified.certificate,
            start=begin.start(amplitudes) if problem.start is None else problem.start,
            shots=shots,
        )

    def circuit(self, problem: Equilibria) -> tuple[Circuit, FloatArray]:
        """The whole circuit that prepares the states of a problem, and its angles (batch, n_angles)."""
        begin = self._begin(problem)
        parts = [(product_state(problem.hamiltonians.num_sites), field_angles(begin.fields, self.level))]
        parts += self._sweeps(problem, begin)
        circuits, angles = zip(*parts, strict=True)
        return one_after_the_other(circuits), np.concatenate(angles, axis=1)

    def _refuse(self, problem: Equilibria) -> None:
        if problem.perturbation is not None:
            raise ValueError(
                "Solver Adiabatic prepares states and cannot give their linear response: use a nudging rule, "
                "such as SymmetricNudging(beta=0.1)."
            )
        if np.iscomplexobj(problem.hamiltonians.coefficients):
            raise ValueError("Solver Adiabatic cannot prepare complex nudges: use SymmetricNudging or Richardson.")

    def _begin(self, problem: Equilibria) -> _Begin:
        if problem.start is not None:
            arrays = problem.start.arrays
            return _Begin(arrays["fields"], arrays["free"], arrays["sample"], arrays.get("states"))
        hamiltonians = problem.hamiltonians
        fields = start_fields(hamiltonians, self.start_field, spread=self.level > 0)
        return _Begin(fields, hamiltonians.coefficients, np.arange(len(hamiltonians)), None)

    def _sweeps(self, problem: Equilibria, begin: _Begin) -> list[tuple[Circuit, FloatArray]]:
        """The sweep from the start field and, for a cached or abrupt nudge, the one from the free state."""
        strings, ramp = problem.hamiltonians.strings, ramp_of(self.ramp)
        matters = np.any(strings.x | strings.z, axis=1)  # the identity is a phase
        field = field_operators(begin.fields)
        target = PauliSums(strings, problem.hamiltonians.coefficients * matters)
        if problem.start is None or self.nudge == "ramped":
            return [self._sweep(field, target, ramp, self.total_time)]
        free = PauliSums(strings, begin.free * matters)
        switch = at_once if self.nudge == "abrupt" else ramp
        return [
            self._sweep(field, free, ramp, self.total_time),
            self._sweep(free, target, switch, self.nudge_time or self.total_time),
        ]

    def _sweep(self, start: PauliSums, target: PauliSums, ramp: Ramp, time: float) -> tuple[Circuit, FloatArray]:
        steps = max(1, ceil(self.n_steps * time / self.total_time - 1e-9))
        return trotter_sweep(start, target, ramp, total_time=time, steps=steps, order=self.order, initial="zero")

    def _states(self, problem: Equilibria, begin: _Begin) -> ComplexArray:
        """The states without noise, (batch, dim); a cached nudge goes on from the free ones where they are known."""
        if self.nudge != "ramped" and begin.states is not None:
            circuit, angles = self._sweeps(problem, begin)[-1]
            return states(circuit, angles, start=begin.states)
        return states(*self.circuit(problem))

    def _measured(
        self, problem: Equilibria, begin: _Begin, measure: Measure, precision: float | None
    ) -> tuple[Expectations, int]:
        """What the device answers, all rows in one job."""
        circuit, angles = self.circuit(problem)
        return measure_states(measure, in_qiskit_gates(circuit), angles, problem.observables, begin.sample, precision)

    def _certified(self, problem: Equilibria, begin: _Begin, amplitudes: ComplexArray | None) -> Certified:
        certified = certify(
            problem.hamiltonians,
            amplitudes,
            level=self.level,
            tolerance=self.tolerance,
            diagonal_sites=self.certified_sites,
            origin=begin.states,
        )
        self._judge(certified.certificate, amplitudes is not None)
        return certified

    def _judge(self, certificate: Certificate, known: bool) -> None:
        if np.any(certificate.degeneracy > 1):
            warnings.warn(
                f"The level is degenerate (up to {np.max(certificate.degeneracy)} states): in which of its states the "
                "sweep ends, and what is measured there, depends on the start field. Break the symmetry.",
                PhysicsWarning,
                stacklevel=4,
            )
        bad = np.flatnonzero(~certificate.converged)
        if not known or not len(bad):
            return
        wrong = np.flatnonzero(certificate.level != self.level)
        reached = f" {len(wrong)} of them are in another level." if len(wrong) else ""
        warnings.warn(
            f"{len(bad)} of {len(certificate.converged)} states did not follow their level, the first is row {bad[0]}: "
            f"the standard deviation of H is up to {np.max(certificate.residual[bad]):.1e}, the gap down to "
            f"{np.min(certificate.gap[bad]):.1e}.{reached} Take a longer `total_time` than {self.total_time:g}, more "
            f"`steps` than {self.n_steps}, or another `start_field`.",
            PhysicsWarning,
            stacklevel=4,
        )


class _Begin(NamedTuple):
    """Where the sweeps of a call begin.

    Attributes:
        fields: (batch, 2, n_sites) of H_start.
        free: (batch, n_strings) the Hamiltonians without nudge.
        sample: (batch,) which sample of the free call a row belongs to.
        states: (batch, dim) the free states, where they are known.
    """

    fields: FloatArray
    free: FloatArray
    sample: IntArray
    states: ComplexArray | None

    def start(self, states: ComplexArray | None) -> Start:
        known = {} if states is None else {"states": states}
        return Start({"fields": self.fields, "free": self.free, "sample": self.sample, **known})
