"""Functions that return a `Network`: one file, one kind of network."""

from qeqprop import lazy_members

__getattr__, __dir__ = lazy_members(__name__)
