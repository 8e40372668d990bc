"""Junction mirroring in the reference plane: copies to peers, lossy and counted.

Owns: which packets of a message reach which peer. The packet arithmetic is in
``vpg.gateway.junction``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scenarios.model import MILLION
from sim.traffic.laws import below
from vpg.gateway import junction

if TYPE_CHECKING:
    from scenarios.model import MirrorPeer, Vpg
    from sim.plane.message import Message
    from sim.plane.session import SessionSide
    from sim.plane.tally import Tally

_WORDS_A_CALL = 4


class _Peer:
    __slots__ = ("down", "index", "peer", "used_bytes", "window_s")

    def __init__(self, index: int, peer: MirrorPeer) -> None:
        self.index = index
        self.peer = peer
        self.window_s = -1
        self.used_bytes = 0
        self.down = 0
        """Faults in force."""


class Mirror:
    """The mirroring of one VPG."""

    def __init__(self, vpg: Vpg) -> None:
        """Prepare the peers; copies are made while ``on``."""
        self._vpg = vpg
        self._peers = [
            _Peer(index, peer) for index, peer in enumerate(vpg.mirror_peers) if peer.enabled
        ]
        self.on = vpg.mirroring

    def fault(self, ip: str, change: int) -> None:
        """Begin (+1) or end (-1) a fault of the peer at ``ip``."""
        for peer in self._peers:
            if peer.peer.ip == ip:
                peer.down += change

    def copy(
        self,
        line: SessionSide,
        tally: Tally,
        now_us: int,
        message: Message,
        *,
        answer_bytes: int | None,
    ) -> None:
        """Copy one try of ``message``: its request, or the answer of ``answer_bytes``."""
        vpg = self._vpg
        payload_bytes = message.bytes_up if answer_bytes is None else answer_bytes
        way = 0 if answer_bytes is None else 1
        room_bytes = vpg.mtu_bytes - vpg.header_bytes
        count = junction.packets(
            payload_bytes, vpg.message_overhead_bytes, vpg.mtu_bytes, vpg.header_bytes
        )
        content_bytes = payload_bytes + vpg.message_overhead_bytes
        for peer in self._peers:
            left_bytes = content_bytes
            for packet in range(count):
                part_bytes = min(left_bytes, room_bytes)
                left_bytes -= part_bytes
                outer_bytes = part_bytes + vpg.header_bytes + junction.GRE_BYTES
                lost = self._is_full(peer, now_us, outer_bytes) or (
                    peer.peer.loss_ppm > 0 and _is_lost(peer, line, message, 2 * packet + way)
                )
                if lost:
                    tally.mirror_dropped += 1
                else:
                    tally.bytes_mirrored += outer_bytes

    @staticmethod
    def _is_full(peer: _Peer, now_us: int, outer_bytes: int) -> bool:
        if peer.down:
            return True
        capacity = peer.peer.capacity_bytes_per_s
        if capacity is None:
            return False
        peer.window_s, peer.used_bytes, taken = junction.peer_take(
            peer.window_s, peer.used_bytes, now_us, capacity, outer_bytes
        )
        return not taken


def _is_lost(peer: _Peer, line: SessionSide, message: Message, which: int) -> bool:
    where = message.origin.mirror_place | (peer.index << 40)
    serial = (message.tries << 20) | (which // _WORDS_A_CALL)
    words = line.draws.words(line.index, where, message.number, serial)
    return below(words[which % _WORDS_A_CALL], MILLION) < peer.peer.loss_ppm
