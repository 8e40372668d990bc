"""Parts of the command line that no whole command shows: words, small files, fall-backs."""

from __future__ import annotations

import errno
import os
import re
import string
import tomllib
from typing import TYPE_CHECKING, Any, get_args

import pytest

from loadtests.gate.decision import Answer, Verdict
from tests.support import ROOT
from tests.support_cli import vpg
from vpg.catalogue.items import KINDS
from vpg.cli.app import application
from vpg.cli.commands.catalogue import unit_word
from vpg.cli.files import write_new
from vpg.cli.language import resolve, word, word_keys
from vpg.cli.terminal import clean
from vpg.errors import ExitCode, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CLI = ROOT / "vpg" / "cli"


def test_every_word_has_both_languages_with_the_same_places() -> None:
    words = tomllib.loads((CLI / "words.toml").read_text(encoding="utf-8"))
    for key, texts in words.items():
        assert set(texts) == {"en", "ja"}, key
        places = [{part[1] for part in string.Formatter().parse(t)} for t in texts.values()]
        assert places[0] - {None} == places[1] - {None}, key


def test_every_word_is_said_somewhere() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in CLI.rglob("*.py"))
    built = {"catalogue_price", "catalogue_limit", "catalogue_tax", "catalogue_feature"}
    built |= {"catalogue_code", "catalogue_rule", "catalogue_usage"}
    built |= {"catalogue_per_account", "catalogue_per_line"}
    built |= {unit_word(kind.unit) for kind in KINDS.values()}
    built |= {f"gate_{answer}" for answer in get_args(Answer)}
    built |= {f"gate_verdict_{verdict}" for verdict in get_args(Verdict)}
    built |= {key for key, _ in helps(application())}
    said = {key for key in word_keys() if re.search(rf"""["']{key}["']""", code)}
    assert set(word_keys()) - said == built - said


def helps(command: Any, key: str = "help") -> Iterator[tuple[str, str]]:
    """Yield the key of the words of each command's help, and its help."""
    yield key, command.help
    for name, below in getattr(command, "commands", {}).items():
        yield from helps(below, f"{key}_{name}")


def test_the_help_begins_with_its_words_in_the_readers_language() -> None:
    for key, text in helps(application()):
        assert text.startswith(word(key, "en")), key
    for key, text in helps(application("ja")):
        assert text.startswith(f"\b\n{word(key, 'ja').splitlines()[0]}"), key
        assert ("Examples:" in text) == (key not in {"help_import", "help_load"})


def test_english_units_are_those_of_the_catalogue() -> None:
    for kind in KINDS.values():
        assert word(unit_word(kind.unit), "en") == kind.unit


@pytest.mark.parametrize(
    ("asked", "environment", "lang"),
    [
        ("ja", {"VPG_LANG": "en"}, "ja"),
        ("fr", {"VPG_LANG": "ja"}, "ja"),
        (None, {"VPG_LANG": "ja", "LANG": "en_GB.UTF-8"}, "ja"),
        (None, {"VPG_LANG": "fr", "LANG": "ja_JP.UTF-8"}, "ja"),
        (None, {"LC_ALL": "C", "LANG": "ja_JP.UTF-8"}, "en"),
        (None, {"LC_ALL": "", "LC_MESSAGES": "ja_JP.eucJP"}, "ja"),
        (None, {}, "en"),
    ],
)
def test_order_of_languages(asked: str | None, environment: dict[str, str], lang: str) -> None:
    assert resolve(asked, environment) == lang


def test_control_and_direction_characters_are_written_out() -> None:
    assert clean("a\x1b[31m\u202eb\tc\n") == "a\\x1b[31m\\x202eb\tc\n"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("nth", [1, 2])
def test_a_failing_disk_leaves_no_new_file_and_the_old_one_whole(
    nth: int, number: int, in_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (in_tmp / "old").write_bytes(b"old")
    calls = []

    def sync(_handle: int) -> None:
        calls.append(1)
        if len(calls) == nth:
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", sync)
    full = number == errno.ENOSPC
    with pytest.raises(OSError if full else InputError):
        write_new({in_tmp / "old": b"new", in_tmp / "more": b"more"}, force=True)
    assert {path.name: path.read_bytes() for path in in_tmp.iterdir()} == {"old": b"old"}


def test_files_that_are_already_so_are_no_obstacle(in_tmp: Path) -> None:
    (in_tmp / "a").write_bytes(b"same")
    write_new({in_tmp / "a": b"same", in_tmp / "b": b"new"}, force=False)
    assert (in_tmp / "b").read_bytes() == b"new"


def test_a_full_disk_under_a_small_file_ends_with_6(
    in_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sync(_handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", sync)
    answer = vpg("new", "smallest")
    assert (answer.code, answer.numbers) == (ExitCode.PARTIAL, ["VPG1025"])
    assert list(in_tmp.iterdir()) == []


def test_too_little_memory_is_told_as_such(in_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def starved(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("sim.run.simulate", starved)
    answer = vpg("run", "smallest", "--no-charts")
    assert (answer.code, answer.numbers) == (ExitCode.PARTIAL, ["VPG1092"])
    assert list(in_tmp.iterdir()) == []
