"""Payload sizes: a payload law and words in, bytes out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sim.traffic import laws

if TYPE_CHECKING:
    import numpy.typing as npt

    from scenarios.model import Payload
    from sim.traffic.draws import U64


def is_fixed(payload: Payload) -> bool:
    """Return whether no draw is needed."""
    return payload.kind == "fixed"


def sizes(payload: Payload, words: U64) -> npt.NDArray[np.int64]:
    """Return one size in bytes a word."""
    if payload.kind == "fixed":
        return np.full(len(words), payload.low_bytes, np.int64)
    if payload.kind == "uniform":
        span = payload.high_bytes - payload.low_bytes + 1
        return payload.low_bytes + laws.below_many(words, span)
    if payload.kind == "pareto":
        table = laws.pareto_thresholds(payload.low_bytes, payload.high_bytes, payload.shape_milli)
        return payload.low_bytes + np.searchsorted(table, words, side="right").astype(np.int64)
    values = np.array([size for size, _ in payload.choices], np.int64)
    return values[laws.choose_many(words, tuple(weight for _, weight in payload.choices))]
