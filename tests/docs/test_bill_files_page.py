"""The page of the bill's files: its examples are what the commands write, read and say."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.support import ROOT
from tests.support_cli import vpg
from vpg.billing.inputs_keys import HEAD, MANY_TIMES

if TYPE_CHECKING:
    from pathlib import Path

    from vpg.billing.inputs_keys import Key

PAGE = (ROOT / "docs" / "bill-files.md").read_text(encoding="utf-8")
OPERATOR = "OP0000000001"
SMALL = "gate,20260401,VPG Type-C Small,50,1,50,Osaka"


def blocks(language: str) -> list[str]:
    """Return the fenced blocks in ``language``, in order."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return [str(block) for block in found]


def rows(head: str) -> list[list[str]]:
    """Return the cells of the table whose head is ``head``."""
    part = PAGE.split(f"{head}\n", 1)[1].split("\n\n", 1)[0]
    cells = [re.split(r" \| ", line.strip("| ")) for line in part.splitlines()[1:]]
    assert len(cells) > 3
    return cells


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the page's run, its inputs and its bill."""
    place = tmp_path_factory.mktemp("bill")
    (place / "april.toml").write_text(blocks("toml")[0], encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        run = vpg("run", "smallest", "--no-charts", "--quiet").out.strip()
        (place / run).rename(place / "RUN")
        answer = vpg("bill", "RUN", "--inputs", "april.toml", "--out", "bills")
    assert answer.code == 0
    return place


def check(folder: Path, old: str, new: str) -> tuple[int, str, str]:
    """Return how the page's CSV, one row changed, compares: exit code, stdout, stderr."""
    text = blocks("csv")[0]
    assert old in text
    (folder / "actual.csv").write_text(text.replace(old, new), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        answer = vpg("bill", "check", "RUN", "actual.csv", "--inputs", "april.toml", "--json")
    return answer.code, answer.out, answer.err


def test_the_files_are_what_the_page_shows(folder: Path) -> None:
    names = (f"{OPERATOR}-202604-JP.csv", f"{OPERATOR}_INVOICE_202604.csv")
    for name, shown in zip(names, blocks("csv"), strict=True):
        data = (folder / "bills" / name).read_bytes()
        assert data.decode("utf-8-sig").replace("\r\n", "\n") == shown
    assert check(folder, SMALL, SMALL)[0] == 0


@pytest.mark.parametrize(
    ("row", "difference", "why"), rows("| the CSV says instead | difference | why |")
)
def test_a_difference_is_explained_as_shown(
    row: str, difference: str, why: str, folder: Path
) -> None:
    code, out, _ = check(folder, SMALL, row.strip("`"))
    document = json.loads(out)
    said = sorted(
        f"{reason['why']} {reason['amount']}"
        for one in document["differences"]
        for reason in one["reasons"]
    )
    assert (code, document["amount"]) == (4, difference)
    assert said == sorted(why.split(", "))


@pytest.mark.parametrize(("row", "number"), rows("| the CSV says instead | number |"))
def test_bad_input_has_the_number_shown(row: str, number: str, folder: Path) -> None:
    code, _, err = check(folder, SMALL, row.strip("`"))
    line = 3
    assert code == 3
    found = re.findall(r"actual\.csv:(\d+):\d+ (VPG\d+)", err)
    assert found == [(str(line), number[1:8])]


def test_the_table_names_every_key() -> None:
    said = dict(rows("| table | keys (those in brackets may be left out) |"))
    assert said.pop("above all tables").split() == shown(HEAD)
    del said["`[policy]`"], said["`[names]`"]
    wanted = {f"`[[{table}]]`": shown(keys) for table, keys in MANY_TIMES.items()}
    assert {table: keys.split() for table, keys in said.items()} == wanted


def shown(keys: dict[str, Key]) -> list[str]:
    return [name if key.needed else f"({name})" for name, key in keys.items()]
