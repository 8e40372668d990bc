"""Canaries: what the machine itself does, before and after, whatever is measured on it.

Owns: the readings. Does not own: what they mean (``decision.disturbances``). One processor slice on
the gate's core, a sync where the stores lie, a byte from core to core and back, the time that the
host took away. µs unless said otherwise.
"""

from __future__ import annotations

import os
import platform
import socket
import statistics
import threading
import time
from pathlib import Path
from typing import Final

from loadtests.gate.values import Canary, Machine

SLOW_PING_US: Final = 10.0
"""Above it, what crosses cores is in its slow regime: hosts move virtual processors about."""
_SLICES: Final = 60
_SYNCS: Final = 60
_PINGS: Final = 2_000


def cores() -> list[int]:
    """Return the cores this process may use; empty where the system does not say."""
    usable = getattr(os, "sched_getaffinity", None)
    return sorted(usable(0)) if usable else []


def gate_core() -> int | None:
    """Return the core for services and client: the last, as interrupts like the first."""
    return next(iter(reversed(cores())), None)


def canary(folder: Path, core: int | None) -> Canary:
    """Return the readings of now; a thread of this process is moved to ``core`` for them."""
    found: list[Canary] = []
    other = next((one for one in cores() if one != core), None)

    def read() -> None:
        if core is not None:
            os.sched_setaffinity(0, {core})
        cross = None if core is None or other is None else _ping_us(core, other)
        if core is not None:
            os.sched_setaffinity(0, {core})
        found.append(Canary(cpu_us=_slice_us(), sync_us=_sync_us(folder), cross_core_us=cross))

    thread = threading.Thread(target=read)
    thread.start()
    thread.join()
    return found[0]


def _slice_us() -> float:
    taken = []
    for _ in range(_SLICES):
        began, total = time.perf_counter_ns(), 0
        for number in range(20_000):
            total += number & 7
        taken.append((time.perf_counter_ns() - began) / 1_000)
        time.sleep(0.005)
    # What the core can do, whoever else wants it: the control tells how much others disturb.
    return sorted(taken)[_SLICES // 10]


def _sync_us(folder: Path) -> float:
    taken, name = [], folder / "canary"
    file = os.open(name, os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        for number in range(_SYNCS):
            os.pwrite(file, b"x" * 512, 512 * number)
            began = time.perf_counter_ns()
            os.fdatasync(file)
            taken.append((time.perf_counter_ns() - began) / 1_000)
    finally:
        os.close(file)
        name.unlink()
    return statistics.median(taken)


def _ping_us(core: int, other: int) -> float:
    ours, theirs = socket.socketpair()

    def answer() -> None:
        os.sched_setaffinity(0, {other})
        while data := theirs.recv(1):
            theirs.sendall(data)

    thread = threading.Thread(target=answer)
    thread.start()
    os.sched_setaffinity(0, {core})
    taken = []
    try:
        for _ in range(_PINGS):
            began = time.perf_counter_ns()
            ours.sendall(b"x")
            ours.recv(1)
            taken.append((time.perf_counter_ns() - began) / 1_000)
    finally:
        ours.shutdown(socket.SHUT_RDWR)
        thread.join()
        ours.close()
        theirs.close()
    return statistics.median(taken)


def stolen() -> tuple[int, int]:
    """Return (ticks that the host took away, all ticks) since the machine's start; 0s unknown."""
    try:
        cells = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:]
    except OSError:
        return 0, 0
    ticks = [int(cell) for cell in cells[:8]]
    return ticks[-1], sum(ticks)


def machine(core: int | None, before: tuple[int, int]) -> Machine:
    """Return where this runs; ``before``: what ``stolen`` said at the beginning."""
    steal, total = (now - then for now, then in zip(stolen(), before, strict=True))
    return Machine(
        processor=_processor(),
        cores=len(cores()) or os.cpu_count() or 1,
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        core=core,
        steal=steal / total if total else 0.0,
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()
