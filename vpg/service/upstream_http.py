"""An HTTP server behind a VPG: one bounded exchange for each request.

Owns: the exchange, its bounds and its deadline. Does not own: what a failure means for the device
or the bill. Redirects are not followed and proxies of the environment not used: the request goes to
the server that was configured, or nowhere. Times: seconds of this machine.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import httpx

from vpg.service.upstream_link import FAILED, UpstreamAnswer, back, onward, told

if TYPE_CHECKING:
    from vpg.service.upstream_link import Headers, Line

ANSWER_BYTES_MAX: Final = 1_048_576
"""A longer answer counts as none: a gateway must not keep what an upstream sends without end."""
CONNECTIONS: Final = 100
IDLE_CONNECTIONS: Final = 20
IDLE_S: Final = 5.0
SERVER_ERROR: Final = 500
_PATH: Final = "!$%&'()*+,-./:;=?@_~"


class HttpUpstream:
    """Sends to one base URL."""

    def __init__(self, url: str) -> None:
        """Send to ``url``; a request's path is appended to its path."""
        self._base = httpx.URL(url)
        self._client: httpx.AsyncClient | None = None

    async def start(self) -> None:
        """Make the pool."""
        self._client = httpx.AsyncClient(
            limits=httpx.Limits(
                max_connections=CONNECTIONS,
                max_keepalive_connections=IDLE_CONNECTIONS,
                keepalive_expiry=IDLE_S,
            ),
            follow_redirects=False,
            trust_env=False,
            headers={"accept-encoding": "identity", "user-agent": "vpg"},
        )

    async def stop(self) -> None:
        """Close every connection."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def send(  # noqa: PLR0917 - one exchange, in the order of its parts
        self,
        line: Line,
        service: str,
        target: str,
        body: bytes,
        headers: Headers = (),
        timeout_s: float = 30.0,
        method: str = "POST",
    ) -> UpstreamAnswer:
        """Send one request; a status of 500 and above, or none, is a failure."""
        client = self._client
        if client is None:
            return FAILED
        try:
            async with asyncio.timeout(timeout_s):
                request = client.build_request(
                    method,
                    self._base.copy_with(raw_path=self._path(target)),
                    content=body,
                    headers=[*onward(headers), *told(line, service)],
                    timeout=timeout_s,
                )
                return await _exchange(client, request)
        except (TimeoutError, OSError, httpx.HTTPError, httpx.InvalidURL, httpx.StreamError):
            return FAILED
        except RuntimeError:  # the pool was closed meanwhile: the service ends
            return FAILED

    def _path(self, target: str) -> bytes:
        """Return the path to ask for: below the base, whatever dots the device sends."""
        path, mark, query = quote("/" + target.lstrip("/"), safe=_PATH).partition("?")
        base = self._base.raw_path.partition(b"?")[0].rstrip(b"/")
        return base + (_without_dots(path) + mark + query).encode()


def _without_dots(path: str) -> str:
    """Return ``path`` without its dot segments. Source: RFC 3986 section 5.2.4.

    >>> _without_dots("/a/./b/../../../c"), _without_dots("/%2E%2e/d/"), _without_dots("/...")
    ('/c', '/d/', '/...')
    """
    kept: list[str] = []
    for segment in path.split("/")[1:]:
        plain = segment.lower().replace("%2e", ".")
        if plain == "..":
            kept = kept[:-1]
        elif plain != ".":
            kept.append(segment)
    return "/" + "/".join(kept)


async def _exchange(client: httpx.AsyncClient, request: httpx.Request) -> UpstreamAnswer:
    response = await client.send(request, stream=True)
    try:
        body = bytearray()
        async for part in response.aiter_raw():
            body += part
            if len(body) > ANSWER_BYTES_MAX:
                return FAILED
    finally:
        await response.aclose()
    return UpstreamAnswer(
        ok=response.status_code < SERVER_ERROR,
        status=response.status_code,
        body=bytes(body),
        headers=back(response.headers.raw),
    )
