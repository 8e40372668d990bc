"""A PostgreSQL and a mosquitto of our own for the tests: on free loopback ports, gone afterwards.

``python tests/servers.py start FILE`` starts what this machine has, notes it in ``FILE`` and prints
``export NAME=URL`` lines for a shell; ``stop FILE`` ends exactly those and removes their folders.
Tests use a server that the environment names, else start their own, else skip and say so. Only the
standard library: it runs before there is an environment.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

POSTGRES = "VPG_TEST_POSTGRES"
MOSQUITTO = "VPG_TEST_MOSQUITTO"
GIVEN = {name: os.environ.get(name, "") for name in (POSTGRES, MOSQUITTO)}
"""URLs of servers that run already; read at import, as tests clear ``VPG_*``."""
_READY_S = 30
_ROOT = 0


class NoServerError(Exception):
    """A server that this machine has not, or that does not start; the text says which and why."""


@dataclass(frozen=True)
class Server:
    """One server that we started."""

    url: str
    pid: int
    folder: str

    def is_ours(self) -> bool:
        """Return whether the process of that number is still the one that we started."""
        with contextlib.suppress(OSError):
            return self.folder.encode() in Path(f"/proc/{self.pid}/cmdline").read_bytes()
        return False

    def stop(self) -> None:
        """End it and remove its folder."""
        if self.is_ours():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGINT)  # PostgreSQL: fast shutdown
        _until(lambda: not self._runs())
        shutil.rmtree(self.folder, ignore_errors=True)

    def _runs(self) -> bool:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)
        return self.is_ours()


def free_port() -> int:
    """Return a loopback port that nobody has at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def find_postgres() -> Path:
    """Return the folder of PostgreSQL's programs, the newest; raises ``NoServerError``."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda at: at.parent.name)
    on_path = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    for folder in (*reversed(debian), *on_path):
        if all((folder / name).exists() for name in ("initdb", "postgres", "pg_isready")):
            return folder
    raise NoServerError("PostgreSQL is not installed")


def start_postgres() -> Server:
    """Start a PostgreSQL of our own; raises ``NoServerError``."""
    programs = find_postgres()
    owner = _owner("postgres")
    folder, port = _folder(owner), free_port()
    data = f"{folder}/data"
    made = subprocess.run(
        [programs / "initdb", "-D", data, "-A", "trust", "-U", "vpg", "-E", "UTF8", "--no-sync"],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        user=owner or None,
        group=owner or None,
        extra_groups=[] if owner else None,
    )
    if made.returncode:
        shutil.rmtree(folder, ignore_errors=True)
        raise NoServerError(f"initdb ended with {made.returncode}: {made.stderr.strip()[-200:]}")
    process = _start(
        [f"{programs}/postgres", "-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", folder],
        folder,
        owner,
    )
    ready = [f"{programs}/pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]

    def answers() -> bool:
        return subprocess.run(ready, check=False).returncode == 0

    server = Server(f"postgresql://vpg@127.0.0.1:{port}/postgres", process.pid, folder)
    return _ready(server, process, answers, "PostgreSQL")


def start_mosquitto() -> Server:
    """Start a mosquitto of our own, open to everybody on loopback; raises ``NoServerError``."""
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if program is None:
        raise NoServerError("mosquitto is not installed")
    owner = _owner("mosquitto")
    folder, port = _folder(owner), free_port()
    settings = f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n"
    Path(folder, "mosquitto.conf").write_text(settings, encoding="utf-8")
    process = _start([program, "-c", f"{folder}/mosquitto.conf"], folder, owner)

    def answers() -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        return False

    server = Server(f"mqtt://127.0.0.1:{port}", process.pid, folder)
    return _ready(server, process, answers, "mosquitto")


MAKERS: dict[str, Callable[[], Server]] = {POSTGRES: start_postgres, MOSQUITTO: start_mosquitto}


@contextlib.contextmanager
def running(name: str) -> Iterator[str]:
    """Give the URL of the server ``name``: the one the environment names, else one of our own.

    Raises ``NoServerError``: a fixture turns it into a skip that everybody sees.
    """
    if GIVEN[name]:
        yield GIVEN[name]
        return
    server = MAKERS[name]()
    try:
        yield server.url
    finally:
        server.stop()


# ---- processes -----------------------------------------------------------------------------------


def _owner(user: str) -> str:
    """Return ``user`` where we are root and must not stay it, else nothing."""
    return user if hasattr(os, "geteuid") and os.geteuid() == _ROOT else ""


def _folder(owner: str) -> str:
    folder = tempfile.mkdtemp(prefix="vpg-test-")
    if owner:
        try:
            shutil.chown(folder, owner, owner)
        except LookupError as missing:
            shutil.rmtree(folder, ignore_errors=True)
            raise NoServerError(f"there is no user {owner}") from missing
    return folder


def _start(command: list[str], folder: str, owner: str) -> subprocess.Popen[bytes]:
    with Path(folder, "said.txt").open("wb") as said:
        return subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,  # Ctrl-C ends the tests; the tests end the server
            user=owner or None,
            group=owner or None,
            extra_groups=[] if owner else None,
        )


def _ready(
    server: Server, process: subprocess.Popen[bytes], answers: Callable[[], bool], what: str
) -> Server:
    ready = _until(lambda: process.poll() is not None or answers())
    ended = process.poll()
    process.returncode = 0 if ended is None else ended  # the number is ours to wait for from now on
    if ready and ended is None:
        return server
    said = Path(server.folder, "said.txt").read_text(encoding="utf-8", errors="replace")
    server.stop()
    raise NoServerError(f"{what} does not start: {said.strip()[-200:]}")


def _until(holds: Callable[[], bool]) -> bool:
    ends = time.monotonic() + _READY_S
    while not holds():
        if time.monotonic() > ends:
            return False
        time.sleep(0.02)
    return True


# ---- the program ---------------------------------------------------------------------------------


def main(words: list[str]) -> int:
    """Start or stop, as ``words`` say; what cannot be started is told on stderr."""
    verb, noted = words[0], Path(words[1])
    if verb == "stop":
        for entry in json.loads(noted.read_text(encoding="utf-8") or "[]"):
            Server(**entry).stop()
        noted.write_text("[]", encoding="utf-8")
        return 0
    started: list[Server] = []
    for name, make in MAKERS.items():
        try:
            server = make()
        except (NoServerError, OSError) as why:
            print(f"{why}; its tests will be skipped", file=sys.stderr)  # noqa: T201 - a program
            continue
        started.append(server)
        noted.write_text(json.dumps([vars(one) for one in started]), encoding="utf-8")
        print(f"export {name}={server.url}")  # noqa: T201 - its result
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
