"""How far a run is: to a pipe a line every ten seconds, to a terminal a bar, if quiet nothing."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.support import ROOT
from tests.support_cli import VPG, start
from vpg.cli import progress
from vpg.cli.terminal import Terminal

if TYPE_CHECKING:
    from pathlib import Path

HOUR_US = 3_600_000_000


@dataclass(frozen=True)
class At:
    """A simulator that stands somewhere."""

    at_us: int
    events: int
    start_us: int = 0
    end_us: int = 10 * HOUR_US


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the reading of the clock that the progress sees; the test moves it."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize(
    ("lang", "words"),
    [
        ("en", "20.0 % simulated, 5,000 events, 500 events/s, 0:00:40 left"),
        ("ja", "20.0 % 完了、イベント 5,000 件、毎秒 500 件、残り 0:00:40"),
    ],
)
def test_a_pipe_gets_speed_and_time_left_at_most_every_ten_seconds(
    lang: str, words: str, clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with progress.shown(Terminal(lang="ja" if lang == "ja" else "en")) as show:
        assert show is not None
        for second in range(11):
            clock[0] = 100.0 + second
            show(At(2 * HOUR_US, 5_000))
    said = capsys.readouterr()
    assert (said.err.splitlines()[1:], said.out) == ([words], "")


def test_quiet_shows_nothing() -> None:
    with progress.shown(Terminal(quiet=True)) as show:
        assert show is None


def test_time_left_is_unknown_before_the_first_step(clock: list[float]) -> None:
    with progress.shown(Terminal()) as show:
        assert show is not None
        clock[0] += 60
        show(At(0, 0))


@pytest.mark.skipif(os.name != "posix", reason="a pseudo-terminal is a POSIX thing")
def test_a_terminal_gets_a_bar_that_goes_away(in_tmp: Path) -> None:
    import pty

    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [*VPG, "run", "smallest", "--no-charts", "--set", "duration_h=100"],
        cwd=in_tmp,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "120"},
        stdout=subprocess.DEVNULL,
        stderr=follower,
    )
    os.close(follower)
    said = b""
    while True:
        try:
            piece = os.read(leader, 65_536)
        except OSError:  # Linux: the other end is closed
            break
        if not piece:
            break
        said += piece
    os.close(leader)
    assert process.wait() == 0
    assert b"events/s" in said
    assert "━".encode() in said


def test_a_pipe_gets_no_bar(in_tmp: Path) -> None:
    process = start("run", "smallest", "--no-charts", cwd=in_tmp)
    _, err = process.communicate(timeout=60)
    assert err == "Simulating\n"
