"""The command line: ``qeqprop init``, ``check``, ``run``, ``show``, ``warm-up``."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from qeqprop import cli_advise, cli_doctor, cli_jobs, cli_profile, cli_rehearse
from qeqprop.terminal import fail, print_table, user_errors

_HELP = """Train networks of spins by equilibrium propagation.

\b
A first run, from nothing:
  qeqprop init iris            write a commented example, iris.toml
  qeqprop check iris.toml      see what it would do, run nothing
  qeqprop run iris.toml        train; results go to runs/iris-<hash>/
  qeqprop show runs/iris-*     final numbers and pictures

\b
Change something without editing the file:
  qeqprop run iris.toml --set rule.beta=0.1 --set train.steps=200

A run that was stopped or killed goes on when the same command is given again, and ends in the same numbers.
"""
_RUN_HELP = """Train what a run file describes, or go on with it where it was stopped.

\b
Examples:
  qeqprop run iris.toml
  qeqprop run iris.toml --set seed=3 --set optimizer.learning_rate=0.02
  qeqprop run iris.toml --folder /scratch/runs --quiet

\b
The run folder is named by the file and a hash of its content with all defaults, so another value is another run.
It holds:
  ledger.sqlite   every step, written before the next one begins
  weights.npz     the trained parameters `theta`, and the names of their `terms`
  history.csv     loss and metrics of every step
  run.toml        the run file with all defaults filled in

Ctrl-C finishes the current step and saves; the same command goes on. Exit codes: 0 done, 2 something is wrong with
what was given, 1 the computation failed, 130 stopped by Ctrl-C.
"""
_CHECK_HELP = """Say what a run file would do, and find its mistakes; run nothing, write nothing.

\b
Examples:
  qeqprop check iris.toml
  qeqprop check iris.toml --set network.sites=8
"""
_WARM_UP_HELP = """Compile the engine for this processor now, rather than at the first use.

It takes about a minute once; the result is kept on disk (NUMBA_CACHE_DIR chooses where), and later starts take a
second. Useful in a job script, before many processes start together.
"""
_SHOW_HELP = """Show the numbers of a run folder and draw its pictures into it: loss.png, network.png and, where chains
are sampled, chains.png (how long they remember, and whether they agree).

\b
Examples:
  qeqprop show runs/iris-3fa4c1d2
  qeqprop show runs/iris-*                           several at once
  qeqprop show runs/iris-3fa4c1d2 --no-pictures      also fine while the run is going on
"""
_INIT_HELP = """Write a commented example run file that runs as it is; an existing file is never overwritten.

\b
Example:
  qeqprop init iris            writes iris.toml
"""

_ANGLES = "settings, for a circuit with as many angles"

app = typer.Typer(
    help=_HELP, no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False
)

app.command(help=cli_advise.HELP, short_help="Say which rule has the smaller error.")(cli_advise.advise)
app.command(help=cli_doctor.HELP, short_help="Say what is here and what is missing.")(cli_doctor.doctor)
app.command(help=cli_rehearse.HELP, short_help="Practise a submission to IBM's machines here.")(cli_rehearse.rehearse)
app.add_typer(cli_jobs.app, name="jobs", short_help="Jobs on machines that are paid for: list, sync, cancel, cost.")
app.add_typer(cli_profile.app, name="profile", short_help="Machines on paper: list, show, snapshot, rehearse.")

RunFilePath = Annotated[Path, typer.Argument(metavar="FILE", help="A run file in TOML.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Replace one value of the file: rule.beta=0.2. Can be repeated."),
]


def _print_version(wanted: bool) -> None:
    if wanted:
        from qeqprop import __version__

        typer.echo(f"qeqprop {__version__}")
        raise typer.Exit


@app.callback()
def _top(  # pyright: ignore[reportUnusedFunction]
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command(help=_RUN_HELP, short_help="Train what a run file describes, or go on with it.")
def run(
    file: RunFilePath,
    overrides: Overrides = None,
    folder: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the run folders are.")] = Path("runs"),
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Trains what a run file describes."""
    with user_errors():
        from rich.console import Console

        from qeqprop.experiment import Experiment
        from qeqprop.progress import describe_result, watch
        from qeqprop.report import logistic_accuracy

        experiment = Experiment.load(file, overrides or [])
        console = Console(stderr=True, quiet=quiet)
        steps = experiment.setup.plan.steps
        try:
            with watch(steps, console) as progress:
                result = experiment.run(folder, progress)
        except KeyboardInterrupt:
            typer.echo(
                f"Stopped. Every finished step is saved; go on with: {_again(file, overrides, folder)}", err=True
            )
            raise typer.Exit(130) from None
        if not quiet:
            typer.echo(describe_result(result, steps, logistic_accuracy(experiment.setup.data)))


@app.command(help=_CHECK_HELP, short_help="Say what a run file would do; run nothing.")
def check(file: RunFilePath, overrides: Overrides = None) -> None:
    """Says what a run file would do."""
    with user_errors():
        from qeqprop.experiment import Experiment
        from qeqprop.toml_text import to_toml

        found = Experiment.load(file, overrides or []).check()
        typer.echo(to_toml(found.resolved))
        settings = "none counted, the rule asks for a response" if found.settings is None else found.settings
        shots = "" if found.shots is None else f", {found.shots} shots"
        measured = f"{found.circuits} circuits{shots}"
        print_table(
            {
                "run folder": found.name,
                "sites": found.sites,
                **({"Pauli strings": found.strings} if found.strings else {}),
                "trainable": found.trainable,
                "inputs": found.inputs,
                "outputs": found.outputs,
                "samples": f"{found.samples} to learn from, {found.test_samples} to test",
            }
            | (
                {}
                if found.shift_settings is None
                else {
                    "settings": f"{settings} (measurement bases x states, per sample and gradient)",
                    "parameter shift": f"{found.shift_settings} {_ANGLES}",
                }
            )
            | ({} if found.circuits is None else {"a step": measured})
        )
        if found.price is not None:
            typer.echo()
            print_table(cli_jobs.price_rows(found.price))
        for finding in found.findings:
            typer.echo(finding)


@app.command(help=_SHOW_HELP, short_help="Show the numbers and pictures of a run.")
def show(
    folders: Annotated[list[Path], typer.Argument(metavar="RUN...", help="One or more run folders.")],
    draw: Annotated[bool, typer.Option("--pictures/--no-pictures", help="Draw the pictures.")] = True,
) -> None:
    """Shows a run folder."""
    with user_errors():
        from qeqprop import report

        for position, folder in enumerate(folders):
            if position:
                typer.echo()
            _show_numbers(report.summary(folder))
            if draw:
                for path in report.pictures(folder):
                    typer.echo(f"drawn: {path}")


@app.command(help=_WARM_UP_HELP, short_help="Compile the engine for this processor now.")
def warm_up() -> None:
    """Compiles or loads every kernel."""
    import time

    from rich.console import Console

    console = Console()
    with console.status("Loading the engine"):
        from qeqprop.engine.compilation import warm_up as parts

        steps = parts()
    for name, step in steps.items():
        begin = time.perf_counter()
        with console.status(f"Compiling: {name}"):
            step()
        console.print(f"{name}: ready after {time.perf_counter() - begin:.1f} s", highlight=False)


@app.command(help=_INIT_HELP, short_help="Write an example run file.")
def init(name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the new run file.")]) -> None:
    """Writes an example run file."""
    from importlib.resources import files

    with user_errors():
        path = Path(name if name.endswith(".toml") else f"{name}.toml")
        text = (files("qeqprop") / "example.toml").read_text(encoding="utf-8").replace("FILE", str(path))
        try:
            with path.open("x", encoding="utf-8") as stream:
                stream.write(text)
        except FileExistsError:
            fail(f"{path}: is there already, and stays as it is.")
        typer.echo(f"Wrote {path}. Next: qeqprop check {path}")


def main() -> None:
    """The entry point."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)


def _again(file: Path, overrides: Sequence[str] | None, folder: Path) -> str:
    import shlex

    chosen = [word for override in overrides or [] for word in ("--set", override)]
    elsewhere = ["--folder", str(folder)] if folder != Path("runs") else []
    return shlex.join(["qeqprop", "run", str(file), *chosen, *elsewhere])


def _show_numbers(numbers: dict[str, Any]) -> None:
    parts, versions = numbers.pop("parts"), numbers.pop("versions")
    done = "finished" if numbers.pop("finished") else "not finished: give the same `qeqprop run` command again"
    numbers["steps"] = f"{numbers['steps']} of {numbers.pop('steps_wanted')}, {done}"
    logistic = numbers.pop("logistic_regression", None)
    renamed = {name.replace("validation", "test"): value for name, value in numbers.items()}
    if logistic is not None:
        renamed["logistic regression"] = f"{logistic:.6g} test accuracy, on the same features"
    uses = {f"[{name}]": use for name, use in parts.items()}
    begun = ", ".join(f"{name} {version}" for name, version in versions.items())
    # nan is what this kind of network does not have, such as a gap
    known = {name: value for name, value in renamed.items() if not (isinstance(value, float) and math.isnan(value))}
    print_table(known | uses | {"begun with": begun})
