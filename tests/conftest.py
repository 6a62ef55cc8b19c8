"""Settings of the whole test suite."""

import os
from typing import Any

# one BLAS thread: small matrices, several test workers
for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np  # noqa: E402
import pytest  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402

from qeqprop.engine import circuit_runs, compiled, memory, thermal  # noqa: E402
from qeqprop.interfaces import FloatArray  # noqa: E402

settings.register_profile("quiet", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
settings.load_profile("quiet")


@pytest.fixture(autouse=True)
def poisoned_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workspaces of the engine are NaN before each call: a kernel that reads what nobody wrote gives itself away.

    Fresh memory is nearly always zero or finite, so that such a mistake may stay unseen for long.
    """

    def poisoned(*shape: int, dtype: np.dtype[Any] = memory.DOUBLE) -> FloatArray:
        room = memory.uninitialised(*shape, dtype=dtype)
        room.view(np.uint8)[...] = 0xFF  # NaN in single as in double precision
        return room

    for module in (compiled, thermal, circuit_runs):
        monkeypatch.setattr(module, "uninitialised", poisoned)
    monkeypatch.setattr(compiled, "_KEPT_SPACE", -1)
    monkeypatch.setattr(circuit_runs, "_KEPT_AMPLITUDES", -1)
