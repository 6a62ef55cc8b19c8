"""What a machine makes of a network's circuit, before training: qubits, swaps, and the gates of every pair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from qiskit import transpile
from qiskit.circuit import QuantumCircuit
from qiskit.transpiler import Target

from qeqprop.calibration import Calibration
from qeqprop.devices.profile import Profile
from qeqprop.interfaces import Device, Equilibria, Network, PauliSums, Solver
from qeqprop.lattices import Edge
from qeqprop.placement import TRANSPILER_SEED, Placed
from qeqprop.qubit_choice import ErrorMap
from qeqprop.snapshots import BUNDLED
from qeqprop.solvers.adiabatic import Adiabatic
from qeqprop.solvers.imaginary_time import ImaginaryTime
from qeqprop.solvers.variational import Variational
from qeqprop.trotter import in_qiskit_gates

_SHOWN = 12


class PairUse(NamedTuple):
    """What one pair of qubits has to do.

    Attributes:
        qubits: on the machine.
        gates: two-qubit gates, and so the depth that this pair adds.
        error: of one of them.
    """

    qubits: Edge
    gates: int
    error: float


@dataclass(frozen=True)
class PlacementReport:
    """A circuit on a machine.

    Attributes:
        machine: whose errors these are, and of which day.
        begin: (n_sites,) the qubit on which each site begins.
        end: (n_sites,) the one on which it is read.
        wanted: two-qubit gates if every pair of qubits were neighbours.
        gates: two-qubit gates on this machine.
        depth: rounds of two-qubit gates.
        pairs: what every pair has to do, the busiest first.
        success: the probability that nothing goes wrong, readout included, if all errors are independent.
    """

    machine: str
    begin: tuple[int, ...]
    end: tuple[int, ...]
    wanted: int
    gates: int
    depth: int
    pairs: tuple[PairUse, ...]
    success: float

    @property
    def swaps(self) -> float:
        """What routing costs, in swaps of three gates each."""
        return max(0.0, (self.gates - self.wanted) / 3)

    def __str__(self) -> str:
        routed = f"{self.swaps:.3g} swaps" if self.swaps else "no swaps"
        moved = "" if self.end == self.begin else f", read on {_listed(self.end)}"
        lines = [
            f"sites on qubits {_listed(self.begin)}{moved} of {self.machine}",
            f"{self.gates} two-qubit gates in {self.depth} rounds, {routed}; "
            f"all goes well in {self.success:.1%} of the shots",
        ]
        for pair in self.pairs[:_SHOWN]:
            a, b = pair.qubits
            lines.append(f"  pair {a}-{b}: {pair.gates} gates, each with an error of {pair.error:.2e}")
        if len(self.pairs) > _SHOWN:
            lines.append(f"  and {len(self.pairs) - _SHOWN} more pairs")
        return "\n".join(lines)


def circuit_of(solver: Solver, network: Network, theta: ArrayLike, x: ArrayLike) -> QuantumCircuit | None:
    """The circuit that a solver runs for a network at parameters theta, for one sample or all x (batch, n_inputs).

    Returns:
        None for a solver that runs no circuit, or of which it is not known beforehand.
    """
    hamiltonians = network.hamiltonians(theta, x)
    if isinstance(solver, Adiabatic):
        problem = Equilibria(hamiltonians, PauliSums(network.strings, network.outputs))
        return in_qiskit_gates(solver.circuit(problem)[0])
    if isinstance(solver, (Variational, ImaginaryTime)):
        return solver.ansatz(hamiltonians.strings).circuit
    return None


def placement_report(device: Device, circuit: QuantumCircuit) -> PlacementReport | None:
    """Places a circuit as a device would.

    Args:
        device: such as `Profile`; what it wraps counts, if it wraps another. A machine of IBM is not asked: where the
            client has a snapshot of it, its numbers stand in for those of today.
        circuit: of `circuit_of`.

    Returns:
        None for a device without places: a simulator of anything.

    Raises:
        ValueError: if the circuit does not fit.
    """
    while hasattr(device, "device"):
        device = getattr(device, "device")  # noqa: B009  (a wrapper: its own protocol does not know it)
    snapshot = _snapshot_of(getattr(device, "machine", None))
    fractional = bool(getattr(device, "fractional", False))
    if snapshot is not None:  # a machine of IBM, which is not asked
        device = Profile(snapshot, fractional=fractional)
    if not hasattr(device, "place"):
        return None
    place: Any = getattr(device, "place")  # noqa: B009
    placed: Placed = place(circuit)
    calibration: Calibration | None = getattr(placed.simulator, "calibration", None)
    if calibration is not None:
        machine = f"{calibration.name} as of {calibration.date[:10]}"
        return _report(circuit, placed, calibration.target(fractional=fractional), calibration.physical, machine)
    backend: Any = getattr(device, "backend", None)
    target: Target | None = getattr(backend, "target", None)
    if target is None or target.build_coupling_map() is None:
        return None
    return _report(circuit, placed, target, tuple(range(int(target.num_qubits or 0))), str(backend.name))


def _snapshot_of(machine: str | None) -> str | None:
    """The client's snapshot of a machine of IBM, ``ibm_kingston``, if it has one."""
    name = f"Fake{str(machine).removeprefix('ibm_').capitalize()}"
    return name if name in BUNDLED and machine is not None and machine.startswith("ibm_") else None


def _report(
    circuit: QuantumCircuit, placed: Placed, target: Target, physical: tuple[int, ...], machine: str
) -> PlacementReport:
    errors = ErrorMap.of(target)
    native = placed.circuit
    uses: dict[Edge, int] = {}
    cost = sum(float(errors.readout[qubit]) for qubit in placed.sites)
    for step in native.data:
        qubits = [native.find_bit(bit).index for bit in step.qubits]
        if len(qubits) == 2 and step.operation.name != "barrier":
            pair = (min(qubits), max(qubits))
            uses[pair] = uses.get(pair, 0) + 1
            cost += errors.pairs.get(pair, 0.0)
        elif len(qubits) == 1 and step.operation.name not in ("rz", "delay", "barrier"):
            cost += float(errors.gate[qubits[0]])
    layout = native.layout
    begin = range(circuit.num_qubits) if layout is None else layout.initial_index_layout(filter_ancillas=True)
    ordered = sorted(uses.items(), key=lambda item: (-item[1], item[0]))
    return PlacementReport(
        machine=machine,
        begin=tuple(physical[qubit] for qubit in begin),
        end=tuple(physical[qubit] for qubit in placed.sites),
        wanted=_everywhere(circuit, native, target),
        gates=sum(uses.values()),
        depth=native.depth(lambda step: len(step.qubits) == 2 and step.operation.name != "barrier"),
        pairs=tuple(
            PairUse((physical[a], physical[b]), count, float(-np.expm1(errors.pairs.get((a, b), 0.0))))
            for (a, b), count in ordered
        ),
        success=float(np.exp(cost)),
    )


def _everywhere(circuit: QuantumCircuit, native: QuantumCircuit, target: Target) -> int:
    """The two-qubit gates of the same circuit in the same gates, if every pair were neighbours."""
    names = [name for name in target.operation_names if name not in ("measure", "delay", "reset", "barrier")]
    names = [name for name in names if not target.gate_has_angle_bounds(name) or name in native.count_ops()]
    spelt: QuantumCircuit = transpile(circuit, basis_gates=names, optimization_level=2, seed_transpiler=TRANSPILER_SEED)
    return sum(1 for step in spelt.data if len(step.qubits) == 2 and step.operation.name != "barrier")


def _listed(qubits: tuple[int, ...]) -> str:
    return ", ".join(map(str, qubits))
