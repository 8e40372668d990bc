"""The twin check on real services: the same devices, the VPG simulated and live."""

from __future__ import annotations

import json
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from loadtests.twin import Figure, compared, course
from loadtests.twin_document import TwinDocument
from scenarios.loader import load_scenario
from tests.support import ROOT
from tests.support_cli import start, vpg
from tests.support_scenarios import catalogue
from tests.support_twin import AT_ONCE, EVENTS, FLEET, children_of, scenario_of, twin_of, written
from vpg.errors import InputError
from vpg.rating.totals import totals
from vpg.rundir import read_run

if TYPE_CHECKING:
    from loadtests.twin import Twin

SHIPPED = (
    ("vending-machines", ()),
    ("smart-meters", ()),
    ("alarm-storm", ()),
    ("parcel-trackers", ("--mqtt", "all")),
)
SESSIONS = ("sessions_created", "attach_attempts", "sessions_refused", "attach_rejected_other")


def counts(found: Twin) -> dict[str, Figure]:
    """Return the figures that a busy machine does not change: all but the delay."""
    return {one.name: one for one in found.figures if one.kind != "delay_us"}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Twin:
    folder = tmp_path_factory.mktemp("twin")
    return twin_of(written(folder, FLEET, EVENTS), for_s=420, speed=60)


def test_events_of_the_platform_mean_the_same_to_both(found: Twin) -> None:
    assert all(one.agrees for one in counts(found).values()), found.figures
    assert found.live.agrees, found.live.agreements
    there, here = (totals(one.rows, one.delays) for one in (found.simulated, found.live.result))
    assert there.sessions_created > 150
    assert there.no_session_beam > 0
    for name in SESSIONS:
        apart = abs(getattr(there, name) - getattr(here, name))
        assert apart <= max(4, getattr(there, name) // 20), name
    assert here.messages_offered == there.messages_offered
    assert here.messages_delivered + here.messages_lost + here.pending_end == here.messages_offered
    assert found.live.connections_left == 0
    assert 0 < found.live.connections_peak <= 120


def test_a_service_with_other_limits_does_not_pass(tmp_path: Path) -> None:
    found = twin_of(written(tmp_path, AT_ONCE), 10, 2, "--set", "vpgs[0].size=large")
    assert counts(found)["throttled"].simulated > 200_000
    assert counts(found)["throttled"].live == 0
    assert found.verdict in {"disagree", "cannot_tell"}
    assert not counts(found)["throttled"].agrees
    assert found.live.agrees  # Devices and store do: it is the model that is another.


@pytest.mark.long  # Shares within 5 points: a busy machine throttles less than the model.
def test_silence_means_throttled_to_a_device_that_speaks_mqtt(tmp_path: Path) -> None:
    found = twin_of(written(tmp_path, AT_ONCE), 12, 1, mqtt=("all",))
    figures = counts(found)
    assert figures["throttled"].simulated > 200_000
    assert abs(figures["throttled"].live - figures["throttled"].simulated) < 50_000
    assert abs(figures["accepted"].live - figures["accepted"].simulated) <= 3
    assert found.live.counts.unacknowledged > 20
    assert found.live.agrees
    assert found.live.connections_opened == 100


def said(found: Twin) -> str:
    """Return the verdict as it is now."""
    return found.verdict


def test_what_it_comes_to(found: Twin) -> None:
    live = replace(found.live, counts=replace(found.live.counts, late={}))
    found = replace(found, live=live)
    quick = replace(found, figures=tuple(counts(found).values()))
    assert said(quick) == "agree"
    slow = Figure(name="delay_p50", kind="delay_us", simulated=0, live=9, tolerance=8)
    assert replace(quick, figures=(*quick.figures, slow)).verdict == "disagree"
    stopped = replace(live, result=replace(live.result, status="partial"))
    assert replace(quick, live=stopped).verdict == "cannot_tell"
    joined_late = replace(live, scenario=replace(live.scenario, start_us=1))
    assert replace(quick, live=joined_late).verdict == "cannot_tell"
    left = replace(live, connections_left=1)
    assert replace(quick, live=left).verdict == "disagree"
    live = quick.live
    few = max(2, live.counts.sent // 100)
    for _ in range(few):
        live.counts.left(52_000)
    live.counts.intended += few
    assert said(quick) == "agree"
    while live.counts.beyond(50_000) <= max(2, live.counts.sent // 100):
        live.counts.left(52_000)
        live.counts.intended += 1
    assert said(quick) == "cannot_tell"
    live.counts.late.clear()
    assert said(quick) == "agree"
    live.counts.intended += 1
    assert said(quick) == "cannot_tell"
    assert compared(found.scenario, found.simulated, live).figures == found.figures


def test_the_command_keeps_and_tells_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    answer = vpg("twin", "smallest", "--for-s", "300", "--speed", "100", "--json")
    document = msgspec.json.decode(answer.out, type=TwinDocument)
    assert answer.code == {"agree": 0, "disagree": 4, "cannot_tell": 5}[document.verdict]
    by_name = {one.name: one for one in document.figures}
    assert (by_name["accepted"].simulated, by_name["accepted"].live) == (4, 4)
    assert all(one.agrees for one in document.figures if one.kind != "delay_us")
    run = read_run(tmp_path / document.run_dir)
    assert totals(run.rows, run.delays).messages_delivered == 4
    assert json.loads((run.path / "twin.json").read_text())["verdict"] == document.verdict
    assert (run.path / "chart-twin.png").read_bytes().startswith(b"\x89PNG")
    assert (run.path / "bill.json").exists()


@pytest.mark.parametrize("wait_s", [0.0, pytest.param(8.0, marks=pytest.mark.long)])
def test_ctrl_c_leaves_no_process(tmp_path: Path, wait_s: float) -> None:
    process = start("twin", "smallest", "--for-s", "3000", "--speed", "1", cwd=tmp_path)
    try:
        end_s = time.monotonic() + 40
        while not (children := children_of(process.pid)):
            assert time.monotonic() < end_s
            time.sleep(0.05)
        time.sleep(wait_s)  # While the service starts; while devices send, on most machines.
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=40)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130, said
    assert not any(Path(f"/proc/{pid}").exists() for pid in children)


@pytest.mark.parametrize(
    ("words", "number", "code"),
    [
        (("--from-s", "3600"), "VPG1941", 3),
        (("--for-s", "3600", "--speed", "1", "--set", "duration_h=9", "--from-s", "1"), "", 0),
        (("--mqtt", "sensor"), "VPG1925", 3),
        (("--set", "fleets[0].traffic[0].answer_bytes=9", "--mqtt", "all"), "VPG1926", 3),
        (
            (
                *("--set", "fleets[0].traffic[0].answer_bytes=9"),
                *("--set", "fleets[0].traffic[0].service=funk"),
            ),
            "VPG1927",
            3,
        ),
        (("--set", "assumptions.above_line_cap=evict_longest_idle"), "VPG1943", 3),
        (
            ("--set", "events=[{kind: growth, at: +00:01:00, fleet: sensors, lines: 2}]"),
            "VPG1924",
            3,
        ),
        (("--for-s", "9000", "--speed", "1", "--set", "duration_h=9"), "VPG1942", 3),
    ],
)
def test_what_no_twin_can_be_had_of(words: tuple[str, ...], number: str, code: int) -> None:
    if not number:
        chosen = course(
            load_scenario(ROOT / "scenarios/ready/smallest.yaml", catalogue=catalogue()),
            catalogue(),
        )
        assert (chosen.scenario.end_us - chosen.scenario.start_us) == 600_000_000
        assert chosen.speed == 14
        return
    answer = vpg("twin", "smallest", *words)
    assert (answer.code, answer.numbers) == (code, [number])


def test_a_window_without_an_hour_of_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="VPG1941"):
        course(scenario_of(written(tmp_path, FLEET)), catalogue(), from_s=3_600)


@pytest.mark.long
@pytest.mark.parametrize(("name", "words"), SHIPPED)
def test_the_shipped_ones_agree_within_a_minute(
    name: str, words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = vpg("twin", name, "--variant", "twin", "--json", *words)
    document = msgspec.json.decode(answer.out, type=TwinDocument)
    assert document.verdict == "agree", document
    assert document.fleet.generator.wall_s <= 60
    assert answer.code == 0
