"""Importer ``lines``: the portal's daily or monthly line list as fleets.

Owns: the twelve columns of ``…_line-d.csv`` and ``…_line-m_yyyymm.csv`` and what a status means for
a simulation. Does not own: traffic (the list has none: an option says what an active line sends).

* 未開通 is ``terminated`` in a fleet ``…-unopened``: not opened yet, so no event can attach it.
* 利用中 is ``active``: attaches and sends.
* 中断中 is ``suspended``: still billed, silent; refused for good if it tried.
* 解約済 is ``terminated``: does not attach.

Source: portal manual of the MVNO (line list, daily and monthly). Its header row and quoting are not
told: assumption A-29.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import TYPE_CHECKING

from scenarios.importers import fields
from scenarios.importers.document import FleetOut, ScenarioOut, Value, name_part, scenario_yaml
from scenarios.importers.portal import portal_rows
from scenarios.importers.result import Imported
from scenarios.importers.tally import BadField
from vpg.timebase import JST

if TYPE_CHECKING:
    from pathlib import Path

    from scenarios.importers.options import LinesOptions
    from scenarios.importers.tally import Tally
    from vpg.csvfile import Record

COLUMNS = (
    "date",
    "phone",
    "sim_serial",
    "product_code",
    "plan_code",
    "carrier",
    "sim_kind",
    "sim_size",
    "shipped",
    "started",
    "ends",
    "status",
)
STATUSES = {"未開通": "unopened", "利用中": "active", "中断中": "suspended", "解約済": "terminated"}
UNOPENED = "terminated"
"""How a scenario says "unopened": ``ready`` lines would attach at an event for all fleets."""
CARRIERS = {"docomo": "docomo", "Soft Bank": "softbank", "SoftBank": "softbank"}
KINDS = {"データ": "data", "SMS": "sms", "音声": "voice"}
_DATE, _PLAN, _CARRIER, _KIND, _STATUS = 0, 4, 5, 6, 11
_SERIAL = 2
_DATES = (8, 9, 10)

Group = tuple[str, str, str, str]
"""Plan code, carrier, SIM kind, status."""


def import_lines(source: Path | bytes, options: LinesOptions) -> Imported:
    """Return the scenario of a line list; ``source`` is its path or its bytes.

    Raises ``InputError`` when nothing is usable or, with ``strict``, when any row is bad.
    """
    options.check()
    groups: Counter[Group] = Counter()
    listed: list[dt.date] = []
    serials: dict[str, int] = {}

    def use(record: Record, tally: Tally) -> bool:
        day, group = _read(record)
        if listed and day != listed[0]:
            values = {"value": day.isoformat(), "listed": listed[0].isoformat()}
            raise BadField("VPG1325", _DATE, "date", **values)
        serial = record.fields[_SERIAL].strip()
        if serial and serial in serials:
            raise BadField("VPG1324", _SERIAL, "sim_serial", other_line=serials[serial])
        if serial:
            serials[serial] = record.line
        if not listed:
            listed.append(day)
        groups[group] += 1
        tally.counts[f"lines_{group[3]}"] += 1
        return True

    tally = portal_rows(source, options, len(COLUMNS), use)
    counts = tally.close(strict=options.strict, usable=bool(groups))
    text = _scenario(groups, listed[0], options, tally)
    return Imported(
        name=options.name or "imported-lines",
        scenario_yaml=text,
        extra_files={},
        problems=tally.problems(),
        counts={**counts, "fleets": len(groups)},
    )


def _read(record: Record) -> tuple[dt.date, Group]:
    row = record.fields
    day = fields.day_or_month(row[_DATE], _DATE, "date")
    carrier = fields.word(row[_CARRIER], CARRIERS, _CARRIER, "carrier")
    kind = fields.word(row[_KIND], KINDS, _KIND, "sim_kind")
    for index in _DATES:
        if row[index].strip():
            fields.day(row[index], index, COLUMNS[index])
    status = fields.word(row[_STATUS], STATUSES, _STATUS, "status")
    return day, (fields.normal(row[_PLAN]), carrier, kind, status)


def _scenario(groups: Counter[Group], listed: dt.date, options: LinesOptions, tally: Tally) -> str:
    fleets = []
    for plan, carrier, kind, status in sorted(groups):
        active = status == "active"
        report: dict[str, Value] = {
            "kind": "periodic",
            "service": options.service,
            "every_s": options.every_s,
            "payload_bytes": options.payload_bytes,
            "answer_bytes": options.answer_bytes,
        }
        fleets.append(
            FleetOut(
                name=f"{name_part(plan, 'noplan')}-{carrier}-{kind}-{status}",
                lines=groups[plan, carrier, kind, status],
                status=UNOPENED if status == "unopened" else status,
                attaches=active,
                traffic=(report,) if active else (),
            )
        )
    start = options.start or dt.datetime(listed.year, listed.month, listed.day, tzinfo=JST)
    out = ScenarioOut(
        name=options.name or "imported-lines",
        title=f"Line list of {listed.isoformat()}: {sum(groups.values())} lines",
        start=start,
        hours=24 * (options.days or 1),
        comments=(
            f"Made by `vpg import lines` from {tally.counts['rows_used']} rows; no line is named.",
            "Fleets: lines of one plan, carrier, SIM kind and status. Only active lines attach:",
            "unopened ones (未開通) are written as terminated, so that no event attaches them",
            "(a line_change to active opens them); suspended ones are billed but silent,",
            "terminated ones are gone.",
            "The list says nothing about traffic: the reports are an assumption, change them.",
        ),
        fleets=tuple(fleets),
    )
    return scenario_yaml(out, options, tally)
