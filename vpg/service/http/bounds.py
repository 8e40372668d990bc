"""HTTP connections that cannot be abused: uvicorn's protocol with bounds and deadlines.

Owns: what a connection may send before an application sees it (size of target and headers, clear
framing, one Host), how long it may take, how many there may be, how many requests may wait in one.
Does not own: bodies' sizes (each application knows its own) or what is answered. Times: seconds of
the event loop's own clock.

llhttp refuses most ambiguous framing by itself (both lengths, two lengths, folded headers, bare
line feeds, bad chunks); here is what it lets pass: other codings than ``chunked``, ``chunked`` in
HTTP/1.0, no or several Hosts, trailers that would look like headers, upgrades. A refused connection
is told why where that cannot be mistaken for another request's answer, and closed.

One sweep a second over all connections keeps every deadline: no timer per request.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from vpg.service.http.answers import BODY, WHOLE, fault
from vpg.service.http.cycle import Cycle, steps

if TYPE_CHECKING:
    import asyncio

    from vpg.service.http.answers import Answer, App, Scope
    from vpg.service.values import Bounds

USAGE_EVENTS: Final = b"/v1/usage-events"
PIPELINE_MAX: Final = 64
"""Requests that may wait on one connection for the one before them."""
LINGER_S: Final = 2.0
"""How long a refused connection may still send what it had under way, to be read by nobody."""
_TOLD_MAX: Final = 256
"""Connections above the bound that are still told so; any further one is cut."""
_SLICE_BYTES: Final = 65_536
_FRAME_FACTOR: Final = 16
"""Bytes of chunk framing for one byte of body, at most (the smallest chunk takes 6)."""

_IDLE, _AWAITED, _HEADERS, _BODY, _ENDED = range(5)
_USAGE_EVENTS_PATH: Final = USAGE_EVENTS.decode()
_ASGI: Final = {"version": "3.0", "spec_version": "2.3"}
_SPECIAL = frozenset({b"host", b"transfer-encoding", b"expect"})

_TOO_MANY_HEADERS = fault(431, "headers_too_large", "too many headers, or too many bytes of them")
_TARGET_TOO_LONG = fault(414, "target_too_long", "the request's target is too long")
_MALFORMED = fault(400, "malformed_request", "this is not HTTP/1.1, or not unambiguously")
_NO_UPGRADE = fault(400, "no_upgrade", "this server speaks HTTP/1.1 only: leave out Upgrade")
_HOST = fault(400, "host", "a request of HTTP/1.1 has exactly one Host")
_CODING = fault(400, "transfer_coding", "chunked is the one transfer coding, in HTTP/1.1 only")
_VERSION = fault(400, "http_version", "this server speaks HTTP/1.0 and HTTP/1.1")
_SLOW = fault(408, "too_slow", "the request did not arrive in time")
_FULL = fault(503, "too_many_connections", "too many connections; come back later", retry_s=1)


def _bytes(answer: Answer) -> bytes:
    lines = [STATUS_LINE[answer.status]]
    for name, value in answer.headers:
        lines += (name, b": ", value, b"\r\n")
    return b"".join([*lines, b"connection: close\r\n\r\n", answer.body])


class _RefusedError(Exception):
    """A callback of the parser wants no more of this connection."""


class Traffic:
    """What the connections of one service share: bounds, and the sweep of their deadlines."""

    def __init__(self, bounds: Bounds) -> None:
        """Hold connections to ``bounds``."""
        self.bounds = bounds
        self.open: set[BoundedProtocol] = set()
        self.refused = 0
        """Connections refused or cut since the start, for whatever reason."""
        self._timer: asyncio.TimerHandle | None = None
        shortest = min(bounds.header_s, bounds.body_s, bounds.idle_s)
        self._every_s = min(1.0, shortest / 4)

    def add(self, connection: BoundedProtocol) -> None:
        """Take note of a new connection."""
        self.open.add(connection)
        if self._timer is None:
            self._timer = connection.loop.call_later(self._every_s, self._sweep, connection.loop)

    def remove(self, connection: BoundedProtocol) -> None:
        """Forget a connection."""
        self.open.discard(connection)
        if not self.open and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for connection in [one for one in self.open if one.deadline <= now]:
            connection.expired()
        self._timer = loop.call_later(self._every_s, self._sweep, loop) if self.open else None


def bounded(traffic: Traffic) -> type[HttpToolsProtocol]:
    """Return the protocol class to hand to uvicorn (``http=``)."""
    return type("Bounded", (BoundedProtocol,), {"traffic": traffic})


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    traffic: ClassVar[Traffic]

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - uvicorn's own
        """Begin with nothing read."""
        super().__init__(*args, **kwargs)
        self.deadline = math.inf
        self._phase = _IDLE
        self._header_bytes = 0
        self._headers_max = self.traffic.bounds.headers
        self._header_bytes_max = self.traffic.bounds.header_bytes
        self._hosts = 0
        self._fed = 0
        self._raw = 0
        self._body_bytes = 0
        self._refusal: Answer = _MALFORMED
        self._running: Cycle | None = None
        self._waiting: list[Cycle] = []
        self._hot: Cycle | None = None
        self._extensions: dict[str, Any] = {WHOLE: self._tell, BODY: self._body}
        self._hot_app: App = getattr(self.app, "hot", self.app)

    # --- the connection ---------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a new connection, or refuse it when there are too many."""
        super().connection_made(transport)
        traffic = self.traffic
        traffic.add(self)
        self.deadline = self.loop.time() + traffic.bounds.header_s
        above = len(traffic.open) - traffic.bounds.connections
        if above > _TOLD_MAX:
            transport.abort()
        elif above > 0:
            self._end(_FULL)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection; whoever still answers it learns that nobody listens."""
        self.traffic.remove(self)
        self.connections.discard(self)
        self._phase = _ENDED
        self.deadline = math.inf
        for cycle in (self._running, *self._waiting):
            if cycle is not None and not cycle.response_complete:
                cycle.gone()
        self._waiting.clear()
        self.flow.resume_writing()
        self.transport.close()
        self.parser = None  # type: ignore[assignment]
        self._extensions = {}
        self._hot = None
        del exc

    def shutdown(self) -> None:
        """Finish what is under way, then close."""
        last = self._newest()
        if last is None:
            self._close()
        else:
            last.keep_alive = False

    def pause_writing(self) -> None:
        """Give a client that does not read its answer until a deadline."""
        super().pause_writing()
        if self._phase in {_IDLE, _ENDED}:
            self.deadline = self.loop.time() + self.traffic.bounds.body_s

    def resume_writing(self) -> None:
        """Go on writing."""
        super().resume_writing()
        if self._phase == _IDLE:
            self.deadline = math.inf if self._running else self._idle_until()
        elif self._phase == _ENDED and self._running:
            self.deadline = math.inf

    def _idle_until(self) -> float:
        return self.loop.time() + self.traffic.bounds.idle_s

    def expired(self) -> None:
        """Act on a deadline that has passed."""
        self.deadline = math.inf
        last = self._newest()
        if self.flow.write_paused or self._phase == _ENDED:
            self.traffic.refused += 1
            self.transport.abort()
        elif self._phase in {_HEADERS, _BODY}:
            self._end(_SLOW)
        elif last is not None:
            last.keep_alive = False
        else:
            self._close()

    # --- reading ----------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Read what came, as far as its bounds allow."""
        phase = self._phase
        if phase == _ENDED:
            return
        if phase == _IDLE:
            self._phase = _AWAITED
            self.deadline = self.loop.time() + self.traffic.bounds.header_s
        elif phase == _BODY:
            self._raw += len(data)
        began = self._fed
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._end(_NO_UPGRADE)
        except httptools.HttpParserError:
            self._end(self._refusal)
        if self._hot is not None:
            self._drive()
        if self._phase != _ENDED:
            self._weigh(len(data), fresh=self._fed != began)

    def _weigh(self, size: int, *, fresh: bool) -> None:
        """Hold what is not whole yet to its bounds; ``fresh``: it began in the last piece."""
        if self._phase == _HEADERS and not fresh:
            # Still inside what began in an earlier piece: a header that never ends is not kept.
            self._header_bytes += size
            if self._header_bytes > self.traffic.bounds.header_bytes + _SLICE_BYTES:
                self._end(_TOO_MANY_HEADERS)
        elif self._raw > 2 * _SLICE_BYTES + _FRAME_FACTOR * self._body_bytes:
            self._end(_MALFORMED)

    def _refuse(self, answer: Answer) -> None:
        self._refusal = answer
        raise _RefusedError

    def on_message_begin(self) -> None:
        """Begin a request."""
        if self._phase != _AWAITED:
            self.deadline = self.loop.time() + self.traffic.bounds.header_s
        self._phase = _HEADERS
        self._fed += 1
        self._header_bytes = self._hosts = 0
        self._raw = self._body_bytes = 0
        self.url = b""
        self.expect_100_continue = False
        self.headers = []

    def on_url(self, url: bytes) -> None:
        """Take some of the target."""
        self.url += url
        if len(self.url) > self.traffic.bounds.target_bytes:
            self._refuse(_TARGET_TOO_LONG)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header; one behind the body counts, and means nothing."""
        headers = self.headers
        self._header_bytes += len(name) + len(value)
        if len(headers) >= self._headers_max or self._header_bytes > self._header_bytes_max:
            self._refuse(_TOO_MANY_HEADERS)
        if self._phase != _HEADERS:
            # The application has these already: a list of its own counts what comes behind.
            self.headers = [*headers, (name, value)]
            return
        name = name.lower()
        if name in _SPECIAL:
            if name == b"host":
                self._hosts += 1
            elif name == b"expect":
                self.expect_100_continue = value.lower() == b"100-continue"
            elif value.lower() != b"chunked" or self.parser.get_http_version() != "1.1":
                self._refuse(_CODING)
        headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Let the application answer, or let the request wait for the ones before it."""
        parser = self.parser
        version = parser.get_http_version()
        if version != "1.1":
            if version != "1.0":
                self._refuse(_VERSION)
        elif self._hosts != 1:
            self._refuse(_HOST)
        if parser.should_upgrade():
            self._refuse(_NO_UPGRADE)
        if len(self._waiting) >= PIPELINE_MAX:
            self._refuse(_MALFORMED)
        cycle = Cycle(
            connection=self,
            scope=self._asked(version),
            keep_alive=version == "1.1" and parser.should_keep_alive(),
            expects_continue=self.expect_100_continue,
        )
        self._phase = _BODY
        self.deadline = self.loop.time() + self.traffic.bounds.body_s
        if self._running is None:
            self._begin(cycle)
        else:
            self.flow.pause_reading()
            self._waiting.append(cycle)

    def _asked(self, version: str) -> Scope:
        """Return the ASGI scope of the request."""
        if self.url == USAGE_EVENTS:
            path, raw, query = _USAGE_EVENTS_PATH, USAGE_EVENTS, b""
        else:
            parsed = httptools.parse_url(self.url)
            raw = parsed.path or b"/"
            path = unquote(raw.decode("ascii"))
            query = parsed.query or b""
        return {
            "type": "http",
            "asgi": _ASGI,
            "http_version": version,
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "method": self.parser.get_method().decode("ascii"),
            "root_path": "",
            "path": path,
            "raw_path": raw,
            "query_string": query,
            "headers": self.headers,
            "extensions": self._extensions,
        }

    def _tell(self, answer: Answer) -> None:
        if self._running is not None:
            self._running.tell(answer)

    def _body(self, most: int) -> bytes | None:
        return None if self._running is None else self._running.whole(most)

    def _begin(self, cycle: Cycle) -> None:
        self._running = cycle
        scope = cycle.scope
        if scope["raw_path"] is USAGE_EVENTS and scope["method"] == "POST":
            # Most requests by far: they begin at the end of what is being read, without a task.
            self._hot = cycle
            return
        task = self.loop.create_task(cycle.run(self.app))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    def _drive(self) -> None:
        cycle, self._hot = self._hot, None
        if cycle is not None:
            steps(cycle.run(self._hot_app), self.loop)

    def on_body(self, body: bytes) -> None:
        """Take some of a body; nobody keeps what its request no longer needs."""
        self._body_bytes += len(body)
        cycle = self._newest()
        if cycle is not None and not cycle.response_complete:
            cycle.feed(body)
            if len(cycle.body) > _SLICE_BYTES:
                self.flow.pause_reading()

    def on_message_complete(self) -> None:
        """End a request."""
        self._phase = _IDLE
        cycle = self._newest()
        if cycle is None or cycle.response_complete:
            # Its answer went out before its body was whole.
            self.deadline = self._idle_until()
            return
        self.deadline = math.inf
        cycle.fed()

    def _newest(self) -> Cycle | None:
        return self._waiting[-1] if self._waiting else self._running

    # --- answering --------------------------------------------------------------------------

    def put(self, data: bytes) -> None:
        """Write ``data``."""
        self.transport.write(data)

    async def room(self) -> None:
        """Wait until the client has taken most of what was written."""
        if self.flow.write_paused:
            await self.flow.drain()

    def want_body(self) -> None:
        """Read on."""
        self.flow.resume_reading()

    def default_headers(self) -> list[tuple[bytes, bytes]]:
        """Return uvicorn's own headers (date, server)."""
        return self.server_state.default_headers

    def cut(self) -> None:
        """Close at once, answering nothing."""
        self._phase = _ENDED
        self.transport.abort()

    def answered(self, cycle: Cycle) -> None:
        """Go on with the next request that waits, or wait for one."""
        self.server_state.total_requests += 1
        self._running = None
        if not cycle.keep_alive:
            self._waiting.clear()
            if self._phase == _IDLE:
                self._close()
            else:
                self._linger()
            return
        if self._waiting:
            self._begin(self._waiting.pop(0))
            self.loop.call_soon(self._drive)
        elif self._phase == _IDLE:
            self.deadline = self._idle_until()
        if not self._waiting:
            self.flow.resume_reading()

    def _end(self, answer: Answer) -> None:
        """Read nothing more; say why, unless that would look like the answer to something else."""
        self.traffic.refused += 1
        in_body, parsing = self._phase == _BODY, self._newest()
        self._phase = _ENDED
        self.deadline = math.inf
        if in_body:
            if parsing is None or parsing.response_started:
                # It has its answer, or half of one.
                self._linger()
                return
            if parsing is self._running:
                parsing.gone()
                self._running = None
            else:
                self._waiting.pop()
        last = self._newest()
        if last is not None:
            last.keep_alive = False
            if self.flow.write_paused:
                self.deadline = self.loop.time() + self.traffic.bounds.body_s
            return
        self.transport.write(_bytes(answer))
        self._linger()

    def _close(self) -> None:
        """Close as soon as the client has read what was written."""
        self._phase = _ENDED
        self.deadline = self.loop.time() + self.traffic.bounds.body_s
        self.transport.close()

    def _linger(self) -> None:
        """Close so that the client can read its answer even while it still sends."""
        if not self.transport.can_write_eof():
            self._close()
            return
        self._phase = _ENDED
        unread = self.transport.get_write_buffer_size() > 0
        wait_s = self.traffic.bounds.body_s if unread else LINGER_S
        self.deadline = self.loop.time() + wait_s
        self.flow.resume_reading()
        self.transport.write_eof()
