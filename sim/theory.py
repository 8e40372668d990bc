"""Closed formulas of queueing theory that the simulator is checked against.

Owns: what a system of textbook form must measure in the long run. Does not own: the simulator's
figures, or any figure of a report: floats here are for validation and for a planner's first guess,
never for money. Units: rates in 1/s, durations in µs; loads in Erlang (1). Every function is
stationary theory: a simulation agrees once its start is forgotten, within the spread of its
estimator.

How a VPG maps: a limiter that queues with burst 1 is M/D/1 with the service time 1 / r, and M/D/1/K
when at most K - 1 may wait; a token bucket of burst b is M/D/1 with bounded work (the section on
it says why); the line cap with a session's duration as the holding time is Erlang's loss system,
and Engset's when the fleet is not large.
"""

from __future__ import annotations

import math

from vpg.errors import ensure

SECOND_US = 1_000_000


def utilisation(arrivals_per_s: float, service_us: float, servers: int = 1) -> float:
    """Return the load per server: arrivals × service / servers (1)."""
    return arrivals_per_s * service_us / SECOND_US / servers


def little_mean_number(throughput_per_s: float, mean_stay_us: float) -> float:
    """Return the mean number in a system: throughput × mean stay.

    Source: J. D. C. Little, "A Proof for the Queuing Formula L = λW", Operations Research 9 (1961).
    """
    return throughput_per_s * mean_stay_us / SECOND_US


# ---- deterministic arrivals ----------------------------------------------------------------------


def dd1_refused_share(offered_per_s: float, limit_per_s: float) -> float:
    """Return the long-run share that a limiter refuses of an evenly spaced stream.

    1 − limit / offered: the fluid limit; the burst only delays it.

    >>> round(dd1_refused_share(1000 / 33.2, 30), 6), dd1_refused_share(1000 / 33.4, 30)
    (0.004, 0.0)
    """
    return max(1.0 - limit_per_s / offered_per_s, 0.0)


# ---- one server, waiting -------------------------------------------------------------------------


def mg1_wait_us(arrivals_per_s: float, service_us: float, service_variance_us2: float) -> float:
    """Return the mean wait (µs, without service) of M/G/1 by the Pollaczek-Khinchine formula.

    λ E[S²] / (2 (1 − ρ)). Infinite at a load of 1 or more.
    Source: L. Kleinrock, Queueing Systems vol. 1 (1975), chapter 5.
    """
    load = utilisation(arrivals_per_s, service_us)
    if load >= 1:
        return math.inf
    second_moment = service_variance_us2 + service_us**2
    return arrivals_per_s / SECOND_US * second_moment / (2 * (1 - load))


def md1_wait_us(arrivals_per_s: float, service_us: float) -> float:
    """Return the mean wait (µs, without service) of M/D/1: ρ S / (2 (1 − ρ)).

    Source: as ``mg1_wait_us``, variance 0.

    >>> md1_wait_us(0.5, 1_000_000)
    500000.0
    """
    return mg1_wait_us(arrivals_per_s, service_us, 0.0)


def mm1_wait_us(arrivals_per_s: float, service_us: float) -> float:
    """Return the mean wait (µs, without service) of M/M/1: ρ S / (1 − ρ).

    Source: as ``mg1_wait_us``, variance S².
    """
    return mg1_wait_us(arrivals_per_s, service_us, service_us**2)


def md1_wait_below(wait_us: float, arrivals_per_s: float, service_us: float) -> float:
    """Return the probability that an arrival of M/D/1 waits at most ``wait_us`` µs.

    Crommelin's distribution in the form of Franx, whose terms are all positive (Erlang's
    alternating sum of 1909 loses every digit for long waits). 0 at a load of 1 or more: the queue
    grows without end. Source: G. J. Franx, "A simple solution for the M/D/c waiting time
    distribution", Operations Research Letters 29 (2001).
    """
    load = utilisation(arrivals_per_s, service_us)
    if load >= 1 or wait_us < 0:
        return 0.0
    services = int(wait_us // service_us) + 1
    back = (services * service_us - wait_us) * arrivals_per_s / SECOND_US
    weights = _md1_weights(load, services + 1)
    in_system = 0.0
    at_most = []
    for weight in weights:
        in_system += weight * (1 - load)
        at_most.append(in_system)
    term = math.exp(-back)
    total = 0.0
    for j in range(services):
        total += term * at_most[services - j]
        term *= back / (j + 1)
    return total


def md1k_loss(places: int, load: float) -> float:
    """Return the share of arrivals that M/D/1/K refuses; ``places`` counts the one in service too.

    1 − 1 / (π₀ + ρ), with π₀ the chance that a departure leaves it empty. Holds for any load.
    Source: H. C. Tijms, A First Course in Stochastic Models (2003), chapter 9 (M/G/1/K).

    >>> round(md1k_loss(1, 0.5), 12) == round(erlang_b(1, 0.5), 12)
    True
    """
    ensure(places >= 1 and load > 0, "M/D/1/K has a place and a load")
    empty = 1 / math.fsum(_md1_weights(load, places - 1))
    return 1 - 1 / (empty + load)


def md1k_wait_us(places: int, arrivals_per_s: float, service_us: float) -> float:
    """Return the mean wait (µs, without service) of those whom M/D/1/K lets in.

    Little's law on the mean number in the system, whose distribution is that of M/D/1 cut at K.
    Source: H. C. Tijms, A First Course in Stochastic Models (2003), chapter 9 (M/G/1/K).

    >>> md1k_wait_us(1, 0.5, 1_000_000)
    0.0
    """
    load = utilisation(arrivals_per_s, service_us)
    ensure(places >= 1 and load > 0, "M/D/1/K has a place and a load")
    weights = _md1_weights(load, places - 1)
    all_weights = math.fsum(weights)
    scale = 1 / all_weights + load
    loss = 1 - 1 / scale
    below = math.fsum(j * weight for j, weight in enumerate(weights)) / all_weights / scale
    return ((below + places * loss) * scale / load - 1) * service_us


def mm1k_loss(places: int, load: float) -> float:
    """Return the share of arrivals that M/M/1/K refuses; ``places`` counts the one in service too.

    Source: L. Kleinrock, Queueing Systems vol. 1 (1975), chapter 3.
    """
    return load**places / math.fsum(load**k for k in range(places + 1))


def _md1_weights(load: float, last: int) -> list[float]:
    """Return p_j / p_0 for j = 0 … ``last`` customers in M/D/1 (recursion of positive terms only).

    Source: H. C. Tijms, A First Course in Stochastic Models (2003), chapter 9; for a fixed service
    time λ a_n is the chance of more than n arrivals in it.
    """
    arrivals = [math.exp(-load)]
    for n in range(1, last + 1):
        arrivals.append(arrivals[-1] * load / n)
    more_than = [_poisson_above(n, load, arrivals) for n in range(last + 1)]
    weights = [1.0]
    for j in range(1, last + 1):
        flow = more_than[j - 1] + math.fsum(more_than[j - k] * weights[k] for k in range(1, j))
        weights.append(flow / (1 - more_than[0]))
    return weights


def _poisson_above(count: int, mean: float, probabilities: list[float]) -> float:
    """Return P(more than ``count``) from the upper tail: 1 − the rest would lose its digits."""
    term = probabilities[count]
    total = 0.0
    n = count
    while True:
        n += 1
        term *= mean / n
        if total + term == total and n > mean:
            return total
        total += term


# ---- a token bucket ------------------------------------------------------------------------------
#
# A bucket of burst b that fills continuously lacks a token for each admitted request until the rate
# has brought it back: what it lacks is the work of a queue whose service takes 1 / rate, and the
# request is admitted while that work is at most b - 1 services. This is the continuous-state leaky
# bucket, GCRA(1 / rate, (b - 1) / rate), of ITU-T I.371 annex A. Whoever is refused brings no work,
# so under Poisson arrivals the work is that of M/D/1 bounded by b services. Work exceeds b - 1
# services exactly while b customers are in the system (each service but the running one is whole).


def bucket_refused_share(burst_requests: int, load: float) -> float:
    """Return the share of a Poisson stream that a refusing token bucket refuses; any ``load``.

    The loss of M/D/1 with its work bounded by the burst: that of M/D/1 with so many places.
    Source: as above, and ``md1k_loss``.

    >>> round(bucket_refused_share(1, 2.0), 12) == round(erlang_b(1, 2.0), 12)
    True
    """
    return md1k_loss(burst_requests, load)


def bucket_waiting_share(burst_requests: int, arrivals_per_s: float, service_us: float) -> float:
    """Return the share of a Poisson stream that waits at all at a queueing token bucket.

    Its slots may be promised ahead, so its work is that of M/D/1, and b - 1 services of it are
    free. Source: as above, and ``md1_wait_below``.

    >>> round(bucket_waiting_share(1, 0.5, 1_000_000), 12)
    0.5
    """
    free_us = (burst_requests - 1) * service_us
    return 1 - md1_wait_below(free_us, arrivals_per_s, service_us)


# ---- many servers --------------------------------------------------------------------------------


def erlang_b(servers: int, offered_erlang: float) -> float:
    """Return the share of arrivals that M/G/c/c (lost calls cleared) refuses.

    Source: A. K. Erlang (1917); recursion B(k) = a B(k−1) / (k + a B(k−1)) as in ITU-T E.501.

    >>> round(erlang_b(10, 5.0), 4)
    0.0184
    """
    blocking = 1.0
    for k in range(1, servers + 1):
        blocking = offered_erlang * blocking / (k + offered_erlang * blocking)
    return blocking


def erlang_c(servers: int, offered_erlang: float) -> float:
    """Return the chance that an arrival of M/M/c has to wait; 1 when the load is 1 or more.

    Source: A. K. Erlang (1917); C = B / (1 − ρ (1 − B)).
    """
    load = offered_erlang / servers
    if load >= 1:
        return 1.0
    blocking = erlang_b(servers, offered_erlang)
    return blocking / (1 - load * (1 - blocking))


def mmc_wait_us(servers: int, arrivals_per_s: float, service_us: float) -> float:
    """Return the mean wait (µs, without service) of M/M/c: C S / (c − a).

    Infinite at a load of 1 or more.
    Source: as ``erlang_c``.
    """
    offered = utilisation(arrivals_per_s, service_us)
    if offered >= servers:
        return math.inf
    return erlang_c(servers, offered) * service_us / (servers - offered)


def engset_blocking(servers: int, sources: int, load_per_idle_source: float) -> float:
    """Return the share of attempts refused when ``sources`` share ``servers`` places.

    ``load_per_idle_source`` = attempts of one idle source per s × mean holding time in s. A refused
    source is idle again at once. An attempt finds the other ``sources`` − 1 in equilibrium (call
    congestion), hence 0 when everybody has a place.
    Source: T. O. Engset (1918); recursion as in V. B. Iversen, Teletraffic Engineering
    Handbook, chapter on Engset's loss system.

    >>> engset_blocking(5, 5, 10.0)
    0.0
    """
    others = sources - 1
    blocking = 1.0
    for k in range(1, servers + 1):
        flow = max(others - k + 1, 0) * load_per_idle_source * blocking
        blocking = flow / (k + flow)
    return blocking
