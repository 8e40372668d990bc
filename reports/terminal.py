"""The summary of a run on a terminal: the verdict first, then what to do about it.

Owns: order, tables and wording on the screen. Does not own: any figure (``document``). Nothing here
draws characters of ambiguous width, so that tables stay straight on Japanese terminals.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from rich.box import Box
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from reports.replications import COLUMNS, cells, remarks
from reports.texts import Counted, counted, duration, label, moment, percent, plain, text
from reports.wrap import wrap
from vpg.timebase import from_datetime, to_jst

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from reports.document import (
        Advice,
        ChargesPart,
        Findings,
        LimitUse,
        MonthPart,
        ObjectivePart,
        ReplicationsPart,
        Summary,
        VpgFindings,
        VpgPart,
    )

_VPGS_MAX = 12
_ITEMS_MAX = 12
_ADVICE_MAX = 12
_NAMES_MAX = 5
_TIMES_FROM_PPM = 10_000_000
_INDENT = 4
"""Cells before the text of an item."""
_BOX = Box("    \n    \n -- \n    \n    \n -- \n    \n    \n", ascii=True)
_LABELS = {"size": "size", "item": "item", "policy": "retry"}
"""Figures that are names, and the group of texts that has their words."""
_STYLE = {"holds": "bold green", "fails": "bold red"}


def print_summary(console: Console, document: Summary, lang: str) -> None:
    """Print ``document`` in ``lang`` ("ja" or "en") as wide as ``console`` is."""
    page = _Page(console, lang)
    page.head(document)
    if document.objectives:
        page.objectives(document)
    page.vpgs(document)
    page.findings(document.findings)
    page.charges(document.charges)
    if document.replications is not None:
        page.replications(document.replications, judged=bool(document.objectives))
    page.remarks(document)


class _Page:
    """One summary being printed."""

    def __init__(self, console: Console, lang: str) -> None:
        self._console = console
        self._lang = lang

    # ---- sections ----------------------------------------------------------------------------

    def head(self, document: Summary) -> None:
        """Print verdict, name and period."""
        missed = [one for one in document.objectives if not one.met]
        verdict = self._say(
            f"verdict.{document.verdict}",
            count=len(missed),
            total=counted(len(document.objectives)),
        )
        self._line(verdict, style=_STYLE.get(document.verdict, "bold yellow"))
        unknown = [
            self._say("summary.vpg_of_type", vpg=plain(one.vpg_id), type=kind)
            for one in document.findings.vpgs
            for kind in one.uncapped_types
        ]
        if unknown:
            words = self._say("summary.unknown_limits", vpgs=self._names(unknown))
            self._line(words, style="bold yellow")
        title = document.title_ja if self._lang == "ja" else ""
        name = plain(title or document.title or document.scenario)
        if document.variant:
            name += f" ({self._say('summary.variant', name=plain(document.variant))})"
        self._line(name)
        start, end = (_instant(iso) for iso in (document.start, document.end))
        self._line(
            self._say(
                "summary.period",
                start=moment(start, self._lang),
                end=moment(end, self._lang),
                length=duration(end - start, self._lang),
            )
        )
        if document.status == "partial":
            why = plain(document.why_partial) or self._say("summary.nothing_said")
            ended = moment(_instant(document.ended_at), self._lang)
            self._line(self._say("summary.stopped", end=ended, why=why), style="yellow")

    def objectives(self, document: Summary) -> None:
        """Print what was promised and what was measured."""
        table = self._table("summary.objectives")
        for key, right in (
            ("objective", False),
            ("vpg", False),
            ("measured", True),
            ("limit", True),
            ("result", False),
        ):
            self._column(table, f"summary.{key}", right=right)
        for one in document.objectives:
            judged = document.verdict != "partial"
            word = ("met" if one.met else "not_met") if judged else "not_judged"
            table.add_row(
                label("objective", one.kind, self._lang),
                plain(one.vpg_id) or self._say("summary.all_vpgs"),
                self._measured(one, document.charges),
                self._bound(one),
                Text(self._say(f"summary.{word}"), style="red" if word == "not_met" else ""),
            )
        self._show(table)

    def vpgs(self, document: Summary) -> None:
        """Print each VPG against its limits, and its traffic."""
        found = {one.vpg_id: one for one in document.findings.vpgs}
        shown = sorted(document.per_vpg, key=lambda v: -_refusals(v))[:_VPGS_MAX]
        order = [vpg for vpg in document.per_vpg if vpg in shown]
        self._limits(order, found)
        self._traffic(order, found)
        if len(order) < len(document.per_vpg):
            rest = len(document.per_vpg) - len(order)
            self._line(self._say("summary.many_vpgs", count=counted(rest)))

    def _limits(self, vpgs: Iterable[VpgPart], found: dict[str, VpgFindings]) -> None:
        table = self._table("summary.limits")
        for key, right in (
            ("vpg", False),
            ("type", False),
            ("lines", True),
            ("rate", True),
            ("binds", False),
        ):
            self._column(table, f"summary.{key}", right=right)
        for vpg in vpgs:
            name = plain(vpg.vpg_id)
            for one in found[vpg.vpg_id].sizes:
                uses = {use.limit: use for use in one.limits}
                size = label("size", one.size, self._lang) if one.size else ""
                table.add_row(
                    name,
                    f"{one.type} {size}".strip(),
                    self._use(uses["line_cap"]),
                    self._use(uses["request_rate"]),
                    Text(
                        self._say(f"limit.{one.binding}"),
                        style="red" if one.binding != "none" else "",
                    ),
                )
        self._show(table)

    def _traffic(self, vpgs: Sequence[VpgPart], found: dict[str, VpgFindings]) -> None:
        table = self._table("summary.traffic")
        self._column(table, "summary.vpg")
        for key in ("accepted", "throttled", "refused", "lost", "delay", "worst"):
            self._column(table, f"summary.{key}", right=True)
        for vpg in vpgs:
            own, worst = vpg.totals, found[vpg.vpg_id].worst_minute
            accepted, throttled = (
                sum(getattr(what, service) for service in ("beam", "funnel", "funk", "ip"))
                for what in (own.accepted, own.throttled)
            )
            table.add_row(
                plain(vpg.vpg_id),
                f"{accepted:,}",
                f"{throttled:,}",
                f"{own.sessions_refused:,}",
                f"{own.messages_lost:,}",
                duration(own.delay_us_p99, self._lang) if own.messages_delivered else "-",
                "-" if worst is None else f"{to_jst(worst.start_us):%m-%d %H:%M}",
            )
        self._show(table)
        pending = [
            self._say("summary.of_vpg", vpg=plain(vpg.vpg_id), count=counted(waiting))
            for vpg in vpgs
            if (waiting := vpg.totals.messages_pending)
        ]
        if pending:
            self._item(self._say("summary.pending", vpgs=self._names(pending)))

    def findings(self, found: Findings) -> None:
        """Print which limit binds, where and when, and what would help."""
        self._title("summary.findings")
        binding = [one for one in found.vpgs if one.binding != "none"]
        if not binding:
            self._item(self._say("summary.binding_none"))
        losing = [one for one in found.vpgs if one.losses and one.binding == "none"]
        for one in losing[:_VPGS_MAX]:
            causes = [
                self._say("summary.loss", cause=label("loss", loss.kind, self._lang),
                          count=f"{loss.messages:,}")
                for loss in one.losses
            ]  # fmt: skip
            lost = counted(sum(loss.messages for loss in one.losses))
            vpg, names = plain(one.vpg_id), self._names(causes)
            self._item(self._say("summary.lost_all_the_same", vpg=vpg, lost=lost, causes=names))
        for one in sorted(binding, key=lambda v: v.vpg_id != found.vpg_id)[:_VPGS_MAX]:
            use = next(use for use in one.limits if use.limit == one.binding)
            self._item(
                self._say(
                    "summary.binding",
                    limit=self._say(f"limit.{one.binding}"),
                    vpg=plain(one.vpg_id),
                    refused=f"{use.refused:,}",
                    asked=f"{use.asked:,}",
                    share=percent(use.refused_ppm),
                )
            )
            self._worst(one)
        if found.advice:
            self._title("summary.advice")
            for advice in found.advice[:_ADVICE_MAX]:
                self._item(advice_text(advice, self._lang))

    def _worst(self, one: VpgFindings) -> None:
        worst = one.worst_minute
        if worst is None:
            return
        if worst.rate_per_s is None:
            against = self._say("summary.against_none")
        else:
            against = self._say("summary.against", limit=f"{worst.rate_per_s:,}")
        self._item(
            self._say(
                "summary.worst_minute",
                vpg=plain(one.vpg_id),
                start=moment(worst.start_us, self._lang),
                attempts=counted(worst.attempts),
                throttled=f"{worst.throttled:,}",
                peak=f"{worst.rate_peak_per_s:,}",
                against=against,
                attaches=counted(worst.attach_attempts),
                refused=f"{worst.sessions_refused:,}",
                lines=counted(worst.lines_peak),
            )
        )

    def charges(self, charges: ChargesPart) -> None:
        """Print each rating month and the total, with and without tax; then the items."""
        table = self._table("summary.charges")
        self._column(table, "summary.month")
        for key in ("tax_excluded", "tax", "tax_included"):
            self._column(table, f"summary.{key}", right=True)
        for month in charges.months:
            complete = all(item.amount_yen is not None for item in month.items)
            tax = self._sum(month.tax_yen, complete=complete)
            table.add_row(
                self._month(month),
                self._sum(month.tax_excluded_yen, complete=complete),
                f"{tax} ({percent(month.tax_ppm)})",
                self._sum(month.tax_included_yen, complete=complete),
            )
        self._show(table)
        excluded = self._say("summary.yen_excluded", amount=f"{charges.tax_excluded_yen:,}")
        included = self._say("summary.yen_included", amount=f"{charges.tax_included_yen:,}")
        if charges.complete:
            total = self._say("summary.charge_total", excluded=excluded, included=included)
            self._item(total, style="bold")
        else:
            key = "incomplete" if charges.tax_included_yen else "incomplete_all"
            items = self._names(self._unpriced(charges))
            total = self._say(f"summary.{key}", excluded=excluded, included=included, items=items)
            self._item(total, style="bold yellow")
        if sum(len(month.items) for month in charges.months) <= _ITEMS_MAX:
            self._items(charges.months)

    def _items(self, months: Sequence[MonthPart]) -> None:
        table = self._table(None)
        for key, right in (
            ("month", False),
            ("vpg", False),
            ("item", False),
            ("quantity", True),
            ("unit_price", True),
            ("amount", True),
        ):
            self._column(table, f"summary.{key}", right=right)
        for month in months:
            for item in month.items:
                table.add_row(
                    self._month(month),
                    plain(item.vpg_id),
                    label("item", item.bill_item, self._lang),
                    f"{item.quantity:,}",
                    self._decimal(item.unit_price_yen),
                    self._decimal(item.amount_yen),
                )
        if table.rows:
            self._show(table)

    def replications(self, part: ReplicationsPart, *, judged: bool) -> None:
        """Print what all replications say; what is above is replication 0."""
        self._title(
            "summary.replications",
            finished=f"{part.finished:,}",
            asked=f"{part.asked:,}",
            percent=part.confidence_percent,
        )
        if part.figures:
            table = self._table(None)
            for key in COLUMNS:
                self._column(table, f"summary.{key}", right=key != "figure")
            for figure in part.figures:
                table.add_row(*cells(figure, self._lang))
            self._show(table)
        for words in remarks(part, self._lang, judged=judged):
            self._item(words)

    def remarks(self, document: Summary) -> None:
        """Print warnings, changed assumptions and where everything is."""
        if document.warnings:
            self._title("summary.warnings")
            for warning in document.warnings:
                words = warning.text.ja if self._lang == "ja" else warning.text.en
                where = " ".join(filter(None, (warning.place, warning.code, warning.path)))
                self._item(f"{plain(where)}: {plain(words)}")
        changed = [one for one in document.assumptions if not one.is_default]
        if changed:
            self._title("summary.assumptions")
            for one in changed:
                self._item(
                    self._say(
                        "summary.assumption",
                        id=one.id,
                        key=one.key,
                        chosen=plain(one.chosen),
                        default=plain(one.default),
                        text=one.text.ja if self._lang == "ja" else one.text.en,
                    )
                )
        rest = len(document.assumptions) - len(changed)
        self._console.print()
        if rest:
            key = "assumptions_rest" if changed else "assumptions_all"
            self._line(self._say(f"summary.{key}", count=counted(rest)))
        if document.run_dir:
            self._line(self._say("summary.run_dir", path=plain(document.run_dir)))
        if document.charts:
            split = [plain(name).rpartition(".") for name in document.charts]
            names = ", ".join(dict.fromkeys(stem for stem, _, _ in split))
            kinds = ", ".join(dict.fromkeys(kind for _, _, kind in split))
            self._line(self._say("summary.charts", names=names, kinds=kinds))

    # ---- words and figures -------------------------------------------------------------------

    def _say(self, key: str, /, **values: object) -> str:
        return text(key, self._lang, **values)

    def _yen(self, yen: int) -> str:
        return self._say("summary.yen", amount=f"{yen:,}")

    def _sum(self, yen: int, *, complete: bool) -> str:
        """Return a sum of charges; without a price for everything it is only a lower bound."""
        if complete:
            return self._yen(yen)
        return self._say(
            "summary.yen_at_least" if yen else "summary.yen_unknown", amount=f"{yen:,}"
        )

    def _unpriced(self, charges: ChargesPart) -> list[str]:
        found = [
            self._say(
                "summary.unpriced_item",
                item=label("item", item.bill_item, self._lang),
                vpg=plain(item.vpg_id),
            )
            for month in charges.months
            for item in month.items
            if item.amount_yen is None
        ]
        return list(dict.fromkeys(found))

    def _names(self, names: Sequence[str]) -> str:
        comma = "、" if self._lang == "ja" else ", "
        shown = comma.join(names[:_NAMES_MAX])
        rest = len(names) - _NAMES_MAX
        return self._say("summary.more_names", names=shown, count=rest) if rest > 0 else shown

    def _month(self, month: MonthPart) -> str:
        year, number = int(month.month[:4]), int(month.month[4:])
        return self._say("summary.month_name", year=year, month=number)

    def _decimal(self, yen: str | None) -> str:
        if yen is None:
            return self._say("summary.no_price")
        whole, dot, rest = yen.partition(".")
        return f"{int(whole):,}{dot}{rest}"

    def _use(self, use: LimitUse) -> str:
        if use.cap is None or use.share_ppm is None:
            return f"{use.peak:,} ({self._say('summary.uncapped')})"
        if use.share_ppm >= _TIMES_FROM_PPM:
            return f"{use.peak:,} / {use.cap:,} ({use.share_ppm // 1_000_000:,}x)"
        return f"{use.peak:,} / {use.cap:,} ({use.share_ppm // 10_000}%)"

    def _measured(self, one: ObjectivePart, charges: ChargesPart) -> str:
        if one.kind == "charges_yen_max":
            return self._sum(one.measured, complete=charges.complete)
        return self._unit(one, one.measured)

    def _unit(self, one: ObjectivePart, value: int) -> str:
        if "_ppm_" in one.kind:
            return percent(value)
        if "_us_" in one.kind:
            return duration(value, self._lang)
        return self._yen(value) if "_yen_" in one.kind else f"{value:,}"

    def _bound(self, one: ObjectivePart) -> str:
        side = "at_least" if one.kind.endswith("_min") else "at_most"
        return self._say(f"summary.{side}", value=self._unit(one, one.limit))

    # ---- layout ------------------------------------------------------------------------------

    def _title(self, key: str, /, **values: object) -> None:
        self._console.print()
        self._line(self._say(key, **values), style="bold")

    def _table(self, title: str | None) -> Table:
        if title is not None:
            self._title(title)
        return Table(box=_BOX, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)

    def _column(self, table: Table, key: str, *, right: bool = False) -> None:
        table.add_column(
            Text(self._say(key)), justify="right" if right else "left", overflow="fold"
        )

    def _show(self, table: Table) -> None:
        self._console.print(Padding(table, (0, 0, 0, 2), expand=False))

    def _item(self, words: str, style: str = "") -> None:
        row = Table.grid(padding=(0, 1))
        row.add_column(width=1)
        row.add_column(overflow="fold")
        row.add_row("-", Text(wrap(words, self._console.width - _INDENT), style=style))
        self._console.print(Padding(row, (0, 0, 0, 2), expand=False))

    def _line(self, words: str, style: str = "") -> None:
        self._console.print(Text(wrap(words, self._console.width), style=style))


def advice_text(advice: Advice, lang: str) -> str:
    """Return one piece of advice as a sentence in ``lang``, with the mark of an estimate."""
    figures = advice.figures
    words = text(
        f"advice.{advice.kind}",
        lang,
        vpg=plain(advice.vpg_id),
        **dict(_figure(name, value, lang) for name, value in figures.items()),
    )
    more = figures.get("more_yen_per_hour")
    if more == "":
        words += text("advice.price_unknown", lang)
    elif isinstance(more, str):
        words += text("advice.price_more", lang, yen=_thousands(more))
    if figures.get("fee_yen") not in {None, "", "0"}:
        words += text("advice.fee", lang, yen=_thousands(str(figures["fee_yen"])))
    if not words.endswith((".", "。")):
        words += "。" if lang == "ja" else "."
    if advice.basis == "estimate":
        words += f"{'' if lang == 'ja' else ' '}{text('summary.estimate', lang)}"
    return words


def _figure(name: str, value: int | str, lang: str) -> tuple[str, str]:
    """Return the placeholder and the words of one figure; a duration loses its unit's name."""
    if isinstance(value, int):
        if name.endswith("_us"):
            return name.removesuffix("_us"), duration(value, lang)
        if name.endswith("_ppm"):
            return name, percent(value)
        return name, counted(value) if value >= 0 else Counted(text("summary.uncapped", lang))
    if name in _LABELS:
        return name, label(_LABELS[name], value, lang)
    return name, _thousands(value) if name.endswith("_per_hour") else plain(value)


def _thousands(yen: str) -> str:
    whole, dot, rest = yen.partition(".")
    return f"{int(whole):,}{dot}{rest}" if whole else yen


def _refusals(vpg: VpgPart) -> int:
    own = vpg.totals
    throttled = own.throttled.beam + own.throttled.funnel + own.throttled.funk
    return throttled + own.sessions_refused


def _instant(iso: str) -> int:
    return from_datetime(dt.datetime.fromisoformat(iso))
