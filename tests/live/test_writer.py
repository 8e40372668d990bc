"""The writer: groups by what waits, answers after the commit, bounds, trouble, slow disks."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.support_service_store import T0, opened, request, sums_anew, sums_kept
from vpg.service.clock import SetClock
from vpg.service.ports import CONFLICT, COUNTED, OverloadedError, StoreTroubleError
from vpg.service.writer import GROUP_EVENTS, PROBE_EVERY, Writer
from vpg.timebase import HOUR_US

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence
    from pathlib import Path

    from vpg.rating.events import UsageEvent
    from vpg.service.store.sqlite import SqliteStore

NOW = T0 + HOUR_US


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = opened(tmp_path / "s.db", "v0")
    yield store
    store.close()


class Watched:
    """A store that notes its groups, in which thread each sync ran, and fails when told to."""

    def __init__(self, *, sync_s: float = 0.0, remote: bool = False) -> None:
        self.remote = remote
        self.sync_s = sync_s
        self.groups: list[int] = []
        self.threads: list[int] = []
        self.stagers: list[int] = []
        self.fail_stage: BaseException | None = None
        self.fail_sync: BaseException | None = None
        self.answer = COUNTED
        self.synced = 0
        self.during: list[str] = []

    def stage(self, events: Sequence[UsageEvent], now_us: int) -> list[int]:
        assert now_us == NOW
        self.stagers.append(threading.get_ident())
        if self.fail_stage is not None:
            raise self.fail_stage
        self.groups.append(len(events))
        return [self.answer] * len(events)

    def sync(self) -> None:
        self.threads.append(threading.get_ident())
        time.sleep(self.sync_s)
        if self.fail_sync is not None:
            raise self.fail_sync
        self.synced += self.groups[-1]


def run(
    store: Any, work: Callable[[Writer], Awaitable[Any]], *, pending_events: int = 20_000
) -> Writer:
    """Run ``work`` beside a writer, and the writer to its end."""

    async def main() -> Writer:
        writer = Writer(store=store, clock=SetClock(NOW), pending_events=pending_events)
        writer.start()
        try:
            await work(writer)
        finally:
            await writer.stop()
        assert writer.stats.waiting == 0
        return writer

    return asyncio.run(main())


def one(number: int) -> tuple[UsageEvent]:
    return (request(f"{number:09}", T0 + number),)


def closed_loop(callers: int, events: int) -> Callable[[Writer], Awaitable[None]]:
    """Return work of so many callers, each asking again when it is answered."""

    async def work(writer: Writer) -> None:
        numbers = iter(range(events))

        async def call() -> None:
            for number in numbers:
                assert await writer.count(one(number)) == [COUNTED]

        await asyncio.gather(*(call() for _ in range(callers)))

    return work


def waits_of(writer: Writer) -> list[float]:
    """Return the list to which each pause for others to come back is noted, in seconds."""
    waits: list[float] = []
    real = writer._sleep_until

    async def noted(callers: int, seconds: float | None) -> None:
        if seconds is not None:
            waits.append(seconds)
        await real(callers, seconds)

    writer._sleep_until = noted  # type: ignore[method-assign]
    return waits


# ---- groups --------------------------------------------------------------------------------------


@pytest.mark.parametrize("sync_s", [0.0, 0.005])
def test_512_callers_need_at_most_three_commits_for_a_thousand_events(sync_s: float) -> None:
    store = Watched(sync_s=sync_s)
    run(store, closed_loop(512, 20_000))
    assert sum(store.groups) == 20_000
    assert len(store.groups) <= 60


def test_one_caller_is_committed_at_once() -> None:
    store = Watched()

    async def work(writer: Writer) -> None:
        waits = waits_of(writer)
        await closed_loop(1, 300)(writer)
        assert waits == []

    run(store, work)
    assert store.groups == [1] * 300


def test_a_few_callers_share_groups_without_waiting() -> None:
    store = Watched()
    run(store, closed_loop(8, 800))
    assert len(store.groups) <= 200


def test_callers_that_stay_away_are_not_waited_for_long() -> None:
    store = Watched()

    async def work(writer: Writer) -> None:
        await closed_loop(512, 2_048)(writer)
        waits = waits_of(writer)
        for number in range(100):
            await writer.count(one(number))
        assert 0 < len(waits) < 40
        waits.clear()
        await closed_loop(1, 100)(writer)
        assert waits == []

    run(store, work)


def test_a_group_takes_no_more_than_its_share_but_any_single_request() -> None:
    store = Watched()
    each = 700

    async def work(writer: Writer) -> None:
        await asyncio.gather(*(writer.count(one(0) * each) for _ in range(8)))
        await writer.count(one(0) * (GROUP_EVENTS + 1))

    run(store, work)
    assert max(store.groups[:-1]) <= GROUP_EVENTS
    assert store.groups[-1] == GROUP_EVENTS + 1
    assert sum(store.groups) == 8 * each + GROUP_EVENTS + 1


def test_every_caller_gets_the_answers_of_its_own_events(store: SqliteStore) -> None:
    wrong = request("000000001", T0 + 77)

    async def work(writer: Writer) -> None:
        answers = await asyncio.gather(
            writer.count((*one(0), *one(1))),
            writer.count((wrong, *one(2))),
            writer.count(()),
            writer.count(one(1)),
        )
        assert [list(answer) for answer in answers] == [[0, 0], [CONFLICT, 0], [], [0]]

    writer = run(store, work)
    assert (writer.stats.events, writer.stats.conflicts) == (5, 1)
    assert store.hourly(None, T0, NOW, NOW).rows[0].accepted_beam == 3


def test_the_same_request_from_fifty_at_once_and_again_is_counted_once(
    store: SqliteStore,
) -> None:
    """RELIABILITY R10: the same answer each time, one row."""

    async def work(writer: Writer) -> None:
        for _ in range(3):
            asked = (writer.count((*one(1), *one(2))) for _ in range(50))
            assert set(map(tuple, await asyncio.gather(*asked))) == {(COUNTED, COUNTED)}

    run(store, work)
    assert store.hourly(None, T0, NOW, NOW).rows[0].accepted_beam == 2
    assert len(list(store.events())) == 3


# ---- where syncs run -----------------------------------------------------------------------------


def test_short_syncs_run_in_the_loop_and_long_ones_beside_it() -> None:
    fast, slow = Watched(), Watched(sync_s=0.004)
    run(fast, closed_loop(4, 100))
    assert set(fast.threads) == {threading.get_ident()}
    run(slow, closed_loop(4, 400))
    beside = [ident != threading.get_ident() for ident in slow.threads]
    assert sum(beside) > len(beside) // 2


def test_a_store_elsewhere_never_holds_the_loop_up() -> None:
    store = Watched(remote=True)
    run(store, closed_loop(8, 100))
    assert threading.get_ident() not in {*store.threads, *store.stagers}
    assert sum(store.groups) == 100


def test_a_disk_that_becomes_fast_again_is_noticed() -> None:
    store = Watched(sync_s=0.015)

    async def work(writer: Writer) -> None:
        await closed_loop(2, 80)(writer)
        assert store.threads[-1] != threading.get_ident()
        store.sync_s = 0.0
        await closed_loop(2, 40 * PROBE_EVERY)(writer)
        assert store.threads[-1] == threading.get_ident()

    run(store, work)


def test_the_loop_goes_on_while_a_long_sync_runs() -> None:
    store = Watched(sync_s=0.02)

    async def work(writer: Writer) -> None:
        await closed_loop(1, 10)(writer)
        turns = 0
        asked = asyncio.ensure_future(writer.count(one(1)))
        while not asked.done():
            await asyncio.sleep(0.001)
            turns += 1
        assert turns > 5

    run(store, work)


def test_answers_come_after_the_commit() -> None:
    store = Watched(sync_s=0.003)

    async def work(writer: Writer) -> None:
        for number in range(30):
            before = store.synced
            await writer.count(one(number))
            assert store.synced == before + 1

    run(store, work)


# ---- bounds and trouble --------------------------------------------------------------------------


def test_what_is_too_much_is_refused_at_once_and_the_rest_counted() -> None:
    store = Watched(sync_s=0.002)

    async def work(writer: Writer) -> None:
        answers = await asyncio.gather(
            *(writer.count(one(number)) for number in range(150)), return_exceptions=True
        )
        refused = [answer for answer in answers if isinstance(answer, OverloadedError)]
        assert len(refused) == 50
        assert writer.stats.overloads == 50
        assert await writer.count(one(1)) == [COUNTED]

    run(store, work, pending_events=100)
    assert sum(store.groups) == 101


def test_trouble_is_told_to_the_whole_group_and_ends_with_the_next_commit(
    store: SqliteStore,
) -> None:
    async def work(writer: Writer) -> None:
        assert writer.healthy
        store._writer.execute("PRAGMA query_only = 1")
        answers = await asyncio.gather(
            *(writer.count(one(number)) for number in range(20)), return_exceptions=True
        )
        assert {str(answer) for answer in answers} == {"the file is read-only"}
        assert {type(answer) for answer in answers} == {StoreTroubleError}
        assert (writer.healthy, writer.trouble) == (False, "the file is read-only")
        store._writer.execute("PRAGMA query_only = 0")
        assert await writer.count(one(0)) == [COUNTED]
        assert (writer.healthy, writer.trouble) == (True, "")

    writer = run(store, work)
    assert writer.stats.troubles >= 1
    assert store.hourly(None, T0, NOW, NOW).rows[0].accepted_beam == 1
    assert sums_kept(store) == sums_anew(store)


@pytest.mark.parametrize("where", ["fail_stage", "fail_sync"])
@pytest.mark.parametrize("sync_s", [0.0, 0.004])
def test_even_a_mistake_of_ours_is_told_and_survived(where: str, sync_s: float) -> None:
    store = Watched(sync_s=sync_s)

    async def work(writer: Writer) -> None:
        await closed_loop(1, 8)(writer)
        setattr(store, where, ValueError("what?"))
        with pytest.raises(StoreTroubleError, match="ValueError: what"):
            await writer.count(one(1))
        setattr(store, where, None)
        assert await writer.count(one(1)) == [COUNTED]

    run(store, work)


def test_a_caller_that_is_gone_disturbs_nobody() -> None:
    store = Watched(sync_s=0.003)

    async def work(writer: Writer) -> None:
        gone = [asyncio.ensure_future(writer.count(one(number))) for number in range(5)]
        stays = asyncio.ensure_future(writer.count(one(9)))
        await asyncio.sleep(0)
        for task in gone:
            task.cancel()
        assert await stays == [COUNTED]
        await asyncio.gather(*gone, return_exceptions=True)

    run(store, work)
    assert sum(store.groups) == 6


def test_stopping_counts_what_waits_and_takes_nothing_more() -> None:
    store = Watched(sync_s=0.003)

    async def main() -> None:
        writer = Writer(store=store, clock=SetClock(NOW))  # type: ignore[arg-type]
        with pytest.raises(OverloadedError):
            await writer.count(one(0))
        writer.start()
        asked = [asyncio.ensure_future(writer.count(one(number))) for number in range(100)]
        await asyncio.sleep(0)
        ending = asyncio.ensure_future(writer.stop())
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError):
            await writer.count(one(100))
        await ending
        assert await asyncio.gather(*asked) == [[COUNTED]] * 100

    asyncio.run(main())
    assert store.synced == 100
