"""What the live service is told at its start: VPGs as ordered, lines, rules, bounds.

Owns: these values. Does not own: where they come from (the command line; ``vpg.cli`` makes them of
a scenario) or what is done with them. Times: every ``*_us`` is a duration in µs of service time
(``vpg.service.clock``), every ``*_s`` a duration in seconds of this machine's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from vpg.billing.policy import Rounding
    from vpg.rating.charges import ChargePolicy
    from vpg.rating.ledger import BillingState

LineStatus = Literal["ready", "active", "inactive", "standby", "suspended", "terminated"]
LineCap = Literal["sessions", "assigned_sims"]
AboveLineCap = Literal["refuse", "accept_and_flag", "evict_longest_idle"]
AboveRate = Literal["refuse", "reset", "accept_and_flag"]
AboveMqttRate = Literal["ignore", "disconnect"]

GRE_IN_UDP_PORT = 4754
"""Source: RFC 8086 section 8.3 (UDP destination port of GRE-in-UDP)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One destination of Junction mirroring."""

    ip: str
    port: int = GRE_IN_UDP_PORT
    enabled: bool = True
    capacity_bytes_per_s: int | None = None
    loss_ppm: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limiter:
    """Request limiter of one VPG (A-03, A-04)."""

    kind: Literal["token_bucket", "fixed_window"] = "token_bucket"
    above: Literal["reject", "queue"] = "reject"
    burst_requests: int | None = None
    """None: one second of the VPG's rate."""
    queue_deadline_us: int = 30_000_000
    queue_requests_max: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """What lies behind the VPG (A-22)."""

    url: str = ""
    """Empty: the gateway answers itself. ``http(s)://host:port/path`` or ``mqtt://host:port``."""
    delay_us: int = 0
    """Time an answer of the gateway's own takes."""
    timeout_us: int = 30_000_000
    failure_ppm: int = 0
    """Share of the gateway's own answers that fail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VpgOrder:
    """One VPG as ordered."""

    id: str
    operator_id: str
    state: BillingState
    limiter: Limiter = field(default_factory=Limiter)
    peers: tuple[Peer, ...] = ()
    upstream: Upstream = field(default_factory=Upstream)
    redirection_delay_us: int = 0
    mtu_bytes: int = 1500
    header_bytes: int = 40
    message_overhead_bytes: int = 0
    contract_fee: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class LineEntry:
    """One SIM line."""

    sim_id: str
    imsi: str
    operator_id: str
    vpg_id: str
    group_id: str
    """The SIM group that binds it to its VPG (a fleet of a scenario)."""
    status: LineStatus = "active"
    address: str = ""
    """Source address by which its traffic is known, ``127.a.b.c``; empty: by name only."""
    keeps_alive: bool = False
    """Its device keeps its session alive and ends it itself: the idle timeout is for ghosts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Readings of what no document settles (the register of assumptions), as the service needs."""

    line_cap: LineCap = "sessions"
    above_line_cap: AboveLineCap = "refuse"
    above_rate: AboveRate = "refuse"
    mqtt_above_rate: AboveMqttRate = "ignore"
    """What a throttled QoS 1 publish meets besides no PUBACK: 3.1.1 has no word for it."""
    rate_shared: bool = True
    """A-05: Beam, Funnel and Funk share one limiter."""
    beam_both_legs: bool = False
    """A-06: a Beam request costs two."""
    recreate_with_fee: bool = True
    """A-13: a change of type or size costs and cuts every session."""
    idle_timeout_us: int = 3_600_000_000
    """A-16; 0: off."""
    ghosts_replaced: bool = True
    """A-17."""
    session_setup_per_s: int | None = None
    """A-18."""
    cut_after_us: int | None = None
    cut_after_bytes: int | None = None
    """A-28."""
    mirror_throttled: bool = True
    """A-35."""
    implicit_attach: bool = True
    """A request of an active line without a session attaches first; off: ``no_session``."""
    lines_must_be_known: bool = True
    """Usage events of lines that nobody registered are refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingRules:
    """What turns hourly metrics into a bill."""

    charges: ChargePolicy
    rounding: Rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What the service takes at most; beyond it a stated answer, never growth without end."""

    body_bytes: int = 262_144
    """Body of one API request (usage events: 256 KiB; RELIABILITY 3)."""
    batch_events: int = 100
    entry_body_bytes: int = 800_000
    """Body at Funnel, Funk and the Unified Endpoint (Funnel's own limit; DOMAIN 3.2)."""
    beam_body_bytes: int = 65_536
    mqtt_packet_bytes: int = 65_536
    header_bytes: int = 16_384
    headers: int = 64
    target_bytes: int = 4_096
    connections: int = 12_000
    header_s: float = 10.0
    """A request's line and headers must be there within."""
    body_s: float = 20.0
    idle_s: float = 75.0
    """A kept-alive connection without a request."""
    pending_events: int = 20_000
    """Events that wait for their commit; beyond: 503 with Retry-After."""
    drain_s: float = 10.0
