"""A group of usage events counts the same in NumPy, one by one, and in an independent account."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support_service_store import OPERATOR, T0, request, told
from vpg.errors import EnsureError
from vpg.rating import counting
from vpg.rating.counting import PEAKS, SUMS, Deltas, Fact, count_columns, count_one_by_one
from vpg.rating.events import COUNT_MAX, REQUEST_OUTCOMES, Config, UsageEvent, contradiction
from vpg.rating.histogram import bucket_of
from vpg.rating.hourly import SERVICES
from vpg.timebase import HOUR_US, from_datetime, hour_start

if TYPE_CHECKING:
    import datetime as dt

NOW = T0 + 40 * HOUR_US
LINES = tuple(f"8981{number:015d}" for number in range(4))
CUT = T0 + HOUR_US + 1_234_567
"""Where the VPG with the odd number changes its size."""

counts = st.just(1) | st.integers(1, 50) | st.just(COUNT_MAX)
instants = st.integers(T0, T0 + 3 * HOUR_US - 1) | st.sampled_from([CUT - 1, CUT, CUT + 1])


@st.composite
def requests(draw: st.DrawFn) -> UsageEvent:
    outcome = draw(st.sampled_from(REQUEST_OUTCOMES))
    how_many = draw(counts)
    figures: dict[str, Any] = {"flagged": draw(st.integers(0, min(how_many, 3)))}
    if outcome == "accepted":
        figures["bytesUp"], figures["bytesDown"] = draw(counts), draw(st.integers(0, 9))
    if how_many == 1:
        figures["delayUs"] = draw(st.none() | st.integers(0, 10**12))
    if draw(st.sampled_from([True, False, False, False])):
        figures["inspected"] = tuple(draw(st.lists(st.sampled_from(LINES), max_size=3)))
    return request(
        draw(st.integers(0, 10**9)),
        draw(instants),
        vpg_id=f"v{draw(st.integers(0, 2))}",
        service=draw(st.sampled_from(SERVICES)),
        outcome=outcome,
        requests=how_many,
        ratePerS=draw(st.sampled_from([0, 0, 1, 300])),
        **figures,
    )


@st.composite
def others(draw: st.DrawFn, kind: str = "") -> UsageEvent:
    name, at_us = draw(st.integers(0, 10**9)), draw(instants)
    vpg_id = f"v{draw(st.integers(0, 2))}"
    held = {"sessions": draw(st.integers(0, 9)), "ghosts": draw(st.integers(0, 9))}
    per_s = {"attachPerS": draw(st.integers(0, 9))}
    kind = kind or draw(st.sampled_from(sorted(_OTHERS)))
    figures = {
        "created": {**held, **per_s, "flagged": draw(st.integers(0, 1))},
        "deleted": {**held, "ghost": draw(st.booleans())},
        "modified": {**held, "ghost": draw(st.booleans())},
        "refused": {**per_s, "outcome": "line_cap", "requests": draw(st.integers(0, 9))},
        "rejected": {**per_s, "outcome": "other", "requests": draw(st.integers(0, 9))},
        "mirror": {"bytesMirrored": draw(counts), "mirrorDropped": draw(st.integers(0, 9))},
        "config": {"config": Config(size="large", peering=draw(st.integers(0, 3)))},
        "offered": {"outcome": "offered", "requests": draw(counts)},
        "lost": {"outcome": "lost_deadline", "requests": draw(counts)},
    }[kind]
    subject = LINES[0] if kind in ("created", "deleted", "modified") else ""
    return told(_OTHERS[kind], name, at_us, vpg_id=vpg_id, subject=subject, **figures)  # type: ignore[arg-type]


_OTHERS = {
    "created": "session.created.v1",
    "deleted": "session.deleted.v1",
    "modified": "session.modified.v1",
    "refused": "session.refused.v1",
    "rejected": "session.refused.v1",
    "mirror": "mirror.v1",
    "config": "config.v1",
    "offered": "message.v1",
    "lost": "message.v1",
}


def place_of(vpg_no: int, at_us: int, arrived_us: int) -> tuple[int, int]:
    return int(vpg_no % 2 == 1 and at_us >= CUT), 7 if arrived_us > NOW else 0


def whole_hour(vpg_no: int, hour_us: int) -> bool:
    return vpg_no % 2 == 0 or hour_us != hour_start(CUT)


def facts_of(events: list[UsageEvent], arrived_us: int = NOW) -> list[Fact]:
    return [
        counting.fact_of(one, source_no=1, vpg_no=int(one.data.vpgId[1:]), arrived_us=arrived_us)
        for one in events
    ]


def expected(
    events: list[UsageEvent],
) -> tuple[Counter[Any], dict[Any, int], Counter[Any], set[Any]]:
    """Return sums, peaks, delays and inspected lines, from the events alone."""
    sums: Counter[Any] = Counter()
    peaks: dict[Any, int] = {}
    delays: Counter[Any] = Counter()
    seen: set[Any] = set()
    columns = {"offered": "messages_offered", "lost_deadline": "lost_deadline"}
    columns |= {"line_cap": "sessions_refused", "other": "attach_rejected_other"}
    for one in events:
        data, at_us = one.data, from_datetime(one.time)
        vpg_no = int(data.vpgId[1:])
        row = (vpg_no, hour_start(at_us), *place_of(vpg_no, at_us, NOW))

        def top(name: str, value: int, row: Any = row) -> None:
            peaks[*row, name] = max(value, peaks.get((*row, name), 0))

        match one.type:
            case "request.v1":
                sums[*row, f"{data.outcome}_{data.service}"] += data.requests
                top("rate_peak_per_s", data.ratePerS)
                if data.delayUs is not None:
                    delays[*row, bucket_of(data.delayUs)] += 1
                seen |= {(*row, sim) for sim in data.inspected}
                sums[*row, "requests_flagged"] += data.flagged
            case "session.created.v1":
                sums[*row, "sessions_created"] += 1
                sums[*row, "sessions_flagged"] += data.flagged
                top("lines_peak", data.sessions)
            case "session.deleted.v1":
                sums[*row, "sessions_deleted"] += 1
                sums[*row, "ghosts"] -= data.ghost
            case "session.modified.v1" if data.ghost:
                sums[*row, "ghosts"] += 1
                top("ghosts_peak", data.ghosts)
            case "session.refused.v1" | "message.v1":
                sums[*row, columns[data.outcome]] += data.requests
        sums[*row, "bytes_up"] += data.bytesUp
        sums[*row, "bytes_down"] += data.bytesDown
        sums[*row, "bytes_mirrored"] += data.bytesMirrored
        sums[*row, "mirror_dropped"] += data.mirrorDropped
        top("attach_peak_per_s", data.attachPerS)
    return sums, peaks, delays, seen


def check(deltas: Deltas, events: list[UsageEvent]) -> None:
    sums, peaks, delays, seen = expected(events)
    assert {(*one[:4], SUMS[one[4]]): one[5] for one in deltas.sums} == {
        key: value for key, value in sums.items() if value
    }
    assert {(*one[:4], PEAKS[one[4]]): one[5] for one in deltas.peaks} == {
        key: value for key, value in peaks.items() if value
    }
    assert {one[:5]: one[5] for one in deltas.delays} == delays
    lowest: dict[Any, int] = {}
    for vpg_no, hour_us, seq, late, sim in seen:
        key = (vpg_no, hour_us, late, sim)
        lowest[key] = min(seq, lowest.get(key, seq))
    assert {one[:4]: one[4] for one in deltas.inspected} == lowest
    for amounts in (deltas.sums, deltas.peaks, deltas.delays, deltas.inspected):
        assert amounts == sorted(amounts), "writers take locks in this order"


@given(st.lists(requests() | requests() | others(), max_size=30))
def test_both_ways_are_the_independent_account(events: list[UsageEvent]) -> None:
    assert not [words for one in events if (words := contradiction(one))]
    facts = facts_of(events)
    check(count_one_by_one(facts, place_of, whole_hour), events)
    if facts:
        check(count_columns(facts, place_of, whole_hour), events)


@pytest.mark.parametrize("kind", sorted(_OTHERS))
@given(st.data())
@settings(max_examples=10)
def test_each_kind_alone(kind: str, data: st.DataObject) -> None:
    events = data.draw(st.lists(others(kind), min_size=1, max_size=5))
    check(count_one_by_one(facts_of(events), place_of, whole_hour), events)


@given(st.lists(requests(), min_size=1, max_size=40))
def test_many_of_the_same_kind_at_once(events: list[UsageEvent]) -> None:
    many = [one for one in events for _ in range(9)]
    facts = facts_of(many)
    assert counting.count(facts, place_of, whole_hour) == count_one_by_one(
        facts, place_of, whole_hour
    )
    check(count_columns(facts, place_of, whole_hour), many)


@given(requests() | others())
def test_the_event_can_be_told_from_its_fact(one: UsageEvent) -> None:
    fact = facts_of([one])[0]
    again = counting.event_of(fact, source=one.source, vpg_id=one.data.vpgId, operator_id=OPERATOR)
    assert again == one


@given(st.datetimes(timezones=st.timezones()))
def test_instants_are_those_of_the_house(moment: dt.datetime) -> None:
    assert counting.at_us_of(moment) == from_datetime(moment)


def test_a_group_of_two_arrival_periods_is_told_apart() -> None:
    events = [request(number, T0 + number) for number in range(300)]
    facts = facts_of(events[:150]) + facts_of(events[150:], NOW + 1)
    deltas = counting.count(facts, place_of, whole_hour)
    assert [(one[3], one[5]) for one in deltas.sums] == [(0, 150), (7, 150)]


def test_the_largest_group_of_the_largest_events_stays_within_64_bits() -> None:
    assert COUNT_MAX * counting.GROUP_MAX < 2**63
    facts = facts_of([request(0, T0, requests=COUNT_MAX, bytesUp=COUNT_MAX)]) * 1_000
    deltas = count_columns(facts, place_of, whole_hour)
    assert {one[5] for one in deltas.sums} == {COUNT_MAX * 1_000}
    with pytest.raises(EnsureError):
        counting.count(facts * 1_001, place_of, whole_hour)


@given(st.lists(st.integers(0, 10**12), min_size=1))
def test_buckets_of_many_are_those_of_each(delays: list[int]) -> None:
    import numpy as np

    found = counting.buckets_of(np.array(delays, dtype=np.int64)).tolist()
    assert found == [bucket_of(delay) for delay in delays]
