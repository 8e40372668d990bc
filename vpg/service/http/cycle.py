"""One request and its answer on a bounded connection: an ASGI ``receive`` and ``send``.

Owns: the request's body as it arrives, the answer's bytes, that an answer keeps its promises
(length, one start, one end). Does not own: the connection (``bounds``) or what is answered. It does
what uvicorn's own cycle does with a third of its work: one write for an answer that comes in one
piece, no event to wait for where nothing has to be waited for.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, Protocol

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from vpg.errors import ensure
from vpg.service.http.answers import fault

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine

    from vpg.service.http.answers import Answer, App, Message, Scope

CUT: Final = "vpg.cut"
"""Message of an application that wants the connection closed without any answer."""
_LOG = logging.getLogger("vpg.http")
_BODILESS = frozenset({204, 304})
_DISCONNECT: Final[dict[str, Any]] = {"type": "http.disconnect"}
_BUG = fault(500, "unexpected", "a fault of this program; its log says more")


class Connection(Protocol):
    """What a cycle needs of its connection."""

    loop: asyncio.AbstractEventLoop

    def put(self, data: bytes) -> None:
        """Write ``data``."""

    async def room(self) -> None:
        """Wait until the client has taken most of what was written."""

    def want_body(self) -> None:
        """Read on."""

    def default_headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers that every answer bears."""

    def answered(self, cycle: Cycle) -> None:
        """Go on after the last byte of an answer."""

    def cut(self) -> None:
        """Close at once."""


class Cycle:
    """One request and its answer."""

    __slots__ = (
        "_chunked",
        "_head",
        "_left",
        "_news",
        "_waiter",
        "body",
        "connection",
        "disconnected",
        "expects_continue",
        "keep_alive",
        "more_body",
        "response_complete",
        "response_started",
        "scope",
    )

    def __init__(
        self, *, connection: Connection, scope: Scope, keep_alive: bool, expects_continue: bool
    ) -> None:
        """Begin with a request whose headers are there."""
        self.connection = connection
        self.scope = scope
        self.keep_alive = keep_alive
        self.expects_continue = expects_continue
        self.body = b""
        self.more_body = True
        self.disconnected = False
        self.response_started = False
        self.response_complete = False
        self._chunked = False
        self._head = b""
        self._left = 0
        self._news = False
        self._waiter: asyncio.Future[None] | None = None

    def feed(self, body: bytes) -> None:
        """Take some of the body."""
        self.body = self.body + body if self.body else body
        self._wake()

    def fed(self) -> None:
        """Take the end of the body."""
        self.more_body = False
        self._wake()

    def gone(self) -> None:
        """Take that nobody waits for the answer any more."""
        self.disconnected = True
        self._wake()

    def _wake(self) -> None:
        self._news = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def run(self, app: App) -> None:
        """Let ``app`` answer; a fault of it is an answer too."""
        try:
            await app(self.scope, self.receive, self.send)
            if not self.response_complete and not self.disconnected:
                ensure(condition=False, fact="an application answers, and to the end")
        except Exception:  # noqa: BLE001 - whatever it is, somebody waits for an answer
            _LOG.exception("unexpected fault while answering")
            if self.disconnected or self.response_complete:
                return
            if self.response_started:
                self.connection.cut()
                return
            self.keep_alive = False
            await _BUG(self.send)

    def whole(self, most: int) -> bytes | None:
        """Return the body, if all of it is there, unread, and at most ``most`` bytes."""
        if self.more_body or self.disconnected or not self._news or len(self.body) > most:
            return None
        self._news = False
        body, self.body = self.body, b""
        return body

    def tell(self, answer: Answer) -> None:
        """Send a whole answer at once: what ``send`` does, in one step."""
        ensure(not self.response_started, "an answer starts once")
        self.response_started = self.response_complete = True
        if self.disconnected:
            return
        if self.more_body:
            # What is left of the request would look like the next one.
            self.keep_alive = False
        parts = [STATUS_LINE[answer.status]]
        for name, value in self.connection.default_headers():
            parts += (name, b": ", value, b"\r\n")
        for name, value in answer.headers:
            parts += (name, b": ", value, b"\r\n")
        parts.append(b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n")
        if answer.body and self.scope["method"] != "HEAD":
            parts.append(answer.body)
        self.connection.put(b"".join(parts))
        self.connection.answered(self)

    async def receive(self) -> Message:
        """ASGI: return the next piece of the body, or that the client is gone."""
        if self.expects_continue and not self.response_started:
            self.expects_continue = False
            self.connection.put(b"HTTP/1.1 100 Continue\r\n\r\n")
        if not (self._news or self.disconnected or self.response_complete):
            self.connection.want_body()
            self._waiter = self.connection.loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        self._news = False
        if self.disconnected or self.response_complete:
            return dict(_DISCONNECT)
        body, self.body = self.body, b""
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    async def send(self, message: Message) -> None:
        """ASGI: take the answer's start, then its body, piece by piece."""
        kind = message["type"]
        if kind == "http.response.body" and self.response_started:
            ensure(not self.response_complete, "nothing is sent after an answer's end")
            self._body(message.get("body", b""), more=message.get("more_body", False))
            if not self.response_complete:
                await self.connection.room()
        elif kind == "http.response.start":
            ensure(not self.response_started, "an answer starts once")
            self.response_started = True
            self._head = self._start(message["status"], message.get("headers", ()))
        elif kind == CUT:
            self.disconnected = self.response_complete = True
            self.connection.cut()
        else:
            ensure(condition=False, fact=f"{kind} comes in its turn")

    def _start(self, status: int, headers: Any) -> bytes:  # noqa: ANN401 - ASGI's pairs
        parts = [STATUS_LINE[status]]
        length: int | None = None
        for name, value in self.connection.default_headers():
            parts += (name, b": ", value, b"\r\n")
        for name, value in headers:
            ensure(b"\n" not in value and b"\r" not in value, "a header is one line")
            if name == b"content-length":
                length = int(value)
            elif name == b"connection" and value.lower() == b"close":
                self.keep_alive = False
                continue
            parts += (name, b": ", value, b"\r\n")
        if self.more_body:
            # What is left of the request would look like the next one.
            self.keep_alive = False
        silent = status in _BODILESS or self.scope["method"] == "HEAD"
        if not silent and length is None:
            if self.scope["http_version"] == "1.1":
                self._chunked = True
                parts.append(b"transfer-encoding: chunked\r\n")
            else:
                self.keep_alive = False
        if not self.keep_alive:
            parts.append(b"connection: close\r\n")
        parts.append(b"\r\n")
        # -1: as long as it likes, -2: none, whatever the application says.
        self._left = -2 if silent else -1 if length is None else length
        return b"".join(parts)

    def _body(self, body: bytes, *, more: bool) -> None:
        if self._left >= 0:
            self._left -= len(body)
            ensure(self._left >= 0 if more else self._left == 0, "an answer is as long as it says")
        elif self._left == -2:  # noqa: PLR2004 - see above
            body = b""
        if self._chunked:
            body = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            if not more:
                body += b"0\r\n\r\n"
        if not more:
            self.response_complete = True
        if not self.disconnected:
            if self._head or body:
                self.connection.put(self._head + body)
                self._head = b""
            if not more:
                self.connection.answered(self)
        if not more:
            self._wake()


class _Steps:
    """A coroutine under way without a task."""

    __slots__ = ("_loop", "_work")

    def __init__(self, work: Coroutine[Any, None, None], loop: asyncio.AbstractEventLoop) -> None:
        self._work = work
        self._loop = loop

    def __call__(self, _done: object = None) -> None:
        try:
            waited = self._work.send(None)
        except StopIteration:
            return
        if waited is None:
            self._loop.call_soon(self)
        else:
            # What a task does with the future that its coroutine waits for.
            waited._asyncio_future_blocking = False  # noqa: SLF001 - asyncio's own protocol
            waited.add_done_callback(self)


def steps(work: Coroutine[Any, None, None], loop: asyncio.AbstractEventLoop) -> None:
    """Begin ``work`` at once and carry it on as what it waits for is done.

    For short work that only waits for futures: it cannot be cancelled, and is nobody's task
    (``asyncio.current_task``). A task costs as much as a tenth of a whole request.
    """
    _Steps(work, loop)()
