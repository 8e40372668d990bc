"""Objectives are judged against totals, never met by rounding."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from scenarios import model
from scenarios.objectives import judge
from tests.support_scenarios import SMALL, meant
from vpg.billing.month import Bill
from vpg.errors import EnsureError
from vpg.rating.totals import Totals

BILL = Bill(
    rounding="monthly_total",
    months=(),
    tax_excluded_yen=100,
    tax_yen=10,
    tax_included_yen=110,
    complete=True,
    unpriced=(),
)


def judged(
    kind: str, limit: int, whole: Totals, vpg_id: str = "", bill: Bill = BILL
) -> tuple[int, bool]:
    scenario = meant(SMALL)
    objective = model.Objective(kind=kind, limit=limit, vpg_id=vpg_id)
    (result,) = judge(dataclasses.replace(scenario, objectives=(objective,)), whole, bill)
    assert (result.kind, result.limit, result.vpg_id) == (kind, limit, vpg_id)
    return result.measured, result.met


def totals(**figures: Any) -> Totals:
    return Totals(**figures)


@pytest.mark.parametrize(
    ("kind", "figures", "measured"),
    [
        ("accepted_ppm_min", {"messages_delivered": 2, "lost_tries": 1}, 666_666),
        ("accepted_ppm_min", {"messages_delivered": 2, "pending_end": 9}, 1_000_000),
        ("accepted_ppm_min", {"lost_buffer": 1, "lost_deadline": 1, "lost_cancelled": 1}, 0),
        ("accepted_ppm_min", {}, 1_000_000),
        ("throttled_ppm_max", {"attempts_beam": 2, "attempts_ip": 9, "throttled_beam": 1}, 500_000),
        ("throttled_ppm_max", {"attempts_funk": 3, "throttled_funk": 1}, 333_334),
        ("throttled_ppm_max", {"attempts_ip": 9}, 0),
        ("refused_attach_ppm_max", {"attach_attempts": 3, "sessions_refused": 2}, 666_667),
        ("lost_messages_max", {"lost_tries": 1, "lost_buffer": 2}, 3),
        ("delay_us_p99_max", {"delay_us_p99": 77}, 77),
        ("rate_peak_per_s_max", {"rate_peak_per_s": 31}, 31),
        ("lines_peak_max", {"lines_peak": 1001}, 1001),
        ("charges_yen_max", {}, 110),
    ],
)  # fmt: skip
def test_what_each_kind_measures(kind: str, figures: dict[str, int], measured: int) -> None:
    low = kind.endswith("_min")
    assert judged(kind, measured, totals(**figures)) == (measured, True)
    assert judged(kind, measured + 1, totals(**figures)) == (measured, not low)
    assert judged(kind, measured - 1, totals(**figures)) == (measured, low)


def test_of_all_vpgs_peaks_and_delays_are_the_worst_ones() -> None:
    parts = tuple(totals(vpg_id=name, delay_us_p99=p99) for name, p99 in (("a", 5), ("b", 90)))
    whole = totals(delay_us_p99=7, per_vpg=parts)
    assert judged("delay_us_p99_max", 10, whole) == (90, False)
    assert judged("delay_us_p99_max", 10, whole, vpg_id="a") == (5, True)


def test_a_vpg_that_never_existed_has_nothing() -> None:
    whole = totals(messages_delivered=1, lost_tries=1, per_vpg=())
    assert judged("accepted_ppm_min", 1_000_000, whole, vpg_id="gate") == (1_000_000, True)


def test_charges_that_lack_something_keep_no_promise() -> None:
    lacking = dataclasses.replace(BILL, complete=False, unpriced=(("gate", "vpg_e"),))
    for limit in (1, 110, 10**15):
        assert judged("charges_yen_max", limit, totals(), bill=lacking) == (110, False)
    assert judged("lines_peak_max", 0, totals(), bill=lacking) == (0, True)


def test_an_unknown_kind_is_our_own_mistake() -> None:
    with pytest.raises(EnsureError):
        judged("happiness_max", 1, totals())
