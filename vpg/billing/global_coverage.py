"""Global coverage: charged in dollars, paid in yen.

Owns: the rate of the month and the one conversion. Does not own: rounding to 0.01 USD
(``rounding``) and the 0.5 USD month (``small_month``). Money: whole cents in, whole yen out; a rate
is integer micro-yen for a dollar, so that text such as 151.23 is exact.
"""

from __future__ import annotations

from decimal import Decimal, DecimalException
from typing import TYPE_CHECKING

from vpg.billing.money import round_up
from vpg.catalogue.items import MICRO_YEN
from vpg.errors import InputError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Literal

    from vpg.billing.model import FxRate

USD_CENTS = 100
RATE_MICRO_MAX = 10_000 * MICRO_YEN


def rate_micro(text: str) -> int:
    """Return a rate in yen for a dollar, as text, in micro-yen; raises ``InputError``.

    >>> rate_micro("151.23")
    151230000
    """
    try:
        exact = Decimal(text) * MICRO_YEN
    except DecimalException:
        exact = Decimal(0)
    if not exact.is_finite() or exact != int(exact) or not 0 < exact <= RATE_MICRO_MAX:
        raise InputError([Problem(code="VPG1705", values={"value": text})])
    return int(exact)


def find_rate(rates: Iterable[FxRate], month: str, label: Literal["TTS", "TTL"]) -> FxRate:
    """Return the monthly average of ``month`` with ``label``; raises ``InputError`` without one.

    Rates are never guessed: they are published after the month. Source: seed 0, 3.7.2 (TTS of the
    month for the invoice); seed 2, table 1, note (TTL for the support fee); A-27.
    """
    for one in rates:
        if one.month == month and one.label == label:
            return one
    raise InputError([Problem(code="VPG1706", values={"month": month, "label": label})])


def to_yen(cents: int, rate: FxRate | None) -> int:
    """Return cents in yen at ``rate``, a fraction rounded up; without a rate they are yen already.

    Source: seed 0, 3.7.2; seed 1, price table, general rule 5.

    >>> from vpg.billing.model import FxRate
    >>> to_yen(1_001, FxRate(month="202604", label="TTS", micro_yen_per_usd=rate_micro("151.23")))
    1514
    """
    if rate is None:
        return cents
    return round_up(cents * rate.micro_yen_per_usd, USD_CENTS * MICRO_YEN)
