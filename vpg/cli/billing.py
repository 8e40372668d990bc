"""One month's bill, step by step: a run directory and a month's facts to invoices and their CSVs.

Owns: the order of the steps, which month and charges are meant, the files written. Does not own:
any rule (``vpg.billing``), the words (``reports.bill_terminal``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vpg.errors import InputError, Problem, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vpg.billing.calendar import BusinessCalendar
    from vpg.billing.csv_detail import Part
    from vpg.billing.inputs import MonthInputs
    from vpg.billing.inputs_build import Figures
    from vpg.billing.inputs_file import BillInputs
    from vpg.billing.model import Invoice
    from vpg.catalogue.model import Catalogue
    from vpg.rating.charges import ChargePolicy, ChargeRow
    from vpg.rundir import RunFiles

PortalEncoding = Literal["utf-8", "cp932"]
_UNSAFE = re.compile(r"[^\w.-]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a bill was asked of."""

    run: Path
    month: str | None
    inputs: Path | None
    catalogue_files: tuple[Path, ...]
    closures: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Billed:
    """A month's bill and what it was computed from."""

    given: BillInputs
    inputs: MonthInputs
    documents: tuple[Invoice, ...]
    parts: tuple[Part, ...]
    notes: tuple[Problem, ...]
    """What a reader must know, no mistake: hours that are not covered, another catalogue."""
    hours_covered: int
    hours: int


def bill(asked: Asked) -> Billed:
    """Return the bill; raises ``InputError`` with every problem, each at its place."""
    from vpg.billing.calendar import BusinessCalendar, month_bounds_us
    from vpg.billing.closures import load_calendar
    from vpg.billing.csv_detail import detail_parts
    from vpg.billing.inputs_build import tags_of
    from vpg.billing.inputs_file import NOTHING, load_inputs, month_inputs, placed
    from vpg.billing.invoice import invoices
    from vpg.billing.policy import InvoicePolicy
    from vpg.catalogue.load import load_catalogue
    from vpg.rundir import read_run
    from vpg.timebase import HOUR_US

    run = read_run(asked.run)
    given = load_inputs(asked.inputs) if asked.inputs else NOTHING
    calendar = load_calendar(asked.closures) if asked.closures else BusinessCalendar()
    catalogue = load_catalogue(asked.catalogue_files)
    month = month_asked(run, asked.month)
    inputs = None
    try:
        figures = _figures(run, asked, given, month, catalogue, calendar)
        policy = InvoicePolicy(**_assumed(run, {"A-15": "rounding"}))
        inputs = month_inputs(
            given, figures, month=month, catalogue=catalogue, calendar=calendar, policy=policy
        )
        documents = invoices(inputs, catalogue)
    except InputError as error:
        raise placed(error, given, inputs) from error
    begin_us, end_us = month_bounds_us(month)
    covered = len({x.hour_start_us for x in run.rows if begin_us <= x.hour_start_us < end_us})
    hours = (end_us - begin_us) // HOUR_US
    return Billed(
        given=given,
        inputs=inputs,
        documents=documents,
        parts=detail_parts(documents, inputs, catalogue, tags_of(given.rows)),
        notes=tuple(_notes(run, catalogue, month, (covered, hours))),
        hours_covered=covered,
        hours=hours,
    )


def month_asked(run: RunFiles, month: str | None) -> str:
    """Return the rating month meant: the one named, or the only one that the run has.

    Raises ``UsageError`` (VPG1701, VPG1733, VPG1734).
    """
    from vpg.billing.calendar import month_begin
    from vpg.timebase import month_name

    months = sorted({month_name(row.hour_start_us) for row in run.rows})
    known = ", ".join(months)
    if month is None:
        if len(months) == 1:
            return months[0]
        raise UsageError(Problem(code="VPG1734", values={"months": known or "-"}))
    try:
        month_begin(month)
    except InputError as error:
        raise UsageError(error.problems[0]) from error
    if month not in months:
        raise UsageError(Problem(code="VPG1733", values={"month": month, "months": known or "-"}))
    return month


def _assumed(run: RunFiles, fields: Mapping[str, str]) -> dict[str, Any]:
    """Return what the run assumed, by field; ``fields``: number of the assumption → field."""
    parts = run.manifest.get("assumptions", [])
    chosen = {part["id"]: part["chosen"] for part in parts}
    return {field: chosen[name] for name, field in fields.items() if name in chosen}


def _charge_policy(run: RunFiles) -> ChargePolicy:
    from vpg.rating.charges import ChargePolicy

    fields = {
        "A-09": "included_connection",
        "A-10": "inspection",
        "A-11": "junction_inspection",
        "A-32": "resize_hour",
    }
    return ChargePolicy(**_assumed(run, fields))


def _figures(  # noqa: PLR0917 - what a month is rated from
    run: RunFiles,
    asked: Asked,
    given: BillInputs,
    month: str,
    catalogue: Catalogue,
    calendar: BusinessCalendar,
) -> Figures:
    """Return the charges: the run's own, or rated again for another catalogue or late usage."""
    from vpg.billing.inputs_build import Figures
    from vpg.rating.charges import rate_hours

    late = given.late_usage
    if not late and not asked.catalogue_files:
        return Figures(charges=run.charges)
    if late:
        return _late_figures(run, given, month, catalogue, calendar)
    charges = rate_hours(run.rows, catalogue, _charge_policy(run))
    return Figures(charges=[*charges, *_of_lines(run)])


def _of_lines(run: RunFiles) -> list[ChargeRow]:
    """Return what lines owe: it follows from the scenario, so it stays as the run rated it."""
    from vpg.catalogue.items import LINE_ITEMS

    return [row for row in run.charges if row.bill_item.startswith(LINE_ITEMS)]


def _late_figures(
    run: RunFiles, given: BillInputs, month: str, catalogue: Catalogue, calendar: BusinessCalendar
) -> Figures:
    from vpg.billing.calendar import invoice_dates
    from vpg.billing.corrections import figures_of_month
    from vpg.billing.inputs_build import Figures
    from vpg.rating.late import Arrival
    from vpg.rundir import read_run
    from vpg.timebase import HOUR_US

    arrivals = [Arrival(row=row, arrived_us=row.hour_start_us + HOUR_US) for row in run.rows]
    folder = Path(given.file).parent
    for one in given.late_usage:
        rows = read_run(folder / one.run).rows
        arrivals += [
            Arrival(row=row, arrived_us=one.arrived_us, version=one.version) for row in rows
        ]
    final_us = invoice_dates(month, calendar).figures_final_us
    figures = figures_of_month(
        arrivals,
        month=month,
        at_us=given.head.get("as_of", final_us),
        catalogue=catalogue,
        policy=_charge_policy(run),
        calendar=calendar,
    )
    charges = [*figures.charges, *_of_lines(run)]
    return Figures(charges=charges, corrections=figures.corrections)


def _notes(
    run: RunFiles, catalogue: Catalogue, month: str, hours: tuple[int, int]
) -> list[Problem]:
    notes = []
    before = run.manifest.get("catalogue", {})
    if before.get("sha256") != catalogue.sha256:
        values = {"before": before.get("id", "-"), "after": catalogue.id}
        notes.append(Problem(code="VPG1738", values=values))
    if hours[0] < hours[1]:
        values = {"covered": hours[0], "hours": hours[1], "month": month}
        notes.append(Problem(code="VPG1741", values=values))
    return notes


def part_asked(billed: Billed, operator: str | None, coverage: str) -> Part:
    """Return one operator's rows in one coverage; raises ``UsageError`` (VPG1735)."""
    name = billed.inputs.payer.operator_id if operator is None else operator
    for part in billed.parts:
        if (part.operator_id, part.coverage) == (name, coverage):
            return part
    known = ", ".join(f"{part.operator_id} {part.coverage}" for part in billed.parts)
    values = {"operator": name, "coverage": coverage, "known": known}
    raise UsageError(Problem(code="VPG1735", values=values))


def write_files(
    billed: Billed, out: Path, encoding: PortalEncoding, *, force: bool
) -> tuple[Path, ...]:
    """Write the CSVs of a bill into ``out``; return their paths.

    A detail CSV for each operator and coverage, and one INVOICE CSV of the payer. Raises
    ``InputError`` when a file is there already, or ``encoding`` lacks a character.
    """
    from vpg.billing.csv_detail import detail_csv
    from vpg.billing.csv_portal import portal_csv, portal_rows
    from vpg.cli.files import write_new

    month, names = billed.inputs.month, billed.given.names
    files: dict[Path, bytes] = {}
    for part in billed.parts:
        path = _free(files, out, f"{_safe(part.operator_id)}-{month}-{part.coverage}.csv")
        files[path] = detail_csv(part.rows, names)
    portal = out / f"{_safe(billed.inputs.payer.operator_id)}_INVOICE_{month}.csv"
    files[portal] = portal_csv(portal_rows(billed.documents), encoding, names, str(portal))
    write_new(files, force=force)
    return tuple(files)


def _safe(name: str) -> str:
    return _UNSAFE.sub("_", name).lstrip(".") or "_"


def _free(files: Mapping[Path, bytes], out: Path, name: str) -> Path:
    """Return a place in ``out`` that no other operator's file has."""
    path, number = out / name, 1
    while path in files:
        number += 1
        path = out / f"{Path(name).stem}-{number}.csv"
    return path
