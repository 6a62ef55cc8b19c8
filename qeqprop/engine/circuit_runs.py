"""Runs of a circuit: the list of tasks, the buffers, and who does what.

Threads are plain threads, since the kernels release the interpreter: `threads.set_threads` says how many. Samples are
shared among them; where there are fewer samples than threads and the state is large, the threads share each state.
"""

from __future__ import annotations

import math
from functools import partial
from itertools import repeat
from threading import local
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike

from qeqprop.checks import check_shape
from qeqprop.engine.circuit_program import EXPECT, PREPARE, REPORT
from qeqprop.engine.threads import get_threads, run
from qeqprop.interfaces import ComplexArray, FloatArray, IntArray

if TYPE_CHECKING:
    from qeqprop.engine.circuit_passes import Buffers
    from qeqprop.engine.circuits import Circuit

SHARED_QUBITS = 15
"""From here on threads may share one state; below, waking them costs more than it saves."""

WORTH_THREADS = 1 << 19
"""Amplitudes times rotations that are worth waking a second thread."""

_KEPT_AMPLITUDES = 1 << 23
"""Amplitudes in the largest buffers that are kept for the next call (128 MiB)."""

STORED_AMPLITUDES = 1 << 21
"""Amplitudes of all states that a gradient may store on the way (32 MiB). To read more from memory takes longer than to
find them again on the way back."""

_EXPECT_TASKS = np.array([(PREPARE, 0), (EXPECT, 0), (REPORT, 0)])

_LINE = 8  # numbers in a cache line
_SKEW = _LINE * 17  # an odd number of cache lines keeps neighbouring rows out of the same cache sets


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
    from qeqprop.engine import circuit_sweep as sweep
    from qeqprop.engine.circuit_frames import turned_strings
    from qeqprop.engine.compilation import announced
    from qeqprop.engine.team import teams

    answers = amplitudes if numbers is None else numbers
    batch = 0 if answers is None else len(answers)
    kind, given = sweep.PLUS if circuit.start == "plus" else sweep.ZERO, np.zeros((1, 0), dtype=np.complex128)
    if start is not None:
        given = np.atleast_2d(np.ascontiguousarray(start, dtype=np.complex128))
        check_shape("start", given, "(batch, dim)", (None, circuit.dim))
        if len(given) not in (1, batch):
            raise ValueError(f"Argument `start` must hold one state or {batch}, but holds {len(given)}.")
        kind = sweep.GIVEN
    if batch == 0:
        return
    tasks = _EXPECT_TASKS if want == "expectations" else circuit.tasks[want == "gradients"]
    program = circuit.compiled
    arguments = (
        program,
        parameters,
        turned_strings(np.zeros((0, 3), dtype=np.int64) if strings is None else strings, program.end),
        np.zeros((1, 0)) if coefficients is None else coefficients,
        circuit.num_qubits,
        kind,
        given,
        np.zeros((batch, 0)) if numbers is None else numbers,
        np.zeros((1, 0), dtype=np.complex128) if amplitudes is None else amplitudes,
    )
    size = max(program.items.shape[1], 0 if strings is None else len(strings)) + 1
    stored = want == "gradients" and storable(circuit)
    threads = get_threads()
    if batch * circuit.dim * (len(circuit.x) + 1) < WORTH_THREADS:
        threads = 1
    shared = threads > 1 and circuit.num_qubits >= SHARED_QUBITS and batch < 2 * threads
    threads = min(threads, circuit.dim >> program.low if shared else batch)
    buffers = _buffers(circuit, size, threads, stored, shared=shared)
    if shared:
        shares = zip(buffers, teams(threads), repeat(0), repeat(1))
    else:
        shares = zip(buffers, repeat(teams(1)[0]), range(threads), repeat(threads))
    with announced("circuits"):
        run([partial(sweep.run, tasks, *arguments, *share) for share in shares])


def storable(circuit: Circuit) -> bool:
    """Whether a gradient stores its states: they are not large, and all layers are diagonal or rotate single qubits."""
    return circuit.is_simple and len(circuit.compiled.steps) << circuit.num_qubits <= STORED_AMPLITUDES


_kept = local()


def _aligned(*shape: int) -> FloatArray:
    """Fresh numbers that begin at a cache line: a vector that lies in two of them takes twice as long."""
    size = math.prod(shape)
    room = np.empty(size + _LINE)
    begin = -(room.ctypes.data // 8) % _LINE
    return room[begin : begin + size].reshape(shape)


def _buffers(circuit: Circuit, size: int, threads: int, stored: bool, *, shared: bool) -> list[Buffers]:
    """Buffers for each thread; with ``shared`` all work on one state.

    The calling thread keeps the last buffers, unless they are large: fresh pages cost more than a pass.
    """
    from qeqprop.engine.circuit_passes import Buffers

    program = circuit.compiled
    block, gathered = (1 << int(bits) for bits in program.sizes)
    n_items = program.items.shape[1]
    n_kept = len(program.steps) if stored else 0
    key = (program.qubits, block, gathered, n_items, len(program.layers), size, threads, n_kept, shared)
    if getattr(_kept, "key", None) == key:
        return _kept.buffers
    common = (
        _aligned(4, (1 << program.qubits) + _SKEW),
        np.empty((n_items, 2)),
        np.empty((len(program.layers), 2, program.qubits)),
        _aligned(n_kept, 2, (1 << program.qubits) + _SKEW),
    )
    buffers = [
        Buffers(
            *(common if shared else (_aligned(*array.shape) for array in common)),
            tables=_aligned(7, max(block, gathered) + _SKEW),
            columns=_aligned(4, gathered + _SKEW),
            small=_aligned(11, 256),
            partial=np.empty(size),
        )
        for _ in range(threads)
    ]
    if threads * (2 + n_kept) << program.qubits <= _KEPT_AMPLITUDES:
        _kept.key, _kept.buffers = key, buffers
    return buffers
