"""Random months of a payer: hours of VPGs and everything an invoice may hold, from one seed.

Owns: which months are drawn. Does not own: what they come to. A month is small, so that thousands
are checked in a minute, and drawn near the edges: turns of the month at 09:00 JST, changes of tax
and price, the 50 yen, ends of coupons and of times to claim, 24 hours of outage.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from tests.support_billing import YEN, account, month_of
from tests.support_rating import utc_us
from vpg.billing.calendar import month_begin, month_last_day, months_later
from vpg.billing.coupons import CouponPurchase
from vpg.billing.discount import LongTermDiscount
from vpg.billing.flux import FluxPlan, FluxUse
from vpg.billing.goods import Goods
from vpg.billing.inputs import FluxPart, MonthInputs, OperatorMonth
from vpg.billing.interest import LatePayment
from vpg.billing.lines import make_line
from vpg.billing.model import CarriedOver, Coupon, FxRate, Operator
from vpg.billing.outage import Outage
from vpg.billing.policy import InvoicePolicy
from vpg.billing.support_plan import SlaClaim, SupportContract
from vpg.rating.charges import ChargePolicy
from vpg.rating.hourly import HourlyRow
from vpg.rating.usage import Usage
from vpg.timebase import HOUR_US

if TYPE_CHECKING:
    from collections.abc import Callable

    from vpg.billing.model import Coverage, InvoiceLine, LineKind, PaymentMethod
    from vpg.rating.charges import ChargeRow
    from vpg.rating.late import Correction

MONTHS = ("201909", "201910", "201911", "202002", "202512", "202604", "202605", "202702")
"""Both sides of the change of tax, a leap February, a year's end, short and long months."""
KINDS = [("C", "small"), ("C", "medium"), ("C", "large")] * 2 + [
    ("D", "small"),
    ("D", "medium"),
    ("D", "large"),
    ("E", ""),
]
FEES = ("contract_fee_c", "contract_fee_d", "change_fee_d", "contract_fee_e")
ITEMS = ("fixed_ip", "peering", "vif")
EDGES = (0, 1, 500_000, 44 * YEN, 45_454_545, 45_454_546, 49 * YEN, 50 * YEN, 15 * YEN, 333_333)
SIZES = (9, 9, 60, 60, 3_000, 250_000)
"""Amounts up to these yen are drawn: below the small month as often as above it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorUse:
    """What is not rated yet of an operator's month."""

    rows: tuple[HourlyRow, ...]
    lines: tuple[Usage, ...]
    late: tuple[tuple[HourlyRow, bool], ...]
    """Hours of an earlier month found late; true: they are taken back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomMonth:
    """A month without its charges, and the readings it is rated with."""

    seed: int
    inputs: MonthInputs
    uses: tuple[OperatorUse, ...]
    """One for each operator of ``inputs``, in the same order."""
    charge_policy: ChargePolicy

    def rated(
        self,
        charges: Callable[[OperatorUse], list[ChargeRow]],
        corrections: Callable[[OperatorUse], list[Correction]],
    ) -> MonthInputs:
        """Return the inputs with what is to be charged for use in them."""
        operators = tuple(
            dataclasses.replace(one, charges=charges(use), corrections=corrections(use))
            for one, use in zip(self.inputs.operators, self.uses, strict=True)
        )
        return dataclasses.replace(self.inputs, operators=operators)


def random_month(seed: int, tax_ppm: Callable[[str], int]) -> RandomMonth:
    """Return the month of ``seed``; ``tax_ppm`` is the tax of a rating month."""
    return _Draw(seed, tax_ppm).month_of_payer()


SAYINGS = {
    kind: {name: get_args(hint) for name, hint in get_type_hints(kind).items()}
    for kind in (InvoicePolicy, ChargePolicy)
}
"""Every reading that a field of a policy may hold."""


class _Draw:
    """Draws from one generator, about one month."""

    def __init__(self, seed: int, tax_ppm: Callable[[str], int]) -> None:
        self.seed = seed
        self.rng = rng = random.Random(seed)
        self.month = rng.choice(MONTHS)
        self.tax_ppm = tax_ppm(self.month)
        self.first = month_begin(self.month)
        self.last = month_last_day(self.month)
        self.policy = self.readings(InvoicePolicy, 0.5)
        self.scale = rng.choice(SIZES)

    # ---- small draws -----------------------------------------------------------------------------

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def readings(self, kind: type[Any], usual: float) -> Any:
        """Return every reading at its default in ``usual`` of all months, else any of them."""
        if self.chance(usual):
            return kind()
        return kind(**{name: self.rng.choice(said) for name, said in SAYINGS[kind].items()})

    def amount(self) -> int:
        """Return micro-yen or micro-dollars: at an edge, whole, or to the last digit."""
        how = self.rng.random()
        if how < 0.4:
            return self.rng.choice(EDGES)
        yen = self.rng.randint(0, self.scale) * YEN
        return yen if how < 0.7 else yen + self.rng.randrange(YEN)

    def whole(self, most: int) -> int:
        return self.rng.choice((0, 1, 49, 50, most, self.rng.randint(0, most)))

    def day(self, before: int = 0, after: int = 0) -> dt.date:
        """Return a day from ``before`` days before the month to ``after`` days behind it."""
        length = (self.last - self.first).days
        number = self.rng.choice((0, length, self.rng.randint(-before, length + after)))
        return self.first + dt.timedelta(days=number)

    def other_month(self, low: int, high: int) -> str:
        return months_later(self.month, self.rng.randint(low, high))

    def some(self, make: Callable[[int], Any], share: float, most: int = 2) -> tuple[Any, ...]:
        """Return none in ``1 - share`` of all months, else one to ``most``."""
        if not self.chance(share):
            return ()
        return tuple(make(number) for number in range(self.rng.randint(1, most)))

    # ---- use -------------------------------------------------------------------------------------

    def row(self, vpg_id: str, start_us: int, seq: int) -> HourlyRow:
        rng = self.rng
        vpg_type, size = rng.choice(KINDS)
        cells: dict[str, Any] = {
            name: rng.choice((0, 0, rng.randint(1, most)))
            for name, most in (
                ("peering_peak", 3),
                ("vif_peak", 2),
                ("vpn_peak", 2),
                ("junction_on", 1),
                ("inspection_on", 1),
                ("fixed_ip_sets", 2),
            )
        }
        if self.chance(0.3):
            for service in ("beam", "funnel", "funk"):
                cells[f"accepted_{service}"] = rng.choice((0, 1, 99, 100, 101, 700))
                cells[f"failed_upstream_{service}"] = rng.randint(0, 2)
                cells[f"throttled_{service}"] = rng.randint(0, 9)
        cells["lines_inspected"] = rng.choice((0, 1, 9_999, 10_000, 10_001, 35_000))
        fees = rng.sample(FEES, rng.choice((0, 0, 0, 0, 1, 2)))
        return HourlyRow(
            vpg_id=vpg_id,
            hour_start_us=start_us,
            config_seq=seq,
            vpg_exists=int(self.chance(0.9)),
            type=vpg_type,
            size=size,
            one_off=",".join(sorted(fees)),
            **cells,
        )

    def rows(self, month: str, most: int) -> tuple[HourlyRow, ...]:
        """Return hours of up to two VPGs, many at the turns of ``month`` and beyond them."""
        begin, end = (month_begin(one) for one in (month, months_later(month, 1)))
        begin_us, end_us = (utc_us(day.year, day.month, 1) for day in (begin, end))
        hours = (end_us - begin_us) // HOUR_US
        found = []
        for vpg_id in self.rng.sample(("vpg-a", "vpg-b"), self.rng.choice((0, 1, 1, 2))):
            near = (-1, 0, 1, hours - 1, hours, hours // 2, self.rng.randrange(hours))
            for hour in sorted(set(self.rng.choices(near, k=self.rng.randint(0, most)))):
                start_us = begin_us + hour * HOUR_US
                parts = self.rng.choice((1, 1, 1, 2))
                found += [self.row(vpg_id, start_us, seq) for seq in range(parts)]
        return tuple(found)

    def use(self) -> OperatorUse:
        line_us = utc_us(self.first.year, self.first.month, 1)
        lines = [
            Usage(vpg_id="", hour_start_us=line_us, bill_item=item, quantity=count)
            for item in ("line_basic", "line_ready", "line_standby")
            if (count := self.rng.choice((0, 0, 0, 1, 10, 11, 250)))
        ]
        late: tuple[tuple[HourlyRow, bool], ...] = ()
        if self.chance(0.2):
            earlier = self.rows(self.other_month(-2, -1), 2)
            late = tuple((row, self.chance(0.5)) for row in earlier)
        return OperatorUse(rows=self.rows(self.month, 5), lines=tuple(lines), late=late)

    # ---- what else a month owes ------------------------------------------------------------------

    def line(self, operator: Operator) -> InvoiceLine:
        coverage: Coverage = self.rng.choice(("JP", "GL"))
        kind: LineKind = self.rng.choice(("usage", "usage", "usage", "other"))
        taxed = coverage == "JP" or self.policy.global_tax == "taxed"
        place = account(coverage, operator, month=self.month, tax_ppm=self.tax_ppm, taxed=taxed)
        micro = None if self.chance(0.03) else self.amount()
        if micro and self.chance(0.1):
            micro = -micro
        return make_line(
            place,
            kind,
            self.rng.choice(ITEMS),
            unit="hour",
            unit_price_micro=micro,
            imsi=self.rng.choice(("", "440100000000001")),
            quantity=self.rng.randint(1, 3),
            tax_class=self.rng.choice(("taxed", "taxed", "tax_included")),
        )

    def goods(self, number: int) -> Goods:
        return Goods(
            item=f"device-{number % 2}",
            quantity=self.rng.randint(1, 3),
            unit_price_micro=self.amount(),
            dispatched_on=self.day(2, 2),
            tax_class=self.rng.choice(("taxed", "taxed", "tax_included")),
        )

    def discount(self, number: int) -> LongTermDiscount:
        return LongTermDiscount(
            discount_id=f"d{number}",
            sims=self.rng.randint(1, 9),
            first_month=self.rng.choice((self.month, self.other_month(-13, 1))),
            months=self.rng.choice((1, 12, 12, 36)),
            payment=self.rng.choice(("monthly", "lump_sum")),
            price_micro=self.amount(),
            base_fee_micro=self.amount(),
        )

    def coupon(self, operator: Operator) -> Callable[[int], Coupon]:
        def made(number: int) -> Coupon:
            return Coupon(
                coupon_id=f"c{number}",
                operator_id=operator.operator_id,
                balance_yen=self.whole(self.scale * 2),
                first_month=self.other_month(-14, 1),
                last_month=self.other_month(-1, 13),
                item=self.rng.choice(("", "", *ITEMS, "device-0")),
            )

        return made

    def purchase(self, number: int) -> CouponPurchase:
        return CouponPurchase(
            coupon_id=f"p{number}",
            yen=self.rng.choice((1_000, 1_001, 50_000)),
            bought_on=self.day(420, 2),
        )

    def outage(self, _number: int) -> Outage:
        rng = self.rng
        began = utc_us(self.first.year, self.first.month, rng.randint(1, 20), rng.randint(0, 23))
        hours = rng.choice((0, 23, 24, 25, 47, 48, 72, 700))
        known = self.day(120, 0)
        month_fee = self.amount()
        return Outage(
            service=rng.choice(("vpg", "vpg", "flux")),
            began_us=began,
            aware_us=began + rng.choice((-1, 0, 0, 1, 3)) * HOUR_US,
            ended_us=began + hours * HOUR_US - rng.choice((0, 0, 1)) * bool(hours),
            complete=self.chance(0.9),
            fault=rng.choice(("provider",) * 4 + ("carrier_or_cloud", "third_party")),
            gross=self.chance(0.2),
            known_on=known,
            claimed_on=rng.choice((None, known, known + dt.timedelta(days=rng.randint(88, 94)))),
            month=self.month,
            hourly_fee_micro=rng.choice((0, 50 * YEN, 15 * YEN, month_fee // 700)),
            month_fee_micro=month_fee,
            damage_yen=rng.choice((0, 0, self.whole(self.scale))),
            received_yen=self.whole(self.scale),
        )

    def late_payment(self, _number: int) -> LatePayment:
        due = self.day(70, -10)
        return LatePayment(
            invoice_id="earlier",
            principal_yen=self.whole(self.scale * 40),
            due_on=due,
            paid_on=due + dt.timedelta(days=self.rng.choice((0, 1, 2, 30, 366))),
        )

    def flux(self, coverage: Coverage) -> FluxPart:
        rng = self.rng
        prices = sorted(self.amount() for _ in range(3))
        table = {
            name: FluxPlan(
                name=name,
                month_fee_micro=None if name == "dear" and self.chance(0.1) else price,
                events_included=rng.choice((0, 100)),
                credits_included=rng.choice((0, 10)),
                event_price_micro=rng.choice((None, 1, 1_000, YEN // 3)),
                credit_price_micro=rng.choice((None, 7, 2 * YEN)),
            )
            for name, price in zip(("cheap", "middle", "dear"), prices, strict=True)
        }
        plans = tuple(rng.choices(sorted(table), k=rng.choice((1, 1, 2, 3))))
        use = FluxUse(
            plans=plans,
            events=rng.choice((0, 99, 100, 101, 5_000)),
            credits_used=rng.choice((0, 10, 11, 400)),
        )
        return FluxPart(coverage=coverage, use=use, table=table)

    def support(self) -> SupportContract | None:
        if not self.chance(0.3):
            return None
        first = self.day(300, 3)
        return SupportContract(
            plan=self.rng.choice(("basic", "priority", "priority", "priority", "enterprise")),
            first_on=first,
            last_on=self.rng.choice((None, None, max(first, self.day(2, 60)))),
            quote_yen=self.rng.choice((0, 30_000, 77_777)),
        )

    def sla_claim(self, _number: int) -> SlaClaim:
        violated = self.day(100, 0)
        return SlaClaim(
            violated_on=violated,
            claimed_on=violated + dt.timedelta(days=self.rng.choice((0, 60, 89, 95, 122, 124))),
            asked_yen=self.whole(12_000),
            month_fee_yen=9_800,
            as_service_credit=self.chance(0.3),
        )

    def carried(self, operator: Operator) -> Callable[[int], CarriedOver]:
        def made(number: int) -> CarriedOver:
            coverage: Coverage = self.rng.choice(("JP", "JP", "GL"))
            included = self.rng.choice((-200, -1, 1, 10, 29, 48, 49))
            excluded = included - self.rng.choice((0, abs(included) // 11))
            return CarriedOver(
                operator_id=operator.operator_id,
                coverage=coverage,
                currency="JPY" if coverage == "JP" else "USD",
                month=months_later(self.month, -1 - number),
                tax_excluded_minor=excluded,
                tax_included_minor=included,
                coupon_barred_minor=self.rng.choice((0, 0, max(0, included // 2))),
            )

        return made

    # ---- the month -------------------------------------------------------------------------------

    def operator_month(self, operator: Operator) -> OperatorMonth:
        coverages: list[Coverage] = self.rng.sample(("JP", "GL"), self.rng.choice((1, 1, 2)))
        return OperatorMonth(
            operator=operator,
            lines=self.some(lambda _: self.line(operator), 0.5, 4),
            goods=self.some(self.goods, 0.25, 3),
            discounts=self.some(self.discount, 0.2),
            base_fee_sims=self.rng.randint(0, 12),
            coupon_purchases=self.some(self.purchase, 0.15),
            coupons=self.some(self.coupon(operator), 0.3, 3),
            outages=self.some(self.outage, 0.15),
            late_payments=self.some(self.late_payment, 0.15),
            flux=tuple(self.flux(one) for one in coverages) if self.chance(0.2) else (),
            support=self.support(),
            sla_claims=self.some(self.sla_claim, 0.15, 3),
            service_credit_yen=self.rng.choice((0, 0, 0, 1_000, 20_000)),
            fx=self.rates(),
            carried_in=self.some(self.carried(operator), 0.3),
            last=self.chance(0.2),
        )

    def rates(self) -> tuple[FxRate, ...]:
        micro = (100 * YEN, 151_230_000, self.rng.randint(80 * YEN, 200 * YEN))
        return tuple(
            FxRate(month=self.month, label=label, micro_yen_per_usd=self.rng.choice(micro))
            for label in ("TTS", "TTL")
        )

    def month_of_payer(self) -> RandomMonth:
        rng = self.rng
        names = rng.sample(range(1, 9), rng.choice((1, 1, 1, 2, 3)))
        people = [Operator(operator_id=f"OP000000000{number}") for number in names]
        method: PaymentMethod = rng.choice(
            ("invoice_email", "invoice_email", "invoice_post", "direct_debit", "card")
        )
        operators = tuple(self.operator_month(one) for one in people)
        return RandomMonth(
            seed=self.seed,
            inputs=month_of(
                *operators,
                month=self.month,
                payer=rng.choice(people),
                method=method,
                coverages_apart=self.chance(0.3),
                policy=self.policy,
            ),
            uses=tuple(self.use() for _ in operators),
            charge_policy=self.readings(ChargePolicy, 0.5),
        )
