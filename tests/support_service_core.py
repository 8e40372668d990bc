"""A gateway core with few lines, for tests; no test lives here."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from tests.support_sim import START_US, small_limits
from vpg.rating.events import contradiction
from vpg.rating.ledger import BillingState
from vpg.service.gateway.chance import HashChance
from vpg.service.gateway.gateway import Gateway
from vpg.service.values import LineEntry, Rules, VpgOrder
from vpg.timebase import from_datetime

if TYPE_CHECKING:
    from vpg.rating.events import UsageEvent
    from vpg.service.gateway.lines import Line

OPERATOR = "OP1"


def at_us(one: UsageEvent) -> int:
    """Return when ``one`` happened."""
    return from_datetime(one.time)


def order(name: str = "v", **more: Any) -> VpgOrder:
    """Return a VPG of type C, Small."""
    state = more.pop("state", BillingState(type="C", size="small"))
    return VpgOrder(id=name, operator_id=OPERATOR, state=state, **more)


def entries(count: int, vpg_id: str = "v", group: str = "g", **more: Any) -> list[LineEntry]:
    """Return ``count`` lines, named and addressed by their number."""
    return [
        LineEntry(
            sim_id=f"{group}-{n}",
            imsi=f"imsi-{group}-{n}",
            operator_id=OPERATOR,
            vpg_id=vpg_id,
            group_id=group,
            address=f"127.1.{n // 250}.{1 + n % 250}" if group == "g" else "",
            **more,
        )
        for n in range(count)
    ]


class Core:
    """A gateway with one VPG, its lines, and what it has told."""

    def __init__(
        self,
        lines: int = 3,
        *,
        cap: int = 2,
        rate: int = 2,
        rules: dict[str, Any] | None = None,
        **more: Any,
    ) -> None:
        """Begin at ``START_US`` with ``lines`` lines; cap and rate are Small's."""
        self.gateway = Gateway(
            orders=(),
            lines=entries(lines),
            rules=Rules(**(rules or {})),
            catalogue=small_limits(cap, rate),
            now_us=START_US,
            life=1,
            chance=HashChance(),
        )
        self.gateway.create_vpg(order(**more), START_US)
        self.lines: list[Line] = list(self.gateway.lines)

    def told(self) -> list[UsageEvent]:
        """Return what was told since the last time, each event in itself right."""
        events = list(self.gateway.outbox)
        self.gateway.outbox.clear()
        assert [contradiction(one) for one in events if contradiction(one)] == []
        return events

    def kinds(self) -> Counter[str]:
        """Return how many events of each type (and outcome) were told since the last time."""
        return Counter(f"{one.type} {one.data.outcome}".strip() for one in self.told())

    def attach_all(self) -> None:
        """Let every line attach, and forget that it was told."""
        for line in self.lines:
            self.gateway.attach(line, START_US)
        self.told()
