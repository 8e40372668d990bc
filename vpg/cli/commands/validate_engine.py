"""``vpg validate-engine``: the simulator against the laws of queueing theory that it realises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vpg.cli.grammar import command
from vpg.errors import ExitCode

if TYPE_CHECKING:
    from vpg.cli.terminal import Terminal

WORKERS_MAX = 256
_THOUSANDTHS = 1_000


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    command(
        app,
        "validate-engine",
        "Check the simulator against queueing theory. Plain scenarios set up textbook systems, "
        "which are run again and again; the answer compares them with theory and says how many "
        "of the 95 % intervals hold its value. Ends with 4 when a law is missed.",
        (
            "vpg validate-engine                       about half a minute",
            "vpg validate-engine --long --workers 2    more systems, more runs: many minutes",
        ),
    )(validate_engine)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reached:
    """How far the check is, in thousandths of studies."""

    at_us: int
    start_us: int
    end_us: int
    events: int


def validate_engine(
    terminal: Terminal,
    *,
    long: Annotated[
        bool, typer.Option("--long", help="More systems, more and longer runs of each.")
    ] = False,
    workers: Annotated[
        int,
        typer.Option(
            "--workers",
            metavar="N",
            min=1,
            max=WORKERS_MAX,
            help="Processes that run studies. Never changes a figure.",
        ),
    ] = 1,
    engine: Annotated[
        Literal["auto", "reference", "compiled"],
        typer.Option(
            "--engine",
            help="Data plane to check; auto: the one that a run of this size takes. All three "
            "give the same figures.",
        ),
    ] = "auto",
) -> None:
    """Check and tell."""
    from sim.engine_check.judge import LONG, SHORT, check
    from vpg.cli import progress
    from vpg.cli.documents import EngineDocument
    from vpg.cli.warming import warm_up

    if engine == "compiled":
        warm_up(terminal)

    title = terminal.word("engine_checking")
    with progress.shown(terminal, title, line="engine_progress") as show:

        def tell(done: int, whole: int) -> None:
            if show is not None:
                reached = _Reached(
                    at_us=done * _THOUSANDTHS,
                    start_us=0,
                    end_us=whole * _THOUSANDTHS,
                    events=done,
                )
                show(reached)

        size = LONG if long else SHORT
        rows = check(size, workers=workers, engine=engine, progress=tell)
    met = all(row.met for row in rows)
    if terminal.as_json:
        document = EngineDocument(
            form="long" if long else "short", verdict="met" if met else "missed", laws=list(rows)
        )
        terminal.document(document)
    elif not terminal.quiet:
        from reports.laws_terminal import print_laws

        terminal.page(lambda console: print_laws(console, rows, terminal.lang))
    raise typer.Exit(ExitCode.OK if met else ExitCode.ANSWER_IS_NO)
