"""Messages on their way down to one device, bounded.

Owns: the window of unacknowledged QoS 1 messages and the queue behind it. Does not own: the
connection. Sizes in bytes.

A session lives as long as its connection, so nothing is ever sent a second time: what a device did
not acknowledge ends with the connection.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from vpg.service.mqtt.codec import encode
from vpg.service.mqtt.packets import Publish

if TYPE_CHECKING:
    from collections.abc import Callable

WINDOW: Final = 32
"""QoS 1 messages that a device has not acknowledged."""
QUEUE_MESSAGES_MAX: Final = 100
QUEUE_BYTES_MAX: Final = 262_144
_ID_MAX: Final = 65_535


class Outgoing:
    """QoS 1 messages of one device."""

    __slots__ = ("_bytes", "_last_id", "_queue", "_unacknowledged", "_write")

    def __init__(self, write: Callable[[bytes], None]) -> None:
        """Send by ``write``."""
        self._write = write
        self._unacknowledged: set[int] = set()
        self._queue: deque[tuple[str, bytes]] = deque()
        self._bytes = 0
        self._last_id = 0

    @property
    def idle(self) -> bool:
        """Whether nothing is on its way."""
        return not self._unacknowledged and not self._queue

    def offer(self, topic: str, payload: bytes, *, may_write: bool) -> bool:
        """Send a message or queue it; return False if there is no room: the device is too slow."""
        if may_write and not self._queue and len(self._unacknowledged) < WINDOW:
            self._send(topic, payload)
            return True
        size = len(topic) + len(payload)
        full = len(self._queue) >= QUEUE_MESSAGES_MAX or self._bytes + size > QUEUE_BYTES_MAX
        if full:
            return False
        self._queue.append((topic, payload))
        self._bytes += size
        return True

    def acknowledged(self, packet_id: int) -> None:
        """Make room; an id that nobody waits for is ignored."""
        self._unacknowledged.discard(packet_id)

    def pump(self) -> None:
        """Send of the queue what fits into the window."""
        while self._queue and len(self._unacknowledged) < WINDOW:
            topic, payload = self._queue.popleft()
            self._bytes -= len(topic) + len(payload)
            self._send(topic, payload)

    def _send(self, topic: str, payload: bytes) -> None:
        packet_id = self._last_id
        while True:
            packet_id = packet_id % _ID_MAX + 1
            if packet_id not in self._unacknowledged:
                break
        self._last_id = packet_id
        self._unacknowledged.add(packet_id)
        self._write(encode(Publish(topic=topic, payload=payload, qos=1, packet_id=packet_id)))
