"""Adds hourly rows up: over time for one VPG, then over VPGs; and checks that nothing got lost.

Owns: the totals of a run and the conservation identities. Does not own: the columns and how each
one combines (``vpg.rating.hourly``). Times: ``hour_start_us`` is ``HourStartUs``.

Over time flows are summed, peaks take the maximum, ``*_start`` the first and ``*_end`` the last
value. Over VPGs everything is summed except peaks, which take the maximum: the largest single VPG,
because two VPGs' peaks need not be at the same moment. Percentiles come from the merged histograms.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vpg.rating.histogram import percentile_us
from vpg.rating.hourly import COLUMNS, LIMITED_SERVICES, OUTCOMES, SERVICES, HourlyRow, key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from vpg.results import RowKey

Histogram = dict[int, int]
_LOST = ("lost_tries", "lost_deadline", "lost_buffer", "lost_cancelled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals(HourlyRow):
    """A row of the hourly table's shape that stands for many; ``vpg_id`` is empty for all VPGs.

    ``hour_start_us`` is the first hour, ``type`` and ``size`` are those of the last row (empty over
    VPGs).
    """

    hours: int = 0
    """VPG hours: clock hours in which the VPG existed, summed over VPGs."""
    per_vpg: tuple[Totals, ...] = ()
    """One each, by ``vpg_id``; empty in the totals of one VPG."""

    @property
    def attempts_limited(self) -> int:
        """Attempts of the services under the request limiter."""
        return limited(self, "attempts")

    @property
    def accepted_limited(self) -> int:
        """Accepted attempts of the services under the request limiter."""
        return limited(self, "accepted")

    @property
    def throttled_limited(self) -> int:
        """Attempts refused by the request limiter."""
        return limited(self, "throttled")

    @property
    def admitted_limited(self) -> int:
        """Attempts the limiter let through: accepted and failed upstream; A-08 bills these."""
        return limited(self, "accepted") + limited(self, "failed_upstream")

    @property
    def no_session_limited(self) -> int:
        """Attempts of limited services without a session."""
        return limited(self, "no_session")

    @property
    def failed_upstream_limited(self) -> int:
        """Attempts of limited services that failed behind the VPG."""
        return limited(self, "failed_upstream")

    @property
    def messages_lost(self) -> int:
        """Messages given up or dropped, for whatever reason."""
        return sum(int(getattr(self, name)) for name in _LOST)


def limited(row: HourlyRow, what: str) -> int:
    """Return ``what`` ("attempts" or an outcome) of ``row``, summed over beam, funnel and funk."""
    return sum(int(getattr(row, f"{what}_{service}")) for service in LIMITED_SERVICES)


def totals(rows: Iterable[HourlyRow], delays: Mapping[RowKey, Mapping[int, int]]) -> Totals:
    """Return the totals of ``rows``; ``delays``: the histogram (bucket → count) of each row."""
    ordered = sorted(rows, key=key_of)
    per_vpg = []
    whole: Histogram = {}
    for vpg_id, group in itertools.groupby(ordered, key=lambda row: row.vpg_id):
        own = list(group)
        histogram = merge_histograms(delays.get(key_of(row), {}) for row in own)
        whole = merge_histograms((whole, histogram))
        hours = len({row.hour_start_us for row in own if row.vpg_exists})
        per_vpg.append(
            Totals(
                **_combine(own, _over_time)
                | {"type": own[-1].type, "size": own[-1].size, "vpg_id": vpg_id}
                | _percentiles(histogram),
                hours=hours,
            )
        )
    return Totals(
        **_combine(per_vpg, _over_vpgs) | _percentiles(whole),
        hours=sum(one.hours for one in per_vpg),
        per_vpg=tuple(per_vpg),
    )


def merge_histograms(histograms: Iterable[Mapping[int, int]]) -> Histogram:
    """Return the histogram that counts what all ``histograms`` count."""
    merged: Histogram = {}
    for histogram in histograms:
        for bucket, count in histogram.items():
            merged[bucket] = merged.get(bucket, 0) + count
    return merged


def _percentiles(histogram: Histogram) -> dict[str, int]:
    return {
        "delay_us_p50": percentile_us(histogram, 50),
        "delay_us_p99": percentile_us(histogram, 99),
        "delay_us_max": percentile_us(histogram, 100),
    }


def _over_time(aggregate: str, values: Sequence[int]) -> int:
    if aggregate == "max":
        return max(values)
    if aggregate == "first":
        return values[0]
    return values[-1] if aggregate == "last" else sum(values)


def _over_vpgs(aggregate: str, values: Sequence[int]) -> int:
    return max(values) if aggregate == "max" else sum(values)


def _combine(
    rows: Sequence[HourlyRow], number: Callable[[str, Sequence[int]], int]
) -> dict[str, Any]:
    """Return the cells of the row that stands for ``rows``, without percentiles and names."""
    if not rows:
        return {}
    cells: dict[str, Any] = {
        "hour_start_us": min(row.hour_start_us for row in rows),
        "one_off": ",".join(filter(None, (row.one_off for row in rows))),
    }
    for column in COLUMNS:
        if column.aggregate in ("sum", "max", "first", "last"):
            values = [getattr(row, column.name) for row in rows]
            cells[column.name] = number(column.aggregate, values)
    return cells


def conservation(rows: Iterable[HourlyRow]) -> list[str]:
    """Return every identity that ``rows`` break, as text for an engineer; empty when all hold.

    Each row is checked alone, and each row's start against the end of the same VPG's row before it.
    """
    broken: list[str] = []
    before: HourlyRow | None = None
    for row in sorted(rows, key=key_of):
        broken.extend(f"{key_of(row)}: {fact}" for fact in _broken_alone(row))
        if before is not None and before.vpg_id == row.vpg_id:
            if key_of(before) == key_of(row):
                broken.append(f"{key_of(row)}: a second row with this key")
            broken.extend(
                f"{key_of(row)}: {what}_start {getattr(row, f'{what}_start')}"
                f" is not the row before's {what}_end {getattr(before, f'{what}_end')}"
                for what in ("sessions", "pending")
                if getattr(row, f"{what}_start") != getattr(before, f"{what}_end")
            )
        before = row
    return broken


def _broken_alone(row: HourlyRow) -> list[str]:
    lost = sum(int(getattr(row, name)) for name in _LOST)
    sides = [
        (
            "pending_end = pending_start + offered - delivered - lost",
            row.pending_end,
            row.pending_start + row.messages_offered - row.messages_delivered - lost,
        ),
        (
            "sessions_end = sessions_start + created - deleted",
            row.sessions_end,
            row.sessions_start + row.sessions_created - row.sessions_deleted,
        ),
        (
            "attach_attempts = created + refused + rejected_other",
            row.attach_attempts,
            row.sessions_created + row.sessions_refused + row.attach_rejected_other,
        ),
    ]
    for service in SERVICES:
        outcomes = sum(int(getattr(row, f"{outcome}_{service}")) for outcome in OUTCOMES)
        attempts = int(getattr(row, f"attempts_{service}"))
        sides.append((f"attempts_{service} = sum of its outcomes", attempts, outcomes))
    broken = [f"{fact}: {left} != {right}" for fact, left, right in sides if left != right]
    broken.extend(
        f"{column.name} is negative: {getattr(row, column.name)}"
        for column in COLUMNS
        if not column.is_text and column.name != "hour_start_us" and getattr(row, column.name) < 0
    )
    return broken
