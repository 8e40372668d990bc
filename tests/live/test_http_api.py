"""The API: figures page by page, changes that are committed, one answer for the same request."""

from __future__ import annotations

import csv
import io
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.support_service import LINES, OPERATOR, entry, order, running, wire
from vpg.rating import hourly
from vpg.service.ports import OverloadedError, StoreTroubleError
from vpg.service.values import Rules
from vpg.timebase import HOUR_US, hour_start, iso_utc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support_service import Running

START_US = 1_775_001_600_000_000
"""2026-04-01 09:00 JST: a rating month begins."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    # A second lasts 10 ms: the hours that these tests need have not gone by in a test otherwise.
    folder = tmp_path_factory.mktemp("api")
    with running(folder, start_us=START_US, scale=20_000, rules=Rules(idle_timeout_us=0)) as one:
        yield one


@pytest.fixture(scope="module")
def client(service: Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.url(), timeout=20) as one:
        yield one


def pages(client: httpx.Client, path: str, **query: Any) -> list[list[Any]]:
    found, key = [], ""
    while True:
        answer = client.get(path, params={**query, "last_evaluated_key": key})
        assert answer.status_code == 200, answer.text
        found.append(answer.json())
        key = answer.headers.get("x-soracom-next-key", "")
        if not key:
            return found


def test_hourly_rows_come_page_by_page(client: httpx.Client, service: Running) -> None:
    while service.now_us < START_US + 3 * HOUR_US:
        time.sleep(0.05)
    query = {"from": iso_utc(START_US), "until": iso_utc(START_US + 3 * HOUR_US)}
    (whole,) = pages(client, "/v1/hourly", **query)
    assert len(whole) == 6
    assert list(whole[0]) == list(hourly.NAMES)
    places = [(row["vpg_id"], row["hour_start_us"]) for row in whole]
    assert places == sorted(places)
    for limit in (1, 4, 6):
        parts = pages(client, "/v1/hourly", limit=limit, **query)
        assert [row for part in parts for row in part] == whole
        assert {len(part) for part in parts[:-1]} <= {limit}
    (one,) = pages(client, "/v1/hourly", vpg_id="v1", **query)
    assert one == [row for row in whole if row["vpg_id"] == "v1"]


@pytest.mark.parametrize("by", ["accept", "format"])
@pytest.mark.parametrize("path", ["/v1/hourly", "/v1/charges", "/v1/lines"])
def test_csv_says_the_same_as_json(client: httpx.Client, path: str, by: str) -> None:
    headers = {"accept": "text/csv"} if by == "accept" else {}
    query: dict[str, Any] = {"limit": 3, **({"format": "csv"} if by == "format" else {})}
    answer = client.get(path, params=query, headers=headers)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    plain = client.get(path, params={"limit": 3}).json()
    assert [list(row) for row in rows] == [list(row) for row in plain]
    for row, meant in zip(rows, plain, strict=True):
        for name, value in meant.items():
            if isinstance(value, str | int):
                assert row[name] == str(value)


@pytest.mark.parametrize("name", ["=1+1", "+a", "-a", "@a", "\ta", "＝a"])
def test_no_cell_of_a_csv_is_a_formula(name: str) -> None:
    import msgspec

    from vpg.service.http.asking import csv_of
    from vpg.service.http.shapes import LineShape, SessionStatus

    line = LineShape(
        simId=name,
        imsi="1",
        operatorId="o",
        vpgId="v",
        groupId="g",
        status="active",
        sessionStatus=SessionStatus(online=False),
    )
    text = csv_of([line], msgspec.structs.fields(LineShape)).decode()
    assert next(csv.DictReader(io.StringIO(text)))["simId"] == f"'{name}"


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=x",
        "limit=1&limit=2",
        "format=xml",
        "from=yesterday",
        "from=2026-04-01T00:00:00",
        "until=2026-04-01T00:00:00Z",
        "from=2025-12-01T00:00:00Z",
        "from=0001-01-01T00:00:00Z",
        "until=9999-12-31T23:59:59Z",
        "last_evaluated_key=x",
        "last_evaluated_key=1",
        "last_evaluated_key=-1.0.v1",
        "last_evaluated_key=99999999999999999999.0.v1",
    ],
)
def test_a_question_that_cannot_be_meant_is_422(client: httpx.Client, query: str) -> None:
    if query.startswith("until=2026"):
        query += "&from=2026-04-02T00:00:00Z"
    answer = client.get(f"/v1/hourly?{query}")
    assert answer.status_code == 422, answer.text
    assert set(answer.json()) == {"code", "message"}


@pytest.mark.parametrize("month", ["202613", "202600", "2026", "abcdef", "２０２６０４", "999912"])
def test_months_that_are_none(client: httpx.Client, month: str) -> None:
    assert client.get(f"/v1/bills/{month}").status_code in {404, 422}
    assert client.get("/v1/charges", params={"month": month}).status_code in {200, 422}


def test_bills_add_up(client: httpx.Client) -> None:
    (bill,) = client.get("/v1/bills", params={"operator_id": OPERATOR}).json()["billList"]
    assert (bill["yearMonth"], bill["state"]) == ("202604", "temporary")
    for _ in range(5):
        # Hours go by between two questions.
        whole = client.get("/v1/bills/202604", params={"operator_id": OPERATOR}).json()
        rows = [r for part in pages(client, "/v1/charges") for r in part if r["vpgId"] == "v1"]
        due = sum(row["amountMicroYen"] for row in rows)
        if due == sum(line["amountMicroYen"] for line in whole["costBreakdownList"]):
            break
    lines = whole["costBreakdownList"]
    assert due == sum(line["amountMicroYen"] for line in lines)
    assert whole["amount"] == whole["taxExcludedAmount"] + whole["taxAmount"]
    assert whole["taxExcludedAmount"] == -(-due // 1_000_000)


def test_lines_come_page_by_page(client: httpx.Client) -> None:
    for limit in (1, 7, 1000):
        found = [line for page in pages(client, "/v1/lines", limit=limit) for line in page]
        names = [line["simId"] for line in found]
        assert names[:LINES] == [entry(n).sim_id for n in range(1, LINES + 1)]
        assert len(names) == len(set(names))
    assert client.get("/v1/lines?last_evaluated_key=nobody").status_code == 422


def test_a_vpg_lives_and_ends(client: httpx.Client, service: Running) -> None:
    new = {"vpgId": "made", "operatorId": "OP3", "type": "C", "size": "small"}
    made = client.post("/v1/vpgs", json=new)
    assert (made.status_code, made.json()["linesMax"]) == (201, 1000)
    assert client.post("/v1/vpgs", json=new).status_code == 422
    line = {"simId": "m1", "imsi": "440109999", "operatorId": "OP3", "vpgId": "made"}
    line["groupId"] = "g"
    assert client.post("/v1/lines", json=line).status_code == 201
    assert client.post("/v1/lines", json=line).status_code == 201
    assert client.post("/v1/lines", json={**line, "imsi": "440109998"}).status_code == 422
    assert client.post("/v1/lines", json={**line, "vpgId": "v1"}).status_code == 422
    assert client.post("/v1/lines/m1/session").status_code == 201
    changed = client.patch("/v1/vpgs/made", json={"size": "medium", "inspection": True})
    assert (changed.status_code, changed.json()["linesMax"]) == (200, 3000)
    assert changed.json()["junctionEnabled"]
    ended = client.post("/v1/vpgs/made/terminate")
    assert (ended.status_code, ended.json()["status"]) == (200, "terminated")
    assert client.get("/v1/vpgs/made").status_code == 404
    refused = client.post("/v1/lines/m1/session")
    assert (refused.status_code, refused.json()["code"]) == (403, "no_vpg")
    rows = client.get("/v1/hourly", params={"vpg_id": "made"}).json()
    assert sum(row["sessions_created"] for row in rows) == 1
    assert rows[-1]["sessions_end"] == 0
    assert {row["size"] for row in rows} == {"small", "medium"}
    assert service.parts.outbox.waiting == 0


@pytest.mark.parametrize(
    "change",
    [
        {"type": "C", "size": ""},
        {"type": "E", "size": "small"},
        {"type": "C", "size": "medium", "vpnConnections": 10_001},
        {"mirroring": 1},
        {"colour": "red"},
        {"type": "H"},
    ],
)
def test_a_change_that_cannot_be_changes_nothing(client: httpx.Client, change: Any) -> None:
    before = client.get("/v1/vpgs/v1").json()
    answer = client.patch("/v1/vpgs/v1", json=change)
    assert answer.status_code == 422, answer.text
    after = client.get("/v1/vpgs/v1").json()
    for name in ("type", "size", "vpnConnections", "mirroring"):
        assert before[name] == after[name]


def test_sessions_come_and_go(client: httpx.Client) -> None:
    path = f"/v1/lines/{entry(7).sim_id}/session"

    def status() -> Any:
        return client.get(f"/v1/lines/{entry(7).sim_id}").json()["sessionStatus"]

    assert client.post(path).status_code == 201
    assert client.post(path).status_code == 200
    assert (status()["online"], status()["ghost"]) == (True, False)
    assert client.delete(path, params={"lost": True, "cut": True}).status_code == 422
    assert client.delete(path, params={"lost": True}).json() == {"ended": True}
    assert (status()["online"], status()["ghost"]) == (True, True)
    assert client.delete(path, params={"cut": True}).json() == {"ended": True}
    assert client.delete(path).json() == {"ended": False}
    assert not status()["online"]


def test_a_status_decides_about_sessions(client: httpx.Client) -> None:
    path = f"/v1/lines/{entry(8).sim_id}"
    assert client.post(f"{path}/session").status_code == 201
    assert client.patch(path, json={"status": "suspended"}).json()["status"] == "suspended"
    assert not client.get(path).json()["sessionStatus"]["online"]
    assert client.post(f"{path}/session").status_code == 403
    assert client.patch(path, json={"status": "terminated"}).status_code == 200
    assert client.patch(path, json={"status": "active"}).status_code == 422


BAD_EVENTS = [
    ({"time": "2020-01-01T00:00:00Z"}, "too_old"),
    ({"time": "2199-01-01T00:00:00Z"}, "in_future"),
    ({"time": "0001-01-01T00:00:00Z"}, "too_old"),
    ({"time": "9999-12-31T23:59:59Z"}, "in_future"),
    ({"data": {"vpgId": "none"}}, "unknown_vpg"),
    ({"data": {"operatorId": "none"}}, "unknown_vpg"),
    ({"data": {"operatorId": "OP0000000002"}}, "unknown_vpg"),
    ({"subject": "nobody"}, "unknown_line"),
    ({"data": {"requests": -1}}, "invalid"),
    ({"data": {"outcome": "line_cap"}}, "invalid"),
    ({"data": {"sessions": 3}}, "invalid"),
    ({"data": {"outcome": "throttled", "bytesUp": 3}}, "invalid"),
    ({"type": "session.created.v1"}, "invalid"),
    ({"type": "config.v1"}, "config_by_api"),
    ({"source": "nul\0"}, "invalid"),
]


@pytest.mark.parametrize(("changes", "code"), BAD_EVENTS)
def test_what_may_not_be_counted_is_told(
    client: httpx.Client, service: Running, changes: dict[str, Any], code: str
) -> None:
    bad = wire("bad", service.now_us, **changes)
    answer = client.post("/v1/usage-events", json=bad)
    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text
    good = wire(f"beside-{BAD_EVENTS.index((changes, code))}", service.now_us)
    answer = client.post("/v1/usage-events", json=[bad, good])
    assert answer.status_code == 207
    said = answer.json()
    assert said["counted"] == 1
    assert [(one["index"], one["status"], one["code"]) for one in said["refused"]] == [
        (0, 422, code)
    ]


def test_the_same_request_has_the_same_answer(client: httpx.Client, service: Running) -> None:
    before, now = service.attempts(), service.now_us
    good, other = wire("same", now), wire("same", now, data={"bytesUp": 9})
    bad = wire("same2", now, data={"vpgId": "none"})
    for body in (good, [good, other, bad], other, [other], [good, good], bad):
        answers = [client.post("/v1/usage-events", json=body) for _ in range(3)]
        assert len({(one.status_code, one.content) for one in answers}) == 1
    assert service.attempts() == before + 1


def test_fifty_at_once_have_the_same_answer(service: Running) -> None:
    before, now = service.attempts(), service.now_us
    body = json.dumps([wire(f"many-{n}", now) for n in range(20)])

    def send(_: int) -> tuple[int, bytes]:
        answer = httpx.post(
            service.url("/v1/usage-events"),
            content=body,
            headers={"content-type": "application/json"},
            timeout=20,
        )
        return answer.status_code, answer.content

    with ThreadPoolExecutor(50) as pool:
        answers = set(pool.map(send, range(50)))
    assert answers == {(200, b'{"counted":20,"refused":[]}')}
    assert service.attempts() == before + 20


def test_one_id_with_fifty_bodies_is_counted_once(service: Running) -> None:
    before, now = service.attempts(), service.now_us

    def send(n: int) -> int:
        event = wire("race", now, data={"bytesUp": n})
        return httpx.post(service.url("/v1/usage-events"), json=event, timeout=20).status_code

    with ThreadPoolExecutor(50) as pool:
        statuses = list(pool.map(send, range(50)))
    assert sorted(statuses) == [204] + [409] * 49
    assert service.attempts() == before + 1


@pytest.mark.parametrize(
    ("error", "code"),
    [(OverloadedError("full"), "overloaded"), (StoreTroubleError("gone"), "store_trouble")],
)
def test_trouble_is_503_with_retry_after(
    client: httpx.Client,
    service: Running,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    code: str,
) -> None:
    async def trouble(*_: object) -> None:
        raise error

    monkeypatch.setattr(service.parts.outbox, "send", trouble)
    answer = client.post(f"/v1/lines/{entry(9).sim_id}/session")
    assert (answer.status_code, answer.json()["code"]) == (503, code)
    assert int(answer.headers["retry-after"]) >= 1


def test_readiness_follows_the_store(
    client: httpx.Client, service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert client.get("/readyz").status_code == 200
    # For good, whatever the writer commits meanwhile.
    ill = property(lambda _: False, lambda _, __: None)
    monkeypatch.setattr(type(service.parts.counter), "healthy", ill, raising=False)
    assert client.get("/readyz").json() == {"status": "unready", "reason": "store_trouble"}
    monkeypatch.undo()
    monkeypatch.setattr(service.parts, "draining", True)
    assert client.get("/readyz").status_code == 503
    assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"", "application/json", 400),
        (b"[]", "application/json", 422),
        (b'"\xff"', "application/json", 422),
        (b"[" * 100_000, "application/json", 422),
        (b'{"vpgId":' + b"[" * 100_000, "application/json", 422),
        (b'{"x":' + b"[" * 100_000, "application/json", 422),
        (b"{}", "application/json", 422),
        (b"{}", "text/plain", 415),
        (b"{}", "", 415),
        (b"{" + b" " * 300_000, "application/json", 413),
    ],
)
def test_bodies_of_changes(client: httpx.Client, body: bytes, kind: str, status: int) -> None:
    headers = {"content-type": kind} if kind else {}
    answer = client.post("/v1/vpgs", content=body, headers=headers)
    assert answer.status_code == status, answer.text


def test_hours_of_service_time_are_the_hours_of_rows(client: httpx.Client) -> None:
    rows = client.get("/v1/hourly", params={"vpg_id": "v1"}).json()
    for row in rows:
        assert row["hour_start_us"] == hour_start(row["hour_start_us"])
    assert order().id == "v1"
