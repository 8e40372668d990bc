"""What the control plane asks of a data plane, whichever engine it is.

Owns: the protocol. A data plane holds sessions and attempts; it runs freely between two control
events. All times ``SimUs``. Control events come before the attempts of their microsecond, so
``advance`` is exclusive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scenarios.model import Event, Vpg
    from sim.plane.flow import Flow, Little
    from vpg.catalogue.model import Limits
    from vpg.results import MinuteRow


class Plane(Protocol):
    """Sessions and attempts of every VPG of a scenario."""

    piece_us: int
    """Longest piece of simulated time that may pass between two looks from outside."""
    piece_events: int
    """Events after which pieces become shorter: about a fifth of a second of work."""

    def foresee(self, instants_us: Iterable[int]) -> None:
        """Learn at which instants anything but an hour tick can come; told once, at the start."""

    def advance(self, until_us: int) -> None:
        """Do everything that happens before ``until_us``; never depends on where it is cut."""

    def create_vpg(self, vpg: Vpg, limits: Limits) -> None:
        """Let ``vpg`` exist from now on."""

    def delete_vpg(self, vpg_id: str) -> None:
        """End a VPG: sessions go, undecided messages are cancelled, its lines fall silent."""

    def resize_vpg(self, vpg_id: str, limits: Limits, *, cut_sessions: bool) -> None:
        """Change the limits of a VPG; tokens are kept, capped to the new burst."""

    def begin(self, event: Event) -> None:
        """Let ``event`` begin now (or happen, where it has no end)."""

    def end(self, event: Event) -> None:
        """Let ``event`` end now."""

    def take_row(self, vpg_id: str) -> Flow:
        """Return the figures since the last call and begin anew."""

    def take_minutes(self, *, final: bool = False) -> list[MinuteRow]:
        """Return the minutes finished since the last call; ``final``: the running one too."""

    def little(self, vpg_id: str) -> Little:
        """Return Little's two counts from the creation of the VPG to now, exact integers.

        They must come from different books: one from the number of open messages, the other from
        the times of each message.
        """

    @property
    def events(self) -> int:
        """Attempts and attach attempts so far (the measure of progress)."""
