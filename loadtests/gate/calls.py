"""System calls of a process, counted by strace while something happens.

Owns: starting strace, waiting until it looks, and reading its summary. It needs the program and the
right to trace a process of one's own; without either there is no count, and the budgets of calls
are left out. Linux only.
"""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Final

from loadtests.gate.service import ended

if TYPE_CHECKING:
    from collections.abc import Callable

_ATTACH_S: Final = 5.0
_WAITING: Final = frozenset(
    {
        *(
            "clock_gettime",
            "clock_nanosleep",
            "epoll_pwait",
            "epoll_wait",
            "futex",
            "nanosleep",
            "poll",
        ),
        *("ppoll", "restart_syscall", "sched_yield", "select", "total"),
    }
)
"""Not counted: how often one waits or looks at a clock depends on the moment. Nor is the last
line."""


def counted_calls(pid: int, action: Callable[[], None]) -> int | None:
    """Do ``action`` and return the system calls of process ``pid`` meanwhile; None: not counted."""
    program = shutil.which("strace")
    if program is None:
        return None
    process = subprocess.Popen(  # noqa: S603 - the system's own tracer
        [program, "-c", "-f", "-p", str(pid)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    with ended(process, signal.SIGINT) as tracer:
        if tracer.stdout is None or not _attached(tracer.stdout.fileno()):
            return None
        action()
        tracer.send_signal(signal.SIGINT)
        return total(tracer.stdout.read().decode(errors="replace"))


def _attached(file: int) -> bool:
    said, patience = b"", time.monotonic() + _ATTACH_S
    while b"attached" not in said:
        ready, _, _ = select.select([file], [], [], max(0.0, patience - time.monotonic()))
        more = os.read(file, 4_096) if ready else b""
        if not more:
            return False
        said += more
    return True


def total(summary: str) -> int | None:
    r"""Return the calls of a summary of ``strace -c``; None when it has none.

    >>> total("% time  seconds  usecs/call  calls  errors syscall\n 60.1  0.01  1  800  3 read")
    800
    """
    rows = re.findall(
        r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)(?:\s+\d+)?\s+([a-z]\w+)$", summary, re.MULTILINE
    )
    counts = [int(calls) for calls, name in rows if name not in _WAITING]
    return sum(counts) if counts else None
