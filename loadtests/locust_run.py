"""Locust as a subprocess: started, watched, ended with all its children.

Owns: the command line, the process group and its end, whatever happens here. Does not own: what is
sent (``loadtests.locustfiles``). Importing Locust would make this process's sockets cooperative, so
it is never imported here.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from loadtests import plan as plans
from loadtests.result import Result
from loadtests.target import CannotTellError
from vpg.errors import InputError, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from loadtests.plan import Kind, LoadPlan
    from loadtests.schedule import Schedule

LOCUSTFILES: Final = {
    "rating": "loadtests.locustfiles.rating",
    "gateway": "loadtests.locustfiles.gateway",
}
LOG_FILE: Final = "locust.log"
_PARENT: Final = "VPG_LOAD_PARENT"
_START_S: Final = 60.0
"""From the start of Locust (and its workers) to the first send, at most."""
_END_S: Final = 3.0
_POLL_S: Final = 0.05
_LOG_TOLD: Final = 500
_ROOT: Final = Path(__file__).resolve().parents[1]


def locustfile(kind: Kind) -> str:
    """Return the path of the locustfile."""
    spec = find_spec(LOCUSTFILES[kind])
    return str(spec.origin) if spec is not None else ""


def environment() -> dict[str, str]:
    """Return the environment of our child processes: ours, without Locust's own settings."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("LOCUST_")}
    paths = [str(_ROOT), *filter(None, [kept.get("PYTHONPATH", "")])]
    return {**kept, "PYTHONPATH": os.pathsep.join(paths), _PARENT: str(os.getpid())}


@contextmanager
def process_group(command: list[str], *, cwd: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``command`` in a process group of its own, which is gone at the end of the block."""
    with log.open("ab") as said:
        process = subprocess.Popen(  # noqa: S603 - our own command
            command,
            cwd=cwd,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        end_group(process)


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End the process and everything it started."""
    for signum in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signum)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_END_S)
        if not _group_lives(process.pid):
            break
    process.wait()


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that is free at this moment."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def check_port(host: str, port: int) -> None:
    """Raise ``InputError`` (VPG1909) where somebody listens already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as failure:
            values = {"host": host, "port": port, "reason": failure.strerror or str(failure)}
            raise InputError([Problem(code="VPG1909", values=values)]) from failure


def command_of(kind: Kind, path: Path, processes: int, master: tuple[str, int] | None) -> list[str]:
    """Return Locust's command line for the plan at ``path``; ``master``: workers come to it."""
    words = [sys.executable, "-m", "locust", "-f", locustfile(kind), "--headless"]
    words += ["-u", str(processes), "-r", str(processes), "--vpg-plan", str(path)]
    words += ["--loglevel", "WARNING", "--only-summary", "--exit-code-on-error", "0"]
    if master is not None:
        host, port = master
        words += ["--master", "--expect-workers", str(processes)]
        words += ["--master-bind-host", host, "--master-bind-port", str(port)]
    elif processes > 1:
        own = str(free_port())
        words += ["--processes", str(processes), "--master-host", "127.0.0.1"]
        words += ["--master-port", own, "--master-bind-host", "127.0.0.1"]
        words += ["--master-bind-port", own]
    return words


def run(
    plan: LoadPlan,
    schedule: Schedule,
    folder: Path,
    *,
    master: tuple[str, int] | None = None,
    workers_wait_s: float = _START_S,
    tick: Callable[[float], None] | None = None,
) -> list[Result]:
    """Carry out the load; return each process's result.

    ``tick`` is called again and again with the seconds since the first send. Raises
    ``CannotTellError`` (VPG1912, VPG1917) when Locust fails or workers stay away.
    """
    path = plans.write(folder, plan, schedule)
    if master is not None:
        check_port(*master)
    words = command_of(plan.kind, path, plan.processes, master)
    log = folder / LOG_FILE
    length_s = schedule.length_us / 1e6 + 2 * plan.timeout_s + _START_S
    with process_group(words, cwd=folder, log=log) as process:
        _wait_for(process, folder / plans.STARTED_FILE, workers_wait_s, plan.processes, log)
        began_s = time.monotonic()
        while process.poll() is None:
            elapsed_s = time.monotonic() - began_s
            if elapsed_s > length_s:
                raise _failed(log, "it did not end in time")
            if (folder / plans.RESULTS_FILE).exists():
                with suppress(subprocess.TimeoutExpired):
                    process.wait(2 * _END_S)
                break
            if tick is not None:
                tick(elapsed_s)
            time.sleep(_POLL_S)
    try:
        data = (folder / plans.RESULTS_FILE).read_bytes()
    except FileNotFoundError:
        raise _failed(log, f"exit code {process.returncode}") from None
    return msgspec.json.decode(data, type=list[Result])


def _wait_for(
    process: subprocess.Popen[bytes], mark: Path, wait_s: float, processes: int, log: Path
) -> None:
    until_s = time.monotonic() + wait_s
    while not mark.exists():
        if process.poll() is not None:
            raise _failed(log, f"exit code {process.returncode}")
        if time.monotonic() > until_s:
            values = {"workers": processes, "seconds": int(wait_s)}
            raise CannotTellError(Problem(code="VPG1917", values=values))
        time.sleep(_POLL_S)


def _failed(log: Path, reason: str) -> CannotTellError:
    said = " ".join(log.read_text(errors="replace").split())[-_LOG_TOLD:] if log.exists() else ""
    values = {"reason": reason, "log": said or "-"}
    return CannotTellError(Problem(code="VPG1912", values=values))
