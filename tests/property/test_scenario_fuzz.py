"""Whatever is done to a scenario file: it loads or it is refused with numbered problems, soon.

Mutations of the shipped files (R19) and bombs (R20): never another exception, never for long, never
with much memory.
"""

from __future__ import annotations

import time
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenarios.loader import load_scenario
from scenarios.new import ready_names, ready_text
from tests.support import ROOT
from tests.support_scenarios import SMALL, catalogue, codes, text
from vpg.errors import InputError
from vpg.text import LANGS, render

if TYPE_CHECKING:
    from pathlib import Path

SECONDS_MAX = 2
"""Of this process: other work on the machine is not the loader's."""
BOMB_SECONDS_MAX = 1
BOMB_BYTES_MAX = 64 << 20
FOLDER = ROOT / "scenarios" / "ready"
TEXTS = {name: ready_text(name) for name in ready_names()}
JUNK = (
    *(
        "",
        "~",
        "[]",
        "{}",
        "-",
        ": ",
        "- ",
        "*x",
        "&x 1",
        "!!str",
        "<<",
        "---",
        "...",
        "\t",
        "\x07",
    ),
    *("0", "-1", "1e9", "1e999", ".nan", "-.inf", "0x7fffffffffffffffff", "9" * 30, "0.0000001"),
    *("true", "null", "30min", "2026-04-01", "2026-04-01T09:00:00", "+99:00:00", "+9999999d 00:00"),
    *("small", "gate", "nas_standard", "𠮷野家", "\u2028", "\ufeff", "'", '"', "|", ">", "%", "@"),
    *("{uniform: [5, 1]}", "{fixed_s: 1}", "[1, 2, 3]", "{a: {b: {c: 1}}}", "../../etc", "x" * 300),
)


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """Return a shipped file after one to four changes of lines, words or characters."""
    lines = TEXTS[draw(st.sampled_from(sorted(TEXTS)))].splitlines()
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        line = lines[at]
        junk = draw(st.sampled_from(JUNK) | st.text(max_size=12))
        match draw(st.integers(0, 7)):
            case 0:
                del lines[at]
            case 1:
                lines.insert(at, lines[draw(st.integers(0, len(lines) - 1))])
            case 2:
                lines[at] = f"{line.partition(':')[0]}: {junk}"
            case 3:
                words = line.split(" ")
                words[draw(st.integers(0, len(words) - 1))] = junk
                lines[at] = " ".join(words)
            case 4:
                cut = draw(st.integers(0, len(line)))
                lines[at] = line[:cut] + junk + line[cut:]
            case 5:
                lines[at] = " " * draw(st.integers(0, 8)) + line.lstrip()
            case 6:
                lines[at] = line.replace(line.strip().partition(":")[0], junk, 1)
            case _:
                del lines[draw(st.integers(0, at)) :]
        lines = lines or ["#"]
    return "\n".join(lines)


def judge(whole: str) -> None:
    """Hold one text to the promise."""
    begun = time.process_time()
    try:
        load_scenario(whole, catalogue=catalogue(), folder=FOLDER)
    except InputError as error:
        for problem in error.problems:
            words = [render(problem, lang) for lang in LANGS]
            assert all(problem.code in said for said in words)
    assert time.process_time() - begun < SECONDS_MAX


@settings(max_examples=300)
@given(whole=mutated())
def test_a_mutated_file_loads_or_is_explained(whole: str) -> None:
    judge(whole)


@pytest.mark.long
@settings(max_examples=10_000)
@given(whole=mutated())
def test_ten_thousand_mutated_files_load_or_are_explained(whole: str) -> None:
    judge(whole)


@settings(max_examples=300)
@given(whole=st.text(max_size=200) | st.binary(max_size=200).map(lambda b: b.decode("latin-1")))
def test_any_text_loads_or_is_explained(whole: str) -> None:
    judge(whole)


@settings(max_examples=200)
@given(
    path=st.sampled_from(
        ["seed", "fleets.meters.lines", "vpgs.0.size", "fleets[0].traffic.s0", "a.b"]
    )
    | st.text(max_size=20),
    value=st.sampled_from(JUNK) | st.text(max_size=20),
)
def test_any_set_option_loads_or_is_explained(path: str, value: str) -> None:
    try:
        load_scenario(SMALL, catalogue=catalogue(), sets=[f"{path}={value}"])
    except InputError as error:
        for problem in error.problems:
            assert render(problem, "en")
            assert render(problem, "ja")


def aliases(levels: int, wide: int, first: int) -> str:
    """Return a text of few bytes whose aliases stand for first × wide ** levels values."""
    rows = [f"a0: &a0 [{', '.join('x' * first)}]"]
    rows += [
        f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * wide)}]"
        for level in range(1, levels + 1)
    ]
    return "\n".join(rows)


BOMBS = {
    "few aliases, each of many": (aliases(10, 2, 100), {"VPG1241"}),
    "aliases of aliases": (aliases(8, 10, 1), {"VPG1242"}),
    "3,000 brackets": ("title: " + "[" * 3000, {"VPG1240"}),
    "3,000 closed brackets": ("title: " + "[" * 3000 + "]" * 3000, {"VPG1240"}),
    "3,000 braces": ("title: " + "{a: " * 3000, {"VPG1240"}),
    "3,000 dashes": ("- " * 3000 + "x", {"VPG1240"}),
    "600 indents": (
        "\n".join(" " * level + "a:" for level in range(600)),
        {"VPG1240"},
    ),
    "125,000 values": ("title: [" + "1," * 125_000 + "1]", {"VPG1241"}),
    "200,000 lines": ("\n" * 200_000, {"VPG1241"}),
    "a key of 250,000 characters": ("k" * 250_000 + ": 1", {"VPG1218"}),
    "a value of 250,000 characters": (text(("name: case", "name: " + "v" * 250_000)), {"VPG1218"}),
    "a number of 250,000 characters": (text(("lines: 10", "lines: " + "9" * 250_000)), {"VPG1218"}),
    "60,000 escapes": (text(("name: case", 'name: "' + "\\x41" * 60_000 + '"')), {"VPG1218"}),
    "more than is read": ("# " + "x" * (1 << 18), {"VPG1233"}),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_soon_and_in_little_memory(name: str) -> None:
    whole, expected = BOMBS[name]
    begun = time.process_time()
    found = set(codes(whole))
    took_s = time.process_time() - begun
    assert expected & found
    assert took_s < BOMB_SECONDS_MAX
    tracemalloc.start()
    try:
        codes(whole)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < BOMB_BYTES_MAX


def test_a_file_of_two_gigabytes_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "huge.yaml"
    with path.open("wb") as file:
        file.truncate(2 << 30)
    begun = time.process_time()
    assert codes(path) == ["VPG1233"]
    assert time.process_time() - begun < 0.1


@pytest.mark.parametrize("word", ["vv ", "vv\n  ", "vv\n\n  ", '"" ', "# vv\n", "'' : "])
def test_a_file_full_of_words_is_answered_in_time(word: str) -> None:
    begun = time.process_time()
    codes(text(("name: case", "name: " + word * (255_000 // len(word)))))
    assert time.process_time() - begun < SECONDS_MAX


def test_the_largest_file_that_may_load_is_read_in_time() -> None:
    fleets = "".join(f"  - {{name: f{n}, vpg: gate, lines: 1}}\n" for n in range(1000))
    begun = time.process_time()
    load_scenario(SMALL + fleets[: fleets.rindex("  - ")], catalogue=catalogue())
    assert time.process_time() - begun < SECONDS_MAX
