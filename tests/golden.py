"""Golden texts, so that a change of what is built is a readable diff.

The Hamiltonian of every network builder with its defaults, in ``tests/data/golden/``, and a small instance of every
circuit, in ``circuits/``. `make golden` rewrites them, `test_golden.py` and `test_circuits.py` compare.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from members import members
from qiskit.circuit import QuantumCircuit
from qiskit.quantum_info import PauliList
from systems import ising_chain

from qeqprop.ansatze.adaptive import adaptive
from qeqprop.ansatze.brickwork import brickwork
from qeqprop.ansatze.commutators import commutators
from qeqprop.ansatze.hamiltonian_variational import hamiltonian_variational
from qeqprop.devices.statevector import Statevector
from qeqprop.engine.circuit_trotter import trotter_sweep
from qeqprop.interfaces import Equilibria, PauliSums, PhysicsWarning
from qeqprop.measuring import BoundMeasure
from qeqprop.openqasm import write
from qeqprop.placement import folded, mirrored, place_anywhere, with_measurement
from qeqprop.ramps import cosine
from qeqprop.solvers.adiabatic import Adiabatic
from qeqprop.trotter import in_qiskit_gates

FOLDER = Path(__file__).parent / "data" / "golden"
CIRCUITS = Path(__file__).parents[1] / "circuits"

ISING = PauliList(["IZZ", "ZZI", "IIX", "IXI", "XII"])
MIXED = PauliList(["ZXZ", "IYZ", "IIX", "IIY", "IIZ"])


def text_of(network) -> str:
    """Every string with its role and coefficient, site 0 rightmost."""
    labels = network.strings.to_labels()
    lines = [f"# {network.num_sites} sites, H = H_0 + sum x_i Q_i + sum theta_j s_j P_j"]
    rows = [("H_0", network.static)]
    rows += [(f"Q_{i}", row) for i, row in enumerate(network.inputs)]
    rows += [
        (f"P_{j} (x_{d})" if d >= 0 else f"P_{j}", row)
        for j, (d, row) in enumerate(zip(network.driver, network.trainable, strict=True))
    ]
    rows += [(f"O_{k}", row) for k, row in enumerate(network.outputs)]
    for name, row in rows:
        terms = "  ".join(f"{value:+.6g} {label}" for value, label in zip(row, labels, strict=True) if value)
        lines.append(f"{name}: {terms or '0'}")
    return "\n".join(lines) + "\n"


def golden_texts() -> dict[str, str]:
    return {f"{name}.txt": text_of(make()) for name, make in members("networks").items()}


def golden_circuits() -> dict[str, tuple[str, QuantumCircuit]]:
    """File names, titles and circuits: three sites and one layer, or two sites and one step (two of first order)."""
    layers, bricks = hamiltonian_variational, brickwork
    return {
        "hamiltonian_variational": ("layers of an Ising chain's strings", layers(layers=1)(ISING).circuit),
        "hamiltonian_variational_tied": (
            "the same with a parameter for each kind of string",
            layers(layers=1, tied=True)(ISING).circuit,
        ),
        "hamiltonian_variational_mixed": (
            "layers of strings of all kinds on a free product state",
            layers(layers=1)(MIXED).circuit,
        ),
        "brickwork": ("bricks for real states", bricks(layers=1)(ISING).circuit),
        "brickwork_complex": ("bricks for complex states", bricks(layers=1, real=False)(ISING).circuit),
        "brickwork_fractional": ("bricks that turn about ZZ", bricks(layers=1, fractional=True)(ISING).circuit),
        "commutators": ("rotations about commutators", commutators(layers=1)(ISING).circuit),
        "adaptive": ("grown by gates 3, 0 and 10 of its pool", adaptive().grown(ISING, (3, 0, 10)).circuit),
        **{f"sweep_{order}": (f"a Trotter sweep of order {order}", _sweep(order)) for order in (1, 2, 4)},
        "adiabatic": ("product state and sweep in one step of two sites", _adiabatic()),
    }


def device_circuits() -> dict[str, tuple[str, QuantumCircuit]]:
    """What devices make of one layer on two sites."""
    placed = place_anywhere(hamiltonian_variational(layers=1)(PauliList(["ZZ", "IX", "XI"])).circuit)
    return {
        "device_basis": ("the body measured in X of site 0 and Y of site 1", with_measurement(placed, "XY")),
        "device_canary": ("the body and its inverse, measured", mirrored(placed)),
        "device_folded": ("the body with three times its errors", folded(placed, 3).circuit),
    }


def _sweep(order) -> QuantumCircuit:
    start = PauliSums(PauliList(["IX", "XI"]), -np.ones((1, 2)))
    target = PauliSums(PauliList(["ZZ", "IZ"]), np.ones((1, 2)))
    return in_qiskit_gates(
        trotter_sweep(start, target, cosine, total_time=1.0, steps=2 if order == 1 else 1, order=order)[0]
    )


def _adiabatic() -> QuantumCircuit:
    """As the solver asks a device for it."""
    device, network = Remembering(), ising_chain(2)
    problem = Equilibria(
        network.hamiltonians([1.0, 1.0], np.zeros((1, 0))), PauliSums(network.strings, network.outputs)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PhysicsWarning)  # one step is too few
        Adiabatic(total_time=1.0, steps=1).solve(problem, BoundMeasure(device))
    return device.circuits[0]


@dataclass(frozen=True)
class Remembering:
    """A device that keeps the circuits it ran."""

    circuits: list[QuantumCircuit] = field(default_factory=list)
    name: str = "remembering"
    reads_states: bool = False

    def run(self, measurement, *, shots, key):
        self.circuits.append(measurement.circuit)
        return Statevector(shots=100).run(measurement, shots=shots, key=key)


def circuit_texts() -> dict[str, str]:
    made = {**golden_circuits(), **device_circuits()}
    return {f"{name}.qasm": write(circuit, title=title) for name, (title, circuit) in made.items()}


if __name__ == "__main__":
    for stale in FOLDER.glob("*.txt"):  # circuits/ may also hold what somebody wrote
        stale.unlink()
    for folder, texts in ((FOLDER, golden_texts()), (CIRCUITS, circuit_texts())):
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
            print(f"wrote {name}")
