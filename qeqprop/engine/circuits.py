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
the adjoint method: the circuit is run backwards on psi and on ``H psi`` and nothing is stored (Jones and Gacon 2020,
https://arxiv.org/abs/2009.02823).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from qiskit.quantum_info import PauliList

from qeqprop.checks import check_shape, finite_array
from qeqprop.engine import circuit_program as program
from qeqprop.engine.circuit_program import DIAGONAL, FLIPS, STRINGS, TURN_X, TURN_Y, Program
from qeqprop.engine.circuit_runs import run_circuit
from qeqprop.interfaces import ComplexArray, FloatArray, IntArray, PauliSums

MAX_QUBITS = 30

# --- angles -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Angles:
    """The angles ``scale * parameters[index] + offset`` of some rotations, arrays (n,); index -1 is a constant."""

    index: IntArray
    scale: FloatArray
    offset: FloatArray

    def __post_init__(self) -> None:
        for name in ("index", "scale", "offset"):
            check_shape(name, getattr(self, name), "(n,)", (len(self.index),))

    def __len__(self) -> int:
        return len(self.index)


def free(index: ArrayLike, scale: ArrayLike = 1.0, offset: ArrayLike = 0.0) -> Angles:
    """Angles ``scale * parameters[index] + offset``; scale and offset are broadcast to the shape of index (n,)."""
    numbers = np.asarray(index, dtype=np.int64)
    if np.any(numbers < 0):
        raise ValueError(f"Argument `index` must hold indices of parameters from 0 on, but holds {numbers.min()}.")
    spread = [
        finite_array("scale", scale, "(n,)", np.shape(scale)),
        finite_array("offset", offset, "(n,)", np.shape(offset)),
    ]
    return Angles(numbers, *(np.broadcast_to(values, numbers.shape).astype(np.float64) for values in spread))


def fixed(values: ArrayLike) -> Angles:
    """Constant angles (n,)."""
    offset = finite_array("values", values, "(n,)", (None,))
    return Angles(np.full(len(offset), -1), np.zeros(len(offset)), offset)


# --- layers -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Layer:
    """Gates of one kind; use `diagonal`, `rotations`, `pauli_rotations`, `hadamards`, `controlled_z`, `controlled_x`.

    Attributes:
        kind: of `circuit_program`: Z strings, rotations about X or Y, any strings, or controlled flips.
        x, z: (n_items,) bit masks of the Pauli strings; of a controlled flip the target and the control.
        angles: (n_items,) all zero for flips.
    """

    kind: int
    x: IntArray
    z: IntArray
    angles: Angles


def _mask(qubits: Iterable[int]) -> int:
    sites = list(qubits)
    if len(set(sites)) != len(sites) or any(not 0 <= site < MAX_QUBITS for site in sites):
        raise ValueError(f"Argument `qubits` must hold different qubits from 0 to {MAX_QUBITS - 1}, but holds {sites}.")
    return sum(1 << int(site) for site in sites)


def _layer(kind: int, masks: Sequence[tuple[int, int]], angles: Angles) -> Layer:
    if len(angles) != len(masks):
        raise ValueError(
            f"Argument `angles` must hold one angle for each of {len(masks)} gates, but holds {len(angles)}."
        )
    array = np.array(masks, dtype=np.int64).reshape(-1, 2)
    return Layer(kind, array[:, 0].copy(), array[:, 1].copy(), angles)


def diagonal(supports: Iterable[Iterable[int]], angles: Angles) -> Layer:
    """``exp(-i/2 sum_k theta_k Z_support(k))`` as one pass; ``supports`` are the qubits of each string of Z.

    An empty support is the identity: a global phase ``-theta/2``.
    """
    return _layer(DIAGONAL, [(0, _mask(support)) for support in supports], angles)


def rotations(letter: Literal["X", "Y", "Z"], qubits: Iterable[int], angles: Angles) -> Layer:
    """``exp(-i theta_k/2 P)`` on each of the qubits, P the letter's Pauli matrix."""
    masks = [_mask([qubit]) for qubit in qubits]
    if letter not in ("X", "Y", "Z"):
        raise ValueError(f"Argument `letter` must be 'X', 'Y' or 'Z', but is {letter!r}.")
    if letter == "Z":
        return _layer(DIAGONAL, [(0, mask) for mask in masks], angles)
    if letter == "X":
        return _layer(TURN_X, [(mask, 0) for mask in masks], angles)
    return _layer(TURN_Y, [(mask, mask) for mask in masks], angles)


def pauli_rotations(strings: PauliList | Sequence[tuple[str, Sequence[int]]], angles: Angles) -> Layer:
    """``exp(-i theta_k/2 P_k)`` one after the other, the first string first.

    Args:
        strings: Pauli strings, or pairs of letters and qubits such as ``("XY", (0, 3))``.
        angles: one for each.
    """
    if isinstance(strings, PauliList):
        x, z, _ = masks_of(strings).T
        return _layer(STRINGS, list(zip(x.tolist(), z.tolist(), strict=True)), angles)
    pairs: list[tuple[int, int]] = []
    for word, qubits in strings:
        if len(word) != len(qubits) or set(word) - set("IXYZ"):
            raise ValueError(
                f"Argument `strings` must hold a letter I, X, Y or Z for each of {qubits}, but holds {word!r}."
            )
        letters = list(zip(word, qubits, strict=True))
        _mask(qubits)
        x, z = (_mask(qubit for letter, qubit in letters if letter in kinds) for kinds in ("XY", "YZ"))
        pairs.append((x, z))
    return _layer(STRINGS, pairs, angles)


def hadamards(qubits: Iterable[int]) -> list[Layer]:
    """Hadamard gates: ``H = exp(-i pi/4 Y) Z``."""
    sites = list(qubits)
    flips = diagonal([*([site] for site in sites), ()], fixed([*[np.pi] * len(sites), -np.pi * len(sites)]))
    return [flips, rotations("Y", sites, fixed([np.pi / 2] * len(sites)))]


def controlled_z(pairs: Iterable[tuple[int, int]]) -> Layer:
    """CZ gates on pairs of qubits: ``exp(i pi/4 (1 - Z_a) (1 - Z_b))``."""
    supports: list[tuple[int, ...]] = []
    for a, b in pairs:
        supports += [(), (a,), (b,), (a, b)]
    quarter = np.pi / 2
    return diagonal(supports, fixed([-quarter, quarter, quarter, -quarter] * (len(supports) // 4)))


def controlled_x(pairs: Iterable[tuple[int, int]]) -> Layer:
    """CX gates on pairs (control, target), the first pair first."""
    masks: list[tuple[int, int]] = []
    for control, target in pairs:
        _mask((control, target))
        masks.append((1 << target, 1 << control))
    return _layer(FLIPS, masks, fixed(np.zeros(len(masks))))


# --- circuits ---------------------------------------------------------------------------------------------------


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
    def tasks(self) -> tuple[IntArray, IntArray]:
        """What makes its state, and what makes an energy with its gradient."""
        return program.tasks_of(self.compiled)

    def check_parameters(self, parameters: ArrayLike) -> FloatArray:
        """The parameters as a finite float64 array (batch, n_parameters), or a `ValueError`."""
        return finite_array("parameters", parameters, "(batch, n_parameters)", (None, self.n_parameters))


def _joined(arrays: list[np.ndarray], kind: type) -> np.ndarray:
    return np.concatenate([np.zeros(0, dtype=kind), *arrays]).astype(kind)


def masks_of(strings: PauliList) -> IntArray:
    """The masks x and z and the number of Y, modulo 4, of Pauli strings ``i^y X^x Z^z``, (n_strings, 3)."""
    return _masks(int(strings.num_qubits or 0), strings.x.tobytes(), strings.z.tobytes())


@lru_cache(maxsize=64)
def _masks(num_qubits: int, x: bytes, z: bytes) -> IntArray:
    weights = 1 << np.arange(num_qubits, dtype=np.int64)
    flips, signs = (np.frombuffer(bits, dtype=np.bool_).reshape(-1, num_qubits) @ weights for bits in (x, z))
    return np.stack([flips, signs, np.bitwise_count(flips & signs).astype(np.int64) % 4], axis=1)


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
