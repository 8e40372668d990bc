"""The request limiter of a VPG: the one core for the simulator and for any live service.

Owns: when an attempt may pass (token bucket, fixed window; refusing or queueing) and how long to
wait. Does not own: which limit a VPG has (``vpg.catalogue``), what an attempt costs (A-06) or what
happens to a refused one (retry policies, HTTP answers). Times: every ``*_us`` is ``SimUs`` or a
duration in µs.

Tokens are counted in 1/1,000,000 request, so a rate of r requests a second refills exactly r of
them a microsecond and nothing is ever rounded. The promise: in any closed interval of t seconds at
most ``burst + rate × t`` requests are admitted, and in any UTC second of a fixed window at most
``rate``.

These are plain functions over integers in the subset of Python that Numba compiles unchanged: no
keyword-only arguments, no exceptions, no values but integers, and no calls among them (compiled
code cannot call a plain function), which is why refilling is written out in each. Callers check
their input; valid is: rates 1 … 1,000,000 requests/s, bursts 1 … 1,000,000,000 requests, costs from
1 to that, deadlines up to 10^12 µs. Under that, no intermediate value leaves int64, however long
the gap between two attempts. A clock that steps back refills nothing.

A cost above the burst (or above the rate of a fixed window) can never be admitted: always refused.
"""

from __future__ import annotations

from typing import Final

REQUEST_MICRO: Final = 1_000_000
"""Tokens that one request costs."""
WINDOW_US: Final = 1_000_000
"""Length of a fixed window: the UTC second."""
NO_WINDOW: Final = -1
"""Fixed window: no second has been used yet; the state of a new VPG is ``(NO_WINDOW, 0)``."""
EXPIRES: Final = -1
"""Instead of a wait: it would be longer than the deadline (or for ever); nothing was taken."""
FULL: Final = -2
"""Instead of a wait: the queue holds its most already; nothing was taken."""
NO_QUEUE_MAX: Final = -1


def bucket_full(burst_requests: int) -> int:
    """Return the tokens of a bucket at its creation: a new VPG starts with its whole burst."""
    return burst_requests * REQUEST_MICRO


def bucket_admit(  # noqa: PLR0917 - the whole state, for Numba
    tokens_micro: int,
    last_us: int,
    t_us: int,
    rate_per_s: int,
    burst_requests: int,
    cost_requests: int,
) -> tuple[int, int, int]:
    """Admit an attempt at ``t_us`` or refuse it; return (tokens_micro, last_us, 1 or 0).

    A refused attempt takes nothing.

    >>> bucket_admit(1_000_000, 0, 0, 30, 30, 1)
    (0, 0, 1)
    >>> bucket_admit(0, 0, 33_333, 30, 30, 1), bucket_admit(0, 0, 33_334, 30, 30, 1)
    ((999990, 33333, 0), (20, 33334, 1))
    """
    capacity = burst_requests * REQUEST_MICRO
    # Dividing what is missing, not multiplying the gap: a gap of a century must not leave int64.
    gap_us = max(t_us - last_us, 0)
    if gap_us > (capacity - tokens_micro) // rate_per_s:
        tokens_micro = capacity
    else:
        tokens_micro += rate_per_s * gap_us
    last_us += gap_us
    cost_micro = cost_requests * REQUEST_MICRO
    if tokens_micro >= cost_micro:
        return tokens_micro - cost_micro, last_us, 1
    return tokens_micro, last_us, 0


def bucket_admit_soon(  # noqa: PLR0917 - the whole state, for Numba
    tokens_micro: int,
    last_us: int,
    t_us: int,
    rate_per_s: int,
    capacity_micro: int,
    cost_micro: int,
) -> tuple[int, int]:
    """Return ``bucket_admit``'s (tokens_micro at ``t_us``, 1 or 0) without its division.

    For clocks that do not step back and gaps of hours at most: their refill stays within int64.

    >>> bucket_admit_soon(0, 0, 33_334, 30, 30_000_000, 1_000_000)
    (20, 1)
    """
    tokens_micro = min(capacity_micro, tokens_micro + rate_per_s * (t_us - last_us))
    if tokens_micro >= cost_micro:
        return tokens_micro - cost_micro, 1
    return tokens_micro, 0


def bucket_retry_after_us(tokens_micro: int, rate_per_s: int, cost_requests: int) -> int:
    """Return the µs from the state's ``last_us`` until ``cost_requests`` would be admitted.

    Exact if nobody else comes: one microsecond earlier it is refused. (For a cost above the burst
    there is no such time.)

    >>> bucket_retry_after_us(0, 30, 1)
    33334
    """
    missing_micro = cost_requests * REQUEST_MICRO - tokens_micro
    if missing_micro <= 0:
        return 0
    return (missing_micro + rate_per_s - 1) // rate_per_s


def bucket_enqueue(  # noqa: PLR0917 - the whole state, for Numba
    tokens_micro: int,
    last_us: int,
    t_us: int,
    rate_per_s: int,
    burst_requests: int,
    cost_requests: int,
    deadline_us: int,
    queue_max: int,
) -> tuple[int, int, int]:
    """Admit an attempt after a wait, in order; return (tokens_micro, last_us, wait_us).

    It is admitted at ``t_us + wait_us``, first come first served.     ``wait_us`` is at most
    ``deadline_us``, else ``EXPIRES``. ``FULL`` when it would have to wait and ``queue_max``
    admitted attempts wait already (counted as attempts of this cost; ``NO_QUEUE_MAX``: no bound).
    Tokens go below zero: that debt is the slots promised to those who wait. A slot is a whole
    microsecond. What refills between the exact instant and the whole one stays in the bucket as far
    as the burst has room, so the long-run rate is exact; only a burst equal to the cost has no
    room, and there the promise ``burst + rate × t`` itself demands that slots lie ceil(cost / rate)
    apart.

    >>> bucket_enqueue(0, 0, 0, 30, 30, 1, 30_000_000, NO_QUEUE_MAX)
    (-1000000, 0, 33334)
    >>> bucket_enqueue(-1_000_000, 0, 0, 30, 30, 1, 30_000_000, NO_QUEUE_MAX)
    (-2000000, 0, 66667)
    """
    capacity = burst_requests * REQUEST_MICRO
    gap_us = max(t_us - last_us, 0)
    if gap_us > (capacity - tokens_micro) // rate_per_s:
        tokens_micro = capacity
    else:
        tokens_micro += rate_per_s * gap_us
    last_us += gap_us
    cost_micro = cost_requests * REQUEST_MICRO
    if tokens_micro >= cost_micro:
        return tokens_micro - cost_micro, last_us, 0
    wait_us = (cost_micro - tokens_micro + rate_per_s - 1) // rate_per_s
    spill_micro = max(tokens_micro + rate_per_s * wait_us - capacity, 0)
    # Time the clock stepped back counts as waiting too: slots are promised from last_us on.
    wait_us += last_us - t_us
    if queue_max >= 0:
        slot_micro = cost_micro
        if capacity == cost_micro:
            slot_micro = (cost_micro + rate_per_s - 1) // rate_per_s * rate_per_s
        if (slot_micro - 1 - tokens_micro) // slot_micro >= queue_max:
            return tokens_micro, last_us, FULL
    if cost_micro > capacity or wait_us > deadline_us:
        return tokens_micro, last_us, EXPIRES
    return tokens_micro - cost_micro - spill_micro, last_us, wait_us


def bucket_resize(  # noqa: PLR0917 - the whole state, for Numba
    tokens_micro: int,
    last_us: int,
    t_us: int,
    old_rate_per_s: int,
    old_burst_requests: int,
    new_rate_per_s: int,
    new_burst_requests: int,
) -> tuple[int, int]:
    """Change rate and burst at ``t_us``; return (tokens_micro, last_us).

    Tokens are kept, capped to the new burst. Slots already promised to waiting attempts stand;
    whoever comes later gets slots behind them at the new rate (until the last of them has passed,
    ``queue_max`` counts the time they take in slots of the new rate).

    >>> bucket_resize(90_000_000, 0, 0, 90, 90, 30, 30)
    (30000000, 0)
    """
    capacity = old_burst_requests * REQUEST_MICRO
    gap_us = max(t_us - last_us, 0)
    if gap_us > (capacity - tokens_micro) // old_rate_per_s:
        tokens_micro = capacity
    else:
        tokens_micro += old_rate_per_s * gap_us
    last_us += gap_us
    promised_us = 0
    if tokens_micro < 0:
        promised_us = (old_rate_per_s - 1 - tokens_micro) // old_rate_per_s
    after_promised = tokens_micro + old_rate_per_s * promised_us
    kept = min(after_promised, new_burst_requests * REQUEST_MICRO)
    return kept - new_rate_per_s * promised_us, last_us


def window_admit(
    window_s: int, used: int, t_us: int, rate_per_s: int, cost_requests: int
) -> tuple[int, int, int]:
    """Admit an attempt into its UTC second or refuse it; return (window_s, used, 1 or 0).

    ``used`` requests of the UTC second ``window_s`` are taken. A resize changes ``rate_per_s``
    only: what the running second has used stays used.

    >>> window_admit(NO_WINDOW, 0, 5_999_999, 1, 1), window_admit(5, 1, 5_999_999, 1, 1)
    ((5, 1, 1), (5, 1, 0))
    """
    now_s = t_us // WINDOW_US
    if now_s > window_s:
        window_s = now_s
        used = 0
    if used + cost_requests <= rate_per_s:
        return window_s, used + cost_requests, 1
    return window_s, used, 0


def window_enqueue(  # noqa: PLR0917 - the whole state, for Numba
    window_s: int,
    used: int,
    t_us: int,
    rate_per_s: int,
    cost_requests: int,
    deadline_us: int,
    queue_max: int,
) -> tuple[int, int, int]:
    """Admit an attempt in the next second with room; return (window_s, used, wait_us).

    ``window_s`` is the last second with an admitted attempt and may lie ahead. ``EXPIRES`` and
    ``FULL`` as in ``bucket_enqueue``.

    >>> window_enqueue(5, 30, 5_250_000, 30, 1, 30_000_000, NO_QUEUE_MAX)
    (6, 1, 750000)
    """
    now_s = t_us // WINDOW_US
    if now_s > window_s:
        window_s = now_s
        used = 0
    into_s = window_s
    taken = used + cost_requests
    if taken > rate_per_s:
        into_s = window_s + 1
        taken = cost_requests
    wait_us = max(into_s * WINDOW_US - t_us, 0)
    if wait_us > 0 and queue_max >= 0:
        waiting = 0
        if window_s > now_s:
            per_window = rate_per_s // cost_requests
            waiting = (window_s - now_s - 1) * per_window + used // cost_requests
        if waiting >= queue_max:
            return window_s, used, FULL
    if cost_requests > rate_per_s or wait_us > deadline_us:
        return window_s, used, EXPIRES
    return into_s, taken, wait_us


def window_retry_after_us(t_us: int) -> int:
    """Return the µs from ``t_us`` until the next fixed window begins.

    >>> window_retry_after_us(5_250_000)
    750000
    """
    return WINDOW_US - t_us % WINDOW_US


def retry_after_s(us: int) -> int:
    """Return a wait as the HTTP ``Retry-After`` says it: whole seconds, rounded up, at least 1.

    Source: RFC 9110 section 10.2.3 (delay-seconds is a whole number).

    >>> retry_after_s(0), retry_after_s(1_000_000), retry_after_s(1_000_001)
    (1, 1, 2)
    """
    return max((us + WINDOW_US - 1) // WINDOW_US, 1)
