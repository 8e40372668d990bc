"""``/metrics``: the running hour's billing metrics, limits and the writer, for Prometheus.

Owns: names, labels and their bound (VPGs and services, nothing that a device can choose). Does not
own: any figure. ``vpg_hour_*`` are gauges of the running clock hour, so they fall to 0 when it
turns: what is billed is in ``/v1/hourly``. Times: seconds of service time.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import CollectorRegistry

from vpg.rating.hourly import COLUMNS, SERVICES
from vpg.service.http.answers import plain
from vpg.service.http.reading import charges_of, in_thread
from vpg.timebase import SECOND_US, hour_start, month_start

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from prometheus_client.core import Metric

    from vpg.rating.hourly import HourlyRow
    from vpg.service.gateway.answers import Snapshot
    from vpg.service.http.answers import Answer
    from vpg.service.http.asking import Asked
    from vpg.service.parts import Parts

CONTENT_TYPE: Final = b"text/plain; version=0.0.4; charset=utf-8"
VPGS_MAX: Final = 500
"""VPGs told of one by one; any others are only counted (``vpg_left_out``)."""
COST_AGE_S: Final = 5.0
"""What the month cost so far is reckoned anew after so long, or 20 times what reckoning takes."""
_TOLD: Final = tuple(
    column
    for column in COLUMNS
    if column.aggregate in {"sum", "max", "last"} and not column.is_text
)
_LABELS: Final = ("vpg_id",)
_SERVICE_LABELS: Final = ("vpg_id", "service")
_MICRO: Final = 1_000_000


class Metrics:
    """The operation behind ``/metrics``; remembers what the month cost for a moment."""

    def __init__(self) -> None:
        """Begin with nothing reckoned."""
        self._cost: dict[str, tuple[float, dict[str, int]]] = {}

    async def __call__(self, asked: Asked) -> Answer:
        """Answer in Prometheus' text format."""
        parts, now_us = asked.parts, asked.parts.clock.now_us()
        vpgs = sorted(
            (vpg for vpg in parts.gateway.vpgs if asked.mine(vpg.order.operator_id)),
            key=lambda vpg: vpg.id,
        )
        told = vpgs[:VPGS_MAX]
        names = [vpg.id for vpg in told]
        rows, costs = await in_thread(lambda: self._read(parts, asked.speaker, names, now_us))
        collected = _Collected(
            parts, [vpg.snapshot(now_us) for vpg in told], rows, costs, len(vpgs) - len(told)
        )
        registry = CollectorRegistry(auto_describe=False)
        registry.register(collected)
        return plain(200, generate_latest(registry), CONTENT_TYPE)

    def _read(
        self, parts: Parts, speaker: str, names: list[str], now_us: int
    ) -> tuple[list[HourlyRow], dict[str, int]]:
        rows = parts.store.hourly(names, hour_start(now_us), now_us, now_us).rows
        began = time.perf_counter()
        until, costs = self._cost.get(speaker, (0.0, {}))
        if began >= until:
            costs = dict.fromkeys(names, 0)
            for charge in charges_of(parts, names, month_start(now_us)):
                costs[charge.vpg_id] += charge.amount_micro_yen or 0
            ended = time.perf_counter()
            self._cost[speaker] = (ended + max(COST_AGE_S, 20 * (ended - began)), costs)
        return list(rows), costs


class _Collected:
    """One scrape."""

    def __init__(
        self,
        parts: Parts,
        snapshots: list[Snapshot],
        rows: list[HourlyRow],
        costs: dict[str, int],
        left_out: int,
    ) -> None:
        self._parts = parts
        self._snapshots = snapshots
        self._rows = rows
        self._costs = costs
        self._left_out = left_out

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        yield from _hour(self._rows)
        yield from self._limits()
        cost = GaugeMetricFamily(
            "vpg_month_to_date_yen", "Charges of the running month, tax excluded", labels=_LABELS
        )
        for vpg_id, micro_yen in self._costs.items():
            cost.add_metric([vpg_id], micro_yen / _MICRO)
        yield cost
        yield GaugeMetricFamily(
            "vpg_left_out", "VPGs beyond those told of one by one", value=self._left_out
        )
        yield from self._service()

    def _limits(self) -> Iterator[Metric]:
        gauges = {
            "vpg_sessions": ("Sessions now, ghosts included", "sessions"),
            "vpg_ghosts": ("Ghost sessions now", "ghosts"),
            "vpg_lines_limit": ("Most sessions", "lines_max"),
            "vpg_requests_last_second": (
                "Limited requests of the last UTC second",
                "attempts_before",
            ),
            "vpg_requests_limit_per_second": (
                "Requests a second that are let through",
                "rate_per_s",
            ),
        }
        for name, (words, field) in gauges.items():
            gauge = GaugeMetricFamily(name, words, labels=_LABELS)
            for snapshot in self._snapshots:
                value = getattr(snapshot, field)
                if value is not None:
                    gauge.add_metric([snapshot.vpg_id], value)
            yield gauge

    def _service(self) -> Iterator[Metric]:
        parts = self._parts
        stats = parts.counter.stats
        counters = {
            "vpg_writer_events": ("Usage events committed", stats.events),
            "vpg_writer_commits": ("Groups committed", stats.groups),
            "vpg_writer_conflicts": ("Events refused: another one has their id", stats.conflicts),
            "vpg_writer_troubles": ("Groups that the store could not commit", stats.troubles),
            "vpg_writer_overloads": ("Requests refused: too much waits", stats.overloads),
            "vpg_http_refused": ("Connections refused or cut by bounds", parts.traffic.refused),
        }
        for name, (words, value) in counters.items():
            yield CounterMetricFamily(name, words, value=value)
        gauges = {
            "vpg_writer_waiting": ("Events that wait for their commit", stats.waiting),
            "vpg_writer_sync_seconds": ("Smoothed time of a sync", stats.sync_ns / 1e9),
            "vpg_outbox_waiting": ("Events of the gateway not counted yet", parts.outbox.waiting),
            "vpg_http_connections": ("Open connections", len(parts.traffic.open)),
            "vpg_service_time_seconds": (
                "Service time since the epoch",
                parts.clock.now_us() / SECOND_US,
            ),
            "vpg_healthy": ("1 while the store commits", int(parts.counter.healthy)),
        }
        for name, (words, gauge) in gauges.items():
            yield GaugeMetricFamily(name, words, value=gauge)


def _hour(rows: list[HourlyRow]) -> Iterator[Metric]:
    """Yield the columns of the running hour, rows of one VPG together."""
    families: dict[str, GaugeMetricFamily] = {}
    for column in _TOLD:
        base, _, service = column.name.rpartition("_")
        by_service = service in SERVICES
        name = f"vpg_hour_{base if by_service else column.name}"
        if name not in families:
            words = column.text.partition(": ")[2] if by_service else column.text
            labels = _SERVICE_LABELS if by_service else _LABELS
            families[name] = GaugeMetricFamily(name, f"Running hour: {words}", labels=labels)
        sums: dict[str, int] = {}
        for row in rows:
            value, before = getattr(row, column.name), sums.get(row.vpg_id, 0)
            if column.aggregate == "sum":
                sums[row.vpg_id] = before + value
            else:
                sums[row.vpg_id] = max(before, value) if column.aggregate == "max" else value
        for vpg_id, value in sums.items():
            families[name].add_metric([vpg_id, service] if by_service else [vpg_id], value)
    yield from families.values()
