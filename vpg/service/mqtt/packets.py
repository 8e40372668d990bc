"""The packets of MQTT 3.1.1 as values, both directions.

Owns: what a packet says. Does not own: its bytes (``codec``) or what an endpoint does with it.
Source: MQTT Version 3.1.1, OASIS Standard, chapters 2 and 3.
"""

from __future__ import annotations

import enum
from typing import Final

from msgspec import Struct

LEVEL_3_1_1: Final = 4


class Refusal(enum.IntEnum):
    """Return codes of CONNACK (table 3.1)."""

    ACCEPTED = 0
    PROTOCOL_LEVEL = 1
    IDENTIFIER = 2
    UNAVAILABLE = 3
    BAD_CREDENTIALS = 4
    NOT_AUTHORISED = 5


SUBSCRIPTION_REFUSED: Final = 0x80


class Will(Struct, frozen=True, kw_only=True, gc=False):
    """What is published for a client that ends without saying so."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False


class Connect(Struct, frozen=True, kw_only=True, gc=False):
    """CONNECT; of another level than 3.1.1 only ``level`` is read."""

    client_id: str = ""
    clean_session: bool = True
    keep_alive_s: int = 0
    will: Will | None = None
    username: str | None = None
    password: bytes | None = None
    level: int = LEVEL_3_1_1


class Connack(Struct, frozen=True, kw_only=True, gc=False):
    """CONNACK."""

    code: int = 0
    session_present: bool = False


class Publish(Struct, frozen=True, kw_only=True, gc=False):
    """PUBLISH; ``packet_id`` is 0 at QoS 0."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    dup: bool = False
    packet_id: int = 0


class Puback(Struct, frozen=True, gc=False):
    """PUBACK: the end of a QoS 1 exchange."""

    packet_id: int


class Pubrec(Struct, frozen=True, gc=False):
    """PUBREC: part of QoS 2."""

    packet_id: int


class Pubrel(Struct, frozen=True, gc=False):
    """PUBREL: part of QoS 2."""

    packet_id: int


class Pubcomp(Struct, frozen=True, gc=False):
    """PUBCOMP: part of QoS 2."""

    packet_id: int


class Subscribe(Struct, frozen=True, kw_only=True, gc=False):
    """SUBSCRIBE: (filter, QoS asked for) each."""

    packet_id: int
    filters: tuple[tuple[str, int], ...]


class Suback(Struct, frozen=True, kw_only=True, gc=False):
    """SUBACK: the QoS granted, or ``SUBSCRIPTION_REFUSED``, each."""

    packet_id: int
    codes: tuple[int, ...]


class Unsubscribe(Struct, frozen=True, kw_only=True, gc=False):
    """UNSUBSCRIBE."""

    packet_id: int
    filters: tuple[str, ...]


class Unsuback(Struct, frozen=True, gc=False):
    """UNSUBACK."""

    packet_id: int


class Pingreq(Struct, frozen=True, gc=False):
    """PINGREQ."""


class Pingresp(Struct, frozen=True, gc=False):
    """PINGRESP."""


class Disconnect(Struct, frozen=True, gc=False):
    """DISCONNECT."""


Packet = (
    Connect
    | Connack
    | Publish
    | Puback
    | Pubrec
    | Pubrel
    | Pubcomp
    | Subscribe
    | Suback
    | Unsubscribe
    | Unsuback
    | Pingreq
    | Pingresp
    | Disconnect
)
