"""How a scenario reads the terms where they can be read in two ways, as rating wants to know it.

Owns: the passing on. Does not own: the assumptions (``scenarios.model``) or the rating
(``vpg.rating.charges``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpg.rating.charges import ChargePolicy

if TYPE_CHECKING:
    from scenarios.model import Scenario


def charge_policy(scenario: Scenario) -> ChargePolicy:
    """Return the readings of the terms that ``scenario`` assumes."""
    assumed = scenario.assumptions
    return ChargePolicy(
        included_connection=assumed.a09_included_connection,
        inspection=assumed.a10_inspection,
        junction_inspection=assumed.a11_junction_inspection,
        resize_hour=assumed.a32_resize_hour,
    )
