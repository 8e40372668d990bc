"""The four charts, panel by panel; ``charts`` chooses what is shown and saves the files.

Owns: what each panel draws and says. Does not own: look, ticks and saving (``charts_axes``). The
x axis is in ``SimUs`` throughout: nothing is rounded on the way to the paper; ticks are in JST.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reports import charts_axes as ax
from reports.fonts import printable
from reports.series import configs, delay_hours
from reports.texts import label, moment, text
from vpg.timebase import HOUR_US, SECOND_US, hour_start, month_start

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from reports.series import DelayHour, VpgSeries
    from scenarios.model import Scenario, Vpg
    from vpg.catalogue.model import Catalogue
    from vpg.rating.charges import ChargeRow
    from vpg.results import RunResult

_OFF_SCALE = 3
"""A limit more than this many times the data is written instead of drawn."""
_MICRO = 1_000_000
_ROOM = 1.15
"""Axis height over the largest value: room for a remark above the data."""
_LEGEND_COLUMNS = 4
_TITLE_MAX, _HEADING_MAX, _HEADING_MAX_NARROW = 60, 80, 30
_ONE_OFF = ("contract_fee_", "change_fee_")
_FEW = 48
"""Up to this many hours each one is a marked point."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What every chart of one run has in common."""

    scenario: Scenario
    catalogue: Catalogue
    result: RunResult
    lang: str
    vpgs: tuple[Vpg, ...]
    notes: tuple[str, ...]

    def name(self) -> str:
        """Return the scenario's title for a heading, with every character drawable."""
        variant = f" [{self.scenario.variant}]" if self.scenario.variant else ""
        title = self.scenario.title_in(self.lang) or self.scenario.name
        words = printable(f"{title}{variant}", self.lang)
        return _cut(words, _TITLE_MAX)

    def heading(self, vpg: Vpg, *, narrow: bool) -> str:
        """Return what stands over the panels of ``vpg``: its id, types and sizes of the run."""
        known = configs(self.scenario, self.catalogue, vpg)
        kinds = [f"Type-{c.type} {label('size', c.size, self.lang) if c.size else ''}".strip()
                 for c in known]  # fmt: skip
        most = _HEADING_MAX_NARROW if narrow else _HEADING_MAX
        name = _cut(printable(vpg.id, self.lang), most // 2)
        return f"{name} ({_cut(' → '.join(dict.fromkeys(kinds)), most - len(name))})"


def requests(page: Page, series: Sequence[VpgSeries]) -> Figure:
    """Return the chart of busiest seconds against the limit and of requests by outcome."""
    figure, grid = _grid(page)
    for vpg, one, (peak, volume) in zip(page.vpgs, series, _pairs(grid, len(series)), strict=True):
        unit = "minute" if one.width_us < HOUR_US else "hour"
        peak.set_title(page.heading(vpg, narrow=len(series) > 1), loc="left")
        peak.set_ylabel(text(f"chart.requests_peak_{unit}", page.lang))
        under = [
            value if limit is None else min(value, limit)
            for value, limit in zip(one.rate_peak_per_s, one.rate_limit, strict=True)
        ]
        _bars(peak, one, [0] * one.bins, under, colour=ax.BLUE)
        if under != list(one.rate_peak_per_s):
            queued = vpg.limiter.above == "queue"
            over = text("chart.queued" if queued else "chart.over_limit", page.lang)
            colour = ax.ORANGE if queued else ax.RED
            _bars(peak, one, under, one.rate_peak_per_s, colour=colour, name=over)
        ax.limit_line(peak, one.edges_us(), one.rate_limit, "chart.limit_rate", page.lang)
        tops = [*one.rate_peak_per_s, *(x for x in one.rate_limit if x is not None), 1]
        peak.set_ylim(0, max(tops) * _ROOM)
        if not any(one.attempts):
            ax.remark(peak, text("chart.no_requests", page.lang))
        elif all(x is None for x in one.rate_limit):
            ax.remark(peak, text("chart.uncapped_rate", page.lang, type=vpg.type))
        _volume(page, one, volume, unit)
        for axes in (peak, volume):
            ax.legend(axes)
            ax.whole_numbers(axes)
    return _finish(page, figure, grid, "chart.requests_title", series[0].width_us)


def _volume(page: Page, one: VpgSeries, axes: Axes, unit: str) -> None:
    """Draw the requests of each bin by outcome; the whole height is what was offered."""
    axes.set_ylabel(text(f"chart.requests_{unit}", page.lang))
    both = [a + t for a, t in zip(one.accepted, one.throttled, strict=True)]
    layers = (
        ("accepted", [0] * one.bins, list(one.accepted), ax.BLUE),
        ("throttled", list(one.accepted), both, ax.RED),
        ("failed", both, list(one.attempts), ax.GREY),
    )
    for name, low, high, colour in layers:
        if name == "accepted" or low != high:
            words = text(f"chart.{name}", page.lang)
            _bars(axes, one, low, high, colour=colour, name=words)
    limits = [None if x is None else x * (one.width_us // SECOND_US) for x in one.rate_limit]
    top = max(*one.attempts, 1)
    known = [x for x in limits if x is not None]
    axes.set_ylim(0, top * _ROOM)
    if known and min(known) > top * _OFF_SCALE:
        ax.remark(axes, text(f"chart.limit_above_{unit}", page.lang, limit=known[-1]))
    elif known:
        shown = [x if x is not None and x <= top * _OFF_SCALE else None for x in limits]
        ax.limit_line(axes, one.edges_us(), shown, f"chart.limit_volume_{unit}", page.lang)
        axes.set_ylim(0, max(top, *(x or 0 for x in shown)) * _ROOM)


def lines(page: Page, series: Sequence[VpgSeries]) -> Figure:
    """Return the chart of lines online against the cap, and of attaches refused by it."""
    figure, grid = _grid(page)
    for vpg, one, (online, refused) in zip(
        page.vpgs, series, _pairs(grid, len(series)), strict=True
    ):
        unit = "minute" if one.width_us < HOUR_US else "hour"
        online.set_title(page.heading(vpg, narrow=len(series) > 1), loc="left")
        online.set_ylabel(text(f"chart.lines_{unit}", page.lang))
        flat = [0] * one.bins
        _bars(online, one, flat, one.lines_peak, colour=ax.SKY)
        if any(one.ghosts_peak):
            online.step(
                one.edges_us(), _closed(one.ghosts_peak), where="post", color=ax.BLACK, lw=1.2,
                ls=":", label=text("chart.ghosts", page.lang),
            )  # fmt: skip
        top = max(*one.lines_peak, 1)
        known = [x for x in one.lines_limit if x is not None]
        online.set_ylim(0, top * _ROOM)
        if not known:
            ax.remark(online, text("chart.uncapped_lines", page.lang, type=vpg.type))
        elif min(known) > top * _OFF_SCALE:
            ax.remark(online, text("chart.limit_lines_above", page.lang, limit=known[-1]))
        else:
            ax.limit_line(online, one.edges_us(), one.lines_limit, "chart.limit_lines", page.lang)
            online.set_ylim(0, max(top, *known) * _ROOM)
        ax.legend(online)
        refused.set_ylabel(text(f"chart.refused_{unit}", page.lang))
        _bars(refused, one, flat, one.refused, colour=ax.RED)
        refused.set_ylim(0, max(*one.refused, 1) * _ROOM)
        if not any(one.refused):
            ax.remark(refused, text("chart.no_refused", page.lang))
        for axes in (online, refused):
            ax.whole_numbers(axes)
    return _finish(page, figure, grid, "chart.lines_title", series[0].width_us)


def _bars(
    axes: Axes,
    one: VpgSeries,
    low: Sequence[int],
    high: Sequence[int],
    *,
    colour: str,
    name: str = "",
) -> None:
    """Fill each bin from ``low`` to ``high``; a thin edge keeps single minutes visible."""
    filled = [a != b for a, b in zip(low, high, strict=True)]
    axes.fill_between(
        one.edges_us(),
        _closed(low),
        _closed(high),
        # A bin needs both its edges, or a single one would have no width.
        where=[a or b for a, b in zip([*filled, False], [False, *filled], strict=True)],
        step="post",
        facecolor=colour,
        edgecolor=colour,
        lw=0.4,
        label=name or None,
    )


def delays(page: Page) -> Figure:
    """Return the chart of delay percentiles by the hour, on a log scale; 0 is drawn at 1 µs."""
    figure, grid = ax.new_figure(
        len(page.vpgs), 1, 3.4 if len(page.vpgs) == 1 else 2.0, len(page.notes)
    )
    known = [delay_hours(page.result, vpg.id) for vpg in page.vpgs]
    every = [us for hours in known for h in hours for us in (h.p50_us, h.p99_us, h.max_us)]
    low, high = max(1, min(every, default=1)), max(1, max(every, default=_MICRO))
    for vpg, hours, (axes,) in zip(page.vpgs, known, grid, strict=True):
        axes.set_title(page.heading(vpg, narrow=False), loc="left")
        axes.set_ylabel(text("chart.delay", page.lang))
        ax.delay_axis(axes, low, high, page.lang)
        _delay_lines(page, axes, hours)
        if hours:
            ax.legend(axes)
        else:
            ax.remark(axes, text("chart.no_delay", page.lang))
    return _finish(page, figure, grid, "chart.delay_title", HOUR_US)


def _delay_lines(page: Page, axes: Axes, hours: Sequence[DelayHour]) -> None:
    known = {hour.hour_start_us: hour for hour in hours}
    first = hour_start(page.scenario.start_us)
    middles, gaps = [], []
    for at_us in range(first, max(page.result.ended_at_us, first + 1), HOUR_US):
        middles.append(at_us + HOUR_US // 2)
        gaps.append(known.get(at_us))
    few = len(middles) <= _FEW
    for name, colour, mark, size, width in (  # the wider ones lie below and stay visible
        ("max", ax.RED, "^", 8, 2.8),
        ("p99", ax.ORANGE, "s", 5, 1.6),
        ("p50", ax.BLUE, "o", 4, 1.2),
    ):
        values = [
            float("nan") if hour is None else float(max(1, getattr(hour, f"{name}_us")))
            for hour in gaps
        ]
        axes.plot(
            middles,
            values,
            color=colour,
            lw=1.2 if few else width,
            marker=mark if few else "",
            ms=size,
            mfc="none",
            label=text(f"chart.delay_{name}", page.lang),
        )


def charges(page: Page, rows: Sequence[ChargeRow]) -> Figure:
    """Return the chart of the hourly charge by bill item and of the running total of each month."""
    figure, grid = ax.new_figure(2, 1, 2.5, len(page.notes))
    (hourly,), (running,) = grid
    start, count = _hours(page)
    fees, items, cumulative, unpriced = _charge_series(rows, start, count)
    edges = [start + i * HOUR_US for i in range(count + 1)]
    base = [0.0] * count
    order = sorted(items, key=lambda item: (-sum(items[item]), item))
    for place, item in enumerate(order):
        top = [b + v / _MICRO for b, v in zip(base, items[item], strict=True)]
        hourly.fill_between(
            edges, _closed(base), _closed(top), step="post", lw=0, color=ax.STACK[place],
            label=printable(label("item", item, page.lang), page.lang),
        )  # fmt: skip
        base = top
    hourly.set_ylabel(text("chart.charges_hour", page.lang))
    hourly.set_ylim(0, max(*base, 1) * (_ROOM + 0.12 * -(-len(order) // _LEGEND_COLUMNS)))
    if order:
        hourly.legend(loc="upper left", ncols=_LEGEND_COLUMNS, borderaxespad=0.2)
    remarks = _fee_remarks(fees, page.lang)
    if unpriced:
        names = ", ".join(label("item", item, page.lang) for item in unpriced)
        remarks.append(text("chart.unpriced", page.lang, items=printable(names, page.lang)))
    if not rows:
        remarks.append(text("chart.no_charges", page.lang))
    yen = [micro / _MICRO for micro in cumulative]
    _running(page, running, edges, yen, complete=not unpriced)
    if remarks:
        ax.remark(running, "\n".join(remarks), left=True)
    for axes in (hourly, running):
        ax.whole_numbers(axes)
    return _finish(page, figure, grid, "chart.charges_title", HOUR_US)


def _running(
    page: Page, axes: Axes, edges: Sequence[int], yen: Sequence[float], *, complete: bool
) -> None:
    axes.set_ylabel(text("chart.charges_month", page.lang))
    axes.set_ylim(0, max(*yen, 1) * (_ROOM + 0.2))
    begin = 0
    for i in range(1, len(yen) + 1):
        if i < len(yen) and month_start(edges[i]) == month_start(edges[i - 1]):
            continue
        axes.step(edges[begin : i + 1], [*yen[begin:i], yen[i - 1]], where="post", color=ax.BLUE)
        axes.annotate(
            _total(yen[i - 1], page.lang, complete=complete),
            xy=(edges[i], yen[i - 1]), xytext=(-3, 4), textcoords="offset points",
            ha="right", va="bottom", fontsize=8, color=ax.BLUE,
        )  # fmt: skip
        begin = i


def _total(yen: float, lang: str, *, complete: bool) -> str:
    """Return the words for a month's sum; unless ``complete`` it is only a lower bound."""
    amount = f"{yen:,.0f}"
    if complete:
        return text("chart.charges_total", lang, amount=amount)
    return text("chart.charges_at_least" if yen else "chart.charges_unknown", lang, amount=amount)


def _charge_series(
    rows: Sequence[ChargeRow], start_us: int, count: int
) -> tuple[list[tuple[str, int]], dict[str, list[int]], list[int], list[str]]:
    """Return one-off fees, micro-yen an hour by item, month to date an hour, unpriced items."""
    fees: list[tuple[str, int]] = []
    items: dict[str, list[int]] = {}
    total = [0] * count
    unpriced: set[str] = set()
    for row in rows:
        i = (row.hour_start_us - start_us) // HOUR_US
        if row.amount_micro_yen is None:
            unpriced.add(row.bill_item)
        elif 0 <= i < count:
            total[i] += row.amount_micro_yen
            if row.bill_item.startswith(_ONE_OFF):
                fees.append((row.bill_item, row.amount_micro_yen))
            elif row.amount_micro_yen:
                items.setdefault(row.bill_item, [0] * count)[i] += row.amount_micro_yen
    running = 0
    for i in range(count):
        at_us = start_us + i * HOUR_US
        running = total[i] if at_us == month_start(at_us) else running + total[i]
        total[i] = running
    return fees, _merged(items, count), total, sorted(unpriced)


def _merged(items: dict[str, list[int]], count: int) -> dict[str, list[int]]:
    """Return ``items``, the smallest summed as "other" when there are too many colours."""
    if len(items) <= len(ax.STACK):
        return items
    order = sorted(items, key=lambda item: (-sum(items[item]), item))
    kept = {item: items[item] for item in order[: len(ax.STACK) - 1]}
    rest = order[len(ax.STACK) - 1 :]
    kept["other"] = [sum(items[item][i] for item in rest) for i in range(count)]
    return kept


def _fee_remarks(fees: Sequence[tuple[str, int]], lang: str) -> list[str]:
    if len(fees) == 1:
        item, micro = fees[0]
        name = printable(label("item", item, lang), lang)
        return [text("chart.one_off", lang, item=name, amount=f"{micro / _MICRO:,.0f}")]
    if fees:
        total = sum(micro for _, micro in fees)
        return [text("chart.one_off_many", lang, amount=f"{total / _MICRO:,.0f}", count=len(fees))]
    return []


# ---- shared by the panels ------------------------------------------------------------------------


def _hours(page: Page) -> tuple[int, int]:
    start = hour_start(page.scenario.start_us)
    return start, max(1, -(-(page.result.ended_at_us - start) // HOUR_US))


def _grid(page: Page) -> tuple[Figure, list[list[Axes]]]:
    """Return two panels a VPG: one above the other for one VPG, side by side for several."""
    if len(page.vpgs) == 1:
        return ax.new_figure(2, 1, 2.5, len(page.notes))
    return ax.new_figure(len(page.vpgs), 2, 1.9, len(page.notes))


def _pairs(grid: list[list[Axes]], vpgs: int) -> list[tuple[Axes, Axes]]:
    if vpgs == 1:
        return [(grid[0][0], grid[1][0])]
    return [(left, right) for left, right in grid]


def _closed(values: Sequence[float]) -> list[float]:
    """Return ``values`` with the last one repeated: a step needs a height at its right edge."""
    return [*values, values[-1]]


def _finish(
    page: Page, figure: Figure, grid: list[list[Axes]], title: str, width_us: int
) -> Figure:
    start = page.scenario.start_us - page.scenario.start_us % width_us
    end = -(-max(page.result.ended_at_us, start + 1) // width_us) * width_us
    for axes in grid[-1]:
        ax.time_axis(axes, start, end, page.lang, narrow=len(grid[-1]) > 1)
        axes.set_xlabel(text("chart.time", page.lang, start=moment(start, page.lang)))
    ax.heading(figure, text(title, page.lang, name=page.name()), page.notes)
    return figure


def _cut(words: str, most: int) -> str:
    return words if len(words) <= most else f"{words[: most - 1]}…"
