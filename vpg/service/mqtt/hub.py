"""Who of a VPG takes which messages, and what its broker is asked for on their behalf.

Owns: the subscriptions of one VPG. Does not own: connections, or the way to the broker. Where
nothing lies behind the VPG its devices hear each other; behind an HTTP server there is nobody to
hear.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vpg.service.mqtt.codec import encode
from vpg.service.mqtt.packets import Publish
from vpg.service.mqtt.topics import LEVELS_MAX, Subscriptions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vpg.service.mqtt.connection import Connection
    from vpg.service.upstream_mqtt import MqttUpstream

_SHARED: Final = "$share/"
"""A broker hands such messages to one of several: which of a VPG's devices is not in them."""


class Hub:
    """The subscriptions of one VPG."""

    def __init__(self, broker: MqttUpstream | None, *, local: bool) -> None:
        """Pass them to ``broker``, or hear each other (``local``), or neither."""
        self.broker = broker
        self.local = local
        self._subscriptions: Subscriptions[Connection] = Subscriptions()
        if broker is not None:
            broker.handed_down = self.hand_down

    def may_subscribe(self, pattern: str) -> bool:
        """Return whether anything can come of a valid filter."""
        if self.broker is None and not self.local:
            return False
        return not pattern.startswith(_SHARED) and pattern.count("/") < LEVELS_MAX

    def subscribe(self, who: Connection, pattern: str, qos: int) -> bool:
        """Subscribe; return whether the broker has to be asked."""
        return self._subscriptions.add(who, pattern, qos) and self.broker is not None

    def unsubscribe(self, who: Connection, patterns: Iterable[str]) -> list[str]:
        """End subscriptions; return what the broker has to be told."""
        ended = [one for one in patterns if self._subscriptions.remove(who, one)]
        return ended if self.broker is not None else []

    def hand_down(self, topic: str, payload: bytes, qos: int) -> None:
        """Give a message to whoever takes it, at the lower QoS of message and subscription."""
        takers = self._subscriptions.of(topic)
        if takers:
            plain = encode(Publish(topic=topic, payload=payload))
            for who, granted in takers.items():
                who.deliver(topic, payload, min(qos, granted), plain)
