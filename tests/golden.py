"""Golden texts: the Hamiltonian of every network builder with its defaults, so that a change of one is a readable diff.

`make golden` rewrites them, `test_golden.py` compares.
"""

from __future__ import annotations

from pathlib import Path

from members import members

FOLDER = Path(__file__).parent / "data" / "golden"


def text_of(network) -> str:
    """Every string with its role and coefficient, site 0 rightmost."""
    labels = network.strings.to_labels()
    lines = [f"# {network.num_sites} sites, H = H_0 + sum x_i Q_i + sum theta_j s_j P_j"]
    rows = [("H_0", network.static)]
    rows += [(f"Q_{i}", row) for i, row in enumerate(network.inputs)]
    rows += [
        (f"P_{j} (x_{d})" if d >= 0 else f"P_{j}", row)
        for j, (d, row) in enumerate(zip(network.driver, network.trainable, strict=True))
    ]
    rows += [(f"O_{k}", row) for k, row in enumerate(network.outputs)]
    for name, row in rows:
        terms = "  ".join(f"{value:+.6g} {label}" for value, label in zip(row, labels, strict=True) if value)
        lines.append(f"{name}: {terms or '0'}")
    return "\n".join(lines) + "\n"


def golden_texts() -> dict[str, str]:
    return {f"{name}.txt": text_of(make()) for name, make in members("networks").items()}


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for stale in FOLDER.glob("*.txt"):
        stale.unlink()
    for name, text in golden_texts().items():
        (FOLDER / name).write_text(text)
        print(f"wrote {name}")
