"""The fleet's connections: kept, bounded, from the device's own address, every end told once."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from loadtests.fleet.clock import ServiceClock
from loadtests.fleet.wire import Answer, Lane, Wire
from vpg.timebase import SECOND_US

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from loadtests.fleet.wire import Failure

ASKED = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


class Peer:
    """A small server that tells what it saw."""

    def __init__(self, answer: bytes, pause_s: float) -> None:
        self.answer, self.pause_s = answer, pause_s
        self.open = self.peak = self.made = 0
        self.hosts: set[str] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.made += 1
        self.peak = max(self.peak, self.open)
        self.hosts.add(writer.get_extra_info("peername")[0])
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                await asyncio.sleep(self.pause_s)
                if not self.answer:
                    break
                writer.write(self.answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open -= 1
            writer.close()


@asynccontextmanager
async def peer(answer: bytes = OK, pause_s: float = 0.0) -> AsyncIterator[tuple[Peer, int]]:
    told = Peer(answer, pause_s)
    server = await asyncio.start_server(told.serve, "127.0.0.1", 0)
    async with server:
        yield told, server.sockets[0].getsockname()[1]
        for _ in range(200):
            if not told.open:
                break
            await asyncio.sleep(0.01)


async def asked(wire: Wire, lane: Lane) -> Answer | Failure:
    done: asyncio.Future[Answer | Failure] = asyncio.get_running_loop().create_future()
    wire.send(lane, ASKED, lambda: None, done.set_result)
    return await done


def test_each_device_keeps_its_own_connection_from_its_own_address() -> None:
    async def go() -> None:
        async with peer() as (told, port):
            wire = Wire(connections_max=50, answer_s=5)
            lanes = [Lane("127.0.0.1", port, f"127.9.9.{n}", 2) for n in range(1, 21)]
            for _ in range(3):
                answers = await asyncio.gather(*(asked(wire, lane) for lane in lanes))
                assert {(one.status, one.body) for one in answers if isinstance(one, Answer)} == {
                    (200, b"hi")
                }
            assert (told.made, wire.opened, wire.open, wire.open_peak) == (20, 20, 20, 20)
            assert told.hosts == {f"127.9.9.{n}" for n in range(1, 21)}
            await wire.close()
            assert wire.left == 0

    asyncio.run(go())


@pytest.mark.parametrize("pause_s", [0.0, 0.01])
def test_there_are_never_more_than_may_be_and_everybody_is_answered(pause_s: float) -> None:
    async def go() -> None:
        async with peer(pause_s=pause_s) as (told, port):
            wire = Wire(connections_max=3, answer_s=10)
            lanes = [Lane("127.0.0.1", port, None, 2) for _ in range(25)]
            for _ in range(2):
                answers = await asyncio.gather(*(asked(wire, lane) for lane in lanes))
                assert all(isinstance(one, Answer) for one in answers)
            assert wire.open_peak == 3
            assert wire.open <= 3
            assert wire.waited > 0
            await wire.close()
            assert (wire.left, told.made > 3) == (0, True)

    asyncio.run(go())


@pytest.mark.parametrize(
    ("answer", "pause_s", "what"),
    [
        (b"", 0.0, "cut"),
        (OK, 3.0, "late"),
        (b"SSH-2.0-other\r\n\r\n", 0.0, "cut"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 0.0, "cut"),
    ],
)
def test_what_got_no_answer_is_said_to_have_none(answer: bytes, pause_s: float, what: str) -> None:
    async def go() -> None:
        async with peer(answer, pause_s) as (_, port):
            wire = Wire(connections_max=5, answer_s=0.3)
            lane = Lane("127.0.0.1", port, None, 1)
            assert await asked(wire, lane) == what
            assert await asked(wire, lane) == what
            await wire.close()
            assert (wire.left, wire.open, lane.open) == (0, 0, 0)

    asyncio.run(go())


def test_where_nobody_listens_nothing_is_sent() -> None:
    async def go() -> None:
        server = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        wire = Wire(connections_max=5, answer_s=2)
        lane = Lane("127.0.0.1", port, None, 1)
        assert await asked(wire, lane) == "unsent"
        assert (wire.refused, wire.open) == (1, 0)
        await wire.close()

    asyncio.run(go())


@pytest.mark.parametrize(("scale", "header", "seconds"), [(1, 3, 3), (60, 1, 1), (60, 2, 61)])
def test_the_shortest_wait_that_a_header_can_mean(scale: int, header: int, seconds: int) -> None:
    clock = ServiceClock(service_us=0, at_ns=0, scale=scale)
    assert clock.least_wait_us(header) == seconds * SECOND_US
    # The service rounds up to whole seconds of the machine: the header comes out again.
    assert -(-seconds // scale) == header
