"""The gate's lean client: ``python -m loadtests.gate.client`` sends usage events as it is told.

Owns: what goes over the wire and when, and what came back of it. One order a line on stdin, one
answer a line on stdout; it ends with stdin, so that no client survives its gate. Does not own:
which orders make a round (``rounds.py``), or any verdict.

Plain sockets and nothing of a framework: on the core it shares with the service it has to cost
little, and the same in every round. Times: ns of the monotonic clock inside, µs outside. In an open
order latency counts from the *intended* time.
"""

from __future__ import annotations

import select
import socket
import sys
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from loadtests.gate.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Callable

OPERATOR: Final = "OP0000000001"
VPG: Final = "gate"
LINE: Final = "8900101000000000001"
"""The operator, the one VPG and the first line of the gate's scenario."""
BYTES_UP: Final = 120
PATH: Final = "/v1/usage-events"
RESENT_EVERY: Final = 20
"""Every so many requests repeat an earlier one: the same answer, and nothing counted."""
PATIENCE_S: Final = 20.0
"""An answer that takes longer is none."""
_NS_PER_S: Final = 1_000_000_000
_NS_PER_US: Final = 1_000
_SUCCESS: Final = frozenset({"200", "204"})


class Measure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="measure"):
    """Do the reference workload once, with its file in ``folder``."""

    folder: str


class Measured(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the reference workload took."""

    cpu_us: float
    wall_us: float


class Order(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="load"):
    """One slice of load."""

    kind: Literal["closed", "open"]
    """Closed: as fast as answers come. Open: at ``rate_per_s``, whatever the answers do."""
    port: int
    at: str
    """Time of the events, RFC 3339."""
    first: int
    """Number of the first request: their ids grow over the life of a service."""
    requests: int
    batch: int = 1
    """Events of a request."""
    connections: int = 32
    rate_per_s: float = 0.0


class Outcome(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What came back."""

    took_ns: int
    acknowledged: int
    """Events, each counted once however often it was sent, whose counting was acknowledged."""
    refused: int
    """Requests answered with anything but success."""
    unknown: int
    """Events without an answer: they may be counted, or not."""
    cpu_ns: int
    """Processor time of this client meanwhile."""
    latencies_us: list[int]
    """Of an open order, each from its intended time; of a closed one none."""
    late_us: list[int]
    """Of an open order: how long after its intended time each request left."""


def body(order: Order, number: int) -> bytes:
    """Return the events of request ``number``."""
    events = [_event(order, number * order.batch + place) for place in range(order.batch)]
    return events[0] if order.batch == 1 else b"[" + b",".join(events) + b"]"


def _event(order: Order, number: int) -> bytes:
    return (
        f'{{"specversion":"1.0","type":"request.v1","source":"urn:gate:{order.batch}",'
        f'"id":"{number:012d}","time":"{order.at}","subject":"{LINE}",'
        f'"data":{{"operatorId":"{OPERATOR}","vpgId":"{VPG}","service":"beam",'
        f'"outcome":"accepted","bytesUp":{BYTES_UP},"bytesDown":40}}}}'
    ).encode()


def numbers(order: Order) -> list[int]:
    """Return the number that each request carries: some repeat an earlier one."""
    return [
        number - RESENT_EVERY // 2 if place % RESENT_EVERY == RESENT_EVERY - 1 else number
        for place, number in enumerate(range(order.first, order.first + order.requests))
    ]


def requests(order: Order) -> list[bytes]:
    """Return every request, whole, in order: none is made while the clock runs."""
    kind = "cloudevents" if order.batch == 1 else "cloudevents-batch"
    head = f"POST {PATH} HTTP/1.1\r\nhost: gate\r\ncontent-type: application/{kind}+json\r\n"
    made = {number: body(order, number) for number in numbers(order)}
    return [
        f"{head}content-length: {len(made[number])}\r\n\r\n".encode() + made[number]
        for number in numbers(order)
    ]


class _Line:
    """One keep-alive connection with at most one request under way."""

    __slots__ = ("buffer", "place", "socket")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.place = -1

    def status(self) -> str | None:
        """Read; return the status of the answer once all of it is here, else None.

        Empty: the service hung up.
        """
        data = self.socket.recv(65_536)
        if not data:
            return ""
        answer = self.buffer + data
        end = answer.find(b"\r\n\r\n")
        if end < 0:
            self.buffer = answer
            return None
        status = answer[9:12]
        if status != b"204" and len(answer) < end + 4 + _length(answer[:end]):
            self.buffer = answer
            return None
        self.buffer = b""
        return status.decode()


def _length(head: bytes) -> int:
    lower = head.lower()
    place = lower.find(b"content-length:")
    return int(lower[place + 15 :].split(b"\r\n", 1)[0]) if place >= 0 else 0


class _Run:
    """One order on its way."""

    def __init__(self, order: Order, lines: list[_Line]) -> None:
        self.order = order
        self.numbers = numbers(order)
        self.waiting = requests(order)
        self.lines = lines
        self.by_number = {line.socket.fileno(): line for line in self.lines}
        self.answered: dict[int, str] = {}
        self.sent_ns = [0] * order.requests
        self.due_ns = [0] * order.requests
        self.done_ns = [0] * order.requests
        self.next = 0
        self.hung_up = 0

    def send(self, line: _Line) -> None:
        place = self.next
        self.next = place + 1
        line.place = place
        self.sent_ns[place] = time.perf_counter_ns()
        line.socket.sendall(self.waiting[place])

    def read(self, line: _Line) -> bool:
        """Return whether the connection is free again."""
        try:
            status = line.status()
        except OSError:
            status = ""
        if status is None:
            return False
        self.done_ns[line.place] = time.perf_counter_ns()
        if status:
            self.answered[line.place] = status
            return True
        self.hung_up += 1
        return False

    def outcome(self, took_ns: int, cpu_ns: int) -> Outcome:
        """Sum up; an event sent twice is acknowledged when any of its requests is."""
        numbers, each = self.numbers, self.order.batch
        counted = {numbers[place] for place, told in self.answered.items() if told in _SUCCESS}
        told = {numbers[place] for place in self.answered}
        sent = set(numbers[: self.next])
        answered = sorted(self.answered) if self.order.kind == "open" else []
        return Outcome(
            took_ns=took_ns,
            acknowledged=len(counted) * each,
            refused=sum(status not in _SUCCESS for status in self.answered.values()),
            unknown=len(sent - told) * each,
            cpu_ns=cpu_ns,
            latencies_us=[self._us(self.done_ns, place) for place in answered],
            late_us=[self._us(self.sent_ns, place) for place in answered],
        )

    def _us(self, instants: list[int], place: int) -> int:
        return (instants[place] - self.due_ns[place]) // _NS_PER_US


def closed(run: _Run) -> int:
    """Keep every connection busy until all is answered; return the ns it took."""
    total = run.order.requests
    with select.epoll() as poll:
        for line in run.lines:
            poll.register(line.socket.fileno(), select.EPOLLIN)
        began = time.perf_counter_ns()
        for line in run.lines:
            if run.next < total:
                run.send(line)
        while len(run.answered) < run.next:
            ready = poll.poll(PATIENCE_S)
            if not ready or run.hung_up:
                break
            for number, _ in ready:
                line = run.by_number[number]
                if run.read(line) and run.next < total:
                    run.send(line)
    return time.perf_counter_ns() - began


def opened(run: _Run) -> int:
    """Send each request at its intended time, or when a connection is free; return the ns."""
    total, gap_ns = run.order.requests, _NS_PER_S / run.order.rate_per_s
    free = deque(run.lines)
    sockets = [line.socket.fileno() for line in run.lines]
    began = time.perf_counter_ns() + 1_000_000
    run.due_ns = [began + round(place * gap_ns) for place in range(total)]
    last_ns = began
    while len(run.answered) < total:
        now = time.perf_counter_ns()
        while run.next < total and free and run.due_ns[run.next] <= now:
            run.send(free.popleft())
        if run.next < total and free:
            wait_s = max(0, run.due_ns[run.next] - time.perf_counter_ns()) / _NS_PER_S
        else:
            wait_s = PATIENCE_S
        ready, _, _ = select.select(sockets, [], [], wait_s)
        last_ns = time.perf_counter_ns() if ready else last_ns
        if run.hung_up or (not ready and wait_s == PATIENCE_S):
            break
        for number in ready:
            line = run.by_number[number]
            if run.read(line):
                free.append(line)
    return last_ns - began


class Client:
    """Connections by port, kept open from order to order."""

    def __init__(self) -> None:
        """Begin without any."""
        self._lines: dict[int, list[_Line]] = {}

    def obey(self, order: Order) -> Outcome:
        """Do what ``order`` says; raises ``OSError`` when nobody listens there."""
        lines = self._lines.setdefault(order.port, [])
        while len(lines) < order.connections:
            lines.append(_Line(order.port))
        run = _Run(order, lines[: order.connections])
        how: Callable[[_Run], int] = closed if order.kind == "closed" else opened
        before = time.process_time_ns()
        took_ns = how(run)
        return run.outcome(took_ns, time.process_time_ns() - before)

    def close(self) -> None:
        """Hang up."""
        for lines in self._lines.values():
            for line in lines:
                line.socket.close()


def main() -> None:
    """Obey each line of stdin."""
    client, reference = Client(), None
    for line in sys.stdin.buffer:
        asked = msgspec.json.decode(line, type=Order | Measure)
        answer: Outcome | Measured
        if isinstance(asked, Order):
            answer = client.obey(asked)
        else:
            reference = reference or Reference(Path(asked.folder))
            cpu_us, wall_us = reference.work()
            answer = Measured(cpu_us=cpu_us, wall_us=wall_us)
        sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
        sys.stdout.flush()
    client.close()
    if reference is not None:
        reference.close()


if __name__ == "__main__":
    main()
