"""What this package is asked: the only file of the benchmarks that knows how."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numba
import numpy as np
from tasks import Task
from threadpoolctl import threadpool_limits

import qeqprop
from qeqprop import losses
from qeqprop.engine.paulis import PauliTable
from qeqprop.interfaces import FloatArray, Start, Want
from qeqprop.propagation import bind
from qeqprop.rules.nudging import SymmetricNudging
from qeqprop.solvers.exact import Exact


def response(task: Task) -> Callable[[], FloatArray]:
    """The gradient with all defaults: linear response of exact ground states."""
    loss = losses.mean_squared_error()
    return lambda: qeqprop.gradient(task.network, task.theta, task.x, task.y, loss=loss).values


def nudging(task: Task) -> Callable[[], FloatArray]:
    """The free and two nudged ground states of every sample, as all the peers do it."""
    loss, rule, solver = losses.mean_squared_error(), SymmetricNudging(task.beta), Exact(tolerance=1e-10)
    case = (task.network, task.theta, task.x, task.y)
    return lambda: qeqprop.gradient(*case, loss=loss, rule=rule, solver=solver).values


def warm_response(task: Task, *, tolerance: float = 1e-6) -> Callable[[], FloatArray]:
    """A step inside a training: linear response at a looser tolerance, started where the last step stopped."""
    solver, loss = Exact(tolerance=tolerance), losses.mean_squared_error()
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
    numba.set_num_threads(count)
    try:
        with threadpool_limits(limits=count):
            yield
    finally:
        numba.set_num_threads(before)


def applier(task: Task) -> Callable[[int], None]:
    """``count`` times H times a vector, for the first sample."""
    # PLACEHOLDER until the compiled kernels are there: the numpy twin, called from Python.
    table = PauliTable.of(task.network.strings)
    diagonals = table.diagonals(task.coefficients[0])
    state = np.random.default_rng(0).normal(size=table.dim)

    def repeat(count: int) -> None:
        for _ in range(count):
            table.apply(diagonals, state)

    return repeat
