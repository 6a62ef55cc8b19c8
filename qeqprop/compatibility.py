"""What every part of a run file allows but the parts together do not, found before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from qeqprop.checks import finite_array
from qeqprop.classical.chains import Gibbs, Metropolis, Tempering
from qeqprop.classical.enumeration import Enumeration
from qeqprop.classical.external import External
from qeqprop.classical.gaussian import Gaussian
from qeqprop.classical.langevin import Langevin
from qeqprop.classical.low_temperature import LowTemperature
from qeqprop.classical.quadrature import Quadrature
from qeqprop.classical.relaxation import Relaxation
from qeqprop.interfaces import AnyNetwork, Dataset, Loss, Network, Samples, Solver
from qeqprop.measurement_count import demands
from qeqprop.optimizers import Schedule
from qeqprop.propagation import MEASURING_RESPONSES, at_temperature
from qeqprop.runfile import Problem
from qeqprop.settling import check_kind
from qeqprop.solvers.adiabatic import Adiabatic
from qeqprop.solvers.dmrg import DMRG
from qeqprop.solvers.equal_time import EqualTime
from qeqprop.solvers.exact import Exact
from qeqprop.solvers.imaginary_time import ImaginaryTime
from qeqprop.solvers.random_time import RandomTime
from qeqprop.solvers.sampled import Sampled
from qeqprop.solvers.thermal_imaginary_time import ThermalImaginaryTime
from qeqprop.solvers.thermofield import Thermofield
from qeqprop.solvers.typical import Typical
from qeqprop.solvers.variational import Variational

_CONTINUOUS = (Gaussian, Langevin, LowTemperature, Quadrature, Relaxation)
_SPINS = (Enumeration, External, Gibbs, Metropolis, Tempering)
CLASSICAL = (*_SPINS, *_CONTINUOUS)
_WITHOUT_CIRCUITS = (Exact, Typical, Sampled, DMRG, *CLASSICAL)
_WITHOUT_RESPONSE = (Sampled, DMRG, Adiabatic, Thermofield, ThermalImaginaryTime)
_WITHOUT_COMPLEX_NUDGES = (
    Sampled,
    DMRG,
    Typical,
    Variational,
    Adiabatic,
    ImaginaryTime,
    EqualTime,
    RandomTime,
    Thermofield,
    ThermalImaginaryTime,
    *CLASSICAL,
)
"""What the solvers of this package cannot do; others say so themselves, in their first call."""

_EXAMPLES = {
    True: 'For Pauli sums there are "exact:Exact" and, where all letters are Z, "qeqprop.classical.chains:Gibbs".',
    False: 'There are "qeqprop.classical.relaxation:Relaxation" and "qeqprop.classical.langevin:Langevin".',
}


def misfits(
    network: AnyNetwork | None, data: Dataset | None, loss: Loss | None, batch: int | None
) -> Iterator[Problem]:
    """What each part allows but the parts together do not."""
    if data is None:
        return
    wrong = [*_unfit_samples("train", data.train), *_unfit_samples("test", data.test)]
    if wrong:
        yield from wrong
        return
    (x, y), n_samples = data.train, len(data.train.x)
    if n_samples == 0:
        yield Problem(("data",), "holds no samples to learn from")
        return
    if batch is not None and batch > n_samples:
        yield Problem(("train", "batch"), f"must be at most the number of samples, {n_samples}, but is {batch}")
    if network is None:
        return
    if network.n_trainable == 0:
        yield Problem(("network",), "has nothing to train")
    if x.shape[1] != network.n_inputs:
        yield Problem(("data",), f"has {x.shape[1]} features, but the network takes {network.n_inputs} inputs")
    if y.shape[1] not in (0, network.n_outputs):
        yield Problem(("data",), f"has {y.shape[1]} target columns, but the network has {network.n_outputs} outputs")
    elif loss is not None:
        targets = y[:batch]
        predictions = np.zeros((len(targets), network.n_outputs * (2 if loss.squares else 1)))
        try:
            loss.value(predictions, targets)
            loss.gradient(predictions, targets)
        except ValueError as error:
            yield Problem(("loss",), f"does not fit the data and the outputs of the network: {error}")


def _unfit_samples(name: str, samples: Samples) -> Iterator[Problem]:
    """What is no table of finite numbers, one row for each sample."""
    try:
        x = finite_array(f"{name}.x", samples.x, "(n_samples, n_inputs)", (None, None))
        finite_array(f"{name}.y", samples.y, "(n_samples, n_targets)", (len(x), None))
    except ValueError as error:
        yield Problem(("data",), str(error))
        return
    if not (isinstance(samples.x, np.ndarray) and isinstance(samples.y, np.ndarray)):  # pyright: ignore
        yield Problem(("data",), f"must give arrays as {name}.x and {name}.y: write np.array(...)")


def refusals(built: Mapping[str, Any], batch: int | None) -> Iterator[Problem]:
    """What the solver would refuse in its first call, found before anything runs."""
    solver, device = built["solver"], built["device"]
    try:
        check_kind(built["network"], solver)
    except ValueError as error:
        yield Problem(("solver",), f"{error} {_EXAMPLES[isinstance(built['network'], Network)]}")
        return
    name, rule = type(solver).__name__, type(built["rule"]).__name__
    if isinstance(solver, _SPINS) and _flips(built["network"]):
        diagonal = 'its diagonal limit is { use = "qeqprop.classical.ising:ising_of", network = { use = .. } }'
        yield Problem(("network",), f"holds X or Y, but {name} knows spins along Z only: {diagonal}")
        return
    computing = solver.solver if isinstance(solver, EqualTime) else solver
    if device is not None and isinstance(computing, _WITHOUT_CIRCUITS):
        message = f"must be left out with the solver {name}, which computes its states and runs no circuits"
        other = "" if isinstance(computing, CLASSICAL) else ', or take one that does, such as "variational:Variational"'
        yield Problem(("device",), message + other)
        return
    wanted = demands(built["network"], built["rule"], built["loss"], built["data"].train.y[:batch])
    advice = 'use a nudging rule, such as "nudging:SymmetricNudging"'
    responses = wanted.response and not isinstance(solver, MEASURING_RESPONSES)
    if device is not None and not device.reads_states and (responses or wanted.complex):
        yield Problem(
            ("rule",), f"{rule} asks for a response or for complex nudges, which no device measures: {advice}"
        )
        return
    if wanted.response and isinstance(solver, _WITHOUT_RESPONSE):
        yield Problem(("rule",), f"{rule} asks for a response, which {name} cannot give: {advice}")
    if wanted.complex and isinstance(solver, _WITHOUT_COMPLEX_NUDGES):
        yield Problem(("rule",), f"{rule} asks for complex nudges, which {name} cannot settle: {advice}")


def _flips(network: Network) -> bool:
    """Whether anything in the Hamiltonian flips a spin."""
    held = np.concatenate([network.static[None], network.inputs, network.trainable])
    return bool(np.any(held[:, np.any(network.strings.x, axis=1)]))


def unheatable(solver: Solver, temperature: Schedule, steps: int) -> Iterator[Problem]:
    """What is wrong with a schedule of temperatures, at its beginning or its end."""
    try:
        for step in (1, steps):
            at_temperature(solver, temperature(step - 1))
    except ValueError as error:
        yield Problem(("train", "temperature"), str(error))
