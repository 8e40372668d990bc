"""``vpg gate --decide``: what a recording says, in every form; and what cannot be used, told."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import msgspec
import pytest

from loadtests.gate import canaries, job, revisions, rounds
from loadtests.gate.decision import Decision, decide
from loadtests.gate.rounds import Shape
from loadtests.gate.values import BASE, CONTROL, FIGURES, HEAD, Count, Recording, encode
from tests.support_cli import vpg
from tests.support_gate import made

if TYPE_CHECKING:
    from pathlib import Path

ROLES = (BASE, CONTROL, HEAD)
SLOW = {HEAD: {"cpu_us_per_single": 1.2}}
LOST = {HEAD: Count(acknowledged=10, stored=9, refused=0, unknown=0)}
ANSWERS = {
    "passes": (0, made(ROLES, seed=1)),
    "fails": (4, made(ROLES, seed=1, changes=SLOW)),
    "lost": (4, made(ROLES, seed=1, counts=LOST)),
    "cannot_tell": (5, made(ROLES, seed=1, noise=0.4)),
}


def write(folder: Path, recording: Recording, name: str = "gate.json") -> Path:
    file = folder / name
    file.write_bytes(encode(recording))
    return file


@pytest.mark.parametrize("name", ANSWERS)
def test_every_form_says_the_same(name: str, in_tmp: Path) -> None:
    code, recording = ANSWERS[name]
    file = write(in_tmp, recording)
    forms = ("--junit", "gate.xml", "--markdown", "gate.md")
    found = vpg("gate", "--decide", str(file), "--json", *forms)
    assert found.code == code
    document = msgspec.json.decode(found.out, type=Decision)
    assert next(iter(json.loads(found.out))) == "schema_version"
    assert document.answer == {"lost": "fails"}.get(name, name)
    page = vpg("gate", "--decide", str(file))
    assert page.code == code
    summary = (in_tmp / "gate.md").read_text(encoding="utf-8")
    last = page.out.strip().splitlines()[-1]
    assert last in summary
    for reason in document.reasons:
        assert reason in last
    suite = ET.parse(in_tmp / "gate.xml").getroot()  # noqa: S314 - our own
    cases = {(one.get("classname"), one.get("name")): one for one in suite.iter("testcase")}
    assert int(suite.get("tests", "")) == len(cases)
    assert {name for group, name in cases if group == "gate.figure"} == {f.name for f in FIGURES}
    failed = {name for (_, name), one in cases.items() if one.find("failure") is not None}
    unsure = {name for (_, name), one in cases.items() if one.find("error") is not None}
    assert bool(failed) == (document.answer == "fails")
    assert not unsure or document.answer == "cannot_tell"


def test_japanese_has_the_same_figures(in_tmp: Path) -> None:
    file = write(in_tmp, ANSWERS["fails"][1])
    english, japanese = (
        vpg("gate", "--decide", str(file), "--lang", lang) for lang in ("en", "ja")
    )
    assert "不合格" in japanese.out
    assert "fails" in english.out
    assert english.code == japanese.code == 4
    assert english.out.count("±") == japanese.out.count("±") == len(FIGURES)


def test_markdown_is_appended_as_a_step_summary_wants_it(in_tmp: Path) -> None:
    (in_tmp / "summary.md").write_text("before\n", encoding="utf-8")
    vpg("gate", "--decide", str(write(in_tmp, ANSWERS["passes"][1])), "--markdown", "summary.md")
    text = (in_tmp / "summary.md").read_text(encoding="utf-8")
    assert text.startswith("before\n### vpg gate: passes")


def test_a_recording_against_a_baseline(in_tmp: Path) -> None:
    now = write(in_tmp, made((HEAD, CONTROL), seed=1))
    then = write(in_tmp, made((HEAD, CONTROL), seed=2, slowness=1.5), "baseline.json")
    found = vpg("gate", "--decide", str(now), "--baseline", str(then), "--json")
    assert (found.code, json.loads(found.out)["against"]) == (0, "baseline")


@pytest.mark.parametrize(
    ("words", "code", "number"),
    [
        ((), 2, "VPG1958"),
        (("--base", "main", "--baseline", "b.json"), 2, "VPG1029"),
        (("--decide", "gate.json", "--save", "x.json"), 2, "VPG1029"),
        (("--base", "main", "--restarts", "1"), 2, "VPG1017"),
        (("--decide", "missing.json"), 3, "VPG1955"),
        (("--decide", "."), 3, "VPG1955"),
        (("--decide", "old.json"), 3, "VPG1956"),
        (("--decide", "torn.json"), 3, "VPG1956"),
        (("--baseline", "old.json"), 3, "VPG1956"),
        (("--decide", "alone.json"), 3, "VPG1963"),
        (("--save", "no/such/folder.json"), 3, "VPG1955"),
        (("--decide", "gate.json", "--junit", "."), 3, "VPG1955"),
        (("--save", "x.json", "--work", "nowhere"), 3, "VPG1955"),
    ],
)
def test_bad_input(words: tuple[str, ...], code: int, number: str, in_tmp: Path) -> None:
    file = write(in_tmp, ANSWERS["passes"][1])
    text = file.read_text(encoding="utf-8")
    (in_tmp / "old.json").write_text(text.replace("recording-v1", "recording-v0"), encoding="utf-8")
    (in_tmp / "torn.json").write_text(text[: len(text) // 2], encoding="utf-8")
    write(in_tmp, made((HEAD, CONTROL), seed=1), "alone.json")
    found = vpg("gate", *words)
    assert (found.code, number in found.err) == (code, True), found.err


@pytest.mark.usefixtures("in_tmp")
def test_where_it_cannot_measure_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def unlucky(*_: object) -> None:
        raise job.NotMeasuredError("the head hung up")

    monkeypatch.setattr(job, "run", unlucky)
    found = vpg("gate", "--base", "main")
    assert found.code == 5
    assert "VPG1954" in found.err


@pytest.mark.usefixtures("in_tmp")
def test_a_baseline_is_saved_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    recording = made((HEAD, CONTROL), seed=1)
    monkeypatch.setattr(job, "run", lambda *_: job.Done(recording=recording, decision=None))
    found = vpg("gate", "--save", "baseline.json", "--json")
    assert json.loads(found.out)["schema_version"] == "vpgsim-gate-saved-v1"
    assert vpg("gate", "--decide", "baseline.json", "--baseline", "baseline.json").code == 0


def test_the_second_helping_comes_once_and_only_if_it_cannot_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    noisy, calm = made(ROLES, seed=1, noise=0.4), made(ROLES, seed=1)
    recordings = iter([noisy, noisy, calm])

    def measure(_: object, shape: Shape, **__: object) -> tuple[object, float]:
        asked.append(shape.first)
        return next(recordings).restarts, 100.0

    monkeypatch.setattr(rounds, "restarts", measure)
    monkeypatch.setattr(canaries, "canary", lambda *_: calm.canaries[0])
    monkeypatch.setattr(canaries, "stolen", lambda: (0, 0))
    monkeypatch.setattr(job, "started", lambda *_: contextlib.nullcontext())
    one = job.Asked(base="main", baseline=None, shape=Shape(restarts=5, rounds=6, seed=1))
    side = revisions.head()
    sides = {BASE: side, CONTROL: side, HEAD: side}
    done = job.measured(one, sides, tmp_path, lambda *_: None)
    assert asked == [0, 5]
    assert len(done.recording.restarts) == 10
    assert done.decision == decide(done.recording)
    asked.clear()
    assert job.measured(one, sides, tmp_path, lambda *_: None).decision is not None
    assert asked == [0]
