"""Stopping on Ctrl-C (SIGINT) and SIGTERM.

Owns: the handlers. Two ways: outside a run a signal ends the command at once (``Stopped``); inside
a run (``asked_to_stop``) the first one only raises a flag that the simulator polls, so what exists
is kept and marked partial, and a second one ends at once, leaving nothing half-written.
"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(BaseException):
    """A signal ended the command; not an ``Exception``, so that none takes it for a failure."""

    def __init__(self, signum: int) -> None:
        """Keep the signal's number."""
        self.signum = signum
        super().__init__(signum)

    @property
    def exit_code(self) -> int:
        """130 or 143: 128 and the signal's number, as shells expect."""
        return 128 + self.signum


class StopFlag:
    """Whether, and by which signal, this run was asked to stop; the simulator calls it to know."""

    def __init__(self) -> None:
        """Start unasked."""
        self.signum = 0

    def __call__(self) -> bool:
        """Return True once a signal came."""
        return bool(self.signum)

    @property
    def exit_code(self) -> int:
        """130 or 143: 128 and the signal's number."""
        return 128 + self.signum

    @property
    def name(self) -> str:
        """Name of the signal, e.g. ``SIGINT``; empty while none came."""
        return signal.Signals(self.signum).name if self.signum else ""


def _end_at_once(signum: int, _frame: FrameType | None) -> None:
    raise Stopped(signum)


def install() -> None:
    """End the command at once on either signal; nothing happens outside the main thread."""
    if threading.current_thread() is threading.main_thread():
        for signum in _SIGNALS:
            signal.signal(signum, _end_at_once)


@contextmanager
def asked_to_stop(message: str) -> Iterator[StopFlag]:
    """Turn the first signal into a flag and say ``message`` on stderr; a second ends at once."""
    flag = StopFlag()

    def handle(signum: int, frame: FrameType | None) -> None:
        if flag.signum:
            _end_at_once(signum, frame)
        flag.signum = signum
        # Not through the stream: the signal may have come in the middle of a write to it.
        os.write(2, f"\n{message}\n".encode(errors="replace"))

    if threading.current_thread() is not threading.main_thread():
        yield flag
        return
    before = {signum: signal.signal(signum, handle) for signum in _SIGNALS}
    try:
        yield flag
    finally:
        for signum, handler in before.items():
            # The work of a process of our own is over: a signal comes too late to change a thing.
            signal.signal(signum, signal.SIG_IGN if handler is _end_at_once else handler)


def ignore() -> None:
    """Let signals pass from now on: the exit code is decided."""
    if threading.current_thread() is threading.main_thread():
        for signum in _SIGNALS:
            signal.signal(signum, signal.SIG_IGN)
