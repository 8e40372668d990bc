"""Which events from outside may be counted, bound by bound, and at what cost."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support_service_store import LARGE, T0, configured, line, opened, order, request, told
from vpg.rating.events import Config
from vpg.service.check import AHEAD_US, Checker
from vpg.service.store.months import keys_kept_until_us
from vpg.service.values import Rules
from vpg.timebase import DAY_US, HOUR_US, SECOND_US, next_month_start

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vpg.rating.events import UsageEvent
    from vpg.service.store.sqlite import SqliteStore

BORN = T0 + HOUR_US // 2
NOW = T0 + 10 * HOUR_US
SIM = "8981000000000000001"
ZONE = dt.timezone(dt.timedelta(hours=9, minutes=30))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteStore]:
    store = opened(tmp_path_factory.mktemp("check") / "s.db")
    store.put_vpgs([order("v0"), order("over"), order("unborn"), order("theirs", "OP2")])
    store.put_lines([line(SIM), line("their-line", "theirs", "OP2")])
    end = Config(exists=False, size="large")
    store.commit(
        [
            configured("b", BORN, LARGE),
            configured("b", BORN, LARGE, vpg_id="over"),
            configured("e", T0 + 3 * HOUR_US + 5, end, vpg_id="over"),
        ],
        NOW,
    )
    yield store
    store.close()


def code(store: SqliteStore, one: UsageEvent, now_us: int = NOW, **rules: Any) -> str:
    refusal = Checker(store=store, rules=Rules(**rules)).wrong(one, now_us)
    assert refusal is None or (refusal.message and refusal.code)
    return "" if refusal is None else refusal.code


@pytest.mark.parametrize(
    ("one", "wanted"),
    [
        (request("x", NOW), ""),
        (request("x", BORN), ""),
        (request("x", BORN - 1), "vpg_not_yet"),
        (request("x", NOW + AHEAD_US), ""),
        (request("x", NOW + AHEAD_US + 1), "in_future"),
        (request("x", 0), "too_old"),
        (request("x", T0 - 90 * DAY_US), "too_old"),
        (request("x", T0 - 1), "vpg_not_yet"),
        (request("x", NOW, vpg_id="nobody"), "unknown_vpg"),
        (request("x", NOW, vpg_id="theirs"), "unknown_vpg"),
        (request("x", NOW, vpg_id="unborn"), "vpg_not_yet"),
        (request("x", T0 + 4 * HOUR_US - 1, vpg_id="over"), ""),
        (request("x", T0 + 4 * HOUR_US, vpg_id="over"), "vpg_ended"),
        (request("x", BORN - 1, vpg_id="over"), "vpg_not_yet"),
        (request("x", NOW, subject=SIM), ""),
        (request("x", NOW, subject="stranger"), "unknown_line"),
        (request("x", NOW, subject="their-line"), "unknown_line"),
        (request("x", NOW, inspected=(SIM,)), ""),
        (request("x", NOW, inspected=(SIM, "stranger")), "unknown_line"),
        (request("x", NOW, service=""), "invalid"),
        (request("x", NOW, outcome="throttled", bytesUp=1), "invalid"),
        (request("x", NOW, sessions=1), "invalid"),
        (request("x\0", NOW), "invalid"),
        (request("x", NOW, source="urn:\0"), "invalid"),
        (told("session.created.v1", "x", NOW), "invalid"),
        (told("session.created.v1", "x", NOW, subject=SIM), ""),
        (configured("x", BORN - 1), "config_order"),
        (configured("x", BORN), ""),
        (configured("x", NOW, Config(type="C", size="small")), "invalid"),
        (configured("x", NOW, Config(type="C", size="small", resized=True)), ""),
        (configured("x", NOW, Config(exists=False)), ""),
        (configured("x", NOW, vpg_id="over"), "vpg_ended"),
        (configured("x", NOW, vpg_id="unborn"), ""),
        (configured("x", T0, Config(exists=False), vpg_id="unborn"), "vpg_not_yet"),
        (told("config.v1", "x", NOW), "invalid"),
        (configured("x", NOW, Config(type="E", size="small", resized=True)), "invalid"),
        (configured("x", NOW, Config(type="C", size="", resized=True)), "invalid"),
        (configured("x", NOW, Config(size="large", oneOff=("contract_fee_c", "gift"))), "invalid"),
        (configured("x", NOW, Config(size="large", oneOff=("contract_fee_c",))), ""),
        (request("x", NOW, source="urn:vpg:v0"), "reserved_source"),
        (request("x", NOW, source="urn:vpg:theirs"), "reserved_source"),
        (request("x", NOW, source="urn:vpg"), ""),
    ],
)
def test_each_bound(store: SqliteStore, one: UsageEvent, wanted: str) -> None:
    assert code(store, one) == wanted
    there = msgspec.structs.replace(one, time=one.time.astimezone(ZONE))
    assert code(store, there) == wanted


def test_lines_may_be_strangers_where_the_rules_say_so(store: SqliteStore) -> None:
    one = request("x", NOW, subject="stranger", inspected=("another",))
    assert code(store, one) == "unknown_line"
    assert code(store, one, lines_must_be_known=False) == ""


def test_events_are_taken_as_long_as_their_keys_are_kept(store: SqliteStore) -> None:
    end_us = keys_kept_until_us(BORN)
    assert end_us == next_month_start(T0) + 35 * DAY_US
    assert code(store, request("x", BORN), end_us - 1) == ""
    assert code(store, request("x", BORN), end_us) == "too_old"
    assert code(store, request("x", next_month_start(T0)), end_us) == ""


@given(st.integers(0, 100 * DAY_US), st.lists(st.integers(-3, 3), min_size=2, max_size=9))
def test_the_quick_way_and_the_exact_one_agree(
    store: SqliteStore, later_us: int, steps: list[int]
) -> None:
    """One checker over time gives what a new one would, whatever it remembers."""
    checker = Checker(store=store, rules=Rules())
    now_us = NOW
    for step in steps:
        now_us += abs(step) * SECOND_US // 2 + (later_us if step == 3 else 0)
        for at_us in (now_us + AHEAD_US + step, now_us + step, BORN + step, now_us - 60 * DAY_US):
            one = request("x", at_us)
            refusal = checker.wrong(one, now_us)
            assert ("" if refusal is None else refusal.code) == code(store, one, now_us)


def test_beside_a_gateway_no_event_changes_a_vpg(store: SqliteStore) -> None:
    """The gateway would not know of it: the bill would say one thing, the limits another."""
    checker = Checker(store=store, rules=Rules(), configs=False)
    refusal = checker.wrong(configured("c", NOW, LARGE), NOW)
    assert refusal is not None
    assert refusal.code == "config_by_api"
    assert checker.wrong(request("x", NOW), NOW) is None
