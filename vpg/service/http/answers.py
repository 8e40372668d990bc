"""What every HTTP answer of the service is made of: status, headers, JSON ``{code, message}``.

Owns: the shape of answers and errors, prebuilt where they are frequent. Does not own: which answer
a request gets (``hot``, ``entry``, ``api``). Times: ``Retry-After`` is whole seconds of this
machine, at least 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from vpg.service.ports import OverloadedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from vpg.service.ports import StoreTroubleError

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    App = Callable[[Scope, Receive, Send], Awaitable[None]]

JSON: Final = b"application/json"
OVERLOAD_RETRY_S: Final = 1
STORE_RETRY_S: Final = 5


class Fault(msgspec.Struct, frozen=True):
    """Body of every error: a word for programs and a sentence for people."""

    code: str
    message: str


WHOLE: Final = "vpg.answer"
"""Extension of the scope: a function that takes a whole ``Answer`` (``vpg.service.http.cycle``)."""


BODY: Final = "vpg.body"
"""Extension of the scope: a function that gives the whole body if it is there, else None."""


class Answer(NamedTuple):
    """One whole HTTP answer."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes = b""

    async def __call__(self, send: Send) -> None:
        """Send it as ASGI has it."""
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": self.body})


def plain(status: int, body: bytes, content_type: bytes = JSON) -> Answer:
    """Return an answer with a body."""
    length = str(len(body)).encode()
    return Answer(status, [(b"content-type", content_type), (b"content-length", length)], body)


def fault(status: int, code: str, message: str, *, retry_s: int | None = None) -> Answer:
    """Return an error; ``retry_s`` says after how many seconds coming back makes sense."""
    answer = plain(status, msgspec.json.encode(Fault(code, message)))
    if retry_s is not None:
        answer.headers.append((b"retry-after", str(max(1, retry_s)).encode()))
    return answer


NO_CONTENT: Final = Answer(204, [])
OVERLOADED: Final = fault(
    503,
    "overloaded",
    "too much waits for its commit; nothing was counted, send it again later",
    retry_s=OVERLOAD_RETRY_S,
)
STORE_TROUBLE: Final = fault(
    503,
    "store_trouble",
    "the store cannot commit at present; nothing was counted, send it again later",
    retry_s=STORE_RETRY_S,
)


def trouble(error: OverloadedError | StoreTroubleError) -> Answer:
    """Return what whoever asked is told of a commit that was not."""
    return OVERLOADED if isinstance(error, OverloadedError) else STORE_TROUBLE


class TooLargeError(Exception):
    """A body is larger than its bound."""


class GoneError(Exception):
    """The client went away before its body was whole."""


async def whole_body(receive: Receive, declared: int | None, bound: int) -> bytes:
    """Return a request's body; raises ``TooLargeError`` beyond ``bound`` bytes, ``GoneError``.

    A body that says beforehand that it is too large is not read at all.
    """
    if declared is not None and declared > bound:
        raise TooLargeError
    message = await receive()
    if message["type"] == "http.disconnect":
        raise GoneError
    body: bytes = message.get("body", b"")
    if len(body) > bound:
        raise TooLargeError
    if not message.get("more_body", False):
        return body
    parts, size = [body], len(body)
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise GoneError
        part: bytes = message.get("body", b"")
        parts.append(part)
        size += len(part)
        if size > bound:
            raise TooLargeError
        if not message.get("more_body", False):
            return b"".join(parts)
