"""What of an ordered VPG its bill depends on: the same for a simulated and for a served one.

Owns: the passing on. Does not own: the scenario's values (``scenarios.model``) or the ledger that
begins with them (``vpg.rating.ledger``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpg.rating.ledger import BillingState

if TYPE_CHECKING:
    from scenarios.model import Vpg


def billing_state(vpg: Vpg) -> BillingState:
    """Return the billing state in which ``vpg`` is created."""
    return BillingState(
        type=vpg.type,
        size=vpg.size,
        peering=vpg.peering,
        vif=vpg.vif,
        vpn=vpg.vpn,
        mirroring=vpg.mirroring,
        redirection=vpg.redirection,
        inspection=vpg.inspection,
        fixed_ip_sets=vpg.fixed_ip_sets,
    )
