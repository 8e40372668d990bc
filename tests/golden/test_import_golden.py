"""What each sample file becomes, to the byte, and that it runs.

After a wanted change: ``UPDATE_GOLDEN=1 python -m pytest tests/golden/test_import_golden.py``, and
read the difference before it is committed.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from scenarios.importers.air import import_air
from scenarios.importers.beam import import_beam
from scenarios.importers.demand import import_demand
from scenarios.importers.lines import import_lines
from scenarios.importers.options import (
    AirOptions,
    BeamOptions,
    DemandOptions,
    LinesOptions,
    UsageOptions,
)
from scenarios.importers.usage import import_usage
from sim.run import simulate
from tests.support import ROOT
from tests.support_import import DATA, loaded
from vpg.catalogue.load import load_catalogue
from vpg.rating.totals import conservation, totals
from vpg.text import render

if TYPE_CHECKING:
    from pathlib import Path

    from scenarios.importers.result import Imported

EXPECTED = ROOT / "tests" / "golden" / "import"
TAXI = DemandOptions(
    name="taxi",
    tz="America/New_York",
    rebase=dt.date(2026, 4, 1),
    scale=Decimal("0.01"),
    lines=200,
    first=dt.date(2014, 11, 2),
    days=1,
)
SAMPLES = {
    "lines": lambda: import_lines(DATA / "demo_line-d.csv", LinesOptions(name="lines")),
    "lines_bad": lambda: import_lines(DATA / "bad_line-d.csv", LinesOptions(name="lines_bad")),
    "usage": lambda: import_usage(DATA / "demo_datausage.csv", UsageOptions(name="usage")),
    "air": lambda: import_air(DATA / "demo_air.csv", AirOptions(name="air")),
    "beam": lambda: import_beam(DATA / "demo_beam.csv", BeamOptions(name="beam")),
    "taxi": lambda: import_demand(DATA / "nyc_taxi_2014-11.csv", TAXI),
    "taxi_elapsed": lambda: import_demand(
        DATA / "nyc_taxi_2014-11.csv",
        dataclasses.replace(TAXI, name="taxi_elapsed", clock="elapsed"),
    ),
}


def report(imported: Imported) -> bytes:
    """Return counts and problems as text, without this machine's folder."""
    lines = [f"{name} {count}" for name, count in imported.counts.items()]
    lines += [render(p, lang) for lang in ("en", "ja") for p in imported.problems]
    return "".join(f"{line}\n" for line in lines).replace(f"{DATA}/", "").encode()


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_sample_becomes_what_it_became_before(sample: str) -> None:
    imported = SAMPLES[sample]()
    files = {**imported.files(), f"{sample}.txt": report(imported)}
    if os.environ.get("UPDATE_GOLDEN"):
        EXPECTED.mkdir(exist_ok=True)
        for name, data in files.items():
            (EXPECTED / name).write_bytes(data)
    for name, data in files.items():
        assert data.decode() == (EXPECTED / name).read_text(encoding="utf-8"), name


def test_the_sample_list_in_cp932_without_header_is_the_same() -> None:
    text = (DATA / "demo_line-d.csv").read_bytes().decode()
    rows = text.partition("\r\n")[2].encode("cp932")
    imported = import_lines(rows, LinesOptions(name="lines"))
    assert imported.scenario_yaml == (EXPECTED / "lines.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("sample", SAMPLES)
def test_every_import_runs_and_conserves(sample: str, tmp_path: Path) -> None:
    catalogue = load_catalogue()
    imported = SAMPLES[sample]()
    scenario = loaded(imported, tmp_path)
    result = simulate(scenario, catalogue)
    assert conservation(result.rows) == []
    summed = totals(result.rows, result.delays)
    silent = sum(fleet.lines for fleet in scenario.fleets if not fleet.traffic)
    assert summed.messages_offered > 0
    # Ready, suspended, terminated and unused lines never ask for a session.
    assert summed.lines_peak <= sum(f.lines for f in scenario.fleets) - silent
    assert summed.messages_delivered == summed.messages_offered


def test_a_simulated_day_has_the_measured_demand(tmp_path: Path) -> None:
    imported = SAMPLES["taxi"]()
    result = simulate(loaded(imported, tmp_path), load_catalogue())
    offered = sum(row.messages_offered for row in result.rows)
    expected = imported.counts["messages_micro"] // 1_000_000
    # Poisson arrivals: five standard deviations.
    assert abs(offered - expected) <= 5 * expected**0.5
