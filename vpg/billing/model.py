"""What an invoice is made of: values only, no rule.

Owns: operators, lines, coupons, carried-over months, dates, sections and the invoice itself. Does
not own: how any of them comes about (``invoice`` and the modules of single rules), CSV and JSON.

Money: ``*_micro`` is a whole number of millionths of the line's currency (micro-yen for JPY,
micro-dollar for USD), tax excluded unless the tax class says otherwise; ``*_minor`` whole yen for
JPY and whole cents for USD; ``*_yen`` whole yen. Times: ``month`` is a rating month ``yyyyMM`` (a
UTC calendar month, which is the 1st 09:00 JST to the next 1st 09:00 JST); ``dt.date`` is a day in
JST; ``*_us`` is ``SimUs``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import datetime as dt

Coverage = Literal["JP", "GL"]
"""Japan or Global (seed 0, 2.4); each is charged by itself."""
Currency = Literal["JPY", "USD"]
"""Japan is charged in yen, Global in dollars that become yen on the invoice (seed 0, 3.7.2)."""
TaxClass = Literal["taxed", "tax_included", "untaxed"]
"""``taxed``: amount without tax, tax comes on top; ``tax_included``: the amount holds its tax;
``untaxed``: no consumption tax (a prepaid coupon, late interest). Only ``taxed`` is multiplied."""
LineKind = Literal[
    "usage",
    "goods",
    "support",
    "flux",
    "coupon_purchase",
    "long_term",
    "lump_sum",
    "postal",
    "late_interest",
    "discount",
    "outage_credit",
    "damages",
    "sla_refund",
    "correction",
    "other",
]
"""``usage``: hourly, one-off, per-request and per-line items; ``long_term``: a month of a long-term
discount paid monthly, ``lump_sum`` one paid at once; ``correction``: late or corrected usage of an
earlier month, ``month`` says which. Credits (the five after ``late_interest``) are negative."""
PaymentMethod = Literal["invoice_email", "invoice_post", "direct_debit", "card"]
"""Seed 0, 3.1; the convenience store is no method of its own but a slip in a posted invoice."""
Status = Literal["issued", "not_issued"]
NotIssued = Literal["", "zero", "paid_by_coupon", "small_month", "credit"]
"""Why no invoice is issued; empty for an issued one. ``small_month``: below 50 yen, carried over;
``credit``: credits exceed the fees, the rest is carried over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """A customer account (オペレーター), which one contract month of one coverage belongs to."""

    operator_id: str
    """``OP`` and ten digits (seed 0, 2.1), or any name in a simulation."""
    name: str = ""
    account: Literal["corporate", "individual"] = "corporate"
    """An individual pays by card only (seed 0, 3.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceLine:
    """One item of one thing (VPG, SIM, device or the account itself) at one price.

    ``amount_micro = unit_price_micro * quantity``; both are ``None`` where no price is known, which
    makes the section incomplete. A credit has a negative ``quantity`` or ``unit_price_micro``.
    """

    operator_id: str
    coverage: Coverage
    currency: Currency
    kind: LineKind
    item: str
    """Bill item (``vpg_c_small``, ``support_priority``, …): our own closed names (A-25)."""
    month: str
    """Rating month the amount belongs to; earlier than the invoice's for a correction."""
    day: dt.date | None = None
    """Billing day (a UTC day, named by its date) when the line is of one day, else ``None``."""
    vpg_id: str = ""
    imsi: str = ""
    device_id: str = ""
    """What the line is about; all three empty for a line of the account."""
    quantity: int
    unit: str
    """``hour``, ``time`` (once), ``month``, ``line`` (and month), ``event``, ``credit``,
    ``request``, ``byte``, ``piece`` or ``invoice``."""
    unit_price_micro: int | None
    amount_micro: int | None
    tax_class: TaxClass = "taxed"
    tax_ppm: int
    """Rate in force at the first instant of ``month`` (A-33); 0 unless ``taxed``."""
    coupon_allowed: bool = True
    """Whether a coupon may pay it: services yes; goods, coupons, post, interest no."""
    support_base: bool = True
    """Whether it is in the bill that the support fee is 5 % of (seed 2, table 1 and its note)."""
    source: str = ""
    """Document and article of the rule that made the line; empty for usage (catalogue says it)."""
    note: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    """Tag and group names with their values, in the order of the CSV's supplementary columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FxRate:
    """The monthly average rate of one rating month (A-27); exact, user supplied."""

    month: str
    label: Literal["TTS", "TTL"]
    """The billing guide says TTS for invoices (seed 0, 3.7.2), the support terms TTL for the fee's
    base (seed 2, table 1, note)."""
    micro_yen_per_usd: int
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coupon:
    """A prepaid amount that pays service fees of an operator's Japan coverage, in whole yen."""

    coupon_id: str
    operator_id: str
    balance_yen: int
    first_month: str
    """First and last rating month it may pay; bought in March 2018: 201803 to 201904."""
    last_month: str
    item: str = ""
    """Bill item it is limited to; empty for all services."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CouponUse:
    """What one coupon paid on one section, and what it holds afterwards."""

    coupon_id: str
    used_yen: int
    balance_after_yen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedOver:
    """A month that was not invoiced and is billed with a later one (seed 1, general rule 8).

    The month's own tax and rounding stand: nothing is computed again.
    """

    operator_id: str
    coverage: Coverage
    currency: Currency
    month: str
    tax_excluded_minor: int
    tax_included_minor: int
    coupon_barred_minor: int = 0
    """The part of ``tax_included_minor`` that no coupon may pay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxGroup:
    """The lines of one tax class and rate on one section; exact, before any rounding."""

    tax_class: TaxClass
    tax_ppm: int
    amount_micro: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One operator's month in one coverage: the breakdown that a joint invoice lists.

    In the section's currency ``tax_included = tax_excluded + tax`` (whole minor units) and
    ``due = tax_included + raised + sum(carried_in) - sum(carried_out)``; in yen
    ``payable_yen = due_yen - coupon_yen``.
    """

    operator: Operator
    coverage: Coverage
    currency: Currency
    month: str
    lines: tuple[InvoiceLine, ...]
    tax_groups: tuple[TaxGroup, ...]
    tax_excluded_micro: int
    """Exact sum of the amounts as the lines state them; unpriced lines are not in it."""
    tax_excluded_minor: int
    tax_minor: int
    tax_included_minor: int
    raised_minor: int
    """What lifts a last small month to 50 yen or 0.5 USD (seed 1, general rule 8)."""
    carried_in: tuple[CarriedOver, ...]
    carried_out: tuple[CarriedOver, ...]
    due_minor: int
    """To pay before coupons; 0 when the month is carried over."""
    fx: FxRate | None
    """Rate that turned ``due_minor`` into yen; ``None`` for JPY."""
    due_yen: int
    coupons: tuple[CouponUse, ...]
    coupon_yen: int
    payable_yen: int
    not_issued: NotIssued
    """Why the section by itself asks for nothing; empty when ``payable_yen > 0``."""
    complete: bool
    """False when something used has no price: the totals then lack it."""
    unpriced: tuple[tuple[str, str], ...]
    """(thing, bill item) without a price; the thing is a VPG, IMSI, device or empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceDates:
    """When a rating month becomes money; see ``calendar`` for the rules."""

    month: str
    month_start_us: int
    month_end_us: int
    figures_final_on: dt.date
    figures_final_us: int
    """First instant at which nothing of the month changes any more: 24:00 JST of that day."""
    issue_on: dt.date
    """About this day: the fourth business day of the next month."""
    due_on: dt.date
    card_on: dt.date
    """Day from which a card company is asked for the month: the 1st of the next month."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoice:
    """One document to one payer; never changed once issued.

    Yen sums run over the sections: ``tax_included_yen = tax_excluded_yen + tax_yen`` is the month's
    own fee, ``carried_in_yen`` what earlier small months add, ``raised_yen`` the lift to 50 yen,
    ``carried_out_yen`` what is left for later, and
    ``payable_yen = tax_included_yen + raised_yen + carried_in_yen - carried_out_yen - coupon_yen
    + joint_rounding_yen``.
    """

    invoice_id: str
    """Operator, month, and coverage or ``goods`` where apart; equal inputs give an equal id."""
    payer: Operator
    method: PaymentMethod
    month: str
    sections: tuple[Section, ...]
    """Ordered: the payer first, then by operator id; JP before GL."""
    tax_excluded_yen: int
    tax_yen: int
    tax_included_yen: int
    raised_yen: int
    carried_in_yen: int
    carried_out_yen: int
    coupon_yen: int
    joint_rounding_yen: int
    """0 or less: what one rounding over all operators takes off their sums (A-41), else 0."""
    payable_yen: int
    status: Status
    not_issued: NotIssued
    convenience_slip: bool
    """A payment slip for the convenience store lies in the posted invoice (seed 0, 3.6)."""
    dates: InvoiceDates
    complete: bool
    displayed_tax_included_yen: int
    """Sum of the lines' displayed figures, each rounded up: for comparison only."""
    displayed_sum_differs: bool
    """True when that sum is not ``tax_included_yen``; the invoice must then say so."""
    choices: tuple[tuple[str, str], ...]
    """(assumption id, reading) that the figures depend on, in order of the ids."""


def carried_minor(carried: tuple[CarriedOver, ...]) -> int:
    """Return the sum of ``carried``, tax included, in its currency's minor unit."""
    return sum(part.tax_included_minor for part in carried)
