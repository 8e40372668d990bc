"""Lines of a scenario over time, and the fees they owe by the month."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from scenarios import model
from scenarios.line_states import LineStates, line_usage
from scenarios.loader import load_scenario
from scenarios.terms import bill_of, charges_of
from sim.run import simulate
from tests.support_rating import with_table
from vpg.billing.month import bill_months
from vpg.catalogue.load import load_catalogue
from vpg.timebase import HOUR_US

if TYPE_CHECKING:
    from pathlib import Path

TEXT = """\
vpgsim: 1
name: lines
start: 2026-04-30T09:00:00+09:00
duration_h: 26
vpgs:
  - {id: v, type: C, size: small}
fleets:
  - {name: used, vpg: v, lines: 5, status: STATUS, session: {attach: ATTACH}}
events:
  - {kind: growth, at: +25:00:00, fleet: used, lines: 3}
  - {kind: line_change, at: +25:30:00, fleet: used, lines: 2, status: terminated}
"""
PRICES = """\
effective_from = 2026-01-01
[[usage]]
item = "line_basic"
value = 300
unit = "yen/line/month"
free = 1
"""


def scenario(status: str = "active", attach: str = "at_start", **cells: Any) -> model.Scenario:
    text = TEXT.replace("STATUS", status).replace("ATTACH", attach)
    return replace(load_scenario(text, catalogue=load_catalogue()), **cells)


def fees(one: model.Scenario, until_us: int | None = None) -> list[tuple[int, str, int]]:
    """Return (hour of the run, item, lines)."""
    used = line_usage(one, one.end_us if until_us is None else until_us)
    assert {usage.vpg_id for usage in used} <= {"v"}
    return [((u.hour_start_us - one.start_us) // HOUR_US, u.bill_item, u.quantity) for u in used]


def test_lines_owe_each_month_they_touch_and_new_ones_from_their_growth_on() -> None:
    # Five in April; in May the five (two end after 1.5 hours of it) and three new ones.
    assert fees(scenario()) == [(0, "line_basic", 5), (24, "line_basic", 8)]
    assert fees(scenario(), scenario().start_us + HOUR_US) == [(0, "line_basic", 5)]


def test_suspended_lines_pay_and_unopened_ones_do_not() -> None:
    assert fees(scenario("suspended")) == [(0, "line_basic", 5), (24, "line_basic", 8)]
    assert fees(scenario("standby")) == [
        (0, "line_standby", 5),
        (24, "line_basic", 3),
        (24, "line_standby", 5),
    ]
    assert fees(scenario("terminated")) == [(24, "line_basic", 3)]


def test_ready_lines_are_in_use_where_they_connect() -> None:
    assert fees(scenario("ready", "at_start"))[0] == (0, "line_basic", 5)
    assert fees(scenario("ready", "on_event"))[0] == (0, "line_ready", 5)


def test_lines_that_are_not_opened_yet_may_open_and_nothing_else() -> None:
    fleet = scenario("terminated").fleets[0]
    for status, possible in (("active", True), ("suspended", False), ("ready", False)):
        states = LineStates([fleet], 0)
        change = model.LineChange(at_us=5, fleet="used", first_line=1, lines=2, status=status)  # type: ignore[arg-type]
        refused = states.take(change)
        assert [(r.first, r.last, r.allowed) for r in refused] == (
            [] if possible else [(1, 2, ("active",))]
        )
        assert [(g.first, g.end, g.status) for g in states.groups("used")] == [
            (0, 1, "terminated"),
            (1, 3, "active" if possible else "terminated"),
            (3, 5, "terminated"),
        ]
        ended = replace(change, at_us=6, status="terminated")
        again = replace(change, at_us=7, status="active")
        assert states.take(ended) == []
        assert bool(states.take(again)) == possible  # what was ended once stays so


def test_events_of_other_fleets_and_kinds_change_no_line() -> None:
    one = scenario()
    states = LineStates(one.fleets, one.start_us)
    before = list(states.groups("used"))
    for event in (
        model.Growth(at_us=1, fleet="other", lines=1),
        model.LineChange(at_us=1, fleet="other", first_line=0, lines=1, status="ready"),
        model.ForcedCut(at_us=1, fleets=("used",)),
    ):
        assert states.take(event) == []
    assert list(states.groups("used")) == before


def test_a_run_charges_its_lines_where_a_table_prices_them(tmp_path: Path) -> None:
    one = scenario()
    rows = simulate(one, load_catalogue()).rows
    plain = charges_of(one, rows, load_catalogue())
    catalogue = with_table(tmp_path, PRICES)
    priced = charges_of(one, rows, catalogue)
    more = [charge for charge in priced if charge.bill_item.startswith("line_")]
    assert [charge for charge in priced if charge not in more] == plain
    assert [
        ((c.hour_start_us - one.start_us) // HOUR_US, c.bill_item, c.quantity, c.amount_micro_yen)
        for c in more
    ] == [
        (0, "line_basic", 4, 1_200_000_000),
        (0, "line_basic_free", 1, 0),
        (24, "line_basic", 7, 2_100_000_000),
        (24, "line_basic_free", 1, 0),
    ]
    assert charges_of(one, [], load_catalogue()) == []
    for rounding in ("monthly_total", "per_item", "per_day"):
        rounded = replace(one, assumptions=replace(one.assumptions, a15_rounding=rounding))
        expected = bill_months(priced, catalogue, rounding)
        assert bill_of(rounded, rows, catalogue) == expected


def test_a_vpg_owes_its_hours_whatever_its_lines_do() -> None:
    """Suspended, stopped, terminated or none at all: the VPG is paid for until it is deleted."""
    catalogue = load_catalogue()
    used = scenario()
    kinds = [scenario(status) for status in ("active", "suspended", "inactive", "terminated")]
    kinds.append(replace(used, fleets=(), events=()))
    deleted_us = used.start_us + 5 * HOUR_US - 1
    for one in kinds:
        vpg = replace(one.vpgs[0], deleted_at_us=deleted_us)
        short = replace(one, vpgs=(vpg,), end_us=used.start_us + 8 * HOUR_US, events=())
        charges = charges_of(short, simulate(short, catalogue).rows, catalogue)
        hourly = [c for c in charges if c.bill_item == "vpg_c_small"]
        assert [(c.hour_start_us - one.start_us) // HOUR_US for c in hourly] == [0, 1, 2, 3, 4]
        assert all(c.amount_micro_yen == 50_000_000 for c in hourly)
