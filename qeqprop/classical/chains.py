"""Samplers of Ising networks: thousands of Markov chains in lockstep, compiled.

All three give Gibbs states ``p ~ exp(-E / T)`` of any Pauli sum without X and Y, with any number of spins in a string.
Expectations are averages over chains, the response is the covariance ``-(1/T) Cov(N, A)`` of the same chains
(fluctuation and dissipation), and errors are the spread between chains.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt

from qeqprop.checks import check_fields
from qeqprop.classical._lockstep import Chains, Method, settle_by_chains
from qeqprop.engine.spin_sweeps import HEAT_BATH, METROPOLIS
from qeqprop.interfaces import Equilibria, Measure, Solution


@dataclass(frozen=True)
class Gibbs(Chains):
    """Heat-bath updates, block by block: ``p(s_k = +1) = 1 / (1 + exp(2 h_k / T))``, h the field of the other spins.

    Sites are coloured so that no two of a colour share a string; a sweep goes colour by colour, in a layered network
    layer by layer. A chain that starts where another call stopped (a nudged state from its free one) runs through the
    same number of sweeps before its first sample; where these are too few to forget it, nudged states have a part of
    their noise in common, and their difference is quieter than its error says.

    Attributes:
        temperature: above zero.
        chains: independent ones for each sample of the batch. The standard errors come from their spread, so 64 know
            their error to 9 %.
        samples: of each chain; a call that asks for a precision takes as many more as this needs.
        burn_in: sweeps before the first sample.
        thin: sweeps between samples.
        r_hat: largest one without a warning.
        variates: subtracts what one more heat-bath update of each spin would change on average, whose mean is zero and
            whose noise is that of the samples in part: averages and covariances are quieter, most at high temperatures.
            The weights of one half of the chains come from the other half, so that nothing is biased. Takes at least 16
            chains.

    Raises:
        ValueError: for strings with X or Y, complex nudges, or a precision out of reach.

    Source: Geman & Geman, IEEE Trans. Pattern Anal. Mach. Intell. 6, 721 (1984).
    """

    def __post_init__(self) -> None:
        check_fields(self)

    def solve(self, problem: Equilibria, measure: Measure | None = None, *, precision: float | None = None) -> Solution:
        """Samples, and samples again for longer if a string's standard error exceeds ``precision``."""
        method = Method("Gibbs", HEAT_BATH, True, (self.temperature,))
        return settle_by_chains(problem, measure, method, self, precision)


@dataclass(frozen=True)
class Metropolis(Chains):
    """One site after the other is flipped with the probability ``min(1, exp(-dE / T))``.

    Attributes:
        temperature, chains, samples, burn_in, thin, r_hat, variates: as for `Gibbs`.

    Raises:
        ValueError: as `Gibbs`.

    Source: Metropolis et al., J. Chem. Phys. 21, 1087 (1953).
    """

    def __post_init__(self) -> None:
        check_fields(self)

    def solve(self, problem: Equilibria, measure: Measure | None = None, *, precision: float | None = None) -> Solution:
        """Samples, and samples again for longer if a string's standard error exceeds ``precision``."""
        method = Method("Metropolis", METROPOLIS, False, (self.temperature,))
        return settle_by_chains(problem, measure, method, self, precision)


@dataclass(frozen=True)
class Tempering(Chains):
    """Heat-bath chains at several temperatures that exchange their states: for energies with many valleys.

    Neighbours a, b exchange with the probability ``min(1, exp((1/T_a - 1/T_b)(E_a - E_b)))`` after each sweep, every
    other pair in turn. The temperatures rise geometrically from the sampled one; only the coldest is measured.

    Attributes:
        temperature: the sampled one, above zero.
        hottest: the highest one.
        rungs: how many temperatures.
        chains, samples, burn_in, thin, r_hat, variates: as for `Gibbs`; every chain has all rungs.

    Raises:
        ValueError: as `Gibbs`, and for a hottest temperature below the sampled one.

    Source: Hukushima & Nemoto, J. Phys. Soc. Jpn. 65, 1604 (1996).
    """

    hottest: Annotated[float, Gt(0)] = 4.0
    rungs: Annotated[int, Ge(2)] = 8

    def __post_init__(self) -> None:
        check_fields(self)
        if self.hottest <= self.temperature:
            raise ValueError(
                f"Argument `hottest` must be above the temperature {self.temperature}, but is {self.hottest}."
            )

    def solve(self, problem: Equilibria, measure: Measure | None = None, *, precision: float | None = None) -> Solution:
        """Samples, and samples again for longer if a string's standard error exceeds ``precision``."""
        ladder = np.geomspace(self.temperature, self.hottest, self.rungs).tolist()
        method = Method("Tempering", HEAT_BATH, True, ladder)
        return settle_by_chains(problem, measure, method, self, precision)
