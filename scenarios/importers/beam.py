"""Importer ``beam``: the provider's Beam statistics CSV (requests per SIM, day and leg) as fleets.

Owns: which legs are the device's. A request through Beam is counted twice by the provider: on its
way in (``in…``, device to Beam) and out (``out…``, Beam to the destination). Only the in-legs
become messages; the out-legs are counted and reported, since assumption A-06 decides in the run
whether they count.

The days of the file are the days from its first to its last date; a SIM without a row sent nothing.
Source: the provider's API reference (keys of ``beamStatsMap``) and Beam statistics CSV.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

from scenarios.importers import fields
from scenarios.importers.bytefleets import ERROR_PPM_TOLD
from scenarios.importers.document import FleetOut, ScenarioOut, Value, scenario_yaml
from scenarios.importers.fit import MILLION, error_ppm, nearest
from scenarios.importers.named import SeenRows, named_rows
from scenarios.importers.result import Imported
from scenarios.importers.tally import BadField

if TYPE_CHECKING:
    from pathlib import Path

    from scenarios.importers.options import BeamOptions
    from scenarios.importers.tally import Tally
    from vpg.csvfile import Record

COLUMNS = ("imsi", "date", "soracomBeamType", "count")
IN_LEGS = ("inHttp", "inMqtt", "inTcp", "inUdp")
OUT_LEGS = ("outHttp", "outHttps", "outMqtt", "outMqtts", "outTcp", "outTcps", "outUdp")
_LEGS = {leg: leg for leg in (*IN_LEGS, *OUT_LEGS)}
_IMSI, _DATE, _LEG, _COUNT = range(4)
HOURS = 24
RATE_MICRO_MAX = 3_600_000 * MILLION
"""Highest rate a scenario takes: a thousand messages a second and line."""

RATE_CLASSES = (("hourly", 24), ("minutely", 1_440))
"""Name and requests a day up to which a line is of that class; above them all it is ``faster``."""


def import_beam(source: Path | bytes, options: BeamOptions) -> Imported:
    """Return a scenario with the mean requests an hour of ``source`` (a path or bytes).

    Raises ``InputError`` when nothing is usable or, with ``strict``, when any row is bad.
    """
    options.check()
    sims: dict[str, Counter[str]] = {}
    seen = SeenRows()

    def use(record: Record, tally: Tally) -> bool:
        imsi, day, leg, count = _read(record)
        if not seen.add(imsi, day, leg):
            raise BadField("VPG1328", _IMSI, "imsi", columns="imsi, date, soracomBeamType")
        legs = sims.setdefault(imsi, Counter())
        if leg in IN_LEGS:
            legs[leg] += count
            tally.counts["requests_in"] += count
        else:
            tally.counts["requests_out"] += count
            tally.counts["rows_of_out_legs"] += 1
        return True

    tally = named_rows(source, options, COLUMNS, use)
    counts = tally.close(strict=options.strict, usable=bool(sims))
    first, last = seen.first_and_last()
    days = (last - first).days + 1
    fleets, off_ppm = _fleets(sims, days, options)
    out = ScenarioOut(
        name=options.name or "imported-beam",
        title=f"Beam requests from {first.isoformat()} to {last.isoformat()}",
        start=options.start or dt.datetime(first.year, first.month, first.day, tzinfo=dt.UTC),
        hours=HOURS * (options.days or 1),
        comments=(
            f"Made by `vpg import beam` from {tally.counts['rows_used']} rows; no SIM is named.",
            f"In-legs (device to Beam): {tally.counts['requests_in']} requests in {days} days,",
            f"simulated as Poisson arrivals of the same mean (error {off_ppm} ppm).",
            f"Out-legs (to the destination): {tally.counts['requests_out']} requests, left out;",
            "assumption beam_legs (A-06) says whether both legs count against the limit.",
            "The file has no bytes: payload_bytes and answer_bytes are assumptions, change them.",
        ),
        fleets=tuple(fleets),
    )
    if off_ppm > ERROR_PPM_TOLD:
        tally.tell("VPG1372", ppm=off_ppm)
    text = scenario_yaml(out, options, tally)
    more = {"fleets": len(fleets), "lines": len(sims), "days": days, "error_ppm": off_ppm}
    return Imported(
        name=out.name,
        scenario_yaml=text,
        extra_files={},
        problems=tally.problems(),
        counts={"requests_in": 0, "requests_out": 0, **counts, **more},
    )


def _read(record: Record) -> tuple[str, dt.date, str, int]:
    row = record.fields
    imsi = row[_IMSI].strip()
    if not imsi:
        raise BadField("VPG1327", _IMSI, "imsi")
    day = fields.day(row[_DATE], _DATE, "date")
    leg = fields.word(row[_LEG], _LEGS, _LEG, "soracomBeamType")
    return imsi, day, leg, fields.count(row[_COUNT], _COUNT, "count")


def _rate_class(requests: int, days: int) -> str:
    for name, bound in RATE_CLASSES:
        if requests <= bound * days:
            return name
    return "faster"


def _fleets(
    sims: dict[str, Counter[str]], days: int, options: BeamOptions
) -> tuple[list[FleetOut], int]:
    """Return the fleets and the error of all their rates together in ppm."""
    totals: dict[tuple[str, str], Counter[str]] = {}
    lines: Counter[tuple[str, str]] = Counter()
    for legs in sims.values():
        used = "-".join(leg for leg in IN_LEGS if legs[leg])
        key = (used, _rate_class(legs.total(), days)) if used else ("no-in-leg", "silent")
        lines[key] += 1
        totals.setdefault(key, Counter()).update(legs)
    fleets = []
    wanted_all = got_all = Fraction(0)
    for key in sorted(lines):
        traffic: list[dict[str, Value]] = []
        for leg in IN_LEGS:
            requests = totals[key][leg]
            if not requests:
                continue
            exact = Fraction(requests * MILLION, lines[key] * days * HOURS)
            rate_micro = min(max(nearest(exact), 1), RATE_MICRO_MAX)
            wanted_all += Fraction(requests, days)
            got_all += Fraction(rate_micro * lines[key] * HOURS, MILLION)
            traffic.append(
                {
                    "name": leg,
                    "kind": "poisson",
                    "service": "beam",
                    "messages_per_hour": Decimal(rate_micro) / MILLION,
                    "payload_bytes": options.payload_bytes,
                    "answer_bytes": options.answer_bytes,
                }
            )
        name = "-".join(key)
        fleets.append(FleetOut(name=name, lines=lines[key], traffic=tuple(traffic)))
    return fleets, error_ppm(got_all, wanted_all)
