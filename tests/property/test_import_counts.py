"""Whatever a file holds: each row is counted once, or the file is refused with a place."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.importers.air import import_air
from scenarios.importers.beam import import_beam
from scenarios.importers.demand import import_demand
from scenarios.importers.lines import import_lines
from scenarios.importers.options import (
    AirOptions,
    BeamOptions,
    DemandOptions,
    LinesOptions,
    UsageOptions,
)
from scenarios.importers.usage import import_usage
from scenarios.loader import load_scenario
from tests.support_import import AIR_HEADER, check_counts, line_row, told, usage_row
from vpg.catalogue.load import load_catalogue
from vpg.errors import InputError

if TYPE_CHECKING:
    from scenarios.importers.result import Imported
    from vpg.errors import Problem

CATALOGUE = load_catalogue()
STATUSES = {"未開通": "unopened", "利用中": "active", "中断中": "suspended", "解約済": "terminated"}
cells = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='",'), max_size=8)
ZONES = ("America/New_York", "Europe/London", "Australia/Lord_Howe", "Asia/Tokyo", "UTC")


@given(st.lists(st.one_of(st.sampled_from(list(STATUSES)), st.none()), min_size=1, max_size=60))
def test_lines_read_are_lines_used_and_bad(statuses: list[str | None]) -> None:
    rows = [
        line_row(number, "謎" if status is None else status)
        for number, status in enumerate(statuses)
    ]
    if not any(statuses):
        return
    imported = import_lines("\r\n".join(rows).encode("cp932"), LinesOptions(header="absent"))
    check_counts(imported.counts)
    assert imported.counts["rows_bad"] == statuses.count(None)
    for word, name in STATUSES.items():
        assert imported.counts.get(f"lines_{name}", 0) == statuses.count(word)
    scenario = load_scenario(imported.scenario_yaml, catalogue=CATALOGUE)
    assert sum(fleet.lines for fleet in scenario.fleets) == imported.counts["rows_used"]


@given(
    st.lists(
        st.tuples(
            st.lists(st.integers(0, 10**11), min_size=7, max_size=7),
            st.sampled_from(["P1", "P2", ""]),
            st.booleans(),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_usage_reproduces_the_bytes_within_the_error_it_tells(
    rows: list[tuple[list[int], str, bool]],
) -> None:
    text = [
        usage_row(number, days, plan) if good else usage_row(number, days[:-1], plan)
        for number, (days, plan, good) in enumerate(rows)
    ]
    total = sum(sum(days) for days, _, good in rows if good)
    if not any(good for _, _, good in rows):
        return
    imported = import_usage("\n".join(text).encode(), UsageOptions())
    counts = imported.counts
    check_counts(counts)
    assert counts["bytes_read"] == total
    off = abs(7 * counts["bytes_per_day_simulated"] - total)
    assert off * 1_000_000 <= total * counts["error_ppm"]
    load_scenario(imported.scenario_yaml, catalogue=CATALOGUE)


@given(
    st.sampled_from(ZONES),
    st.dates(dt.date(2014, 1, 1), dt.date(2014, 12, 20)),
    st.sampled_from([5, 30, 60, 180, 1440]),
    st.lists(st.integers(0, 10**6), min_size=4, max_size=150),
    st.sampled_from(["wall", "elapsed", None]),
)
def test_demand_loses_no_message_over_any_clock_change(
    zone: str, first: dt.date, minutes: int, values: list[int], clock: str | None
) -> None:
    begin = dt.datetime.combine(first, dt.time())
    marks = [begin + k * dt.timedelta(minutes=minutes) for k in range(len(values))]
    rows = [f"{mark:%Y-%m-%d %H:%M:%S},{value}" for mark, value in zip(marks, values, strict=True)]
    options = DemandOptions(
        tz=zone,
        rebase=dt.date(2026, 4, 1) if clock else None,
        clock="elapsed" if clock == "elapsed" else "wall",
        problems_max=1000,
        size="small",
    )
    imported = import_demand("\n".join(["timestamp,value", *rows]).encode(), options)
    check_counts(imported.counts)
    missing = {line for code, line in told(imported.problems) if code == "VPG1332"}
    used = [value for line, value in enumerate(values, start=2) if line not in missing]
    assert len(used) == imported.counts["rows_used"]
    assert imported.counts["messages_micro"] == sum(used) * 1_000_000
    (data,) = imported.extra_files.values()
    spans = [row.split(",")[:2] for row in data.decode().splitlines()[1:]]
    times = [dt.datetime.fromisoformat(text) for span in spans for text in span]
    # Intervals never overlap and never run backwards.
    assert times == sorted(times)


def _files() -> st.SearchStrategy[bytes]:
    rows = st.lists(st.lists(cells, max_size=14).map(",".join), max_size=8)
    heads = st.sampled_from(
        ["", AIR_HEADER, "timestamp,value", "imsi,date,soracomBeamType,count", line_row(1)]
    )
    texts = st.tuples(heads, rows).map(lambda parts: "\n".join([parts[0], *parts[1]]))
    codecs = st.sampled_from(["utf-8", "utf-8-sig", "cp932", "utf-16"])
    coded = st.tuples(texts, codecs).map(lambda pair: pair[0].encode(pair[1], "replace"))
    return st.one_of(coded, st.binary(max_size=200))


def _imported(kind: str, data: bytes) -> Imported:
    match kind:
        case "lines":
            return import_lines(data, LinesOptions())
        case "usage":
            return import_usage(data, UsageOptions())
        case "air":
            return import_air(data, AirOptions())
        case "beam":
            return import_beam(data, BeamOptions())
    return import_demand(data, DemandOptions(tz="UTC"))


@pytest.mark.parametrize("kind", ["lines", "usage", "air", "beam", "demand"])
@given(data=_files())
def test_any_bytes_are_imported_or_refused_with_a_place(kind: str, data: bytes) -> None:
    problems: list[Problem] = []
    try:
        imported = _imported(kind, data)
        check_counts(imported.counts)
        problems += imported.problems
    except InputError as refused:
        problems += refused.problems
    told(problems)
    assert all(problem.place for problem in problems)
