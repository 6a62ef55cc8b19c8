"""A network that is no Pauli sum goes through the same rules, training and run files: springs pulled by their input."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

import qeqprop
from qeqprop import losses
from qeqprop.checks import finite_array
from qeqprop.interfaces import Certificate, Expectations, FloatArray, Samples, Solution, Start, Want
from qeqprop.networks.transverse_ising import transverse_ising
from qeqprop.rules.linear_response import LinearResponse
from qeqprop.rules.nudging import SymmetricNudging
from qeqprop.solvers.exact import Exact


@dataclass(frozen=True, eq=False)
class Pulled:
    """Stiffness k (rows,), force f (rows,), along which to respond (rows,) or None, and what to measure."""

    stiffness: FloatArray
    force: FloatArray
    respond: FloatArray | None
    want: Want


@dataclass(frozen=True, eq=False)
class PosedSprings:
    stiffness: FloatArray
    force: FloatArray
    driving: float = 1.0

    def __len__(self):
        return len(self.force)

    def equilibria(self, nudges, want, start, key):
        copies = len(nudges) // len(self)
        force, stiffness = np.tile(self.force, copies), np.tile(self.stiffness, copies)
        if Want.RESPONSE in want:
            return Pulled(stiffness, force, nudges[:, 0], want)
        return Pulled(stiffness, force - nudges[:, 0], None, want)


@dataclass(frozen=True, eq=False)
class Springs:
    """``E = sum_j theta_j s^2 / 2 - x s`` with the output s, at rest at ``s = x / sum(theta)``."""

    n_springs: int = 2
    n_inputs: int = 1
    n_outputs: int = 1
    n_variables: int = 1

    @property
    def n_trainable(self):
        return self.n_springs

    @property
    def initial(self):
        return np.full(self.n_springs, 1.0)

    @property
    def term_names(self):
        return tuple(f"spring {j}" for j in range(self.n_springs))

    def check_theta(self, theta):
        return finite_array("theta", theta, "(n_trainable,)", (self.n_trainable,))

    def check_x(self, x):
        return finite_array("x", x, "(batch, n_inputs)", (None, 1))

    def with_squares(self):
        raise ValueError("Springs have no cost observable.")

    def pose(self, theta, x):
        x = self.check_x(x)
        return PosedSprings(np.full(len(x), np.sum(self.check_theta(theta))), x[:, 0])


@dataclass(frozen=True)
class Rest:
    """Springs at rest."""

    def solve(self, problem: Pulled, measure=None, *, precision=None):
        s = problem.force / problem.stiffness
        along = np.zeros_like(s) if problem.respond is None else -problem.respond / problem.stiffness
        values, slopes = [], []
        if Want.OUTPUTS in problem.want:
            values.append(s)
            slopes.append(along)
        if problem.want & (Want.ENERGY_GRADIENT | Want.RESPONSE):
            values += [s**2 / 2] * 2
            slopes += [s * along] * 2
        none, zero = np.zeros(len(s), dtype=np.int64), np.zeros(len(s))
        certificate = Certificate(zero, zero, zero, none, none, zero, zero, zero, none == 0)
        return Solution(
            Expectations.exact(np.stack(values, axis=1)),
            None if problem.respond is None else Expectations.exact(np.stack(slopes, axis=1)),
            -(s**2) * problem.stiffness / 2,
            certificate,
            Start({"s": s}),
        )


X, Y = np.array([[1.0], [-2.0]]), np.array([[0.2], [-0.4]])
CASE = (Springs(), np.array([0.7, 0.9]), X, Y)


@pytest.mark.parametrize("rule", [LinearResponse(), SymmetricNudging(beta=1e-4)])
def test_rules_serve_it(rule):
    """``dL/dtheta_j = mean 2 (y - t) dy/dtheta``, ``dy/dtheta = -x / k^2``."""
    found = qeqprop.gradient(*CASE, loss=losses.mean_squared_error, rule=rule, solver=Rest())
    k, x = 1.6, X[:, 0]
    wanted = np.mean(2 * (x / k - Y[:, 0]) * -x / k**2)
    np.testing.assert_allclose(found.values, wanted, rtol=1e-6)
    assert qeqprop.check_gradient(*CASE, loss=losses.mean_squared_error, rule=rule, solver=Rest()).cosine > 1 - 1e-9


def test_training_serves_it():
    states = list(qeqprop.train(Springs(), Samples(X, Y), loss=losses.mean_squared_error, steps=200, solver=Rest()))
    assert states[-1].loss < 1e-3 < states[0].loss
    np.testing.assert_allclose(qeqprop.predict(Springs(), states[-1].theta, X, solver=Rest()), Y, atol=0.05)


def test_solvers_of_another_kind_are_refused():
    with pytest.raises(ValueError, match=r"`solver` must settle the Pulled of this network, but Exact settles"):
        qeqprop.gradient(*CASE, loss=losses.mean_squared_error, solver=Exact())
    ising = transverse_ising(sites=2)
    with pytest.raises(ValueError, match=r"`solver` must settle the Equilibria of this network, but Rest settles"):
        qeqprop.predict(ising, ising.initial, np.zeros((1, 0)), solver=Rest())


RUN_FILE = """
schema = 1
loss = { use = "mean_squared_error" }
[network]
use = "test_other_networks:Springs"
[data]
use = "test_other_networks:data"
[solver]
use = "test_other_networks:Rest"
[train]
steps = 5
"""


def data() -> qeqprop.interfaces.Dataset:
    return qeqprop.interfaces.Dataset(Samples(X, Y), Samples(X, Y))


def test_run_files_serve_it(tmp_path):
    path = tmp_path / "springs.toml"
    path.write_text(RUN_FILE)
    experiment = qeqprop.Experiment.load(path)
    check = experiment.check()
    assert (check.sites, check.strings, check.trainable, check.settings, check.shift_settings) == (1, 0, 2, None, None)
    run = experiment.run(tmp_path / "runs")
    assert run.metrics["validation_loss"] < 1.0
    assert (run.folder / "weights.npz").exists()
    with pytest.raises(ValueError, match="Exact settles Equilibria"):
        qeqprop.Experiment.load(path, ["solver.use=exact:Exact"])


def test_certificates_of_chains_and_of_states_join():
    one = Certificate(*(np.zeros(2) for _ in range(9)))
    other = replace(one, autocorrelation=np.ones(2))
    joined = one.join([other])
    np.testing.assert_array_equal(joined.autocorrelation, [np.nan, np.nan, 1.0, 1.0])
    assert joined.r_hat is None
    assert joined.map(lambda array: array[:1]).autocorrelation.shape == (1,)
