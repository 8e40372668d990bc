"""Connections of a VPG: Peering, VIF and VPN.

Owns: which kinds there are, how their number changes, and when it deserves a warning (A-21). Does
not own: which type may have which kind (``vpg.catalogue``) or prices and the included connection
(``vpg.rating``). No times; counts only.
"""

from __future__ import annotations

from typing import Final, Literal

ConnectionKind = Literal["peering", "vif", "vpn"]
KINDS: Final[tuple[ConnectionKind, ...]] = ("peering", "vif", "vpn")

USUAL_MAX: Final = 50
"""Most connections of a kind before a warning (A-21).

The VPG's own limit is "set elsewhere" in the terms; this is the default quota of VPC peerings per
VPC. Source: AWS, Amazon VPC quotas page.
"""


def above_usual(count: int) -> bool:
    """Tell whether ``count`` connections of one kind deserve a warning (never an error).

    >>> above_usual(50), above_usual(51)
    (False, True)
    """
    return count > USUAL_MAX


def changed(count: int, change: int) -> int:
    """Return ``count`` after adding (negative ``change``: removing) connections, never below 0.

    >>> changed(2, 1), changed(1, -3)
    (3, 0)
    """
    return max(count + change, 0)
