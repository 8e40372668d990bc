"""Devices that speak MQTT: one aiomqtt client each, connected when it has something to send.

Owns: connections by MQTT 3.1.1, publishes of QoS 1 and what their end means. Does not own: what
the device does next. Times: ``SimUs`` of service time; ``*_s`` seconds of this machine.

``PUBACK`` means accepted. MQTT 3.1.1 has no word for throttled: the service does not acknowledge,
and a device takes silence for it. A connection that ends, or is refused, means no session.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Final

import aiomqtt

from loadtests.fleet.link import Told

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from loadtests.fleet.clock import ServiceClock
    from loadtests.fleet.devices import LiveLine
    from sim.plane.line import Line

KEEP_ALIVE_S: Final = 1_200
"""The most that the service takes; it is counted in service time."""
ALL: Final = "all"
"""Stands for every fleet."""
TOPIC: Final = "report"
PUBLISHES: Final = 64
"""Publishes of one device under way at once."""
_CONNECT_S: Final = 10.0
_NEARLY: Final = 0.9
"""Of the wait for a PUBACK: what failed before was cut, not silent."""
_SILENT = logging.getLogger("vpg.fleet.mqtt")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False


class MqttFleet:
    """Every device that speaks MQTT."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        clock: ServiceClock,
        fleets: frozenset[str],
        puback_s: float,
        by_address: bool,
        token: str,
        connections_max: int,
    ) -> None:
        """Carry the Beam messages of ``fleets`` (``all``: of every fleet)."""
        self._host, self._port = host, port
        self._clock = clock
        self._fleets = fleets
        self._puback_s = puback_s
        self._by_address = by_address
        self._token = token
        self._max = connections_max
        self._clients: dict[str, _Device] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.opened = 0
        self.open = 0
        self.open_peak = 0

    def carries(self, line: Line) -> bool:
        """Return whether the line's Beam messages go by MQTT."""
        return ALL in self._fleets or line.fleet.fleet.name in self._fleets

    def publish(
        self, line: LiveLine, size: int, sent: Callable[[], None], heard: Callable[[Told], None]
    ) -> None:
        """Publish ``size`` bytes; ``heard`` learns what became of it."""
        self._begin(self._carry(self._device(line), size, sent, heard))

    def connect(self, line: LiveLine) -> None:
        """Connect, as a device does that has just got a session; one that fails tries later."""
        self._begin(self._connect(self._device(line)))

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _device(self, line: LiveLine) -> _Device:
        device = self._clients.get(line.name.sim_id)
        if device is None:
            device = _Device(self, line.name.sim_id, line.name.address)
            self._clients[line.name.sim_id] = device
        return device

    @staticmethod
    async def _connect(device: _Device) -> None:
        with contextlib.suppress(aiomqtt.MqttError):
            await device.connected()

    async def _carry(
        self, device: _Device, size: int, sent: Callable[[], None], heard: Callable[[Told], None]
    ) -> None:
        told = Told(outcome="no_session")
        try:
            client = await device.connected()
            sent()
            began_us = self._clock.now_us()
            try:
                await client.publish(TOPIC, bytes(size), qos=1, timeout=self._puback_s)
                told = Told(outcome="accepted")
            except aiomqtt.MqttError:
                silent_us = self._clock.now_us() - began_us
                silent = self._clock.wall_s(silent_us) >= self._puback_s * _NEARLY
                told = Told(
                    outcome="throttled" if silent else "no_session", silent_us=max(1, silent_us)
                )
                if not silent:
                    await device.leave()
        except aiomqtt.MqttError:
            sent()  # As far as it got: the service refused the connection.
        finally:
            heard(told)

    def make(self, sim_id: str, address: str) -> aiomqtt.Client:
        """Return a client that is not connected yet."""
        return aiomqtt.Client(
            self._host,
            self._port,
            identifier=sim_id,
            username=sim_id if self._token else None,
            password=self._token or None,
            keepalive=KEEP_ALIVE_S,
            timeout=_CONNECT_S,
            bind_address=address if self._by_address else "",
            max_inflight_messages=PUBLISHES,
            logger=_SILENT,
        )

    async def close(self) -> None:
        """Disconnect everybody."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for begin in range(0, len(self._clients), PUBLISHES):
            some = list(self._clients.values())[begin : begin + PUBLISHES]
            await asyncio.gather(*(device.leave() for device in some))


class _Device:
    """One device's client."""

    __slots__ = ("_address", "_client", "_fleet", "_lock", "_sim_id")

    def __init__(self, fleet: MqttFleet, sim_id: str, address: str) -> None:
        self._fleet = fleet
        self._sim_id = sim_id
        self._address = address
        self._client: aiomqtt.Client | None = None
        self._lock = asyncio.Lock()

    async def connected(self) -> aiomqtt.Client:
        """Return the connected client; raises ``MqttError`` where the service refuses."""
        async with self._lock:
            if self._client is None:
                client = self._fleet.make(self._sim_id, self._address)
                await client.__aenter__()
                self._client = client
                self._fleet.opened += 1
                self._fleet.open += 1
                self._fleet.open_peak = max(self._fleet.open_peak, self._fleet.open)
            return self._client

    async def leave(self) -> None:
        """Disconnect, as far as there is a connection."""
        async with self._lock:
            client, self._client = self._client, None
            if client is None:
                return
            self._fleet.open -= 1
            try:
                await client.__aexit__(None, None, None)
            except aiomqtt.MqttError:
                return  # It was closed already.
