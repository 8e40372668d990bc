"""What a scenario means: frozen values in integer units, after every check.

Owns: the meaning of each thing a scenario can say. Does not own: how it is written (``schema``),
where mistakes are reported (``loader``) or what happens (``sim``). Times: ``*_at_us`` and ``at_us``
are ``SimUs`` (absolute); every other ``*_us`` is a duration. Shares are in parts per million.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

MILLION = 1_000_000

ServiceName = Literal["beam", "funnel", "funk", "ip"]
VpgType = Literal["C", "D", "E", "F", "F2", "G"]
SizeName = Literal["small", "medium", "large", ""]
LineStatus = Literal["ready", "active", "inactive", "standby", "suspended", "terminated"]


# ---- gateways ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Limiter:
    """Request limiter of one VPG (A-03, A-04)."""

    kind: Literal["token_bucket", "fixed_window"] = "token_bucket"
    above: Literal["reject", "queue"] = "reject"
    burst_requests: int | None = None
    """Bucket capacity in requests; None: one second of the VPG's rate."""
    queue_deadline_us: int = 30_000_000
    """Longest wait of a queued attempt; it is throttled when this ends."""
    queue_requests_max: int | None = None
    """Most admitted attempts waiting at once; None: bounded by the deadline alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorPeer:
    """One destination of Junction mirroring."""

    ip: str
    enabled: bool = True
    capacity_bytes_per_s: int | None = None
    loss_ppm: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """What lies behind the VPG (A-22)."""

    delay_us: int = 0
    timeout_us: int = 30_000_000
    failure_ppm: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Vpg:
    """One Virtual Private Gateway as ordered."""

    id: str
    type: VpgType
    size: SizeName
    created_at_us: int
    """First instant it exists (scenario start when earlier is not asked for)."""
    deleted_at_us: int | None = None
    limiter: Limiter = field(default_factory=Limiter)
    peering: int = 0
    vif: int = 0
    vpn: int = 0
    mirroring: bool = False
    mirror_peers: tuple[MirrorPeer, ...] = ()
    redirection: bool = False
    redirection_delay_us: int = 0
    inspection: bool = False
    fixed_ip_sets: int = 0
    upstream: Upstream = field(default_factory=Upstream)
    mtu_bytes: int = 1500
    header_bytes: int = 40
    """IP and transport headers of one packet inside the tunnel."""
    message_overhead_bytes: int = 0
    """Protocol bytes (HTTP or MQTT header) around the payload of one message, each way."""
    contract_fee: bool = True
    """Charge the one-off contract fee in the hour the VPG is created (off: it existed before)."""


# ---- fleets --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """When to try again after a failed try.

    The n-th retry waits the n-th delay of ``steps`` (delay_us, count) written out; behind the end
    the list starts again (``cycle``) or its last delay repeats. ``jitter_ppm`` j makes a delay d
    uniform in [d(1 - j), d(1 + j)). With ``retry_after`` a longer Retry-After of the refusal
    replaces d before jitter. Empty ``steps``: never.
    """

    name: str = "none"
    steps: tuple[tuple[int, int], ...] = ()
    cycle: bool = False
    jitter_ppm: int = 0
    tries_max: int | None = None
    """Most retries after the first try; None: no bound."""
    deadline_us: int | None = None
    """Longest time from the message's creation (or the first attach try) to a try."""
    retry_after: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Ramp:
    """How a set of lines spreads one action: each line draws its own instant in [0, over_us)."""

    shape: Literal["at_once", "uniform", "beta34"] = "at_once"
    over_us: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """How lines of a fleet hold sessions."""

    attach: Literal["at_start", "on_report", "on_event"] = "on_report"
    ramp: Ramp = field(default_factory=Ramp)
    """Spread of attach ``at_start`` (at the fleet's start, or when a line is added)."""
    duration: Literal["idle", "fixed", "exponential"] = "idle"
    duration_us: int = 0
    """Length (fixed) or mean (exponential); the idle timeout is then not used."""
    reattach_every_us: int | None = None
    """Device detaches and attaches again after this long in one session."""
    notice_us: int | None = None
    """Device notices a lost session after this long; None: at its next attempt only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """Size of a message in bytes.

    Fixed (low == high), uniform in [low, high], Pareto cut at high, or a choice.
    """

    kind: Literal["fixed", "uniform", "pareto", "choice"] = "fixed"
    low_bytes: int = 0
    high_bytes: int = 0
    shape_milli: int = 0
    """Pareto shape × 1,000."""
    choices: tuple[tuple[int, int], ...] = ()
    """(bytes, weight)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceBase:
    """What every traffic source has; ``name`` is unique in its fleet and keys its draws."""

    name: str
    service: ServiceName
    up: Payload
    down: Payload
    share_ppm: int = MILLION
    """Share of the fleet's lines that run this source (drawn per line)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Periodic(SourceBase):
    """Tick k of a line at phase + k × every (+ jitter in [0, jitter_us)).

    Phase: ``uniform`` drawn in [0, every); ``even`` = line × every // lines; ``clock`` = ticks at
    multiples of ``every_us`` since the epoch plus ``offset_us``, the same for all lines.
    """

    every_us: int
    phase: Literal["uniform", "even", "clock"] = "uniform"
    offset_us: int = 0
    jitter_us: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Poisson(SourceBase):
    """Independent arrivals at ``rate_micro_per_hour`` / 1,000,000 messages an hour and line."""

    rate_micro_per_hour: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst(SourceBase):
    """One message a line, spread over ``over_us`` from ``at_us``.

    TR 37.868 model 1 (uniform) or 2 (beta34).
    """

    at_us: int
    over_us: int
    shape: Literal["uniform", "beta34"]
    repeat_us: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporting(SourceBase):
    """TR 45.820 mobile autonomous reporting: each line draws its interval from ``intervals``.

    ``intervals``: (every_us, weight); phase uniform in the interval.
    """

    intervals: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DemandCurve(SourceBase):
    """Poisson arrivals whose rate follows measured demand.

    Interval i begins at ``begins_us[i]`` (SimUs), ends at ``ends_us[i]`` (at most one hour later)
    and carries ``micro_messages[i]`` / 1,000,000 messages on average over all the lines the fleet
    starts with together.
    """

    begins_us: tuple[int, ...]
    ends_us: tuple[int, ...]
    micro_messages: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace(SourceBase):
    """Replay: message i leaves line ``lines[i]`` at ``times_us[i]`` with these bytes.

    Times are SimUs, ascending.
    """

    times_us: tuple[int, ...]
    lines: tuple[int, ...]
    bytes_up: tuple[int, ...]
    bytes_down: tuple[int, ...]


Source = Periodic | Poisson | Burst | Reporting | DemandCurve | Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Lines with one behaviour, bound to one VPG."""

    name: str
    vpg_id: str
    lines: int
    status: LineStatus = "active"
    session: Session = field(default_factory=Session)
    attach_retry: RetryPolicy = field(default_factory=RetryPolicy)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    outstanding: Literal["independent", "hold", "drop"] = "independent"
    """``hold``/``drop``: one message in flight a line; new ones are buffered / dropped."""
    buffer_messages: int = 1000
    """Most messages a line holds while attaching, without power or busy; then ``lost_buffer``."""
    traffic: tuple[Source, ...] = ()


# ---- control-plane events ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class EventBase:
    """When (SimUs)."""

    at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierOutage(EventBase):
    """Radio of ``fleets`` is gone until ``until_us``: sessions are cut, or stay as ghosts."""

    until_us: int
    fleets: tuple[str, ...]
    share_ppm: int = MILLION
    sessions: Literal["cut", "ghost"] = "cut"
    release: Ramp = field(default_factory=Ramp)


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerCut(EventBase):
    """Devices of ``fleets`` are off until ``until_us``: ghosts remain, no messages are created."""

    until_us: int
    fleets: tuple[str, ...]
    share_ppm: int = MILLION
    release: Ramp = field(default_factory=Ramp)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForcedCut(EventBase):
    """The platform cuts sessions (A-28); devices do not know until they notice."""

    fleets: tuple[str, ...]
    share_ppm: int = MILLION


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachLines(EventBase):
    """Lines of ``fleets`` without a session begin to attach (for ``attach: on_event``)."""

    fleets: tuple[str, ...]
    share_ppm: int = MILLION
    ramp: Ramp = field(default_factory=Ramp)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recreate(EventBase):
    """Type or size of a VPG changes (A-13): every session is cut, unless it is in place."""

    vpg_id: str
    type: VpgType
    size: SizeName


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSwitch(EventBase):
    """Mirroring, redirection or inspection on or off; or the number of fixed global IP sets."""

    vpg_id: str
    feature: Literal["mirroring", "redirection", "inspection", "fixed_ip"]
    value: int
    """0 off, 1 on; sets for fixed_ip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionChange(EventBase):
    """Peering, VIF or VPN connections added (positive) or removed (negative)."""

    vpg_id: str
    kind: Literal["peering", "vif", "vpn"]
    change: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamFault(EventBase):
    """The upstream is down, or slower by ``delay_us``, for ``services`` until ``until_us``."""

    until_us: int
    vpg_id: str
    services: tuple[ServiceName, ...]
    mode: Literal["down", "slow"]
    delay_us: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorPeerFault(EventBase):
    """A mirroring peer receives nothing until ``until_us``."""

    until_us: int
    vpg_id: str
    ip: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RedirectionFault(EventBase):
    """The customer's redirection server is down until ``until_us``: its traffic fails upstream."""

    until_us: int
    vpg_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LineChange(EventBase):
    """Lines [first_line, first_line + lines) of a fleet change their status."""

    fleet: str
    first_line: int
    lines: int
    status: LineStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth(EventBase):
    """``lines`` more active lines join a fleet, numbered behind the existing ones."""

    fleet: str
    lines: int


Event = (
    CarrierOutage
    | PowerCut
    | ForcedCut
    | AttachLines
    | Recreate
    | FeatureSwitch
    | ConnectionChange
    | UpstreamFault
    | MirrorPeerFault
    | RedirectionFault
    | LineChange
    | Growth
)


# ---- what is asked and assumed -------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """A promise to check after the run. ``limit`` is in the unit that ``kind`` ends with.

    Kinds: ``accepted_ppm_min`` (delivered of decided messages), ``throttled_ppm_max`` (of limited
    attempts), ``refused_attach_ppm_max``, ``lost_messages_max``, ``delay_us_p99_max``,
    ``rate_peak_per_s_max``, ``lines_peak_max``, ``charges_yen_max`` (tax included, whole run).
    """

    kind: str
    limit: int
    vpg_id: str = ""
    """Empty: all VPGs together (for delay and peaks: the worst one)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """Readings of what no document settles; the register is ``scenarios/assumptions.toml``."""

    a01_line_cap: Literal["sessions", "assigned_sims"] = "sessions"
    a02_above_line_cap: Literal["refuse", "accept_and_flag", "evict_longest_idle"] = "refuse"
    a03_above_rate: Literal["refuse", "reset", "accept_and_flag"] = "refuse"
    """``reset`` refuses without Retry-After. Queueing is the limiter's ``above: queue``."""
    a05_rate_shared: Literal["shared", "each"] = "shared"
    a06_beam_legs: Literal["device", "both"] = "device"
    a09_included_connection: Literal["one_in_total", "one_of_each"] = "one_in_total"
    a10_inspection: Literal["per_started_10000", "first_10000"] = "per_started_10000"
    a11_junction_inspection: Literal["additive", "inspection_only"] = "additive"
    a13_size_change: Literal["recreate_with_fee", "in_place_free"] = "recreate_with_fee"
    a15_rounding: Literal["monthly_total", "per_item", "per_day"] = "monthly_total"
    a16_idle_timeout_us: int = 3_600_000_000
    """0: off."""
    a17_ghosts: Literal["replaced", "not_replaced"] = "replaced"
    a18_session_setup_per_s: int | None = None
    """Sessions a VPG sets up per second; None: no limit."""
    a28_cut_after_us: int | None = None
    """A session older than this is cut by the platform; None: never."""
    a28_cut_after_bytes: int | None = None
    """A session that moved more payload bytes is cut; None: never."""
    a32_resize_hour: Literal["both", "dearer"] = "both"
    a35_mirror_throttled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One thing to simulate."""

    name: str
    title: str
    start_us: int
    end_us: int
    seed: int
    vpgs: tuple[Vpg, ...]
    fleets: tuple[Fleet, ...]
    events: tuple[Event, ...] = ()
    """In the order of (at_us, place in the file)."""
    objectives: tuple[Objective, ...] = ()
    assumptions: Assumptions = field(default_factory=Assumptions)
    variant: str = ""
    overrides: tuple[str, ...] = ()
    """The overrides applied, as text, in order."""
    title_ja: str = ""
    """The title in Japanese where the file has one for each language; else empty."""

    def title_in(self, lang: str) -> str:
        """Return the title for readers of ``lang`` ("ja", "en")."""
        return self.title_ja if lang == "ja" and self.title_ja else self.title
