"""Usage events of a load: made again byte by byte, copies are copies, tallies are their sums."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests import schedule as shapes
from loadtests.gateway_run import outcome_of
from loadtests.histogram import HIGHEST_US, Histogram
from loadtests.plan import LoadLine, LoadPlan
from loadtests.pool import read_answer
from loadtests.rating_run import COPY_REACH, Events, RatingSource
from vpg.rating.counting import at_us_of
from vpg.rating.events import UsageEvent, contradiction
from vpg.service.cloudevents import received
from vpg.timebase import HOUR_US, hour_start

BEGIN_US = 1_775_001_600_000_000 + 2 * HOUR_US - 1_500_000


def plan(**changes: Any) -> LoadPlan:
    lines = tuple(
        LoadLine(sim_id=f"line-{n}", vpg_id=f"v{n % 2}", operator_id="OP1", group_id="g")
        for n in range(5)
    )
    values: dict[str, Any] = {
        "kind": "rating",
        "source": "urn:vpg-load:t",
        "seed": 3,
        "processes": 1,
        "begin_us": BEGIN_US,
        "addresses": {"api": ("127.0.0.1", 1)},
        "lines": lines,
        "connections_max": 10,
        "timeout_s": 1.0,
        "oldest_us": BEGIN_US,
    }
    return LoadPlan(**{**values, **changes})


def schedule(count: int) -> shapes.Schedule:
    return shapes.spread(
        np.arange(count, dtype=np.int64) * 10_000,
        lines=5,
        services=("beam", "funnel"),
        bytes_up=7,
        bytes_down=2,
    )


def decoded(text: bytes) -> UsageEvent:
    (one,) = received(b"application/cloudevents+json", (), text, events_max=1).events
    assert contradiction(one) == ""
    return one


def test_events_are_right_named_once_and_made_again() -> None:
    one = plan(duplicates_ppm=200_000)
    made = list(Events(one, schedule(3_000), 0).each())
    assert made == list(Events(one, schedule(3_000), 0).each())
    texts = dict(made)
    names = {decoded(text).id for text in texts.values()}
    assert len(names) == len(texts) < 3_000
    copies = [(place, number) for place, (number, _) in enumerate(made) if number != place]
    assert 400 < len(copies) < 800
    assert all(place - number <= 9 * COPY_REACH for place, number in copies)
    ordered = [decoded(text).id for place, (number, text) in enumerate(made) if number == place]
    assert ordered == sorted(ordered), "ids grow with time"


def test_processes_share_no_name() -> None:
    one = plan(processes=2)
    names = [
        (decoded(text).source, decoded(text).id)
        for index in (0, 1)
        for _, text in Events(one, schedule(50).share(index, 2), index).each()
    ]
    assert len(set(names)) == 50


def test_late_events_go_back_as_far_as_the_vpgs_exist() -> None:
    one = plan(late_ppm=300_000, late_us=3 * HOUR_US, oldest_us=BEGIN_US - HOUR_US)
    times = [at_us_of(decoded(text).time) for _, text in Events(one, schedule(300), 0).each()]
    early = [at for at in times if at < BEGIN_US]
    assert 40 < len(early) < 150
    assert min(times) == BEGIN_US - HOUR_US


@given(batch=st.integers(1, 5), copies=st.sampled_from([0, 300_000]), refuse=st.integers(0, 9))
def test_tallies_are_the_sums_of_what_was_acknowledged(
    batch: int, copies: int, refuse: int
) -> None:
    source = RatingSource(plan(batch=batch, duplicates_ppm=copies), schedule(300), 0)
    told: dict[str, UsageEvent] = {}
    for slot in range(300):
        _, request = source.request(slot)
        body = request.partition(b"\r\n\r\n")[2]
        source.leaving(slot)
        events = [decoded(msgspec.json.encode(one)) for one in _items(body)]
        if slot % 10 < refuse:
            assert source.ended(slot, [0, 503, -1][slot % 3], b"") != "accepted"
            continue
        assert source.ended(slot, 204 if batch == 1 else 200, b"") == "accepted"
        told |= {one.id: one for one in events}
    wanted: Counter[tuple[str, str, int]] = Counter()
    for one in told.values():
        wanted[one.data.vpgId, one.data.service, hour_start(at_us_of(one.time))] += 1
    found = source.tallies()
    assert {(t.vpg_id, t.service, t.hour_start_us): t.requests for t in found} == dict(wanted)
    assert all(t.bytes_up == 7 * t.requests and t.bytes_down == 2 * t.requests for t in found)
    assert len(source.unknown()) + len(told) == source.counts()["events"]
    assert len({t.hour_start_us for t in found}) == 2 or refuse > 8


def _items(body: bytes) -> list[Any]:
    found = msgspec.json.decode(body)
    return found if isinstance(found, list) else [found]


def test_a_refused_item_of_a_batch_is_not_expected_in_the_store() -> None:
    source = RatingSource(plan(batch=4), schedule(1), 0)
    source.request(0)
    source.leaving(0)
    body = b'{"counted":3,"refused":[{"index":2,"status":422,"code":"x","message":"m"}]}'
    assert source.ended(0, 207, body) == "refused"
    assert sum(one.requests for one in source.tallies()) == 3
    assert source.unknown() == []
    assert source.unexpected


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (200, b"", "accepted"),
        (204, b"", "accepted"),
        (429, b'{"code":"throttled"}', "throttled"),
        (403, b'{"code":"line_cap"}', "no_session"),
        (403, b'{"code":"unknown_line"}', "uncounted"),
        (503, b'{"code":"upstream_failed"}', "failed_upstream"),
        (503, b'{"code":"overloaded"}', "uncounted"),
        (503, b"\xff", "uncounted"),
        (404, b"", "uncounted"),
    ],
)
def test_an_answer_means_one_outcome(status: int, body: bytes, outcome: str) -> None:
    assert outcome_of(status, body) == outcome


@given(st.lists(st.integers(0, 2 * HIGHEST_US), min_size=1, max_size=200), st.integers(1, 99))
def test_histograms_merge_to_the_whole(values: list[int], cut: int) -> None:
    whole, parts = Histogram(), Histogram()
    whole.record(values)
    for piece in (values[:cut], values[cut:]):
        part = Histogram()
        part.record(piece)
        parts.add(Histogram(part.text()))
    assert parts.spread() == whole.spread()
    assert parts.count == len(values)
    exact = sorted(min(max(value, 1), HIGHEST_US) for value in values)
    assert exact[-1] <= whole.spread().max <= exact[-1] * 1.001 + 1
    rank = -(-len(exact) * 50 // 100) - 1
    assert exact[rank] <= whole.percentile(50) <= exact[rank] * 1.001 + 1


@given(body=st.binary(max_size=50), rest=st.binary(max_size=9), cut=st.integers(1, 80))
def test_an_answer_is_whole_or_not_there(body: bytes, rest: bytes, cut: int) -> None:
    answer = b"HTTP/1.1 207 x\r\nContent-Length: %d\r\nA: b\r\n\r\n%b" % (len(body), body)
    assert read_answer(answer + rest) == (207, body, len(answer), True)
    if cut <= len(answer):
        assert read_answer(answer[:-cut]) is None
    closing = answer.replace(b"A: b", b"Connection: close")
    assert read_answer(closing) == (207, body, len(closing), False)
