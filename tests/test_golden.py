import pytest
from golden import FOLDER, golden_texts

TEXTS = golden_texts()


@pytest.mark.parametrize("name", TEXTS)
def test_a_changed_hamiltonian_is_a_readable_diff(name):
    assert (FOLDER / name).read_text() == TEXTS[name], "if the change is meant: make golden, and read the diff"


def test_no_golden_text_is_stale():
    assert {path.name for path in FOLDER.glob("*.txt")} == set(TEXTS)
