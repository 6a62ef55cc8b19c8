"""Every contract of the package on one page: read this first.

A learning rule turns a batch of samples into the equilibria it wants; a solver turns each equilibrium into numbers::

    LearningRule --nudges--> Network --Equilibria--> Solver --Measurement--> Device
                 <-Settled--         <---Solution---        <---Measured----

A solver that runs no circuits needs no device.

Conventions, once and for all:

* Site ``k`` is qubit ``k`` of qiskit: the *rightmost* character of a Pauli label is site 0.
* ``beta`` is the strength of the nudge, ``temperature`` the temperature (k_B = hbar = 1); energies are dimensionless.
* A nudge is *added*: ``H_nudged = H + sum_k nudge_k O_k``.
* The error signal ``e`` of sample ``s`` is ``batch * dL/dy_s``. So ``dL/dtheta`` is the batch mean of
  ``sum_k e_k dy_k/dtheta``, for losses that average over samples and for losses that join them.
* A batch is an array axis: the equilibria of one call share their Pauli strings and differ in coefficients.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from qiskit.circuit import QuantumCircuit
from qiskit.quantum_info import PauliList, SparsePauliOp

from qeqprop.checks import check_shape, finite_array

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]
NumberArray = NDArray[Any]  # float64, or complex128 where a string or a nudge is complex
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


class PhysicsWarning(UserWarning):
    """A number is finite but may not mean what the user thinks: a degenerate level, a nudge that crossed one."""


class NotConverged(RuntimeError):
    """A state, or a series, did not reach the accuracy it has to certify."""


# --- operators and networks -------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class PauliSums:
    """A batch of operators ``sum_s coefficients[b, s] strings[s]`` over one list of Pauli strings.

    Attributes:
        strings: the Pauli strings, (n_strings,), without phases and without repetition.
        coefficients: (batch, n_strings), real for Hermitian operators; complex ones are the non-Hermitian
            Hamiltonians of holomorphic nudging.
    """

    strings: PauliList
    coefficients: NumberArray

    def __post_init__(self) -> None:
        check_shape("coefficients", self.coefficients, "(batch, n_strings)", (None, len(self.strings)))

    @classmethod
    def of(cls, operators: Sequence[SparsePauliOp]) -> PauliSums:
        """Collects operators of one width into a batch over the union of their strings."""
        operators = [operator.simplify(atol=0) for operator in operators]
        strings = PauliList.from_symplectic(*_unique_rows([operator.paulis for operator in operators]))
        return cls(strings, _coefficients(operators, strings))

    @property
    def num_sites(self) -> int:
        return int(self.strings.num_qubits or 0)

    def __len__(self) -> int:
        return len(self.coefficients)

    def operator(self, index: int = 0) -> SparsePauliOp:
        """One operator of the batch, without its zero terms."""
        return SparsePauliOp(self.strings, self.coefficients[index]).simplify(atol=0)


@dataclass(frozen=True, eq=False)
class Network:
    """A network of spins, affine in what is learnt: ``H = H_0 + sum_i x_i Q_i + sum_j theta_j s_j(x) P_j``.

    ``s_j(x)`` is 1 or, for a trainable input weight, the input ``x[driver[j]]``. The outputs are ``y_k = <O_k>``.
    Weights are tied by putting several Pauli strings into one ``P_j``; terms are frozen with `freeze`. Build a network
    with `Network.of`.

    Attributes:
        strings: (n_strings,) every Pauli string that occurs anywhere.
        static: (n_strings,) the coefficients of H_0.
        inputs: (n_inputs, n_strings) those of the Q_i.
        trainable: (n_trainable, n_strings) those of the P_j.
        driver: (n_trainable,) the input that scales term j, -1 for none.
        outputs: (n_outputs, n_strings) the O_k.
        initial: (n_trainable,) the centre of the random initial parameters.
        positions: (n_sites, 2) where the sites are drawn, or None.
    """

    strings: PauliList
    static: FloatArray
    inputs: FloatArray
    trainable: FloatArray
    driver: IntArray
    outputs: FloatArray
    initial: FloatArray
    positions: FloatArray | None = None

    def __post_init__(self) -> None:
        n_strings, n_trainable = len(self.strings), len(self.trainable)
        for name, shape, wanted in (
            ("static", "(n_strings,)", (n_strings,)),
            ("inputs", "(n_inputs, n_strings)", (None, n_strings)),
            ("trainable", "(n_trainable, n_strings)", (None, n_strings)),
            ("outputs", "(n_outputs, n_strings)", (None, n_strings)),
            ("driver", "(n_trainable,)", (n_trainable,)),
            ("initial", "(n_trainable,)", (n_trainable,)),
        ):
            check_shape(name, getattr(self, name), shape, wanted)
        if np.any(self.driver < -1) or np.any(self.driver >= self.n_inputs):
            raise ValueError(
                f"Argument `driver` must hold input indices from 0 to n_inputs - 1 = {self.n_inputs - 1}, "
                f"or -1 for none, but holds {sorted(set(self.driver.tolist()))}."
            )
        finite_array("initial", self.initial, "(n_trainable,)", (n_trainable,))
        if self.positions is not None:
            check_shape("positions", self.positions, "(n_sites, 2)", (self.num_sites, 2))

    @classmethod
    def of(
        cls,
        *,
        outputs: Sequence[SparsePauliOp],
        trainable: Sequence[SparsePauliOp],
        static: SparsePauliOp | None = None,
        inputs: Sequence[SparsePauliOp] = (),
        driver: Sequence[int] | None = None,
        initial: ArrayLike | None = None,
        positions: ArrayLike | None = None,
    ) -> Network:
        """Builds a network from qiskit operators, all of one width and Hermitian.

        Args:
            outputs: the O_k whose expectations are the outputs; at least one.
            trainable: the P_j, one for each parameter.
            static: H_0, zero if absent.
            inputs: the Q_i, one for each input feature.
            driver: for each P_j the input that multiplies it, or -1; none by default.
            initial: (n_trainable,) centre of the random initial parameters, zeros by default.
            positions: (n_sites, 2) for drawings.

        Raises:
            TypeError: if something is not a `SparsePauliOp`.
            ValueError: if widths differ, an operator is not Hermitian or not finite, or a shape is wrong.
        """
        families: dict[str, list[SparsePauliOp]] = {
            "static": [] if static is None else [static],
            "inputs": _operator_list("inputs", inputs),
            "trainable": _operator_list("trainable", trainable),
            "outputs": _operator_list("outputs", outputs),
        }
        if not families["outputs"]:
            raise ValueError("Argument `outputs` must hold at least one operator, but is empty.")
        width = families["outputs"][0].num_qubits
        for name, operators in families.items():
            for index, operator in enumerate(operators):
                _check_operator(name, index, operator, width)
        simplified = {
            name: [operator.simplify(atol=0) for operator in operators] for name, operators in families.items()
        }
        everything = [operator.paulis for operators in simplified.values() for operator in operators]
        strings = PauliList.from_symplectic(*_unique_rows(everything))
        rows = {name: _coefficients(operators, strings) for name, operators in simplified.items()}
        n_trainable = len(rows["trainable"])
        return cls(
            strings=strings,
            static=rows["static"].sum(axis=0),
            inputs=rows["inputs"],
            trainable=rows["trainable"],
            driver=np.full(n_trainable, -1) if driver is None else np.asarray(driver, dtype=np.int64),
            outputs=rows["outputs"],
            initial=np.zeros(n_trainable) if initial is None else np.asarray(initial, dtype=np.float64),
            positions=None if positions is None else np.asarray(positions, dtype=np.float64),
        )

    @property
    def num_sites(self) -> int:
        return int(self.strings.num_qubits or 0)

    @property
    def n_inputs(self) -> int:
        return len(self.inputs)

    @property
    def n_trainable(self) -> int:
        return len(self.trainable)

    @property
    def n_outputs(self) -> int:
        return len(self.outputs)

    @property
    def term_names(self) -> tuple[str, ...]:
        """A readable name for every trainable term, such as ``Z0 Z1`` or ``x2 X0`` for a driven one."""
        return tuple(
            (f"x{driver} " if driver >= 0 else "") + _term_name(self.strings, row)
            for driver, row in zip(self.driver, self.trainable, strict=True)
        )

    def check_theta(self, theta: ArrayLike) -> FloatArray:
        """The parameters as a finite float64 array (n_trainable,), or a `ValueError` that names the argument."""
        return finite_array("theta", theta, "(n_trainable,)", (self.n_trainable,))

    def check_x(self, x: ArrayLike) -> FloatArray:
        """The inputs as a finite float64 array (batch, n_inputs), or a `ValueError` that names the argument."""
        return finite_array("x", x, "(batch, n_inputs)", (None, self.n_inputs))

    def driving(self, x: FloatArray) -> FloatArray:
        """The factors ``s_j(x)``, (batch, n_trainable)."""
        with_one = np.concatenate([x, np.ones((len(x), 1))], axis=1)  # index -1 finds the one
        return with_one[:, self.driver]

    def hamiltonians(self, theta: ArrayLike, x: ArrayLike) -> PauliSums:
        """``H(theta, x)`` for theta (n_trainable,) and every row of x (batch, n_inputs)."""
        theta, x = self.check_theta(theta), self.check_x(x)
        driven = self.driver.max(initial=-1) >= 0
        learnt = (theta * self.driving(x) if driven else theta) @ self.trainable
        return PauliSums(self.strings, self.static + x @ self.inputs + learnt)

    def hamiltonian(self, theta: ArrayLike, x: ArrayLike = ()) -> SparsePauliOp:
        """``H(theta, x)`` for one sample x (n_inputs,)."""
        return self.hamiltonians(theta, finite_array("x", x, "(n_inputs,)", (self.n_inputs,))[None]).operator()

    def freeze(self, values: Mapping[int, float]) -> Network:
        """The same network with some parameters fixed for good; ``values`` maps their indices to numbers."""
        for index in values:
            if not 0 <= index < self.n_trainable:
                raise ValueError(
                    f"Argument `values` must name terms from 0 to {self.n_trainable - 1}, but names {index}."
                )
        static, inputs = self.static.copy(), self.inputs.copy()
        for index, value in values.items():
            target = static if self.driver[index] < 0 else inputs[self.driver[index]]
            target += float(value) * self.trainable[index]
        kept = [index for index in range(self.n_trainable) if index not in values]
        return replace(
            self,
            static=static,
            inputs=inputs,
            trainable=self.trainable[kept],
            driver=self.driver[kept],
            initial=self.initial[kept],
        )

    def with_squares(self) -> Network:
        """The same network with the outputs ``O_1 .. O_K, O_1^2 .. O_K^2``: what a cost observable is a nudge along."""
        rows = {name: getattr(self, name) for name in ("static", "inputs", "trainable", "outputs")}
        operators = {
            name: [_operator(self.strings, row) for row in np.atleast_2d(value)] for name, value in rows.items()
        }
        squares = [(operator @ operator).simplify(atol=0) for operator in operators["outputs"]]
        return Network.of(
            static=operators["static"][0],
            inputs=operators["inputs"],
            trainable=operators["trainable"],
            outputs=[*operators["outputs"], *squares],
            driver=self.driver.tolist(),
            initial=self.initial,
            positions=self.positions,
        )


# --- networks of any other kind --------------------------------------------------------------------------------


class Posed(Protocol):
    """A network at its parameters and at a batch of inputs: it poses what a solver settles."""

    @property
    def driving(self) -> FloatArray | float:
        """Factors (batch, n_trainable), or 1, that turn measured observables into ``dE/dtheta``."""
        ...

    def __len__(self) -> int:
        """The batch."""
        ...

    def equilibria(self, nudges: NumberArray, want: Want, start: Start | None, key: tuple[int, ...]) -> Any:
        """The problem that solvers of this kind of network take.

        Their `Solution` has these observables, one after the other: the outputs (n_outputs,), if wanted; the sums
        ``O_k + O_l`` for all pairs k < l, if `Want.COVARIANCES` is; ``dE/dtheta`` divided by ``driving``
        (n_trainable,), if the energy gradient or the response is.

        Args:
            nudges: (n_nudges * batch, n_outputs), the batch is the inner axis. With `Want.RESPONSE` the states stay
                free and these are the directions of the response.
            want: what the rule wants to know.
            start: where a nearby solution stopped, or None.
            key: names the random streams of the call.
        """
        ...


class EnergyNetwork(Protocol):
    """A network that is no Pauli sum, as rules, training, ledger and command see it: any energy with parameters.

    It is settled by solvers whose ``solve(problem: ...)`` is annotated with the kind of problem that its `pose` poses;
    others are refused by name. Whatever asks for `Settle` works with it.
    """

    @property
    def n_inputs(self) -> int: ...

    @property
    def n_trainable(self) -> int: ...

    @property
    def n_outputs(self) -> int: ...

    @property
    def n_variables(self) -> int: ...

    @property
    def initial(self) -> FloatArray: ...

    @property
    def term_names(self) -> tuple[str, ...]: ...

    def check_theta(self, theta: ArrayLike) -> FloatArray: ...

    def check_x(self, x: ArrayLike) -> FloatArray: ...

    def with_squares(self) -> EnergyNetwork: ...

    def pose(self, theta: ArrayLike, x: ArrayLike) -> Posed:
        """Binds parameters (n_trainable,) and inputs (batch, n_inputs), checked."""
        ...


# --- what a solver is asked, and what it answers ----------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Start:
    """Where a nearby solution stopped: arrays with a leading sample axis that only their own solver understands."""

    arrays: Mapping[str, NDArray[Any]]

    def repeat(self, times: int) -> Start:
        """The same start for each of ``times`` copies of the batch (nudges are the outer axis)."""
        return Start({name: np.concatenate([array] * times) for name, array in self.arrays.items()})


@dataclass(frozen=True, eq=False)
class Equilibria:
    """What a network asks of a solver: a batch of equilibria and what to measure in them.

    Attributes:
        hamiltonians: (batch,) operators.
        observables: (n_observables,) operators, the same for the whole batch.
        perturbation: (batch,) operators N: also return ``d<observable>/dnu`` of ``H + nu N`` at ``nu = 0``.
        start: where a nearby solution stopped.
        key: names the random streams of this call, so that a replay repeats them: (seed, step, call).
    """

    hamiltonians: PauliSums
    observables: PauliSums
    perturbation: PauliSums | None = None
    start: Start | None = None
    key: tuple[int, ...] = ()

    def on_common_strings(self) -> Equilibria:
        """The same question with all operators on one list of strings, those of the Hamiltonians first."""
        known, asked = self.hamiltonians.strings, self.observables.strings
        if asked is known or asked.to_labels() == known.to_labels():
            return self
        strings = PauliList(list(dict.fromkeys([*known.to_labels(), *asked.to_labels()])))
        column = {label: index for index, label in enumerate(strings.to_labels())}

        def spread(sums: PauliSums) -> PauliSums:
            coefficients = np.zeros((len(sums), len(strings)), dtype=sums.coefficients.dtype)
            coefficients[:, [column[label] for label in sums.strings.to_labels()]] = sums.coefficients
            return PauliSums(strings, coefficients)

        return replace(
            self,
            hamiltonians=spread(self.hamiltonians),
            observables=spread(self.observables),
            perturbation=None if self.perturbation is None else spread(self.perturbation),
        )


@dataclass(frozen=True, eq=False)
class Expectations:
    """Numbers with their standard errors, arrays of one shape; the errors are zero where the numbers are exact."""

    values: NumberArray
    std_errors: FloatArray

    @classmethod
    def exact(cls, values: NumberArray) -> Expectations:
        return cls(values, np.zeros(values.shape))


@dataclass(frozen=True, eq=False)
class Certificate:
    """What is known about the quality of each state; every array has the leading axes of the call.

    Attributes:
        residual: ``||H psi - E psi||``, dimensionless energy.
        gap_below: distance to the next distinct level below, infinite for the ground level.
        gap_above: distance to the next distinct level above, infinite if there is none, nan if it was not looked for.
        degeneracy: number of states in the level, 0 if they were not counted.
        level: index of the state among all eigenstates, counted with multiplicity (differs from the level asked for
            where a nudge crossed a level and the state was followed).
        overlap: weight of the state in the start it was followed from; nan without a start.
        nudge_coupling: largest ``|<m|N|n>|`` to the neighbouring levels; nan where no N was given. A tiny gap is
            harmless where this is zero.
        trainable_coupling: largest ``|<m|observable|n>|`` to the neighbouring levels.
        converged: whether the state meets its solver's tolerance.
        autocorrelation: integrated autocorrelation time in steps between samples, 1/2 for independent ones; None, like
            the next two, where no chain was sampled.
        effective_samples: ``M / (2 tau)``, the independent samples that M correlated ones are worth.
        r_hat: spread of all samples over that inside a chain (Gelman & Rubin), 1 where the chains agree.
    """

    residual: FloatArray
    gap_below: FloatArray
    gap_above: FloatArray
    degeneracy: IntArray
    level: IntArray
    overlap: FloatArray
    nudge_coupling: FloatArray
    trainable_coupling: FloatArray
    converged: BoolArray
    autocorrelation: FloatArray | None = None
    effective_samples: FloatArray | None = None
    r_hat: FloatArray | None = None

    @staticmethod
    def of(converged: BoolArray, **known: NDArray[Any]) -> Certificate:
        """What is ``known`` of states (batch,); the other numbers are nan, the counts zero."""
        unknown, none = np.full(len(converged), np.nan), np.zeros(len(converged), dtype=np.int64)
        certificate = Certificate(unknown, unknown, unknown, none, none, unknown, unknown, unknown, converged)
        return replace(certificate, **known)

    def map(self, function: Callable[[NDArray[Any]], NDArray[Any]]) -> Certificate:
        """The certificate with ``function`` applied to every array (to reshape or to select)."""
        arrays: Mapping[str, Any] = {name: None if one is None else function(one) for name, one in vars(self).items()}
        return Certificate(**arrays)

    def join(self, others: Iterable[Certificate]) -> Certificate:
        """This certificate and others, one after the other along the leading axis."""
        records = [self, *others]
        return Certificate(**{entry.name: _joined(records, entry.name) for entry in fields(self)})

    @property
    def gap(self) -> FloatArray:
        """Distance to the nearest distinct level on either side."""
        return np.minimum(self.gap_below, self.gap_above)


def _joined(records: Sequence[Certificate], name: str) -> Any:
    """One array of several certificates, nan where one lacks what another has."""
    arrays = [getattr(one, name) for one in records]
    if all(array is None for array in arrays):
        return None
    return np.concatenate(
        [
            np.full(one.residual.shape, np.nan) if array is None else array
            for one, array in zip(records, arrays, strict=True)
        ]
    )


@dataclass(frozen=True, eq=False)
class Solution:
    """What a solver answers.

    Attributes:
        expectations: (batch, n_observables).
        response: (batch, n_observables) ``d<observable>/dnu``, if a perturbation was given.
        energies: (batch,).
        certificate: arrays (batch,).
        start: for the next, nearby call.
        shots: projective measurements spent, zero where nothing was sampled.
    """

    expectations: Expectations
    response: Expectations | None
    energies: FloatArray
    certificate: Certificate
    start: Start
    shots: int = 0


class Solver(Protocol):
    """A way to reach equilibrium."""

    def solve(self, problem: Equilibria, measure: Measure | None = None, *, precision: float | None = None) -> Solution:
        """Settles every equilibrium of the batch.

        Args:
            problem: the equilibria, and what to measure there.
            measure: the device that runs the circuits; an exact simulator where none is given. A solver that runs no
                circuits refuses any (`refuse_device`).
            precision: the wanted standard error per Pauli string.
        """
        ...


def refuse_device(solver: str, measure: Measure | None) -> None:
    """What a solver that runs no circuits says to a device."""
    if measure is not None:
        raise ValueError(
            f"Argument `device` must be None with the solver {solver}, which computes its states and runs no circuits, "
            f"but is {measure.device.name}: leave it out, or take a solver that prepares states by circuits, "
            "such as Variational or Adiabatic."
        )


# --- circuits, and where they run -------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Measurement:
    """One parametrised circuit at many points, and what to measure there: one job of a device, one PUB of a primitive.

    What is measured are Pauli strings, each once; the weights turn them into observables, which may differ from row to
    row (energies of different samples).

    Attributes:
        circuit: its qubits are the sites. A circuit that measures on its way, which few devices run, has the classical
            bits that it writes as further sites behind the qubits, of which only Z can be asked.
        parameters: (rows, n_parameters) in the order of ``circuit.parameters``.
        strings: (n_strings,) without repetition.
        weights: (rows, n_observables, n_strings), or (1, n_observables, n_strings) for all rows.
    """

    circuit: QuantumCircuit
    parameters: FloatArray
    strings: PauliList
    weights: FloatArray

    def __post_init__(self) -> None:
        finite_array("parameters", self.parameters, "(rows, n_parameters)", (None, self.circuit.num_parameters))
        finite_array("weights", self.weights, "(rows, n_observables, n_strings)", (None, None, len(self.strings)))
        if len(self.weights) not in (1, len(self.parameters)):
            raise ValueError(
                f"Argument `weights` must have 1 or {len(self.parameters)} rows, like `parameters`, "
                f"but has {len(self.weights)}."
            )
        qubits, bits = self.circuit.num_qubits, self.circuit.num_clbits
        if self.strings.num_qubits != qubits + bits:
            raise ValueError(
                f"Argument `strings` must act on the {qubits} qubits of the circuit"
                f"{f' and its {bits} classical bits' if bits else ''}, but acts on {self.strings.num_qubits}."
            )
        if np.any(self.strings.x[:, qubits:]):
            raise ValueError("Argument `strings` must ask for Z, or nothing, of the circuit's classical bits.")

    @property
    def rows(self) -> int:
        return len(self.parameters)


@dataclass(frozen=True, eq=False)
class Canary:
    """A state whose ideal value is known, measured in the same job: how noisy the device was.

    Attributes:
        ideal: the value without noise.
        value: what was measured.
        std_error: of the value.
    """

    ideal: float
    value: float
    std_error: float


@dataclass(frozen=True, eq=False)
class Measured:
    """What a device answers.

    Attributes:
        expectations: (rows, n_observables) with standard errors that hold all covariances of strings that were read
            from the same shots; zero where exact.
        shots: projective measurements spent, over all rows and bases, the canary's too.
        canary: of a noisy device.
    """

    expectations: Expectations
    shots: int
    canary: Canary | None = None


class Device(Protocol):
    """Where circuits run."""

    @property
    def name(self) -> str:
        """The machine and its settings, for messages and the ledger."""
        ...

    @property
    def reads_states(self) -> bool:
        """Whether it is the compiled simulator itself: exact, so that states and gradients may be computed."""
        ...

    def run(self, measurement: Measurement, *, shots: int | None, key: tuple[int, ...]) -> Measured:
        """Runs one job.

        Args:
            measurement: circuit, points and observables.
            shots: for each row and basis; the device's own number (none for an exact simulator) where None.
            key: names the random streams of the job; every row and basis has one of its own.
        """
        ...


class JobCost(NamedTuple):
    """What a job is going to cost.

    Attributes:
        circuits: that it runs, each at one point and in one basis.
        shots: of all of them.
        seconds: on the machine, as they will be billed, estimated.
    """

    circuits: int
    shots: int
    seconds: float


class JobState(NamedTuple):
    """How far a job is.

    Attributes:
        phase: where it is, or how it ended.
        reason: why it did not end well.
    """

    phase: Literal["queued", "running", "done", "failed", "cancelled", "ran too long"]
    reason: str = ""

    @property
    def is_final(self) -> bool:
        return self.phase not in ("queued", "running")


class RemoteDevice(Device, Protocol):
    """A device whose jobs outlive the process that posted them, and cost money: driven by `recorded.Recorded`.

    Every method but `parts`, `decode` and `close` may raise `patience.Trouble`.
    """

    @property
    def posts_per_minute(self) -> int:
        """How many jobs the service takes in a minute."""
        ...

    @property
    def tags_settle(self) -> float | None:
        """Seconds after a post in which its job is surely found by its tags; as long as is usual where None."""
        ...

    def reach(self, *, spending: bool) -> None:
        """Asks the service, once, whether account, plan and machine will do; refuses with `ValueError` if not.

        Args:
            spending: whether jobs are going to be posted, so that there has to be something left to pay them.
        """
        ...

    def parts(self, measurement: Measurement, shots: int | None) -> Sequence[Measurement]:
        """The measurement in pieces, row by row, each small enough for one job; none where nothing has to be read."""
        ...

    def nothing(self, measurement: Measurement) -> Measured:
        """The answer where nothing has to be read."""
        ...

    def settle(self, circuit: QuantumCircuit, known: Mapping[str, Any] | None) -> Mapping[str, Any]:
        """Where a circuit is put, to be kept with the run; what was kept, if anything was, and then it stays there."""
        ...

    @property
    def machine(self) -> str:
        """Its name at the service."""
        ...

    def rough_seconds(self, jobs: int, shots: int) -> float:
        """About how many seconds on the machine jobs with so many shots in all cost; asks nobody."""
        ...

    def cost(self, measurement: Measurement, shots: int | None) -> JobCost:
        """What one part is going to cost; refuses with `ValueError` what the machine cannot run."""
        ...

    def post(self, measurement: Measurement, shots: int | None, tags: Sequence[str]) -> str:
        """Posts one job, and gives the service's id of it."""
        ...

    def find(self, tag: str) -> Sequence[str]:
        """The ids of all jobs with a tag, the oldest first."""
        ...

    def state(self, job_id: str) -> JobState:
        """How far a job is."""
        ...

    def collect(self, job_id: str) -> bytes:
        """The result of a job that is done, as it came."""
        ...

    def decode(self, measurement: Measurement, shots: int | None, raw: bytes) -> Measured:
        """What the result of one part says."""
        ...

    def billed(self, job_id: str) -> float | None:
        """Seconds on the machine that a job was billed; None while that is not known."""
        ...

    def cancel(self, job_id: str) -> None:
        """Cancels a job; one that has ended stays as it is."""
        ...

    def renew(self) -> None:
        """Connects anew: the permission has run out, or the session was closed."""
        ...

    def close(self) -> None:
        """Ends what was opened for the jobs of this process, such as a session; jobs that were posted go on."""
        ...


class Measure(Protocol):
    """A device bound to the random streams of one gradient: what a solver measures with. One call is one job."""

    @property
    def device(self) -> Device: ...

    def __call__(self, measurement: Measurement, *, shots: int | None = None) -> Measured: ...


class Ansatz(Protocol):
    """A family of circuits for given Pauli strings: ``ansatz(strings) -> Trial``."""

    def __call__(self, strings: PauliList) -> Trial: ...


class EnergyGradient(Protocol):
    """The gradients of a batch of energies in circuits, exact or measured."""

    def __call__(self, circuit: QuantumCircuit, parameters: FloatArray, wanted: IntArray) -> FloatArray:
        """``dE/dparameter``, (batch, n_wanted), of the wanted ones (n_wanted,) at parameters (batch, n_parameters)."""
        ...


@runtime_checkable
class GrowingAnsatz(Ansatz, Protocol):
    """A family of circuits that grows gate by gate, one circuit for a whole batch; called, it gives the first one.

    A circuit is named by the gates it was grown by, in their order: numbers of members of a pool. A solver settles the
    circuit of no choices, asks for the next choice, adds a zero to its parameters, settles again, until there is none.
    """

    def grown(self, strings: PauliList, choices: Sequence[int]) -> Trial:
        """The circuit with these gates and their parameters at its end; it may have no parameter at all."""
        ...

    def choose(
        self, strings: PauliList, choices: Sequence[int], parameters: FloatArray, gradient: EnergyGradient
    ) -> int | None:
        """The gate to add to the circuit of these choices at parameters (batch, n_parameters), None for no more."""
        ...


class Trial(NamedTuple):
    """A parametrised circuit and where its optimisation starts.

    Attributes:
        circuit: parameters are named ``theta_000``, ``theta_001``, .., so that their order is that of their names.
        initial: (n_parameters,) parameters of the first iteration.
        slopes: (n_parameters, n_strings) how that start follows the coefficients of a Hamiltonian; None where it does
            not.
    """

    circuit: QuantumCircuit
    initial: FloatArray
    slopes: FloatArray | None = None

    def starts(self, coefficients: FloatArray) -> FloatArray:
        """Where each Hamiltonian starts, ``initial + slopes c``, (batch, n_parameters).

        Args:
            coefficients: c, (batch, n_strings); a row with a coefficient above 1 is scaled down to 1 first, since these
                are angles.
        """
        if self.slopes is None:
            return np.tile(self.initial, (len(coefficients), 1))
        largest = np.maximum(1.0, np.max(np.abs(coefficients), axis=1, keepdims=True, initial=0.0))
        return self.initial + coefficients / largest @ self.slopes.T


# --- what a rule asks, and what it gets -------------------------------------------------------------------------


AnyNetwork = Network | EnergyNetwork


class Want(enum.Flag):
    """What a rule wants to know of the settled states; `COVARIANCES` are those of the outputs' errors."""

    OUTPUTS = enum.auto()
    ENERGY_GRADIENT = enum.auto()
    RESPONSE = enum.auto()
    COVARIANCES = enum.auto()


@dataclass(frozen=True, eq=False)
class Settled:
    """What a rule gets back; the leading axis runs over the nudges it asked for.

    Attributes:
        outputs: (n_nudges, batch, n_outputs) ``y_k = <O_k>``, if wanted.
        energy_gradient: (n_nudges, batch, n_trainable) ``<dH/dtheta_j>``, if wanted.
        response: (n_nudges, batch, n_trainable) derivative of the *free* ``<dH/dtheta_j>`` along each nudge, if wanted.
        certificate: arrays (n_nudges, batch).
        start: (n_nudges * batch,) for the next call; that of one free call warms any number of nudges.
        shots: projective measurements spent.
        covariances: (n_nudges, batch, n_outputs, n_outputs) of the outputs' errors, which are read from the same shots
            where one basis holds them; if wanted together with the outputs.
    """

    outputs: Expectations | None
    energy_gradient: Expectations | None
    response: Expectations | None
    certificate: Certificate
    start: Start
    shots: int
    covariances: FloatArray | None = None


class Settle(Protocol):
    """A network, its parameters, a batch of inputs and a solver, bound together: one call is one job."""

    def __call__(
        self, nudges: NumberArray, *, want: Want, precision: float | None = None, start: Start | None = None
    ) -> Settled:
        """Settles ``H + sum_k nudge_k O_k`` for nudges (n_nudges, batch, n_outputs); zeros are the free state.

        With `Want.RESPONSE` the states stay free and the nudges are the directions of the response.
        """
        ...

    @property
    def n_outputs(self) -> int: ...

    @property
    def batch(self) -> int: ...


class Samples(NamedTuple):
    """Inputs x (n_samples, n_inputs) and targets y (n_samples, n_targets); ``n_targets`` is zero without a teacher."""

    x: FloatArray
    y: FloatArray


class Dataset(NamedTuple):
    """Samples to learn from and samples to be judged by.

    Attributes:
        train, test: the samples.
        classes: names of the classes, empty if the task is not a classification.
        features: names of the inputs.
        description: one line on what it is and where it comes from.
    """

    train: Samples
    test: Samples
    classes: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    description: str = ""


class Loss(NamedTuple):
    """A loss as two pure functions of predictions (batch, n_outputs) and targets (batch, n_targets).

    Attributes:
        name: for messages and plots.
        value: ``(predictions, targets) -> float``, the loss of the whole batch.
        gradient: ``(predictions, targets) -> (batch, n_outputs)``, the error signal ``batch * dL/dy``.
        squares: the loss is a cost observable and its predictions are ``<O_k>`` followed by ``<O_k^2>``
            (`Network.with_squares`); its error signal does not depend on the predictions.
        group: samples that the loss joins; minibatches keep such consecutive rows together.
    """

    name: str
    value: Callable[[FloatArray, FloatArray], float]
    gradient: Callable[[FloatArray, FloatArray], FloatArray]
    squares: bool = False
    group: int = 1


class Penalty(NamedTuple):
    """A function of the parameters added to the loss: ``value(theta)`` and ``gradient(theta)`` (n_trainable,)."""

    name: str
    value: Callable[[FloatArray], float]
    gradient: Callable[[FloatArray], FloatArray]


@dataclass(frozen=True, eq=False)
class Gradient:
    """The gradient of a loss, and what it rests on.

    Attributes:
        values: (n_trainable,) ``dL/dtheta``.
        std_errors: (n_trainable,) standard errors, zero where exact; those of nudging rules hold the noise of the
            nudged states and of the outputs that the error signal was taken from.
        loss: the loss at the free state.
        predictions: (batch, n_outputs) the outputs of the free state.
        certificate: arrays (n_states, batch), free states first, then the nudged ones.
        shots: projective measurements spent.
    """

    values: FloatArray
    std_errors: FloatArray
    loss: float
    predictions: FloatArray
    certificate: Certificate
    shots: int


class LearningRule(Protocol):
    """A way to turn settled states into a gradient; it never sees a Hamiltonian."""

    def gradient(self, settle: Settle, targets: FloatArray, loss: Loss) -> Gradient: ...


OptimizerState = dict[str, NDArray[Any]]


class Optimizer(NamedTuple):
    """An optimiser as two pure functions; its memory is a dictionary of arrays.

    Attributes:
        init: ``theta -> state``.
        update: ``(gradient, state, theta) -> (theta, state)``.
    """

    init: Callable[[FloatArray], OptimizerState]
    update: Callable[[FloatArray, OptimizerState, FloatArray], tuple[FloatArray, OptimizerState]]


# --- what `Network.of` needs ----------------------------------------------------------------------------------------


def _operator_list(name: str, operators: Sequence[SparsePauliOp]) -> list[SparsePauliOp]:
    if isinstance(operators, SparsePauliOp):
        raise TypeError(
            f"Argument `{name}` must be a list of SparsePauliOp, but is one SparsePauliOp: write [operator]."
        )
    return list(operators)


def _check_operator(name: str, index: int, operator: SparsePauliOp, width: int | None) -> None:
    where = f"`{name}`" if name == "static" else f"`{name}[{index}]`"
    if not isinstance(operator, SparsePauliOp):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"Argument {where} must be a SparsePauliOp, but is a {type(operator).__name__}.")
    if operator.num_qubits != width:
        raise ValueError(
            f"Argument {where} must act on {width} sites like `outputs[0]`, but acts on {operator.num_qubits}."
        )
    if operator.parameters:
        raise ValueError(f"Argument {where} must have numbers as coefficients, but has free circuit parameters.")
    coefficients = np.asarray(operator.coeffs, dtype=np.complex128)
    if not np.all(np.isfinite(coefficients)):
        raise ValueError(f"Argument {where} must have finite coefficients, but has {coefficients}.")
    simplified = np.asarray(operator.simplify(atol=0).coeffs, dtype=np.complex128)
    if np.max(np.abs(simplified.imag), initial=0.0) > 1e-12 * max(1.0, np.max(np.abs(simplified), initial=0.0)):
        raise ValueError(f"Argument {where} must be Hermitian (real coefficients), but has coefficients {simplified}.")


def _unique_rows(lists: Sequence[PauliList]) -> tuple[BoolArray, BoolArray]:
    """The different strings in order of first appearance, as (z, x) bit tables (n_strings, n_sites)."""
    z = np.concatenate([paulis.z for paulis in lists])
    x = np.concatenate([paulis.x for paulis in lists])
    _, first = np.unique(np.concatenate([z, x], axis=1), axis=0, return_index=True)
    keep = np.sort(first)
    return z[keep], x[keep]


def _coefficients(operators: Sequence[SparsePauliOp], strings: PauliList) -> FloatArray:
    index = {label: position for position, label in enumerate(strings.to_labels())}
    rows = np.zeros((len(operators), len(strings)))
    for row, operator in zip(rows, operators, strict=True):
        for label, coefficient in zip(operator.paulis.to_labels(), np.asarray(operator.coeffs), strict=True):
            row[index[label]] += float(np.real(coefficient))
    return rows


def _operator(strings: PauliList, row: FloatArray) -> SparsePauliOp:
    return SparsePauliOp(strings, row).simplify(atol=0)


def _term_name(strings: PauliList, row: FloatArray) -> str:
    used = np.flatnonzero(row)
    if not len(used):
        return "0"
    label = strings.to_labels()[int(used[0])]
    letters = [f"{letter}{site}" for site, letter in enumerate(reversed(label)) if letter != "I"]
    return (" ".join(letters) or "I") + (f" + {len(used) - 1} more" if len(used) > 1 else "")
