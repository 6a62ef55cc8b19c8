"""The commands about machines: ``qeqprop profile list``, ``show``, ``snapshot``, ``rehearse``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qeqprop.terminal import fail, print_table, user_errors

if TYPE_CHECKING:
    from qeqprop.noise_comparison import Damping

_HELP = """Machines on paper: stored calibrations, settings for submission, and rehearsals with the noise of a machine.

\b
  qeqprop profile list                                     what there is
  qeqprop profile show kingston_8                          its numbers, and a picture of the chip
  qeqprop profile snapshot FakeMarrakesh --sites 8         cut one from a snapshot of qiskit-ibm-runtime
  qeqprop profile rehearse run.toml --profile torino_8     train with its noise, and without it beside

A profile is a file of hardware_profiles/, here or in the package; a whole machine is named like its snapshot,
FakeKingston. In a run file: [device] with profile = "kingston_8.toml".
"""
_LIST_HELP = """List the profiles: calibrations with their mean errors, settings of devices, whole machines.

Your own files, in the folder you work in or in its hardware_profiles/, come before those of the package.
"""
_SHOW_HELP = """Show the numbers of a profile, and draw the chip into NAME.png.

\b
Examples:
  qeqprop profile show kingston_8
  qeqprop profile show FakeKingston --sites 6        marks the six connected qubits with the least errors
  qeqprop profile show FakeKingston --file run.toml  marks where the network of a run file goes, and its couplings
  qeqprop profile show berlin_9 --no-picture
"""
_SNAPSHOT_HELP = """Cut a calibration from a machine and write it as a profile.

\b
Examples:
  qeqprop profile snapshot FakeKingston --sites 6           the best connected qubits of the client's snapshot
  qeqprop profile snapshot FakeKingston --sites 6 --line    the best line
  qeqprop profile snapshot FakeTorino --qubits 0,1,2,15     these ones
  qeqprop profile snapshot ibm_kingston --sites 8           as it is now, asked through your account
  qeqprop profile snapshot FakeKingston                     every qubit that works
"""

_REHEARSE_HELP = """Train with the noise of a profile, and with as many shots without noise beside it.

\b
Examples:
  qeqprop profile rehearse run.toml --profile kingston_8
  qeqprop profile rehearse run.toml --profile FakeMiami --steps 20 --shots 4000
  qeqprop profile rehearse run.toml --profile torino_8 --set solver.steps=8

\b
At the end it says what the noise does to the outputs of the trained network, and whether the canary shows it:
the canary is the circuit of a job and its inverse, ideally back at zero, whose mean Z is 1 without noise.
Nothing is written.
"""

Couplings = Sequence[tuple[int, int]]

app = typer.Typer(help=_HELP, no_args_is_help=True, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(metavar="NAME", help="A profile, or a whole machine such as FakeKingston.")]


@app.command(name="list", help=_LIST_HELP, short_help="List the profiles there are.")
def list_profiles() -> None:
    """Lists the profiles."""
    with user_errors():
        from qeqprop.profile_summary import summaries, table
        from qeqprop.snapshots import BUNDLED

        for line in table(summaries()):
            typer.echo(line)
        typer.echo("\nWhole machines, snapshots of qiskit-ibm-runtime, which can be named like a profile:")
        for name, machine in BUNDLED.items():
            typer.echo(f"  {name:<15} {machine.family:<13} {machine.n_qubits} qubits")


@app.command(help=_SHOW_HELP, short_help="Show the numbers of a profile and draw the chip.")
def show(
    name: Name,
    sites: Annotated[int, typer.Option(min=0, help="Mark so many connected qubits with the least errors.")] = 0,
    file: Annotated[Path | None, typer.Option(metavar="FILE", help="Mark where a run file's network goes.")] = None,
    draw: Annotated[bool, typer.Option("--picture/--no-picture", help="Draw the chip.")] = True,
) -> None:
    """Shows a profile."""
    with user_errors():
        from qeqprop.profile_summary import numbers, qubit_lines
        from qeqprop.snapshots import best_qubits, calibration_of, profile_text, settings_of

        text = profile_text(_with_suffix(name), argument="name")
        settings = settings_of(text)
        if settings is not None:
            print_table({"settings of": settings.pop("use")} | settings)
            return
        calibration = calibration_of(text)
        print_table(numbers(calibration))
        typer.echo()
        for line in qubit_lines(calibration):
            typer.echo(line)
        chosen = best_qubits(calibration, sites) if sites else ()
        couplings: Couplings = ()
        if file is not None:
            chosen, couplings = _placed(file, _with_suffix(name))
        elif chosen:
            typer.echo(f"\nThe best {sites} connected qubits: {', '.join(map(str, chosen))}")
        if draw:
            from qeqprop.chip_drawing import chip

            path = Path(f"{Path(name).stem}.png")
            chip(calibration, sites=chosen, couplings=couplings).savefig(path, dpi=150, bbox_inches="tight")
            typer.echo(f"drawn: {path}")


@app.command(help=_SNAPSHOT_HELP, short_help="Cut a calibration from a machine.")
def snapshot(
    machine: Annotated[str, typer.Argument(metavar="MACHINE", help="FakeKingston; ibm_kingston needs an account.")],
    qubits: Annotated[str, typer.Option(metavar="Q,Q,...", help="Physical qubits, in the order they shall have.")] = "",
    sites: Annotated[int, typer.Option(min=0, help="So many connected qubits with the least errors.")] = 0,
    line: Annotated[bool, typer.Option("--line", help="With --sites: qubits on a line, in its order.")] = False,
    instance: Annotated[str | None, typer.Option(help="The instance to ask through; the account's by default.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Where to write; MACHINE_N.toml by default.")] = None,
) -> None:
    """Writes a calibration."""
    with user_errors():
        if qubits and sites:
            fail("error: give --qubits or --sites, not both.")
        from rich.console import Console

        from qeqprop.calibration import to_text
        from qeqprop.snapshots import best_qubits, bundled, from_account

        with Console(stderr=True).status(f"Reading {machine}"):
            whole = bundled(machine) if machine.startswith("Fake") else from_account(machine, instance=instance)
        wanted = _numbers(qubits) if qubits else best_qubits(whole, sites, line=line) if sites else whole.physical
        missing = [qubit for qubit in wanted if qubit not in whole.physical]
        if missing:
            fail(f"error: qubit {missing[0]} of {machine} does not work, or there is none.")
        cut = whole.cut([whole.physical.index(qubit) for qubit in wanted])
        path = out or Path(f"{whole.name.removeprefix('ibm_')}_{cut.n_qubits}.toml")
        try:
            with path.open("x", encoding="utf-8") as stream:
                stream.write(to_text(cut))
        except FileExistsError:
            fail(f"error: {path} is there already, and stays as it is; give another name with --out.")
        typer.echo(f"Wrote {path}: qubits {', '.join(map(str, cut.physical[:20]))}{', ...' * (cut.n_qubits > 20)}")
        typer.echo(f"Next: qeqprop profile show {path.stem}")


@app.command(help=_REHEARSE_HELP, short_help="Train with the noise of a profile and without.")
def rehearse(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A run file in TOML.")],
    profile: Annotated[str, typer.Option(metavar="NAME", help="A calibration, or a machine such as FakeKingston.")],
    steps: Annotated[int | None, typer.Option(min=1, help="Steps of both runs; those of the file by default.")] = None,
    shots: Annotated[int | None, typer.Option(min=2, help="Shots of each circuit; the file's, or 1000.")] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Replace one value of the file.")
    ] = None,
) -> None:
    """Compares a run with noise and without."""
    with user_errors():
        import warnings

        from rich.console import Console

        from qeqprop.devices.profile import Profile
        from qeqprop.experiment import Experiment
        from qeqprop.interfaces import PhysicsWarning
        from qeqprop.noise_comparison import damping, side_by_side

        asked = Experiment.load(file, overrides or []).setup.device
        number = shots or getattr(asked, "shots", None) or 1000
        name = _with_suffix(profile)
        device = Profile(name, shots=number)
        table = f'device={{profile="{name}", shots={number}}}'
        setup = Experiment.load(file, [*(overrides or []), table]).setup
        wanted = steps or setup.plan.steps
        typer.echo(f"noisy: {device.name}; ideal: as many shots without noise")
        typer.echo(f"{'step':>6}  {'loss noisy':>11}  {'loss ideal':>11}  {'cosine':>7}  {'canary':>7}")
        pair = None
        with warnings.catch_warnings(), Console(stderr=True).status("Training both"):
            warnings.simplefilter("ignore", PhysicsWarning)  # `qeqprop check` says what is to be said of the states
            for pair in side_by_side(setup, device, shots=number, steps=wanted):
                noisy, ideal = pair.noisy, pair.ideal
                if noisy.step in (1, wanted) or noisy.step % max(1, wanted // 10) == 0:
                    losses = f"{noisy.loss:>11.4g}  {ideal.loss:>11.4g}"
                    typer.echo(f"{noisy.step:>6}  {losses}  {pair.cosine:>7.3f}  {pair.canary:>7.4f}")
            assert pair is not None  # there is at least one step
            through = damping(setup, device, pair.noisy.theta)
        for metric in ("validation_loss", "validation_accuracy"):
            if metric in pair.noisy.metrics:
                label = metric.replace("validation", "test").replace("_", " ")
                typer.echo(f"{label}: {pair.noisy.metrics[metric]:.4g} noisy, {pair.ideal.metrics[metric]:.4g} ideal")
        typer.echo(_described(through))


def _placed(file: Path, profile: str) -> tuple[tuple[int, ...], Couplings]:
    """Where the network of a run file goes on a machine, and its couplings; says what its circuit becomes there."""
    from qeqprop.experiment import Experiment
    from qeqprop.interfaces import Network
    from qeqprop.placement_report import circuit_of, placement_report
    from qeqprop.training import initial_theta

    setup = Experiment.load(file, [f'device={{profile="{profile}"}}']).setup
    assert setup.device is not None  # it was set
    if not isinstance(setup.network, Network):
        fail(f"error: {file}: the network is not a quantum one, and runs on no machine.")
    theta = initial_theta(setup.network, seed=setup.seed, scale=setup.plan.initial_scale)
    circuit = circuit_of(setup.solver, setup.network, theta, setup.data.train.x[:1])
    report = None if circuit is None else placement_report(setup.device, circuit)
    if report is None:
        fail(f"error: {file}: what its solver runs is not known beforehand.")
    typer.echo(f"\n{report}")
    support = setup.network.strings.x | setup.network.strings.z
    pairs = {(sites[0], sites[1]) for row in support if len(sites := row.nonzero()[0].tolist()) == 2}
    return report.begin, sorted(pairs)


def _described(through: Damping) -> str:
    said = f"canary {through.canary:.4f} (1 without noise): outputs keep {through.low:.3f} to {through.high:.3f}"
    if not through.told:
        return f"{said}; here they hardly vary, so that more cannot be told"
    found = f"{said}; they keep {through.factor:.3f} +- {through.error:.3f}"
    return found + (
        ", as it says" if through.expected else ", which is NOT what it says: some errors do not show in it"
    )


def _numbers(text: str) -> tuple[int, ...]:
    words = text.replace(",", " ").split()
    if not all(word.isdecimal() for word in words) or len(set(words)) != len(words):
        fail(f"error: --qubits must be different numbers such as 0,1,2, but is {text!r}.")
    return tuple(map(int, words))


def _with_suffix(name: str) -> str:
    """The file's name, which may be given without its ending."""
    from qeqprop.snapshots import BUNDLED

    return name if name in BUNDLED or name.endswith(".toml") else f"{name}.toml"
