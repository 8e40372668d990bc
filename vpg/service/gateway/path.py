"""What lies behind the limiter of one VPG: the emulated way upstream, and copies to peers.

Owns: delays, faults and failures of the emulated upstream and redirection, and which packets a
mirroring peer is sent. Does not own: a real upstream (``vpg.service.upstream``), the packets' bytes
on a wire (``vpg.service.junction_sender``) or the arithmetic (``vpg.gateway.junction``). Times:
durations in µs; ``now_us`` is ``SimUs``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpg.gateway import junction
from vpg.rating.hourly import SERVICES
from vpg.service.gateway.answers import Copy

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from vpg.service.gateway.lines import Line
    from vpg.service.gateway.seconds import Seconds
    from vpg.service.ports import Chance
    from vpg.service.values import Peer, VpgOrder


class Upstream:
    """The emulated way of an admitted request."""

    def __init__(self, order: VpgOrder, chance: Chance) -> None:
        """Begin without faults."""
        self._order = order
        self._chance = chance
        self.redirecting = order.state.redirection
        self._redirection_down = 0
        self._down = [0] * len(SERVICES)
        self._slow_us = [0] * len(SERVICES)
        self.plain = True
        """Nothing to compute: every request arrives at once."""
        self.refresh()

    def refresh(self) -> None:
        """Recompute what a request meets."""
        redirected_us = self._order.redirection_delay_us if self.redirecting else 0
        base_us = self._order.upstream.delay_us + redirected_us
        self._path_us = [base_us + slow_us for slow_us in self._slow_us]
        broken = self.redirecting and self._redirection_down > 0
        self._path_down = [broken or count > 0 for count in self._down]
        failing = bool(self._order.upstream.failure_ppm)
        self.plain = not (failing or any(self._path_us) or any(self._path_down))

    def fault(self, services: Iterable[str], change: int, slower_us: int | None) -> None:
        """Begin (+1) or end (-1) that ``services`` are slower; ``None``: do not work at all."""
        for name in services:
            service = SERVICES.index(name)
            if slower_us is None:
                self._down[service] += change
            else:
                self._slow_us[service] += change * slower_us
        self.refresh()

    def redirection_fault(self, change: int) -> None:
        """Begin (+1) or end (-1) a fault of the redirection server."""
        self._redirection_down += change
        self.refresh()

    def go(self, line: Line, service: int) -> tuple[bool, int]:
        """Send a request: return (fails, µs until the answer or the failure)."""
        if self._path_down[service]:
            return True, 0
        upstream = self._order.upstream
        delay_us = self._path_us[service]
        if delay_us > upstream.timeout_us:
            return True, upstream.timeout_us
        if upstream.failure_ppm:
            line.serial += 1
            failing = self._chance.hits(
                upstream.failure_ppm, "upstream", line.entry.sim_id, line.serial
            )
            return failing, delay_us
        return False, delay_us


class _Peer:
    __slots__ = ("down", "peer", "used_bytes", "what", "window_s")

    def __init__(self, index: int, peer: Peer) -> None:
        self.peer = peer
        self.what = f"mirror/{index}"
        self.window_s = -1
        self.used_bytes = 0
        self.down = 0


class Mirror:
    """The copies of one VPG's traffic."""

    def __init__(self, order: VpgOrder, chance: Chance, seconds: Seconds) -> None:
        """Prepare the peers that are enabled; copies are made while ``on``."""
        self._order = order
        self._chance = chance
        self._seconds = seconds
        self._peers = [_Peer(n, peer) for n, peer in enumerate(order.peers) if peer.enabled]
        self.on = order.state.mirroring

    def fault(self, ip: str, change: int) -> None:
        """Begin (+1) or end (-1) that the peer at ``ip`` receives nothing."""
        for peer in self._peers:
            if peer.peer.ip == ip:
                peer.down += change

    def copy(
        self, line: Line, now_us: int, request_bytes: int, answer_bytes: int | None
    ) -> list[Copy]:
        """Copy one request and its answer (None: there was none): return what is to be sent."""
        line.serial += 1
        sent = list(self._way(line, now_us, request_bytes, 0))
        if answer_bytes is not None:
            sent += self._way(line, now_us, answer_bytes, 1)
        return sent

    def _way(self, line: Line, now_us: int, payload_bytes: int, way: int) -> Iterator[Copy]:
        order, seconds = self._order, self._seconds
        room_bytes = order.mtu_bytes - order.header_bytes
        content_bytes = payload_bytes + order.message_overhead_bytes
        count = junction.packets(
            payload_bytes, order.message_overhead_bytes, order.mtu_bytes, order.header_bytes
        )
        for peer in self._peers:
            for packet in range(count):
                start = packet * room_bytes
                length = min(content_bytes - start, room_bytes)
                outer_bytes = length + order.header_bytes + junction.GRE_BYTES
                if self._is_lost(peer, line, now_us, outer_bytes, 2 * packet + way):
                    seconds.dropped += 1
                else:
                    seconds.mirrored_bytes += outer_bytes
                    yield Copy(peer.peer, bool(way), start, length)

    def _is_lost(self, peer: _Peer, line: Line, now_us: int, outer_bytes: int, which: int) -> bool:
        if peer.down:
            return True
        capacity = peer.peer.capacity_bytes_per_s
        if capacity is not None:
            peer.window_s, peer.used_bytes, taken = junction.peer_take(
                peer.window_s, peer.used_bytes, now_us, capacity, outer_bytes
            )
            if not taken:
                return True
        share_ppm = peer.peer.loss_ppm
        serial = (line.serial << 20) | which
        return share_ppm > 0 and self._chance.hits(share_ppm, peer.what, line.entry.sim_id, serial)
