"""Whatever is wrong with a line or what it names: exit 2 or 3, a number, nothing written."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.support_cli import vpg
from vpg.errors import ExitCode

if TYPE_CHECKING:
    from pathlib import Path

USAGE, INPUT = ExitCode.USAGE, ExitCode.INVALID_INPUT

RUN = ("run", "smallest", "--no-charts")
CASES: dict[str, tuple[tuple[str, ...], ExitCode, str]] = {
    "no command": ((), USAGE, "VPG1018"),
    "unknown command": (("rn",), USAGE, "VPG1011"),
    "unknown option of vpg": (("--verson",), USAGE, "VPG1010"),
    "language but no command": (("--lang", "ja"), USAGE, "VPG1018"),
    "language of nothing": (("--lang",), USAGE, "VPG1014"),
    "language before the command": (("--lang", "fr", *RUN), USAGE, "VPG1013"),
    "language but no import kind": (("import", "--lang", "ja"), USAGE, "VPG1018"),
    "no import kind": (("import",), USAGE, "VPG1018"),
    "unknown import kind": (("import", "line", "x.csv"), USAGE, "VPG1011"),
    "no scenario": (("run",), USAGE, "VPG1012"),
    "unknown option": ((*RUN, "--varant", "x"), USAGE, "VPG1010"),
    "unknown short option": ((*RUN, "-x"), USAGE, "VPG1010"),
    "option without value": (("run", "smallest", "--variant"), USAGE, "VPG1014"),
    "flag with value": ((*RUN, "--json=yes"), USAGE, "VPG1015"),
    "a word too many": ((*RUN, "b.yaml"), USAGE, "VPG1016"),
    "language": ((*RUN, "--lang", "fr"), USAGE, "VPG1013"),
    "chart format": ((*RUN, "--charts", "pgn"), USAGE, "VPG1013"),
    "seed in words": ((*RUN, "--seed", "one"), USAGE, "VPG1017"),
    "lines with a comma": (
        ("import", "demand", "x.csv", "--tz", "Asia/Tokyo", "--lines", "1,000"),
        USAGE,
        "VPG1034",
    ),
    "a window in words": (("arrivals", "smallest", "--from-s", "noon"), USAGE, "VPG1033"),
    "negative seed": ((*RUN, "--seed=-1"), USAGE, "VPG1017"),
    "huge seed": ((*RUN, "--seed", "9" * 30), USAGE, "VPG1017"),
    "fractional seed": ((*RUN, "--seed", "1.5"), USAGE, "VPG1017"),
    "no such scenario": (("run", "smalest"), INPUT, "VPG1020"),
    "empty scenario name": (("run", ""), INPUT, "VPG1024"),
    "a directory as scenario": (("run", "folder"), INPUT, "VPG1024"),
    "a name too long": (("run", "x" * 5000), INPUT, "VPG1024"),
    "a device as scenario": (("run", "/dev/null"), INPUT, ""),
    "an empty scenario": (("run", "empty"), INPUT, ""),
    "a huge scenario": (("run", "huge"), INPUT, ""),
    "a scenario in cp932": (("run", "cp932"), INPUT, ""),
    "a scenario in UTF-16": (("run", "utf16"), INPUT, ""),
    "binary rubbish": (("run", "rubbish"), INPUT, ""),
    "not YAML": (("run", "not.yaml"), INPUT, ""),
    "an alias bomb": (("run", "bomb.yaml"), INPUT, ""),
    "deep nesting": (("run", "deep.yaml"), INPUT, ""),
    "no such variant": ((*RUN, "--variant", "peek"), INPUT, ""),
    "a setting without value": ((*RUN, "--set", "seed"), INPUT, ""),
    "a setting of nothing": ((*RUN, "--set", "=1"), INPUT, ""),
    "a path that is none": ((*RUN, "--set", "vpgs[0]..size=1"), INPUT, ""),
    "an index out of range": ((*RUN, "--set", "vpgs[9].size=large"), INPUT, ""),
    "an unknown key": ((*RUN, "--set", "vpgs[0].sise=large"), INPUT, "VPG1201"),
    "a bad value": ((*RUN, "--set", "vpgs[0].size=larg"), INPUT, "VPG1203"),
    "not a number": ((*RUN, "--set", "fleets[0].lines=.nan"), INPUT, ""),
    "infinite": ((*RUN, "--set", "duration_h=.inf"), INPUT, ""),
    "no such catalogue": ((*RUN, "--catalogue", "none.toml"), INPUT, "VPG1101"),
    "a directory as catalogue": ((*RUN, "--catalogue", "folder"), INPUT, "VPG1101"),
    "a huge catalogue": ((*RUN, "--catalogue", "huge"), INPUT, "VPG1102"),
    "a catalogue in cp932": ((*RUN, "--catalogue", "cp932"), INPUT, "VPG1103"),
    "not TOML": ((*RUN, "--catalogue", "not.yaml"), INPUT, "VPG1104"),
    "an empty catalogue": (("catalogue", "--catalogue", "empty"), INPUT, "VPG1116"),
    "a file as out": ((*RUN, "--out", "empty"), INPUT, "VPG1451"),
    "out below a file": ((*RUN, "--out", "empty/runs"), INPUT, "VPG1451"),
    "a date": (("catalogue", "--at", "April"), USAGE, "VPG1030"),
    "a VPG type": (("catalogue", "--type", "H"), USAGE, "VPG1013"),
    "charts and none": ((*RUN, "--charts", "png"), USAGE, "VPG1029"),
    "out without a name": ((*RUN, "--out", ""), USAGE, "VPG1030"),
    "new without a name": (("new", "smallest", "--out", ""), USAGE, "VPG1030"),
    "schema without a name": (("schema", "--out", ""), USAGE, "VPG1030"),
    "two formats": (("catalogue", "--csv", "--json"), USAGE, "VPG1029"),
    "no ready-made scenario": (("new", "smalest"), INPUT, ""),
    "out exists": (("new", "smallest", "--out", "not.yaml"), INPUT, "VPG1022"),
    "out is a directory": (("new", "smallest", "--out", "folder", "--force"), INPUT, "VPG1022"),
    "new below a file": (("new", "smallest", "--out", "empty/a.yaml"), INPUT, "VPG1023"),
    "schema over a file": (("schema", "--out", "not.yaml"), INPUT, "VPG1022"),
    "no such number": (("errors", "VPG9999"), INPUT, "VPG1027"),
    "no such run": (("show", "none"), INPUT, ""),
    "a file as run": (("show", "empty"), INPUT, ""),
    "a directory without run": (("show", "folder"), INPUT, ""),
    "no such import": (("import", "lines", "none.csv"), INPUT, "VPG1301"),
    "an empty import": (("import", "lines", "empty"), INPUT, "VPG1302"),
    "a huge import": (("import", "usage", "huge"), INPUT, "VPG1303"),
    "a directory as import": (("import", "air", "folder"), INPUT, "VPG1301"),
    "demand without zone": (("import", "demand", "demand.csv"), USAGE, "VPG1350"),
    "no such zone": (("import", "demand", "demand.csv", "--tz", "Asia/Edo"), USAGE, ""),
    "scale in words": (
        ("import", "demand", "demand.csv", "--tz", "Asia/Tokyo", "--scale", "x"),
        USAGE,
        "VPG1030",
    ),
    "scale of zero": (
        ("import", "demand", "demand.csv", "--tz", "Asia/Tokyo", "--scale", "0"),
        USAGE,
        "",
    ),
    "rebase to no date": (
        ("import", "demand", "demand.csv", "--tz", "Asia/Tokyo", "--rebase", "1 April"),
        USAGE,
        "VPG1030",
    ),
    "start without zone": (("import", "beam", "b", "--start", "2026-04-01T00:00"), USAGE, ""),
    "start in words": (("import", "beam", "b", "--start", "soon"), USAGE, "VPG1030"),
    "a size": (("import", "lines", "x.csv", "--size", "huge"), USAGE, "VPG1013"),
}
TWO_GIGABYTES = 2 << 30


@pytest.fixture
def bad_files(in_tmp: Path) -> Path:
    """Make what the cases name."""
    (in_tmp / "folder").mkdir()
    (in_tmp / "empty").touch()
    with (in_tmp / "huge").open("wb") as file:
        file.truncate(TWO_GIGABYTES)
    (in_tmp / "cp932").write_bytes("title: 最小".encode("cp932"))
    (in_tmp / "utf16").write_bytes("title: x".encode("utf-16"))
    (in_tmp / "rubbish").write_bytes(bytes(range(256)))
    (in_tmp / "not.yaml").write_text("vpgs: [", encoding="utf-8")
    bomb = "".join(f"k{n}: &k{n} [{', '.join([f'*k{n - 1}'] * 9)}]\n" for n in range(1, 9))
    (in_tmp / "bomb.yaml").write_text(f"k0: &k0 x\n{bomb}", encoding="utf-8")
    (in_tmp / "deep.yaml").write_text("[" * 5000 + "]" * 5000, encoding="utf-8")
    (in_tmp / "demand.csv").write_text(
        "timestamp,value\n2026-01-01 00:00:00,1\n2026-01-01 00:30:00,2\n", encoding="utf-8"
    )
    return in_tmp


@pytest.mark.parametrize("name", CASES)
def test_a_bad_line_is_told_and_leaves_nothing(
    name: str, bad_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words, code, number = CASES[name]
    before = sorted(bad_files.iterdir())
    for lang in ("en", "ja"):
        monkeypatch.setenv("VPG_LANG", lang)
        answer = vpg(*words)
        assert answer.code == code, answer.err
        assert answer.out == "" or "--json" in words
        assert answer.numbers, "the error has a number"
        assert not number or number in answer.numbers, answer.err
        assert "Traceback" not in answer.err
        assert "VPG109" not in answer.err, "nothing unexpected happened"
    assert before == sorted(bad_files.iterdir())


def test_a_name_that_is_no_text_is_refused_in_both_forms(in_tmp: Path) -> None:
    assert vpg(*RUN, "--out", os.fsdecode(b"\xff")).numbers == ["VPG1451"]
    assert '"code": "VPG1020"' in vpg("run", os.fsdecode(b"\xff"), "--json").out
    assert list(in_tmp.iterdir()) == []


def test_a_near_miss_is_answered_with_the_word_meant() -> None:
    assert 'Did you mean "run"?' in vpg("rnu").err
    assert 'Did you mean "--variant"?' in vpg("run", "x", "--varaint", "y").err
    assert 'Did you mean "smallest"?' in vpg("run", "smalest").err
    assert 'Did you mean "png"?' in vpg("run", "smallest", "--charts", "pgn").err
    assert "「smallest」ではありませんか" in vpg("run", "smalest", "--lang", "ja").err


def test_names_cannot_drive_the_terminal(in_tmp: Path) -> None:
    evil = "\x1b]0;owned\x07\u202egnp.yaml"
    (in_tmp / evil).write_text("a: [", encoding="utf-8")
    for words in (("run", evil), ("run", f"{evil}x"), (f"{evil}",), ("run", "x", f"--{evil}")):
        said = vpg(*words).err
        assert "\x1b" not in said
        assert "\u202e" not in said
