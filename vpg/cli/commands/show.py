"""``vpg show``: the summary of a run that is over."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vpg.cli.grammar import command

if TYPE_CHECKING:
    from vpg.cli.terminal import Terminal


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    command(
        app,
        "show",
        "Print the summary of a run directory again.",
        ("vpg show runs/smart-meters-20260401T000000Z-1a2b3c4d --lang ja",),
    )(show)


def show(
    terminal: Terminal,
    *,
    run: Annotated[str, typer.Argument(metavar="RUN", help="Run directory that vpg run wrote.")],
) -> None:
    """Read back and print."""
    from reports.summary import read_summary
    from reports.terminal import print_summary

    document = read_summary(Path(run))
    if terminal.as_json:
        terminal.document(document)
    else:
        terminal.page(lambda console: print_summary(console, document, terminal.lang))
