"""Ready-made scenarios: each loads with each variant, says its question, and brings its files."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from scenarios.doubts import warnings
from scenarios.loader import data_files, load_scenario, variants
from scenarios.new import SCHEMA_FILE, ready_files, ready_names, ready_text, ready_title
from tests.support import ROOT
from tests.support_scenarios import catalogue, meant, text
from vpg.errors import InputError
from vpg.text import LANGS, render

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = ROOT / "scenarios" / "ready"
CASES = [
    (name, variant)
    for name in ready_names()
    for variant in (None, *variants(FOLDER / f"{name}.yaml"))
]


PEERS = ", ".join(f"{{ip: 10.0.0.{last}}}" for last in (1, 2, 3))
THREE_PEERS = f"size: small\n    junction: {{mirroring: {{peers: [{PEERS}]}}}}"


def test_there_is_one_for_each_planner() -> None:
    assert set(ready_names()) >= {
        "smart-meters", "taxi-payments", "vending-machines", "parcel-trackers", "mass-reconnect",
        "alarm-storm", "monthly-growth", "junction-slow-peer", "smallest",
    }  # fmt: skip


@pytest.mark.parametrize(("name", "variant"), CASES)
def test_it_loads_without_a_doubt(name: str, variant: str | None) -> None:
    scenario = load_scenario(FOLDER / f"{name}.yaml", catalogue=catalogue(), variant=variant)
    assert scenario.name == name
    assert scenario.objectives
    assert warnings(scenario, catalogue()) == []
    assert bool(scenario.overrides) == (variant is not None)


@pytest.mark.parametrize("name", ready_names())
def test_it_says_what_it_answers(name: str) -> None:
    whole = ready_text(name)
    assert whole.startswith("# yaml-language-server: $schema=../schema.json\n")
    assert f"# {name}: " in whole
    assert "# Question: " in whole
    assert "# 問い: " in whole
    assert re.search(r"^  ja: .*[\u3040-\u9fff].*\n  en: [A-Z0-9][ -~]+$", whole, re.MULTILINE)
    english, japanese = (ready_title(name, lang) for lang in ("en", "ja"))
    meant = load_scenario(whole, catalogue=catalogue(), folder=FOLDER)
    assert (meant.title_in("en"), meant.title_in("ja")) == (english, japanese)
    assert english.isascii()
    assert not japanese.isascii()
    for variant in variants(FOLDER / f"{name}.yaml"):
        assert variant in whole.partition("vpgsim:")[0] or name == "smart-meters"


@pytest.mark.parametrize(("name", "variant"), CASES)
def test_a_full_vpg_does_not_pass_unseen(name: str, variant: str | None) -> None:
    scenario = load_scenario(FOLDER / f"{name}.yaml", catalogue=catalogue(), variant=variant)
    assert ("refused_attach_ppm_max", 0) in {(one.kind, one.limit) for one in scenario.objectives}


@pytest.mark.parametrize("name", ready_names())
def test_its_copy_loads_anywhere(name: str, tmp_path: Path) -> None:
    files = ready_files(name)
    assert next(iter(files)) == f"{name}.yaml"
    for file, content in files.items():
        (tmp_path / file).write_bytes(content)
    copy = tmp_path / f"{name}.yaml"
    assert copy.read_text("utf-8").startswith(f"# yaml-language-server: $schema={SCHEMA_FILE}\n")
    original = load_scenario(FOLDER / f"{name}.yaml", catalogue=catalogue())
    assert load_scenario(copy, catalogue=catalogue()) == original
    assert set(data_files(copy)) <= set(files)


def test_the_measured_curve_comes_with_its_licence_and_source() -> None:
    files = ready_files("taxi-payments")
    licence = files["taxi-payments.LICENSE.txt"].decode()
    assert "Permission is hereby granted, free of charge" in licence
    assert "Numenta" in licence
    rows = files["taxi-payments.demand.csv"].decode().splitlines()
    assert len(rows) == 1 + 7 * 48


def test_an_unknown_name_is_explained() -> None:
    with pytest.raises(InputError) as caught:
        ready_text("smart-meter")
    (problem,) = caught.value.problems
    assert 'Did you mean "smart-meters"?' in render(problem, "en")


@pytest.mark.parametrize(
    ("change", "numbers"),
    [
        (("fleets:", "  - {id: idle, type: C, size: small}\nfleets:"), ["VPG1290"]),
        (("type: C\n    size: small", "type: F"), ["VPG1293", "VPG1294"]),
        (("size: small", "size: small\n    connections: {peering: 51}"), ["VPG1292"]),
        (("size: small", THREE_PEERS), ["VPG1291"]),
        (("    traffic:\n      - kind: periodic\n        every_s: 60\n", ""), ["VPG1295"]),
    ],
)  # fmt: skip
def test_doubts_are_told_but_do_not_stop(change: tuple[str, str], numbers: list[str]) -> None:
    found = warnings(meant(text(change)), catalogue())
    assert [problem.code for problem in found] == numbers
    assert all(render(problem, lang) for problem in found for lang in LANGS)


def test_connections_that_come_later_count_for_the_doubt() -> None:
    tail = (
        "events:\n"
        "  - {kind: connection, at: +01:00:00, vpg: gate, connection: peering, change: 40}\n"
        "  - {kind: connection, at: +01:30:00, vpg: gate, connection: peering, change: 11}\n"
    )
    found = warnings(meant(text(tail=tail)), catalogue())
    assert [(problem.code, problem.values["value"]) for problem in found] == [("VPG1292", 51)]
