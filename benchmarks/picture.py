"""The picture of the results: ratios, times, the apply, the memory."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from measure import Row

COLOURS = {
    "script": "#4d4d4d",
    "QuSpin": "#c8553d",
    "expert scipy": "#d9a441",
    "linear response": "#1f5f8b",
    "symmetric nudging": "#5aa7d6",
}


def draw(rows: list[Row], file: Path) -> None:
    """Draws the rows of all parts that are there into a PNG file."""
    figure, axes = plt.subplots(2, 2, figsize=(12, 9), layout="constrained")
    gradients = [line for line in rows if line["part"] == "gradients" and line["case"].startswith("dense Ising")]
    _ratios(axes[0, 0], gradients)
    _times(axes[0, 1], gradients, [line for line in rows if line["part"] == "scaling"])
    _apply(axes[1, 0], [line for line in rows if line["part"] == "apply"])
    _memory(axes[1, 1], [line for line in rows if line.get("axis") == "memory"])
    for axis in axes.flat:
        axis.set_xlabel("sites n")
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(alpha=0.25, which="major")
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=130)
    plt.close(figure)


def _ratios(axis: Axes, gradients: list[Row]) -> None:
    """One gradient by symmetric nudging on both sides: how many times faster, and what is required."""
    axis.set_title("One gradient, three ground states on both sides: ratio of times")
    for threads, style in ((1, "o-"), (2, "s--")):
        for peer in ("script", "QuSpin", "expert scipy"):
            points = _points(
                [
                    line
                    for line in gradients
                    if line["peer"] == peer and line["threads"] == threads and line["ours"] == "symmetric nudging"
                ],
                "ratio",
            )
            if points:
                label = f"{peer}, {threads} thread{'s' * (threads > 1)}"
                axis.plot(*zip(*points, strict=True), style, color=COLOURS[peer], label=label, markersize=5)
    for index, peer in enumerate(("script", "QuSpin", "expert scipy")):
        wanted = {line["sites"]: line["required"] for line in gradients if line["peer"] == peer and line["required"]}
        axis.scatter(
            wanted.keys(), wanted.values(), marker="_", s=220, linewidths=2.5, color=COLOURS[peer], zorder=1,
            label="required" if index == 0 else None,
        )  # fmt: skip
    axis.set_yscale("log")
    axis.set_ylabel("peer / this package")
    axis.legend(fontsize=8, ncols=2)


def _times(axis: Axes, gradients: list[Row], scaling: list[Row]) -> None:
    axis.set_title("One gradient, one thread: time for each sample")
    single = [line for line in gradients if line["threads"] == 1]
    for peer in ("script", "QuSpin", "expert scipy"):
        lines = [line for line in single if line["peer"] == peer and "one ground state" not in line["note"]]
        points = _points(lines, "peer_value")
        if points:
            axis.plot(*zip(*points, strict=True), "o-", color=COLOURS[peer], label=peer, markersize=5)
    for rule in ("symmetric nudging", "linear response"):
        points = _points([line for line in single if line["ours"] == rule and line["required"] != 150], "value")
        if points:
            axis.plot(
                *zip(*points, strict=True), "o-", color=COLOURS[rule], label=f"this package, {rule}", markersize=5
            )
    alone = _points([line for line in scaling if line.get("axis") == "sites" and line["threads"] == 1
                     and line["ours"] == "linear response"], "value")  # fmt: skip
    if alone:
        axis.plot(
            *zip(*alone, strict=True), ":", color=COLOURS["linear response"], label="this package, response, batch 1"
        )
    axis.set_yscale("log")
    axis.set_ylabel("seconds")
    axis.legend(fontsize=8)


def _apply(axis: Axes, apply: list[Row]) -> None:
    axis.set_title("H times a vector against reading two and writing one array")
    for threads, style in ((1, "o-"), (2, "s--")):
        points = _points([line for line in apply if line["threads"] == threads], "ratio")
        if points:
            axis.plot(
                *zip(*points, strict=True), style, color=COLOURS["linear response"],
                label=f"{threads} thread{'s' * (threads > 1)}", markersize=5,
            )  # fmt: skip
    for line in apply:
        if line["required"] and line["threads"] == 1:
            axis.scatter([line["sites"]], [line["required"]], marker="_", s=300, linewidths=2.5, color="#c8553d",
                         label="allowed")  # fmt: skip
    axis.axhline(1.0, color="black", linewidth=1)
    axis.text(0.01, 1.0, "memory bandwidth", transform=axis.get_yaxis_transform(), va="bottom", fontsize=8)
    axis.set_ylim(bottom=0.0)
    axis.set_ylabel("time / bound")
    axis.legend(fontsize=8)


def _memory(axis: Axes, memory: list[Row]) -> None:
    axis.set_title("Peak memory of a process that computes one gradient")
    points = _points(memory, "value")
    if points:
        axis.plot(
            *zip(*points, strict=True), "o-", color=COLOURS["linear response"], label="this package", markersize=5
        )
        axis.axhline(memory[0]["peer_value"], color="#c8553d", linewidth=1.5, label="allowed at n = 24")
        state = [(n, 8 * 2**n / 2**30) for n, _ in points]
        axis.plot(*zip(*state, strict=True), ":", color="#4d4d4d", label="one state vector")
        axis.set_ylim(bottom=1e-3)
        axis.legend(fontsize=8)
    axis.set_yscale("log" if points else "linear")
    axis.set_ylabel("GiB")


def _points(lines: list[Row], name: str) -> list[tuple[int, float]]:
    """The numbers against the sites, the first of each size."""
    found: dict[int, float] = {}
    for line in lines:
        found.setdefault(line["sites"], line[name])
    return sorted(found.items())
