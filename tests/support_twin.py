"""Small scenarios for fleets and twins; no test lives here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from loadtests.twin import course, run_twin
from scenarios.loader import load_scenario
from tests.support_scenarios import catalogue

if TYPE_CHECKING:
    from loadtests.twin import Twin
    from scenarios.model import Scenario

HEAD = """vpgsim: 1
name: small
title: Small
start: 2026-04-06T09:00:00+09:00
duration_h: 1
seed: 7
vpgs:
  - {id: gate, type: C, size: small, contract_fee: false}
"""
FLEET = """fleets:
  - name: devices
    vpg: gate
    lines: 60
    session: {attach: at_start, ramp: {shape: uniform, over_s: 4}, notice_s: 10}
    attach_retry: {base_s: 5, cap_s: 20, tries_max: 5}
    retry: {base_s: 3, cap_s: 20, tries_max: 6, jitter_percent: 20}
    traffic:
      - {name: report, kind: periodic, every_s: 60, payload_bytes: {uniform: [10, 90]},
         answer_bytes: 7}
"""
AT_ONCE = (
    FLEET.replace("every_s: 60", "every_s: 600, phase: clock, offset_s: 5, jitter_s: 1")
    .replace("answer_bytes: 7", "answer_bytes: 0")
    .replace("lines: 60", "lines: 100")
)
"""Everybody within a second: 100 of them, where 30 a second and 30 more may pass."""
EVENTS = """events:
  - {kind: forced_cut, at: +00:01:00}
  - {kind: carrier_outage, at: +00:02:00, for_s: 60, sessions: cut, share_percent: 50}
  - {kind: carrier_outage, at: +00:02:10, for_s: 30, sessions: ghost, share_percent: 20}
  - {kind: power_cut, at: +00:04:00, for_s: 60, share_percent: 50,
     release: {shape: uniform, over_s: 20}}
  - {kind: line_change, at: +00:06:00, fleet: devices, first_line: 0, lines: 5, status: suspended}
"""


def written(folder: Path, *parts: str) -> Path:
    """Write a scenario of ``parts`` into ``folder``."""
    path = folder / "small.yaml"
    path.write_text("".join((HEAD, *parts)), encoding="utf-8")
    return path


def scenario_of(path: Path) -> Scenario:
    """Return what the file means."""
    return load_scenario(path, catalogue=catalogue())


def twin_of(path: Path, for_s: int, speed: int, *words: str, mqtt: tuple[str, ...] = ()) -> Twin:
    """Run the twin of a file; ``words``: more options for the service."""
    chosen = course(scenario_of(path), catalogue(), for_s=for_s, speed=speed)
    return run_twin(chosen, catalogue(), ["--scenario", str(path), *words], mqtt=mqtt)


def children_of(pid: int) -> list[int]:
    """Return the living processes that ``pid`` started."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and f"PPid:\t{pid}\n" in (folder / "status").read_text():
                found.append(int(folder.name))
        except OSError:
            continue
    return found
