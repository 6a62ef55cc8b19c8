"""Every contract of the package, one page each: read this first.

A learning rule turns a batch of samples into the equilibria it wants; a solver turns each equilibrium into numbers::

    LearningRule --nudges--> Network --Equilibria--> Solver --Measurement--> Device
                 <-Settled--         <---Solution---        <---Measured----

A solver that runs no circuits needs no device.

Conventions, once and for all:

* Site ``k`` is qubit ``k`` of qiskit: the *rightmost* character of a Pauli label is site 0.
* ``beta`` is the strength of the nudge, ``temperature`` the temperature (k_B = hbar = 1); energies are dimensionless.
* A nudge is *added*: ``H_nudged = H + sum_k nudge_k O_k``.
* The error signal ``e`` of sample ``s`` is ``batch * dL/dy_s``. So ``dL/dtheta`` is the batch mean of
  ``sum_k e_k dy_k/dtheta``, for losses that average over samples and for losses that join them.
* A batch is an array axis: the equilibria of one call share their Pauli strings and differ in coefficients.

The pages, each of which needs only those above it; everybody else imports from here, ``from qeqprop.interfaces import
Network``:

* ``arrays``: the arrays that everything is made of;
* ``states``, ``operators``, ``circuits``: what is known of a settled state, Pauli sums, parametrised circuits;
* ``devices``: where circuits run; ``solvers``: what a solver is asked, and what it answers;
* ``settling``: what a rule asks, and what it gets; ``learning``: rules, losses, gradients, optimisers;
* ``networks``: spins; ``energy_networks``: networks of any other kind.
"""

from qeqprop.interfaces.arrays import BoolArray, ComplexArray, FloatArray, IntArray, NumberArray
from qeqprop.interfaces.circuits import Ansatz, EnergyGradient, GrowingAnsatz, Measurement, Trial
from qeqprop.interfaces.devices import Canary, Device, JobCost, JobState, Lesson, Measure, Measured, RemoteDevice
from qeqprop.interfaces.energy_networks import AnyNetwork, EnergyNetwork, Posed
from qeqprop.interfaces.learning import (
    Dataset,
    Gradient,
    LearningRule,
    Loss,
    Optimizer,
    OptimizerState,
    Penalty,
    Samples,
)
from qeqprop.interfaces.networks import Network
from qeqprop.interfaces.operators import PauliSums
from qeqprop.interfaces.settling import Settle, Settled, Want
from qeqprop.interfaces.solvers import Equilibria, Solution, Solver, refuse_device
from qeqprop.interfaces.states import Certificate, Expectations, NotConverged, PhysicsWarning, Start

__all__ = [
    "Ansatz",
    "AnyNetwork",
    "BoolArray",
    "Canary",
    "Certificate",
    "ComplexArray",
    "Dataset",
    "Device",
    "EnergyGradient",
    "EnergyNetwork",
    "Equilibria",
    "Expectations",
    "FloatArray",
    "Gradient",
    "GrowingAnsatz",
    "IntArray",
    "JobCost",
    "JobState",
    "LearningRule",
    "Lesson",
    "Loss",
    "Measure",
    "Measured",
    "Measurement",
    "Network",
    "NotConverged",
    "NumberArray",
    "Optimizer",
    "OptimizerState",
    "PauliSums",
    "Penalty",
    "PhysicsWarning",
    "Posed",
    "RemoteDevice",
    "Samples",
    "Settle",
    "Settled",
    "Solution",
    "Solver",
    "Start",
    "Trial",
    "Want",
    "refuse_device",
]
