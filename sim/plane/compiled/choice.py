"""Which lines an event concerns and when each acts: the reference's draws, for many at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scenarios.model import MILLION
from sim.traffic import laws
from sim.traffic.draws import Purpose, place, words_of

if TYPE_CHECKING:
    from scenarios.model import Ramp
    from sim.plane.compiled.jit import Ints


def chosen(key: int, lines: int, share_ppm: int, at_us: int) -> Ints:
    """Return which of a fleet's ``lines`` lines an event at ``at_us`` concerns."""
    everyone = np.arange(lines, dtype=np.int64)
    if share_ppm >= MILLION:
        return everyone
    where = place(Purpose.EVENT_SHARE)
    words = words_of(key, everyone.astype(np.uint64), where, np.array([at_us], np.uint64))
    return everyone[laws.below_many(words[0], MILLION) < share_ppm]


def ramps_us(key: int, lines: Ints, ramp: Ramp, purpose: Purpose, at_us: int) -> Ints:
    """Return how long after the event at ``at_us`` each line acts."""
    if ramp.shape == "at_once" or not ramp.over_us or not len(lines):
        return np.zeros(len(lines), np.int64)
    who, when = lines.astype(np.uint64), np.array([at_us], np.uint64)
    words = words_of(key, who, place(purpose), when)
    if ramp.shape == "uniform":
        return laws.below_many(words[0], ramp.over_us)
    more = words_of(key, who, place(purpose), when, np.array([1], np.uint64))
    return laws.beta34_many(np.column_stack((*words, *more[:2])), ramp.over_us)
