"""The product against queueing theory, by its own road: text, loader, simulator, hourly rows.

Every tolerance is a number of standard errors of the estimator (``estimators``) or an exact count.
Seeds are fixed, so a red run stays red.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from sim import theory
from sim.engine_check.measures import delays, mean_delay_us, total
from tests.support import run_scenario
from tests.validation.estimators import SIGMAS, loss_system_sigma, single_server_sigma
from vpg.rating.histogram import upper_us

if TYPE_CHECKING:
    from vpg.results import RunResult

RATE_PER_S = 30
LINES = 1_000
SERVICE_US = 1_000_000 / RATE_PER_S
RARE = 0.999
"""Above it a few clusters of long waits decide, and no normal law describes their number."""


def small(
    *,
    hours: float,
    source: str,
    lines: int = LINES,
    limiter: str = "{}",
    session: str = "{attach: at_start}",
    idle_timeout_s: int = 0,
    seed: int = 1,
) -> str:
    """Return a scenario of one fleet on one Type-C Small that never tries a message again."""
    return f"""
vpgsim: 1
name: theory
start: 2026-04-01T09:00:00+09:00
duration_h: {hours:g}
seed: {seed}
vpgs:
  - {{id: v1, type: C, size: small, limiter: {limiter}}}
fleets:
  - name: devices
    vpg: v1
    lines: {lines}
    session: {session}
    attach_retry: none
    retry: none
    traffic: [{source}]
assumptions: {{idle_timeout_s: {idle_timeout_s}}}
"""


def poisson(per_s: float, lines: int = LINES) -> str:
    return f"{{kind: poisson, messages_per_hour: {per_s * 3600 / lines:.6f}}}"


def evenly(every_s: float) -> str:
    return f"{{kind: periodic, every_s: {every_s}, phase: even}}"


def refused_share(result: RunResult) -> float:
    return total(result, "throttled_beam") / total(result, "attempts_beam")


# ---- exact streams -------------------------------------------------------------------------------


def test_a_thousand_lines_every_33_4_s_never_throttle_a_small() -> None:
    result = run_scenario(small(hours=1, source=evenly(33.4)))
    assert total(result, "attempts_beam") == pytest.approx(3600 / 33.4 * LINES, abs=1)
    assert total(result, "throttled_beam") == 0


def test_a_thousand_lines_every_33_2_s_are_throttled_0_40_percent_once_the_burst_is_spent() -> None:
    result = run_scenario(small(hours=1, source=evenly(33.2)))
    attempts = total(result, "attempts_beam")
    # Attempt n finds 30 whole requests from the start and 0.996 more for each gap before it.
    admitted = 30 + (attempts - 1) * 996 // 1000
    assert total(result, "accepted_beam") == admitted
    assert total(result, "throttled_beam") == attempts - admitted
    # The burst lasts while it can add 0.004 to each attempt after the first.
    behind_the_burst = attempts - 29_000 // 4
    share = theory.dd1_refused_share(LINES / 33.2, RATE_PER_S)
    assert share == pytest.approx(0.004)
    assert attempts - admitted == pytest.approx(share * behind_the_burst, abs=1)


@pytest.mark.parametrize("every_s", [5, 20, 30])
def test_an_evenly_spaced_stream_above_the_limit_loses_the_excess(every_s: int) -> None:
    result = run_scenario(small(hours=0.01 * every_s, source=evenly(every_s)))
    share = theory.dd1_refused_share(LINES / every_s, RATE_PER_S)
    attempts = total(result, "attempts_beam")
    # The burst admits 30 more than the fluid limit; one more for the ends.
    assert total(result, "throttled_beam") == pytest.approx(share * attempts - 29, abs=2)


def test_fixed_windows_admit_exactly_the_limit_of_each_second() -> None:
    result = run_scenario(small(hours=0.5, source=evenly(20), limiter="{kind: fixed_window}"))
    assert total(result, "attempts_beam") == 1800 * 50
    assert total(result, "accepted_beam") == 1800 * 30
    assert result.rows[0].rate_peak_per_s == 50


def test_a_thousand_lines_at_one_instant_are_30_accepted_and_970_throttled() -> None:
    at_once = "{kind: periodic, every_s: 3600, phase: clock, offset_s: 600}"
    result = run_scenario(small(hours=1, source=at_once))
    assert total(result, "attempts_beam") == 1000
    assert total(result, "accepted_beam") == 30
    assert total(result, "throttled_beam") == 970
    assert total(result, "lost_tries") == 970


# ---- one server ----------------------------------------------------------------------------------


def check_delays(*, load: float, burst: int, hours: float, seed: int) -> None:
    """Check that a queue of burst b makes an M/D/1 arrival wait what exceeds b − 1 services."""
    offered_per_s = load * RATE_PER_S
    limiter = f"{{above: queue, burst_requests: {burst}, queue_deadline_s: 3600}}"
    result = run_scenario(
        small(hours=hours, source=poisson(offered_per_s), limiter=limiter, seed=seed)
    )
    counts = delays(result)
    customers = sum(counts.values())
    assert customers == pytest.approx(
        hours * 3600 * offered_per_s, abs=SIGMAS * math.sqrt(hours * 3600 * offered_per_s)
    )
    assert total(result, "throttled_beam") == 0
    free = burst - 1
    checked = 0
    for services in (0.0, 0.5, 1.0, 2.5, 6.0):
        # The distribution is read at a bucket's upper edge, where the histogram is exact.
        edges = [upper_us(bucket) for bucket in counts if upper_us(bucket) <= services * SERVICE_US]
        edge_us = max(edges)
        expected = theory.md1_wait_below(
            free * SERVICE_US + edge_us + 0.5, offered_per_s, SERVICE_US
        )
        if expected > RARE:
            continue
        below = sum(count for bucket, count in counts.items() if upper_us(bucket) <= edge_us)
        found = edge_us / SERVICE_US
        sigma = single_server_sigma(
            lambda work, limit=free + found: (work <= limit + 1e-9).astype(float),  # type: ignore[misc]
            load=load,
            customers=customers,
        )
        checked += 1
        assert below / customers == pytest.approx(expected, abs=SIGMAS * sigma), services
    assert checked > 1
    if burst == 1:
        # A bucket is 0.8 % wide: its middle is at most 0.4 % off.
        mean_us = mean_delay_us(counts)
        expected_us = theory.md1_wait_us(offered_per_s, SERVICE_US)
        sigma_us = SERVICE_US * single_server_sigma(
            lambda work: work, load=load, customers=customers
        )
        assert mean_us == pytest.approx(expected_us, abs=SIGMAS * sigma_us + 0.004 * expected_us)


def test_queueing_small_with_burst_one_is_md1() -> None:
    check_delays(load=0.7, burst=1, hours=1, seed=1)


@pytest.mark.long
@pytest.mark.parametrize(
    ("load", "burst"),
    [(0.3, 1), (0.6, 1), (0.8, 1), (0.9, 1), (0.6, 2), (0.9, 2), (0.8, 5), (0.9, 5)],
)
def test_queueing_small_is_md1_at_many_loads_and_bursts(load: float, burst: int) -> None:
    check_delays(load=load, burst=burst, hours=10, seed=2)


def check_loss(*, load: float, burst: int, hours: float, seed: int) -> None:
    """Check that a refusing bucket of burst b under Poisson arrivals is M/D/1 with b places."""
    limiter = f"{{burst_requests: {burst}}}"
    source = poisson(load * RATE_PER_S)
    result = run_scenario(small(hours=hours, source=source, limiter=limiter, seed=seed))
    free = float(burst - 1)
    sigma = single_server_sigma(
        lambda work: (work > free + 1e-9).astype(float),
        load=load,
        customers=total(result, "attempts_beam"),
        accepts_up_to=free,
    )
    expected = theory.md1k_loss(burst, load)
    assert refused_share(result) == pytest.approx(expected, abs=SIGMAS * sigma)
    if burst == 1:
        assert expected == pytest.approx(theory.erlang_b(1, load))
    assert total(result, "lost_tries") == total(result, "throttled_beam")


@pytest.mark.parametrize("load", [0.5, 2.0])
def test_refusing_small_with_burst_one_is_erlang_b_with_one_server(load: float) -> None:
    check_loss(load=load, burst=1, hours=0.5, seed=3)


def test_refusing_small_with_burst_five_is_md1_with_five_places() -> None:
    check_loss(load=0.9, burst=5, hours=1, seed=4)


@pytest.mark.long
@pytest.mark.parametrize("load", [0.2, 0.8, 1.0, 1.5])
@pytest.mark.parametrize("burst", [1, 3, 30])
def test_refusing_small_is_md1k_at_many_loads_and_bursts(load: float, burst: int) -> None:
    check_loss(load=load, burst=burst, hours=10, seed=5)


# ---- the line cap --------------------------------------------------------------------------------


MEAN_S = 60
CAP = 10


def capped(*, lines: int, offered_erlang: float, duration: str, hours: int, seed: int) -> RunResult:
    """Lines that attach to report and stay attached for a while, under a cap of ten sessions."""
    session = f"{{attach: on_report, duration: {{{duration}: {MEAN_S}}}}}"
    source = poisson(offered_erlang / MEAN_S, lines)
    text = small(hours=hours, source=source, lines=lines, session=session, seed=seed)
    return run_scenario(text, limits={"lines_max_c_small": CAP})


def check_line_cap(
    *, lines: int, offered_erlang: float, duration: str, hours: int, seed: int
) -> None:
    result = capped(
        lines=lines, offered_erlang=offered_erlang, duration=duration, hours=hours, seed=seed
    )
    attempts = total(result, "attach_attempts")
    refused = total(result, "sessions_refused")
    assert max(row.lines_peak for row in result.rows) == CAP
    assert total(result, "no_session_beam") == refused  # the report that wanted the session
    per_idle_line = offered_erlang / lines
    sigma = loss_system_sigma(
        servers=CAP, sources=lines, load_per_idle_source=per_idle_line, attempts=attempts
    )
    engset = theory.engset_blocking(CAP, lines, per_idle_line)
    assert refused / attempts == pytest.approx(engset, abs=SIGMAS * sigma)
    if lines >= 1000:
        # Erlang's formula is the limit of endless fleets; a thousand lines are 3 % short of it.
        limit = theory.erlang_b(CAP, offered_erlang)
        assert refused / attempts == pytest.approx(limit, abs=SIGMAS * sigma + 0.03 * limit)


@pytest.mark.parametrize("duration", ["exponential_mean_s", "fixed_s"])
def test_line_cap_refuses_what_engset_says(duration: str) -> None:
    """The law depends on the mean length only (insensitivity), so both shapes must meet it."""
    check_line_cap(lines=40, offered_erlang=8.0, duration=duration, hours=96, seed=6)


def test_line_cap_of_a_large_fleet_refuses_what_erlang_b_says() -> None:
    check_line_cap(lines=1000, offered_erlang=7.0, duration="exponential_mean_s", hours=72, seed=7)


@pytest.mark.long
@pytest.mark.parametrize("offered_erlang", [3.0, 6.0, 12.0, 20.0])
def test_line_cap_is_erlang_b_at_many_loads(offered_erlang: float) -> None:
    check_line_cap(
        lines=1000,
        offered_erlang=offered_erlang,
        duration="exponential_mean_s",
        hours=720,
        seed=8,
    )


def test_sessions_obey_littles_law() -> None:
    """Hour ends lie sixty session lengths apart: as good as independent."""
    result = capped(lines=40, offered_erlang=8.0, duration="exponential_mean_s", hours=120, seed=9)
    hours = len(result.rows)
    ends = np.array([row.sessions_end for row in result.rows])
    created_per_s = total(result, "sessions_created") / (hours * 3600)
    expected = theory.little_mean_number(created_per_s, MEAN_S * 1_000_000)
    sigma = ends.std(ddof=1) / math.sqrt(hours)
    assert ends.mean() == pytest.approx(expected, abs=SIGMAS * sigma)
