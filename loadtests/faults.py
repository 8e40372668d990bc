"""Faults done to a service of our own while a load goes on.

Owns: which fault happens when, and its end. Does not own: the service (``mortal``) or what must be
true afterwards (``reconcile``: acknowledged events lost 0, counted twice 0). Times: seconds after
the first send.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Literal

from loadtests.load_document import FaultPart
from loadtests.locust_run import free_port
from loadtests.mortal import MortalService
from vpg.errors import Problem, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

FaultKind = Literal["kill", "broker", "slow-disk", "slow-upstream"]
OF_GATEWAYS: Final = ("broker", "slow-upstream")
"""Faults of what lies behind a gateway: usage events never get there."""
_BROKER_AWAY_S: Final = 1.0
_START_S: Final = 10.0
_POLL_S: Final = 0.02


class Fault:
    """One kind of fault, at its times."""

    kind: FaultKind

    def __init__(self, length_s: float, times: int) -> None:
        """Spread ``times`` faults over a load of ``length_s``."""
        self._due_s = [length_s * (n + 1) / (times + 1) for n in range(times)]
        self._at_s: list[float] = []
        self._away_s: list[float] = []

    def words(self) -> Sequence[str]:
        """Return what ``vpg serve`` is told beside the scenario."""
        return ()

    def tick(self, elapsed_s: float) -> None:
        """Do what is due."""
        while self._due_s and elapsed_s >= self._due_s[0]:
            self._due_s.pop(0)
            self._at_s.append(elapsed_s)
            self._away_s.append(self.strike())

    def strike(self) -> float:
        """Do it and undo it; return the seconds between."""
        return 0.0

    def settled(self) -> FaultPart:
        """End what is left of it, and tell."""
        return FaultPart(
            kind=self.kind,
            at_s=tuple(round(at, 3) for at in self._at_s),
            away_s=tuple(round(away, 3) for away in self._away_s),
        )


class Kill(Fault):
    """The service dies and is started again."""

    kind = "kill"
    served: MortalService | None = None

    def strike(self) -> float:
        """Kill the service; it is back on return."""
        if self.served is None:
            return 0.0
        self.served.kill()
        return self.served.start()


class SlowDisk(Fault):
    """Every sync of the store takes longer, all the time."""

    kind = "slow-disk"

    def __init__(self, delay_ms: int) -> None:
        """Delay each sync by ``delay_ms``."""
        super().__init__(0.0, 0)
        self._at_s = [0.0]
        self._delay_ms = delay_ms

    def words(self) -> Sequence[str]:
        """Tell the service so."""
        return "--fault-sync-delay-ms", str(self._delay_ms)


class Broker(Fault):
    """The upstream broker dies and is started again; needs mosquitto."""

    kind = "broker"

    def __init__(self, folder: Path, length_s: float, times: int) -> None:
        """Start a broker of our own; raises ``UsageError`` (VPG1914) without one installed."""
        super().__init__(length_s, times)
        # Debian keeps it where only root looks.
        program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
        if program is None:
            raise UsageError(Problem(code="VPG1914", values={"program": "mosquitto"}))
        self._port = free_port()
        told = folder / "mosquitto.conf"
        told.write_text(f"listener {self._port} 127.0.0.1\nallow_anonymous true\n")
        self._command = [program, "-c", str(told)]
        self._process: subprocess.Popen[bytes] | None = None
        self._start()

    def words(self) -> Sequence[str]:
        """Let accepted requests go on to the broker."""
        return "--upstream", f"mqtt://127.0.0.1:{self._port}"

    def _start(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - found above
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until_s = time.monotonic() + _START_S
        while time.monotonic() < until_s:
            with socket.socket() as probe:
                if not probe.connect_ex(("127.0.0.1", self._port)):
                    return
            time.sleep(_POLL_S)

    def strike(self) -> float:
        """Kill the broker; it is back on return."""
        began_s = time.monotonic()
        self.close()
        time.sleep(_BROKER_AWAY_S)
        self._start()
        return time.monotonic() - began_s

    def close(self) -> None:
        """End the broker."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


class SlowUpstream(Fault):
    """An upstream of our own that answers late in the middle third of the load."""

    kind = "slow-upstream"

    def __init__(self, length_s: float, delay_ms: int) -> None:
        """Answer after ``delay_ms`` while it lasts, at once before and after."""
        super().__init__(length_s, 0)
        self._from_s, self._until_s = length_s / 3, length_s * 2 / 3
        self._delay_ms = delay_ms
        self._upstream = Upstream()

    def words(self) -> Sequence[str]:
        """Let accepted requests go on to it."""
        return "--upstream", f"http://127.0.0.1:{self._upstream.port}"

    def tick(self, elapsed_s: float) -> None:
        """Be slow, or not."""
        slow = self._from_s <= elapsed_s < self._until_s
        if slow and not self._at_s:
            self._at_s, self._away_s = [elapsed_s], [self._until_s - elapsed_s]
        self._upstream.delay_s = self._delay_ms / 1_000 if slow else 0.0

    def close(self) -> None:
        """End the upstream."""
        self._upstream.close()


class Upstream:
    """Answers every HTTP request with 200, after ``delay_s``; on a thread of its own."""

    def __init__(self) -> None:
        """Listen on a free port of the loopback."""
        self.delay_s = 0.0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="upstream", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening and answering."""
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._answer, sock=self._socket)
        async with server:
            await self._stopping.wait()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(_length(head))
                await asyncio.sleep(self.delay_s)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # Whoever asked went away.
        finally:
            writer.close()


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


class Studied:
    """A service of our own with a fault to come."""

    def __init__(self, served: MortalService, fault: Fault) -> None:
        """Keep both."""
        self.served = served
        self.fault = fault


@contextmanager
def studied(
    kind: FaultKind,
    folder: Path,
    words: Sequence[str],
    *,
    length_s: float,
    times: int,
    delay_ms: int,
) -> Iterator[Studied]:
    """Serve ``words`` in ``folder`` with the fault of ``kind`` ahead; all is gone at the end."""
    fault = _made(kind, folder, length_s=length_s, times=times, delay_ms=delay_ms)
    try:
        with MortalService(folder, (*words, *fault.words())) as served:
            if isinstance(fault, Kill):
                fault.served = served
            yield Studied(served, fault)
    finally:
        if isinstance(fault, Broker | SlowUpstream):
            fault.close()


def _made(kind: FaultKind, folder: Path, *, length_s: float, times: int, delay_ms: int) -> Fault:
    match kind:
        case "kill":
            return Kill(length_s, times)
        case "broker":
            return Broker(folder, length_s, times)
        case "slow-disk":
            return SlowDisk(delay_ms)
        case "slow-upstream":
            return SlowUpstream(length_s, delay_ms)
