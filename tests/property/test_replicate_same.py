"""Replications do not depend on who runs them, and variants share their chance."""

from __future__ import annotations

import functools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenarios.loader import load_scenario
from scenarios.new import ready_text
from sim.replicate import replicate
from sim.sequence import narrow
from sim.stats import Until
from sim.traffic.arrivals import Batch, Stream
from tests.support_sim import fleet, limits, poisson, scenario, small_limits
from vpg.replications import FIGURES, REPLICATIONS, FigureName, ReplicationRow
from vpg.runtables import to_parquet
from vpg.timebase import HOUR_US

BUSY = scenario(fleet("f", poisson(600), lines=5), hours=1 / 6)
TIGHT = small_limits(3, 1)


@functools.cache
def alone() -> tuple[ReplicationRow, ...]:
    return replicate(BUSY, TIGHT, replications=40).rows


@pytest.mark.parametrize("workers", [2, 3])
def test_any_number_of_workers_makes_the_same_table(workers: int) -> None:
    together = replicate(BUSY, TIGHT, replications=40, workers=workers).rows
    assert to_parquet(REPLICATIONS, together) == to_parquet(REPLICATIONS, alone())


@given(
    figure=st.sampled_from(FIGURES),
    relative=st.booleans(),
    half_width=st.floats(1e-4, 10),
    done=st.integers(0, 3),
)
def test_where_a_sequence_ends_does_not_depend_on_where_it_is_resumed(
    *, figure: FigureName, relative: bool, half_width: float, done: int
) -> None:
    until = Until(figure=figure, half_width=half_width, relative=relative)
    quick = scenario(fleet("f", poisson(60), lines=2), hours=1 / 60)
    whole = replicate(quick, TIGHT, replications=8, enough=narrow(until)).rows
    assert 5 <= len(whole) <= 8
    again = replicate(quick, TIGHT, replications=8, enough=narrow(until), done=whole[:done]).rows
    assert again == whole


@pytest.mark.long
@given(
    figure=st.sampled_from(FIGURES),
    half_width=st.floats(1e-3, 0.1),
    workers=st.integers(2, 4),
)
@settings(max_examples=20)
def test_where_a_sequence_ends_does_not_depend_on_the_workers(
    *, figure: FigureName, half_width: float, workers: int
) -> None:
    until = Until(figure=figure, half_width=half_width, relative=True)
    one, many = (
        replicate(BUSY, TIGHT, replications=40, workers=count, enough=narrow(until)).rows
        for count in (1, workers)
    )
    assert many == one


# ---- common random numbers -----------------------------------------------------------------------


def messages(text: str, variant: str | None, replication: int) -> list[list[int]]:
    """Return what the scenario's lines mean to send in its first hour, source by source."""
    loaded = load_scenario(text, catalogue=limits(), variant=variant)
    found: list[list[int]] = []
    for one in loaded.fleets:
        for source in one.traffic:
            stream = Stream(seed=loaded.seed, replication=replication, fleet=one, source=source)
            hour_us = loaded.start_us - loaded.start_us % HOUR_US
            batch: Batch = stream.hour(hour_us, one.lines)
            found += [batch.times_us.tolist(), batch.lines.tolist(), batch.bytes_up.tolist()]
    return found


@pytest.mark.parametrize("replication", [0, 1, 7])
def test_variants_send_the_same_messages_at_the_same_times(replication: int) -> None:
    text = ready_text("alarm-storm")
    plain = messages(text, None, replication)
    assert len(plain[0]) > 1000
    assert messages(text, "queue", replication) == plain
    assert messages(text, None, replication + 1) != plain


def test_variants_are_compared_replication_by_replication() -> None:
    """Two sizes: the same messages are offered in each replication, not only on average."""
    small, large = (
        replicate(BUSY, small_limits(3, rate), replications=4).rows for rate in (1, 1000)
    )
    offered = [row.messages_offered for row in small]
    assert offered == [row.messages_offered for row in large]
    assert len(set(offered)) > 1
    pairs = zip(small, large, strict=True)
    assert all(one.throttled_limited > other.throttled_limited == 0 for one, other in pairs)
