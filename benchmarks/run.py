"""Runs all benchmarks, or the named ones, and writes a table, the numbers and a picture to `results/`.

python benchmarks/run.py                     everything, what `make bench` does
python benchmarks/run.py gradients --quick   one part, small networks only, into `results/quick/`
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from measure import HERE, Row, in_child, reached, row, show, table

PARTS: dict[str, tuple[int, ...]] = {
    "gradients": (1, 2),
    "apply": (1, 2),
    "scaling": (1, 2),
    "circuits": (),
    "vqe": (1,),
    "dmrg": (),
    "samplers": (1, 2),
}
"""The parts and the numbers of threads each is measured with; none where the part sees to it by itself."""

TITLES = {
    "gradients": "One gradient",
    "apply": "One apply against the memory bandwidth",
    "scaling": "Cost as the work grows",
    "circuits": "Circuits",
    "vqe": "One training step by VQE",
    "dmrg": "Long chains: DMRG",
    "samplers": "Samplers of Ising spins",
}


def main() -> int:
    arguments = _arguments()
    folder = HERE / "results" / "quick" if arguments.quick else HERE / "results"
    folder.mkdir(parents=True, exist_ok=True)
    machine = in_child("machine", threads=1)[0][0]
    print("\n".join(_description(machine)), flush=True)
    found, failed, begin = _kept(folder, machine, arguments.parts), [], time.perf_counter()
    for part in arguments.parts:
        if not (HERE / f"{part}.py").exists():
            print(f"skipped: {part}, whose file is not here")
            continue
        for threads in PARTS[part] or (2,):
            print(f"\n{TITLES[part]}, {threads} thread{'s' * (threads > 1)}", flush=True)
            choices = {"threads": threads, "quick": arguments.quick} if PARTS[part] else {}
            lines, status = in_child(part, threads=threads, arguments=choices)
            found += [one for line in lines for one in unfolded(line)]
            if status:
                failed.append(
                    f"stopped: {TITLES[part]}, {threads} threads, exit status {status}; what came before counts"
                )
                print(failed[-1])
        found = best_setting(found)
        show([line for line in found if line["part"] == part])
        print(f"{time.perf_counter() - begin:.0f} s so far", flush=True)
        _write(folder, machine, found, failed)
    _draw(folder)
    missed = [line for line in found if reached(line) == "missed"]
    print(f"\n{sum(reached(line) == 'reached' for line in found)} required ratios reached, {len(missed)} missed")
    print("\n".join(failed))
    return 1 if failed else 0


def best_setting(rows: list[Row]) -> list[Row]:
    """The rows with two threads against the faster of the peer's two settings: threads do not help all peers."""
    gradients = [line for line in rows if line["part"] == "gradients"]
    alone = [line for line in gradients if line["threads"] == 1 and line["peer"]]
    found = [line for line in rows if line not in gradients] + alone
    for threads in sorted({line["threads"] for line in gradients} - {1}):
        lines = {_key(line): line for line in gradients if line["threads"] == threads}
        mine = {(line["case"], line["ours"]): line["value"] for line in lines.values()}
        for single in alone:
            line = lines.pop(_key(single), None)
            value = mine.get((single["case"], single["ours"]))
            if value is not None and (line is None or single["peer_value"] < line["peer_value"]):
                note = f"peer with one thread{'; ' if single['note'] else ''}{single['note']}"
                line = {
                    **single,
                    "threads": threads,
                    "value": value,
                    "ratio": single["peer_value"] / value,
                    "note": note,
                }
            found += [line] if line is not None else []
        found += [line for line in lines.values() if line["peer"]]
    return found


def unfolded(line: Row) -> list[Row]:
    """A line of circuits or DMRG, which compares with all peers at once, as one line for each."""
    if "case" in line:
        return [line]
    seconds = {name.removesuffix("_seconds"): value for name, value in line.items() if name.endswith("_seconds")}
    mine = seconds.pop("ours", line.get("ours"))
    if "gradient" in seconds:
        seconds["itself, with the gradient"] = seconds.pop("gradient")
    shown = {name: line[name] for name in line if name.endswith(("_error", "_bond")) or name == "parameters"}
    notes = [*line.get("notes", []), *(f"{name.replace('_', ' ')} {value:.3g}" for name, value in shown.items())]
    sites = line.get("sites", line.get("n"))
    common = {name: line[name] for name in ("part", "threads")}
    return [
        row(
            f"{line['what']}, n = {sites}",
            ours="qeqprop",
            value=mine,
            peer=peer,
            peer_value=value,
            required=line.get("required", {}).get(peer),
            repeats=line.get("repeats", 5),
            note=", ".join(notes),
            sites=sites,
            **common,
        )
        for peer, value in (line.get("peers") or seconds).items()
    ]


def _key(line: Row) -> tuple[str, str, str]:
    return line["case"], line["ours"], line["peer"]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=[], help=f"some of: {', '.join(PARTS)}; all by default")
    parser.add_argument("--quick", action="store_true", help="small networks only, a few minutes")
    arguments = parser.parse_args()
    strangers = [part for part in arguments.parts if part not in PARTS]
    if strangers:
        parser.error(f"unknown part {', '.join(strangers)}; there are {', '.join(PARTS)}")
    arguments.parts = arguments.parts or list(PARTS)
    return arguments


def _kept(folder: Path, machine: Row, parts: list[str]) -> list[Row]:
    """Rows of earlier runs on the same machine, of the parts that are not measured now."""
    file = folder / "results.json"
    if not file.exists():
        return []
    before = json.loads(file.read_text())
    return [line for line in before["rows"] if line["part"] not in parts] if before["machine"] == machine else []


def _description(machine: Row) -> list[str]:
    return [f"- {name}: {value}" for name, value in machine.items() if name not in ("part", "threads")]


def _write(folder: Path, machine: Row, rows: list[Row], failed: list[str]) -> None:
    (folder / "results.json").write_text(json.dumps({"machine": machine, "rows": rows}, indent=1) + "\n")
    text = ["# Benchmarks", "", "How to read this: [README](../README.md).", "", *_description(machine), ""]
    text += [f"**{line}**\n" for line in failed]
    for part, title in TITLES.items():
        lines = [line for line in rows if line["part"] == part]
        if lines:
            text += [f"## {title}", "", *table(lines), ""]
    text += ["![the ratios, times and the apply against the number of sites](results.png)", ""]
    (folder / "results.md").write_text("\n".join(text))


def _draw(folder: Path) -> None:
    from picture import draw

    draw(json.loads((folder / "results.json").read_text())["rows"], folder / "results.png")


if __name__ == "__main__":
    sys.exit(main())
