"""The summary on a terminal, to the character, in both languages.

After a wanted change: ``UPDATE_GOLDEN=1 python -m pytest tests/golden/test_terminal.py``, and read
the difference before it is committed.
"""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

import msgspec
import pytest
from rich.cells import cell_len
from rich.console import Console

from reports.document import AssumptionPart, Words
from reports.terminal import print_summary
from scenarios.model import Assumptions
from tests.support import ROOT
from tests.support_reports import Gateway as SyntheticGateway
from tests.support_reports import crowded, judged_as, meters, quiet, summary_of, vpg
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


def test_square_brackets_in_names_are_not_markup() -> None:
    document = msgspec.structs.replace(DOCUMENTS["holds"], title="[red]meters[/] [/bold]")
    assert "[red]meters[/] [/bold]" in printed(document, "en", 80)


def test_a_large_fleet_of_vpgs_is_cut_with_a_note() -> None:
    gateways = [quiet(f"vpg-{i:02}", hours=1) for i in range(20)]
    text = printed(summary_of(gateways, hours=1), "en", 80)
    assert "8 more VPGs are in summary.json." in text
    assert "vpg-11" in text
    assert "vpg-12" not in text
