"""What lies behind a VPG: nothing, an HTTP server or an MQTT broker.

Owns: which kind a URL means. Does not own: their exchanges
(``upstream_http``, ``upstream_mqtt``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpg.service.upstream_http import HttpUpstream
from vpg.service.upstream_link import NoUpstream, UpstreamAnswer, UpstreamLink
from vpg.service.upstream_mqtt import MqttUpstream

if TYPE_CHECKING:
    from vpg.service.log import Log

__all__ = ["UpstreamAnswer", "UpstreamLink", "make_upstream"]


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
