"""Importer ``usage``: the portal's data usage as fleets that move the same bytes.

Owns: the twelve columns of ``…_datausage.csv`` and the grouping by plan and usage class. Does not
own: the fit of whole numbers to the bytes (``fit``). Day 0 is the date in the first column, two
days before the file was made; days −1 … −6 follow. The quota and the previous month's total are
checked but not used: they say nothing about a day.

Source: portal manual of the MVNO (data usage). Its header row and quoting are not told: assumption
A-29.
"""

from __future__ import annotations

import datetime as dt
from fractions import Fraction
from typing import TYPE_CHECKING

from scenarios.importers import fields
from scenarios.importers.bytefleets import ByteFleet, byte_scenario
from scenarios.importers.document import name_part
from scenarios.importers.fit import usage_class
from scenarios.importers.options import DAY_S
from scenarios.importers.portal import portal_rows
from scenarios.importers.tally import BadField
from vpg.timebase import JST

if TYPE_CHECKING:
    from pathlib import Path

    from scenarios.importers.options import UsageOptions
    from scenarios.importers.result import Imported
    from scenarios.importers.tally import Tally
    from vpg.csvfile import Record

COLUMNS = (
    "date",
    "phone",
    "plan_code",
    "plan_quota",
    "bytes_day_0",
    "bytes_day_1",
    "bytes_day_2",
    "bytes_day_3",
    "bytes_day_4",
    "bytes_day_5",
    "bytes_day_6",
    "bytes_previous_month",
)
DAYS = 7
_DATE, _PHONE, _PLAN, _QUOTA, _DAY_0, _PREVIOUS = 0, 1, 2, 3, 4, 11


def import_usage(source: Path | bytes, options: UsageOptions) -> Imported:
    """Return a scenario whose fleets move the mean bytes a day of ``source`` (path or bytes).

    Raises ``InputError`` when nothing is usable or, with ``strict``, when any row is bad.
    """
    options.check()
    groups: dict[tuple[str, str], ByteFleet] = {}
    counted: list[dt.date] = []
    phones: dict[str, int] = {}

    def use(record: Record, tally: Tally) -> bool:
        day, plan, total = _read(record)
        if counted and day != counted[0]:
            values = {"value": day.isoformat(), "listed": counted[0].isoformat()}
            raise BadField("VPG1325", _DATE, "date", **values)
        phone = record.fields[_PHONE].strip()
        if phone and phone in phones:
            raise BadField("VPG1324", _PHONE, "phone", other_line=phones[phone])
        if phone:
            phones[phone] = record.line
        if not counted:
            counted.append(day)
        kind = usage_class(total, DAYS)
        group = groups.setdefault(
            (plan, kind), ByteFleet(name=f"{name_part(plan, 'noplan')}-{kind}")
        )
        group.lines += 1
        # The file has one figure for both directions; the share is the option's.
        group.up += Fraction(total * options.up_percent, 100)
        group.down += Fraction(total * (100 - options.up_percent), 100)
        tally.counts["bytes_read"] += total
        return True

    tally = portal_rows(source, options, len(COLUMNS), use)
    counts = tally.close(strict=options.strict, usable=bool(groups))
    fleets = [groups[key] for key in sorted(groups)]
    for fleet in fleets:
        fleet.wanted_per_day = Fraction(DAY_S, options.every_s)
    day = counted[0]
    return byte_scenario(
        fleets,
        options,
        tally,
        counts,
        service=options.service,
        days_measured=DAYS,
        start=options.start or dt.datetime(day.year, day.month, day.day, tzinfo=JST),
        name=options.name or "imported-usage",
        title=f"Data usage of the {DAYS} days to {day.isoformat()}",
        comments=(
            f"Made by `vpg import usage` from {tally.counts['rows_used']} rows; no line is named.",
            "Fleets: lines of one plan and usage class (mean bytes a day: silent 0, light below",
            "1 MB, medium below 100 MB, heavy). Every line moves its fleet's mean bytes.",
            f"The file tells no directions: {options.up_percent} % goes up.",
        ),
    )


def _read(record: Record) -> tuple[dt.date, str, int]:
    """Return the date, the plan code and the bytes of the seven days."""
    row = record.fields
    day = fields.day(row[_DATE], _DATE, "date")
    if row[_QUOTA].strip():
        fields.decimal_with_unit(row[_QUOTA], _QUOTA, "plan_quota")
    days = range(_DAY_0, _DAY_0 + DAYS)
    total = sum(fields.count(row[index], index, COLUMNS[index]) for index in days)
    if row[_PREVIOUS].strip():
        fields.count(row[_PREVIOUS], _PREVIOUS, COLUMNS[_PREVIOUS])
    return day, fields.normal(row[_PLAN]), total
