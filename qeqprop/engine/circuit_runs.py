"""Runs of a circuit: the list of tasks, the buffers, and who does what.

Threads are plain threads, since the kernels release the interpreter: `threads.set_threads` says how many. Samples are
shared among them; where there are fewer samples than threads and the state is large, the threads share each state.
"""

from __future__ import annotations

from functools import cache, partial
from threading import local
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from qeqprop.checks import check_shape
from qeqprop.engine.circuit_frames import turned_strings
from qeqprop.engine.circuit_program import EXPECT, GIVEN, PLUS, PREPARE, REPORT, ZERO
from qeqprop.engine.memory import uninitialised
from qeqprop.engine.threads import get_threads, run
from qeqprop.interfaces import ComplexArray, FloatArray, IntArray

if TYPE_CHECKING:
    from qeqprop.engine.circuit_passes import Buffers
    from qeqprop.engine.circuits import Circuit

SHARED_QUBITS = 14
"""From here on threads may share one state; below, waking them costs more than it saves."""

WORTH_THREADS = 1 << 19
"""Amplitudes times rotations that are worth waking a second thread."""

_KEPT_AMPLITUDES = 1 << 23
"""Amplitudes in the largest buffers that are kept for the next call (128 MiB)."""

STORED_AMPLITUDES = 1 << 21
"""Amplitudes of all states that a gradient may store on the way (32 MiB). To read more from memory takes longer than to
find them again on the way back."""

_NO_STRINGS, _NO_NUMBERS = np.zeros((0, 3), dtype=np.int64), np.zeros((1, 0))
_NO_STATE = np.zeros((1, 0), dtype=np.complex128)
_EXPECT_TASKS = np.array([(PREPARE, 0), (EXPECT, 0), (REPORT, 0)])

_SKEW = 8 * 17  # an odd number of cache lines keeps neighbouring rows out of the same cache sets


def run_circuit(
    want: Literal["states", "gradients", "expectations"],
    circuit: Circuit,
    parameters: FloatArray,
    start: ArrayLike | None,
    numbers: FloatArray | None = None,
    amplitudes: ComplexArray | None = None,
    *,
    strings: IntArray | None = None,
    coefficients: FloatArray | None = None,
) -> None:
    """Fills ``numbers`` or ``amplitudes``; see `circuit_sweep.run`."""
    kernel, team, announced = _loaded()
    batch = len(numbers) if numbers is not None else 0 if amplitudes is None else len(amplitudes)
    kind, given = PLUS if circuit.start == "plus" else ZERO, _NO_STATE
    if start is not None:
        given = np.atleast_2d(np.ascontiguousarray(start, dtype=np.complex128))
        check_shape("start", given, "(batch, dim)", (None, circuit.dim))
        if len(given) not in (1, batch):
            raise ValueError(f"Argument `start` must hold one state or {batch}, but holds {len(given)}.")
        kind = GIVEN
    if batch == 0:
        return
    program = circuit.compiled
    arguments = (
        _EXPECT_TASKS if want == "expectations" else circuit.tasks[want == "gradients"],
        program,
        parameters,
        _NO_STRINGS if strings is None else turned_strings(strings, program.end),
        _NO_NUMBERS if coefficients is None else coefficients,
        circuit.num_qubits,
        kind,
        given,
        np.zeros((batch, 0)) if numbers is None else numbers,
        _NO_STATE if amplitudes is None else amplitudes,
    )
    size = max(len(program.affine), 0 if strings is None else len(strings)) + 1
    stored = want == "gradients" and storable(circuit)
    threads = get_threads() if batch * circuit.dim * (len(circuit.x) + 1) >= WORTH_THREADS else 1
    shared = circuit.num_qubits >= SHARED_QUBITS and batch < 2 * threads
    threads = min(threads, 1 << (program.qubits - program.low) if shared else batch)
    buffers = _buffers(circuit, size, threads, stored, shared=shared and threads > 1)
    with announced("circuits"):
        if threads == 1:
            kernel(*arguments, buffers[0], team.alone(), 0, 1)
        elif shared:
            members = zip(buffers, team.teams(threads), strict=True)
            run([partial(kernel, *arguments, own, member, 0, 1) for own, member in members])
        else:
            run([partial(kernel, *arguments, buffers[k], team.alone(), k, threads) for k in range(threads)])


@cache
def _loaded() -> tuple[Any, Any, Any]:
    """Compiled code is loaded when first used."""
    from qeqprop.engine import circuit_sweep, team
    from qeqprop.engine.compilation import announced

    return circuit_sweep.run, team, announced


def storable(circuit: Circuit) -> bool:
    """Whether a gradient stores its states: they are not large, and all layers are diagonal or rotate single qubits."""
    return circuit.is_simple and len(circuit.compiled.steps) << circuit.num_qubits <= STORED_AMPLITUDES


_kept = local()


def _buffers(circuit: Circuit, size: int, threads: int, stored: bool, *, shared: bool) -> list[Buffers]:
    """Buffers for each thread; with ``shared`` all work on one state.

    The calling thread keeps the last buffers, unless they are large: fresh pages cost more than a pass.
    """
    from qeqprop.engine.circuit_passes import Buffers

    program = circuit.compiled
    n_kept = len(program.steps) if stored else 0
    n_items, n_layers = len(program.affine), len(program.layers)
    key = (program.qubits, program.low, program.narrow, n_items, n_layers, size, threads, n_kept, shared)
    if getattr(_kept, "key", None) == key:
        return _kept.buffers
    block, gathered = (1 << int(bits) for bits in program.sizes)
    common = (
        uninitialised(4, (1 << program.qubits) + _SKEW),
        np.empty((n_items, 2)),
        np.empty((n_layers, 2, program.qubits)),
        uninitialised(n_kept, 2, (1 << program.qubits) + _SKEW),
    )
    buffers = [
        Buffers(
            *(common if shared else (uninitialised(*array.shape) for array in common)),
            tables=uninitialised(7, max(block, gathered) + _SKEW),
            columns=uninitialised(4, gathered + _SKEW),
            small=uninitialised(11, 256),
            partial=np.empty(size),
        )
        for _ in range(threads)
    ]
    if threads * (2 + n_kept) << program.qubits <= _KEPT_AMPLITUDES:
        _kept.key, _kept.buffers = key, buffers
    return buffers
