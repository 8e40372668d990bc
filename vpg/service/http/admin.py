"""What the API changes: VPGs, lines, sessions. Each change is committed before it is answered.

Owns: the order of steps, so that gateway and store agree. Does not own: whether a change makes
sense (``vpg.service.gateway``). A change that the gateway has made and the store could not take
(503) is sent to it again by itself; asking again is harmless.
"""

from __future__ import annotations

import ipaddress
import math
from typing import TYPE_CHECKING, Any, Final

from vpg.catalogue.items import vpg_kinds
from vpg.errors import InputError, Problem
from vpg.rating.ledger import BillingState
from vpg.service.gateway.gateway import FEATURES
from vpg.service.http import answers
from vpg.service.http.answers import Answer, fault
from vpg.service.http.asking import Asked, RefusedError, invalid, json_of
from vpg.service.http.auth import FORBIDDEN
from vpg.service.http.reading import line_of, line_shape, vpg_of, vpg_shape
from vpg.service.http.shapes import AttachShape, DetachShape
from vpg.service.ports import OverloadedError, StoreTroubleError
from vpg.service.values import LineEntry, VpgOrder

if TYPE_CHECKING:
    from collections.abc import Callable

    from vpg.service.http.shapes import NewLine, NewVpg, VpgChange

_CONNECTIONS: Final = {
    "peering": "peeringConnections",
    "vif": "virtualInterfaces",
    "vpn": "vpnConnections",
}
_SWITCHES: Final = ("mirroring", "redirection", "inspection")
_REFUSED: Final = {
    "no_vpg": "the line's VPG does not exist",
    "line_cap": "the VPG accommodates no more sessions",
    "setup_rate": "too many sessions are being set up",
    "inactive": "the line is inactive",
    "suspended": "the line is suspended",
    "terminated": "the line is terminated",
}


def _kept(work: Callable[[], Any]) -> Any:  # noqa: ANN401 - what ``work`` gives
    """Do what the gateway or the store may refuse."""
    try:
        return work()
    except InputError as error:
        raise invalid(error) from None
    except StoreTroubleError:
        raise RefusedError(answers.STORE_TROUBLE) from None


async def _told(asked: Asked) -> None:
    """Wait until what the change means is committed."""
    try:
        await asked.parts.outbox.send()
    except (OverloadedError, StoreTroubleError) as error:
        raise RefusedError(answers.trouble(error)) from None


# ---- VPGs ----------------------------------------------------------------------------------------


async def create_vpg(asked: Asked) -> Answer:
    """Create a VPG."""
    parts, new = asked.parts, asked.body
    if not asked.mine(new.operatorId):
        raise RefusedError(FORBIDDEN)
    order = _order(new)
    if parts.store.life(order.id) is not None:
        taken = Problem(code="VPG1822", path="vpgId", values={"vpg": order.id})
        raise invalid(InputError([taken]))
    # First the store: a VPG that only the gateway knows would have events that nobody can count.
    _kept(parts.store.ping)
    vpg = _kept(lambda: parts.gateway.create_vpg(order, parts.clock.now_us()))
    _kept(lambda: parts.store.put_vpgs([order]))
    await _told(asked)
    return json_of(vpg_shape(parts, vpg), 201)


def _order(new: NewVpg) -> VpgOrder:
    state = BillingState(
        type=new.type,
        size=new.size,
        peering=new.peeringConnections,
        vif=new.virtualInterfaces,
        vpn=new.vpnConnections,
        mirroring=new.mirroring,
        redirection=new.redirection,
        inspection=new.inspection,
        fixed_ip_sets=new.fixedIpSets,
    )
    return VpgOrder(id=new.vpgId, operator_id=new.operatorId, state=state)


async def change_vpg(asked: Asked) -> Answer:
    """Change a VPG: all that is asked for, or nothing."""
    parts, change = asked.parts, asked.body
    vpg = vpg_of(asked)
    state, gateway, now_us = vpg.state, parts.gateway, parts.clock.now_us()
    vpg_type = change.type or state.type
    size = state.size if change.size is None else change.size
    _kept(lambda: _check(asked, change, vpg_type, size))
    if (vpg_type, size) != (state.type, state.size):
        _kept(lambda: gateway.resize(vpg.id, vpg_type, size, now_us))
    wanted = {name: getattr(change, name) for name in _SWITCHES}
    wanted["fixed_ip"] = change.fixedIpSets
    for feature, value in wanted.items():
        before = state.fixed_ip_sets if feature == "fixed_ip" else getattr(state, feature)
        if value is not None and value != before:
            _switch(asked, vpg.id, feature, int(value), now_us)
    for kind, name in _CONNECTIONS.items():
        count = getattr(change, name)
        if count is not None and count != getattr(state, kind):
            _connect(asked, vpg.id, kind, count - getattr(state, kind), now_us)
    await _told(asked)
    return json_of(vpg_shape(parts, vpg))


def _switch(asked: Asked, vpg_id: str, feature: str, value: int, now_us: int) -> None:
    _kept(lambda: asked.parts.gateway.switch(vpg_id, feature, value, now_us))


def _connect(asked: Asked, vpg_id: str, kind: str, change: int, now_us: int) -> None:
    _kept(lambda: asked.parts.gateway.connections(vpg_id, kind, change, now_us))


def _check(asked: Asked, change: VpgChange, vpg_type: str, size: str) -> None:
    """Raise ``InputError`` for all of a change that cannot be, before any of it is made."""
    problems = []
    if (vpg_type, size) not in vpg_kinds():
        values = {
            "value": f"{vpg_type} {size}".strip(),
            "allowed": ", ".join(" ".join(kind).strip() for kind in vpg_kinds()),
        }
        problems.append(Problem(code="VPG1823", path="type", values=values))
    wanted = {FEATURES[name]: getattr(change, name) for name in _SWITCHES if getattr(change, name)}
    wanted |= {kind: getattr(change, name) for kind, name in _CONNECTIONS.items()}
    wanted["fixed_ip"] = change.fixedIpSets
    problems += [
        Problem(code="VPG1824", path=feature, values={"type": vpg_type, "what": feature})
        for feature, value in wanted.items()
        if value and not asked.parts.catalogue.allows(vpg_type, feature)
    ]
    if problems:
        raise InputError(problems)


async def terminate_vpg(asked: Asked) -> Answer:
    """End a VPG and its sessions."""
    parts = asked.parts
    vpg = vpg_of(asked)
    _kept(lambda: parts.gateway.end_vpg(vpg.id, parts.clock.now_us()))
    await _told(asked)
    return json_of(vpg_shape(parts, vpg))


# ---- lines ---------------------------------------------------------------------------------------


async def add_line(asked: Asked) -> Answer:
    """Register a line; the same line a second time is answered as the first."""
    parts, new = asked.parts, asked.body
    if not asked.mine(new.operatorId):
        raise RefusedError(FORBIDDEN)
    life = parts.store.life(new.vpgId)
    if life is None or life.operator_id != new.operatorId:
        raise RefusedError(fault(422, "unknown_vpg", f"the operator has no VPG {new.vpgId!r}"))
    entry = _entry(new)
    known = parts.gateway.line_named(entry.sim_id)
    if known is not None and known.entry == entry:
        line = known
    else:
        _kept(parts.store.ping)
        (line,) = _kept(lambda: parts.gateway.add_lines([entry]))
    _kept(lambda: parts.store.put_lines([entry]))
    return json_of(line_shape(line), 201)


def _entry(new: NewLine) -> LineEntry:
    if new.address:
        try:
            address = ipaddress.IPv4Address(new.address)
        except ValueError:
            address = ipaddress.IPv4Address(0)
        if not address.is_loopback:
            raise RefusedError(fault(422, "invalid", "address: 127.a.b.c, or leave it out"))
    return LineEntry(
        sim_id=new.simId,
        imsi=new.imsi,
        operator_id=new.operatorId,
        vpg_id=new.vpgId,
        group_id=new.groupId,
        status=new.status,
        address=new.address,
    )


async def change_line(asked: Asked) -> Answer:
    """Change a line's status; one that may not be used any more loses its session."""
    parts, status = asked.parts, asked.body.status
    line = line_of(asked)
    if line.status == "terminated" and status != "terminated":
        raise RefusedError(fault(422, "terminated", "a terminated line stays terminated"))
    now_us = parts.clock.now_us()
    _kept(lambda: parts.store.change_line(line.entry.sim_id, status, now_us))
    parts.gateway.set_status(line, status, now_us)
    await _told(asked)
    return json_of(line_shape(line))


# ---- sessions ------------------------------------------------------------------------------------


async def attach(asked: Asked) -> Answer:
    """Let a device attach."""
    parts = asked.parts
    line = line_of(asked)
    answer = parts.gateway.attach(line, parts.clock.now_us())
    await _told(asked)
    if answer.decision in {"created", "kept"}:
        status = 201 if answer.decision == "created" else 200
        return json_of(AttachShape(decision=answer.decision), status)
    retry_s = None
    if answer.retry_after_us:
        retry_s = math.ceil(parts.clock.wall_s(answer.retry_after_us))
    words = _REFUSED.get(answer.reason, "the session is refused")
    return fault(403, answer.reason or answer.decision, words, retry_s=retry_s)


async def detach(asked: Asked) -> Answer:
    """End a line's session, one way or another."""
    parts, query = asked.parts, asked.query
    if query.lost and query.cut:
        raise RefusedError(fault(422, "invalid", "lost or cut, not both"))
    line, now_us = line_of(asked), parts.clock.now_us()
    gateway = parts.gateway
    act = gateway.lost if query.lost else gateway.cut if query.cut else gateway.detach
    ended = act(line, now_us)
    await _told(asked)
    return json_of(DetachShape(ended=ended))
