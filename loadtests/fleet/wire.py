"""HTTP/1.1 as thousands of small devices speak it: lean, keep-alive, from an address of one's own.

Owns: connections (who may open one, who waits, which is closed to make room), one exchange at a
time on each, and the answer's frame. Does not own: what is asked or what an answer means. Times:
seconds of this machine.

Every caller hears exactly once what became of its request: an ``Answer``, or why there is none. A
request on a connection that closed without a byte of an answer may have been carried out: that is
*unknown*, never silently sent again.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, cast

if TYPE_CHECKING:
    from collections.abc import Callable

IDLE_S: Final = 45.0
"""A connection silent for so long is closed by us, well before the service (75 s) does."""
_HEAD_END: Final = b"\r\n\r\n"
_HEAD_MAX: Final = 65_536
_SWEEP_S: Final = 5.0

Failure = Literal["cut", "late", "unsent"]
"""Closed without an answer; no answer in time; never sent (no connection could be had)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


@dataclass(slots=True)
class _Asked:
    data: bytes
    sent: Callable[[], None]
    done: Callable[[Answer | Failure], None]


class Lane:
    """The connections of one device to one entry point."""

    __slots__ = ("host", "idle", "local", "most", "open", "port", "waiting", "wanting")

    def __init__(self, host: str, port: int, local: str | None, most: int) -> None:
        """Lead to ``host``:``port``, from address ``local``, over ``most`` connections at once."""
        self.host, self.port, self.local, self.most = host, port, local, most
        self.idle: list[_Connection] = []
        self.waiting: deque[_Asked] = deque()
        self.open = 0
        """Connections, those being made included."""
        self.wanting = False
        """Whether it waits for another lane to give one back."""


class Wire:
    """Every connection of the fleet, within one bound."""

    def __init__(self, *, connections_max: int, answer_s: float) -> None:
        """Open at most ``connections_max``; wait ``answer_s`` for an answer."""
        self._max = connections_max
        self.answer_s = answer_s
        self._loop = asyncio.get_running_loop()
        self._idle: OrderedDict[_Connection, float] = OrderedDict()
        self._wanting: deque[Lane] = deque()
        self._connecting: set[asyncio.Task[None]] = set()
        self._connections: set[_Connection] = set()
        self._sweeper = self._loop.call_later(_SWEEP_S, self._sweep)
        self.open = 0
        self.open_peak = 0
        self.opened = 0
        self.refused = 0
        """Connections that could not be made."""
        self.waited = 0
        """Requests that waited for another device to give a connection back."""

    def send(
        self,
        lane: Lane,
        data: bytes,
        sent: Callable[[], None],
        done: Callable[[Answer | Failure], None],
    ) -> None:
        """Send a request; ``sent`` is called as it leaves, ``done`` with what became of it."""
        asked = _Asked(data, sent, done)
        if lane.idle:
            connection = lane.idle.pop()
            del self._idle[connection]
            connection.ask(asked)
            return
        lane.waiting.append(asked)
        self._widen(lane)

    def _widen(self, lane: Lane) -> None:
        """Open one more connection of ``lane`` where one is of use and may be had."""
        if lane.open >= lane.most or lane.wanting or not lane.waiting:
            return
        if self.open >= self._max:
            if not self._idle:
                self.waited += 1
                lane.wanting = True
                self._wanting.append(lane)
                return
            oldest, _ = self._idle.popitem(last=False)
            oldest.lane.idle.remove(oldest)
            self._gone(oldest)
            oldest.close()
        lane.open += 1
        self.open += 1
        self.open_peak = max(self.open_peak, self.open)
        task = self._loop.create_task(self._connect(lane))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, lane: Lane) -> None:
        local = None if lane.local is None else (lane.local, 0)
        try:
            async with asyncio.timeout(self.answer_s):
                _, connection = await self._loop.create_connection(
                    lambda: _Connection(self, lane), lane.host, lane.port, local_addr=local
                )
        except (OSError, TimeoutError):
            self.refused += 1
            lane.open -= 1
            self.open -= 1
            if not lane.open:
                while lane.waiting:
                    lane.waiting.popleft().done("unsent")
            self._serve_wanting()
            return
        self.opened += 1
        self._connections.add(connection)
        self.free(connection)

    def free(self, connection: _Connection) -> None:
        """Use a connection that has nothing to do."""
        lane = connection.lane
        if lane.waiting:
            connection.ask(lane.waiting.popleft())
        elif self._wanting:
            self._gone(connection)
            connection.close()
        else:
            lane.idle.append(connection)
            self._idle[connection] = self._loop.time()

    def lost(self, connection: _Connection) -> None:
        """Forget a connection that is closed."""
        self._connections.discard(connection)
        if not connection.counted:
            return
        if connection in self._idle:
            del self._idle[connection]
            connection.lane.idle.remove(connection)
        self._gone(connection)
        self._widen(connection.lane)

    def _gone(self, connection: _Connection) -> None:
        """Count a connection out; another lane may have its place."""
        connection.counted = False
        connection.lane.open -= 1
        self.open -= 1
        self._serve_wanting()

    def _serve_wanting(self) -> None:
        while self._wanting and self.open < self._max:
            lane = self._wanting.popleft()
            lane.wanting = False
            self._widen(lane)

    def _sweep(self) -> None:
        """Close what has been idle for long."""
        self._sweeper = self._loop.call_later(_SWEEP_S, self._sweep)
        before = self._loop.time() - IDLE_S
        while self._idle:
            connection, since = next(iter(self._idle.items()))
            if since > before:
                break
            connection.close()
            self.lost(connection)

    @property
    def left(self) -> int:
        """How many connections are not closed."""
        return len(self._connections)

    async def close(self) -> None:
        """Close every connection."""
        self._sweeper.cancel()
        self._max = 0
        for task in tuple(self._connecting):
            task.cancel()
        await asyncio.gather(*self._connecting, return_exceptions=True)
        for connection in tuple(self._connections):
            connection.close()
        for _ in range(100):
            if not self._connections:
                break
            await asyncio.sleep(0.01)


class _Connection(asyncio.Protocol):
    """One connection: one exchange at a time."""

    __slots__ = ("_asked", "_buffer", "_timer", "_transport", "_wire", "counted", "lane")

    def __init__(self, wire: Wire, lane: Lane) -> None:
        self._wire = wire
        self.lane = lane
        self.counted = True
        self._asked: _Asked | None = None
        self._buffer = b""
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None

    def ask(self, asked: _Asked) -> None:
        """Begin an exchange."""
        transport = self._transport
        if transport is None or transport.is_closing():
            asked.done("unsent")
            return
        self._asked = asked
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._wire.answer_s, self._late)
        transport.write(asked.data)
        asked.sent()

    def close(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    def _late(self) -> None:
        self._conclude("late")
        self.close()

    def _conclude(self, what: Answer | Failure) -> None:
        asked, self._asked = self._asked, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if asked is not None:
            asked.done(what)

    # ---- what the loop tells -------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        answer, size = _whole(self._buffer)
        if size < 0 or (answer is not None and self._asked is None):
            self.close()
        elif answer is not None:
            self._buffer = self._buffer[size:]
            closing = answer.headers.get(b"connection", b"").lower() == b"close"
            self._conclude(answer)
            if closing:
                self.close()
            else:
                self._wire.free(self)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._transport = None
        self._conclude("cut")
        self._wire.lost(self)


def _whole(data: bytes) -> tuple[Answer | None, int]:
    """Return the answer at the beginning of ``data`` and its size; (None, -1): it is none."""
    end = data.find(_HEAD_END)
    if end < 0:
        return None, -1 if len(data) > _HEAD_MAX else 0
    lines = data[:end].split(b"\r\n")
    status = lines[0][9:12]
    if not lines[0].startswith(b"HTTP/1.1 ") or not status.isdigit():
        return None, -1
    headers: dict[bytes, bytes] = {}
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        headers[name.lower()] = value.strip()
    length = headers.get(b"content-length", b"0")
    if not length.isdigit() or b"transfer-encoding" in headers:
        return None, -1
    begin = end + len(_HEAD_END)
    size = begin + int(length)
    if len(data) < size:
        return None, 0
    return Answer(int(status), headers, data[begin:size]), size
