"""Usage events for tests of the store, and an independent account of what they add up to.

The account is written from the meaning of the columns alone: it knows events and instants, no
sums kept by row, no ledger, no SQL.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from typing import TYPE_CHECKING, Any

from vpg.rating import counting
from vpg.rating.events import (
    CONFIG,
    CREATED,
    DELETED,
    MESSAGE,
    MIRROR,
    MODIFIED,
    REFUSED,
    REQUEST,
    Config,
    Data,
    EventType,
    UsageEvent,
    event,
)
from vpg.rating.histogram import bucket_of, percentile_us
from vpg.rating.hourly import SERVICES, HourlyRow
from vpg.rating.ledger import BillingState
from vpg.service.store.sqlite import SqliteStore
from vpg.service.values import LineEntry, VpgOrder
from vpg.timebase import HOUR_US, SimUs, from_datetime, hour_start

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from vpg.service.store.sql import SqlStore

OPERATOR = "OP0000000001"
T0 = 1_775_001_600_000_000
"""2026-04-01 00:00 UTC, the beginning of a rating month."""
LARGE = Config(type="C", size="large", oneOff=("contract_fee_c",))


def order(vpg_id: str, operator_id: str = OPERATOR) -> VpgOrder:
    state = BillingState(type="C", size="large")
    return VpgOrder(id=vpg_id, operator_id=operator_id, state=state)


def line(sim_id: str, vpg_id: str = "v0", operator_id: str = OPERATOR) -> LineEntry:
    return LineEntry(
        sim_id=sim_id, imsi=f"44{sim_id}", operator_id=operator_id, vpg_id=vpg_id, group_id="g"
    )


def told(
    kind: EventType,
    name: str | int,
    at_us: int,
    *,
    vpg_id: str = "v0",
    source: str = "",
    subject: str = "",
    **figures: Any,
) -> UsageEvent:
    """Return an event of ``vpg_id``, told by a meter beside it unless ``source`` says otherwise."""
    return event(
        kind,
        source=source or f"urn:meter:{vpg_id}",
        event_id=str(name),
        at_us=at_us,
        subject=subject,
        data=Data(operatorId=OPERATOR, vpgId=vpg_id, **figures),
    )


def request(name: str | int, at_us: int, **figures: Any) -> UsageEvent:
    """Return a request: accepted over Beam unless told otherwise."""
    known: dict[str, Any] = {"service": "beam", "outcome": "accepted", **figures}
    return told(REQUEST, name, at_us, **known)


def configured(name: str | int, at_us: int, config: Config = LARGE, **names: Any) -> UsageEvent:
    return told(CONFIG, name, at_us, config=config, **names)


def us(one: UsageEvent) -> SimUs:
    return from_datetime(one.time)


# ---- the independent account ---------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Span:
    """One row's time: half-open, inside one clock hour."""

    hour_us: int
    begin_us: int
    end_us: int
    seq: int


def account(
    events: Iterable[UsageEvent], until_us: int
) -> tuple[list[HourlyRow], dict[tuple[str, int, int], dict[int, int]]]:
    """Return every row (and histogram) of all VPGs, of what exists before ``until_us``."""
    by_vpg: dict[str, list[UsageEvent]] = {}
    for one in events:
        by_vpg.setdefault(one.data.vpgId, []).append(one)
    rows: list[HourlyRow] = []
    delays: dict[tuple[str, int, int], dict[int, int]] = {}
    for vpg_id in sorted(by_vpg):
        found, histograms = _account_of(vpg_id, by_vpg[vpg_id], until_us)
        rows += found
        delays |= histograms
    return rows, delays


def _account_of(
    vpg_id: str, events: Sequence[UsageEvent], until_us: int
) -> tuple[list[HourlyRow], dict[tuple[str, int, int], dict[int, int]]]:
    configs = sorted((one for one in events if one.type == CONFIG), key=us)
    rows, delays = [], {}
    sessions = ghosts = pending = 0
    by_hour: dict[int, list[UsageEvent]] = {}
    for one in events:
        by_hour.setdefault(hour_start(us(one)), []).append(one)
    for span in _spans(configs, until_us):
        hour = by_hour.get(span.hour_us, [])
        own = [one for one in hour if span.begin_us <= us(one) < span.end_us]
        cells, histogram = _flows(own)
        cells |= _state(configs, span)
        same_hour = [one for one in hour if us(one) < span.end_us]
        cells["lines_inspected"] = len({sim for one in same_hour for sim in one.data.inspected})
        cells["lines_peak"] = max(sessions, cells["lines_peak"])
        cells["ghosts_peak"] = max(ghosts, cells["ghosts_peak"])
        cells["sessions_start"], cells["pending_start"] = sessions, pending
        sessions += cells["sessions_created"] - cells["sessions_deleted"]
        ghosts += cells.pop("ghosts")
        lost = sum(cells[name] for name in cells if name.startswith("lost_"))
        pending += cells["messages_offered"] - cells["messages_delivered"] - lost
        cells["sessions_end"], cells["pending_end"] = sessions, pending
        rows.append(
            HourlyRow(
                vpg_id=vpg_id,
                hour_start_us=span.hour_us,
                config_seq=span.seq,
                vpg_exists=1,
                delay_us_p50=percentile_us(histogram, 50),
                delay_us_p99=percentile_us(histogram, 99),
                delay_us_max=percentile_us(histogram, 100),
                **cells,
            )
        )
        if histogram:
            delays[vpg_id, span.hour_us, span.seq] = dict(histogram)
    return rows, delays


def _spans(configs: Sequence[UsageEvent], until_us: int) -> list[Span]:
    """Return the rows' times; empty ones (two changes at one instant) are none."""
    if not configs or us(configs[0]) >= until_us:
        return []
    ends = [us(one) for one in configs if one.data.config and not one.data.config.exists]
    cuts = [us(one) for one in configs if one.data.config and one.data.config.resized]
    last_hour = hour_start(until_us - 1)
    if ends:
        last_hour = min(last_hour, hour_start(ends[0] - 1))
    spans = []
    # Counting begins with the first instant; what is before it belongs to nothing.
    at_us = int(us(configs[0]))
    for hour_us in range(hour_start(at_us), last_hour + 1, HOUR_US):
        inside = [cut for cut in cuts if hour_us < cut < hour_us + HOUR_US and cut < until_us]
        edges = [max(at_us, hour_us), *sorted(set(inside)), hour_us + HOUR_US]
        for begin_us, end_us in itertools.pairwise(edges):
            if begin_us < end_us:
                seq = sum(cut <= begin_us for cut in cuts)
                spans.append(Span(hour_us, begin_us, end_us, seq))
    return spans


def _state(configs: Sequence[UsageEvent], span: Span) -> dict[str, Any]:
    def lasts(one: UsageEvent) -> Config | None:
        config = one.data.config
        return config if config is not None and config.exists else None

    before = [c for one in configs if us(one) <= span.begin_us and (c := lasts(one))]
    within = [c for one in configs if span.begin_us < us(one) < span.end_us and (c := lasts(one))]
    states = [before[-1], *within]
    begun = [c for one in configs if span.begin_us <= us(one) < span.end_us and (c := lasts(one))]
    return {
        "type": states[-1].type,
        "size": states[-1].size,
        "peering_peak": max(one.peering for one in states),
        "vif_peak": max(one.vif for one in states),
        "vpn_peak": max(one.vpn for one in states),
        "junction_on": int(
            any(one.mirroring or one.redirection or one.inspection for one in states)
        ),
        "inspection_on": int(any(one.inspection for one in states)),
        "fixed_ip_sets": max(one.fixedIpSets for one in states),
        "one_off": ",".join(item for one in begun for item in one.oneOff),
    }


def _flows(events: Sequence[UsageEvent]) -> tuple[dict[str, Any], Counter[int]]:
    cells: Counter[str] = Counter()
    peaks = Counter(dict.fromkeys(_PEAKS, 0))
    histogram: Counter[int] = Counter()
    for one in events:
        cells.update(_flow(one))
        for name, value in _peak(one).items():
            peaks[name] = max(peaks[name], value)
        if one.data.delayUs is not None:
            histogram[bucket_of(one.data.delayUs)] += 1
    return {name: cells[name] for name in _SUMMED} | dict(peaks), histogram


def _flow(one: UsageEvent) -> dict[str, int]:
    """Return what one event adds to the columns."""
    data, count = one.data, one.data.requests
    refused = "sessions_refused" if data.outcome == "line_cap" else "attach_rejected_other"
    message = data.outcome if data.outcome.startswith("lost") else f"messages_{data.outcome}"
    flows: dict[str, dict[str, int]] = {
        REQUEST: {
            f"attempts_{data.service}": count,
            f"{data.outcome}_{data.service}": count,
            "bytes_up": data.bytesUp,
            "bytes_down": data.bytesDown,
            "requests_flagged": data.flagged,
        },
        CREATED: {"attach_attempts": 1, "sessions_created": 1, "sessions_flagged": data.flagged},
        REFUSED: {"attach_attempts": count, refused: count},
        DELETED: {"sessions_deleted": 1, "ghosts": -int(data.ghost)},
        MODIFIED: {"ghosts": int(data.ghost)},
        MIRROR: {"bytes_mirrored": data.bytesMirrored, "mirror_dropped": data.mirrorDropped},
        MESSAGE: {message: count},
    }
    return flows.get(one.type, {})


def _peak(one: UsageEvent) -> dict[str, int]:
    """Return what one event raises a peak to."""
    data = one.data
    if one.type == REQUEST:
        return {"rate_peak_per_s": data.ratePerS}
    if one.type == CREATED:
        return {"attach_peak_per_s": data.attachPerS, "lines_peak": data.sessions}
    if one.type == REFUSED:
        return {"attach_peak_per_s": data.attachPerS}
    if one.type == MODIFIED and data.ghost:
        return {"ghosts_peak": data.ghosts}
    return {}


_PEAKS = ("rate_peak_per_s", "attach_peak_per_s", "lines_peak", "ghosts_peak")
_SUMMED = (
    *(
        f"{what}_{service}"
        for service in SERVICES
        for what in ("attempts", "accepted", "throttled")
    ),
    *(f"{what}_{service}" for service in SERVICES for what in ("no_session", "failed_upstream")),
    *("bytes_up", "bytes_down", "requests_flagged", "bytes_mirrored", "mirror_dropped"),
    *("attach_attempts", "sessions_created", "sessions_deleted", "sessions_flagged", "ghosts"),
    *("sessions_refused", "attach_rejected_other", "messages_offered", "messages_delivered"),
    *("lost_tries", "lost_deadline", "lost_buffer", "lost_cancelled"),
)


def unlike(found: Sequence[HourlyRow], wanted: Sequence[HourlyRow]) -> list[str]:
    """Return every cell that differs, as text; empty when all are equal."""
    left = {(row.vpg_id, row.hour_start_us, row.config_seq): row for row in found}
    right = {(row.vpg_id, row.hour_start_us, row.config_seq): row for row in wanted}
    said = [f"{key}: only found" for key in sorted(left.keys() - right.keys())]
    said += [f"{key}: missing" for key in sorted(right.keys() - left.keys())]
    for key in sorted(left.keys() & right.keys()):
        for item in dataclasses.fields(HourlyRow):
            a, b = getattr(left[key], item.name), getattr(right[key], item.name)
            if a != b:
                said.append(f"{key} {item.name}: {a} is not {b}")
    return said


# ---- stores --------------------------------------------------------------------------------------

DUMPED = ("figure", "peak", "delay", "inspected")


def sums_kept(store: SqlStore) -> dict[str, list[tuple[Any, ...]]]:
    """Return every sum, peak, histogram and line that a store keeps; nothing that adds to zero."""
    found = {}
    for name in DUMPED:
        rows = store._told(f"SELECT * FROM {name}")  # noqa: S608 - names of our own
        found[name] = sorted(row for row in rows if row[-1] or name == "inspected")
    return found


def sums_anew(store: SqlStore) -> dict[str, list[tuple[Any, ...]]]:
    """Return the same, made anew from the events that the store keeps."""
    facts = list(store.events())
    deltas = counting.count_one_by_one(facts, store._place_of, store._whole_hour)
    return {
        "figure": deltas.sums,
        "peak": deltas.peaks,
        "delay": deltas.delays,
        "inspected": deltas.inspected,
    }


def opened(path: Path, *vpg_ids: str, **settings: Any) -> SqliteStore:
    """Return a store in ``path`` in which these VPGs exist since ``T0``."""
    store = SqliteStore(path, **settings)
    store.put_vpgs([order(vpg_id) for vpg_id in vpg_ids])
    if vpg_ids:
        store.commit([configured("born", T0, vpg_id=vpg_id) for vpg_id in vpg_ids], T0)
    return store
