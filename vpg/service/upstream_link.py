"""What every kind of upstream has in common: the question, the answer, the names of lines.

Owns: these values and which headers travel on. Does not own: any connection. Times: ``timeout_s``
is in seconds of this machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vpg.service.values import LineEntry

    Headers = Sequence[tuple[bytes, bytes]]

_HOP: Final = frozenset(
    {
        *(b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization"),
        *(b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"),
    }
)
"""They speak of one connection only. Source: RFC 9110 section 7.6.1."""
_OURS: Final = frozenset({b"host", b"content-length", b"expect", b"authorization"})
"""Made anew for the next leg; ``authorization`` holds the gateway's own token."""
_TOLD: Final = (b"x-soracom-", b"x-vpg-")
"""What the platform says of a line; a device that says it itself is not believed."""


class Line(Protocol):
    """A line, as much of it as an upstream is told."""

    @property
    def entry(self) -> LineEntry:
        """Its names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamAnswer:
    """What came back; ``ok`` False: nothing usable did, and the request failed upstream."""

    ok: bool
    status: int = 0
    """HTTP status, 200 where the upstream speaks no HTTP; 0: there was no answer."""
    body: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()


FAILED: Final = UpstreamAnswer(ok=False)
TAKEN: Final = UpstreamAnswer(ok=True, status=200)


class UpstreamLink(Protocol):
    """The way from one VPG to what lies behind it."""

    async def start(self) -> None:
        """Begin; returns before anything is reached."""

    async def stop(self) -> None:
        """End; what is under way fails."""

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
        """Send one request or message of ``line``; never raises for trouble of the network.

        ``target`` is the path (with its query) or the topic.
        """


class NoUpstream:
    """Nothing lies behind the VPG: the gateway takes every request itself."""

    async def start(self) -> None:
        """Begin."""

    async def stop(self) -> None:
        """End."""

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
        """Take it."""
        del line, service, target, body, headers, timeout_s, method
        return TAKEN


def onward(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Return which of a device's headers go on: not those of the leg, nor the platform's own.

    >>> onward([(b"Connection", b"x-one"), (b"X-One", b"1"), (b"X-Two", b"2"), (b"Host", b"a")])
    [(b'X-Two', b'2')]
    """
    named = _named(headers)
    return [
        (name, value)
        for name, value in headers
        if (low := name.lower()) not in _HOP
        and low not in _OURS
        and low not in named
        and not low.startswith(_TOLD)
    ]


def back(headers: Headers) -> tuple[tuple[bytes, bytes], ...]:
    """Return which of an upstream's headers go back to the device."""
    named = _named(headers)
    return tuple(
        (name, value)
        for name, value in headers
        if (low := name.lower()) not in _HOP and low not in named and low != b"content-length"
    )


def told(line: Line, service: str) -> list[tuple[bytes, bytes]]:
    """Return the headers by which the upstream learns whose request it is."""
    entry = line.entry
    said = (
        (b"x-soracom-sim-id", entry.sim_id),
        (b"x-soracom-imsi", entry.imsi),
        (b"x-soracom-vpg-id", entry.vpg_id),
        (b"x-soracom-service", service),
    )
    return [(name, value.encode()) for name, value in said if value]


def _named(headers: Headers) -> frozenset[bytes]:
    """Return the headers that ``Connection`` says belong to the leg."""
    return frozenset(
        word.strip().lower()
        for name, value in headers
        if name.lower() == b"connection"
        for word in value.split(b",")
    )
