"""Which rule has the smaller error for a given number of samples: the response without a nudge, or a nudged difference.

For a network at a temperature T with the cost C and M independent samples the two errors are, per component,

    response     std((C - <C>)(A - <A>)) / (T sqrt(M)),      no bias
    nudging      std(A) / (b sqrt(M)) and a bias of order b^2

so that the response wins while ``b std(C) / T`` is below about one at the largest nudge b whose bias is bearable. All
of this is measured by a pilot: both rules, the second at several nudges, on the network, data and solver in question.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from qeqprop.interfaces import AnyNetwork, FloatArray, Gradient, Loss, Solver
from qeqprop.propagation import gradient
from qeqprop.rules.linear_response import LinearResponse
from qeqprop.rules.nudging import SymmetricNudging

BETAS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)

_SEEN = 4.0
"""A bias counts as seen from this many standard errors of its square on."""


@dataclass(frozen=True, eq=False)
class Advice:
    """What a pilot says, all errors being root mean squares over the components of the gradient.

    Attributes:
        rule: the one with the smaller error.
        budget: samples of a gradient that the errors are for.
        response_error: expected error of `LinearResponse`.
        betas: (n_betas,) the nudges that were tried.
        noises, biases: (n_betas,) of `SymmetricNudging`; a bias that drowns in the pilot's noise counts as zero.
        pulls: (n_betas,) error of the response over the noise of nudging, at equal samples: about ``b std(C) / T``.
        gradient_norm: root mean square of the gradient itself.
        shots: samples that the pilot took.
    """

    rule: LinearResponse | SymmetricNudging
    budget: int
    response_error: float
    betas: FloatArray
    noises: FloatArray
    biases: FloatArray
    pulls: FloatArray
    gradient_norm: float
    shots: int

    @property
    def nudging_errors(self) -> FloatArray:
        """Noise and bias together, (n_betas,)."""
        return np.hypot(self.noises, self.biases)

    def __str__(self) -> str:
        best = int(np.argmin(self.nudging_errors))
        lines = [f"{'beta':>8}  {'noise':>9}  {'bias':>9}  {'error':>9}  {'b std(C)/T':>10}"]
        for beta, noise, bias, error, pull in zip(
            self.betas, self.noises, self.biases, self.nudging_errors, self.pulls, strict=True
        ):
            lines.append(f"{beta:>8.3g}  {noise:>9.2e}  {bias:>9.2e}  {error:>9.2e}  {pull:>10.2f}")
        lines.append(f"response  {self.response_error:>8.2e}  no bias (gradient: {self.gradient_norm:.2e})")
        response = isinstance(self.rule, LinearResponse)
        use = "linear_response:LinearResponse" if response else f"nudging:SymmetricNudging, beta = {self.betas[best]:g}"
        lines.append(
            f"With {self.budget} samples a gradient take {use}: at its best nudge, {self.betas[best]:g}, nudging has "
            f"an error of {self.nudging_errors[best]:.2e}, the response one of {self.response_error:.2e}. There "
            f"b std(C)/T is {self.pulls[best]:.2g}: below about one, fluctuations show more than a push whose bias is "
            "bearable; above it, the push does."
        )
        return "\n".join(lines)


def advise(
    network: AnyNetwork,
    theta: ArrayLike,
    x: ArrayLike,
    y: ArrayLike,
    *,
    loss: Loss | Callable[[], Loss],
    solver: Solver,
    budget: int | None = None,
    betas: Sequence[float] = BETAS,
    seed: int = 0,
) -> Advice:
    """Tries both rules once and says which has the smaller error.

    Args:
        network, theta, x, y, loss, solver: as for `gradient`; the solver samples and answers responses.
        budget: samples of one gradient, over the whole batch; by default what the response takes with this solver.
        betas: nudges to try.
        seed: of the pilot.

    Raises:
        ValueError: for a solver that does not sample, a budget below one, or nudges that are not above zero.
    """

    def tried(rule: LinearResponse | SymmetricNudging) -> Gradient:
        return gradient(network, theta, x, y, loss=loss, rule=rule, solver=solver, seed=seed)

    free = tried(LinearResponse())
    if free.shots == 0:
        raise ValueError(
            f"Argument `solver` must sample, but {type(solver).__name__} computes: there LinearResponse has no error."
        )
    budget = free.shots if budget is None else budget
    if budget < 1:
        raise ValueError(f"Argument `budget` must be at least 1, but is {budget}.")
    strengths = np.asarray(betas, dtype=np.float64)
    nudged = [tried(SymmetricNudging(beta)) for beta in strengths.tolist()]
    noises = np.array([_noise(one, budget) for one in nudged])
    biases = _biases(free, nudged, strengths)
    response = _noise(free, budget)
    best = int(np.argmin(np.hypot(noises, biases)))
    wins = response <= float(np.hypot(noises[best], biases[best]))
    return Advice(
        rule=LinearResponse() if wins else SymmetricNudging(float(strengths[best])),
        budget=budget,
        response_error=response,
        betas=strengths,
        noises=noises,
        biases=biases,
        pulls=response / noises,
        gradient_norm=_size(free.values),
        shots=free.shots + sum(one.shots for one in nudged),
    )


def _size(values: FloatArray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _noise(found: Gradient, budget: int) -> float:
    """The noise of a gradient with the budget in place of what it took."""
    return _size(found.std_errors) * float(np.sqrt(found.shots / budget))


def _biases(free: Gradient, nudged: Sequence[Gradient], betas: FloatArray) -> FloatArray:
    """Root mean square bias of each nudge, the noise of the pilot subtracted, (n_betas,).

    Where that leaves nothing to be seen, the bias is that of the next larger nudge that shows one, times the square of
    the ratio of the nudges.
    """
    biases = np.zeros(len(betas))
    order = np.argsort(-betas)  # the largest first
    larger: int | None = None
    for index in order:
        one = nudged[index]
        squares = (one.values - free.values) ** 2
        variances = one.std_errors**2 + free.std_errors**2
        excess, doubt = float(np.mean(squares - variances)), float(np.sqrt(2 * np.mean(variances**2) / len(squares)))
        if excess > _SEEN * doubt:
            biases[index], larger = np.sqrt(excess), int(index)
        elif larger is not None:
            biases[index] = biases[larger] * (betas[index] / betas[larger]) ** 2
    return biases
