"""The two ASGI applications of the service: its API, and its entry points by port.

Owns: which application a request belongs to. Does not own: any answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vpg.service.http.answers import fault
from vpg.service.http.api import api
from vpg.service.http.entry import Entry
from vpg.service.http.hot import UsageEvents

if TYPE_CHECKING:
    from vpg.service.http.answers import App, Receive, Scope, Send
    from vpg.service.parts import Parts

HTTP_ENTRIES: Final = ("beam", "funnel", "funk", "unified")
_PATH: Final = "/v1/usage-events"
_NOWHERE: Final = fault(404, "not_found", "nothing listens here")


class Api:
    """The API: usage events the short way, everything else by Starlette."""

    def __init__(self, parts: Parts) -> None:
        """Answer for ``parts``."""
        self.hot = UsageEvents(parts)
        """A connection that knows a request for it may go there directly."""
        self._rest = api(parts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["path"] == _PATH and scope["method"] == "POST":
            await self.hot(scope, receive, send)
        else:
            await self._rest(scope, receive, send)


def api_app(parts: Parts) -> App:
    """Return the API."""
    return Api(parts)


def entry_app(parts: Parts) -> App:
    """Return the entry points; ``parts.entries`` says which port is which."""
    entries = {name: Entry(parts, name) for name in HTTP_ENTRIES}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        name = parts.entries.get(scope["server"][1] or 0, "")
        entry = entries.get(name)
        if entry is None:
            await _NOWHERE(send)
        else:
            await entry(scope, receive, send)

    return app
