"""The rows of a file of month inputs as the values that an invoice is computed from.

Owns: which key of the file is which field. Does not own: reading the file (``inputs_file``), any
rule.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from vpg.billing.coupons import CouponPurchase
from vpg.billing.discount import LongTermDiscount
from vpg.billing.flux import FluxPlan, FluxUse
from vpg.billing.goods import Goods
from vpg.billing.inputs import FluxPart, OperatorMonth
from vpg.billing.interest import LatePayment
from vpg.billing.lines import CURRENCY_OF, MINOR_MICRO, account_of, make_line
from vpg.billing.model import CarriedOver, Coupon, FxRate, InvoiceLine, Operator
from vpg.billing.money import round_up
from vpg.billing.outage import Outage
from vpg.billing.support_plan import SlaClaim, SupportContract

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from vpg.billing.policy import InvoicePolicy
    from vpg.catalogue.model import Catalogue
    from vpg.rating.charges import ChargeRow
    from vpg.rating.late import Correction

Made = TypeVar("Made")
PRICE = {"price": "unit_price_micro", "operator": None}
FLUX_PLAN = {
    "month_fee": "month_fee_micro",
    "events": "events_included",
    "credits": "credits_included",
    "event_price": "event_price_micro",
    "credit_price": "credit_price_micro",
    "coverage": None,
}
OUTAGE = {
    "began": "began_us",
    "aware": "aware_us",
    "ended": "ended_us",
    "hourly_fee": "hourly_fee_micro",
    "month_fee": "month_fee_micro",
    "operator": None,
}
DISCOUNT = {
    "id": "discount_id",
    "price": "price_micro",
    "base_fee": "base_fee_micro",
    "operator": None,
}
OPERATOR = {"id": "operator_id", **dict.fromkeys(("vpgs", "last", "base_fee_sims"))}
OPERATOR["service_credit_yen"] = None


class Row(NamedTuple):
    """One table of the file: its kind, its number among those (from 0), and its values."""

    section: str
    number: int
    values: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was metered: charges of the month, and corrections of earlier ones."""

    charges: Sequence[ChargeRow] = ()
    corrections: Sequence[Correction] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """What the rows of one file are about."""

    month: str
    payer: str
    policy: InvoicePolicy
    catalogue: Catalogue


def renamed(values: Mapping[str, Any], names: Mapping[str, str | None]) -> dict[str, Any]:
    """Return ``values`` by their fields' names; ``None`` leaves one out.

    >>> renamed({"id": "c", "price": 1, "operator": "OP1"}, {"id": "name", "operator": None})
    {'name': 'c', 'price': 1}
    """
    named = ((names.get(key, key), value) for key, value in values.items())
    return {field: value for field, value in named if field is not None}


def operator_months(
    rows: Sequence[Row], about: Month, figures: Figures
) -> tuple[OperatorMonth, ...]:
    """Return one month for each table ``operator``, or the payer's alone.

    A VPG that no operator names is the payer's.
    """
    stated = [row.values for row in rows if row.section == "operator"] or [{"id": about.payer}]
    named = {vpg for one in stated for vpg in one.get("vpgs", ())}
    return tuple(_operator_month(rows, one, about, figures, named) for one in stated)


def _operator_month(
    rows: Sequence[Row],
    stated: Mapping[str, Any],
    about: Month,
    figures: Figures,
    named: set[str],
) -> OperatorMonth:
    name = stated["id"]
    is_payer = name == about.payer

    def owns(vpg_id: str) -> bool:
        return vpg_id in stated.get("vpgs", ()) or (is_payer and vpg_id not in named)

    def own(section: str) -> Iterator[dict[str, Any]]:
        for row in rows:
            if row.section == section and row.values.get("operator", about.payer) == name:
                yield row.values

    def made(kind: Callable[..., Made], section: str, names: Mapping[str, str | None]) -> Any:  # noqa: ANN401 - a tuple of what kind makes
        return tuple(kind(**renamed(values, names)) for values in own(section))

    flat = {"operator": None}
    support = next(iter(made(SupportContract, "support", flat)), None)
    return OperatorMonth(
        operator=Operator(**renamed(stated, OPERATOR)),
        charges=[row for row in figures.charges if owns(row.vpg_id)],
        corrections=[one for one in figures.corrections if owns(one.charge.vpg_id)],
        lines=tuple(_line(values, name, about, rows) for values in own("line")),
        goods=made(Goods, "goods", PRICE),
        discounts=made(LongTermDiscount, "discount", DISCOUNT),
        base_fee_sims=stated.get("base_fee_sims", 0),
        coupon_purchases=made(CouponPurchase, "coupon_purchase", {"id": "coupon_id", **flat}),
        coupons=tuple(
            Coupon(operator_id=name, **renamed(values, {"id": "coupon_id", **flat}))
            for values in own("coupon")
        ),
        outages=made(Outage, "outage", OUTAGE),
        late_payments=made(LatePayment, "late_payment", flat),
        flux=tuple(_flux(values, rows) for values in own("flux")),
        support=support,
        sla_claims=made(SlaClaim, "sla_claim", flat),
        service_credit_yen=stated.get("service_credit_yen", 0),
        fx=tuple(
            FxRate(**renamed(row.values, {"yen_per_usd": "micro_yen_per_usd"}))
            for row in rows
            if row.section == "rate"
        ),
        carried_in=tuple(_carried(values, name) for values in own("carried_over")),
        last=stated.get("last", False),
    )


def _line(
    values: Mapping[str, Any], operator_id: str, about: Month, rows: Sequence[Row]
) -> InvoiceLine:
    account = account_of(
        about.catalogue,
        about.policy,
        operator_id=operator_id,
        month=values.get("month", about.month),
        coverage=values.get("coverage", "JP"),
    )
    names = {"price": "unit_price_micro", "vpg": "vpg_id", "device": "device_id"}
    kept = renamed(values, names | dict.fromkeys(("operator", "coverage", "month", "kind", "item")))
    given = {"unit": "time", "unit_price_micro": None, **kept}
    line = make_line(account, values.get("kind", "usage"), values["item"], **given)
    things = {line.vpg_id, line.imsi, line.device_id}
    tags = (tag for thing, own in tags_of(rows).items() if thing in things for tag in own)
    return replace(line, tags=tuple(tags))


def tags_of(rows: Sequence[Row]) -> dict[str, tuple[tuple[str, str], ...]]:
    """Return the tags of each thing (VPG, IMSI, device), in the order of the file."""
    tags: dict[str, tuple[tuple[str, str], ...]] = {}
    for row in rows:
        if row.section == "tag":
            thing = row.values["thing"]
            tags[thing] = (*tags.get(thing, ()), (row.values["name"], row.values["value"]))
    return tags


def _flux(values: Mapping[str, Any], rows: Sequence[Row]) -> FluxPart:
    coverage = values.get("coverage", "JP")
    plans = [
        FluxPlan(**{"month_fee_micro": None, **renamed(row.values, FLUX_PLAN)})
        for row in rows
        if row.section == "flux_plan" and row.values.get("coverage", "JP") == coverage
    ]
    use = FluxUse(plans=values["plans"], events=values["events"], credits_used=values["credits"])
    return FluxPart(coverage=coverage, use=use, table={plan.name: plan for plan in plans})


def _carried(values: Mapping[str, Any], operator_id: str) -> CarriedOver:
    coverage = values.get("coverage", "JP")
    currency = CURRENCY_OF[coverage]

    def minor(key: str) -> int:
        return round_up(values.get(key, 0), MINOR_MICRO[currency])

    return CarriedOver(
        operator_id=operator_id,
        coverage=coverage,
        currency=currency,
        month=values["month"],
        tax_excluded_minor=minor("tax_excluded"),
        tax_included_minor=minor("tax_included"),
        coupon_barred_minor=minor("coupon_barred"),
    )
