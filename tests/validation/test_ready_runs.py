"""Ready-made scenarios answer their questions: which promises hold, as their comments say.

The demo must keep every promise. A scenario or variant that shows an overload must break one.
"""

from __future__ import annotations

import pytest

from scenarios.loader import load_scenario
from scenarios.objectives import judge
from sim.run import simulate
from tests.support import ROOT
from tests.support_scenarios import catalogue
from vpg.billing.month import bill_months
from vpg.rating.charges import ChargePolicy, rate_hours
from vpg.rating.totals import conservation, totals

FOLDER = ROOT / "scenarios" / "ready"
SHORT: dict[tuple[str, str | None], set[str]] = {
    ("smallest", None): set(),
    ("smart-meters", None): set(),
    ("alarm-storm", None): {"throttled_ppm_max"},
    ("alarm-storm", "wait_70_s"): set(),
    ("alarm-storm", "queue"): set(),
    ("alarm-storm", "twin"): {"throttled_ppm_max"},
    ("junction-slow-peer", None): set(),
    ("taxi-payments", None): set(),
}
LONG: dict[tuple[str, str | None], set[str]] = {
    ("smart-meters", "same_second"): {"throttled_ppm_max", "delay_us_p99_max"},
    ("smart-meters", "short_jitter"): {"throttled_ppm_max", "delay_us_p99_max"},
    ("smart-meters", "twin"): {"throttled_ppm_max", "delay_us_p99_max"},
    ("mass-reconnect", None): {"throttled_ppm_max"},
    ("mass-reconnect", "spread"): set(),
    ("junction-slow-peer", "wide_line"): set(),
    ("taxi-payments", "evening_x30"): {"accepted_ppm_min", "delay_us_p99_max"},
    ("vending-machines", None): set(),
    ("vending-machines", "too_often"): {"throttled_ppm_max", "accepted_ppm_min"},
    ("vending-machines", "twin"): set(),
    ("parcel-trackers", None): set(),
    ("parcel-trackers", "twin"): set(),
    ("parcel-trackers", "assigned"): {"refused_attach_ppm_max"},
    ("monthly-growth", None): {"refused_attach_ppm_max"},
    ("monthly-growth", "upgrade"): set(),
}


def broken(name: str, variant: str | None) -> set[str]:
    """Run one by the product's own road; return the kinds of the promises it breaks."""
    scenario = load_scenario(FOLDER / f"{name}.yaml", catalogue=catalogue(), variant=variant)
    result = simulate(scenario, catalogue())
    assert result.status == "complete"
    assert conservation(result.rows) == []
    charges = rate_hours(result.rows, catalogue(), ChargePolicy())
    bill = bill_months(charges, catalogue(), scenario.assumptions.a15_rounding)
    judged = judge(scenario, totals(result.rows, result.delays), bill)
    return {one.kind for one in judged if not one.met}


@pytest.mark.parametrize(("name", "variant"), SHORT)
def test_it_answers_as_its_comment_says(name: str, variant: str | None) -> None:
    assert broken(name, variant) == SHORT[name, variant]


@pytest.mark.long
@pytest.mark.parametrize(("name", "variant"), LONG)
def test_the_longer_ones_answer_too(name: str, variant: str | None) -> None:
    assert broken(name, variant) == LONG[name, variant]


def test_every_ready_made_scenario_and_variant_is_run() -> None:
    from scenarios.loader import variants
    from scenarios.new import ready_names

    known = {
        (name, variant)
        for name in ready_names()
        for variant in (None, *variants(FOLDER / f"{name}.yaml"))
    }
    assert set(SHORT) | set(LONG) == known
