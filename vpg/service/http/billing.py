"""What the API tells of bills: every rating month, or one with its lines.

Owns: bills on the wire, and whose. Does not own: what a month owes (``vpg.service.store.bills``).
Money is whole yen; lines are micro-yen, tax excluded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vpg.errors import InputError
from vpg.service.http.answers import fault
from vpg.service.http.asking import (
    Asked,
    RefusedError,
    invalid,
    json_of,
    not_found,
    table,
    wants_csv,
)
from vpg.service.http.reading import in_thread
from vpg.service.http.shapes import BillList, BillShape, CostShape
from vpg.service.store.bills import bill as bill_of
from vpg.service.store.bills import months_of
from vpg.timebase import month_name

if TYPE_CHECKING:
    from vpg.service.http.answers import Answer
    from vpg.service.parts import Parts
    from vpg.service.store.bills import ServiceBill

MONTHS_MAX: Final = 18
"""Months told of at most. Source: the provider's API keeps as many."""
_CATEGORY: Final = "vpg"


def _operators(asked: Asked, wanted: str) -> list[str]:
    """Return the operators whose bills are asked for; raises 404 for strangers."""
    lives = asked.parts.store.lives()
    known = sorted({life.operator_id for life in lives if asked.mine(life.operator_id)})
    if not wanted:
        return known
    if wanted not in known:
        raise not_found("operator")
    return [wanted]


async def bills(asked: Asked) -> Answer:
    """Tell every month in which there is something to bill, newest first."""
    parts = asked.parts

    def read() -> tuple[BillShape, ...]:
        now_us, found = parts.clock.now_us(), []
        for operator in _operators(asked, asked.query.operator_id):
            months = months_of(parts.store, now_us, operator_id=operator)[-MONTHS_MAX:]
            found += [_shape(_read(parts, operator, month)) for month in reversed(months)]
        return tuple(found)

    return json_of(BillList(billList=await in_thread(read)))


async def bill(asked: Asked) -> Answer:
    """Tell one month with its lines; as CSV, its lines."""
    parts, month = asked.parts, asked.named("yyyyMM")

    def read() -> BillShape:
        operators = _operators(asked, asked.query.operator_id)
        if len(operators) > 1:
            words = f"this token speaks for {len(operators)} operators: say operator_id"
            raise RefusedError(fault(422, "invalid", words))
        now_us = parts.clock.now_us()
        if not operators or month not in months_of(parts.store, now_us, operator_id=operators[0]):
            raise not_found("month")
        return _shape(_read(parts, operators[0], month), with_lines=True)

    shape = await in_thread(read)
    if wants_csv(asked):
        return table(asked, shape.costBreakdownList, CostShape)
    return json_of(shape)


def _read(parts: Parts, operator: str, month: str) -> ServiceBill:
    try:
        return bill_of(
            parts.store,
            month,
            parts.clock.now_us(),
            operator_id=operator,
            catalogue=parts.catalogue,
            rules=parts.billing,
        )
    except InputError as error:
        raise invalid(error) from None


def _shape(one: ServiceBill, *, with_lines: bool = False) -> BillShape:
    return BillShape(
        operatorId=one.operator_id,
        yearMonth=one.month,
        state=one.state,
        amount=one.tax_included_yen,
        taxExcludedAmount=one.tax_excluded_yen,
        taxAmount=one.tax_yen,
        complete=one.complete,
        costBreakdownList=(*_own(one), *_corrections(one)) if with_lines else (),
    )


def _own(one: ServiceBill) -> list[CostShape]:
    return [
        CostShape(
            billItemCategory=_CATEGORY,
            billItemName=item.bill_item,
            vpgId=item.vpg_id,
            quantity=item.quantity,
            unitPriceMicroYen=item.unit_price_micro_yen,
            amountMicroYen=item.amount_micro_yen,
        )
        for month in one.bill.months
        for item in month.items
    ]


def _corrections(one: ServiceBill) -> list[CostShape]:
    return [
        CostShape(
            billItemCategory=_CATEGORY,
            billItemName=correction.charge.bill_item,
            vpgId=correction.charge.vpg_id,
            quantity=correction.charge.quantity,
            unitPriceMicroYen=correction.charge.unit_price_micro_yen,
            amountMicroYen=correction.charge.amount_micro_yen,
            correctsMonth=month_name(correction.month_us),
        )
        for correction in one.corrections
    ]
