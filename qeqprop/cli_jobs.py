"""The commands ``qeqprop jobs list``, ``sync``, ``cancel``, ``cost``: the jobs of a run on a paid machine."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qeqprop.terminal import fail, print_table, user_errors

if TYPE_CHECKING:
    from qeqprop.interfaces import RemoteDevice
    from qeqprop.job_table import Job
    from qeqprop.ledger import Ledger
    from qeqprop.preview import Price

OPEN_SECONDS = 600.0
"""What the Open plan allows in 28 days (published by IBM, seen in May 2026)."""

DOLLARS_PER_SECOND = 1.60
"""The price of pay-as-you-go (as above)."""

app = typer.Typer(help="The jobs of a run on a machine that is paid for.", no_args_is_help=True, rich_markup_mode=None)

RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, such as runs/iris-3fa4c1d2.")]


def price_rows(price: Price) -> dict[str, str]:
    """What a run costs, in words."""
    per_step, total = price.seconds, price.total_seconds
    rows = {
        "a step costs": f"{price.jobs} jobs, {price.shots} shots, about {per_step:.1f} s on {price.machine}",
        "the run costs": f"{price.steps} steps, about {total:.0f} s",
        "of an Open plan": f"{total / OPEN_SECONDS:.0%} of the {OPEN_SECONDS:.0f} s of 28 days",
        "pay-as-you-go": f"about ${total * DOLLARS_PER_SECOND:.0f}, at ${DOLLARS_PER_SECOND:.2f} a second",
        "budget": "none: give train.budget_seconds to be sure",
    }
    if price.pause is not None:
        rows["between jobs"] = f"{price.pause:g} s each, in these seconds, since a session is paid: device.pause"
    if price.lesson is not None:
        rows["noise learning"] = f"about {price.lesson:.0f} s more for each layer of gates, once for each calibration"
    if price.most_overhead > 1:
        rows["PEC"] = (
            f"at most {price.most_overhead:g} times these seconds (options.resilience.pec.max_overhead); the noise "
            "decides, and each job is priced before it is posted"
        )
    if price.budget is not None:
        enough = min(price.steps, int(price.budget / per_step))
        rows["budget"] = f"{price.budget:g} s, enough for {enough} step{'s' * (enough != 1)}"
    return rows


@app.command("list")
def list_jobs(folder: RunFolder) -> None:
    """List the jobs of a run and how far they are, as the ledger knows them; asks nobody."""
    with user_errors():
        from qeqprop.ledger import read_run

        with read_run(folder) as ledger:
            jobs = ledger.jobs.remote_jobs()
        _print_jobs(jobs)


@app.command()
def cost(folder: RunFolder) -> None:
    """Say what a run has cost until now, and how good the estimates were; asks nobody (see `sync`)."""
    with user_errors():
        from qeqprop.ledger import read_run

        with read_run(folder) as ledger:
            jobs, spent, idle = ledger.jobs.remote_jobs(), ledger.jobs.spent_seconds(), ledger.jobs.idle_seconds()
        billed = [job for job in jobs if job.billed is not None]
        ran = [job for job in billed if job.outcome is None]
        paid = sum(job.billed or 0.0 for job in billed)
        thought, their_bill = (sum(getattr(job, name) or 0.0 for job in ran) for name in ("estimate", "billed"))
        rows: dict[str, Any] = {
            "jobs": f"{len(jobs)}, {sum(job.posted is not None for job in jobs)} posted, {len(billed)} billed",
            "billed": f"{paid:.1f} s on the machine",
            "estimated": f"{thought:.1f} s for those that ended well"
            + (f" ({thought / their_bill:.1%} of their bill)" if thought else ""),
            "spent": f"{spent:.1f} s, with the estimates of what is not billed yet",
            "pay-as-you-go": f"${spent * DOLLARS_PER_SECOND:.2f}, at ${DOLLARS_PER_SECOND:.2f} a second",
        }
        if idle:
            each = idle / max(1, sum(job.posted is not None for job in jobs))
            rows["between jobs"] = f"{idle:.1f} s of these, in sessions: device.pause was {each:.2g} s"
        print_table(rows)


@app.command()
def sync(folder: RunFolder) -> None:
    """Ask the service about every job that is open: find it, save its result and its bill. Computes nothing."""
    with user_errors(), _connected(folder) as (ledger, device):
        for job in ledger.jobs.remote_jobs():
            _sync(ledger, device, job)
        _print_jobs(ledger.jobs.remote_jobs())


@app.command()
def cancel(folder: RunFolder) -> None:
    """Cancel every job of a run that has not ended. The run can be continued: they are then posted anew."""
    with user_errors(), _connected(folder) as (ledger, device):
        ended = 0
        for job in ledger.jobs.remote_jobs():
            synced = _sync(ledger, device, job)
            if synced.job_id is not None and synced.raw is None and synced.outcome is None:
                device.cancel(synced.job_id)
                _sync(ledger, device, synced)
                ended += 1
        typer.echo(f"{ended} jobs cancelled.")


def _sync(ledger: Ledger, device: RemoteDevice, job: Job) -> Job:
    """What the service knows of a job, written down."""
    from qeqprop.submitter import id_tag

    table = ledger.jobs
    if job.job_id is None and job.posted is not None and (found := device.find(id_tag(job))):
        job = table.note_job(job, job_id=found[0])
    job_id = job.job_id
    if job_id is None:
        return job
    if job.raw is None and job.outcome is None:
        state = device.state(job_id)
        if state.phase == "done":
            job = table.note_job(job, raw=device.collect(job_id))
        elif state.is_final:
            job = table.note_job(job, outcome=state.phase)
    billed = device.billed(job_id) if job.billed is None else None
    return job if billed is None else table.note_job(job, billed=billed)


@contextmanager
def _connected(folder: Path) -> Generator[tuple[Ledger, RemoteDevice], None, None]:
    """The ledger of a run, for this process alone, and its device."""
    import json

    from qeqprop.assembly import rebuild
    from qeqprop.ledger import open_run, read_run
    from qeqprop.recorded import is_remote

    with read_run(folder) as ledger:
        resolved, source = ledger.resolved, Path(ledger.source)
    tables = json.loads(resolved)
    device: Any = rebuild("device", tables, source.parent) if "device" in tables else None
    if device is None or not is_remote(device):
        fail(f"{folder}: this run has no device whose jobs outlive it.")
    with open_run(folder, resolved=resolved, versions={}) as ledger:
        yield ledger, device


def _print_jobs(jobs: list[Job]) -> None:
    from qeqprop.job_table import LESSON
    from qeqprop.submitter import LESSON_TAG

    if not jobs:
        typer.echo("No jobs.")
        return
    lines = [("step", "call", "part", "attempt", "state", "estimated", "billed", "job", "tag")]
    for job in jobs:
        billed = "" if job.billed is None else f"{job.billed:.1f} s"
        part = LESSON_TAG if job.part == LESSON else str(job.part)
        numbers = (str(job.step), str(job.call), part, str(job.attempt))
        lines.append((*numbers, job.state, f"{job.estimate or 0.0:.1f} s", billed, job.job_id or "", f"id-{job.tag}"))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        typer.echo("  ".join(f"{word:<{width}}" for word, width in zip(line, widths, strict=True)).rstrip())
