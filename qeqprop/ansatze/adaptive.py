"""The adaptive ansatz: grown from a pool, always by the gate with the largest gradient."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt
from qiskit.quantum_info import PauliList

from qeqprop.ansatze._product import is_real, product_start
from qeqprop.checks import check_fields
from qeqprop.gates import Factors, factors, numbered, rotate
from qeqprop.interfaces import EnergyGradient, FloatArray, GrowingAnsatz, PhysicsWarning, Trial


def adaptive(
    *,
    tolerance: Annotated[float, Gt(0)] = 1e-4,
    most: Annotated[int, Ge(1)] = 60,
    start: Literal["automatic", "plus", "product"] = "automatic",
) -> GrowingAnsatz:
    r"""A product state and rotations ``exp(-i theta/2 P)``, each chosen from a pool when the ones before are settled.

    At an angle of zero a rotation about P has the gradient ``<psi| i [P, H] |psi> / 2``. The gate with the largest root
    mean square over the batch is added; the circuit is grown when no gate has a gradient above the tolerance in any
    sample. All samples share the circuit, so that one job serves the batch, and nudged states take that of their free
    ones, so that what the circuit cannot express cancels in their difference.

    Where all strings have an even number of Y, the Hamiltonian and its eigenstates are real and the pool holds the
    strings of one and two sites with one Y, which turn real states into real ones; the strings of the network have no
    gradient in a real state. Otherwise it holds the strings of the network and all of one and two sites.

    Args:
        tolerance: the largest gradient, an energy, at which the circuit has grown.
        most: number of gates at which it stops with a `PhysicsWarning`.
        start: the state it grows from: ``"plus"``, the ground state of the fields ``-X``, has the parity 1 of an Ising
            network without fields along Z, which gates chosen by their gradient keep; ``"product"`` turns every site by
            an angle of its own (two where the Hamiltonian is complex); ``"automatic"`` is plus where every site has a
            field along X, product otherwise.

    Source: Grimsley et al., Nat. Commun. 10, 3007 (2019); Tang et al., PRX Quantum 2, 020310 (2021).
    """
    return Adaptive(tolerance, most, start)


@dataclass(frozen=True)
class Adaptive:
    """What `adaptive` returns; see there."""

    tolerance: Annotated[float, Gt(0)]
    most: Annotated[int, Ge(1)]
    start: Literal["automatic", "plus", "product"]

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, strings: PauliList) -> Trial:
        return self.grown(strings, ())

    def grown(self, strings: PauliList, choices: Sequence[int]) -> Trial:
        """See `interfaces.GrowingAnsatz`."""
        pool = _pool(strings)
        return self._trial(strings, [pool[choice] for choice in choices])

    def choose(
        self, strings: PauliList, choices: Sequence[int], parameters: FloatArray, gradient: EnergyGradient
    ) -> int | None:
        """See `interfaces.GrowingAnsatz`; asks for the gradients of all gates at once, at the end of the circuit."""
        pool = _pool(strings)
        circuit = self._trial(strings, [*(pool[choice] for choice in choices), *pool]).circuit
        wanted = np.arange(parameters.shape[1], circuit.num_parameters)
        unturned = np.concatenate([parameters, np.zeros((len(parameters), len(pool)))], axis=1)
        slopes = gradient(circuit, unturned, wanted)
        largest = float(np.max(np.abs(slopes), initial=0.0))
        if largest <= self.tolerance:
            return None
        if len(choices) >= self.most:
            warnings.warn(
                f"The circuit stops growing at {self.most} gates with a gradient of {largest:.1e}, above its tolerance "
                f"{self.tolerance:.1e}: raise `most`, or look at the certificates of the states.",
                PhysicsWarning,
                stacklevel=2,
            )
            return None
        return int(np.argmax(np.mean(slopes**2, axis=0)))

    def _trial(self, strings: PauliList, gates: list[Factors]) -> Trial:
        circuit, turns, angles = product_start(strings, self.start)
        theta = numbered(len(turns) + len(gates))
        for (word, sites), parameter in zip([*turns, *gates], theta, strict=True):
            rotate(circuit, word, sites, parameter)
        return Trial(circuit, np.concatenate([angles, np.zeros(len(gates))]))


def _pool(strings: PauliList) -> list[Factors]:
    """The gates a circuit for these strings may grow by; see `adaptive`."""
    sites, real = int(strings.num_qubits or 0), is_real(strings)
    small: list[Factors] = []
    for size in (1, 2):
        for places in combinations(range(sites), size):
            small += [("".join(word), places) for word in product("XYZ", repeat=size)]
    if real:
        return [(word, places) for word, places in small if word.count("Y") == 1]
    own = [(word, places) for word, places in factors(strings) if word]
    return list(dict.fromkeys([*own, *small]))
