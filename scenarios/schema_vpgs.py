"""How a scenario file writes a VPG; meaning and units of the values: ``scenarios.model``."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from scenarios.schema_base import (
    Burst,
    Bytes,
    Connections,
    Count,
    Headers,
    Kbps,
    Label,
    Milliseconds,
    Moment,
    Mtu,
    Part,
    Percent,
    Seconds,
    Text,
)


class LimiterPart(Part):
    """Request limiter of the VPG (assumptions A-03 and A-04)."""

    kind: Literal["token_bucket", "fixed_window"] = "token_bucket"
    """Token bucket, or fixed windows of one UTC second."""
    above: Literal["reject", "queue"] = "reject"
    """What happens above the limit: refused with Retry-After, or queued until the deadline."""
    burst_requests: Burst | None = None
    """Capacity of the bucket in requests; one second of the VPG's limit when left out."""
    queue_deadline_s: Seconds = Decimal(30)
    """Longest wait in the queue in seconds."""
    queue_requests_max: Count | None = None
    """Most requests waiting at once; bounded by the deadline alone when left out."""


class ConnectionsPart(Part):
    """Private connections that exist from the VPG's first instant."""

    peering: Connections = 0
    """Canal: peering connections with a VPC."""
    vif: Connections = 0
    """Direct: virtual interfaces (types that allow it)."""
    vpn: Connections = 0
    """Door: VPN connections (types that allow it)."""


class MirrorPeerPart(Part):
    """One destination of mirrored packets."""

    ip: Text
    """IPv4 or IPv6 address of the peer."""
    enabled: bool = True
    """Off: listed, but receives nothing."""
    capacity_kbps: Kbps | None = None
    """What the peer's link takes; without limit when left out."""
    loss_percent: Percent = Decimal(0)
    """Mirrored packets lost on the way (assumption A-20)."""


class MirroringPart(Part):
    """Junction mirroring: a copy of every packet to each enabled peer."""

    enabled: bool = True
    """Off: listed, but copies nothing until a `feature` event switches it on."""
    peers: tuple[MirrorPeerPart, ...]
    """Destinations of the copies."""


class RedirectionPart(Part):
    """Junction redirection: traffic passes through the customer's server."""

    enabled: bool = True
    """Off: known, but not used until a `feature` event switches it on."""
    delay_ms: Milliseconds = Decimal(0)
    """Time the detour adds to each attempt."""


class JunctionPart(Part):
    """Junction functions; on from the VPG's first instant unless switched off here."""

    mirroring: MirroringPart | None = None
    """Mirroring to peers."""
    redirection: RedirectionPart | None = None
    """Redirection through the customer's server."""
    inspection: bool = False
    """Inspection, metered by distinct lines an hour."""


class UpstreamPart(Part):
    """What lies behind the VPG (assumption A-22)."""

    delay_ms: Milliseconds = Decimal(0)
    """Time to the upstream's answer."""
    timeout_s: Seconds = Decimal(30)
    """Time after which an attempt without answer fails."""
    failure_percent: Percent = Decimal(0)
    """Admitted attempts that the upstream fails."""


class VpgPart(Part):
    """One Virtual Private Gateway as ordered."""

    id: Label
    """Identifier, unique in the file."""
    type: Literal["C", "D", "E", "F", "F2", "G"]
    """VPG type; E, F, F2 and G are unpriced and uncapped unless a catalogue of yours says more."""
    size: Literal["small", "medium", "large"] | None = None
    """Size: needed for types C and D, not allowed for the others."""
    created_at: Moment | None = None
    """When it is created; the start of the run when left out."""
    deleted_at: Moment | None = None
    """When it is deleted; never when left out."""
    contract_fee: bool = True
    """Charge the one-off contract fee in the hour of creation (false: it existed before)."""
    limiter: LimiterPart = LimiterPart()
    """Request limiter; its rate comes from the catalogue."""
    connections: ConnectionsPart = ConnectionsPart()
    """Peering, VIF and VPN."""
    junction: JunctionPart = JunctionPart()
    """Mirroring, redirection, inspection."""
    fixed_ip_sets: Connections = 0
    """Sets of the fixed global IP option."""
    upstream: UpstreamPart = UpstreamPart()
    """Delay, timeout and failures behind the VPG."""
    mtu_bytes: Mtu = 1500
    """Largest packet inside the tunnel."""
    header_bytes: Headers = 40
    """IP and transport headers of one packet."""
    message_overhead_bytes: Bytes = 0
    """Protocol bytes (HTTP or MQTT) around the payload of one message, each way."""
