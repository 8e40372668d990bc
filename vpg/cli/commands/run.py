"""``vpg run``: simulate a scenario, bill every hour, judge it, keep all in a run directory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vpg.cli.grammar import command
from vpg.cli.options import (
    CatalogueOption,
    ClusterOption,
    EngineOption,
    OutDirOption,
    ReplicationsOption,
    ScenarioArgument,
    SeedOption,
    SetOption,
    UntilOption,
    VariantOption,
    WorkersOption,
    catalogue_files,
    exclude,
    find_scenario,
)
from vpg.errors import ExitCode

if TYPE_CHECKING:
    from vpg.cli.replications import Asked
    from vpg.cli.runner import Done, Request
    from vpg.cli.stopping import StopFlag
    from vpg.cli.terminal import Terminal

Charts = Literal["png", "svg", "both", "none"]
_FORMATS: dict[Charts, tuple[str, ...]] = {
    "png": ("png",),
    "svg": ("svg",),
    "both": ("png", "svg"),
    "none": (),
}


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    command(
        app,
        "run",
        "Simulate a scenario and bill every clock hour. Draws charts, judges the objectives and "
        "keeps everything in a run directory.",
        (
            "vpg run smart-meters",
            "vpg run mine.yaml --variant peak --set vpgs[0].size=medium --lang ja",
            "vpg run mine.yaml --json --no-charts > result.json",
            "vpg run mine.yaml --replications 20",
            "vpg run mine.yaml --until accepted_share+-0.1% --workers 2",
        ),
    )(run)


def run(
    terminal: Terminal,
    *,
    scenario: ScenarioArgument,
    out: OutDirOption = "runs",
    variant: VariantOption = None,
    sets: SetOption = None,
    catalogue: CatalogueOption = None,
    seed: SeedOption = None,
    charts: Annotated[
        Charts | None,
        typer.Option(
            "--charts", help="Format of the charts; none is --no-charts.  [default: both]"
        ),
    ] = None,
    no_charts: Annotated[
        bool, typer.Option("--no-charts", help="Draw no charts (saves about 3 s).")
    ] = False,
    fail_on_objectives: Annotated[
        bool,
        typer.Option(
            "--fail-on-objectives/--no-fail-on-objectives",
            help="Exit with 4 when an objective is missed, after writing everything.",
        ),
    ] = True,
    replicate: ReplicationsOption = None,
    until: UntilOption = None,
    workers: WorkersOption = None,
    cluster: ClusterOption = None,
    engine: EngineOption = "auto",
) -> None:
    """Run and tell."""
    from vpg.cli import replications, runner, stopping, teams
    from vpg.cli.terminal import kept_in

    exclude({"--charts": charts not in {None, "none"}, "--no-charts": no_charts})
    exclude({"--cluster": cluster is not None, "--workers": workers is not None})
    asked = replications.asked(replicate, until, workers)
    teams.check(cluster, is_used=asked is not None)
    request = runner.Request(
        source=find_scenario(scenario),
        variant=variant,
        sets=(*(sets or ()), *(() if seed is None else (f"seed={seed}",))),
        catalogue_files=catalogue_files(catalogue),
        out=Path(out),
        charts=() if no_charts else _FORMATS[charts or "both"],
        lang=terminal.lang,
        engine=engine,
        workers=workers,
    )
    with stopping.asked_to_stop(terminal.word("stopping")) as stop:
        done = _run(request, asked, cluster, terminal, stop)
        with kept_in(done.run_dir):
            _tell(done, terminal)
    raise typer.Exit(_exit_code(done, stop, fail_on_objectives=fail_on_objectives))


def _run(
    request: Request, asked: Asked | None, cluster: str | None, terminal: Terminal, stop: StopFlag
) -> Done:
    from vpg.cli import progress, replications, runner, teams, warming
    from vpg.text import render

    loaded = runner.load(request)
    for warning in loaded.warnings:
        terminal.note(render(warning, terminal.lang))
    runner.check_out(loaded)
    warming.make_ready(loaded.scenario, request.engine, terminal)
    with teams.far(cluster) as team:  # Before the first run: a cluster may be out of reach.
        with progress.shown(terminal) as show:
            result = runner.simulate(loaded, show, stop)
        accounts = runner.account(loaded, result)
        repeated = None
        if asked is not None:
            repeated = replications.repeat(loaded, result, asked, team, terminal, stop)
            result = repeated.marked(result)
    if request.charts and not stop():
        terminal.note(terminal.word("run_charts"))
    return runner.write(loaded, result, accounts, stop, repeated)


def _tell(done: Done, terminal: Terminal) -> None:
    if terminal.as_json:
        terminal.document(done.document)
    elif terminal.quiet:
        terminal.data(str(done.run_dir))
    else:
        from reports.terminal import print_summary

        terminal.page(lambda console: print_summary(console, done.document, terminal.lang))
    if done.why_partial and terminal.as_json:
        terminal.note(terminal.word("run_partial", why=done.why_partial))


def _exit_code(done: Done, stop: StopFlag, *, fail_on_objectives: bool) -> int:
    if done.why_partial:
        return stop.exit_code if stop() else ExitCode.PARTIAL
    if done.until_missed:
        return ExitCode.CANNOT_TELL
    if fail_on_objectives and not done.objectives_met:
        return ExitCode.ANSWER_IS_NO
    return ExitCode.OK
