"""A standard stream that is full or closed: a reason and an exit code, never a traceback."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support_cli import VPG
from vpg.errors import ExitCode

FULL = Path("/dev/full")
RUN = ("run", "smallest", "--no-charts")

full_device = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")


def vpg_with(redirection: str, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run ``vpg`` with ``words`` as a shell does that redirects its streams."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("VPG_")}
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {redirection}', "sh", *VPG, *words],
        cwd=cwd,
        env={**kept, "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )


@full_device
@pytest.mark.parametrize(
    "words", [("validate", "smallest", "--json"), ("validate", "smallest"), ("catalogue",)]
)
def test_a_full_stdout_is_told_with_its_reason(words: tuple[str, ...], tmp_path: Path) -> None:
    done = vpg_with(">/dev/full", *words, cwd=tmp_path)
    assert done.returncode == ExitCode.PARTIAL, done.stderr
    assert done.stderr.count("VPG1035") == 1
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


@full_device
@pytest.mark.parametrize("form", [(), ("--json",), ("--quiet",)])
def test_a_run_told_to_a_full_stdout_names_its_directory(
    form: tuple[str, ...], tmp_path: Path
) -> None:
    done = vpg_with(">/dev/full", *RUN, *form, cwd=tmp_path)
    [run_dir] = (tmp_path / "runs").iterdir()
    assert done.returncode == ExitCode.PARTIAL, done.stderr
    assert f"the whole result is in {run_dir.relative_to(tmp_path)}," in done.stderr
    assert "run again" not in done.stderr
    assert "Traceback" not in done.stderr
    assert vpg_with("", "show", str(run_dir), cwd=tmp_path).returncode == ExitCode.OK


@full_device
def test_an_error_keeps_its_code_and_words_on_a_full_stdout(tmp_path: Path) -> None:
    done = vpg_with(">/dev/full", "validate", "none.yaml", "--json", cwd=tmp_path)
    assert done.returncode == ExitCode.INVALID_INPUT
    assert [number in done.stderr for number in ("VPG1020", "VPG1035", "VPG109")] == [1, 1, 0]
    assert "Traceback" not in done.stderr


@full_device
def test_a_full_stderr_does_not_touch_the_result(tmp_path: Path) -> None:
    done = vpg_with("2>/dev/full", *RUN, "--json", cwd=tmp_path)
    assert done.returncode == ExitCode.OK
    assert done.stdout.endswith("}\n")
    assert vpg_with("2>/dev/full", "run", "none", cwd=tmp_path).returncode == (
        ExitCode.INVALID_INPUT
    )


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_as_if_nobody_listened(closed: str, tmp_path: Path) -> None:
    words = ("new", "smallest", "--out", "mine.yaml")
    for command in (("catalogue",), words):
        done = vpg_with(closed, *command, cwd=tmp_path)
        assert done.returncode == ExitCode.OK, done.stderr
        assert done.stderr == ""
    # What is told lands in no file that happened to get the closed stream's number.
    open_streams = vpg_with("", *words, "--force", cwd=tmp_path)
    assert open_streams.returncode == ExitCode.OK
    before = (tmp_path / "mine.yaml").read_bytes()
    vpg_with(closed, *words, "--force", cwd=tmp_path)
    assert (tmp_path / "mine.yaml").read_bytes() == before
