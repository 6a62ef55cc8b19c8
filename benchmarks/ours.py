"""What this package is asked: the only file of the benchmarks that knows how."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import numba
import numpy as np
from tasks import Task
from threadpoolctl import threadpool_limits

import qeqprop
from qeqprop import losses
from qeqprop.engine.addresses import at
from qeqprop.engine.apply import apply
from qeqprop.engine.compiled import TEAM_SITES
from qeqprop.engine.krylov import SKEW
from qeqprop.engine.layout import layout_of
from qeqprop.engine.memory import uninitialised
from qeqprop.engine.paulis import PauliTable
from qeqprop.engine.sums import build_operator, empty_operator, operator_space
from qeqprop.engine.team import teams, wait
from qeqprop.engine.threads import get_threads, run
from qeqprop.engine.threads import threads as engine_threads
from qeqprop.interfaces import FloatArray, Start, Want
from qeqprop.rules.nudging import SymmetricNudging
from qeqprop.settling import bind
from qeqprop.solvers.exact import Exact


def response(task: Task) -> Callable[[], FloatArray]:
    """The gradient with all defaults: linear response of exact ground states."""
    loss = losses.mean_squared_error()
    return lambda: qeqprop.gradient(task.network, task.theta, task.x, task.y, loss=loss).values


def nudging(task: Task) -> Callable[[], FloatArray]:
    """The free and two nudged ground states of every sample, as all the peers do it."""
    loss, rule, solver = losses.mean_squared_error(), SymmetricNudging(task.beta), Exact()
    case = (task.network, task.theta, task.x, task.y)
    return lambda: qeqprop.gradient(*case, loss=loss, rule=rule, solver=solver).values


def warm_response(task: Task, *, residual: float = 1e-6) -> Callable[[], FloatArray]:
    """A step inside a training: linear response at a looser tolerance, started where the last step stopped."""
    scale = np.max(np.sum(np.abs(task.coefficients), axis=1))  # tolerances are relative to this; a tenth is aimed at
    solver, loss = Exact(tolerance=10 * residual / scale), losses.mean_squared_error()
    zeros = np.zeros((1, task.batch, task.network.n_outputs))

    def step(theta: FloatArray, start: Start | None) -> tuple[FloatArray, Start]:
        settle = bind(task.network, theta, task.x, solver, key=(0,))
        free = settle(zeros, want=Want.OUTPUTS, start=start)
        error = loss.gradient(free.outputs.values[0], task.y)
        answer = settle(error[None], want=Want.RESPONSE, start=free.start)
        return np.mean(answer.response.values[0], axis=0), free.start

    values, _ = step(task.theta, None)
    before = task.theta + 0.05 * values  # the parameters from which gradient descent would have come here
    _, start = step(before, None)
    return lambda: step(task.theta, start)[0]


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Inside, kernels and BLAS use so many threads of those that the process was given."""
    before = numba.get_num_threads()
    numba.set_num_threads(count)  # for the loop that measures the memory
    try:
        with threadpool_limits(limits=count), engine_threads(count):
            yield
    finally:
        numba.set_num_threads(before)


def rotation(size: int) -> int:
    """How many vectors the applications rotate through."""
    return max(2, min(16, (1 << 28) // size))


def applier(task: Task) -> Callable[[int], None]:
    """``count`` times H times a vector, for the first sample; the vectors rotate, as in a Lanczos iteration."""
    layout = layout_of(PauliTable.of(task.network.strings))
    size = 1 << layout.sites
    coefficients = np.ascontiguousarray(task.coefficients[:1])
    vectors = uninitialised(rotation(size) * (size + SKEW))
    vectors[:] = np.random.default_rng(0).normal(size=vectors.size)
    diagonal, parts = uninitialised(size), uninitialised(operator_space(layout))
    ranks = get_threads() if layout.sites >= TEAM_SITES else 1
    first = np.zeros(1, dtype=np.int64)
    build_operator(layout, coefficients, first, diagonal, parts, uninitialised(size), teams(1)[0], (0,))

    def repeat(count: int) -> None:
        run([partial(_applies, layout, count, vectors, diagonal, parts, team, (0,)) for team in teams(ranks)])

    return repeat


@numba.njit(nogil=True)
def _applies(layout, count, vectors, diagonal, parts, team, tag):
    size = 1 << layout.sites
    width = size + SKEW
    operator, dots = empty_operator(layout, diagonal, parts, team, tag), np.empty(1)
    last = vectors.size // width
    for step in range(count):
        x, y = step % last * width, (step + 1) % last * width
        apply(operator, at(vectors, x), at(vectors, y), dots, team, tag)
        wait(team)
