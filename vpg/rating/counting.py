"""From usage events to what they add to the hourly metrics: integers only, order of no matter.

Owns: the fact (what an event counts as, in a fixed row of integers), and the sums, peaks, delays
and inspected lines that a group of facts means, per VPG, clock hour, ``config_seq`` and arrival
period. Does not own: which events are new (the store), where they are kept, or the derived columns
(``vpg.service.store.hours``). Times: ``at_us`` is ``SimUs``, ``hour_us`` is ``HourStartUs``.

A group of a hundred or more is counted in NumPy (64-bit integers throughout), a smaller one in
plain Python, which is then faster; a property test holds the two to the same figures. Nothing can
wrap around: one event holds at most ``COUNT_MAX`` of anything, and a group at most ``GROUP_MAX``
events.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from operator import add
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from vpg.errors import ensure
from vpg.rating.events import (
    CONFIG,
    COUNT_MAX,
    CREATED,
    DELETED,
    MESSAGE,
    MESSAGE_OUTCOMES,
    MIRROR,
    MODIFIED,
    REFUSED,
    REQUEST,
    REQUEST_OUTCOMES,
    Config,
    Data,
    UsageEvent,
)
from vpg.rating.histogram import EXACT_BITS, bucket_of
from vpg.rating.hourly import SERVICES
from vpg.timebase import HOUR_US

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Ints = np.ndarray[tuple[int], np.dtype[np.int64]]
    Place = tuple[int, int]
    """(config_seq, arrival period) of a fact."""
    PlaceOf = Callable[[int, int, int], Place]
    """(vpg_no, at_us, arrived_us) → its place."""
    WholeHour = Callable[[int, int], bool]
    """(vpg_no, hour_us) → whether the config_seq is the same for all of the hour."""

Fact = tuple[int, str, int, int, int, int, str, int, int, int, int, int, int | None, str | None]
"""source_no, id, arrived_us, kind, vpg_no, at_us, subject, requests, first, second, flagged, per_s,
delay_us, more: one row of the store's table of events.

``first`` and ``second`` are the kind's own figures: bytes up and down of a request, sessions and
ghosts of a session's event, bytes and packets of mirroring. ``per_s`` is the peak of the second:
limited attempts, or attach attempts. ``more`` is JSON: a config, or inspected lines.
"""
_ARRIVED: Final = 2
_KIND: Final = 3
_VPG: Final = 4
_AT: Final = 5
_SUBJECT: Final = 6
_REQUESTS: Final = 7
_FIRST: Final = 8
_SECOND: Final = 9
_FLAGS: Final = 10
_PER_S: Final = 11
_DELAY: Final = 12
_MORE: Final = 13
CONTENT: Final = _KIND
"""What an event says begins here in its fact; before it: its name, and when it came."""

KINDS: Final[tuple[tuple[str, str, str], ...]] = (
    *((REQUEST, service, outcome) for service in SERVICES for outcome in REQUEST_OUTCOMES),
    (CREATED, "", ""),
    (DELETED, "", ""),
    (DELETED, "", "ghost"),
    (MODIFIED, "", ""),
    (MODIFIED, "", "ghost"),
    (REFUSED, "", "line_cap"),
    (REFUSED, "", "other"),
    (MIRROR, "", ""),
    (CONFIG, "", ""),
    *((MESSAGE, "", outcome) for outcome in MESSAGE_OUTCOMES),
)
"""What a fact's ``kind`` means: (type, service, outcome). Files hold the numbers: only append."""

SUMS: Final = (
    *(f"{outcome}_{service}" for service in SERVICES for outcome in REQUEST_OUTCOMES),
    "bytes_up",
    "bytes_down",
    "requests_flagged",
    "bytes_mirrored",
    "mirror_dropped",
    "sessions_created",
    "sessions_deleted",
    "sessions_flagged",
    "sessions_refused",
    "attach_rejected_other",
    "ghosts",
    "messages_offered",
    "messages_delivered",
    "lost_tries",
    "lost_deadline",
    "lost_buffer",
    "lost_cancelled",
    "lines_inspected",
)
"""What is kept as a sum, by number: only append. ``ghosts`` is their change; ``lines_inspected``
holds hours whose lines are no longer kept one by one."""
PEAKS: Final = ("rate_peak_per_s", "attach_peak_per_s", "lines_peak", "ghosts_peak")
"""What is kept as a maximum, by number: only append."""

GROUP_MAX: Final = 1_000_000
NUMPY_FROM: Final = 200
"""From so many facts on NumPy is faster."""

_NUMBER = {name: number for number, name in enumerate(SUMS)}
_KIND_OF = {kind: number for number, kind in enumerate(KINDS)}
_REQUEST_KIND = {
    (service, outcome): _KIND_OF[REQUEST, service, outcome]
    for service in SERVICES
    for outcome in REQUEST_OUTCOMES
}
REQUEST_KINDS: Final = len(_REQUEST_KIND)
"""Kinds below this number are requests, and ``SUMS`` has their columns at the same numbers."""
CREATED_KIND: Final = _KIND_OF[CREATED, "", ""]
DELETED_KINDS: Final = (_KIND_OF[DELETED, "", ""], _KIND_OF[DELETED, "", "ghost"])
GHOST_KIND: Final = _KIND_OF[MODIFIED, "", "ghost"]
CONFIG_KIND: Final = _KIND_OF[CONFIG, "", ""]
_MIRROR_KIND = _KIND_OF[MIRROR, "", ""]
_REFUSED_KINDS = (_KIND_OF[REFUSED, "", "line_cap"], _KIND_OF[REFUSED, "", "other"])
_BYTES_UP, _BYTES_DOWN = _NUMBER["bytes_up"], _NUMBER["bytes_down"]
_FLAGGED = _NUMBER["requests_flagged"]
_GHOSTS = _NUMBER["ghosts"]
_SESSIONS_FLAGGED = _NUMBER["sessions_flagged"]
_BYTES_MIRRORED, _MIRROR_DROPPED = _NUMBER["bytes_mirrored"], _NUMBER["mirror_dropped"]
_OTHER_COLUMN = {
    CREATED_KIND: _NUMBER["sessions_created"],
    **dict.fromkeys(DELETED_KINDS, _NUMBER["sessions_deleted"]),
    _REFUSED_KINDS[0]: _NUMBER["sessions_refused"],
    _REFUSED_KINDS[1]: _NUMBER["attach_rejected_other"],
    **{
        _KIND_OF[MESSAGE, "", outcome]: _NUMBER[
            outcome if outcome.startswith("lost") else f"messages_{outcome}"
        ]
        for outcome in MESSAGE_OUTCOMES
    },
}
"""Kind → the column to which its ``requests`` add."""
_RATE_PEAK, _ATTACH_PEAK, _LINES_PEAK, _GHOSTS_PEAK = range(len(PEAKS))

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_DAY_US = 86_400_000_000
_SECOND_US = 1_000_000
_more = msgspec.json.Encoder()
_config = msgspec.json.Decoder(Config)
_lines = msgspec.json.Decoder(tuple[str, ...])


Row = tuple[int, int, int, int]
"""vpg_no, hour_us, config_seq, arrival period."""
Amount = tuple[int, int, int, int, int, int]
"""A row, a number (in ``SUMS``, in ``PEAKS``, or a bucket), and how much of it."""


@dataclass(slots=True)
class Deltas:
    """What a group adds, each list in order of its keys."""

    sums: list[Amount]
    """To be added (``ghosts`` may go down)."""
    peaks: list[Amount]
    """To be the maximum with."""
    delays: list[Amount]
    """To be added to the histograms."""
    inspected: list[tuple[int, int, int, str, int]]
    """vpg_no, hour_us, arrival period, line, the lowest config_seq that saw it."""


class _Sheet:
    """What a group adds, while it is counted."""

    __slots__ = ("delays", "inspected", "peaks", "sums")

    def __init__(self) -> None:
        self.sums: dict[Row, list[int]] = {}
        self.peaks: dict[Row, list[int]] = {}
        self.delays: dict[Row, dict[int, int]] = {}
        self.inspected: dict[tuple[int, int, int, str], int] = {}

    def sums_of(self, row: Row) -> list[int]:
        found = self.sums.get(row)
        if found is None:
            found = self.sums[row] = [0] * len(SUMS)
            self.peaks[row] = [0] * len(PEAKS)
            self.delays[row] = {}
        return found

    def deltas(self) -> Deltas:
        return Deltas(_amounts(self.sums), _amounts(self.peaks), self._delays(), self._inspected())

    def _delays(self) -> list[Amount]:
        return [
            (*row, bucket, self.delays[row][bucket])
            for row in sorted(self.delays)
            for bucket in sorted(self.delays[row])
        ]

    def _inspected(self) -> list[tuple[int, int, int, str, int]]:
        return [(*key, self.inspected[key]) for key in sorted(self.inspected)]


def _amounts(found: dict[Row, list[int]]) -> list[Amount]:
    return [
        (*row, number, amount)
        for row in sorted(found)
        for number, amount in enumerate(found[row])
        if amount
    ]


def at_us_of(moment: dt.datetime) -> int:
    """Return ``vpg.timebase.from_datetime`` of an aware ``moment``, in a third less time."""
    since = moment - _EPOCH
    return since.days * _DAY_US + since.seconds * _SECOND_US + since.microseconds


def fact_of(one: UsageEvent, source_no: int, vpg_no: int, arrived_us: int) -> Fact:
    """Return what ``one`` (free of contradiction) counts as."""
    data = one.data
    since = one.time - _EPOCH
    if one.type == REQUEST:
        return (
            source_no,
            one.id,
            arrived_us,
            _REQUEST_KIND[data.service, data.outcome],
            vpg_no,
            since.days * _DAY_US + since.seconds * _SECOND_US + since.microseconds,
            one.subject,
            data.requests,
            data.bytesUp,
            data.bytesDown,
            data.flagged,
            data.ratePerS,
            data.delayUs,
            _more.encode(data.inspected).decode() if data.inspected else None,
        )
    first, second = data.sessions, data.ghosts
    more = None
    if one.type == MIRROR:
        first, second = data.bytesMirrored, data.mirrorDropped
    elif one.type == CONFIG:
        more = _more.encode(data.config).decode()
    return (
        source_no,
        one.id,
        arrived_us,
        _KIND_OF[one.type, "", "ghost" if data.ghost else data.outcome],
        vpg_no,
        since.days * _DAY_US + since.seconds * _SECOND_US + since.microseconds,
        one.subject,
        data.requests,
        first,
        second,
        data.flagged,
        data.attachPerS,
        None,
        more,
    )


def event_of(fact: Fact, *, source: str, vpg_id: str, operator_id: str) -> UsageEvent:
    """Return the event that ``fact`` was made of."""
    kind, service, outcome = KINDS[fact[_KIND]]
    more = fact[_MORE]
    figures: dict[str, object] = {"requests": fact[_REQUESTS], "flagged": fact[_FLAGS]}
    if kind == REQUEST:
        figures |= {"bytesUp": fact[_FIRST], "bytesDown": fact[_SECOND], "ratePerS": fact[_PER_S]}
        figures |= {"delayUs": fact[_DELAY], "inspected": _lines.decode(more) if more else ()}
    elif kind == MIRROR:
        figures |= {"bytesMirrored": fact[_FIRST], "mirrorDropped": fact[_SECOND]}
    elif kind == CONFIG:
        figures["config"] = config_in(fact)
    else:
        figures |= {"sessions": fact[_FIRST], "ghosts": fact[_SECOND], "attachPerS": fact[_PER_S]}
    if outcome == "ghost":
        figures["ghost"], outcome = True, ""
    names = {"operatorId": operator_id, "vpgId": vpg_id, "service": service, "outcome": outcome}
    return UsageEvent(
        type=kind,  # type: ignore[arg-type]  # KINDS holds the closed list
        source=source,
        id=fact[1],
        time=_EPOCH + dt.timedelta(microseconds=fact[_AT]),
        subject=fact[_SUBJECT],
        data=Data(**names, **figures),  # type: ignore[arg-type]  # of the closed lists as well
    )


def config_in(fact: Fact) -> Config:
    """Return the config that a fact of ``CONFIG_KIND`` holds."""
    more = fact[_MORE]
    ensure(more is not None, "a config's fact holds it")
    return _config.decode(more or "")


def count(facts: Sequence[Fact], place_of: PlaceOf, whole_hour: WholeHour) -> Deltas:
    """Return what ``facts`` add: each of them once."""
    ensure(len(facts) <= GROUP_MAX, "a group stays within what 64 bits can sum")
    if len(facts) >= NUMPY_FROM:
        return count_columns(facts, place_of, whole_hour)
    return count_one_by_one(facts, place_of, whole_hour)


def count_one_by_one(facts: Sequence[Fact], place_of: PlaceOf, whole_hour: WholeHour) -> Deltas:
    """Return what ``facts`` add, in plain Python."""
    sheet = _Sheet()
    _count_each(sheet, facts, place_of, whole_hour)
    return sheet.deltas()


def _count_each(
    sheet: _Sheet, facts: Sequence[Fact], place_of: PlaceOf, whole_hour: WholeHour
) -> None:
    last: tuple[int, int, int] = (-1, -1, -1)
    row: Row = (0, 0, 0, 0)
    sums: list[int] = []
    delays: dict[int, int] = {}
    for fact in facts:
        (
            _,
            _,
            arrived_us,
            kind,
            vpg_no,
            at_us,
            _,
            requests,
            first,
            second,
            flagged,
            per_s,
            delay_us,
            more,
        ) = fact
        hour_us = at_us - at_us % HOUR_US
        place = (vpg_no, hour_us, arrived_us)
        if place != last:
            row = (vpg_no, hour_us, *place_of(vpg_no, at_us, arrived_us))
            sums = sheet.sums_of(row)
            delays = sheet.delays[row]
            # Where the hour changes within, every event asks for itself.
            last = place if whole_hour(vpg_no, hour_us) else (-1, -1, -1)
        if kind >= REQUEST_KINDS:
            _count_other(sheet, fact, row)
            continue
        sums[kind] += requests
        sums[_BYTES_UP] += first
        sums[_BYTES_DOWN] += second
        if delay_us is not None:
            bucket = bucket_of(delay_us)
            delays[bucket] = delays.get(bucket, 0) + 1
        if flagged or per_s or more:
            _count_rest(sheet, fact, row)


def _count_rest(sheet: _Sheet, fact: Fact, row: Row) -> None:
    """Add what few requests have: flags, peaks of the second, inspected lines."""
    sheet.sums[row][_FLAGGED] += fact[_FLAGS]
    _top(sheet.peaks[row], _RATE_PEAK, fact[_PER_S])
    more = fact[_MORE]
    if more is not None:
        vpg_no, hour_us, seq, late = row
        for line in _lines.decode(more):
            key = (vpg_no, hour_us, late, line)
            sheet.inspected[key] = min(seq, sheet.inspected.get(key, seq))


def _count_other(sheet: _Sheet, fact: Fact, row: Row) -> None:
    """Add what is no request."""
    kind, sums, peaks = fact[_KIND], sheet.sums[row], sheet.peaks[row]
    column = _OTHER_COLUMN.get(kind)
    if column is not None:
        sums[column] += fact[_REQUESTS]
    if kind == CREATED_KIND:
        sums[_SESSIONS_FLAGGED] += fact[_FLAGS]
        _top(peaks, _LINES_PEAK, fact[_FIRST])
    elif kind == GHOST_KIND:
        sums[_GHOSTS] += 1
        _top(peaks, _GHOSTS_PEAK, fact[_SECOND])
    elif kind == DELETED_KINDS[1]:
        sums[_GHOSTS] -= 1
    elif kind == _MIRROR_KIND:
        sums[_BYTES_MIRRORED] += fact[_FIRST]
        sums[_MIRROR_DROPPED] += fact[_SECOND]
    _top(peaks, _ATTACH_PEAK, fact[_PER_S])


def _top(peaks: list[int], number: int, to: int) -> None:
    peaks[number] = max(peaks[number], to)


# ---- whole columns -------------------------------------------------------------------------------

_POWERS = np.array([1 << bit for bit in range(EXACT_BITS, 63)], dtype=np.int64)
_HALF = 1 << (EXACT_BITS - 1)
_HOUR_BITS = 22
"""Clock hours since 1970 fit until the year 2448."""
_BUCKET_BITS = 13


def buckets_of(delays_us: Ints) -> Ints:
    """Return ``bucket_of`` each delay."""
    shift = np.searchsorted(_POWERS, delays_us, side="right").astype(np.int64)
    return np.where(shift > 0, shift * _HALF + (delays_us >> shift), delays_us)


def count_columns(facts: Sequence[Fact], place_of: PlaceOf, whole_hour: WholeHour) -> Deltas:
    """Return what ``facts`` add, plain requests column by column."""
    sheet = _Sheet()
    columns: tuple[tuple[Any, ...], ...] = tuple(zip(*facts, strict=True))
    if max(columns[_KIND]) >= REQUEST_KINDS or any(columns[_MORE]):
        others = [fact for fact in facts if fact[_KIND] >= REQUEST_KINDS or fact[_MORE]]
        _count_each(sheet, others, place_of, whole_hour)
        facts = [fact for fact in facts if fact[_KIND] < REQUEST_KINDS and not fact[_MORE]]
        columns = tuple(zip(*facts, strict=True))
    if facts:
        _count_plain(sheet, facts, columns, place_of, whole_hour)
    return sheet.deltas()


def _count_plain(
    sheet: _Sheet,
    facts: Sequence[Fact],
    columns: tuple[tuple[Any, ...], ...],
    place_of: PlaceOf,
    whole_hour: WholeHour,
) -> None:
    """Add plain requests, whose ``columns`` are given too."""
    arrived = columns[_ARRIVED]
    hours = _ints(columns[_AT]) // HOUR_US
    pairs, at = np.unique((_ints(columns[_VPG]) << _HOUR_BITS) + hours, return_inverse=True)
    rows: list[Row] = []
    for pair in pairs.tolist():
        vpg_no, hour_us = pair >> _HOUR_BITS, (pair & ((1 << _HOUR_BITS) - 1)) * HOUR_US
        if not whole_hour(vpg_no, hour_us) or arrived.count(arrived[0]) < len(arrived):
            _count_each(sheet, facts, place_of, whole_hour)
            return
        rows.append((vpg_no, hour_us, *place_of(vpg_no, hour_us, arrived[0])))
    _add_columns(sheet, columns, rows, at)


def _add_columns(
    sheet: _Sheet, columns: tuple[tuple[Any, ...], ...], rows: list[Row], at: Ints
) -> None:
    """Add columns of which all belong to ``rows``; ``at`` points into them."""
    wide = len(SUMS)
    table = np.zeros(len(rows) * wide, dtype=np.int64)
    begin = at * wide
    np.add.at(table, begin + _ints(columns[_KIND]), _ints(columns[_REQUESTS]))
    for number, name in ((_BYTES_UP, _FIRST), (_BYTES_DOWN, _SECOND), (_FLAGGED, _FLAGS)):
        if any(columns[name]):
            np.add.at(table, begin + number, _ints(columns[name]))
    sums = table.tolist()
    for place, row in enumerate(rows):
        own = sheet.sums_of(row)
        own[:] = map(add, own, sums[place * wide : (place + 1) * wide])
    if any(columns[_PER_S]):
        peaks = np.zeros(len(rows), dtype=np.int64)
        np.maximum.at(peaks, at, _ints(columns[_PER_S]))
        for place, row in enumerate(rows):
            _top(sheet.peaks[row], _RATE_PEAK, int(peaks[place]))
    delays = columns[_DELAY]
    if None in delays:
        has = np.array([one is not None for one in delays], dtype=np.bool_)
        at, delays = at[has], tuple(one for one in delays if one is not None)
    if delays:
        both, counts = np.unique(
            (at << _BUCKET_BITS) + buckets_of(_ints(delays)), return_counts=True
        )
        for pair, times in zip(both.tolist(), counts.tolist(), strict=True):
            own_delays = sheet.delays[rows[pair >> _BUCKET_BITS]]
            bucket = pair & ((1 << _BUCKET_BITS) - 1)
            own_delays[bucket] = own_delays.get(bucket, 0) + times


def _ints(values: tuple[int, ...]) -> Ints:
    return np.array(values, dtype=np.int64)


ensure(COUNT_MAX * GROUP_MAX < 2**62, "no group overflows 64 bits")
