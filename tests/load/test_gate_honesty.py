"""The gate decides recorded rounds: of the same code, and of code slowed by 10 %. No clock.

The recording was made by ``python -m tests.bench.gate`` on a real machine; the bench makes its own.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from loadtests.gate import job, rounds
from loadtests.gate.values import BASE, CONTROL, HEAD, Recording, decode
from tests.bench.gate import (
    FALSE_ALARMS_MAX,
    FOUND_MIN,
    GATES,
    RECORDED,
    SAME,
    SLOWED,
    drawn,
    gates,
    sides,
)

FEW = 40


@pytest.fixture(scope="module")
def recording() -> Recording:
    return decode(RECORDED.read_bytes())


def test_the_recording_is_what_the_promise_asks(recording: Recording) -> None:
    assert set(recording.revisions) == {BASE, CONTROL, SAME, SLOWED}
    assert sum(len(restart.rounds) for restart in recording.restarts) >= 60
    for restart in recording.restarts:
        assert all(one.lost == one.doubled == one.refused == 0 for one in restart.counts.values())
        spent = {role: dict(budgets) for role, budgets in restart.budgets.items()}
        assert spent[SAME]["commits_singles"] == spent[SLOWED]["commits_singles"]


def test_a_gate_drawn_twice_is_the_same(recording: Recording) -> None:
    assert drawn(recording, 7, 5) == drawn(recording, 7, 5)
    assert drawn(recording, 7, 5) != drawn(recording, 8, 5)


def test_few_gates_of_recorded_rounds_are_honest(recording: Recording) -> None:
    same, slowed = (gates(recording, role, FEW) for role in (SAME, SLOWED))
    assert same["fails"] <= 1, same
    assert slowed["fails"] >= FEW * FOUND_MIN // GATES, slowed
    assert slowed["passes"] == 0, slowed


@pytest.mark.long
def test_two_hundred_gates_of_recorded_rounds_are_honest(recording: Recording) -> None:
    same, slowed = (gates(recording, role, GATES) for role in (SAME, SLOWED))
    assert same["fails"] <= FALSE_ALARMS_MAX, same
    assert slowed["fails"] >= FOUND_MIN, slowed


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("role", [SAME, SLOWED])
def test_five_complete_gates_are_never_wrong(role: str) -> None:
    """Beside other tests a machine is noisy: it may not tell, but it must not tell a lie."""
    every = sides()
    asked = {BASE: every[BASE], CONTROL: every[CONTROL], HEAD: every[role]}
    answers = []
    for seed in range(5):
        shape = rounds.Shape(restarts=3, rounds=6, seed=seed)
        one = job.Asked(base="HEAD", baseline=None, shape=shape)
        with tempfile.TemporaryDirectory(dir=job.work_folder()) as name:
            done = job.measured(one, asked, Path(name), lambda *_: None)
        assert done.decision is not None
        answers.append(done.decision.answer)
    wrong = "fails" if role == SAME else "passes"
    assert wrong not in answers, answers
