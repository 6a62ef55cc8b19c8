"""IBM's service on this computer, for the device that needs it."""

import pytest

from qeqprop import patience
from qeqprop.patience import Patience
from qeqprop.rehearsal.server import Rehearsal


@pytest.fixture(scope="module")
def service():
    """The stand-in, and its address in the environment; what a job draws there is a function of its tags."""
    with pytest.MonkeyPatch.context() as patch, Rehearsal(("kingston_8.toml",)) as rehearsal:
        for name, value in rehearsal.environment().items():
            patch.setenv(name, value)
        patch.setattr(patience, "PATIENCE", Patience(first=0.01, longest=0.1))
        yield rehearsal
