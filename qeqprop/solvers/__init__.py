"""Ways to reach equilibrium: one file, one solver."""

from qeqprop import lazy_members

__getattr__, __dir__ = lazy_members(__name__)
