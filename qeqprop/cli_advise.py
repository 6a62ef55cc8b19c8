"""The command ``qeqprop advise``: which rule has the smaller error, from a pilot."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from qeqprop.terminal import user_errors

HELP = """Say which rule errs less for a run file that samples at a temperature: with a nudge, or without one.

A pilot takes one gradient of the first batch by linear response and some by symmetric nudging, at the parameters that a
run would begin with. Nothing is written but the picture, if one is asked for.

\b
Examples:
  qeqprop advise experiments/digits_classical.toml
  qeqprop advise experiments/digits_classical.toml --picture errors.png
  qeqprop advise thermal.toml --samples 5000 --set solver.temperature=0.3
"""


def advise(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A run file in TOML.")],
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Replace one value of the file.")
    ] = None,
    samples: Annotated[
        int | None, typer.Option(min=1, help="Samples of one gradient; what the file's solver takes by default.")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Draw the errors against the samples into this file.")
    ] = None,
) -> None:
    """Runs the pilot and says what came out."""
    if picture is not None and (picture.suffix != ".png" or not picture.parent.is_dir()):
        raise typer.BadParameter(
            f"must be a .png file in a folder that exists, but is {picture}.", param_hint="--picture"
        )
    with user_errors():
        from rich.console import Console

        from qeqprop.advice import advise as ask
        from qeqprop.experiment import Experiment
        from qeqprop.progress import few_warnings
        from qeqprop.training import initial_theta, minibatch

        setup = Experiment.load(file, overrides or []).setup
        x, y = setup.data.train
        chosen = minibatch(len(x), setup.plan.batch, seed=setup.seed, step=1, group=setup.loss.group)
        theta = initial_theta(setup.network, seed=setup.seed, scale=setup.plan.initial_scale)
        console = Console(stderr=True)
        with few_warnings(console), console.status("Trying both rules"):
            found = ask(
                setup.network,
                theta,
                x[chosen],
                y[chosen],
                loss=setup.loss,
                solver=setup.solver,
                budget=samples,
                seed=setup.seed,
            )
        typer.echo(str(found))
        if picture is not None:
            from qeqprop.plots import advised_errors

            advised_errors(found).savefig(picture, dpi=150, bbox_inches="tight")
            typer.echo(f"drawn: {picture}")
