"""Kills a server at random moments under load, starts it again, and looks for what got lost.

The shape is that of Vortex (TigerBeetle): the real program and its real file, a client with a
durable outbox beside it, a supervisor that ends the program without warning, a checker at the end.
The command is handed in: anything that serves ``POST /v1/usage-events`` on the port it says in its
ready file, and keeps its events in a SQLite store, can be killed here.

``python -m tests.live.kill.supervisor --kills 500 --events 1000000 FOLDER`` is the long form.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import signal
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.live.kill.client import Client, Outbox
from tests.live.kill.starter import Started, Starter
from tests.support_service_store import account, sums_anew, sums_kept, unlike
from vpg.rating.totals import conservation
from vpg.service.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from vpg.rating.events import UsageEvent

SERVE = (
    *(
        sys.executable,
        "-m",
        "vpg.cli.main",
        "serve",
        "--scenario",
        "smallest",
        "--store",
        "{store}",
    ),
    *("--ready-file", "{ready}", "--port", "api=0", "--no-entry", "--any-line", "--quiet"),
)
START_MAX_S = 30.0


@dataclass
class Findings:
    """What a run found; all of the first four must be 0."""

    lost: int = 0
    """Acknowledged, and not in the store with the content that was sent."""
    doubled: int = 0
    """Cells of the hourly metrics that are not what the events in the store add up to."""
    unknown: int = 0
    """In the store, and never sent."""
    refused: int = 0
    kills: int = 0
    acknowledged: int = 0
    stored: int = 0
    resent: int = 0
    start_cpu_s: float = 0.0
    """Most processor time that a cold start took until it was ready."""
    start_s_median: float = 0.0
    start_s_max: float = 0.0


class Supervisor:
    """One run in one folder."""

    def __init__(
        self,
        folder: Path,
        command: tuple[str, ...] = SERVE,
        *,
        seed: int = 1,
        cold_every: int = 1,
    ) -> None:
        self._folder = folder
        self._store = folder / "store.sqlite"
        self._ready = folder / "ready.json"
        self._command = command
        self._draw = random.Random(seed)
        self._outbox = Outbox(folder / "outbox.jsonl")
        self._client: Client | None = None
        self._seed = seed
        self._said = folder / "said.txt"
        self._starter = Starter(self._said, cold_every=cold_every)
        self._starts: list[float] = []
        self._start_cpu: list[float] = []
        self._kills = 0

    def run(self, *, kills: int, events: int, connections: int = 8, batch: int = 20) -> Findings:
        """Kill so many times, over at least so many events; then look."""
        while self._kills < kills or len(self._outbox.acknowledged) < events:
            self._live(connections, batch, kill=True)
            if self._client is None or self._client.refused:
                break
        self._live(connections, batch, kill=False)
        self._outbox.close()
        self._starter.close()
        return self._look()

    # ---- one life ------------------------------------------------------------------------------

    def _live(self, connections: int, batch: int, *, kill: bool) -> None:
        self._ready.unlink(missing_ok=True)
        names = {"store": str(self._store), "ready": str(self._ready)}
        command = [word.format(**names) for word in self._command]
        began = time.monotonic()
        server = self._starter.start(command)
        try:
            ready = self._await_ready(server, began)
            asyncio.run(self._load(server, ready, connections, batch, kill=kill))
        finally:
            server.end(signal.SIGTERM)

    def _await_ready(self, server: Started, began: float) -> dict[str, Any]:
        while time.monotonic() - began < START_MAX_S and server.runs():
            if self._ready.exists() and self._ready.stat().st_size:
                if server.was_cold:
                    self._starts.append(time.monotonic() - began)
                    self._start_cpu.append(server.cpu_s())
                return dict(json.loads(self._ready.read_text(encoding="utf-8")))
            time.sleep(0.005)
        said = self._said.read_text(encoding="utf-8", errors="replace")
        msg = f"the server does not start: {said[-500:]}"
        raise RuntimeError(msg)

    async def _load(
        self,
        server: Started,
        ready: dict[str, Any],
        connections: int,
        batch: int,
        *,
        kill: bool,
    ) -> None:
        if self._client is None:
            self._client = Client(
                self._outbox,
                vpg_id=ready["vpgs"][0],
                operator_id="OP0000000001",
                seed=self._seed,
            )
        client = self._client
        client.making = kill
        port = next(one["port"] for one in ready["addresses"] if one["name"] == "api")
        sending = asyncio.ensure_future(client.run(port, connections, batch))
        if kill:
            # Often very soon, while the outbox of the last life is sent again; rarely late.
            await asyncio.wait([sending], timeout=self._draw.random() ** 3 * 0.8 + 0.002)
            server.end(signal.SIGKILL)
            self._kills += 1
        await sending

    # ---- looking -------------------------------------------------------------------------------

    def _look(self) -> Findings:
        client = self._client
        sent, acknowledged = self._outbox.sent, self._outbox.acknowledged
        found = Findings(
            kills=self._kills,
            acknowledged=len(acknowledged),
            resent=0 if client is None else client.resent,
            refused=0 if client is None else len(client.refused),
            start_cpu_s=max(self._start_cpu),
            start_s_median=statistics.median(self._starts),
            start_s_max=max(self._starts),
        )
        store = SqliteStore(self._store)
        try:
            sources: dict[int, str] = dict(store._told("SELECT source_no, source FROM source"))
            stored = _events(store, sources)
            mine = {one.id: one for one in stored if one.source == "urn:kill-test"}
            found.stored = len(mine)
            found.lost = sum(mine.get(name) != sent[name] for name in acknowledged)
            found.unknown = len(mine.keys() - sent.keys())
            until_us = time.time_ns() // 1_000
            hours = store.hourly(None, 0, until_us, until_us)
            rows, delays = account(stored, until_us)
            found.doubled = len(unlike(hours.rows, rows)) + len(conservation(hours.rows))
            found.doubled += hours.delays != delays
            found.doubled += sums_kept(store) != sums_anew(store)
        finally:
            store.close()
        return found


def _events(store: SqliteStore, sources: dict[int, str]) -> list[UsageEvent]:
    from vpg.rating.counting import event_of

    lives = {life.number: life for life in store.lives()}
    return [
        event_of(
            fact,
            source=sources[fact[0]],
            vpg_id=lives[fact[4]].vpg_id,
            operator_id=lives[fact[4]].operator_id,
        )
        for fact in store.events()
    ]


def main() -> int:
    """Run as a program; exit 0 exactly when nothing was lost or counted twice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    shutil.rmtree(asked.folder, ignore_errors=True)
    asked.folder.mkdir(parents=True)
    supervisor = Supervisor(asked.folder, seed=asked.seed)
    found = supervisor.run(kills=asked.kills, events=asked.events, batch=asked.batch)
    print(json.dumps(vars(found), indent=2))  # noqa: T201 - a program says what it found
    return int(bool(found.lost or found.doubled or found.unknown or found.refused))


if __name__ == "__main__":
    sys.exit(main())
