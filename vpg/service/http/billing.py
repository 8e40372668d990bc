"""What the API tells of bills: every rating month, or one with its lines.

Owns: bills on the wire. Does not own: charges and corrections (``vpg.service.store``), months, tax
and rounding (``vpg.billing.month``). Money is whole yen; lines are micro-yen, tax excluded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpg.billing.calendar import BusinessCalendar, invoice_dates
from vpg.billing.month import bill_months
from vpg.service.http.asking import json_of, not_found, table, wants_csv
from vpg.service.http.reading import charges_of, in_thread, month_us, own_vpgs
from vpg.service.http.shapes import BillList, BillShape, CostShape
from vpg.timebase import month_name, month_start

if TYPE_CHECKING:
    from vpg.billing.month import BillMonth
    from vpg.service.http.answers import Answer
    from vpg.service.http.asking import Asked
    from vpg.service.parts import Parts

_CATEGORY = "vpg"
MONTHS_MAX = 18
"""Months told of at most. Source: the provider's API keeps as many."""


async def bills(asked: Asked) -> Answer:
    """Tell every month in which there is something to bill, newest first."""
    parts = asked.parts

    def read() -> list[BillShape]:
        vpg_ids, found = own_vpgs(asked), []
        start_us = month_start(parts.clock.now_us())
        first_us = _first_us(parts, vpg_ids)
        for _ in range(MONTHS_MAX):
            if first_us is None or start_us < month_start(first_us):
                break
            found.append(_bill(parts, vpg_ids, start_us, with_lines=False))
            start_us = month_start(start_us - 1)
        return found

    return json_of(BillList(billList=tuple(await in_thread(read))))


async def bill(asked: Asked) -> Answer:
    """Tell one month with its lines; as CSV, its lines."""
    parts = asked.parts
    start_us = month_us(asked, asked.named("yyyyMM"))
    if start_us > parts.clock.now_us():
        raise not_found("month yet")
    shape = await in_thread(lambda: _bill(parts, own_vpgs(asked), start_us, with_lines=True))
    if wants_csv(asked):
        return table(asked, shape.costBreakdownList, CostShape)
    return json_of(shape)


def _first_us(parts: Parts, vpg_ids: list[str]) -> int | None:
    lives = [parts.store.life(vpg_id) for vpg_id in vpg_ids]
    born = [life.born_us for life in lives if life is not None and life.born_us >= 0]
    return min(born, default=None)


def _bill(parts: Parts, vpg_ids: list[str], start_us: int, *, with_lines: bool) -> BillShape:
    months = bill_months(
        charges_of(parts, vpg_ids, start_us), parts.catalogue, parts.billing.rounding
    )
    month = months.months[0] if months.months else None
    name = month_name(start_us)
    final_us = invoice_dates(name, BusinessCalendar()).figures_final_us
    return BillShape(
        yearMonth=name,
        state="closed" if parts.clock.now_us() >= final_us else "temporary",
        amount=month.tax_included_yen if month else 0,
        taxExcludedAmount=month.tax_excluded_yen if month else 0,
        taxAmount=month.tax_yen if month else 0,
        complete=months.complete,
        costBreakdownList=_lines(month) if with_lines and month else (),
    )


def _lines(month: BillMonth) -> tuple[CostShape, ...]:
    return tuple(
        CostShape(
            billItemCategory=_CATEGORY,
            billItemName=item.bill_item,
            vpgId=item.vpg_id,
            quantity=item.quantity,
            unitPriceMicroYen=item.unit_price_micro_yen,
            amountMicroYen=item.amount_micro_yen,
        )
        for item in month.items
    )
