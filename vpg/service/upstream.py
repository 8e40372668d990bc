"""What lies behind a VPG: nothing, an HTTP server or an MQTT broker.

Owns: which kind a URL means. Does not own: their exchanges
(``upstream_http``, ``upstream_mqtt``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx

from vpg.errors import InputError, Problem
from vpg.service.upstream_http import HttpUpstream
from vpg.service.upstream_link import NoUpstream, UpstreamAnswer, UpstreamLink
from vpg.service.upstream_mqtt import MqttUpstream

if TYPE_CHECKING:
    from vpg.service.log import Log

__all__ = ["UpstreamAnswer", "UpstreamLink", "make_upstream"]


def make_upstream(url: str, *, name: str, log: Log) -> UpstreamLink:
    """Return the link to ``url`` (``vpg.service.values.Upstream.url``); start it before use.

    ``name`` is the client id at a broker: it must differ between service processes, else they
    would throw each other out. Raises ``InputError`` (VPG1860) for a URL that leads nowhere.
    """
    if not url:
        return NoUpstream()
    try:
        return _made(url, name, log)
    except (ValueError, httpx.InvalidURL) as wrong:
        # A password may stand before the @: it is not told.
        values = {"value": url.rpartition("@")[2], "reason": str(wrong)}
        raise InputError([Problem(code="VPG1860", values=values)]) from wrong


def _made(url: str, name: str, log: Log) -> UpstreamLink:
    parts = urlsplit(url)
    if not parts.hostname or parts.port == 0:
        raise ValueError("no host, or port 0")
    if parts.scheme in {"http", "https"}:
        return HttpUpstream(url)
    if parts.scheme == "mqtt":
        return MqttUpstream(url, name=name, log=log)
    raise ValueError("neither http, https nor mqtt")
