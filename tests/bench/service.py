"""The live service against nginx, against what most would build, and against SQLite alone.

Durable events: server and client (wrk) share one core, in turns, and each figure is a ratio within
a round. Entry points: an open-loop client on the other core. What was acknowledged is compared with
what the store counted: a figure of lost work is none.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tests.bench import live
from tests.bench.figures import ROOT, Figure, check
from tests.bench.measure import SkippedError
from tests.bench.openloop import Found, Spec, Target
from vpg.cli.serving_values import sim_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.figures import Options

EVENTS = "/v1/usage-events"
BATCH = 100
MANY = 512
RATE_LARGE = 300
MEMORY = Path("/dev/shm")  # noqa: S108 - a disk without syncs, where there is one


def service(options: Options) -> Iterator[Figure]:
    """Yield every figure of the live service; a missing program skips what needs it."""
    for part in (singles, batches, acknowledge, one_large, many_larges):
        with tempfile.TemporaryDirectory() as folder:
            try:
                yield from part(options, Path(folder))
            except SkippedError as why:
                yield Figure(name=part.__name__, skipped=str(why))


def _args(prefix: str, each: int, kind: str = "") -> tuple[str, ...]:
    words = (prefix, live.now(), str(each), live.LINE, live.OPERATOR, live.VPG)
    return (*words, kind) if kind else words


def _counted(server: live.Ours) -> int:
    """Return how many events the store holds."""
    with contextlib.closing(sqlite3.connect(server.store)) as database:
        return int(database.execute("SELECT count(*) FROM event").fetchone()[0])


def _grown(then: dict[str, float], now: dict[str, float], *names: str) -> list[float]:
    """Return by how much the writer's counters have grown."""
    totals = [f"vpg_writer_{name}_total" for name in names]
    return [now[name] - then[name] for name in totals]


def _median(
    name: str,
    values: list[float],
    unit: str,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
) -> Figure:
    return Figure(
        name=name,
        value=statistics.median(values),
        unit=unit,
        runs=len(values),
        at_least=at_least,
        at_most=at_most,
    )


# ---- durable events ------------------------------------------------------------------------------


def singles(options: Options, folder: Path) -> Iterator[Figure]:
    """Durable single events, against nginx's 204 and one transaction each."""
    rounds, seconds = _rounds(options)
    ours: list[float] = []
    to_nginx: list[float] = []
    to_user: list[float] = []
    commits: list[float] = []
    with (
        live.nginx(folder) as nginx,
        live.fastapi(folder) as user,
        live.ours(folder, live.scenario(folder, 1, 10)) as server,
    ):
        before, sent = _counted(server), 0
        for number in range(rounds):
            args = _args(f"s{number}-", 1)
            plain = live.wrk(nginx, EVENTS, MANY, seconds, *args)
            theirs = live.wrk(user, EVENTS, MANY, seconds, *_args(args[0], 1, "application/json"))
            then = server.metrics()
            mine = live.wrk(server.ports["api"], EVENTS, MANY, seconds, *args)
            now = server.metrics()
            groups, events = _grown(then, now, "commits", "events")
            commits.append(1000 * groups / events)
            sent += mine.requests
            ours.append(mine.per_s)
            to_nginx.append(mine.per_s / plain.per_s)
            to_user.append(mine.per_s / theirs.per_s)
        stored = _counted(server) - before
        # wrk hangs up at its end: what was on its way then is stored without an answer it saw.
        check(sent <= stored <= sent + rounds * MANY, f"{sent} acknowledged, {stored} stored")
    goal = options.goal
    yield _median("durable single events, 512 connections", ours, "events/s")
    yield _median("the same / nginx answering 204", to_nginx, "times", at_least=goal(0.15))
    yield _median("the same / FastAPI, a transaction each", to_user, "times", at_least=goal(4))
    yield _median("commits for 1,000 single events", commits, "commits", at_most=goal(3))


def _rounds(options: Options) -> tuple[int, int]:
    return (1, 1) if options.short else (max(3, options.runs), 3)


def batches(options: Options, folder: Path) -> Iterator[Figure]:
    """Batches of 100, against SQLite alone with the same rows and groups, and the other service."""
    rounds, seconds = _rounds(options)
    ours: list[float] = []
    to_sqlite: list[float] = []
    to_user: list[float] = []
    alone: list[float] = []
    with (
        live.fastapi(folder) as user,
        live.ours(folder, live.scenario(folder, 1, 10)) as server,
    ):
        for number in range(rounds):
            args = _args(f"b{number}-", BATCH)
            theirs = live.wrk(
                user, "/v1/batches", 8, seconds, *_args(args[0], BATCH, "application/json")
            )
            then = server.metrics()
            mine = live.wrk(server.ports["api"], EVENTS, 8, seconds, *args)
            now = server.metrics()
            groups, events = _grown(then, now, "commits", "events")
            group = max(1, round(events / groups))
            plain = sqlite_alone(folder / f"alone{number}.sqlite", server.store, group, seconds)
            ours.append(BATCH * mine.per_s)
            alone.append(plain)
            to_sqlite.append(BATCH * mine.per_s / plain)
            to_user.append(mine.per_s / theirs.per_s)
    goal = options.goal
    yield _median("durable batches of 100, 8 connections", ours, "events/s")
    yield _median("SQLite alone, same rows and groups", alone, "events/s")
    yield _median("batches / SQLite alone", to_sqlite, "times", at_least=goal(0.4))
    yield _median("batches / FastAPI, a transaction each", to_user, "times", at_least=goal(3))


def sqlite_alone(file: Path, like: Path, group: int, seconds: int) -> float:
    """Return events a second of a loop of ``executemany`` on the server's core."""
    command = [
        "taskset",
        "-c",
        str(live.SERVER_CORE),
        sys.executable,
        "-m",
        "tests.bench.sqlite_alone",
    ]
    done = subprocess.run(
        [*command, str(file), str(like), str(group), str(seconds)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    check(done.returncode == 0, done.stderr)
    return float(done.stdout)


def acknowledge(options: Options, folder: Path) -> Iterator[Figure]:
    """How long a single event waits for its commit at half load, also where syncs are slow."""
    live.needs("wrk")
    seconds = 1 if options.short else 6
    for delay_ms in (0, 1, 5):
        delay = f"--fault-sync-delay-ms={delay_ms}"
        with live.ours(folder, live.scenario(folder, 1, 10), delay) as server:
            full = live.wrk(server.ports["api"], EVENTS, 128, 2, *_args("full-", 1))
            found = openloop(
                Spec(
                    seconds=seconds,
                    targets=[
                        Target(
                            port=server.ports["api"],
                            path=EVENTS,
                            rate_per_s=max(100, int(full.per_s / 2)),
                            headers=["x-bench: 1"] * 128,
                            content_type="application/cloudevents+json",
                            body=event_body(f"half{delay_ms}-"),
                        )
                    ],
                )
            )
            check(set(found.statuses[0]) == {204}, f"every event is counted: {found}")
            commit_us = 1_000_000 * server.metrics()["vpg_writer_sync_seconds"]
        most_us = max(4 * commit_us, 2_000)
        name = f"acknowledged at half load, sync + {delay_ms} ms"
        yield Figure(name=f"{name}: one commit", value=commit_us, unit="us", runs=1)
        yield Figure(
            name=f"{name}: p99", value=found.p99_us, unit="us", runs=1,
            at_most=options.goal(round(most_us)),
        )  # fmt: skip


def event_body(prefix: str) -> str:
    """Return one event with a place for its number."""
    data: dict[str, Any] = {"operatorId": live.OPERATOR, "vpgId": live.VPG, "service": "beam"}
    data |= {"outcome": "accepted", "bytesUp": 120, "bytesDown": 40}
    envelope = {"specversion": "1.0", "type": "request.v1", "source": "urn:bench"}
    envelope |= {"id": f"{prefix}{{n}}", "time": live.now(), "subject": live.LINE}
    return json.dumps({**envelope, "data": data})


# ---- entry points --------------------------------------------------------------------------------


def openloop(spec: Spec) -> Found:
    """Run the open-loop client on the client's core."""
    words = ["taskset", "-c", str(live.CLIENT_CORE), sys.executable, "-m", "tests.bench.openloop"]
    done = subprocess.run(
        [*words, msgspec.json.encode(spec).decode()],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    check(done.returncode == 0, done.stderr)
    found = msgspec.json.decode(done.stdout, type=Found)
    check(found.unanswered == 0, f"every request was answered: {found}")
    return found


def one_large(options: Options, folder: Path) -> Iterator[Figure]:
    """One Large at its limit: how long an answer takes and costs; then without a disk's syncs."""
    goal = options.goal
    yield from _one_large(options, folder, "", p99_ms_max=goal(5), percent_max=goal(10))
    if MEMORY.is_dir():
        with tempfile.TemporaryDirectory(dir=MEMORY) as memory:
            yield from _one_large(options, Path(memory), ", store in memory")


def _one_large(
    options: Options,
    folder: Path,
    where: str,
    *,
    p99_ms_max: float | None = None,
    percent_max: float | None = None,
) -> Iterator[Figure]:
    seconds = 2 if options.short else 10
    with live.ours(folder, live.scenario(folder, 1, 300)) as server:
        target = Target(
            port=server.ports["beam"],
            path="/",
            rate_per_s=RATE_LARGE,
            headers=[f"x-vpg-line: {sim_id(number)}" for number in range(300)],
            body="x" * 120,
        )
        openloop(Spec(targets=[target], seconds=1))  # Sessions begin.
        before = server.processor_s()
        begin = time.perf_counter()
        found = openloop(Spec(targets=[target], seconds=seconds))
        share = (server.processor_s() - before) / (time.perf_counter() - begin)
    accepted = found.statuses[0].get(200, 0)
    check(accepted >= 0.99 * RATE_LARGE * seconds, f"a Large takes 300 requests/s: {found}")
    name = f"Beam, 300 requests/s on one Large{where}"
    yield Figure(name=f"{name}: p99", value=found.p99_us / 1000, unit="ms", runs=1,
                 at_most=p99_ms_max)  # fmt: skip
    yield Figure(name=f"{name}: of a core", value=100 * share, unit="%", runs=1,
                 at_most=percent_max)  # fmt: skip


def many_larges(options: Options, folder: Path) -> Iterator[Figure]:
    """Twenty Larges offered 1.2 times their limit: each admits its limit and not more."""
    seconds, vpgs = (2, 3) if options.short else (10, 20)
    with live.ours(folder, live.scenario(folder, vpgs, 20)) as server:
        targets = [
            Target(
                port=server.ports["beam"],
                path="/",
                rate_per_s=RATE_LARGE * 6 // 5,
                headers=[f"x-vpg-line: {sim_id(20 * vpg + number)}" for number in range(20)],
                body="x" * 120,
            )
            for vpg in range(vpgs)
        ]
        # The first seconds spend the burst of one second's requests.
        found = openloop(Spec(targets=targets, seconds=seconds, warm_s=1 if options.short else 7))
    limit = RATE_LARGE * seconds
    worst = max(abs(one.get(200, 0) - limit) / limit for one in found.statuses)
    refused = sum(one.get(429, 0) for one in found.statuses)
    check(refused > 0, f"what is above the limit is refused: {found}")
    yield Figure(
        name=f"{vpgs} Larges offered 1.2 x their limit: worst deviation", value=100 * worst,
        unit="%", runs=1, at_most=options.goal(1),
    )  # fmt: skip
    yield Figure(
        name=f"{vpgs} Larges offered 1.2 x their limit: p99", value=found.p99_us / 1000, unit="ms",
        runs=1,
    )  # fmt: skip
