"""The bench does its work in its short form; its page takes the figures; a missed target shows."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.bench import growth, measure, page
from tests.bench.__main__ import PARTS
from tests.bench.figures import Figure, Options, Report
from tests.bench.spec import Workload
from tests.support import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PAGE = page.PAGE.read_text(encoding="utf-8")
NAMES = sorted(PARTS)


def report(*figures: Figure, part: str = "calm") -> Report:
    return Report(
        machine="a machine", date="2026-11-22", load=(0.1, 0.2), parts={part: list(figures)}
    )


def run(folder: Path, *parts: str) -> Report:
    file = folder / "figures.json"
    chart = folder / "growth.svg"
    command = ["-m", "tests.bench", "--short", "--json", str(file), "--chart", str(chart)]
    done = subprocess.run(
        [sys.executable, *command, "--only", *parts],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert ("growth" not in parts) or "<svg" in chart.read_text(encoding="utf-8")
    found = Report.of_json(json.loads(file.read_text(encoding="utf-8")))
    assert list(found.parts) == list(parts)
    for one in parts:
        assert found.parts[one]
        for figure in found.parts[one]:
            assert figure.skipped or figure.value > 0, figure
            assert figure.name in done.stdout
    return found


def test_the_short_form_measures_months(tmp_path: Path) -> None:
    found = run(tmp_path, "calm")
    assert found.parts["calm"][0].name == "calm month, one core, 3,600,002 attempts"
    assert "| calm month, one core" in page.filled(PAGE, found)


@pytest.mark.long
def test_the_short_form_measures_everything(tmp_path: Path) -> None:
    assert page.filled(PAGE, run(tmp_path, *NAMES)) != PAGE


def test_a_missed_target_shows_and_a_met_one_does_not() -> None:
    slow, quick = (Figure(name="f", value=v, unit="s", runs=3, at_most=2) for v in (2.1, 2.0))
    assert (slow.verdict, quick.verdict) == ("MISSED", "ok")
    low, high = (Figure(name="f", value=v, runs=3, at_least=20) for v in (19.9, 20))
    assert (low.verdict, high.verdict) == ("MISSED", "ok")
    assert slow.line().endswith("MISSED")
    assert Figure(name="f", value=1).verdict == ""
    assert Options(short=True).goal(2) is None
    assert Options().goal(2) == 2


def test_the_page_shows_what_was_measured_missed_and_skipped() -> None:
    figures = (
        Figure(name="a", value=2.1, unit="s", runs=3, at_most=2),
        Figure(name="b", skipped="not here"),
        Figure(name="c", value=1234.5, unit="attempts/s", runs=3),
    )
    filled = page.filled("x\n<!-- bench:calm -->\nold\n<!-- bench:end -->\ny\n", report(*figures))
    assert filled.splitlines() == [
        "x",
        "<!-- bench:calm -->",
        "2026-11-22, a machine; load 0.1 at the begin, 0.2 at the end.",
        "",
        *page.HEAD,
        "| a | 2.1 s | 3 | at most 2 | **missed** |",
        "| b | skipped: not here | | | |",
        "| c | 1,234 attempts/s | 3 |  |  |",
        "<!-- bench:end -->",
        "y",
    ]
    again = page.filled(filled, report(*figures))
    assert again == filled
    with pytest.raises(ValueError, match="no place for the part sync"):
        page.filled(filled, report(*figures, part="sync"))


@pytest.mark.parametrize("part", NAMES)
def test_the_page_has_a_place_for_every_part(part: str) -> None:
    assert PAGE.count(f"<!-- bench:{part} -->") == 1
    assert "new" in page.filled(PAGE, report(Figure(name="new", value=1), part=part))


def test_growth_in_proportion_has_slope_one() -> None:
    def took(attempts: int, took_s: float) -> measure.Measured:
        counts = {"attempts": attempts}
        return measure.Measured(counts=counts, took_s=took_s, ready_s=0, processor_s=0, peak_mib=0)

    assert growth.slope([took(n, n / 7) for n in (10, 100, 5_000)]) == pytest.approx(1)
    assert growth.slope([took(n, n * n / 7) for n in (10, 100, 5_000)]) == pytest.approx(2)


def test_a_program_that_did_not_do_its_work_ends_the_bench(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = {"messages": 60_000, "attempts": 60_000, "accepted": 59_000, "refused": 0, "lost": 0}

    def answered(*_: object, **__: object) -> subprocess.CompletedProcess[str]:
        said = {"counts": answer, "took_s": 1, "ready_s": 1, "processor_s": 1, "peak_mib": 1}
        return subprocess.CompletedProcess([], 0, json.dumps(said), "")

    monkeypatch.setattr(subprocess, "run", answered)
    for wrong in ({}, {"accepted": 60_000, "messages": 30_000}, {"accepted": 60_000, "lost": 1}):
        answer |= wrong
        with pytest.raises(SystemExit, match="did not do its work"):
            measure.measure("compiled", Workload(hours=1))
    answer |= {"messages": 60_000, "attempts": 60_000, "accepted": 60_000, "lost": 0}
    assert measure.measure("compiled", Workload(hours=1)).counts == answer
