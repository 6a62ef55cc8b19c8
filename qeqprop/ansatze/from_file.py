"""An ansatz that somebody wrote: OpenQASM 3 text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from annotated_types import Ge
from qiskit.quantum_info import PauliList

from qeqprop.checks import check_argument, finite_array
from qeqprop.interfaces import Ansatz, Trial
from qeqprop.openqasm import read
from qeqprop.stored_files import find_stored

_SPREAD = 0.3
"""Largest of the first angles where none are given."""


def from_file(
    *,
    file: str = "brickwork.qasm",
    initial: Sequence[float] | None = None,
    seed: Annotated[int, Ge(0)] = 0,
) -> Ansatz:
    """The circuit of a file in ``circuits/``: your own folder's first, then the package's.

    Args:
        file: OpenQASM 3 with parameters ``theta_000``, ``theta_001``, .., without measurements. It is read at once.
        initial: the first angles, one for each parameter; small random ones by default.
        seed: of the random ones; the same every time.

    Raises:
        ValueError: if there is no such file, it is no circuit of gates, its parameters have other names, or the number
            of first angles is not that of the parameters; later, if its width is not that of a network.
    """
    check_argument("seed", seed, Annotated[int, Ge(0)])
    circuit = read(find_stored(file, "circuits", argument="file").read_text(encoding="utf-8"), file)
    count = circuit.num_parameters
    if initial is None:
        angles = np.random.default_rng(seed).uniform(-_SPREAD, _SPREAD, count)
    else:
        angles = finite_array("initial", initial, "(n_parameters,)", (count,))

    def ansatz(strings: PauliList) -> Trial:
        if strings.num_qubits != circuit.num_qubits:
            raise ValueError(
                f"Argument `file` must hold a circuit of {strings.num_qubits} qubits, like the network, "
                f"but {file} has {circuit.num_qubits}."
            )
        return Trial(circuit, angles)

    return ansatz
