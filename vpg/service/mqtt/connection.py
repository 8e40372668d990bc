"""One MQTT connection: the order of its packets, its bounds, its end.

Owns: what each packet of a device leads to, pace in both directions, keep-alive. Does not own: who
may connect, requests, subscriptions of a VPG (``endpoint``). Times: ``*_us`` service time, ``*_s``
seconds of the loop's clock. Source of the rules: MQTT 3.1.1; the gateway's own limits are those of
the provider's Beam (QoS 0 and 1; keep-alive 0 or 5 to 1,200 s).

Sessions live in memory as long as their connection: a CONNECT without clean session is taken, and
told that no session was present. The end of a connection is not the end of the line's cellular
session: the device may be there still, so nobody but the idle timeout or the attach API ends it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Final, cast

from vpg.service.mqtt.codec import PINGRESP, Decoder, MqttError, encode
from vpg.service.mqtt.outgoing import Outgoing
from vpg.service.mqtt.packets import (
    LEVEL_3_1_1,
    SUBSCRIPTION_REFUSED,
    Connack,
    Connect,
    Disconnect,
    Pingreq,
    Puback,
    Publish,
    Refusal,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
)
from vpg.timebase import SECOND_US

if TYPE_CHECKING:
    from collections.abc import Callable

    from vpg.service.gateway.lines import Line
    from vpg.service.mqtt.endpoint import Endpoint
    from vpg.service.mqtt.packets import Packet, Will

KEEP_ALIVE_S_MIN: Final = 5
KEEP_ALIVE_S_MAX: Final = 1_200
IDLE_US: Final = 1_800 * SECOND_US
"""Of a connection without keep-alive. Source: as those above, the provider's limits of Beam."""
CLIENT_ID_MAX: Final = 256
FILTERS_MAX: Final = 100
PENDING_MAX: Final = 64
"""Publishes of one connection that wait for their commit; then nothing more of it is read."""
TURN_PACKETS: Final = 100
"""Packets of one connection between two turns of the loop."""
WRITE_BYTES: Final = 65_536
"""Above it a device is slow: nothing of it is read, QoS 0 dropped, QoS 1 queued."""
_AT_LEAST_ONCE: Final = 1
_WAITING, _OPEN, _CLOSED = range(3)


class Slot:
    """An exchange under way; its answer goes out after those of the exchanges before it."""

    __slots__ = ("after", "done", "ends", "reply")

    def __init__(self) -> None:
        """Begin."""
        self.done = False
        self.reply = b""
        self.after: Callable[[], None] | None = None
        """What follows before the answer."""
        self.ends = False
        """The connection ends instead of an answer: the device comes back and sends it again."""


class Connection(asyncio.Protocol):
    """A device that speaks MQTT."""

    __slots__ = (
        "_arriving",
        "_begun_s",
        "_decoder",
        "_endpoint",
        "_heard_us",
        "_idle_us",
        "_outgoing",
        "_reading",
        "_slots",
        "_stalled_s",
        "_state",
        "_stopping",
        "_transport",
        "_will",
        "client_id",
        "filters",
        "line",
        "tick",
    )

    def __init__(self, endpoint: Endpoint) -> None:
        """Belong to ``endpoint``."""
        self._endpoint = endpoint
        self._decoder = Decoder(endpoint.bounds.mqtt_packet_bytes)
        self._state = _WAITING
        self._transport: asyncio.Transport | None = None
        self._will: Will | None = None
        self._slots: deque[Slot] | None = None
        self._outgoing: Outgoing | None = None
        self._reading = True
        self._begun_s = 0.0
        self._stalled_s = -1.0
        """Since when its device reads too slowly; -1: it does not."""
        self._arriving = False
        """Whether its session is being made."""
        self._stopping = False
        self._heard_us = 0
        self._idle_us = 0
        self.line: Line | None = None
        self.client_id = ""
        self.filters: dict[str, int] = {}
        self.tick = -1

    # ---- what the loop tells -------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for CONNECT."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(WRITE_BYTES)
        self._begun_s = self._endpoint.time_s()
        if not self._endpoint.entered(self):
            self.end()

    def data_received(self, data: bytes) -> None:
        """Take what is whole."""
        if self._state != _CLOSED:
            self._decoder.feed(data)
            self._work()

    def eof_received(self) -> bool:
        """Close: a device that will not hear PUBACK is gone."""
        return False

    def pause_writing(self) -> None:
        """Send no more than that: the device reads too slowly."""
        self._stalled_s = self._endpoint.time_s()
        self._endpoint.look_again(self, self._endpoint.bounds.body_s)
        self._pace()

    def resume_writing(self) -> None:
        """Send again."""
        self._stalled_s = -1.0
        if self._state == _OPEN:
            if self._outgoing is not None:
                self._outgoing.pump()
            self._work()

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave; one that went without DISCONNECT leaves its will."""
        del exc
        self._state = _CLOSED
        self._endpoint.left(self, self._will)
        self._will = self._transport = self._outgoing = None

    # ---- packets -------------------------------------------------------------------------------

    def _work(self) -> None:
        for _ in range(TURN_PACKETS):
            if self._state == _CLOSED or self._held:
                break
            try:
                packet = self._decoder.take()
            except MqttError:
                self._endpoint.stats.malformed += 1
                self.end()
                return
            if packet is None:
                break
            self._heard_us = self._endpoint.clock.now_us()
            self._handle(packet)
        else:
            self._endpoint.soon(self._work)
        self._pace()

    @property
    def _held(self) -> bool:
        """Whether enough of it is under way."""
        if self._stalled_s >= 0 or self._stopping or self._arriving:
            return True
        return self._slots is not None and len(self._slots) >= PENDING_MAX

    def _pace(self) -> None:
        """Read on only while what came is taken: the rest waits at the device."""
        if self._transport is None or self._state == _CLOSED:
            return
        reading = not self._held
        if reading != self._reading:
            self._reading = reading
            (self._transport.resume_reading if reading else self._transport.pause_reading)()

    def _handle(self, packet: Packet) -> None:
        if (self._state == _WAITING) != isinstance(packet, Connect):
            self._breach()  # before CONNECT nothing, after it no second one (3.1)
            return
        handle = _HANDLERS.get(type(packet))
        if handle is None:  # QoS 2, or what only a server sends
            self._breach()
        else:
            handle(self, packet)

    def _publish(self, packet: Publish) -> None:
        if packet.qos > _AT_LEAST_ONCE:
            self._breach()
        else:
            self._endpoint.publish(self, packet)

    def _puback(self, packet: Puback) -> None:
        if self._outgoing is not None:
            self._outgoing.acknowledged(packet.packet_id)
            if self._stalled_s < 0:
                self._outgoing.pump()
            if self._outgoing.idle:
                self._outgoing = None

    def _pingreq(self, packet: Pingreq) -> None:
        del packet

        def present(code: Refusal) -> None:
            if code == Refusal.ACCEPTED:
                self.write(PINGRESP)
            else:  # its bearer is gone, and so is the way by which a PINGRESP would come
                self.end()

        if self.line is not None:
            self._arrive(self.line, present)

    def _arrive(self, line: Line, then: Callable[[Refusal], None]) -> None:
        """Have the line's session, then do ``then``; until it is there nothing more is taken."""

        def arrived(code: Refusal) -> None:
            self._arriving = False
            if self._state != _CLOSED and self._transport is not None:
                then(code)
                self._endpoint.soon(self._work)

        self._arriving = True
        self._endpoint.arrive(line, self._heard_us, arrived)

    def _disconnect(self, packet: Disconnect) -> None:
        del packet
        self._will = None
        self.end()

    def _breach(self) -> None:
        self._endpoint.stats.breaches += 1
        self.end()

    def _connect(self, packet: Connect) -> None:
        code = self._refusal(packet)
        line = None
        if code == Refusal.ACCEPTED:
            line, code = self._endpoint.who(self._peer_host(), packet)
        if line is None or code != Refusal.ACCEPTED:
            self._refuse(code)
            return
        self.line = line

        def present(code: Refusal) -> None:
            if code == Refusal.ACCEPTED:
                self._open(packet)
            else:
                self._refuse(code)

        self._arrive(line, present)

    def _refuse(self, code: Refusal) -> None:
        self._endpoint.stats.refused += 1
        self.write(encode(Connack(code=code)))
        self.end()

    def _open(self, packet: Connect) -> None:
        self.client_id = packet.client_id
        self._will = packet.will
        keep_alive_us = packet.keep_alive_s * SECOND_US
        self._idle_us = keep_alive_us * 3 // 2 or IDLE_US
        self._state = _OPEN
        self._endpoint.joined(self)
        self.write(encode(Connack()))
        self._endpoint.look_again(self, self._endpoint.clock.wall_s(self._idle_us))

    @staticmethod
    def _refusal(packet: Connect) -> Refusal:
        if packet.level != LEVEL_3_1_1:
            return Refusal.PROTOCOL_LEVEL
        if len(packet.client_id) > CLIENT_ID_MAX:
            return Refusal.IDENTIFIER
        if not packet.client_id and not packet.clean_session:  # 3.1.3.1
            return Refusal.IDENTIFIER
        keep_alive_s = packet.keep_alive_s
        if keep_alive_s and not KEEP_ALIVE_S_MIN <= keep_alive_s <= KEEP_ALIVE_S_MAX:
            return Refusal.NOT_AUTHORISED
        if packet.will is not None and packet.will.qos > _AT_LEAST_ONCE:
            return Refusal.NOT_AUTHORISED
        return Refusal.ACCEPTED

    def _peer_host(self) -> str:
        peer = self._transport.get_extra_info("peername") if self._transport is not None else None
        return str(peer[0]) if peer else ""

    def _subscribe(self, packet: Subscribe) -> None:
        codes: list[int] = []
        new: list[str] = []
        for pattern, qos in packet.filters:
            room = len(self.filters) < FILTERS_MAX or pattern in self.filters
            if not room or not self._endpoint.may_subscribe(self, pattern):
                codes.append(SUBSCRIPTION_REFUSED)
                continue
            granted = min(qos, _AT_LEAST_ONCE)
            self.filters[pattern] = granted
            codes.append(granted)
            if self._endpoint.subscribe(self, pattern, granted):
                new.append(pattern)
        slot = self.slot()
        if new:
            self._endpoint.subscribe_upstream(self, slot, packet, codes, new)
        else:
            slot.reply = encode(Suback(packet_id=packet.packet_id, codes=tuple(codes)))
            slot.done = True
            self.settle()

    def _unsubscribe(self, packet: Unsubscribe) -> None:
        ended = [one for one in packet.filters if self.filters.pop(one, None) is not None]
        self._endpoint.unsubscribe(self, ended)
        slot = self.slot()
        slot.reply = encode(Unsuback(packet.packet_id))
        slot.done = True
        self.settle()

    # ---- exchanges under way -------------------------------------------------------------------

    def slot(self) -> Slot:
        """Return the place of a new exchange, behind those under way."""
        slot = Slot()
        if self._slots is None:
            self._slots = deque()
        self._slots.append(slot)
        return slot

    def settle(self) -> None:
        """Answer the exchanges that are done, in the order in which they came (4.6).

        What follows an exchange follows it also where the device is gone.
        """
        slots = self._slots
        while slots and slots[0].done:
            slot = slots.popleft()
            if slot.after is not None:
                slot.after()
            if slot.ends:
                self.end()
            elif slot.reply:
                self.write(slot.reply)
        if not slots:
            self._slots = None
        if self._state != _CLOSED and (not self._reading or self._decoder.waiting_bytes):
            self._endpoint.soon(self._work)

    # ---- down to the device --------------------------------------------------------------------

    def deliver(self, topic: str, payload: bytes, qos: int, plain: bytes) -> None:
        """Hand down a message; ``plain`` is its packet at QoS 0."""
        if self._state != _OPEN:
            return
        stats = self._endpoint.stats
        if not qos:
            if self._stalled_s >= 0:
                stats.dropped += 1
            else:
                stats.handed_down += 1
                self.write(plain)
            return
        if self._outgoing is None:
            self._outgoing = Outgoing(self.write)
        if self._outgoing.offer(topic, payload, may_write=self._stalled_s < 0):
            stats.handed_down += 1
        else:
            stats.dropped += 1
            stats.slow_readers += 1
            self.end()

    def write(self, data: bytes) -> None:
        """Send."""
        if self._transport is not None and self._state != _CLOSED:
            self._transport.write(data)

    def end(self) -> None:
        """Close, after what is written unless the device does not read it."""
        if self._state == _CLOSED or self._transport is None:
            return
        self._state = _CLOSED
        if self._stalled_s >= 0:
            self._transport.abort()
        else:
            self._transport.close()
            self._endpoint.look_again(self, self._endpoint.bounds.body_s)

    def read_no_more(self) -> None:
        """Leave what comes now to the device."""
        self._stopping = True
        self._pace()

    def end_quietly(self) -> None:
        """Close without a will: the service ends, not the device."""
        self._will = None
        self.end()

    # ---- time ----------------------------------------------------------------------------------

    def due(self, now_s: float, now_us: int) -> float | None:
        """Close what has been silent too long; return in how many seconds to look again."""
        bounds, clock = self._endpoint.bounds, self._endpoint.clock
        if self._transport is None:
            return None
        if self._state == _CLOSED:  # closing, but its device does not take the last bytes
            self._transport.abort()
            return None
        if self._state == _WAITING:
            left_s = self._begun_s + bounds.header_s - now_s
            return self._left(left_s)
        if self._slots:
            self._heard_us = now_us  # it waits for us
        if self._stalled_s >= 0:
            return self._left(self._stalled_s + bounds.body_s - now_s)
        left_us = self._heard_us + self._idle_us - now_us
        return clock.wall_s(left_us) if left_us > 0 else self._left(0)

    def _left(self, left_s: float) -> float | None:
        if left_s > 0:
            return left_s
        self._endpoint.stats.idle_cuts += 1
        self.end()
        return None


_HANDLERS: Final[dict[type, Callable[[Connection, Any], None]]] = {
    Connect: Connection._connect,  # noqa: SLF001 - of this very module
    Publish: Connection._publish,  # noqa: SLF001
    Puback: Connection._puback,  # noqa: SLF001
    Subscribe: Connection._subscribe,  # noqa: SLF001
    Unsubscribe: Connection._unsubscribe,  # noqa: SLF001
    Pingreq: Connection._pingreq,  # noqa: SLF001
    Disconnect: Connection._disconnect,  # noqa: SLF001
}
