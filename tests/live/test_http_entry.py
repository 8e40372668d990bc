"""The entry points over HTTP: whose request, what is taken, what a device is told."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.support_service import LINES, Raw, ask, entry, order, post, running
from vpg.rating.ledger import BillingState
from vpg.service.ports import OverloadedError, StoreTroubleError
from vpg.service.values import Limiter, Peer, Rules, Upstream

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support_service import Running


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    statuses = ("inactive", "suspended", "terminated", "standby", "ready")
    lines = (
        *(entry(n) for n in range(1, LINES + 1)),
        *(entry(30 + n, status=status) for n, status in enumerate(statuses)),
    )
    big = order(state=BillingState(type="E", size=""))
    with running(tmp_path_factory.mktemp("entry"), lines=lines, orders=(big,)) as one:
        yield one


def send(
    one: Running,
    name: str,
    body: bytes = b"hello",
    *headers: str,
    line: int | None = 1,
    path: str = "/",
    kind: str = "",
) -> Raw | None:
    source = "" if line is None else f"127.0.3.{line}"
    with one.connect(name, source) as sock:
        return ask(sock, post(path, body, *headers, kind=kind))


def told(answer: Raw | None) -> tuple[int, Any]:
    assert answer is not None
    return answer.status, json.loads(answer.body) if answer.body else None


@pytest.mark.parametrize(
    ("name", "status", "body"),
    [("beam", 200, None), ("funnel", 204, None), ("funk", 204, None)],
)
def test_an_accepted_request_is_counted_once(
    service: Running, name: str, status: int, body: Any
) -> None:
    before = service.attempts(name, "accepted")
    assert told(send(service, name)) == (status, body)
    assert service.attempts(name, "accepted") == before + 1


def test_the_unified_endpoint_delivers_to_each_service(service: Running) -> None:
    before = [service.attempts(name) for name in ("beam", "funnel", "funk")]
    assert told(send(service, "unified")) == (200, {"result": "ok"})
    after = [service.attempts(name) for name in ("beam", "funnel", "funk")]
    assert after == [count + 1 for count in before]


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"])
def test_beam_takes_every_method_and_the_others_post(service: Running, method: str) -> None:
    for name, status in (("beam", 200), ("funnel", 405), ("funk", 405), ("unified", 405)):
        with service.connect(name, "127.0.3.2") as sock:
            sock.sendall(f"{method} / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n".encode())
            data = b""
            while piece := sock.recv(4096):
                data += piece
        assert int(data.split(b" ")[1]) == status
        if status == 405:
            assert b"allow: POST" in data


def test_beam_makes_up_an_answer_of_the_length_asked_for(service: Running) -> None:
    answer = send(service, "beam", b"x", "x-vpg-answer-bytes: 1234")
    assert answer is not None
    assert (answer.status, len(answer.body)) == (200, 1234)
    for wrong in ("-1", "1000001", "1e3", "", "x"):
        status, fault = told(send(service, "beam", b"x", f"x-vpg-answer-bytes: {wrong}"))
        assert (status, fault["code"]) == (400, "header")


@pytest.mark.parametrize(
    ("name", "most"), [("beam", 65_536), ("funnel", 800_000), ("funk", 800_000)]
)
def test_bodies_have_the_providers_bounds(service: Running, name: str, most: int) -> None:
    before = service.attempts(name)
    assert told(send(service, name, b"x" * most, kind="text/plain"))[0] in {200, 204}
    status, fault = told(send(service, name, b"x" * (most + 1), kind="text/plain"))
    assert (status, fault["code"]) == (413, "too_large")
    assert service.attempts(name) == before + 1


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("application/json", b'{"a":1}', 204),
        ("application/json; charset=utf-8", b"[]", 204),
        ("application/json", b"{", 400),
        ("application/json", b"", 400),
        ("application/json", b'{"a":NaN}', 400),
        ("application/json", b"[" * 100_000, 400),
        ("application/json", b'"\xff"', 400),
        ("text/plain", b"{", 204),
        ("text/xml", b"<a/>", 204),
        ("application/xml", b"<a/>", 204),
        ("", b"anything", 204),
        ("application/pdf", b"%PDF", 415),
        ("multipart/form-data; boundary=x", b"--x--", 415),
    ],
)
def test_funnel_looks_at_what_says_it_is_json(
    service: Running, kind: str, body: bytes, status: int
) -> None:
    assert told(send(service, "funnel", body, kind=kind))[0] == status


@pytest.mark.parametrize("name", ["funnel", "funk", "unified"])
def test_one_path_each(service: Running, name: str) -> None:
    assert told(send(service, name, path="/other"))[0] == 404


@pytest.mark.parametrize("name", ["beam", "funnel", "funk", "unified"])
def test_a_stranger_is_refused_as_a_session_would_be(service: Running, name: str) -> None:
    for line, headers in ((None, ()), (99, ()), (None, ("x-vpg-line: nobody",))):
        status, fault = told(send(service, name, b"x", *headers, line=line))
        assert (status, fault["code"]) == (403, "unknown_line")


@pytest.mark.parametrize("name", ["8981100000000000003", "440103000000003"])
def test_a_line_is_known_by_its_names_as_well(service: Running, name: str) -> None:
    assert told(send(service, "funk", b"x", f"x-vpg-line: {name}", line=None))[0] == 204
    # A name comes before the address that the request happens to come from.
    assert told(send(service, "funk", b"x", "x-vpg-line: nobody", line=3))[0] == 403
    twice = ("x-vpg-line: 8981100000000000003", "x-vpg-line: 8981100000000000004")
    assert told(send(service, "funk", b"x", *twice, line=None))[0] == 400


@pytest.mark.parametrize(
    ("line", "status", "code"),
    [
        (30, 403, "inactive"),
        (31, 403, "suspended"),
        (32, 403, "terminated"),
        (33, 204, ""),
        (34, 204, ""),
    ],
)
def test_a_line_that_may_not_be_used_has_no_session(
    service: Running, line: int, status: int, code: str
) -> None:
    got, fault = told(send(service, "funk", line=line))
    assert (got, fault["code"] if fault else "") == (status, code)


def test_the_limiter_answers_429_with_retry_after(tmp_path: Path) -> None:
    small = order(limiter=Limiter(burst_requests=3))
    with running(tmp_path, orders=(small,)) as one:
        with ThreadPoolExecutor(10) as pool:
            answers = list(pool.map(lambda n: send(one, "funk", line=n % LINES + 1), range(40)))
        statuses = [answer.status for answer in answers if answer is not None]
        assert len(statuses) == 40
        assert set(statuses) == {204, 429}
        for answer in answers:
            assert answer is not None
            if answer.status == 429:
                assert int(answer.headers["retry-after"]) == 1
                assert answer.json["code"] == "throttled"
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline and one.attempts("funk") < 40:
            time.sleep(0.05)
        assert one.attempts("funk", "throttled") == statuses.count(429)
        assert one.attempts("funk", "accepted") == statuses.count(204)


def test_above_the_rate_a_connection_may_be_cut_instead(tmp_path: Path) -> None:
    small = order(limiter=Limiter(burst_requests=1))
    with running(tmp_path, orders=(small,), rules=Rules(above_rate="reset")) as one:
        answers = [send(one, "funk") for _ in range(5)]
    assert {None if a is None else a.status for a in answers} == {204, None}


def test_a_queue_lets_requests_wait_instead(tmp_path: Path) -> None:
    limiter = Limiter(above="queue", burst_requests=1, queue_deadline_us=2_000_000)
    with running(tmp_path, orders=(order(limiter=limiter),)) as one:
        began = time.monotonic()
        with ThreadPoolExecutor(10) as pool:
            answers = list(pool.map(lambda n: send(one, "funk", line=n + 1), range(10)))
        assert [told(answer)[0] for answer in answers] == [204] * 10
        # 30 a second: the tenth waits for nine tokens.
        assert time.monotonic() - began >= 0.25


def test_the_line_cap_refuses_with_retry_after(tmp_path: Path) -> None:
    lines = tuple(entry(n, address="") for n in range(1, 1003))
    with running(tmp_path, lines=lines) as one:
        attach = one.parts.gateway.attach

        def fill() -> None:
            for line in lines[:1000]:
                found = one.parts.gateway.line_named(line.sim_id)
                assert found is not None
                attach(found, one.now_us)

        one.do(fill)
        name = f"x-vpg-line: {lines[1000].sim_id}"
        answer = send(one, "funk", b"x", name, line=None)
        assert answer is not None
        assert (answer.status, answer.json["code"]) == (403, "line_cap")
        assert int(answer.headers["retry-after"]) >= 1


@contextmanager
def upstream(answer: bytes, *, delay_s: float = 0.0) -> Iterator[tuple[str, list[bytes]]]:
    """Answer every connection with ``answer``; yield the URL and what was asked."""
    heard: list[bytes] = []
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                sock, _ = server.accept()
            except OSError:
                return
            with sock:
                data = sock.recv(65536)
                while b"\r\n\r\n" not in data:
                    data += sock.recv(65536)
                heard.append(data)
                time.sleep(delay_s)
                sock.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/base", heard
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(10)


def test_beam_passes_the_upstreams_answer_on(tmp_path: Path) -> None:
    body = b"HTTP/1.1 418 Teapot\r\nContent-Type: text/tea\r\nContent-Length: 3\r\n\r\ntea"
    with upstream(body) as (url, heard):
        there = order(upstream=Upstream(url=url))
        with running(tmp_path, orders=(there,)) as one:
            answer = send(one, "beam", b"leaves", path="/pot?milk=no")
            assert answer is not None
            assert (answer.status, answer.body) == (418, b"tea")
            assert answer.headers["content-type"] == "text/tea"
            assert heard[0].startswith(b"POST /base/pot?milk=no HTTP/1.1\r\n")
            assert one.attempts("beam", "accepted") == 1


@pytest.mark.parametrize("trouble", ["broken", "slow", "absent"])
def test_an_upstream_that_fails_is_503_and_counted(tmp_path: Path, trouble: str) -> None:
    answer = b"nonsense" if trouble == "broken" else b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    with upstream(answer, delay_s=1.0 if trouble == "slow" else 0.0) as (there_url, _):
        url = "http://127.0.0.1:9/" if trouble == "absent" else there_url
        there = order(upstream=Upstream(url=url, timeout_us=300_000))
        with running(tmp_path, orders=(there,)) as one:
            for name in ("beam", "funnel"):
                got = send(one, name)
                assert got is not None
                assert (got.status, got.json["code"]) == (503, "upstream_failed")
                assert int(got.headers["retry-after"]) >= 1
                assert one.attempts(name, "failed_upstream") == 1
            status, said = told(send(one, "unified"))
            assert (status, said["code"]) == (503, "upstream_failed")


def test_the_unified_endpoint_says_which_service_failed(tmp_path: Path) -> None:
    there = order(limiter=Limiter(burst_requests=2))
    with running(tmp_path, orders=(there,)) as one:
        answer = send(one, "unified")
        assert answer is not None
        assert (answer.status, answer.json["result"]) == (207, "ng")
        codes = [part["statusCode"] for part in answer.json["services"].values()]
        assert sorted(codes) == [200, 200, 429]
        assert int(answer.headers["retry-after"]) >= 1


@pytest.mark.parametrize(
    ("error", "code"),
    [(OverloadedError("full"), "overloaded"), (StoreTroubleError("gone"), "store_trouble")],
)
def test_what_cannot_be_counted_is_503(
    service: Running, monkeypatch: pytest.MonkeyPatch, error: Exception, code: str
) -> None:
    async def count(_events: object) -> object:
        await asyncio.sleep(0)
        raise error

    monkeypatch.setattr(service.parts.counter, "count", count)
    for name in ("beam", "funnel", "funk", "unified"):
        answer = send(service, name, line=5)
        assert answer is not None
        assert (answer.status, answer.json["code"]) == (503, code)
        assert int(answer.headers["retry-after"]) >= 1


def test_a_message_is_mirrored_to_its_peers(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.settimeout(10)
        state = BillingState(type="E", size="", mirroring=True)
        there = order(state=state, peers=(Peer(ip="127.0.0.1", port=peer.getsockname()[1]),))
        with running(tmp_path, orders=(there,)) as one:
            assert told(send(one, "funk", b"mirrored!"))[0] == 204
            packet = peer.recv(65536)
    assert packet.startswith(b"\x00\x00\x08\x00")
    assert b"mirrored!" in packet


def test_a_device_that_hangs_up_is_counted_all_the_same(tmp_path: Path) -> None:
    slow = order(upstream=Upstream(delay_us=300_000))
    with running(tmp_path, orders=(slow,)) as one:
        with one.connect("funk", "127.0.3.1") as sock:
            sock.sendall(post("/", b"bye", kind=""))
            time.sleep(0.1)
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline and not one.attempts("funk"):
            time.sleep(0.05)
        assert one.attempts("funk", "accepted") == 1
