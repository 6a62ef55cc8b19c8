"""The picture of the results: ratios, times, the apply, the memory."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import MultipleLocator
from measure import Row

COLOURS = {
    "script": "#4d4d4d",
    "QuSpin": "#c8553d",
    "expert scipy": "#d9a441",
    "linear response": "#1f5f8b",
    "symmetric nudging": "#5aa7d6",
}
PEERS = ("script", "QuSpin", "expert scipy")
OURS, LIMIT = COLOURS["linear response"], "#c8553d"
THREADS = {1: ("o-", "1 thread"), 2: ("s--", "2 threads")}

Points = list[tuple[int, float]]


def draw(rows: list[Row], file: Path) -> None:
    """Draws the rows of all parts that are there into a PNG file."""
    figure, axes = plt.subplots(2, 2, figsize=(12, 11), layout="constrained")
    gradients = [line for line in rows if line["part"] == "gradients" and line["case"].startswith("dense Ising")]
    gradients = [line for line in gradients if line["peer"] in PEERS]
    _ratios(axes[0, 0], gradients)
    _times(axes[0, 1], gradients, rows)
    _apply(axes[1, 0], [line for line in rows if line["part"] == "apply"])
    _memory(axes[1, 1], [line for line in rows if line.get("axis") == "memory"])
    for axis in axes.flat:
        if not axis.has_data():  # a part that was not run
            axis.set_axis_off()
            continue
        axis.set_xlabel("sites n")
        axis.xaxis.set_major_locator(MultipleLocator(4))
        axis.xaxis.set_minor_locator(MultipleLocator(2))
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(fontsize=8, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.12))  # covers nothing there
    figure.savefig(file, dpi=130)
    plt.close(figure)


def _ratios(axis: Axes, gradients: list[Row]) -> None:
    default = [line for line in gradients if line["ours"] == "linear response"]
    axis.set_title("One gradient by the default rule: how many times faster than each peer", fontsize=10)
    axis.set_ylabel("time of the peer / time of qeqprop")
    for peer in PEERS:
        lines = [line for line in default if line["peer"] == peer]
        for threads, (style, label) in THREADS.items():
            same = [line for line in lines if line["threads"] == threads]
            whole = _points([line for line in same if not _partial(line)], "ratio")
            bounds = _points([line for line in same if _partial(line)], "ratio")
            _plot(axis, whole, style, COLOURS[peer], f"{peer}, {label}", alpha=1.0 if threads == 1 else 0.5)
            _plot(axis, bounds, "^", COLOURS[peer], None, fillstyle="none", alpha=1.0 if threads == 1 else 0.5)
        _dashes(axis, _points([line for line in lines if line["required"]], "required"), COLOURS[peer], None)
    if default:
        axis.scatter([], [], marker="_", s=200, linewidths=2.5, color="grey", label="required, in the peer's colour")
        axis.plot([], [], "^", color="grey", fillstyle="none", label="at least: the peer found one state of three")
    _logarithmic(axis)


def _times(axis: Axes, gradients: list[Row], rows: Iterable[Row]) -> None:
    single = [line for line in gradients if line["threads"] == 1]
    axis.set_title("One gradient, one thread: time for each sample", fontsize=10)
    axis.set_ylabel("seconds")
    for peer in PEERS:
        whole = [line for line in single if line["peer"] == peer and not _partial(line)]
        _plot(axis, _points(whole, "peer_value"), "o-", COLOURS[peer], peer)
    for rule in ("symmetric nudging", "linear response"):
        lines = [line for line in single if line["ours"] == rule]
        _plot(axis, _points(lines, "value"), "o-", COLOURS[rule], f"qeqprop, {rule}")
    alone = [line for line in rows if line.get("axis") == "sites" and line["ours"] == "linear response"]
    _plot(axis, _points(alone, "value"), ":", OURS, "qeqprop, linear response, batch 1")
    _logarithmic(axis)


def _apply(axis: Axes, apply: list[Row]) -> None:
    axis.set_title("H times a vector beside reading two arrays and writing one", fontsize=10)
    axis.set_ylabel("time / bound of the memory")
    for threads, (style, label) in THREADS.items():
        points = _points([line for line in apply if line["threads"] == threads], "ratio")
        _plot(axis, points, style, OURS if threads == 1 else COLOURS["symmetric nudging"], label)
    _dashes(axis, _points([line for line in apply if line["required"]], "required"), LIMIT, "allowed")
    if apply:
        axis.axhline(1.0, color="black", linewidth=1, label="the bound itself")
        axis.set_ylim(bottom=0.0)


def _memory(axis: Axes, memory: list[Row]) -> None:
    axis.set_title("Peak memory of a process that computes one gradient", fontsize=10)
    axis.set_ylabel("GiB")
    points = _points(memory, "value")
    _plot(axis, points, "o-", OURS, "qeqprop, with Python and all libraries")
    _plot(axis, [(n, 8 * 2**n / 2**30) for n, _ in points], ":", "#4d4d4d", "one state vector")
    allowed = [(line["sites"], line["peer_value"]) for line in memory if line["required"]]
    _dashes(axis, allowed, LIMIT, "allowed")
    _logarithmic(axis, bottom=0.01)


def _plot(axis: Axes, points: Points, style: str, colour: str, label: str | None, **more: Any) -> None:
    if points:
        axis.plot(*zip(*points, strict=True), style, color=colour, label=label, markersize=5, **more)


def _logarithmic(axis: Axes, bottom: float | None = None) -> None:
    axis.set_yscale("log")
    axis.yaxis.set_major_formatter("{x:g}")
    axis.yaxis.set_minor_formatter("")
    if bottom is not None:
        axis.set_ylim(bottom=bottom)


def _dashes(axis: Axes, points: Points, colour: str, label: str | None) -> None:
    """What is required, as short dashes at the sites where it is."""
    if points:
        axis.scatter(*zip(*points, strict=True), marker="_", s=250, linewidths=2.5, color=colour, label=label)


def _partial(line: Row) -> bool:
    """Whether the peer computed less than a gradient, so that the ratio is a lower bound."""
    return "lower bound" in line["note"]


def _points(lines: list[Row], name: str) -> Points:
    """The numbers against the sites, the first of each size."""
    found: dict[int, float] = {}
    for line in lines:
        found.setdefault(line["sites"], line[name])
    return sorted(found.items())
