"""``vpg sweep``: a scenario over ranges and lists of its keys; one row of figures a point."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vpg.cli.grammar import command
from vpg.cli.options import (
    REPLICATIONS_MAX,
    CatalogueOption,
    ClusterOption,
    OutDirOption,
    ScenarioArgument,
    SeedOption,
    SetOption,
    UntilOption,
    VariantOption,
    catalogue_files,
    exclude,
    find_scenario,
)
from vpg.errors import ExitCode

if TYPE_CHECKING:
    from sim.points import PointPlan
    from sim.pool import Team
    from vpg.cli.stopping import StopFlag
    from vpg.cli.sweeper import Kept, Prepared
    from vpg.cli.terminal import Terminal
    from vpg.sweepwork import SweepWork

WORKERS_MAX = 256
_Over = Annotated[
    list[str],
    typer.Option(
        "--over",
        metavar="KEY=SPEC",
        help="Values of one key: an inclusive range with a step, 1000..10000:1000 or "
        "0.5..2:0.5, or a list, small,medium; repeated: every combination, the last key "
        "fastest.",
    ),
]
_Replications = Annotated[
    int | None,
    typer.Option(
        "--replications",
        metavar="R",
        min=1,
        max=REPLICATIONS_MAX,
        help="Run each point R times with independent draws and give 95 % intervals. With "
        "--until: at most R (1,000).",
    ),
]
_Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        metavar="N",
        min=1,
        max=WORKERS_MAX,
        help="Processes that compute; else one for each processor. Never changes a figure.",
    ),
]
_Fresh = Annotated[
    bool,
    typer.Option(
        "--fresh/--resume",
        help="Compute everything anew, or go on from what the same command finished before.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    command(
        app,
        "sweep",
        "Run a scenario over ranges and lists of any of its keys. One table has a row of "
        "figures for each combination. Stopped or killed, the same command goes on from the "
        "finished points. Ends with 0 when all points were computed, whatever their verdicts.",
        (
            "vpg sweep smart-meters --over fleets.meters.lines=1000..3000:500",
            "vpg sweep mine.yaml --over vpgs.gate.size=small,medium,large --replications 20",
        ),
    )(sweep)


def sweep(
    terminal: Terminal,
    *,
    scenario: ScenarioArgument,
    over: _Over,
    out: OutDirOption = "runs",
    variant: VariantOption = None,
    sets: SetOption = None,
    catalogue: CatalogueOption = None,
    seed: SeedOption = None,
    replicate: _Replications = None,
    until: UntilOption = None,
    workers: _Workers = None,
    fresh: _Fresh = False,
    cluster: ClusterOption = None,
    no_charts: Annotated[bool, typer.Option("--no-charts", help="Draw no charts.")] = False,
) -> None:
    """Check, compute, keep and tell."""
    from sim.pool import Local
    from vpg.cli import replications, runner, stopping, sweeper, teams, warming
    from vpg.sweeps import point_count

    exclude({"--cluster": cluster is not None, "--workers": workers is not None})
    teams.check(cluster, is_used=True)
    asked = replications.asked(replicate, until, workers) or replications.Asked(replications=1)
    request = runner.Request(
        source=find_scenario(scenario),
        variant=variant,
        sets=(*(sets or ()), *(() if seed is None else (f"seed={seed}",))),
        catalogue_files=catalogue_files(catalogue),
        out=Path(out),
        charts=() if no_charts else ("png", "svg"),
        lang=terminal.lang,
    )
    grid = sweeper.read_sweep(request, over, asked)
    terminal.note(terminal.word("sweep_checking", count=f"{point_count(grid.axes):,}"))
    prepared = sweeper.prepare(request, grid, asked)
    _warn(prepared, terminal)
    with (
        teams.far(cluster) as team,
        sweeper.work_of(prepared) as work,
        stopping.asked_to_stop(terminal.word("stopping")) as stop,
    ):
        plan = sweeper.begin(prepared, work, fresh=fresh)
        if team is None:
            # Once here, or each process would do it for itself.
            warming.make_ready(prepared.loaded.scenario, "auto", terminal)
        here = Local(workers=workers or teams.processors())
        _compute(prepared, work, plan, team or here, terminal, stop)
        kept = None if stop() else _write(prepared, plan, work, terminal, stop)
        _tell(prepared, plan, work, kept, stop, terminal)
    raise typer.Exit(_exit_code(plan, kept, stop))


def _exit_code(plan: PointPlan, kept: Kept | None, stop: StopFlag) -> int:
    if kept is None:
        return stop.exit_code
    missed = any(row.until_met is False for row in plan.rows())
    return ExitCode.CANNOT_TELL if missed else ExitCode.OK


def _warn(prepared: Prepared, terminal: Terminal) -> None:
    from vpg.text import render

    for warning in prepared.warnings:
        terminal.note(render(warning, terminal.lang))


def _compute(  # noqa: PLR0917 - one step of the command, cut out for its length
    prepared: Prepared,
    work: SweepWork,
    plan: PointPlan,
    team: Team,
    terminal: Terminal,
    stop: StopFlag,
) -> None:
    from vpg.cli import progress, sweeper

    if plan.known:
        said = _said(plan, prepared)
        terminal.note(terminal.word("sweep_known", finished=terminal.word(**said)))
    left = {"count": f"{prepared.total - plan.finished_points:,}"}
    title = terminal.word("sweep_simulating", **left)
    if prepared.wanted.replications > 1:
        most = f"{prepared.wanted.replications:,}"
        title = terminal.word("sweep_simulating_runs", replications=most, **left)
    with progress.shown(terminal, title) as show:
        sweeper.compute(prepared, work, plan, team, progress=show, stop=stop)


def _said(plan: PointPlan, prepared: Prepared) -> dict[str, str]:
    """Return the words for what is finished."""
    known, count = f"{plan.finished_points:,}", f"{prepared.total:,}"
    if prepared.wanted.replications == 1:
        return {"key": "sweep_finished", "known": known, "count": count}
    runs = f"{plan.finished_runs:,}"
    return {"key": "sweep_finished_runs", "known": known, "count": count, "runs": runs}


def _write(
    prepared: Prepared,
    plan: PointPlan,
    work: SweepWork,
    terminal: Terminal,
    stop: StopFlag,
) -> Kept | None:
    from vpg.cli import sweeper

    if prepared.loaded.request.charts:
        terminal.note(terminal.word("run_charts"))
    kept = sweeper.write(prepared, plan, stop)
    if kept is not None:
        work.remove()
    return kept


def _tell(  # noqa: PLR0917 - as above
    prepared: Prepared,
    plan: PointPlan,
    work: SweepWork,
    kept: Kept | None,
    stop: StopFlag,
    terminal: Terminal,
) -> None:
    from vpg.cli import sweeper

    shown = kept or sweeper.Kept(sweep_dir=work.path)
    if terminal.as_json:
        terminal.document(sweeper.document(prepared, plan, shown, "" if kept else stop.name))
    elif kept and not terminal.quiet:
        from reports.sweep_terminal import print_sweep

        terminal.page(
            lambda console: print_sweep(
                console,
                prepared.loaded.scenario,
                prepared.sweep.axes,
                plan.rows(),
                str(shown.sweep_dir),
                terminal.lang,
            )
        )
    else:
        terminal.data(str(shown.sweep_dir))
    if kept is None:
        said = terminal.word(**_said(plan, prepared))
        terminal.note(terminal.word("sweep_kept", finished=said, path=work.path))
        return
    missed = sum(row.until_met is False for row in plan.rows())
    if missed:
        until = prepared.asked.until_text
        terminal.note(terminal.word("sweep_until_missed", count=f"{missed:,}", until=until))
