"""PostgreSQL: the same counting, and several writers behind one store that stay exact."""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.live.test_store import NOW, day_of_traffic
from tests.servers import POSTGRES, NoServerError, running
from tests.support_service_store import (
    T0,
    account,
    configured,
    line,
    order,
    request,
    sums_anew,
    sums_kept,
    told,
    unlike,
)
from vpg.errors import InputError
from vpg.rating.events import Config
from vpg.rating.totals import conservation
from vpg.service.clock import Anchor
from vpg.service.ports import CONFLICT, COUNTED, StoreTroubleError
from vpg.service.store.months import keys_kept_until_us
from vpg.timebase import DAY_US, HOUR_US

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vpg.rating.events import UsageEvent
    from vpg.service.store.postgres import PostgresStore

    Opened = Callable[[], PostgresStore]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    pytest.importorskip("psycopg")
    try:
        with running(POSTGRES) as url:
            yield url
    except NoServerError as missing:
        pytest.skip(str(missing))


@pytest.fixture
def opened(server: str) -> Iterator[Opened]:
    """Open stores on one fresh set of tables."""
    import psycopg

    from vpg.service.store.postgres import PostgresStore

    with psycopg.connect(server, autocommit=True) as other:
        other.execute(b"DROP SCHEMA IF EXISTS vpg CASCADE")
    stores: list[PostgresStore] = []

    def open_one() -> PostgresStore:
        stores.append(PostgresStore(server))
        return stores[-1]

    yield open_one
    for store in stores:
        store.close()


@pytest.fixture
def store(opened: Opened) -> PostgresStore:
    store = opened()
    store.put_vpgs([order("v0"), order("v1")])
    store.commit([configured("born", T0, vpg_id=vpg_id) for vpg_id in ("v0", "v1")], T0)
    return store


def test_the_same_counting_as_ever(store: PostgresStore) -> None:
    events = day_of_traffic(1, 3_000)
    draw = random.Random(1)
    sent = events + draw.choices(events, k=1_000)
    draw.shuffle(sent)
    sent.sort(key=lambda one: one.type != "config.v1")
    for begin in range(0, len(sent), 333):
        assert set(store.commit(sent[begin : begin + 333], NOW)) == {COUNTED}
    rows, delays = account(events, T0 + DAY_US)
    found = store.hourly(None, T0, T0 + DAY_US, NOW)
    assert unlike(found.rows, rows) == []
    assert found.delays == delays
    assert conservation(found.rows) == []
    assert sums_kept(store) == sums_anew(store)


def test_conflicts_and_duplicates_in_a_group(store: PostgresStore) -> None:
    store.commit([request("old", T0 + 1)], NOW)
    wrong = [request("old", T0 + 2), request("new", T0 + 3)]
    group = [request("new", T0 + 4), *wrong, request("old", T0 + 1), request("new", T0 + 4)]
    assert store.commit(group, NOW) == [COUNTED, CONFLICT, CONFLICT, COUNTED, COUNTED]
    assert store.hourly(None, T0, NOW, NOW).rows[0].accepted_beam == 2


def test_several_writers_count_the_same_events_once(store: PostgresStore, opened: Opened) -> None:
    """Three writers, the same events in other orders and groups, and a resize in the middle."""
    events = day_of_traffic(2, 1_500, hours=12)
    others = [one for one in events if one.type != "config.v1"]
    configs = sorted((one for one in events if one.type == "config.v1"), key=lambda one: one.time)
    writers = [store, opened(), opened()]
    failures: list[BaseException] = []

    def write(number: int, writer: PostgresStore) -> None:
        draw = random.Random(number)
        mine = list(others)
        draw.shuffle(mine)
        try:
            for begin in range(0, len(mine), 60):
                group = mine[begin : begin + 60]
                if number == 0 and begin == 600:
                    commit(writer, configs)
                assert set(commit(writer, group)) == {COUNTED}
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=write, args=one) for one in enumerate(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    rows, delays = account(events, T0 + DAY_US)
    for writer in writers:
        found = writer.hourly(None, T0, T0 + DAY_US, NOW)
        writer.ping()
        assert unlike(found.rows, rows) == []
        assert found.delays == delays
    assert sums_kept(store) == sums_anew(store)


def commit(writer: PostgresStore, group: list[UsageEvent]) -> list[int]:
    """Commit as a client would: again where the store had trouble."""
    for _ in range(20):
        try:
            return writer.commit(group, NOW)
        except StoreTroubleError:
            continue
    raise AssertionError("twenty troubles in a row")


def test_what_one_process_registers_the_others_know(store: PostgresStore, opened: Opened) -> None:
    other = opened()
    other.put_vpgs([order("v9")])
    other.put_lines([line("9", "v9")])
    other.commit([configured("b", T0, vpg_id="v9")], T0)
    assert store.commit([request("x", T0 + 5, vpg_id="v9")], NOW) == [COUNTED]
    store.commit([configured("r", T0 + 9, Config(size="small", resized=True))], NOW)
    assert other.commit([request("y", T0 + 10)], NOW) == [COUNTED]
    assert [row.accepted_beam for row in other.hourly(["v0"], T0, T0 + 99, NOW).rows] == [0, 1]
    assert store.line("9") == line("9", "v9")


def test_the_rest_of_the_protocol(store: PostgresStore, opened: Opened) -> None:
    anchor = Anchor(service_us=T0, wall_us=5, scale=60)
    store.set_anchor(anchor)
    store.put_lines([line("1"), line("2")])
    store.change_line("2", "suspended", NOW)
    store.commit([told("session.created.v1", "a", T0 + 1, subject="1")], NOW)
    other = opened()
    assert other.anchor() == anchor
    assert [entry.status for entry in other.lines()] == ["active", "suspended"]
    assert [one.sim_id for one in other.sessions()] == ["1"]
    assert [store.begin_life(), other.begin_life()] == [1, 2]
    assert other.vpgs() == [order("v0"), order("v1")]
    assert store.forget(keys_kept_until_us(T0) - 1) == 0
    assert store.forget(keys_kept_until_us(T0)) == 3
    with pytest.raises(InputError):
        other.put_vpgs([order("v0", "OP0000000002")])


def test_a_lost_connection_is_trouble_once(store: PostgresStore, server: str) -> None:
    import psycopg

    store.commit([request("a", T0 + 1)], NOW)
    ended = b"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'vpg'"
    with psycopg.connect(server, autocommit=True) as other:
        other.execute(ended)
    with pytest.raises(StoreTroubleError):
        store.commit([request("b", T0 + 1)], NOW)
    assert store.commit([request("a", T0 + 1), request("b", T0 + 1)], NOW) == [COUNTED] * 2
    rows: Any = None
    for _ in range(2):  # The reader finds out for itself.
        try:
            rows = store.hourly(["v0"], T0, T0 + HOUR_US, NOW).rows
        except StoreTroubleError:
            continue
    assert rows[0].accepted_beam == 2


def test_a_server_that_goes_while_one_connects_is_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    psycopg = pytest.importorskip("psycopg")
    from vpg.service.store.postgres import PostgresStore

    class Going:
        closed = False

        def execute(self, _sql: bytes) -> None:
            raise psycopg.OperationalError

        def close(self) -> None:
            self.closed = True

    going = Going()
    monkeypatch.setattr(psycopg, "connect", lambda *_at, **_with: going)
    with pytest.raises(StoreTroubleError):
        PostgresStore("postgresql://there/x")
    assert going.closed


def test_a_server_that_is_not_there_is_trouble_without_its_address() -> None:
    pytest.importorskip("psycopg")
    from vpg.service.store.postgres import PostgresStore

    with pytest.raises(StoreTroubleError) as caught:
        PostgresStore("postgresql://vpg:secret@127.0.0.1:1/none")
    assert str(caught.value) == "the database cannot be reached"
