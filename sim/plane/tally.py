"""Counting for one hourly row of one VPG: plain integers, read once when the row ends.

Owns: the data plane's columns of the hourly table. ``attempts`` is counted where an attempt is
decided and the outcomes where they are known, so that the identities between them can fail when the
code is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from vpg.rating.hourly import SERVICES

SERVICE_INDEX = {name: index for index, name in enumerate(SERVICES)}
IP = SERVICE_INDEX["ip"]


def _zeros() -> list[int]:
    return [0] * len(SERVICES)


@dataclass(slots=True)
class Tally:
    """What happened since the row began."""

    sessions_start: int = 0
    sessions_created: int = 0
    sessions_deleted: int = 0
    attach_attempts: int = 0
    sessions_refused: int = 0
    attach_rejected_other: int = 0
    lines_peak: int = 0
    ghosts_peak: int = 0
    sessions_flagged: int = 0
    attach_peak_per_s: int = 0
    messages_offered: int = 0
    messages_delivered: int = 0
    lost_tries: int = 0
    lost_deadline: int = 0
    lost_buffer: int = 0
    lost_cancelled: int = 0
    pending_start: int = 0
    requests_flagged: int = 0
    rate_peak_per_s: int = 0
    bytes_up: int = 0
    bytes_down: int = 0
    bytes_mirrored: int = 0
    mirror_dropped: int = 0
    lines_inspected: int = 0
    attempts: list[int] = field(default_factory=_zeros)
    accepted: list[int] = field(default_factory=_zeros)
    throttled: list[int] = field(default_factory=_zeros)
    no_session: list[int] = field(default_factory=_zeros)
    failed_upstream: list[int] = field(default_factory=_zeros)
    delays: dict[int, int] = field(default_factory=dict)

    def limited_sums(self) -> tuple[int, int, int]:
        """Return (attempts, accepted, throttled) of the limited services."""
        return sum(self.attempts[:IP]), sum(self.accepted[:IP]), sum(self.throttled[:IP])


_SCALARS = tuple(name for name, kind in Tally.__annotations__.items() if kind == "int")
_PER_SERVICE = ("attempts", "accepted", "throttled", "no_session", "failed_upstream")


def figures(tally: Tally, *, sessions_end: int, pending_end: int) -> dict[str, int]:
    """Return the row's columns by name."""
    values: dict[str, int] = {name: getattr(tally, name) for name in _SCALARS}
    for name in _PER_SERVICE:
        for service, count in zip(SERVICES, getattr(tally, name), strict=True):
            values[f"{name}_{service}"] = count
    values["sessions_end"] = sessions_end
    values["pending_end"] = pending_end
    return values
