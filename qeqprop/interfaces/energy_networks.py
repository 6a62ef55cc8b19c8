"""Networks of any other kind, classical ones among them: any energy with parameters."""

from __future__ import annotations

from typing import Any, Protocol

from numpy.typing import ArrayLike

from qeqprop.interfaces.arrays import FloatArray, NumberArray
from qeqprop.interfaces.networks import Network
from qeqprop.interfaces.settling import Want
from qeqprop.interfaces.states import Start


class Posed(Protocol):
    """A network at its parameters and at a batch of inputs: it poses what a solver settles."""

    @property
    def driving(self) -> FloatArray | float:
        """Factors (batch, n_trainable), or 1, that turn measured observables into ``dE/dtheta``."""
        ...

    def __len__(self) -> int:
        """The batch."""
        ...

    def equilibria(self, nudges: NumberArray, want: Want, start: Start | None, key: tuple[int, ...]) -> Any:
        """The problem that solvers of this kind of network take.

        Their `Solution` has these observables, one after the other: the outputs (n_outputs,), if wanted; the sums
        ``O_k + O_l`` for all pairs k < l, if `Want.COVARIANCES` is; ``dE/dtheta`` divided by ``driving``
        (n_trainable,), if the energy gradient or the response is.

        Args:
            nudges: (n_nudges * batch, n_outputs), the batch is the inner axis. With `Want.RESPONSE` the states stay
                free and these are the directions of the response.
            want: what the rule wants to know.
            start: where a nearby solution stopped, or None.
            key: names the random streams of the call.
        """
        ...


class EnergyNetwork(Protocol):
    """A network that is no Pauli sum, as rules, training, ledger and command see it: any energy with parameters.

    It is settled by solvers whose ``solve(problem: ...)`` is annotated with the kind of problem that its `pose` poses;
    others are refused by name. Whatever asks for `Settle` works with it.
    """

    @property
    def n_inputs(self) -> int: ...

    @property
    def n_trainable(self) -> int: ...

    @property
    def n_outputs(self) -> int: ...

    @property
    def n_variables(self) -> int: ...

    @property
    def initial(self) -> FloatArray: ...

    @property
    def term_names(self) -> tuple[str, ...]: ...

    def check_theta(self, theta: ArrayLike) -> FloatArray: ...

    def check_x(self, x: ArrayLike) -> FloatArray: ...

    def with_squares(self) -> EnergyNetwork: ...

    def pose(self, theta: ArrayLike, x: ArrayLike) -> Posed:
        """Binds parameters (n_trainable,) and inputs (batch, n_inputs), checked."""
        ...


AnyNetwork = Network | EnergyNetwork
