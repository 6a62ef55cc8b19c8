"""Families of circuits for given Pauli strings: one file, one ansatz."""

from qeqprop import lazy_members

__getattr__, __dir__ = lazy_members(__name__)
