"""The store counts once, whatever comes twice, late or in what order; and forgets nothing."""

from __future__ import annotations

import random
import sqlite3
import threading
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tests.support_service_store import (
    LARGE,
    OPERATOR,
    T0,
    account,
    configured,
    line,
    opened,
    order,
    request,
    sums_anew,
    sums_kept,
    told,
    unlike,
)
from vpg.errors import EnsureError, InputError
from vpg.rating import counting
from vpg.rating.events import Config, UsageEvent
from vpg.rating.totals import conservation
from vpg.service.clock import Anchor
from vpg.service.ports import CONFLICT, COUNTED, StoreTroubleError
from vpg.service.store import tables
from vpg.service.store.months import keys_kept_until_us, oldest_us
from vpg.service.store.sqlite import SqliteStore
from vpg.timebase import DAY_US, HOUR_US, SECOND_US, month_start, next_month_start

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = T0 + 30 * HOUR_US


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = opened(tmp_path / "s.db", "v0", "v1")
    yield store
    store.close()


def rows_of(store: SqliteStore, until_us: int = NOW) -> tuple[Any, ...]:
    return store.hourly(None, T0, until_us, until_us).rows


def born(*vpg_ids: str) -> list[UsageEvent]:
    return [configured("born", T0, vpg_id=vpg_id) for vpg_id in vpg_ids]


def day_of_traffic(seed: int, events: int, *, hours: int = 24) -> list[UsageEvent]:
    """Return a day of two VPGs: requests, sessions, messages, mirroring, a resize each."""
    draw = random.Random(seed)
    found = born("v0", "v1")
    resized = Config(
        type="C", size="small", resized=True, inspection=True, oneOff=("change_fee_d",)
    )
    for number, vpg_id in enumerate(("v0", "v1")):
        at_us = T0 + (5 + number) * HOUR_US + 1_234_567
        found.append(configured("resize", at_us, resized, vpg_id=vpg_id))
    for number in range(events):
        at_us = T0 + draw.randrange(hours * HOUR_US)
        vpg_id = f"v{draw.randrange(2)}"
        what = draw.randrange(20)
        names: dict[str, Any] = {"vpg_id": vpg_id, "source": f"urn:vpg:{draw.randrange(3)}"}
        sim = f"8981{draw.randrange(9):015d}"
        figures: dict[str, Any]
        if what < 14:
            figures = {
                "service": draw.choice(("beam", "funnel", "ip")),
                "bytesUp": draw.randrange(2_000),
                "delayUs": draw.randrange(10**6),
                "ratePerS": draw.choice((0, 0, 0, draw.randrange(300))),
                "inspected": (sim,) if what == 0 else (),
            }
            found.append(request(number, at_us, subject=sim, **figures, **names))
        elif what < 16:
            figures = {"outcome": "throttled", "requests": draw.randrange(1, 99), "ratePerS": 400}
            found.append(request(number, at_us, **figures, **names))
        elif what < 18:
            figures = {"sessions": draw.randrange(9), "attachPerS": 3}
            found.append(told("session.created.v1", number, at_us, subject=sim, **figures, **names))
        else:
            figures = {"outcome": "offered", "requests": 2}
            found.append(told("message.v1", number, at_us, **figures, **names))
    return found


# ---- once ----------------------------------------------------------------------------------------


def test_the_same_event_again_has_the_same_answer_and_counts_once(store: SqliteStore) -> None:
    events = [request(number, T0 + number) for number in range(300)]
    for group in (events, events[::-1], events[7:9], [events[0]] * 5):
        assert set(store.commit(group, NOW)) == {COUNTED}
    assert rows_of(store)[0].accepted_beam == 300


def test_another_event_of_the_same_name_is_a_conflict_and_counts_nothing(
    store: SqliteStore,
) -> None:
    first = request("one", T0 + 1)
    others = [
        request("one", T0 + 2),
        request("one", T0 + 1, bytesUp=1),
        request("one", T0 + 1, service="funk"),
        request("one", T0 + 1, subject="8981"),
        told("message.v1", "one", T0 + 1, outcome="offered"),
    ]
    other_source = request("one", T0 + 1, source="urn:elsewhere")
    assert store.commit([first, *others, other_source], NOW) == [COUNTED, *[CONFLICT] * 5, COUNTED]
    assert store.commit([*others, first], NOW) == [*[CONFLICT] * 5, COUNTED]
    assert rows_of(store)[0].accepted_beam == 2
    assert rows_of(store)[0].messages_offered == 0


def test_what_one_operator_names_takes_no_name_from_another(store: SqliteStore) -> None:
    store.put_vpgs([order("theirs", "OP2")])
    ours, theirs = (
        [
            told("config.v1", "b", T0, config=LARGE, vpg_id=vpg_id),
            request("one", T0 + 1, vpg_id=vpg_id),
        ]
        for vpg_id in ("v0", "theirs")
    )
    same = [
        msgspec.structs.replace(
            one, source="urn:meter:1", data=msgspec.structs.replace(one.data, operatorId="OP2")
        )
        for one in theirs
    ]
    mine = [msgspec.structs.replace(one, source="urn:meter:1") for one in ours[1:]]
    assert store.commit([*same, *mine], NOW) == [COUNTED] * 3
    assert store.commit([*mine, *same], NOW) == [COUNTED] * 3
    assert rows_of(store)[0].accepted_beam == 1


def test_the_instant_decides_whatever_its_zone(store: SqliteStore) -> None:
    import datetime as dt

    import msgspec

    one = request("zone", T0 + 5)
    there = msgspec.structs.replace(
        one, time=one.time.astimezone(dt.timezone(dt.timedelta(hours=9)))
    )
    assert store.commit([one, there], NOW) == [COUNTED, COUNTED]


def test_duplicates_in_one_group_beside_old_and_new_ones(store: SqliteStore) -> None:
    old = [request(f"old{number}", T0 + number) for number in range(5)]
    store.commit(old, NOW)
    new = [request(f"new{number}", T0 + number) for number in range(5)]
    wrong = request("new1", T0 + 99)
    group = [new[0], old[0], new[1], wrong, new[1], old[4], *new]
    assert store.commit(group, NOW) == [0, 0, 0, 1, 0, 0, *[0] * 5]
    assert rows_of(store)[0].accepted_beam == 10


def test_nothing_is_kept_of_a_group_that_is_undone(store: SqliteStore) -> None:
    before = sums_kept(store)
    resize = configured("r", T0 + 5, Config(size="small", resized=True))
    store.stage([request("one", T0 + 1, source="urn:new"), resize], NOW)
    store.undo()
    assert sums_kept(store) == before
    assert len(store.configs("v0")) == 1
    assert store.commit([request("one", T0 + 1, source="urn:new"), resize], NOW) == [0, 0]
    assert rows_of(store)[0].accepted_beam == 1
    assert len(store.configs("v0")) == 2


@pytest.mark.parametrize(
    "deliveries",
    [pytest.param(10**5, id="short"), pytest.param(10**6, id="long", marks=pytest.mark.long)],
)
def test_duplicates_and_disorder_change_nothing(tmp_path: Path, deliveries: int) -> None:
    """RELIABILITY R9: 30 % duplicates, shuffled within a day, 5 % late, clocks 10 minutes off."""
    draw = random.Random(9)
    unique = day_of_traffic(9, deliveries * 10 // 13)
    sent = unique + draw.choices(unique, k=deliveries - len(unique))
    draw.shuffle(sent)
    late = [one for one in sent if draw.randrange(20) == 0]
    kept_back = set(map(id, late))
    sent = [one for one in sent if id(one) not in kept_back] + late
    store = opened(tmp_path / "s.db", "v0", "v1")
    try:
        now_us = T0 + DAY_US
        for begin in range(0, len(sent), 1_000):
            now_us += draw.randrange(600 * SECOND_US)
            assert set(store.commit(sent[begin : begin + 1_000], now_us)) == {COUNTED}
        rows, delays = account(unique, T0 + DAY_US)
        found = store.hourly(None, T0, T0 + DAY_US, now_us)
        assert unlike(found.rows, rows) == []
        assert found.delays == delays
        assert conservation(found.rows) == []
        assert sums_kept(store) == sums_anew(store)
        assert sum(1 for _ in store.events()) == len(unique)
    finally:
        store.close()


@pytest.mark.parametrize("seed", range(3))
def test_any_order_gives_the_same_hours(tmp_path: Path, seed: int) -> None:
    events = day_of_traffic(seed, 400)
    configs = [one for one in events if one.type == "config.v1"]
    others = [one for one in events if one.type != "config.v1"]
    draw = random.Random(seed)
    draw.shuffle(others)
    for one in configs:  # Among each other in order; the rest may come before or after them.
        others.insert(draw.randrange(len(others) + 1), one)
    order_of = iter(sorted(configs, key=lambda one: one.time))
    sent = [next(order_of) if one.type == "config.v1" else one for one in others]
    store = SqliteStore(tmp_path / "s.db")
    try:
        store.put_vpgs([order("v0"), order("v1")])
        for begin in range(0, len(sent), 17):
            store.commit(sent[begin : begin + 17], NOW)
        rows, delays = account(events, T0 + DAY_US)
        found = store.hourly(None, T0, T0 + DAY_US, NOW)
        assert unlike(found.rows, rows) == []
        assert found.delays == delays
        assert sums_kept(store) == sums_anew(store)
    finally:
        store.close()


# ---- hours ---------------------------------------------------------------------------------------


def test_part_of_the_hours_is_the_same_as_in_all_of_them(store: SqliteStore) -> None:
    store.commit(day_of_traffic(4, 300), NOW)
    whole = {(row.vpg_id, row.hour_start_us, row.config_seq): row for row in rows_of(store)}
    for hour in range(0, 30, 3):
        part = store.hourly(["v1"], T0 + hour * HOUR_US + 5, T0 + (hour + 2) * HOUR_US, NOW).rows
        assert {row.hour_start_us for row in part} <= {T0 + (hour + n) * HOUR_US for n in (0, 1, 2)}
        assert {row.vpg_id for row in part} == {"v1"}
        for row in part:
            assert row == whole[row.vpg_id, row.hour_start_us, row.config_seq]


def test_rows_begin_with_the_vpg_and_end_with_its_last_hour(store: SqliteStore) -> None:
    end = Config(exists=False, size="large")
    store.put_vpgs([order("late"), order("none")])
    store.commit([configured("b", T0 + 90 * 60 * SECOND_US, vpg_id="late")], NOW)
    store.commit([configured("e", T0 + 3 * HOUR_US, end, vpg_id="late")], NOW)
    store.commit([configured("e", T0 + 3 * HOUR_US + 1, end, vpg_id="v1")], NOW)
    hours = {
        vpg_id: [
            (row.hour_start_us - T0) // HOUR_US for row in store.hourly([vpg_id], 0, NOW, NOW).rows
        ]
        for vpg_id in ("late", "v1", "v0", "none")
    }
    assert hours == {"late": [1, 2], "v1": [0, 1, 2, 3], "v0": list(range(30)), "none": []}
    assert store.hourly(["v1"], T0 + 5 * HOUR_US, NOW, NOW).rows == ()
    assert store.hourly(["unknown"], 0, NOW, NOW).rows == ()


def test_what_was_counted_before_a_change_was_told_moves_to_its_row(store: SqliteStore) -> None:
    at_us = T0 + HOUR_US // 2
    group = [request(number, at_us + number - 50, ratePerS=number) for number in range(100)]
    store.commit(group, NOW)
    store.commit([configured("r", at_us, Config(size="small", resized=True))], NOW)
    first, second = rows_of(store)[:2]
    assert (first.config_seq, first.accepted_beam, first.rate_peak_per_s) == (0, 50, 49)
    assert (second.config_seq, second.accepted_beam, second.rate_peak_per_s) == (1, 50, 99)
    assert sums_kept(store) == sums_anew(store)


# ---- what else is kept ---------------------------------------------------------------------------


def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    store = opened(path, "v0", "v1")
    anchor = Anchor(service_us=T0, wall_us=5, scale=60)
    assert store.anchor() is None
    store.set_anchor(anchor)
    store.put_lines([line("1"), line("2")])
    store.change_line("2", "suspended", NOW)
    sessions: list[UsageEvent] = [
        told("session.created.v1", "a", T0 + 1, subject="1"),
        told("session.created.v1", "b", T0 + 2, subject="2"),
        told("session.created.v1", "c", T0 + 3, subject="3", vpg_id="v1"),
        told("session.modified.v1", "d", T0 + 4, subject="1", ghost=True),
        told("session.deleted.v1", "e", T0 + 5, subject="2"),
    ]
    store.commit(sessions, NOW)
    store.commit([configured("r", T0 + 9, Config(size="small", resized=True))], NOW)
    assert [store.begin_life(), store.begin_life()] == [1, 2]
    lines, vpgs, live, rows = store.lines(), store.vpgs(), store.sessions(), rows_of(store)
    store.close()
    again = SqliteStore(path)
    try:
        assert again.anchor() == anchor
        assert again.lines() == lines
        assert [entry.status for entry in lines] == ["active", "suspended"]
        assert again.line("2") == lines[1]
        assert again.vpgs() == vpgs == [order("v0"), order("v1")]
        assert again.sessions() == live
        assert [(one.sim_id, one.vpg_id, one.ghost) for one in live] == [
            ("1", "v0", True),
            ("3", "v1", False),
        ]
        assert rows_of(again) == rows
        assert again.begin_life() == 3
        life = again.life("v0")
        assert life is not None
        assert [change.config.resized for change in life.configs] == [False, True]
        assert again.commit([request("x", T0 + 10)], NOW) == [COUNTED]
        assert rows_of(again)[1].accepted_beam == 1
    finally:
        again.close()


def test_an_older_word_on_a_session_changes_nothing(store: SqliteStore) -> None:
    store.commit([told("session.deleted.v1", "late", T0 + 9, subject="1")], NOW)
    store.commit([told("session.created.v1", "early", T0 + 3, subject="1")], NOW)
    assert store.sessions() == []
    store.commit([told("session.created.v1", "new", T0 + 10, subject="1")], NOW)
    store.commit([told("session.modified.v1", "old", T0 + 9, subject="1", ghost=True)], NOW)
    assert [(one.created_us, one.ghost) for one in store.sessions()] == [(T0 + 10, False)]


def test_a_vpg_of_another_operator_is_refused(store: SqliteStore) -> None:
    with pytest.raises(InputError) as caught:
        store.put_vpgs([order("v7"), order("v0", "OP0000000002")])
    assert [problem.code for problem in caught.value.problems] == ["VPG1805"]
    assert store.life("v7") is None
    store.put_vpgs([order("v0")])


def test_an_event_of_a_vpg_that_nobody_registered_is_our_own_mistake(store: SqliteStore) -> None:
    with pytest.raises(EnsureError):
        store.commit([request("x", T0, vpg_id="nobody")], NOW)
    assert store.commit([request("x", T0)], NOW) == [COUNTED]


# ---- keys ----------------------------------------------------------------------------------------


def test_keys_are_kept_for_the_month_and_35_days(store: SqliteStore) -> None:
    month_end = next_month_start(T0)
    assert keys_kept_until_us(T0) == keys_kept_until_us(month_end - 1) == month_end + 35 * DAY_US
    until_us = month_end + 35 * DAY_US
    assert oldest_us(until_us - 1) == T0
    assert oldest_us(until_us) == month_start(month_end)
    events = [request(number, T0 + number * DAY_US) for number in range(40)]
    store.commit(events, T0 + 40 * DAY_US)
    before = rows_of(store, T0 + 40 * DAY_US)
    assert store.forget(until_us - 1, steps=3) == 0
    # Two configs of April, and the requests of its thirty days.
    assert store.forget(until_us, steps=3) == 32
    assert [fact[1] for fact in store.events()] == [str(number) for number in range(30, 40)]
    assert rows_of(store, T0 + 40 * DAY_US) == before


def test_old_keys_go_in_bounded_steps(store: SqliteStore) -> None:
    for begin in range(0, 5_000, 1_000):
        store.commit([request(f"{begin + n:06}", T0 + n) for n in range(1_000)], NOW)
    until_us = keys_kept_until_us(T0)
    removed = [store.forget(until_us) for _ in range(8)]
    assert sum(removed) == 5_002
    assert max(removed) <= 1_000
    assert removed[-1] == 0


def test_inspected_lines_become_a_number_that_says_the_same(tmp_path: Path) -> None:
    store = opened(tmp_path / "s.db", "v0")
    try:
        cut_us = T0 + 1_000
        store.commit([configured("r", cut_us, Config(size="small", resized=True))], NOW)
        april_final = store.months.final_us(T0)
        may_final = store.months.final_us(next_month_start(T0))
        arrivals = [(NOW, 0), (april_final, 1), (may_final, 2)]
        for arrived_us, period in arrivals:
            for number in range(3):
                at_us = cut_us + (-5 if (number + period) % 2 else 5)
                sims = (f"{number}", f"{number + period}", "all")
                name = f"{period}-{number}"
                store.commit([request(name, at_us, inspected=sims)], arrived_us)
        periods = (0, next_month_start(T0), next_month_start(next_month_start(T0)), None)

        def lines() -> list[list[int]]:
            return [
                [
                    row.lines_inspected
                    for row in store.hourly(None, T0, T0 + 9, NOW, late_until=p).rows
                ]
                for p in periods
            ]

        before = lines()
        assert before[0] != before[1] != before[-1], "the late ones must say something"
        until_us = keys_kept_until_us(T0)
        store.forget(until_us - 1, steps=2)
        assert len(sums_kept(store)["inspected"]) > 0
        store.forget(until_us, steps=2)
        assert sums_kept(store)["inspected"] == []
        assert lines() == before
    finally:
        store.close()


# ---- files ---------------------------------------------------------------------------------------


def test_a_file_of_another_program_or_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    foreign, newer = tmp_path / "foreign.db", tmp_path / "newer.db"
    with sqlite3.connect(foreign) as other:
        other.execute("CREATE TABLE theirs (x)")
    other.close()
    SqliteStore(newer).close()
    with sqlite3.connect(newer) as later:
        later.execute(f"PRAGMA user_version = {tables.VERSION + 1}")
    later.close()
    for path, code in ((foreign, "VPG1801"), (newer, "VPG1802")):
        content = path.read_bytes()
        with pytest.raises(InputError) as caught:
            SqliteStore(path)
        assert [problem.code for problem in caught.value.problems] == [code]
        assert path.read_bytes() == content


def test_what_is_no_database_is_trouble(tmp_path: Path) -> None:
    path = tmp_path / "text.db"
    path.write_text("no database, but long enough to be looked at" * 99, encoding="utf-8")
    with pytest.raises(StoreTroubleError, match="no database"):
        SqliteStore(path)
    with pytest.raises(StoreTroubleError, match="cannot be opened"):
        SqliteStore(tmp_path / "nowhere" / "s.db")


def test_the_file_says_what_its_numbers_mean(store: SqliteStore) -> None:
    names = store._told("SELECT text FROM figure_name ORDER BY name")
    assert tuple(row[0] for row in names) == counting.SUMS
    kinds = store._told("SELECT type, service, outcome FROM kind ORDER BY kind")
    assert tuple(kinds) == counting.KINDS


def test_every_commit_is_synced(store: SqliteStore) -> None:
    assert store._writer.execute("PRAGMA synchronous").fetchone() == (2,)
    assert store._writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_two_stores_on_one_file_stay_exact(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    one, other = opened(path, "v0"), SqliteStore(path)
    try:
        one.commit([request("a", T0 + 1)], NOW)
        assert other.commit([request("a", T0 + 1), request("b", T0 + 20)], NOW) == [0, 0]
        one.commit([configured("r", T0 + 10, Config(size="small", resized=True))], NOW)
        other.commit([request("c", T0 + 15), request("d", T0 + 9)], NOW)
        assert [row.accepted_beam for row in rows_of(one)[:2]] == [2, 2]
        assert rows_of(one) == rows_of(other)
        assert sums_kept(other) == sums_anew(other)
        one.put_vpgs([order("v9")])
        other.commit([configured("b", T0 + 30, LARGE, vpg_id="v9")], NOW)
        assert other.lives()[-1].operator_id == OPERATOR
    finally:
        one.close()
        other.close()


def test_a_long_look_holds_nobody_up(store: SqliteStore) -> None:
    """While one thread reads a snapshot, others read and write, and it stays of its moment."""
    store.commit([request("a", T0 + 1)], NOW)
    seen: list[int] = []

    def look() -> None:
        with store._snapshot():
            seen.append(len(store._told("SELECT * FROM event")))
            begun.set()
            assert go_on.wait(10)
            seen.append(len(store._told("SELECT * FROM event")))

    begun, go_on = threading.Event(), threading.Event()
    other = threading.Thread(target=look)
    other.start()
    assert begun.wait(10)
    store.commit([request("b", T0 + 2)], NOW)
    assert rows_of(store)[0].accepted_beam == 2
    go_on.set()
    other.join(10)
    assert seen == [3, 3]
