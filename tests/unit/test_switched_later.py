"""Junction functions that a scenario describes and switches on later."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scenarios.loader import load_scenario
from tests.support import run_scenario
from tests.support_rating import with_table
from tests.support_scenarios import codes, meant, text
from vpg.errors import InputError
from vpg.timebase import HOUR_US

if TYPE_CHECKING:
    from pathlib import Path

PEERS = "{peers: [{ip: 10.0.0.1}]}"
MIRRORING = f"mirroring: {{enabled: false, {PEERS[1:]}"
REDIRECTION = "redirection: {enabled: false, delay_ms: 40}"
AN_HOUR_IN = "vpg: gate, at: +01:00:00"


def case(junction: str, *events: str, kind: str = "C") -> str:
    """Return the smallest file with a Junction and events."""
    vpg = f"type: {kind}\n    size: small" if kind == "C" else f"type: {kind}"
    vpg += "\n    message_overhead_bytes: 100"
    placed = ("type: C\n    size: small", f"{vpg}\n    junction: {{{junction}}}")
    lines = "".join(f"  - {{{event}}}\n" for event in events)
    return text(placed, tail=f"events:\n{lines}" if events else "")


def test_what_is_off_is_known_and_does_nothing() -> None:
    [vpg] = meant(case(f"{MIRRORING}, {REDIRECTION}")).vpgs
    assert (vpg.mirroring, [peer.ip for peer in vpg.mirror_peers]) == (False, ["10.0.0.1"])
    assert (vpg.redirection, vpg.redirection_delay_us) == (False, 40_000)
    [on] = meant(case(f"{MIRRORING}, {REDIRECTION}".replace("enabled: false, ", ""))).vpgs
    assert (on.mirroring, on.redirection) == (True, True)


def test_mirroring_begins_with_its_event_and_so_does_the_fee() -> None:
    rows = run_scenario(
        case(MIRRORING, f"kind: feature, feature: mirroring, on: true, {AN_HOUR_IN}")
    ).rows
    assert [row.junction_on for row in rows] == [0, 1]
    assert rows[0].bytes_mirrored == 0 < rows[1].bytes_mirrored
    always = run_scenario(case(f"mirroring: {PEERS}")).rows
    assert always[1].bytes_mirrored == rows[1].bytes_mirrored


def test_redirection_delays_from_its_event_on() -> None:
    rows = run_scenario(
        case(REDIRECTION, f"kind: feature, feature: redirection, on: true, {AN_HOUR_IN}")
    ).rows
    assert [row.delay_us_max >= 40_000 for row in rows] == [False, True]
    assert rows[1].hour_start_us - rows[0].hour_start_us == HOUR_US


def test_a_fault_of_redirection_needs_it_on_at_some_time() -> None:
    fault = f"kind: redirection_fault, for_s: 9, {AN_HOUR_IN}"
    on = f"kind: feature, feature: redirection, on: true, {AN_HOUR_IN}"
    assert codes(case(REDIRECTION, fault)) == ["VPG1287"]
    assert codes(case("inspection: false", on.replace("true", "false"), fault)) == ["VPG1287"]
    assert len(meant(case(REDIRECTION, fault, on)).events) == 2


def test_a_type_without_junction_may_list_but_not_switch_on(tmp_path: Path) -> None:
    table = (
        "effective_from = 2019-10-01\nreplace = true\n"
        '[[feature]]\nitem = "g_junction"\nvalue = false\nunit = "bool"\n'
    )
    catalogue = with_table(tmp_path, table)
    on = f"kind: feature, feature: mirroring, on: true, {AN_HOUR_IN}"
    assert load_scenario(case(MIRRORING, kind="G"), catalogue=catalogue)
    for refused in (case(MIRRORING, on, kind="G"), case(f"mirroring: {PEERS}", kind="G")):
        with pytest.raises(InputError, match="VPG1262"):
            load_scenario(refused, catalogue=catalogue)
