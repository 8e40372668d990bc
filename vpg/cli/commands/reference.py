"""``vpg schema`` and ``vpg errors``: what can be written, and what the numbers mean."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vpg.cli.files import write_new
from vpg.cli.grammar import command
from vpg.cli.options import ForceOption
from vpg.errors import InputError, Problem
from vpg.hints import closest

if TYPE_CHECKING:
    from vpg.cli.terminal import Terminal


def register(app: typer.Typer) -> None:
    """Add both commands to ``app``."""
    command(
        app,
        "schema",
        "Print the JSON Schema of scenario files. Editors check and complete with it.",
        ("vpg schema --out scenario.schema.json",),
    )(schema)
    command(
        app,
        "errors",
        "List the numbered errors, or explain one.",
        ("vpg errors", "vpg errors VPG1203 --lang ja"),
    )(errors)


def schema(
    terminal: Terminal,
    *,
    out: Annotated[
        str | None, typer.Option("--out", metavar="FILE", help="Write it here; else to stdout.")
    ] = None,
    force: ForceOption = False,
) -> None:
    """Print or write the JSON Schema of scenario files."""
    from scenarios.schema import json_schema
    from vpg.cli.documents import SchemaDocument

    content = json_schema()
    text = json.dumps(content, indent=2, ensure_ascii=False)
    if out is not None:
        write_new({Path(out): f"{text}\n".encode()}, force=force)
        terminal.note(terminal.word("new_wrote", path=out))
    elif not terminal.as_json:
        terminal.data(text)
    if terminal.as_json:
        terminal.document(SchemaDocument(file=out or "", json_schema=content))


def errors(
    terminal: Terminal,
    *,
    code: Annotated[
        str | None, typer.Argument(metavar="[CODE]", help="Number to explain, e.g. VPG1203.")
    ] = None,
) -> None:
    """List or explain numbered errors."""
    from vpg.cli.documents import ErrorsDocument, ErrorTextPart
    from vpg.text import codes, explained

    known = codes()
    wanted = known if code is None else (code.upper(),)
    if wanted[0] not in known:
        values = {"value": code, "hint": closest(wanted[0], known)}
        raise InputError([Problem(code="VPG1027", values=values)])
    parts = [ErrorTextPart(code=c, en=explained(c, "en"), ja=explained(c, "ja")) for c in wanted]
    for part in parts:
        terminal.data(f"{part.code}  {part.ja if terminal.lang == 'ja' else part.en}")
    if terminal.as_json:
        terminal.document(ErrorsDocument(errors=parts))
