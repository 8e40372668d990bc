"""Connections of a VPG: Peering, VIF and VPN.

Owns: which kinds there are, which a type may have, and when their number deserves a warning (A-21).
Does not own: prices and the included connection (``vpg.rating``), or other features of a type
(``vpg.catalogue``). No times; counts only.
"""

from __future__ import annotations

from typing import Final, Literal

ConnectionKind = Literal["peering", "vif", "vpn"]
KINDS: Final[tuple[ConnectionKind, ...]] = ("peering", "vif", "vpn")

_ALL: Final[frozenset[ConnectionKind]] = frozenset(KINDS)
_KINDS_BY_TYPE: Final[dict[str, frozenset[ConnectionKind]]] = {
    "C": frozenset({"peering"}),
    "D": _ALL,
}
"""Source: VPG terms, 2.1 and chapter 18 (Canal for C; Canal, Direct and Door for D)."""

USUAL_MAX: Final = 50
"""Most connections of a kind before a warning (A-21).

The VPG's own limit is "set elsewhere" in the terms; this is the default quota of VPC peerings per
VPC. Source: AWS, Amazon VPC quotas page.
"""


def kinds_of(vpg_type: str) -> frozenset[ConnectionKind]:
    """Return the kinds of connection a VPG type may have.

    No document gives the matrix of the types E, F, F2 and G, so nothing is forbidden there.

    >>> sorted(kinds_of("C")), sorted(kinds_of("D"))
    (['peering'], ['peering', 'vif', 'vpn'])
    """
    return _KINDS_BY_TYPE.get(vpg_type, _ALL)


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
