"""How a scenario reads the terms where they can be read in two ways, as rating wants to know it.

Owns: the passing on, and what of a scenario is charged beside its hourly metrics. Does not own: the
assumptions (``scenarios.model``) or the rating (``vpg.rating.charges``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scenarios.line_states import line_usage
from vpg.billing.month import bill_months
from vpg.catalogue.items import LINE_ITEMS
from vpg.rating.charges import ChargePolicy, charge_key, rate_usage
from vpg.rating.columns import hourly_columns, rate_columns
from vpg.timebase import HOUR_US

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scenarios.model import Scenario
    from vpg.billing.month import Bill
    from vpg.catalogue.model import Catalogue
    from vpg.rating.charges import ChargeRow
    from vpg.rating.hourly import HourlyRow


def charge_policy(scenario: Scenario) -> ChargePolicy:
    """Return the readings of the terms that ``scenario`` assumes."""
    assumed = scenario.assumptions
    return ChargePolicy(
        included_connection=assumed.a09_included_connection,
        inspection=assumed.a10_inspection,
        junction_inspection=assumed.a11_junction_inspection,
        resize_hour=assumed.a32_resize_hour,
    )


def charges_of(
    scenario: Scenario, rows: Sequence[HourlyRow], catalogue: Catalogue
) -> list[ChargeRow]:
    """Return the charges of a run: its hours, and its lines where a user's table prices lines.

    Lines are charged up to the end of the last hour of ``rows``, so a stopped run owes what it saw.
    """
    charged = rate_columns(hourly_columns(rows), catalogue, charge_policy(scenario))
    lines = _lines(scenario, rows, catalogue)
    return sorted([*charged.rows(), *lines], key=charge_key) if lines else charged.rows()


def bill_of(scenario: Scenario, rows: Sequence[HourlyRow], catalogue: Catalogue) -> Bill:
    """Return the bill of ``charges_of``, without making a row of every charge."""
    charged = rate_columns(hourly_columns(rows), catalogue, charge_policy(scenario))
    rounding = scenario.assumptions.a15_rounding
    summed = charged.summed(by_day=rounding == "per_day")
    return bill_months([*summed, *_lines(scenario, rows, catalogue)], catalogue, rounding)


def _lines(scenario: Scenario, rows: Sequence[HourlyRow], catalogue: Catalogue) -> list[ChargeRow]:
    if not rows or not catalogue.prices_usage(LINE_ITEMS):
        return []
    until_us = max(row.hour_start_us for row in rows) + HOUR_US
    return rate_usage(line_usage(scenario, min(until_us, scenario.end_us)), catalogue)
