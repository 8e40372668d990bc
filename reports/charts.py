"""The charts of a run: requests, lines, delay and charges, as PNG and SVG.

Owns: which charts exist, which VPGs they show, their files. Does not own: figures in
words (``findings``), the panels' drawing (``charts_panels``). Times in: ``SimUs``; on paper: JST.
"""
# ruff: noqa: PLC0415 - matplotlib is imported inside functions: the command line starts without it

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.charts_axes import look, save
from reports.series import config_at, configs, vpg_series
from reports.texts import moment, text
from vpg.rating.totals import limited

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from scenarios.model import Scenario, Vpg
    from vpg.catalogue.model import Catalogue
    from vpg.rating.charges import ChargeRow
    from vpg.results import RunResult

SHOWN_MAX = 4
"""Most VPGs in one chart; the worst ones are shown and the chart says so."""
NAMES = ("chart-requests", "chart-lines", "chart-delay", "chart-charges")


def draw_charts(  # noqa: PLR0917 - the whole run, then where and how
    scenario: Scenario,
    catalogue: Catalogue,
    result: RunResult,
    charges: Sequence[ChargeRow],
    out_dir: Path,
    lang: str,
    formats: Sequence[str] = ("png", "svg"),
) -> list[Path]:
    """Write every chart of ``result`` into ``out_dir`` (exists) and return the files in order.

    The same arguments give the same bytes on the same machine and matplotlib.
    """
    import matplotlib as mpl

    from reports import charts_panels as panels

    page = panels.Page(
        scenario=scenario,
        catalogue=catalogue,
        result=result,
        lang=lang,
        vpgs=worst_vpgs(scenario, catalogue, result),
        notes=_notes(scenario, result, lang),
    )
    series = [vpg_series(scenario, catalogue, result, vpg) for vpg in page.vpgs]
    paths: list[Path] = []
    with mpl.rc_context(look(lang)):
        for name, figure in (
            (NAMES[0], panels.requests(page, series)),
            (NAMES[1], panels.lines(page, series)),
            (NAMES[2], panels.delays(page)),
            (NAMES[3], panels.charges(page, charges)),
        ):
            paths += save(figure, out_dir, name, formats)
    return paths


def worst_vpgs(scenario: Scenario, catalogue: Catalogue, result: RunResult) -> tuple[Vpg, ...]:
    """Return the at most ``SHOWN_MAX`` VPGs with most refusals, then closest to a limit."""
    refusals = dict.fromkeys((vpg.id for vpg in scenario.vpgs), 0)
    closest_ppm = dict(refusals)
    known = {vpg.id: configs(scenario, catalogue, vpg) for vpg in scenario.vpgs}
    for row in result.rows:
        if row.vpg_id not in refusals:
            continue
        refusals[row.vpg_id] += limited(row, "throttled") + row.sessions_refused
        limits = config_at(known[row.vpg_id], row.hour_start_us)
        for used, limit in (
            (row.lines_peak, limits.lines_max),
            (row.rate_peak_per_s, limits.rate_per_s),
        ):
            share = used * 1_000_000 // limit if limit else used
            closest_ppm[row.vpg_id] = max(closest_ppm[row.vpg_id], share)
    order = sorted(scenario.vpgs, key=lambda v: (-refusals[v.id], -closest_ppm[v.id], v.id))
    chosen = {vpg.id for vpg in order[:SHOWN_MAX]}
    return tuple(vpg for vpg in scenario.vpgs if vpg.id in chosen)


def _notes(scenario: Scenario, result: RunResult, lang: str) -> tuple[str, ...]:
    notes = []
    if len(scenario.vpgs) > SHOWN_MAX:
        notes.append(text("chart.some_vpgs", lang, shown=SHOWN_MAX, count=len(scenario.vpgs)))
    if result.status == "partial":
        notes.append(text("chart.partial", lang, end=moment(result.ended_at_us, lang)))
    if scenario.assumptions.a05_rate_shared == "each":
        notes.append(text("chart.each_service", lang))
    return tuple(notes)
