"""A message on its way, and what all messages of one traffic source share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sim.plane.tally import SERVICE_INDEX
from sim.traffic.draws import Purpose, place

if TYPE_CHECKING:
    from scenarios.model import Source
    from sim.plane.alarm import Alarm


@dataclass(frozen=True, slots=True)
class Origin:
    """One traffic source as the data plane needs it."""

    rank: int
    """Place among the fleet's sources, by name: orders messages of one line and microsecond."""
    service: int
    retry_place: int
    upstream_place: int
    mirror_place: int


def origin_of(source: Source, rank: int) -> Origin:
    """Return the origin of ``source``, the ``rank``-th of its fleet."""
    return Origin(
        rank,
        SERVICE_INDEX[source.service],
        place(Purpose.RETRY, source.name),
        place(Purpose.UPSTREAM, source.name),
        place(Purpose.MIRROR, source.name),
    )


class Message:
    """What a device wants delivered once."""

    __slots__ = (
        "alarm",
        "bytes_down",
        "bytes_up",
        "created_us",
        "number",
        "open",
        "origin",
        "tries",
        "words",
    )

    def __init__(
        self, origin: Origin, number: int, created_us: int, bytes_up: int, bytes_down: int
    ) -> None:
        """Create it, untried and open."""
        self.origin = origin
        self.number = number
        self.created_us = created_us
        self.bytes_up = bytes_up
        self.bytes_down = bytes_down
        self.tries = 0
        """Tries begun."""
        self.open = True
        """Neither delivered nor lost."""
        self.alarm: Alarm | None = None
        """Rings for its next retry."""
        self.words: list[int] = []
        """Jitter of its next retries, drawn four at a time."""
