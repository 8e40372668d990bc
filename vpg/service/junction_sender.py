"""Junction mirroring on the wire: copies of packets to the peers, as GRE in UDP.

Owns: the bytes of a copy, and the socket that sends it. Does not own: which packets are copied to
whom, what a peer can take, or the count (``vpg.service.gateway``). Sizes in bytes.

A device never waits for its copies: they are queued as they are, built and sent between other work,
and dropped where the queue or the socket is full, counted. Of a message only the payload came by
here; what the gateway counts around it (headers, protocol overhead) is made up: an IPv4 header and
a TCP header with right checksums, and zeros for the overhead.

The outer headers are IPv4 (20) and UDP (8), by the kernel, and GRE (4). The hourly metrics count
the 24 bytes of GRE over IPv4 for each packet as the provider's tunnel has them: the UDP header is
this gateway's own, so that a receiver needs no privilege.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import struct
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vpg.service.gateway.answers import Copy
    from vpg.service.values import Peer

GRE_HEADER: Final = b"\x00\x00\x08\x00"
"""No checksum, key or sequence number; version 0; IPv4 inside. Source: RFC 2784 section 2."""
QUEUE_PACKETS_MAX: Final = 10_000
QUEUE_BYTES_MAX: Final = 16_777_216
TURN_PACKETS: Final = 64
"""Sent between two turns of the loop."""
IP_HEADER: Final = 20
_TCP_HEADER: Final = 20
_TCP_HEADER_MAX: Final = 60
_UDP_HEADER: Final = 8
_TTL: Final = 64
_TCP, _UDP, _EXPERIMENT = 6, 17, 253
_PUSH_ACK: Final = 0x18
_WINDOW: Final = 65_535
_DEVICE_PORT: Final = 49_152
_NO_OPERATION: Final = b"\x01"
_ALL: Final = 0xFFFF


class Crossing(NamedTuple):
    """One message that crossed the tunnel, as its copies need it."""

    vpg_id: str
    device: str
    """IPv4 address of the line."""
    entry: tuple[str, int]
    """IPv4 address and port of the entry point."""
    request: bytes
    answer: bytes
    overhead_bytes: int
    header_bytes: int
    """IP and transport header of each packet, as the VPG counts them."""


def checksum(data: bytes) -> int:
    """Return the Internet checksum. Source: RFC 1071.

    A number is its 16-bit digits' sum, modulo 65,535: which is what end-around carry computes.

    >>> hex(checksum(bytes.fromhex("0001f203f4f5f6f7")))
    '0x220d'
    """
    number = int.from_bytes(data + b"\x00" * (len(data) & 1), "big")
    rest = number % _ALL
    return _ALL - (rest or (_ALL if number else 0))


def ip_packet(source: str, target: str, protocol: int, number: int, content: bytes) -> bytes:
    """Return an IPv4 packet without options. Source: RFC 791 section 3.1."""
    addresses = ipaddress.IPv4Address(source).packed + ipaddress.IPv4Address(target).packed
    head = struct.pack(
        "!BBHHHBBH", 0x45, 0, IP_HEADER + len(content), number & _ALL, 0, _TTL, protocol, 0
    )
    right = checksum(head + addresses)
    return head[:10] + right.to_bytes(2, "big") + addresses + content


def inner_packet(crossing: Crossing, copy: Copy, number: int) -> bytes:
    """Return the packet inside the tunnel that ``copy`` means."""
    device, entry = (crossing.device, _DEVICE_PORT), crossing.entry
    start, target = (entry, device) if copy.answer else (device, entry)
    message = crossing.answer if copy.answer else crossing.request
    content = _part(message, copy.start - crossing.overhead_bytes, copy.length)
    transport = max(crossing.header_bytes - IP_HEADER, 0)
    ends = ipaddress.IPv4Address(start[0]).packed + ipaddress.IPv4Address(target[0]).packed
    if _TCP_HEADER <= transport <= _TCP_HEADER_MAX and transport % 4 == 0:
        protocol, segment = _TCP, _tcp(start[1], target[1], copy.start, transport, content)
        place = 16
    elif transport >= _UDP_HEADER:
        padding = b"\x00" * (transport - _UDP_HEADER)
        size = transport + len(content)
        head = struct.pack("!HHHH", start[1], target[1], size, 0)
        protocol, segment, place = _UDP, head + padding + content, 6
    else:
        padding = b"\x00" * transport
        return ip_packet(start[0], target[0], _EXPERIMENT, number, padding + content)
    pseudo = ends + struct.pack("!BBH", 0, protocol, len(segment))
    right = checksum(pseudo + segment) or (_ALL if protocol == _UDP else 0)
    segment = segment[:place] + right.to_bytes(2, "big") + segment[place + 2 :]
    return ip_packet(start[0], target[0], protocol, number, segment)


def _part(message: bytes, start: int, length: int) -> bytes:
    """Return ``length`` bytes from ``start`` on; what is before or behind the message is zeros."""
    before = min(max(-start, 0), length)
    part = message[max(start, 0) : max(start, 0) + length - before]
    return b"\x00" * before + part + b"\x00" * (length - before - len(part))


def _tcp(start: int, target: int, sequence: int, size: int, content: bytes) -> bytes:
    """Return a TCP segment whose checksum is still zero. Source: RFC 9293 section 3.1."""
    head = struct.pack(
        "!HHIIBBHHH", start, target, sequence & 0xFFFFFFFF, 0, size << 2, _PUSH_ACK, _WINDOW, 0, 0
    )
    return head + _NO_OPERATION * (size - _TCP_HEADER) + content


class JunctionSender:
    """Sends copies, between other work."""

    def __init__(self, dropped: Callable[[str, Peer], None]) -> None:
        """Tell ``dropped`` the VPG and the peer of each copy that could not be sent."""
        self._dropped = dropped
        self._queue: deque[tuple[Crossing, Copy]] = deque()
        self._bytes = 0
        self._number = 0
        self._socket: socket.socket | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._scheduled = False
        self._known: dict[str, bool] = {}
        self.sent = 0

    @property
    def waiting(self) -> int:
        """Copies that are not sent yet."""
        return len(self._queue)

    def start(self) -> None:
        """Open the socket; must be called on the loop."""
        self._loop = asyncio.get_running_loop()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)  # noqa: FBT003 - its only argument

    def stop(self) -> None:
        """Close the socket; what still waits is dropped."""
        loop, sock = self._loop, self._socket
        self._loop = self._socket = None
        while self._queue:
            self._drop(*self._queue.popleft())
        if loop is not None and sock is not None:
            loop.remove_writer(sock.fileno())
            sock.close()

    def send(self, crossing: Crossing, copies: Sequence[Copy]) -> None:
        """Queue ``copies``; returns at once."""
        for copy in copies:
            full = len(self._queue) >= QUEUE_PACKETS_MAX or self._bytes >= QUEUE_BYTES_MAX
            if full or self._loop is None or not self._sendable(copy.peer.ip):
                self._dropped(crossing.vpg_id, copy.peer)
                continue
            self._queue.append((crossing, copy))
            self._bytes += copy.length
        if self._queue and not self._scheduled and self._loop is not None:
            self._scheduled = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        loop, sock = self._loop, self._socket
        self._scheduled = False
        if loop is None or sock is None:
            return
        for _ in range(min(TURN_PACKETS, len(self._queue))):
            crossing, copy = self._queue[0]
            try:
                packet = GRE_HEADER + inner_packet(crossing, copy, self._number)
                sock.sendto(packet, (copy.peer.ip, copy.peer.port))
            except BlockingIOError:
                self._scheduled = True
                loop.add_writer(sock.fileno(), self._writable)
                return
            except (OSError, ValueError, struct.error):  # no route, too long, no IPv4 address
                self._drop(crossing, copy)
            else:
                self.sent += 1
                self._number += 1
            self._queue.popleft()
            self._bytes -= copy.length
        if self._queue:
            self._scheduled = True
            loop.call_soon(self._turn)

    def _writable(self) -> None:
        if self._loop is not None and self._socket is not None:
            self._loop.remove_writer(self._socket.fileno())
        self._turn()

    def _drop(self, crossing: Crossing, copy: Copy) -> None:
        self._dropped(crossing.vpg_id, copy.peer)

    def _sendable(self, ip: str) -> bool:
        """Return whether ``ip`` is an IPv4 address: a name would be looked up, and block."""
        known = self._known.get(ip)
        if known is None:
            try:
                known = bool(ipaddress.IPv4Address(ip))
            except ValueError:
                known = False
            self._known[ip] = known
        return known
