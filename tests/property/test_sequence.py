"""Where a sequence of replications ends does not depend on who finishes when, or comes twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.pool import work
from sim.sequence import Replications
from vpg.errors import EnsureError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


@dataclass(frozen=True)
class Row:
    replication: int
    value: int = 0


def after(limit: int) -> Callable[[Sequence[Row]], bool]:
    """Return a rule that is met by the first ``limit`` rows, and checks how it is asked."""
    asked = 0

    def enough(rows: Sequence[Row]) -> bool:
        nonlocal asked
        asked += 1
        assert [row.replication for row in rows] == list(range(asked))
        return asked >= limit

    return enough


@given(asked=st.integers(1, 20), limit=st.integers(1, 25), data=st.data())
def test_any_order_of_arrival_with_repeats_gives_the_same_rows(
    asked: int, limit: int, data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(asked)))
    extra = data.draw(st.lists(st.integers(0, asked - 1)))
    sequence: Replications[Row] = Replications(asked, after(limit))
    new = [sequence.add(Row(number)) for number in [*order, *extra]]
    assert new == [True] * asked + [False] * len(extra)
    assert sequence.is_over
    assert [row.replication for row in sequence.rows] == list(range(min(asked, limit)))


@given(done=st.sets(st.integers(0, 30)), asked=st.integers(1, 20), vain=st.booleans())
def test_each_missing_number_is_handed_out_once_in_order(
    done: set[int], asked: int, vain: bool
) -> None:
    sequence: Replications[Row] = Replications(asked, None, [Row(number) for number in done])
    given_out = []
    while (number := sequence.next(may_be_vain=vain)) is not None:
        given_out.append(number)
    assert given_out == [number for number in range(asked) if number not in done]


def test_only_sure_numbers_are_handed_out_unless_asked_for_more() -> None:
    sequence: Replications[Row] = Replications(20, after(9))
    assert [sequence.next(may_be_vain=False) for _ in range(6)] == [0, 1, 2, 3, 4, None]
    for number in range(5):
        sequence.add(Row(number))
    assert [sequence.next(may_be_vain=False) for _ in range(2)] == [5, None]
    assert [sequence.next(may_be_vain=True) for _ in range(2)] == [6, 7]


def test_the_same_replication_with_another_answer_is_a_fault() -> None:
    sequence: Replications[Row] = Replications(3)
    sequence.add(Row(1, 7))
    with pytest.raises(EnsureError, match="replication 1 is the same whoever computes it"):
        sequence.add(Row(1, 8))


# ---- the loop around a crew ----------------------------------------------------------------------


class Crew:
    """Answers the newest task first, each of them ``times`` times, and three at a time."""

    def __init__(self, times: int) -> None:
        self.times, self.at, self.ended = times, list[int](), False

    @property
    def has_room(self) -> bool:
        return len(self.at) < 3

    @property
    def is_busy(self) -> bool:
        return bool(self.at)

    def give(self, task: int) -> None:
        self.at.append(task)

    def finished(self) -> Iterator[Row]:
        task = self.at.pop()
        yield from [Row(task)] * self.times

    def end(self) -> None:
        self.ended = True


class Plan:
    def __init__(self, sequence: Replications[Row]) -> None:
        self.sequence, self.counted = sequence, 0

    @property
    def is_over(self) -> bool:
        return self.sequence.is_over

    def next(self) -> int | None:
        return self.sequence.next(may_be_vain=True)

    def take(self, row: Row) -> None:
        self.counted += self.sequence.add(row)


@given(asked=st.integers(0, 15), limit=st.integers(1, 20), times=st.integers(1, 3))
def test_a_crew_that_answers_twice_counts_once_and_is_always_sent_home(
    asked: int, limit: int, times: int
) -> None:
    crew = Crew(times)

    class Team:
        def crew(self, *_: Any, **__: Any) -> Any:
            return crew

    plan = Plan(Replications(asked, after(limit)) if asked else Replications(1, None, [Row(0)]))
    job: Any = None
    work(job, plan, Team(), most=asked, show=lambda _: None, stop=lambda: False)
    wanted = min(asked, limit) if asked else 1
    assert len(plan.sequence.rows) == wanted
    known_before = 0 if asked else 1
    assert plan.counted == plan.sequence.count - known_before
    assert crew.ended is (asked > 0)
