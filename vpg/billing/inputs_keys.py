"""What a file of month inputs may say: its tables, their keys, and how each value is read.

Owns: names, kinds and bounds of the values. Does not own: places and problems, or what the values
become (``inputs_file``). Money is written in whole units and decimals of the currency and read as
whole millionths; times carry their zone.
"""

from __future__ import annotations

import datetime as dt
import unicodedata
from dataclasses import fields
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple, get_args, get_type_hints

from vpg.billing.csv_detail import COLUMNS, THING_COLUMNS, is_date
from vpg.billing.global_coverage import rate_micro
from vpg.billing.model import Coverage, LineKind, PaymentMethod, TaxClass
from vpg.billing.policy import InvoicePolicy
from vpg.catalogue.items import MICRO_YEN
from vpg.errors import InputError
from vpg.timebase import from_datetime

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT_MAX = 200
WHOLE_MAX = 10**15
_MONTH_DIGITS = 6
_DIGITS_MAX = 20
"""Below what ``Decimal`` rounds."""


class Key(NamedTuple):
    """One key of a table: how its value is read (``None``: it cannot be) and what is allowed."""

    read: Callable[[object], object]
    allowed: str
    needed: bool = True


def _text(value: object) -> str | None:
    good = isinstance(value, str) and 0 < len(value) <= TEXT_MAX
    return value if good and isinstance(value, str) and _is_plain(value) else None


def _is_plain(value: str) -> bool:
    return not any(unicodedata.category(char) in ("Cc", "Cs") for char in value)


def _texts(value: object) -> tuple[str, ...] | None:
    if not isinstance(value, list) or not value or not all(_text(one) for one in value):
        return None
    return tuple(value)


def _tag(value: object) -> str | None:
    return None if value in (*COLUMNS, *THING_COLUMNS) else _text(value)


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _day(value: object) -> dt.date | None:
    return value if isinstance(value, dt.date) and not isinstance(value, dt.datetime) else None


def _month(value: object) -> str | None:
    good = isinstance(value, str) and len(value) == _MONTH_DIGITS and is_date(value)
    return value if good and isinstance(value, str) else None


def _instant(value: object) -> int | None:
    if not isinstance(value, dt.datetime) or value.tzinfo is None:
        return None
    return from_datetime(value)


def _money(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    exact = Decimal(value)
    if not exact.is_finite() or len(exact.as_tuple().digits) > _DIGITS_MAX:
        return None
    micro = exact * MICRO_YEN
    return int(micro) if micro == int(micro) and abs(exact) <= WHOLE_MAX else None


def _fee(value: object) -> int | None:
    micro = _money(value)
    return None if micro is None or micro < 0 else micro


def _rate(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    try:
        return rate_micro(str(value))
    except InputError:
        return None


def _whole(low: int) -> Callable[[object], int | None]:
    def read(value: object) -> int | None:
        if isinstance(value, bool) or not isinstance(value, int):
            return None
        return value if low <= value <= WHOLE_MAX else None

    return read


def _choice(words: tuple[str, ...], *, needed: bool = False) -> Key:
    def read(value: object) -> str | None:
        return value if isinstance(value, str) and value in words else None

    return Key(read, ", ".join(words), needed)


TEXT = Key(_text, f'"…" (1 … {TEXT_MAX})')
COUNT = Key(_whole(0), "0, 1, 2, …")
SIGNED = Key(_whole(-WHOLE_MAX), "…, -1, 0, 1, …")
MANY = Key(_whole(1), "1, 2, 3, …")
DAY = Key(_day, "2026-04-30")
MONTH = Key(_month, '"202604"')
INSTANT = Key(_instant, "2026-04-30T09:00:00+09:00")
MONEY = Key(_money, "16.5, -16.5 (0.000001)")
FEE = Key(_fee, "0, 16.5 (0.000001)")
FLAG = Key(_flag, "true, false", needed=False)
OWNER = TEXT._replace(needed=False)
TAX = _choice(get_args(TaxClass))
COVERAGE = _choice(get_args(Coverage))
LINE_KINDS: tuple[str, ...] = get_args(LineKind)


def _maybe(key: Key) -> Key:
    return key._replace(needed=False)


def _policy() -> dict[str, Key]:
    hints = get_type_hints(InvoicePolicy)
    return {one.name: _choice(get_args(hints[one.name])) for one in fields(InvoicePolicy)}


HEAD: dict[str, Key] = {
    "payer": OWNER,
    "method": _choice(get_args(PaymentMethod)),
    "coverages_apart": FLAG,
    "as_of": _maybe(INSTANT),
}
"""Keys above the first table."""
ONCE: dict[str, dict[str, Key]] = {"policy": _policy(), "names": {}}
"""Tables that are there once; the keys of ``names`` are our names of bill items."""
MANY_TIMES: dict[str, dict[str, Key]] = {
    "operator": {
        "id": TEXT,
        "name": OWNER,
        "account": _choice(("corporate", "individual")),
        "vpgs": Key(_texts, '["gate", …]', needed=False),
        "base_fee_sims": _maybe(COUNT),
        "service_credit_yen": _maybe(COUNT),
        "last": FLAG,
    },
    "coupon": {
        "operator": OWNER,
        "id": TEXT,
        "balance_yen": COUNT,
        "first_month": MONTH,
        "last_month": MONTH,
        "item": OWNER,
    },
    "coupon_purchase": {"operator": OWNER, "id": TEXT, "yen": COUNT, "bought_on": DAY},
    "goods": {
        "operator": OWNER,
        "item": TEXT,
        "quantity": MANY,
        "price": FEE,
        "dispatched_on": DAY,
        "tax_class": TAX,
    },
    "discount": {
        "operator": OWNER,
        "id": TEXT,
        "sims": MANY,
        "first_month": MONTH,
        "months": _maybe(MANY),
        "payment": _choice(("monthly", "lump_sum")),
        "price": FEE,
        "base_fee": FEE,
    },
    "late_payment": {
        "operator": OWNER,
        "invoice_id": TEXT,
        "principal_yen": COUNT,
        "due_on": DAY,
        "paid_on": DAY,
    },
    "outage": {
        "operator": OWNER,
        "service": _choice(("vpg", "flux"), needed=True),
        "began": INSTANT,
        "aware": INSTANT,
        "ended": INSTANT,
        "complete": FLAG._replace(needed=True),
        "fault": _choice(("provider", "carrier_or_cloud", "third_party"), needed=True),
        "gross": FLAG,
        "known_on": DAY,
        "claimed_on": _maybe(DAY),
        "month": MONTH,
        "hourly_fee": _maybe(FEE),
        "month_fee": FEE,
        "damage_yen": _maybe(COUNT),
        "received_yen": _maybe(COUNT),
        "note": OWNER,
    },
    "support": {
        "operator": OWNER,
        "plan": _choice(("basic", "priority", "enterprise"), needed=True),
        "first_on": DAY,
        "last_on": _maybe(DAY),
        "quote_yen": _maybe(COUNT),
    },
    "sla_claim": {
        "operator": OWNER,
        "violated_on": DAY,
        "claimed_on": DAY,
        "asked_yen": COUNT,
        "month_fee_yen": COUNT,
        "as_service_credit": FLAG,
    },
    "flux_plan": {
        "coverage": COVERAGE,
        "name": TEXT,
        "month_fee": _maybe(FEE),
        "events": COUNT,
        "credits": COUNT,
        "event_price": _maybe(FEE),
        "credit_price": _maybe(FEE),
    },
    "flux": {
        "operator": OWNER,
        "coverage": COVERAGE,
        "plans": Key(_texts, '["standard", …]'),
        "events": COUNT,
        "credits": COUNT,
    },
    "rate": {
        "month": MONTH,
        "label": _choice(("TTS", "TTL"), needed=True),
        "yen_per_usd": Key(_rate, "151.23"),
        "source": OWNER,
    },
    "carried_over": {
        "operator": OWNER,
        "coverage": COVERAGE,
        "month": MONTH,
        "tax_excluded": FEE,
        "tax_included": FEE,
        "coupon_barred": _maybe(FEE),
    },
    "line": {
        "operator": OWNER,
        "coverage": COVERAGE,
        "kind": _choice(LINE_KINDS),
        "item": TEXT,
        "month": _maybe(MONTH),
        "day": _maybe(DAY),
        "quantity": SIGNED,
        "unit": OWNER,
        "price": _maybe(MONEY),
        "tax_class": TAX,
        "vpg": OWNER,
        "imsi": OWNER,
        "device": OWNER,
        "note": OWNER,
    },
    "tag": {"thing": TEXT, "name": Key(_tag, TEXT.allowed), "value": TEXT},
    "late_usage": {"run": TEXT, "arrived": INSTANT, "version": COUNT},
}
"""Tables that may be there any number of times; without ``operator`` a row is the payer's."""
