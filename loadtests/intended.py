"""The open-model schedule of a scenario: when each message is meant to leave, whoever sends it.

Owns: turning a scenario's arrival streams into one list of intended sends in time order, for a load
generator to replay. Does not own: the arrival laws (``sim.traffic``) or what a VPG answers.
An open model never waits for answers, so the schedule can be written down before the first send,
and latency is later measured from the *intended* time. Times: ``SimUs``.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sim.traffic.arrivals import Stream
from vpg.timebase import HOUR_US, hour_start, iso_utc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scenarios.model import Fleet, Scenario

CSV_COLUMNS = ("intended_us", "intended_utc", "fleet", "line", "service", "bytes_up", "bytes_down")


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """One message as its device means to send it; ``number`` tells messages of a source apart."""

    intended_us: int
    fleet: str
    line: int
    source: str
    number: int
    service: str
    bytes_up: int
    bytes_down: int


def _fleet_hour(scenario: Scenario, fleet: Fleet, hour_us: int) -> Iterator[Send]:
    for source in fleet.traffic:
        stream = Stream(seed=scenario.seed, replication=0, fleet=fleet, source=source)
        batch = stream.hour(hour_us, fleet.lines)
        columns = (batch.times_us, batch.lines, batch.numbers, batch.bytes_up, batch.bytes_down)
        for at_us, line, number, up, down in np.column_stack(columns).tolist():
            yield Send(
                intended_us=at_us,
                fleet=fleet.name,
                line=line,
                source=source.name,
                number=number,
                service=source.service,
                bytes_up=up,
                bytes_down=down,
            )


def _order(send: Send) -> tuple[int, str, int, str, int]:
    return send.intended_us, send.fleet, send.line, send.source, send.number


def schedule(scenario: Scenario, begin_us: int, end_us: int) -> Iterator[Send]:
    """Yield every message meant to leave in [begin_us, end_us) of the run, in order of time.

    The lines are those the fleets start with; events (outages, growth) change what becomes of a
    message and who else sends, not when these lines mean to send. Memory is bounded by one hour's
    messages.
    """
    begin_us = max(begin_us, scenario.start_us)
    end_us = min(end_us, scenario.end_us)
    silent = {"suspended", "terminated"}
    fleets = [fleet for fleet in scenario.fleets if fleet.status not in silent]
    for hour_us in range(hour_start(begin_us), end_us, HOUR_US):
        sends = [send for fleet in fleets for send in _fleet_hour(scenario, fleet, hour_us)]
        for send in sorted(sends, key=_order):
            if begin_us <= send.intended_us < end_us:
                yield send


def csv_lines(sends: Iterator[Send]) -> Iterator[str]:
    """Yield the schedule as CSV text, header first, one line (with its end) at a time."""
    line = io.StringIO()
    writer = csv.writer(line, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    yield line.getvalue()
    for send in sends:
        line.seek(0)
        line.truncate()
        writer.writerow(
            (
                send.intended_us,
                iso_utc(send.intended_us),
                send.fleet,
                send.line,
                send.service,
                send.bytes_up,
                send.bytes_down,
            )
        )
        yield line.getvalue()
