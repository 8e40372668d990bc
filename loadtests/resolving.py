"""Events without an answer, sent again under the same name until each is answered.

Owns: this, and what is known afterwards. Does not own: which events those are (``rating_run``).
"""

from __future__ import annotations

import http.client
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from loadtests.rating_run import BATCH_MAX, Events

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadtests.plan import LoadPlan
    from loadtests.result import Result, Tally
    from loadtests.schedule import Schedule
    from loadtests.target import Target

_KIND: Final = "application/cloudevents-batch+json"
_TRY_FOR_S: Final = 20.0
_AGAIN_S: Final = 0.2
_OK, _MULTI = 200, 207
_NAMED_MAX: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """What became of the unknown events of all processes."""

    acknowledged: int
    refused: int
    tallies: tuple[Tally, ...]
    """``accepted``: now acknowledged; ``unknown``: still without an answer."""
    names: tuple[str, ...]
    """Of those still unknown; the first hundred."""
    unknown: int


def resolve(plan: LoadPlan, schedule: Schedule, results: list[Result], target: Target) -> Resolved:
    """Send every unknown event of ``results`` again; an answer settles it."""
    counts = {"acknowledged": 0, "refused": 0}
    tallies: list[Tally] = []
    names: list[str] = []
    left = 0
    until_s = time.monotonic() + _TRY_FOR_S
    for one in results:
        if not one.unknown:
            continue
        events = Events(plan, schedule.share(one.index, plan.processes), one.index)
        states = np.zeros(events.count, np.int8)
        for numbers, texts in _groups(events, set(one.unknown)):
            refused = _send(target, texts, until_s)
            if refused is None:
                left += len(numbers)
                states[numbers] = 2
                names += [msgspec.json.decode(text)["id"] for text in texts]
                continue
            counts["refused"] += len(refused)
            counts["acknowledged"] += len(numbers) - len(refused)
            states[[n for place, n in enumerate(numbers) if place not in refused]] = 1
        tallies += events.tallies(plan, states == 1, "accepted")
        tallies += events.tallies(plan, states == 2, "unknown")  # noqa: PLR2004 - as above
    return Resolved(**counts, tallies=tuple(tallies), names=tuple(names[:_NAMED_MAX]), unknown=left)


def _groups(events: Events, wanted: set[int]) -> Iterator[tuple[list[int], list[bytes]]]:
    numbers: list[int] = []
    texts: list[bytes] = []
    for number, text in events.each():
        if number in wanted:
            wanted.discard(number)
            numbers.append(number)
            texts.append(text)
            if len(numbers) == BATCH_MAX:
                yield numbers, texts
                numbers, texts = [], []
    if numbers:
        yield numbers, texts


def _send(target: Target, texts: list[bytes], until_s: float) -> set[int] | None:
    """Return the places that are refused; None: no answer in time."""
    body = b"[" + b",".join(texts) + b"]"
    while True:
        try:
            status, answer, _ = target.ask("/v1/usage-events", body=body, kind=_KIND)
        except (OSError, http.client.HTTPException):
            status, answer = 0, b""
        if status == _OK:
            return set()
        if status == _MULTI:
            return {one["index"] for one in msgspec.json.decode(answer)["refused"]}
        if time.monotonic() > until_s:
            return None
        time.sleep(_AGAIN_S)
