"""Usage events on the wire: every form of CloudEvents, and a clear word for what is none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support_service import usage, wire
from vpg.service.cloudevents import BodyError, encoded, encoded_batch, received

AT_US = 1_775_001_600_000_000
STRUCTURED = b"application/cloudevents+json"
BATCHED = b"application/cloudevents-batch+json"
JSON = b"application/json"


def read(kind: bytes, body: bytes, *headers: tuple[bytes, bytes], most: int = 100) -> Any:
    return received(kind, [(b"content-type", kind), *headers], body, events_max=most)


def dumped(value: Any) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize("kind", [STRUCTURED, JSON, b"Application/JSON; charset=UTF-8"])
def test_a_single_event_is_read(kind: bytes) -> None:
    got = read(kind, dumped(wire(1, AT_US)))
    assert (got.single, got.problems, len(got.events)) == (True, (), 1)
    assert encoded(got.events[0]) == encoded(usage(1, AT_US))


@pytest.mark.parametrize("kind", [BATCHED, JSON])
def test_a_batch_is_read_in_order(kind: bytes) -> None:
    got = read(kind, b" \n" + dumped([wire(n, AT_US) for n in range(5)]))
    assert not got.single
    assert [event.id for event in got.events] == ["e0", "e1", "e2", "e3", "e4"]


@given(st.lists(st.integers(0, 10**9), max_size=8))
def test_what_our_clients_send_comes_back(figures: list[int]) -> None:
    sent = [usage(n, AT_US + n, bytesUp=figure) for n, figure in enumerate(figures)]
    got = read(BATCHED, encoded_batch(sent))
    assert [encoded(event) for event in got.events] == [encoded(event) for event in sent]


def binary(**changes: str | None) -> list[tuple[bytes, bytes]]:
    said: dict[str, str | None] = {
        "specversion": "1.0",
        "type": "request.v1",
        "source": "urn:test",
        "id": "e1",
        "time": "2026-04-01T00:00:00Z",
        **changes,
    }
    return [(f"ce-{k}".encode(), v.encode("latin-1")) for k, v in said.items() if v is not None]


def test_binary_mode_is_the_same_event() -> None:
    got = read(JSON, dumped(wire(1, AT_US)["data"]), *binary())
    assert encoded(got.events[0]) == encoded(usage(1, AT_US))


@pytest.mark.parametrize(
    ("header", "meant"),
    [
        ("caf%C3%A9", "café"),
        ("%E3%82%B5%E3%82%A4%E3%83%88", "サイト"),
        ("a%20b", "a b"),
        ('"a b"', "a b"),
        ('"a\\"b"', 'a"b'),
        ("%22x%22", '"x"'),
        ("100%25", "100%"),
        ("%", "%"),
    ],
)
def test_attributes_in_headers_are_percent_encoded(header: str, meant: str) -> None:
    (event,) = read(JSON, dumped(wire(1, AT_US)["data"]), *binary(source=header)).events
    assert event.source == meant


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"source": "%FF"}, "percent-encoded"),
        ({"source": None}, "source"),
        ({"specversion": None}, "specversion"),
        ({"specversion": "0.3"}, "Invalid"),
        ({"type": "request.v2"}, "Invalid"),
        ({"time": "yesterday"}, "RFC3339"),
        ({"time": None}, "time"),
        ({"id": ""}, "length"),
    ],
)
def test_binary_mode_says_what_is_wrong(changes: dict[str, str | None], word: str) -> None:
    got = read(JSON, dumped(wire(1, AT_US)["data"]), *binary(**changes))
    assert got.events == []
    (problem,) = got.problems
    assert problem.status == 422
    assert word in problem.message


def test_an_attribute_that_comes_twice_is_refused() -> None:
    headers = [*binary(), (b"ce-id", b"e2")]
    (problem,) = read(JSON, dumped(wire(1, AT_US)["data"]), *headers).problems
    assert problem.message == "ce-id comes twice"


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("no specversion", {"specversion": ...}, "specversion"),
    ("old specversion", {"specversion": "0.3"}, "specversion"),
    ("specversion a number", {"specversion": 1.0}, "specversion"),
    ("no type", {"type": ...}, "type"),
    ("unknown type", {"type": "com.example.other"}, "type"),
    ("no source", {"source": ...}, "source"),
    ("empty source", {"source": ""}, "source"),
    ("long source", {"source": "s" * 257}, "source"),
    ("no id", {"id": ...}, "id"),
    ("id a number", {"id": 7}, "id"),
    ("long id", {"id": "i" * 129}, "id"),
    ("no time", {"time": ...}, "time"),
    ("time without zone", {"time": "2026-04-01T00:00:00"}, "time"),
    ("time a number", {"time": 1_775_001_600}, "time"),
    ("time of a 31st of April", {"time": "2026-04-31T00:00:00Z"}, "time"),
    ("leap second", {"time": "2016-12-31T23:59:60Z"}, "time"),
    ("long subject", {"subject": "8" * 65}, "subject"),
    ("no data", {"data": ...}, "data"),
    ("data null", {"data": None}, "data"),
    ("data a list", {"data": []}, "data"),
    ("XML inside", {"datacontenttype": "application/xml"}, "datacontenttype"),
    ("negative", {"requests": -1}, "requests"),
    ("a float", {"requests": 2.0}, "requests"),
    ("a bool", {"requests": True}, "requests"),
    ("a text", {"requests": "1"}, "requests"),
    ("huge", {"requests": 10**30}, "requests"),
    ("above the most", {"bytesUp": 10**9 + 1}, "bytesUp"),
    ("unknown figure", {"bytesup": 1}, "bytesup"),
    ("unknown service", {"service": "Beam"}, "service"),
    ("no operator", {"operatorId": ...}, "operatorId"),
    ("operator null", {"operatorId": None}, "operatorId"),
    ("unknown outcome", {"outcome": "ok"}, "outcome"),
    ("too many lines", {"inspected": ["x"] * 10_001}, "inspected"),
]
_ENVELOPE = {"specversion", "type", "source", "id", "time", "subject", "data", "datacontenttype"}


def broken(changes: dict[str, Any]) -> dict[str, Any]:
    one = wire(9, AT_US)
    for name, value in changes.items():
        place = one if name in _ENVELOPE else one["data"]
        if value is ...:
            place.pop(name)
        else:
            place[name] = value
    return one


@pytest.mark.parametrize(("changes", "word"), [bad[1:] for bad in BAD], ids=[b[0] for b in BAD])
def test_each_bad_event_gets_its_own_problem(changes: dict[str, Any], word: str) -> None:
    one = broken(changes)
    got = read(BATCHED, dumped([wire(1, AT_US), one, wire(2, AT_US)]))
    assert [event.id for event in got.events] == ["e1", "e2"]
    assert got.places == [0, 2]
    (problem,) = got.problems
    assert (problem.index, problem.status, problem.code) == (1, 422, "invalid")
    assert word in problem.message
    named = one.get("id")
    assert problem.id == (named[:256] if isinstance(named, str) else "")
    single = read(STRUCTURED, dumped(one))
    assert single.events == []
    assert [p.message for p in single.problems] == [problem.message]


@pytest.mark.parametrize("item", [1, "text", None, [], True, 1.5])
def test_an_item_that_is_no_object_is_one_problem(item: Any) -> None:
    got = read(BATCHED, dumped([item, wire(1, AT_US)]))
    assert [problem.index for problem in got.problems] == [0]
    assert len(got.events) == 1


MALFORMED = [
    b"",
    b" ",
    b"{",
    b"[",
    b"[{}",
    b"{}{}",
    b"nul",
    b"'x'",
    b"\xef\xbb\xbf{}",
    b'{"a":NaN}',
    b'{"a":Infinity}',
    b'{"a":-Infinity}',
    b'{"a":01}',
    b'{"a":1,}',
    b'{"a":"\\ud800"}',
    b'{"a":"\x01"}',
    b"\x00",
    b"\xff\xfe{\x00}\x00",
    b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
]


@pytest.mark.parametrize("body", MALFORMED, ids=lambda body: repr(body[:14]))
@pytest.mark.parametrize("kind", [STRUCTURED, BATCHED, JSON])
def test_what_is_no_json_refuses_the_whole_body(kind: bytes, body: bytes) -> None:
    with pytest.raises(BodyError) as caught:
        read(kind, body)
    # An object that is announced as a batch is refused before it is read.
    other = kind == BATCHED and body.startswith(b"{")
    expected = (422, "invalid") if other else (400, "malformed_json")
    assert (caught.value.status, caught.value.code) == expected


def test_one_item_that_is_no_json_refuses_its_whole_batch() -> None:
    good = dumped(wire(1, AT_US))
    with pytest.raises(BodyError) as caught:
        read(BATCHED, b"[" + good + b"," + good.replace(b'"accepted"', b"NaN") + b"]")
    assert caught.value.status == 400


def test_text_that_is_not_utf_8_is_the_items_own_problem() -> None:
    bad = dumped(wire(2, AT_US)).replace(b"urn:test", b"\xff\xfe")
    got = read(BATCHED, b"[" + dumped(wire(1, AT_US)) + b"," + bad + b"]")
    assert [(p.index, p.message) for p in got.problems] == [(1, "text is not UTF-8")]
    assert len(got.events) == 1


@pytest.mark.parametrize(
    "kind", [b"", b"text/plain", b"application/xml", b"application/json; charset=cp932", b"json"]
)
def test_other_media_types_are_refused(kind: bytes) -> None:
    with pytest.raises(BodyError) as caught:
        read(kind, dumped(wire(1, AT_US)))
    assert caught.value.status == 415


def test_an_object_where_a_batch_is_announced_is_refused() -> None:
    with pytest.raises(BodyError) as caught:
        read(BATCHED, dumped(wire(1, AT_US)))
    assert caught.value.status == 422


@pytest.mark.parametrize("bad", [False, True])
def test_a_batch_has_a_bound(*, bad: bool) -> None:
    items = [wire(n, AT_US) for n in range(4)]
    if bad:
        items[0].pop("id")
    assert len(read(BATCHED, dumped(items), most=4).events) == 4 - bad
    with pytest.raises(BodyError) as caught:
        read(BATCHED, dumped(items), most=3)
    assert caught.value.status == 413


def test_an_empty_batch_is_a_batch() -> None:
    got = read(BATCHED, b"[]")
    assert (got.events, got.problems, got.single) == ([], (), False)


def test_extensions_are_ignored_and_null_is_absent() -> None:
    one = wire(1, AT_US, traceparent="00-1-2-01", sampled=True, subject=None, dataschema=None)
    (event,) = read(STRUCTURED, dumped(one)).events
    assert encoded(event) == encoded(usage(1, AT_US))


def test_of_a_repeated_name_the_last_value_counts() -> None:
    body = dumped(wire(1, AT_US)).replace(b'"beam"', b'"beam","service":"funk"')
    (event,) = read(STRUCTURED, body).events
    assert event.data.service == "funk"


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(body: bytes) -> None:
    for kind in (STRUCTURED, BATCHED, JSON):
        try:
            got = read(kind, body)
        except BodyError:
            continue
        assert got.problems or got.events == []
