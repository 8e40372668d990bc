"""Whole numbers that reproduce measured bytes: how often a line reports and how large a report is.

Owns: the choice of interval and payloads, its error, and the classes of usage. Units: bytes, and
messages a day of 86,400 s. All arithmetic is exact (integers and fractions).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from scenarios.importers.options import BYTES_MAX, DAY_S

MILLION = 1_000_000

DIVISORS = tuple(n for n in range(1, DAY_S + 1) if DAY_S % n == 0)
"""Messages a day that make the interval a whole number of seconds."""

TOLERANCE_PPM = 100
"""Errors of a fit below this do not matter; then the natural number of messages decides."""

USAGE_CLASSES = (("light", 1_000_000), ("medium", 100_000_000))
"""Name and bytes a day below which a line is of that class; above them all it is ``heavy``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A report every ``every_s`` seconds: ``up_bytes`` upward, ``down_bytes`` downward."""

    every_s: int
    up_bytes: int
    down_bytes: int

    def bytes_per_day(self) -> int:
        """Return the bytes of one line and day, both directions."""
        return DAY_S // self.every_s * (self.up_bytes + self.down_bytes)


def usage_class(bytes_total: int, days: int) -> str:
    """Return the class of a line that moved ``bytes_total`` in ``days``.

    >>> usage_class(0, 7), usage_class(6_999_999, 7), usage_class(7_000_000, 7)
    ('silent', 'light', 'medium')
    """
    if bytes_total == 0:
        return "silent"
    for name, below in USAGE_CLASSES:
        if bytes_total < below * days:
            return name
    return "heavy"


def nearest(value: Fraction) -> int:
    """Return the whole number nearest to ``value`` (>= 0), halves upward."""
    return int(value + Fraction(1, 2))


def fit_bytes(up: Fraction, down: Fraction, wanted_per_day: Fraction) -> Fit:
    """Return a report that moves ``up`` and ``down`` bytes a day and line.

    Looks at the numbers of messages a day that give a whole interval. The one nearest to
    ``wanted_per_day`` (from a quarter to four times of it) within ``TOLERANCE_PPM`` wins, else the
    one with the least error of all: few bytes make few messages of whole bytes, many bytes make
    many messages of a size that a scenario takes.

    >>> fit_bytes(Fraction(1200), Fraction(0), Fraction(24))
    Fit(every_s=3600, up_bytes=50, down_bytes=0)
    >>> fit_bytes(Fraction(7), Fraction(0), Fraction(24))
    Fit(every_s=86400, up_bytes=7, down_bytes=0)
    """
    fits: list[tuple[int, Fraction, Fit]] = []
    for per_day in DIVISORS:
        sizes = nearest(up / per_day), nearest(down / per_day)
        if max(sizes) <= BYTES_MAX and sum(sizes) > 0:
            fit = Fit(every_s=DAY_S // per_day, up_bytes=sizes[0], down_bytes=sizes[1])
            off_ppm = error_ppm(fit.bytes_per_day(), up + down)
            fits.append((off_ppm, abs(per_day - wanted_per_day), fit))
    near = [
        (distance, fit)
        for off_ppm, distance, fit in fits
        if off_ppm <= TOLERANCE_PPM
        and wanted_per_day <= 4 * (DAY_S // fit.every_s) <= 16 * wanted_per_day
    ]
    if near:
        return min(near, key=lambda item: item[0])[1]
    if fits:
        return min(fits, key=lambda item: item[:2])[2]
    # Less than half a byte a day: the least that can be said.
    return Fit(every_s=DAY_S, up_bytes=1, down_bytes=0)


def error_ppm(got: int | Fraction, wanted: int | Fraction) -> int:
    """Return how far ``got`` is from ``wanted`` in ppm, rounded up; 0 when nothing is wanted."""
    if wanted == 0:
        return 0
    share = abs(Fraction(got) - wanted) * MILLION / wanted
    return -(-share.numerator // share.denominator)
