"""What every test shares: reproducible properties, kept failures, a folder of one's own.

A failing test leaves ``tests/failures/<test>/`` with the test's folder (its inputs and run
directories) and ``replay.txt``: the command that runs it again and what it said, Hypothesis's
falsifying example and its ``@reproduce_failure`` line included. CI runs with no memory of earlier
examples (``derandomize``), so a red run is red again for whoever repeats it;
``HYPOTHESIS_PROFILE=explore`` looks for new examples.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from sim.warm import warm

if TYPE_CHECKING:
    from collections.abc import Generator

ROOT = Path(__file__).parent.parent
FAILURES = Path(__file__).parent / "failures"
KEPT_BYTES_MAX = 50_000_000

settings.register_profile(
    "ci",
    derandomize=True,
    deadline=None,  # two shared cores: a slow moment is not a bug
    database=None,
    max_examples=60,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("long", parent=settings.get_profile("ci"), max_examples=1000)
settings.register_profile(
    "explore", parent=settings.get_profile("long"), derandomize=False, max_examples=5000
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_sessionstart(session: pytest.Session) -> None:
    """Compile before the first test, once: else the one that needs it first waits, and says so."""
    if not hasattr(session.config, "workerinput"):
        warm()


@pytest.fixture
def in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run the test inside its own empty folder, with no settings of this machine."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("VPG_")]:
        monkeypatch.delenv(name)
    return tmp_path


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep what a failing test had, and say where; forget it once the test passes."""
    report = yield
    if report.when == "call" and report.failed:
        kept = keep_failure(item.nodeid, str(report.longrepr), _folder_of(item), FAILURES)
        report.sections.append(("kept for replay", f"{kept / 'replay.txt'}"))
    elif report.when == "call" and FAILURES.is_dir():
        shutil.rmtree(_kept(item.nodeid, FAILURES), ignore_errors=True)
    return report


def keep_failure(nodeid: str, said: str, folder: Path | None, failures: Path) -> Path:
    """Write what reproduces the failure of ``nodeid`` under ``failures`` and return its folder."""
    kept = _kept(nodeid, failures)
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    (kept / "replay.txt").write_text(
        f"python -m pytest -m 'long or not long' '{nodeid}'\n\n{said}\n", encoding="utf-8"
    )
    if folder is not None and folder.is_dir() and 0 < _bytes_in(folder) <= KEPT_BYTES_MAX:
        shutil.copytree(folder, kept / "files", symlinks=True)
    return kept


def _kept(nodeid: str, failures: Path) -> Path:
    return failures / re.sub(r"[^A-Za-z0-9.]+", "-", nodeid).strip("-")[:120]


def _folder_of(item: pytest.Item) -> Path | None:
    folder = getattr(item, "funcargs", {}).get("tmp_path")
    return folder if isinstance(folder, Path) else None


def _bytes_in(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())
