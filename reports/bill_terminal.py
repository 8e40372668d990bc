"""Invoices, and a bill beside a provider's CSV, on a terminal.

Owns: order, columns and wording on the screen. Does not own: any figure (``vpg.billing``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.box import Box
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from reports.texts import counted, label, plain, text
from vpg.billing.csv_cells import MICRO_PICO, decimal_text
from vpg.billing.lines import MINOR_MICRO, thing_of

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterable, Sequence

    from rich.console import Console

    from vpg.billing.csv_compare import Comparison, Difference
    from vpg.billing.csv_detail import DetailRow
    from vpg.billing.model import Invoice, InvoiceLine, Section

ROWS_MAX = 40
_BOX = Box("    \n    \n -- \n    \n    \n -- \n    \n    \n", ascii=True)
_TOTALS = (
    "tax_excluded_yen",
    "tax_yen",
    "tax_included_yen",
    "raised_yen",
    "carried_in_yen",
    "carried_out_yen",
    "coupon_yen",
    "joint_rounding_yen",
    "payable_yen",
)
_ALWAYS = ("tax_excluded_yen", "tax_yen", "tax_included_yen", "payable_yen")
_TAKEN_OFF = ("carried_out_yen", "coupon_yen")


def print_invoices(console: Console, documents: Iterable[Invoice], lang: str) -> None:
    """Print every document of a month in ``lang`` ("ja" or "en")."""
    for place, document in enumerate(documents):
        if place:
            console.print()
        _print_invoice(console, document, lang)


def _print_invoice(console: Console, document: Invoice, lang: str) -> None:
    issued = document.status == "issued"
    yen = f"{document.payable_yen:,}"
    if not document.complete:
        yen = text("bill.at_least", lang, amount=yen)
    headline = text(
        "bill.issued" if issued else "bill.not_issued",
        lang,
        id=plain(document.invoice_id),
        yen=yen,
        why=label("bill_why", document.not_issued, lang),
    )
    console.print(Text(headline, style="bold"))
    console.print(Text(_dates(document, lang)))
    for section in document.sections:
        _print_section(console, section, lang)
    console.print()
    console.print(Padding(_totals(document, lang), (0, 0, 0, 2), expand=False))
    for note in _notes(document, lang):
        console.print(Text(note))


def _dates(document: Invoice, lang: str) -> str:
    dates = document.dates
    by_card = document.method == "card"
    return text(
        "bill.dates_card" if by_card else "bill.dates",
        lang,
        final=_day(dates.figures_final_on, lang),
        issue=_day(dates.issue_on, lang),
        due=_day(dates.due_on, lang),
        card=_day(dates.card_on, lang),
    )


def _day(day: dt.date, lang: str) -> str:
    return f"{day.year}年{day.month}月{day.day}日" if lang == "ja" else day.isoformat()


def _print_section(console: Console, section: Section, lang: str) -> None:
    console.print()
    name = plain(section.operator.name or section.operator.operator_id)
    coverage = label("bill_coverage", section.coverage, lang)
    console.print(Text(f"{name}, {coverage}" if lang == "en" else f"{name}（{coverage}）"))
    table = _table(("item", "thing"), ("quantity", "price", "amount"), lang)
    for line in section.lines[:ROWS_MAX]:
        table.add_row(*_cells(line, lang))
    console.print(Padding(table, (0, 0, 0, 2), expand=False))
    if len(section.lines) > ROWS_MAX:
        rest = counted(len(section.lines) - ROWS_MAX)
        console.print(Text(text("bill.more_lines", lang, count=rest)))
    if section.currency != "JPY":
        due = money(section.due_minor * MINOR_MICRO[section.currency] * MICRO_PICO)
        console.print(Text(text("bill.in_yen", lang, due=due, yen=f"{section.due_yen:,}")))


def _table(words: Sequence[str], numbers: Sequence[str], lang: str) -> Table:
    table = Table(box=_BOX, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    for key in words:
        table.add_column(Text(text(f"bill.{key}", lang)), overflow="fold")
    for key in numbers:
        table.add_column(Text(text(f"bill.{key}", lang)), justify="right", overflow="fold")
    return table


def _cells(line: InvoiceLine, lang: str) -> tuple[str, ...]:
    item = label("item", line.item, lang)
    name = label("bill_item", line.item, lang) if item == line.item else item
    if line.kind == "correction":
        name = text("bill.correction", lang, item=name, month=line.month)
    unknown = text("bill.unpriced", lang)
    price, amount = line.unit_price_micro, line.amount_micro
    return (
        plain(name),
        plain(thing_of(line)),
        f"{line.quantity:,}",
        unknown if price is None else money(price * MICRO_PICO),
        unknown if amount is None else money(amount * MICRO_PICO),
    )


def money(pico: int) -> str:
    """Return an exact amount for people, with thousands separators.

    >>> money(1_234_500_000_000_000), money(-16_500_000_000_000)
    ('1,234.5', '-16.5')
    """
    sign, digits = ("-", decimal_text(-pico)) if pico < 0 else ("", decimal_text(pico))
    whole, point, rest = digits.partition(".")
    return f"{sign}{int(whole):,}{point}{rest}"


def _totals(document: Invoice, lang: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for key in _TOTALS:
        value = getattr(document, key)
        if value or key in _ALWAYS:
            shown = f"{-value if key in _TAKEN_OFF else value:,}"
            table.add_row(text(f"bill.{key}", lang), text("bill.yen", lang, amount=shown))
    return table


def _notes(document: Invoice, lang: str) -> Iterable[str]:
    if document.displayed_sum_differs:
        shown = f"{document.displayed_tax_included_yen:,}"
        yield text("bill.displayed", lang, shown=shown, yen=f"{document.tax_included_yen:,}")
    if not document.complete:
        missing = sorted({item for part in document.sections for _, item in part.unpriced})
        yield text("bill.incomplete", lang, items=", ".join(map(plain, missing)))
    if document.convenience_slip:
        yield text("bill.slip", lang)


# ---- beside a provider's CSV ---------------------------------------------------------------------


def print_comparison(console: Console, found: Comparison, file: str, lang: str) -> None:
    """Print how a CSV differs from the computed month, at most ``ROWS_MAX`` rows of it."""
    values = {
        "file": plain(file),
        "rows": counted(found.rows_equal),
        "count": counted(len(found.differences)),
        "amount": _signed(found.actual_pico - found.computed_pico),
        "currency": label("bill_currency", found.currency, lang),
    }
    key = "check.equal" if found.equal else "check.differs"
    console.print(Text(text(key, lang, **values), style="bold" if found.equal else "bold red"))
    sums = {"computed": money(found.computed_pico), "actual": money(found.actual_pico)}
    console.print(Text(text("check.sums", lang, **sums, currency=values["currency"])))
    if found.grain == "month":
        console.print(Text(text("check.by_month", lang)))
    if found.equal:
        return
    console.print()
    table = Table(box=_BOX, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    for name in ("row", "thing", "date", "item"):
        table.add_column(Text(text(f"check.{name}", lang)), overflow="fold")
    table.add_column(Text(text("check.difference", lang)), justify="right", overflow="fold")
    table.add_column(Text(text("check.why", lang)), overflow="fold")
    for one in found.differences[:ROWS_MAX]:
        table.add_row(*_difference(one, lang))
    console.print(Padding(table, (0, 0, 0, 2), expand=False))
    if len(found.differences) > ROWS_MAX:
        rest = counted(len(found.differences) - ROWS_MAX)
        console.print(Text(text("check.more", lang, count=rest)))


def _difference(one: Difference, lang: str) -> tuple[str, ...]:
    row = one.actual or one.computed
    thing = "" if row is None else " ".join(value for _, value in row.things)
    line = "" if one.actual is None else str(one.actual.line)
    words = [_why(one, reason.why, reason.pico, lang) for reason in one.reasons]
    item = "" if row is None else label("item", row.item, lang)
    date = "" if row is None else row.date
    return line, plain(thing), date, plain(item), _signed(one.pico), "\n".join(words)


def _why(one: Difference, why: str, pico: int, lang: str) -> str:
    return text(
        f"check.{why}",
        lang,
        amount=_signed(pico),
        quantity=_pair(one, lambda row: f"{row.quantity:,}"),
        price=_pair(one, lambda row: _price(row, lang)),
    )


def _price(row: DetailRow, lang: str) -> str:
    price = row.unit_price_pico
    return text("bill.unpriced", lang) if price is None else money(price)


def _pair(one: Difference, show: Callable[[DetailRow], str]) -> str:
    return " → ".join("-" if row is None else show(row) for row in (one.computed, one.actual))


def _signed(pico: int) -> str:
    return f"+{money(pico)}" if pico > 0 else money(pico)
