"""A Dask cluster of processes on the loopback device, started by a test and ended by their ids."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.support import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PATIENCE_S = 60


@dataclass
class LocalCluster:
    """A scheduler and the workers that were started for it."""

    folder: Path
    address: str = ""
    scheduler: subprocess.Popen[bytes] | None = None
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def file(self) -> Path:
        return self.folder / "scheduler.json"

    def begin(self) -> None:
        """Start the scheduler and wait until it has an address."""
        self.scheduler = self._start(
            *("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"),
            *("--scheduler-file", str(self.file)),
        )
        until = time.monotonic() + _PATIENCE_S
        while not self.address:
            assert time.monotonic() < until, "no scheduler"
            time.sleep(0.05)
            if self.file.exists():
                self.address = json.loads(self.file.read_bytes())["address"]

    def add_worker(self) -> subprocess.Popen[bytes]:
        """Start one more worker; who needs it waits for it."""
        worker = self._start(
            *("worker", self.address, "--no-nanny", "--nthreads", "1", "--no-dashboard"),
            *("--host", "127.0.0.1", "--local-directory", str(self.folder / "space")),
        )
        self.workers.append(worker)
        return worker

    def _start(self, role: str, *words: str) -> subprocess.Popen[bytes]:
        log = (self.folder / f"{role}-{len(self.workers)}.log").open("wb")
        with log:
            return subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.dask_{role}", *words],
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": str(ROOT), "DASK_CONFIG": str(self.folder)},
                stdout=log,
                stderr=log,
            )

    def end(self) -> None:
        """Kill what still runs."""
        for process in [*self.workers, *([self.scheduler] if self.scheduler else [])]:
            process.kill()
            process.wait(timeout=_PATIENCE_S)


@dataclass(frozen=True)
class Endless:
    """A job that never ends by itself and writes down when it begins and is stopped."""

    told: Path

    def files(self) -> dict[str, bytes]:
        return {"sub/data.txt": b"there"}

    def at(self, folder: Path) -> Endless:
        assert (folder / "sub" / "data.txt").read_bytes() == b"there"
        return self

    def run(self, task: int, *, progress: Any = None, stop: Any = None) -> None:
        del progress
        (self.told / f"{task}-began").touch()
        until = time.monotonic() + _PATIENCE_S
        while not stop() and time.monotonic() < until:
            time.sleep(0.02)
        (self.told / f"{task}-{'stopped' if stop() else 'forgotten'}").touch()


@contextmanager
def cluster(folder: Path, workers: int = 2) -> Iterator[LocalCluster]:
    """Start a scheduler and ``workers``, their files in ``folder``; end them, whatever comes."""
    folder.mkdir(parents=True, exist_ok=True)
    found = LocalCluster(folder=folder)
    try:
        found.begin()
        for _ in range(workers):
            found.add_worker()
        yield found
    finally:
        found.end()
