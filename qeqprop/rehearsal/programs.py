"""Programs as clients post them: the executor, on which the newer primitives stand, and the older two."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from qeqprop.interfaces import FloatArray
from qeqprop.rehearsal.older_primitives import estimator, sampler
from qeqprop.rehearsal.program import Arrays, Item, Program
from qeqprop.rehearsal.simulation import RefusedProgram, points


def read_program(name: str, params: Mapping[str, Any]) -> Program:
    """Reads what a client has posted.

    Args:
        name: ``executor``, ``sampler`` or ``estimator``.
        params: the JSON of its parameters.

    Raises:
        RefusedProgram: if there is no such program, or its parameters cannot be read.
    """
    readers = {"executor": _executor, "sampler": sampler, "estimator": estimator}
    if name not in readers:
        raise RefusedProgram(f"The rehearsal runs {', '.join(readers)}, but not {name}.")
    try:
        return readers[name](params)
    except RefusedProgram:
        raise
    except Exception as error:
        raise RefusedProgram(f"The parameters of {name} cannot be read: {type(error).__name__}: {error}") from error


def _executor(params: Mapping[str, Any]) -> Program:
    from ibm_quantum_schemas.common import CompressedTensorModel
    from ibm_quantum_schemas.executor import version_2_0 as schema
    from qiskit_ibm_runtime.fake_provider.executor.broadcast_sample import broadcast_sample
    from qiskit_ibm_runtime.quantum_program.params_converters import QUANTUM_PROGRAM_PARAMS_CONVERTERS

    version = params.get("schema_version")
    if version != "v2.0":
        raise RefusedProgram(f"The rehearsal reads schema v2.0 of the executor, but the job has {version}.")
    model = schema.ParamsModel.model_validate(params)
    read: Any = QUANTUM_PROGRAM_PARAMS_CONVERTERS["v2.0"].decoder  # of the model of this version
    program, options = read(model)
    if program.meas_level not in (None, "classified"):
        raise RefusedProgram(f"The rehearsal returns bits only, but the job wants {program.meas_level}.")

    def item(each: Any) -> Item:
        if hasattr(each, "samplex"):
            each.samplex.finalize()

            def draw(random: np.random.Generator) -> tuple[FloatArray, Arrays]:
                drawn = broadcast_sample(each.samplex, each.samplex_arguments, tuple(each.shape), random)
                values = drawn.pop("parameter_values", np.zeros((points(each.shape), 0)))
                return np.asarray(values).reshape(points(each.shape), -1), drawn

            return Item(each.circuit, tuple(each.shape), program.shots, draw)
        values = np.asarray(each.circuit_arguments, dtype=np.float64)
        shape, rows = values.shape[:-1], values.reshape(points(values.shape[:-1]), values.shape[-1])
        return Item(each.circuit, shape, program.shots, lambda random: (rows, {}))

    def answer(read: list[Arrays]) -> str:
        data = [
            schema.QuantumProgramResultItemModel(
                results={name: CompressedTensorModel.from_numpy(values) for name, values in each.items()},
                metadata=schema.ItemMetadataModel(),
            )
            for each in read
        ]
        return schema.QuantumProgramResultModel(
            data=data,
            metadata=schema.MetadataModel(chunk_timing=[]),
            passthrough_data=model.quantum_program.passthrough_data,
            semantic_role=model.quantum_program.semantic_role,
        ).model_dump_json()

    return Program([item(each) for each in program.items], options.execution.rep_delay, answer)
