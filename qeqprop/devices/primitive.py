"""Any primitive of qiskit: a sampler, whose bits are read here, or an estimator, which reads them by itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge
from qiskit.circuit import QuantumCircuit
from qiskit.primitives import BaseEstimatorV2, BaseSamplerV2, StatevectorSampler

from qeqprop.checks import check_fields, check_shape
from qeqprop.counts import Readings, Readout, canary_of, check_shots, run_by_reading, stream
from qeqprop.engine.bases import needed_bases
from qeqprop.interfaces import Expectations, FloatArray, IntArray, Measured, Measurement
from qeqprop.placement import Placed, place_anywhere, place_on, read_by_placing
from qeqprop.primitive_pubs import Strings, constants, estimator_pubs, outcomes_of, put_together, sampler_pubs
from qeqprop.remembering import once


@dataclass(frozen=True)
class Primitive:
    """Runs circuits through a `BaseSamplerV2` or a `BaseEstimatorV2`, one parametrised circuit for all rows.

    A sampler is sent one PUB for each measurement basis, all rows broadcast in it. An estimator is sent one PUB: unique
    Pauli strings as observables, the points of all rows broadcast against them (``theta[:, None, :]``), with the
    precision ``1 / sqrt(shots)``. It keeps the covariances of its strings to itself; their errors are added up within a
    basis, where they may share shots, and in quadrature between bases. That is an upper bound, sharp for an observable
    of one string; a sampler has the errors themselves. Every job also measures a canary.

    Attributes:
        primitive: a sampler or an estimator; where None the reference sampler of qiskit, which the key replays. What a
            given primitive draws cannot be replayed.
        backend: the machine behind it, if circuits must be translated to its gates and placed on its qubits.
        shots: for each row and basis.

    Raises:
        ValueError: for something that is no primitive, or one with a fixed seed: all its circuits or all its jobs have
            the same errors, which cancel in the difference of nudged states and make a gradient look better than it
            is. Also if an estimator gives errors that are not finite, or none with values that have one.
    """

    primitive: Any = None
    backend: Any = None
    shots: Annotated[int, Ge(2)] = 1000

    def __post_init__(self) -> None:
        check_fields(self)
        if self.primitive is not None and not isinstance(self.primitive, (BaseSamplerV2, BaseEstimatorV2)):
            raise ValueError(
                "Argument `primitive` must be a BaseSamplerV2 or a BaseEstimatorV2, "
                f"but is a {type(self.primitive).__name__}."
            )
        for name, seed in _seeds(self.primitive):
            if isinstance(seed, (int, np.integer)):
                raise ValueError(
                    f"Argument `primitive` must not have a fixed seed, but {name} is {seed}: equal circuits would have "
                    "equal errors. Leave the seed out, or give a numpy Generator."
                )
        if self.backend is not None and not hasattr(self.backend, "target"):
            raise ValueError(f"Argument `backend` must have a target, but is a {type(self.backend).__name__}.")

    @property
    def name(self) -> str:
        kind = "StatevectorSampler" if self.primitive is None else type(self.primitive).__name__
        return f"primitive {kind} with {self.shots} shots"

    @property
    def reads_states(self) -> bool:
        return False

    def run(self, measurement: Measurement, *, shots: int | None, key: tuple[int, ...]) -> Measured:
        """See `interfaces.Device`."""
        if isinstance(self.primitive, BaseEstimatorV2):
            return self._estimate(
                self.primitive, measurement, check_shots(self.shots if shots is None else shots, 1)[0]
            )
        return run_by_reading(self, measurement, shots=shots, key=key)

    def read(self, circuit: QuantumCircuit, readout: Readout) -> Readings:
        """See `counts.SamplingDevice`."""
        return read_by_placing(self, circuit, readout)

    def read_placed(self, placed: Placed, readout: Readout) -> Readings:
        """See `placement.PlacingDevice`."""
        sampler = self.primitive
        if isinstance(sampler, BaseEstimatorV2):
            raise ValueError(f"{self.name} is an estimator and gives no single outcomes: use a sampler.")
        if sampler is None:
            sampler = StatevectorSampler(seed=np.random.default_rng(stream(readout.key)))
        answers = iter(sampler.run(sampler_pubs(placed, readout)).result())
        numbers, sites = readout.shots_by_basis, len(placed.sites)
        outcomes = [_outcomes(answers, len(readout.parameters), sites, number) for number in numbers]
        if not readout.canary:
            return Readings(readout.bases, outcomes)
        alive = _outcomes(answers, 1, sites, max(numbers))
        return Readings(readout.bases, outcomes, canary_of(alive[0], sites), extra_shots=alive.size)

    def place(self, circuit: QuantumCircuit) -> Placed:
        """See `placement.PlacingDevice`."""
        if self.backend is None:
            return once(circuit, "anywhere", partial(place_anywhere, circuit))
        return once(circuit, "primitive", partial(place_on, circuit, self.backend.target), machine=self.backend)

    def _estimate(self, estimator: Any, measurement: Measurement, shots: int) -> Measured:
        if not needed_bases(measurement.strings, measurement.weights) or not measurement.rows:
            return Measured(Expectations.exact(constants(measurement)), 0)
        placed = self.place(measurement.circuit)
        pubs = estimator_pubs(measurement, placed, 1.0 / np.sqrt(shots))
        answers = iter(estimator.run(pubs).result())
        found = self._numbers(answers, measurement.rows, len(Strings.of(measurement).indices))
        return put_together(measurement, found, self._numbers(answers, 1, len(placed.sites)), shots)

    def _numbers(self, answers: Iterator[Any], rows: int, strings: int) -> tuple[FloatArray, FloatArray]:
        """Values and errors (rows, n_strings) of the next PUB, or of the next rows, checked."""
        found: list[tuple[FloatArray, FloatArray]] = []
        while sum(len(values) for values, _ in found) < rows:
            data = next(answers).data
            found.append((np.asarray(data.evs).reshape(-1, strings), np.asarray(data.stds).reshape(-1, strings)))
        values, errors = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
        check_shape("evs", values, "(rows, n_strings)", (rows, strings))
        if not np.all(np.isfinite(values)) or not np.all(np.isfinite(errors)) or np.any(errors < 0):
            raise ValueError(f"{self.name} gave values or standard errors that are not finite.")
        if np.any((errors == 0) & (np.abs(np.abs(values) - 1.0) > 1e-9)):
            raise ValueError(
                f"{self.name} gave the standard error zero for a value that is no eigenvalue: it has noise that it "
                "does not report. Use a sampler."
            )
        return values, errors


def _outcomes(answers: Iterator[Any], rows: int, sites: int, shots: int) -> IntArray:
    """Basis indices (rows, shots) of the next PUB, or of the next rows."""
    found: list[IntArray] = []
    while sum(map(len, found)) < rows:
        bits = next(answers).data["sites"]
        if bits.num_bits != sites or bits.num_shots != shots:
            raise RuntimeError(
                f"The sampler was asked for {shots} shots of {sites} bits, "
                f"but gave {bits.num_shots} of {bits.num_bits}."
            )
        found.append(outcomes_of(bits.array))
    return np.concatenate(found)


def _seeds(primitive: Any) -> Iterator[tuple[str, Any]]:
    """Where primitives keep their seeds, and what is there."""
    options = getattr(primitive, "options", None)
    yield "seed", getattr(primitive, "seed", None)
    yield "options.seed_simulator", getattr(options, "seed_simulator", None)
    for name in ("simulator", "run_options", "backend_options"):
        part = getattr(options, name, None)
        found = part.get("seed_simulator") if isinstance(part, dict) else getattr(part, "seed_simulator", None)
        yield f"options.{name}.seed_simulator", found
