"""Files that cannot be an import: size, kind, encoding, quoting; each is named with its place."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from scenarios.importers.lines import import_lines
from scenarios.importers.options import LinesOptions
from tests.support_import import check_counts, line_row, told
from vpg.csvfile import FILE_BYTES_MAX, CsvSource
from vpg.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from vpg.csvfile import Encoding

GOOD = "\r\n".join([line_row(1), line_row(2)]) + "\r\n"


def refused(source: Path | bytes, encoding: Encoding = "auto") -> list[tuple[str, int]]:
    with pytest.raises(InputError) as caught:
        import_lines(source, LinesOptions(encoding=encoding))
    return told(caught.value.problems)


def test_a_two_gigabyte_file_is_refused_without_reading_it(tmp_path: Path) -> None:
    path = tmp_path / "huge.csv"
    with path.open("wb") as file:
        file.truncate(2 * 1024**3)
    assert refused(path) == [("VPG1303", 0)]


def test_the_bound_itself_is_taken() -> None:
    class Long(bytes):
        def __len__(self) -> int:
            return FILE_BYTES_MAX

    assert CsvSource(Long(GOOD.encode()), "auto").encoding == "utf-8"


def test_what_is_no_readable_file_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("absent.csv", "pipe", "."):
        assert refused(tmp_path / name) == [("VPG1301", 0)]


def test_an_empty_file_is_refused() -> None:
    assert refused(b"") == [("VPG1302", 0)]


@pytest.mark.parametrize("data", ["﻿".encode(), b"\r\n\r\n", b"a,b\r\n"])
def test_a_file_without_rows_is_refused(data: bytes) -> None:
    assert refused(data) == [("VPG1313", 0)]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-16-le", "utf-32"])
def test_wide_encodings_are_refused(encoding: str) -> None:
    code, _ = refused(GOOD.encode(encoding))[0]
    assert code == ("VPG1307" if encoding.endswith("e") else "VPG1304")


def test_a_nul_byte_is_refused_with_its_place() -> None:
    data = (line_row(1) + "\n" + line_row(2) + "\n").encode()
    at = data.index(b"\n") + 5
    with pytest.raises(InputError) as caught:
        import_lines(data[:at] + b"\0" + data[at:], LinesOptions())
    (problem,) = caught.value.problems
    assert told([problem]) == [("VPG1307", 2)]
    assert problem.values == {"position": at}


def test_a_byte_of_no_encoding_is_refused_with_its_position() -> None:
    data = GOOD.encode("cp932")
    at = data.index(b"\r\n") + 12
    with pytest.raises(InputError) as caught:
        import_lines(data[:at] + b"\xff" + data[at:], LinesOptions())
    (problem,) = caught.value.problems
    assert told([problem]) == [("VPG1305", 2)]
    assert problem.values == {"encoding": "cp932", "position": at, "byte": "FF"}


@pytest.mark.parametrize("cut", [1, 2])
def test_a_character_cut_at_the_end_is_found(cut: int) -> None:
    data = (line_row(1) + "\n" + line_row(2)).encode()
    with pytest.raises(InputError) as caught:
        import_lines(data[:-cut], LinesOptions(encoding="utf-8"))
    (problem,) = caught.value.problems
    assert told([problem]) == [("VPG1305", 2)]
    assert problem.values["position"] == len(data) - 3


def test_a_position_beyond_the_first_mebibyte_is_right() -> None:
    rows = "\n".join(line_row(number) for number in range(20_000)) + "\n"
    data = rows.encode()
    with pytest.raises(InputError) as caught:
        import_lines(data + b"\xe5\x88,", LinesOptions(encoding="utf-8"))
    (problem,) = caught.value.problems
    assert len(data) > 1024 * 1024
    assert told([problem]) == [("VPG1305", 20_001)]
    assert problem.values["position"] == len(data)


def test_two_joined_encodings_are_refused_with_both_lines() -> None:
    data = (line_row(1) + "\n").encode() + (line_row(2) + "\n").encode("cp932")
    with pytest.raises(InputError) as caught:
        import_lines(data, LinesOptions())
    (problem,) = caught.value.problems
    assert told([problem]) == [("VPG1306", 2)]
    assert problem.values == {"utf8_line": 1, "other_line": 2}


def test_a_forced_encoding_that_does_not_fit_is_refused() -> None:
    assert refused(GOOD.encode("cp932"), "utf-8") == [("VPG1305", 1)]


def test_rows_after_an_unclosed_quote_are_not_swallowed() -> None:
    broken = line_row(2).replace("PC-A", '"PC-A')
    data = "\n".join([line_row(1), broken, line_row(3), line_row(4)])
    with pytest.raises(InputError) as caught:
        import_lines(data.encode(), LinesOptions())
    assert told(caught.value.problems) == [("VPG1308", 2)]
    assert caught.value.problems[0].values == {"last_line": 4}


def test_rows_joined_by_two_stray_quotes_are_one_bad_row_that_says_so() -> None:
    opened = line_row(2).replace("PC-A", '"PC-A')
    closed = line_row(4).replace("PC-A", 'PC-A"')
    data = "\n".join([line_row(1), opened, line_row(3), closed, line_row(5)])
    imported = import_lines(data.encode(), LinesOptions())
    assert told(imported.problems) == [("VPG1312", 2)]
    assert imported.problems[0].values == {"last_line": 4}
    assert imported.counts["rows_read"] == 3


def test_a_stray_quote_in_one_row_costs_that_row_only() -> None:
    data = "\n".join([line_row(1), '"2026"-04-01,x', line_row(3)])
    imported = import_lines(data.encode(), LinesOptions())
    assert told(imported.problems) == [("VPG1311", 2)]
    assert imported.counts["rows_used"] == 2
    check_counts(imported.counts)


def test_a_row_cut_off_at_the_end_of_the_file_is_told() -> None:
    data = GOOD + line_row(3)[:50]
    imported = import_lines(data.encode(), LinesOptions())
    assert told(imported.problems) == [("VPG1310", 3)]
    assert imported.counts["lines_active"] == 2


def test_the_column_of_a_bad_field_is_its_first_character() -> None:
    row = line_row(1, carrier="au")
    imported = import_lines((GOOD + row).encode(), LinesOptions())
    (problem,) = imported.problems
    assert problem.place is not None
    assert problem.place.column == row.index("au") + 1
    assert problem.path == "carrier"
