"""``vpg sweep``: a scenario over ranges and lists of its keys; one row of figures a point."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vpg.cli.grammar import command
from vpg.cli.options import (
    CatalogueOption,
    OutDirOption,
    ScenarioArgument,
    SeedOption,
    SetOption,
    VariantOption,
    catalogue_files,
    find_scenario,
)
from vpg.errors import ExitCode

if TYPE_CHECKING:
    from vpg.cli.stopping import StopFlag
    from vpg.cli.sweeper import Kept, Prepared
    from vpg.cli.terminal import Terminal
    from vpg.sweeps import PointRow
    from vpg.sweepwork import SweepWork

WORKERS_MAX = 256


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
            "vpg sweep mine.yaml --over vpgs.gate.size=small,medium,large --over seed=1..5",
        ),
    )(sweep)


def sweep(
    terminal: Terminal,
    *,
    scenario: ScenarioArgument,
    over: Annotated[
        list[str],
        typer.Option(
            "--over",
            metavar="KEY=SPEC",
            help="Values of one key: an inclusive range with a step, 1000..10000:1000 or "
            "0.5..2:0.5, or a list, small,medium; repeated: every combination, the last key "
            "fastest.",
        ),
    ],
    out: OutDirOption = "runs",
    variant: VariantOption = None,
    sets: SetOption = None,
    catalogue: CatalogueOption = None,
    seed: SeedOption = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            metavar="N",
            min=1,
            max=WORKERS_MAX,
            help="Processes that compute points; else one for each processor. Never changes a "
            "figure.",
        ),
    ] = None,
    fresh: Annotated[
        bool,
        typer.Option(
            "--fresh/--resume",
            help="Compute every point anew, or go on from the points that the same command "
            "finished before.",
        ),
    ] = False,
    no_charts: Annotated[bool, typer.Option("--no-charts", help="Draw no charts.")] = False,
) -> None:
    """Check, compute, keep and tell."""
    from vpg.cli import runner, stopping, sweeper
    from vpg.sweeps import point_count

    request = runner.Request(
        source=find_scenario(scenario),
        variant=variant,
        sets=(*(sets or ()), *(() if seed is None else (f"seed={seed}",))),
        catalogue_files=catalogue_files(catalogue),
        out=Path(out),
        charts=() if no_charts else ("png", "svg"),
        lang=terminal.lang,
    )
    asked = sweeper.read_sweep(request, over)
    terminal.note(terminal.word("sweep_checking", count=f"{point_count(asked.axes):,}"))
    prepared = sweeper.prepare(request, asked)
    _warn(prepared, terminal)
    with (
        sweeper.work_of(prepared) as work,
        stopping.asked_to_stop(terminal.word("stopping")) as stop,
    ):
        rows = sweeper.begin(prepared, work, fresh=fresh)
        _compute(prepared, work, rows, workers or _processors(), terminal, stop)
        kept = None if stop() else _write(prepared, rows, work, terminal, stop)
        _tell(prepared, rows, work, kept, stop, terminal)
    raise typer.Exit(ExitCode.OK if kept else stop.exit_code)


def _processors() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # Not on every system.
        return os.cpu_count() or 1


def _warn(prepared: Prepared, terminal: Terminal) -> None:
    from vpg.text import render

    for warning in prepared.warnings:
        terminal.note(render(warning, terminal.lang))


def _compute(  # noqa: PLR0917 - one step of the command, cut out for its length
    prepared: Prepared,
    work: SweepWork,
    rows: dict[int, PointRow],
    workers: int,
    terminal: Terminal,
    stop: StopFlag,
) -> None:
    from vpg.cli import progress, sweeper

    total = f"{prepared.total:,}"
    if rows:
        terminal.note(terminal.word("sweep_known", known=f"{len(rows):,}", count=total))
    left = f"{prepared.total - len(rows):,}"
    with progress.shown(terminal, terminal.word("sweep_simulating", count=left)) as show:
        sweeper.compute(prepared, work, rows, workers=workers, progress=show, stop=stop)


def _write(
    prepared: Prepared,
    rows: dict[int, PointRow],
    work: SweepWork,
    terminal: Terminal,
    stop: StopFlag,
) -> Kept | None:
    from vpg.cli import sweeper

    if prepared.loaded.request.charts:
        terminal.note(terminal.word("run_charts"))
    kept = sweeper.write(prepared, list(rows.values()), stop)
    if kept is not None:
        work.remove()
    return kept


def _tell(  # noqa: PLR0917 - as above
    prepared: Prepared,
    rows: dict[int, PointRow],
    work: SweepWork,
    kept: Kept | None,
    stop: StopFlag,
    terminal: Terminal,
) -> None:
    from vpg.cli import sweeper

    shown = kept or sweeper.Kept(sweep_dir=work.path)
    if terminal.as_json:
        terminal.document(
            sweeper.document(prepared, list(rows.values()), shown, "" if kept else stop.name)
        )
    elif kept and not terminal.quiet:
        from reports.sweep_terminal import print_sweep

        terminal.page(
            lambda console: print_sweep(
                console,
                prepared.loaded.scenario,
                prepared.sweep.axes,
                list(rows.values()),
                str(shown.sweep_dir),
                terminal.lang,
            )
        )
    else:
        terminal.data(str(shown.sweep_dir))
    if kept is None:
        total = f"{prepared.total:,}"
        terminal.note(
            terminal.word("sweep_kept", known=f"{len(rows):,}", count=total, path=work.path)
        )
