"""How far a run is, on stderr: a bar on a terminal, else a line at most every ten seconds.

Owns: the showing and the estimate of the time left. Times: simulated µs from the simulator, seconds
of the monotonic clock for speed; neither enters a result.
"""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import Progress as Bar

    from vpg.cli.terminal import Terminal

LINE_EVERY_S = 10
_BAR_EVERY_S = 0.1


class Reached(Protocol):
    """What the simulator says of how far it is."""

    @property
    def at_us(self) -> int:
        """Simulated instant reached."""

    @property
    def start_us(self) -> int:
        """Simulated start."""

    @property
    def end_us(self) -> int:
        """Simulated end."""

    @property
    def events(self) -> int:
        """Events handled."""


class _Pace:
    """Speed and time left of one run."""

    def __init__(self) -> None:
        """Start the watch."""
        self.began_s = time.monotonic()
        self.shown_s = self.began_s

    def due(self, every_s: float) -> bool:
        """Return True when ``every_s`` seconds passed since it last did."""
        now_s = time.monotonic()
        if now_s - self.shown_s < every_s:
            return False
        self.shown_s = now_s
        return True

    def figures(self, reached: Reached) -> tuple[int, int, int]:
        """Return per mille simulated, events a second, seconds left."""
        done_us = reached.at_us - reached.start_us
        whole_us = max(1, reached.end_us - reached.start_us)
        passed_s = max(1e-6, time.monotonic() - self.began_s)
        left_s = passed_s * (whole_us - done_us) / done_us if done_us > 0 else 0.0
        return 1000 * done_us // whole_us, int(reached.events / passed_s), int(left_s)


def clock_text(seconds: int) -> str:
    """Return a length of time as ``h:mm:ss``.

    >>> clock_text(3_725)
    '1:02:05'
    """
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


@contextmanager
def shown(
    terminal: Terminal, title: str = "", *, line: str = "run_progress"
) -> Iterator[Callable[[Reached], None] | None]:
    """Give the simulator a function to call with how far it is; None when quiet.

    ``title`` says what is being done, else that a scenario is simulated; ``line`` names the words
    (of ``words.toml``) that say how far.
    """
    title = title or terminal.word("run_simulating")
    if terminal.quiet:
        yield None
    elif sys.stderr.isatty():
        with _bar(terminal, title, line) as show:
            yield show
    else:
        yield _lines(terminal, title, line)


def _words(terminal: Terminal, line: str, pace: _Pace, reached: Reached) -> str:
    mille, rate, left_s = pace.figures(reached)
    return terminal.word(
        line,
        percent=f"{mille // 10}.{mille % 10}",
        events=f"{reached.events:,}",
        rate=f"{rate:,}",
        left=clock_text(left_s),
    )


def _lines(terminal: Terminal, title: str, line: str) -> Callable[[Reached], None]:
    pace = _Pace()
    terminal.note(title)

    def show(reached: Reached) -> None:
        if pace.due(LINE_EVERY_S):
            terminal.note(_words(terminal, line, pace, reached))

    return show


@contextmanager
def _bar(terminal: Terminal, title: str, line: str) -> Iterator[Callable[[Reached], None]]:
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    pace = _Pace()
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[words]}"))
    bar: Bar
    with Bar(*columns, console=terminal.console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=1000, words="")

        def show(reached: Reached) -> None:
            if pace.due(_BAR_EVERY_S):
                mille = pace.figures(reached)[0]
                bar.update(task, completed=mille, words=_words(terminal, line, pace, reached))

        yield show
