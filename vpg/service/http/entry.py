"""The entry points of a VPG over HTTP: Beam, Funnel, Funk and the Unified Endpoint. Bare ASGI.

Owns: whose a request is, what an entry point takes (methods, bodies), the words of its answer. Does
not own: what becomes of the request (``vpg.service.exchange``). A line is known by its source
address, or by the header ``x-vpg-line`` (``simId`` or ``imsi``), which needs a token where the
service has tokens. Times: ``Retry-After`` is seconds of this machine.

What an entry point refuses by itself (401, 403 unknown line, 404, 405, 408, 413, 415, 400) has not
reached the VPG: it is neither counted nor limited. Source of limits and answers: the provider's
documents of Beam, Funnel and the Unified Endpoint (bodies of at most 65,536 and 800,000 bytes, 204,
400 for JSON that is none, 413; 200 ``ok`` and 207 ``ng``).
"""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import math
from typing import TYPE_CHECKING, Any, Final

import msgspec

from vpg.service.exchange import Asked, exchange
from vpg.service.http import answers
from vpg.service.http.answers import GoneError, TooLargeError, fault, plain, whole_body
from vpg.service.http.auth import FORBIDDEN, UNAUTHORIZED, may
from vpg.service.http.cycle import CUT
from vpg.service.ports import OverloadedError, StoreTroubleError

if TYPE_CHECKING:
    from vpg.service.exchange import Outcome
    from vpg.service.gateway.lines import Line
    from vpg.service.http.answers import Answer, Receive, Scope, Send
    from vpg.service.parts import Parts

LINE_HEADER: Final = b"x-vpg-line"
ANSWER_BYTES_HEADER: Final = b"x-vpg-answer-bytes"
ANSWER_BYTES_MAX: Final = 1_000_000
_OCTETS: Final = b"application/octet-stream"
_TYPES: Final = frozenset({b"", b"application/json", b"application/xml", b"text/xml"})
_UNKNOWN_LINE: Final = fault(403, "unknown_line", "no line is known by this address or name")
_NOT_FOUND: Final = fault(404, "not_found", "this entry point has one path: /")
_NOT_ALLOWED: Final = fault(405, "method_not_allowed", "this entry point takes POST")
_NOT_ALLOWED.headers.append((b"allow", b"POST"))
_MEDIA: Final = fault(415, "unsupported_media_type", "send JSON, XML or text")
_BAD_JSON: Final = fault(400, "malformed_json", "the body says it is JSON, and is none")
_ACCEPTED: Final = plain(200, b'{"result":"ok"}')
_HEADER: Final = fault(400, "header", "x-vpg-line and x-vpg-answer-bytes come once, as they should")
_FAILED: Final = fault(
    503, "upstream_failed", "the upstream failed or did not answer in time", retry_s=1
)
_REFUSED: Final = {
    "no_session": "the line has no session",
    "line_cap": "the VPG accommodates no more sessions",
    "setup_rate": "too many sessions are being set up",
    "inactive": "the line is inactive",
    "suspended": "the line is suspended",
    "terminated": "the line is terminated",
    "no_vpg": "the line's VPG does not exist",
}


class _CutError(Exception):
    """The connection is to be closed without an answer (A-03 ``reset``)."""


class _RefusedError(Exception):
    """The entry point itself refuses the request."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer


class Entry:
    """One entry point."""

    def __init__(self, parts: Parts, name: str) -> None:
        """Be the entry point ``name``: ``beam``, ``funnel``, ``funk`` or ``unified``."""
        self._parts = parts
        self._name: Any = name
        bounds = parts.bounds
        self._body_max = bounds.beam_body_bytes if name == "beam" else bounds.entry_body_bytes
        text = f"a request's body has at most {self._body_max} bytes here"
        self._too_large = fault(413, "too_large", text)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            answer = await self._answer(scope, receive)
        except _RefusedError as refused:
            answer = refused.answer
        except TooLargeError:
            answer = self._too_large
        except (OverloadedError, StoreTroubleError) as error:
            answer = answers.trouble(error)
        except GoneError:
            return
        except _CutError:
            await send({"type": CUT})
            return
        await answer(send)

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        if self._name != "beam" and (scope["path"] != "/" or scope["method"] != "POST"):
            return _NOT_FOUND if scope["path"] != "/" else _NOT_ALLOWED
        seen = _Seen(scope["headers"])
        line = self._line(scope, seen)
        body = await whole_body(receive, seen.declared, self._body_max)
        if self._name == "funnel":
            _check_funnel(seen, body)
        if self._name == "unified":
            return await self._unified(line, scope, seen, body)
        asked = self._asked(self._name, scope, seen, body)
        return self._told(await exchange(self._parts, line, asked))

    def _line(self, scope: Scope, seen: _Seen) -> Line:
        """Return whose request it is."""
        parts = self._parts
        if seen.wrong:
            raise _RefusedError(_HEADER)
        if seen.line is None:
            client = scope["client"]
            found = parts.gateway.line_at(client[0]) if client else None
            if found is None:
                raise _RefusedError(_UNKNOWN_LINE)
            return found
        speaker = parts.tokens.operator_in(scope["headers"])
        if speaker is None:
            raise _RefusedError(UNAUTHORIZED)
        found = parts.gateway.line_named(seen.line.decode("latin-1"))
        if found is None or not may(speaker, found.entry.operator_id):
            raise _RefusedError(_UNKNOWN_LINE if found is None else FORBIDDEN)
        return found

    def _asked(self, service: Any, scope: Scope, seen: _Seen, body: bytes) -> Asked:  # noqa: ANN401 - a service's name
        query = scope["query_string"]
        target = scope["raw_path"].decode("ascii")
        return Asked(
            service=service,
            target=f"{target}?{query.decode('ascii')}" if query else target,
            body=body,
            method=scope["method"],
            headers=scope["headers"],
            answer_bytes=seen.answer_bytes if service == "beam" else 0,
            entry=_address(scope),
        )

    def _told(self, outcome: Outcome) -> Answer:
        """Return what a device is told of the outcome."""
        if outcome.kind == "accepted":
            if self._name != "beam":
                return answers.NO_CONTENT
            return _passed_on(outcome)
        if outcome.kind == "failed_upstream":
            return _FAILED
        retry_s = self._retry_s(outcome)
        if outcome.kind == "no_session":
            text = _REFUSED.get(outcome.reason, "the line has no session")
            return fault(403, outcome.reason, text, retry_s=retry_s)
        if outcome.reason == "reset":
            raise _CutError
        return fault(429, "throttled", "more requests than the VPG takes", retry_s=retry_s or 1)

    def _retry_s(self, outcome: Outcome) -> int | None:
        if not outcome.retry_after_us:
            return None
        return max(1, math.ceil(self._parts.clock.wall_s(outcome.retry_after_us)))

    async def _unified(self, line: Line, scope: Scope, seen: _Seen, body: bytes) -> Answer:
        """Deliver to every service; one answer for all."""
        services = self._parts.unified_services
        results = await asyncio.gather(
            *(exchange(self._parts, line, self._asked(s, scope, seen, body)) for s in services),
            return_exceptions=True,
        )
        told = [self._part(result) for result in results]
        if all(status < 300 for status, _, _ in told):  # noqa: PLR2004 - the class of success
            return _ACCEPTED
        first = results[0]
        if {status for status, _, _ in told} in ({403}, {503}):
            if isinstance(first, BaseException):
                raise first
            return self._told(first)
        parts = {
            service: {"statusCode": status, **({"code": code} if code else {})}
            for service, (status, code, _) in zip(services, told, strict=True)
        }
        answer = plain(207, msgspec.json.encode({"result": "ng", "services": parts}))
        waits = [retry_s for _, _, retry_s in told if retry_s]
        if waits:
            answer.headers.append((b"retry-after", str(max(waits)).encode()))
        return answer

    def _part(self, result: Outcome | BaseException) -> tuple[int, str, int | None]:
        """Return status, code and seconds to wait of one service's delivery."""
        if isinstance(result, OverloadedError | StoreTroubleError):
            code = "overloaded" if isinstance(result, OverloadedError) else "store_trouble"
            return 503, code, answers.OVERLOAD_RETRY_S
        if isinstance(result, BaseException):
            raise result
        if result.kind == "accepted":
            return 200, "", None
        if result.kind == "failed_upstream":
            return 503, "upstream_failed", 1
        if result.kind == "no_session":
            return 403, result.reason, self._retry_s(result)
        return 429, "throttled", self._retry_s(result) or 1


def _check_funnel(seen: _Seen, body: bytes) -> None:
    """Raise ``_RefusedError`` unless Funnel takes ``body``."""
    kind = seen.content_type.partition(b";")[0].strip().lower()
    if kind not in _TYPES and not kind.startswith(b"text/"):
        raise _RefusedError(_MEDIA)
    if kind == b"application/json":
        try:
            msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise _RefusedError(_BAD_JSON) from None


class _Seen:
    """The headers that an entry point looks at."""

    __slots__ = ("answer_bytes", "content_type", "declared", "line", "wrong")

    def __init__(self, headers: list[tuple[bytes, bytes]]) -> None:
        self.content_type = b""
        self.declared: int | None = None
        self.line: bytes | None = None
        self.answer_bytes = 0
        self.wrong = False
        for name, value in headers:
            if name == b"content-length":
                self.declared = int(value)
            elif name == b"content-type":
                self.content_type = value
            elif name == LINE_HEADER:
                self.wrong = self.wrong or self.line is not None
                self.line = value
            elif name == ANSWER_BYTES_HEADER:
                right = value.isdigit() and len(value) <= len(str(ANSWER_BYTES_MAX))
                self.answer_bytes = int(value) if right else 0
                self.wrong = self.wrong or not right or self.answer_bytes > ANSWER_BYTES_MAX


def _passed_on(outcome: Outcome) -> Answer:
    """Return the upstream's answer as the device gets it."""
    back = outcome.answer
    headers = [(name.lower(), value) for name, value in back.headers if b"\n" not in value]
    if not any(name == b"content-type" for name, _ in headers) and back.body:
        headers.append((b"content-type", _OCTETS))
    if back.status not in {204, 304}:
        headers.append((b"content-length", str(len(back.body)).encode()))
    return answers.Answer(back.status, headers, back.body)


def _address(scope: Scope) -> tuple[str, int]:
    """Return where the request came in, as IPv4 has it."""
    host, port = scope["server"]
    return _as_ipv4(host), port or 0


@functools.lru_cache(maxsize=64)
def _as_ipv4(host: str) -> str:
    """Return ``host`` where it is an IPv4 address; else the one that means any of them."""
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return "0.0.0.0"  # noqa: S104 - not an address to listen on
    return host
