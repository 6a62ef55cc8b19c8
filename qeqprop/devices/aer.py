"""Aer's simulators: every shot is really drawn, with or without noise."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge
from qiskit import transpile
from qiskit.circuit import QuantumCircuit

from qeqprop.checks import check_fields
from qeqprop.counts import Readings, Readout, canary_of, run_by_reading, stream
from qeqprop.interfaces import FloatArray, IntArray, Measured, Measurement
from qeqprop.placement import GATES, Placed, mirrored, place, read_by_placing, with_measurement
from qeqprop.remembering import once

DENSE_SITES = 9
"""Up to here one density matrix is cheaper than a thousand noisy trajectories."""

ONE_THREAD = 14
"""Up to so many qubits Aer's threads cost more than they give."""


@dataclass(frozen=True)
class Aer:
    """Runs circuits on Aer and samples them: independent shots for every row and basis, replayed by the key.

    All rows and bases are one Aer job of parametrised circuits. Aer seeds the circuits of a job differently, and the
    seed of a job is a function of its key, so that equal circuits have independent errors and a replay the same bits.

    With noise, every job also measures a canary: the circuit of its first row and its inverse, ideally back at zero.

    Attributes:
        method: how states are simulated. "automatic" is "statevector" without noise and with noise "density_matrix" up
            to 9 sites; beyond, noisy trajectories of statevectors, which take about as long as all shots together.
        shots: for each row and basis.
        noise: a `qiskit_aer.noise.NoiseModel`; circuits are translated to its gates.

    Raises:
        ValueError: for a noise that is no noise model, or shots, parameters or circuits that cannot be measured.
    """

    method: Literal["automatic", "statevector", "density_matrix", "matrix_product_state"] = "automatic"
    shots: Annotated[int, Ge(2)] = 1000
    noise: Any = None

    def __post_init__(self) -> None:
        if self.shots is None:  # pyright: ignore[reportUnnecessaryComparison]
            raise ValueError(
                "Argument `shots` must be an integer at least 2, but is None: Aer draws every shot. Exact values come "
                "from Statevector(), without noise; with noise take many shots."
            )
        check_fields(self)
        if self.noise is not None and not hasattr(self.noise, "basis_gates"):
            raise ValueError(
                f"Argument `noise` must be a qiskit_aer.noise.NoiseModel or None, but is a {type(self.noise).__name__}."
            )

    @property
    def name(self) -> str:
        return f"aer {self.method} with {self.shots} shots" + ("" if self.noise is None else " and noise")

    @property
    def reads_states(self) -> bool:
        return False

    def run(self, measurement: Measurement, *, shots: int | None, key: tuple[int, ...]) -> Measured:
        """See `interfaces.Device`."""
        return run_by_reading(self, measurement, shots=shots, key=key)

    def read(self, circuit: QuantumCircuit, readout: Readout) -> Readings:
        """See `counts.SamplingDevice`."""
        return read_by_placing(self, circuit, readout)

    def place(self, circuit: QuantumCircuit) -> Placed:
        """See `placement.PlacingDevice`."""
        return once(circuit, "aer", partial(self._placed, circuit), machine=self.noise)

    def read_placed(self, placed: Placed, readout: Readout) -> Readings:
        """See `placement.PlacingDevice`."""
        simulator = self._simulator(placed.circuit.num_qubits)
        return read_on_aer(simulator, placed, readout)

    def _placed(self, circuit: QuantumCircuit) -> Placed:
        return place(circuit, self._translate, self._in_place, mid_circuit=self.noise is None)

    def _translate(self, circuit: QuantumCircuit) -> QuantumCircuit:
        """To gates that Aer, or the noise model, knows by name."""
        gates = GATES.split() if self.noise is None else self.noise.basis_gates
        return transpile(circuit, basis_gates=list(gates), optimization_level=1)

    def _in_place(self, circuit: QuantumCircuit) -> QuantumCircuit:
        if self.noise is None:
            return circuit
        return transpile(circuit, basis_gates=list(self.noise.basis_gates), optimization_level=0)

    def _simulator(self, num_qubits: int) -> Any:
        method = self.method
        if method == "automatic":
            method = "density_matrix" if self.noise is not None and num_qubits <= DENSE_SITES else "statevector"
        return aer_simulator(method, self.noise, num_qubits)


def aer_simulator(method: str, noise: Any, num_qubits: int) -> Any:
    """An `AerSimulator` whose answers do not depend on the number of threads."""
    from qiskit_aer import AerSimulator

    options: dict[str, Any] = {"max_parallel_threads": 1} if num_qubits <= ONE_THREAD else {}
    if method == "density_matrix":
        options["fusion_threshold"] = 1  # neighbouring gates and their noise are multiplied first
    return AerSimulator(method=method, noise_model=noise, max_parallel_shots=1, **options)


def read_on_aer(simulator: Any, placed: Placed, readout: Readout) -> Readings:
    """Measures every row in every basis, and with noise the canary: one Aer job for each different number of shots.

    Args:
        simulator: an `AerSimulator`.
        placed: the circuit, translated for it.
        readout: what is to be read.
    """
    bases, numbers = readout.bases, readout.shots_by_basis
    values = placed.values(readout.parameters)
    circuits = [with_measurement(placed, basis.letters) for basis in bases]
    points = [values] * len(bases)
    noisy = readout.canary and simulator.options.noise_model is not None
    if noisy:
        circuits.append(mirrored(placed))
        points.append(values[:1])
        numbers.append(max(numbers))
    outcomes: list[IntArray] = [np.empty(0, dtype=np.int64)] * len(circuits)
    for job, number in enumerate(sorted(set(numbers))):
        chosen = [index for index, wanted in enumerate(numbers) if wanted == number]
        seed = int(stream(readout.key, job).generate_state(1, np.uint64)[0] >> np.uint64(2))
        drawn = _job(
            simulator, [circuits[index] for index in chosen], [points[index] for index in chosen], number, seed
        )
        for index, rows in zip(chosen, drawn, strict=True):
            outcomes[index] = _in_order(rows, placed)
    if not noisy:
        return Readings(bases, outcomes)
    alive = outcomes.pop()
    return Readings(bases, outcomes, canary_of(alive[0], len(placed.sites)), extra_shots=alive.size)


def _in_order(rows: IntArray, placed: Placed) -> IntArray:
    """Outcomes with the sites first: what was read on the way has a register of its own before theirs."""
    early = placed.circuit.num_clbits
    return rows >> early | (rows & ((1 << early) - 1)) << len(placed.sites)


def _job(
    simulator: Any, circuits: list[QuantumCircuit], points: list[FloatArray], shots: int, seed: int
) -> list[IntArray]:
    """Outcomes (rows, shots) of each circuit; the order of equal shots carries no meaning."""
    binds: list[dict[Any, list[float]]] = []
    repeated: list[QuantumCircuit] = []
    for circuit, values in zip(circuits, points, strict=True):
        columns = dict(zip(circuit.parameters, values.T.tolist(), strict=True))
        copies = 1 if columns else len(values)  # without parameters every row is a circuit of its own
        repeated += [circuit] * copies
        binds += [columns] * copies
    options: dict[str, Any] = {"parameter_binds": binds} if any(binds) else {}
    result = simulator.run(repeated, shots=shots, seed_simulator=seed, **options).result()
    if not result.success:
        raise RuntimeError(f"Aer could not run the job: {result.status}")
    rows = iter(result.results)
    return [np.stack([_drawn(next(rows).data.counts) for _ in values]) for values in points]


def _drawn(counts: dict[str, int]) -> IntArray:
    found = np.array([int(outcome, 16) for outcome in counts], dtype=np.int64)
    return np.repeat(found, list(counts.values()))
