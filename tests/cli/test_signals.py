"""Ctrl-C and SIGTERM: 130 or 143, what exists is kept and marked, a second one leaves nothing.

Signals go to processes that the test started itself, by their number.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.support_cli import start
from vpg.cli.stopping import StopFlag, asked_to_stop

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

LONG = (
    *("run", "smallest", "--charts", "png", "--json"),
    *("--set", "fleets[0].lines=1000", "--set", "duration_h=700"),
)
"""About a minute, if nobody stops it."""
EXITS = {signal.SIGINT: 130, signal.SIGTERM: 143}


def simulating(folder: Path) -> subprocess.Popen[str]:
    """Start a long run and wait until it simulates."""
    process = start(*LONG, cwd=folder)
    assert process.stderr is not None
    assert process.stderr.readline() == "Simulating\n"
    return process


def runs(folder: Path) -> list[str]:
    """Return what lies where run directories go, hidden names included."""
    out = folder / "runs"
    return sorted(os.listdir(out)) if out.exists() else []  # noqa: PTH208 - names are asked for


@pytest.mark.parametrize("signum", EXITS, ids=lambda signum: signum.name)
def test_a_signal_keeps_what_exists_and_marks_it(signum: signal.Signals, in_tmp: Path) -> None:
    process = simulating(in_tmp)
    process.send_signal(signum)
    out, err = process.communicate(timeout=60)
    assert process.returncode == EXITS[signum]
    assert "Traceback" not in err
    [name] = runs(in_tmp)
    run_dir = in_tmp / "runs" / name
    manifest = json.loads((run_dir / "manifest.json").read_text(encoding="utf-8"))
    assert (manifest["status"], manifest["why_partial"]) == ("partial", signum.name)
    assert (run_dir / "PARTIAL").exists()
    assert set(manifest["files"]) == {p.name for p in run_dir.iterdir()} - {"manifest.json"}
    document = json.loads(out)
    assert (document["status"], document["verdict"]) == ("partial", "partial")
    assert document["ended_at"] < document["end"]


def test_a_second_signal_ends_at_once_and_leaves_nothing(in_tmp: Path) -> None:
    process = simulating(in_tmp)
    # Both are pending before the process can have written a directory: it sleeps meanwhile.
    process.send_signal(signal.SIGSTOP)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGCONT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode in EXITS.values(), out) == (True, "")
    assert "Traceback" not in err
    assert runs(in_tmp) == []


@pytest.mark.long
def test_at_any_moment_the_exit_code_is_right_and_no_half_is_left(in_tmp: Path) -> None:
    moments = random.Random(32)
    for turn in range(50):
        folder = in_tmp / str(turn)
        folder.mkdir()
        signum = moments.choice(list(EXITS))
        process = start(*LONG, "--set", "duration_h=20", cwd=folder)
        time.sleep(moments.uniform(0.15, 4))
        process.send_signal(signum)
        _, err = process.communicate(timeout=60)
        assert "Traceback" not in err
        if process.returncode == 0:
            continue  # It was over before the signal came.
        # Before Python runs our first line, the system itself ends the process by the signal.
        assert process.returncode in {EXITS[signum], -signum}, err
        for name in runs(folder):
            manifest = (folder / "runs" / name / "manifest.json").read_text(encoding="utf-8")
            assert json.loads(manifest)["status"] == "partial"


def test_the_first_signal_raises_a_flag_and_the_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with asked_to_stop("stopping") as flag:
        assert (flag(), flag.name) == (False, "")
        os.kill(os.getpid(), signal.SIGINT)
        assert (flag(), flag.name, flag.exit_code) == (True, "SIGINT", 130)
    assert signal.getsignal(signal.SIGINT) is before


def test_an_unasked_flag_has_no_signal() -> None:
    assert not StopFlag()()
