"""A gateway with an MQTT entry point for tests, on a loop in a thread of its own.

The gateway, its limits and the endpoint are real; counting is either a list that takes its time or
the real store. No test lives here.
"""

from __future__ import annotations

import asyncio
import io
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self, cast

import pytest
import uvloop

from tests import servers
from vpg.catalogue.load import load_catalogue
from vpg.rating.ledger import BillingState
from vpg.service.clock import Anchor, RunningClock, wall_us
from vpg.service.gateway.chance import HashChance
from vpg.service.gateway.gateway import Gateway
from vpg.service.http.auth import Tokens
from vpg.service.junction_sender import JunctionSender
from vpg.service.log import Log
from vpg.service.mqtt.codec import Decoder, encode
from vpg.service.mqtt.endpoint import Endpoint
from vpg.service.mqtt.packets import Connack, Connect
from vpg.service.outbox import Outbox
from vpg.service.ports import COUNTED
from vpg.service.upstream import make_upstream
from vpg.service.values import Bounds, LineEntry, Peer, Rules, Upstream, VpgOrder

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Sequence
    from pathlib import Path

    from vpg.rating.events import UsageEvent
    from vpg.service.mqtt.packets import Packet

LINES = 20
WAIT_S = 10.0


class ListCounter:
    """Counts into a list, after a delay, or not at all."""

    def __init__(self) -> None:
        self.counted: list[UsageEvent] = []
        self.delay_s = 0.0
        self.trouble: Exception | None = None
        self.gate: asyncio.Event | None = None

    async def count(self, events: Sequence[UsageEvent]) -> Sequence[int]:
        await asyncio.sleep(self.delay_s)
        if self.gate is not None:
            await self.gate.wait()
        if self.trouble is not None:
            raise self.trouble
        self.counted += events
        return [COUNTED] * len(events)

    def requests(self, outcome: str = "accepted") -> list[UsageEvent]:
        return [
            one
            for one in self.counted
            if one.type == "request.v1" and one.data.outcome == outcome and one.data.requests
        ]


def entry(number: int, *, address: str = "", status: Any = "active", vpg: str = "v1") -> LineEntry:
    return LineEntry(
        sim_id=f"89811000000000000{number:02d}",
        imsi=f"4401030000000{number:02d}",
        operator_id="OP0000000001" if number < 90 else "OP0000000002",
        vpg_id=vpg,
        group_id="fleet",
        status=status,
        address=address,
    )


def name(number: int) -> str:
    """Return the ``imsi`` of line ``number``."""
    return entry(number).imsi


class Rig:
    """One endpoint, its gateway and its counter, running."""

    def __init__(
        self,
        *,
        rules: Rules | None = None,
        bounds: Bounds | None = None,
        upstream: str = "",
        timeout_us: int = 3_000_000,
        tokens: Tokens | None = None,
        scale: int = 1,
        size: str = "large",
        lines: Sequence[LineEntry] = (),
        lines_max: int | None = None,
        peers: tuple[Peer, ...] = (),
    ) -> None:
        self.rules = rules or Rules()
        self.bounds = bounds or Bounds()
        self._url = upstream
        self.counter: Any = ListCounter()
        self.said = io.StringIO()
        now_us = wall_us()
        self.clock = RunningClock(Anchor(service_us=now_us, wall_us=now_us, scale=scale))
        order = VpgOrder(
            id="v1",
            operator_id="OP0000000001",
            state=BillingState(type="C", size=size, mirroring=bool(peers)),
            peers=peers,
            upstream=Upstream(url=upstream, timeout_us=timeout_us),
        )
        others = tuple(entry(number) for number in range(LINES))
        self.gateway = Gateway(
            orders=[order],
            lines=[*others, *lines],
            rules=self.rules,
            catalogue=load_catalogue(),
            now_us=now_us,
            life=1,
            chance=HashChance(),
        )
        if lines_max is not None:
            vpg = self.gateway.vpg("v1")
            vpg._limits = type(vpg._limits)(lines_max=lines_max, rate_per_s=vpg._limits.rate_per_s)
        self.tokens = tokens or Tokens()
        self.loop = uvloop.new_event_loop()
        self.endpoint: Endpoint = cast("Endpoint", None)
        self.link: Any = None
        self.dropped: list[str] = []
        self.junction = JunctionSender(lambda vpg_id, _: self.dropped.append(vpg_id))
        self.port = 0
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    async def _start(self) -> None:
        self.link = make_upstream(self._url, name="vpg-test", log=Log(self.said))
        await self.link.start()
        self.junction.start()
        parts: Any = SimpleNamespace(
            gateway=self.gateway,
            counter=self.counter,
            clock=self.clock,
            rules=self.rules,
            bounds=self.bounds,
            upstreams={"v1": self.link} if self._url else {},
            tokens=self.tokens,
            junction=self.junction,
            log=Log(self.said),
            outbox=Outbox(self.gateway.outbox, self.counter, Log(self.said)),
        )
        self.endpoint = Endpoint(parts)
        listening = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.port = listening.getsockname()[1]
        await self.endpoint.start(listening)

    async def _stop(self) -> None:
        await self.endpoint.stop()
        await self.link.stop()
        self.junction.stop()
        await asyncio.sleep(0.01)

    def start(self) -> None:
        self._thread.start()
        self.do(self._start())

    def stop(self) -> None:
        self.do(self._stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(WAIT_S)
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run ``work`` on the rig's loop and return its result."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(WAIT_S * 3)

    def device(self, source: str = "127.0.0.1") -> Device:
        return Device(self.port, source)

    def connected(self, number: int, **words: Any) -> Device:
        """Return a device that has connected as line ``number``."""
        device = self.device()
        words = {"client_id": f"4401030000000{number:02d}", "keep_alive_s": 60, **words}
        assert device.connect(**words) == 0
        return device


@contextmanager
def rig(**words: Any) -> Iterator[Rig]:
    made = Rig(**words)
    made.start()
    try:
        yield made
    finally:
        made.stop()


class Device:
    """A device that sends exactly what a test says, through our own codec."""

    def __init__(self, port: int, source: str = "127.0.0.1") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), WAIT_S, (source, 0))
        self.socket.settimeout(WAIT_S)
        self._decoder = Decoder()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, *packets: Packet) -> None:
        self.raw(b"".join(encode(packet) for packet in packets))

    def raw(self, data: bytes) -> None:
        self.socket.sendall(data)

    def take(self, wait_s: float = WAIT_S) -> Packet | None:
        """Return the next packet; None: the connection ended."""
        self.socket.settimeout(wait_s)
        while (packet := self._decoder.take()) is None:
            try:
                data = self.socket.recv(65_536)
            except ConnectionError:
                return None
            if not data:
                return None
            self._decoder.feed(data)
        return packet

    def silent(self, wait_s: float = 0.2) -> bool:
        """Return whether nothing comes for ``wait_s``, and the connection stays."""
        try:
            self.take(wait_s)
        except TimeoutError:
            return True
        return False

    def closed(self, wait_s: float = WAIT_S) -> bool:
        """Return whether the connection ends; what comes before is skipped."""
        while self.take(wait_s) is not None:
            pass
        return True

    def connect(self, **words: Any) -> int:
        self.send(Connect(**words))
        answer = self.take()
        assert isinstance(answer, Connack), answer
        assert not answer.session_present
        return answer.code

    def close(self) -> None:
        self.socket.close()


def until(holds: Callable[[], bool], wait_s: float = WAIT_S) -> None:
    """Return once ``holds``; fail after ``wait_s``."""
    ends = time.monotonic() + wait_s
    while not holds():
        assert time.monotonic() < ends, "it does not come to hold"
        time.sleep(0.01)


class Broker:
    """A mosquitto that can be killed and started again on the same port."""

    def __init__(self, folder: Path, *, settings: str = "") -> None:
        self._program = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
        if self._program is None:
            pytest.skip("mosquitto is not installed")
        self.port = servers.free_port()
        self._folder = folder
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self) -> None:
        conf = self._folder / "mosquitto.conf"
        user = "user root\n" if hasattr(os, "geteuid") and os.geteuid() == 0 else ""
        conf.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\n{user}{self._settings}\n",
            encoding="utf-8",
        )
        with (self._folder / "broker.txt").open("ab") as said:
            self._process = subprocess.Popen(
                [str(self._program), "-c", str(conf)], stdout=said, stderr=said, cwd=self._folder
            )
        until(self._answers)

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def signal(self, number: int) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        """End it without a chance to say or save anything."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait(WAIT_S)


@contextmanager
def broker(folder: Path, **words: Any) -> Iterator[Broker]:
    made = Broker(folder, **words)
    made.start()
    try:
        yield made
    finally:
        made.kill()
