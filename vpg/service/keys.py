"""Names of usage events that grow with time, so that a store appends them.

Owns: the ids that our own gateways and clients give. Time-ordered ids are recommended to every
sender: random ones cost an index several times as much.
"""

from __future__ import annotations

OWN_SOURCE = "urn:vpg:"
"""Sources of our own gateways' events begin so, and nobody else's."""
_COUNTER_MASK = 0xFFFF_FFFF


class Keys:
    """Ids of one sender in one of its lives: ``<µs><life><counter>``, hexadecimal, ascending."""

    def __init__(self, life: int) -> None:
        """Begin the sender's ``life``-th life: no two lives of a source share a number."""
        self._life = f"{life & 0xFFFFFF:06x}"
        self._next = 0

    def next(self, at_us: int) -> str:
        """Return the next id, for an event at ``at_us`` (µs, UTC).

        >>> keys = Keys(7)
        >>> keys.next(1), keys.next(1)
        ('0000000000000100000700000000', '0000000000000100000700000001')
        """
        number = self._next
        self._next = (number + 1) & _COUNTER_MASK
        return f"{at_us:014x}{self._life}{number:08x}"
