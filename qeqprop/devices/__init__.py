"""Where circuits run: one file, one kind of device."""

from qeqprop import lazy_members

__getattr__, __dir__ = lazy_members(__name__)
