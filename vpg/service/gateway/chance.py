"""Chance of the live service: a share of things goes wrong, the same ones in every life.

Owns: one small counter-based hash. Does not own: which shares there are (``vpg.service.values``).
No state: what is drawn depends only on the seed, the name and the serial number.
"""

from __future__ import annotations

import zlib
from typing import Final

_MILLION: Final = 1_000_000
_WORD: Final = (1 << 64) - 1
_GOLDEN: Final = 0x9E37_79B9_7F4A_7C15


def mixed(word: int) -> int:
    """Return ``word`` (64 bits) mixed: each bit of it moves about half the bits of the result.

    Source: G. L. Steele, D. Lea, C. H. Flood, "Fast splittable pseudorandom number generators",
    OOPSLA 2014 (SplitMix64).

    >>> hex(mixed(1 * 0x9E3779B97F4A7C15 & (1 << 64) - 1))
    '0xe220a8397b1dcdaf'
    """
    word = (word ^ (word >> 30)) * 0xBF58_476D_1CE4_E5B9 & _WORD
    word = (word ^ (word >> 27)) * 0x94D0_49BB_1331_11EB & _WORD
    return word ^ (word >> 31)


class HashChance:
    """Chance by a hash of what it is for."""

    def __init__(self, seed: int = 0) -> None:
        """Draw by ``seed``."""
        self._seed = mixed(seed & _WORD)

    def hits(self, share_ppm: int, what: str, sim_id: str, serial: int) -> bool:
        """Return whether the ``serial``-th ``what`` of a line is among ``share_ppm``."""
        name = f"{what}\0{sim_id}".encode()
        key = mixed(self._seed ^ zlib.crc32(name) ^ (zlib.adler32(name) << 32))
        return mixed((key + serial * _GOLDEN) & _WORD) * _MILLION >> 64 < share_ppm
