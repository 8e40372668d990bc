"""docs/load.md: its commands on a real service, its bounds as the code has them."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from loadtests import planning, schedule
from loadtests.loadrun import LATENESS_P99_MS
from loadtests.rating_run import BATCH_MAX, EVENTS_MAX
from tests.docs.test_examples import VPG, says
from tests.support import ROOT
from tests.support_serve import serving

if TYPE_CHECKING:
    from pathlib import Path

PAGE = (ROOT / "docs" / "load.md").read_text(encoding="utf-8")


def commands(heading: str) -> list[tuple[list[str], list[str]]]:
    """Return (words, lines shown) of the commands under ``heading``."""
    part = PAGE[PAGE.index(f"## {heading}\n") :]
    block = part[part.index("```console\n") + 11 :].partition("```")[0]
    found = []
    for one in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        line, _, shown = one.partition("\n")
        found.append((line.split(), [" ".join(text.split()) for text in shown.splitlines()]))
    return found


@pytest.mark.long
def test_the_first_loads_say_what_the_page_shows(tmp_path: Path) -> None:
    serve, *loads = commands("First load")
    assert serve[0] == ["vpg", "serve", "--scenario", "smallest"]
    assert len(loads) == 2
    with serving(tmp_path):
        for words, shown in loads:
            told = ("--ready-file", "ready.json", "--lateness-ms", "1000")
            done = subprocess.run(
                [*VPG, *words[1:], *told], cwd=tmp_path, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
            assert [line for line in shown if not says(done.stdout, line)] == [], done.stdout


@pytest.mark.long
def test_plain_locust_runs_as_the_page_shows(tmp_path: Path) -> None:
    ((words, _),) = commands("Plain Locust")
    assert words[0] == "locust"
    with serving(tmp_path) as one:
        moved = [one.url() if word.startswith("http://") else word for word in words[1:]]
        done = subprocess.run(
            [sys.executable, "-m", "locust", *moved], cwd=ROOT, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert '"answers":{"204":2000}' in done.stdout
    assert "latency_from_intended_us" in done.stdout


def test_figures_of_the_page_are_those_of_the_code() -> None:
    for figure in (
        f"{planning.RATE_MAX:,} requests a second",
        f"{planning.FOR_MAX_S:,} seconds",
        f"{schedule.SENDS_MAX:,} requests or events",
        f"{planning.PROCESSES_MAX} processes",
        f"{planning.CONNECTIONS_MAX:,} connections",
        f"up to {BATCH_MAX} events",
        f"{LATENESS_P99_MS} ms late",
    ):
        assert figure in PAGE.replace("\n", " "), figure
    assert schedule.SENDS_MAX == EVENTS_MAX
    assert planning.LINES_MAX == 100_000
