"""How things are measured: interleaved medians, a child process for each number of threads, and the machine.

A part of the benchmarks is a module with a function ``rows()`` that returns or yields dictionaries, see `row`.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Row = dict[str, Any]

HERE = Path(__file__).parent
SLOWING = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
"""Variables that make numpy's BLAS run another processor's kernels: unset before numpy is imported."""

PACKAGES = (
    *("qeqprop", "numpy", "scipy", "numba", "qiskit", "qiskit-aer", "quspin", "quspin-extensions", "quimb"),
    *("netket", "jax", "qulacs", "pennylane", "pennylane-lightning", "physics-tenpy", "qiskit-algorithms"),
    *("dwave-samplers", "dimod"),
)


@dataclass(frozen=True)
class Timing:
    """What timing a function gave.

    Attributes:
        median, low, high: of the repeats, in seconds.
        repeats: how many.
        answer: what the function returned at last.
    """

    median: float
    low: float
    high: float
    repeats: int
    answer: Any


def interleaved(
    functions: Mapping[str, Callable[[], Any]], *, repeats: int = 5, budget: float = 3.0
) -> dict[str, Timing]:
    """Times the functions in turn, so that drift of the machine hits all alike.

    Each is called once before, which is not counted. A repeat of a function that is shorter than 10 ms calls it several
    times and divides. There are more repeats than asked for, up to 25, where they fit into the budget.

    Args:
        functions: what to time, by name.
        repeats: at least so many.
        budget: seconds that all repeats together may take before there are no more than those.
    """
    calls = dict.fromkeys(functions, 1)
    for function in functions.values():
        function()
    found: dict[str, list[float]] = {name: [] for name in functions}
    answers: dict[str, Any] = {}
    begin = time.perf_counter()
    for index in range(max(repeats, 25)):
        if index >= repeats and (index + 1) / index * (time.perf_counter() - begin) > budget:
            break
        for name, function in functions.items():
            seconds, answers[name] = _timed(function, calls[name])
            if index == 0 and seconds < 0.01:
                calls[name] = math.ceil(0.01 / seconds)
                seconds, answers[name] = _timed(function, calls[name])
            found[name].append(seconds)
    return {
        name: Timing(sorted(values)[len(values) // 2], min(values), max(values), len(values), answers[name])
        for name, values in found.items()
    }


def once(function: Callable[[], Any]) -> Timing:
    """A single call, for what takes minutes."""
    seconds, answer = _timed(function, 1)
    return Timing(seconds, seconds, seconds, 1, answer)


def _timed(function: Callable[[], Any], calls: int) -> tuple[float, Any]:
    answer = None
    begin = time.perf_counter()
    for _ in range(calls):
        answer = function()
    return (time.perf_counter() - begin) / calls, answer


def row(
    case: str,
    *,
    ours: str,
    value: float,
    peer: str = "",
    peer_value: float | None = None,
    required: float | None = None,
    at_most: bool = False,
    unit: str = "s",
    repeats: int = 5,
    note: str = "",
    **more: Any,
) -> Row:
    """One line of a table: what we did and what a peer did, in the same unit, and their ratio.

    Args:
        case: what was computed.
        ours, peer: how each side did it; no peer for a line that only reports.
        value, peer_value: the numbers.
        required: the ratio ``peer / ours`` that is wanted, or with `at_most` the largest ``ours / peer``.
        at_most: the peer is a bound: less is better.
        unit: of both numbers.
        repeats: of which the numbers are the medians.
        note: what was measured if not the same thing on both sides.
        more: columns for those who draw, such as ``sites`` and ``batch``.
    """
    ratio = None if peer_value is None else value / peer_value if at_most else peer_value / value
    return {
        "case": case,
        "ours": ours,
        "value": value,
        "peer": peer,
        "peer_value": peer_value,
        "unit": unit,
        "ratio": ratio,
        "required": required,
        "at_most": at_most,
        "repeats": repeats,
        "note": note,
        **more,
    }


def reached(line: Row) -> str:
    """A plain "reached" or "missed", or nothing where nothing is required."""
    required = line.get("required")
    if required is None:
        return ""
    return "reached" if (line["ratio"] <= required if line.get("at_most") else line["ratio"] >= required) else "missed"


def show(lines: list[Row]) -> None:
    """Prints rows as a plain table; columns that `row` does not make are printed as they come."""
    print("\n".join(table(lines)), flush=True)


def table(lines: list[Row]) -> list[str]:
    """The lines of a Markdown table of the rows."""
    if not lines:
        return []
    if not all({"case", "value", "ratio"} <= line.keys() for line in lines):  # rows of another shape
        names = [name for name in dict.fromkeys(name for line in lines for name in line) if name != "part"]
        return _columns(names, [[_number(line.get(name)) for name in names] for line in lines])
    names = ["case", "threads", "ours", "value", "peer", "peer's value", "unit", "ratio", "required", "", "note"]
    cells = [
        [
            line["case"],
            _number(line.get("threads")),
            line["ours"],
            _number(line["value"]),
            line["peer"],
            _number(line["peer_value"]),
            line["unit"],
            _number(line["ratio"]),
            _wanted(line),
            reached(line),
            f"{line['repeats']} repeats" + (f"; {line['note']}" if line["note"] else ""),
        ]
        for line in lines
    ]
    return _columns(names, cells)


def _wanted(line: Row) -> str:
    sign = "<=" if line.get("at_most") else ">="
    return "" if line["required"] is None else f"{sign} {line['required']:g}"


def _number(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _columns(names: list[str], cells: list[list[str]]) -> list[str]:
    widths = [max(len(one) for one in column) for column in zip(names, *cells, strict=True)]
    lines = [
        "| " + " | ".join(one.ljust(width) for one, width in zip(line, widths, strict=True)) + " |"
        for line in (names, *cells)
    ]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]


def in_child(part: str, *, threads: int, arguments: Row | None = None) -> tuple[list[Row], int]:
    """Measures ``rows(**arguments)`` of a part in a process of its own in which every library has so many threads.

    Returns:
        The rows, all that came before a failure, and the exit status.
    """
    environment = {name: value for name, value in os.environ.items() if name not in SLOWING}
    for name in ("OMP", "OPENBLAS", "MKL", "NUMBA", "NUMEXPR"):
        environment[f"{name}_NUM_THREADS"] = str(threads)
    environment["QEQPROP_THREADS"] = str(threads)
    # idle threads of one side that go on spinning would slow the next
    environment |= {"OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0", "OPENBLAS_THREAD_TIMEOUT": "4"}
    environment["JAX_PLATFORMS"] = "cpu"
    if threads == 1:
        environment["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "rows.jsonl"
        answer.touch()
        command = [sys.executable, str(HERE / "measure.py"), part, json.dumps(arguments or {}), str(answer)]
        status = subprocess.run(command, env=environment, check=False).returncode
        lines = [json.loads(line) for line in answer.read_text().splitlines()]
    return [{"part": part, "threads": threads, **line} for line in lines], status


def machine() -> list[Row]:
    """What the numbers were measured on: processor, caches, memory, versions, and the BLAS kernel that runs."""
    import numpy as np
    from scipy import linalg
    from threadpoolctl import threadpool_info

    linalg.norm(np.eye(2) @ np.eye(2))  # loads the libraries
    blas = {
        f"{one['internal_api']} {one['version']}, kernel {one.get('architecture')}"
        for one in threadpool_info()
        if one["user_api"] == "blas"
    }
    flags = _first_line("/proc/cpuinfo", "flags").split()
    caches = Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")
    sizes = {
        f"L{_text(one / 'level')}{ {'Data': 'd', 'Instruction': 'i'}.get(_text(one / 'type'), '') }": _text(
            one / "size"
        )
        for one in caches
    }
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    memory = _first_line("/proc/meminfo", "MemTotal").split()
    return [
        {
            "processor": _first_line("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "caches": ", ".join(f"{name} {size}" for name, size in sorted(sizes.items())),
            "SIMD": ", ".join(name for name in ("sse4_2", "avx", "avx2", "fma", "avx512f") if name in flags),
            "memory": f"{int(memory[0]) / 2**20:.1f} GiB" if memory else "unknown",
            "system": platform.platform(),
            "Python": platform.python_version(),
            "BLAS": "; ".join(sorted(blas)),
            "packages": ", ".join(f"{name} {version}" for name, version in versions.items()),
        }
    ]


def _first_line(path: str, key: str) -> str:
    """The value of the first line ``key : value`` of a file of the system, empty where there is none."""
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return ""
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(key)), "")


def _text(path: Path) -> str:
    return path.read_text().strip()


def _main() -> None:
    part, arguments, answer = sys.argv[1:]
    function = machine if part == "machine" else importlib.import_module(part).rows
    with Path(answer).open("a", encoding="utf-8") as file:
        for line in function(**json.loads(arguments)):
            file.write(json.dumps(line, default=float) + "\n")
            file.flush()


if __name__ == "__main__":
    _main()
