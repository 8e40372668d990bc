"""An open-loop HTTP client: requests leave at their intended times, whatever the answers do.

Run as a program: ``python -m tests.bench.openloop SPEC`` with a JSON ``Spec``; it prints a JSON
``Found``. Latency counts from the intended time. Requests are made before the clock starts.
"""

from __future__ import annotations

import asyncio
import collections
import resource
import sys
import time
from functools import partial
from typing import cast

import msgspec
import uvloop

NS_PER_US = 1_000
NS_PER_S = 1_000_000_000


class Target(msgspec.Struct, kw_only=True):
    """One stream of requests to one port."""

    port: int
    path: str
    rate_per_s: int
    """Requests a second, evenly spaced."""
    headers: list[str]
    """One connection each: what distinguishes its sender, e.g. ``x-vpg-line: a``."""
    body: str = ""
    """``{n}`` becomes the request's number."""
    content_type: str = "application/octet-stream"


class Spec(msgspec.Struct, kw_only=True):
    """What to send."""

    targets: list[Target]
    seconds: float
    warm_s: float = 0.5
    """What is sent in this time before is answered, but not measured."""


class Found(msgspec.Struct, kw_only=True):
    """What came back; ``statuses`` by target, from the measured time only."""

    statuses: list[dict[int, int]]
    p50_us: int
    p99_us: int
    max_us: int
    late_us_p99: int
    unanswered: int
    processor_s: float
    took_s: float


class Connection(asyncio.Protocol):
    """One keep-alive connection; one request at a time."""

    def __init__(self, stream: Stream, index: int) -> None:
        """Belong to ``stream``, as its ``index``-th sender."""
        self.stream = stream
        self.index = index
        self.intended_ns = 0
        self.buffer = b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def send(self, request: bytes, intended_ns: int) -> None:
        assert self.transport is not None
        self.intended_ns = intended_ns
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self.buffer[:end].lower()
        place = head.find(b"content-length:")
        length = 0
        if place >= 0:
            length = int(head[place + 15 :].split(b"\r\n", 1)[0])
        if len(self.buffer) < end + 4 + length:
            return
        status = int(self.buffer[9:12])
        self.buffer = self.buffer[end + 4 + length :]
        self.stream.answered(self, status)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.stream.lost += 1


class Stream:
    """One target's schedule."""

    def __init__(self, target: Target, spec: Spec) -> None:
        """Prepare every request."""
        self.target = target
        self.statuses: collections.Counter[int] = collections.Counter()
        self.latencies_us: list[int] = []
        self.late_us: list[int] = []
        self.free: collections.deque[Connection] = collections.deque()
        self.waiting: collections.deque[tuple[int, int]] = collections.deque()
        self.lost = 0
        self.open = 0
        count = int(target.rate_per_s * (spec.seconds + spec.warm_s))
        self.gap_ns = NS_PER_S // target.rate_per_s
        self.count = count
        self.next = 0
        self.measured_from_ns = 0
        self.requests: dict[int, bytes] = {}
        self.heads = [
            f"POST {target.path} HTTP/1.1\r\nhost: localhost\r\n"
            f"content-type: {target.content_type}\r\n{header}\r\n"
            for header in target.headers
        ]

    def request(self, connection: int, number: int) -> bytes:
        body = self.target.body.replace("{n}", f"{number:012d}")
        return f"{self.heads[connection]}content-length: {len(body)}\r\n\r\n{body}".encode()

    async def connect(self) -> None:
        loop = asyncio.get_running_loop()
        for index in range(len(self.target.headers)):
            _, connection = await loop.create_connection(
                partial(Connection, self, index), "127.0.0.1", self.target.port
            )
            self.free.append(connection)

    def due(self, begin_ns: int, now_ns: int) -> None:
        """Send what should have left by now."""
        while self.next < self.count:
            intended_ns = begin_ns + self.next * self.gap_ns
            if intended_ns > now_ns:
                break
            self.waiting.append((self.next, intended_ns))
            self.next += 1
        self.drain()

    def drain(self) -> None:
        while self.waiting and self.free:
            number, intended_ns = self.waiting.popleft()
            connection = self.free.popleft()
            request = self.request(connection.index, number)
            self.late_us.append((time.perf_counter_ns() - intended_ns) // NS_PER_US)
            self.open += 1
            connection.send(request, intended_ns)

    def answered(self, connection: Connection, status: int) -> None:
        self.open -= 1
        if connection.intended_ns >= self.measured_from_ns:
            now_ns = time.perf_counter_ns()
            self.statuses[status] += 1
            self.latencies_us.append((now_ns - connection.intended_ns) // NS_PER_US)
        self.free.append(connection)
        self.drain()


async def run(spec: Spec) -> Found:
    """Send everything and wait for the answers."""
    streams = [Stream(target, spec) for target in spec.targets]
    for stream in streams:
        await stream.connect()
    begin_ns = time.perf_counter_ns() + 50_000_000
    for stream in streams:
        stream.measured_from_ns = begin_ns + int(spec.warm_s * NS_PER_S)
    while any(stream.next < stream.count for stream in streams):
        now_ns = time.perf_counter_ns()
        for place, stream in enumerate(streams):
            # Streams are staggered, so that they do not send at the same instants.
            stream.due(begin_ns + place * stream.gap_ns // len(streams), now_ns)
        await asyncio.sleep(0.0002)
    patience = time.perf_counter() + 5
    while any(stream.open or stream.waiting for stream in streams):
        if time.perf_counter() > patience:
            break
        await asyncio.sleep(0.005)
    latencies = sorted(one for stream in streams for one in stream.latencies_us)
    late = sorted(one for stream in streams for one in stream.late_us)
    used = resource.getrusage(resource.RUSAGE_SELF)
    return Found(
        statuses=[dict(stream.statuses) for stream in streams],
        p50_us=latencies[len(latencies) // 2],
        p99_us=latencies[len(latencies) * 99 // 100],
        max_us=latencies[-1],
        late_us_p99=late[len(late) * 99 // 100],
        unanswered=sum(stream.open + len(stream.waiting) for stream in streams),
        processor_s=used.ru_utime + used.ru_stime,
        took_s=spec.seconds,
    )


def main() -> None:
    """Run what the first argument says."""
    spec = msgspec.json.decode(sys.argv[1], type=Spec)
    found = uvloop.run(run(spec))
    sys.stdout.write(msgspec.json.encode(found).decode() + "\n")


if __name__ == "__main__":
    main()
