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
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

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
    WholeHour = Callable[[int, int], int | None]
    """(vpg_no, hour_us) → the config_seq of the whole hour; None where it changes within."""

Fact = tuple[int, int, int, int, str, int, int, int, int, int, int | None, str | None]
"""arrived_us, kind, vpg_no, at_us, subject, requests, first, second, flagged, per_s, delay_us, more.

``first`` and ``second`` are the kind's own figures: bytes up and down of a request, sessions and
ghosts of a session's event, bytes and packets of mirroring. ``per_s`` is the peak of the second:
limited attempts, or attach attempts. ``more`` is JSON: a config, or inspected lines.
"""

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
"""Groups of so many plain requests are counted in NumPy."""

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


@dataclass(slots=True)
class Deltas:
    """What a group adds; keys begin (vpg_no, hour_us, config_seq, arrival period)."""

    sums: dict[tuple[int, int, int, int, int], int] = field(default_factory=dict)
    """… and the number in ``SUMS`` → what is added (``ghosts`` may go down)."""
    peaks: dict[tuple[int, int, int, int, int], int] = field(default_factory=dict)
    """… and the number in ``PEAKS`` → the largest."""
    delays: dict[tuple[int, int, int, int, int], int] = field(default_factory=dict)
    """… and the histogram's bucket → count."""
    inspected: dict[tuple[int, int, int, str], int] = field(default_factory=dict)
    """(vpg_no, hour_us, arrival period, line) → the lowest config_seq that saw it."""


def at_us_of(moment: dt.datetime) -> int:
    """Return ``vpg.timebase.from_datetime`` of an aware ``moment``, in a third less time."""
    since = moment - _EPOCH
    return since.days * _DAY_US + since.seconds * _SECOND_US + since.microseconds


def fact_of(one: UsageEvent, vpg_no: int, arrived_us: int) -> Fact:
    """Return what ``one`` (free of contradiction) counts as."""
    data = one.data
    since = one.time - _EPOCH
    at_us = since.days * _DAY_US + since.seconds * _SECOND_US + since.microseconds
    if one.type == REQUEST:
        return (
            arrived_us,
            _REQUEST_KIND[data.service, data.outcome],
            vpg_no,
            at_us,
            one.subject,
            data.requests,
            data.bytesUp,
            data.bytesDown,
            data.flagged,
            data.ratePerS,
            data.delayUs,
            None if not data.inspected else _more.encode(data.inspected).decode(),
        )
    first, second = data.sessions, data.ghosts
    more = None
    if one.type == MIRROR:
        first, second = data.bytesMirrored, data.mirrorDropped
    elif one.type == CONFIG:
        more = _more.encode(data.config).decode()
    return (
        arrived_us,
        _KIND_OF[one.type, "", "ghost" if data.ghost else data.outcome],
        vpg_no,
        at_us,
        one.subject,
        data.requests,
        first,
        second,
        data.flagged,
        data.attachPerS,
        None,
        more,
    )


def event_of(
    fact: Fact, *, source: str, event_id: str, vpg_id: str, operator_id: str
) -> UsageEvent:
    """Return the event that ``fact`` was made of."""
    _, number, _, at_us, subject, requests, first, second, flagged, per_s, delay_us, more = fact
    kind, service, outcome = KINDS[number]
    figures: dict[str, object] = {"requests": requests, "flagged": flagged}
    if kind == REQUEST:
        figures |= {"bytesUp": first, "bytesDown": second, "ratePerS": per_s, "delayUs": delay_us}
        figures["inspected"] = () if more is None else _lines.decode(more)
    elif kind == MIRROR:
        figures |= {"bytesMirrored": first, "mirrorDropped": second}
    elif kind == CONFIG:
        figures["config"] = None if more is None else _config.decode(more)
    else:
        figures |= {"sessions": first, "ghosts": second, "attachPerS": per_s}
    if outcome == "ghost":
        figures["ghost"], outcome = True, ""
    names = {"operatorId": operator_id, "vpgId": vpg_id, "service": service, "outcome": outcome}
    return UsageEvent(
        type=kind,  # type: ignore[arg-type]  # KINDS holds the closed list
        source=source,
        id=event_id,
        time=_EPOCH + dt.timedelta(microseconds=at_us),
        subject=subject,
        data=Data(**names, **figures),  # type: ignore[arg-type]
    )


def config_in(fact: Fact) -> Config:
    """Return the config that a fact of ``CONFIG_KIND`` holds."""
    ensure(fact[-1] is not None, "a config's fact holds it")
    return _config.decode(fact[-1] or "")


def count(facts: Sequence[Fact], place_of: PlaceOf, whole_hour: WholeHour) -> Deltas:
    """Return what ``facts`` add: each of them once."""
    ensure(len(facts) <= GROUP_MAX, "a group stays within what 64 bits can sum")
    if len(facts) >= NUMPY_FROM:
        return count_columns(facts, place_of, whole_hour)
    return count_one_by_one(facts, place_of)


def count_one_by_one(facts: Sequence[Fact], place_of: PlaceOf) -> Deltas:
    """Return what ``facts`` add, in plain Python."""
    deltas = Deltas()
    sums, delays = deltas.sums, deltas.delays
    for fact in facts:
        arrived_us, kind, vpg_no, at_us, _, requests, up, down, flagged, per_s, delay_us, more = (
            fact
        )
        hour_us = at_us - at_us % HOUR_US
        seq, late = place_of(vpg_no, at_us, arrived_us)
        if kind >= REQUEST_KINDS:
            _count_other(deltas, fact, (vpg_no, hour_us, seq, late))
            continue
        if requests:
            key = (vpg_no, hour_us, seq, late, kind)
            sums[key] = sums.get(key, 0) + requests
        if up:
            key = (vpg_no, hour_us, seq, late, _BYTES_UP)
            sums[key] = sums.get(key, 0) + up
        if down:
            key = (vpg_no, hour_us, seq, late, _BYTES_DOWN)
            sums[key] = sums.get(key, 0) + down
        if delay_us is not None:
            key = (vpg_no, hour_us, seq, late, bucket_of(delay_us))
            delays[key] = delays.get(key, 0) + 1
        if flagged or per_s or more:
            _count_rest(deltas, fact, (vpg_no, hour_us, seq, late))
    return deltas


def _count_rest(deltas: Deltas, fact: Fact, row: tuple[int, int, int, int]) -> None:
    """Add what few requests have: flags, peaks of the second, inspected lines."""
    _, _, _, _, _, _, _, _, flagged, per_s, _, more = fact
    if flagged:
        _add(deltas.sums, (*row, _FLAGGED), flagged)
    if per_s:
        _top(deltas.peaks, (*row, _RATE_PEAK), per_s)
    if more is not None:
        vpg_no, hour_us, seq, late = row
        for line in _lines.decode(more):
            key = (vpg_no, hour_us, late, line)
            deltas.inspected[key] = min(seq, deltas.inspected.get(key, seq))


def _count_other(deltas: Deltas, fact: Fact, row: tuple[int, int, int, int]) -> None:
    _, kind, _, _, _, requests, first, second, flagged, per_s, _, _ = fact
    column = _OTHER_COLUMN.get(kind)
    if column is not None and requests:
        _add(deltas.sums, (*row, column), requests)
    if kind == CREATED_KIND:
        _top(deltas.peaks, (*row, _LINES_PEAK), first)
        if flagged:
            _add(deltas.sums, (*row, _NUMBER["sessions_flagged"]), flagged)
    elif kind == GHOST_KIND:
        _add(deltas.sums, (*row, _GHOSTS), 1)
        _top(deltas.peaks, (*row, _GHOSTS_PEAK), second)
    elif kind == DELETED_KINDS[1]:
        _add(deltas.sums, (*row, _GHOSTS), -1)
    elif kind == _MIRROR_KIND:
        _add(deltas.sums, (*row, _NUMBER["bytes_mirrored"]), first)
        _add(deltas.sums, (*row, _NUMBER["mirror_dropped"]), second)
    if per_s:
        _top(deltas.peaks, (*row, _ATTACH_PEAK), per_s)


def _add(sums: dict[tuple[int, int, int, int, int], int], key: tuple[int, ...], more: int) -> None:
    sums[key] = sums.get(key, 0) + more  # type: ignore[index]  # the caller's five


def _top(peaks: dict[tuple[int, int, int, int, int], int], key: tuple[int, ...], to: int) -> None:
    peaks[key] = max(to, peaks.get(key, 0))  # type: ignore[index]  # the caller's five


# ---- whole columns ---------------------------------------------------------------------------------

_POWERS = np.array([1 << bit for bit in range(EXACT_BITS, 63)], dtype=np.int64)
_HALF = 1 << (EXACT_BITS - 1)


def buckets_of(delays_us: Ints) -> Ints:
    """Return ``bucket_of`` each delay."""
    shift = np.searchsorted(_POWERS, delays_us, side="right").astype(np.int64)
    return np.where(shift > 0, shift * _HALF + (delays_us >> shift), delays_us)


def count_columns(facts: Sequence[Fact], place_of: PlaceOf, whole_hour: WholeHour) -> Deltas:
    """Return what ``facts`` add, plain requests column by column."""
    plain = [fact for fact in facts if fact[1] < REQUEST_KINDS and fact[-1] is None]
    if len(plain) < NUMPY_FROM:
        return count_one_by_one(facts, place_of)
    columns = tuple(zip(*plain, strict=True))
    vpg = np.array(columns[2], dtype=np.int64)
    at_us = np.array(columns[3], dtype=np.int64)
    hour = at_us // HOUR_US
    # One number for each VPG's hour: an hour is below 2**22 until the year 2448.
    pairs, row = np.unique((vpg << 22) + hour, return_inverse=True)
    rows: list[tuple[int, int, int, int]] = []
    arrived = columns[0]
    if len(set(arrived)) > 1:
        return count_one_by_one(facts, place_of)
    for pair in pairs.tolist():
        vpg_no, hour_us = pair >> 22, (pair & 0x3FFFFF) * HOUR_US
        seq = whole_hour(vpg_no, hour_us)
        if seq is None:
            return count_one_by_one(facts, place_of)
        rows.append((vpg_no, hour_us, seq, place_of(vpg_no, hour_us, arrived[0])[1]))
    others = [fact for fact in facts if fact[1] >= REQUEST_KINDS or fact[-1] is not None]
    deltas = count_one_by_one(others, place_of)
    _count_plain(deltas, columns, rows, row)
    return deltas


def _count_plain(
    deltas: Deltas,
    columns: tuple[tuple[int, ...], ...],
    rows: list[tuple[int, int, int, int]],
    row: Ints,
) -> None:
    """Add the columns of plain requests; ``row`` points into ``rows``."""
    wide = len(SUMS)
    table = np.zeros(len(rows) * wide, dtype=np.int64)
    base = row * wide
    np.add.at(table, base + np.array(columns[1], dtype=np.int64), _ints(columns[5]))
    for number, place in ((_BYTES_UP, 6), (_BYTES_DOWN, 7), (_FLAGGED, 8)):
        if any(columns[place]):
            np.add.at(table, base + number, _ints(columns[place]))
    for at in np.flatnonzero(table).tolist():
        _add(deltas.sums, (*rows[at // wide], at % wide), int(table[at]))
    if any(columns[9]):
        top = np.zeros(len(rows), dtype=np.int64)
        np.maximum.at(top, row, _ints(columns[9]))
        for at in np.flatnonzero(top).tolist():
            _top(deltas.peaks, (*rows[at], _RATE_PEAK), int(top[at]))
    known = [index for index, delay in enumerate(columns[10]) if delay is not None]
    if known:
        delays = np.array([columns[10][index] for index in known], dtype=np.int64)
        # A bucket is below 2**13.
        both = (row[known] << 13) + buckets_of(delays)
        found, counts = np.unique(both, return_counts=True)
        for pair, times in zip(found.tolist(), counts.tolist(), strict=True):
            _add(deltas.delays, (*rows[pair >> 13], pair & 0x1FFF), times)


def _ints(values: tuple[int, ...]) -> Ints:
    return np.array(values, dtype=np.int64)


ensure(COUNT_MAX * GROUP_MAX < 2**62, "no group overflows 64 bits")
