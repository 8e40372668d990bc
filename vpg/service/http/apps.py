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


def api_app(parts: Parts) -> App:
    """Return the API: usage events the short way, everything else by Starlette."""
    hot, rest = UsageEvents(parts), api(parts)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == _PATH and scope["method"] == "POST":
            await hot(scope, receive, send)
        else:
            await rest(scope, receive, send)

    return app


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
