"""One apply, H times a vector, against the memory bandwidth of this machine: what no program can beat.

The bound is what it takes to read the diagonal and the vector and to write the result, three streams of the same
length, in a loop that does nothing else; numba, same threads, same run. On both sides the vectors rotate through up to
sixteen, as they do in a Lanczos iteration: a vector that was just written is read, another one is overwritten.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numba
import numpy as np
import ours
import tasks
from measure import Row, interleaved, row, show

from qeqprop.engine.krylov import SKEW
from qeqprop.interfaces import FloatArray

REQUIRED = {20: 2.5}


@numba.njit
def _streams(diagonal: FloatArray, vectors: FloatArray, count: int) -> None:
    size = len(diagonal)
    last = vectors.size // (size + SKEW)
    for step in range(count):
        x, y = step % last * (size + SKEW), (step + 1) % last * (size + SKEW)
        for index in range(size):
            vectors[y + index] = diagonal[index] * vectors[x + index]


@numba.njit(parallel=True)
def _streams_on_all_threads(diagonal: FloatArray, vectors: FloatArray, count: int) -> None:
    size = len(diagonal)
    last = vectors.size // (size + SKEW)
    for step in range(count):
        x, y = step % last * (size + SKEW), (step + 1) % last * (size + SKEW)
        for index in numba.prange(size):
            vectors[y + index] = diagonal[index] * vectors[x + index]


def rows(*, threads: int = 1, quick: bool = False) -> Iterator[Row]:
    """The apply for 12 to 24 sites; ``quick`` stops at 16."""
    yield from (_one(n, threads) for n in ([12, 16] if quick else [12, 16, 20, 22, 24]))


def _one(n: int, threads: int) -> Row:
    print(f"  apply, n = {n}", flush=True)
    apply = ours.applier(tasks.dense_ising(n, 1))
    arrays = np.ones(1 << n), np.ones(ours.rotation(1 << n) * ((1 << n) + SKEW))
    kernels = {"one thread": _streams} | ({"all threads": _streams_on_all_threads} if threads > 1 else {})
    for kernel in kernels.values():
        kernel(*arrays, 1)
    count = max(1, math.ceil(2**22 / 2**n))  # so many at a time: calling the function must not count
    runs = {name: lambda kernel=kernel: kernel(*arrays, count) for name, kernel in kernels.items()}
    timings = interleaved({"ours": lambda: apply(count), **runs}, budget=5.0)
    mine = timings.pop("ours")
    bound = min(timings.values(), key=lambda timing: timing.median)  # threads cost more than they bring for small n
    return row(
        f"H times a vector, dense Ising, n = {n}",
        ours="one apply",
        value=mine.median / count,
        peer="three streams of memory",
        peer_value=bound.median / count,
        required=REQUIRED.get(n),
        at_most=True,
        repeats=mine.repeats,
        sites=n,
    )


def main() -> None:
    show(list(rows(quick=True)))


if __name__ == "__main__":
    main()
