"""Programs of the live bench: nginx, what most would build, and ours, each pinned to a core.

Owns: starting, pinning, asking and stopping them, and wrk. Does not own: which figures come of it
(``service.py``). Everything listens on loopback and keeps its files in one folder.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.bench.figures import ROOT, check
from tests.bench.measure import SkippedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SERVER_CORE = 0
CLIENT_CORE = 1
START_S = 30.0
OPERATOR, VPG, LINE = "OP0000000001", "gate", "8900101000000000001"
NGINX = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 1000000000;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  server {{ listen 127.0.0.1:{port}; location / {{ return 204; }} }}
}}
"""
SCENARIO = """
vpgsim: 1
name: bench
title: bench
start: 2026-04-01T09:00:00+09:00
duration_h: 1
seed: 1
vpgs:
{vpgs}
fleets:
{fleets}
assumptions:
  idle_timeout_s: 0
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """What one run of wrk saw."""

    requests: int
    duration_us: int
    errors: int
    p50_us: int
    p99_us: int

    @property
    def per_s(self) -> float:
        return self.requests * 1_000_000 / self.duration_us


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """``vpg serve``, ready: its process and its ports by name."""

    pid: int
    ports: dict[str, int]
    store: Path

    def metrics(self) -> dict[str, float]:
        """Return every plain sample of ``/metrics``: name with labels → value."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['api']}/metrics") as answer:
            text = answer.read().decode()
        samples = {}
        for line in text.splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                samples[name] = float(value)
        return samples

    def processor_s(self) -> float:
        """Return the processor time of the process so far."""
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as file:  # noqa: PTH123 - no path of ours
            cells = file.read().rpartition(")")[2].split()
        return (int(cells[11]) + int(cells[12])) / os.sysconf("SC_CLK_TCK")

    def resident_mib(self) -> float:
        """Return the resident memory of the process."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as file:  # noqa: PTH123
            found = re.search(r"VmRSS:\s+(\d+) kB", file.read())
        check(found, "the system tells a process's memory")
        return int(found[1]) / 1024 if found else 0.0


def needs(*programs: str) -> None:
    """Raise ``SkippedError`` where a program is missing."""
    for name in programs:
        if shutil.which(name) is None:
            raise SkippedError(f"{name} is not installed")


def now() -> str:
    """Return an event's time: not before the VPG that was created this very second."""
    return (dt.datetime.now(dt.UTC) + dt.timedelta(seconds=2)).strftime("%Y-%m-%dT%H:%M:%SZ")


def free_port() -> int:
    """Return a loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def started(
    command: list[str], port: int | None, environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``command`` on the server's core until the block ends; wait until ``port`` answers."""
    process = subprocess.Popen(
        ["taskset", "-c", str(SERVER_CORE), *command],
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        if port is not None:
            await_port(process, port)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def await_port(process: subprocess.Popen[bytes], port: int) -> None:
    """Wait until ``port`` answers."""
    patience = time.monotonic() + START_S
    while time.monotonic() < patience:
        check(process.poll() is None, f"{process.args!r} is running")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    check(False, f"{process.args!r} answers on port {port}")


@contextlib.contextmanager
def nginx(folder: Path) -> Iterator[int]:
    """Run nginx answering 204 to everything; yield its port."""
    needs("nginx")
    port = free_port()
    settings = folder / "nginx.conf"
    settings.write_text(NGINX.format(folder=folder, port=port), encoding="utf-8")
    with started(["nginx", "-c", str(settings)], port):
        yield port


@contextlib.contextmanager
def fastapi(folder: Path) -> Iterator[int]:
    """Run the service as most would write it; yield its port."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "tests.bench.user_fastapi:app"]
    options = ["--loop", "uvloop", "--http", "httptools", "--no-access-log"]
    quiet = ["--log-level", "error", "--port", str(port), "--backlog", "2048"]
    with started(
        [*command, *options, *quiet], port, {"BENCH_STORE": str(folder / "fastapi.sqlite")}
    ):
        yield port


def scenario(folder: Path, vpgs: int, lines: int) -> Path:
    """Write a scenario of ``vpgs`` Larges with ``lines`` lines each that hold their sessions."""
    names = [VPG] if vpgs == 1 else [f"{VPG}-{number:02}" for number in range(vpgs)]
    file = folder / f"bench-{vpgs}-{lines}.yaml"
    file.write_text(
        SCENARIO.format(
            vpgs="\n".join(f"  - {{id: {name}, type: C, size: large}}" for name in names),
            fleets="\n".join(
                f"  - {{name: lines{place if vpgs > 1 else ''}, vpg: {name}, lines: {lines},"
                " traffic: [{kind: periodic, every_s: 60, payload_bytes: 120}]}"
                for place, name in enumerate(names)
            ),
        ),
        encoding="utf-8",
    )
    return file


@contextlib.contextmanager
def ours(folder: Path, file: Path, *options: str) -> Iterator[Ours]:
    """Run ``vpg serve`` of the scenario in ``file`` with a new store; yield it once it is ready."""
    store, ready = folder / f"{time.monotonic_ns()}.sqlite", folder / "ready.json"
    ready.unlink(missing_ok=True)
    ports = [f"--port={name}=0" for name in ("api", "beam", "funnel", "funk", "unified", "mqtt")]
    command = [sys.executable, "-m", "vpg.cli.main", "serve", "--scenario", str(file)]
    with started(
        [*command, "--store", str(store), "--ready-file", str(ready), *ports, *options], None
    ) as process:
        patience = time.monotonic() + START_S
        while not ready.exists() and time.monotonic() < patience:
            check(process.poll() is None, "vpg serve is running")
            time.sleep(0.02)
        found = json.loads(ready.read_text(encoding="utf-8"))
        where = {one["name"]: one["port"] for one in found["addresses"]}
        yield Ours(pid=found["pid"], ports=where, store=store)


def wrk(port: int, path: str, connections: int, seconds: int, *arguments: str) -> Shot:
    """Load ``path`` by wrk on the server's core; ``arguments`` go to ``events.lua``."""
    needs("wrk")
    script = str(ROOT / "tests" / "bench" / "events.lua")
    url = f"http://127.0.0.1:{port}{path}"
    command = ["taskset", "-c", str(SERVER_CORE), "wrk", "-t1", "--timeout", "30s"]
    done = subprocess.run(
        [*command, f"-c{connections}", f"-d{seconds}s", "-s", script, url, "--", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"RESULT (\{.*\})", done.stdout)
    check(found, f"wrk ran: {done.stdout} {done.stderr}")
    shot = Shot(**json.loads(found[1] if found else "{}"))
    check(shot.errors == 0, f"every request to {path} was answered well: {shot}")
    check(shot.requests > 0, "wrk sent something")
    return shot
