"""``vpg serve`` as a process of its own, on free ports; no test lives here."""

from __future__ import annotations

import json
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.support_cli import start

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

PORTS = tuple(
    word
    for name in ("api", "beam", "funnel", "funk", "unified", "mqtt")
    for word in ("--port", f"{name}=0")
)
READY_S = 30.0
END_S = 20.0


class Serving:
    """One process, from its start to its end."""

    def __init__(
        self, process: subprocess.Popen[str], ready: dict[str, Any], ready_s: float
    ) -> None:
        self.process = process
        self.ready = ready
        self.ready_s = ready_s
        """From the start of the process to its first answer."""
        self.out = self.err = ""

    def url(self, name: str = "api") -> str:
        """Return where ``name`` can be reached."""
        return str(next(one["url"] for one in self.ready["addresses"] if one["name"] == name))

    def port(self, name: str) -> int:
        """Return the port of ``name``."""
        return int(next(one["port"] for one in self.ready["addresses"] if one["name"] == name))

    def end(self, signum: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(signum)
        return self.wait()

    def wait(self) -> int:
        """Return the exit code once it ends; what it said is kept."""
        self.out, self.err = self.process.communicate(timeout=END_S)
        return self.process.returncode

    @property
    def events(self) -> list[str]:
        """What the log told, in order."""
        lines = [line for line in self.err.splitlines() if line.startswith("{")]
        return [json.loads(line)["event"] for line in lines]


@contextmanager
def serving(folder: Path, *words: str, scenario: str = "smallest") -> Iterator[Serving]:
    """Start ``vpg serve`` in ``folder`` on free ports; it is killed at the end if it lives."""
    ready = folder / "ready.json"
    ready.unlink(missing_ok=True)
    began = time.monotonic()
    told = ("--ready-file", str(ready))
    process = start("serve", "--scenario", scenario, *PORTS, *told, *words, cwd=folder)
    try:
        while not ready.exists():
            if process.poll() is not None or time.monotonic() > began + READY_S:
                process.kill()
                out, err = process.communicate()
                raise AssertionError(f"vpg serve ended with {process.returncode}: {out}{err}")
            time.sleep(0.005)
        yield Serving(process, json.loads(ready.read_text()), time.monotonic() - began)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
