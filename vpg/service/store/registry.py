"""What the store keeps beside usage: settings, VPGs as ordered, lines, live sessions.

Owns: these tables. Does not own: the transaction (``driver.py``) or usage (``sql.py``); configs and
sessions are written with the usage events that tell them. Times: ``SimUs``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from vpg.errors import InputError, Problem
from vpg.rating.ledger import BillingState
from vpg.service.clock import Anchor
from vpg.service.store import tables
from vpg.service.store.base import LiveSession, VpgLife
from vpg.service.store.driver import Driver
from vpg.service.values import Limiter, Peer, Upstream, VpgOrder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vpg.service.store.base import ConfigChange
    from vpg.service.values import LineEntry, LineStatus

_json = msgspec.json.Encoder()


class Registry(Driver):
    """Settings, VPGs, lines and sessions; see ``vpg.service.store.base.Store``."""

    # ---- settings ------------------------------------------------------------------------------

    def begin_life(self) -> int:
        """Return the number of this start."""
        lives = [0]

        def work() -> None:
            found = self._query("SELECT value FROM setting WHERE name = 'life'")
            lives[0] = int(found[0][0]) + 1 if found else 1
            self._settle("life", str(lives[0]))

        self._kept(work)
        return lives[0]

    def anchor(self) -> Anchor | None:
        """Return where service time begins."""
        found = self._told("SELECT value FROM setting WHERE name = 'anchor'")
        return msgspec.json.decode(found[0][0], type=Anchor) if found else None

    def set_anchor(self, anchor: Anchor) -> None:
        """Keep where service time begins."""
        text = _json.encode(anchor).decode()
        self._kept(lambda: self._settle("anchor", text))

    def ping(self) -> None:
        """Raise ``StoreTroubleError`` unless the store can be written to."""
        self._kept(lambda: self._settle("ping", ""))

    def _settle(self, name: str, value: str) -> None:
        self._query(tables.SET_SETTING, (name, value))

    # ---- VPGs ----------------------------------------------------------------------------------

    def put_vpgs(self, orders: Sequence[VpgOrder]) -> None:
        """Register VPGs; raises ``InputError`` when one is another operator's already."""
        self._kept(lambda: self._put_vpgs(orders), changes=True)

    def _put_vpgs(self, orders: Sequence[VpgOrder]) -> None:
        problems = []
        for order in orders:
            life = self._lives.get(order.id)
            if life is not None and life.operator_id != order.operator_id:
                values = {"vpg": order.id, "operator": order.operator_id}
                problems.append(Problem(code="VPG1805", values=values))
        if problems:
            raise InputError(problems)
        self._change_memory()
        number = max(self._by_number, default=0)
        for order in orders:
            life = self._lives.get(order.id)
            if life is None:
                number += 1
                life = VpgLife(number=number, vpg_id=order.id, operator_id=order.operator_id)
                self._lives[order.id] = self._by_number[number] = life
            body = _json.encode(order).decode()
            self._query(tables.PUT_VPG, (life.number, order.id, order.operator_id, body))

    def vpgs(self) -> list[VpgOrder]:
        """Return every registered VPG."""
        return [_order(row[0]) for row in self._told("SELECT body FROM vpg ORDER BY vpg_id")]

    def lives(self) -> list[VpgLife]:
        """Return what is known of every VPG, by id."""
        return [self._lives[vpg_id] for vpg_id in sorted(self._lives)]

    def configs(self, vpg_id: str) -> list[ConfigChange]:
        """Return the VPG's configs."""
        life = self._lives.get(vpg_id)
        return [] if life is None else list(life.configs)

    # ---- lines and sessions --------------------------------------------------------------------

    def put_lines(self, entries: Sequence[LineEntry]) -> None:
        """Register lines."""

        def work() -> None:
            self._change_memory()
            self._many(
                tables.PUT_LINE,
                [(one.sim_id, one.status, 0, _json.encode(one).decode()) for one in entries],
            )

        self._kept(work, changes=True)
        self._lines.update((one.sim_id, one) for one in entries)

    def lines(self) -> list[LineEntry]:
        """Return every line."""
        return self._read_lines(self._told)

    def change_line(self, sim_id: str, status: LineStatus, at_us: int) -> None:
        """Note a line's new status."""

        def work() -> None:
            self._change_memory()
            self._query(tables.CHANGE_LINE, (status, at_us, sim_id))

        self._kept(work, changes=True)
        entry = self._lines.get(sim_id)
        if entry is not None:
            self._lines[sim_id] = replace(entry, status=status)

    def sessions(self) -> list[LiveSession]:
        """Return the sessions that live."""
        return [
            LiveSession(sim_id=sim_id, vpg_id=vpg_id, created_us=created_us, ghost=bool(ghost))
            for sim_id, vpg_id, created_us, ghost in self._told(tables.LIVE_SESSIONS)
        ]


def _order(body: str) -> VpgOrder:
    found: dict[str, Any] = msgspec.json.decode(body)
    found["state"] = BillingState(**found["state"])
    found["limiter"] = Limiter(**found["limiter"])
    found["upstream"] = Upstream(**found["upstream"])
    found["peers"] = tuple(Peer(**peer) for peer in found["peers"])
    return VpgOrder(**found)
