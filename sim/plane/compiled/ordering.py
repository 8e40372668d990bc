"""Order within a bin: keys, and whose they are (-1: a first try, else a waiting message)."""

from __future__ import annotations

from typing import Final

from sim.plane.compiled.jit import Ints, inner
from sim.plane.compiled.steady_layout import (
    HOLDERS,
    HOLDERS2,
    N_CREATED_US,
    N_SOURCE,
    NODE_SIZE,
    NODES,
    ORDER,
    ORDER2,
)  # fmt: skip

_FEW: Final = 6
MANY: Final = 64
"""Up to here tries are ordered by counting how many come before each."""


@inner
def before(s: Ints, key: int, holder: int, key2: int, holder2: int) -> bool:
    """Return whether one try comes first; of two retries of a line at once, the older message's."""
    if key != key2 or holder < 0 or holder2 < 0:
        return key < key2
    one, other = s[NODES] + holder * NODE_SIZE, s[NODES] + holder2 * NODE_SIZE
    if s[one + N_CREATED_US] != s[other + N_CREATED_US]:
        return s[one + N_CREATED_US] < s[other + N_CREATED_US]
    return s[one + N_SOURCE] < s[other + N_SOURCE]


@inner
def _by_steps(s: Ints, count: int) -> None:
    order, holders = s[ORDER], s[HOLDERS]
    gap = 1
    while gap < count // 3:
        gap = 3 * gap + 1
    while gap > 1:
        for i in range(gap, count):
            key, holder, j = s[order + i], s[holders + i], i
            while j >= gap and s[order + j - gap] > key:
                s[order + j] = s[order + j - gap]
                s[holders + j] = s[holders + j - gap]
                j -= gap
            s[order + j] = key
            s[holders + j] = holder
        gap //= 3


@inner
def _by_rank(s: Ints, count: int) -> None:
    order, holders, order2, holders2 = s[ORDER], s[HOLDERS], s[ORDER2], s[HOLDERS2]
    for i in range(count):
        key = s[order + i]
        rank = 0
        for j in range(count):
            rank += s[order + j] < key
        for j in range(i):
            rank += s[order + j] == key
        s[order2 + rank] = key
        s[holders2 + rank] = s[holders + i]
    for i in range(count):
        s[order + i] = s[order2 + i]
        s[holders + i] = s[holders2 + i]


@inner
def sort_bin(s: Ints, count: int) -> None:
    """Order the first ``count`` tries."""
    order, holders = s[ORDER], s[HOLDERS]
    if count > MANY:
        _by_steps(s, count)
    elif count > _FEW:
        _by_rank(s, count)
    for i in range(1, count):
        key, holder, j = s[order + i], s[holders + i], i
        while j > 0 and before(s, key, holder, s[order + j - 1], s[holders + j - 1]):
            s[order + j] = s[order + j - 1]
            s[holders + j] = s[holders + j - 1]
            j -= 1
        s[order + j] = key
        s[holders + j] = holder
