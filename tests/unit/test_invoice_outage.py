"""What an outage takes off the bill, condition by condition."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from tests.support_billing import MONTH, POLICY, YEN, account, policy
from vpg.billing.calendar import month_bounds_us
from vpg.billing.outage import (
    Outage,
    credit,
    damages_yen,
    hourly_fee,
    outage_lines,
    refusal,
    unusable_us,
)
from vpg.errors import InputError
from vpg.rating.charges import ChargeRow
from vpg.text import LANGS, render
from vpg.timebase import HOUR_US

BEGAN = month_bounds_us(MONTH)[0] + 100 * HOUR_US
FEE = 36_000 * YEN


def outage(hours: int = 24, us: int = 0, **changes: Any) -> Outage:
    """Return an outage of a C Small that its provider caused and knew of at once."""
    fields: dict[str, Any] = {
        "service": "vpg",
        "began_us": BEGAN,
        "aware_us": BEGAN,
        "ended_us": BEGAN + hours * HOUR_US + us,
        "complete": True,
        "fault": "provider",
        "known_on": dt.date(2026, 4, 10),
        "claimed_on": dt.date(2026, 7, 10),
        "month": MONTH,
        "hourly_fee_micro": 50 * YEN,
        "month_fee_micro": FEE,
    }
    return Outage(**(fields | changes))


@pytest.mark.parametrize(
    ("hours", "us", "days"),
    [(0, 0, 0), (24, -1, 0), (24, 0, 1), (24, 1, 1), (48, -1, 1), (48, 0, 2), (240, 0, 10)],
)
def test_each_whole_day_gives_24_hourly_fees(hours: int, us: int, days: int) -> None:
    given = credit(outage(hours, us), POLICY)
    assert (given.days, given.amount_micro) == (days, days * 24 * 50 * YEN)
    assert given.refused == ("" if days else "under_24_hours")


def test_the_count_starts_when_the_provider_is_aware() -> None:
    late = outage(47, aware_us=BEGAN + 24 * HOUR_US)
    assert refusal(late) == "under_24_hours"
    assert credit(outage(48, aware_us=BEGAN + 24 * HOUR_US), POLICY).days == 1
    assert unusable_us(outage(1, aware_us=BEGAN + 9 * HOUR_US)) == 0
    # Known before it began (planned work): nothing was unusable yet.
    assert unusable_us(outage(24, aware_us=BEGAN - HOUR_US)) == 24 * HOUR_US


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({}, ""),
        ({"fault": "carrier_or_cloud"}, "not_provider"),
        ({"fault": "third_party", "gross": True}, "not_provider"),
        ({"complete": False}, "not_complete"),
        ({"claimed_on": None}, "not_claimed"),
        ({"claimed_on": None, "gross": True}, "not_claimed"),
        ({"claimed_on": dt.date(2026, 7, 11)}, "too_late"),
        ({"claimed_on": dt.date(2026, 7, 11), "gross": True}, ""),
    ],
)
@pytest.mark.parametrize("service", ["vpg", "flux"])
def test_every_condition_must_hold(changes: dict[str, Any], refused: str, service: Any) -> None:
    one = outage(48, **({"service": service} | changes))
    assert refusal(one) == refused
    assert bool(credit(one, POLICY).amount_micro) == (not refused)


@pytest.mark.parametrize(
    ("month_fee", "micro"), [(FEE, 2_400 * YEN), (36_001 * YEN, 2_400_066_667)]
)
def test_a_day_may_be_a_share_of_the_month(month_fee: int, micro: int) -> None:
    shares = policy(outage_credit="share_of_month")
    assert credit(outage(48, month_fee_micro=month_fee), shares).amount_micro == micro
    # Flux has no hourly fee: always a share.
    flux = outage(48, service="flux", month_fee_micro=month_fee)
    assert credit(flux, POLICY) == credit(flux, shares)
    assert credit(flux, POLICY).amount_micro == micro


def test_the_credit_stops_at_the_months_fee_save_for_gross_negligence() -> None:
    long = 40 * 24
    assert credit(outage(long), POLICY).amount_micro == FEE
    assert credit(outage(long, gross=True), POLICY).amount_micro == 48_000 * YEN


@pytest.mark.parametrize(
    ("changes", "yen"),
    [
        ({}, 0),
        ({"damage_yen": 1_000}, 0),  # the credit covers it
        ({"damage_yen": 5_000}, 5_000 - 1_200),
        ({"damage_yen": 99_999}, 36_000 - 1_200),
        ({"damage_yen": 99_999, "gross": True}, 99_999 - 1_200),
        ({"damage_yen": 5_000, "claimed_on": None}, 5_000),
        ({"damage_yen": 99_999, "month_fee_micro": 0}, 0),
        ({"damage_yen": 5_000, "service": "flux"}, 0),  # the credit is the only remedy
        ({"damage_yen": 5_000, "service": "flux", "gross": True}, 5_000 - 1_200),
        ({"damage_yen": 5_000, "fault": "third_party", "received_yen": 5_000}, 0),
        ({"damage_yen": 5_000, "fault": "carrier_or_cloud"}, 0),
        ({"damage_yen": 5_000, "fault": "carrier_or_cloud", "received_yen": 3_000}, 3_000),
        ({"damage_yen": 99_999, "fault": "carrier_or_cloud", "received_yen": 99_999}, 99_999),
        ({"damage_yen": 5_000, "fault": "carrier_or_cloud", "received_yen": 9_000}, 5_000),
    ],
)
def test_damages_have_their_limits(changes: dict[str, Any], yen: int) -> None:
    assert damages_yen(outage(24, **changes), POLICY) == yen


def test_a_credit_lowers_the_tax_and_damages_do_not() -> None:
    lines = outage_lines(
        (outage(24, damage_yen=5_000, note="fire"), outage(23), outage(1, damage_yen=7)),
        account(),
        POLICY,
    )
    assert [(line.kind, line.amount_micro, line.tax_ppm) for line in lines] == [
        ("outage_credit", -1_200 * YEN, 100_000),
        ("damages", -3_800 * YEN, 0),
        ("damages", -7 * YEN, 0),
    ]
    assert lines[0].note == "1 days. fire"


def test_an_outage_that_ends_before_it_begins_is_told() -> None:
    with pytest.raises(InputError) as error:
        unusable_us(outage(-1))
    assert [problem.code for problem in error.value.problems] == ["VPG1704"]
    for lang in LANGS:
        assert "vpg" in render(error.value.problems[0], lang)


def test_the_hourly_fee_is_that_of_the_hour_without_one_off_fees() -> None:
    def row(vpg_id: str, item: str, yen: int | None, hour: int = 0) -> ChargeRow:
        micro = None if yen is None else yen * YEN
        return ChargeRow(
            vpg_id=vpg_id,
            hour_start_us=BEGAN + hour * HOUR_US,
            bill_item=item,
            quantity=1,
            unit_price_micro_yen=micro,
            amount_micro_yen=micro,
        )

    rows = [
        row("a", "vpg_c_small", 50),
        row("a", "contract_fee_c", 980),
        row("a", "junction_base", 15),
        row("a", "vpg_g", None),
        row("a", "vpg_c_small", 50, hour=1),
        row("b", "vpg_c_large", 300),
    ]
    assert hourly_fee(rows, {"a"}, BEGAN + HOUR_US - 1) == 65 * YEN
    assert hourly_fee(rows, {"a", "b"}, BEGAN) == 365 * YEN
