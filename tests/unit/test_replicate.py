"""Replications: what a row says, when a sequence ends, and that no failure goes unnoticed."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from sim import run
from sim.replicate import replicate, study
from sim.sequence import narrow
from sim.stats import Until, mean_interval
from tests.support_sim import fleet, limits, poisson, scenario, small_limits
from vpg.errors import EnsureError
from vpg.rating.hourly import digest
from vpg.replications import FIGURES, REPLICATIONS, SHARES, ReplicationRow, share_of, value_of
from vpg.runtables import from_parquet, to_csv, to_parquet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scenarios.model import Scenario
    from vpg.results import RunResult

TIGHT = small_limits(3, 1)


def busy(**more: Any) -> Scenario:
    """Five lines that share three places and one request a second for ten minutes."""
    return scenario(fleet("f", poisson(1200), lines=5), hours=1 / 6, **more)


def rows_of(count: int) -> tuple[ReplicationRow, ...]:
    return replicate(busy(), TIGHT, replications=count).rows


def test_the_first_replication_is_the_plain_run_and_each_other_its_own() -> None:
    rows = rows_of(4)
    assert [row.replication for row in rows] == [0, 1, 2, 3]
    for row in rows:
        result = run.simulate(busy(), TIGHT, replication=row.replication)
        assert row == study(busy(), TIGHT, result, row.replication)
        assert row.digest == digest(result.rows)
    assert rows[0].digest == digest(run.simulate(busy(), TIGHT).rows)
    assert len({row.digest for row in rows}) == 4


def test_a_row_counts_what_the_hourly_rows_count() -> None:
    result = run.simulate(busy(), TIGHT)
    row = study(busy(), TIGHT, result, 0)
    (hour,) = result.rows
    assert row.messages_offered == hour.messages_offered > 0
    assert row.throttled_limited == hour.throttled_beam > 0
    assert row.attempts_limited == hour.attempts_beam
    assert row.sessions_refused == hour.sessions_refused > 0
    assert row.attach_attempts == hour.attach_attempts
    assert row.lines_peak == hour.lines_peak == 3
    assert row.rate_peak_per_s == hour.rate_peak_per_s
    assert row.delay_us_p99 == hour.delay_us_p99
    assert row.charges_yen == 55  # 50 yen an hour and 10 % tax
    assert row.throttled_share_ppm == -(-hour.throttled_beam * 1_000_000 // hour.attempts_beam)


def test_shares_are_exact_and_a_share_of_nothing_keeps_its_promise() -> None:
    (row,) = rows_of(1)
    assert value_of(row, "throttled_share") == row.throttled_limited / row.attempts_limited
    empty = {name: 0 for name in ReplicationRow.__slots__ if name != "digest"}
    nothing = ReplicationRow(**empty, digest="")
    assert [value_of(nothing, name) for name in SHARES] == [1.0, 0.0, 0.0]
    assert [value_of(nothing, name) for name in FIGURES if name not in SHARES] == [0.0] * 5
    lost = dataclasses.replace(nothing, messages_lost=3, messages_delivered=1)
    assert (value_of(lost, "lost_messages"), value_of(lost, "accepted_share")) == (3.0, 0.25)
    with pytest.raises(EnsureError, match="is a share"):
        share_of(row, "lines_peak")


def test_objectives_missed_are_counted() -> None:
    from scenarios.model import Objective

    promises = (
        Objective(kind="lines_peak_max", limit=3),
        Objective(kind="lines_peak_max", limit=2),
        Objective(kind="throttled_ppm_max", limit=0),
    )
    judged = dataclasses.replace(busy(), objectives=promises)
    (row,) = replicate(judged, TIGHT, replications=1).rows
    assert row.objectives_missed == 2


def test_the_table_has_every_field_and_comes_back() -> None:
    rows = list(rows_of(2))
    assert REPLICATIONS.names == tuple(field.name for field in dataclasses.fields(ReplicationRow))
    assert from_parquet(REPLICATIONS, to_parquet(REPLICATIONS, rows)) == rows
    assert len(to_csv(REPLICATIONS, rows).splitlines()) == 3


# ---- the end of a sequence -----------------------------------------------------------------------


def test_a_sequence_ends_at_the_first_narrow_interval() -> None:
    until = Until(figure="throttled_share", half_width=0.008)
    whole = rows_of(30)
    values = [value_of(row, "throttled_share") for row in whole]
    needed = next(n for n in range(1, 31) if until.reached(mean_interval(values[:n])))
    assert 5 < needed < 30
    for workers in (1, 2):
        found = replicate(busy(), TIGHT, replications=30, workers=workers, enough=narrow(until))
        assert found.rows == whole[:needed]
        assert found.why_stopped == ""


def test_a_sequence_goes_on_from_what_is_done() -> None:
    whole = rows_of(5)
    assert replicate(busy(), TIGHT, replications=5, done=whole[:3]).rows == whole
    assert replicate(busy(), TIGHT, replications=5, done=whole).rows == whole
    with pytest.raises(EnsureError, match="the first ones are done"):
        replicate(busy(), TIGHT, replications=5, done=whole[1:])


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stopped_sequence_keeps_what_is_finished(workers: int) -> None:
    finished: list[int] = []
    found = replicate(
        busy(),
        TIGHT,
        replications=10_000,
        workers=workers,
        progress=finished.append,
        stop=lambda: bool(finished) and finished[-1] >= 3,
    )
    assert found.why_stopped == "interrupted"
    assert 3 <= len(found.rows) < 100
    whole = {row.replication: row for row in rows_of(max(r.replication for r in found.rows) + 1)}
    assert all(row == whole[row.replication] for row in found.rows)
    assert [r.replication for r in found.rows] == sorted(r.replication for r in found.rows)


def test_a_broken_promise_names_its_replication(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, replication: int, **__: Any) -> RunResult:
        raise EnsureError(f"nothing adds up in {replication}")

    monkeypatch.setattr(run, "simulate", broken)
    with pytest.raises(EnsureError, match="replication 0: nothing adds up in 0"):
        replicate(busy(), TIGHT, replications=2)


# ---- workers -------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name != "posix", reason="kills a process")
def test_a_worker_that_is_killed_is_replaced_and_nothing_is_missing_or_twice() -> None:
    told: list[int] = []

    def kill_one(finished: int) -> None:
        told.append(finished)
        if finished in {4, 9}:
            victim = multiprocessing.active_children()[0]
            assert victim.pid is not None
            os.kill(victim.pid, signal.SIGKILL)

    found = replicate(busy(), TIGHT, replications=20, workers=2, progress=kill_one)
    assert (found.rows, found.why_stopped) == (rows_of(20), "")
    assert told == list(range(1, 21))
    assert multiprocessing.active_children() == []


def test_a_replication_that_always_ends_its_worker_ends_the_sequence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sim.pool.serve", _ends_at_once)
    found = replicate(busy(), TIGHT, replications=9, workers=2, done=rows_of(3))
    assert found.why_stopped == "a worker process ended"
    assert found.rows == rows_of(3)
    assert multiprocessing.active_children() == []


def _ends_at_once(*_: object) -> None:
    os._exit(9)


def test_no_worker_is_started_for_one_replication(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multiprocessing, "get_context", lambda _: pytest.fail("not needed"))
    done: Sequence[ReplicationRow] = rows_of(1)
    assert len(replicate(busy(), TIGHT, replications=2, workers=8, done=done).rows) == 2
    assert len(replicate(scenario(), limits(), replications=1, workers=8).rows) == 1
