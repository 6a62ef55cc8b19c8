"""The Kubo-Mori response of a Gibbs state, measured: an output is read, a random time passes, the rest is read."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from math import ceil
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt
from qiskit.circuit import QuantumCircuit
from qiskit.quantum_info import PauliList

from qeqprop.checks import check_fields, check_part
from qeqprop.counts import stream
from qeqprop.devices.statevector import Statevector
from qeqprop.gates import factors, numbered, rotate
from qeqprop.interfaces import (
    BoolArray,
    Equilibria,
    Expectations,
    FloatArray,
    Measure,
    Measured,
    Measurement,
    PauliSums,
    PhysicsWarning,
    Solution,
)
from qeqprop.measuring import BoundMeasure
from qeqprop.solvers._gibbs_states import PreparingSolver, Thermal, beside
from qeqprop.solvers._measured_states import measure_states, used_strings
from qeqprop.solvers.thermofield import Thermofield

_TIMES = 0x74696D65  # keeps the evolution times apart from other streams of the call
_SIMULATED_QUBITS = 11
"""Up to so many qubits the Trotter error of the response is computed."""


@dataclass(frozen=True)
class RandomTime:
    """Measures ``d<A>/dnu = -(1/T) [(A;N) - <A><N>]`` without any nudge, by letting a random time pass.

    The Kubo-Mori correlator is a mean over time, ``(A;N) = int dt p(t) <{N, A(t/T)}>/2`` with
    ``p(t) = (2/pi) ln coth(pi |t|/2)``. So: prepare the Gibbs state; measure a Pauli string Q of N, with the outcome
    c = +-1; evolve for t/T, t drawn from p; measure A, with the outcome a. The mean of ``c a`` over outcomes and times
    is (A;Q), since a projective measurement leaves half the anticommutator. One string of N for each run, each with
    its weight in N.

    ``E[a]`` of these runs is not ``<A>``: the first measurement disturbs the state. So ``<A>`` is measured in a job of
    its own, on states that nobody has touched, and the answer is ``-(1/T) (E[c a] - E[c] <A>)``.

    Every time is a circuit's row of its own. The standard error is the spread over the times, which holds that of the
    shots as well, and the error of ``<A>``. The evolution is a product formula of second order. Its error in the
    response is computed for networks that can be simulated: from twice as many steps, extrapolated; a `PhysicsWarning`
    says if it exceeds `tolerance`.

    Attributes:
        solver: prepares the Gibbs states on circuits.
        times: different times for each sample and string; a call that asks for a precision takes
            ``ceil(1 / (precision^2 shots))``.
        shots: for each time and basis, where a device samples.
        steps: of the product formula.
        reading: how the first outcome is read: "ancilla" copies it to one more qubit that is measured at the end with
            all others, on any device; "mid_circuit" measures a site in the middle of the circuit, on devices that can:
            `Aer` without noise. Both have the same statistics, since nothing acts on the copy afterwards, and the exact
            simulator takes the copy always.
        tolerance: largest Trotter error of the response, relative to its largest component.

    Raises:
        ValueError: for complex nudges, and as the solver does.

    Source: Massar & Mognetti, arXiv:2405.08467 (2024); Shtanko & Movassagh, arXiv:2112.14688 (2021), for Gibbs states
    probed by random times.
    """

    solver: PreparingSolver = field(default_factory=Thermofield)
    times: Annotated[int, Ge(2)] = 64
    shots: Annotated[int, Ge(2)] = 16
    steps: Annotated[int, Ge(1)] = 8
    reading: Literal["ancilla", "mid_circuit"] = "ancilla"
    tolerance: Annotated[float, Gt(0)] = 0.05

    def __post_init__(self) -> None:
        check_fields(self)
        check_part("solver", self.solver, "prepare", "Thermofield() or ThermalImaginaryTime()")

    @property
    def temperature(self) -> float:
        """That of the solver."""
        return self.solver.temperature

    def solve(self, problem: Equilibria, measure: Measure | None = None, *, precision: float | None = None) -> Solution:
        """Settles as the solver does; a response is measured."""
        if np.iscomplexobj(problem.hamiltonians.coefficients):
            raise ValueError("Solver RandomTime cannot settle complex nudges: use LinearResponse or SymmetricNudging.")
        nudges = problem.perturbation
        if nudges is None:
            return self.solver.solve(problem, measure, precision=precision)
        if measure is None:
            measure = BoundMeasure(Statevector(), problem.key)
        thermal = self.solver.prepare(replace(problem, perturbation=None))
        exact = measure.device.reads_states
        count = self.times if precision is None else max(2, ceil(1.0 / (precision**2 * self.shots)))
        still, spent = Expectations.exact(thermal.solution.expectations.values), 0
        if not exact:
            still, spent = measure_states(
                measure,
                thermal.circuit,
                thermal.parameters,
                beside(problem.observables),
                thermal.samples,
                (count * self.shots) ** -0.5,
            )
        response, shots = self._response(problem, nudges, thermal, still, measure, count)
        return replace(thermal.solution, expectations=still, response=response, shots=spent + shots)

    def _response(
        self,
        problem: Equilibria,
        nudges: PauliSums,
        thermal: Thermal,
        still: Expectations,
        measure: Measure,
        count: int,
    ) -> tuple[Expectations, int]:
        """The sum over the strings of N, (batch, n_observables)."""
        shape = still.values.shape
        total, variance, trotter = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        mean, shots, mid = np.zeros(shape[0]), 0, self.reading == "mid_circuit" and not measure.device.reads_states
        for number, (string, weights) in enumerate(_strings_of(nudges)):
            t = random_times(count * shape[0], np.random.default_rng(stream(problem.key, _TIMES, number)))
            made = self._question(problem, thermal, string, still.values, t, self.steps, measured=mid)
            answer = measure(made, shots=None if measure.device.reads_states else self.shots)
            shots += answer.shots
            values = self._by_time(answer, shape[0])  # (batch, times, 1 + n_observables): c, then c (a - <A>)
            total += weights[:, None] * np.mean(values[:, :, 1:], axis=1)
            variance += weights[:, None] ** 2 * np.var(values[:, :, 1:], axis=1, ddof=1) / count
            mean += weights * np.mean(values[:, :, 0], axis=1)
            if made.circuit.num_qubits <= _SIMULATED_QUBITS:
                trotter += weights[:, None] * self._trotter_error(problem, thermal, string, still.values, t)
        variance += (mean[:, None] * still.std_errors) ** 2
        scale = self.tolerance * np.max(np.abs(total), initial=0.0)
        if np.any(np.abs(trotter) > scale):
            off, most = (float(np.max(np.abs(part))) / self.temperature for part in (trotter, total))
            warnings.warn(
                f"The product formula of {self.steps} steps is off by up to {off:.1e} in responses up to {most:.1e}:"
                " allow more `steps`.",
                PhysicsWarning,
                stacklevel=4,
            )
        return Expectations(-total / self.temperature, np.sqrt(variance) / self.temperature), shots

    def _question(
        self,
        problem: Equilibria,
        thermal: Thermal,
        string: str,
        still: FloatArray,
        t: FloatArray,
        steps: int,
        *,
        measured: bool,
    ) -> Measurement:
        """Rows: all times of the first sample, then those of the next; observables c and ``c (A_j - <A_j>)``."""
        hamiltonians, observables = problem.hamiltonians, problem.observables
        moving = np.any(hamiltonians.strings.x | hamiltonians.strings.z, axis=1)
        terms, coefficients = used_strings(
            _chosen(hamiltonians.strings, moving), np.real(hamiltonians.coefficients[:, moving])
        )
        circuit = _protocol(thermal.circuit, string, terms, steps, measured=measured)
        count = len(t) // len(hamiltonians)
        angles = coefficients[:, None, :] * t.reshape(len(hamiltonians), count, 1)
        angles = 2 / (self.temperature * steps) * angles.reshape(len(t), -1)
        parameters = np.concatenate([np.repeat(thermal.parameters, count, axis=0), angles], axis=1)
        wide = beside(observables)
        kept = np.any(wide.strings.x | wide.strings.z, axis=1) & np.any(wide.coefficients, axis=0)
        constant = np.sum(observables.coefficients[:, ~np.any(wide.strings.x | wide.strings.z, axis=1)], axis=1)
        labels = ["Z" + "I" * wide.num_sites, *("Z" + label for label in _chosen(wide.strings, kept).to_labels())]
        n_observables = len(observables)
        weights = np.zeros((len(hamiltonians), 1 + n_observables, len(labels)))
        weights[:, 0, 0] = 1.0
        weights[:, 1:, 0] = constant - still
        weights[:, 1:, 1:] = np.real(wide.coefficients[:, kept])
        return Measurement(circuit, parameters, PauliList(labels), np.repeat(weights, count, axis=0))

    def _by_time(self, answer: Measured, batch: int) -> FloatArray:
        values = np.real(answer.expectations.values)
        return values.reshape(batch, -1, values.shape[1])

    def _trotter_error(
        self, problem: Equilibria, thermal: Thermal, string: str, still: FloatArray, t: FloatArray
    ) -> FloatArray:
        """4/3 of what twice as many steps change, (batch, n_observables), at no more than eight of the times."""
        batch = len(still)
        few = t.reshape(batch, -1)[:, :8].reshape(-1)
        device = Statevector()
        one, two = (
            self._by_time(
                device.run(
                    self._question(problem, thermal, string, still, few, steps, measured=False), shots=None, key=()
                ),
                batch,
            )
            for steps in (self.steps, 2 * self.steps)
        )
        return 4 / 3 * np.mean(two - one, axis=1)[:, 1:]


def random_times(count: int, random: np.random.Generator) -> FloatArray:
    """Independent times of the density ``p(t) = (2/pi) ln coth(pi |t|/2)``, exactly.

    ``ln coth(x/2) = 2 sum_(odd k) exp(-k x)/k``: |t| is exponential with the rate ``k pi``, and k is odd with a
    probability proportional to ``1/k^2``. That is what is left of Zipf's law if even numbers are thrown away.
    """
    odd = np.empty(0, dtype=np.int64)
    while len(odd) < count:
        drawn = random.zipf(2.0, 2 * count)
        odd = np.concatenate([odd, drawn[drawn % 2 == 1]])
    sizes = random.exponential(size=count) / (np.pi * odd[:count])
    return np.where(random.random(count) < 0.5, -sizes, sizes)


def _protocol(prepared: QuantumCircuit, string: str, terms: PauliList, steps: int, *, measured: bool) -> QuantumCircuit:
    """Prepare, read the sign of the string into a bit or a last qubit, evolve; one parameter for each term."""
    copy = prepared.num_qubits
    circuit = QuantumCircuit(copy, 1) if measured else QuantumCircuit(copy + 1)
    circuit.compose(prepared, qubits=range(copy), inplace=True)
    turned = [(site, letter) for site, letter in enumerate(reversed(string)) if letter != "I"]
    for site, letter in turned:
        _to_z(circuit, site, letter)
    first, *others = [site for site, _ in turned]
    if measured:  # the parity of all, in the first
        for site in others:
            circuit.cx(site, first)
        circuit.measure(first, 0)
        for site in others:
            circuit.cx(site, first)
    else:
        for site in (first, *others):
            circuit.cx(site, copy)
    for site, letter in turned:
        _back(circuit, site, letter)
    words = factors(terms)
    angles = numbered(len(words), "time")
    letters = ["".join(sorted(set(word))) for word, _ in words]
    order = sorted(range(len(words)), key=letters.__getitem__)  # what commutes stays together
    for _ in range(steps):
        for index in [*order, *reversed(order)]:
            rotate(circuit, *words[index], 0.5 * angles[index])
    return circuit


def _strings_of(nudges: PauliSums) -> Iterator[tuple[str, FloatArray]]:
    """The strings that occur in any N, without the identity, and their weights (batch,)."""
    for label, weights in zip(nudges.strings.to_labels(), np.real(nudges.coefficients).T, strict=True):
        if np.any(weights) and label.strip("I"):
            yield label, weights


def _chosen(strings: PauliList, which: BoolArray) -> PauliList:
    return PauliList.from_symplectic(strings.z[which], strings.x[which])


def _to_z(circuit: QuantumCircuit, site: int, letter: str) -> None:
    if letter == "Y":
        circuit.sdg(site)
    if letter in "XY":
        circuit.h(site)


def _back(circuit: QuantumCircuit, site: int, letter: str) -> None:
    if letter in "XY":
        circuit.h(site)
    if letter == "Y":
        circuit.s(site)
