"""The simulator against a second one that was written from the model's text alone.

Every flow of every hour must agree, and the delays too. The scenario of a disagreement is printed;
``plain_case(seed)`` makes it again.
"""

from __future__ import annotations

import pytest

from sim.run import simulate
from tests.support_random import plain_case
from tests.validation.oracle import Oracle
from vpg.rating.hourly import OUTCOMES, SERVICES
from vpg.rating.totals import merge_histograms
from vpg.timebase import HOUR_US

FLOWS = (
    "sessions_created",
    "sessions_deleted",
    "attach_attempts",
    "sessions_refused",
    "attach_rejected_other",
    "messages_offered",
    "messages_delivered",
    "lost_tries",
    "lost_deadline",
    "lost_buffer",
    "lost_cancelled",
    "bytes_up",
    "bytes_down",
    *(f"{what}_{service}" for what in ("attempts", *OUTCOMES) for service in SERVICES),
)


def disagreements(seed: int) -> list[str]:
    what, catalogue = plain_case(seed)
    result = simulate(what, catalogue)
    oracle = Oracle(what, catalogue)
    flows = oracle.run()
    found = []
    for row in result.rows:
        expected = flows[row.vpg_id, row.hour_start_us]
        hour = (row.hour_start_us - what.start_us) // HOUR_US
        for name in FLOWS:
            if getattr(row, name) != expected[name]:
                got = getattr(row, name)
                found.append(f"{row.vpg_id} hour {hour} {name}: {got}, oracle {expected[name]}")
    for vpg in what.vpgs:
        own = (counts for key, counts in result.delays.items() if key[0] == vpg.id)
        if merge_histograms(own) != dict(oracle.delays[vpg.id]):
            found.append(f"{vpg.id}: delays differ")
    if found:
        found.append(f"seed {seed}: {what!r}")
    return found


@pytest.mark.parametrize("decade", range(4))
def test_the_oracle_agrees_in_every_hour(decade: int) -> None:
    for seed in range(decade * 10, decade * 10 + 10):
        assert disagreements(seed) == []


@pytest.mark.long
@pytest.mark.parametrize("decade", range(4, 54))
def test_the_oracle_agrees_on_many_more(decade: int) -> None:
    for seed in range(decade * 10, decade * 10 + 10):
        assert disagreements(seed) == []
