"""The summary on a terminal, to the character, in both languages.

After a wanted change: ``UPDATE_GOLDEN=1 python -m pytest tests/golden/test_terminal.py``, and read
the difference before it is committed.
"""

from __future__ import annotations

import io
import os
import re
from typing import TYPE_CHECKING

import msgspec
import pytest
from rich.cells import cell_len
from rich.console import Console

from reports.document import AssumptionPart, Words
from reports.terminal import print_summary
from scenarios.model import Assumptions, Recreate
from tests.support import ROOT
from tests.support_reports import (
    START_US,
    Minute,
    crowded,
    judged_as,
    meters,
    quiet,
    summary_of,
    vpg,
)
from tests.support_reports import Gateway as SyntheticGateway
from vpg.errors import Place, Problem

if TYPE_CHECKING:
    from reports.document import Summary

EXPECTED = ROOT / "tests" / "golden" / "terminal"
WARNING = Problem(
    code="VPG1501",
    place=Place(file="my.yaml", line=3, column=5),
    path="vpgs[0].type",
    values={"file": "summary.json", "why": "No such file"},
)


def documents() -> dict[str, Summary]:
    storm = summary_of(
        [meters(), quiet(), crowded()],
        title="スマートメーター 30分検針",
        variant="worst-day",
        assumptions=Assumptions(a02_above_line_cap="evict_longest_idle"),
        objectives=[
            judged_as(met=False),
            judged_as(
                kind="delay_us_p99_max",
                vpg_id="tokyo",
                limit=30_000_000,
                measured=180_355_071,
                met=False,
            ),
            judged_as(kind="charges_yen_max", limit=50_000, measured=7_194),
            judged_as(kind="accepted_ppm_min", limit=999_000, measured=1_000_000),
        ],
        warnings=[WARNING],
    )
    changed = AssumptionPart(
        id="A-02",
        key="above_line_cap",
        default="refuse",
        chosen="evict_longest_idle",
        is_default=False,
        text=Words(en="Action above the line cap", ja="収容数を超えたときの動作"),
    )
    return {
        "storm": msgspec.structs.replace(storm, assumptions=[changed, *storm.assumptions[2:]]),
        "holds": summary_of([quiet(hours=1)], hours=1, objectives=[judged_as()]),
        "unpriced": summary_of([quiet("e", type="E", size="", hours=6)], hours=6),
        "partial": summary_of(
            [SyntheticGateway(vpg=vpg("a-very-long-name-of-a-gateway-in-osaka-2"))],
            hours=1,
            objectives=[judged_as()],
            status="partial",
            why_partial="SIGINT",
        ),
    }


DOCUMENTS = documents()


def printed(document: Summary, lang: str, width: int) -> str:
    stream = io.StringIO()
    print_summary(Console(file=stream, width=width, highlight=False), document, lang)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


@pytest.mark.parametrize("lang", ["ja", "en"])
@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_the_page_at_80_columns(name: str, lang: str) -> None:
    text = printed(DOCUMENTS[name], lang, 80)
    path = EXPECTED / f"{name}-{lang}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("lang", ["ja", "en"])
@pytest.mark.parametrize("width", [60, 80, 120, 200])
@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_no_line_is_wider_than_the_terminal(name: str, width: int, lang: str) -> None:
    text = printed(DOCUMENTS[name], lang, width)
    assert max(cell_len(line) for line in text.splitlines()) <= width


def test_a_pipe_gets_plain_text_and_a_terminal_gets_colour() -> None:
    plain = io.StringIO()
    print_summary(Console(file=plain, width=80), DOCUMENTS["storm"], "ja")
    assert "\x1b" not in plain.getvalue()
    coloured = io.StringIO()
    console = Console(file=coloured, width=80, force_terminal=True, color_system="standard")
    print_summary(console, DOCUMENTS["storm"], "ja")
    assert "\x1b[1;31m" in coloured.getvalue()
    without = io.StringIO()
    console = Console(
        file=without, width=80, force_terminal=True, color_system="standard", no_color=True
    )
    print_summary(console, DOCUMENTS["storm"], "ja")
    assert "31m" not in without.getvalue()


def total_lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if "Total:" in line or "合計：" in line]


@pytest.mark.parametrize("lang", ["ja", "en"])
@pytest.mark.parametrize("sets", [0, 2])
def test_a_bill_that_lacks_something_is_never_shown_as_a_sum(sets: int, lang: str) -> None:
    gateway = quiet("e", type="E", size="", hours=6)
    gateway.row["fixed_ip_sets"] = sets
    charges = judged_as(kind="charges_yen_max", limit=1, measured=0, met=False)
    text = printed(summary_of([gateway], hours=6, objectives=[charges]), lang, 200)
    (total,) = total_lines(text)
    assert ("incomplete" if lang == "en" else "未確定") in total
    assert "VPG Type-E" in total
    assert ("at least 180 yen" in total or "少なくとも180円" in total) == bool(sets)
    assert not re.search(r"(?<![\d,])0( yen|円)", text)


@pytest.mark.parametrize("lang", ["ja", "en"])
def test_unknown_limits_stand_beside_the_verdict(lang: str) -> None:
    met = judged_as(kind="lines_peak_max", limit=500, measured=400)
    gateways = [quiet(f"e{i}", type="E", size="", hours=1) for i in range(7)]
    document = summary_of([quiet(hours=1), *gateways], hours=1, objectives=[met])
    verdict, unknown = printed(document, lang, 300).splitlines()[:2]
    assert verdict.startswith("HOLDS" if lang == "en" else "判定：成立")
    assert ("UNKNOWN" if lang == "en" else "上限不明") in unknown
    assert "e0" in unknown
    assert "Type-E" in unknown
    assert "osaka" not in unknown
    assert ("2 more" if lang == "en" else "ほか 2 件") in unknown


def test_each_size_of_a_vpg_has_its_own_line() -> None:
    minutes = {0: Minute(attempts=1, lines=970), 60: Minute(attempts=1, lines=1_030)}
    change = Recreate(at_us=START_US + 3_600_000_000, vpg_id="shop", type="C", size="medium")
    gateway = SyntheticGateway(vpg=vpg("shop"), minutes=minutes)
    text = printed(summary_of([gateway], hours=2, events=(change,)), "en", 80)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "shop C Small 970 / 1,000 (97%) 0 / 30 (0%) none" in lines
    assert "shop C Medium 1,030 / 3,000 (34%) 0 / 90 (0%) none" in lines


@pytest.mark.parametrize("lang", ["ja", "en"])
def test_pending_messages_are_told_only_where_there_are_any(lang: str) -> None:
    word = "Pending at the end" if lang == "en" else "終了時に滞留"
    assert word not in printed(DOCUMENTS["storm"], lang, 80)
    gateway = quiet("shop", hours=1)
    gateway.row["pending_end"] = 1_400
    text = printed(summary_of([gateway, quiet(hours=1)], hours=1), lang, 80)
    (line,) = [line for line in text.splitlines() if word in line]
    assert "shop 1,400" in line
    assert "osaka" not in line


def test_the_title_is_the_one_of_the_language() -> None:
    document = msgspec.structs.replace(DOCUMENTS["holds"], title="Meters", title_ja="検針")
    assert printed(document, "en", 80).splitlines()[1] == "Meters"
    assert printed(document, "ja", 80).splitlines()[1] == "検針"


def test_square_brackets_in_names_are_not_markup() -> None:
    document = msgspec.structs.replace(DOCUMENTS["holds"], title="[red]meters[/] [/bold]")
    assert "[red]meters[/] [/bold]" in printed(document, "en", 80)


def test_a_large_fleet_of_vpgs_is_cut_with_a_note() -> None:
    gateways = [quiet(f"vpg-{i:02}", hours=1) for i in range(20)]
    text = printed(summary_of(gateways, hours=1), "en", 80)
    assert "8 more VPGs are in summary.json." in text
    assert "vpg-11" in text
    assert "vpg-12" not in text


def test_what_lost_messages_is_told_where_no_limit_refused() -> None:
    gateway = SyntheticGateway(
        vpg=vpg(),
        minutes={0: Minute(attempts=100, no_session=20, lines=100)},
        row={"messages_offered": 100, "lost_tries": 17, "lost_buffer": 3},
    )
    out = io.StringIO()
    console = Console(file=out, width=200, color_system=None)
    print_summary(console, summary_of([gateway], hours=1), "en")
    told = "no limit refused anything, yet 20 messages were lost: given up after the last try 17, "
    assert told in out.getvalue()
