"""Usage that comes late, or is corrected: an hour rated again, or a correction on a later month.

Owns: which figures of an hour count at which moment, and what a later month has to correct. Does
not own: when a month's figures become final (``vpg.billing.calendar``; the caller hands it in), or
what an hour owes (``vpg.rating.charges``). Times: ``arrived_us`` and ``at_us`` are ``SimUs`` of
arrival, ``month_us`` is the first instant of a rating month; intervals are half-open.

Nothing is kept between calls. All is a function of the set of arrivals, so neither their order nor
a second delivery of the same figures changes anything, and a month that has become final says the
same for ever: what arrives afterwards is in the corrections of the first later month that was not
yet final. Over all months, corrections add up to exactly what rating everything at once would give.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from vpg.errors import InputError, Problem
from vpg.rating.charges import ChargeRow, charge, charge_key
from vpg.rating.hourly import HourlyRow, key_of
from vpg.timebase import iso_jst, month_start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    FinalUs = Callable[[int], int]
    """First instant of a rating month → the instant from which its figures are final."""
    Rate = Callable[[Sequence[HourlyRow]], list[ChargeRow]]
    """The rows of a rating month → its charges; pure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """Figures of one hour (a row of the hourly metrics) and when they came.

    A higher ``version`` replaces the lower ones of the same row, in whatever order they come. An
    hour that was none is corrected by a row in which the VPG does not exist.
    """

    row: HourlyRow
    arrived_us: int
    version: int = 0


class Correction(NamedTuple):
    """What a final month owes more, or less (a negative quantity), than it was charged."""

    month_us: int
    charge: ChargeRow


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthFigures:
    """What is charged with one rating month: its own hours, and corrections of earlier ones."""

    month_us: int
    charges: tuple[ChargeRow, ...]
    corrections: tuple[Correction, ...]
    """By month, VPG, hour and item; empty quantities are left out."""
    final: bool
    """Whether nothing can change them any more."""


def check_arrivals(arrivals: Iterable[Arrival]) -> None:
    """Raise ``InputError`` where one version of a row came with different figures."""
    first: dict[tuple[tuple[str, int, int], int], HourlyRow] = {}
    twice = set()
    for one in arrivals:
        key = (key_of(one.row), one.version)
        if first.setdefault(key, one.row) != one.row:
            twice.add(key)
    if twice:
        raise InputError(
            [
                Problem(
                    code="VPG1750",
                    values={"vpg": vpg_id, "hour": iso_jst(hour_us), "version": version},
                )
                for (vpg_id, hour_us, _), version in sorted(twice)
            ]
        )


def rows_at(arrivals: Iterable[Arrival], at_us: int) -> list[HourlyRow]:
    """Return the rows that count at ``at_us``: of each the newest version that came before it."""
    newest: dict[tuple[str, int, int], Arrival] = {}
    for one in arrivals:
        if one.arrived_us < at_us:
            key = key_of(one.row)
            if key not in newest or one.version > newest[key].version:
                newest[key] = one
    return [newest[key].row for key in sorted(newest)]


def month_figures(
    arrivals: Sequence[Arrival], *, month_us: int, at_us: int, final_us: FinalUs, rate: Rate
) -> MonthFigures:
    """Return what is charged with the rating month that begins at ``month_us``, as of ``at_us``.

    Hours of the month count as they are known when it becomes final (until then: at ``at_us``). An
    earlier month is corrected by what came after its own last chance, the month before this one,
    had become final. Raises ``InputError`` where arrivals contradict each other.
    """
    check_arrivals(arrivals)
    end_us = min(at_us, final_us(month_us))
    begin_us = final_us(month_start(month_us - 1))
    own = [one for one in arrivals if month_start(one.row.hour_start_us) == month_us]
    late = {
        month_start(one.row.hour_start_us)
        for one in arrivals
        if begin_us <= one.arrived_us < end_us
    }
    corrections = []
    for earlier_us in sorted(month for month in late if month < month_us):
        of_month = [one for one in arrivals if month_start(one.row.hour_start_us) == earlier_us]
        before, after = (rate(rows_at(of_month, cut_us)) for cut_us in (begin_us, end_us))
        corrections += [Correction(earlier_us, row) for row in difference(before, after)]
    return MonthFigures(
        month_us=month_us,
        charges=tuple(rate(rows_at(own, end_us))),
        corrections=tuple(corrections),
        final=at_us >= final_us(month_us),
    )


def difference(before: Iterable[ChargeRow], after: Iterable[ChargeRow]) -> list[ChargeRow]:
    """Return the charges that turn ``before`` into ``after``; what is taken back is negative."""
    changed: Counter[tuple[str, int, str, int | None]] = Counter()
    for rows, sign in ((after, 1), (before, -1)):
        for row in rows:
            changed[(*charge_key(row), row.unit_price_micro_yen)] += sign * row.quantity
    rows = [charge(*key[:3], quantity, key[3]) for key, quantity in changed.items() if quantity]
    return sorted(rows, key=lambda row: (*charge_key(row), row.quantity))
