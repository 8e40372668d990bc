"""Connections: raw sockets that send too much, too slowly, ambiguously, or not at all."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

import pytest

from tests.support_service import ask, post, read_answer, running, wire
from vpg.service.values import Bounds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support_service import Running

GET = b"GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n"
HEAD = b"POST /v1/usage-events HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
BOUNDS = Bounds(header_s=0.6, body_s=0.8, idle_s=1.0, connections=40)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("bounds"), bounds=BOUNDS) as one:
        yield one


def closed(sock: socket.socket) -> bool:
    """Return whether the other side closes, now or soon."""
    sock.settimeout(5)
    try:
        while sock.recv(4096):
            pass
    except ConnectionError:
        pass
    except TimeoutError:
        return False
    return True


AMBIGUOUS = {
    "both lengths": b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "lengths the other way": b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
    "the same length twice": b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "a list of lengths": b"Content-Length: 2, 2\r\n\r\n{}",
    "a signed length": b"Content-Length: +2\r\n\r\n{}",
    "a negative length": b"Content-Length: -2\r\n\r\n{}",
    "a length in hex": b"Content-Length: 0x2\r\n\r\n{}",
    "an empty length": b"Content-Length: \r\n\r\n{}",
    "a length without end": b"Content-Length: 99999999999999999999\r\n\r\n{}",
    "another coding": b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "no such coding": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked is not last": b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "chunked twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "identity": b"Transfer-Encoding: identity\r\nContent-Length: 2\r\n\r\n{}",
    "chunk size is no number": b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "chunk size in 0x": b"Transfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n",
    "negative chunk": b"Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n",
    "huge chunk": b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n{}\r\n",
    "chunk longer than said": b"Transfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n",
    "chunks ended by LF": b"Transfer-Encoding: chunked\r\n\r\n2\n{}\n0\n\n",
    "a folded header": b"X: a\r\n b\r\nContent-Length: 2\r\n\r\n{}",
    "space before the colon": b"X : a\r\nContent-Length: 2\r\n\r\n{}",
    "no name": b": a\r\nContent-Length: 2\r\n\r\n{}",
    "NUL": b"X: a\0b\r\nContent-Length: 2\r\n\r\n{}",
    "a control character": b"X: a\x01b\r\nContent-Length: 2\r\n\r\n{}",
    "a line ended by CR": b"X: a\rY: b\r\nContent-Length: 2\r\n\r\n{}",
    "a second Host": b"Host: other\r\nContent-Length: 2\r\n\r\n{}",
    "an upgrade": b"Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\n{}",
    "HTTP/2 by upgrade": b"Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\n{}",
}


@pytest.mark.parametrize("rest", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_ambiguous_framing_is_refused_and_nothing_behind_it_read(
    service: Running, rest: bytes
) -> None:
    with service.connect() as sock:
        answer = ask(sock, HEAD + rest + GET)
        assert answer is not None
        assert answer.status == 400
        assert answer.headers["connection"] == "close"
        assert set(answer.json) == {"code", "message"}
        assert read_answer(sock) is None


LINES = {
    "no Host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "HTTP/2.0": b"GET /healthz HTTP/2.0\r\nHost: t\r\n\r\n",
    "HTTP/1.2": b"GET /healthz HTTP/1.2\r\nHost: t\r\n\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no such method": b"FOO /healthz HTTP/1.1\r\nHost: t\r\n\r\n",
    "a method in small letters": b"get /healthz HTTP/1.1\r\nHost: t\r\n\r\n",
    "lines ended by LF": b"GET /healthz HTTP/1.1\nHost: t\n\n",
    "a space in the target": b"GET /a b HTTP/1.1\r\nHost: t\r\n\r\n",
    "a byte above 127 in the target": b"GET /\xff HTTP/1.1\r\nHost: t\r\n\r\n",
    "a space before the first header": b"GET / HTTP/1.1\r\n Host: t\r\n\r\n",
    "a proxy's CONNECT": b"CONNECT t:1 HTTP/1.1\r\nHost: t\r\n\r\n",
    "chunked in HTTP/1.0": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "TLS": bytes.fromhex("16030102000100") + b"\x01\xfc\x03\x03" * 9,
    "an RTSP request": b"PLAY rtsp://t RTSP/1.0\r\n\r\n",
}


@pytest.mark.parametrize("data", LINES.values(), ids=LINES.keys())
def test_what_is_not_http_1_is_refused(service: Running, data: bytes) -> None:
    with service.connect() as sock:
        answer = ask(sock, data)
        if data.startswith(b"PLAY"):
            # Its parser takes it for HTTP/1.0; then it is a method that nothing has.
            assert answer is not None
            assert answer.status in {400, 404, 405}
            return
        assert answer is not None
        assert answer.status == 400
        assert closed(sock)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /" + b"a" * 5_000 + b" HTTP/1.1\r\nHost: t\r\n\r\n", 414),
        (b"GET /" + b"a" * 200_000, 414),
        (b"GET / HTTP/1.1\r\nHost: t\r\nX: " + b"a" * 17_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: t\r\n" + b"".join(b"X%d: a\r\n" % n for n in range(70)), 431),
        (b"GET / HTTP/1.1\r\nHost: t\r\n" + (b"X: " + b"a" * 1_000 + b"\r\n") * 20, 431),
        (b"GET / HTTP/1.1\r\nHost: t\r\nX" + b"x" * 300_000, 431),
    ],
    ids=["target", "target without end", "header", "count", "bytes", "name without end"],
)
def test_headers_have_bounds(service: Running, data: bytes, status: int) -> None:
    with service.connect() as sock:
        answer = ask(sock, data)
        assert answer is not None
        assert answer.status == status


def test_headers_just_within_their_bounds_pass(service: Running) -> None:
    lines = b"".join(b"X%02d: %b\r\n" % (n, b"a" * 240) for n in range(63))
    with service.connect() as sock:
        answer = ask(sock, b"GET /healthz HTTP/1.1\r\nHost: t\r\n" + lines + b"\r\n")
        assert answer is not None
        assert answer.status == 200


def test_trailers_are_bounded_and_mean_nothing(service: Running) -> None:
    body = b"Transfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n"
    with service.connect() as sock:
        answer = ask(sock, HEAD + body + b"Content-Type: text/plain\r\n\r\n" + GET)
        assert answer is not None
        assert answer.status == 200
        following = read_answer(sock)
        assert following is not None
        assert following.status == 200
    with service.connect() as sock:
        answer = ask(sock, HEAD + body + b"".join(b"X%d: a\r\n" % n for n in range(70)) + b"\r\n")
        assert answer is None or answer.status in {200, 431}
        assert closed(sock)


@pytest.mark.parametrize("extension", [b"a" * 400_000, b""])
def test_framing_is_not_many_times_the_body(service: Running, extension: bytes) -> None:
    start = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    with service.connect() as sock:
        if extension:
            answer = ask(sock, start + b"1;" + extension)
            assert answer is not None
            assert answer.status == 400
        else:
            body = b"".join(b"1\r\n%c\r\n" % c for c in b"[" + b" " * 2_000 + b"]") + b"0\r\n\r\n"
            answer = ask(sock, start + body)
            assert answer is not None
            assert answer.status == 200


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /healthz HTTP/1.1\r\nHost", 408),
        (HEAD + b"Content-Length: 10\r\n\r\n{", 408),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n[\r\n", 408),
        (b"\r\n\r\n", None),
        (b"", None),
    ],
    ids=["headers", "body", "chunks", "blank lines", "nothing"],
)
def test_what_does_not_arrive_in_time_is_cut(
    service: Running, data: bytes, status: int | None
) -> None:
    with service.connect() as sock:
        began = time.monotonic()
        answer = ask(sock, data)
        assert (None if answer is None else answer.status) == status
        assert time.monotonic() - began < 3
        assert closed(sock)


def test_bytes_that_drip_do_not_keep_a_request_alive(service: Running) -> None:
    with service.connect() as sock:
        began = time.monotonic()
        try:
            while time.monotonic() - began < 5:
                sock.sendall(b"x" if time.monotonic() - began > 0.2 else b"GET /healthz?a=b")
                time.sleep(0.1)
        except ConnectionError:
            pass
        assert time.monotonic() - began < 4.5


def test_an_idle_connection_is_closed_without_a_word(service: Running) -> None:
    with service.connect() as sock:
        answer = ask(sock, GET)
        assert answer is not None
        assert "connection" not in answer.headers
        began = time.monotonic()
        assert read_answer(sock) is None
        assert 0.5 < time.monotonic() - began < 3


def flood(sock: socket.socket, data: bytes) -> None:
    while True:
        sock.sendall(data)


def test_a_client_that_reads_nothing_is_cut(service: Running) -> None:
    with service.connect() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        request = b"GET /openapi.json HTTP/1.1\r\nHost: t\r\n\r\n"
        before = len(service.parts.traffic.open)
        sock.settimeout(8)
        with pytest.raises(ConnectionError):
            flood(sock, request * 50)
        assert len(service.parts.traffic.open) < max(before, 2)


def test_pipelined_requests_are_answered_in_order(service: Running) -> None:
    events = [post("/v1/usage-events", b"[]"), GET, post("/v1/usage-events", b"{"), GET]
    with service.connect() as sock:
        sock.sendall(b"".join(events * 10))
        statuses = []
        for _ in range(40):
            answer = read_answer(sock)
            assert answer is not None
            statuses.append(answer.status)
    assert statuses == [200, 200, 400, 200] * 10


def test_only_so_many_requests_wait_on_one_connection(service: Running) -> None:
    with service.connect() as sock:
        sock.sendall(GET * 1_000)
        answers = 0
        while read_answer(sock) is not None:
            answers += 1
    assert 1 <= answers <= 66


def test_a_bad_request_behind_a_good_one_does_not_answer_for_it(service: Running) -> None:
    with service.connect() as sock:
        now = service.now_us
        body = str(wire("pipe", now)).replace("'", '"').encode()
        first = ask(sock, post("/v1/usage-events", body) + b"BAD REQUEST\r\n\r\n")
        assert first is not None
        assert first.status == 204
        assert read_answer(sock) is None


def test_too_many_connections_are_told_so(service: Running) -> None:
    socks = [service.connect() for _ in range(BOUNDS.connections)]
    try:
        with service.connect() as one:
            answer = ask(one, GET)
            assert answer is not None
            assert answer.status == 503
            assert int(answer.headers["retry-after"]) >= 1
        answer = ask(socks[0], GET)
        assert answer is not None
        assert answer.status == 200
    finally:
        for sock in socks:
            sock.close()


def test_a_large_body_is_refused_before_it_is_sent(service: Running) -> None:
    with service.connect() as sock:
        started = HEAD + b"Content-Length: 300000\r\nExpect: 100-continue\r\n\r\n"
        answer = ask(sock, started)
        assert answer is not None
        assert answer.status == 413
        assert answer.headers["connection"] == "close"


def test_expect_is_answered_where_the_body_is_wanted(service: Running) -> None:
    with service.connect() as sock:
        first = ask(sock, HEAD + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert first is not None
        assert first.status == 100
        answer = ask(sock, b"[]")
        assert answer is not None
        assert answer.status == 200


@pytest.mark.parametrize("chunked", [True, False])
def test_a_large_body_is_refused_while_it_is_sent(service: Running, *, chunked: bool) -> None:
    body = b"[" + b" " * 400_000
    with service.connect() as sock:
        if chunked:
            data = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        else:
            data = b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        answer = ask(sock, HEAD + data)
        assert answer is not None
        assert answer.status == 413


def test_http_1_0_is_answered_and_closed(service: Running) -> None:
    with service.connect() as sock:
        answer = ask(sock, b"GET /healthz HTTP/1.0\r\n\r\n")
        assert answer is not None
        assert answer.status == 200
        assert answer.headers["connection"] == "close"
        assert closed(sock)


def test_head_has_no_body(service: Running) -> None:
    with service.connect() as sock:
        sock.sendall(b"HEAD /healthz HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
        data = b""
        while piece := sock.recv(4096):
            data += piece
    assert data.startswith(b"HTTP/1.1 200")
    assert data.endswith(b"\r\n\r\n")


def test_the_service_is_well_after_all_this(service: Running) -> None:
    with service.connect() as sock:
        answer = ask(sock, GET)
        assert answer is not None
        assert answer.status == 200
    assert "unexpected" not in service.log.getvalue()
