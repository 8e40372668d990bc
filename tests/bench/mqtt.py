"""MQTT: what idle sessions weigh, and how long an acknowledged publish takes."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tests.bench import live
from tests.bench.figures import ROOT, Figure, check
from tests.bench.mqttload import Found, Spec
from vpg.cli.serving_values import sim_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.figures import Options

RATE_LARGE = 300
SESSIONS = 10_000


def mqtt(options: Options) -> Iterator[Figure]:
    """Yield the figures of MQTT: all sessions of one Large, of which some publish."""
    sessions, seconds = (500, 2.0) if options.short else (SESSIONS, 10.0)
    spec_of = {"client_ids": [sim_id(n) for n in range(sessions)], "rate_per_s": RATE_LARGE}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with live.ours(folder, live.scenario(folder, 1, sessions)) as server:
            empty_mib = server.resident_mib()
            spec = Spec(port=server.ports["mqtt"], seconds=seconds, **spec_of)  # type: ignore[arg-type]
            with _devices(spec) as client:
                connected_s = float(_line(client).removeprefix("connected "))
                full_mib = server.resident_mib()
                before_s = server.processor_s()
                found = _published(client)
                share = (server.processor_s() - before_s) / seconds
    check(found.unacknowledged == 0, f"every publish is acknowledged: {found}")
    goal = options.goal
    words = f"MQTT, {sessions:,} idle sessions"
    yield Figure(name=f"{words}: the whole process", value=full_mib, unit="MiB", runs=1,
                 at_most=goal(400))  # fmt: skip
    weight_kib = (full_mib - empty_mib) * 1024 / sessions
    yield Figure(name=f"{words}: each", value=weight_kib, unit="KiB", runs=1)
    yield Figure(name=f"{words}: connected", value=sessions / connected_s, unit="/s", runs=1)
    words = f"MQTT, {RATE_LARGE} acknowledged QoS 1 messages/s"
    yield Figure(name=f"{words}: p50", value=found.p50_us / 1000, unit="ms", runs=1)
    yield Figure(name=f"{words}: p99", value=found.p99_us / 1000, unit="ms", runs=1,
                 at_most=goal(20))  # fmt: skip
    yield Figure(name=f"{words}: of a core", value=100 * share, unit="%", runs=1)


@contextlib.contextmanager
def _devices(spec: Spec) -> Iterator[subprocess.Popen[str]]:
    module = [sys.executable, "-m", "tests.bench.mqttload"]
    client = subprocess.Popen(
        ["taskset", "-c", str(live.CLIENT_CORE), *module],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        _tell(client, msgspec.json.encode(spec).decode())
        yield client
    finally:
        client.kill()
        client.communicate()


def _tell(client: subprocess.Popen[str], line: str) -> None:
    if client.stdin is not None:
        client.stdin.write(f"{line}\n")
        client.stdin.flush()


def _line(client: subprocess.Popen[str]) -> str:
    line = client.stdout.readline() if client.stdout is not None else ""
    check(line, "the devices say how they fare")
    return line


def _published(client: subprocess.Popen[str]) -> Found:
    _tell(client, "go")
    return msgspec.json.decode(_line(client), type=Found)
