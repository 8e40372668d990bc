"""Every way a user's table can be wrong: code, line and column, all at once, never a traceback."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.support_rating import problems_of, spots, table_file
from vpg.catalogue.load import load_catalogue
from vpg.errors import InputError
from vpg.text import render

if TYPE_CHECKING:
    from pathlib import Path

DATED = "effective_from = 2026-01-01\n"
HEAD = DATED + "[[price]]\n"
GOOD = 'item = "vpg_e"\nunit = "yen/h"\n'


def _value(text: str) -> str:
    return f"{HEAD}{GOOD}value = {text}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Keys.
        ("effectiv_from = 2026-01-01\n" + _value("1"), [("VPG1105", 1, 1)]),
        (_value("1") + '  itm = "x"\n', [("VPG1105", 6, 3)]),
        (_value("1") + '[[prices]]\nitem = "x"\n', [("VPG1105", 6, 1)]),
        (HEAD + 'unit = "yen/h"\nvalue = 1\n', [("VPG1106", 2, 1)]),
        (HEAD + 'item = "vpg_e"\nvalue = 1\n', [("VPG1106", 2, 1)]),
        (HEAD + GOOD, [("VPG1106", 2, 1)]),
        (f"[[price]]\n{GOOD}value = 1\n", [("VPG1106", 1, 1)]),
        ("effective_from = 2026-01-01\n", [("VPG1116", 0, 0)]),
        ("", [("VPG1116", 0, 0)]),
        ("price = 3\n", [("VPG1107", 1, 9)]),
        ("price = [3]\n", [("VPG1107", 1, 9)]),
        # Items and units.
        (HEAD + 'item = "vpg_c_smal"\nunit = "yen/h"\nvalue = 1\n', [("VPG1108", 3, 8)]),
        (HEAD + 'item = "lines_max_c_small"\nunit = "lines"\nvalue = 1\n', [("VPG1108", 3, 8)]),
        (HEAD + "item = 3\nvalue = 1\n", [("VPG1108", 3, 8)]),
        (HEAD + 'item = "vpg_e"\nunit = "yen"\nvalue = 1\n', [("VPG1109", 4, 8)]),
        (HEAD + 'item = "vpg_e"\nunit = ["yen/h"]\nvalue = 1\n', [("VPG1109", 4, 8)]),
        # Figures.
        (_value("-1"), [("VPG1110", 5, 9)]),
        (_value("-0.5"), [("VPG1110", 5, 9)]),
        (_value("1_000_000_001"), [("VPG1110", 5, 9)]),
        (_value("1e400"), [("VPG1110", 5, 9)]),
        (_value("0x" + "f" * 3000), [("VPG1110", 5, 9)]),
        (_value("0.0000001"), [("VPG1111", 5, 9)]),
        (_value("1e-300"), [("VPG1111", 5, 9)]),
        (_value("nan"), [("VPG1107", 5, 9)]),
        (_value("-inf"), [("VPG1107", 5, 9)]),
        (_value("1e99999999999999999999"), [("VPG1107", 5, 9)]),
        (_value("true"), [("VPG1107", 5, 9)]),
        (_value('"50"'), [("VPG1107", 5, 9)]),
        (_value("[50]"), [("VPG1107", 5, 9)]),
        (_value("2026-01-01"), [("VPG1107", 5, 9)]),
        # Dates and the rest of a row.
        (_value("1") + "effective_from = 2026-01-01T00:00:00\n", [("VPG1107", 6, 18)]),
        (_value("1") + 'effective_from = "2026-01-01"\n', [("VPG1107", 6, 18)]),
        (_value("1") + "effective_from = 0001-01-01\n", [("VPG1107", 6, 18)]),
        (_value("1") + "valid_until = 9999-12-31\n", [("VPG1107", 6, 15)]),
        (_value("1") + "valid_until = 2025-12-31\n", [("VPG1112", 6, 15)]),
        (_value("1") + 'confidence = "sure"\n', [("VPG1107", 6, 14)]),
        (_value("1") + "confidence = []\n", [("VPG1107", 6, 14)]),
        (_value("1") + 'replace = "yes"\n', [("VPG1107", 6, 11)]),
        (_value("1") + "source = 3\n", [("VPG1107", 6, 10)]),
        (_value("1") + 'source = " "\n', [("VPG1107", 6, 10)]),
        ('id = ""\n' + _value("1"), [("VPG1107", 1, 6)]),
        # Contradictions.
        (_value("1") + f"[[price]]\n{GOOD}value = 2\n", [("VPG1113", 6, 1)]),
        (
            _value("1") + f"valid_until = 2026-03-01\n[[price]]\n{GOOD}value = 2\n"
            "effective_from = 2026-03-01\n",
            [("VPG1114", 7, 1)],
        ),
        (HEAD + 'item = "vpn"\nunit = "yen/h"\nvalue = 1\n', [("VPG1115", 2, 1)]),
        (
            (
                "effective_from = 2015-01-01\n[[price]]\n"
                'item = "vpn"\nunit = "yen/h"\nvalue = 1\nvalid_until = 2015-02-01\n'
            ),
            [("VPG1115", 2, 1)],
        ),
        # Words.
        (
            DATED + '[[rule]]\nitem = "rounding"\nunit = "policy"\nvalue = 2\n',
            [("VPG1107", 5, 9)],
        ),
        (
            DATED + '[[feature]]\nitem = "c_vif"\nunit = "bool"\nvalue = 1\n',
            [("VPG1107", 5, 9)],
        ),
        (
            (
                "replace = true\neffective_from = 2026-01-01\n[[tax]]\n"
                'item = "consumption_tax"\nunit = "percent"\nvalue = "unknown"\n'
            ),
            [("VPG1107", 6, 9)],
        ),
        (
            (
                "replace = true\neffective_from = 2026-01-01\n[[limit]]\n"
                'item = "lines_max_c_small"\nunit = "lines"\nvalue = 0\n'
            ),
            [("VPG1110", 6, 9)],
        ),
        (
            (
                "replace = true\neffective_from = 2026-01-01\n[[limit]]\n"
                'item = "lines_max_c_small"\nunit = "lines"\nvalue = 10.5\n'
            ),
            [("VPG1111", 6, 9)],
        ),
        # Syntax.
        ("a = \n", [("VPG1104", 1, 5)]),
        ("x = 1\nx = 2\n", [("VPG1104", 2, 6)]),
        ('x = "abc', [("VPG1104", 1, 9)]),
        ("\x00", [("VPG1104", 1, 1)]),
        ("x = " + "[" * 5000 + "]" * 5000, [("VPG1104", 0, 0)]),
        ("x = " + "9" * 5000, [("VPG1104", 1, 5005)]),
    ],
)
def test_what_is_wrong_is_named_at_its_place(
    tmp_path: Path, text: str, expected: list[tuple[str, int, int]]
) -> None:
    assert spots(problems_of(tmp_path, text)) == expected


def test_all_problems_of_all_files_come_at_once_in_file_order(tmp_path: Path) -> None:
    text = (
        'efective_from = 2026-01-01\n[[price]]\nitem = "vpg_x"\nunit = "yen/h"\nvalue = 1\n'
        '[[limit]]\nitem = "lines_max_e"\nunit = "line"\nvalue = -1\nnote = 3\n'
    )
    one, two = table_file(tmp_path, text, "one.toml"), tmp_path / "absent.toml"
    with pytest.raises(InputError) as caught:
        load_catalogue([one, two])
    assert spots(caught.value.problems) == [
        ("VPG1105", 1, 1),
        ("VPG1106", 2, 1),
        ("VPG1108", 3, 8),
        ("VPG1106", 6, 1),
        ("VPG1109", 8, 8),
        ("VPG1110", 9, 9),
        ("VPG1107", 10, 8),
        ("VPG1101", 0, 0),
    ]


def test_the_text_names_what_came_what_is_allowed_and_what_to_do(tmp_path: Path) -> None:
    [problem] = problems_of(tmp_path, HEAD + 'item = "vpg_c_smal"\nunit = "yen/h"\nvalue = 1\n')
    english, japanese = render(problem, "en"), render(problem, "ja")
    assert english.startswith(f"{tmp_path / 'mine.toml'}:3:8 VPG1108 price[0].item: ")
    assert '"vpg_c_smal" is not an item here; choose vpg_c_small, vpg_c_medium' in english
    assert english.endswith('Did you mean "vpg_c_small"?')
    assert "「vpg_c_smal」という項目はありません" in japanese


def test_a_mistake_behind_a_long_text_has_the_right_line(tmp_path: Path) -> None:
    text = _value("1") + 'note = """\n[[price]]\nvalue = 3\n"""\nsource = 3\n'
    assert spots(problems_of(tmp_path, text)) == [("VPG1107", 10, 10)]


def test_wrong_encodings_are_named_at_the_byte(tmp_path: Path) -> None:
    text = "effective_from = 2026-01-01\n# 料金\n"
    assert spots(problems_of(tmp_path, text.encode("cp932"))) == [("VPG1103", 2, 3)]
    assert spots(problems_of(tmp_path, text.encode("utf-16"))) == [("VPG1103", 1, 1)]


def test_a_file_above_one_mebibyte_is_refused_without_reading_it_all(tmp_path: Path) -> None:
    path = tmp_path / "huge.toml"
    with path.open("wb") as stream:
        stream.truncate(2_000_000_000)
    with pytest.raises(InputError, match="VPG1102"):
        load_catalogue([path])


def test_a_file_of_exactly_one_mebibyte_is_read(tmp_path: Path) -> None:
    text = _value("1")
    padding = "#" * (1_048_576 - len(text))
    assert problems_of(tmp_path, text + padding) == []
    assert spots(problems_of(tmp_path, text + padding + "#")) == [("VPG1102", 0, 0)]


def test_what_is_not_a_readable_file_is_a_problem_not_a_hang(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.toml"
    os.mkfifo(pipe)
    for path in (tmp_path, pipe, tmp_path / "no" / "such.toml", tmp_path / ("x" * 300)):
        with pytest.raises(InputError, match="VPG1101"):
            load_catalogue([path])
