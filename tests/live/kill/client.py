"""A client that loses nothing: what it sends is in its outbox first, and stays until it is counted.

The outbox is a file of lines: an event in its own bytes before it is sent, its id once it is
acknowledged. What is not acknowledged is sent again, under the same id, for as long as it takes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from typing import TYPE_CHECKING

from tests.support_service_store import OPERATOR
from vpg.rating.events import Data as EventData
from vpg.rating.events import UsageEvent, event
from vpg.service.cloudevents import encoded, encoded_batch

if TYPE_CHECKING:
    from pathlib import Path

_HEAD = (
    "POST /v1/usage-events HTTP/1.1\r\nHost: localhost\r\n"
    "Content-Type: application/cloudevents-batch+json\r\nContent-Length: {length}\r\n\r\n"
)
_COUNTED = frozenset({200, 204})


class Outbox:
    """What is to be counted, kept in a file."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")
        self.sent: dict[str, UsageEvent] = {}
        self.acknowledged: set[str] = set()
        self.waiting: dict[str, UsageEvent] = {}

    def put(self, events: list[UsageEvent]) -> None:
        """Keep ``events`` before they are sent."""
        for one in events:
            self._file.write(encoded(one).decode() + "\n")
            self.sent[one.id] = self.waiting[one.id] = one
        self._file.flush()

    def acknowledge(self, events: list[UsageEvent]) -> None:
        """Note that ``events`` are counted."""
        for one in events:
            self._file.write(json.dumps({"counted": one.id}) + "\n")
            self.acknowledged.add(one.id)
            self.waiting.pop(one.id, None)
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class Client:
    """Several connections that send new events, and again what was not acknowledged."""

    def __init__(self, outbox: Outbox, *, vpg_id: str, operator_id: str, seed: int) -> None:
        self.outbox = outbox
        self._vpg_id = vpg_id
        self._operator_id = operator_id or OPERATOR
        self._draw = random.Random(seed)
        self._made = 0
        self._flying: set[str] = set()
        self.resent = 0
        self.refused: list[bytes] = []
        self.going = True
        self.making = True

    async def run(self, port: int, connections: int, batch: int) -> None:
        """Send until the server is gone, or told to end and nothing waits any more."""
        await asyncio.gather(*(self._connection(port, batch) for _ in range(connections)))
        self._flying.clear()

    async def _connection(self, port: int, batch: int) -> None:
        with contextlib.suppress(OSError, EOFError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                while self.going and (self.making or len(self.outbox.waiting)):
                    await self._send(reader, writer, batch)
            finally:
                writer.close()

    async def _send(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, batch: int
    ) -> None:
        events = self._next(self._draw.randrange(1, batch + 1))
        if not events:
            await asyncio.sleep(0.002)
            return
        names = {one.id for one in events}
        self._flying |= names
        body = encoded_batch(events)
        writer.write(_HEAD.format(length=len(body)).encode() + body)
        status, answer = await _answer(reader)
        self._flying -= names
        if status in _COUNTED:
            self.outbox.acknowledge(events)
        elif status != 503:
            self.refused.append(answer)
            self.going = False

    def _next(self, count: int) -> list[UsageEvent]:
        """Return what waits and is not under way already, else new events."""
        again = []
        for name, one in self.outbox.waiting.items():
            if name not in self._flying:
                again.append(one)
                if len(again) == count:
                    break
        if again or not self.making:
            self.resent += len(again)
            return again
        events = [self._make() for _ in range(count)]
        self.outbox.put(events)
        return events

    def _make(self) -> UsageEvent:
        self._made += 1
        draw = self._draw
        accepted = draw.random() < 0.8
        data = EventData(
            operatorId=self._operator_id,
            vpgId=self._vpg_id,
            service=draw.choice(("beam", "funnel", "funk")),
            outcome="accepted" if accepted else "throttled",
            requests=1 if accepted else draw.randrange(1, 50),
            bytesUp=draw.randrange(1, 2_000) if accepted else 0,
            delayUs=draw.randrange(10**6) if accepted else None,
            ratePerS=draw.choice((0, draw.randrange(400))),
        )
        at_us = time.time_ns() // 1_000
        name = f"{at_us:014x}{self._made:08x}"
        return event("request.v1", source="urn:kill-test", event_id=name, at_us=at_us, data=data)


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    body = await reader.readexactly(length) if length else b""
    return int(head.split(b" ", 2)[1]), head + body
