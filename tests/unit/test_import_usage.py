"""Data usage: the fleets move the bytes that the file says, within the error that is told."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from scenarios.importers.fit import error_ppm, fit_bytes
from scenarios.importers.options import UsageOptions
from scenarios.importers.usage import import_usage
from scenarios.model import Periodic
from tests.support import run_scenario
from tests.support_import import DATA, USAGE_HEADER, check_counts, loaded, told, usage_row
from vpg.timebase import DAY_US

if TYPE_CHECKING:
    from pathlib import Path

ROWS = (
    usage_row(1, [1000, 0, 500, 200, 300, 1, 77]),
    usage_row(2, [60_000_000] * 7),
    usage_row(3, [0] * 7, plan="P2"),
    usage_row(4, [2_000_000_000] * 7, plan="P2"),
)


def test_encoding_header_and_line_ends_do_not_change_the_scenario() -> None:
    made = set()
    for encoding, header, end in itertools.product(
        ("utf-8", "utf-8-sig", "cp932"), (True, False), ("\r\n", "\n")
    ):
        rows = (USAGE_HEADER, *ROWS) if header else ROWS
        imported = import_usage((end.join(rows) + end).encode(encoding), UsageOptions())
        assert imported.problems == []
        made.add(imported.scenario_yaml)
    assert len(made) == 1


def test_the_bytes_of_a_simulated_day_are_the_mean_of_the_file() -> None:
    imported = import_usage(DATA / "demo_datausage.csv", UsageOptions(service="ip"))
    result = run_scenario(imported.scenario_yaml)
    moved = sum(row.bytes_up + row.bytes_down for row in result.rows)
    assert moved == imported.counts["bytes_per_day_simulated"]
    measured = imported.counts["bytes_read"] // 7
    assert abs(moved - measured) * 1_000_000 <= measured * imported.counts["error_ppm"] + 1_000_000


def test_classes_and_directions(tmp_path: Path) -> None:
    imported = import_usage("\n".join(ROWS).encode(), UsageOptions(up_percent=20))
    fleets = {fleet.name: fleet for fleet in loaded(imported, tmp_path).fleets}
    assert set(fleets) == {"P1-light", "P1-medium", "P2-silent", "P2-heavy"}
    assert fleets["P2-silent"].traffic == ()
    (source,) = fleets["P1-medium"].traffic
    assert isinstance(source, Periodic)
    per_day = DAY_US // source.every_us
    assert source.up.low_bytes * per_day == pytest.approx(12_000_000, rel=1e-4)
    assert source.down.low_bytes * per_day == pytest.approx(48_000_000, rel=1e-4)


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (usage_row(9, [1, 2, 3, 4, 5, 6, -7]), "VPG1321"),
        (usage_row(9, [1, 2, 3, 4, 5, 6, 10**15 + 1]), "VPG1322"),
        (usage_row(9, [1, 2, 3, 4, 5, 6, 10**30]), "VPG1322"),
        (usage_row(9, [1, 2, 3]), "VPG1310"),
        (usage_row(9, [1, 2, 3, 4, 5, 6, 7]).replace(",7,0", ",７,0"), "VPG1321"),
        (usage_row(9, [1, 2, 3, 4, 5, 6, 7]).replace(",7,0", ",1e3,0"), "VPG1321"),
        (usage_row(9, [1, 2, 3, 4, 5, 6, 7]).replace(",7,0", ",,0"), "VPG1321"),
        (usage_row(9, [1, 2, 3, 4, 5, 6, 7]).replace(",7,0", ",nan,0"), "VPG1321"),
        (usage_row(9, [1, 2, 3, 4, 5, 6, 7]).replace(",7,0", ",1_0,0"), "VPG1321"),
        (usage_row(9, [1] * 7).replace("P1,,", "P1,many,"), "VPG1321"),
        (usage_row(1, [1] * 7), "VPG1324"),
        (usage_row(9, [1] * 7).replace("2026-04-01", "2026-04-02"), "VPG1325"),
    ],
)
def test_a_bad_row_is_told_counted_and_left_out(row: str, code: str) -> None:
    imported = import_usage("\n".join([*ROWS, row]).encode(), UsageOptions())
    assert told(imported.problems) == [(code, 5)]
    assert imported.counts["rows_used"] == 4
    check_counts(imported.counts)


def test_a_fleet_that_cannot_be_met_in_whole_bytes_is_told() -> None:
    imported = import_usage(usage_row(1, [1, 0, 0, 0, 0, 0, 0]).encode(), UsageOptions())
    assert told(imported.problems) == [("VPG1371", 0)]
    assert imported.counts["bytes_per_day_simulated"] == 1


@pytest.mark.parametrize("exponent", range(2, 14))
def test_the_fit_is_within_its_stated_error(exponent: int) -> None:
    up, down = Fraction(10**exponent, 3), Fraction(10**exponent, 7)
    fit = fit_bytes(up, down, Fraction(24))
    assert 86_400 % fit.every_s == 0
    assert max(fit.up_bytes, fit.down_bytes) <= 10**9
    if exponent > 5:
        assert error_ppm(fit.bytes_per_day(), up + down) <= 100


def test_the_natural_number_of_messages_wins_when_it_fits() -> None:
    assert fit_bytes(Fraction(24_000_000), Fraction(0), Fraction(24)).every_s == 3600
