"""What a job on a machine of IBM consists of: its PUBs and options, its cost, its result as bytes and as numbers."""

from __future__ import annotations

import io
import math
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, cast

import numpy as np
from qiskit import qpy
from qiskit.circuit import QuantumCircuit
from qiskit.transpiler import Target

from qeqprop.counts import Readings, Readout, canary_of, estimate
from qeqprop.engine.bases import needed_bases
from qeqprop.fractional_gates import linear_angle
from qeqprop.interfaces import FloatArray, JobCost, Measured, Measurement
from qeqprop.placement import Placed
from qeqprop.primitive_pubs import Strings, estimator_pubs, outcomes_of, put_together, sampler_pubs

PrimitiveName = Literal["sampler", "estimator", "estimator_v2"]

OVERHEAD = 2.0
"""Seconds on the machine that a job costs beside its executions."""

MAX_BYTES = 5_000_000
"""Of the payload of one job."""

_ROUNDING = 1 + 1e-9
"""A precision a little coarser than that of the shots wanted, so that rounding up does not add another one."""


def pubs_of(primitive: PrimitiveName, placed: Placed, measurement: Measurement, shots: int) -> list[Any]:
    """The PUBs of one job, the canary last."""
    if primitive == "sampler":
        return list(sampler_pubs(placed, readout_of(measurement, shots)))
    return estimator_pubs(measurement, placed, _ROUNDING / math.sqrt(shots))


def readout_of(measurement: Measurement, shots: int) -> Readout:
    """Every row in as few bases as the strings need."""
    bases = needed_bases(measurement.strings, measurement.weights)
    return Readout(measurement.parameters, bases, shots, ())


def primitive_on(primitive: PrimitiveName, where: Any, options: Mapping[str, Any]) -> Any:
    """The client's primitive for a machine, batch or session."""
    if primitive == "estimator_v2":
        from qiskit_ibm_runtime import EstimatorV2

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # it was chosen on purpose
            return EstimatorV2(mode=where, options=dict(options))
    made = _kind(primitive)(mode=where)
    made.options = checked_options(primitive, options)
    return made


def checked_options(primitive: PrimitiveName, options: Mapping[str, Any]) -> Any:
    """The client's own options.

    Raises:
        ValueError: for one that it does not know, or a value that it does not take.
    """
    from pydantic import ValidationError

    try:
        if primitive == "sampler":
            from qiskit_ibm_runtime.options_models.sampler import SamplerOptions

            return SamplerOptions(**options)
        if primitive == "estimator":
            from qiskit_ibm_runtime.options_models.estimator import EstimatorOptions

            return EstimatorOptions(**options)
        from qiskit_ibm_runtime.options import EstimatorOptions as OlderOptions

        return OlderOptions(**options)
    except (ValidationError, TypeError, ValueError) as error:
        raise refusal_of_options("options", primitive, error) from None


def refusal_of_options(argument: str, kind: str, error: Exception) -> ValueError:
    """What is said of options that the client does not take."""
    from pydantic import ValidationError

    first = error.errors()[0] if isinstance(error, ValidationError) else None
    what = f"{'.'.join(map(str, first['loc']))}: {first['msg']}" if first else str(error).split("\n")[0]
    return ValueError(f"Argument `{argument}` must hold options of the client's {kind}: {what}.")


def cost_of(
    primitive: PrimitiveName, pubs: Sequence[Any], options: Mapping[str, Any], measurement: Measurement, backend: Any
) -> JobCost:
    """What a job costs: ``overhead + executions (rep_delay + duration)`` seconds. IBM publishes no formula."""
    circuits = measurement.rows * len(needed_bases(measurement.strings, measurement.weights)) + 1
    chosen = checked_options(primitive, options)
    delay = getattr(getattr(chosen, "execution", None), "rep_delay", None)
    if not isinstance(delay, float):
        delay = float(backend.default_rep_delay or 0.0)
    target = backend.target
    if primitive == "sampler":
        shots = [int(number) * (1 if values is None else len(values)) for _, values, number in pubs]
        lasts = [duration(circuit, target) for circuit, *_ in pubs]
    elif primitive == "estimator":
        from qiskit_ibm_runtime.executor_estimator.prepare import prepare

        return cost_of_program(prepare(pubs, chosen, backend=backend)[0], delay, target, circuits)
    else:
        each = math.ceil(1.0 / float(pubs[0][3]) ** 2)
        shots = [each * (circuits - 1), each]
        lasts = [duration(pubs[index][0], target) for index in (0, -1)]
    seconds = sum(number * (delay + one) for number, one in zip(shots, lasts, strict=True))
    return JobCost(circuits, sum(shots), OVERHEAD + seconds)


def cost_of_program(program: Any, delay: float, target: Target, circuits: int) -> JobCost:
    """The same of a program of the client's executor."""
    shots = [item.size() * program.shots for item in program.items]
    lasts = [duration(item.circuit, target) for item in program.items]
    seconds = sum(number * (delay + one) for number, one in zip(shots, lasts, strict=True))
    return JobCost(circuits, sum(shots), OVERHEAD + seconds)


def duration(circuit: QuantumCircuit, target: Target) -> float:
    """Seconds that one execution lasts, every gate as early as it can be."""
    free = np.zeros(circuit.num_qubits)
    for step in circuit.data:
        qubits = [circuit.find_bit(qubit).index for qubit in step.qubits]
        blocks = getattr(step.operation, "blocks", ())
        if blocks:
            lasts = duration(blocks[0], target)
        elif step.operation.name == "delay":
            unit = (target.dt or 0.0) if step.operation.unit == "dt" else 1.0
            lasts = float(step.operation.duration) * unit
        elif step.operation.name in target.operation_names:
            entry = target[step.operation.name].get(tuple(qubits))
            lasts = (entry.duration if entry is not None else None) or 0.0
        else:
            lasts = 0.0
        free[qubits] = np.max(free[qubits], initial=0.0) + lasts
    return float(np.max(free, initial=0.0))


def survival(circuit: QuantumCircuit, target: Target) -> float:
    """The chance that no gate of a placed circuit goes wrong, if errors are independent; zero if one is broken."""
    chance = 1.0
    for step in circuit.data:
        name, qubits = step.operation.name, tuple(circuit.find_bit(qubit).index for qubit in step.qubits)
        if name in ("barrier", "delay"):
            continue
        entry = target[name].get(qubits) if name in target.operation_names else None
        error = 1.0 if entry is None else entry.error
        chance *= 1.0 - min(1.0, 0.0 if error is None or math.isnan(error) else error)
    return chance


def check_pubs(pubs: Sequence[Any], target: Target, machine: str) -> None:
    """Refuses what the service would refuse, or would run without a word, before anything is posted.

    Raises:
        ValueError: for gates that the machine does not have or that are broken, angles out of range, values that are
            not finite, and a payload that is too large.
    """
    for circuit, *_ in pubs:
        for step in circuit.data:
            name, qubits = step.operation.name, tuple(circuit.find_bit(qubit).index for qubit in step.qubits)
            if name in ("barrier", "delay"):
                continue
            if not target.instruction_supported(name, qubits):
                raise ValueError(f"Argument `circuit` holds {name} on qubits {qubits}, which {machine} does not have.")
            entry = target[name].get(qubits)
            if entry is not None and entry.error is not None and entry.error >= 1:
                raise ValueError(f"Argument `circuit` holds {name} on qubits {qubits}, which is broken on {machine}.")
    for pub in pubs:
        values = next((one for one in pub[1:] if isinstance(one, np.ndarray)), None)
        if values is not None:
            _check_values(pub[0], values.reshape(-1, values.shape[-1]), machine)
    size = payload_bytes(pubs)
    if size > MAX_BYTES:
        raise ValueError(
            f"Argument `circuit` is too large: a job for one row would be {size} bytes, and {MAX_BYTES} are allowed."
        )


def payload_bytes(pubs: Sequence[Any]) -> int:
    """About how many bytes a job is on the wire: circuits as compressed QPY and arrays, in base 64."""
    circuits = list({id(circuit): circuit for circuit, *_ in pubs}.values())
    stream = io.BytesIO()
    qpy.dump(circuits, stream)
    arrays = 0
    for _, *others in pubs:
        arrays += sum(one.nbytes for one in others if isinstance(one, np.ndarray))
        arrays += sum(len(label) for one in others if isinstance(one, list) for label in cast(list[str], one))
    return math.ceil(4 / 3 * (len(zlib.compress(stream.getvalue())) + arrays))


# --- results --------------------------------------------------------------------------------------------------------


def to_raw(result: Any) -> bytes:
    """The arrays of a primitive's result, PUB by PUB, as they came."""
    arrays: dict[str, Any] = {}
    for index, pub in enumerate(result):
        if hasattr(pub.data, "evs"):
            arrays[f"{index:05d}_evs"], arrays[f"{index:05d}_stds"] = (
                np.asarray(pub.data.evs),
                np.asarray(pub.data.stds),
            )
            if hasattr(pub.data, "stds_noise_factors"):
                arrays[f"{index:05d}_points"] = np.asarray(pub.data.stds_noise_factors)
        else:
            arrays[f"{index:05d}_bits"] = pub.data["sites"].array
    if not arrays:
        raise ValueError("the result is empty")
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, **arrays)
    return stream.getvalue()


def from_raw(primitive: PrimitiveName, raw: bytes, measurement: Measurement, sites: int, shots: int) -> Measured:
    """The numbers of a measurement.

    Raises:
        RuntimeError: if the result has not what was asked for.
    """
    with np.load(io.BytesIO(raw), allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    if primitive == "sampler":
        bits = iter(arrays[name] for name in sorted(arrays))
        bases = needed_bases(measurement.strings, measurement.weights)
        outcomes = [_rows(bits, measurement.rows) for _ in bases]
        alive = _rows(bits, 1)
        readings = Readings(bases, outcomes, canary_of(alive[0], sites), extra_shots=alive.size)
        return Measured(estimate(readings, measurement), readings.shots, readings.canary)
    numbers = [(arrays[name], _spread(arrays, name[:-3])) for name in sorted(arrays) if name.endswith("evs")]
    errors = np.concatenate([each.ravel() for _, each in numbers])
    # an extrapolation without an error bar: as wide as the widest of the job, and no narrower than its shots allow
    bound = max(1.0 / math.sqrt(shots), float(np.max(errors[np.isfinite(errors)], initial=0.0)))
    answers = iter(numbers)
    found = _estimates(answers, measurement.rows, len(Strings.of(measurement).indices), bound)
    return put_together(measurement, found, _estimates(answers, 1, sites, bound), shots)


def _rows(bits: Iterator[Any], rows: int) -> Any:
    """The outcomes (rows, shots) of the next PUB, or of the next rows."""
    found: list[Any] = []
    while sum(map(len, found)) < rows:
        found.append(outcomes_of(next(bits, np.zeros((0, 1)))))
        if not found[-1].size:
            raise RuntimeError("The result of a job has fewer circuits than were asked for.")
    return np.concatenate(found)


def _spread(arrays: Mapping[str, Any], pub: str) -> Any:
    """The errors of a PUB. A fit through few points may meet them by chance: it is no surer than the least sure one."""
    errors, points = arrays[pub + "stds"], arrays.get(pub + "points")
    return errors if points is None else np.maximum(errors, np.max(points, axis=-1))


def _estimates(
    answers: Iterator[tuple[Any, Any]], rows: int, strings: int, bound: float
) -> tuple[FloatArray, FloatArray]:
    """Values and errors (rows, n_strings) of the next PUB, or of the next rows."""
    found: list[tuple[FloatArray, FloatArray]] = []
    while sum(len(values) for values, _ in found) < rows:
        values, errors = next(answers, (np.zeros(0), np.zeros(0)))
        if not np.size(values) or not np.all(np.isfinite(values)):
            raise RuntimeError("The result of a job lacks values that were asked for, or has some that are not finite.")
        found.append((values.reshape(-1, strings), errors.reshape(-1, strings)))
    values, errors = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
    return values, np.where(np.isfinite(errors), errors, bound)


def _check_values(circuit: QuantumCircuit, values: FloatArray, machine: str) -> None:
    if not np.all(np.isfinite(values)):
        raise ValueError("Argument `parameters` must be finite, but holds nan or infinite values.")
    parameters = list(circuit.parameters)
    for step in circuit.data:
        if step.operation.name == "rzz":
            slopes, offset = linear_angle(step.operation.params[0], parameters)
            angles = values @ slopes + offset
            if np.any((angles < -1e-9) | (angles > np.pi / 2 + 1e-9)):
                raise ValueError(f"Argument `circuit` turns by rzz out of the range from 0 to pi/2 that {machine} has.")


def _kind(primitive: PrimitiveName) -> Any:
    if primitive == "sampler":
        from qiskit_ibm_runtime.executor_sampler import Sampler

        return Sampler
    from qiskit_ibm_runtime.executor_estimator import Estimator

    return Estimator
