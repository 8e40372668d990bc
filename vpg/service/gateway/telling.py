"""The voice of one VPG: its facts as usage events, stamped so that each falls into its row.

Owns: source, ids and times of the gateway's own events. Does not own: the facts. Times: ``SimUs``.

A change of type or size begins a new row of the hourly table at its very microsecond. What was told
of that microsecond before it belongs to the old row, so the change then takes the next one, and
nothing later is told before it (``floor_us``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpg.rating.events import (
    CONFIG,
    CREATED,
    DELETED,
    MODIFIED,
    Data,
    UsageEvent,
    config_of,
)
from vpg.service.keys import OWN_SOURCE
from vpg.timebase import to_utc

if TYPE_CHECKING:
    from vpg.rating.events import Config, EventType
    from vpg.rating.ledger import BillingState
    from vpg.service.keys import Keys


class Voice:
    """Tells the facts of one VPG."""

    __slots__ = ("_keys", "floor_us", "last_us", "operator_id", "outbox", "source", "vpg_id")

    def __init__(
        self, *, vpg_id: str, operator_id: str, keys: Keys, outbox: list[UsageEvent], now_us: int
    ) -> None:
        """Append to ``outbox`` from ``now_us`` on."""
        self.vpg_id = vpg_id
        self.operator_id = operator_id
        self.source = f"{OWN_SOURCE}{vpg_id}"
        self.outbox = outbox
        self._keys = keys
        self.floor_us = now_us
        """Nothing may be told of an instant before this."""
        self.last_us = now_us - 1
        """The newest instant of which anything but the VPG's state was told."""

    def make(self, kind: EventType, at_us: int, data: Data, subject: str = "") -> UsageEvent:
        """Return the event of ``kind`` at ``at_us``, which must be stamped."""
        if kind != CONFIG and at_us > self.last_us:
            self.last_us = at_us
        return UsageEvent(
            type=kind,
            source=self.source,
            id=self._keys.next(at_us),
            time=to_utc(at_us),
            subject=subject,
            data=data,
        )

    def tell(self, kind: EventType, at_us: int, data: Data, subject: str = "") -> None:
        """Put the event of ``kind`` at ``at_us`` into the outbox."""
        self.outbox.append(self.make(kind, max(at_us, self.floor_us), data, subject))

    # ---- sessions ------------------------------------------------------------------------------

    def created(
        self, sim_id: str, at_us: int, *, sessions: int, ghosts: int, flagged: int, attaches: int
    ) -> None:
        """Tell that the line has a session, ``sessions`` with it."""
        data = Data(
            operatorId=self.operator_id,
            vpgId=self.vpg_id,
            sessions=sessions,
            ghosts=ghosts,
            flagged=flagged,
            attachPerS=attaches,
        )
        self.tell(CREATED, at_us, data, sim_id)

    def deleted(
        self, sim_id: str, at_us: int, *, sessions: int, ghosts: int, was_ghost: bool
    ) -> None:
        """Tell that a session of the line is gone, ``sessions`` without it."""
        data = Data(
            operatorId=self.operator_id,
            vpgId=self.vpg_id,
            sessions=sessions,
            ghosts=ghosts,
            ghost=was_ghost,
        )
        self.tell(DELETED, at_us, data, sim_id)

    def became_ghost(self, sim_id: str, at_us: int, *, sessions: int, ghosts: int) -> None:
        """Tell that the line's session is a ghost from now on, one of ``ghosts``."""
        data = Data(
            operatorId=self.operator_id,
            vpgId=self.vpg_id,
            sessions=sessions,
            ghosts=ghosts,
            ghost=True,
        )
        self.tell(MODIFIED, at_us, data, sim_id)

    # ---- the VPG itself ------------------------------------------------------------------------

    def configured(self, config: Config, at_us: int) -> None:
        """Tell what the VPG is from ``at_us`` on."""
        data = Data(operatorId=self.operator_id, vpgId=self.vpg_id, config=config)
        self.tell(CONFIG, at_us, data)

    def state(
        self,
        state: BillingState,
        at_us: int,
        *,
        resized: bool = False,
        one_off: tuple[str, ...] = (),
    ) -> None:
        """Tell that the VPG is ``state`` from ``at_us`` on."""
        self.configured(config_of(state, resized=resized, one_off=one_off), at_us)
