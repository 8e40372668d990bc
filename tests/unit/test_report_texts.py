"""Every text of the reports exists in both languages, says the same figures and is used."""

from __future__ import annotations

import re
import string
from typing import get_args

import pytest

from loadtests.fleet.judging import COMPARED
from reports import texts
from reports.document import AdviceKind, Binding, LimitName, Verdict
from scenarios.model import Objective
from tests.support import ROOT
from vpg.billing.csv_compare import Why
from vpg.billing.model import Coverage, Currency, NotIssued
from vpg.catalogue.items import BILL_ITEMS, SIZES
from vpg.errors import EnsureError
from vpg.laws import LawFigure

JAPANESE = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")
SAME_IN_BOTH = (
    "unit.milli",
    "unit.micro",
    "size.",
    "item.vpg_",
    "summary.vpg",
    "summary.unpriced_item",
    "chart.delay_floor",
)


def placeholders(words: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(words) if name is not None}


@pytest.mark.parametrize("key", sorted(texts.table()))
def test_both_languages_say_the_same_figures(key: str) -> None:
    entry = texts.table()[key]
    assert set(entry) == {"en", "ja"}
    assert placeholders(entry["en"]) == placeholders(entry["ja"])
    assert not JAPANESE.search(entry["en"])
    assert JAPANESE.search(entry["ja"]) or key.startswith(SAME_IN_BOTH)


def test_every_name_the_document_can_hold_has_words() -> None:
    kinds = re.findall(r"``(\w+_(?:min|max))``", Objective.__doc__ or "")
    assert len(kinds) == 8
    needed = {
        *(f"verdict.{name}" for name in get_args(Verdict)),
        *(f"limit.{name}" for name in (*get_args(LimitName), *get_args(Binding))),
        *(f"advice.{name}" for name in get_args(AdviceKind)),
        *(f"item.{name}" for name in BILL_ITEMS),
        *(f"law_figure.{name}" for name in get_args(LawFigure)),
        *(f"size.{name}" for name in SIZES),
        *(f"objective.{name}" for name in kinds),
        *(f"twin.{name}" for name in (*COMPARED, "refused", "delay_p50")),
        *(f"twin.{name}" for name in ("agree", "disagree", "cannot_tell")),
        *(f"check.{name}" for name in get_args(Why)),
        *(f"bill_why.{name}" for name in get_args(NotIssued) if name),
        *(f"bill_coverage.{name}" for name in get_args(Coverage)),
        *(f"bill_currency.{name}" for name in get_args(Currency)),
    }
    assert needed - set(texts.table()) == set()


def test_every_text_is_used() -> None:
    """A key counts as used when the code names it, or names its group and builds the rest."""
    code = "\n".join(
        path.read_text(encoding="utf-8") for path in sorted((ROOT / "reports").glob("*.py"))
    )
    built = (
        "advice",
        "bill_coverage",
        "bill_currency",
        "bill_item",
        "bill_why",
        "check",
        "item",
        "law_figure",
        "limit",
        "objective",
        "retry",
        "size",
        "twin",
        "unit",
        "verdict",
    )
    unused = [
        key
        for key in texts.table()
        if not key.startswith(tuple(f"{group}." for group in built))
        and not re.search(rf"""["'](\w+\.)?{re.escape(key.partition(".")[2])}["']""", code)
        and not re.search(
            rf'"{re.escape(re.sub("_(minute|hour|[0-9]+|p50|p99|max)$", "_", key))}\{{', code
        )
    ]
    assert unused == []


def test_a_missing_text_is_our_own_mistake() -> None:
    with pytest.raises(EnsureError, match=r"report text nothing\.here"):
        texts.text("nothing.here", "en")


def test_unknown_names_are_shown_as_they_are() -> None:
    assert texts.label("item", "my_own_item", "ja") == "my_own_item"


def test_what_strangers_wrote_cannot_steer_the_terminal() -> None:
    assert texts.plain("a\x1b[31mb\nc\u202ed") == "a [31mb c d"
