"""Theory against the simulator, as the table of ``docs/validation.md``.

``python -m tests.validation.table`` runs every case (minutes on one core) and prints the rows. The
cases are those of ``test_theory``; the standard errors are those of ``estimators``.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sim import theory
from tests.support import run_scenario
from tests.validation import test_theory as cases
from tests.validation.estimators import loss_system_sigma, single_server_sigma
from vpg.rating.histogram import upper_us

if TYPE_CHECKING:
    from collections.abc import Iterator

HOURS = 4
MILLI = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure: what theory says, what was measured, and its standard error."""

    system: str
    figure: str
    theory: float
    measured: float
    sigma: float
    of: int

    def line(self) -> str:
        """Return the row as Markdown; *off* is the distance in standard errors."""
        off = f"{(self.measured - self.theory) / self.sigma:+.1f}" if self.sigma else "exact"
        interval = f"± {1.96 * self.sigma:.4g}" if self.sigma else ""
        cells = (
            self.system,
            self.figure,
            f"{self.theory:.5g}",
            f"{self.measured:.5g}",
            interval,
            off,
            f"{self.of:,}",
        )
        return f"| {' | '.join(cells)} |"


def waits(load: float, seed: int) -> Row:
    """Mean wait of the queueing limiter with burst 1: M/D/1."""
    per_s = load * cases.RATE_PER_S
    limiter = "{above: queue, burst_requests: 1, queue_deadline_s: 3600}"
    text = cases.small(hours=HOURS, source=cases.poisson(per_s), limiter=limiter, seed=seed)
    counts = cases.delays(run_scenario(text))
    customers = sum(counts.values())
    # The middle of a bucket: it is 0.8 % wide, and every bucket in use is hit many times.
    mean_us = sum((upper_us(b - 1) + 1 + upper_us(b)) / 2 * n for b, n in counts.items() if b)
    sigma = single_server_sigma(lambda work: work, load=load, customers=customers)
    return Row(
        system=f"M/D/1, load {load:g}",
        figure="mean wait, ms",
        theory=theory.md1_wait_us(per_s, cases.SERVICE_US) / MILLI,
        measured=mean_us / customers / MILLI,
        sigma=sigma * cases.SERVICE_US / MILLI,
        of=customers,
    )


def losses(load: float, burst: int, seed: int) -> Row:
    """Share that a refusing bucket of ``burst`` throttles: M/D/1 with so many places."""
    source = cases.poisson(load * cases.RATE_PER_S)
    limiter = f"{{burst_requests: {burst}}}"
    result = run_scenario(cases.small(hours=HOURS, source=source, limiter=limiter, seed=seed))
    free = float(burst - 1)
    attempts = cases.total(result, "attempts_beam")
    sigma = single_server_sigma(
        lambda work: (work > free + 1e-9).astype(float),
        load=load,
        customers=attempts,
        accepts_up_to=free,
    )
    erlang = " (Erlang B, 1 server)" if burst == 1 else ""
    return Row(
        system=f"M/D/1/{burst}{erlang}, load {load:g}",
        figure="throttled, %",
        theory=100 * theory.md1k_loss(burst, load),
        measured=100 * cases.refused_share(result),
        sigma=100 * sigma,
        of=attempts,
    )


def refusals(lines: int, offered_erlang: float, duration: str, seed: int) -> Row:
    """Share of attaches that the line cap refuses: Engset, and Erlang B in the limit."""
    result = cases.capped(
        lines=lines, offered_erlang=offered_erlang, duration=duration, hours=240, seed=seed
    )
    attempts = cases.total(result, "attach_attempts")
    per_idle_line = offered_erlang / lines
    sigma = loss_system_sigma(
        servers=cases.CAP, sources=lines, load_per_idle_source=per_idle_line, attempts=attempts
    )
    erlang = theory.erlang_b(cases.CAP, offered_erlang)
    limit = f"; Erlang B {100 * erlang:.4g}" if lines >= MILLI else ""
    return Row(
        system=f"Engset, {lines:,} lines, cap {cases.CAP}, {offered_erlang:g} Erlang, {duration}",
        figure=f"refused, %{limit}",
        theory=100 * theory.engset_blocking(cases.CAP, lines, per_idle_line),
        measured=100 * cases.total(result, "sessions_refused") / attempts,
        sigma=100 * sigma,
        of=attempts,
    )


def evenly_spaced(every_s: float) -> Row:
    """Throttled attempts of evenly spaced arrivals: D/D/1 with a burst of 30, to the attempt."""
    result = run_scenario(cases.small(hours=HOURS, source=cases.evenly(every_s)))
    attempts = cases.total(result, "attempts_beam")
    # A gap of every_s / 1,000 refills 3 × every_s / 100 requests; every_s has one decimal.
    refill_milli = round(every_s * 10) * 3
    admitted = min(attempts, 30 + (attempts - 1) * refill_milli // MILLI)
    return Row(
        system=f"D/D/1, 1,000 lines each {every_s:g} s",
        figure="throttled",
        theory=attempts - admitted,
        measured=cases.total(result, "throttled_beam"),
        sigma=0.0,
        of=attempts,
    )


def rows() -> Iterator[Row]:
    """Yield every row of the table."""
    for every_s in (33.4, 33.2):
        yield evenly_spaced(every_s)
    # A seed of its own for each row: the same seed would share its luck with its neighbours.
    for seed, load in enumerate((0.3, 0.6, 0.8, 0.9), start=101):
        yield waits(load, seed)
    places = ((0.5, 1), (1.0, 1), (2.0, 1), (0.9, 5), (1.0, 30))
    for seed, (load, burst) in enumerate(places, start=201):
        yield losses(load, burst, seed)
    for seed, duration in enumerate(("exponential_mean_s", "fixed_s"), start=301):
        yield refusals(40, 8.0, duration, seed)
    yield refusals(1000, 7.0, "exponential_mean_s", 303)


def main() -> None:
    """Print the table."""
    sys.stdout.write("| system | figure | theory | measured | 95 % | off by σ | arrivals |\n")
    sys.stdout.write("| --- | --- | --- | --- | --- | --- | --- |\n")
    for row in rows():
        sys.stdout.write(f"{row.line()}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
