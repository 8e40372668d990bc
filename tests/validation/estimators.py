"""How far a simulated average may lie from theory: its standard error, computed and not guessed.

Successive customers of a queue are correlated, so the binomial error is too small. Each function
here solves the model's own Markov chain for the asymptotic variance of the estimator (by its
fundamental matrix). Source: J. G. Kemeny, J. L. Snell, Finite Markov Chains (1960), chapter 4.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

SIGMAS = 4.0
_STEPS = 24
"""Grid steps to a service time; the error itself needs no more than two digits."""


def single_server_sigma(
    measure: Callable[[Floats], Floats],
    *,
    load: float,
    customers: int,
    accepts_up_to: float = math.inf,
    longest: float = 40.0,
) -> float:
    """Return the standard error of the mean of ``measure`` over successive arrivals of M/D/1.

    ``measure`` maps the work that an arrival finds (in services) to what is averaged; arrivals that
    find more than ``accepts_up_to`` bring no work. Work above ``longest`` services is treated as
    that.
    """
    work = np.arange(round(longest * _STEPS) + 1) / _STEPS
    after = np.minimum(work + (work <= accepts_up_to + 1e-9), longest)
    # The work falls by 1 a service until the next arrival, exponential with mean 1 / load services.
    falls = after[:, None] - work[None, :]
    at_most = np.where(falls >= 0, np.exp(-load * np.maximum(falls, 0.0)), 1.0)
    chain = np.diff(at_most, axis=1, prepend=0.0)
    seen = _stationary(chain)
    deviation = measure(work) - seen @ measure(work)
    later = np.linalg.solve(
        np.eye(len(work)) - chain + np.outer(np.ones(len(work)), seen), deviation
    )
    variance = seen @ (2 * deviation * later - deviation**2)
    return math.sqrt(float(variance) / customers)


def loss_system_sigma(
    *, servers: int, sources: int, load_per_idle_source: float, attempts: int
) -> float:
    """Return the standard error of the refused share of Engset's loss system over ``attempts``."""
    states = np.arange(servers + 1)
    arrivals = (sources - states) * load_per_idle_source
    rates = np.diag(arrivals[:-1], 1) + np.diag(states[1:].astype(float), -1)
    generator = rates - np.diag(rates.sum(axis=1))
    share = _stationary(np.eye(servers + 1) + generator / np.abs(generator).max())
    refused = float(share[-1] * arrivals[-1] / (share @ arrivals))
    # An accepted attempt weighs -refused, a refused one 1 - refused: mean 0 in the long run.
    weighed = np.diag(-refused * arrivals[:-1], 1)
    weighed[-1, -1] = (1 - refused) * arrivals[-1]
    squared = np.diag(refused**2 * arrivals[:-1], 1)
    squared[-1, -1] = (1 - refused) ** 2 * arrivals[-1]
    flat = np.outer(np.ones(servers + 1), share)
    deviation = np.linalg.inv(flat - generator) - flat
    variance = share @ squared.sum(axis=1) + 2 * share @ weighed @ deviation @ weighed.sum(axis=1)
    attempts_per_time = float(share @ arrivals)
    return math.sqrt(float(variance) / attempts_per_time / attempts)


def _stationary(chain: Floats) -> Floats:
    size = len(chain)
    system = np.vstack([chain.T - np.eye(size), np.ones(size)])
    solved: Floats = np.linalg.lstsq(system, np.append(np.zeros(size), 1.0), rcond=None)[0]
    return solved
