"""Importer ``air``: the provider's Air usage CSV (per SIM, day and speed class) as fleets.

Owns: its columns and the grouping of SIMs by speed class and usage class. Does not own: tag and
group columns (ignored). The days of the file are the days from its first to its last date; a SIM
without a row on a day moved nothing that day. A SIM seen with several speed classes belongs to the
first one.

Source: the provider's page on the Air statistics CSV (``…PacketCountTotal`` here,
``…PacketSizeTotal`` in the API).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from scenarios.importers import fields
from scenarios.importers.bytefleets import ByteFleet, byte_scenario
from scenarios.importers.document import name_part
from scenarios.importers.fit import usage_class
from scenarios.importers.named import SeenRows, named_rows
from scenarios.importers.tally import BadField

if TYPE_CHECKING:
    from pathlib import Path

    from scenarios.importers.options import AirOptions
    from scenarios.importers.result import Imported
    from scenarios.importers.tally import Tally
    from vpg.csvfile import Record

COLUMNS = (
    "imsi",
    "date",
    "type",
    "uploadByteSizeTotal",
    "uploadPacketCountTotal",
    "downloadByteSizeTotal",
    "downloadPacketCountTotal",
)
_IMSI, _DATE, _TYPE = 0, 1, 2
_COUNTS = range(3, 7)


@dataclass(slots=True)
class _Sim:
    """What one SIM moved in all days."""

    speed_class: str
    up_bytes: int = 0
    up_packets: int = 0
    down_bytes: int = 0


def import_air(source: Path | bytes, options: AirOptions) -> Imported:
    """Return a scenario whose fleets move the mean bytes a day of ``source`` (path or bytes).

    Raises ``InputError`` when nothing is usable or, with ``strict``, when any row is bad.
    """
    options.check()
    sims: dict[str, _Sim] = {}
    seen = SeenRows()

    def use(record: Record, tally: Tally) -> bool:
        imsi, day, kind, counts = _read(record)
        if not seen.add(imsi, day, kind):
            raise BadField("VPG1328", _IMSI, "imsi", columns="imsi, date, type")
        sim = sims.setdefault(imsi, _Sim(kind))
        sim.up_bytes += counts[0]
        sim.up_packets += counts[1]
        sim.down_bytes += counts[2]
        tally.counts["bytes_read"] += counts[0] + counts[2]
        tally.counts["packets_read"] += counts[1] + counts[3]
        if sim.speed_class != kind:
            tally.counts["rows_of_another_speed_class"] += 1
        return True

    tally = named_rows(source, options, COLUMNS, use)
    counts = tally.close(strict=options.strict, usable=bool(sims))
    first, last = seen.first_and_last()
    days = (last - first).days + 1
    return byte_scenario(
        _fleets(sims, days, options.packets_per_message),
        options,
        tally,
        {**counts, "days": days},
        service=options.service,
        days_measured=days,
        start=options.start or dt.datetime(first.year, first.month, first.day, tzinfo=dt.UTC),
        name=options.name or "imported-air",
        title=f"Air usage from {first.isoformat()} to {last.isoformat()}",
        comments=(
            f"Made by `vpg import air` from {tally.counts['rows_used']} rows; no SIM is named.",
            "Fleets: SIMs of one speed class and usage class (mean bytes a day: silent 0, light",
            "below 1 MB, medium below 100 MB, heavy). Every line moves its fleet's mean bytes.",
            f"One message is taken for each {options.packets_per_message} upward packets.",
        ),
    )


def _read(record: Record) -> tuple[str, dt.date, str, list[int]]:
    row = record.fields
    imsi = row[_IMSI].strip()
    if not imsi:
        raise BadField("VPG1327", _IMSI, "imsi")
    day = fields.day(row[_DATE], _DATE, "date")
    kind = fields.normal(row[_TYPE])
    if not kind:
        raise BadField("VPG1327", _TYPE, "type")
    return imsi, day, kind, [fields.count(row[i], i, COLUMNS[i]) for i in _COUNTS]


def _fleets(sims: dict[str, _Sim], days: int, packets_per_message: int) -> list[ByteFleet]:
    groups: dict[tuple[str, str], ByteFleet] = {}
    packets: dict[tuple[str, str], int] = {}
    for sim in sims.values():
        kind = usage_class(sim.up_bytes + sim.down_bytes, days)
        key = (sim.speed_class, kind)
        name = f"{name_part(sim.speed_class, 'type')}-{kind}"
        group = groups.setdefault(key, ByteFleet(name=name))
        group.lines += 1
        group.up += sim.up_bytes
        group.down += sim.down_bytes
        packets[key] = packets.get(key, 0) + sim.up_packets
    for key, group in groups.items():
        natural = Fraction(packets[key], packets_per_message * days * group.lines)
        group.wanted_per_day = max(natural, Fraction(1))
    return [groups[key] for key in sorted(groups)]
