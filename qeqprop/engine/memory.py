"""Memory that vector code reads and writes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from qeqprop.interfaces import FloatArray

DOUBLE = np.dtype(np.float64)
CACHE_LINE = 64
"""Bytes."""


def uninitialised(*shape: int, dtype: np.dtype[Any] = DOUBLE) -> FloatArray:
    """Whatever numbers were there, from the beginning of a cache line on: a vector in two lines takes twice as long."""
    size = math.prod(shape)
    room = np.empty(size + CACHE_LINE // dtype.itemsize, dtype)
    begin = (-room.ctypes.data % CACHE_LINE) // dtype.itemsize
    return room[begin : begin + size].reshape(shape)
