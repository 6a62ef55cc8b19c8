"""The arrays that everything is made of, float64 and complex128 throughout; shapes stand in the docstrings."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]
NumberArray = NDArray[Any]  # float64, or complex128 where a string or a nudge is complex
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
