"""``vpg validate-engine``: pages, document, exit codes; the form is made small for it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from sim.engine_check import judge
from sim.engine_check.cases import cases
from sim.engine_check.judge import Size
from sim.run import BrokenRunError, simulate
from tests.support_cli import masked, matches_golden, vpg
from vpg.cli.documents import EngineDocument

if TYPE_CHECKING:
    from pathlib import Path

    from scenarios.model import Scenario
    from vpg.catalogue.model import Catalogue
    from vpg.results import RunResult


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "110")
    monkeypatch.setenv("NO_COLOR", "1")
    # One exact system, one with two figures, one of the line cap.
    few = (EVERY[1], EVERY[3], EVERY[-1])
    monkeypatch.setattr(judge, "SHORT", Size(long=False, studies=2, replications=2))
    monkeypatch.setattr(judge, "cases", lambda *, long: () if long else few)


EVERY = cases(long=False)


def broken(what: Scenario, catalogue: Catalogue, **more: Any) -> RunResult:
    raise BrokenRunError("v: Little's law: 1 != 2", simulate(what, catalogue, **more))


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_a_page_reads_as_agreed(lang: str, in_tmp: Path) -> None:
    answer = vpg("validate-engine", "--lang", lang)
    page = f"exit {answer.code}\n--- stdout\n{answer.out}--- stderr\n{answer.err}"
    assert matches_golden(f"validate-engine.{lang}.txt", masked(page, in_tmp))
    assert list(in_tmp.iterdir()) == []


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_a_missed_law_ends_with_4_and_says_where(
    lang: str, in_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge, "simulate", broken)
    answer = vpg("validate-engine", "--lang", lang)
    page = f"exit {answer.code}\n--- stdout\n{answer.out}--- stderr\n{answer.err}"
    assert answer.code == 4
    assert matches_golden(f"validate-engine-missed.{lang}.txt", masked(page, in_tmp))


def test_the_document_is_closed_and_the_same_in_every_language() -> None:
    answers = [vpg("validate-engine", "--json", "--lang", lang) for lang in ("en", "ja")]
    assert answers[0].out == answers[1].out
    document = msgspec.json.decode(answers[0].out, type=EngineDocument)
    assert next(iter(json.loads(answers[0].out))) == "schema_version"
    assert (document.form, document.verdict, answers[0].code) == ("short", "met", 0)
    assert {law.studies for law in document.laws} == {0, 2}


def test_a_missed_law_is_in_the_document(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge, "simulate", broken)
    answer = vpg("validate-engine", "--json", "--quiet")
    document = msgspec.json.decode(answer.out, type=EngineDocument)
    assert (answer.code, document.verdict, answer.err) == (4, "missed", "")
    assert not any(law.met for law in document.laws)
    facts = {fact for law in document.laws for fact in law.broken}
    assert len(facts) == 1 + 2 * 2 + 2 * 2  # every run, told once
    assert all("v: Little's law: 1 != 2" in fact for fact in facts)


def test_form_workers_and_engine_reach_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def noted(size: Size, **more: Any) -> tuple[()]:
        asked.append((size, more))
        return ()

    monkeypatch.setattr(judge, "check", noted)
    vpg("validate-engine", "--long", "--workers", "3", "--engine", "compiled", "--quiet")
    [(size, more)] = asked
    assert (size, more["workers"], more["engine"]) == (judge.LONG, 3, "compiled")


def test_quiet_only_answers_with_its_exit_code() -> None:
    answer = vpg("validate-engine", "--quiet")
    assert (answer.code, answer.out, answer.err) == (0, "", "")


@pytest.mark.parametrize("workers", ["0", "257", "two"])
def test_workers_are_a_sensible_number(workers: str) -> None:
    answer = vpg("validate-engine", "--workers", workers)
    assert answer.code == 2
    assert answer.numbers
