"""``kill -9`` at random moments under load: acknowledged lost 0, counted twice 0."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.live.kill.supervisor import Findings, Supervisor

if TYPE_CHECKING:
    from pathlib import Path


def check(found: Findings) -> None:
    assert (found.lost, found.doubled, found.unknown, found.refused) == (0, 0, 0, 0), found
    assert found.stored == found.acknowledged, "in the end everything sent is acknowledged"
    # Cold starts after a kill, in processor time: others that have the machine add nothing to it.
    assert found.start_cpu_s <= 2.0, found


@pytest.mark.timeout(180)
def test_twenty_kills_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    found = Supervisor(tmp_path, cold_every=5).run(kills=20, events=2_000)
    assert found.kills >= 20
    assert found.resent > 0, "some events must have been under way when the server was killed"
    check(found)


@pytest.mark.long
@pytest.mark.timeout(3_600)
def test_five_hundred_kills_and_a_million_events(tmp_path: Path) -> None:
    found = Supervisor(tmp_path, cold_every=5).run(kills=500, events=1_000_000, batch=100)
    assert found.kills >= 500
    assert found.acknowledged >= 1_000_000
    check(found)


FORGETFUL = '''
"""A server that acknowledges what it has not kept: the test must see it."""
import asyncio, json, os, sys
from pathlib import Path
from tests.support_service_store import configured, order
from vpg.service.store.sqlite import SqliteStore
import time, msgspec
from vpg.rating.events import UsageEvent

store = SqliteStore(Path(sys.argv[1]))
now_us = time.time_ns() // 1_000
if not store.lives():
    store.put_vpgs([order("v0", "OP0000000001")])
    store.commit([configured("born", now_us)], now_us)
decode = msgspec.json.Decoder(list[UsageEvent]).decode
held = []

async def serve(reader, writer):
    try:
        while True:
            head = await reader.readuntil(b"\\r\\n\\r\\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\\r\\n")[0])
            held.extend(decode(await reader.readexactly(length)))
            if len(held) > 200:
                store.commit(held, now_us)
                held.clear()
            writer.write(b"HTTP/1.1 204 No Content\\r\\n\\r\\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()

async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    ready = {"vpgs": ["v0"], "addresses": [{"name": "api", "port": port}]}
    Path(sys.argv[2]).write_text(json.dumps(ready))
    await server.serve_forever()

asyncio.run(main())
'''


def test_a_server_that_acknowledges_too_early_is_caught(tmp_path: Path) -> None:
    program = tmp_path / "forgetful.py"
    program.write_text(FORGETFUL, encoding="utf-8")
    command = (sys.executable, str(program), "{store}", "{ready}")
    found = Supervisor(tmp_path, command).run(kills=3, events=500)
    assert found.lost > 0
