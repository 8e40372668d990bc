"""The line list: what each status becomes, whatever the file's encoding, header and line ends."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from scenarios.doubts import warnings
from scenarios.importers.lines import import_lines
from scenarios.importers.options import LinesOptions
from scenarios.workload import SILENT
from tests.support_import import LINE_HEADER, check_counts, line_row, loaded, told
from vpg.catalogue.load import load_catalogue
from vpg.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

ROWS = (
    line_row(1),
    line_row(2),
    line_row(3, "中断中"),
    line_row(4, "未開通", phone="", plan="", started=""),
    line_row(5, "解約済", ends="2026-04-30"),
    line_row(6, carrier="Soft Bank", kind="SMS"),
)


def test_encoding_header_and_line_ends_do_not_change_the_scenario() -> None:
    made = set()
    for encoding, header, end, quoted in itertools.product(
        ("utf-8", "utf-8-sig", "cp932"), (True, False), ("\r\n", "\n"), (True, False)
    ):
        rows: tuple[str, ...] = (LINE_HEADER, *ROWS) if header else ROWS
        if quoted:
            rows = tuple('"' + row.replace(",", '","') + '"' for row in rows)
        data = (end.join(rows) + end).encode(encoding)
        imported = import_lines(data, LinesOptions())
        assert imported.problems == []
        assert imported.counts.get("header_rows", 0) == header
        made.add(imported.scenario_yaml)
    assert len(made) == 1


def test_each_status_becomes_what_it_means(tmp_path: Path) -> None:
    scenario = loaded(import_lines("\n".join(ROWS).encode(), LinesOptions()), tmp_path)
    fleets = {fleet.name: fleet for fleet in scenario.fleets}
    assert {name: (fleet.lines, fleet.status) for name, fleet in fleets.items()} == {
        "IOT-1GB-docomo-data-active": (2, "active"),
        "IOT-1GB-docomo-data-suspended": (1, "suspended"),
        "IOT-1GB-docomo-data-terminated": (1, "terminated"),
        "IOT-1GB-softbank-sms-active": (1, "active"),
        "noplan-docomo-data-unopened": (1, "terminated"),
    }
    for fleet in fleets.values():
        active = fleet.status == "active"
        assert (fleet.session.attach == "on_report") == active
        assert bool(fleet.traffic) == active
    # What the list says is silent needs no warning, and no event for all fleets attaches it.
    assert warnings(scenario, load_catalogue()) == []
    assert {fleet.status for fleet in fleets.values()} <= SILENT | {"active"}


def test_no_phone_number_or_serial_reaches_the_scenario_or_a_message() -> None:
    bad = line_row(7, "謎"), line_row(1)
    imported = import_lines("\n".join([*ROWS, *bad]).encode(), LinesOptions())
    assert told(imported.problems) == [("VPG1323", 7), ("VPG1324", 8)]
    everything = imported.scenario_yaml + str(imported.problems) + str(imported.counts)
    for number in range(1, 8):
        assert f"0700000{number:04d}" not in everything
        assert f"DN{number:06d}" not in everything


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"status": "利用"}, "VPG1323"),
        ({"status": ""}, "VPG1323"),
        ({"carrier": "au"}, "VPG1323"),
        ({"kind": "data"}, "VPG1323"),
        ({"date": "2026-02-30"}, "VPG1320"),
        ({"date": "2026-04-02"}, "VPG1325"),
        ({"started": "2026-4-31"}, "VPG1320"),
        ({"ends": "soon"}, "VPG1320"),
        ({"sim": "DN000001"}, "VPG1324"),
        ({"size": "ナノ,x"}, "VPG1310"),
    ],
)
def test_a_bad_row_is_told_counted_and_left_out(change: dict[str, str], code: str) -> None:
    status = change.pop("status", "利用中")
    data = "\n".join([*ROWS, line_row(9, status, **change), line_row(10)])
    imported = import_lines(data.encode(), LinesOptions())
    assert told(imported.problems) == [(code, 7)]
    assert imported.counts["rows_bad"] == 1
    assert imported.counts["rows_used"] == 7
    check_counts(imported.counts)


def test_full_width_and_spaces_do_not_matter() -> None:
    row = line_row(1, carrier="Ｓｏｆｔ Bank ", kind=" ＳＭＳ", started="2026/1/9")
    imported = import_lines(row.encode("cp932"), LinesOptions())
    assert "IOT-1GB-softbank-sms-active" in imported.scenario_yaml


def test_a_monthly_list_starts_with_its_month() -> None:
    imported = import_lines(line_row(1, date="2026-03").encode(), LinesOptions())
    assert 'start: "2026-03-01T00:00:00+09:00"' in imported.scenario_yaml


def test_a_first_row_of_bad_data_is_no_header() -> None:
    bad = line_row(8, "謎", date="04/01")
    imported = import_lines("\n".join([bad, *ROWS]).encode(), LinesOptions())
    assert told(imported.problems) == [("VPG1320", 1)]


def test_header_can_be_forced() -> None:
    data = "\n".join(ROWS).encode()
    present = import_lines(data, LinesOptions(header="present"))
    assert told(present.problems) == [("VPG1315", 1)]
    assert present.counts["rows_read"] == 5
    absent = import_lines(f"{LINE_HEADER}\n{ROWS[0]}".encode(), LinesOptions(header="absent"))
    assert told(absent.problems) == [("VPG1320", 1)]


def test_strict_refuses_any_bad_row_and_shows_it() -> None:
    data = "\n".join([*ROWS, line_row(9, "謎")]).encode()
    with pytest.raises(InputError) as caught:
        import_lines(data, LinesOptions(strict=True))
    assert told(caught.value.problems) == [("VPG1323", 7), ("VPG1316", 0)]


def test_many_equal_problems_are_summed_up_with_their_number() -> None:
    bad = [line_row(100 + number, "謎") for number in range(50)]
    options = LinesOptions(problems_max=3)
    imported = import_lines("\n".join([*ROWS, *bad]).encode(), options)
    assert told(imported.problems) == [
        ("VPG1323", 7),
        ("VPG1323", 8),
        ("VPG1323", 9),
        ("VPG1314", 0),
    ]
    assert imported.problems[-1].values == {"number": "VPG1323", "more": 47, "count": 50}
    assert imported.counts["rows_bad"] == 50


@pytest.mark.parametrize(("lines", "size"), [(1000, "small"), (1001, "medium"), (3001, "large")])
def test_auto_takes_the_smallest_size_that_holds_the_active_lines(lines: int, size: str) -> None:
    rows = [line_row(number) for number in range(lines)]
    rows += [line_row(number, "中断中") for number in range(20_000, 22_000)]
    imported = import_lines("\n".join(rows).encode(), LinesOptions())
    assert f'size: "{size}"' in imported.scenario_yaml
    assert imported.problems == []


def test_more_lines_than_the_size_takes_is_told() -> None:
    rows = [line_row(number) for number in range(1001)]
    imported = import_lines("\n".join(rows).encode(), LinesOptions(size="small"))
    assert told(imported.problems) == [("VPG1370", 0)]
    assert imported.problems[0].values == {"lines": 1001, "size": "small", "cap": 1000}


def test_a_type_without_sizes_gets_none(tmp_path: Path) -> None:
    imported = import_lines(ROWS[0].encode(), LinesOptions(vpg_type="F2"))
    assert loaded(imported, tmp_path).vpgs[0].size == ""


def test_plans_that_look_alike_as_names_stay_apart(tmp_path: Path) -> None:
    rows = [line_row(1, plan="プランA"), line_row(2, plan="プラン!A"), line_row(3, plan="漢字")]
    scenario = loaded(import_lines("\n".join(rows).encode(), LinesOptions()), tmp_path)
    assert [fleet.name for fleet in scenario.fleets] == [
        "A-docomo-data-active",
        "A-docomo-data-active-2",
        "noplan-docomo-data-active",
    ]
