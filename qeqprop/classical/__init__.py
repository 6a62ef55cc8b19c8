"""Classical networks and their equilibria: Ising spins, continuous variables; one file, one network or one solver.

Ising networks are Pauli sums with no letter but Z (`ising`), settled by enumeration or by samplers. Any other energy is
a network of its own kind: a frozen dataclass with the members of `interfaces.EnergyNetwork`, whose `pose` makes the
problem that its solvers take. All are trained by the same rules, losses, optimisers, ledger and run files.
"""

from qeqprop import lazy_members

__getattr__, __dir__ = lazy_members(__name__)
