"""``vpg bill``: a run's month as invoices and CSVs; ``vpg bill check``: beside a provider's CSV."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vpg.cli.grammar import command
from vpg.cli.options import CatalogueOption, ForceOption, catalogue_files
from vpg.errors import ExitCode

if TYPE_CHECKING:
    from vpg.cli.billing import Asked, Billed
    from vpg.cli.terminal import Terminal

RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="Run directory that vpg run wrote.")
]
MonthOption = Annotated[
    str | None,
    typer.Option(
        "--month", metavar="YYYYMM", help="Rating month, e.g. 202604; else the only one of the run."
    ),
]
InputsOption = Annotated[
    str | None,
    typer.Option(
        "--inputs",
        metavar="FILE",
        help="What else the month owes or is owed (TOML): operators, coupons, goods, support, …",
    ),
]
ClosuresOption = Annotated[
    str | None,
    typer.Option("--closures", metavar="FILE", help="Your own table of closing days (TOML)."),
]


def register(app: typer.Typer) -> None:
    """Add both commands to ``app``."""
    command(
        app,
        "bill",
        "Turn a run into invoices and CSVs. One rating month, with its dates; other facts of the "
        "month come from --inputs.",
        (
            "vpg bill runs/RUN",
            "vpg bill runs/RUN --month 202604 --inputs april.toml --out bills --lang ja",
            "vpg bill check runs/RUN actual.csv        compare with a provider's CSV",
        ),
    )(bill)
    command(
        app,
        "bill check",
        "Compare a computed month with a provider's CSV. Row by row and to the yen; exit 4 when "
        "they differ.",
        ("vpg bill check runs/RUN actual.csv --month 202604 --inputs april.toml",),
    )(check)


def bill(
    terminal: Terminal,
    *,
    run: RunArgument,
    month: MonthOption = None,
    inputs: InputsOption = None,
    catalogue: CatalogueOption = None,
    closures: ClosuresOption = None,
    out: Annotated[
        str | None,
        typer.Option("--out", metavar="DIR", help="Directory that receives the CSVs."),
    ] = None,
    portal_encoding: Annotated[
        Literal["utf-8", "cp932"],
        typer.Option("--portal-encoding", help="Encoding of the portal's INVOICE CSV."),
    ] = "utf-8",
    force: ForceOption = False,
) -> None:
    """Bill and tell."""
    from vpg.cli import billing
    from vpg.cli.bill_documents import invoices_document

    billed = billing.bill(_asked(run, month, inputs, catalogue, closures))
    _tell_notes(billed, terminal)
    files: tuple[Path, ...] = ()
    if out is not None:
        files = billing.write_files(billed, Path(out), portal_encoding, force=force)
    if terminal.as_json:
        terminal.document(invoices_document(billed, files))
        return
    if not terminal.quiet:
        from reports.bill_terminal import print_invoices

        terminal.page(lambda console: print_invoices(console, billed.documents, terminal.lang))
    for path in files:
        terminal.data(str(path) if terminal.quiet else terminal.word("new_wrote", path=path))


def check(
    terminal: Terminal,
    *,
    run: RunArgument,
    actual: Annotated[
        str, typer.Argument(metavar="CSV", help="The provider's billing-detail CSV.")
    ],
    month: MonthOption = None,
    inputs: InputsOption = None,
    catalogue: CatalogueOption = None,
    closures: ClosuresOption = None,
    operator: Annotated[
        str | None,
        typer.Option("--operator", metavar="ID", help="Whose CSV it is; else the payer's."),
    ] = None,
    coverage: Annotated[
        Literal["JP", "GL"], typer.Option("--coverage", help="Japan (yen) or Global (US dollars).")
    ] = "JP",
    encoding: Annotated[
        Literal["auto", "utf-8", "cp932"],
        typer.Option("--encoding", help="Encoding of the CSV; auto tries UTF-8, then cp932."),
    ] = "auto",
) -> None:
    """Compare and tell."""
    from vpg.billing.csv_compare import compare
    from vpg.billing.csv_detail import read_detail
    from vpg.cli import billing
    from vpg.cli.bill_documents import check_document

    billed = billing.bill(_asked(run, month, inputs, catalogue, closures))
    part = billing.part_asked(billed, operator, coverage)
    rows = read_detail(
        Path(actual),
        month=billed.inputs.month,
        currency=part.currency,
        encoding=encoding,
        names=billed.given.names,
    )
    found = compare(part.rows, rows, part.currency)
    _tell_notes(billed, terminal)
    if terminal.as_json:
        terminal.document(check_document(billed, part.operator_id, part.coverage, found))
    else:
        from reports.bill_terminal import print_comparison

        terminal.page(lambda console: print_comparison(console, found, actual, terminal.lang))
    if not found.equal:
        raise typer.Exit(ExitCode.ANSWER_IS_NO)


def _asked(
    run: str,
    month: str | None,
    inputs: str | None,
    catalogue: list[str] | None,
    closures: str | None,
) -> Asked:
    from vpg.cli.billing import Asked

    return Asked(
        run=Path(run),
        month=month,
        inputs=None if inputs is None else Path(inputs),
        catalogue_files=catalogue_files(catalogue),
        closures=None if closures is None else Path(closures),
    )


def _tell_notes(billed: Billed, terminal: Terminal) -> None:
    from vpg.text import render

    for note in billed.notes:
        terminal.note(render(note, terminal.lang))
