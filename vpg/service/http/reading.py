"""What the API tells: hourly metrics, charges, bills, lines, VPGs, health.

Owns: which rows a question means, in which order, page by page. Does not own: any figure (store,
gateway, ``vpg.billing``). The store is read in a thread: what is read is what was committed.
"""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
from typing import TYPE_CHECKING, Any, Final

from vpg.rating.charges import rate_hours
from vpg.service.http.answers import fault
from vpg.service.http.asking import Asked, RefusedError, json_of, not_found, table
from vpg.service.http.shapes import (
    ChargeShape,
    EnabledShape,
    Health,
    HourlyShape,
    LineShape,
    MirroringShape,
    PeerShape,
    SessionStats,
    SessionStatus,
    VpgShape,
)
from vpg.service.ports import StoreTroubleError
from vpg.timebase import DAY_US, from_datetime, iso_utc, month_start, next_month_start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vpg.rating.charges import ChargeRow
    from vpg.rating.hourly import HourlyRow
    from vpg.service.gateway.lines import Line
    from vpg.service.gateway.vpg import LiveVpg
    from vpg.service.http.answers import Answer
    from vpg.service.parts import Parts

SPAN_US: Final = 100 * DAY_US
"""Longest stretch of one question."""
_US_PER_MS: Final = 1_000


async def in_thread(work: Callable[[], Any]) -> Any:  # noqa: ANN401 - what ``work`` gives
    """Read the store; its trouble is a 503."""
    try:
        return await asyncio.to_thread(work)
    except StoreTroubleError:
        raise RefusedError(
            fault(503, "store_trouble", "the store cannot be read at present", retry_s=5)
        ) from None


def own_vpgs(asked: Asked, vpg_id: str = "") -> list[str]:
    """Return the VPGs, past ones included, that whoever asks may know of; raises 404."""
    store = asked.parts.store
    if vpg_id:
        life = store.life(vpg_id)
        if life is None or not asked.mine(life.operator_id):
            raise not_found("VPG")
        return [vpg_id]
    return [order.id for order in store.vpgs() if asked.mine(order.operator_id)]


# ---- hourly metrics and charges ---------------------------------------------------------------


async def hourly(asked: Asked) -> Answer:
    """Tell rows of the hourly metrics, by VPG, hour and configuration."""
    query, now_us = asked.query, asked.parts.clock.now_us()
    from_us = month_start(now_us) if query.from_ is None else from_datetime(query.from_)
    until_us = now_us if query.until is None else from_datetime(query.until)
    if not 0 <= until_us - from_us <= SPAN_US:
        raise RefusedError(fault(422, "invalid", "from … until: at most 100 days, from first"))
    after = _hourly_key(query.last_evaluated_key)

    def read() -> list[HourlyRow]:
        rows: list[HourlyRow] = []
        for vpg_id in sorted(own_vpgs(asked, query.vpg_id)):
            if vpg_id < after[0] or len(rows) > query.limit:
                continue
            start_us = max(from_us, after[1]) if vpg_id == after[0] else from_us
            found = asked.parts.store.hourly([vpg_id], start_us, until_us, now_us).rows
            rows += [row for row in found if _place(row) > after]
        return rows

    rows = await in_thread(read)
    page = rows[: query.limit]
    key = ""
    if len(rows) > len(page):
        last = page[-1]
        key = f"{last.hour_start_us}.{last.config_seq}.{last.vpg_id}"
    shown = [HourlyShape(**dataclasses.asdict(row)) for row in page]
    return table(asked, shown, HourlyShape, key)


def _place(row: HourlyRow) -> tuple[str, int, int]:
    return row.vpg_id, row.hour_start_us, row.config_seq


def _hourly_key(key: str) -> tuple[str, int, int]:
    if not key:
        return "", -1, -1
    hour, _, rest = key.partition(".")
    seq, _, vpg_id = rest.partition(".")
    if not all(part.isascii() and part.isdigit() and len(part) <= 18 for part in (hour, seq)):  # noqa: PLR2004 - digits of an int64
        raise _bad_key()
    return vpg_id, int(hour), int(seq)


def _bad_key() -> RefusedError:
    return RefusedError(fault(422, "invalid", "last_evaluated_key is none of this service's"))


def month_us(asked: Asked, month: str | None) -> int:
    """Return the first instant of the rating month ``yyyyMM``, by default the running one."""
    now_us = asked.parts.clock.now_us()
    if month is None:
        return month_start(now_us)
    right = len(month) == len("yyyyMM") and month.isascii() and month.isdigit()
    if not right or not (1 <= int(month[4:]) <= 12 and int(month[:4]) >= 1):  # noqa: PLR2004 - months
        raise RefusedError(fault(422, "invalid", "a month is yyyyMM, e.g. 202604"))
    return from_datetime(dt.datetime(int(month[:4]), int(month[4:]), 1, tzinfo=dt.UTC))


async def charges(asked: Asked) -> Answer:
    """Tell what each clock hour of a month owes, by VPG, hour and item."""
    query = asked.query
    start_us = month_us(asked, query.month)
    offset = _number(query.last_evaluated_key)
    ahead = start_us > asked.parts.clock.now_us()
    rows: list[ChargeRow] = []
    if not ahead:
        rows = await in_thread(lambda: charges_of(asked.parts, own_vpgs(asked), start_us))
    page = rows[offset : offset + query.limit]
    key = str(offset + len(page)) if offset + len(page) < len(rows) else ""
    return table(asked, [_charge(row) for row in page], ChargeShape, key)


def _number(key: str) -> int:
    if not key:
        return 0
    if not (key.isascii() and key.isdigit() and len(key) <= 18):  # noqa: PLR2004 - digits of an int64
        raise _bad_key()
    return int(key)


def charges_of(parts: Parts, vpg_ids: list[str], start_us: int) -> list[ChargeRow]:
    """Return what the hours of the month beginning at ``start_us`` owe so far."""
    until_us = next_month_start(start_us)
    rows = parts.store.hourly(vpg_ids, start_us, until_us, parts.clock.now_us()).rows
    return rate_hours(rows, parts.catalogue, parts.billing.charges)


def _charge(row: ChargeRow) -> ChargeShape:
    return ChargeShape(
        vpgId=row.vpg_id,
        hourStart=iso_utc(row.hour_start_us),
        billItemName=row.bill_item,
        quantity=row.quantity,
        unitPriceMicroYen=row.unit_price_micro_yen,
        amountMicroYen=row.amount_micro_yen,
    )


# ---- lines and VPGs ------------------------------------------------------------------------------


async def lines(asked: Asked) -> Answer:
    """Tell lines, in the order in which they were registered."""
    query = asked.query
    found: list[Line] = []
    for line in _after(asked, query.last_evaluated_key):
        if asked.mine(line.entry.operator_id) and query.vpg_id in {"", line.entry.vpg_id}:
            found.append(line)
            if len(found) > query.limit:
                break
    page = found[: query.limit]
    key = page[-1].entry.sim_id if len(found) > len(page) else ""
    return table(asked, [line_shape(line) for line in page], LineShape, key)


def _after(asked: Asked, sim_id: str) -> Iterator[Line]:
    every = iter(asked.parts.gateway.lines)
    if sim_id:
        known = asked.parts.gateway.line_named(sim_id)
        if known is None or not asked.mine(known.entry.operator_id):
            raise _bad_key()
        for line in every:
            if line is known:
                break
    return every


def line_of(asked: Asked) -> Line:
    """Return the line of the path; raises 404."""
    line = asked.parts.gateway.line_named(asked.named("simId"))
    if line is None or not asked.mine(line.entry.operator_id):
        raise not_found("line")
    return line


async def line(asked: Asked) -> Answer:
    """Tell one line."""
    return json_of(line_shape(line_of(asked)))


def line_shape(line: Line) -> LineShape:
    """Return a line as the API tells it."""
    entry, session = line.entry, line.session
    status = SessionStatus(online=False)
    if session is not None:
        status = SessionStatus(
            online=True,
            vpgId=entry.vpg_id,
            createdTime=session.created_us // _US_PER_MS,
            ghost=session.ghost,
        )
    return LineShape(
        simId=entry.sim_id,
        imsi=entry.imsi,
        operatorId=entry.operator_id,
        vpgId=entry.vpg_id,
        groupId=entry.group_id,
        status=line.status,
        address=entry.address,
        sessionStatus=status,
    )


async def vpgs(asked: Asked) -> Answer:
    """Tell every VPG that exists."""
    shapes = [
        vpg_shape(asked.parts, vpg)
        for vpg in asked.parts.gateway.vpgs
        if asked.mine(vpg.order.operator_id)
    ]
    return json_of(shapes)


def vpg_of(asked: Asked) -> LiveVpg:
    """Return the VPG of the path, which exists; raises 404."""
    wanted = asked.named("vpgId")
    for vpg in asked.parts.gateway.vpgs:
        if vpg.id == wanted and asked.mine(vpg.order.operator_id):
            return vpg
    raise not_found("VPG")


async def vpg(asked: Asked) -> Answer:
    """Tell one VPG."""
    return json_of(vpg_shape(asked.parts, vpg_of(asked)))


def vpg_shape(parts: Parts, vpg: LiveVpg) -> VpgShape:
    """Return a VPG as the API tells it."""
    now_us = parts.clock.now_us()
    now = vpg.snapshot(now_us)
    state = vpg.state
    return VpgShape(
        vpgId=vpg.id,
        operatorId=vpg.order.operator_id,
        type=state.type,  # type: ignore[arg-type]  # a kind that the catalogue knows
        size=state.size,  # type: ignore[arg-type]
        status="running" if vpg.exists else "terminated",
        junctionEnabled=state.mirroring or state.redirection or state.inspection,
        mirroring=MirroringShape(
            enabled=state.mirroring,
            peers={
                peer.ip: PeerShape(ipAddress=peer.ip, enabled=peer.enabled)
                for peer in vpg.order.peers
            },
        ),
        redirection=EnabledShape(enabled=state.redirection),
        inspection=EnabledShape(enabled=state.inspection),
        fixedIpAddressesEnabled=state.fixed_ip_sets > 0,
        fixedIpSets=state.fixed_ip_sets,
        peeringConnections=state.peering,
        virtualInterfaces=state.vif,
        vpnConnections=state.vpn,
        linesMax=now.lines_max,
        requestsPerSecondMax=now.rate_per_s,
        requestsLastSecond=now.attempts_before,
        sessionStats=SessionStats(
            online=now.sessions, ghosts=now.ghosts, lastUpdatedAt=now_us // _US_PER_MS
        ),
    )


# ---- health --------------------------------------------------------------------------------------


async def healthy(asked: Asked) -> Answer:
    """Tell that the process answers."""
    del asked
    return json_of(Health(status="ok"))


async def ready(asked: Asked) -> Answer:
    """Tell whether events would be counted."""
    parts = asked.parts
    if parts.draining:
        return json_of(Health(status="unready", reason="draining"), 503)
    if not parts.counter.healthy:
        return json_of(Health(status="unready", reason="store_trouble"), 503)
    try:
        await asyncio.to_thread(parts.store.ping)
    except StoreTroubleError:
        return json_of(Health(status="unready", reason="store_trouble"), 503)
    return json_of(Health(status="ok"))
