"""Layered circuits as data, and what one asks of them: states, expectations, energies with their gradient, shots.

A circuit is a sequence of layers on n qubits; qubit k is bit k of the basis index. A rotation is ``exp(-i theta/2 P)``
with a Pauli string P and an angle ``theta = scale * parameters[index] + offset``; parameters are shared freely::

    circuit = Circuit.of(3, [
        diagonal([(0, 1), (1, 2), (0,)], free([0, 0, 1])),       # exp(-i theta/2 ZZ) on two bonds, one parameter
        rotations("X", range(3), free([2, 3, 4])),
        hadamards([0]), controlled_z([(0, 2)]),
    ], start="plus")
    energies, gradient = energy_and_gradient(circuit, parameters, hamiltonians)

A diagonal layer is one multiplication by phases, a rotation layer one pass of butterflies, and the gradient comes from
the adjoint method: the circuit is run backwards on psi and on ``H psi`` (Jones and Gacon 2020,
https://arxiv.org/abs/2009.02823); states of medium sizes are stored on the way, large ones found again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qeqprop.checks import check_shape, finite_array
from qeqprop.engine import circuit_program as program
from qeqprop.engine.circuit_layers import (
    MAX_QUBITS,
    Angles,
    Layer,
    controlled_x,
    controlled_z,
    diagonal,
    fixed,
    free,
    hadamards,
    masks_of,
    pauli_rotations,
    rotations,
)
from qeqprop.engine.circuit_program import Program
from qeqprop.engine.circuit_runs import run_circuit
from qeqprop.interfaces import ComplexArray, FloatArray, IntArray, PauliSums

__all__ = [
    "Angles",
    "Circuit",
    "Layer",
    "controlled_x",
    "controlled_z",
    "diagonal",
    "energy_and_gradient",
    "expectations",
    "fixed",
    "free",
    "hadamards",
    "pauli_rotations",
    "rotations",
    "sample",
    "states",
]


@dataclass(frozen=True, eq=False)
class Circuit:
    """A circuit of layers as flat arrays; build it with `Circuit.of`.

    Attributes:
        num_qubits: number of qubits.
        n_parameters: number of parameters.
        kinds: (n_layers,) kind of each layer.
        ends: (n_layers,) where the items of each layer end.
        x, z: (n_items,) bit masks of the Pauli strings.
        angles: (n_items,) of the rotations.
        start: the initial state, all qubits zero or all plus.
    """

    num_qubits: int
    n_parameters: int
    kinds: IntArray
    ends: IntArray
    x: IntArray
    z: IntArray
    angles: Angles
    start: Literal["zero", "plus"] = "zero"

    @classmethod
    def of(
        cls,
        num_qubits: int,
        layers: Iterable[Layer | Iterable[Layer]],
        *,
        start: Literal["zero", "plus"] = "zero",
        n_parameters: int | None = None,
    ) -> Circuit:
        """Builds a circuit from layers, in the order in which they act; lists of layers are flattened.

        Args:
            num_qubits: 1 to 30.
            layers: what the makers of this module return.
            start: the initial state, ``|0..0>`` or ``|+..+>``.
            n_parameters: one more than the largest index by default.

        Raises:
            ValueError: if a layer reaches beyond the qubits or the parameters.
        """
        if not 1 <= num_qubits <= MAX_QUBITS:
            raise ValueError(f"Argument `num_qubits` must be from 1 to {MAX_QUBITS}, but is {num_qubits!r}.")
        if start not in ("zero", "plus"):
            raise ValueError(f"Argument `start` must be 'zero' or 'plus', but is {start!r}.")
        flat = [one for layer in layers for one in ([layer] if isinstance(layer, Layer) else layer)]
        x, z = (_joined([getattr(layer, name) for layer in flat], np.int64) for name in ("x", "z"))
        used_bits = np.bitwise_or(x, z, dtype=np.int64)
        if np.any(used_bits >> num_qubits):
            raise ValueError(
                f"Argument `layers` must act on qubits below num_qubits = {num_qubits}, "
                f"but acts on qubit {int(program.top_bit(used_bits).max())}."
            )
        angles = Angles(
            *(
                _joined([getattr(layer.angles, name) for layer in flat], kind)
                for name, kind in (("index", np.int64), ("scale", np.float64), ("offset", np.float64))
            )
        )
        used = int(angles.index.max(initial=-1)) + 1
        if n_parameters is not None and n_parameters < used:
            raise ValueError(f"Argument `n_parameters` must be at least {used}, but is {n_parameters!r}.")
        return cls(
            num_qubits=num_qubits,
            n_parameters=used if n_parameters is None else n_parameters,
            kinds=np.array([layer.kind for layer in flat], dtype=np.int64),
            ends=np.cumsum([len(layer.x) for layer in flat], dtype=np.int64),
            x=x,
            z=z,
            angles=angles,
            start=start,
        )

    @property
    def dim(self) -> int:
        return 1 << self.num_qubits

    @property
    def layers(self) -> list[Layer]:
        """The layers one by one."""
        begins = [0, *self.ends.tolist()]
        pieces = [slice(begin, end) for begin, end in zip(begins, self.ends.tolist(), strict=False)]
        a = self.angles
        return [
            Layer(int(kind), self.x[piece], self.z[piece], Angles(a.index[piece], a.scale[piece], a.offset[piece]))
            for kind, piece in zip(self.kinds, pieces, strict=True)
        ]

    @cached_property
    def compiled(self) -> Program:
        """The circuit as the kernels see it."""
        return program.compile_layers(self, program.BLOCK_BITS)

    @cached_property
    def is_simple(self) -> bool:
        """Whether all layers are diagonal or rotate single qubits."""
        return not np.any((self.kinds == program.STRINGS) | (self.kinds == program.FLIPS))

    @cached_property
    def tasks(self) -> tuple[IntArray, IntArray]:
        """What makes its state, and what makes an energy with its gradient."""
        return program.tasks_of(self.compiled)

    def check_parameters(self, parameters: ArrayLike) -> FloatArray:
        """The parameters as a finite float64 array (batch, n_parameters), or a `ValueError`."""
        return finite_array("parameters", parameters, "(batch, n_parameters)", (None, self.n_parameters))


def _joined(arrays: list[NDArray[Any]], kind: type) -> NDArray[Any]:
    return np.concatenate([np.zeros(0, dtype=kind), *arrays]).astype(kind)


# --- questions --------------------------------------------------------------------------------------------------


def states(circuit: Circuit, parameters: ArrayLike, *, start: ArrayLike | None = None) -> ComplexArray:
    """The states (batch, dim) that the circuit prepares from parameters (batch, n_parameters).

    Args:
        circuit: the circuit.
        parameters: one row for each sample.
        start: initial states (batch, dim) or one for all, (dim,), instead of the circuit's own.
    """
    rows = circuit.check_parameters(parameters)
    amplitudes = np.empty((len(rows), circuit.dim), dtype=np.complex128)
    run_circuit("states", circuit, rows, start, amplitudes=amplitudes)
    return amplitudes


def energy_and_gradient(
    circuit: Circuit, parameters: ArrayLike, hamiltonians: PauliSums, *, start: ArrayLike | None = None
) -> tuple[FloatArray, FloatArray]:
    """Energies ``<H>`` (batch,) and their full gradient (batch, n_parameters) by the adjoint method.

    Args:
        circuit: the circuit.
        parameters: (batch, n_parameters).
        hamiltonians: (batch,) operators, or one for all samples; any Pauli strings.
        start: see `states`.

    Raises:
        ValueError: if shapes do not fit or coefficients are complex.
    """
    rows = circuit.check_parameters(parameters)
    coefficients = real_coefficients("hamiltonians", hamiltonians, circuit.num_qubits)
    if len(coefficients) not in (1, len(rows)):
        raise ValueError(
            f"Argument `hamiltonians` must hold one operator or one for each of {len(rows)} samples, "
            f"but holds {len(coefficients)}."
        )
    strings = masks_of(hamiltonians.strings)
    numbers = np.zeros((len(rows), 1 + circuit.n_parameters))
    run_circuit("gradients", circuit, rows, start, numbers, strings=strings, coefficients=coefficients)
    return numbers[:, 0].copy(), numbers[:, 1:].copy()


def expectations(amplitudes: ComplexArray, observables: PauliSums) -> FloatArray:
    """``<psi|O_k|psi>`` (batch, n_observables) in states (batch, dim)."""
    check_shape("amplitudes", amplitudes, "(batch, dim)", (None, 1 << observables.num_sites))
    coefficients = real_coefficients("observables", observables, observables.num_sites)
    strings = masks_of(observables.strings)
    numbers = np.zeros((len(amplitudes), len(strings)))
    nothing = Circuit.of(observables.num_sites, [])
    run_circuit("expectations", nothing, np.zeros((1, 0)), amplitudes, numbers, strings=strings)
    return numbers @ coefficients.T


def sample(amplitudes: ComplexArray, shots: int, random: np.random.Generator) -> IntArray:
    """Measures states (batch, dim) in the Z basis: independent basis indices (batch, shots), bit k is qubit k.

    Sorted uniform numbers are merged with the running sum of the probabilities, so that a shot does not search.
    """
    from qeqprop.engine.circuit_sampling import draw

    amplitudes = np.ascontiguousarray(amplitudes, dtype=np.complex128)
    check_shape("amplitudes", amplitudes, "(batch, dim)", (None, None))
    if not is_whole(shots, 0):
        raise ValueError(f"Argument `shots` must be a whole number from 0 on, but is {shots!r}.")
    points = random.random((len(amplitudes), shots))
    points.sort(axis=1)
    return random.permuted(draw(amplitudes, points), axis=1)


def is_whole(value: object, least: int) -> bool:
    """Whether a value is a whole number and not below the least."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and bool(value >= least)


def real_coefficients(name: str, sums: PauliSums, num_qubits: int) -> FloatArray:
    """The coefficients (batch, n_strings) of Hermitian operators on so many qubits, or a `ValueError`."""
    if sums.num_sites != num_qubits:
        raise ValueError(f"Argument `{name}` must act on {num_qubits} qubits, but acts on {sums.num_sites}.")
    return finite_array(name, sums.coefficients, "(batch, n_strings)", (None, None))
