"""Junction: packets and bytes of a message inside the tunnel, and of its mirrored copies.

Owns: the packet arithmetic of mirroring and what a peer of limited capacity can take. Does not own:
which traffic is mirrored (A-35), loss draws (``sim``) or the price (``vpg.rating``). Units: bytes,
packets; ``t_us`` is ``SimUs``. Plain functions over integers that Numba compiles unchanged.
"""

from __future__ import annotations

from typing import Final

GRE_BYTES: Final = 24
"""Outer IPv4 header (20) and GRE base header (4). Source: RFC 791, RFC 2784."""
INSPECTION_UNIT_LINES: Final = 10_000
"""Lines that one unit of inspection covers in a charging hour. Source: VPG terms, price table."""
_SECOND_US: Final = 1_000_000


def packets(payload_bytes: int, overhead_bytes: int, mtu_bytes: int, header_bytes: int) -> int:
    """Return the packets of one message in one direction.

    ceil((payload + overhead) / (MTU − headers)). A direction without a byte has no packet.
    ``mtu_bytes`` > ``header_bytes`` (callers check).

    >>> packets(0, 0, 1500, 40), packets(1460, 0, 1500, 40), packets(1400, 61, 1500, 40)
    (0, 1, 2)
    """
    room_bytes = mtu_bytes - header_bytes
    return (payload_bytes + overhead_bytes + room_bytes - 1) // room_bytes


def inner_bytes(payload_bytes: int, overhead_bytes: int, mtu_bytes: int, header_bytes: int) -> int:
    """Return the bytes of these packets in the tunnel: payload, overhead, each packet's headers.

    >>> inner_bytes(1461, 0, 1500, 40)
    1541
    """
    room_bytes = mtu_bytes - header_bytes
    content_bytes = payload_bytes + overhead_bytes
    return content_bytes + (content_bytes + room_bytes - 1) // room_bytes * header_bytes


def mirrored_bytes(
    payload_bytes: int, overhead_bytes: int, mtu_bytes: int, header_bytes: int
) -> int:
    """Return the bytes sent to one mirroring peer: inner bytes + 24 (GRE) a packet.

    For one direction of one message.

    >>> mirrored_bytes(1461, 0, 1500, 40)
    1589
    """
    room_bytes = mtu_bytes - header_bytes
    content_bytes = payload_bytes + overhead_bytes
    count = (content_bytes + room_bytes - 1) // room_bytes
    return content_bytes + count * (header_bytes + GRE_BYTES)


def peer_take(
    window_s: int,
    used_bytes: int,
    t_us: int,
    capacity_bytes_per_s: int,
    packet_bytes: int,
) -> tuple[int, int, int]:
    """Send one mirrored packet to a peer; return (window_s, used_bytes, 1 or 0).

    1: taken, 0: dropped. The peer takes ``capacity_bytes_per_s`` in each UTC second and drops whole
    packets above it (A-20: no document gives a law, so the plainest one is used). The state starts
    as (-1, 0).

    >>> peer_take(-1, 0, 0, 1000, 600), peer_take(0, 600, 5, 1000, 600)
    ((0, 600, 1), (0, 600, 0))
    """
    now_s = t_us // _SECOND_US
    if now_s > window_s:
        window_s = now_s
        used_bytes = 0
    if used_bytes + packet_bytes <= capacity_bytes_per_s:
        return window_s, used_bytes + packet_bytes, 1
    return window_s, used_bytes, 0


def packet_bytes_at(
    index: int, payload_bytes: int, overhead_bytes: int, mtu_bytes: int, header_bytes: int
) -> int:
    """Return the size of the mirrored copy of packet ``index`` (from 0): all are full but the last.

    >>> [packet_bytes_at(i, 1461, 0, 1500, 40) for i in (0, 1)]
    [1524, 65]
    """
    room_bytes = mtu_bytes - header_bytes
    left_bytes = payload_bytes + overhead_bytes - index * room_bytes
    return min(left_bytes, room_bytes) + header_bytes + GRE_BYTES
