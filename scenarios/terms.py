"""How a scenario reads the terms where they can be read in two ways, as rating wants to know it.

Owns: the passing on, and what of a scenario is charged beside its hourly metrics. Does not own: the
assumptions (``scenarios.model``) or the rating (``vpg.rating.charges``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scenarios.line_states import line_usage
from vpg.catalogue.items import LINE_ITEMS
from vpg.rating.charges import ChargePolicy, charge_key, rate_hours, rate_usage
from vpg.timebase import HOUR_US

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scenarios.model import Scenario
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
    charges = rate_hours(rows, catalogue, charge_policy(scenario))
    if rows and catalogue.prices_usage(LINE_ITEMS):
        until_us = max(row.hour_start_us for row in rows) + HOUR_US
        lines = line_usage(scenario, min(until_us, scenario.end_us))
        charges = sorted([*charges, *rate_usage(lines, catalogue)], key=charge_key)
    return charges
