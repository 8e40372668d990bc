"""Bytes to packets and back, MQTT 3.1.1, without input or output.

Owns: the wire format and its strictness: reserved bits, lengths, UTF-8, packet bounds. Does not
own: the order of packets or what they lead to (``endpoint``). Source: MQTT Version 3.1.1, OASIS
Standard, chapters 2 and 3; section numbers below are its own.

Stricter than it must be in one thing that 1.5.3 allows: text with control characters is refused,
since topics and client ids travel on to logs, URLs and brokers.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from vpg.errors import VpgError
from vpg.service.mqtt.packets import (
    LEVEL_3_1_1,
    Connack,
    Connect,
    Disconnect,
    Pingreq,
    Pingresp,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Will,
)
from vpg.service.mqtt.topics import valid_filter, valid_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from vpg.service.mqtt.packets import Packet

PACKET_BYTES_MAX: Final = 268_435_460
"""The largest packet that the format can carry: header, four bytes of length, 268,435,455."""
TEXT_BYTES_MAX: Final = 65_535
PINGRESP: Final = b"\xd0\x00"
_LENGTH_BYTES_MAX: Final = 4
_LENGTH_MAX: Final = 268_435_455
_QOS_MAX: Final = 2
_SUBACK_CODES: Final = frozenset({0, 1, 2, 0x80})
_CONNACK_CODE_MAX: Final = 5
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f]")
# Types by number (2.2.1) and the flags that each must have (2.2.2); PUBLISH has its own.
_CONNECT, _CONNACK, _PUBLISH = 1, 2, 3
_FLAGS: Final = {1: 0, 2: 0, 4: 0, 5: 0, 6: 2, 7: 0, 8: 2, 9: 0, 10: 2, 11: 0, 12: 0, 13: 0, 14: 0}


class MqttError(VpgError):
    """Bytes that are no MQTT 3.1.1; the connection they came by cannot go on."""


class OversizeError(MqttError):
    """A packet larger than the decoder takes."""


class Decoder:
    """Packets out of a stream of bytes that comes in any pieces."""

    __slots__ = ("_buffer", "_bytes_max")

    def __init__(self, bytes_max: int = PACKET_BYTES_MAX) -> None:
        """Take packets of at most ``bytes_max`` bytes, fixed header included."""
        self._bytes_max = bytes_max
        # Only a packet that came in part has a buffer: ten thousand idle sessions have none.
        self._buffer: bytearray | None = None

    @property
    def waiting_bytes(self) -> int:
        """Bytes that came and are in no packet taken yet."""
        return len(self._buffer) if self._buffer is not None else 0

    def feed(self, data: bytes) -> None:
        """Append ``data``."""
        if self._buffer is None:
            self._buffer = bytearray(data)
        else:
            self._buffer += data

    def take(self) -> Packet | None:
        """Return the next packet, None while it is not whole.

        Raises ``MqttError`` as soon as the bytes can be no packet (again at every further call).
        """
        buffer = self._buffer
        if not buffer:
            self._buffer = None
            return None
        first = buffer[0]
        kind = first >> 4
        if kind == _PUBLISH:
            if first & 6 == 6 or first & 14 == 8:  # noqa: PLR2004 - QoS 3; DUP at QoS 0 (3.3.1)
                raise MqttError(f"PUBLISH with flags {first & 15}")
        elif _FLAGS.get(kind) != first & 15:
            raise MqttError(f"packet type {kind} with flags {first & 15}")
        header = _length(buffer)
        if header is None:
            return None
        start, length = header
        if start + length > self._bytes_max:
            raise OversizeError(f"a packet of {start + length} bytes; {self._bytes_max} at most")
        if len(buffer) < start + length:
            return None
        body = bytes(buffer[start : start + length])
        packet = _publish(first, body) if kind == _PUBLISH else _READERS[kind](body)
        del buffer[: start + length]
        return packet


def _length(buffer: bytearray) -> tuple[int, int] | None:
    """Return where the body starts and its length (2.2.3); None: more bytes are needed."""
    length = 0
    for place in range(_LENGTH_BYTES_MAX):
        if place + 1 == len(buffer):
            return None
        byte = buffer[place + 1]
        length |= (byte & 127) << (7 * place)
        if byte < 128:  # noqa: PLR2004 - the bit that says: one more
            return place + 2, length
    raise MqttError("a remaining length of more than four bytes")


class _Body:
    """A packet's body, read from left to right."""

    __slots__ = ("_at", "_body")

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    def byte(self) -> int:
        return self._raw(1)[0]

    def number(self) -> int:
        return int.from_bytes(self._raw(2), "big")

    def packet_id(self) -> int:
        value = self.number()
        if not value:
            raise MqttError("packet identifier 0")  # 2.3.1
        return value

    def binary(self) -> bytes:
        return self._raw(self.number())

    def text(self) -> str:
        return _text(self.binary())

    def rest(self) -> bytes:
        rest = self._body[self._at :]
        self._at = len(self._body)
        return rest

    @property
    def more(self) -> bool:
        return self._at < len(self._body)

    def end(self) -> None:
        if self.more:
            raise MqttError(f"{len(self._body) - self._at} bytes after a packet's end")

    def _raw(self, size: int) -> bytes:
        part = self._body[self._at : self._at + size]
        if len(part) < size:
            raise MqttError("a packet shorter than what it holds")
        self._at += size
        return part


def _text(raw: bytes) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise MqttError("text that is not UTF-8") from None
    if _CONTROL.search(text):
        raise MqttError("text with control characters")
    return text


def _name(body: _Body) -> str:
    topic = body.text()
    if not valid_name(topic):
        raise MqttError("a topic name that is empty or has wildcards")
    return topic


def _connect(raw: bytes) -> Connect:
    body = _Body(raw)
    protocol, level = body.binary(), body.byte()
    if (protocol, level) != (b"MQTT", LEVEL_3_1_1):
        if protocol not in {b"MQTT", b"MQIsdp"}:
            raise MqttError("a CONNECT of another protocol")
        # What follows differs by level: it is not read, and the answer names the level (3.1.2.2).
        return Connect(level=level if protocol == b"MQTT" else 3)
    flags, keep_alive_s = body.byte(), body.number()
    will_flag, will_qos = flags & 4, flags >> 3 & 3
    if flags & 1 or will_qos > _QOS_MAX or (not will_flag and flags & 0x38):
        raise MqttError(f"CONNECT with flags {flags}")
    if flags & 0xC0 == 0x40:  # noqa: PLR2004 - a password without a user name (3.1.2.9)
        raise MqttError("CONNECT with a password and no user name")
    client_id = body.text()
    will = None
    if will_flag:
        topic = _name(body)
        payload = body.binary()
        will = Will(topic=topic, payload=payload, qos=will_qos, retain=bool(flags & 0x20))
    username = body.text() if flags & 0x80 else None
    password = body.binary() if flags & 0x40 else None
    body.end()
    return Connect(
        client_id=client_id,
        clean_session=bool(flags & 2),
        keep_alive_s=keep_alive_s,
        will=will,
        username=username,
        password=password,
    )


def _connack(raw: bytes) -> Connack:
    body = _Body(raw)
    flags, code = body.byte(), body.byte()
    body.end()
    if flags & 0xFE or code > _CONNACK_CODE_MAX or (flags and code):
        raise MqttError(f"CONNACK with flags {flags} and code {code}")
    return Connack(code=code, session_present=bool(flags))


def _publish(first: int, raw: bytes) -> Publish:
    body = _Body(raw)
    topic = _name(body)
    qos = first >> 1 & 3
    packet_id = body.packet_id() if qos else 0
    return Publish(
        topic=topic,
        payload=body.rest(),
        qos=qos,
        retain=bool(first & 1),
        dup=bool(first & 8),
        packet_id=packet_id,
    )


def _only_id(kind: Callable[[int], Packet]) -> Callable[[bytes], Packet]:
    def read(raw: bytes) -> Packet:
        body = _Body(raw)
        packet = kind(body.packet_id())
        body.end()
        return packet

    return read


def _bare(kind: Callable[[], Packet]) -> Callable[[bytes], Packet]:
    def read(raw: bytes) -> Packet:
        _Body(raw).end()
        return kind()

    return read


def _filter(body: _Body) -> str:
    pattern = body.text()
    if not valid_filter(pattern):
        raise MqttError("a topic filter that is empty or has wildcards out of place")
    return pattern


def _subscribe(raw: bytes) -> Subscribe:
    body = _Body(raw)
    packet_id = body.packet_id()
    filters = []
    while body.more:
        pattern, qos = _filter(body), body.byte()
        if qos > _QOS_MAX:
            raise MqttError(f"SUBSCRIBE with options {qos}")
        filters.append((pattern, qos))
    if not filters:
        raise MqttError("SUBSCRIBE without a filter")
    return Subscribe(packet_id=packet_id, filters=tuple(filters))


def _suback(raw: bytes) -> Suback:
    body = _Body(raw)
    packet_id, codes = body.packet_id(), tuple(body.rest())
    if not codes or not _SUBACK_CODES.issuperset(codes):
        raise MqttError("SUBACK without a code, or with an unknown one")
    return Suback(packet_id=packet_id, codes=codes)


def _unsubscribe(raw: bytes) -> Unsubscribe:
    body = _Body(raw)
    packet_id = body.packet_id()
    filters = []
    while body.more:
        filters.append(_filter(body))
    if not filters:
        raise MqttError("UNSUBSCRIBE without a filter")
    return Unsubscribe(packet_id=packet_id, filters=tuple(filters))


_READERS: Final[dict[int, Callable[[bytes], Packet]]] = {
    1: _connect,
    2: _connack,
    4: _only_id(Puback),
    5: _only_id(Pubrec),
    6: _only_id(Pubrel),
    7: _only_id(Pubcomp),
    8: _subscribe,
    9: _suback,
    10: _unsubscribe,
    11: _only_id(Unsuback),
    12: _bare(Pingreq),
    13: _bare(Pingresp),
    14: _bare(Disconnect),
}


def _framed(first: int, body: bytes) -> bytes:
    length = len(body)
    if length > _LENGTH_MAX:
        raise MqttError(f"a packet of {length} bytes")
    head = bytearray((first,))
    while length > 127:  # noqa: PLR2004 - seven bits a byte
        head.append(length & 127 | 128)
        length >>= 7
    head.append(length)
    return bytes(head) + body


def _prefixed(raw: bytes) -> bytes:
    if len(raw) > TEXT_BYTES_MAX:
        raise MqttError(f"{len(raw)} bytes where {TEXT_BYTES_MAX} fit")
    return len(raw).to_bytes(2, "big") + raw


def _with_id(first: int, packet_id: int, rest: bytes = b"") -> bytes:
    return _framed(first, packet_id.to_bytes(2, "big") + rest)


def _encode_publish(packet: Publish) -> bytes:
    first = 0x30 | packet.dup << 3 | packet.qos << 1 | packet.retain
    packet_id = packet.packet_id.to_bytes(2, "big") if packet.qos else b""
    return _framed(first, _prefixed(packet.topic.encode()) + packet_id + packet.payload)


def _encode_connect(packet: Connect) -> bytes:
    flags = packet.clean_session << 1
    payload = _prefixed(packet.client_id.encode())
    if packet.will is not None:
        flags |= 4 | packet.will.qos << 3 | packet.will.retain << 5
        payload += _prefixed(packet.will.topic.encode()) + _prefixed(packet.will.payload)
    if packet.username is not None:
        flags |= 0x80
        payload += _prefixed(packet.username.encode())
    if packet.password is not None:
        flags |= 0x40
        payload += _prefixed(packet.password)
    head = (
        _prefixed(b"MQTT") + bytes((packet.level, flags)) + packet.keep_alive_s.to_bytes(2, "big")
    )
    return _framed(0x10, head + payload)


def _encode_connack(packet: Connack) -> bytes:
    return bytes((0x20, 2, packet.session_present, packet.code))


def _encode_subscribe(packet: Subscribe) -> bytes:
    asked = (_prefixed(pattern.encode()) + bytes((qos,)) for pattern, qos in packet.filters)
    return _with_id(0x82, packet.packet_id, b"".join(asked))


def _encode_unsubscribe(packet: Unsubscribe) -> bytes:
    ended = (_prefixed(pattern.encode()) for pattern in packet.filters)
    return _with_id(0xA2, packet.packet_id, b"".join(ended))


_WRITERS: Final[dict[type, Callable[[Any], bytes]]] = {
    Connect: _encode_connect,
    Connack: _encode_connack,
    Publish: _encode_publish,
    Puback: lambda packet: _with_id(0x40, packet.packet_id),
    Pubrec: lambda packet: _with_id(0x50, packet.packet_id),
    Pubrel: lambda packet: _with_id(0x62, packet.packet_id),
    Pubcomp: lambda packet: _with_id(0x70, packet.packet_id),
    Subscribe: _encode_subscribe,
    Suback: lambda packet: _with_id(0x90, packet.packet_id, bytes(packet.codes)),
    Unsubscribe: _encode_unsubscribe,
    Unsuback: lambda packet: _with_id(0xB0, packet.packet_id),
    Pingreq: lambda _packet: b"\xc0\x00",
    Pingresp: lambda _packet: PINGRESP,
    Disconnect: lambda _packet: b"\xe0\x00",
}


def encode(packet: Packet) -> bytes:
    """Return the bytes of ``packet``; raises ``MqttError`` if it holds more than a packet can."""
    return _WRITERS[type(packet)](packet)
