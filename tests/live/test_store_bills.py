"""Bills out of a store: temporary, closed, corrected; together exactly what everything owes."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tests.support_rating import with_table
from tests.support_service_store import OPERATOR, T0, configured, opened, order, request
from vpg.catalogue.load import load_catalogue
from vpg.rating.charges import ChargePolicy, rate_hours
from vpg.rating.events import Config, UsageEvent
from vpg.service.store.bills import ServiceBill, bill, months_of
from vpg.service.values import BillingRules
from vpg.timebase import DAY_US, HOUR_US, month_start, next_month_start

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from vpg.billing.policy import Rounding
    from vpg.catalogue.model import Catalogue
    from vpg.rating.charges import ChargeRow
    from vpg.service.store.sqlite import SqliteStore

MAY = next_month_start(T0)
JUNE = next_month_start(MAY)
JULY = next_month_start(JUNE)
CATALOGUE = load_catalogue()
SMALL = Config(size="small", oneOff=("contract_fee_c",))


def rules(rounding: Rounding = "monthly_total") -> BillingRules:
    return BillingRules(charges=ChargePolicy(), rounding=rounding)


def bill_of(
    store: SqliteStore, month: str, now_us: int, catalogue: Catalogue = CATALOGUE, **how: Any
) -> ServiceBill:
    return bill(store, month, now_us, operator_id=OPERATOR, catalogue=catalogue, rules=rules(**how))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = opened(tmp_path / "s.db")
    store.put_vpgs([order("v0"), order("v1"), order("theirs", "OP0000000002")])
    yield store
    store.close()


def quantities(rows: Sequence[ChargeRow]) -> Counter[tuple[str, int, str]]:
    found: Counter[tuple[str, int, str]] = Counter()
    for row in rows:
        found[row.vpg_id, row.hour_start_us, row.bill_item] += row.quantity
    return Counter({key: value for key, value in found.items() if value})


def test_a_month_is_temporary_until_its_figures_are_final(store: SqliteStore) -> None:
    store.commit([configured("b", T0, SMALL)], T0)
    final_us = store.months.final_us(T0)
    # 7 May 2026 is the second business day of the month; until its end in Japan.
    assert final_us == MAY + 7 * DAY_US - 9 * HOUR_US
    assert bill_of(store, "202604", final_us - 1).state == "temporary"
    closed = bill_of(store, "202604", final_us)
    assert closed.state == "closed"
    assert closed.final_us == final_us
    items = {item.bill_item: item.quantity for item in closed.bill.months[0].items}
    assert items == {"contract_fee_c": 1, "vpg_c_small": 720}
    assert closed.tax_included_yen == closed.bill.tax_included_yen
    assert closed.tax_excluded_yen + closed.tax_yen == closed.tax_included_yen


def test_a_running_month_owes_the_hours_begun(store: SqliteStore) -> None:
    store.commit([configured("b", T0 + 5, SMALL)], T0 + 5)
    for now_us, hours in ((T0 + 6, 1), (T0 + HOUR_US, 1), (T0 + HOUR_US + 1, 2)):
        items = {
            item.bill_item: item.quantity
            for item in bill_of(store, "202604", now_us).bill.months[0].items
        }
        assert items["vpg_c_small"] == hours
    assert bill_of(store, "202605", T0 + 6).charges == ()


def test_an_operator_gets_his_own_bill_only(store: SqliteStore) -> None:
    config = Config(size="small", oneOff=("contract_fee_c",))
    theirs = configured("b", T0, config, vpg_id="theirs")
    store.commit([configured("b", T0, SMALL), theirs], T0)
    mine = bill_of(store, "202604", JULY)
    assert {row.vpg_id for row in mine.charges} == {"v0"}
    assert months_of(store, JUNE + 1, operator_id=OPERATOR) == ["202604", "202605", "202606"]
    assert months_of(store, T0 + 1, operator_id="nobody") == []


def told_late(store: SqliteStore) -> tuple[int, int]:
    """Tell a Peering only after April is final, and an end of a VPG after May is."""
    store.commit([configured("b", T0, SMALL), configured("b", T0, SMALL, vpg_id="v1")], T0)
    after_april = store.months.final_us(T0) + DAY_US
    more = Config(size="small", peering=3)
    store.commit([configured("late", T0 + 700 * HOUR_US, more)], after_april)
    after_may = store.months.final_us(MAY) + DAY_US
    end = Config(exists=False, size="small")
    store.commit([configured("end", MAY + 100 * HOUR_US, end, vpg_id="v1")], after_may)
    return after_april, after_may


def test_a_closed_month_says_the_same_for_ever(store: SqliteStore) -> None:
    store.commit([configured("b", T0, SMALL), configured("b", T0, SMALL, vpg_id="v1")], T0)
    before = bill_of(store, "202604", store.months.final_us(T0))
    _, after_may = told_late(store)
    for now_us in (after_may, JULY, JULY + 300 * DAY_US):
        assert bill_of(store, "202604", now_us) == before


def test_late_usage_is_a_correction_of_the_first_month_not_yet_final(store: SqliteStore) -> None:
    _, after_may = told_late(store)
    may = bill_of(store, "202605", after_may)
    # Two Peerings above the included one, for the 20 hours of April from the 700th on.
    assert [(one.charge.bill_item, one.charge.quantity) for one in may.corrections] == [
        ("peering", 2)
    ] * 20
    assert {one.month_us for one in may.corrections} == {T0}
    june = bill_of(store, "202606", JULY)
    taken_back = quantities([one.charge for one in june.corrections])
    hours = (JUNE - MAY) // HOUR_US
    assert sum(taken_back.values()) == -(hours - 100)
    assert min(hour for _, hour, _ in taken_back) == MAY + 100 * HOUR_US
    assert june.corrected.tax_included_yen < 0
    assert bill_of(store, "202607", JULY + 90 * DAY_US).corrections == ()


@pytest.mark.parametrize(("seed", "priced"), [(0, False), (1, True)])
def test_all_months_together_are_everything_rated_at_once(
    tmp_path: Path, seed: int, priced: bool
) -> None:
    """Whatever comes when: charges and corrections of all months add up to all that was used."""
    draw = random.Random(seed)
    catalogue = with_table(tmp_path, REQUEST_PRICES) if priced else CATALOGUE
    store = opened(tmp_path / "s.db")
    store.put_vpgs([order("v0"), order("v1")])
    arrivals = sorted(random_arrivals(draw), key=lambda one: (one[0], one[1].time))
    newest: dict[str, Any] = {}
    for arrived_us, one in arrivals:
        if one.type == "config.v1" and newest.get(one.data.vpgId, one.time) > one.time:
            continue  # Its checker would have refused it.
        if one.type == "config.v1":
            newest[one.data.vpgId] = one.time
        store.commit([with_size(store, one)], arrived_us)
    now_us = JULY + 40 * DAY_US
    everything = rate_hours(store.hourly(None, T0, now_us, now_us).rows, catalogue, ChargePolicy())
    billed: Counter[tuple[str, int, str]] = Counter()
    corrections = 0
    for month in months_of(store, now_us, operator_id=OPERATOR):
        one_bill = bill_of(store, month, now_us, catalogue)
        billed.update(quantities(one_bill.charges))
        for correction in one_bill.corrections:
            charge = correction.charge
            billed[charge.vpg_id, charge.hour_start_us, charge.bill_item] += charge.quantity
            corrections += 1
    assert corrections > 0
    if priced:  # Steps of a month are taken in order of the hours: compare the month's sums.
        assert by_month(billed) == by_month(quantities(everything))
    else:
        assert Counter({k: v for k, v in billed.items() if v}) == quantities(everything)
    store.close()


def with_size(store: SqliteStore, one: UsageEvent) -> UsageEvent:
    """Return a config that keeps the VPG's size where it says no other."""
    config, known = one.data.config, store.configs(one.data.vpgId)
    if config is None or config.size:
        return one
    kept = msgspec.structs.replace(config, size=known[-1].config.size)
    return msgspec.structs.replace(one, data=msgspec.structs.replace(one.data, config=kept))


def by_month(found: Counter[tuple[str, int, str]]) -> Counter[tuple[str, int, str]]:
    sums: Counter[tuple[str, int, str]] = Counter()
    for (vpg_id, hour_us, item), quantity in found.items():
        sums[vpg_id, month_start(hour_us), item] += quantity
    return Counter({key: value for key, value in sums.items() if value})


def random_arrivals(draw: random.Random) -> list[tuple[int, UsageEvent]]:
    found = []
    for vpg_id in ("v0", "v1"):
        found.append((T0 + 5, configured("b", T0 + 5, SMALL, vpg_id=vpg_id)))
        for number in range(12):
            at_us = T0 + draw.randrange(60 * DAY_US)
            resized = draw.random() < 0.5
            config = Config(
                size=draw.choice(("small", "medium")) if resized else "",
                peering=draw.randrange(4),
                inspection=draw.random() < 0.5,
                fixedIpSets=draw.randrange(3),
                resized=resized,
                oneOff=("change_fee_d",) if draw.random() < 0.3 else (),
            )
            one = configured(number, at_us, config, vpg_id=vpg_id)
            found.append((at_us + draw.choice((0, 0, 40 * DAY_US, 60 * DAY_US)), one))
        for number in range(40):
            at_us = T0 + 6 + draw.randrange(60 * DAY_US)
            sims = tuple(str(draw.randrange(20)) for _ in range(3))
            one = request(
                f"q{number}", at_us, vpg_id=vpg_id, requests=draw.randrange(1, 500), inspected=sims
            )
            found.append((at_us + draw.choice((0, 0, 35 * DAY_US, 60 * DAY_US)), one))
    return found


REQUEST_PRICES = """
id = "mine"
effective_from = 2026-01-01
[[usage]]
item = "beam_requests"
value = 2
unit = "yen/request"
free = 500
"""


@pytest.mark.parametrize("rounding", ["monthly_total", "per_item", "per_day"])
def test_the_sum_of_a_month_without_corrections_is_the_bill_itself(
    store: SqliteStore, rounding: Rounding
) -> None:
    store.commit([configured("b", T0, SMALL)], T0)
    found = bill_of(store, "202604", JULY, rounding=rounding)
    assert found.tax_excluded_yen == found.bill.tax_excluded_yen
    assert found.tax_included_yen == found.bill.tax_included_yen
    assert found.complete
