"""One ``vpg serve`` of a gate: started, pinned, looked at from outside, ended.

Owns: the process, from its start to its end whatever happens, and the readings of the system about
it. Does not own: the load or what the readings mean. Everything listens on loopback, on a port that
the system chose, in a session of its own, so that Ctrl-C reaches the gate alone, which ends them.
"""

from __future__ import annotations

import contextlib
import csv
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from loadtests.gate.client import VPG
from vpg.errors import ensure

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

READY_S: Final = 60.0
END_S: Final = 15.0
SCENARIO: Final = f"""vpgsim: 1
name: gate
title: gate
start: 2026-04-01T09:00:00+09:00
duration_h: 1
seed: 1
vpgs: [{{id: {VPG}, type: C, size: large}}]
fleets:
  - {{name: lines, vpg: {VPG}, lines: 10,
     traffic: [{{kind: periodic, every_s: 60, payload_bytes: 120}}]}}
assumptions: {{idle_timeout_s: 0}}
"""
_SAID_MAX: Final = 2_000


class ServiceError(Exception):
    """A service did not come up, or is gone; the text is what it said last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How one side is started."""

    command: tuple[str, ...]
    """Up to and with the word ``serve``."""
    folder: Path
    """Where: Python looks for the code there first."""
    environment: Mapping[str, str]


class Service:
    """One that answers."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        """Look at ``process``, whose API is at ``port``."""
        self.pid = process.pid
        self.port = port
        self.singles = 0
        """Number of the next single request; ``batches`` likewise."""
        self.batches = 0
        self._process = process

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def cpu_ns(self) -> int:
        """Return the processor time of all its threads so far."""
        return cpu_ns(self.pid)

    def memory_kib(self) -> float:
        """Return its resident memory."""
        found = re.search(r"VmRSS:\s+(\d+) kB", _proc(self.pid, "status"))
        ensure(found is not None, "the system tells a process's memory")
        return float(found[1]) if found else 0.0

    def written(self) -> int:
        """Return the bytes it has written so far, to files and sockets."""
        found = re.search(r"wchar: (\d+)", _proc(self.pid, "io"))
        ensure(found is not None, "the system tells what a process writes")
        return int(found[1]) if found else 0

    def commits(self) -> int:
        """Return the groups it has committed so far."""
        found = re.search(r"^vpg_writer_commits_total (\S+)$", self._get("/metrics"), re.MULTILINE)
        ensure(found is not None, "the service tells its commits")
        return int(float(found[1])) if found else 0

    def stored(self) -> int:
        """Return the events it counted, as its hourly metrics say."""
        rows = csv.DictReader(self._get("/v1/hourly?format=csv").splitlines())
        return sum(int(row["accepted_beam"]) for row in rows)

    def _get(self, path: str) -> str:
        # Not urllib: it would ask the proxy that a CI machine may have in its environment.
        asked = http.client.HTTPConnection("127.0.0.1", self.port, timeout=READY_S)
        try:
            asked.request("GET", path)
            return asked.getresponse().read().decode()
        finally:
            asked.close()


def _proc(pid: int, name: str) -> str:
    return Path(f"/proc/{pid}/{name}").read_text(encoding="ascii", errors="replace")


def cpu_ns(pid: int) -> int:
    """Return the processor time of process ``pid``: all threads, in ns, also those that ended.

    Linux numbers the processor clock of a process so (clock_getcpuclockid(3)); /proc would count
    in hundredths of a second.
    """
    return time.clock_gettime_ns((~pid << 3) | 2)


def pin(pid: int, core: int | None) -> None:
    """Keep process ``pid``, and the threads it will have, on ``core``; None: anywhere."""
    if core is not None:
        os.sched_setaffinity(pid, {core})


@contextlib.contextmanager
def ended(
    process: subprocess.Popen[bytes], signum: int = signal.SIGTERM
) -> Iterator[subprocess.Popen[bytes]]:
    """Let no process outlive the block: asked by ``signum`` after good work, else killed."""
    try:
        yield process
        process.send_signal(signum)
        process.wait(END_S)
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


@contextlib.contextmanager
def started(launch: Launch, folder: Path, core: int | None) -> Iterator[Service]:
    """Run a service with a fresh store in ``folder``, which goes with it; yield it once it answers.

    Raises ``ServiceError`` with its last words when it ends before.
    """
    folder.mkdir(parents=True)
    scenario, ready, said = folder / "gate.yaml", folder / "ready.json", folder / "said"
    scenario.write_text(SCENARIO, encoding="utf-8")
    words = ["--scenario", str(scenario), "--store", str(folder / "store.sqlite"), "--no-entry"]
    words += ["--port", "api=0", "--ready-file", str(ready), "--quiet"]
    with said.open("wb") as errors:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [*launch.command, *words],
            cwd=launch.folder,
            env=dict(launch.environment),
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
            start_new_session=True,
        )
    try:
        with ended(process):
            pin(process.pid, core)
            yield Service(process, _port(process, ready, said))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _port(process: subprocess.Popen[bytes], ready: Path, said: Path) -> int:
    patience = time.monotonic() + READY_S
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > patience:
            words = said.read_bytes().decode(errors="replace").strip()
            raise ServiceError(words[-_SAID_MAX:] or "it said nothing")
        time.sleep(0.01)
    return int(json.loads(ready.read_bytes())["addresses"][0]["port"])
