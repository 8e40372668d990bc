"""``vpg new``: copy a ready-made scenario out, to start from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vpg.cli.files import write_new
from vpg.cli.grammar import command
from vpg.cli.options import ForceOption

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vpg.cli.terminal import Terminal


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    command(
        app,
        "new",
        "Copy a ready-made scenario to start from. Its data files come along; without a name, "
        "list them.",
        ("vpg new", "vpg new smart-meters", "vpg new smart-meters --out plans/osaka.yaml"),
    )(new)


def new(
    terminal: Terminal,
    *,
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Ready-made scenario to copy.")
    ] = None,
    out: Annotated[
        str | None,
        typer.Option("--out", metavar="FILE", help="Where to; else NAME.yaml in this directory."),
    ] = None,
    listing: Annotated[bool, typer.Option("--list", help="List the ready-made scenarios.")] = False,
    force: ForceOption = False,
) -> None:
    """Copy or list."""
    from scenarios.new import ready_files, ready_names

    names = ready_names()
    if name is None or listing:
        _list(terminal, names)
        return
    target = Path(out or f"{name}.yaml")
    files = {
        target if index == 0 else target.parent / file: content
        for index, (file, content) in enumerate(ready_files(name).items())
    }
    write_new(files, force=force)
    terminal.wrote(files, target)
    _document(terminal, {}, tuple(files))


def _list(terminal: Terminal, names: tuple[str, ...]) -> None:
    from scenarios.new import ready_title

    terminal.data(terminal.word("new_list"))
    for name in names:
        terminal.data(f"  {name:<24} {ready_title(name, terminal.lang)}")
    _document(terminal, {name: ready_title(name, "en") for name in names}, ())


def _document(terminal: Terminal, titles: Mapping[str, str], written: Sequence[Path]) -> None:
    if not terminal.as_json:
        return
    from vpg.cli.documents import NewDocument, ReadyPart

    ready = [ReadyPart(name=name, title=title) for name, title in titles.items()]
    terminal.document(NewDocument(ready=ready, written=[str(path) for path in written]))
