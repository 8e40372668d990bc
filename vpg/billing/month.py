"""From hourly charges to what each rating month costs, tax included.

Owns: rating months, tax, the level of rounding, month-to-date totals. Does not own: the hourly
charges (``vpg.rating.charges``), credits and coupons. Times: a rating month is a UTC calendar month
(1st 09:00 JST to the next 1st 09:00 JST), a billing day a UTC day; the tax rate is the one in force
at the month's first instant (A-33). Money is exact integers: micro-yen until the one rounding,
whole yen behind it.

Rounding (A-15), always up: ``monthly_total`` adds tax once to the month's sum; ``per_item`` to each
VPG's bill item of the month; ``per_day`` to each billing day's sum.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from vpg.billing.money import round_up_yen, with_tax_round_up_yen, yen_text
from vpg.timebase import DAY_US, month_name, month_start

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

    from vpg.billing.policy import Rounding
    from vpg.catalogue.model import Catalogue
    from vpg.rating.charges import ChargeRow

BILL_SCHEMA = "vpgsim-bill-v1"
CSV_HEADER = ("vpgId", "date", "billItemName", "unitPrice", "quantity", "amount")


@dataclass(frozen=True, slots=True, kw_only=True)
class BillItem:
    """One VPG's use of one bill item at one price in one rating month; ``None`` = unpriced."""

    vpg_id: str
    bill_item: str
    quantity: int
    unit_price_micro_yen: int | None
    amount_micro_yen: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BillMonth:
    """One rating month of the operator; tax excluded + tax = tax included, always."""

    month: str
    """``yyyyMM``."""
    tax_ppm: int
    items: tuple[BillItem, ...]
    tax_excluded_micro_yen: int
    """Exact sum before any rounding; unpriced items are not in it."""
    tax_excluded_yen: int
    tax_yen: int
    tax_included_yen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What a run costs."""

    rounding: Rounding
    months: tuple[BillMonth, ...]
    tax_excluded_yen: int
    tax_yen: int
    tax_included_yen: int
    complete: bool
    """False when something used has no price: the totals then lack it."""
    unpriced: tuple[tuple[str, str], ...]
    """(vpg_id, bill_item) without a price."""


def bill_months(charges: Iterable[ChargeRow], catalogue: Catalogue, rounding: Rounding) -> Bill:
    """Return the bill of ``charges``; raises ``InputError`` when a month has no tax rate."""
    by_month: dict[int, list[ChargeRow]] = {}
    unpriced = set()
    for row in charges:
        by_month.setdefault(month_start(row.hour_start_us), []).append(row)
        if row.amount_micro_yen is None:
            unpriced.add((row.vpg_id, row.bill_item))
    months = tuple(
        _month(begins, by_month[begins], catalogue.tax_ppm(begins), rounding)
        for begins in sorted(by_month)
    )
    return Bill(
        rounding=rounding,
        months=months,
        tax_excluded_yen=sum(month.tax_excluded_yen for month in months),
        tax_yen=sum(month.tax_yen for month in months),
        tax_included_yen=sum(month.tax_included_yen for month in months),
        complete=not unpriced,
        unpriced=tuple(sorted(unpriced)),
    )


def _month(
    begins_us: int, rows: Sequence[ChargeRow], tax_ppm: int, rounding: Rounding
) -> BillMonth:
    parts = _parts(rows, _PART_OF[rounding])
    excluded = sum(round_up_yen(part) for part in parts)
    included = sum(with_tax_round_up_yen(part, tax_ppm) for part in parts)
    return BillMonth(
        month=month_name(begins_us),
        tax_ppm=tax_ppm,
        items=_items(rows),
        tax_excluded_micro_yen=sum(parts),
        tax_excluded_yen=excluded,
        tax_yen=included - excluded,
        tax_included_yen=included,
    )


def _whole(_row: ChargeRow) -> Hashable:
    return None


def _item(row: ChargeRow) -> Hashable:
    return row.vpg_id, row.bill_item


def _day(row: ChargeRow) -> Hashable:
    return row.hour_start_us // DAY_US


_PART_OF: dict[Rounding, Callable[[ChargeRow], Hashable]] = {
    "monthly_total": _whole,
    "per_item": _item,
    "per_day": _day,
}


def _parts(rows: Sequence[ChargeRow], part_of: Callable[[ChargeRow], Hashable]) -> list[int]:
    """Return the sums (micro-yen) that are rounded one by one."""
    parts: dict[Hashable, int] = {}
    for row in rows:
        part = part_of(row)
        parts[part] = parts.get(part, 0) + (row.amount_micro_yen or 0)
    return list(parts.values())


def _items(rows: Sequence[ChargeRow]) -> tuple[BillItem, ...]:
    quantities: dict[tuple[str, str, int | None], int] = {}
    for row in rows:
        key = (row.vpg_id, row.bill_item, row.unit_price_micro_yen)
        quantities[key] = quantities.get(key, 0) + row.quantity
    ordered = sorted(quantities, key=lambda k: (k[0], k[1], k[2] is None, k[2] or 0))
    return tuple(
        BillItem(
            vpg_id=key[0],
            bill_item=key[1],
            quantity=quantities[key],
            unit_price_micro_yen=key[2],
            amount_micro_yen=None if key[2] is None else key[2] * quantities[key],
        )
        for key in ordered
    )


class MonthToDate(NamedTuple):
    """What a rating month costs up to the end of one hour: all VPGs, tax excluded."""

    hour_start_us: int
    month: str
    """``yyyyMM``."""
    cumulative_micro_yen: int


def month_to_date(charges: Iterable[ChargeRow]) -> list[MonthToDate]:
    """Return the running total of each charged hour, in order; unpriced items are not in it."""
    by_hour: dict[int, int] = {}
    for row in charges:
        by_hour[row.hour_start_us] = by_hour.get(row.hour_start_us, 0) + (row.amount_micro_yen or 0)
    running: list[MonthToDate] = []
    for hour in sorted(by_hour):
        month = month_name(hour)
        last = running[-1] if running else None
        before = last.cumulative_micro_yen if last and last.month == month else 0
        running.append(MonthToDate(hour, month, before + by_hour[hour]))
    return running


def bill_document(bill: Bill) -> dict[str, Any]:
    """Return the bill as the closed document ``bill.json``: money as decimal text in yen.

    ``month_to_date_yen`` is the last running total of the month: exact, tax excluded, not rounded.
    """
    return {
        "schema_version": BILL_SCHEMA,
        "currency": "JPY",
        "rounding": bill.rounding,
        "complete": bill.complete,
        "unpriced": [{"vpg_id": vpg, "bill_item": item} for vpg, item in bill.unpriced],
        "tax_excluded_yen": bill.tax_excluded_yen,
        "tax_yen": bill.tax_yen,
        "tax_included_yen": bill.tax_included_yen,
        "months": [
            {
                "month": month.month,
                "tax_ppm": month.tax_ppm,
                "month_to_date_yen": yen_text(month.tax_excluded_micro_yen),
                "tax_excluded_yen": month.tax_excluded_yen,
                "tax_yen": month.tax_yen,
                "tax_included_yen": month.tax_included_yen,
                "items": [
                    {
                        "vpg_id": item.vpg_id,
                        "bill_item": item.bill_item,
                        "quantity": item.quantity,
                        "unit_price_yen": _yen_or_none(item.unit_price_micro_yen),
                        "amount_yen": _yen_or_none(item.amount_micro_yen),
                    }
                    for item in month.items
                ],
            }
            for month in bill.months
        ],
    }


def _yen_or_none(micro_yen: int | None) -> str | None:
    return None if micro_yen is None else yen_text(micro_yen)


def bill_csv(bill: Bill) -> str:
    """Return the bill as CSV text: BOM, CRLF, the provider's column names, three totals a month.

    ``unitPrice`` and ``amount`` are yen, tax excluded, empty where there is no price; the totals
    are the rows ``total_tax_excluded``, ``consumption_tax`` and ``total_tax_included`` with an
    empty ``vpgId``. A month in which something used has no price ends with a row ``incomplete``
    for each such thing: its ``vpgId`` and item (``incomplete: vpg_g``), so that nobody takes the
    totals above for the whole.
    """
    text = io.StringIO()
    text.write("\ufeff")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(CSV_HEADER)
    for month in bill.months:
        for item in month.items:
            price = _yen_or_none(item.unit_price_micro_yen) or ""
            amount = _yen_or_none(item.amount_micro_yen) or ""
            writer.writerow(
                (item.vpg_id, month.month, item.bill_item, price, item.quantity, amount)
            )
        for name, yen in (
            ("total_tax_excluded", month.tax_excluded_yen),
            ("consumption_tax", month.tax_yen),
            ("total_tax_included", month.tax_included_yen),
        ):
            writer.writerow(("", month.month, name, "", "", yen))
        for item in month.items:
            if item.amount_micro_yen is None:
                name = f"incomplete: {item.bill_item}"
                writer.writerow((item.vpg_id, month.month, name, "", "", ""))
    return text.getvalue()
