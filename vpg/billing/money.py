"""Exact amounts as whole ones and as text; the one place where a fraction is rounded: up."""

from __future__ import annotations

from vpg.catalogue.items import MICRO_YEN, PPM


def round_up(value: int, unit: int) -> int:
    """Return ``value / unit`` as a whole number, a fraction rounded up.

    Source: seed 1, price table, general rule 5; seed 2, price table, general rule 4.

    >>> round_up(1, 10), round_up(10, 10), round_up(-9, 10)
    (1, 1, 0)
    """
    return -(-value // unit)


def round_up_yen(micro_yen: int) -> int:
    """Return whole yen, a fraction rounded up (terms, price table, general rule 5).

    >>> round_up_yen(16_500_000), round_up_yen(16_000_000)
    (17, 16)
    """
    return round_up(micro_yen, MICRO_YEN)


def with_tax_round_up_yen(micro_yen: int, tax_ppm: int) -> int:
    """Return whole yen of a tax-excluded amount with tax, rounded up once.

    >>> with_tax_round_up_yen(15_000_000, 100_000)
    17
    """
    return round_up(micro_yen * (PPM + tax_ppm), MICRO_YEN * PPM)


def yen_text(micro_yen: int) -> str:
    """Return exact yen as decimal text without an exponent or needless zeros.

    >>> yen_text(16_500_000), yen_text(50_000_000), yen_text(1)
    ('16.5', '50', '0.000001')
    """
    whole, rest = divmod(micro_yen, MICRO_YEN)
    return f"{whole}.{rest:06d}".rstrip("0").rstrip(".") if rest else str(whole)
