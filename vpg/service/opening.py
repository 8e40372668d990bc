"""From a plan to a store that fits it and a gateway that goes on where the last one ended.

Owns: which store is opened, whether it was made for these VPGs and lines, service time, what is
registered at the first start. Does not own: the store, the gateway. Times: ``SimUs``.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from vpg.errors import InputError, Problem
from vpg.rating.events import state_of
from vpg.service import clock as clocks
from vpg.service.gateway.chance import HashChance
from vpg.service.gateway.gateway import Gateway
from vpg.service.ownership import is_database
from vpg.service.ports import StoreTroubleError
from vpg.timebase import iso_utc

if TYPE_CHECKING:
    from vpg.rating.ledger import BillingState
    from vpg.service.clock import RunningClock
    from vpg.service.plan import Plan
    from vpg.service.store.base import Store
    from vpg.service.values import VpgOrder


def open_store(plan: Plan) -> Store:
    """Open the store of ``plan``; raises ``InputError`` and ``StoreTroubleError``."""
    if is_database(plan.store):
        from vpg.service.store.postgres import PostgresStore  # noqa: PLC0415 - the extra postgres

        return PostgresStore(plan.store, sync_delay_us=plan.sync_delay_us)
    from vpg.service.store.sqlite import SqliteStore  # noqa: PLC0415 - one of two

    path = Path(plan.store)
    if not path.parent.is_dir():
        raise StoreTroubleError(f"there is no folder {path.parent}")
    return SqliteStore(path, sync_delay_us=plan.sync_delay_us)


def open_clock(plan: Plan, store: Store) -> RunningClock:
    """Return service time as the store has it, begun now at the first start.

    Raises ``InputError`` (VPG1882) when ``plan`` asks for another.
    """
    kept = store.anchor()
    if kept is None:
        wall_us = clocks.wall_us()
        start_us = wall_us if plan.start_us is None else plan.start_us
        kept = clocks.Anchor(service_us=start_us, wall_us=wall_us, scale=plan.scale or 1)
        store.set_anchor(kept)
        return clocks.RunningClock(kept)
    values = {"begun": iso_utc(kept.service_us), "scale": kept.scale}
    if plan.scale not in {None, kept.scale}:
        raise InputError([Problem(code="VPG1882", values={**values, "option": "--time-scale"})])
    if plan.start_us not in {None, kept.service_us}:
        raise InputError([Problem(code="VPG1882", values={**values, "option": "--start"})])
    return clocks.RunningClock(kept)


def register(plan: Plan, store: Store, *, is_first: bool) -> None:
    """Register the VPGs and lines of ``plan`` in an empty store; raises ``InputError`` (VPG1878).

    Orders are kept anew at each start: limiters and upstreams may change, what was billed may not.
    ``is_first``: no process serves the store yet; one beside another only looks.
    """
    known = {order.id: order for order in store.vpgs()}
    if not known:
        store.put_lines(list(plan.lines()))
    else:
        what = _difference(plan, store, known)
        if what:
            raise InputError([Problem(code="VPG1878", values={"what": what})])
    if is_first or not known:
        store.put_vpgs(plan.orders)


def _difference(plan: Plan, store: Store, known: dict[str, VpgOrder]) -> str:
    for order in plan.orders:
        before = known.get(order.id)
        if before is None:
            return f"it has no VPG {order.id}"
        if before.state != order.state or before.operator_id != order.operator_id:
            return f"its VPG {order.id} began as another one"
    for entry in plan.lines():
        line = store.line(entry.sim_id)
        if line is None:
            return f"it has no line {entry.sim_id}"
        if (line.vpg_id, line.group_id) != (entry.vpg_id, entry.group_id):
            return f"its line {entry.sim_id} belongs to {line.vpg_id} ({line.group_id})"
    return ""


def open_gateway(plan: Plan, store: Store, *, now_us: int, life: int) -> Gateway:
    """Return the gateway: VPGs and sessions of the store go on, new VPGs begin (in its outbox)."""
    goes_on, begins = [], []
    for order in store.vpgs():
        configs = store.configs(order.id)
        if not configs:
            begins.append(order)
        elif configs[-1].config.exists:
            goes_on.append(dataclasses.replace(order, state=_state(store, order.id)))
    gateway = Gateway(
        orders=goes_on,
        lines=store.lines(),
        rules=plan.rules,
        catalogue=plan.catalogue,
        now_us=now_us,
        life=life,
        chance=HashChance(plan.seed),
        restored=store.sessions(),
    )
    for order in begins:
        gateway.create_vpg(order, now_us)
    return gateway


def no_gateway(plan: Plan, store: Store, *, now_us: int, life: int) -> Gateway:
    """Return a gateway of nothing, for a process beside the one whose VPGs these are."""
    del store
    return Gateway(
        orders=(),
        lines=(),
        rules=plan.rules,
        catalogue=plan.catalogue,
        now_us=now_us,
        life=life,
        chance=HashChance(plan.seed),
    )


def _state(store: Store, vpg_id: str) -> BillingState:
    """Return what the VPG is now, by its newest config."""
    return state_of(store.configs(vpg_id)[-1].config)
