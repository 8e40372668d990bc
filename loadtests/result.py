"""What one process of a load counted and measured, and how results of several add up.

Owns: the document between the generator and whoever judges it. Does not own: the judging
(``reconcile``). Times: ns and µs as the names say.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Literal

import msgspec

from loadtests.histogram import Histogram

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Ending = Literal["accepted", "refused", "unanswered"]
ENDINGS: tuple[Ending, ...] = ("accepted", "refused", "unanswered")
_TOLD_MAX = 20


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """Requests of one VPG, service, outcome and (rating only) clock hour."""

    vpg_id: str
    service: str
    outcome: str
    """Of the hourly metrics; or ``unknown``: no answer came; ``uncounted``: refused for sure."""
    hour_start_us: int = 0
    requests: int
    bytes_up: int = 0
    bytes_down: int = 0


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One process's share of a load."""

    index: int
    intended: int
    """Sends of the schedule."""
    sent: int
    pool_waits: int = 0
    """Sends that waited because every connection was taken."""
    pool_peak: int = 0
    cpu_ns: int = 0
    wall_ns: int = 0
    events: int = 0
    """Usage events with a name of their own that were sent at least once."""
    duplicates: int = 0
    """Events sent once more on purpose."""
    late: int = 0
    """Events with a time moved back."""
    answers: dict[str, int]
    """HTTP status, or ``none``, or ``not_sent`` → requests."""
    latency: dict[str, str]
    """Ending → histogram from intended to done."""
    service_time: str
    """Histogram from sent to done."""
    lateness: str
    """Histogram from intended to sent: the generator's own."""
    tallies: tuple[Tally, ...]
    unknown: tuple[int, ...] = ()
    """Numbers of this process's events that nobody acknowledged or refused."""
    unexpected: tuple[str, ...] = ()
    """Some of the answers that no working target gives."""


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """All processes together; sums are exact, histograms merged bucket by bucket."""

    results: tuple[Result, ...]
    intended: int
    sent: int
    pool_waits: int
    pool_peak: int
    events: int
    duplicates: int
    late: int
    answers: dict[str, int]
    tallies: dict[tuple[str, str, str, int], Tally]
    """(VPG, service, outcome, hour) → sum."""
    unexpected: tuple[str, ...]


def merged(results: Iterable[Result]) -> Measured:
    """Return ``results`` added up."""
    every = tuple(sorted(results, key=lambda one: one.index))
    answers: Counter[str] = Counter()
    for one in every:
        answers.update(one.answers)
    return Measured(
        results=every,
        intended=sum(one.intended for one in every),
        sent=sum(one.sent for one in every),
        pool_waits=sum(one.pool_waits for one in every),
        pool_peak=sum(one.pool_peak for one in every),
        events=sum(one.events for one in every),
        duplicates=sum(one.duplicates for one in every),
        late=sum(one.late for one in every),
        answers=dict(sorted(answers.items())),
        tallies=add_up(tally for one in every for tally in one.tallies),
        unexpected=tuple(text for one in every for text in one.unexpected)[:_TOLD_MAX],
    )


def add_up(tallies: Iterable[Tally]) -> dict[tuple[str, str, str, int], Tally]:
    """Return one tally for each VPG, service, outcome and hour."""
    sums: dict[tuple[str, str, str, int], Tally] = {}
    for one in tallies:
        key = one.vpg_id, one.service, one.outcome, one.hour_start_us
        before = sums.get(key)
        if before is not None:
            one = msgspec.structs.replace(  # noqa: PLW2901 - the sum so far
                one,
                requests=before.requests + one.requests,
                bytes_up=before.bytes_up + one.bytes_up,
                bytes_down=before.bytes_down + one.bytes_down,
            )
        sums[key] = one
    return dict(sorted(sums.items()))


def latencies(results: Sequence[Result], *endings: Ending) -> Histogram:
    """Return latency from intended to done of requests with ``endings`` (none named: all)."""
    whole = Histogram()
    for one in results:
        for ending, encoded in one.latency.items():
            if not endings or ending in endings:
                whole.add(Histogram(encoded))
    return whole


def lateness(results: Sequence[Result]) -> Histogram:
    """Return how late the generator itself was."""
    return _together(one.lateness for one in results)


def service_times(results: Sequence[Result]) -> Histogram:
    """Return the time from sent to done."""
    return _together(one.service_time for one in results)


def _together(encoded: Iterable[str]) -> Histogram:
    whole = Histogram()
    for text in encoded:
        whole.add(Histogram(text))
    return whole
