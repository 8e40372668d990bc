"""What lies behind each VPG: nothing, an HTTP server or an MQTT broker.

Owns: which kind a URL means, and one link for each VPG. Does not own: their exchanges
(``upstream_http``, ``upstream_mqtt``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpg.service.upstream_http import HttpUpstream
from vpg.service.upstream_link import NoUpstream, UpstreamAnswer, UpstreamLink
from vpg.service.upstream_mqtt import MqttUpstream

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vpg.service.log import Log
    from vpg.service.upstream_link import Headers, Line
    from vpg.service.values import VpgOrder

__all__ = ["UpstreamAnswer", "UpstreamLink", "Upstreams", "make_upstream"]


def make_upstream(url: str, *, name: str, log: Log) -> UpstreamLink:
    """Return the link to ``url`` (``vpg.service.values.Upstream.url``); start it before use.

    ``name`` is the client id at a broker: it must differ between service processes, else they
    would throw each other out.
    """
    if not url:
        return NoUpstream()
    if url.startswith(("http://", "https://")):
        return HttpUpstream(url)
    return MqttUpstream(url, name=name, log=log)


class Upstreams:
    """The links of a service, by VPG."""

    def __init__(self, orders: Iterable[VpgOrder] = (), *, name: str, log: Log) -> None:
        """Make a link for each of ``orders``; ``name`` tells this service process from others."""
        self._name = name
        self._log = log
        self._started = False
        self._none = NoUpstream()
        self._links = {order.id: self._made(order) for order in orders}

    def _made(self, order: VpgOrder) -> UpstreamLink:
        name = f"{self._name}-{order.id}"
        return make_upstream(order.upstream.url, name=name, log=self._log)

    def link(self, vpg_id: str) -> UpstreamLink:
        """Return the link of a VPG; of one that was never ordered: nothing lies behind it."""
        return self._links.get(vpg_id, self._none)

    async def start(self) -> None:
        """Start every link."""
        self._started = True
        for link in self._links.values():
            await link.start()

    async def stop(self) -> None:
        """Stop every link; what is under way fails."""
        self._started = False
        for link in self._links.values():
            await link.stop()

    async def add(self, order: VpgOrder) -> None:
        """Know a VPG that was ordered since."""
        old, new = self._links.get(order.id), self._made(order)
        self._links[order.id] = new
        if self._started:
            await new.start()
            if old is not None:
                await old.stop()

    async def send(
        self,
        line: Line,
        service: str,
        target: str,
        body: bytes,
        *,
        headers: Headers = (),
        timeout_s: float = 30.0,
        method: str = "POST",
    ) -> UpstreamAnswer:
        """Send to what lies behind the line's VPG; never raises for trouble of the network."""
        return await self.link(line.entry.vpg_id).send(
            line, service, target, body, headers=headers, timeout_s=timeout_s, method=method
        )
