"""An invoice by post: its fee and the slip for the convenience store.

Owns: 200 yen for each posted invoice (seed 0, 3.1, 3.3.1 and 3.6). Does not own: whether an invoice
is issued at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpg.billing.lines import MINOR_MICRO, Account, make_line

if TYPE_CHECKING:
    from vpg.billing.model import InvoiceLine, PaymentMethod
    from vpg.billing.policy import InvoicePolicy

POSTAL_YEN = 200


def has_convenience_slip(method: PaymentMethod) -> bool:
    """Return whether the invoice can be paid at a convenience store: only a posted one.

    Source: seed 0, 3.1 and 3.6.

    >>> has_convenience_slip("invoice_post"), has_convenience_slip("invoice_email")
    (True, False)
    """
    return method == "invoice_post"


def postal_line(account: Account, policy: InvoicePolicy) -> InvoiceLine:
    """Return the 200 yen of one posted invoice; tax: A-39. Source: seed 0, 3.1 and 3.3.1."""
    return make_line(
        account,
        "postal",
        "postal_invoice",
        unit="invoice",
        unit_price_micro=POSTAL_YEN * MINOR_MICRO["JPY"],
        tax_class="taxed" if policy.postal_fee == "tax_excluded" else "tax_included",
        source="Billing guide (March 2021), 3.1, 3.3.1 and 3.6",
    )
