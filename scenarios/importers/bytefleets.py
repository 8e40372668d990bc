"""Fleets known by the bytes they moved: from measured totals to a scenario that moves the same.

Owns: what ``usage`` and ``air`` share: the fit per fleet, its error in the comments, counts and
problems.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

from scenarios.importers.document import FleetOut, ScenarioOut, Value, scenario_yaml
from scenarios.importers.fit import error_ppm, fit_bytes
from scenarios.importers.result import Imported

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from scenarios.importers.options import ImportOptions
    from scenarios.importers.tally import Tally

ERROR_PPM_TOLD = 10_000
"""A fleet whose bytes are further off than this (1 %) is told."""


@dataclass(slots=True, kw_only=True)
class ByteFleet:
    """Lines and the bytes they moved together in all measured days."""

    name: str
    lines: int = 0
    up: Fraction = field(default_factory=Fraction)
    down: Fraction = field(default_factory=Fraction)
    wanted_per_day: Fraction = field(default_factory=lambda: Fraction(24))
    """Messages a day and line that would be natural."""


def byte_scenario(
    fleets: Sequence[ByteFleet],
    options: ImportOptions,
    tally: Tally,
    counts: dict[str, int],
    *,
    service: str,
    days_measured: int,
    start: dt.datetime,
    name: str,
    title: str,
    comments: tuple[str, ...],
) -> Imported:
    """Return the import of ``fleets``; adds the error of the whole and of each fleet."""
    out: list[FleetOut] = []
    said: list[str] = []
    got_all = wanted_all = Fraction(0)
    for fleet in fleets:
        wanted = (fleet.up + fleet.down) / days_measured
        wanted_all += wanted
        if wanted == 0:
            out.append(FleetOut(name=fleet.name, lines=fleet.lines))
            said.append(f"  {fleet.name}: {fleet.lines} lines, no bytes")
            continue
        per_line = days_measured * fleet.lines
        fit = fit_bytes(fleet.up / per_line, fleet.down / per_line, fleet.wanted_per_day)
        got = fit.bytes_per_day() * fleet.lines
        got_all += got
        off_ppm = error_ppm(got, wanted)
        said.append(
            f"  {fleet.name}: {fleet.lines} lines, {int(wanted)} bytes a day measured,"
            f" {got} simulated (error {off_ppm} ppm)"
        )
        if off_ppm > ERROR_PPM_TOLD:
            tally.tell("VPG1371", fleet=fleet.name, measured=int(wanted), got=got, ppm=off_ppm)
        report: dict[str, Value] = {
            "kind": "periodic",
            "service": service,
            "every_s": fit.every_s,
            "payload_bytes": fit.up_bytes,
            "answer_bytes": fit.down_bytes,
        }
        out.append(FleetOut(name=fleet.name, lines=fleet.lines, traffic=(report,)))
    scenario = ScenarioOut(
        name=name,
        title=title,
        start=start,
        hours=24 * (options.days or 1),
        comments=(*comments, "Bytes a day of each fleet, both directions:", *said),
        fleets=tuple(out),
    )
    text = scenario_yaml(scenario, options, tally)
    return Imported(
        name=name,
        scenario_yaml=text,
        extra_files={},
        problems=tally.problems(),
        counts={
            **counts,
            "fleets": len(out),
            "lines": sum(fleet.lines for fleet in fleets),
            "bytes_per_day_measured": int(wanted_all),
            "bytes_per_day_simulated": int(got_all),
            "error_ppm": error_ppm(got_all, wanted_all),
        },
    )
