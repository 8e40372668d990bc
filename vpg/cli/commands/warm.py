"""``vpg warm``: compile the data plane now, so that no later run has to wait for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpg.cli.grammar import command

if TYPE_CHECKING:
    import typer

    from vpg.cli.terminal import Terminal


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    command(
        app,
        "warm",
        "Compile the fast data plane now, once for this machine. The first large run does the "
        "same; in an image or a CI job this is the place to do it.",
        ("vpg warm",),
    )(warm)


def warm(terminal: Terminal) -> None:
    """Compile and tell."""
    from sim.warm import code_folder
    from vpg.cli.documents import WarmDocument
    from vpg.cli.warming import warm_up

    compiled = warm_up(terminal)
    folder = str(code_folder())
    if terminal.as_json:
        terminal.document(WarmDocument(compiled=compiled, folder=folder))
    else:
        terminal.data(folder)
