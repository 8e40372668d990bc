"""``load.json``: what a load meant to send, measured and found in the store. Closed, versioned.

Owns: the document. Times: µs; ``hour_start_us`` and ``begin_us`` are service time.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from loadtests.histogram import Spread
from loadtests.reconcile import BillCheck, Compared

Verdict = Literal["agrees", "disagrees", "invalid"]
Reason = Literal["late", "connections", "unsent", "process_lost"]


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every part of the document is: closed and immutable."""


class GeneratorPart(Part, frozen=True, kw_only=True):
    """What the generator did, and whether it kept up with its own schedule."""

    processes: int
    intended: int
    """Requests of the schedule."""
    sent: int
    pool_waits: int
    """Requests that waited for a free connection: more than bounds allow."""
    connections_peak: int
    events: int
    duplicates: int
    late: int
    lateness_us: Spread
    """From intended to sent."""
    cpu_percent: tuple[int, ...]
    """Of one processor, by process."""
    lateness_p99_most_us: int
    invalid_because: tuple[Reason, ...]
    """Why nothing can be said; empty: it kept up. ``late``: its 99th percentile of lateness is
    above the bound; ``connections``: sends waited for a free one; ``unsent``; ``process_lost``."""


class HistogramPart(Part, frozen=True, kw_only=True):
    """Histograms in HdrHistogram's V2 form (base64), for who wants other percentiles."""

    latency: str
    service_time: str
    lateness: str


class FaultPart(Part, frozen=True, kw_only=True):
    """What was done to the service while the load went on."""

    kind: Literal["kill", "broker", "slow-disk", "slow-upstream"]
    at_s: tuple[float, ...]
    """Seconds after the first send."""
    away_s: tuple[float, ...]
    """How long it took to be back, each time."""


class LoadDocument(Part, frozen=True, kw_only=True):
    """``vpg load``."""

    schema_version: Literal["vpgsim-load-v1"] = "vpgsim-load-v1"
    kind: Literal["rating", "gateway"]
    verdict: Verdict
    target: str
    law: str
    scenario: str
    seed: int
    batch: int
    begin_us: int
    length_us: int
    """Of the schedule."""
    generator: GeneratorPart
    latency_us: Spread
    """From intended to done: every request, those without an answer when they were given up."""
    latency_accepted_us: Spread
    service_time_us: Spread
    """From sent to done: what a closed-loop tool would show."""
    answers: dict[str, int]
    """HTTP status, ``none`` or ``not_sent`` → requests."""
    unexpected: tuple[str, ...]
    """Some of the answers that a working target does not give."""
    unknown: tuple[str, ...]
    """What stayed unknown, in words; the first hundred."""
    unknown_count: int
    resolved: int
    """Events without an answer that were sent again at the end, and answered."""
    lost: int
    doubled: int
    compared: tuple[Compared, ...]
    bills: tuple[BillCheck, ...]
    service: dict[str, int]
    """Growth of the service's own counters."""
    fault: FaultPart | None
    histograms: HistogramPart
    run_dir: str
