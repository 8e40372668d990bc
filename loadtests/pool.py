"""Keep-alive HTTP/1.1 connections for an open load: one request under way on each.

Owns: connections, requests under way, their answers and deadlines. Does not own: when to send
(``walk``) or what an answer means (the sources). Times: ns of ``perf_counter``.

Threads and sockets are the standard library's. They are meant to run under Locust, which makes both
cooperative: then nothing here runs at the same time as anything else, and there are no locks.
"""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

NO_ANSWER: Final = 0
"""Status of a request that got none: it may have been counted, or not."""
NOT_SENT: Final = -1
"""Status of a request that never left: nobody took the connection."""
_IDLE_NS: Final = 30_000_000_000
"""A connection idle for longer is not used again: the other side may be closing it."""
_WATCH_S: Final = 0.1
_RECEIVE: Final = 65_536
_NS: Final = 1_000_000_000

Address = tuple[str, int]


class Job:
    """One request under way."""

    __slots__ = ("data", "due_ns", "intended_ns", "sent_ns", "slot")

    def __init__(self, slot: int, data: bytes, intended_ns: int, sent_ns: int, due_ns: int) -> None:
        """Begin; ``due_ns``: when to give up."""
        self.slot = slot
        self.data = data
        self.intended_ns = intended_ns
        self.sent_ns = sent_ns
        self.due_ns = due_ns


class Pool:
    """All connections of one process."""

    def __init__(
        self,
        *,
        most: int,
        timeout_s: float,
        ended: Callable[[Job, int, bytes], None],
    ) -> None:
        """Open at most ``most``; tell ``ended`` of each job with its status and body."""
        self._most = most
        self.timeout_ns = int(timeout_s * _NS)
        self.ended = ended
        self.open: set[_Connection] = set()
        self._idle: dict[Address, list[_Connection]] = {}
        self.under_way = 0
        self.peak = 0
        self._closed = False
        threading.Thread(target=self._watch, daemon=True).start()

    @property
    def full(self) -> bool:
        """Whether a request would have to wait for a connection."""
        return self.under_way >= self._most

    def send(self, slot: int, address: Address, data: bytes, intended_ns: int) -> None:
        """Send ``data`` now; the answer is told of later."""
        now_ns = time.perf_counter_ns()
        job = Job(slot, data, intended_ns, now_ns, now_ns + self.timeout_ns)
        self.under_way += 1
        self.peak = max(self.peak, self.under_way)
        idle = self._idle.get(address)
        while idle:
            connection = idle.pop()
            if now_ns - connection.used_ns < _IDLE_NS and connection.alive:
                connection.give(job)
                return
            connection.close()
        if len(self.open) >= self._most:
            self._close_an_idle()
        _Connection(self, address, job)

    def over(self, connection: _Connection, job: Job, status: int, body: bytes) -> None:
        """Take the end of ``job``; ``connection`` is free again when it is alive."""
        self.under_way -= 1
        if connection.alive:
            self._idle.setdefault(connection.address, []).append(connection)
        self.ended(job, status, body)

    def close(self) -> None:
        """Close every connection; what is under way ends without an answer."""
        self._closed = True
        for connection in list(self.open):
            connection.close()

    def _close_an_idle(self) -> None:
        for idle in self._idle.values():
            if idle:
                idle.pop(0).close()
                return

    def _watch(self) -> None:
        """Cut what is under way for too long."""
        while not self._closed:
            time.sleep(_WATCH_S)
            now_ns = time.perf_counter_ns()
            for connection in list(self.open):
                job = connection.job
                if job is not None and job.due_ns <= now_ns:
                    connection.close()


class _Connection:
    """One connection and whoever reads from it."""

    __slots__ = ("_pool", "_socket", "address", "alive", "job", "used_ns")

    def __init__(self, pool: Pool, address: Address, job: Job) -> None:
        self._pool = pool
        self._socket: socket.socket | None = None
        self.address = address
        self.alive = True
        self.job: Job | None = job
        self.used_ns = job.sent_ns
        pool.open.add(self)
        threading.Thread(target=self._run, daemon=True).start()

    def give(self, job: Job) -> None:
        """Send ``job`` on this idle connection."""
        self.job = job
        try:
            if self._socket is not None:
                self._socket.sendall(job.data)
        except OSError:
            self.close()

    def close(self) -> None:
        """End it; its reader tells what becomes of the job."""
        self.alive = False
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def _run(self) -> None:
        status = NOT_SENT
        try:
            self._socket = socket.create_connection(
                self.address, timeout=self._pool.timeout_ns / _NS
            )
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.settimeout(None)
            status = NO_ANSWER
            if self.job is not None and self.alive:
                self._socket.sendall(self.job.data)
                self._read(self._socket)
        except OSError:
            pass  # Nobody listens, or the other side went away: the job tells.
        finally:
            self.alive = False
            self._pool.open.discard(self)
            if self._socket is not None:
                self._socket.close()
            job, self.job = self.job, None
            if job is not None:
                self._pool.over(self, job, status, b"")

    def _read(self, stream: socket.socket) -> None:
        buffer = b""
        while self.alive:
            piece = stream.recv(_RECEIVE)
            if not piece:
                return
            buffer += piece
            answer = read_answer(buffer)
            if answer is None:
                continue
            status, body, length, keeps = answer
            job, self.job = self.job, None
            if job is None:
                return  # An answer to nothing (408 of an idle connection).
            buffer = buffer[length:]
            self.used_ns = time.perf_counter_ns()
            self.alive = keeps
            self._pool.over(self, job, status, body)


def read_answer(buffer: bytes) -> tuple[int, bytes, int, bool] | None:
    r"""Return (status, body, bytes used, whether the connection stays) of an answer; None: more.

    >>> read_answer(b"HTTP/1.1 204 No Content\r\n\r\n")
    (204, b'', 27, True)
    """
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = buffer[:end].lower()
    length, keeps = 0, True
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name == b"content-length":
            length = int(value)
        elif name == b"connection":
            keeps = value.strip() != b"close"
    whole = end + 4 + length
    if len(buffer) < whole:
        return None
    return int(buffer[9:12]), buffer[end + 4 : whole], whole, keeps
