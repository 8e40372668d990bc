"""An HTTP upstream that answers, fails, stalls, lies or is not there: always a stated answer."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tests.servers import free_port
from tests.support_mqtt import entry
from vpg.errors import InputError
from vpg.service.log import Log
from vpg.service.upstream import make_upstream
from vpg.service.upstream_http import ANSWER_BYTES_MAX
from vpg.service.upstream_link import TAKEN, UpstreamAnswer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LINE: Any = SimpleNamespace(entry=entry(7))
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def answering(data: bytes, seen: list[bytes] | None = None) -> Any:
    """Return a server's side of one connection: read a request, say ``data``, close."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line[15:])
        body = await reader.readexactly(length)
        if seen is not None:
            seen.append(head + body)
        writer.write(data)
        await writer.drain()
        writer.close()

    return serve


@asynccontextmanager
async def behind(serve: Any, path: str = "") -> AsyncIterator[Any]:
    """Give a link to a server that handles each connection by ``serve``."""

    async def quietly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(quietly, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    link = make_upstream(f"http://127.0.0.1:{port}{path}", name="n", log=Log())
    await link.start()
    try:
        yield link
    finally:
        await link.stop()
        server.close()
        await server.wait_closed()
        await asyncio.sleep(0)


def ask(serve: Any, *, path: str = "", target: str = "/", **words: Any) -> UpstreamAnswer:
    async def once() -> UpstreamAnswer:
        async with behind(serve, path) as link:
            answer: UpstreamAnswer = await link.send(LINE, "beam", target, b"body", **words)
            return answer

    return asyncio.run(asyncio.wait_for(once(), 20))


def test_without_an_upstream_everything_is_taken() -> None:
    link = make_upstream("", name="n", log=Log())
    assert asyncio.run(link.send(LINE, "beam", "/", b"")) == TAKEN


def test_the_request_goes_on_as_it_came_but_for_what_belongs_to_one_leg() -> None:
    seen: list[bytes] = []
    headers = [
        (b"Content-Type", b"text/plain"),
        (b"X-Own", b"\xe4"),
        (b"Connection", b"close, x-hop"),
        (b"X-Hop", b"1"),
        (b"Authorization", b"Bearer of-the-gateway"),
        (b"X-Soracom-Imsi", b"a-liar"),
        (b"x-vpg-line", b"a-liar"),
        (b"Host", b"elsewhere.example"),
        (b"Transfer-Encoding", b"chunked"),
        (b"Content-Length", b"999"),
        (b"Expect", b"100-continue"),
    ]
    answer = ask(
        answering(OK, seen),
        path="/base/",
        target="/a%2Fb/c?x=1&y=%20z",
        headers=headers,
        method="PUT",
    )
    assert (answer.ok, answer.status, answer.body) == (True, 200, b"ok")
    head, body = seen[0].split(b"\r\n\r\n")
    line, *rest = head.split(b"\r\n")
    assert line == b"PUT /base/a%2Fb/c?x=1&y=%20z HTTP/1.1"
    told = {one.lower() for one in rest}
    assert body == b"body"
    assert {
        b"content-type: text/plain",
        b"x-own: \xe4",
        f"x-soracom-imsi: {entry(7).imsi}".encode(),
        f"x-soracom-sim-id: {entry(7).sim_id}".encode(),
        b"x-soracom-vpg-id: v1",
        b"x-soracom-service: beam",
        b"content-length: 4",
    } <= told
    for unwanted in (
        b"x-hop",
        b"authorization",
        b"liar",
        b"elsewhere",
        b"chunked",
        b"999",
        b"expect",
    ):
        assert unwanted not in head.lower().replace(b"connection: keep-alive", b"")


@pytest.mark.parametrize("status", [200, 204, 301, 307, 404, 429, 499])
def test_what_the_upstream_says_below_500_is_its_answer(status: int) -> None:
    """A redirect too: nobody follows it."""
    said = f"HTTP/1.1 {status} X\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
    answer = ask(answering(said.encode()))
    assert (answer.ok, answer.status) == (True, status)
    assert (b"location", b"http://127.0.0.1:1/") in answer.headers


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 500 X\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 503 X\r\ncontent-length: 0\r\n\r\n",
        b"",
        b"\x00\xff\x00\xff\r\n\r\n",
        b"HTTP/1.1 999999 X\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * 200_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (ANSWER_BYTES_MAX + 1),
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
    ids=range(11),
)
def test_garbage_and_failures_are_failures(said: bytes) -> None:
    answer = ask(answering(said), timeout_s=3.0)
    assert not answer.ok
    assert answer.body == b""


@pytest.mark.parametrize(
    "said", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n1"]
)
def test_a_stalled_upstream_fails_in_time(said: bytes) -> None:
    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        await reader.read()

    began = time.monotonic()
    assert not ask(stall, timeout_s=0.3).ok
    assert time.monotonic() - began < 2


def test_an_upstream_that_sends_a_byte_at_a_time_fails_in_time() -> None:
    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    began = time.monotonic()
    assert not ask(drip, timeout_s=0.4).ok
    assert time.monotonic() - began < 2


def test_nobody_listens() -> None:
    async def once() -> UpstreamAnswer:
        link = make_upstream(f"http://127.0.0.1:{free_port()}", name="n", log=Log())
        await link.start()
        answer = await link.send(LINE, "beam", "/", b"")
        await link.stop()
        return answer

    assert not asyncio.run(once()).ok


def test_killed_while_it_works_and_back_again() -> None:
    async def run() -> list[bool]:
        said: list[bool] = []
        blocked = asyncio.Event()

        async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            blocked.set()
            await asyncio.sleep(0.2)
            writer.transport.abort()

        port = free_port()
        link = make_upstream(f"http://127.0.0.1:{port}", name="n", log=Log())
        await link.start()
        for serve in (answering(OK), hold, None, answering(OK)):
            server = await asyncio.start_server(serve, "127.0.0.1", port) if serve else None
            answers = await asyncio.gather(*(link.send(LINE, "beam", "/", b"") for _ in range(20)))
            said.append({one.ok for one in answers} == {True})
            if server is not None:
                server.close()
                await server.wait_closed()
        await link.stop()
        return said

    assert asyncio.run(asyncio.wait_for(run(), 20)) == [True, False, False, True]


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("http://elsewhere.example/x", b"POST /http://elsewhere.example/x HTTP/1.1"),
        ("//elsewhere.example/x", b"POST /elsewhere.example/x HTTP/1.1"),
        ("/../../etc", b"POST /etc HTTP/1.1"),
        ("/a/%2e%2E/.%2e/b?c=../d", b"POST /b?c=../d HTTP/1.1"),
        ("/a%2Fb/./c", b"POST /a%2Fb/c HTTP/1.1"),
        ("a b\r\nX-Bad: 1", b"POST /a%20b%0D%0AX-Bad:%201 HTTP/1.1"),
        ("温度/1", b"POST /%E6%B8%A9%E5%BA%A6/1 HTTP/1.1"),
        ("", b"POST / HTTP/1.1"),
    ],
)
def test_a_target_never_leads_elsewhere(target: str, line: bytes) -> None:
    seen: list[bytes] = []
    assert ask(answering(OK, seen), target=target).ok
    assert ask(answering(OK, seen), target=target, path="/base").ok
    assert [one.split(b"\r\n")[0] for one in seen] == [line, line.replace(b" /", b" /base/", 1)]


def test_a_header_that_would_split_the_request_fails() -> None:
    seen: list[bytes] = []
    answer = ask(answering(OK, seen), headers=[(b"x", b"1\r\nx-bad: 2")])
    assert (answer.ok, seen) == (False, [])


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    assert ask(answering(OK)).ok


def test_more_at_once_than_the_pool_has_connections() -> None:
    async def run() -> set[bool]:
        async with behind(answering(OK)) as link:
            answers = await asyncio.gather(*(link.send(LINE, "beam", "/", b"") for _ in range(150)))
            return {one.ok for one in answers}

    assert asyncio.run(asyncio.wait_for(run(), 20)) == {True}


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://127.0.0.1/", "mqtts://127.0.0.1", "127.0.0.1:80", "http://", "http:///x", "mqtt:"),
        *("http://127.0.0.1:99999", "mqtt://127.0.0.1:x", "mqtt://127.0.0.1:0", "http://[::1"),
        *("mqtt://user:secret@127.0.0.1:x", "http://user:secret@127.0.0.1:99999/"),
    ],
)
def test_a_url_that_leads_nowhere_is_refused_and_no_password_told(url: str) -> None:
    with pytest.raises(InputError) as said:
        make_upstream(url, name="n", log=Log())
    (problem,) = said.value.problems
    assert problem.code == "VPG1860"
    assert "secret" not in str(problem.values)
    assert problem.values["value"] == url.rpartition("@")[2]
