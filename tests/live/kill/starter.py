"""Starts servers: cold, as a person would, or warm, forked from a process that has imported all.

A cold start takes a second, nearly all of it Python's imports; a warm one does what follows them.
``python -m tests.live.kill.starter`` is that process: a command line (JSON) on each line of stdin,
the number of the process that runs it on stdout.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING

from tests.support import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence

END_S = 30.0
OURS = {**os.environ, "PYTHONPATH": str(ROOT)}
MODULE = "vpg.cli.main"


class Started:
    """A server's process, whoever its parent is."""

    def __init__(self, pid: int, cold: subprocess.Popen[bytes] | None = None) -> None:
        self.pid = pid
        self.was_cold = cold is not None
        self._cold = cold

    def runs(self) -> bool:
        if self._cold is not None:
            return self._cold.poll() is None
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, 0)
            return True
        return False

    def cpu_s(self) -> float:
        """Return the processor time it has taken so far (Linux; else 0)."""
        with contextlib.suppress(OSError, IndexError, ValueError):
            text = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii")
            user, system = text.rpartition(")")[2].split()[11:13]
            return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
        return 0.0

    def end(self, how: signal.Signals) -> None:
        """Send the signal and wait until it is gone."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, how)
        until = time.monotonic() + END_S
        while self.runs() and time.monotonic() < until:
            time.sleep(0.002)


class Starter:
    """Starts ``command``; every ``cold_every``-th time cold, else from a warm process."""

    def __init__(self, said: Path, *, cold_every: int = 1) -> None:
        self._said = said
        self._cold_every = cold_every
        self._started = 0
        self._warm: subprocess.Popen[str] | None = None

    def start(self, command: Sequence[str]) -> Started:
        """Start a server; a warm one where the command is one of ours."""
        self._started += 1
        if list(command[1:3]) == ["-m", MODULE] and (self._started - 1) % self._cold_every:
            return self._fork(command[3:])
        with self._said.open("ab") as said:
            cold = subprocess.Popen(
                command, stdout=said, stderr=said, stdin=subprocess.DEVNULL, cwd=ROOT, env=OURS
            )
        return Started(cold.pid, cold)

    def _fork(self, words: Sequence[str]) -> Started:
        if self._warm is None:
            self._warm = subprocess.Popen(
                [sys.executable, "-m", __spec__.name, str(self._said)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=ROOT,
                env=OURS,
            )
        asks, tells = self._warm.stdin, self._warm.stdout
        if asks is None or tells is None:
            raise RuntimeError("both are pipes")
        asks.write(json.dumps(list(words)) + "\n")
        asks.flush()
        return Started(int(tells.readline()))

    def close(self) -> None:
        """End the warm process; its servers have ended before."""
        if self._warm is not None:
            self._warm.communicate(timeout=END_S)


def serve_forks(asked: IO[str], said: str) -> None:
    """Fork for every line, until there are no more."""
    import vpg.cli.serving
    import vpg.service.server
    from scenarios.loader import load_scenario
    from vpg.cli.main import main
    from vpg.service.store.sqlite import SqliteStore

    del load_scenario, SqliteStore, vpg.cli.serving, vpg.service.server
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # Nobody waits for them.
    for line in asked:
        pid = os.fork()
        if not pid:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            output = os.open(said, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            for number, file in ((0, os.open(os.devnull, os.O_RDONLY)), (1, output), (2, output)):
                os.dup2(file, number)
            sys.argv = ["vpg", *json.loads(line)]
            main()
            os._exit(0)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve_forks(sys.stdin, sys.argv[1])
