"""VPGs of a scenario file to ``scenarios.model.Vpg``, with the checks inside one VPG."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from scenarios import model
from scenarios.places import shorten
from scenarios.times import ppm, us

if TYPE_CHECKING:
    from scenarios.context import Context
    from scenarios.places import Path
    from scenarios.schema_vpgs import (
        JunctionPart,
        LimiterPart,
        MirroringPart,
        RedirectionPart,
        VpgPart,
    )

SIZED_TYPES = ("C", "D")
"""Types that come in small, medium and large."""


def build_vpg(part: VpgPart, index: int, context: Context) -> model.Vpg | None:
    """Return the VPG, or None with its problems noted."""
    path: Path = ("vpgs", index)
    size = check_size(part.type, part.size, path, context)
    created_us = context.start_us
    if part.created_at is not None:
        created_us = context.moment(part.created_at, (*path, "created_at"))
        context.within_run(created_us, part.created_at, (*path, "created_at"))
    deleted_us = None
    if part.deleted_at is not None:
        deleted_us = context.moment(part.deleted_at, (*path, "deleted_at"))
        if deleted_us is not None and created_us is not None and deleted_us <= created_us:
            context.problem("VPG1256", (*path, "deleted_at"), value=shorten(part.deleted_at))
    _check_limiter(part.limiter, (*path, "limiter"), context)
    peers = _peers(part.junction, (*path, "junction", "mirroring", "peers"), context)
    if part.header_bytes >= part.mtu_bytes:
        context.problem("VPG1257", (*path, "header_bytes"), value=part.header_bytes)
    _check_allowed(part, path, context)
    if size is None or created_us is None:
        return None
    redirection = part.junction.redirection
    return model.Vpg(
        id=part.id,
        type=part.type,
        size=size,
        created_at_us=created_us,
        deleted_at_us=deleted_us,
        limiter=model.Limiter(
            kind=part.limiter.kind,
            above=part.limiter.above,
            burst_requests=part.limiter.burst_requests,
            queue_deadline_us=us(part.limiter.queue_deadline_s),
            queue_requests_max=part.limiter.queue_requests_max,
        ),
        peering=part.connections.peering,
        vif=part.connections.vif,
        vpn=part.connections.vpn,
        mirroring=_is_on(part.junction.mirroring),
        mirror_peers=peers,
        redirection=_is_on(redirection),
        redirection_delay_us=int(redirection.delay_ms * 1000) if redirection else 0,
        inspection=part.junction.inspection,
        fixed_ip_sets=part.fixed_ip_sets,
        upstream=model.Upstream(
            delay_us=int(part.upstream.delay_ms * 1000),
            timeout_us=us(part.upstream.timeout_s),
            failure_ppm=ppm(part.upstream.failure_percent),
        ),
        mtu_bytes=part.mtu_bytes,
        header_bytes=part.header_bytes,
        message_overhead_bytes=part.message_overhead_bytes,
        contract_fee=part.contract_fee,
    )


def check_size(
    kind: model.VpgType, size: model.SizeName | None, path: Path, context: Context
) -> model.SizeName | None:
    """Return the size as the model has it; None with a problem when it does not fit the type."""
    if kind in SIZED_TYPES:
        if not size:
            context.problem("VPG1258", path, type=kind)
            return None
        return size
    if size:
        context.problem("VPG1259", (*path, "size"), type=kind, value=size)
        return None
    return ""


def _is_on(part: MirroringPart | RedirectionPart | None) -> bool:
    return part is not None and part.enabled


def _check_limiter(part: LimiterPart, path: Path, context: Context) -> None:
    given = part.model_fields_set
    if part.kind == "fixed_window" and part.burst_requests is not None:
        context.problem(
            "VPG1222", (*path, "burst_requests"), key="burst_requests", needs="kind: token_bucket"
        )
    if part.above != "queue":
        for key in sorted(given & {"queue_deadline_s", "queue_requests_max"}):
            context.problem("VPG1222", (*path, key), key=key, needs="above: queue")


def _peers(part: JunctionPart, path: Path, context: Context) -> tuple[model.MirrorPeer, ...]:
    peers = part.mirroring.peers if part.mirroring else ()
    seen: dict[str, int] = {}
    built = []
    for index, peer in enumerate(peers):
        here = (*path, index, "ip")
        try:
            address = str(ipaddress.ip_address(peer.ip))
        except ValueError:
            context.problem("VPG1260", here, value=shorten(peer.ip))
            continue
        if address in seen:
            context.problem("VPG1261", here, value=peer.ip, first=seen[address])
        seen.setdefault(address, context.node.place_of(here).line)
        capacity = peer.capacity_kbps
        built.append(
            model.MirrorPeer(
                ip=address,
                enabled=peer.enabled,
                capacity_bytes_per_s=None if capacity is None else int(capacity * 125),
                loss_ppm=ppm(peer.loss_percent),
            )
        )
    return tuple(built)


def _check_allowed(part: VpgPart, path: Path, context: Context) -> None:
    """Note functions that the VPG's type does not offer."""
    asked: list[tuple[str, Path]] = [
        (kind, ("connections", kind))
        for kind in ("peering", "vif", "vpn")
        if getattr(part.connections, kind)
    ]
    junction = part.junction
    if _is_on(junction.mirroring) or _is_on(junction.redirection) or junction.inspection:
        asked.append(("junction", ("junction",)))
    if part.fixed_ip_sets:
        asked.append(("fixed_ip", ("fixed_ip_sets",)))
    for feature, where in asked:
        if not context.catalogue.allows(part.type, feature):
            context.problem("VPG1262", (*path, *where), type=part.type, feature=feature)
