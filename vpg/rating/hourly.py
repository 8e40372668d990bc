"""The hourly metrics: one closed, versioned table where simulator and live service meet.

Owns: the columns, their meaning, how rows add up, and the digest. Does not own: prices (catalogue)
or how the figures come about (simulator, service). Times: every ``*_us`` is ``SimUs``; rows begin
at a clock hour. One row per (vpg_id, hour_start_us, config_seq): a change of type or size inside an
hour ends one row and begins the next with ``config_seq`` + 1. The billing state of a row is what
was true at any instant of it (peaks), not what was true at its end.
"""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

SCHEMA = "vpgsim-hourly-v1"
SERVICES = ("beam", "funnel", "funk", "ip")
LIMITED_SERVICES = ("beam", "funnel", "funk")
OUTCOMES = ("accepted", "throttled", "no_session", "failed_upstream")

Aggregate = Literal["key", "state", "set", "sum", "max", "first", "last"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: how rows of one VPG combine over time, its unit, and what it counts."""

    name: str
    aggregate: Aggregate
    unit: str
    text: str
    is_text: bool


def _column(aggregate: Aggregate, unit: str, text: str, default: int | str = 0) -> Any:  # noqa: ANN401 - dataclass field
    return dataclasses.field(default=default, metadata={"column": (aggregate, unit, text)})


@dataclass(frozen=True, slots=True, kw_only=True)
class HourlyRow:
    """What one VPG did and was in one clock hour; integers and names only."""

    vpg_id: str = _column("key", "", "the VPG", "")
    hour_start_us: int = _column("key", "us", "start of the clock hour, UTC")
    config_seq: int = _column(
        "key", "", "0, then 1 more for each change of type or size in the run"
    )
    vpg_exists: int = _column("max", "bool", "1 when the VPG existed at any instant of the row")
    type: str = _column("state", "", "C, D, E, F, F2 or G", "")
    size: str = _column("state", "", "small, medium, large; empty where the type has no sizes", "")
    peering_peak: int = _column("max", "connections", "most Peering connections at once")
    vif_peak: int = _column("max", "connections", "most VIFs at once")
    vpn_peak: int = _column("max", "connections", "most VPN connections at once")
    junction_on: int = _column("max", "bool", "1 when mirroring, redirection or inspection was on")
    inspection_on: int = _column("max", "bool", "1 when Junction inspection was on")
    lines_inspected: int = _column("max", "lines", "distinct lines inspected in the hour")
    fixed_ip_sets: int = _column("max", "sets", "most fixed global IP sets at once")
    one_off: str = _column("set", "", "one-off fees that fell due, comma-separated, in order", "")
    sessions_start: int = _column("first", "sessions", "sessions when the row begins")
    sessions_created: int = _column("sum", "sessions", "sessions created")
    sessions_deleted: int = _column("sum", "sessions", "sessions deleted, replaced ghosts included")
    sessions_end: int = _column("last", "sessions", "sessions when the row ends")
    attach_attempts: int = _column(
        "sum", "attempts", "attempts to create a session that reached the VPG"
    )
    sessions_refused: int = _column("sum", "attempts", "of these, refused by the line cap")
    attach_rejected_other: int = _column(
        "sum", "attempts", "of these, refused otherwise (line state, set-up rate)"
    )
    lines_peak: int = _column("max", "sessions", "most sessions at once, ghosts included")
    ghosts_peak: int = _column("max", "sessions", "most ghost sessions at once")
    sessions_flagged: int = _column(
        "sum", "sessions", "accepted above the line cap (A-02 accept_and_flag)"
    )
    attach_peak_per_s: int = _column("max", "1/s", "most attach attempts in one UTC second")
    messages_offered: int = _column("sum", "messages", "created by devices")
    messages_delivered: int = _column("sum", "messages", "accepted at last")
    lost_tries: int = _column("sum", "messages", "given up after the last try")
    lost_deadline: int = _column("sum", "messages", "given up at the deadline")
    lost_buffer: int = _column("sum", "messages", "dropped: the device was busy or its buffer full")
    lost_cancelled: int = _column(
        "sum", "messages", "dropped: line or VPG ended, or the device lost power"
    )
    pending_start: int = _column("first", "messages", "undecided messages when the row begins")
    pending_end: int = _column("last", "messages", "undecided messages when the row ends")
    attempts_beam: int = _column("sum", "attempts", "beam: tries decided, whatever the outcome")
    accepted_beam: int = _column("sum", "attempts", "beam: admitted and taken by the upstream")
    throttled_beam: int = _column(
        "sum", "attempts", "beam: refused by the request limiter or expired in its queue"
    )
    no_session_beam: int = _column("sum", "attempts", "beam: made without a session; took no token")
    failed_upstream_beam: int = _column(
        "sum", "attempts", "beam: admitted, then failed or timed out upstream"
    )
    attempts_funnel: int = _column("sum", "attempts", "funnel: tries decided, whatever the outcome")
    accepted_funnel: int = _column("sum", "attempts", "funnel: admitted and taken by the upstream")
    throttled_funnel: int = _column(
        "sum", "attempts", "funnel: refused by the request limiter or expired in its queue"
    )
    no_session_funnel: int = _column(
        "sum", "attempts", "funnel: made without a session; took no token"
    )
    failed_upstream_funnel: int = _column(
        "sum", "attempts", "funnel: admitted, then failed or timed out upstream"
    )
    attempts_funk: int = _column("sum", "attempts", "funk: tries decided, whatever the outcome")
    accepted_funk: int = _column("sum", "attempts", "funk: admitted and taken by the upstream")
    throttled_funk: int = _column(
        "sum", "attempts", "funk: refused by the request limiter or expired in its queue"
    )
    no_session_funk: int = _column("sum", "attempts", "funk: made without a session; took no token")
    failed_upstream_funk: int = _column(
        "sum", "attempts", "funk: admitted, then failed or timed out upstream"
    )
    attempts_ip: int = _column("sum", "attempts", "ip: tries decided, whatever the outcome")
    accepted_ip: int = _column("sum", "attempts", "ip: admitted and taken by the upstream")
    throttled_ip: int = _column(
        "sum", "attempts", "ip: refused by the request limiter or expired in its queue"
    )
    no_session_ip: int = _column("sum", "attempts", "ip: made without a session; took no token")
    failed_upstream_ip: int = _column(
        "sum", "attempts", "ip: admitted, then failed or timed out upstream"
    )
    requests_flagged: int = _column(
        "sum", "attempts", "admitted above the rate (A-03 accept_and_flag)"
    )
    rate_peak_per_s: int = _column(
        "max", "1/s", "most limited attempts reaching the limiter in a UTC second"
    )
    bytes_up: int = _column("sum", "bytes", "payload of accepted attempts, device to platform")
    bytes_down: int = _column("sum", "bytes", "payload of the answers to accepted attempts")
    bytes_mirrored: int = _column("sum", "bytes", "sent to mirroring peers, GRE included")
    mirror_dropped: int = _column(
        "sum", "packets", "mirrored packets lost: peer full, lossy or down"
    )
    delay_us_p50: int = _column(
        "state", "us", "median of message created to accepted, from the histogram"
    )
    delay_us_p99: int = _column("state", "us", "99th percentile of the same")
    delay_us_max: int = _column(
        "state", "us", "largest of the same: its histogram bucket's upper edge"
    )


def _columns() -> tuple[Column, ...]:
    found = []
    for item in dataclasses.fields(HourlyRow):
        aggregate, unit, text = item.metadata["column"]
        found.append(Column(item.name, aggregate, unit, text, item.type == "str"))
    return tuple(found)


COLUMNS: tuple[Column, ...] = _columns()
NAMES: tuple[str, ...] = tuple(column.name for column in COLUMNS)


def key_of(row: HourlyRow) -> tuple[str, int, int]:
    """Return what identifies ``row``."""
    return row.vpg_id, row.hour_start_us, row.config_seq


def digest(rows: Iterable[HourlyRow]) -> str:
    """Return the SHA-256 (hex) that two runs share exactly when every cell of their rows is equal.

    Rows sorted by key, columns in schema order, integers as decimal ASCII, TAB between and LF
    after.
    """
    sha = hashlib.sha256(f"{SCHEMA}\n".encode())
    for row in sorted(rows, key=key_of):
        cells = "\t".join(str(getattr(row, name)) for name in NAMES)
        sha.update(f"{cells}\n".encode())
    return sha.hexdigest()
