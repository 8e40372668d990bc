"""The Beam entry point over MQTT 3.1.1: who may connect, and each publish one request.

Owns: the connections of one service process, whose they are, takeover, wills, what a publish leads
to. Does not own: the order of one connection's packets (``connection``), the request itself
(``vpg.service.exchange``), the gateway. Times: ``*_us`` service time, ``*_s`` of this machine.

A line is known by its source address; else by user name or client id (``simId`` or ``imsi``), and
then the password is a token where the service has tokens. Each PUBLISH is one request of the
service ``beam``, counted whether it says DUP or not: DUP says that the device tries again, and
every try crosses the VPG, takes its token and is metered, over HTTP as over MQTT. PUBACK follows
the commit of the request's event; nothing else acknowledges it. What fails upstream, or cannot be
counted, ends the connection without PUBACK: 3.1.1 has no other way to say so, and devices send
again what was not acknowledged when they come back. What the limiter refuses is dropped (QoS 0) or
not acknowledged (QoS 1), as set; both are counted. RETAIN is dropped: a gateway keeps no messages.

A client id belongs to its line: another line's equal one is another client. A second connection of
the same ends the first, whose will is published, as for every end without DISCONNECT but that of
the service itself.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vpg.service.exchange import Asked, exchange
from vpg.service.http.auth import TOKEN_CHARS_MAX, may
from vpg.service.mqtt.codec import encode
from vpg.service.mqtt.connection import Connection
from vpg.service.mqtt.hub import Hub
from vpg.service.mqtt.packets import SUBSCRIPTION_REFUSED, Puback, Refusal, Suback
from vpg.service.mqtt.wheel import Wheel
from vpg.service.ports import OverloadedError, StoreTroubleError
from vpg.service.upstream_mqtt import MqttUpstream
from vpg.timebase import SECOND_US

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Coroutine, Sequence

    from vpg.service.exchange import Outcome
    from vpg.service.gateway.lines import Line
    from vpg.service.mqtt.connection import Slot
    from vpg.service.mqtt.packets import Connect, Publish, Subscribe, Will
    from vpg.service.parts import Parts
    from vpg.service.ports import Clock
    from vpg.service.values import Bounds

PENDING_BYTES_MAX: Final = 67_108_864
"""Payloads under way, of all devices; beyond it a publish is not counted, like an overload."""
TICK_S_MAX: Final = 0.25
TICK_S_MIN: Final = 0.01


@dataclass(slots=True)
class Stats:
    """What the entry point has seen since its start."""

    connections: int = 0
    """Open now."""
    accepted: int = 0
    refused: int = 0
    """CONNECTs answered with another code than 0."""
    full: int = 0
    """Connections closed because there were as many as may be."""
    takeovers: int = 0
    malformed: int = 0
    breaches: int = 0
    """Packets that are whole but not in place: QoS 2, a second CONNECT."""
    idle_cuts: int = 0
    published: int = 0
    unacknowledged: int = 0
    """Publishes that got no PUBACK, or at QoS 0 nobody's hearing: refused, failed, not counted."""
    wills: int = 0
    handed_down: int = 0
    dropped: int = 0
    """Messages that a device was too slow for."""
    slow_readers: int = 0
    """Connections ended for that."""


class Endpoint:
    """Every MQTT connection of a service process."""

    def __init__(self, parts: Parts) -> None:
        """Serve ``parts``."""
        self._parts = parts
        self._entry = ("", 0)
        """Where it listens, for the copies of packets."""
        self.bounds: Bounds = parts.bounds
        self.clock: Clock = parts.clock
        self.stats = Stats()
        self._connections: set[Connection] = set()
        self._clients: dict[tuple[str, str], Connection] = {}
        self._hubs: dict[str, Hub] = {}
        self._pending_bytes = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: asyncio.Server | None = None
        tick_s = max(TICK_S_MIN, min(TICK_S_MAX, parts.clock.wall_s(SECOND_US)))
        self._wheel: Wheel[Connection] = Wheel(tick_s, self._look)

    # ---- life ----------------------------------------------------------------------------------

    async def start(self, sock: socket.socket) -> None:
        """Listen on ``sock``, which is bound already."""
        self._loop = asyncio.get_running_loop()
        self._entry = sock.getsockname()[:2]
        self._wheel.start()
        self._server = await self._loop.create_server(lambda: Connection(self), sock=sock)

    async def stop(self) -> None:
        """Close every connection, without wills, once what is under way is counted."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.read_no_more()
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=self.bounds.drain_s)
        self._wheel.stop()
        for connection in list(self._connections):
            connection.end_quietly()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # ---- what connections ask for ----------------------------------------------------------------

    def time_s(self) -> float:
        """Return the loop's time."""
        return self._loop.time() if self._loop is not None else 0.0

    def soon(self, call: Callable[[], None]) -> None:
        """Call at the loop's next turn."""
        if self._loop is not None:
            self._loop.call_soon(call)

    def look_again(self, connection: Connection, after_s: float) -> None:
        """Look whether ``connection`` has been silent for too long, not before ``after_s``."""
        self._wheel.put(connection, after_s)

    def _look(self, connection: Connection) -> None:
        after_s = connection.due(self.time_s(), self.clock.now_us())
        if after_s is not None:
            self._wheel.put(connection, after_s)

    def entered(self, connection: Connection) -> bool:
        """Take one more connection; return False if there are as many as may be."""
        self._connections.add(connection)
        self.stats.connections = len(self._connections)
        if self._loop is None or len(self._connections) > self.bounds.connections:
            self.stats.full += 1
            return False
        self.look_again(connection, self.bounds.header_s)
        return True

    def who(self, host: str, packet: Connect) -> tuple[Line | None, Refusal]:
        """Return whose connection it is, or why nobody's."""
        gateway, tokens = self._parts.gateway, self._parts.tokens
        line = gateway.line_at(host)
        if line is not None:
            return line, Refusal.ACCEPTED
        speaker: str | None = None
        if tokens:
            token = packet.password or b""
            speaker = tokens.operator_of(token) if len(token) <= TOKEN_CHARS_MAX else None
            if speaker is None:
                return None, Refusal.BAD_CREDENTIALS
        for name in (packet.username, packet.client_id):
            line = gateway.line_named(name) if name else None
            if line is not None:
                allowed = speaker is None or may(speaker, line.entry.operator_id)
                return line, Refusal.ACCEPTED if allowed else Refusal.NOT_AUTHORISED
        return None, Refusal.NOT_AUTHORISED

    def arrive(self, line: Line, now_us: int, then: Callable[[Refusal], None]) -> None:
        """Let the line be active now, with a session of its own; tell ``then`` why it has none.

        What comes over MQTT is traffic, so it keeps a session alive, and a line without one
        attaches first, where that is how devices are taken to behave. A new session is told of
        only once it is kept.
        """
        if not self._has_session(line) and not self._parts.rules.implicit_attach:
            then(Refusal.NOT_AUTHORISED)
            return
        answer = self._parts.gateway.attach(line, now_us)
        if answer.decision == "created":
            self._begin(self._keep_session(then))
        elif answer.decision == "kept":
            then(Refusal.ACCEPTED)
        else:
            refused = answer.decision == "refused"  # by the line cap; else by the line's state
            then(Refusal.UNAVAILABLE if refused else Refusal.NOT_AUTHORISED)

    async def _keep_session(self, then: Callable[[Refusal], None]) -> None:
        try:
            await self._parts.outbox.send()
        except (OverloadedError, StoreTroubleError):
            then(Refusal.UNAVAILABLE)
        else:
            then(Refusal.ACCEPTED)

    def joined(self, connection: Connection) -> None:
        """Know a connected client; the same client's older connection ends."""
        self.stats.accepted += 1
        key = _key(connection)
        if key is not None:
            older = self._clients.get(key)
            self._clients[key] = connection
            if older is not None:
                self.stats.takeovers += 1
                older.end()

    def left(self, connection: Connection, will: Will | None) -> None:
        """Forget a connection; publish its will if it has left one."""
        self._wheel.remove(connection)
        self._connections.discard(connection)
        self.stats.connections = len(self._connections)
        key = _key(connection)
        if key is not None and self._clients.get(key) is connection:
            del self._clients[key]
        if connection.filters:
            self.unsubscribe(connection, list(connection.filters))
            connection.filters = {}
        line = connection.line
        if will is not None and line is not None and self._has_session(line):
            self.stats.wills += 1
            self._begin(self._publish_will(line, will))

    @staticmethod
    def _has_session(line: Line) -> bool:
        return line.session is not None and not line.session.ghost

    # ---- requests ------------------------------------------------------------------------------

    def publish(self, connection: Connection, packet: Publish) -> None:
        """Carry out a device's publish."""
        line = connection.line
        if line is not None:
            self.stats.published += 1
            slot = connection.slot()
            if self._pending_bytes + len(packet.payload) > PENDING_BYTES_MAX:
                self._conclude(connection, line, packet, slot, None)
            else:
                self._pending_bytes += len(packet.payload)
                self._begin(self._carry(connection, line, packet, slot))

    async def _carry(self, connection: Connection, line: Line, packet: Publish, slot: Slot) -> None:
        outcome = None
        try:
            outcome = await self._request(line, packet.topic, packet.payload)
        finally:
            self._pending_bytes -= len(packet.payload)
            self._conclude(connection, line, packet, slot, outcome)

    def _conclude(
        self,
        connection: Connection,
        line: Line,
        packet: Publish,
        slot: Slot,
        outcome: Outcome | None,
    ) -> None:
        slot.done = True
        if outcome is not None and outcome.kind == "accepted":
            slot.after = lambda: self._hand_on(line, packet.topic, packet.payload, packet.qos)
            if packet.qos:
                slot.reply = encode(Puback(packet.packet_id))
        else:
            self.stats.unacknowledged += 1
            slot.ends = self._ends(outcome, packet.qos)
        connection.settle()

    def _ends(self, outcome: Outcome | None, qos: int) -> bool:
        """Return whether the connection ends for what became of a publish."""
        if outcome is None or outcome.kind == "failed_upstream":
            return qos > 0
        if outcome.kind == "throttled":
            return outcome.reason == "reset" or (
                qos > 0 and self._parts.rules.mqtt_above_rate == "disconnect"
            )
        return True  # no session: the bearer is gone

    async def _request(self, line: Line, topic: str, payload: bytes) -> Outcome | None:
        """Return what became of one request; None: it could not be counted."""
        asked = Asked(service="beam", target=topic, body=payload, entry=self._entry)
        try:
            return await exchange(self._parts, line, asked)
        except (OverloadedError, StoreTroubleError):
            return None

    async def _publish_will(self, line: Line, will: Will) -> None:
        outcome = await self._request(line, will.topic, will.payload)
        if outcome is not None and outcome.kind == "accepted":
            self._hand_on(line, will.topic, will.payload, will.qos)

    def _hand_on(self, line: Line, topic: str, payload: bytes, qos: int) -> None:
        """Let the other devices of the VPG hear it, where nothing else lies behind it."""
        hub = self._hubs.get(line.entry.vpg_id)
        if hub is not None and hub.local:
            hub.hand_down(topic, payload, qos)

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            self._parts.log.error("mqtt_failed", failure=repr(failure))

    # ---- subscriptions -------------------------------------------------------------------------

    def _hub(self, line: Line) -> Hub:
        vpg_id = line.entry.vpg_id
        hub = self._hubs.get(vpg_id)
        if hub is None:
            link = self._parts.upstreams.get(vpg_id)
            broker = link if isinstance(link, MqttUpstream) else None
            nothing = line.vpg is None or not line.vpg.order.upstream.url
            hub = self._hubs[vpg_id] = Hub(broker, local=nothing)
        return hub

    def may_subscribe(self, connection: Connection, pattern: str) -> bool:
        """Return whether a filter is granted."""
        return connection.line is not None and self._hub(connection.line).may_subscribe(pattern)

    def subscribe(self, connection: Connection, pattern: str, qos: int) -> bool:
        """Subscribe; return whether the broker has to be asked too."""
        if connection.line is None:
            return False
        return self._hub(connection.line).subscribe(connection, pattern, qos)

    def subscribe_upstream(
        self,
        connection: Connection,
        slot: Slot,
        packet: Subscribe,
        codes: list[int],
        patterns: Sequence[str],
    ) -> None:
        """Ask the broker for ``patterns``, then answer ``packet`` with ``codes``, if it grants."""
        self._begin(self._ask_broker(connection, slot, packet, codes, patterns))

    async def _ask_broker(
        self,
        connection: Connection,
        slot: Slot,
        packet: Subscribe,
        codes: list[int],
        patterns: Sequence[str],
    ) -> None:
        line = connection.line
        broker = self._hub(line).broker if line is not None else None
        try:
            for pattern in patterns:
                if broker is not None and not await broker.subscribe(pattern):
                    self._refuse(connection, packet, codes, pattern)
        finally:
            slot.reply = encode(Suback(packet_id=packet.packet_id, codes=tuple(codes)))
            slot.done = True
            connection.settle()

    def _refuse(
        self, connection: Connection, packet: Subscribe, codes: list[int], pattern: str
    ) -> None:
        for place, (asked, _) in enumerate(packet.filters):
            if asked == pattern:
                codes[place] = SUBSCRIPTION_REFUSED
        if connection.filters.pop(pattern, None) is not None and connection.line is not None:
            self._hub(connection.line).unsubscribe(connection, [pattern])

    def unsubscribe(self, connection: Connection, patterns: Sequence[str]) -> None:
        """End subscriptions."""
        line = connection.line
        if line is None or not patterns:
            return
        hub = self._hub(line)
        ended = hub.unsubscribe(connection, patterns)
        if ended and hub.broker is not None:
            self._begin(_leave_broker(hub.broker, ended))


async def _leave_broker(broker: MqttUpstream, patterns: Sequence[str]) -> None:
    for pattern in patterns:
        await broker.unsubscribe(pattern)


def _key(connection: Connection) -> tuple[str, str] | None:
    if connection.line is None or not connection.client_id:
        return None
    return connection.line.entry.sim_id, connection.client_id
