"""How the invoice reads what no document settles: one field per assumption.

Owns: the choices of the invoice and their numbers in the register of assumptions. Does not own: the
register's texts (``scenarios/assumptions.toml``) and what a choice does (the module of the rule).
``ChargePolicy`` of ``vpg.rating.charges`` holds the choices of the hourly charges.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Literal

Rounding = Literal["monthly_total", "per_item", "per_day"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoicePolicy:
    """Readings of the terms; each default is the register's default."""

    rounding: Rounding = field(default="monthly_total", metadata={"id": "A-15"})
    """Where a fraction of a yen or cent is rounded up: once on the taxed sum, for each bill item,
    or for each billing day."""
    invoice_rate: Literal["TTS", "TTL"] = field(default="TTS", metadata={"id": "A-27"})
    """Monthly average rate that turns a Global bill into yen."""
    support_rate: Literal["TTL", "TTS"] = field(default="TTL", metadata={"id": "A-27"})
    """The same for the base of the support fee."""
    outage_credit: Literal["hourly_fees", "share_of_month"] = field(
        default="hourly_fees", metadata={"id": "A-30"}
    )
    """A credited day is 24 hourly fees, or the month's fee over the days of the month."""
    support_base: Literal["tax_excluded", "tax_included"] = field(
        default="tax_excluded", metadata={"id": "A-34"}
    )
    """Which bill the support fee is 5 % of."""
    small_month: Literal["until_sum", "until_month", "bill"] = field(
        default="until_sum", metadata={"id": "A-36"}
    )
    """A month below 50 yen (0.5 USD) waits until the sum reaches that, until a month alone does,
    or is billed as it is."""
    last_small_month: Literal["raise_sum", "raise_month", "as_is"] = field(
        default="raise_sum", metadata={"id": "A-37"}
    )
    """At full cancellation what is due below 50 yen is raised, the last month's own fee is, or
    nothing is."""
    small_month_compares: Literal["tax_included", "tax_excluded"] = field(
        default="tax_included", metadata={"id": "A-38"}
    )
    """Which amount the 50 yen are compared with; raised is the same one, so 50 or 50 and tax."""
    postal_fee: Literal["tax_excluded", "tax_included"] = field(
        default="tax_excluded", metadata={"id": "A-39"}
    )
    """Whether tax comes on top of the 200 yen of a posted invoice."""
    global_tax: Literal["untaxed", "taxed"] = field(default="untaxed", metadata={"id": "A-40"})
    """Whether Global coverage carries Japanese consumption tax."""
    joint_rounding: Literal["per_operator", "per_invoice"] = field(
        default="per_operator", metadata={"id": "A-41"}
    )
    """Several operators on one invoice: each breakdown is rounded, or the sum of all once."""
    coupon_purchase: Literal["untaxed", "taxed"] = field(default="untaxed", metadata={"id": "A-42"})
    """Whether buying a prepaid coupon carries tax; what it pays is tax included either way."""
    coupon_order: Literal["first_to_end", "as_given"] = field(
        default="first_to_end", metadata={"id": "A-43"}
    )
    """Which of several coupons pays first."""
    support_coupons: Literal["usage_in_full", "less_coupons"] = field(
        default="usage_in_full", metadata={"id": "A-44"}
    )
    """The support base leaves coupon purchases out; usage that coupons paid counts, or not."""
    support_goods: Literal["left_out", "counted"] = field(
        default="left_out", metadata={"id": "A-45"}
    )
    """Goods are no platform service, so not in the support base; or they are."""
    flux_upgrade: Literal["new_plan", "both_plans"] = field(
        default="new_plan", metadata={"id": "A-46"}
    )
    """A month of an upgrade owes the dearer plan's month, or a month of each plan."""

    def choices(self) -> tuple[tuple[str, str], ...]:
        """Return (assumption id, reading) of every field, in order of the ids.

        >>> InvoicePolicy().choices()[0]
        ('A-15', 'rounding=monthly_total')
        """
        return tuple(
            (one.metadata["id"], f"{one.name}={getattr(self, one.name)}")
            for one in dataclasses.fields(self)
        )
