"""``vpg serve`` as a child process that may die in the middle of a load, and comes back.

Owns: its start, sudden death, return on the same ports and store, and end. Does not own: what is
asked of it, or services that only ever start and end (``served``).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Final, Self

from loadtests.locust_run import end_group, environment
from vpg.errors import InputError, Problem

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_READY_S: Final = 60.0
_POLL_S: Final = 0.02
_TOLD: Final = 500
_NAMES: Final = ("api", "beam", "funnel", "funk", "unified", "mqtt")


class MortalService:
    """One service; use as a context manager: it is gone at the end of the block."""

    def __init__(self, folder: Path, words: Sequence[str]) -> None:
        """Serve in ``folder`` what ``words`` of ``vpg serve`` say."""
        self._folder = folder
        self._words = tuple(words)
        self._process: subprocess.Popen[bytes] | None = None
        self._log = folder / "serve.log"
        self.addresses: dict[str, tuple[str, int]] = {}

    def __enter__(self) -> Self:
        """Start it and wait until it answers; raises ``InputError`` (VPG1915) if it does not."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End it, answering what is in flight."""
        if self._process is not None:
            end_group(self._process)

    def start(self) -> float:
        """Start it, on the ports it had before; return the seconds until it answers."""
        began_s = time.monotonic()
        ready = self._folder / "ready.json"
        ready.unlink(missing_ok=True)
        ports = {name: self.addresses.get(name, ("", 0))[1] for name in _NAMES}
        words = [sys.executable, "-m", "vpg.cli.main", "serve", *self._words]
        words += ["--ready-file", str(ready), "--store", str(self._folder / "store.sqlite")]
        words += [word for name in _NAMES for word in ("--port", f"{name}={ports[name]}")]
        with self._log.open("ab") as said:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                words,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        told = self._ready(ready, self._process, began_s)
        self.addresses = {one["name"]: (one["host"], one["port"]) for one in told["addresses"]}
        return time.monotonic() - began_s

    def _ready(
        self, ready: Path, process: subprocess.Popen[bytes], began_s: float
    ) -> dict[str, Any]:
        while True:
            if ready.exists():
                return dict(json.loads(ready.read_bytes()))
            if process.poll() is not None or time.monotonic() > began_s + _READY_S:
                end_group(process)
                said = " ".join(self._log.read_text(errors="replace").split())[-_TOLD:]
                values = {"code": process.returncode, "said": said or "-"}
                raise InputError([Problem(code="VPG1915", values=values)])
            time.sleep(_POLL_S)

    def kill(self) -> None:
        """Let it die this instant, with everything it holds in memory."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
