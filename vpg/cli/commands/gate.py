"""``vpg gate``: whether a change made the service slower, dearer, or lost an event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from vpg.cli.grammar import command
from vpg.cli.options import exclude

if TYPE_CHECKING:
    from vpg.cli.terminal import Terminal

RESTARTS = 5
ROUNDS = 6
_RESTARTS_MAX = 50
_ROUNDS_MAX = 200


_Base = Annotated[
    str | None,
    typer.Option(
        "--base", metavar="REV", help="Compare with the merge base of this revision and HEAD."
    ),
]
_Baseline = Annotated[
    str | None,
    typer.Option(
        "--baseline",
        metavar="FILE",
        help="Compare with a recording of another job, by a reference workload; bands are "
        "three times as wide.",
    ),
]
_Decide = Annotated[
    str | None,
    typer.Option("--decide", metavar="FILE", help="Measure nothing: decide this recording."),
]
_Save = Annotated[
    str | None,
    typer.Option("--save", metavar="FILE", help="Keep what was measured (JSON)."),
]
_Restarts = Annotated[
    int,
    typer.Option(
        "--restarts", metavar="N", min=3, max=_RESTARTS_MAX, help="Starts of every service."
    ),
]
_Rounds = Annotated[
    int,
    typer.Option("--rounds", metavar="N", min=3, max=_ROUNDS_MAX, help="Rounds in each restart."),
]
_Seed = Annotated[
    int,
    typer.Option(
        "--seed", metavar="N", min=0, max=2**63 - 1, help="Of the order of turns and intervals."
    ),
]
_Work = Annotated[
    str | None,
    typer.Option(
        "--work",
        metavar="DIR",
        help="Folder for the stores; else one in memory, so that no disk adds its noise.",
    ),
]
_Markdown = Annotated[
    str | None,
    typer.Option("--markdown", metavar="FILE", help="Append a summary, for a CI step summary."),
]
_Junit = Annotated[str | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML.")]


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    command(
        app,
        "gate",
        "Compare this checkout's service with a base revision's. Both run in turns in one job, "
        "many short rounds; exit 4 when it got slower, costs more or lost an event, 5 when the "
        "machine is too noisy to tell.",
        (
            "vpg gate --base main",
            "vpg gate --base main --junit gate.xml --markdown summary.md --save gate.json",
            "vpg gate --save baseline.json",
            "vpg gate --baseline baseline.json",
            "vpg gate --decide gate.json",
        ),
    )(gate)


def gate(
    terminal: Terminal,
    *,
    base: _Base = None,
    baseline: _Baseline = None,
    decide: _Decide = None,
    save: _Save = None,
    restarts: _Restarts = RESTARTS,
    rounds: _Rounds = ROUNDS,
    seed: _Seed = 1,
    work: _Work = None,
    markdown: _Markdown = None,
    junit: _Junit = None,
) -> None:
    """Measure and decide."""
    from vpg.cli import gating

    exclude({"--base": base is not None, "--baseline": baseline is not None})
    exclude({"--decide": decide is not None, "--base": base is not None})
    exclude({"--decide": decide is not None, "--save": save is not None})
    exclude({"--decide": decide is not None, "--work": work is not None})
    asked = gating.Asked(
        base=base,
        baseline=baseline,
        decide=decide,
        save=save,
        restarts=restarts,
        rounds=rounds,
        seed=seed,
        work=work,
        markdown=markdown,
        junit=junit,
    )
    raise typer.Exit(gating.gate(asked, terminal))
