"""``vpg fleet`` on a service that runs: what it plays, counts, keeps and refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from loadtests.fleet.judging import Agreement
from loadtests.fleet.target import need_descriptors, target_of
from loadtests.fleet.window import following, moved, window
from loadtests.intended import schedule
from scenarios.loader import load_scenario
from sim.run import simulate
from tests.support import ROOT
from tests.support_cli import Answer, start, vpg
from tests.support_scenarios import catalogue
from tests.support_serve import serving
from vpg.errors import InputError, UsageError
from vpg.rating.totals import conservation, totals
from vpg.rundir import read_run
from vpg.timebase import HOUR_US, MINUTE_US

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scenarios.model import Scenario
    from tests.support_serve import Serving

SCENARIO = ("--start", "scenario", "--time-scale", "60", "--no-implicit-attach")


def ready(name: str) -> Scenario:
    return load_scenario(ROOT / "scenarios" / "ready" / f"{name}.yaml", catalogue=catalogue())


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("service"), *SCENARIO) as one:
        yield one


def fleet(folder: Path, *words: str) -> Answer:
    process = start("fleet", *words, cwd=folder)
    out, err = process.communicate(timeout=90)
    return Answer(process.returncode, out, err)


def at(one: Serving) -> tuple[str, ...]:
    """Return the options that lead to a service."""
    named = [f"{name}={one.url(name)}" for name in ("api", "beam", "funnel", "funk", "mqtt")]
    return tuple(word for url in named for word in ("--target", url))


def test_it_joins_keeps_a_run_directory_and_agrees_with_the_store(
    service: Serving, tmp_path: Path
) -> None:
    answer = fleet(tmp_path, "smallest", *at(service), "--for-s", "480", "--json")
    found = json.loads(answer.out)
    told = found["fleet"]
    assert answer.code == (5 if told["generator"]["starved"] else 0), answer.err
    assert told["agrees"]
    assert told["speed"] == 60
    assert told["accepted"] == told["generator"]["sent"] > 0
    assert told["generator"]["connections_opened"] == told["generator"]["connections_peak"] <= 10
    assert told["generator"]["connections_left"] == 0
    assert told["end_us"] - told["start_us"] == 480 * 1_000_000
    run = read_run(tmp_path / found["run_dir"])
    here = totals(run.rows, run.delays)
    assert here.accepted_beam == here.messages_delivered == told["accepted"]
    assert here.messages_offered == here.messages_delivered
    assert conservation(run.rows) == []
    assert json.loads((run.path / "fleet.json").read_text()) == told


@pytest.mark.parametrize(
    ("words", "number", "code"),
    [
        (("--target", "nowhere"), "VPG1920", 2),
        (("--target", "queue=http://127.0.0.1:1"), "VPG1920", 2),
        (("--target", "http://192.0.2.1:8090"), "VPG1901", 2),
        (("--target", "http://127.0.0.1:1"), "VPG1903", 3),
        (("--ready-file", "none.json"), "VPG1904", 3),
        (("--mqtt", "other"), "VPG1925", 3),
    ],
)
def test_what_is_refused_before_anything_is_sent(
    words: tuple[str, ...], number: str, code: int
) -> None:
    answer = vpg("fleet", "smallest", *words)
    assert (answer.code, answer.numbers) == (code, [number])


def test_the_wrong_service_or_speed_is_named(service: Serving, tmp_path: Path) -> None:
    answer = fleet(tmp_path, "vending-machines", *at(service))
    assert (answer.code, answer.numbers) == (3, ["VPG1921"])
    answer = fleet(tmp_path, "smallest", *at(service), "--speed", "50")
    assert (answer.code, answer.numbers) == (3, ["VPG1922"])


def test_too_few_descriptors_are_said_to_be() -> None:
    with pytest.raises(InputError, match="VPG1907"):
        need_descriptors(10**9)


def test_where_entry_points_are() -> None:
    found = target_of(["http://127.0.0.1:9000", "beam=http://127.0.0.1:7"], "secret")
    assert found.addresses["api"] == ("127.0.0.1", 9_000)
    assert (found.addresses["beam"][1], found.addresses["funk"][1]) == (7, 8_082)
    assert found.is_loopback
    assert not target_of(["http://198.51.100.7"]).is_loopback
    for wrong in ("ftp://x", "http://", "http://h:99999", "http://h/path", "x"):
        with pytest.raises(UsageError, match="VPG1920"):
            target_of([wrong])


@pytest.mark.parametrize("name", ["alarm-storm", "taxi-payments", "mass-reconnect"])
def test_a_window_is_a_part_and_a_move_changes_nothing_but_time(name: str) -> None:
    whole = ready(name)
    begin = whole.start_us + 50 * MINUTE_US
    part = window(whole, begin, begin + 20 * MINUTE_US)
    meant = list(schedule(part, part.start_us, part.end_us))
    assert meant == list(schedule(whole, begin, begin + 20 * MINUTE_US))
    assert all(begin <= event.at_us < part.end_us for event in part.events)
    later = moved(whole, 24 * HOUR_US)
    assert moved(later, -24 * HOUR_US) == whole
    assert following(whole, whole.start_us - 1) == whole
    assert following(whole, begin) == window(whole, begin, whole.end_us)
    assert following(whole, whole.end_us).start_us == whole.end_us
    if name == "alarm-storm":
        assert (
            totals(simulate(later, catalogue()).rows, {}).accepted_beam
            == totals(simulate(whole, catalogue()).rows, {}).accepted_beam
        )


def test_devices_and_store_may_differ_by_what_nobody_heard() -> None:
    one = Agreement(figure="accepted", devices=5, stored=7, unknown=2)
    assert one.holds
    assert not replace(one, stored=8).holds
    assert not replace(one, stored=4).holds
