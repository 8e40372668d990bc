"""Every random draw of the product: counter-based, so a draw is a pure function of what it is for.

Owns: the generator (Philox4x64-10) and how a purpose becomes a key and a counter. Does not own:
laws (``laws``). A draw depends on (seed, replication, fleet, line, purpose, source, message,
attempt) and on nothing else: not on the VPG, the sweep point, the order of events or the number of
workers. So variants share their randomness, and any hour of any line can be computed without the
hours before.

Word ``w`` of a place is word ``w % 4`` of block ``w // 4`` of
``numpy.random.Philox(key=[stream, line], counter=[0, purpose | source << 8, message, attempt])``
(both as uint64 arrays: of Python integers above 2**63 numpy makes floats).
The jitter of tick k is word k % 4 at the place of message k // 4: one block serves four ticks.
Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

from __future__ import annotations

import enum
import hashlib
import zlib
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

U64: TypeAlias = npt.NDArray[np.uint64]

M0 = 0xD2E7470EE14C6C93
M1 = 0xCA5A826395121157
W0 = 0x9E3779B97F4A7C15
W1 = 0xBB67AE8584CAA73B
_MASK = (1 << 64) - 1
ROUNDS = 10
_LOW = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)


class Purpose(enum.IntEnum):
    """What a draw decides; a number is never used again for something else."""

    PHASE = 1
    JITTER = 2
    COUNT = 3
    PLACE = 4
    PAYLOAD = 5
    SHARE = 6
    INTERVAL = 7
    RETRY = 8
    ATTACH_RETRY = 9
    SESSION_LENGTH = 10
    START_RAMP = 11
    EVENT_RAMP = 12
    EVENT_SHARE = 13
    UPSTREAM = 14
    MIRROR = 15


def stream_key(seed: int, replication: int, fleet: str) -> int:
    """Return the 64-bit key of a fleet's draws."""
    text = f"vpgsim-draws-v1|{seed}|{replication}|{fleet}".encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "little")


def place(purpose: Purpose, source: str = "") -> int:
    """Return the counter word that names ``purpose`` and, where it has one, the traffic source."""
    return int(purpose) | (zlib.crc32(source.encode()) << 8 if source else 0)


def block(  # noqa: PLR0917 - the six words of the generator, in its own order
    c0: int, c1: int, c2: int, c3: int, k0: int, k1: int
) -> tuple[int, int, int, int]:
    """Return the four 64-bit words of one Philox block."""
    for _ in range(ROUNDS):
        p0 = M0 * c0
        p1 = M1 * c2
        c0 = (p1 >> 64) ^ c1 ^ k0
        c1 = p1 & _MASK
        c2 = (p0 >> 64) ^ c3 ^ k1
        c3 = p0 & _MASK
        k0 = (k0 + W0) & _MASK
        k1 = (k1 + W1) & _MASK
    return c0, c1, c2, c3


class Draws:
    """The draws of one fleet, one at a time (for what happens rarely, such as retries)."""

    __slots__ = ("_counter", "_generator", "_key", "_state", "key")

    def __init__(self, key: int) -> None:
        """Draw under the stream ``key`` (see ``stream_key``)."""
        self.key = key
        self._generator = np.random.Philox(key=np.zeros(2, np.uint64))
        self._state = self._generator.state
        self._counter = self._state["state"]["counter"]
        self._key = self._state["state"]["key"]
        self._key[0] = key
        self._state["buffer_pos"] = 4

    def words(self, line: int, where: int, message: int, attempt: int = 0) -> list[int]:
        """Return the first four 64-bit words at a place."""
        # Setting the state of one generator is twice as fast as rounds in Python.
        counter = self._counter
        counter[0] = 0
        counter[1] = where
        counter[2] = message
        counter[3] = attempt
        self._key[1] = line
        self._generator.state = self._state
        words: list[int] = self._generator.random_raw(4).tolist()
        return words


def mulhi(a: U64, b: U64 | np.uint64) -> U64:
    """Return the upper 64 bits of the 128-bit products."""
    a_low, a_high = a & _LOW, a >> _32
    b_low, b_high = b & _LOW, b >> _32
    cross = a_high * b_low + ((a_low * b_low) >> _32)
    high: U64 = a_high * b_high + (cross >> _32) + ((a_low * b_high + (cross & _LOW)) >> _32)
    return high


def blocks(  # noqa: PLR0917 - the six words of the generator, in its own order
    c0: U64, c1: U64, c2: U64, c3: U64, k0: int, k1: U64
) -> tuple[U64, U64, U64, U64]:
    """Return the four words of many Philox blocks at once; arrays of one shape."""
    m0, m1 = np.uint64(M0), np.uint64(M1)
    for turn in range(ROUNDS):
        key0 = np.uint64((k0 + turn * W0) & _MASK)
        key1 = k1 + np.uint64((turn * W1) & _MASK)
        high0, low0 = mulhi(c0, m0), c0 * m0
        high1, low1 = mulhi(c2, m1), c2 * m1
        c0, c1, c2, c3 = high1 ^ c1 ^ key0, low1, high0 ^ c3 ^ key1, low0
    return c0, c1, c2, c3


def words_of(  # noqa: PLR0917 - as above
    key: int, lines: U64, where: int, messages: U64, attempts: U64 | None = None, index: int = 0
) -> tuple[U64, U64, U64, U64]:
    """Return words 4 × ``index`` … 4 × ``index`` + 3 at many places (one line and message each)."""
    shape = np.broadcast_shapes(lines.shape, messages.shape)
    full = np.broadcast_to(lines, shape), np.broadcast_to(messages, shape)
    c0 = np.full(shape, index + 1, np.uint64)
    c1 = np.full(shape, where, np.uint64)
    c3 = np.zeros(shape, np.uint64) if attempts is None else np.broadcast_to(attempts, shape)
    return blocks(c0, c1, full[1], c3, key, full[0])
