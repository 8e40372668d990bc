"""What one VPG counts by the UTC second: refusals, peaks, copies to peers, inspected lines.

Owns: these sums and their one event each at the end of the second. Does not own: accepted and
failed requests and sessions, which are events of their own. Times: ``SimUs``.

A peak is told only where it is the highest of the running row so far.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpg.rating.events import INSPECTED_MAX, MIRROR, REFUSED, REQUEST, Data
from vpg.rating.hourly import SERVICES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vpg.rating.events import RefusalOutcome, RequestOutcome
    from vpg.service.gateway.telling import Voice


class Seconds:
    """The running second of one VPG."""

    __slots__ = (
        "_told_attaches",
        "_told_attempts",
        "_voice",
        "attaches",
        "attempts",
        "attempts_before",
        "dropped",
        "inspected",
        "mirrored_bytes",
        "no_session",
        "refused_cap",
        "refused_other",
        "throttled",
    )

    def __init__(self, voice: Voice) -> None:
        """Begin with nothing."""
        self._voice = voice
        self.attempts = 0
        """Limited attempts that reached the limiter."""
        self.attempts_before = 0
        self.attaches = 0
        self.throttled = [0] * len(SERVICES)
        self.no_session = [0] * len(SERVICES)
        self.refused_cap = 0
        self.refused_other = 0
        self.mirrored_bytes = 0
        self.dropped = 0
        self.inspected: list[str] = []
        self._told_attempts = 0
        self._told_attaches = 0

    def begin(self, *, following: bool) -> None:
        """Begin another second; ``following``: the very next one."""
        self.attempts_before = self.attempts if following else 0
        self.attempts = 0
        self.attaches = 0

    def begin_row(self) -> None:
        """Begin another row: its peaks are told anew."""
        self._told_attempts = 0
        self._told_attaches = 0

    def attached(self) -> int:
        """Return the attach attempts of the second so far, which the caller tells."""
        self._told_attaches = max(self._told_attaches, self.attaches)
        return self.attaches

    def flush(self, at_us: int) -> None:
        """Tell everything counted so far, as of ``at_us``, and count on from nothing."""
        peak = self.attempts if self.attempts > self._told_attempts else 0
        if peak or self.inspected or any(self.throttled) or any(self.no_session):
            self._flush_requests(at_us, peak)
        peak = self.attaches if self.attaches > self._told_attaches else 0
        if peak or self.refused_cap or self.refused_other:
            self._flush_attaches(at_us, peak)
        if self.mirrored_bytes or self.dropped:
            voice = self._voice
            data = Data(
                operatorId=voice.operator_id,
                vpgId=voice.vpg_id,
                bytesMirrored=self.mirrored_bytes,
                mirrorDropped=self.dropped,
            )
            voice.tell(MIRROR, at_us, data)
            self.mirrored_bytes = self.dropped = 0

    def _refused_requests(self) -> Iterator[tuple[str, RequestOutcome, int]]:
        for place, service in enumerate(SERVICES):
            if self.throttled[place]:
                yield service, "throttled", self.throttled[place]
                self.throttled[place] = 0
            if self.no_session[place]:
                yield service, "no_session", self.no_session[place]
                self.no_session[place] = 0

    def _flush_requests(self, at_us: int, peak: int) -> None:
        told = list(self._refused_requests())
        lines, self.inspected = self.inspected, []
        # What has no refusal to ride on rides on a request that stands for none.
        while len(told) * INSPECTED_MAX < len(lines) or (peak and not told):
            told.append((SERVICES[0], "accepted", 0))
        for number, (service, outcome, count) in enumerate(told):
            begin = number * INSPECTED_MAX
            data = Data(
                operatorId=self._voice.operator_id,
                vpgId=self._voice.vpg_id,
                service=service,  # type: ignore[arg-type]  # from the closed list
                outcome=outcome,
                requests=count,
                ratePerS=peak,
                inspected=tuple(lines[begin : begin + INSPECTED_MAX]),
            )
            self._voice.tell(REQUEST, at_us, data)
        self._told_attempts = max(self._told_attempts, peak)

    def _flush_attaches(self, at_us: int, peak: int) -> None:
        voice = self._voice
        told: list[tuple[RefusalOutcome, int]] = [
            ("line_cap", self.refused_cap),
            ("other", self.refused_other),
        ]
        self.refused_cap = self.refused_other = 0
        counted = [one for one in told if one[1]] or [("other", 0)]
        for outcome, count in counted:
            data = Data(
                operatorId=voice.operator_id,
                vpgId=voice.vpg_id,
                outcome=outcome,
                requests=count,
                attachPerS=peak,
            )
            voice.tell(REFUSED, at_us, data)
        self._told_attaches = max(self._told_attaches, peak)
