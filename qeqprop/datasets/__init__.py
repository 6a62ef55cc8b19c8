"""Functions that return a `Dataset`: one file, one source of samples."""

from qeqprop import lazy_members

__getattr__, __dir__ = lazy_members(__name__)
