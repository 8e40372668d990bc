"""Ten thousand MQTT devices in one process: they connect, and some of them publish in open loop.

Run as a program: ``python -m tests.bench.mqttload`` reads a JSON ``Spec`` as the first line of its
input. Once every device is connected it prints ``connected`` and the seconds that took, then waits
for a second line, publishes, and prints a JSON ``Found``. Latency counts from the intended time to
PUBACK.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import cast

import msgspec
import uvloop

from tests.bench.figures import check
from vpg.service.mqtt.codec import Decoder, encode
from vpg.service.mqtt.packets import Connack, Connect, Puback, Publish

NS_PER_US = 1_000
NS_PER_S = 1_000_000_000
AT_ONCE = 200
"""CONNECTs under way."""


class Spec(msgspec.Struct, kw_only=True):
    """What to do."""

    port: int
    client_ids: list[str]
    rate_per_s: int
    seconds: float
    payload_bytes: int = 120


class Found(msgspec.Struct, kw_only=True):
    """What came of it."""

    acknowledged: int
    unacknowledged: int
    p50_us: int
    p99_us: int
    max_us: int


class Device(asyncio.Protocol):
    """One device."""

    __slots__ = ("closed", "connected", "decoder", "sent_ns", "took_ns", "transport")

    def __init__(self, took_ns: list[int]) -> None:
        self.decoder = Decoder()
        self.connected: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport | None = None
        self.sent_ns: dict[int, int] = {}
        self.took_ns = took_ns
        self.closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.decoder.feed(data)
        while (packet := self.decoder.take()) is not None:
            if isinstance(packet, Puback):
                now_ns = time.perf_counter_ns()
                self.took_ns.append(now_ns - self.sent_ns.pop(packet.packet_id))
            elif isinstance(packet, Connack):
                self.connected.set_result(packet.code)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.closed = True
        if not self.connected.done():
            self.connected.set_result(-1)

    def publish(self, intended_ns: int, packet_id: int, payload: bytes) -> None:
        self.sent_ns[packet_id] = intended_ns
        if self.transport is not None:
            packet = Publish(topic="bench/t", payload=payload, qos=1, packet_id=packet_id)
            self.transport.write(encode(packet))


async def run(spec: Spec) -> Found:
    """Do what ``spec`` says."""
    loop = asyncio.get_running_loop()
    took_ns: list[int] = []
    gate = asyncio.Semaphore(AT_ONCE)

    async def connected(client_id: str) -> Device:
        async with gate:
            _, device = await loop.create_connection(
                lambda: Device(took_ns), "127.0.0.1", spec.port
            )
            assert device.transport is not None
            device.transport.write(encode(Connect(client_id=client_id, keep_alive_s=1_200)))
            code = await device.connected
            check(code == 0, f"{client_id} is taken in, not answered {code}")
            return device

    begin = time.perf_counter()
    devices = await asyncio.gather(*(connected(one) for one in spec.client_ids))
    print(f"connected {time.perf_counter() - begin:.3f}", flush=True)
    await loop.run_in_executor(None, sys.stdin.readline)
    payload = b"x" * spec.payload_bytes
    count = int(spec.rate_per_s * spec.seconds)
    start_ns = time.perf_counter_ns()
    for number in range(count):
        intended_ns = start_ns + number * NS_PER_S // spec.rate_per_s
        while (early_ns := intended_ns - time.perf_counter_ns()) > 0:  # noqa: ASYNC110 - a pace
            await asyncio.sleep(early_ns / NS_PER_S)
        device = devices[number % len(devices)]
        device.publish(intended_ns, number // len(devices) + 1, payload)
    ends = time.perf_counter() + 5
    while len(took_ns) < count and time.perf_counter() < ends:  # noqa: ASYNC110 - a bench
        await asyncio.sleep(0.01)
    check(not any(device.closed for device in devices), "every device is still connected")
    for device in devices:
        if device.transport is not None:
            device.transport.abort()
    took_us = sorted(one // NS_PER_US for one in took_ns)
    return Found(
        acknowledged=len(took_us),
        unacknowledged=count - len(took_us),
        p50_us=took_us[(len(took_us) - 1) // 2] if took_us else 0,
        p99_us=took_us[(len(took_us) - 1) * 99 // 100] if took_us else 0,
        max_us=took_us[-1] if took_us else 0,
    )


if __name__ == "__main__":
    found = uvloop.run(run(msgspec.json.decode(sys.stdin.readline(), type=Spec)))
    print(msgspec.json.encode(found).decode(), flush=True)
