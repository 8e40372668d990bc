"""The closed formulas against computations that share nothing with them."""

from __future__ import annotations

import math
from fractions import Fraction

import ciw
import numpy as np
import pytest
from scipy import stats

from sim import theory

SECOND_US = 1_000_000


# ---- Erlang and Engset ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("servers", "offered", "half_digit", "blocking"),
    [
        # Offered traffic that the printed Erlang B tables give for a blocking of 1 %, 2 % and 5 %.
        (1, 0.0101, 0.00005, 0.01),
        (5, 1.36, 0.005, 0.01),
        (10, 4.46, 0.005, 0.01),
        (10, 5.08, 0.005, 0.02),
        (20, 12.0, 0.05, 0.01),
        (20, 15.2, 0.05, 0.05),
        (100, 84.1, 0.05, 0.01),
    ],
)
def test_erlang_b_meets_the_printed_tables(
    servers: int, offered: float, half_digit: float, blocking: float
) -> None:
    low = theory.erlang_b(servers, offered - half_digit)
    high = theory.erlang_b(servers, offered + half_digit)
    assert low <= blocking <= high


@pytest.mark.parametrize(("servers", "offered"), [(1, 0.5), (10, 4.0), (30, 33.0), (200, 180.0)])
def test_erlang_b_is_the_tip_of_a_truncated_poisson_law(servers: int, offered: float) -> None:
    truncated = stats.poisson.pmf(servers, offered) / stats.poisson.cdf(servers, offered)
    assert theory.erlang_b(servers, offered) == pytest.approx(truncated, rel=1e-9)


@pytest.mark.parametrize(
    ("servers", "sources", "load"), [(3, 5, 0.4), (10, 40, 0.3), (10, 11, 2.0)]
)
def test_engset_is_the_tip_of_a_truncated_binomial_law(
    servers: int, sources: int, load: float
) -> None:
    weights = [math.comb(sources - 1, k) * load**k for k in range(servers + 1)]
    expected = weights[-1] / math.fsum(weights)
    assert theory.engset_blocking(servers, sources, load) == pytest.approx(expected, rel=1e-9)


def test_engset_with_a_place_for_everybody_refuses_nobody() -> None:
    assert theory.engset_blocking(7, 7, 100.0) == 0
    assert theory.engset_blocking(9, 7, 100.0) == 0


def test_engset_of_many_sources_is_erlang() -> None:
    sources = 1_000_000
    finite = theory.engset_blocking(10, sources, 7.0 / sources)
    assert finite == pytest.approx(theory.erlang_b(10, 7.0), rel=1e-4)


def test_erlang_c_of_one_server_is_the_load() -> None:
    assert theory.erlang_c(1, 0.7) == pytest.approx(0.7)
    assert theory.erlang_c(4, 4.0) == 1
    # Two servers by hand: C = 2 ρ² / (1 + ρ).
    assert theory.erlang_c(2, 1.2) == pytest.approx(2 * 0.36 / 1.6)


def test_many_servers_wait_like_one_when_there_is_one() -> None:
    assert theory.mmc_wait_us(1, 0.7, SECOND_US) == pytest.approx(
        theory.mm1_wait_us(0.7, SECOND_US)
    )
    assert theory.mmc_wait_us(2, 2.0, SECOND_US) == math.inf


# ---- one server ----------------------------------------------------------------------------------


def erlang_1909(wait_in_services: Fraction, load: Fraction) -> float:
    """P(wait ≤ t) of M/D/1 by Erlang's alternating sum; the powers exact, where floats fail."""
    total = Fraction(0)
    for k in range(int(wait_in_services) + 1):
        behind = load * (k - wait_in_services)
        # e^x is rounded to 60 digits: enough for what cancels here.
        exponential = _exp(-behind)
        total += behind**k / math.factorial(k) * exponential
    return float((1 - load) * total)


def _exp(x: Fraction) -> Fraction:
    term = total = Fraction(1)
    n = 0
    while abs(term) > Fraction(1, 10**60) or n < abs(x):
        n += 1
        term *= x / n
        total += term
    return total


@pytest.mark.parametrize("load", [Fraction(1, 10), Fraction(1, 2), Fraction(9, 10)])
@pytest.mark.parametrize(
    "wait", [Fraction(0), Fraction(1, 3), Fraction(1), Fraction(7, 2), Fraction(20)]
)
def test_md1_wait_distribution_is_erlangs(load: Fraction, wait: Fraction) -> None:
    below = theory.md1_wait_below(float(wait) * SECOND_US, float(load), SECOND_US)
    assert below == pytest.approx(erlang_1909(wait, load), rel=1e-9)


def test_md1_wait_distribution_has_the_mean_of_pollaczek_khinchine() -> None:
    step_us = 10_000
    above = [1 - theory.md1_wait_below((n + 0.5) * step_us, 0.8, SECOND_US) for n in range(6_000)]
    assert math.fsum(above) * step_us == pytest.approx(theory.md1_wait_us(0.8, SECOND_US), rel=1e-4)


def test_overloaded_queue_has_no_stationary_wait() -> None:
    assert theory.md1_wait_us(1.0, SECOND_US) == math.inf
    assert theory.md1_wait_below(10.0 * SECOND_US, 1.0, SECOND_US) == 0


def md1k_loss_from_chain(places: int, load: float) -> float:
    """Loss of M/D/1/K from the chain of the number left behind at departures, solved as is."""
    states = places  # 0 … places - 1 are left behind
    chain = np.zeros((states, states))
    for left in range(states):
        first = max(left - 1, 0)
        for arrivals in range(states - first):
            chain[left, first + arrivals] = stats.poisson.pmf(arrivals, load)
        chain[left, -1] += 1 - chain[left].sum()
    system = np.vstack([chain.T - np.eye(states), np.ones(states)])
    left_behind = np.linalg.lstsq(system, np.array([0.0] * states + [1.0]), rcond=None)[0]
    # A cycle of one departure lasts one service, plus the idle time 1 / λ when nobody was left.
    return float(1 - 1 / (left_behind[0] + load))


@pytest.mark.parametrize("places", [1, 2, 5, 30])
@pytest.mark.parametrize("load", [0.3, 0.9, 1.0, 1.4])
def test_md1k_loss_is_that_of_its_embedded_chain(places: int, load: float) -> None:
    assert theory.md1k_loss(places, load) == pytest.approx(
        md1k_loss_from_chain(places, load), rel=1e-6, abs=1e-12
    )


@pytest.mark.parametrize("load", [0.3, 0.9, 1.0, 1.4])
def test_md1k_with_two_places_waits_what_little_says_of_the_only_place_to_wait(load: float) -> None:
    # That place is taken exactly while arrivals are refused (Poisson arrivals see time averages).
    loss = md1k_loss_from_chain(2, load)
    expected_us = loss / (load * (1 - loss)) * SECOND_US
    assert theory.md1k_wait_us(2, load, SECOND_US) == pytest.approx(expected_us, rel=1e-6)


def test_md1k_waits_nothing_with_one_place_and_like_md1_with_many() -> None:
    assert theory.md1k_wait_us(1, 0.7, SECOND_US) == 0
    many_us = theory.md1k_wait_us(200, 0.7, SECOND_US)
    assert many_us == pytest.approx(theory.md1_wait_us(0.7, SECOND_US), rel=1e-9)
    # Overloaded, a long queue is full: who gets in waits for all but the one whose place it takes.
    assert theory.md1k_wait_us(60, 5.0, SECOND_US) == pytest.approx(59 * SECOND_US, rel=0.01)


def bucket_share_from_chain(burst: int, load: float, steps: int) -> float:
    """Refused share of a bucket from what it lacks at arrivals, on a grid of steps of a request."""
    lacks = np.arange(burst * steps + 1)
    admitted = lacks <= (burst - 1) * steps
    after = lacks + steps * admitted
    falls = after[:, None] - lacks[None, :]
    # Between arrivals it lacks less and less, to 0 at least; half a step is the mean rounding.
    at_most = np.where(falls > 0, np.exp(-load * (falls - 0.5) / steps), 1.0)
    chain = np.diff(at_most, axis=1, prepend=0.0)
    system = np.vstack([chain.T - np.eye(len(lacks)), np.ones(len(lacks))])
    seen = np.linalg.lstsq(system, np.append(np.zeros(len(lacks)), 1.0), rcond=None)[0]
    return float(seen[~admitted].sum())


@pytest.mark.parametrize(("burst", "load"), [(1, 0.5), (2, 0.9), (4, 0.8), (3, 1.5)])
def test_a_bucket_refuses_as_its_bounded_work_says(burst: int, load: float) -> None:
    found = bucket_share_from_chain(burst, load, 60)
    assert theory.bucket_refused_share(burst, load) == pytest.approx(found, rel=0.02)


@pytest.mark.parametrize("burst", [1, 2, 5])
def test_a_queueing_bucket_lets_wait_whoever_finds_its_burst_used(burst: int) -> None:
    share = theory.bucket_waiting_share(burst, 0.8, SECOND_US)
    assert share == pytest.approx(1 - erlang_1909(Fraction(burst - 1), Fraction(4, 5)), rel=1e-9)


@pytest.mark.parametrize("load", [0.1, 1.0, 3.0])
def test_md1_with_one_place_is_erlang_b_with_one_server(load: float) -> None:
    assert theory.md1k_loss(1, load) == pytest.approx(theory.erlang_b(1, load), rel=1e-12)
    assert theory.mm1k_loss(1, load) == pytest.approx(theory.erlang_b(1, load), rel=1e-12)


def test_overload_of_a_long_queue_loses_the_excess() -> None:
    assert theory.md1k_loss(60, 1.25) == pytest.approx(0.2, rel=1e-6)
    assert theory.dd1_refused_share(1.25, 1.0) == pytest.approx(0.2)
    assert theory.dd1_refused_share(1.0, 1.25) == 0


def test_a_different_program_agrees_on_md1_and_its_loss() -> None:
    """Ciw simulates M/D/1/3: a second opinion on the whole chain of reasoning."""
    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Exponential(rate=0.9)],
        service_distributions=[ciw.dists.Deterministic(value=1.0)],
        number_of_servers=[1],
        queue_capacities=[2],
    )
    ciw.seed(2026)
    simulation = ciw.Simulation(network)
    simulation.simulate_until_max_customers(20_000, method="Arrive")
    records = simulation.get_all_records(only=["service", "rejection"])
    refused = sum(record.record_type == "rejection" for record in records)
    expected = theory.md1k_loss(3, 0.9)
    # Refusals cluster: over 40 other seeds the variance was 1.3 times the binomial one.
    sigma = math.sqrt(1.3 * expected * (1 - expected) / len(records))
    assert refused / len(records) == pytest.approx(expected, abs=4 * sigma)


def test_little_and_utilisation() -> None:
    assert theory.little_mean_number(30.0, 2 * SECOND_US) == 60
    assert theory.utilisation(45.0, SECOND_US / 30, servers=3) == pytest.approx(0.5)
