"""Two programs that share nothing with the product, on random systems and on retries.

Ciw simulates the family of queues that the product realises: 30 random configurations (a few in the
short form). The script that a user of SimPy would write (``tests.bench.user_simpy``) has the
retries. Both are random, so means over replications must agree within four of their combined
standard errors; seeds are fixed.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

import ciw
import numpy as np
import pytest
from scipy import stats

from sim.engine_check import measures, systems
from sim.engine_check.limits import small_catalogue
from sim.engine_check.systems import MEASURED_FROM_US, SERVER_LINES
from sim.run import simulate
from tests.bench import user_simpy
from tests.bench.spec import Workload
from tests.support import run_scenario
from vpg.rating.histogram import upper_us
from vpg.timebase import HOUR_US, SECOND_US

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scenarios.model import Scenario

SIGMAS = 4.0
HOUR_S = 3_600.0
WARM_UP_S = 600.0
REPLICATIONS = 10


def check_means(ours: Sequence[float], theirs: Sequence[float], what: str) -> None:
    """Expect the means of two samples to lie within four combined standard errors."""
    variance = sum(np.var(sample, ddof=1) / len(sample) for sample in (ours, theirs))
    assert np.mean(ours) == pytest.approx(
        np.mean(theirs), abs=SIGMAS * math.sqrt(variance) + 1e-12
    ), what


# ---- queues, against Ciw -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """One random configuration: times in seconds."""

    kind: str
    load: float
    places: int
    """M/D/1/K: K. A bucket: its burst. The line cap: sessions. 0: no bound."""
    exponential: bool = False


def random_queue(number: int) -> Queue:
    """Return configuration ``number``; each kind comes in turn."""
    draw = random.Random(number)
    kind = ("wait", "queue", "bucket", "spare", "cap")[number % 5]
    load = round(draw.uniform(0.2, 0.85 if kind in {"wait", "spare"} else 1.6), 3)
    places = draw.randint(1, 8)
    if kind == "cap":
        return Queue(kind=kind, load=load, places=places, exponential=draw.random() < 0.5)
    return Queue(kind=kind, load=load, places=0 if kind == "wait" else places)


def in_the_product(queue: Queue, replication: int) -> dict[str, float]:
    result = simulate(
        scenario_of(queue),
        small_catalogue(lines_max=queue.places, rate_per_s=1_000)
        if queue.kind == "cap"
        else small_catalogue(rate_per_s=1),
        replication=replication,
    )
    if queue.kind == "cap":
        return {"refused": measures.refused_percent(result, MEASURED_FROM_US)}
    if queue.kind == "spare":
        return {"waiting": measures.waiting_percent(result, MEASURED_FROM_US)}
    found = {"refused": measures.throttled_percent(result, MEASURED_FROM_US)}
    if queue.kind != "bucket":
        found["wait"] = measures.mean_wait_ms(result, MEASURED_FROM_US)
    return found


def scenario_of(queue: Queue) -> Scenario:
    """Return the configuration as a scenario: one request a second, or sessions of ten seconds."""
    if queue.kind == "cap":
        lines = 400
        # As many idle lines as there are on the average offer the load of Ciw's endless source.
        idle = lines - min(queue.load, 1.0) * queue.places
        return systems.line_cap(
            lines=lines,
            attempts_per_idle_line_per_s=queue.load * queue.places / 10 / idle,
            holding="exponential" if queue.exponential else "fixed",
            mean_us=10 * SECOND_US,
            seed=77,
        )
    limiter = {
        "wait": systems.queue(),
        "queue": systems.queue(waiting_max=queue.places - 1),
        "bucket": systems.refuse(burst=queue.places or 1),
        "spare": systems.queue(burst=queue.places or 1),
    }[queue.kind]
    return systems.poisson_stream(per_s=queue.load, limiter=limiter, seed=77)


def in_ciw(queue: Queue, replication: int) -> dict[str, float]:
    """Simulate the same system as a queue with servers; it knows no tokens and no sessions."""
    cap = queue.kind == "cap"
    per_s = queue.load * queue.places / 10 if cap else queue.load
    service = (
        ciw.dists.Exponential(rate=0.1)
        if queue.exponential
        else ciw.dists.Deterministic(value=10.0 if cap else 1.0)
    )
    # A bucket that refuses is a queue with so many places; one that lets wait is an endless one.
    bounded = queue.kind in {"queue", "bucket"}
    waiting = queue.places - 1 if bounded else 0 if cap else math.inf
    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Exponential(rate=per_s)],
        service_distributions=[service],
        number_of_servers=[queue.places if cap else 1],
        queue_capacities=[waiting],
    )
    ciw.seed(1_000 * queue.places + replication)
    simulation = ciw.Simulation(network)
    simulation.simulate_until_max_time(WARM_UP_S + HOUR_S)
    records = [
        record
        for record in simulation.get_all_records(only=["service", "rejection"])
        if record.arrival_date >= WARM_UP_S
    ]
    waits = [record.waiting_time for record in records if record.record_type == "service"]
    refused = 100 * (1 - len(waits) / len(records))
    if queue.kind == "spare":
        # The work ahead in services, of which a bucket lets all but one of its burst pass at once.
        return {"waiting": 100 * float(np.mean(np.array(waits) > queue.places - 1 + 1e-9))}
    if cap or queue.kind == "bucket":
        return {"refused": refused}
    return {"refused": refused, "wait": 1_000 * float(np.mean(waits))}


def check_queue(number: int) -> None:
    queue = random_queue(number)
    ours = [in_the_product(queue, replication) for replication in range(REPLICATIONS)]
    theirs = [in_ciw(queue, replication) for replication in range(REPLICATIONS)]
    for figure in ours[0]:
        check_means(
            [one[figure] for one in ours], [one[figure] for one in theirs], f"{figure} of {queue}"
        )


@pytest.mark.parametrize("number", range(5))
def test_ciw_agrees_on_one_random_system_of_each_kind(number: int) -> None:
    check_queue(number)


@pytest.mark.long
@pytest.mark.parametrize("number", range(5, 30))
def test_ciw_agrees_on_random_systems(number: int) -> None:
    check_queue(number)


def test_the_random_systems_are_those_of_the_family() -> None:
    queues = [random_queue(number) for number in range(30)]
    assert len(set(queues)) == 30
    assert {queue.kind for queue in queues} == {"wait", "queue", "bucket", "spare", "cap"}
    assert {queue.exponential for queue in queues if queue.kind == "cap"} == {False, True}
    assert sum(queue.load > 1 for queue in queues) > 5
    streams = [scenario_of(queue) for queue in queues if queue.kind != "cap"]
    assert {fleet.lines for what in streams for fleet in what.fleets} == {SERVER_LINES}
    assert {what.end_us - MEASURED_FROM_US for what in streams} == {HOUR_US}


# ---- retries, against a user's script ------------------------------------------------------------

EDGES_S = (0.0, 1.0, 3.0, 7.0, 15.0)
"""Where the delay of a message that was tried 1, 2, 3 … times roughly ends."""


def figures(
    *, messages: int, attempts: int, delays: Sequence[tuple[float, int]], lost: int
) -> dict[str, float]:
    """Return what one run came to; ``delays``: (s, deliveries)."""
    delivered = sum(count for _, count in delays)
    return {
        "attempts": attempts / messages,
        "delivered": delivered / messages,
        "lost": lost / messages,
        "delay": sum(delay_s * count for delay_s, count in delays) / delivered,
        **{
            f"within {edge_s} s": sum(n for delay_s, n in delays if delay_s <= edge_s) / delivered
            for edge_s in EDGES_S
        },
    }


def retried_in_the_product(
    seed: int, *, devices: int, hours: float, spread: bool
) -> dict[str, float]:
    text = Workload(
        lines=devices, hours=hours, seed=seed, phase="uniform" if spread else "clock"
    ).scenario()
    result = run_scenario(text, limits={"lines_max_c_small": devices})
    counts = measures.delays(result)
    return figures(
        messages=measures.total(result, "messages_offered"),
        attempts=measures.total(result, "attempts_beam"),
        # 0 is exact; above it the middle of a bucket, 0.8 % wide.
        delays=[
            ((upper_us(bucket - 1) + 1 + upper_us(bucket)) / 2 / SECOND_US if bucket else 0.0, n)
            for bucket, n in sorted(counts.items())
        ],
        lost=measures.total(result, "lost_tries"),
    )


def retried_in_the_script(
    seed: int, *, devices: int, hours: float, spread: bool, monkeypatch: pytest.MonkeyPatch
) -> dict[str, float]:
    delays: list[float] = []
    send = user_simpy.send

    def noted(bucket: user_simpy.TokenBucket, counts: user_simpy.Counts, created_s: float) -> bool:
        accepted = send(bucket, counts, created_s)
        if accepted:
            delays.append(bucket.env.now - created_s)
        return accepted

    with monkeypatch.context() as patch:
        patch.setattr(user_simpy, "send", noted)
        counts = user_simpy.simulate(devices=devices, hours=hours, spread=spread, seed=seed)
    assert len(delays) == counts.accepted
    return figures(
        messages=counts.messages,
        attempts=counts.attempts,
        delays=[(delay_s, 1) for delay_s in delays],
        lost=counts.lost,
    )


def check_retries(
    monkeypatch: pytest.MonkeyPatch, *, devices: int, hours: float, spread: bool, runs: int
) -> None:
    ours, theirs = (
        [
            retried_in_the_product(seed, devices=devices, hours=hours, spread=spread)
            for seed in range(runs)
        ],
        [
            retried_in_the_script(
                seed, devices=devices, hours=hours, spread=spread, monkeypatch=monkeypatch
            )
            for seed in range(runs)
        ],
    )
    assert np.mean([one["attempts"] for one in theirs]) > 1.2, "retries matter"
    for figure in ours[0]:
        one, other = [[run[figure] for run in side] for side in (ours, theirs)]
        check_means(one, other, figure)
        # The whole law of the run's figure, as far as so many runs can tell.
        assert stats.ks_2samp(one, other).pvalue > 0.001, figure


@pytest.mark.parametrize(("devices", "spread"), [(1_000, False), (2_100, True)])
def test_retries_come_out_as_in_a_users_script(
    devices: int, spread: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_retries(monkeypatch, devices=devices, hours=0.05, spread=spread, runs=8)


@pytest.mark.long
@pytest.mark.parametrize(
    ("devices", "spread"), [(500, False), (1_000, False), (1_900, True), (2_100, True)]
)
def test_retries_come_out_as_in_a_users_script_in_many_runs(
    devices: int, spread: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_retries(monkeypatch, devices=devices, hours=0.2, spread=spread, runs=20)
