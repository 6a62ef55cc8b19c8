"""The command ``qeqprop doctor``."""

from __future__ import annotations

from typing import Annotated

import typer

HELP = """Say what is installed, whether the engine is compiled, and what of IBM's service is in reach.

\b
It shows versions, threads, where the credentials come from (never what they are), the instance and its plan,
the seconds that are left, and the machines with their queues. Nothing is submitted, and nothing is paid.
It works without an account and without a network, and says what to do about what is missing.
Exit code 1 if something that was set up does not work.

\b
Examples:
  qeqprop doctor
  qeqprop doctor --patience 5
"""


def doctor(
    patience: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for each answer of the service.")] = 40.0,
) -> None:
    """Prints every finding as soon as it is known."""
    from rich.console import Console

    from qeqprop.doctor import examine

    wrong = False
    findings = examine(patience=patience)
    with Console(stderr=True).status("Looking") as status:
        for finding in findings:
            status.stop()
            typer.echo(f"{finding.topic:<20} {finding.words}")
            if finding.advice:
                typer.echo(f"{'':<20} -> {finding.advice}")
            wrong |= finding.wrong
            status.start()
    if wrong:
        raise typer.Exit(1)
