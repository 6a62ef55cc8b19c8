"""The command ``qeqprop rehearse``: a whole submission, practised against a stand-in of IBM's service."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qeqprop.terminal import fail, print_table, user_errors

if TYPE_CHECKING:
    from qeqprop.rehearsal.job import Job
    from qeqprop.rehearsal.server import Rehearsal

HELP = """Practise a submission to IBM's machines on this computer: nothing is sent away, nothing is paid.

\b
With a run file, the run is made against a stand-in of the service, into a folder of its own, and billed in play money.
Stopped or killed, it goes on when the same command is given again; its jobs are kept in FOLDER/NAME-....service:
  qeqprop rehearse iris.toml
  qeqprop rehearse iris.toml --posts 1000                 without the waits of five jobs a minute
  qeqprop rehearse iris.toml --plan payg --queue-seconds 2 --fault "POST /jobs$ 503 times=2"

\b
With --server, the stand-in runs until Ctrl-C, for anything that uses qiskit-ibm-runtime, also in other languages and
notebooks. Paste the lines it prints into the shell from which that is started:
  qeqprop rehearse --server
  qeqprop rehearse --server --port 8042 --keep jobs --machine kingston --machine torino_8.toml

\b
A fault is a method, a pattern of the path, an action and how often:
  429, 503, ..    the answer has that code and nothing is done (retry_after=SECONDS adds the header)
  drop_before     the connection is closed before the request took effect
  drop_after      .. and after it
  truncate        half of the answer is sent
  html            a page of HTML is sent instead
  hang=SECONDS    the request takes effect, and the connection is closed without an answer after a while
  wait=SECONDS    the answer comes late
"""

_POSTS = 5
"""Jobs that the service takes from a user in a minute."""


def rehearse(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="A run file for an IBM machine.")] = None,
    server: Annotated[bool, typer.Option("--server", help="Only run the stand-in, until Ctrl-C.")] = False,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Replace one value of the file.")
    ] = None,
    folder: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the run folders are.")] = Path("rehearsals"),
    machines: Annotated[
        list[str] | None, typer.Option("--machine", metavar="NAME", help="On offer; can be repeated.")
    ] = None,
    plan: Annotated[str, typer.Option(metavar="PLAN", help="open, payg, flex or premium.")] = "open",
    port: Annotated[int, typer.Option(min=0, max=65535, help="To listen on; 0 is any that is free.")] = 0,
    keep: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where jobs are kept, so that they outlive --server.")
    ] = None,
    queue_seconds: Annotated[float, typer.Option(min=0, help="How long a job waits at least.")] = 0.0,
    run_seconds: Annotated[float, typer.Option(min=0, help="How long a job runs at least.")] = 0.0,
    tag_lag: Annotated[float, typer.Option(min=0, help="Seconds for which new jobs are not found by tag.")] = 0.0,
    posts: Annotated[
        int | None, typer.Option(min=1, help="Jobs a minute: of the stand-in (5), and of the device of the file.")
    ] = None,
    faults: Annotated[
        list[str] | None, typer.Option("--fault", metavar="FAULT", help="What goes wrong; can be repeated.")
    ] = None,
) -> None:
    """Starts the stand-in, and with a run file the run."""
    with user_errors():
        if server == (file is not None):
            fail("error: give a run file, or --server without one.")
        from qeqprop.rehearsal.account import PLANS
        from qeqprop.rehearsal.faults import read_fault
        from qeqprop.rehearsal.machines import CUT, FULL
        from qeqprop.rehearsal.server import Rehearsal

        if plan not in PLANS:
            fail(f"error: --plan must be one of {', '.join(PLANS)}, but is {plan!r}.")
        wanted = _device(file, overrides or []) if file is not None else {}
        if file is not None and keep is None:
            keep = folder / _kept(file, overrides or [])
        named = machines or ([wanted["machine"]] if wanted else [*FULL, *CUT])
        going_wrong = [read_fault(text) for text in faults or []]
        with Rehearsal(
            tuple(named),
            plan=plan,
            port=port,
            folder=keep,
            instance=wanted.get("instance"),
            queue_seconds=queue_seconds,
            run_seconds=run_seconds,
            tag_lag=tag_lag,
            posts_per_minute=posts or _POSTS,
        ) as rehearsal:
            for fault in going_wrong:
                rehearsal.faults.add(fault)
            if file is None:
                _serve(rehearsal)
            else:
                faster = [] if posts is None else [f"device.posts_per_minute={posts}"]
                _practise(rehearsal, file, [*(overrides or []), *faster], folder)


def _device(file: Path, overrides: Sequence[str]) -> dict[str, Any]:
    """The table of the device, which has to name a machine."""
    from qeqprop.runfile import read
    from qeqprop.snapshots import profile_text, settings_of

    table: Any = read(file, overrides).tree.get("device")
    found: dict[str, Any] = dict(table) if isinstance(table, dict) else {}
    if "use" not in found and isinstance(found.get("profile"), str):
        found = (settings_of(profile_text(found["profile"])) or {}) | found
    if not isinstance(found.get("machine"), str):
        fail(
            f"error: {file}: a rehearsal needs a device on IBM's machines, with `machine` in [device]; "
            "for the noise of a stored calibration: qeqprop profile rehearse."
        )
    return found


def _kept(file: Path, overrides: Sequence[str]) -> str:
    """The name of the folder in which the service keeps the jobs of this run: another file is another folder."""
    from qeqprop.runfile import read, short_hash

    return f"{file.stem}-{short_hash(read(file, overrides).tree)}.service"


def _practise(rehearsal: Rehearsal, file: Path, overrides: Sequence[str], folder: Path) -> None:
    with rehearsal.connected():
        from rich.console import Console

        from qeqprop.experiment import Experiment
        from qeqprop.progress import describe_result, watch
        from qeqprop.report import logistic_accuracy

        experiment = Experiment.load(file, overrides)
        steps, price = experiment.setup.plan.steps, experiment.check().price
        if price is not None:
            typer.echo(
                f"estimated for {steps} step{'s' * (steps != 1)}: about {price.total_seconds:.1f} s on {price.machine}"
            )
        try:
            with watch(steps, Console(stderr=True)) as progress, _bill_at_the_end(rehearsal, folder / experiment.name):
                result = experiment.run(folder, progress)
        except KeyboardInterrupt:
            fail("Stopped. Every finished step and every job is saved; the same command goes on.", 130)
        typer.echo(describe_result(result, steps, logistic_accuracy(experiment.setup.data)))


@contextmanager
def _bill_at_the_end(rehearsal: Rehearsal, run: Path) -> Generator[None, None, None]:
    """Whatever ends the run, what it would have cost is said, beside what was thought before each job."""
    try:
        yield
    finally:
        print_table(_bill(rehearsal) | _thought(run))


def _thought(run: Path) -> dict[str, str]:
    """What the run had estimated for its jobs before it posted them."""
    if not (run / "ledger.sqlite").exists():
        return {}
    from qeqprop.ledger import read_run

    with read_run(run) as ledger:
        estimates = [job.estimate for job in ledger.jobs.remote_jobs() if job.estimate is not None]
    return {"estimated": f"{sum(estimates):.2f} s for {len(estimates)} jobs"} if estimates else {}


def _bill(rehearsal: Rehearsal) -> dict[str, Any]:
    from qeqprop.rehearsal.account import PLANS

    plan, jobs, seconds = PLANS[rehearsal.service.plan], rehearsal.jobs, rehearsal.consumed
    return {
        "jobs": len(jobs),
        "executions": sum(job.executions for job in jobs if job.state == "Completed"),
        "billed": f"{seconds:.2f} s on the machine",
        f"plan {plan.title}": f"{seconds / rehearsal.service.limit:.1%} of its {rehearsal.service.limit:.0f} s"
        + (f", would be ${seconds * plan.price:.2f}" if plan.price else ""),
        "faults": rehearsal.faults.happened,
    }


def _serve(rehearsal: Rehearsal) -> None:
    """Says how to reach it, then what happens, until Ctrl-C or a request to end."""
    import shlex
    import signal

    for number in (signal.SIGINT, signal.SIGTERM):  # a shell starts what is in the background deaf to the first
        signal.signal(number, signal.default_int_handler)

    offered = ", ".join(rehearsal.service.machines)
    typer.echo(f"# A stand-in of IBM's service, for practice: plan {rehearsal.service.plan}, machines {offered}.")
    typer.echo("# Paste these lines into the shell that shall use it; Ctrl-C here ends it.")
    for name, value in rehearsal.environment().items():
        typer.echo(f"export {name}={shlex.quote(value)}")
    seen: dict[str, str] = {}
    try:
        while True:
            for job in rehearsal.jobs:
                if seen.get(job.id) != job.state:
                    seen[job.id] = job.state
                    typer.echo(_line(job), err=True)
            time.sleep(0.2)
    except KeyboardInterrupt:
        print_table(_bill(rehearsal))


def _line(job: Job) -> str:
    words = [time.strftime("%H:%M:%S"), job.id, job.backend, f"{job.executions} executions", job.state]
    if job.state == "Completed":
        words.append(f"{job.billed:.2f} s")
    elif job.reason is not None and job.is_final:
        words.append(job.reason)
    return "  ".join([*words, " ".join(job.tags)])
