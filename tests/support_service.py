"""The live service for tests: the real server, store and all, on a loop in a thread of its own.

No test lives here. Everything is real; ports are free ones of the loopback, the store a file of the
test's own.
"""

from __future__ import annotations

import asyncio
import io
import json
import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import uvloop

from vpg.catalogue.load import load_catalogue
from vpg.rating.charges import ChargePolicy
from vpg.rating.events import REQUEST, Data, event
from vpg.rating.ledger import BillingState
from vpg.service.log import Log
from vpg.service.plan import PORTS, Plan
from vpg.service.server import Server
from vpg.service.values import BillingRules, Bounds, LineEntry, Rules, VpgOrder
from vpg.timebase import to_utc

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from pathlib import Path

    from vpg.rating.events import UsageEvent
    from vpg.service.parts import Parts

OPERATOR = "OP0000000001"
OTHER = "OP0000000002"
LINES = 20
WAIT_S = 20.0
"""Longest that a test waits for anything of the service."""


def order(vpg_id: str = "v1", operator: str = OPERATOR, **changes: Any) -> VpgOrder:
    """Return a small VPG of type D."""
    state = changes.pop("state", BillingState(type="D", size="small", peering=1))
    return VpgOrder(id=vpg_id, operator_id=operator, state=state, **changes)


def entry(number: int, vpg_id: str = "v1", operator: str = OPERATOR, **changes: Any) -> LineEntry:
    """Return line ``number``; it is known by 127.0.3.<number>."""
    values: dict[str, Any] = {
        "sim_id": f"89811000000000{number:05d}",
        "imsi": f"4401030000{number:05d}",
        "operator_id": operator,
        "vpg_id": vpg_id,
        "group_id": "g1",
        "address": f"127.0.3.{number}",
    }
    return LineEntry(**{**values, **changes})


def plan(store: Path | str, **changes: Any) -> Plan:
    """Return a plan of two operators' VPGs with ``LINES`` lines of the first."""
    lines = changes.pop("lines", None) or tuple(entry(n) for n in range(1, LINES + 1))
    values: dict[str, Any] = {
        "orders": (order(), order("other", OTHER)),
        "lines": lambda: lines,
        "rules": Rules(),
        "billing": BillingRules(charges=ChargePolicy(), rounding="monthly_total"),
        "catalogue": load_catalogue(),
        "store": str(store),
        "ports": dict.fromkeys(PORTS, 0),
        "bounds": Bounds(),
    }
    return Plan(**{**values, **changes})


class Running:
    """A server that answers."""

    def __init__(self, made: Plan) -> None:
        self.log = io.StringIO()
        self.server = Server(made, Log(self.log))
        self.loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="service")
        self._thread.start()
        try:
            self.call(self.server.start())
        except BaseException:
            self.end()
            raise

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()

    def call(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run ``work`` on the server's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(WAIT_S)

    def do(self, work: Callable[[], Any]) -> Any:
        """Run a plain function on the server's loop."""

        async def run() -> Any:
            return work()

        return self.call(run())

    def stop(self) -> None:
        """Drain and end."""
        self.call(self.server.stop())

    def end(self) -> None:
        """End the loop and its thread."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(WAIT_S)

    @property
    def parts(self) -> Parts:
        """What the transports share."""
        found = self.server._parts
        assert found is not None
        return found

    @property
    def now_us(self) -> int:
        """Service time."""
        return self.parts.clock.now_us()

    def port(self, name: str = "api") -> int:
        """Return where ``name`` listens."""
        return self.server.addresses[name][1]

    def url(self, path: str = "", name: str = "api") -> str:
        """Return an address of ``name``."""
        return f"{self.server.url(name)}{path}"

    def connect(self, name: str = "api", source: str = "") -> socket.socket:
        """Return a connection of a client at ``source``."""
        where = ("127.0.0.1", self.port(name))
        return socket.create_connection(
            where, timeout=WAIT_S, source_address=(source, 0) if source else None
        )

    def attempts(self, service: str = "beam", outcome: str = "attempts") -> int:
        """Return what the hourly metrics have of ``service``, over all hours and VPGs."""
        now_us = self.now_us
        rows = self.parts.store.hourly(None, 0, now_us + 1, now_us).rows
        return sum(getattr(row, f"{outcome}_{service}") for row in rows)


@contextmanager
def running(folder: Path, **changes: Any) -> Iterator[Running]:
    """Serve ``plan`` with ``changes`` until the end of the block."""
    store = changes.pop("store", folder / "store.db")
    one = Running(plan(store, **changes))
    try:
        yield one
    finally:
        try:
            one.stop()
        finally:
            one.end()


def usage(number: int | str, at_us: int, source: str = "urn:test", **figures: Any) -> UsageEvent:
    """Return an accepted request of the first VPG."""
    values = {"operatorId": OPERATOR, "vpgId": "v1", "service": "beam", "outcome": "accepted"}
    return event(
        REQUEST,
        source=source,
        event_id=f"e{number}",
        at_us=at_us,
        data=Data(**{**values, **figures}),
    )


def wire(number: int | str, at_us: int, **changes: Any) -> dict[str, Any]:
    """Return the same as JSON has it; ``data`` in ``changes`` is merged."""
    data = {"operatorId": OPERATOR, "vpgId": "v1", "service": "beam", "outcome": "accepted"}
    data |= changes.pop("data", {})
    return {
        "specversion": "1.0",
        "type": "request.v1",
        "source": "urn:test",
        "id": f"e{number}",
        "time": to_utc(at_us).isoformat(),
        "data": data,
        **changes,
    }


class Raw:
    """An HTTP answer, read byte by byte from a socket."""

    def __init__(self, head: bytes, body: bytes) -> None:
        self.head, self.body = head, body
        first, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(first.split(" ")[1])
        pairs = [line.split(": ", 1) for line in lines if line]
        self.headers = {name.lower(): value for name, value in pairs}

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def read_answer(sock: socket.socket) -> Raw | None:
    """Return the next answer on ``sock``; None: it was closed without one."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        try:
            piece = sock.recv(1)
        except ConnectionError:
            return None
        if not piece:
            return None
        head += piece
    length = int(Raw(head, b"").headers.get("content-length", 0))
    body = b""
    while len(body) < length:
        piece = sock.recv(length - len(body))
        if not piece:
            break
        body += piece
    return Raw(head, body)


def ask(sock: socket.socket, data: bytes) -> Raw | None:
    """Send ``data`` and return the answer."""
    with suppress(ConnectionError):
        sock.sendall(data)
    return read_answer(sock)


def post(path: str, body: bytes, *headers: str, kind: str = "application/json") -> bytes:
    """Return the bytes of a POST."""
    lines = [f"POST {path} HTTP/1.1", "Host: t", f"Content-Length: {len(body)}"]
    if kind:
        lines.append(f"Content-Type: {kind}")
    return "\r\n".join([*lines, *headers, "", ""]).encode() + body
