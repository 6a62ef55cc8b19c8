"""Networks of spins: a Hamiltonian that is affine in what is learnt, its inputs and its outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from qiskit.quantum_info import PauliList, SparsePauliOp

from qeqprop.checks import check_shape, finite_array
from qeqprop.interfaces.arrays import FloatArray, IntArray
from qeqprop.interfaces.operators import PauliSums, coefficient_rows, unique_strings


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
        strings = PauliList.from_symplectic(*unique_strings(everything))
        rows = {name: coefficient_rows(operators, strings) for name, operators in simplified.items()}
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
    def driven(self) -> bool:
        """Whether any trainable term is scaled by an input."""
        return bool(self.driver.max(initial=-1) >= 0)

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
        learnt = (theta * self.driving(x) if self.driven else theta) @ self.trainable
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


def _operator(strings: PauliList, row: FloatArray) -> SparsePauliOp:
    return SparsePauliOp(strings, row).simplify(atol=0)


def _term_name(strings: PauliList, row: FloatArray) -> str:
    used = np.flatnonzero(row)
    if not len(used):
        return "0"
    label = strings.to_labels()[int(used[0])]
    letters = [f"{letter}{site}" for site, letter in enumerate(reversed(label)) if letter != "I"]
    return (" ".join(letters) or "I") + (f" + {len(used) - 1} more" if len(used) > 1 else "")
