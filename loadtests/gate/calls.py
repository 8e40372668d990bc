"""System calls of a process, counted by strace while something happens.

Owns: starting strace, waiting until it looks, and reading what it saw. It needs the program and the
right to trace a process of one's own; without either there is no count, and the budgets of calls
are left out. Linux only.
"""

from __future__ import annotations

import itertools
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
    from pathlib import Path

PASSES: Final = 8
_ATTACH_S: Final = 5.0
_SETTLE_S: Final = 0.01
_WAITING: Final = frozenset(
    {
        *("clock_gettime", "clock_nanosleep", "epoll_pwait", "epoll_wait", "futex", "nanosleep"),
        *("poll", "ppoll", "restart_syscall", "sched_yield", "select"),
    }
)
"""Not counted: how often one waits or looks at a clock depends on the moment, not on the code."""
_WAKE: Final = "anon_inode:[eventfd]"
"""Nor is how often one thread wakes another."""
_CALL: Final = re.compile(r"^(?:\d+\s+)?([a-z]\w*)\((.*)$", re.MULTILINE)


def counted_calls(pid: int, action: Callable[[], None], folder: Path) -> int | None:
    """Do ``action`` a few times; return the least system calls of process ``pid`` meanwhile.

    None: they cannot be counted, and ``action`` may not have been done. What timers of the process
    do only adds, so the least is exact. strace's own file lies in ``folder`` for the while.
    """
    program, file = shutil.which("strace"), folder / f"calls-{pid}"
    if program is None:
        return None
    process = subprocess.Popen(  # noqa: S603 - the system's own tracer
        [program, "-f", "-y", "-s", "0", "-o", str(file), "-p", str(pid)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        with ended(process, signal.SIGINT) as tracer:
            if tracer.stdout is None or not _attached(tracer.stdout.fileno()):
                return None
            ends = [_size(file)]
            for _ in range(PASSES):
                action()
                ends.append(_size(file))
        seen = file.read_bytes()
    finally:
        file.unlink(missing_ok=True)
    parts = itertools.pairwise(ends)
    return min(total(seen[begin:end].decode(errors="replace")) for begin, end in parts) or None


def _size(file: Path) -> int:
    """Return how much strace wrote, once it has written all."""
    time.sleep(_SETTLE_S)
    return file.stat().st_size


def _attached(file: int) -> bool:
    said, patience = b"", time.monotonic() + _ATTACH_S
    while b"attached" not in said:
        ready, _, _ = select.select([file], [], [], max(0.0, patience - time.monotonic()))
        more = os.read(file, 4_096) if ready else b""
        if not more:
            return False
        said += more
    return True


def total(seen: str) -> int:
    r"""Return the calls in what strace wrote, but for waits and wakes.

    >>> total("7 write(3<a>, ...) = 1\n7 futex(1) = 0\n8 <... read resumed>) = 1\nread(4<b>) = 2")
    2
    """
    found = _CALL.findall(seen)
    return sum(name not in _WAITING and _WAKE not in rest for name, rest in found)
