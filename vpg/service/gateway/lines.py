"""A line and its session, as the gateway sees them.

Owns: these two records. Does not own: what happens to them (``sessions``, ``vpg``). Times: every
``*_us`` is ``SimUs`` of service time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from vpg.service.gateway.vpg import LiveVpg
    from vpg.service.values import LineEntry, LineStatus

NOBODY: Final = ("", -1)
"""The place before every line's."""
Place = tuple[str, int]
"""(group, number within it): the order of lines where everything else is equal."""


class Session:
    """One session, or the ghost that it has become."""

    __slots__ = (
        "alive",
        "created_us",
        "due_entry_us",
        "ghost_us",
        "last_us",
        "line",
        "moved_bytes",
        "orphan",
    )

    def __init__(self, line: Line, created_us: int, last_us: int) -> None:
        """Begin it; ``last_us``: its last activity."""
        self.line = line
        self.created_us = created_us
        self.last_us = last_us
        self.ghost_us = -1
        """Since when it is a ghost; -1: it is none."""
        self.orphan = False
        """A ghost whose line has attached anew since (A-17 not replaced)."""
        self.moved_bytes = 0
        self.alive = True
        self.due_entry_us = -1
        """Its place in the heap of what may end; -1: none."""

    @property
    def ghost(self) -> bool:
        """Whether its device is gone."""
        return self.ghost_us >= 0


class Line:
    """A SIM line."""

    __slots__ = (
        "assigned_before",
        "entry",
        "inspected_hour",
        "place",
        "serial",
        "session",
        "status",
        "told_hour",
        "vpg",
    )

    def __init__(self, entry: LineEntry, place: Place) -> None:
        """Know the line ``entry``; its VPG knows it once it exists."""
        self.entry = entry
        self.place = place
        self.status: LineStatus = entry.status
        self.vpg: LiveVpg | None = None
        self.session: Session | None = None
        """Its session or its ghost."""
        self.assigned_before = 0
        """Lines assigned to the VPG before it (A-01)."""
        self.inspected_hour = -1
        self.told_hour = -1
        """The hour in which a counted request last said that it was inspected."""
        self.serial = 0
        """Draws of chance made for it."""
