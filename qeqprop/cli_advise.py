"""The command ``qeqprop advise``: which rule has the smaller error, from a pilot."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from qeqprop.terminal import user_errors

HELP = """Say which rule errs less for a run file that samples at a temperature: with a nudge, or without one.

A pilot takes one gradient of the first batch by linear response and some by symmetric nudging, at the parameters that a
run would begin with. Nothing is written.

\b
Examples:
  qeqprop advise experiments/digits_classical.toml
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
) -> None:
    """Runs the pilot and says what came out."""
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
