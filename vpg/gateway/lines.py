"""The line cap of a VPG: whether one more session may be created.

Owns: the decision at the cap for each reading of A-01 and A-02. Does not own: who holds a session,
ghosts and their replacement (``sim``, the live service), or the caps (``vpg.catalogue``). No times;
counts of lines only.

Plain functions over integers that Numba compiles unchanged, like the request limiter.
"""

from __future__ import annotations

from typing import Final

NO_CAP: Final = -1
"""``lines_max`` of a type whose cap no document gives (A-23)."""

REFUSE: Final = 0
ACCEPT_AND_FLAG: Final = 1
EVICT_LONGEST_IDLE: Final = 2
"""What is done above the cap (A-02), as code."""
POLICY_CODES: Final = {
    "refuse": REFUSE,
    "accept_and_flag": ACCEPT_AND_FLAG,
    "evict_longest_idle": EVICT_LONGEST_IDLE,
}
"""The codes by the literals of the assumption."""

REFUSED: Final = 0
CREATED: Final = 1
CREATED_FLAGGED: Final = 2
CREATED_EVICT: Final = 3
"""Decisions. ``CREATED_EVICT``: delete the longest idle session first, so the count stays."""


def admit_session(sessions: int, lines_max: int, policy: int) -> int:
    """Decide on one more session when ``sessions`` (ghosts included) exist.

    The reconnect of a line that holds a ghost replaces it and needs no decision (A-17).

    >>> admit_session(999, 1000, REFUSE), admit_session(1000, 1000, REFUSE)
    (1, 0)
    >>> admit_session(1000, 1000, EVICT_LONGEST_IDLE), admit_session(1 << 40, NO_CAP, REFUSE)
    (3, 1)
    """
    if lines_max < 0 or sessions < lines_max:
        return CREATED
    if policy == ACCEPT_AND_FLAG:
        return CREATED_FLAGGED
    # A cap of no lines at all leaves nobody to evict.
    if policy == EVICT_LONGEST_IDLE and sessions > 0:
        return CREATED_EVICT
    return REFUSED


def admit_assigned(assigned_before: int, lines_max: int, policy: int) -> int:
    """Decide on a session when the cap counts assigned lines (A-01 ``assigned_sims``).

    ``assigned_before``: lines assigned to the VPG before this one. A line above the cap is never
    accommodated, whoever else is online; there is nobody idle to evict, so eviction refuses.

    >>> admit_assigned(999, 1000, REFUSE), admit_assigned(1000, 1000, EVICT_LONGEST_IDLE)
    (1, 0)
    """
    if lines_max < 0 or assigned_before < lines_max:
        return CREATED
    if policy == ACCEPT_AND_FLAG:
        return CREATED_FLAGGED
    return REFUSED
