"""The files of a demand import: the curve as CSV and the scenario that replays it.

Owns: the CSV's columns ``begins_at,ends_at,messages`` (JST with offset; messages as exact
decimals).
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from scenarios.importers.curve import MILLION, Curve, Interval
from scenarios.importers.document import FleetOut, ScenarioOut, Value, scenario_yaml
from scenarios.importers.result import Imported
from vpg.errors import InputError, Place, Problem
from vpg.timebase import HOUR_US, JST, from_datetime, iso_jst

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scenarios.importers.options import DemandOptions
    from scenarios.importers.tally import Tally

HOURS_MAX = 400 * 24
MESSAGES_MAX = 10**9
"""Most messages one interval of a scenario takes."""


def demand_import(
    curve: Curve, options: DemandOptions, tally: Tally, counts: dict[str, int]
) -> Imported:
    """Return the import of ``curve``; raises ``InputError`` when a scenario cannot hold it."""
    name = options.name or "imported-demand"
    hours = -(-(curve.intervals[-1].end_us - from_datetime(curve.start)) // HOUR_US)
    place = Place(file=tally.file)
    values: dict[str, object]
    if hours > HOURS_MAX:
        values = {"days": -(-hours // 24), "bound": HOURS_MAX // 24}
        raise InputError([Problem(code="VPG1319", place=place, values=values)])
    peak = max(curve.intervals, key=lambda interval: interval.micro_messages)
    if peak.micro_messages > MESSAGES_MAX * MILLION:
        values = {"messages": decimal_text(peak.micro_messages), "bound": MESSAGES_MAX}
        raise InputError([Problem(code="VPG1342", place=place, values=values)])
    total = sum(interval.micro_messages for interval in curve.intervals)
    csv_name = f"{name}.curve.csv"
    span = f"{iso_jst(peak.begin_us)} to {iso_jst(peak.end_us)}"
    highest = f"Highest: {decimal_text(peak.micro_messages)} messages from {span}."
    source: dict[str, Value] = {
        "kind": "demand_curve",
        "service": options.service,
        "file": csv_name,
        "payload_bytes": options.payload_bytes,
        "answer_bytes": options.answer_bytes,
    }
    out = ScenarioOut(
        name=name,
        title=f"Demand of {curve.first_day} to {curve.last_day} ({options.tz})",
        start=curve.start.astimezone(JST),
        hours=hours,
        comments=(
            f"Made by `vpg import demand` from {curve.rows} rows of {curve.step} in {options.tz},",
            f"times {options.scale:f}: {decimal_text(total)} messages in {csv_name}.",
            _reading(options),
            highest,
        ),
        fleets=(FleetOut(name="demand", lines=options.lines, traffic=(source,)),),
    )
    text = scenario_yaml(out, options, tally)
    more = {"intervals": len(curve.intervals), "messages_micro": total, "lines": options.lines}
    # The tally learnt more (gaps, clock changes) after its rows were closed.
    return Imported(
        name=name,
        scenario_yaml=text,
        extra_files={csv_name: curve_csv(curve.intervals)},
        problems=tally.problems(),
        counts={**counts, **tally.counts, **more},
    )


def curve_csv(intervals: Sequence[Interval]) -> bytes:
    r"""Return the curve as CSV, LF line ends.

    >>> curve_csv([Interval(begin_us=0, end_us=1_800_000_000, micro_messages=1_500_000)])
    b'begins_at,ends_at,messages\n1970-01-01T09:00:00+09:00,1970-01-01T09:30:00+09:00,1.5\n'
    """
    rows = [
        f"{iso_jst(row.begin_us)},{iso_jst(row.end_us)},{decimal_text(row.micro_messages)}"
        for row in intervals
    ]
    return ("\n".join(["begins_at,ends_at,messages", *rows]) + "\n").encode()


def decimal_text(micro: int) -> str:
    """Return ``micro`` millionths as a decimal without trailing zeros."""
    text = f"{Decimal(micro).scaleb(-6):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _reading(options: DemandOptions) -> str:
    if options.rebase is None:
        return "Every row lies at its true instant."
    day = options.rebase.isoformat()
    if options.clock == "wall":
        return f"Rebased: the first local day is {day}; times of day are kept, read as JST."
    return f"Rebased: the first local midnight is {day} 00:00 JST; real distances are kept."
