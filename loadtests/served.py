"""``vpg serve`` as a process of our own: started, found, ended, whatever happens meanwhile.

Owns: the process and its folder. Does not own: the service. Times: seconds of this machine.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from loadtests.fleet.target import StoppedEarlyError
from vpg.errors import InputError, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

READY_S: Final = 60.0
END_S: Final = 20.0
_TICK_S: Final = 0.02
_PORTS: Final = ("api", "beam", "funnel", "funk", "unified", "mqtt")
_TOLD: Final = 400
"""Characters of what a failed service said last."""


@dataclass(frozen=True, slots=True)
class Served:
    """A service that answers."""

    ready: dict[str, Any]
    """Its announcement."""
    pid: int

    @property
    def urls(self) -> dict[str, str]:
        """Name of each entry point → where it is."""
        return {one["name"]: one["url"] for one in self.ready["addresses"]}


@contextmanager
def served(words: Sequence[str], stop: Callable[[], bool] = lambda: False) -> Iterator[Served]:
    """Serve with the options ``words``, on free ports of 127.0.0.1, in a folder of its own.

    Raises ``InputError`` (VPG1940) when it does not come up, ``StoppedEarlyError`` when ``stop``
    says so before it has. The process has ended when the block
    is left, by a signal to it alone, and killed if it does not heed.
    """
    with tempfile.TemporaryDirectory(prefix="vpg-served-") as name:
        folder = Path(name)
        ready, log = folder / "ready.json", folder / "log"
        ports = [word for port in _PORTS for word in ("--port", f"{port}=0")]
        store = str(folder / "service.sqlite")
        command = [sys.executable, "-m", "vpg.cli.main", "serve", "--quiet", *words, *ports]
        command += ["--store", store, "--ready-file", str(ready)]
        with log.open("wb") as told:
            # A session of its own: Ctrl-C is for us, and we end it when its load has ended.
            process = subprocess.Popen(  # noqa: S603 - this very program
                command,
                stdin=subprocess.DEVNULL,
                stdout=told,
                stderr=told,
                start_new_session=True,
            )
        try:
            yield Served(_announced(process, ready, log, stop), process.pid)
        finally:
            _end(process)


def _announced(
    process: subprocess.Popen[bytes], ready: Path, log: Path, stop: Callable[[], bool]
) -> dict[str, Any]:
    end_s = time.monotonic() + READY_S
    while not ready.exists():
        if stop():
            raise StoppedEarlyError
        if process.poll() is not None or time.monotonic() > end_s:
            said = log.read_text(encoding="utf-8", errors="replace").strip()[-_TOLD:]
            values = {"reason": said or "it did not answer in time"}
            raise InputError([Problem(code="VPG1940", values=values)])
        time.sleep(_TICK_S)
    document: dict[str, Any] = json.loads(ready.read_text(encoding="utf-8"))
    return document


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(END_S)
    if process.poll() is None:
        process.kill()
    process.wait()
