"""Invoices: from the facts of a payer's month to the documents he gets.

Owns: which operators and coverages share a document, whether it is issued, its sums in yen. Does
not own: any single rule (the modules beside this one). Pure: equal inputs give an equal invoice,
and none is ever changed; what comes late is a correction on a later one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from vpg.billing.calendar import invoice_dates
from vpg.billing.global_coverage import to_yen
from vpg.billing.inputs import check
from vpg.billing.lines import MINOR_MICRO, account_of, displayed_minor
from vpg.billing.model import Invoice, carried_minor
from vpg.billing.money import round_up
from vpg.billing.month_lines import month_lines
from vpg.billing.postal import has_convenience_slip, postal_line
from vpg.billing.rounding import with_tax_micro_ppm
from vpg.billing.section import build, decide
from vpg.catalogue.items import PPM
from vpg.errors import ensure

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Sequence

    from vpg.billing.inputs import MonthInputs, OperatorMonth
    from vpg.billing.model import Coverage, InvoiceLine, NotIssued, Section
    from vpg.billing.policy import InvoicePolicy
    from vpg.billing.section import Decided
    from vpg.catalogue.model import Catalogue

COVERAGES: tuple[Coverage, ...] = ("JP", "GL")
_REASONS: tuple[NotIssued, ...] = ("small_month", "credit", "paid_by_coupon", "zero")


def invoices(inputs: MonthInputs, catalogue: Catalogue) -> tuple[Invoice, ...]:
    """Return every document of a payer's month, issued or not.

    * By invoice: one for all operators joined to it, both coverages together or one for each (seed
      0, 3.4.3 and 3.7.1); goods are on it (4.1.2).
    * By card: one charge for each operator and coverage (3.7.1), and one for each day of dispatch
      of goods, at once (4.1.1 and 5.3).

    Raises ``InputError`` with everything that is wrong with ``inputs``.
    """
    check(inputs)
    lines = _all_lines(inputs, catalogue)
    if inputs.method != "card":
        parts: list[tuple[Coverage, ...]] = [COVERAGES]
        if inputs.coverages_apart:
            parts = [(coverage,) for coverage in _coverages_used(inputs, lines)]
        return tuple(_document(inputs, catalogue, lines, part) for part in parts)
    documents = []
    for one, own in zip(inputs.operators, lines, strict=True):
        alone = replace(inputs, payer=one.operator, operators=(one,))
        monthly = [line for line in own if line.kind != "goods"]
        documents += [
            _document(alone, catalogue, [monthly], (coverage,))
            for coverage in _coverages_used(alone, [monthly])
        ]
        documents += _goods_by_card(alone, catalogue, own)
    return tuple(documents)


def invoice(inputs: MonthInputs, catalogue: Catalogue) -> Invoice:
    """Return the one document of a payer's month that is paid by invoice.

    ``invoices`` is for cards and for coverages apart, where there may be several.
    """
    documents = invoices(inputs, catalogue)
    ensure(len(documents) == 1, "the month makes one document; invoices() returns several")
    return documents[0]


def _all_lines(inputs: MonthInputs, catalogue: Catalogue) -> list[list[InvoiceLine]]:
    return [month_lines(one, inputs.month, catalogue, inputs.policy) for one in inputs.operators]


def _coverages_used(
    inputs: MonthInputs, lines: Sequence[Sequence[InvoiceLine]]
) -> tuple[Coverage, ...]:
    """Return the coverages with anything in them; Japan when there is nothing at all."""
    used = {line.coverage for own in lines for line in own}
    used |= {part.coverage for one in inputs.operators for part in one.carried_in}
    return tuple(coverage for coverage in COVERAGES if coverage in used) or ("JP",)


def _decide_all(
    inputs: MonthInputs,
    catalogue: Catalogue,
    lines: Sequence[Sequence[InvoiceLine]],
    coverages: tuple[Coverage, ...],
) -> list[Decided]:
    """Return the parts of a document: the payer first, then by operator id; JP before GL."""
    payer = inputs.payer.operator_id
    decided: list[Decided] = []
    for one, own in sorted(
        zip(inputs.operators, lines, strict=True),
        key=lambda pair: (pair[0].operator.operator_id != payer, pair[0].operator.operator_id),
    ):
        for coverage in coverages:
            here = tuple(line for line in own if line.coverage == coverage)
            carried = any(part.coverage == coverage for part in one.carried_in)
            first = not decided
            if here or carried or first:
                decided.append(_decide(inputs, catalogue, one, coverage, here))
    return decided


def _decide(
    inputs: MonthInputs,
    catalogue: Catalogue,
    one: OperatorMonth,
    coverage: Coverage,
    lines: tuple[InvoiceLine, ...],
) -> Decided:
    policy = inputs.policy
    account = account_of(
        catalogue,
        policy,
        operator_id=one.operator.operator_id,
        month=inputs.month,
        coverage=coverage,
    )
    tax_ppm = account.tax_ppm if account.taxed else 0
    return decide(one, coverage, inputs.month, lines=lines, tax_ppm=tax_ppm, policy=policy)


def _document(
    inputs: MonthInputs,
    catalogue: Catalogue,
    lines: Sequence[Sequence[InvoiceLine]],
    coverages: tuple[Coverage, ...],
) -> Invoice:
    decided = _decide_all(inputs, catalogue, lines, coverages)
    posted = inputs.method == "invoice_post" and any(part.asks for part in decided)
    sections = []
    if posted and decided[0].coverage == "GL":
        # The fee is in yen: an invoice for Global alone gets a yen part that holds nothing else.
        payer = next(one for one in inputs.operators if one.operator == inputs.payer)
        bare = replace(payer, carried_in=(), coupons=(), coupon_purchases=())
        decided.insert(0, _decide(inputs, catalogue, bare, "JP", ()))
    for place, part in enumerate(decided):
        postal = None
        if posted and not place:
            account = account_of(
                catalogue, inputs.policy, operator_id=inputs.payer.operator_id, month=inputs.month
            )
            postal = postal_line(account, inputs.policy)
        sections.append(build(part, inputs.policy, postal))
    suffix = f"-{coverages[0]}" if len(coverages) == 1 else ""
    return _sum_up(inputs, tuple(sections), suffix)


def _goods_by_card(
    inputs: MonthInputs, catalogue: Catalogue, lines: Sequence[InvoiceLine]
) -> list[Invoice]:
    """Return a charge for each day on which goods were dispatched (seed 0, 4.1.1 and 5.3).

    It is no fee of a month, so the 50 yen rule has no part in it, and no coupon pays it.
    """
    days: dict[dt.date, list[InvoiceLine]] = {}
    for line in lines:
        if line.kind == "goods" and line.day is not None:
            days.setdefault(line.day, []).append(line)
    bare = replace(inputs.operators[0], carried_in=(), coupons=(), coupon_purchases=(), last=False)
    at_once = replace(inputs, policy=replace(inputs.policy, small_month="bill"))
    documents = []
    for day in sorted(days):
        decided = _decide(at_once, catalogue, bare, "JP", tuple(days[day]))
        section = build(decided, inputs.policy)
        document = _sum_up(inputs, (section,), f"-goods-{day:%Y%m%d}")
        documents.append(replace(document, dates=replace(document.dates, card_on=day)))
    return documents


class _Yen(NamedTuple):
    """A section's figures in yen; each is what it adds to the figure before it, converted."""

    excluded: int
    included: int
    raised: int
    carried_in: int
    carried_out: int
    displayed: int


def _yen(section: Section) -> _Yen:
    """Return the yen of a section; steps of one running sum, so that they add up exactly."""
    own = section.tax_included_minor
    raised = own + section.raised_minor
    whole = raised + carried_minor(section.carried_in)
    displayed = sum(displayed_minor(line) or 0 for line in section.lines)
    own_yen, raised_yen, whole_yen = (to_yen(x, section.fx) for x in (own, raised, whole))
    return _Yen(
        excluded=to_yen(section.tax_excluded_minor, section.fx),
        included=own_yen,
        raised=raised_yen - own_yen,
        carried_in=whole_yen - raised_yen,
        carried_out=whole_yen - section.due_yen,
        displayed=to_yen(displayed, section.fx),
    )


def joint_rounding_yen(sections: Sequence[Section], policy: InvoicePolicy) -> int:
    """Return what one rounding over all operators takes off their rounded sums: 0 or less (A-41).

    Only parts in yen that are due now, and only where the month's sum is what is rounded (A-15).
    """
    if policy.joint_rounding == "per_operator" or policy.rounding != "monthly_total":
        return 0
    parts = [x for x in sections if x.currency == "JPY" and not x.not_issued and not x.carried_out]
    exact = sum(with_tax_micro_ppm(line) for part in parts for line in part.lines)
    rounded = sum(part.tax_included_minor for part in parts)
    return round_up(exact, MINOR_MICRO["JPY"] * PPM) - rounded


def _sum_up(inputs: MonthInputs, sections: tuple[Section, ...], suffix: str) -> Invoice:
    yen = [_yen(section) for section in sections]

    def add(figure: Callable[[_Yen], int]) -> int:
        return sum(figure(one) for one in yen)

    joint = joint_rounding_yen(sections, inputs.policy)
    payable = sum(section.payable_yen for section in sections) + joint
    included = add(lambda one: one.included)
    excluded = add(lambda one: one.excluded)
    displayed = add(lambda one: one.displayed)
    raised = add(lambda one: one.raised)
    carried_in = add(lambda one: one.carried_in)
    carried_out = add(lambda one: one.carried_out)
    coupons = sum(section.coupon_yen for section in sections)
    ensure(
        payable == included + raised + carried_in - carried_out - coupons + joint,
        "an invoice adds up",
    )
    reasons = {section.not_issued for section in sections}
    reason: NotIssued = "" if payable else next(r for r in _REASONS if r in reasons)
    return Invoice(
        invoice_id=f"{inputs.payer.operator_id}-{inputs.month}{suffix}",
        payer=inputs.payer,
        method=inputs.method,
        month=inputs.month,
        sections=sections,
        tax_excluded_yen=excluded,
        tax_yen=included - excluded,
        tax_included_yen=included,
        raised_yen=raised,
        carried_in_yen=carried_in,
        carried_out_yen=carried_out,
        coupon_yen=coupons,
        joint_rounding_yen=joint,
        payable_yen=payable,
        status="issued" if payable else "not_issued",
        not_issued=reason,
        convenience_slip=bool(payable) and has_convenience_slip(inputs.method),
        dates=invoice_dates(inputs.month, inputs.calendar),
        complete=all(section.complete for section in sections),
        displayed_tax_included_yen=displayed,
        displayed_sum_differs=displayed != included,
        choices=inputs.policy.choices(),
    )
