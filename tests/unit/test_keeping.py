"""A failing test leaves what reproduces it; a passing one leaves nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.conftest import keep_failure
from tests.support import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PLUGINS = ("-p", "no:locust", "-p", "no:schemathesis")
"""As in ours: the latter's plugin takes the values out of Hypothesis's examples."""
TESTS = """
from hypothesis import given, strategies as st

@given(st.integers())
def test_property(x):
    assert x < 1000

def test_files(tmp_path):
    (tmp_path / "bad.yaml").write_text("size: larg")
    assert False

def test_fine(tmp_path):
    (tmp_path / "good.yaml").write_text("size: large")
"""


def test_what_reproduces_a_failure_is_kept(in_tmp: Path) -> None:
    (in_tmp / "tests").mkdir()
    shutil.copy(ROOT / "tests" / "conftest.py", in_tmp / "tests")
    (in_tmp / "tests" / "test_it.py").write_text(TESTS, encoding="utf-8")
    (in_tmp / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *PLUGINS, "tests"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines()[-1].startswith("==")
    assert "2 failed, 1 passed" in done.stdout
    kept = in_tmp / "tests" / "failures"
    assert {p.name for p in kept.iterdir()} == {
        "tests-test-it.py-test-property",
        "tests-test-it.py-test-files",
    }
    said = (kept / "tests-test-it.py-test-property" / "replay.txt").read_text(encoding="utf-8")
    assert "'tests/test_it.py::test_property'" in said
    assert "x=1000" in said
    assert "@reproduce_failure" in said
    planted = kept / "tests-test-it.py-test-files" / "files" / "bad.yaml"
    assert planted.read_text(encoding="utf-8") == "size: larg"
    assert "kept for replay" in done.stdout


def test_what_was_kept_goes_once_the_test_passes(in_tmp: Path) -> None:
    (in_tmp / "tests").mkdir()
    shutil.copy(ROOT / "tests" / "conftest.py", in_tmp / "tests")
    (in_tmp / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    kept = in_tmp / "tests" / "failures" / "tests-test-it.py-test-it"
    for body, is_kept in (("assert 0", True), ("assert 1", False)):
        (in_tmp / "tests" / "test_it.py").write_text(f"def test_it(): {body}\n", encoding="utf-8")
        subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *PLUGINS, "tests"],
            capture_output=True,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            check=False,
        )
        assert kept.is_dir() == is_kept


def test_a_second_failure_replaces_the_first(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "a").write_text("1", encoding="utf-8")
    keep_failure("t.py::test_a[x/y]", "first", tmp_path / "run", tmp_path / "kept")
    kept = keep_failure("t.py::test_a[x/y]", "second", None, tmp_path / "kept")
    assert kept.name == "t.py-test-a-x-y"
    assert [p.name for p in kept.iterdir()] == ["replay.txt"]
    assert (kept / "replay.txt").read_text(encoding="utf-8").endswith("second\n")
