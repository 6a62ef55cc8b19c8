"""Learning rules, from settled states to a gradient: one file, one rule."""

from qeqprop import lazy_members

__getattr__, __dir__ = lazy_members(__name__)
