"""The tree of commands.

Owns: which commands there are, their order in the help, and ``vpg --version``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from vpg.cli.commands import (
    arrivals,
    bill,
    catalogue,
    fleet,
    gate,
    imports,
    load,
    new,
    reference,
    run,
    serve,
    show,
    sweep,
    twin,
    validate,
    validate_engine,
    warm,
)
from vpg.cli.grammar import LangOption, new_app, translate, with_examples

if TYPE_CHECKING:
    from collections.abc import Callable

    from vpg.cli.language import Lang

_ABOUT = """Simulate SIM fleets through IoT Virtual Private Gateways, and bill every clock hour.

Exit codes: 0 ok, 1 unexpected, 2 usage, 3 invalid input, 4 the answer is no,
5 cannot tell, 6 partial, 130 SIGINT, 143 SIGTERM."""
_EXAMPLES = (
    "vpg new --list                         the ready-made scenarios",
    "vpg new smart-meters --out mine.yaml   copy one to start from",
    "vpg validate mine.yaml                 every mistake at once",
    "vpg run mine.yaml --lang ja            simulate, bill, charts, summary",
    "vpg serve --scenario smart-meters      the same VPGs live, counted and billed",
    "vpg catalogue --type C                 the limits and prices used",
)


def _version(asked: bool) -> None:
    if asked:
        from vpg.cli.versions import DISTRIBUTION, version_of

        typer.echo(f"vpg {version_of(DISTRIBUTION)}")
        raise typer.Exit


def application(lang: Lang = "en") -> Any:  # noqa: ANN401 - typer's own group
    """Return the command tree, ready to be called; its help begins in ``lang``."""
    app = new_app(with_examples(_ABOUT, _EXAMPLES))

    @app.callback()
    def root(
        *,
        version: Annotated[
            bool,
            typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
        ] = False,
        lang: LangOption = None,
    ) -> None:
        del version, lang  # The terminal knows the language already.

    registers: tuple[Callable[[typer.Typer], None], ...] = (
        run.register,
        sweep.register,
        serve.register,
        gate.register,
        load.register,
        fleet.register,
        twin.register,
        validate.register,
        validate_engine.register,
        warm.register,
        new.register,
        imports.register,
        catalogue.register,
        show.register,
        bill.register,
        arrivals.register,
        reference.register,
    )
    for register in registers:
        register(app)
    tree = typer.main.get_command(app)
    translate(tree, lang, "help")
    return tree
