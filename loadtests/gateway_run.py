"""The load of a gateway's entry points: requests of lines over Beam, Funnel and Funk.

Owns: every request's bytes, and which outcome an answer means. Does not own: sending. What was
never answered is ``unknown``: it may have been counted under any outcome.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from loadtests.pool import NOT_SENT
from loadtests.result import Tally
from vpg.rating.hourly import SERVICES

if TYPE_CHECKING:
    from loadtests.plan import LoadPlan
    from loadtests.pool import Address
    from loadtests.result import Ending
    from loadtests.schedule import Schedule

_NOT_THE_VPG: Final = frozenset({"unknown_line", "forbidden", "unauthorized"})
_TOLD_MAX: Final = 5
_FORBIDDEN, _THROTTLED, _UNAVAILABLE = 403, 429, 503


class _Code(msgspec.Struct):
    code: str = ""


def code_of(body: bytes) -> str:
    """Return the word for programs in an error's body; empty: there is none."""
    try:
        return msgspec.json.decode(body, type=_Code).code
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


def outcome_of(status: int, body: bytes) -> str:
    """Return the outcome of the hourly metrics that an answer means, or ``uncounted``.

    >>> outcome_of(204, b""), outcome_of(413, b"")
    ('accepted', 'uncounted')
    """
    if status < 300:  # noqa: PLR2004 - the class of success
        return "accepted"
    if status == _THROTTLED:
        return "throttled"
    if status == _FORBIDDEN and code_of(body) not in _NOT_THE_VPG:
        return "no_session"
    if status == _UNAVAILABLE and code_of(body) == "upstream_failed":
        return "failed_upstream"
    return "uncounted"


class GatewaySource:
    """Requests of one process, and what came of them."""

    def __init__(self, plan: LoadPlan, share: Schedule, index: int) -> None:
        """Prepare to make the first request."""
        del index
        self._plan = plan
        self._columns = list(
            zip(
                share.lines.tolist(),
                share.services.tolist(),
                share.bytes_up.tolist(),
                share.bytes_down.tolist(),
                strict=True,
            )
        )
        self._sums: dict[tuple[str, str, str], list[int]] = {}
        self.unexpected: list[str] = []
        self.name = "POST /"
        self._token = f"Authorization: Bearer {plan.token}\r\n" if plan.token else ""

    def request(self, slot: int) -> tuple[Address, bytes]:
        """Return where request ``slot`` goes and its bytes."""
        line, service, up, down = self._columns[slot]
        name = SERVICES[service]
        address = self._plan.addresses[name]
        answer = f"x-vpg-answer-bytes: {down}\r\n" if name == "beam" and down else ""
        head = (
            f"POST / HTTP/1.1\r\nHost: {address[0]}:{address[1]}\r\n"
            f"x-vpg-line: {self._plan.lines[line].sim_id}\r\n"
            f"Content-Type: text/plain\r\n{answer}{self._token}Content-Length: {up}\r\n\r\n"
        )
        return address, head.encode() + b"x" * up

    def leaving(self, slot: int) -> None:
        """Note that it leaves now."""

    def ended(self, slot: int, status: int, body: bytes) -> Ending:
        """Take the answer to request ``slot``."""
        line, service, up, _ = self._columns[slot]
        if status == NOT_SENT:
            outcome = "uncounted"
        else:
            outcome = outcome_of(status, body) if status else "unknown"
        if outcome == "uncounted" and status not in {NOT_SENT, _UNAVAILABLE}:
            self._note(status, body)
        key = self._plan.lines[line].vpg_id, SERVICES[service], outcome
        sums = self._sums.setdefault(key, [0, 0, 0])
        sums[0] += 1
        if outcome in {"accepted", "unknown"}:
            sums[1] += up
            sums[2] += len(body)
        if outcome == "accepted":
            return "accepted"
        return "refused" if status > 0 else "unanswered"

    def _note(self, status: int, body: bytes) -> None:
        if len(self.unexpected) < _TOLD_MAX:
            self.unexpected.append(f"{status} {body[:200].decode(errors='replace')}")

    def tallies(self) -> list[Tally]:
        """Return what came of the requests, by VPG and service."""
        return [
            Tally(
                vpg_id=vpg_id,
                service=service,
                outcome=outcome,
                requests=requests,
                bytes_up=up,
                bytes_down=down,
            )
            for (vpg_id, service, outcome), (requests, up, down) in sorted(self._sums.items())
        ]

    def unknown(self) -> list[int]:
        """Return nothing: requests have no name to ask again by."""
        return []

    def counts(self) -> dict[str, int]:
        """Return nothing: there are no events of our own."""
        return {}
